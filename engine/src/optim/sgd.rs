//! Stochastic gradient descent: `theta -= lr g`.

use super::{Direction, State, Step};
use crate::graph::GraphError;

pub(super) const STATES: &[State] = &[];

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    Ok(Direction { direction: step.gradient, states: vec![] })
}
