//! A run and its numbers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Of the lab that writes.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A run as the lab's JSON files have it, and what else is to be said of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Run {
    /// What a person calls it.
    pub name: String,
    /// What they noted about it.
    pub note: String,
    /// Where it opens.
    pub link: String,
    /// Its recipe.
    pub spec: Value,
    /// Milliseconds since 1970 at the start of its first update; none if nobody knows.
    pub began: Option<f64>,
    /// Numbers of its updates.
    pub steps: Steps,
    /// Results on the test set.
    pub evaluations: Vec<Evaluation>,
    /// Readings of its curvature.
    #[serde(skip)]
    pub readings: Vec<Reading>,
}

/// Numbers of every update from 0 on, a list a quantity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Steps {
    /// Mean loss of the batch.
    pub loss: Vec<Option<f32>>,
    /// Share of the batch that was classified correctly.
    pub accuracy: Vec<Option<f32>>,
    /// Learning rate.
    pub lr: Vec<Option<f32>>,
    /// Examples in the batch.
    pub batch: Vec<Option<f32>>,
    /// Norm of the gradient before clipping.
    pub grad_norm: Vec<Option<f32>>,
    /// Milliseconds that the update took.
    pub step_ms: Vec<Option<f32>>,
    /// Milliseconds of those spent on the host.
    pub host_ms: Vec<Option<f32>>,
    /// Momentum.
    pub momentum: Vec<Option<f32>>,
}

/// A result on the test set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// Updates done before it.
    pub step: u64,
    /// Mean loss.
    pub loss: Option<f64>,
    /// Share correct.
    pub accuracy: Option<f64>,
}

/// A number over the updates after which it was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What it is.
    pub tag: String,
    /// Updates done, and the number.
    pub points: Vec<(u64, f64)>,
}

/// A quantity over the run.
pub(crate) struct Curve<'a> {
    /// In TensorBoard: what stands before the slash groups it.
    pub tag: &'a str,
    /// In a table.
    pub column: String,
    /// Of numbers that the lab has in single precision.
    pub single: bool,
    /// Whether it belongs to an update, and so to its end, or was measured between two.
    pub of_update: bool,
    /// Updates done before it, and the number, by ascending step.
    pub points: Vec<(u64, f64)>,
}

impl Run {
    /// Takes in numbers of consecutive updates from `first` on, in place of those that were there: loss, accuracy, learning rate,
    /// batch size, norm of the gradient, milliseconds, those of the host, momentum.
    pub fn extend(&mut self, first: u64, columns: [&[f32]; 8]) {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let Steps { loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum } = &mut self.steps;
        let known = [loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum];
        for (known, new) in known.into_iter().zip(columns) {
            known.truncate(first);
            known.extend(new.iter().map(|value| value.is_finite().then_some(*value)));
        }
    }

    /// Takes readings from figures of the curvature, as the lab has them in JSON: every line over the updates is one.
    pub fn read_curvature(&mut self, figures: &Value) {
        self.readings.clear();
        for figure in figures.as_array().into_iter().flatten().filter(|figure| figure["x"]["label"] == "step") {
            let marks = figure["marks"].as_array();
            let lines: Vec<&Value> =
                marks.into_iter().flatten().map(|mark| &mark["line"]).filter(|line| line.is_object()).collect();
            let id = figure["id"].as_str().unwrap_or_default();
            for line in &lines {
                let name = line["name"].as_str().unwrap_or_default();
                let tag = if lines.len() == 1 { format!("curvature/{id}") } else { format!("curvature/{id}/{name}") };
                let number = |point: &Value| Some((point[0].as_f64()? as u64, point[1].as_f64()?));
                let points = line["points"].as_array().into_iter().flatten().filter_map(number).collect();
                self.readings.push(Reading { tag, points });
            }
        }
    }

    /// Every quantity of which there is a number.
    pub(crate) fn curves(&self) -> Vec<Curve<'_>> {
        let Steps { loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum } = &self.steps;
        let of_updates = [
            ("loss/train", "loss", loss),
            ("accuracy/train", "accuracy", accuracy),
            ("learning_rate", "lr", lr),
            ("batch_size", "batch", batch),
            ("gradient_norm", "grad_norm", grad_norm),
            ("time/step_ms", "step_ms", step_ms),
            ("time/host_ms", "host_ms", host_ms),
            ("momentum", "momentum", momentum),
        ];
        let of_updates = of_updates.into_iter().map(|(tag, column, values)| {
            let points = (0..).zip(values).filter_map(|(step, value)| Some((step, f64::from((*value)?)))).collect();
            Curve { tag, column: column.to_owned(), single: true, of_update: true, points }
        });
        let tested = |tag, column: &str, of: fn(&Evaluation) -> Option<f64>| {
            let points =
                self.evaluations.iter().filter_map(|evaluation| Some((evaluation.step, of(evaluation)?))).collect();
            Curve { tag, column: column.to_owned(), single: false, of_update: false, points }
        };
        let tested = [
            tested("loss/test", "test_loss", |evaluation| evaluation.loss),
            tested("accuracy/test", "test_accuracy", |evaluation| evaluation.accuracy),
        ];
        let measured = self.readings.iter().map(|Reading { tag, points }| {
            let column = tag.replace(|letter: char| !letter.is_alphanumeric(), "_");
            Curve { tag, column, single: false, of_update: false, points: points.clone() }
        });
        let mut all: Vec<_> = of_updates.chain(tested).chain(measured).collect();
        all.iter_mut().for_each(|curve| curve.points.retain(|(_, value)| value.is_finite()));
        all.retain(|curve| !curve.points.is_empty());
        all
    }

    /// Milliseconds of training before each update, and in all.
    pub(crate) fn elapsed(&self) -> Vec<f64> {
        let mut elapsed = vec![0.0];
        for ms in &self.steps.step_ms {
            elapsed.push(elapsed[elapsed.len() - 1] + f64::from(ms.unwrap_or(0.0)));
        }
        elapsed
    }

    /// The recipe's controls by their paths. A list of numbers or words is one control.
    pub(crate) fn controls(&self) -> BTreeMap<String, Value> {
        let mut controls = BTreeMap::new();
        flatten(&self.spec, String::new(), &mut controls);
        controls
    }

    /// What makes it again, by name: beside its numbers in every file.
    pub(crate) fn origin(&self) -> [(&'static str, String); 3] {
        [("link", self.link.clone()), ("seed", self.spec["seed"].to_string()), ("version", VERSION.to_owned())]
    }
}

fn flatten(value: &Value, path: String, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(field, path, into);
            }
        }
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            into.insert(path, Value::String(words.collect::<Vec<_>>().join(",")));
        }
        Value::Null => {}
        _ => {
            into.insert(path, value.clone());
        }
    }
}
