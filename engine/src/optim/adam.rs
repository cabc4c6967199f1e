//! Adam with bias correction (Kingma, Ba 2015, algorithm 1). With the decay coupled to the gradient it is Adam, with
//! the decay apart from it AdamW (Loshchilov, Hutter 2019, algorithm 2); mod.rs does either for every rule.

use super::{Direction, Divisor, Hyper, Kernel, State, Step};
use crate::graph::{GraphError, NodeId};

pub(super) const MEAN: State = State::vector("adam.m");
pub(super) const SECOND: State = State::vector("adam.v");
pub(super) const STATES: &[State] = &[MEAN, SECOND];
pub(super) const DIVIDES: Option<Divisor> = Some(Divisor::of(SECOND, true));

// m' = beta m + (1 - beta) lambda theta, theta' = theta - eta c m' with c = 1 / (1 - product of betas):
// trace = 1 + beta - eta c (1 - beta) lambda, det = beta; 2 + 2 beta - eta c (1 - beta) lambda = 0.
pub(super) const KERNEL: Kernel = Kernel {
    bears: Some(|spec, bias| 2.0 * (1.0 + spec.beta1) / ((1.0 - spec.beta1) * bias.mean_correction())),
    divides: DIVIDES,
    ..Kernel::of(STATES, direction)
};

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let (m, v) = moments(step)?;
    Ok(Direction { direction: normalised(step, m, v)?, states: vec![(MEAN, m), (SECOND, v)] })
}

/// Means of the gradient and of its square, this one's included.
pub(super) fn moments(step: &mut Step<'_>) -> Result<(NodeId, NodeId), GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let m = step.average(MEAN, Hyper::NewMean, step.gradient)?;
    Ok((m, step.average(SECOND, Hyper::NewSquare, square)?))
}

/// `mh / (sqrt(vh) + eps)` for the moments m and v with their bias corrected.
pub(super) fn normalised(step: &mut Step<'_>, m: NodeId, v: NodeId) -> Result<NodeId, GraphError> {
    let of_mean = step.hyper(Hyper::MeanCorrection)?;
    let mean = step.graph.mul(m, of_mean)?;
    divided(step, mean, v)
}

/// `direction / (sqrt(vh) + eps)` for the moment v with its bias corrected.
pub(super) fn divided(step: &mut Step<'_>, direction: NodeId, v: NodeId) -> Result<NodeId, GraphError> {
    let of_square = step.hyper(Hyper::SquareCorrection)?;
    let variance = step.graph.mul(v, of_square)?;
    step.over_root(direction, variance)
}
