//! Trains one cell of a sweep to its end.

use std::rc::Rc;

use super::Outcome;
use super::meter::Meter;
use crate::data::Data;
use crate::executor::{Executor, RING_ROWS};
use crate::spec::RunSpec;
use crate::train::{TrainError, Trainer};

/// Updates between two readings of metrics, at most: what was computed in vain after a run has diverged stays little.
const READING: u64 = RING_ROWS as u64 / 4;

/// Trains a run to its end, or until its numbers are no longer finite. `go_on` is asked after every update with the
/// share done (0..=1); when it says no, the outcome is `None`. Gives the executor back for the next trial.
///
/// # Errors
/// The model does not fit the data, or the executor fails, which is then lost.
pub async fn trial<E: Executor>(
    executor: E,
    spec: &RunSpec,
    data: Rc<Data>,
    target: f64,
    clock: fn() -> f64,
    mut go_on: impl AsyncFnMut(f64) -> bool,
) -> Result<(E, Option<Outcome>), TrainError> {
    let begun = clock();
    let mut trainer = Trainer::new(executor, spec, data).await?;
    let start = trainer.evaluate().await?.loss;
    let steps = trainer.steps_total();
    let mut meter = Meter::new(start, target, steps);
    let mut finite = true;
    while finite && trainer.steps_done() < steps {
        trainer.step().await?;
        if trainer.unread() >= READING || trainer.steps_done() == steps {
            for metrics in trainer.metrics().await? {
                finite = finite && meter.take(&metrics);
            }
        }
        if !go_on(trainer.steps_done() as f64 / steps as f64).await {
            return Ok((trainer.into_executor(), None));
        }
    }
    let test = if finite {
        let evaluation = trainer.evaluate().await?;
        (evaluation.loss, evaluation.accuracy)
    } else {
        (f64::NAN, None)
    };
    let outcome = meter.outcome(test, (clock() - begun) / 1000.0);
    Ok((trainer.into_executor(), Some(outcome)))
}
