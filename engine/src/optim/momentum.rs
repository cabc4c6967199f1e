//! Heavy-ball momentum `m = mu m + g`, `theta -= lr m` (Polyak 1964), and its look-ahead form by Nesterov as used in
//! deep learning, `theta -= lr (g + mu m)` (Sutskever et al. 2013, section 2).

use super::{Direction, Hyper, Kernel, State, Step};
use crate::graph::{GraphError, NodeId};

const VELOCITY: State = State::vector("momentum");

// m' = mu m + lambda theta, theta' = theta - eta m':
// trace = 1 + mu - eta lambda, det = mu; 2 + 2 mu - eta lambda = 0.
pub(super) const HEAVY_BALL: Kernel =
    Kernel { bears: Some(|spec, _| 2.0 * (1.0 + spec.momentum)), ..Kernel::of(&[VELOCITY], heavy_ball) };

// m' = mu m + lambda theta, theta' = theta - eta (lambda theta + mu m'):
// trace = 1 + mu - eta lambda (1 + mu), det = mu - eta lambda mu; 2 + 2 mu - eta lambda (1 + 2 mu) = 0.
pub(super) const NESTEROV: Kernel = Kernel {
    bears: Some(|spec, _| 2.0 * (1.0 + spec.momentum) / (1.0 + 2.0 * spec.momentum)),
    ..Kernel::of(&[VELOCITY], nesterov)
};

/// `mu m + g` for the momentum mu and the last velocity m.
fn velocity(step: &mut Step<'_>) -> Result<NodeId, GraphError> {
    let mu = step.hyper(Hyper::Momentum)?;
    let velocity = step.state(VELOCITY)?;
    let kept = step.graph.mul(velocity, mu)?;
    step.graph.add(kept, step.gradient)
}

fn heavy_ball(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let velocity = velocity(step)?;
    Ok(Direction { direction: velocity, states: vec![(VELOCITY, velocity)] })
}

fn nesterov(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let mu = step.hyper(Hyper::Momentum)?;
    let velocity = velocity(step)?;
    let ahead = step.graph.mul(velocity, mu)?;
    let direction = step.graph.add(step.gradient, ahead)?;
    Ok(Direction { direction, states: vec![(VELOCITY, velocity)] })
}
