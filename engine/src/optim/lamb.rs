//! LAMB (You et al. 2020, arXiv 1904.00962, algorithm 2): Adam's direction with weight decay in it, scaled in each layer
//! to the norm of the layer's weights. With the bias-corrected moments mh and vh:
//!
//! `u = mh / (sqrt(vh) + eps) + decay w`, `w -= lr min(|w|, largest norm) / |u| u`.
//!
//! Where w or u is 0, and for biases and the like if they are exempt, the ratio is 1.

use super::{Direction, Hyper, Kernel, Step, Yields, adam, layers};
use crate::graph::{BinaryOp, GraphError, UnaryOp};

// It divides as Adam does, but not by one diagonal matrix that all of its step has passed.
pub(super) const KERNEL: Kernel = Kernel { yields: Yields::Decayed, ..Kernel::of(adam::STATES, direction) };

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let Direction { direction, states } = adam::direction(step)?;
    let direction = step.graph.add(direction, step.decay)?;
    let weights = layers::squares(step.graph, step.layout, step.theta)?;
    let updates = layers::squares(step.graph, step.layout, direction)?;
    let largest = step.hyper(Hyper::LargestNorm)?;
    let weight = step.graph.unary(UnaryOp::Sqrt, weights)?;
    let update = step.graph.unary(UnaryOp::Sqrt, updates)?;
    let weight = step.graph.binary(BinaryOp::Min, weight, largest)?;
    let ratio = step.graph.div(weight, update)?;
    let ratio = layers::adapted(step, ratio, [weights, updates])?;
    Ok(Direction { direction: step.graph.mul(direction, ratio)?, states })
}
