//! The recipe that a run really follows: the spec's, as changed step by step by its edits.

use super::RunSpec;

/// The recipe in force at every step of a spec with edits. An edit at step s changes the future only: steps before s
/// keep what they had.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveSchedule {
    /// The first update of each segment and the recipe from there on, by ascending start; the first starts at 0.
    segments: Vec<(u64, RunSpec)>,
}

impl EffectiveSchedule {
    /// Resolves a spec and its edits. Edits that do not fit are skipped: [`RunSpec::validate`] names them.
    #[must_use]
    pub fn new(spec: &RunSpec) -> Self {
        let mut current = spec.clone();
        let mut edits = std::mem::take(&mut current.edits);
        edits.sort_by_key(|edit| edit.step);
        let mut segments = vec![(0, current.clone())];
        for edit in &edits {
            if current.set(&edit.path, &edit.value).is_ok() {
                segments.push((edit.step, current.clone()));
            }
        }
        Self { segments }
    }

    /// The recipe in force at update `step` (its `edits` are empty: they are spent).
    #[must_use]
    pub fn at(&self, step: u64) -> &RunSpec {
        let next = self.segments.partition_point(|(start, _)| *start <= step);
        &self.segments[next.saturating_sub(1)].1
    }

    /// The learning rate of update `step`.
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        let spec = self.at(step);
        spec.schedule.lr(step, spec.steps)
    }

    /// Examples in update `step`; 0 = the whole training set.
    #[must_use]
    pub fn batch(&self, step: u64) -> usize {
        self.at(step).batch.size
    }

    /// Updates of the whole run, after all edits.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.segments.last().map_or(0, |(_, spec)| spec.steps)
    }
}
