//! The table of update rules: one row each. From it derive the names in links, the page's controls, and what choosing a
//! rule sets; with the rule's file in `optim/` it is all that adding one takes.

use super::fields::Instead;
use super::{DecayKind, OptimizerSpec, Trained, choices};
use crate::text::Text;

/// What the recipe needs to know of an update rule.
#[derive(Debug, Clone)]
pub struct RuleRow {
    /// Fields of [`OptimizerSpec`] that only some rules have, of those this one's.
    pub settings: &'static [&'static str],
    /// The share of the last velocity, or of the last mean gradient, in its direction; `None` if it keeps neither. Muon:
    /// that of its matrices.
    pub keeps: Option<fn(&mut OptimizerSpec) -> &mut f64>,
    /// How weight decay acts; `None` = as the recipe says.
    pub decay: Option<DecayKind>,
    /// Whether its steps are linear in the gradient, so that curvature says how far they should go.
    pub linear: bool,
    /// The numbers that papers and libraries start from.
    pub usual: OptimizerSpec,
    /// What it does, the peak it wants where that is not AdamW's or SGD's, and how its form differs from torch's and optax's.
    pub effect: Text,
}

fn velocity(spec: &mut OptimizerSpec) -> &mut f64 {
    &mut spec.momentum
}

fn mean(spec: &mut OptimizerSpec) -> &mut f64 {
    &mut spec.beta1
}

/// What rules have in common.
const USUAL: OptimizerSpec = OptimizerSpec {
    kind: Rule::AdamW,
    momentum: 0.9,
    beta1: 0.9,
    beta2: 0.999,
    beta3: 0.9999,
    alpha: 5.0,
    ramp: 1000,
    basis_every: 10,
    eps: 1e-8,
    trust: 1e-3,
    largest_norm: 10.0,
    weight_decay: 0.01,
    decay: DecayKind::Decoupled,
    decay_exempt: true,
    clip: 0.0,
    warm: 0,
    rho: 0.0,
    trained: Trained::All,
};

