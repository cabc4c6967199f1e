//! A batch as micro-batches: how it is split, and what the plan of each reads.

use std::ops::Range;

use super::program;
use crate::augment;
use crate::executor::{PlanId, Prepared};
use crate::model::{DropRate, KEY};
use crate::optim;
use crate::rng::step_key;

/// Largest micro-batch that is chosen by itself: larger ones gain little and cost memory.
const MICRO_LIMIT: usize = 128;

/// A batch as micro-batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Places in each.
    pub micro: usize,
    /// How many.
    pub runs: usize,
    /// Whether places are left over that the model must not see.
    pub padded: bool,
}

impl Parts {
    /// `runs` micro-batches of a batch, for a model that `mixes` the examples of a batch or not.
    pub fn new(batch: usize, (micro, runs): (usize, usize), mixes: bool) -> Self {
        Parts { micro, runs, padded: mixes && runs * micro != batch }
    }

    /// Examples of the batch that are in micro-batch `run`. Where the model mixes them and places are left over, every
    /// micro-batch has as many, give or take one: none is left with a few.
    pub fn examples(&self, run: usize, batch: usize) -> Range<usize> {
        match self.padded {
            true => batch * run / self.runs..batch * (run + 1) / self.runs,
            false => run * self.micro..batch.min((run + 1) * self.micro),
        }
    }

    /// Fills what a plan reads of micro-batch `run` of these table rows, each of which weighs the same; other inputs it leaves as
    /// they are, zeros. Places left over repeat rows with weight 0.
    pub fn fill(&self, run: usize, rows: &[u32], name: &str, slot: &mut [u32]) {
        let own = self.examples(run, rows.len());
        match name {
            program::INDEX => {
                slot.iter_mut().zip(own.start..).for_each(|(word, place)| *word = rows[place % rows.len()]);
            }
            program::WEIGHT => {
                slot.iter_mut().take(own.len()).for_each(|word| *word = (1.0 / rows.len() as f32).to_bits())
            }
            _ => {}
        }
    }

    /// Whether a step is several of them.
    pub fn accumulated(&self) -> bool {
        self.runs > 1
    }
}

/// Splits a batch into equal micro-batches: their size and number.
pub fn split(batch: usize, wanted: usize) -> (usize, usize) {
    let limit = if wanted == 0 { MICRO_LIMIT } else { wanted };
    let runs = batch.div_ceil(limit).max(1);
    // A size the person chose stays; one that was chosen here shrinks until the last micro-batch is nearly full.
    let micro = if wanted == 0 { batch.div_ceil(runs) } else { wanted.min(batch) };
    (micro.max(1), runs)
}

/// Splits a batch that a policy decided: into micro-batches of few sizes, so that few plans are compiled. Places left
/// over carry weight 0.
pub fn split_decided(batch: usize, wanted: usize) -> (usize, usize) {
    let limit = if wanted == 0 { MICRO_LIMIT } else { wanted };
    // Powers of two and their halves between: at most a third is left over.
    let power = batch.next_power_of_two();
    let fitting = if batch <= power / 4 * 3 { power / 4 * 3 } else { power };
    let micro = fitting.min(limit);
    (micro, batch.div_ceil(micro))
}

/// Contents of the step inputs of one update, whichever runs it is made of.
pub struct StepInputs {
    /// Table rows of the batch.
    pub index: Vec<u32>,
    /// How it is split.
    pub parts: Parts,
    /// Settings of the update rule.
    pub hyper: Vec<f32>,
    /// The run's seed.
    pub seed: u64,
    /// The update, counted from 0.
    pub step: u64,
    /// Mixup's alpha.
    pub mixup: f64,
    /// How often units are dropped.
    pub dropout: f64,
}

impl StepInputs {
    /// The words of micro-batch `run`.
    pub fn words(&self, plan: &Prepared, run: usize) -> (PlanId, Vec<u32>) {
        let words = plan.words(|name, slot| match name {
            KEY => slot.copy_from_slice(&step_key(self.seed, self.step, run as u32)),
            program::KEEP => slot.fill(if run == 0 { 0 } else { 1.0f32.to_bits() }),
            program::DROPOUT => {
                slot.iter_mut().zip(DropRate::words(self.dropout)).for_each(|(word, value)| *word = value.to_bits());
            }
            augment::SHARE => augment::draw_shares(self.mixup, self.seed, self.step, run, slot),
            optim::HYPER => slot.iter_mut().zip(&self.hyper).for_each(|(word, value)| *word = value.to_bits()),
            _ => self.parts.fill(run, &self.index, name, slot),
        });
        (plan.id, words)
    }
}

#[cfg(test)]
mod tests {
    use super::{Parts, split, split_decided};

    #[test]
    fn parts_have_every_example_once_and_none_has_few() {
        for batch in 1..=700 {
            for (sizes, mixes) in [split(batch, 0), split_decided(batch, 0), split_decided(batch, 12)]
                .into_iter()
                .flat_map(|sizes| [(sizes, false), (sizes, true)])
            {
                let parts = Parts::new(batch, sizes, mixes);
                let ranges: Vec<_> = (0..parts.runs).map(|run| parts.examples(run, batch)).collect();
                let joined: Vec<usize> = ranges.iter().cloned().flatten().collect();
                assert!(joined.iter().copied().eq(0..batch), "{batch}: {ranges:?}");
                assert!(ranges.iter().all(|range| (1..=parts.micro).contains(&range.len())), "{batch}: {ranges:?}");
                if mixes {
                    let least = batch / parts.runs;
                    assert!(ranges.iter().all(|range| range.len() >= least), "{batch}: {ranges:?}");
                }
            }
        }
    }

    #[test]
    fn micro_batches_cover_every_batch_without_much_waste() {
        for batch in 1..=3000 {
            let (micro, runs) = split(batch, 0);
            assert!(micro * runs >= batch && micro * runs - batch < runs, "{batch}: {runs} x {micro}");
        }
        let mut sizes = std::collections::BTreeSet::new();
        for batch in 1..=3000 {
            let (micro, runs) = split_decided(batch, 0);
            assert!(micro * runs >= batch && (runs - 1) * micro < batch, "{batch}: {runs} x {micro}");
            sizes.insert(micro);
        }
        assert_eq!(sizes, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128].into());
        assert_eq!([20, 40, 100].map(|batch| split_decided(batch, 32)), [(24, 1), (32, 2), (32, 4)]);
        assert_eq!(split(100, 32), (32, 4));
        assert_eq!(split(10, 32), (10, 1));
    }
}
