//! The state of a run as one safetensors file: every state buffer, and the counters in the metadata.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::TrainError;

/// Everything that a run needs to go on as if it had never stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Updates done.
    pub step: u64,
    /// Examples drawn from the sampler so far.
    pub drawn: u64,
    /// State buffers by name, as raw f32 bytes, little end first.
    pub states: BTreeMap<String, Vec<u8>>,
    /// Numbers of what decides from measurements, by name; those of files from before there was any are missing.
    pub control: BTreeMap<String, Vec<f64>>,
}

/// Before such a name in the file.
const CONTROL: &str = "control.";

/// Most updates or examples: counting on from there still comes to no end.
const MOST: u64 = 1 << 53;

impl Checkpoint {
    /// Bytes of the state buffers.
    pub fn bytes(&self) -> usize {
        self.states.values().map(Vec::len).sum()
    }

    /// Writes the safetensors file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrainError> {
        let control: Vec<(String, Vec<u8>)> = self
            .control
            .iter()
            .map(|(name, numbers)| (format!("{CONTROL}{name}"), bytemuck::cast_slice(numbers).to_vec()))
            .collect();
        let states = self.states.iter().map(|(name, bytes)| (name, Dtype::F32, bytes));
        let views = states
            .chain(control.iter().map(|(name, bytes)| (name, Dtype::F64, bytes)))
            .map(|(name, dtype, bytes)| {
                Ok((name, TensorView::new(dtype, vec![bytes.len() * 8 / dtype.bitsize()], bytes)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| TrainError::Checkpoint(error.to_string()))?;
        let metadata = HashMap::from([
            ("minibatch.step".to_owned(), self.step.to_string()),
            ("minibatch.drawn".to_owned(), self.drawn.to_string()),
        ]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| TrainError::Checkpoint(error.to_string()))
    }

    /// Reads what [`Checkpoint::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TrainError> {
        let refuse = |what: &str| TrainError::Checkpoint(what.to_owned());
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| TrainError::Checkpoint(error.to_string()))?;
        let count = |key: &str| {
            header
                .metadata()
                .as_ref()
                .and_then(|metadata| metadata.get(key))
                .and_then(|text| text.parse::<u64>().ok().filter(|&count| count <= MOST))
                .ok_or_else(|| refuse(&format!("no number {key} in the metadata")))
        };
        let (step, drawn) = (count("minibatch.step")?, count("minibatch.drawn")?);
        let file = SafeTensors::deserialize(bytes).map_err(|error| TrainError::Checkpoint(error.to_string()))?;
        let (mut states, mut control) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.tensors() {
            match (view.dtype(), name.strip_prefix(CONTROL)) {
                (Dtype::F64, Some(name)) => {
                    control.insert(name.to_owned(), view.data().chunks_exact(8).map(double).collect());
                }
                (Dtype::F32, None) => {
                    states.insert(name, view.data().to_vec());
                }
                (dtype, _) => return Err(refuse(&format!("tensor {name} is {dtype:?}"))),
            }
        }
        Ok(Checkpoint { step, drawn, states, control })
    }
}

/// Eight bytes, little end first.
fn double(bytes: &[u8]) -> f64 {
    f64::from_bits(bytes.iter().rev().fold(0, |bits, &byte| (bits << 8) | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_survives_the_round_trip() -> Result<(), TrainError> {
        let bits = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let states = BTreeMap::from([
            ("theta".to_owned(), bits(&[1.5, -0.0, f32::MIN_POSITIVE])),
            ("adam.m".to_owned(), bits(&[0.25])),
        ]);
        let control = BTreeMap::from([("batch".to_owned(), vec![0.1, -0.0, 1e300]), ("rate".to_owned(), vec![])]);
        let checkpoint = Checkpoint { step: 17, drawn: 1088, states, control };
        assert_eq!(Checkpoint::from_bytes(&checkpoint.to_bytes()?)?, checkpoint);
        Ok(())
    }

    #[test]
    fn counts_that_no_run_reaches_are_an_error() -> Result<(), TrainError> {
        for (step, drawn) in [(u64::MAX, 2), (1, u64::MAX)] {
            let checkpoint = Checkpoint { step, drawn, states: BTreeMap::new(), control: BTreeMap::new() };
            assert!(Checkpoint::from_bytes(&checkpoint.to_bytes()?).is_err());
        }
        Ok(())
    }

    #[test]
    fn a_truncated_checkpoint_is_an_error() -> Result<(), TrainError> {
        let states = BTreeMap::from([("a".to_owned(), vec![0; 8])]);
        let checkpoint = Checkpoint { step: 1, drawn: 2, states, control: BTreeMap::new() };
        let bytes = checkpoint.to_bytes()?;
        for cut in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        Ok(())
    }
}
