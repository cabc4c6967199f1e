//! Arithmetic on flat vectors in f64, in one order everywhere, and random vectors.

pub use crate::numeric::{dot, norm};
use crate::rng::{Rng, Stream};

/// `x += factor * y`
pub(super) fn add_multiple(x: &mut [f64], factor: f64, y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x += factor * f64::from(y));
}

/// A vector in f64.
pub(super) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Takes off `x` its components along an orthonormal basis, twice: once leaves rounding errors of the order of what was
/// taken off (Giraud et al. 2005: twice is enough).
pub(super) fn orthogonalise(x: &mut [f64], basis: &[Vec<f32>]) {
    for _ in 0..2 {
        for vector in basis {
            let component = dot(x, vector);
            add_multiple(x, -component, vector);
        }
    }
}

/// `x` at length 1; `None` where there is nothing left of it.
pub(super) fn unit(x: &[f64]) -> Option<Vec<f32>> {
    let length = norm(x);
    (length > 0.0 && length.is_finite()).then(|| x.iter().map(|x| (x / length) as f32).collect())
}

/// `sum_i factors[i] vectors[i]`
pub(super) fn combination(factors: &[f64], vectors: &[Vec<f32>], size: usize) -> Vec<f64> {
    let mut sum = vec![0.0; size];
    for (&factor, vector) in factors.iter().zip(vectors) {
        add_multiple(&mut sum, factor, vector);
    }
    sum
}

/// Standard normal draws: number `index` of the probe vectors under a seed.
#[must_use]
pub fn gaussian(seed: u64, index: u32, size: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed, Stream::Probe, index);
    (0..size).map(|_| rng.normal()).collect()
}

/// Draws of +1 and -1: number `index` of the probe vectors under a seed.
#[must_use]
pub fn rademacher(seed: u64, index: u32, size: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed, Stream::Probe, index);
    (0..size).map(|_| if rng.u32() & 1 == 1 { 1.0 } else { -1.0 }).collect()
}
