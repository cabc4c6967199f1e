//! The learning rate as a function of the step: one evaluator for the lane drawn ahead of a run and for the run itself.

use serde::{Deserialize, Serialize};

use super::choices;

choices! {
    /// The shape of the schedule after its warm-up.
    pub enum Shape {
        /// The peak throughout.
        Constant = "constant", "constant";
        /// Half a cosine from the peak to the floor at the last step.
        Cosine = "cosine", "cosine";
        /// Warm-up, stable, decay: the peak, then a decay over the last steps (Hu et al. 2024, arXiv 2404.06395).
        Wsd = "wsd", "WSD";
    }
}

choices! {
    /// How a decay falls from 1 (its start) to the floor (its end).
    pub enum Decay {
        /// Straight.
        Linear = "linear", "linear";
        /// Half a cosine.
        Cosine = "cosine", "cosine";
        /// 1 - sqrt(progress): fast at first.
        Sqrt = "sqrt", "1 − √";
        /// Geometric; a floor of 0 is taken as 0.001, which it reaches.
        Exponential = "exponential", "exponential";
    }
}

/// The learning rate's schedule. Steps count from 0, the first update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// Shape after the warm-up.
    pub kind: Shape,
    /// Highest learning rate.
    pub peak: f64,
    /// Steps of linear warm-up: step s < warmup runs at peak (s + 1) / warmup.
    pub warmup: u64,
    /// WSD: steps of the decay, which ends with the run.
    pub decay: u64,
    /// WSD: form of the decay.
    pub form: Decay,
    /// Learning rate at the end of a decay, as a fraction of the peak.
    pub floor: f64,
}

impl Default for ScheduleSpec {
    fn default() -> Self {
        Self { kind: Shape::Cosine, peak: 2e-3, warmup: 20, decay: 100, form: Decay::Linear, floor: 0.0 }
    }
}

impl ScheduleSpec {
    /// The learning rate of update `step` in a run of `steps`; after the end it stays at its last value.
    #[must_use]
    pub fn lr(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup {
            return self.peak * ((step + 1) as f64 / self.warmup as f64);
        }
        let (start, form) = match self.kind {
            Shape::Constant => return self.peak,
            Shape::Cosine => (self.warmup, Decay::Cosine),
            Shape::Wsd => (self.decay_start(steps), self.form),
        };
        self.peak * form.fraction(progress(step, start, steps), self.floor)
    }

    /// WSD: the first step of the decay, never within the warm-up.
    #[must_use]
    pub fn decay_start(&self, steps: u64) -> u64 {
        steps.saturating_sub(self.decay).max(self.warmup)
    }
}

/// Share of the way from step `start` to the last of `steps`, in 0..=1.
fn progress(step: u64, start: u64, steps: u64) -> f64 {
    let length = steps.saturating_sub(start.saturating_add(1));
    if length == 0 {
        return if step > start { 1.0 } else { 0.0 };
    }
    (step.saturating_sub(start) as f64 / length as f64).min(1.0)
}

impl Decay {
    /// The factor at `progress` in 0..=1: 1 at 0, `floor` at 1.
    #[must_use]
    pub fn fraction(self, progress: f64, floor: f64) -> f64 {
        let fallen = match self {
            Self::Linear => progress,
            // libm, not the platform: the same bits natively and in WASM.
            Self::Cosine => 0.5 * (1.0 - libm::cos(core::f64::consts::PI * progress)),
            Self::Sqrt => libm::sqrt(progress),
            Self::Exponential => {
                let floor = if floor > 0.0 { floor } else { 1e-3 };
                return libm::pow(floor, progress);
            }
        };
        1.0 - (1.0 - floor) * fallen
    }
}
