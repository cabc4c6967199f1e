//! ADOPT (Taniguchi et al. 2024, arXiv 2411.02853, algorithm 2, with the clipping of its section 4): the gradient is divided by
//! the second moment before it, and only then averaged, so that any beta2 converges. From t = 1 on
//!
//! `m = beta1 m + (1 - beta1) clip(g / max(sqrt(v), eps), t^(1/4))`, `theta -= lr (m + decay theta)`,
//! `v = beta2 v + (1 - beta2) g g`;
//!
//! the first update, t = 0, only takes `v = g g` (and decays, which the authors' does not).

use super::{Direction, Divisor, Hyper, Kernel, State, Step};
use crate::graph::{BinaryOp, GraphError, UnaryOp};

const MEAN: State = State::vector("adopt.m");
const SECOND: State = State::vector("adopt.v");

// Adam's recursion, its mean not corrected.
pub(super) const KERNEL: Kernel = Kernel {
    bears: Some(|spec, _| 2.0 * (1.0 + spec.beta1) / (1.0 - spec.beta1)),
    divides: Some(Divisor { floor: true, ..Divisor::of(SECOND, false) }),
    own: |_, bias| [libm::sqrt(libm::sqrt(bias.updates() - 1.0)), 0.0],
    ..Kernel::of(&[MEAN, SECOND], direction)
};

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let before = step.state(SECOND)?;
    let root = step.graph.unary(UnaryOp::Sqrt, before)?;
    let eps = step.hyper(Hyper::Eps)?;
    let root = step.graph.binary(BinaryOp::Max, root, eps)?;
    let whole = step.graph.div(step.gradient, root)?;
    let bound = step.hyper(Hyper::First)?;
    let clipped = step.clamp(whole, bound)?;
    let m = step.average(MEAN, Hyper::NewMean, clipped)?;
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let v = step.average(SECOND, Hyper::NewSquare, square)?;
    let v = step.graph.select(bound, v, square)?;
    Ok(Direction { direction: m, states: vec![(MEAN, m), (SECOND, v)] })
}
