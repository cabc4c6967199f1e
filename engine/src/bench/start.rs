//! Weights and a batch that another harness gives, so that losses can be compared with other libraries step by step.

use serde::Deserialize;
use serde_json::Value;

use super::BenchError;
use super::workload::{Example, LEARNING_RATE, Workload, optimizer};
use crate::graph::numel;
use crate::model::{InputShape, ParamLayout};
use crate::spec::OptimizerSpec;

/// Where a workload starts and what it steps with.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// All parameters.
    pub theta: Vec<f32>,
    /// The batch.
    pub example: Example,
    /// The update rule.
    pub optimizer: OptimizerSpec,
    /// Its learning rate.
    pub learning_rate: f32,
}

/// As a harness writes it. Its `cfg` repeats the workload and is not needed.
#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    adamw: Adamw,
    params: Vec<GivenParam>,
    x: Value,
    y: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Adamw {
    lr: Option<f64>,
    #[serde(alias = "b1")]
    beta1: Option<f64>,
    #[serde(alias = "b2")]
    beta2: Option<f64>,
    betas: Option<[f64; 2]>,
    #[serde(alias = "epsilon")]
    eps: Option<f64>,
    #[serde(alias = "wd", alias = "weightDecay", alias = "decay")]
    weight_decay: Option<f64>,
}

#[derive(Deserialize)]
struct GivenParam {
    #[serde(default)]
    name: String,
    #[serde(default)]
    shape: Vec<usize>,
    data: Value,
}

impl Start {
    /// The workload's own start.
    #[must_use]
    pub fn own(workload: &Workload, layout: &ParamLayout) -> Self {
        Self {
            theta: layout.initial(0),
            example: workload.example(),
            optimizer: optimizer(),
            learning_rate: LEARNING_RATE,
        }
    }

    /// Reads a harness's JSON. Parameters come in the workload's order.
    pub fn read(bytes: &[u8], workload: &Workload, layout: &ParamLayout) -> Result<Self, BenchError> {
        let refuse = |reason: String| BenchError::Start(reason);
        let given: Given = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        if given.params.len() != layout.entries().len() {
            let (found, wanted) = (given.params.len(), layout.entries().len());
            return Err(refuse(format!("{found} parameters where {} has {wanted}", workload.name)));
        }
        let mut theta = Vec::with_capacity(layout.len());
        for (param, entry) in given.params.iter().zip(layout.entries()) {
            let values = numbers(&param.data).ok_or_else(|| refuse(format!("{}: data are no numbers", param.name)))?;
            let sizes = |shape: &[usize]| shape.iter().copied().filter(|&size| size != 1).collect::<Vec<_>>();
            let fits = param.shape.is_empty() || sizes(&param.shape) == sizes(&entry.shape);
            if !fits || values.len() != numel(&entry.shape) {
                let (name, shape, own) = (&param.name, &param.shape, &entry.name);
                let count = values.len();
                return Err(refuse(format!("{name} {shape:?} with {count} numbers for {own} {:?}", entry.shape)));
            }
            theta.extend(values.into_iter().map(|value| value as f32));
        }
        let integers = |value: &Value, what: &str, count: usize, below: usize| {
            let values = numbers(value).ok_or_else(|| refuse(format!("{what} is no list of numbers")))?;
            if values.len() != count || values.iter().any(|&value| !(0.0..below as f64).contains(&value)) {
                return Err(refuse(format!("{what} must be {count} numbers below {below}")));
            }
            Ok(values.into_iter().map(|value| value as u32).collect::<Vec<u32>>())
        };
        let x = match workload.input {
            InputShape::Tokens { vocabulary, .. } => integers(&given.x, "x", workload.inputs(), vocabulary)?,
            InputShape::Image(_) | InputShape::Features(_) => {
                let values = numbers(&given.x).ok_or_else(|| refuse("x is no list of numbers".into()))?;
                if values.len() != workload.inputs() {
                    return Err(refuse(format!("x has {} numbers, not {}", values.len(), workload.inputs())));
                }
                values.into_iter().map(|value| (value as f32).to_bits()).collect()
            }
        };
        let y = integers(&given.y, "y", workload.targets(), workload.outputs)?;
        let Adamw { lr, beta1, beta2, betas, eps, weight_decay } = given.adamw;
        let own = optimizer();
        let optimizer = OptimizerSpec {
            beta1: beta1.or(betas.map(|betas| betas[0])).unwrap_or(own.beta1),
            beta2: beta2.or(betas.map(|betas| betas[1])).unwrap_or(own.beta2),
            eps: eps.unwrap_or(own.eps),
            weight_decay: weight_decay.unwrap_or(own.weight_decay),
            ..own
        };
        let learning_rate = lr.map_or(LEARNING_RATE, |lr| lr as f32);
        Ok(Self { theta, example: Example { x, y }, optimizer, learning_rate })
    }
}

/// The numbers of a JSON list, of nested lists, or of what JavaScript makes of a typed array: an object whose keys count
/// from 0.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Number(number) => Some(vec![number.as_f64()?]),
        Value::Array(items) => items.iter().map(numbers).collect::<Option<Vec<_>>>().map(|parts| parts.concat()),
        Value::Object(items) => {
            (0..items.len()).map(|index| items.get(&index.to_string()).and_then(Value::as_f64)).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_come_in_lists_and_as_typed_arrays() {
        assert_eq!(numbers(&json!([1, 2.5])), Some(vec![1.0, 2.5]));
        assert_eq!(numbers(&json!([[1], [2]])), Some(vec![1.0, 2.0]));
        assert_eq!(numbers(&json!({"1": 2.0, "0": 1.0})), Some(vec![1.0, 2.0]));
        assert_eq!(numbers(&json!({"x": 2.0})), None);
        assert_eq!(numbers(&json!("1")), None);
    }
}
