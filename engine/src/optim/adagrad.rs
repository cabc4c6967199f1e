//! AdaGrad (Duchi, Hazan, Singer 2011): `S += g g`, `theta -= lr g / (sqrt(S) + eps)`, all by coordinate.

use super::{Direction, State, Step};
use crate::graph::GraphError;

pub(super) const SUM: State = State::vector("adagrad.sum");
pub(super) const STATES: &[State] = &[SUM];

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let sum = step.state(SUM)?;
    let sum = step.graph.add(sum, square)?;
    Ok(Direction { direction: step.over_root(step.gradient, sum)?, states: vec![(SUM, sum)] })
}
