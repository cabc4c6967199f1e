//! Files that a person takes along: numbers, spec, weights; and weights that come back.

use std::io::{Cursor, Write};

use super::run::ActiveRun;
use super::{Host, SessionError};
use crate::graph::numel;
use crate::protocol::{Blob, Export, RunEvent};
use crate::train::TrainError;

fn refuse(error: impl std::fmt::Display) -> SessionError {
    TrainError::Checkpoint(error.to_string()).into()
}

impl ActiveRun {
    /// Sends a file of the wanted kind.
    pub async fn export(&mut self, host: &impl Host, kind: Export) -> Result<(), SessionError> {
        let (extension, mime, bytes) = match kind {
            Export::Csv => ("csv", "text/csv", self.history.to_csv().into_bytes()),
            Export::Json => ("json", "application/json", self.json_file().map_err(refuse)?),
            Export::Safetensors => ("safetensors", "application/octet-stream", self.trainer.weights_file().await?),
            Export::Npz => ("npz", "application/zip", self.npz_file().await?),
        };
        let spec = self.trainer.spec();
        let name =
            format!("minibatch-{}-{}-{}.{extension}", spec.model.kind(), spec.data.set.id(), self.trainer.steps_done());
        self.tell_with(host, RunEvent::Exported { name, mime: mime.to_owned(), file: Blob(0) }, vec![bytes]);
        Ok(())
    }

    /// Spec, numbers of every update, and evaluations.
    fn json_file(&self) -> Result<Vec<u8>, serde_json::Error> {
        let steps = &self.history.steps;
        serde_json::to_vec_pretty(&serde_json::json!({
            "spec": self.trainer.spec(),
            "steps": {
                "loss": steps.iter().map(|metrics| metrics.loss).collect::<Vec<_>>(),
                "accuracy": steps.iter().map(|metrics| metrics.accuracy).collect::<Vec<_>>(),
                "grad_norm": steps.iter().map(|metrics| metrics.grad_norm).collect::<Vec<_>>(),
                "lr": steps.iter().map(|metrics| metrics.lr).collect::<Vec<_>>(),
                "momentum": steps.iter().map(|metrics| metrics.momentum).collect::<Vec<_>>(),
                "batch": steps.iter().map(|metrics| metrics.batch).collect::<Vec<_>>(),
            },
            "evaluations": self.history.evaluations,
        }))
    }

    /// Parameters as a NumPy archive.
    async fn npz_file(&mut self) -> Result<Vec<u8>, SessionError> {
        let theta = self.trainer.theta().await?;
        let files = self.trainer.layout().entries().iter().map(|entry| {
            let values = &theta[entry.offset..entry.offset + numel(&entry.shape)];
            (format!("{}.npy", entry.name), [&npy_header(&entry.shape), bytemuck::cast_slice(values)].concat())
        });
        archive(files).map_err(refuse)
    }

    /// Replaces the parameters by those of a safetensors file with the same names and shapes. Nothing changes if the
    /// file does not fit.
    pub async fn import_weights(&mut self, host: &impl Host, bytes: &[u8]) -> Result<(), SessionError> {
        self.trainer.load_weights(bytes)?;
        self.weights_replaced(host).await
    }
}

/// Files as one archive, in which they lie as they are.
///
/// # Errors
/// Two of them have the same name.
pub fn archive(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Vec<u8>, std::io::Error> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let as_they_are = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in files {
        archive.start_file(name, as_they_are)?;
        archive.write_all(&bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Header of a version 1.0 .npy file of little-endian f32 in row-major order.
fn npy_header(shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Magic, version and length take 10 bytes; the whole is padded to 64 and ends in a line feed.
    let padding = (64 - (10 + text.len() + 1) % 64) % 64;
    text.push_str(&" ".repeat(padding));
    text.push('\n');
    [b"\x93NUMPY\x01\x00".as_slice(), &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}
