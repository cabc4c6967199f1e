//! A moment of a run, trained up to.

use std::path::Path;

use engine::executor::AnyExecutor;
use engine::protocol::{Backend, BackendInfo};
use engine::spec::Link;
use engine::train::Trainer;
use studies::Host;

use crate::args::Place;
use crate::native::Native;
use crate::{Failure, spec};

/// A run at a moment.
pub struct Reached {
    pub link: Link,
    pub trainer: Trainer<AnyExecutor>,
    pub backend: BackendInfo,
    pub native: Native,
}

/// Reads a file of weights.
pub fn read_weights(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// What failed, in words.
pub fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// Trains a run up to a place.
pub async fn reach(place: &Place, backend: Backend) -> Result<Reached, Failure> {
    let mut link = spec::read_exactly(&place.what)?;
    if let Some(samples) = place.samples {
        link.spec.probes.samples = samples as usize;
    }
    let weights = place.weights.as_deref().map(read_weights).transpose()?;
    let native = Native::new(backend);
    let data = native.data(&link.spec).await.map_err(failed)?;
    let (executor, info) = native.executor().await.map_err(failed)?;
    let mut trainer = Trainer::new(executor, &link.spec, data).await.map_err(failed)?;
    if let Some(weights) = weights {
        trainer.load_weights(&weights).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    while trainer.steps_done() < place.at {
        trainer.step().await.map_err(failed)?;
        if trainer.unread() >= 64 || trainer.steps_done() == place.at {
            let metrics = trainer.metrics().await.map_err(failed)?;
            if let Some(wrong) = metrics.iter().find(|metrics| !metrics.is_finite()) {
                return Err(Failure::Diverged(format!("the loss was no longer finite at step {}", wrong.step)));
            }
            native.teller.say(&format!("step {} of {}", trainer.steps_done(), place.at));
        }
    }
    Ok(Reached { link, trainer, backend: info, native })
}
