//! Heavy-ball momentum `m = mu m + g`, `theta -= lr m` (Polyak 1964), and its look-ahead form by Nesterov as used in
//! deep learning, `theta -= lr (g + mu m)` (Sutskever et al. 2013, section 2).

use super::{Direction, Hyper, Step};
use crate::graph::GraphError;

pub(super) const STATES: &[&str] = &["momentum"];

pub(super) fn direction(step: &mut Step<'_>, nesterov: bool) -> Result<Direction, GraphError> {
    let mu = step.hyper(Hyper::Momentum)?;
    let velocity = step.state(STATES[0])?;
    let kept = step.graph.mul(velocity, mu)?;
    let velocity = step.graph.add(kept, step.gradient)?;
    let mut direction = velocity;
    if nesterov {
        let ahead = step.graph.mul(velocity, mu)?;
        direction = step.graph.add(step.gradient, ahead)?;
    }
    Ok(Direction { direction, states: vec![(STATES[0], velocity)] })
}
