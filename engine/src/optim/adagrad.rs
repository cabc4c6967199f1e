//! AdaGrad (Duchi, Hazan, Singer 2011): `S += g g`, `theta -= lr g / (sqrt(S) + eps)`, all by coordinate.

use super::{Direction, Hyper, State, Step};
use crate::graph::{GraphError, UnaryOp};

pub(super) const SUM: State = State::vector("adagrad.sum");
pub(super) const STATES: &[State] = &[SUM];

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let sum = step.state(SUM)?;
    let sum = step.graph.add(sum, square)?;
    let root = step.graph.unary(UnaryOp::Sqrt, sum)?;
    let eps = step.hyper(Hyper::Eps)?;
    let root = step.graph.add(root, eps)?;
    let direction = step.graph.div(step.gradient, root)?;
    step.decayed(direction, vec![(SUM, sum)])
}
