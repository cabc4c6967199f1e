//! The clock that a shape runs on.

use super::ScheduleSpec;

/// All that a learning rate may depend on at an update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The update, counted from 0.
    pub step: u64,
    /// Updates of the whole run.
    pub steps: u64,
    /// Examples in the update.
    pub batch: u64,
    /// Examples drawn before it.
    pub seen: u64,
    /// Tokens in an example; 1 where examples are no texts.
    pub tokens: u64,
    /// What measurements have left of the peak, in 0..=1 (see [`Shape::OnPlateau`](super::Shape::OnPlateau)).
    pub reduced: f64,
}

/// A moment as the shape sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// Steps since the shape last started; never beyond its span.
    pub step: u64,
    /// Steps of the shape.
    pub length: u64,
    /// How often it has started before.
    pub cycle: u64,
    /// The update at which it last started.
    pub start: u64,
    /// Examples in the update.
    pub batch: f64,
    /// Tokens in the update.
    update: f64,
    /// Tokens drawn in the whole run when this update is done.
    pub tokens: f64,
    /// What measurements have left of the peak.
    pub reduced: f64,
}

impl Clock {
    /// The clock of a schedule at a moment.
    pub fn of(spec: &ScheduleSpec, at: &Moment) -> Self {
        let since = at.step.min(at.steps.saturating_sub(1)).saturating_sub(spec.origin);
        let length = if spec.span > 0 { spec.span } else { at.steps.saturating_sub(spec.origin) };
        let (cycle, step) = match length {
            0 => (0, 0),
            _ if spec.repeat => (since / length, since % length),
            _ => (0, since.min(length - 1)),
        };
        let batch = at.batch as f64;
        let update = batch * at.tokens as f64;
        let start = spec.origin.saturating_add(cycle.saturating_mul(length));
        let tokens = at.seen as f64 * at.tokens as f64 + update;
        Self { step, length, cycle, start, batch, update, tokens, reduced: at.reduced }
    }

    /// The same cycle at another step, as if the batch were there what it is here.
    pub fn moved(&self, step: u64) -> Self {
        let tokens = self.tokens + (step as f64 - self.step as f64) * self.update;
        Self { step, tokens, ..*self }
    }

    /// Share of the way from step `start` to the last, in 0..=1.
    pub fn progress(&self, start: u64) -> f64 {
        let length = self.length.saturating_sub(start.saturating_add(1));
        if length == 0 {
            return if self.step > start { 1.0 } else { 0.0 };
        }
        (self.step.saturating_sub(start) as f64 / length as f64).min(1.0)
    }

    /// Share of a decay over the steps from `start` to the last, in 0..=1. A decay of one step is at its end there.
    pub fn decayed(&self, start: u64) -> f64 {
        if self.step >= start && start.saturating_add(1) >= self.length { 1.0 } else { self.progress(start) }
    }
}
