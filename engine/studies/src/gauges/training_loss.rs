//! The loss on what is learned from.

use super::{At, Gauge};
use crate::{Curve, StudyError, Task};

/// Loss on all training examples.
pub const TRAINING_LOSS: Curve = Curve::new("training loss", "nats");

/// Measures [`TRAINING_LOSS`] at some stops.
#[derive(Debug)]
pub struct TrainingLoss {
    at: Vec<u64>,
}

impl TrainingLoss {
    /// At those stops that come after these numbers of updates.
    #[must_use]
    pub fn at(steps: Vec<u64>) -> Box<dyn Gauge> {
        Box::new(Self { at: steps })
    }
}

impl Gauge for TrainingLoss {
    fn fresh(&self) -> Box<dyn Gauge> {
        Self::at(self.at.clone())
    }

    fn stop<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let step = at.step();
            if self.at.contains(&step) {
                let rows = at.trainer.feed().train_rows(at.trainer.data());
                let loss = at.trainer.evaluate_rows(&rows).await?.loss;
                at.outcome()?.reading(TRAINING_LOSS, step as f64, loss);
            }
            Ok(())
        })
    }
}
