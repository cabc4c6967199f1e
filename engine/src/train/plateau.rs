//! Reduce on plateau: the learning rate drops whenever the held-out loss has not improved for a while.
//!
//! Every `period` updates the loss on a fixed part of the test set is held against the best so far. After more than
//! `patience` measurements in a row without a better one the rate is multiplied by `cut`, never below the floor; `rest`
//! measurements after that count for nothing. It is PyTorch's
//! [`ReduceLROnPlateau`](https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html)
//! with mode `min` and a relative threshold, stepped by these losses. What it decides on is no longer unseen.

use super::Evaluation;
use crate::spec::{EffectiveSchedule, ScheduleSpec, Shape};

/// Test examples that are asked, at most: as many as evaluations on the way take unless told otherwise, so that both are
/// one where they fall together.
pub const EXAMPLES: usize = 500;

/// A drop of the learning rate by no more than this is none.
const LEAST: f64 = 1e-8;

/// What the held-out losses have come to. The rate depends on its [`numbers`](Self::numbers) and the recipe, on nothing
/// else, so a run that is rewound, resumed or replayed takes the same steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plateau {
    /// None before the first measurement.
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    /// See [`EffectiveSchedule::plateau_start`]; what counts from later on knows nothing of it.
    start: u64,
    /// The update before which it was measured last: one that is given up and begun again counts once.
    step: u64,
    best: f64,
    /// Measurements in a row that were no better.
    bad: u64,
    /// Measurements that still count for nothing.
    resting: u64,
    /// What is left of the peak.
    reduced: f64,
}

impl Plateau {
    /// Key of its numbers in checkpoints.
    pub const NAME: &'static str = "plateau";

    /// What has been seen since the shape in force at update `step` started.
    fn seen(&self, schedule: &EffectiveSchedule, step: u64) -> Option<Seen> {
        let on = schedule.at(step).schedule.kind == Shape::OnPlateau;
        self.seen.filter(|seen| on && seen.start == schedule.plateau_start(step))
    }

    /// What is left of the peak at update `step`.
    pub fn reduced(&self, schedule: &EffectiveSchedule, step: u64) -> f64 {
        self.seen(schedule, step).map_or(1.0, |seen| seen.reduced)
    }

    /// Whether it wants the held-out loss before update `step` is made.
    pub fn due(&self, schedule: &EffectiveSchedule, step: u64) -> bool {
        let recipe = &schedule.at(step).schedule;
        let since = step.saturating_sub(schedule.plateau_start(step));
        recipe.kind == Shape::OnPlateau
            && since > 0
            && since.is_multiple_of(recipe.period.max(1))
            && self.seen(schedule, step).is_none_or(|seen| seen.step != step)
    }

    /// Takes in the held-out loss before update `step`, whose rate it may bring down. Without a test set nothing changes.
    pub fn observe(&mut self, schedule: &EffectiveSchedule, step: u64, held_out: &Evaluation) {
        if held_out.losses.is_empty() {
            return;
        }
        let fresh =
            Seen { start: schedule.plateau_start(step), step, best: f64::INFINITY, bad: 0, resting: 0, reduced: 1.0 };
        let mut seen = Seen { step, ..self.seen(schedule, step).unwrap_or(fresh) };
        seen.take(&schedule.at(step).schedule, held_out.loss);
        self.seen = Some(seen);
    }

    /// All that rates depend on beside the recipe.
    pub fn numbers(&self) -> Vec<f64> {
        let numbers = |s: &Seen| [s.start as f64, s.step as f64, s.best, s.bad as f64, s.resting as f64, s.reduced];
        self.seen.iter().flat_map(numbers).collect()
    }

    /// Takes back [`numbers`](Self::numbers); those of no checkpoint, or of another form, give a fresh one.
    pub fn restored(numbers: &[f64]) -> Self {
        let seen = match *numbers {
            [start, step, best, bad, resting, reduced] if reduced.is_finite() => {
                let [start, step, bad, resting] = [start, step, bad, resting].map(|number| number as u64);
                Some(Seen { start, step, best, bad, resting, reduced: reduced.clamp(0.0, 1.0) })
            }
            _ => None,
        };
        Self { seen }
    }
}

impl Seen {
    /// One loss, which is no better where it is not finite.
    fn take(&mut self, recipe: &ScheduleSpec, loss: f64) {
        if loss < self.best * (1.0 - recipe.threshold) {
            (self.best, self.bad) = (loss, 0);
        } else {
            self.bad += 1;
        }
        if self.resting > 0 {
            self.resting -= 1;
            self.bad = 0;
        }
        if self.bad > recipe.patience {
            let reduced = (self.reduced * recipe.cut).max(recipe.floor);
            if recipe.peak * (self.reduced - reduced) > LEAST {
                self.reduced = reduced;
            }
            (self.resting, self.bad) = (recipe.rest, 0);
        }
    }
}

#[cfg(test)]
mod tests;
