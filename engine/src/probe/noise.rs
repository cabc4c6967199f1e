//! Gradient noise scale and critical batch size.
//!
//! Source: McCandlish, Kaplan, Amodei, "An empirical model of large-batch training", 2018 (arXiv 1812.06162), section
//! 2.2 and appendix A.1. With the gradient G of the whole distribution and the covariance Sigma of single examples'
//! gradients, the simple noise scale is `tr Sigma / |G|^2`: a batch of that size has as much noise as signal, and larger
//! ones save few steps.

use std::ops::Range;

use super::vector::dot;

/// Noise of the gradient, with standard errors (jackknife over the small batches).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseScale {
    /// `|G|^2`, without bias; may be negative where noise drowns it.
    pub signal: f64,
    /// `tr Sigma`, without bias.
    pub noise: f64,
    /// Simple noise scale, examples: the critical batch size. Infinite where the signal is not above 0.
    pub scale: f64,
    /// Standard error of [`Self::signal`].
    pub signal_error: f64,
    /// Standard error of [`Self::noise`].
    pub noise_error: f64,
    /// Standard error of [`Self::scale`]; infinite where a part of the batches alone shows no signal.
    pub scale_error: f64,
    /// `|G|^2 / tr Sigma`, the signal of one example over its noise, and the standard error.
    pub clarity: [f64; 2],
    /// Examples used.
    pub samples: usize,
}

impl NoiseScale {
    /// Whether the scale is known to within itself.
    #[must_use]
    pub fn resolved(&self) -> bool {
        self.scale.is_finite() && self.scale_error < self.scale
    }

    /// What the scale exceeds, unless the signal is two standard errors larger than it seems.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.noise / (self.signal + 2.0 * self.signal_error).max(0.0)
    }
}

/// Gradients of disjoint batches of one size; their mean is the gradient of one large batch. Holds all of them.
#[derive(Clone, Debug, Default)]
pub struct SmallBatches {
    batch: usize,
    gradients: Vec<Vec<f32>>,
    /// Inner products of the gradients, row by row, up to the diagonal.
    products: Vec<Vec<f64>>,
}

impl SmallBatches {
    /// No gradient yet; every one will be the mean over `batch` examples, all at the same parameters.
    #[must_use]
    pub fn new(batch: usize) -> Self {
        SmallBatches { batch, ..SmallBatches::default() }
    }

    /// Takes a small batch's gradient.
    pub fn add(&mut self, gradient: Vec<f32>) {
        self.gradients.push(gradient);
        let last = &self.gradients[self.gradients.len() - 1];
        self.products.push(self.gradients.iter().map(|other| dot(other, last)).collect());
    }

