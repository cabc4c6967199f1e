//! What sets the height of the learning rate: the recipe, or measurements of the curvature (`train/auto_rate.rs`).

use super::{Moment, ScheduleSpec};
use crate::spec::{OptimizerSpec, Trained, choices};

choices! {
    /// What is set from the spectrum of the batch's Hessian, as it is measured on the way (Granziol, Zohren, Roberts 2020,
    /// arXiv 2006.09092).
    pub enum Auto {
        /// Nothing.
        Off = "off", "nothing";
        /// The learning rate that is best for the momentum in force. The schedule's shape multiplies it.
        Rate = "rate", "the rate";
        /// Momentum too.
        Both = "both", "rate and momentum";
    }
}

impl Auto {
    /// Whether curvature says how far an optimizer should go: its steps must be linear in the gradient where it stands,
    /// and go anywhere, as the curvature is that of all parameters.
    #[must_use]
    pub fn fits(self, optimizer: &OptimizerSpec) -> bool {
        self == Self::Off || (optimizer.kind.row().linear && optimizer.rho == 0.0 && optimizer.trained == Trained::All)
    }
}

impl ScheduleSpec {
    /// The learning rate of an update over the highest that the shape reaches: finite and at least 0.
    #[must_use]
    pub fn share_at(&self, at: &Moment) -> f64 {
        let top = self.top();
        if top > 0.0 { self.lr_at(at) / top } else { 0.0 }
    }
}
