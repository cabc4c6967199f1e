//! Adam with bias correction (Kingma, Ba 2015, algorithm 1). With the decay coupled to the gradient it is Adam, with
//! the decay apart from it AdamW (Loshchilov, Hutter 2019, algorithm 2); mod.rs does either for every rule.

use super::{Direction, Divisor, Hyper, Kernel, State, Step, Yields};
use crate::graph::{GraphError, NodeId};

const MEAN: State = State::vector("adam.m");
const SECOND: State = State::vector("adam.v");
pub(super) const STATES: &[State] = &[MEAN, SECOND];

// m' = beta m + (1 - beta) lambda theta, theta' = theta - eta c m' with c = 1 / (1 - product of betas):
// trace = 1 + beta - eta c (1 - beta) lambda, det = beta; 2 + 2 beta - eta c (1 - beta) lambda = 0.
pub(super) const KERNEL: Kernel = Kernel {
    states: STATES,
    direction,
    yields: Yields::Direction,
    bears: Some(|spec, bias| 2.0 * (1.0 + spec.beta1) / ((1.0 - spec.beta1) * bias.mean_correction())),
    divides: Some(Divisor { state: SECOND, corrected: true }),
};

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let m = step.average(MEAN, Hyper::NewMean, step.gradient)?;
    let v = step.average(SECOND, Hyper::NewSquare, square)?;
    Ok(Direction { direction: normalised(step, m, v)?, states: vec![(MEAN, m), (SECOND, v)] })
}

/// `mh / (sqrt(vh) + eps)` for the moments m and v with their bias corrected.
pub(super) fn normalised(step: &mut Step<'_>, m: NodeId, v: NodeId) -> Result<NodeId, GraphError> {
    let of_mean = step.hyper(Hyper::MeanCorrection)?;
    let of_square = step.hyper(Hyper::SquareCorrection)?;
    let mean = step.graph.mul(m, of_mean)?;
    let variance = step.graph.mul(v, of_square)?;
    step.over_root(mean, variance)
}
