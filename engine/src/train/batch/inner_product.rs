//! The inner-product test, `Var <g_i, g> / b <= theta^2 |g|^4`, and the orthogonality test, `V_across / b <= nu^2 |g|^2`:
//! enough examples that the step very likely descends, and that it does not stray far sideways.
//!
//! Source: Bollapragada, Byrd, Nocedal, "Adaptive sampling strategies for stochastic optimization", arXiv 1710.11258,
//! sections 2 and 3.

use super::{BatchSpec, GradientStatistics};

/// Examples that pass both tests.
pub fn needed(spec: &BatchSpec, seen: &GradientStatistics) -> f64 {
    let along = seen.along / (spec.theta * spec.theta * seen.square * seen.square);
    let across = seen.across() / (spec.nu * spec.nu * seen.square);
    if along.is_nan() || across.is_nan() { f64::NAN } else { along.max(across) }
}
