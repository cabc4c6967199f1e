//! What the network is trained to make small.

use serde::{Deserialize, Serialize};

use super::choices;

choices! {
    /// The loss.
    pub enum Loss {
        /// Softmax cross-entropy in nats, mean over examples (and positions of a sequence).
        CrossEntropy = "cross_entropy", "cross-entropy";
        /// Mean squared error over all outputs.
        Mse = "mse", "mean squared error";
    }
}

/// The loss and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveSpec {
    /// Which loss.
    pub kind: Loss,
    /// Cross-entropy: share of the target's probability that is spread evenly over all classes.
    pub label_smoothing: f64,
}

impl Default for ObjectiveSpec {
    fn default() -> Self {
        Self { kind: Loss::CrossEntropy, label_smoothing: 0.0 }
    }
}
