//! RMSProp (Tieleman, Hinton 2012, lecture 6.5): `v = beta2 v + (1 - beta2) g g`, `theta -= lr g / (sqrt(v) + eps)`.

use super::{Direction, Divisor, Hyper, Kernel, State, Step};
use crate::graph::GraphError;

const SECOND: State = State::vector("rmsprop.v");

// Gradient descent for P^-1 H.
pub(super) const KERNEL: Kernel =
    Kernel { bears: Some(|_, _| 2.0), divides: Some(Divisor::of(SECOND, false)), ..Kernel::of(&[SECOND], direction) };

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let v = step.average(SECOND, Hyper::NewSquare, square)?;
    Ok(Direction { direction: step.over_root(step.gradient, v)?, states: vec![(SECOND, v)] })
}
