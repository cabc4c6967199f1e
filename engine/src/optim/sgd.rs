//! Stochastic gradient descent: `theta -= lr g`.

use super::{Direction, Step};
use crate::graph::GraphError;

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    Ok(Direction { direction: step.gradient, states: vec![] })
}
