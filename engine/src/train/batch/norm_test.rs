//! The norm test: the gradient's expected squared deviation, `V / b`, may be `eta^2` of its square.
//!
//! Where noise is all there is, `|g|^2` is itself about `V / b` and the test asks for `b / eta^2`: the batch grows by
//! the factor `1 / eta^2` a test, and never for `eta >= 1`.
//!
//! Source: Byrd, Chin, Nocedal, Wu, "Sample size selection in optimization methods for machine learning", 2012, section
//! 3; with adaptive gradients: Lau, Liu, Kolar, arXiv 2402.11215.

use super::{BatchSpec, GradientStatistics};

/// Examples that pass the test.
pub fn needed(spec: &BatchSpec, seen: &GradientStatistics) -> f64 {
    seen.variance / (spec.eta * spec.eta * seen.square)
}
