//! What the network is trained to make small.

use serde::Serialize;

use super::choices;
use crate::tree::FromTree;

choices! {
    /// The loss.
    pub enum Loss {
        /// Softmax cross-entropy in nats, mean over examples (and positions of a sequence).
        CrossEntropy = "cross_entropy", "cross-entropy";
        /// Mean squared error over all outputs; classes count as one-hot vectors.
        Mse = "mse", "mean squared error";
        /// Mean squared error of whole standardised images, of which the network sees a part (He et al. 2022, arXiv
        /// 2111.06377).
        Restore = "restore", "masked reconstruction";
    }
}

/// The loss and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct ObjectiveSpec {
    /// Which loss.
    pub kind: Loss,
    /// Cross-entropy: share of the target's probability that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// Masked reconstruction: share of the patches that are hidden.
    pub mask: f64,
    /// Masked reconstruction: side of a patch in pixels.
    pub patch: usize,
}

impl Default for ObjectiveSpec {
    fn default() -> Self {
        Self { kind: Loss::CrossEntropy, label_smoothing: 0.0, mask: 0.5, patch: 2 }
    }
}
