//! The learning rate, and momentum, from the curvature of the batch at hand.
//!
//! Every `interval` updates stochastic Lanczos quadrature shows the spectrum of the Hessian of the batch that comes next.
//! With damping d, the curvatures to be descended lie between `l = max(smallest, 0) + d` and `L = largest + d`; directions
//! of negative curvature have no rate at which they converge and count as flat. Heavy ball on a quadratic is best at
//!
//! ```text
//! momentum = ((sqrt L - sqrt l) / (sqrt L + sqrt l))^2,   rate = (2 / (sqrt L + sqrt l))^2 = 2 (1 + momentum) / (L + l)
//! ```
//!
//! where errors along every direction shrink by `sqrt momentum` an update (Polyak 1964; Lessard, Recht, Packard 2016,
//! arXiv 1408.3595, proposition 1). The last form is best at any momentum mu that is given: along curvature c errors follow
//! `z^2 - (1 + mu - rate c) z + mu`, whose larger root grows with `|1 + mu - rate c|`, and this rate makes the largest of
//! these smallest. Without momentum it is gradient descent's `2 / (L + l)`.
//!
//! The schedule's shape, as a share of its highest point, multiplies the rate: a warm-up and a decay stay what they are. A
//! change of the batch is not scaled for: its curvature says what it does.
//!
//! Source: Granziol, Zohren, Roberts, "Learning rates as a function of batch size", 2020 (arXiv 2006.09092), whose abstract
//! names the learner. What is kept between measurements are eigenvalues, so an edit of damping or momentum acts at once.

use super::TrainError;
use crate::executor::Executor;
use crate::probe::{Curvature, Density, Operator, Point, Spectrum, run};
use crate::spec::{Auto, EffectiveSchedule, Rates, Rule, ScheduleSpec};

/// The most momentum, as of the recipe's control.
const MOST: f64 = 0.9999;
/// The highest learning rate, likewise.
const HIGHEST: f64 = 1e9;

/// The spectrum's ends as they were measured last. Rates depend on its [`numbers`](Self::numbers) and the recipe, on nothing
/// else, so a run that is rewound, resumed or replayed takes the same steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AutoRate {
    /// None before the first measurement.
    measured: Option<Measured>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    /// See [`EffectiveSchedule::rate_start`]; what counts from later on knows nothing of it.
    start: u64,
    smallest: f64,
    largest: f64,
}

impl AutoRate {
    /// Key of its numbers in checkpoints.
    pub const NAME: &'static str = "rate";

    /// Whether it wants to see the batch of update `step` before that is made.
    pub fn due(&self, schedule: &EffectiveSchedule, step: u64) -> bool {
        let recipe = &schedule.at(step).schedule;
        let since = step.saturating_sub(schedule.rate_start(step));
        recipe.auto != Auto::Off && since.is_multiple_of(recipe.interval.max(1))
    }

    /// Takes in the spectrum of update `step`'s batch, which counts from that update on. One that says nothing, because a
    /// number is not finite or no curvature is positive, changes nothing.
    pub fn observe(&mut self, schedule: &EffectiveSchedule, step: u64, seen: &Spectrum) {
        let measured = seen.range().and_then(|ends| Measured::of(schedule.rate_start(step), ends));
        self.measured = measured.or(self.measured);
    }

    /// What update `step` on `batch` examples is made with, `seen` drawn before it and `reduced` of the peak left: as planned
    /// where nothing is measured.
    pub fn rates(&self, schedule: &EffectiveSchedule, step: u64, batch: usize, seen: u64, reduced: f64) -> Rates {
        let planned = schedule.rates(step, batch, seen, reduced);
        let recipe = schedule.at(step);
        let current = self.measured.filter(|measured| measured.start == schedule.rate_start(step));
        let Some(measured) = current.filter(|_| recipe.schedule.auto != Auto::Off) else { return planned };
        let ends = measured.damped(recipe.schedule.damping);
        let keeps = recipe.optimizer.kind == Rule::Momentum;
        let momentum = match recipe.schedule.auto {
            Auto::Both if keeps => Some(best_momentum(ends)),
            _ => planned.momentum,
        };
        let kept = if keeps { momentum.unwrap_or(recipe.optimizer.momentum) } else { 0.0 };
        let lr = best_rate(ends, kept) * schedule.share(step, batch, seen, reduced);
        Rates { lr, pace: lr, momentum }
    }

    /// All that rates depend on beside the recipe.
    pub fn numbers(&self) -> Vec<f64> {
        self.measured.iter().flat_map(|m| [m.start as f64, m.smallest, m.largest]).collect()
    }

    /// Takes back [`numbers`](Self::numbers); those of no checkpoint, or of another form, give a fresh one.
    pub fn restored(numbers: &[f64]) -> Self {
        let measured = match *numbers {
            [start, smallest, largest] => Measured::of(start as u64, [smallest, largest]),
            _ => None,
        };
        Self { measured }
    }
}

impl Measured {
    /// `None` of ends that say nothing.
    fn of(start: u64, [smallest, largest]: [f64; 2]) -> Option<Self> {
        let says = smallest.is_finite() && largest.is_finite() && largest > 0.0;
        says.then_some(Self { start, smallest, largest })
    }

    /// The curvatures to be descended lie between these.
    fn damped(&self, damping: f64) -> [f64; 2] {
        [self.smallest.max(0.0) + damping, self.largest + damping]
    }
}

/// Heavy ball's momentum that is best for curvatures between `low` and `high`.
fn best_momentum([low, high]: [f64; 2]) -> f64 {
    let [low, high] = [low, high].map(libm::sqrt);
    let share = (high - low) / (high + low);
    (share * share).min(MOST)
}

/// Heavy ball's learning rate that is best for curvatures between `low` and `high` at a momentum; without one, gradient
/// descent's.
fn best_rate([low, high]: [f64; 2], momentum: f64) -> f64 {
    (2.0 * (1.0 + momentum) / (high + low)).min(HIGHEST)
}

/// Spectral density of the Hessian of the mean loss over the table rows of a batch, at the parameters of the run. Probe
/// vectors follow from seed and step.
pub async fn spectrum<E: Executor>(
    curvature: &mut Curvature,
    executor: &mut E,
    rows: &[u32],
    recipe: &ScheduleSpec,
    (seed, step): (u64, u64),
) -> Result<Spectrum, TrainError> {
    curvature.linearise(executor, Point::Run, rows).await?;
    let first = step.wrapping_mul(recipe.vectors as u64) as u32;
    let (size, lanes) = (curvature.size(), curvature.lanes());
    let mut density = Density::new(size, recipe.products, recipe.vectors, lanes, seed, first);
    run(&mut density, curvature, executor).await
}

#[cfg(test)]
mod tests;
