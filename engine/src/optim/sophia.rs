//! Sophia-H (Liu et al. 2023, arXiv 2305.14342, algorithms 1 and 3): the mean gradient over the mean diagonal of the Hessian,
//! each coordinate's step bounded by the rate. Every tenth update, the first among them, the batch's diagonal is estimated as
//! `u * H u` of random signs u (Hutchinson), and `h += (1 - beta2) (u * H u - h)`; in all of them
//!
//! `theta -= lr (clip(m / max(0.01 h, eps), 1) + decay theta)`.

use super::{Direction, Hyper, Kernel, State, Step};
use crate::graph::{BinaryOp, GraphError};

const MEAN: State = State::vector("sophia.m");
const CURVATURE: State = State::vector("sophia.h");
/// The last estimate, which the run makes before an update where [`due`].
pub(super) const ESTIMATE: State = State::vector("sophia.estimate");

// Its step is bounded, and as long in flat directions as in sharp ones.
pub(super) const KERNEL: Kernel = Kernel {
    estimates: Some(ESTIMATE),
    own: |spec, bias| [if due(bias.updates() - 1.0) { 1.0 - spec.beta2 } else { 0.0 }, 0.0],
    ..Kernel::of(&[MEAN, CURVATURE, ESTIMATE], direction)
};

/// Updates between two estimates.
const EVERY: f64 = 10.0;
/// Share of the diagonal that the gradient is divided by: the smaller, the more coordinates take the bound.
const SHARE: f32 = 0.01;

/// Whether the update after so many others wants a new estimate.
pub(super) fn due(updates: f64) -> bool {
    updates % EVERY == 0.0
}

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let m = step.average(MEAN, Hyper::NewMean, step.gradient)?;
    let estimate = step.state(ESTIMATE)?;
    let h = step.average(CURVATURE, Hyper::First, estimate)?;
    let divisor = step.graph.scale(h, SHARE)?;
    let eps = step.hyper(Hyper::Eps)?;
    let divisor = step.graph.binary(BinaryOp::Max, divisor, eps)?;
    let whole = step.graph.div(m, divisor)?;
    let one = step.graph.constant(1.0, &[1]);
    let direction = step.clamp(whole, one)?;
    Ok(Direction { direction, states: vec![(MEAN, m), (CURVATURE, h)] })
}
