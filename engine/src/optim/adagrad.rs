//! AdaGrad (Duchi, Hazan, Singer 2011): `S += g g`, `theta -= lr g / (sqrt(S) + eps)`, all by coordinate.

use super::{Direction, Divisor, Kernel, State, Step, Yields};
use crate::graph::GraphError;

const SUM: State = State::vector("adagrad.sum");

// Gradient descent for P^-1 H.
pub(super) const KERNEL: Kernel = Kernel {
    states: &[SUM],
    direction: direction,
    yields: Yields::Direction,
    bears: Some(|_, _| 2.0),
    divides: Some(Divisor { state: SUM, corrected: false }),
};

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let sum = step.state(SUM)?;
    let sum = step.graph.add(sum, square)?;
    Ok(Direction { direction: step.over_root(step.gradient, sum)?, states: vec![(SUM, sum)] })
}
