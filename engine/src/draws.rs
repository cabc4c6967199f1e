//! Draws on the host beyond uniform and normal: gamma, beta, Dirichlet, categorical. All in f64 by `libm`, so that native
//! and WASM runs get the same bits.

use crate::rng::Rng;

/// Uniform in (0, 1), 53 bits; never 0, so that its logarithm is finite.
fn unit(rng: &mut Rng) -> f64 {
    let (high, low) = (u64::from(rng.u32()), u64::from(rng.u32()));
    (((high << 32 | low) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Standard normal by Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    libm::sqrt(-2.0 * libm::log(unit(rng))) * libm::cos(std::f64::consts::TAU * unit(rng))
}

/// Logarithm of a gamma variate of `shape` above 0 and scale 1: small shapes give values that no f64 holds.
///
/// Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
fn log_gamma_variate(rng: &mut Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        // G(a) = G(a + 1) u^(1/a).
        return log_gamma_variate(rng, shape + 1.0) + libm::log(unit(rng)) / shape;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = normal(rng);
        let root = 1.0 + c * x;
        if root > 0.0 {
            let log_v = 3.0 * libm::log(root);
            let v = root * root * root;
            if libm::log(unit(rng)) < 0.5 * x * x + d - d * v + d * log_v {
                return libm::log(d) + log_v;
            }
        }
    }
}

/// Gamma variate of `shape` above 0 and scale 1; mean and variance are `shape`.
pub fn gamma(rng: &mut Rng, shape: f64) -> f64 {
    libm::exp(log_gamma_variate(rng, shape))
}

/// Beta variate of `a` and `b` above 0, in 0 to 1; mean `a / (a + b)`.
pub fn beta(rng: &mut Rng, a: f64, b: f64) -> f64 {
    let (x, y) = (log_gamma_variate(rng, a), log_gamma_variate(rng, b));
    1.0 / (1.0 + libm::exp(y - x))
}

/// Shares that sum to 1, Dirichlet with these parameters above 0; of few examples for small parameters.
pub fn dirichlet(rng: &mut Rng, parameters: &[f64]) -> Vec<f64> {
    let logs: Vec<f64> = parameters.iter().map(|&a| log_gamma_variate(rng, a)).collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sizes: Vec<f64> = logs.iter().map(|log| libm::exp(log - most)).collect();
    let total: f64 = sizes.iter().sum();
    sizes.into_iter().map(|size| size / total).collect()
}

/// Index drawn with probability proportional to its weight (finite, not below 0); `None` where all are 0.
pub fn categorical(rng: &mut Rng, weights: &[f64]) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    let mut left = unit(rng) * total;
    let mut last = None;
    for (k, &weight) in weights.iter().enumerate().filter(|&(_, &weight)| weight > 0.0) {
        last = Some(k);
        if left < weight {
            break;
        }
        left -= weight;
    }
    last
}

/// `count` different indices, drawn one after the other by weight without putting back; fewer where fewer have weight.
///
/// Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
pub fn categorical_without_replacement(rng: &mut Rng, weights: &[f64], count: usize) -> Vec<usize> {
    let mut keys: Vec<(f64, usize)> = Vec::with_capacity(weights.len());
    for (k, &weight) in weights.iter().enumerate() {
        // A draw for every index, so that one weight does not move the draws of the others.
        let wait = -libm::log(unit(rng));
        if weight > 0.0 {
            keys.push((wait / weight, k));
        }
    }
    crate::numeric::sort_by(&mut keys, &|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    keys.into_iter().take(count).map(|(_, k)| k).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    const DRAWS: usize = 40_000;

    /// Mean and variance of many draws lie within five standard errors of what they should be.
    fn moments(mean: f64, variance: f64, fourth: f64, mut draw: impl FnMut(&mut Rng) -> f64) {
        let mut rng = Rng::new(3, Stream::Probe, 0);
        let draws: Vec<f64> = (0..DRAWS).map(|_| draw(&mut rng)).collect();
        let n = DRAWS as f64;
        let found = draws.iter().sum::<f64>() / n;
        let spread = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        assert!((found - mean).abs() < 5.0 * (variance / n).sqrt(), "mean {found} of {mean}");
        let error = ((fourth - variance * variance) / n).sqrt();
        assert!((spread - variance).abs() < 5.0 * error, "variance {spread} of {variance}");
    }

    #[test]
    fn gamma_has_its_moments() {
        for shape in [0.2, 0.9, 1.0, 2.5, 40.0] {
            moments(shape, shape, 3.0 * shape * shape + 6.0 * shape, |rng| gamma(rng, shape));
        }
    }

    #[test]
    fn beta_has_its_moments() {
        for (a, b) in [(0.2, 0.2), (0.5, 3.0), (1.0, 1.0), (8.0, 2.0)] {
            let s: f64 = a + b;
            let variance = a * b / (s * s * (s + 1.0));
            let excess = 6.0 * ((a - b) * (a - b) * (s + 1.0) - a * b * (s + 2.0)) / (a * b * (s + 2.0) * (s + 3.0));
            moments(a / s, variance, (excess + 3.0) * variance * variance, |rng| beta(rng, a, b));
        }
    }

    #[test]
    fn tiny_parameters_stay_finite() {
        let mut rng = Rng::new(4, Stream::Probe, 0);
        for _ in 0..1_000 {
            let x = beta(&mut rng, 1e-3, 1e-3);
            assert!((0.0..=1.0).contains(&x));
            let shares = dirichlet(&mut rng, &[1e-3; 5]);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn dirichlet_shares_have_their_means() {
        let mut rng = Rng::new(5, Stream::Probe, 0);
        let mut means = [0.0; 3];
        for _ in 0..DRAWS {
            for (mean, share) in means.iter_mut().zip(dirichlet(&mut rng, &[0.5, 1.0, 2.5])) {
                *mean += share / DRAWS as f64;
            }
        }
        for (found, wanted) in means.iter().zip([0.125, 0.25, 0.625]) {
            assert!((found - wanted).abs() < 0.01, "{found} instead of {wanted}");
        }
    }

    #[test]
    fn categorical_follows_its_weights() {
        let mut rng = Rng::new(6, Stream::Probe, 0);
        let weights = [1.0, 0.0, 3.0, 4.0];
        let mut counts = [0; 4];
        for _ in 0..DRAWS {
            counts[categorical(&mut rng, &weights).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        for (count, weight) in counts.iter().zip(weights) {
            assert!((f64::from(*count) / DRAWS as f64 - weight / 8.0).abs() < 0.015);
        }
        assert_eq!(categorical(&mut rng, &[0.0, 0.0]), None);
    }

    #[test]
    fn without_replacement_draws_each_once_and_the_first_by_weight() {
        let mut rng = Rng::new(7, Stream::Probe, 0);
        let weights = [1.0, 2.0, 0.0, 5.0];
        let mut first = [0; 4];
        for _ in 0..DRAWS {
            let drawn = categorical_without_replacement(&mut rng, &weights, 4);
            let mut seen = drawn.clone();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 3]);
            first[drawn[0]] += 1;
        }
        for (count, weight) in first.iter().zip(weights) {
            assert!((f64::from(*count) / DRAWS as f64 - weight / 8.0).abs() < 0.015);
        }
        assert_eq!(categorical_without_replacement(&mut rng, &weights, 2).len(), 2);
    }
}
