//! The schedule that a run really follows: the spec's, as changed by its edits.

use super::{OptimizerSpec, RunSpec, ScheduleSpec};

/// What holds from one step on.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The first update it holds for.
    pub start: u64,
    /// The learning rate's schedule.
    pub schedule: ScheduleSpec,
    /// The update rule's settings.
    pub optimizer: OptimizerSpec,
    /// Examples a step; 0 = the whole training set.
    pub batch: usize,
    /// Updates of the whole run.
    pub steps: u64,
}

/// Learning rate, batch size and optimizer settings of every step of a spec with edits. An edit at step s changes the
/// future only: steps before s keep what they had.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveSchedule {
    /// By ascending start; the first starts at 0.
    segments: Vec<Segment>,
}

impl EffectiveSchedule {
    /// Resolves a spec and its edits. Edits that do not fit are skipped: validation has named them.
    #[must_use]
    pub fn new(spec: &RunSpec) -> Self {
        let segment = |start: u64, spec: &RunSpec| Segment {
            start,
            schedule: spec.schedule.clone(),
            optimizer: spec.optimizer.clone(),
            batch: spec.batch.size,
            steps: spec.steps,
        };
        Self { segments: vec![segment(0, spec)] }
    }

    /// What holds at `step`.
    #[must_use]
    pub fn at(&self, step: u64) -> &Segment {
        let next = self.segments.partition_point(|segment| segment.start <= step);
        &self.segments[next.saturating_sub(1)]
    }

    /// The learning rate of update `step`.
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        let segment = self.at(step);
        segment.schedule.lr(step, segment.steps)
    }

    /// Examples in update `step`; 0 = the whole training set.
    #[must_use]
    pub fn batch(&self, step: u64) -> usize {
        self.at(step).batch
    }

    /// Updates of the whole run, after all edits.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.steps)
    }
}
