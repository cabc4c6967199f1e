//! AdaGrad (Duchi, Hazan, Singer 2011): `S += g g`, `theta -= lr g / (sqrt(S) + eps)`, all by coordinate.

use super::{Direction, Divisor, Kernel, State, Step};
use crate::graph::{GraphError, NodeId};

const SUM: State = State::vector("adagrad.sum");

pub(super) const KERNEL: Kernel = summed(&[SUM], direction);

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    over_sum(step, SUM, square)
}

/// The kernel of a rule that divides by the root of a sum, its one state: gradient descent for P^-1 H.
pub(super) const fn summed(
    states: &'static [State; 1],
    direction: fn(&mut Step<'_>) -> Result<Direction, GraphError>,
) -> Kernel {
    let divides = Some(Divisor::of(states[0], false));
    Kernel { bears: Some(|_, _| 2.0), divides, ..Kernel::of(states, direction) }
}

/// The gradient over the root of a sum that has grown by `square`.
pub(super) fn over_sum(step: &mut Step<'_>, sum: State, square: NodeId) -> Result<Direction, GraphError> {
    let before = step.state(sum)?;
    let after = step.graph.add(before, square)?;
    Ok(Direction { direction: step.over_root(step.gradient, after)?, states: vec![(sum, after)] })
}
