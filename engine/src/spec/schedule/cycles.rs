//! Shapes that rise again.

use super::clock::Clock;
use super::{Decay, ScheduleSpec};

/// Cosines from the peak towards the floor, which a restart forestalls; over the peak.
pub fn restarts(spec: &ScheduleSpec, clock: &Clock) -> f64 {
    let mut length = spec.period.max(1);
    let mut since = clock.step.saturating_sub(spec.warmup);
    if spec.multiplier > 1 {
        while since >= length {
            since -= length;
            length = length.saturating_mul(spec.multiplier);
        }
    } else {
        since %= length;
    }
    Decay::Cosine.fraction(since as f64 / length as f64, spec.floor)
}

/// Up from the start within the warm-up's steps, then down to the floor at the last step; over the peak.
pub fn one_cycle(spec: &ScheduleSpec, clock: &Clock) -> f64 {
    let ScheduleSpec { start, floor, form, .. } = *spec;
    match rising(spec, clock) {
        Some(progress) => form.between(start, 1.0, progress),
        None => form.between(1.0, floor, clock.progress(spec.warmup)),
    }
}

/// One-cycle: share of the rise that is done, in 0..1; `None` once it is over.
pub fn rising(spec: &ScheduleSpec, clock: &Clock) -> Option<f64> {
    (clock.step < spec.warmup).then(|| clock.step as f64 / spec.warmup as f64)
}
