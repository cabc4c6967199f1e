//! AdaGrad-Norm, one step size for all coordinates (Ward, Wu, Bottou 2019, arXiv 1806.01811, algorithm 1):
//! `s += ||g||^2`, `theta -= lr g / (sqrt(s) + eps)`. The paper starts s above 0; here eps keeps the divisor above 0.

use super::{Direction, Divisor, Kernel, State, Step, Yields, square_norm};
use crate::graph::GraphError;

const SUM: State = State::scalar("adagrad.norm");

// Gradient descent for P^-1 H.
pub(super) const KERNEL: Kernel = Kernel {
    states: &[SUM],
    direction: direction,
    yields: Yields::Direction,
    bears: Some(|_, _| 2.0),
    divides: Some(Divisor { state: SUM, corrected: false }),
};

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = square_norm(step.graph, step.gradient)?;
    let sum = step.state(SUM)?;
    let sum = step.graph.add(sum, square)?;
    Ok(Direction { direction: step.over_root(step.gradient, sum)?, states: vec![(SUM, sum)] })
}
