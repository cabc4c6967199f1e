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

/// A point of the schedule's curve that can be dragged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// Where the warm-up ends: drags the warm-up's length and the peak.
    Peak,
    /// WSD: where the decay starts: drags its length and the peak.
    DecayStart,
    /// The last step: drags the floor.
    End,
}

impl ScheduleSpec {
    /// The points that can be dragged, with the step and learning rate at which they lie in a run of `steps`.
    #[must_use]
    pub fn handles(&self, steps: u64) -> Vec<(Handle, u64, f64)> {
        let mut handles = vec![(Handle::Peak, self.warmup, self.peak)];
        if self.kind == Shape::Wsd {
            handles.push((Handle::DecayStart, self.decay_start(steps), self.peak));
        }
        if self.kind != Shape::Constant {
            let last = steps.saturating_sub(1);
            handles.push((Handle::End, last, self.lr(last, steps)));
        }
        handles
    }

    /// The controls that dragging a handle to (`step`, `lr`) turns, and their new values, written as in a link. The
    /// learning rate is rounded to three digits: a hand has no more.
    #[must_use]
    pub fn dragged(&self, handle: Handle, step: u64, lr: f64, steps: u64) -> Vec<(&'static str, String)> {
        let three_digits = |number: f64| {
            let rounded = format!("{:.2e}", number.max(0.0)).parse().unwrap_or(number);
            super::control::show_number(rounded)
        };
        match handle {
            Handle::Peak => vec![("schedule.warmup", step.to_string()), ("schedule.peak", three_digits(lr))],
            Handle::DecayStart => {
                let decay = steps.saturating_sub(step.max(self.warmup));
                vec![("schedule.decay", decay.to_string()), ("schedule.peak", three_digits(lr))]
            }
            Handle::End if self.peak > 0.0 => {
                vec![("schedule.floor", three_digits((lr / self.peak).clamp(0.0, 1.0)))]
            }
            Handle::End => Vec::new(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: Shape) -> ScheduleSpec {
        ScheduleSpec { kind, peak: 0.4, warmup: 4, decay: 5, form: Decay::Linear, floor: 0.1 }
    }

    fn curve(schedule: &ScheduleSpec, steps: u64) -> Vec<f64> {
        (0..steps).map(|step| schedule.lr(step, steps)).collect()
    }

    fn assert_close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        }
    }

    #[test]
    fn warm_up_rises_in_equal_steps_to_the_peak() {
        for kind in Shape::ALL {
            assert_close(&curve(&schedule(*kind), 20)[..5], &[0.1, 0.2, 0.3, 0.4, 0.4]);
        }
    }

    #[test]
    fn wsd_is_stable_then_falls_to_the_floor_at_the_last_step() {
        let mut wsd = schedule(Shape::Wsd);
        let lr = curve(&wsd, 20);
        assert_close(&lr[4..16], &[0.4; 12]);
        assert_close(&lr[15..], &[0.4, 0.31, 0.22, 0.13, 0.04]);
        for (form, middle) in
            [(Decay::Cosine, 0.55), (Decay::Sqrt, 1.0 - 0.9 * 0.5_f64.sqrt()), (Decay::Exponential, 0.1_f64.sqrt())]
        {
            wsd.form = form;
            let lr = curve(&wsd, 20);
            assert_close(&[lr[15], lr[17], lr[19]], &[0.4, 0.4 * middle, 0.04]);
        }
    }

    #[test]
    fn cosine_follows_its_formula() {
        let cosine = schedule(Shape::Cosine);
        for step in 4..20_u64 {
            let angle = core::f64::consts::PI * (step - 4) as f64 / 15.0;
            assert_close(&[cosine.lr(step, 20)], &[0.04 + 0.36 * 0.5 * (1.0 + angle.cos())]);
        }
        assert_close(&[cosine.lr(20, 20), cosine.lr(u64::MAX, 20)], &[0.04; 2]);
    }

    #[test]
    fn short_runs_and_empty_phases_are_defined() {
        for kind in Shape::ALL {
            for (warmup, decay, steps) in [(0, 0, 1), (0, 0, 2), (50, 50, 10), (0, 100, 10), (3, 7, 10), (0, 0, 0)] {
                let schedule = ScheduleSpec { warmup, decay, ..schedule(*kind) };
                assert!(curve(&schedule, steps + 3).iter().all(|lr| (0.0..=0.4 + 1e-12).contains(lr)));
            }
        }
    }

    #[test]
    fn a_dragged_handle_lands_where_it_was_dropped() {
        let wsd = schedule(Shape::Wsd);
        for (handle, step, lr) in [(Handle::Peak, 6, 0.8), (Handle::DecayStart, 9, 0.2), (Handle::End, 19, 0.1)] {
            let mut spec = crate::spec::RunSpec { schedule: wsd.clone(), steps: 20, ..Default::default() };
            for (path, value) in wsd.dragged(handle, step, lr, 20) {
                spec.set(path, &value).unwrap();
            }
            let moved = spec.schedule.handles(20).into_iter().find(|found| found.0 == handle).unwrap();
            assert_eq!(moved.1, step);
            assert_close(&[moved.2], &[lr]);
        }
    }
}
