//! Where full-batch training with a rule stops being stable: the sharpest curvature that it bears.
//!
//! On a quadratic of curvature lambda the gradient is `lambda theta`, and along each eigenvector a rule is a linear
//! recursion. Its characteristic polynomial `z^2 - trace z + det` has both roots inside the unit circle as long as
//! `det < 1` and `1 - trace + det > 0` and `1 + trace + det > 0`. For lambda > 0 and momentum in [0, 1) the last one
//! fails first: a root passes z = -1, and training oscillates with growing swings. Each rule's threshold, in
//! its file, solves `1 + trace + det = 0` for lambda (momentum forms: Cohen et al. 2021, arXiv 2103.00065, appendix B).
//!
//! A rule that divides by a root P of squared gradients is the same recursion in `P^(1/2) theta`, with the eigenvalues
//! of `P^(-1/2) H P^(-1/2)` in place of H's while P stands still (Cohen et al. 2022, arXiv 2207.14484, section 2).
//!
//! Of the mean that a schedule-free rule keeps, the threshold is that of long runs, when it hardly moves any more; early on it
//! bears less.
//!
//! Rules whose steps have a length that does not shrink with the gradient (LARS, LAMB, Lion, Muon, Adafactor,
//! Sophia), or that set their own (Prodigy), and gradients taken away from theta (SAM), are no linear recursion near a minimum: there is no such
//! curvature. SOAP is Adam in axes of its own, in which nobody has the Hessian.
//!
//! Weight decay and clipping are left out: the former shifts a threshold by about the decay, the latter bounds steps
//! and so turns divergence into oscillation.

use super::{Bias, kernel};
use crate::spec::OptimizerSpec;

/// The largest stable eigenvalue at learning rate `eta`, of the Hessian or, where the rule has a [`preconditioner`], of the
/// preconditioned Hessian; `bias` as it is after the update in question. `None` where a rule has no such theory.
#[must_use]
pub fn threshold(spec: &OptimizerSpec, eta: f64, bias: &Bias) -> Option<f64> {
    let bears = kernel(spec.kind).bears.filter(|_| spec.rho == 0.0)?;
    Some(bears(spec, bias) / eta)
}

/// How a rule's second moment becomes the diagonal matrix P that it divides by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preconditioner {
    /// The state that holds the second moment: as long as theta, or one number for all parameters.
    pub state: &'static str,
    /// Bias correction: multiplies the second moment.
    pub scale: f64,
    /// Added to the root, or the least that it counts as.
    pub eps: f64,
    /// Which of these.
    pub floor: bool,
}

impl Preconditioner {
    /// The diagonal of P, as long as `second`, from the contents of the state.
    #[must_use]
    pub fn diagonal(&self, second: &[f32]) -> Vec<f32> {
        let root = |&v: &f32| libm::sqrt(self.scale * f64::from(v));
        let divisor = |root: f64| if self.floor { root.max(self.eps) } else { root + self.eps };
        second.iter().map(|v| divisor(root(v)) as f32).collect()
    }

    /// The diagonal of P^(-1/2) over so many parameters: one number for all of them stands for as many equal ones.
    #[must_use]
    pub fn inverse_roots(&self, second: &[f32], parameters: usize) -> Vec<f32> {
        let diagonal = self.diagonal(second).into_iter().cycle().take(parameters);
        diagonal.map(|p| 1.0 / p.max(f32::MIN_POSITIVE).sqrt()).collect()
    }
}

