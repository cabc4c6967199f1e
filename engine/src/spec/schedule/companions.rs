//! What goes with the learning rate: the batch size that it scales with, and the momentum that moves with it.

use super::clock::Clock;
use super::{Moment, ScheduleSpec, Shape, cycles, drawn};
use crate::spec::choices;

choices! {
    /// What a change of the batch size does to the learning rate.
    pub enum Scaling {
        /// Nothing.
        None = "none", "none";
        /// In proportion to the batch: the same step for the same examples (Goyal et al. 2017, arXiv 1706.02677).
        Linear = "linear", "linear";
        /// With its root: the same spread of the step (Krizhevsky 2014, arXiv 1404.5997).
        Sqrt = "sqrt", "square root";
    }
}

choices! {
    /// How momentum moves with the learning rate.
    pub enum Momentum {
        /// Not at all.
        Constant = "constant", "constant";
        /// Lowest where the learning rate is highest (one-cycle: Smith 2018, arXiv 1803.09820, section 4.3).
        Counter = "counter", "against the rate";
        /// Highest where the learning rate is highest.
        Along = "along", "with the rate";
    }
}

impl ScheduleSpec {
    /// What a batch of `batch` examples multiplies the learning rate by in a recipe made for `base`. Power is in
    /// proportion to the batch by itself.
    pub(in crate::spec) fn scale(&self, batch: usize, base: usize) -> f64 {
        let ratio = batch as f64 / base.max(1) as f64;
        match self.scaling {
            _ if self.kind == Shape::Power => 1.0,
            Scaling::None => 1.0,
            Scaling::Linear => ratio,
            Scaling::Sqrt => libm::sqrt(ratio),
        }
    }

    /// Momentum of an update, `high` being that of the optimizer; `None` where it does not move.
    #[must_use]
    pub fn momentum_at(&self, at: &Moment, high: f64) -> Option<f64> {
        let share = match self.momentum {
            Momentum::Constant => return None,
            Momentum::Counter => self.height(at),
            Momentum::Along => 1.0 - self.height(at),
        };
        Some(high - (high - self.low) * share)
    }

    /// The highest learning rate.
    pub(super) fn top(&self) -> f64 {
        if self.kind == Shape::Drawn { drawn::highest(self) } else { self.peak }
    }

    /// How high the learning rate is between 0 and its highest value, in 0..=1; one-cycle: between the end of its rise or
    /// fall and the peak, so that momentum goes all the way.
    fn height(&self, at: &Moment) -> f64 {
        let top = self.top();
        let bottom = match self.kind {
            Shape::OneCycle if cycles::rising(self, &Clock::of(self, at)).is_some() => top * self.start,
            Shape::OneCycle => top * self.floor,
            _ => 0.0,
        };
        if top > bottom { ((self.lr_at(at) - bottom) / (top - bottom)).clamp(0.0, 1.0) } else { 1.0 }
    }
}
