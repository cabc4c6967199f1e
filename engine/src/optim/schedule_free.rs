//! Schedule-Free SGD and AdamW (Defazio et al. 2024, arXiv 2405.15682, algorithm 1): steps from z, gradients at y between z
//! and their running mean x, and x is the result. With the momentum beta and weights `w = lr^2`:
//!
//! `y = (1 - beta) z + beta x`, `z -= lr (u + decay y)`, `x += w / (sum of all w) (z - x)`,
//!
//! where u is the gradient at y, for AdamW over `sqrt(vh) + eps` with its bias corrected as in the authors' code. They weigh by
//! the largest rate so far; here, as in the paper, it is the rate of the update.
//!
//! Theta is x: what is tested, saved and probed is the mean. Losses of training and running statistics of batch norm are those at
//! y. In place of z its distance from x is kept, which starts at 0.

use super::{Direction, Divisor, Hyper, Kernel, State, Step, Yields, adam};
use crate::graph::{BinaryOp, GraphError, NodeId};

/// z - x, over the parameter's own rate.
const AHEAD: State = State::vector("schedule_free.ahead");
/// Sum of the weights.
const WEIGHTS: State = State::scalar("schedule_free.weights");
const SECOND: State = State::vector("schedule_free.v");

// While x stands still, z - x shrinks by 1 - eta lambda (1 - beta): the root is -1 at 2 / (1 - beta).
pub(super) const SGD: Kernel = Kernel {
    yields: Yields::Change,
    bears: Some(|spec, _| 2.0 / (1.0 - spec.momentum)),
    point: Some(point),
    ..Kernel::of(&[AHEAD, WEIGHTS], sgd)
};

pub(super) const ADAMW: Kernel =
    Kernel { states: &[AHEAD, WEIGHTS, SECOND], direction: adamw, divides: Some(Divisor::of(SECOND, true)), ..SGD };

fn point(step: &mut Step<'_>) -> Result<NodeId, GraphError> {
    let mut ahead = step.state(AHEAD)?;
    if let Some(rates) = step.layout.rates() {
        let rates = step.graph.literal(&rates, &[step.layout.len()])?;
        ahead = step.graph.mul(ahead, rates)?;
    }
    let share = step.hyper(Hyper::NewVelocity)?;
    let ahead = step.graph.mul(ahead, share)?;
    step.graph.add(step.theta, ahead)
}

fn sgd(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    averaged(step, step.gradient)
}

fn adamw(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let v = step.average(SECOND, Hyper::NewSquare, square)?;
    let descent = adam::divided(step, step.gradient, v)?;
    let mut found = averaged(step, descent)?;
    found.states.push((SECOND, v));
    Ok(found)
}

/// What x loses when z goes down `descent` and the decay.
fn averaged(step: &mut Step<'_>, descent: NodeId) -> Result<Direction, GraphError> {
    let lr = step.hyper(Hyper::LearningRate)?;
    let descent = step.graph.add(descent, step.decay)?;
    let descent = step.graph.mul(descent, lr)?;
    let ahead = step.state(AHEAD)?;
    let ahead = step.graph.sub(ahead, descent)?;
    let weight = step.graph.mul(lr, lr)?;
    let weights = step.state(WEIGHTS)?;
    let weights = step.graph.add(weights, weight)?;
    // Before the first rate above 0 nothing has moved.
    let least = step.graph.constant(1e-30, &[1]);
    let divisor = step.graph.binary(BinaryOp::Max, weights, least)?;
    let share = step.graph.div(weight, divisor)?;
    let followed = step.graph.mul(ahead, share)?;
    let ahead = step.graph.sub(ahead, followed)?;
    Ok(Direction { direction: step.graph.neg(followed)?, states: vec![(AHEAD, ahead), (WEIGHTS, weights)] })
}
