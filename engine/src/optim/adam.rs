//! Adam with bias correction (Kingma, Ba 2015, algorithm 1). With the decay coupled to the gradient it is Adam, with
//! the decay apart from it AdamW (Loshchilov, Hutter 2019, algorithm 2); mod.rs does either for every rule.

use super::{Direction, Hyper, State, Step};
use crate::graph::{GraphError, NodeId};

const MEAN: State = State::vector("adam.m");
pub(super) const SECOND: State = State::vector("adam.v");
pub(super) const STATES: &[State] = &[MEAN, SECOND];

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let m = step.average(MEAN, Hyper::Beta1, step.gradient)?;
    let v = step.average(SECOND, Hyper::Beta2, square)?;
    Ok(Direction { direction: normalised(step, m, v)?, states: vec![(MEAN, m), (SECOND, v)] })
}

/// `mh / (sqrt(vh) + eps)` for the moments m and v with their bias corrected.
pub(super) fn normalised(step: &mut Step<'_>, m: NodeId, v: NodeId) -> Result<NodeId, GraphError> {
    let correction1 = step.hyper(Hyper::Correction1)?;
    let correction2 = step.hyper(Hyper::Correction2)?;
    let mean = step.graph.mul(m, correction1)?;
    let variance = step.graph.mul(v, correction2)?;
    step.over_root(mean, variance)
}
