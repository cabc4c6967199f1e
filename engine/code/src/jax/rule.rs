//! The update rule by optax: what it does to a gradient, before the learning rate.

use engine::spec::{DecayKind, ModelSpec, Rule, RunSpec, Trained};

use crate::refuse;
use crate::schedule;
use crate::script::{Script, slows};
use crate::text::number;

/// What a script needs of its update rule.
pub struct Optimizer {
    /// Rules that optax does not have, or has otherwise.
    pub functions: Vec<String>,
    /// The rule.
    pub setting: String,
    /// Whether it corrects means for their start at 0, which takes double precision.
    pub exact: bool,
}

/// Whether scripts have a rule.
pub fn knows(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::Sgd
            | Rule::Momentum
            | Rule::Nesterov
            | Rule::AdaGrad
            | Rule::AdaGradNorm
            | Rule::RmsProp
            | Rule::Adam
            | Rule::AdamW
            | Rule::NAdamW
            | Rule::RAdam
            | Rule::Lion
    )
}

/// What a script for JAX leaves to others.
pub fn reasons(spec: &RunSpec) -> Vec<String> {
    let mut reasons = Vec::new();
    let drawn = refuse::drawn(spec);
    if !drawn.is_empty() {
        reasons.push(format!("the lab draws random numbers of its own for {}", drawn.join(" and ")));
    }
    if schedule::moves_momentum(spec) && spec.optimizer.kind != Rule::Sgd {
        reasons.push("momentum moves in this run, and stands still there".to_owned());
    }
    reasons
}

/// Which parameters learn, as a condition on `name`; `None` = all.
pub fn learning(script: &Script<'_>) -> Option<&'static str> {
    let tied = matches!(&script.spec.model, ModelSpec::Gpt(gpt) if gpt.tied);
    match script.spec.optimizer.trained {
        Trained::All => None,
        Trained::Norms => Some("name.endswith((\"gamma\", \"beta\"))"),
        Trained::NormsAndOutput if tied => Some("name.endswith((\"gamma\", \"beta\")) or name.startswith(\"tokens.\")"),
        Trained::NormsAndOutput => Some("name.endswith((\"gamma\", \"beta\")) or name.startswith(\"head.\")"),
        Trained::Output if tied => Some("name.startswith(\"tokens.\")"),
        Trained::Output => Some("name.startswith(\"head.\")"),
    }
}

/// The rule of a run.
pub fn written(script: &Script<'_>) -> Optimizer {
    let spec = &script.spec.optimizer;
    let [beta1, beta2, eps, momentum] = [spec.beta1, spec.beta2, spec.eps, spec.momentum].map(number);
    let own = match spec.kind {
        Rule::Momentum => Some(format!("optax.trace(decay={momentum})")),
        Rule::Nesterov => Some(format!("optax.trace(decay={momentum}, nesterov=True)")),
        Rule::AdaGrad => Some(format!("over_root_of_sum(eps={eps})")),
        Rule::AdaGradNorm => Some(format!("over_root_of_norms(eps={eps})")),
        Rule::RmsProp => Some(format!("optax.scale_by_rms(decay={beta2}, eps={eps}, eps_in_sqrt=False)")),
        Rule::Adam | Rule::AdamW => Some(format!("optax.scale_by_adam(b1={beta1}, b2={beta2}, eps={eps})")),
        Rule::NAdamW => Some(format!("optax.scale_by_adam(b1={beta1}, b2={beta2}, eps={eps}, nesterov=True)")),
        Rule::RAdam => Some(format!("optax.scale_by_radam(b1={beta1}, b2={beta2}, eps={eps})")),
        Rule::Lion => Some(format!("optax.scale_by_lion(b1={beta1}, b2={beta2})")),
        _ => None,
    };
    let mut lines = Vec::new();
    let mut parts = Vec::new();
    if spec.clip > 0.0 {
        parts.push(format!("optax.clip_by_global_norm({})", number(spec.clip)));
    }
    let decay = (spec.weight_decay > 0.0).then(|| {
        let mask = if spec.decay_exempt { ", mask=decays" } else { "" };
        format!("optax.add_decayed_weights({}{mask})", number(spec.weight_decay))
    });
    if decay.is_some() && spec.decay_exempt {
        let condition = match &script.spec.model {
            ModelSpec::Mlp(_) | ModelSpec::Convnet(_) => "value.ndim > 1",
            _ => "value.ndim > 1 and name not in (\"positions\", \"class\")",
        };
        lines.push(format!("decays = {{name: {condition} for name, value in params.items()}}"));
    }
    match spec.decay_kind() {
        DecayKind::Coupled => parts.extend(decay.into_iter().chain(own)),
        DecayKind::Decoupled => parts.extend(own.into_iter().chain(decay)),
    }
    lines.push(match &parts[..] {
        [] => "rule = optax.identity()".to_owned(),
        [one] => format!("rule = {one}"),
        several => format!("rule = optax.chain(\n    {},\n)", several.join(",\n    ")),
    });
    if slows(&script.spec.model) {
        lines.push("# muP: matrices of layers learn more slowly the wider they are.".to_owned());
        let slow = "BASE / WIDTH if name.startswith(\"blocks\") and value.ndim > 1 else 1.0";
        lines.push(format!("scale = {{name: {slow} for name, value in params.items()}}"));
    }
    let function = match spec.kind {
        Rule::AdaGrad => Some(
            "def over_root_of_sum(eps):
    \"\"\"AdaGrad; that of optax has its eps within the root.\"\"\"

    def update(gradient, sums, params):
        sums = jax.tree.map(lambda s, g: s + g * g, sums, gradient)
        return jax.tree.map(lambda s, g: g / (jnp.sqrt(s) + eps), sums, gradient), sums

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)",
        ),
        Rule::AdaGradNorm => Some(
            "def over_root_of_norms(eps):
    \"\"\"One sum of squares for all parameters (Ward, Wu, Bottou 2019, arXiv 1806.01811).\"\"\"

    def update(gradient, total, params):
        total = total + optax.tree.norm(gradient, squared=True)
        return jax.tree.map(lambda g: g / (jnp.sqrt(total) + eps), gradient), total

    return optax.GradientTransformation(lambda params: jnp.zeros(()), update)",
        ),
        _ => None,
    };
    let exact = matches!(spec.kind, Rule::Adam | Rule::AdamW | Rule::NAdamW | Rule::RAdam);
    Optimizer { functions: function.map(str::to_owned).into_iter().collect(), setting: lines.join("\n"), exact }
}
