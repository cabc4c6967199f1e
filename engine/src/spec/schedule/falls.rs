//! Shapes that only fall, over the whole span or with the steps.

use super::clock::Clock;
use super::{Decay, ScheduleSpec, Shape};

/// The learning rate over the peak.
pub fn fall(spec: &ScheduleSpec, clock: &Clock) -> f64 {
    let ScheduleSpec { warmup, floor, .. } = *spec;
    let progress = clock.progress(warmup);
    let since = clock.step.saturating_sub(warmup);
    match spec.kind {
        Shape::Linear => Decay::Linear.fraction(progress, floor),
        Shape::Cosine => Decay::Cosine.fraction(progress, floor),
        Shape::Exponential => Decay::Exponential.fraction(progress, floor),
        Shape::Polynomial => floor + (1.0 - floor) * libm::pow(1.0 - progress, spec.power),
        Shape::InverseSqrt => {
            let scale = warmup.max(1) as f64;
            libm::sqrt(scale / (scale + since as f64)).max(floor)
        }
        Shape::Step => libm::pow(spec.factor, (since / spec.period.max(1)) as f64).max(floor),
        Shape::OnPlateau => clock.reduced,
        _ => 1.0,
    }
}
