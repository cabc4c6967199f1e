//! Lion (Chen et al. 2023, arXiv 2302.06675, algorithm 2): the sign of the gradient mixed with its memory, which forgets
//! more slowly than the mixture: `theta -= lr (sign(beta1 m + (1 - beta1) g) + decay theta)`, then
//! `m = beta2 m + (1 - beta2) g`.

use super::{Direction, Hyper, Kernel, State, Step};
use crate::graph::{GraphError, UnaryOp};

const MEAN: State = State::vector("lion.m");

pub(super) const KERNEL: Kernel = Kernel::of(&[MEAN], direction);

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let mixed = step.average(MEAN, Hyper::NewMean, step.gradient)?;
    let direction = step.graph.unary(UnaryOp::Sign, mixed)?;
    let m = step.average(MEAN, Hyper::NewSquare, step.gradient)?;
    Ok(Direction { direction, states: vec![(MEAN, m)] })
}
