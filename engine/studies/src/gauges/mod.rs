//! Gauges: what an arm asks to be measured beside its losses and accuracies. A gauge is a file; an arm names those that it
//! wants, and a study may have gauges of its own.

mod alignment;
mod distance;
mod sharpness;
mod training_loss;
mod views;

pub use alignment::{Alignment, UPDATE_COSINE};
pub use distance::{DISTANCE, Distance};
pub use sharpness::{SHARPNESS, Sharpness};
pub use training_loss::{TRAINING_LOSS, TrainingLoss};
pub use views::Views;

use std::fmt::Debug;

use engine::executor::AnyExecutor;
use engine::train::Trainer;

use super::{Context, Label, Outcome, StudyError, Task};

/// Where a run is when a gauge is asked.
pub struct At<'a, 'h> {
    /// The study.
    pub context: &'a mut Context<'h>,
    /// The run; a gauge leaves it as it is.
    pub trainer: &'a mut Trainer<AnyExecutor>,
    /// The arm, or the branch of it, that is measured.
    pub label: &'a Label,
    /// Its seed.
    pub seed: u64,
}

impl At<'_, '_> {
    /// Where readings are recorded.
    ///
    /// # Errors
    /// If the study has no such arm.
    pub fn outcome(&mut self) -> Result<&mut Outcome, StudyError> {
        self.context.results.record(&self.label.id, self.seed)
    }

    /// Updates done.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.trainer.steps_done()
    }
}

/// Something that is measured on the way. Every run of an arm has gauges of its own, made by [`Gauge::fresh`].
pub trait Gauge: Debug {
    /// The same before it has measured anything.
    fn fresh(&self) -> Box<dyn Gauge>;

    /// Last updates before each stop that it wants to see one by one.
    fn watched(&self) -> u64 {
        0
    }

    /// Called with the parameters as they are before the first watched update and after each.
    fn watch<'a>(&'a mut self, _at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Called at each stop, after the evaluation; not of a run whose loss is no longer finite.
    fn stop<'a>(&'a mut self, _at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Called at the end of the arm, not of its branches.
    fn end<'a>(&'a mut self, _at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Clone for Box<dyn Gauge> {
    fn clone(&self) -> Self {
        self.fresh()
    }
}
