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
        /// By coordinate: S += g g; theta -= lr g / sqrt(S) (Duchi, Hazan, Singer 2011).
        AdaGrad = "adagrad", "AdaGrad";
        /// One sum for all: s += |g|^2; theta -= lr g / sqrt(s) (Ward, Wu, Bottou 2019).
        AdaGradNorm = "adagrad_norm", "AdaGrad-Norm";
        /// By coordinate: v is the mean of g g; theta -= lr g / sqrt(v) (Tieleman, Hinton 2012).
        RmsProp = "rmsprop", "RMSProp";
        /// Adam with bias correction (Kingma, Ba 2015); its decay is coupled.
        Adam = "adam", "Adam";
        /// Adam with bias correction and decoupled weight decay (Loshchilov, Hutter 2019).
        AdamW = "adamw", "AdamW";
    }
}

choices! {
    /// How weight decay acts.
    pub enum DecayKind {
        /// Apart from the gradient: theta -= lr decay theta.
        Decoupled = "decoupled", "decoupled";
        /// Added to the gradient, as a penalty decay |theta|^2 / 2 on the loss would: g += decay theta.
        Coupled = "coupled", "coupled";
    }
}

/// The update rule and its settings; the learning rate is the schedule's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct OptimizerSpec {
    /// Which rule.
    pub kind: Rule,
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to divisors: the root of a second moment.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// How it acts; Adam's is always coupled, AdamW's decoupled (see [`OptimizerSpec::decay_kind`]).
    pub decay: DecayKind,
    /// Whether biases, norms' scales and position embeddings are exempt from decay.
    pub decay_exempt: bool,
    /// Largest global norm of the gradient, to which longer ones are scaled; 0 = no clipping.
    pub clip: f64,
    /// Warm moments: the first so many updates have learning rate 0 and move the rule's states alone.
    pub warm: u64,
}

impl OptimizerSpec {
    /// How weight decay acts under this rule.
    #[must_use]
    pub fn decay_kind(&self) -> DecayKind {
        match self.kind {
            Rule::Adam => DecayKind::Coupled,
            Rule::AdamW => DecayKind::Decoupled,
            _ => self.decay,
        }
    }

    /// The share of the last velocity, or of the last mean gradient, that the rule keeps; `None` if it keeps neither.
    pub fn momentum_mut(&mut self) -> Option<&mut f64> {
        match self.kind {
            Rule::Momentum | Rule::Nesterov => Some(&mut self.momentum),
            Rule::Adam | Rule::AdamW => Some(&mut self.beta1),
            Rule::Sgd | Rule::AdaGrad | Rule::AdaGradNorm | Rule::RmsProp => None,
        }
    }
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
            decay: DecayKind::Decoupled,
            decay_exempt: true,
            clip: 0.0,
            warm: 0,
        }
    }
}
