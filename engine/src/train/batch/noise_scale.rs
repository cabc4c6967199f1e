//! The gradient noise scale, `tr(Sigma) / |G|^2`: the batch size at which noise and gradient weigh the same; below it
//! twice the batch is worth nearly twice the steps, above it hardly more than one.
//!
//! Numerator and denominator are unbiased estimates and smoothed apart, because the ratio of noisy numbers is biased.
//!
//! Source: McCandlish, Kaplan, Amodei, "An empirical model of large-batch training", arXiv 1812.06162, section 2.2 and
//! appendix A.

use super::{BatchSpec, GradientStatistics};

/// The most by which one measurement may multiply or divide the batch: one estimate is noisy, and where no gradient can
/// be told from the noise it is infinite.
const MOST: f64 = 2.0;

/// Exponential means; both miss the same weight at first, so their ratio does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Smoothed {
    /// Of the trace of the covariance.
    pub trace: f64,
    /// Of the true gradient's square.
    pub square: f64,
}

/// Examples that equal the noise scale, times the recipe's multiple.
pub fn needed(spec: &BatchSpec, seen: &GradientStatistics, smoothed: &mut Smoothed) -> f64 {
    if !(seen.variance.is_finite() && seen.square.is_finite()) {
        return f64::NAN;
    }
    let mean = |old: f64, new: f64| spec.smoothing * old + (1.0 - spec.smoothing) * new;
    *smoothed =
        Smoothed { trace: mean(smoothed.trace, seen.variance), square: mean(smoothed.square, seen.true_square()) };
    let scale = if smoothed.square > 0.0 { smoothed.trace / smoothed.square } else { f64::INFINITY };
    let batch = seen.batch as f64;
    (spec.multiple * scale).clamp(batch / MOST, batch * MOST)
}
