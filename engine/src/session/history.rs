//! The numbers of a run so far: what its charts show, kept with its checkpoints.

use serde::Serialize;

use crate::figure::gap;
use crate::train::StepMetrics;
use crate::tree::FromTree;

/// A result on the test set.
#[derive(Clone, Debug, PartialEq, Serialize, FromTree)]
pub struct Evaluated {
    /// Updates done before it.
    pub step: u64,
    /// Mean loss.
    #[serde(with = "gap")]
    pub loss: f64,
    /// Share correct.
    pub accuracy: Option<f64>,
    /// Examples evaluated.
    pub n: usize,
}

/// Numbers of every update from 0 on, and of the evaluations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// One entry an update, in order, without gaps.
    pub steps: Vec<StepMetrics>,
    /// By ascending step.
    pub evaluations: Vec<Evaluated>,
}

/// Numbers of an update in a list that is kept. Its negative comes first, then how many updates there are.
const ROW: usize = 6;
/// The same of lists that an earlier build kept, without momentum. They begin with how many updates there are.
const EARLIER_ROW: usize = 5;

impl History {
    /// Appends numbers; those of an update that is there already (a replay) replace it.
    pub fn extend(&mut self, metrics: &[StepMetrics]) {
        if let Some(first) = metrics.first() {
            self.steps.truncate(first.step as usize);
            self.steps.extend_from_slice(metrics);
        }
    }

    /// Records an evaluation in its place.
    pub fn evaluated(&mut self, evaluated: Evaluated) {
        self.evaluations.retain(|other| other.step != evaluated.step);
        let place = self.evaluations.partition_point(|other| other.step < evaluated.step);
        self.evaluations.insert(place, evaluated);
    }

    /// Forgets what lies after the first `step` updates.
    pub fn rewind(&mut self, step: u64) {
        self.steps.truncate(step as usize);
        self.evaluations.retain(|evaluated| evaluated.step <= step);
    }

    /// A row an update, with the evaluation that was made before it where there is one.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("step,loss,accuracy,grad_norm,lr,momentum,batch,test_loss,test_accuracy\n");
        let mut evaluations = self.evaluations.iter().peekable();
        let number = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
        let mut row = |step: u64, metrics: Option<&StepMetrics>, evaluated: Option<&Evaluated>| {
            let of = |get: fn(&StepMetrics) -> f64| metrics.map_or_else(String::new, |metrics| number(get(metrics)));
            let cells = [
                step.to_string(),
                of(|metrics| f64::from(metrics.loss)),
                of(|metrics| f64::from(metrics.accuracy)),
                of(|metrics| f64::from(metrics.grad_norm)),
                of(|metrics| f64::from(metrics.lr)),
                of(|metrics| f64::from(metrics.momentum)),
                of(|metrics| metrics.batch as f64),
                evaluated.map_or_else(String::new, |evaluated| number(evaluated.loss)),
                evaluated.and_then(|evaluated| evaluated.accuracy).map_or_else(String::new, number),
            ];
            csv.push_str(&cells.join(","));
            csv.push('\n');
        };
        for metrics in &self.steps {
            let evaluated = evaluations.next_if(|evaluated| evaluated.step == metrics.step);
            row(metrics.step, Some(metrics), evaluated);
        }
        for evaluated in evaluations {
            row(evaluated.step, None, Some(evaluated));
        }
        csv
    }

    /// The history as one list of numbers, to be kept in a checkpoint file.
    pub fn to_floats(&self) -> Vec<f32> {
        let mut floats = vec![-(ROW as f32), self.steps.len() as f32];
        for metrics in &self.steps {
            let StepMetrics { loss, accuracy, grad_norm, lr, batch, momentum, .. } = *metrics;
            floats.extend([loss, accuracy, grad_norm, lr, batch as f32, momentum]);
        }
        for evaluated in &self.evaluations {
            let accuracy = evaluated.accuracy.map_or(f32::NAN, |accuracy| accuracy as f32);
            floats.extend([evaluated.step as f32, evaluated.loss as f32, accuracy, evaluated.n as f32]);
        }
        floats
    }

    /// Reads [`History::to_floats`]; `None` for a list of another form.
    pub fn from_floats(floats: &[f32]) -> Option<Self> {
        let (width, counted) = match floats {
            [first, rest @ ..] if *first == -(ROW as f32) => (ROW, rest),
            _ => (EARLIER_ROW, floats),
        };
        let (&count, rest) = counted.split_first()?;
        let (steps, evaluations) = rest.split_at_checked((count as usize).checked_mul(width)?)?;
        if evaluations.len() % 4 != 0 {
            return None;
        }
        let steps = steps
            .chunks_exact(width)
            .zip(0..)
            .map(|(row, step)| StepMetrics {
                step,
                loss: row[0],
                accuracy: row[1],
                grad_norm: row[2],
                lr: row[3],
                batch: row[4] as usize,
                momentum: row.get(5).copied().unwrap_or(f32::NAN),
            })
            .collect();
        let evaluations = evaluations
            .chunks_exact(4)
            .map(|row| Evaluated {
                step: row[0] as u64,
                loss: f64::from(row[1]),
                accuracy: (!row[2].is_nan()).then_some(f64::from(row[2])),
                n: row[3] as usize,
            })
            .collect();
        Some(History { steps, evaluations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(step: u64) -> StepMetrics {
        StepMetrics { step, loss: 0.5, accuracy: 0.25, grad_norm: 1.5, lr: 0.1, momentum: 0.9, batch: 64 }
    }

    #[test]
    fn a_history_survives_the_round_trip() {
        let mut history = History::default();
        history.extend(&[metrics(0), metrics(1)]);
        history.evaluated(Evaluated { step: 2, loss: 0.75, accuracy: Some(0.5), n: 10 });
        assert_eq!(History::from_floats(&history.to_floats()), Some(history));
    }

    #[test]
    fn a_history_kept_by_an_earlier_build_is_read() {
        let kept = [1.0, 0.5, 0.25, 1.5, 0.1, 64.0, 1.0, 0.75, 0.5, 10.0];
        let read = History::from_floats(&kept).unwrap();
        assert_eq!((read.steps.len(), read.evaluations.len()), (1, 1));
        assert!(read.steps[0].momentum.is_nan());
        assert_eq!(StepMetrics { momentum: 0.9, ..read.steps[0] }, metrics(0));
    }

    #[test]
    fn lists_of_another_form_are_refused() {
        assert_eq!(History::from_floats(&[]), None);
        assert_eq!(History::from_floats(&[3.0, 1.0]), None);
        assert_eq!(History::from_floats(&[0.0, 1.0]), None);
        assert_eq!(History::from_floats(&[-6.0]), None);
        assert_eq!(History::from_floats(&[-6.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]), None);
        assert_eq!(History::from_floats(&[-5.0, 0.0]), None);
        assert_eq!(History::from_floats(&[f32::INFINITY]), None);
    }

    #[test]
    fn a_replay_replaces_and_a_rewind_forgets() {
        let mut history = History::default();
        history.extend(&[metrics(0), metrics(1), metrics(2)]);
        history.extend(&[metrics(1)]);
        assert_eq!(history.steps.len(), 2);
        history.evaluated(Evaluated { step: 2, loss: 0.75, accuracy: None, n: 10 });
        history.rewind(1);
        assert_eq!((history.steps.len(), history.evaluations.len()), (1, 0));
    }
}
