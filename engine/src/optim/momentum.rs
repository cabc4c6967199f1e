//! Heavy-ball momentum `m = mu m + g`, `theta -= lr m` (Polyak 1964), and its look-ahead form by Nesterov as used in
//! deep learning, `theta -= lr (g + mu m)` (Sutskever et al. 2013, section 2).

use super::{Direction, Hyper, State, Step};
use crate::graph::{GraphError, NodeId};

const VELOCITY: State = State::vector("momentum");
pub(super) const STATES: &[State] = &[VELOCITY];

/// `mu m + g` for the momentum mu and the last velocity m.
fn velocity(step: &mut Step<'_>) -> Result<NodeId, GraphError> {
    let mu = step.hyper(Hyper::Momentum)?;
    let velocity = step.state(VELOCITY)?;
    let kept = step.graph.mul(velocity, mu)?;
    step.graph.add(kept, step.gradient)
}

pub(super) fn heavy_ball(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let velocity = velocity(step)?;
    Ok(Direction { direction: velocity, states: vec![(VELOCITY, velocity)] })
}

pub(super) fn nesterov(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let mu = step.hyper(Hyper::Momentum)?;
    let velocity = velocity(step)?;
    let ahead = step.graph.mul(velocity, mu)?;
    let direction = step.graph.add(step.gradient, ahead)?;
    Ok(Direction { direction, states: vec![(VELOCITY, velocity)] })
}
