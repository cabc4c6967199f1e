//! How many examples a step sees, and which.

use serde::{Deserialize, Serialize};

use super::choices;

choices! {
    /// How batches are drawn from the training set.
    pub enum Sampling {
        /// Epochs: every example once, in a new order each time.
        Shuffled = "shuffled", "shuffled epochs";
        /// Each example drawn independently.
        Replacement = "replacement", "with replacement";
        /// A class drawn evenly, then an example of it.
        Balanced = "balanced", "class-balanced";
    }
}

/// Batch size and sampler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchSpec {
    /// Examples a step; 0 = the whole training set.
    pub size: usize,
    /// Examples computed at once; gradients of the micro-batches of a step are averaged. 0 = chosen by the engine.
    pub micro: usize,
    /// How examples are drawn.
    pub sampler: Sampling,
}

impl Default for BatchSpec {
    fn default() -> Self {
        Self { size: 64, micro: 0, sampler: Sampling::Shuffled }
    }
}
