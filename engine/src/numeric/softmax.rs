//! Probabilities from logits.

use super::vector::dot;

/// Probabilities of classes with these logits, sharper at a temperature below 1. The largest logit is taken off first, so
/// that nothing overflows.
#[must_use]
pub fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let power = |&logit: &f32| libm::exp(f64::from(logit - largest) / temperature);
    let powers: Vec<f64> = logits.iter().map(power).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

/// `ln sum exp x`; minus infinity of nothing.
#[must_use]
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let powers: Vec<f64> = values.iter().map(|value| libm::exp(value - largest)).collect();
    largest + libm::log(dot(&powers, &vec![1.0; powers.len()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.special.softmax([1, 2, 3])` and at temperature 1/2; `scipy.special.logsumexp([1, 2, 3])`.
    #[test]
    fn probabilities_are_scipys() {
        let close = |found: Vec<f64>, expected: [f64; 3]| {
            found.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-9, "{a} against {b}"));
        };
        close(softmax(&[1.0, 2.0, 3.0], 1.0), [0.090_030_573_17, 0.244_728_471_05, 0.665_240_955_77]);
        close(softmax(&[1.0, 2.0, 3.0], 0.5), [0.015_876_239_98, 0.117_310_428_03, 0.866_813_331_99]);
        close(softmax(&[1000.0, 1000.0, -1000.0], 1.0), [0.5, 0.5, 0.0]);
        assert!((log_sum_exp(&[1.0, 2.0, 3.0]) - 3.407_605_964_444_38).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert!((log_sum_exp(&[1000.0, 1000.0]) - 1000.0 - std::f64::consts::LN_2).abs() < 1e-12);
    }
}
