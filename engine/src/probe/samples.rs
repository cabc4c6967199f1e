//! Which training examples probes look at.

use crate::executor::Executor;
use crate::rng::{Rng, Stream};
use crate::train::Trainer;

/// Table rows of the examples that a run's probes are taken over, as many as its recipe says: the same ones throughout
/// the run, so that a spectrum that moves has moved because the network did.
#[must_use]
pub fn probed_rows<E: Executor>(trainer: &Trainer<E>) -> Vec<u32> {
    let mut rows = rows_to_probe(trainer);
    rows.truncate(trainer.recipe().probes.samples.max(1));
    rows
}

/// Table rows of all training examples in the order in which probes take them: shuffled, the same throughout the run.
#[must_use]
pub fn rows_to_probe<E: Executor>(trainer: &Trainer<E>) -> Vec<u32> {
    let mut rows = trainer.feed().train_rows(trainer.data());
    Rng::new(trainer.spec().seed, Stream::Probe, u32::MAX).shuffle(&mut rows);
    rows
}
