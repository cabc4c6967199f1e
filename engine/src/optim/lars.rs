//! LARS (You, Gitman, Ginsburg 2017, arXiv 1708.03888, algorithm 1): momentum whose step is measured by each layer's own
//! norm. Of a layer with weights w and gradient g:
//!
//! `local = trust |w| / (|g| + decay |w|)`, `m = mu m + lr local (g + decay w)`, `w -= m`.
//!
//! As in the paper the learning rate is inside the momentum, so that updates at rate 0 leave a velocity of 0. Where w or
//! g is 0, and for biases and the like if they are exempt, local is 1.

use super::{Direction, Hyper, State, Step, layers};
use crate::graph::{GraphError, UnaryOp};

const VELOCITY: State = State::vector("lars.m");
pub(super) const STATES: &[State] = &[VELOCITY];

pub(super) fn change(step: &mut Step<'_>) -> Result<Direction, GraphError> {
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

    let lr = step.hyper(Hyper::LearningRate)?;
    let mu = step.hyper(Hyper::Momentum)?;
    let velocity = step.state(VELOCITY)?;
    let kept = step.graph.mul(velocity, mu)?;
    let descent = step.graph.add(step.gradient, step.decay)?;
    let descent = step.graph.mul(descent, local)?;
    let descent = step.graph.mul(descent, lr)?;
    let velocity = step.graph.add(kept, descent)?;
    Ok(Direction { direction: velocity, states: vec![(VELOCITY, velocity)] })
}