/// What the rule divides by, `bias` as it is after the last update; `None` if it does not divide.
#[must_use]
pub fn preconditioner(spec: &OptimizerSpec, bias: &Bias) -> Option<Preconditioner> {
    let divisor = kernel(spec.kind).divides?;
    let scale = if divisor.corrected { bias.square_correction() } else { 1.0 };
    Some(Preconditioner { state: divisor.state.name, scale, eps: spec.eps, floor: divisor.floor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::reference::run;
    use crate::optim::tests::on_parabola;
    use crate::optim::{HYPER, hyper};
    use crate::spec::Rule;

    /// Gradient descent on `lambda theta^2 / 2` from close to the minimum, with the second moment, if any, held at
    /// 1/4: whether it comes closer (true) or goes away.
    fn converges(spec: &OptimizerSpec, eta: f64, lambda: f64) -> bool {
        const START: f64 = 1e-6;
        let (program, mut inputs) = on_parabola(spec, lambda, START);
        let held = preconditioner(spec, &Bias::after(spec, 1)).map(|preconditioner| preconditioner.state);
        // Of a long run: a mean that hardly moves.
        if let Some(weights) = inputs.get_mut("schedule_free.weights") {
            *weights = vec![LATE as f64 * eta * eta];
        }
        let mut place = START;
        for step in 0..2000 {
            if let Some(held) = held {
                inputs.insert(held.into(), vec![0.25]);
            }
            inputs.insert(HYPER.into(), hyper(spec, eta as f32, LATE + step).map(f64::from).to_vec());
            inputs.append(&mut run(&program, &mut inputs.clone()));
            // A mean that hardly moves is still where it was: what converges is the point of the gradient.
            let ahead = inputs.get("schedule_free.ahead").map_or(0.0, |ahead| ahead[0]);
            place = inputs["theta"][0] + (1.0 - spec.momentum) * ahead;
            if place.abs() > 1000.0 * START {
                return false;
            }
        }
        assert!(place.abs() < 0.001 * START, "{:?} neither converges nor diverges", spec.kind);
        true
    }

    /// A step by which bias corrections have become 1.
    const LATE: u64 = 100_000;

    fn spec(kind: Rule) -> OptimizerSpec {
        let plain = OptimizerSpec { kind, weight_decay: 0.0, eps: 0.125, ..OptimizerSpec::default() };
        OptimizerSpec { momentum: 0.8, beta1: 0.7, beta3: 0.9, alpha: 2.0, ..plain }
    }

    #[test]
    fn training_is_stable_up_to_the_threshold_and_not_beyond() {
        for &kind in Rule::ALL {
            let spec = spec(kind);
            let Some(largest) = threshold(&spec, 0.1, &Bias::after(&spec, LATE)) else {
                let unknown = [
                    Rule::Lars,
                    Rule::Lamb,
                    Rule::Lion,
                    Rule::Muon,
                    Rule::Adafactor,
                    Rule::Prodigy,
                    Rule::SophiaH,
                    Rule::Soap,
                ];
                assert!(unknown.contains(&kind), "{kind:?}");
                continue;
            };
            // P = sqrt(1/4) + 1/8, or without the eighth.
            let p = preconditioner(&spec, &Bias::after(&spec, LATE))
                .map_or(1.0, |found| f64::from(found.diagonal(&[0.25])[0]));
            assert!([1.0, 0.625, 0.5].contains(&p));
            assert!(converges(&spec, 0.1, 0.98 * largest * p), "{kind:?} is stable below its threshold");
            assert!(!converges(&spec, 0.1, 1.02 * largest * p), "{kind:?} is unstable above its threshold");
        }
    }

    #[test]
    fn thresholds_are_those_of_the_papers() {
        let close = |kind, expected: f64| {
            let found = threshold(&spec(kind), 0.1, &Bias::after(&spec(kind), LATE)).unwrap();
            assert!((found - expected).abs() < 1e-9 * expected, "{kind:?}: {found}");
        };
        close(Rule::Sgd, 20.0);
        close(Rule::Momentum, 36.0);
        close(Rule::Nesterov, 36.0 / 2.6);
        // 38 / eta at beta1 = 0.9 is the paper's well-known number.
        close(Rule::Adam, 2.0 * 1.7 / 0.3 / 0.1);
        close(Rule::ScheduleFreeSgd, 2.0 / 0.2 / 0.1);
        let adam = OptimizerSpec { kind: Rule::Adam, ..OptimizerSpec::default() };
        assert!((threshold(&adam, 1.0, &Bias::after(&adam, LATE)).unwrap() - 38.0).abs() < 1e-9);
        // The first update has no momentum to speak of: its mean gradient is the gradient.
        assert!((threshold(&adam, 1.0, &Bias::after(&adam, 1)).unwrap() - 2.0 * 1.9).abs() < 1e-9);
    }

    #[test]
    fn preconditioners_are_the_divisors_of_the_rules() {
        let adam = OptimizerSpec { kind: Rule::AdamW, eps: 0.5, beta2: 0.75, ..OptimizerSpec::default() };
        let found = preconditioner(&adam, &Bias::after(&adam, 1)).unwrap();
        assert_eq!((found.state, found.diagonal(&[0.25, 1.0])), ("adam.v", vec![1.5, 2.5]));
        assert_eq!(preconditioner(&spec(Rule::Nesterov), &Bias::START), None);
    }
}
