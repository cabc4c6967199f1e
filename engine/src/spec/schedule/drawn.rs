//! A schedule through points drawn by hand.

use super::clock::Clock;
use super::{Decay, ScheduleSpec};
use crate::decimal::number;
use crate::spec::choices;
use crate::spec::control::{excerpt, three_digits};

choices! {
    /// What lies between two points drawn by hand.
    pub enum Between {
        /// A straight line.
        Linear = "linear", "linear";
        /// The same factor every step; straight where an end is 0.
        Log = "log", "logarithmic";
    }
}

/// The points of a schedule that nobody has drawn yet.
pub const DEFAULT_POINTS: &str = "0:0.002,300:0.002,599:0.0002";

/// The most points.
pub const MAX_POINTS: usize = 100;

/// Reads `step:lr` pairs with commas: steps in ascending order, learning rates finite and at least 0.
///
/// # Errors
/// What is wrong, as a sentence without its subject.
pub fn read_points(text: &str) -> Result<Vec<(u64, f64)>, String> {
    let mut points: Vec<(u64, f64)> = Vec::new();
    for pair in text.split(',') {
        let read = || {
            let (step, lr) = pair.split_once(':')?;
            let lr = number(lr).filter(|lr| (0.0..=1e9).contains(lr))?;
            Some((step.trim().parse().ok()?, lr))
        };
        let Some((step, lr)) = read() else {
            return Err(format!("must be pairs such as 0:0.002,300:0.001, not “{}”", excerpt(pair)));
        };
        if points.last().is_some_and(|(last, _)| *last >= step) {
            return Err(format!("must have ascending steps; {step} is not"));
        }
        if points.len() == MAX_POINTS {
            return Err(format!("must have at most {MAX_POINTS} points"));
        }
        points.push((step, lr));
    }
    Ok(points)
}

/// Writes what [`read_points`] reads, with three digits.
pub fn write_points(points: &[(u64, f64)]) -> String {
    let pairs: Vec<String> = points.iter().map(|(step, lr)| format!("{step}:{}", three_digits(*lr))).collect();
    pairs.join(",")
}

/// The learning rate at a step of the shape's clock. Points that cannot be read stand for a rate of 0: validation does
/// not let them through.
pub fn lr(spec: &ScheduleSpec, clock: &Clock) -> f64 {
    through(&read_points(&spec.points).unwrap_or_default(), clock.step, spec.between)
}

/// The value at a step of a curve through points: that of the first before it, that of the last after it; 0 without any.
pub fn through(points: &[(u64, f64)], step: u64, between: Between) -> f64 {
    let next = points.partition_point(|(at, _)| *at <= step);
    match (next.checked_sub(1).and_then(|i| points.get(i)), points.get(next)) {
        (Some((from, a)), Some((to, b))) => {
            let progress = (step - from) as f64 / (to - from) as f64;
            let form = if between == Between::Log && *a > 0.0 && *b > 0.0 { Decay::Exponential } else { Decay::Linear };
            form.between(*a, *b, progress)
        }
        (Some((_, lr)), None) | (None, Some((_, lr))) => *lr,
        (None, None) => 0.0,
    }
}

/// The learning rate of the highest point.
pub fn highest(spec: &ScheduleSpec) -> f64 {
    read_points(&spec.points).unwrap_or_default().iter().fold(0.0, |top, (_, lr)| lr.max(top))
}
