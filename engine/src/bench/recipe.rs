//! A recipe of the lab as a workload: on its own data, by its own sampler and schedule.

use std::rc::Rc;

use super::measure::{Stepping, measure};
use crate::data::Data;
use crate::executor::Executor;
use crate::protocol::BenchRow;
use crate::spec::RunSpec;
use crate::train::{TrainError, Trainer};

/// A trainer that is measured.
struct Measured<E: Executor> {
    trainer: Trainer<E>,
    loss: f64,
}

impl<E: Executor> Stepping for Measured<E> {
    type Error = TrainError;
    type Executor = E;

    fn done(&self) -> u64 {
        self.trainer.steps_done()
    }

    fn executor(&mut self) -> &mut E {
        self.trainer.executor_mut()
    }

    async fn submit(&mut self) -> Result<(), TrainError> {
        self.trainer.step().await
    }

    async fn read(&mut self) -> Result<f64, TrainError> {
        if let Some(last) = self.trainer.metrics().await?.last() {
            self.loss = f64::from(last.loss);
        }
        Ok(self.loss)
    }
}

/// Sets a recipe up, trains its first update alone and then `steps` more, or as many as it has, and measures them; `profiled`
/// updates after these, where it has them, are timed launch by launch. `names`: the row's workload, executor and adapter. The
/// executor comes back.
///
/// # Errors
/// The recipe cannot be built or trained.
pub async fn recipe<E: Executor>(
    executor: E,
    [workload, name, adapter]: [&str; 3],
    spec: &RunSpec,
    data: Rc<Data>,
    [steps, profiled]: [u32; 2],
    clock: fn() -> f64,
) -> Result<(BenchRow, E), TrainError> {
    let begun = clock();
    let trainer = Trainer::new(executor, spec, data).await?;
    let compile_ms = clock() - begun;
    let mut measured = Measured { trainer, loss: f64::NAN };
    measured.submit().await?;
    let first_loss = measured.read().await?;
    let first_step_ms = clock() - begun;
    let summary = measured.trainer.summary().await?;
    let row = BenchRow {
        workload: workload.into(),
        executor: name.into(),
        adapter: adapter.into(),
        parameters: summary.parameters,
        compile_ms,
        first_step_ms,
        predicted_bytes: summary.peak_bytes,
        flop: summary.flop,
        first_loss,
        ..BenchRow::default()
    };
    let left = u32::try_from(measured.trainer.steps_total() - 1).unwrap_or(u32::MAX);
    let mut losses = vec![(1, first_loss)];
    let steps = steps.min(left);
    let row = measure(&mut measured, [steps, profiled.min(left - steps)], clock, &row, &mut losses).await?;
    Ok((row, measured.trainer.into_executor()))
}
