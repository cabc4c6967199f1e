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

    /// The learning rate of update `step`; 0 while it only warms the optimizer's moments.
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        let spec = self.at(step);
        if step < spec.optimizer.warm {
            return 0.0;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Edit;

    fn edit(step: u64, path: &str, value: &str) -> Edit {
        Edit { step, path: path.into(), value: value.into() }
    }

    #[test]
    fn edits_change_the_future_only() {
        let plain = RunSpec::default();
        let edited = RunSpec {
            edits: vec![
                edit(100, "batch.size", "256"),
                edit(100, "schedule.peak", "0.5"),
                edit(300, "schedule", "constant"),
                edit(400, "steps", "900"),
            ],
            ..plain.clone()
        };
        assert_eq!(edited.validate(), []);
        let (before, after) = (EffectiveSchedule::new(&plain), EffectiveSchedule::new(&edited));
        for step in 0..100 {
            assert_eq!(before.lr(step), after.lr(step));
            assert_eq!(after.batch(step), 64);
        }
        assert_eq!(after.batch(100), 256);
        assert_eq!(after.lr(200), before.lr(200) / plain.schedule.peak * 0.5);
        assert_eq!(after.lr(899), 0.5);
        assert_eq!((before.steps(), after.steps()), (600, 900));
    }

    #[test]
    fn recorded_edits_are_in_order_and_one_a_step_and_control() {
        let mut spec = RunSpec::default();
        assert_eq!(spec.record(200, "schedule.peak", "0.010").unwrap(), edit(200, "schedule.peak", "0.01"));
        spec.record(100, "batch.size", "32").unwrap();
        spec.record(200, "schedule.peak", "0.02").unwrap();
        let recorded = spec.clone();
        assert_eq!(spec.edits, [edit(100, "batch.size", "32"), edit(200, "schedule.peak", "0.02")]);
        for (step, path, value) in
            [(5, "model.depth", "3"), (5, "batch.size", "x"), (601, "batch.size", "8"), (0, "", "")]
        {
            let issue = spec.record(step, path, value).unwrap_err();
            assert_eq!(issue.path, path);
        }
        // Ending the run before an edit that is already there.
        assert!(spec.record(50, "steps", "150").is_err());
        assert_eq!(spec, recorded);
    }

    #[test]
    fn edits_that_do_not_fit_are_skipped_and_named() {
        let mut spec = RunSpec {
            edits: vec![
                edit(10, "model.depth", "4"),
                edit(20, "batch.size", "lots"),
                edit(30, "batch.size", "128"),
                edit(700, "batch.size", "32"),
                edit(1, "no such", "1"),
            ],
            ..RunSpec::default()
        };
        let issues = spec.validate();
        assert_eq!(issues.len(), 4);
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["no such", "model.depth", "batch.size", "batch.size"]);
        spec.sanitize();
        assert_eq!(spec.edits, [edit(30, "batch.size", "128")]);
        assert_eq!(spec.validate(), []);
    }
}
