//! A run that was trained on its own, perhaps on another machine, as a sweep counts it.

use super::Outcome;
use super::meter::Meter;
use crate::spec::RunSpec;
use crate::train::StepMetrics;
use crate::tree::{self, FromTree};

/// What a run's file (`run.json`) says that a sweep asks about.
#[derive(FromTree)]
struct RunFile {
    spec: RunSpec,
    steps: Steps,
    evaluations: Vec<Evaluation>,
}

#[derive(FromTree)]
struct Steps {
    loss: Vec<Option<f32>>,
    grad_norm: Vec<Option<f32>>,
    batch: Vec<usize>,
}

#[derive(FromTree)]
struct Evaluation {
    step: u64,
    loss: Option<f64>,
    accuracy: Option<f64>,
}

/// The recipe in a run's file, and what the run came to, as [`trial`](super::trial::trial) would have told it. It must have been
/// evaluated before its first update and, unless its numbers stopped being finite, after its last.
///
/// # Errors
/// It is no such file, or the run has not ended, as a sentence.
pub fn finished(json: &[u8], target: f64, seconds: f64) -> Result<(RunSpec, Outcome), String> {
    let RunFile { spec, steps, evaluations } =
        tree::parse(json).map_err(|error| format!("is no file of a run: {error}"))?;
    let at = |step: u64| evaluations.iter().find(|evaluation| evaluation.step == step);
    let start = at(0).and_then(|evaluation| evaluation.loss).ok_or("was not evaluated before its first update")?;
    let mut meter = Meter::new(start, target, spec.steps);
    let numbers = steps.loss.iter().zip(&steps.grad_norm).zip(&steps.batch);
    let mut finite = true;
    for (step, ((loss, norm), &batch)) in (0..).zip(numbers) {
        let [loss, grad_norm] = [loss, norm].map(|number| number.unwrap_or(f32::NAN));
        let metrics = StepMetrics { step, loss, accuracy: f32::NAN, grad_norm, lr: f32::NAN, momentum: 0.0, batch };
        finite = finite && meter.take(&metrics);
    }
    let end = at(spec.steps);
    if finite && (meter.updates < spec.steps || end.is_none()) {
        return Err(format!("ended after {} of {} updates", meter.updates, spec.steps));
    }
    let end = end.filter(|_| finite);
    let test = (end.and_then(|end| end.loss).unwrap_or(f64::NAN), end.and_then(|end| end.accuracy));
    Ok((spec, meter.outcome(test, seconds)))
}
