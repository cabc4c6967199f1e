//! How a gradient becomes a step.

use serde::Serialize;

use super::{Rule, choices};
use crate::tree::FromTree;

choices! {
    /// How weight decay acts.
    pub enum DecayKind {
        /// Apart from the gradient: theta -= lr decay theta.
        Decoupled = "decoupled", "decoupled";
        /// Added to the gradient, as a penalty decay |theta|^2 / 2 on the loss would: g += decay theta.
        Coupled = "coupled", "coupled";
    }
}

choices! {
    /// Which parameters learn; the others stay as they start.
    pub enum Trained {
        /// All.
        All = "all", "all";
        /// Scales and shifts of norms alone (Frankle et al. 2021, arXiv 2003.00152).
        Norms = "norms", "norms";
        /// Norms and the output layer.
        NormsAndOutput = "norms_output", "norms and output";
        /// The output layer alone.
        Output = "output", "output";
    }
}

/// The update rule and its settings; the learning rate is the schedule's.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct OptimizerSpec {
    /// Which rule.
    pub kind: Rule,
    /// Share of the last velocity that is kept. Schedule-free rules: how far the gradient is taken from where steps go to
    /// their mean.
    pub momentum: f64,
    /// Decay of the mean of gradients. Lion: share of that mean in the step.
    pub beta1: f64,
    /// Decay of the mean of squared gradients. Lion: of the mean of gradients.
    pub beta2: f64,
    /// AdEMAMix: decay of its slow mean of gradients.
    pub beta3: f64,
    /// AdEMAMix: how many times the slow mean is added.
    pub alpha: f64,
    /// AdEMAMix: updates over which both grow to that; 0 = none.
    pub ramp: u64,
    /// SOAP: updates between two renewals of its bases.
    pub basis_every: u64,
    /// Added to divisors: the root of a second moment. ADOPT: their least value.
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
    /// Which parameters learn.
    pub trained: Trained,
}

impl OptimizerSpec {
    /// A rule with the numbers that papers and libraries start from.
    #[must_use]
    pub fn of(rule: Rule) -> Self {
        rule.row().usual.clone()
    }

    /// Changes to another rule, with its usual numbers; what is no rule's own (clipping, exemption, warm moments, SAM, what
    /// is trained) stays.
    pub fn choose(&mut self, rule: Rule) {
        if rule != self.kind {
            let Self { decay_exempt, clip, warm, rho, trained, .. } = *self;
            *self = Self { decay_exempt, clip, warm, rho, trained, ..Self::of(rule) };
        }
    }

    /// How weight decay acts under this rule.
    #[must_use]
    pub fn decay_kind(&self) -> DecayKind {
        self.kind.row().decay.unwrap_or(self.decay)
    }

    /// The share of the last velocity, or of the last mean gradient, in the rule's direction; `None` if it keeps neither.
    /// Muon: that of its matrices.
    pub fn momentum_mut(&mut self) -> Option<&mut f64> {
        self.kind.row().keeps.map(|place| place(self))
    }
}

impl Default for OptimizerSpec {
    fn default() -> Self {
        Self::of(Rule::AdamW)
    }
}
