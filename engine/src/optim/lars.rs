//! LARS (You, Gitman, Ginsburg 2017, arXiv 1708.03888, algorithm 1): momentum whose step is measured by each layer's own
//! norm. Of a layer with weights w and gradient g:
//!
//! `local = trust |w| / (|g| + decay |w|)`, `m = mu m + lr local (g + decay w)`, `w -= m`.
//!
//! As in the paper the learning rate is inside the momentum. Updates that only warm the velocity add to it at the rate that
//! the schedule has for them, and leave w. Where w or g is 0, and for biases and the like if they are exempt, local is 1.

use super::{Direction, Hyper, Kernel, State, Step, Yields, layers};
use crate::graph::{BinaryOp, GraphError, UnaryOp};

const VELOCITY: State = State::vector("lars.m");

pub(super) const KERNEL: Kernel = Kernel { yields: Yields::Change, ..Kernel::of(&[VELOCITY], change) };

fn change(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let weights = layers::squares(step.graph, step.layout, step.theta)?;
    let gradients = layers::squares(step.graph, step.layout, step.gradient)?;
    let trust = step.hyper(Hyper::Trust)?;
    let decay = step.hyper(Hyper::WeightDecay)?;
    let weight = step.graph.unary(UnaryOp::Sqrt, weights)?;
    let gradient = step.graph.unary(UnaryOp::Sqrt, gradients)?;
    let decayed = step.graph.mul(weight, decay)?;
    let both = step.graph.add(gradient, decayed)?;
    let local = step.graph.div(weight, both)?;
    let local = step.graph.mul(local, trust)?;
    let local = layers::adapted(step, local, [weights, gradients])?;

    let pace = step.hyper(Hyper::Pace)?;
    let mu = step.hyper(Hyper::Momentum)?;
    let velocity = step.state(VELOCITY)?;
    let kept = step.graph.mul(velocity, mu)?;
    let descent = step.graph.add(step.gradient, step.decay)?;
    let descent = step.graph.mul(descent, local)?;
    let descent = step.graph.mul(descent, pace)?;
    let velocity = step.graph.add(kept, descent)?;
    // While it is being warmed, the learning rate is below the pace.
    let lr = step.hyper(Hyper::LearningRate)?;
    let moves = step.graph.binary(BinaryOp::LessEqual, pace, lr)?;
    let change = step.graph.mul(velocity, moves)?;
    Ok(Direction { direction: change, states: vec![(VELOCITY, velocity)] })
}
