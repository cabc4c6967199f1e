//! Shapes of several phases that end in a decay.

use super::clock::Clock;
use super::{Decay, ScheduleSpec};

/// Stable, then decay; over the peak.
pub fn wsd(spec: &ScheduleSpec, clock: &Clock) -> f64 {
    spec.form.fraction(clock.decayed(spec.decay_start(clock.length)), spec.floor)
}

/// Cool-down to the plateau, plateau, exponential anneal to the floor; over the peak. Cycles after the first begin on the
/// plateau.
pub fn infinite(spec: &ScheduleSpec, clock: &Clock) -> f64 {
    let start = if clock.cycle == 0 { spec.decay_start(clock.length) } else { clock.length.saturating_sub(spec.decay) };
    let cooled = spec.warmup.saturating_add(spec.cooldown);
    if clock.step >= start {
        return Decay::Exponential.between(spec.plateau, spec.floor, clock.decayed(start));
    }
    if clock.cycle > 0 || clock.step >= cooled {
        return spec.plateau;
    }
    let progress = clock.step.saturating_sub(spec.warmup) as f64 / spec.cooldown as f64;
    spec.cooling.between(1.0, spec.plateau, progress)
}

/// The power law in the tokens seen, at most the peak, then a decay from its value there.
pub fn power(spec: &ScheduleSpec, clock: &Clock) -> f64 {
    let law = |clock: Clock| (clock.batch * spec.gain * libm::pow(clock.tokens.max(1.0), spec.exponent)).min(spec.peak);
    let start = spec.decay_start(clock.length);
    if clock.step < start {
        return law(*clock);
    }
    law(clock.moved(start)) * spec.form.fraction(clock.decayed(start), spec.floor)
}
