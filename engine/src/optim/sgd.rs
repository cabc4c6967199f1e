//! Stochastic gradient descent: `theta -= lr g`.

use super::{Direction, Kernel, Step};
use crate::graph::GraphError;

// theta' = (1 - eta lambda) theta: the root is -1 at eta lambda = 2.
pub(super) const KERNEL: Kernel = Kernel { bears: Some(|_, _| 2.0), ..Kernel::of(&[], direction) };

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    Ok(Direction { direction: step.gradient, states: vec![] })
}