    /// Small batches so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.gradients.len()
    }

    /// Whether there is none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gradients.is_empty()
    }

    /// The gradients so far, `[P]` each.
    #[must_use]
    pub fn gradients(&self) -> &[Vec<f32>] {
        &self.gradients
    }

    /// Examples so far.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.len() * self.batch
    }

    /// Their parts on some of the parameters.
    #[must_use]
    pub fn within(&self, place: Range<usize>) -> Self {
        let mut part = SmallBatches::new(self.batch);
        self.gradients.iter().for_each(|gradient| part.add(gradient[place.clone()].to_vec()));
        part
    }

    /// What they say; `None` from fewer than three.
    #[must_use]
    pub fn noise_scale(&self) -> Option<NoiseScale> {
        let n = self.len();
        if n < 3 {
            return None;
        }
        let square = |k: usize| self.products[k][k];
        let row = |k: usize| -> f64 { (0..n).map(|other| self.products[k.max(other)][k.min(other)]).sum() };
        let squares: f64 = (0..n).map(square).sum();
        let all: f64 = (0..n).map(row).sum();
        let [signal, noise] = self.unbiased(n, squares, all);
        let without: Vec<[f64; 2]> =
            (0..n).map(|k| self.unbiased(n - 1, squares - square(k), all - 2.0 * row(k) + square(k))).collect();
        let ratio = |[signal, noise]: [f64; 2]| if signal > 0.0 { noise / signal } else { f64::INFINITY };
        let clarity = |[signal, noise]: [f64; 2]| signal / noise;
        Some(NoiseScale {
            signal,
            noise,
            scale: ratio([signal, noise]),
            signal_error: jackknife(without.iter().map(|without| without[0])),
            noise_error: jackknife(without.iter().map(|without| without[1])),
            scale_error: jackknife(without.iter().map(|&without| ratio(without))),
            clarity: [clarity([signal, noise]), jackknife(without.iter().map(|&without| clarity(without)))],
            samples: self.samples(),
        })
    }

    /// `|G|^2` and `tr Sigma` from the sum of `n` small batches' squared norms and the squared norm of their sum: the two
    /// equations `E |g_B|^2 = |G|^2 + tr Sigma / B` for the small batch and for the large one.
    fn unbiased(&self, n: usize, squares: f64, all: f64) -> [f64; 2] {
        let n = n as f64;
        let (small, large) = (self.batch as f64, n * self.batch as f64);
        let (of_small, of_large) = (squares / n, all / (n * n));
        let signal = (large * of_large - small * of_small) / (large - small);
        let noise = (of_small - of_large) / (1.0 / small - 1.0 / large);
        [signal, noise]
    }
}

/// Standard error from values that each leave one sample out.
fn jackknife(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let error = libm::sqrt((n - 1.0) / n * values.map(|x| (x - mean) * (x - mean)).sum::<f64>());
    if error.is_finite() { error } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::gaussian;

    /// Gaussian gradients of known mean and covariance.
    #[test]
    fn known_noise_is_found_without_bias() {
        let (size, batch, count) = (40, 4, 24);
        // Mean 0.5 in each of 40 directions: |G|^2 = 10; deviation 3: tr Sigma = 360.
        let (mut signal, mut noise, mut inside, mut above) = (0.0, 0.0, 0, 0);
        let runs = 200;
        for run in 0..runs {
            let mut batches = SmallBatches::new(batch);
            for k in 0..count {
                let mut mean = vec![0.0f32; size];
                for example in 0..batch {
                    let draw = gaussian(run, (k * batch + example) as u32, size);
                    mean.iter_mut().zip(&draw).for_each(|(mean, x)| *mean += (0.5 + 3.0 * x) / batch as f32);
                }
                batches.add(mean);
            }
            let found = batches.noise_scale().unwrap();
            assert_eq!(found.samples, batch * count);
            signal += found.signal / f64::from(runs as u32);
            noise += found.noise / f64::from(runs as u32);
            inside += usize::from((found.noise - 360.0).abs() < 2.0 * found.noise_error);
            above += usize::from(found.least() < 36.0);
        }
        assert!((signal - 10.0).abs() < 0.3, "{signal}");
        assert!((noise / 360.0 - 1.0).abs() < 0.01, "{noise}");
        // About 95% lie within two standard errors.
        assert!((0.9..=0.99).contains(&(inside as f64 / runs as f64)), "{inside} of {runs}");
        assert!((0.95..=1.0).contains(&(above as f64 / runs as f64)), "{above} of {runs}");
    }

    #[test]
    fn too_few_batches_say_nothing() {
        let mut batches = SmallBatches::new(1);
        assert!(batches.is_empty());
        batches.add(vec![1.0]);
        batches.add(vec![2.0]);
        assert_eq!((batches.len(), batches.noise_scale()), (2, None));
    }

    #[test]
    fn equal_gradients_have_no_noise() {
        let mut batches = SmallBatches::new(8);
        (0..4).for_each(|_| batches.add(vec![3.0, 4.0]));
        let found = batches.noise_scale().unwrap();
        assert!((found.signal - 25.0).abs() < 1e-9 && found.noise.abs() < 1e-9 && found.scale.abs() < 1e-9);
    }
}
