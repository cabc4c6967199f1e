//! The learning-rate range test: a copy of the run trains while its learning rate grows from update to update, until its
//! loss diverges (Smith 2017, arXiv 1506.01186, section 3.3; stopped and smoothed as in fastai's finder, Gugger 2018).
//!
//! The copy starts from the parameters, optimizer state and place in the data that the run has; batch size, momentum and
//! all else stay as they are at its next update. It restarts on other batches, which tells a rate that the loss suggests
//! from one that the noise does. Afterwards the run goes on as if the test had never been, bit for bit.
//!
//! This module is vocabulary; `run` runs it, `record` judges its losses, `limit` measures where the curvature ends
//! stability, `figure` draws it.

#[cfg(feature = "compute")]
mod figure;
#[cfg(feature = "compute")]
mod limit;
#[cfg(feature = "compute")]
mod record;
#[cfg(feature = "compute")]
mod run;

#[cfg(test)]
mod tests;

#[cfg(feature = "compute")]
pub use limit::{Limit, StableRate};
#[cfg(feature = "compute")]
pub use record::{Point, Record};
#[cfg(feature = "compute")]
pub use run::RangeTest;
use serde::Serialize;

use crate::tree::FromTree;

use crate::figure::Figure;

/// Learning rates to try, each the same factor above the one before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, FromTree)]
pub struct Range {
    /// The first rate, positive.
    pub low: f64,
    /// The last rate, above the first and at most [`Range::MOST`].
    pub high: f64,
    /// Updates, one a rate: [`Range::UPDATES`] says how few and how many.
    pub updates: u64,
    /// Training examples that the curvature is measured on; 0 = as many as the recipe's probes are.
    #[serde(default)]
    pub samples: u64,
}

impl Default for Range {
    fn default() -> Self {
        Self { low: 1e-6, high: 10.0, updates: 100, samples: 0 }
    }
}

impl Range {
    /// The highest rate that a schedule takes.
    pub const MOST: f64 = 1e9;
    /// Fewest and most updates.
    pub const UPDATES: [u64; 2] = [20, 10_000];
    /// The most examples that the curvature is measured on.
    pub const MOST_SAMPLES: u64 = 100_000;

    /// Whether it can be tried.
    ///
    /// # Errors
    /// What is wrong, as a sentence for the person.
    pub fn check(&self) -> Result<(), String> {
        let [fewest, most] = Self::UPDATES;
        // Written so that what is no number is refused.
        if !(self.low >= 1e-12 && self.low < self.high && self.high <= Self::MOST) {
            return Err("The rates must rise, from at least 1e-12 to at most 1e9.".to_owned());
        }
        if !(fewest..=most).contains(&self.updates) {
            return Err(format!("There must be {fewest} to {most} updates."));
        }
        if self.samples > Self::MOST_SAMPLES {
            return Err(format!("The curvature can be measured on at most {} examples.", Self::MOST_SAMPLES));
        }
        Ok(())
    }

    /// The learning rate of update `i` of the test, counted from 0.
    #[must_use]
    pub fn rate(&self, i: u64) -> f64 {
        let share = i as f64 / (self.updates.max(2) - 1) as f64;
        self.low * libm::pow(self.high / self.low, share)
    }
}

/// The figure of a test before it has begun.
#[must_use]
pub fn outline() -> Figure {
    Figure {
        id: "find-lr".into(),
        title: "Loss over learning rate".into(),
        empty: "The loss at ever larger learning rates appears here.".into(),
        ..Figure::default()
    }
}

/// A learning rate that a rule reads off the test.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Suggestion {
    /// The rule, in a few words.
    pub rule: String,
    /// The rate.
    pub rate: f64,
    /// The lowest and the highest that restarts on other batches say; the rate itself where no batch differs.
    pub band: [f64; 2],
}

impl Suggestion {
    /// Restarts further apart than this factor say that noise decides.
    const TELLING: f64 = 3.0;

    /// Whether the batches that happened to come decide it more than the rate does.
    #[must_use]
    pub fn noisy(&self) -> bool {
        self.band[1] > Self::TELLING * self.band[0]
    }
}
