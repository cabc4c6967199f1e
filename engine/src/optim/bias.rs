//! Moving averages that start at 0, and how they are rid of that start.

use super::kernel;
use crate::spec::OptimizerSpec;

/// How much of its zero start a moving average still is: the product of the shares that it kept, over all updates so far.
/// Of a constant share beta after t updates that is beta^t; shares that a schedule or a hand moves multiply as they were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bias {
    /// Of the mean gradient.
    mean: f64,
    /// Of the mean squared gradient.
    square: f64,
    /// Updates so far.
    updates: f64,
}

impl Bias {
    /// What a checkpoint calls it.
    pub const NAME: &'static str = "bias";
    /// Before the first update.
    pub const START: Self = Self { mean: 1.0, square: 1.0, updates: 0.0 };

    /// After so many updates with the same settings.
    #[must_use]
    pub fn after(spec: &OptimizerSpec, updates: u64) -> Self {
        Self::START.advanced(spec, updates)
    }

    /// After so many updates more, with these settings.
    #[must_use]
    pub fn advanced(self, spec: &OptimizerSpec, updates: u64) -> Self {
        // libm, not the platform: the same bits natively and in WASM.
        let updates = updates as f64;
        let looked = kernel(spec.kind).looks && self.updates == 0.0;
        let averaged = if looked { (updates - 1.0).max(0.0) } else { updates };
        let power = |beta: f64| libm::pow(beta, averaged);
        Self {
            mean: self.mean * power(spec.beta1),
            square: self.square * power(spec.beta2),
            updates: self.updates + updates,
        }
    }

    /// What the mean gradient is to be multiplied by; infinite before the first update.
    #[must_use]
    pub fn mean_correction(&self) -> f64 {
        1.0 / (1.0 - self.mean)
    }

    /// What the mean squared gradient is to be multiplied by.
    #[must_use]
    pub fn square_correction(&self) -> f64 {
        1.0 / (1.0 - self.square)
    }

    /// How much of its start the mean squared gradient still is.
    #[must_use]
    pub(super) fn square(&self) -> f64 {
        self.square
    }

    /// Updates so far.
    #[must_use]
    pub(super) fn updates(&self) -> f64 {
        self.updates
    }

    /// As in a checkpoint.
    #[must_use]
    pub fn numbers(&self) -> Vec<f64> {
        vec![self.mean, self.square, self.updates]
    }

    /// Takes back [`numbers`](Self::numbers); `None` of those of no checkpoint.
    #[must_use]
    pub fn restored(numbers: &[f64]) -> Option<Self> {
        match *numbers {
            _ if numbers.iter().any(|number| !number.is_finite()) => None,
            [mean, square, updates] => Some(Self { mean, square, updates }),
            // Of an earlier build, whose rules do not count.
            [mean, square] => Some(Self { mean, square, updates: 0.0 }),
            _ => None,
        }
    }
}