/// Hands every row to the macro `$each`: doc comment, variant, id in links, label on the page, what `optim/` calls it, and
/// its [`RuleRow`].
macro_rules! rules {
    ($each:ident) => {
        $each! {
            /// theta -= lr g.
            Sgd = "sgd", "SGD", sgd::KERNEL => RuleRow {
                settings: &[],
                keeps: None,
                decay: None,
                linear: true,
                usual: OptimizerSpec { kind: Rule::Sgd, weight_decay: 0.0, decay: DecayKind::Coupled, ..USUAL },
                effect: Text::new("the gradient times the learning rate"),
            };
            /// Heavy ball: m = momentum m + g; theta -= lr m.
            Momentum = "momentum", "momentum", momentum::HEAVY_BALL => RuleRow {
                settings: &["momentum"],
                keeps: Some(velocity),
                decay: None,
                linear: true,
                usual: OptimizerSpec { kind: Rule::Momentum, weight_decay: 0.0, decay: DecayKind::Coupled, ..USUAL },
                effect: Text::new("steps that keep going; the rate is outside the velocity, as in torch and optax"),
            };
            /// Nesterov: m = momentum m + g; theta -= lr (g + momentum m).
            Nesterov = "nesterov", "Nesterov", momentum::NESTEROV => RuleRow {
                settings: &["momentum"],
                keeps: Some(velocity),
                decay: None,
                linear: false,
                usual: OptimizerSpec { kind: Rule::Nesterov, weight_decay: 0.0, decay: DecayKind::Coupled, ..USUAL },
                effect: Text::new("momentum that looks ahead, in the form of torch and optax"),
            };
            /// Momentum with a rate of its own for each layer, in proportion to its weights over its gradient (You, Gitman,
            /// Ginsburg 2017).
            Lars = "lars", "LARS", lars::KERNEL => RuleRow {
                settings: &["momentum", "trust"],
                keeps: Some(velocity),
                decay: Some(DecayKind::Coupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Lars, weight_decay: 0.0, ..USUAL },
                effect: Text::new("a rate of its own for each layer; wants a peak of 1 to 10 at a trust coefficient of 0.001; the rate is inside the \
                    velocity, as in the paper (optax has it outside)"),
            };
            /// By coordinate: S += g g; theta -= lr g / sqrt(S) (Duchi, Hazan, Singer 2011).
            AdaGrad = "adagrad", "AdaGrad", adagrad::KERNEL => RuleRow {
                settings: &["eps"],
                keeps: None,
                decay: None,
                linear: false,
                usual: OptimizerSpec { kind: Rule::AdaGrad, weight_decay: 0.0, decay: DecayKind::Coupled, eps: 1e-10, ..USUAL },
                effect: Text::new("ever smaller steps, by coordinate; its sum starts at 0 as in torch (optax starts at 0.1)"),
            };
            /// One sum for all: s += |g|^2; theta -= lr g / sqrt(s) (Ward, Wu, Bottou 2019).
            AdaGradNorm = "adagrad_norm", "AdaGrad-Norm", adagrad_norm::KERNEL => RuleRow {
                settings: &["eps"],
                keeps: None,
                decay: None,
                linear: false,
                usual: OptimizerSpec { kind: Rule::AdaGradNorm, weight_decay: 0.0, decay: DecayKind::Coupled, ..USUAL },
                effect: Text::new("ever smaller steps, one size for all; its sum starts at 0 (in the paper above it)"),
            };
            /// By coordinate: v is the mean of g g; theta -= lr g / sqrt(v) (Tieleman, Hinton 2012).
            RmsProp = "rmsprop", "RMSProp", rmsprop::KERNEL => RuleRow {
                settings: &["beta2", "eps"],
                keeps: None,
                decay: None,
                linear: false,
                usual: OptimizerSpec { kind: Rule::RmsProp, beta2: 0.99, weight_decay: 0.0, decay: DecayKind::Coupled, ..USUAL },
                effect: Text::new("steps over the root of the mean squared gradient, which is not rid of its start at 0, as in torch"),
            };
            /// Adam with bias correction (Kingma, Ba 2015); its decay is coupled.
            Adam = "adam", "Adam", adam::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps"],
                keeps: Some(mean),
                decay: Some(DecayKind::Coupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, ..USUAL },
                effect: Text::new("mean gradient over the root of the mean squared one"),
            };
            /// Adam with bias correction and decoupled weight decay (Loshchilov, Hutter 2019).
            AdamW = "adamw", "AdamW", adam::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::AdamW, weight_decay: 0.01, ..USUAL },
                effect: Text::new("Adam whose decay stands apart from the gradient"),
            };
            /// AdamW's direction, in each layer as long as the layer's weights (You et al. 2020).
            Lamb = "lamb", "LAMB", lamb::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps", "largest_norm"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Lamb, eps: 1e-6, weight_decay: 0.01, ..USUAL },
                effect: Text::new("Adam with steps as long as each layer's weights say; wants AdamW's peak or a few times it; norms count up to a \
                    largest one, as in the paper (optax has no bound)"),
            };
            /// The sign of a mean gradient (Chen et al. 2023).
            Lion = "lion", "Lion", lion::KERNEL => RuleRow {
                settings: &["beta1", "beta2"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Lion, beta2: 0.99, weight_decay: 0.1, ..USUAL },
                effect: Text::new("only the sign of the mean gradient; wants a peak of about a tenth of AdamW's, and more decay"),
            };
            /// Momentum with all singular values brought close to 1 for the matrices of hidden layers, AdamW for the rest
            /// (Jordan 2024; Liu et al. 2025).
            Muon = "muon", "Muon", muon::KERNEL => RuleRow {
                settings: &["momentum", "beta1", "beta2", "eps"],
                keeps: Some(velocity),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Muon, momentum: 0.95, beta2: 0.95, weight_decay: 0.1, ..USUAL },
                effect: Text::new("orthogonal steps for matrices, AdamW for the rest; AdamW's peak serves both"),
            };
            /// SGD whose running mean is the result (Defazio et al. 2024).
            ScheduleFreeSgd = "schedule_free_sgd", "Schedule-Free SGD", schedule_free::SGD => RuleRow {
                settings: &["momentum"],
                keeps: None,
                decay: Some(DecayKind::Coupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::ScheduleFreeSgd, weight_decay: 0.0, ..USUAL },
                effect: Text::new("SGD whose mean over all steps replaces a decay of the rate: that mean is what is tested, saved and probed, gradients \
                    are taken beside it; wants a constant rate, of up to ten times SGD's; steps weigh by their rate's square (in the authors' \
                    code by the largest so far)"),
            };
            /// AdamW whose running mean is the result (Defazio et al. 2024).
            ScheduleFreeAdamW = "schedule_free_adamw", "Schedule-Free AdamW", schedule_free::ADAMW => RuleRow {
                settings: &["momentum", "beta2", "eps"],
                keeps: None,
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::ScheduleFreeAdamW, weight_decay: 0.0, ..USUAL },
                effect: Text::new("AdamW whose mean over all steps replaces a decay of the rate: that mean is what is tested, saved and probed, \
                    gradients are taken beside it; wants a constant rate, 1 to 10 times AdamW's; steps weigh by their rate's square (in the \
                    authors' code by the largest so far)"),
            };
            /// AdamW that looks ahead as Nesterov's momentum does (Dozat 2016).
            NAdamW = "nadamw", "NAdamW", nadam::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::NAdamW, weight_decay: 0.01, ..USUAL },
                effect: Text::new("AdamW that looks ahead, as in optax (torch's NAdam lets the momentum grow on top of that)"),
            };
            /// AdamW with a second mean gradient of a long memory (Pagliardini, Ablin, Grangier 2024).
            AdEmaMix = "ademamix", "AdEMAMix", ademamix::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "beta3", "eps"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::AdEmaMix, weight_decay: 0.01, ..USUAL },
                effect: Text::new("AdamW that also remembers gradients of thousands of steps ago; in the paper the ramp is as long as the run"),
            };
            /// Second moments of rows and columns alone (Shazeer, Stern 2018).
            Adafactor = "adafactor", "Adafactor", adafactor::KERNEL => RuleRow {
                settings: &[],
                keeps: None,
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Adafactor, weight_decay: 0.0, ..USUAL },
                effect: Text::new("Adam's division with memory for rows and columns alone, steps in proportion to each layer's weights; wants a peak \
                    of about 0.01; the rate is the schedule's (in the paper and in torch it also falls by itself)"),
            };
            /// Adam that divides before it averages (Taniguchi et al. 2024).
            Adopt = "adopt", "ADOPT", adopt::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Adopt, beta2: 0.9999, eps: 1e-6, weight_decay: 0.0, ..USUAL },
                effect: Text::new("Adam that divides each gradient by what was known before it, so that any β₂ converges; its first step only looks \
                    (it decays all the same, which the authors' does not)"),
            };
            /// Adam that waits until it knows the squared gradient (Liu et al. 2020).
            RAdam = "radam", "RAdam", radam::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps"],
                keeps: Some(mean),
                decay: None,
                linear: false,
                usual: OptimizerSpec { kind: Rule::RAdam, weight_decay: 0.0, decay: DecayKind::Coupled, ..USUAL },
                effect: Text::new("Adam with a warm-up of its own: momentum at first, then steps that grow with what is known of the squared gradient; \
                    it begins to divide above 5 degrees of freedom, as in torch and optax (in the paper above 4)"),
            };
            /// Adam that finds its own rate (Mishchenko, Defazio 2024).
            Prodigy = "prodigy", "Prodigy", prodigy::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Prodigy, weight_decay: 0.0, ..USUAL },
                effect: Text::new("Adam that finds its own rate: it grows from almost nothing until steps no longer lead away from the start; wants a \
                    peak of 1, which multiplies it; moments are not rid of their start at 0, as in the paper"),
            };
            /// The mean gradient over the Hessian's diagonal, bounded (Liu et al. 2023).
            SophiaH = "sophia", "Sophia-H", sophia::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::SophiaH, beta1: 0.96, beta2: 0.99, eps: 1e-12, weight_decay: 0.1, ..USUAL },
                effect: Text::new("the mean gradient over the diagonal of the Hessian, each coordinate's step bounded by the rate; every tenth update \
                    estimates the diagonal on its batch, for about two gradients more; wants half of AdamW's peak"),
            };
            /// Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024).
            Soap = "soap", "SOAP", soap::KERNEL => RuleRow {
                settings: &["beta1", "beta2", "eps", "basis_every"],
                keeps: Some(mean),
                decay: Some(DecayKind::Decoupled),
                linear: false,
                usual: OptimizerSpec { kind: Rule::Soap, beta1: 0.95, beta2: 0.95, weight_decay: 0.01, ..USUAL },
                effect: Text::new("AdamW in axes along which the gradients of a matrix are uncorrelated; the authors' peak is 0.003; its first step only \
                    looks; sides longer than 256 stay as they are (in the authors' code 10,000)"),
            };
        }
    };
}
#[cfg(feature = "compute")]
pub(crate) use rules;

/// The update rules as an enum.
macro_rules! vocabulary {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $label:literal, $file:ident :: $kernel:ident => $row:expr;)+) => {
        choices! {
            /// The update rule.
            pub enum Rule {
                $($(#[$doc])* $variant = $id, $label;)+
            }
        }

        impl Rule {
            /// What each does, as [`Field::instead`](super::Field::instead) of its control has it.
            pub(super) const EFFECTS: &[Instead] = &[$(("optimizer", $id, Self::$variant.row().effect)),+];

            /// Whether the recipe has something for it: a field of [`OptimizerSpec`], `decay` where it leaves the kind open,
            /// `keeps` where it has a [`momentum`](OptimizerSpec::momentum_mut), `linear` where its steps are.
            #[must_use]
            pub fn has(self, what: &str) -> bool {
                let row = self.row();
                match what {
                    "decay" => row.decay.is_none(),
                    "keeps" => row.keeps.is_some(),
                    "linear" => row.linear,
                    field => row.settings.contains(&field),
                }
            }

            /// Its row in the table.
            #[must_use]
            pub const fn row(self) -> &'static RuleRow {
                match self { $(Self::$variant => const { &$row }),+ }
            }
        }
    };
}
rules!(vocabulary);
