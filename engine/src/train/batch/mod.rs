//! Batch policies that decide from measurements on the run: every `interval` updates the gradients of the batch's
//! single examples are compared ([`GradientStatistics`]), and a policy says how many examples the next updates need.
//!
//! A policy is one file: a function from statistics to examples. What they share is here: when to measure, that a batch
//! is a whole number between bounds, and that it does not shrink unless that is asked for. Policies that are functions
//! of the step alone are in `spec/batch/`.

mod inner_product;
mod noise_scale;
mod norm_test;

use super::statistics::GradientStatistics;
use crate::spec::{BatchSpec, EffectiveSchedule, Policy, RunSpec};

/// The run at the update that comes next, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The recipe in force.
    pub spec: &'a RunSpec,
    /// The update, counted from 0.
    pub step: u64,
    /// The update from which the policy in force counts (see [`EffectiveSchedule::batch_start`]).
    pub batch_start: u64,
    /// Examples in the training set.
    pub all: usize,
}

impl<'a> Now<'a> {
    /// Update `step` of a run on `all` training examples.
    pub fn of(schedule: &'a EffectiveSchedule, step: u64, all: usize) -> Self {
        Self { spec: schedule.at(step), step, batch_start: schedule.batch_start(step), all }
    }
}

/// The batch size as far as it follows from measurements. Decisions depend on its [`numbers`](Self::numbers), the recipe and
/// what was observed, on nothing else, so a run that is rewound, resumed or replayed decides as before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdaptiveBatch {
    /// What has been decided; none before the first measurement.
    decided: Option<Decided>,
}

/// A decision and what the next one builds on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Decided {
    /// Start of the policy that decided; one that started later knows nothing of it.
    start: u64,
    /// Examples a step.
    batch: usize,
    /// What the noise scale's policy remembers.
    smoothed: noise_scale::Smoothed,
}

impl AdaptiveBatch {
    /// Key of its numbers in checkpoints.
    pub const NAME: &'static str = "batch";

    fn decided(&self, now: &Now<'_>) -> Option<&Decided> {
        self.decided.as_ref().filter(|decided| decided.start == now.batch_start)
    }

    fn size(&self, now: &Now<'_>) -> usize {
        let spec = &now.spec.batch;
        let first = spec.planned(0, now.all);
        self.decided(now).map_or(first, |decided| decided.batch).min(spec.most(now.all))
    }

    /// Examples in the update that comes next, if the recipe's policy adapts. An edit of the recipe acts at once.
    pub fn batch(&self, now: &Now<'_>) -> Option<usize> {
        now.spec.batch.policy.adapts().then(|| self.size(now))
    }

    /// Whether it wants to observe the update that comes next, before which the measurement is taken.
    pub fn due(&self, now: &Now<'_>) -> bool {
        let spec = &now.spec.batch;
        let since = now.step.saturating_sub(now.batch_start) + 1;
        // A batch that may only grow and cannot: the test stops.
        let settled = !spec.shrink && self.size(now) >= spec.most(now.all);
        spec.policy.adapts() && since.is_multiple_of(spec.interval.max(1)) && !settled
    }

    /// Takes in what was measured at update `now`; what it decides holds from the next update on.
    pub fn observe(&mut self, now: &Now<'_>, observed: &GradientStatistics) {
        let spec = &now.spec.batch;
        let batch = self.size(now);
        let mut smoothed = self.decided(now).map(|decided| decided.smoothed).unwrap_or_default();
        let needed = match examples_needed(spec, observed) {
            Some(needed) => needed,
            None if spec.policy == Policy::NoiseScale => noise_scale::needed(spec, observed, &mut smoothed),
            None => return,
        };
        let batch = next(spec, batch, needed, now.all);
        self.decided = Some(Decided { start: now.batch_start, batch, smoothed });
    }

    /// All that decisions depend on beside the recipe.
    pub fn numbers(&self) -> Vec<f64> {
        self.decided
            .iter()
            .flat_map(|d| [d.start as f64, d.batch as f64, d.smoothed.trace, d.smoothed.square])
            .collect()
    }

    /// Takes back [`numbers`](Self::numbers); those of no checkpoint, or of another form, give a fresh one.
    pub fn restored(numbers: &[f64]) -> Self {
        let decided = match *numbers {
            [start, batch, trace, square] => Some(Decided {
                start: start as u64,
                batch: (batch as usize).max(1),
                smoothed: noise_scale::Smoothed { trace, square },
            }),
            _ => None,
        };
        Self { decided }
    }
}

/// Examples that pass the recipe's test on a batch; `None` where its policy is no test.
#[must_use]
pub fn examples_needed(spec: &BatchSpec, observed: &GradientStatistics) -> Option<f64> {
    match spec.policy {
        Policy::NormTest => Some(norm_test::needed(spec, observed)),
        Policy::InnerProduct => Some(inner_product::needed(spec, observed)),
        Policy::NoiseScale | Policy::Fixed | Policy::Stepped | Policy::Ramp => None,
    }
}

/// The next batch where `needed` examples would do: a whole number of them, within bounds. A number that is none (no
/// gradient at all, or one that overflowed) changes nothing.
fn next(spec: &BatchSpec, batch: usize, needed: f64, all: usize) -> usize {
    if needed.is_nan() {
        return batch;
    }
    // One example has no variance: nothing could be measured any more.
    let least = if spec.shrink { batch.min(2) } else { batch };
    // The cast saturates.
    (libm::ceil(needed) as usize).clamp(least, spec.most(all).max(least))
}

#[cfg(test)]
mod tests;
