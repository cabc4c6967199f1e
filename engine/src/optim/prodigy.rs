//! Prodigy (Mishchenko, Defazio 2024, arXiv 2306.06101, algorithm 4): Adam whose rate is the schedule's times d, an estimate of how
//! far the solution is from the start x0 that only grows. With Adam's moments of `d g`, not corrected:
//!
//! `r = sqrt(beta2) r + (1 - sqrt(beta2)) lr d^2 <g, x0 - theta>`, `s = sqrt(beta2) s + (1 - sqrt(beta2)) lr d^2 g`,
//! `theta -= lr d (m / (sqrt(v) + d eps) + decay theta)`, then `d = max(d, r / |s|_1)`; d begins at 1e-6.

use super::{Direction, Hyper, Kernel, State, Step, Yields};
use crate::graph::{BinaryOp, GraphError, UnaryOp};

const MEAN: State = State::vector("prodigy.m");
const SECOND: State = State::vector("prodigy.v");
/// x0 - theta.
const MOVED: State = State::vector("prodigy.moved");
const ALONG: State = State::scalar("prodigy.r");
const SUM: State = State::vector("prodigy.s");
/// d; 0 before the first update.
const DISTANCE: State = State::scalar("prodigy.d");

// Its steps have a length of their own.
pub(super) const KERNEL: Kernel = Kernel {
    yields: Yields::Change,
    own: |spec, _| [1.0 - libm::sqrt(spec.beta2), 0.0],
    ..Kernel::of(&[MEAN, SECOND, MOVED, ALONG, SUM, DISTANCE], change)
};

/// d of the first update.
const LEAST: f32 = 1e-6;

fn change(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let least = step.graph.constant(LEAST, &[1]);
    let d = step.state(DISTANCE)?;
    let d = step.graph.binary(BinaryOp::Max, d, least)?;
    let gradient = step.graph.mul(step.gradient, d)?;
    let square = step.graph.mul(gradient, gradient)?;
    let m = step.average(MEAN, Hyper::NewMean, gradient)?;
    let v = step.average(SECOND, Hyper::NewSquare, square)?;

    let lr = step.hyper(Hyper::LearningRate)?;
    let rate = step.graph.mul(lr, d)?;
    let weighted = step.graph.mul(gradient, rate)?;
    let moved = step.state(MOVED)?;
    let product = step.graph.mul(weighted, moved)?;
    let product = step.graph.sum(product, &[0])?;
    let share = step.hyper(Hyper::First)?;
    let [along, sum] = [(ALONG, product), (SUM, weighted)].map(|(state, new)| {
        let old = step.state(state)?;
        step.mix(share, old, new)
    });
    let (along, sum) = (along?, sum?);
    let size = step.graph.unary(UnaryOp::Abs, sum)?;
    let size = step.graph.sum(size, &[0])?;
    // Where there is no gradient, d stays.
    let tiny = step.graph.constant(1e-30, &[1]);
    let size = step.graph.binary(BinaryOp::Max, size, tiny)?;
    let found = step.graph.div(along, size)?;
    let distance = step.graph.binary(BinaryOp::Max, d, found)?;

    let root = step.graph.unary(UnaryOp::Sqrt, v)?;
    let eps = step.hyper(Hyper::Eps)?;
    let eps = step.graph.mul(eps, d)?;
    let root = step.graph.add(root, eps)?;
    let direction = step.graph.div(m, root)?;
    let direction = step.graph.add(direction, step.decay)?;
    let change = step.graph.mul(direction, rate)?;
    let moved = step.graph.add(moved, change)?;
    let states = vec![(MEAN, m), (SECOND, v), (MOVED, moved), (ALONG, along), (SUM, sum), (DISTANCE, distance)];
    Ok(Direction { direction: change, states })
}
