//! How a gradient becomes a step.

use serde::{Deserialize, Serialize};

use super::choices;

choices! {
    /// The update rule.
    pub enum Rule {
        /// theta -= lr g.
        Sgd = "sgd", "SGD";
        /// Heavy ball: m = momentum m + g; theta -= lr m.
        Momentum = "momentum", "momentum";
        /// Nesterov: m = momentum m + g; theta -= lr (g + momentum m).
        Nesterov = "nesterov", "Nesterov";
        /// Adam with bias correction and decoupled weight decay (Loshchilov, Hutter 2019).
        AdamW = "adamw", "AdamW";
    }
}

/// The update rule and its settings; the learning rate is the schedule's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSpec {
    /// Which rule.
    pub kind: Rule,
    /// Momentum and Nesterov: share of the last velocity that is kept.
    pub momentum: f64,
    /// Adam: decay of the mean of gradients.
    pub beta1: f64,
    /// Adam: decay of the mean of squared gradients.
    pub beta2: f64,
    /// Adam: added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay: theta -= lr decay theta, for every rule.
    pub weight_decay: f64,
    /// Whether biases, norms' scales and position embeddings are exempt from decay.
    pub decay_exempt: bool,
    /// Largest global norm of the gradient, to which longer ones are scaled; 0 = no clipping.
    pub clip: f64,
}

impl Default for OptimizerSpec {
    fn default() -> Self {
        Self {
            kind: Rule::AdamW,
            momentum: 0.9,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            decay_exempt: true,
            clip: 0.0,
        }
    }
}
