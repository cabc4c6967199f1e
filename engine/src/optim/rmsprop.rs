//! RMSProp (Tieleman, Hinton 2012, lecture 6.5): `v = beta2 v + (1 - beta2) g g`, `theta -= lr g / (sqrt(v) + eps)`.

use super::{Direction, Hyper, State, Step};
use crate::graph::GraphError;

pub(super) const SECOND: State = State::vector("rmsprop.v");
pub(super) const STATES: &[State] = &[SECOND];

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let v = step.average(SECOND, Hyper::Beta2, square)?;
    Ok(Direction { direction: step.over_root(step.gradient, v)?, states: vec![(SECOND, v)] })
}
