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
        /// Momentum with a rate of its own for each layer, in proportion to its weights over its gradient (You, Gitman,
        /// Ginsburg 2017).
        Lars = "lars", "LARS";
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
        /// AdamW's direction, in each layer as long as the layer's weights (You et al. 2020).
        Lamb = "lamb", "LAMB";
        /// The sign of a mean gradient (Chen et al. 2023).
        Lion = "lion", "Lion";
        /// Momentum with all singular values brought close to 1 for the matrices of hidden layers, AdamW for the rest
        /// (Jordan 2024; Liu et al. 2025).
        Muon = "muon", "Muon";
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
    /// Decay of the mean of gradients. Lion: share of that mean in the step.
    pub beta1: f64,
    /// Decay of the mean of squared gradients. Lion: of the mean of gradients.
    pub beta2: f64,
    /// Added to divisors: the root of a second moment.
    pub eps: f64,
    /// LARS: length of a layer's step over that of its weights, at learning rate 1.
    pub trust: f64,
    /// LAMB: norm beyond which that of a layer's weights makes its step no longer; 0 = none.
    pub largest_norm: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// How it acts, for rules that leave it open (see [`OptimizerSpec::decay_kind`]).
    pub decay: DecayKind,
    /// Whether biases, norms' scales and position embeddings are exempt from decay, and from the layer-wise lengths of
    /// LARS and LAMB.
    pub decay_exempt: bool,
    /// Largest global norm of the gradient, to which longer ones are scaled; 0 = no clipping.
    pub clip: f64,
    /// Warm moments: the first so many updates have learning rate 0 and move the rule's states alone.
    pub warm: u64,
    /// Sharpness-aware minimisation (Foret et al. 2021): the gradient is taken at the worst point within this distance;
    /// 0 = at theta itself.
    pub rho: f64,
}

impl OptimizerSpec {
    /// How weight decay acts under this rule.
    #[must_use]
    pub fn decay_kind(&self) -> DecayKind {
        match self.kind {
            // LARS takes a layer's norm before it adds the decay.
            Rule::Adam | Rule::Lars => DecayKind::Coupled,
            // LAMB's moments do not see the decay, its layers' lengths do.
            Rule::AdamW | Rule::Lamb | Rule::Lion | Rule::Muon => DecayKind::Decoupled,
            Rule::Sgd | Rule::Momentum | Rule::Nesterov | Rule::AdaGrad | Rule::AdaGradNorm | Rule::RmsProp => {
                self.decay
            }
        }
    }

    /// The share of the last velocity, or of the last mean gradient, in the rule's direction; `None` if it keeps neither.
    /// Muon: that of its matrices.
    pub fn momentum_mut(&mut self) -> Option<&mut f64> {
        match self.kind {
            Rule::Momentum | Rule::Nesterov | Rule::Lars | Rule::Muon => Some(&mut self.momentum),
            Rule::Adam | Rule::AdamW | Rule::Lamb | Rule::Lion => Some(&mut self.beta1),
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
            trust: 1e-3,
            largest_norm: 10.0,
            weight_decay: 0.01,
            decay: DecayKind::Decoupled,
            decay_exempt: true,
            clip: 0.0,
            warm: 0,
            rho: 0.0,
        }
    }
}
