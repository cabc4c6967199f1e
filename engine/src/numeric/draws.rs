//! Random draws that are more than one number of the generator.

use crate::rng::Rng;

/// A draw from Gamma(shape, 1) by Marsaglia and Tsang (2000); shapes below 1 by their boost from shape + 1.
#[must_use]
pub fn gamma(rng: &mut Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(f64::from(rng.uniform()).max(1e-9), 1.0 / shape);
        return boost * gamma(rng, shape + 1.0);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = f64::from(rng.normal());
        let v = (1.0 + c * x).powi(3);
        let u = f64::from(rng.uniform()).max(1e-9);
        if v > 0.0 && libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// A point of the simplex with `size` coordinates from the symmetric Dirichlet distribution: large `alpha` = nearly even,
/// small = nearly all in one place.
#[must_use]
pub fn dirichlet(rng: &mut Rng, alpha: f64, size: usize) -> Vec<f64> {
    let draws: Vec<f64> = (0..size).map(|_| gamma(rng, alpha)).collect();
    let total: f64 = draws.iter().sum();
    if total > 0.0 { draws.into_iter().map(|draw| draw / total).collect() } else { vec![1.0 / size as f64; size] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::{deviation, mean};
    use crate::rng::Stream;

    #[test]
    fn a_gamma_has_its_moments() {
        for shape in [0.3, 1.0, 7.0] {
            let mut rng = Rng::new(4, Stream::Probe, 0);
            let draws: Vec<f64> = (0..20_000).map(|_| gamma(&mut rng, shape)).collect();
            assert!((mean(&draws) / shape - 1.0).abs() < 0.04, "{}", mean(&draws));
            assert!((deviation(&draws).powi(2) / shape - 1.0).abs() < 0.08, "{}", deviation(&draws).powi(2));
        }
    }

    /// Mean 1/k, variance (k - 1) / (k^2 (k alpha + 1)).
    #[test]
    fn a_dirichlet_lies_on_the_simplex_and_scatters_as_it_should() {
        for (alpha, k) in [(0.5, 4), (2.0, 5)] {
            let mut rng = Rng::new(9, Stream::Probe, 1);
            let mut first = Vec::new();
            for _ in 0..20_000 {
                let point = dirichlet(&mut rng, alpha, k);
                assert!((point.iter().sum::<f64>() - 1.0).abs() < 1e-12 && point.iter().all(|&share| share >= 0.0));
                first.push(point[0]);
            }
            let (k, variance) = (k as f64, deviation(&first).powi(2));
            assert!((mean(&first) * k - 1.0).abs() < 0.03);
            assert!((variance * k * k * (k * alpha + 1.0) / (k - 1.0) - 1.0).abs() < 0.05, "{variance}");
        }
    }
}
