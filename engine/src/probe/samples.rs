//! Which training examples probes look at.

use crate::executor::Executor;
use crate::rng::{Rng, Stream};
use crate::train::Trainer;

/// Table rows of the examples that a run's probes are taken over, `times` as many as its recipe says where there are so
/// many: the same ones throughout the run, so that a spectrum that moves has moved because the network did. Fewer ones
/// come first among more.
#[must_use]
pub fn probed_rows<E: Executor>(trainer: &Trainer<E>, times: usize) -> Vec<u32> {
    first_rows(trainer, trainer.recipe().probes.samples.max(1).saturating_mul(times))
}

/// So many of the examples in that order, at least one.
#[must_use]
pub fn first_rows<E: Executor>(trainer: &Trainer<E>, count: usize) -> Vec<u32> {
    let mut rows = trainer.feed().train_rows(trainer.data());
    Rng::new(trainer.spec().seed, Stream::Probe, u32::MAX).shuffle(&mut rows);
    // In one order whatever is left out: one example less changes one.
    rows.retain(|row| !trainer.leaves_out(*row));
    rows.truncate(count.max(1));
    rows
}
