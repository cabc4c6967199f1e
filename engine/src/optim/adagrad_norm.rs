//! AdaGrad-Norm, one step size for all coordinates (Ward, Wu, Bottou 2019, arXiv 1806.01811, algorithm 1):
//! `s += ||g||^2`, `theta -= lr g / (sqrt(s) + eps)`. The paper starts s above 0; here eps keeps the divisor above 0.

use super::adagrad::{over_sum, summed};
use super::{Direction, Kernel, State, Step, square_norm};
use crate::graph::GraphError;

const SUM: State = State::scalar("adagrad.norm");

pub(super) const KERNEL: Kernel = summed(&[SUM], direction);

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = square_norm(step.graph, step.gradient)?;
    over_sum(step, SUM, square)
}
