//! Adam with bias correction (Kingma, Ba 2015, algorithm 1); the decoupled decay that makes it AdamW is the same for
//! every rule and lies in mod.rs.

use super::{Direction, Hyper, Step};
use crate::graph::{GraphError, UnaryOp};

pub(super) const STATES: &[&str] = &["adam.m", "adam.v"];

pub(super) fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let one = step.graph.constant(1.0, &[1]);
    let moment = |step: &mut Step<'_>, name: &str, beta: Hyper, value| {
        let beta = step.hyper(beta)?;
        let rest = step.graph.sub(one, beta)?;
        let old = step.state(name)?;
        step.combine(beta, old, rest, value)
    };
    let square = step.graph.mul(step.gradient, step.gradient)?;
    let m = moment(step, STATES[0], Hyper::Beta1, step.gradient)?;
    let v = moment(step, STATES[1], Hyper::Beta2, square)?;
    let correction1 = step.hyper(Hyper::Correction1)?;
    let correction2 = step.hyper(Hyper::Correction2)?;
    let eps = step.hyper(Hyper::Eps)?;
    let mean = step.graph.mul(m, correction1)?;
    let variance = step.graph.mul(v, correction2)?;
    let root = step.graph.unary(UnaryOp::Sqrt, variance)?;
    let root = step.graph.add(root, eps)?;
    let direction = step.graph.div(mean, root)?;
    Ok(Direction { direction, states: vec![(STATES[0], m), (STATES[1], v)] })
}
