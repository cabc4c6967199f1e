//! A run's parameters as a safetensors file, and what goes with them: the optimizer's moments and running statistics.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{TrainError, Trainer};
use crate::executor::{Executor, floats};
use crate::graph::numel;
use crate::model::THETA;
use crate::optim;

fn refuse(error: impl std::fmt::Display) -> TrainError {
    TrainError::Checkpoint(error.to_string())
}

impl<E: Executor> Trainer<E> {
    /// Parameters by name; running statistics by name; moments as `adam.m/` and the parameter's name, those that are not one
    /// number a parameter as they are. Spec and updates done are in the metadata.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn weights_file(&mut self) -> Result<Vec<u8>, TrainError> {
        let checkpoint = self.checkpoint().await?;
        let mut views = Vec::new();
        for (state, bytes) in &checkpoint.states {
            if bytes.len() != 4 * self.layout().len() {
                views.push((state.clone(), TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).map_err(refuse)?));
                continue;
            }
            for entry in self.layout().entries() {
                let part = &bytes[entry.offset * 4..(entry.offset + numel(&entry.shape)) * 4];
                let name = if state == THETA { entry.name.clone() } else { format!("{state}/{}", entry.name) };
                views.push((name, TensorView::new(Dtype::F32, entry.shape.clone(), part).map_err(refuse)?));
            }
        }
        let metadata = HashMap::from([
            ("minibatch.spec".to_owned(), serde_json::to_string(self.spec()).map_err(refuse)?),
            ("minibatch.step".to_owned(), checkpoint.step.to_string()),
        ]);
        safetensors::serialize(views, Some(metadata)).map_err(refuse)
    }

    /// Replaces the parameters by those of a safetensors file with the same names and shapes, and the running statistics
    /// that it has. Moments stay as they are.
    ///
    /// # Errors
    /// The file does not fit; nothing has changed then.
    pub fn load_weights(&mut self, bytes: &[u8]) -> Result<(), TrainError> {
        let file = SafeTensors::deserialize(bytes).map_err(refuse)?;
        let mut theta = Vec::with_capacity(self.layout().len());
        for entry in self.layout().entries() {
            theta.extend(numbers(&file, &entry.name, &entry.shape)?);
        }
        let moments: Vec<&str> = optim::states(&self.spec().optimizer, self.layout()).map(|(name, _)| name).collect();
        let mut running = Vec::new();
        for (name, len) in self.states() {
            if name != THETA && !moments.contains(&name.as_str()) && file.tensor(name).is_ok() {
                running.push((name.clone(), numbers(&file, name, &[*len])?));
            }
        }
        for (name, values) in running {
            self.executor_mut().write(&name, bytemuck::cast_slice(&values))?;
        }
        self.set_theta(&theta)
    }
}

/// A tensor of finite numbers of that shape.
fn numbers(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, TrainError> {
    let tensor = file.tensor(name).map_err(|_| refuse(format!("no tensor {name}")))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        let (dtype, found) = (tensor.dtype(), tensor.shape());
        return Err(refuse(format!("{name} is {dtype:?} {found:?}, this model needs F32 {shape:?}")));
    }
    let values = floats(tensor.data());
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(refuse(format!("{name} holds a number that is not finite"))),
    }
}
