//! NAdamW: Adam that looks ahead as Nesterov's momentum does (Dozat 2016), in the form of optax: with the moments of Adam,
//! `n = beta1 m / (1 - beta1^(t+1)) + (1 - beta1) g / (1 - beta1^t)`, `theta -= lr (n / (sqrt(vh) + eps) + decay theta)`.

use super::{Direction, Hyper, Kernel, Step, adam};
use crate::graph::GraphError;

// With the factors a of m and b of g: m' = beta m + (1 - beta) lambda theta, theta' = theta - eta (a m' + b lambda theta);
// 2 + 2 beta - eta lambda (a (1 - beta) + b (1 + beta)) = 0.
pub(super) const KERNEL: Kernel = Kernel {
    bears: Some(|spec, bias| {
        let [of_mean, of_gradient] = (KERNEL.own)(spec, bias);
        2.0 * (1.0 + spec.beta1) / (of_mean * (1.0 - spec.beta1) + of_gradient * (1.0 + spec.beta1))
    }),
    divides: adam::DIVIDES,
    own: |spec, bias| {
        let next = bias.advanced(spec, 1);
        [spec.beta1 * next.mean_correction(), (1.0 - spec.beta1) * bias.mean_correction()]
    },
    ..Kernel::of(adam::STATES, direction)
};

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let (m, v) = adam::moments(step)?;
    let of_mean = step.hyper(Hyper::First)?;
    let of_gradient = step.hyper(Hyper::Second)?;
    let mean = step.graph.mul(m, of_mean)?;
    let gradient = step.graph.mul(step.gradient, of_gradient)?;
    let ahead = step.graph.add(mean, gradient)?;
    Ok(Direction { direction: adam::divided(step, ahead, v)?, states: vec![(adam::MEAN, m), (adam::SECOND, v)] })
}
