//! AdEMAMix (Pagliardini, Ablin, Grangier 2024, arXiv 2409.03137, algorithm 1): AdamW with a second mean gradient s, of a much
//! longer memory beta3, added alpha times: `theta -= lr ((mh + alpha s) / (sqrt(vh) + eps) + decay theta)`.
//!
//! Over its ramp of T updates alpha grows from 0, and beta3 from beta1, so that what the memory reaches back to grows evenly:
//! `alpha t / T`, `beta3(t) = exp(ln beta1 ln beta3 / ((1 - t/T) ln beta3 + t/T ln beta1))`.

use super::{Bias, Direction, Hyper, Kernel, State, Step, adam};
use crate::graph::GraphError;
use crate::spec::OptimizerSpec;

const SLOW: State = State::vector("ademamix.slow");

// A mean of memory beta has a share of (1 - beta) / (1 + beta) in a step that alternates: the root of largest size is -1 where
// eta lambda times the sum of these shares is 2.
pub(super) const KERNEL: Kernel = Kernel {
    bears: Some(|spec, bias| {
        let [new, alpha] = own(spec, bias);
        let fast = (1.0 - spec.beta1) / (1.0 + spec.beta1) * bias.mean_correction();
        2.0 / (fast + alpha * new / (2.0 - new))
    }),
    divides: adam::DIVIDES,
    own,
    ..Kernel::of(&[adam::MEAN, adam::SECOND, SLOW], direction)
};

/// The new gradient's share in the slow mean, and alpha.
fn own(spec: &OptimizerSpec, bias: &Bias) -> [f64; 2] {
    let done = if spec.ramp > 0 { (bias.updates() / spec.ramp as f64).min(1.0) } else { 1.0 };
    let [from, to] = [spec.beta1, spec.beta3].map(libm::log);
    // Of a beta of 0 there is no logarithm; it has no memory to grow.
    let reached = from * to / ((1.0 - done) * to + done * from);
    let new = if reached.is_finite() && spec.beta1 < spec.beta3 { -libm::expm1(reached) } else { 1.0 - spec.beta3 };
    [new.max(1.0 - spec.beta3), done * spec.alpha]
}

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let (m, v) = adam::moments(step)?;
    let slow = step.average(SLOW, Hyper::First, step.gradient)?;
    let of_mean = step.hyper(Hyper::MeanCorrection)?;
    let alpha = step.hyper(Hyper::Second)?;
    let fast = step.graph.mul(m, of_mean)?;
    let added = step.graph.mul(slow, alpha)?;
    let both = step.graph.add(fast, added)?;
    let states = vec![(adam::MEAN, m), (adam::SECOND, v), (SLOW, slow)];
    Ok(Direction { direction: adam::divided(step, both, v)?, states })
}
