//! Rectified Adam (Liu et al. 2020, arXiv 1908.03265, algorithm 2): Adam's step times a factor that grows with what is known
//! of the squared gradient; before that is enough, the mean gradient alone. Of Adam's moments after t updates:
//!
//! `rho = rho_inf - 2 t beta2^t / (1 - beta2^t)` with `rho_inf = 2 / (1 - beta2) - 1`; where `rho > 5` (torch's and optax's
//! bound; the paper's is 4) `theta -= lr r mh / (sqrt(vh) + eps)`, else `theta -= lr mh`.

use super::{Bias, Direction, Hyper, Kernel, Step, adam};
use crate::graph::GraphError;
use crate::spec::OptimizerSpec;

/// Degrees of freedom of the squared gradient from which on it is divided by.
const ENOUGH: f64 = 5.0;

pub(super) const KERNEL: Kernel = Kernel {
    // Adam's, at r times its rate.
    bears: Some(|spec, bias| {
        2.0 * (1.0 + spec.beta1) / ((1.0 - spec.beta1) * bias.mean_correction() * rectification(spec, bias))
    }),
    divides: adam::DIVIDES,
    own: |spec, bias| [rectification(spec, bias), 0.0],
    ..Kernel::of(adam::STATES, direction)
};

/// r; 0 where too little is known.
fn rectification(spec: &OptimizerSpec, bias: &Bias) -> f64 {
    let most = 2.0 / (1.0 - spec.beta2) - 1.0;
    let start = bias.square();
    let known = most - 2.0 * bias.updates() * start / (1.0 - start);
    if known > ENOUGH {
        libm::sqrt((known - 4.0) * (known - 2.0) * most / ((most - 4.0) * (most - 2.0) * known))
    } else {
        0.0
    }
}

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let (m, v) = adam::moments(step)?;
    let of_mean = step.hyper(Hyper::MeanCorrection)?;
    let mean = step.graph.mul(m, of_mean)?;
    let r = step.hyper(Hyper::First)?;
    let divided = adam::divided(step, mean, v)?;
    let rectified = step.graph.mul(divided, r)?;
    let direction = step.graph.select(r, rectified, mean)?;
    Ok(Direction { direction, states: vec![(adam::MEAN, m), (adam::SECOND, v)] })
}
