//! What tests of several studies need: knobs turned, and the learning rates of arms and branches.

use engine::figure::Verdict;
use engine::spec::{EffectiveSchedule, RunSpec};

use super::{Arm, Branch, Knobs, Results, Study};

/// A study's knobs, these turned.
pub fn turned(study: &Study, pairs: &[(&str, &str)]) -> Knobs {
    let turned: Vec<_> = pairs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
    let (knobs, issues) = Knobs::new(study.knobs, &turned);
    assert!(issues.is_empty(), "{issues:?}");
    knobs
}

/// A study's results before anything is measured, these knobs turned.
pub fn unmeasured(study: &Study, pairs: &[(&str, &str)], seeds: &[u64]) -> Results {
    let knobs = turned(study, pairs);
    let arms = study.arms(&knobs);
    Results::new(knobs, arms, seeds.to_vec())
}

/// Places of the checks that do not hold, or were not tested; the headline is 0.
pub fn failing(verdict: &Verdict) -> Vec<usize> {
    verdict.checks().enumerate().filter(|(_, check)| check.holds != Some(true)).map(|(place, _)| place).collect()
}

/// The learning rate of every update.
pub fn rates(spec: &RunSpec) -> Vec<f64> {
    let schedule = EffectiveSchedule::new(spec, spec.batch.size);
    (0..spec.steps).map(|step| schedule.lr(step)).collect()
}

/// The rates of a branch, over the updates of the run that it leaves.
pub fn branch_rates(arm: &Arm, branch: &Branch) -> Vec<f64> {
    rates(&RunSpec { schedule: branch.schedule.clone(), steps: branch.steps, edits: vec![], ..arm.spec.clone() })
}

/// Holds two numbers to be the same but for a millionth.
pub fn close(a: f64, b: f64) {
    assert!((a / b - 1.0).abs() < 1e-6, "{a} is not {b}");
}
