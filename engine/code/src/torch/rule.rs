//! The update rule in PyTorch: its own where the formula is the lab's, else written out.

use engine::spec::{DecayKind, ModelSpec, Norm, OptimizerSpec, Rule, RunSpec, Trained};

use crate::script::{self, Script};
use crate::text::number;

/// What a script needs of its update rule.
pub struct Optimizer {
    /// Rules that PyTorch does not have, or has otherwise.
    pub classes: Vec<String>,
    /// Which parameters learn, in which groups, and the optimizer.
    pub setting: String,
    /// Lines of the loop before the step.
    pub before_step: Vec<String>,
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
            | Rule::AdEmaMix
            | Rule::Adopt
            | Rule::Lamb
            | Rule::Lars
    )
}

/// What a script for PyTorch leaves to others.
pub fn reasons(spec: &RunSpec) -> Vec<String> {
    let rule = spec.optimizer.kind;
    let mut reasons = Vec::new();
    if script::slows(&spec.model) && (apart(&spec.optimizer) || layerwise(rule)) {
        reasons.push(format!("under muP its {} has no groups of its own", rule.label()));
    }
    if rule == Rule::Lars && spec.optimizer.warm > 0 {
        reasons.push("while moments are warmed, its LARS would remember nothing".to_owned());
    }
    reasons
}

/// Whether steps are as long as each layer's weights say, but for parameters that are exempt.
fn layerwise(rule: Rule) -> bool {
    matches!(rule, Rule::Lamb | Rule::Lars)
}

/// How a rule is made: its constructor and its settings.
fn made(spec: &OptimizerSpec) -> (&'static str, Vec<String>) {
    let set = |name: &str, value: f64| format!("{name}={}", number(value));
    let betas = format!("betas=({}, {})", number(spec.beta1), number(spec.beta2));
    let eps = set("eps", spec.eps);
    match spec.kind {
        Rule::Momentum => ("torch.optim.SGD", vec![set("momentum", spec.momentum)]),
        Rule::Nesterov => ("torch.optim.SGD", vec![set("momentum", spec.momentum), "nesterov=True".into()]),
        Rule::AdaGrad => ("torch.optim.Adagrad", vec![eps]),
        Rule::AdaGradNorm => ("AdaGradNorm", vec![eps]),
        Rule::RmsProp => ("torch.optim.RMSprop", vec![set("alpha", spec.beta2), eps]),
        Rule::Adam => ("torch.optim.Adam", vec![betas, eps]),
        Rule::AdamW => ("torch.optim.AdamW", vec![betas, eps]),
        Rule::NAdamW => ("NAdamW", vec![betas, eps]),
        Rule::RAdam => ("torch.optim.RAdam", vec![betas, eps]),
        Rule::Lion => ("Lion", vec![betas]),
        Rule::Adopt => ("ADOPT", vec![betas, eps]),
        Rule::AdEmaMix => {
            let betas = format!("betas=({}, {}, {})", number(spec.beta1), number(spec.beta2), number(spec.beta3));
            ("AdEMAMix", vec![betas, set("alpha", spec.alpha), set("ramp", spec.ramp as f64), eps])
        }
        Rule::Lamb => {
            let largest = if spec.largest_norm > 0.0 { number(spec.largest_norm) } else { "inf".into() };
            ("LAMB", vec![betas, eps, format!("largest_norm={largest}")])
        }
        Rule::Lars => ("LARS", vec![set("momentum", spec.momentum), set("trust", spec.trust)]),
        _ => ("torch.optim.SGD", vec![]),
    }
}

/// Whether the decay is left to the loop: it stands apart from the gradient, which this optimizer of PyTorch does not know.
fn apart(spec: &OptimizerSpec) -> bool {
    let couples =
        matches!(spec.kind, Rule::Momentum | Rule::Nesterov | Rule::AdaGrad | Rule::AdaGradNorm | Rule::RmsProp);
    couples && spec.decay_kind() == DecayKind::Decoupled && spec.weight_decay > 0.0
}

/// The rule of a run.
pub fn written(script: &Script<'_>) -> Optimizer {
    let spec = &script.spec.optimizer;
    let (class, mut settings) = made(spec);
    let decays = spec.weight_decay > 0.0;
    let mut lines = trained(script);
    let mut before_step = Vec::new();
    let exempt = spec.decay_exempt && (decays || layerwise(spec.kind));
    let inside = decays && !apart(spec);
    let mut parameters = "model.parameters()".to_owned();
    if script::slows(&script.spec.model) {
        lines.extend(slowed(spec, inside));
        parameters = "groups.values()".to_owned();
    } else if exempt {
        let [weights, others] = weighs(script);
        lines.push(format!("weights = [p for name, p in model.named_parameters() if {weights}]"));
        if inside || layerwise(spec.kind) {
            lines.push(format!("others = [p for name, p in model.named_parameters() if {others}]"));
            let of_others = if layerwise(spec.kind) { ", \"adapted\": False" } else { "" };
            parameters = format!("[{{\"params\": weights}}, {{\"params\": others, \"weight_decay\": 0{of_others}}}]");
        }
    }
    if inside {
        settings.push(format!("weight_decay={}", number(spec.weight_decay)));
    }
    if inside && spec.kind == Rule::RAdam && spec.decay_kind() == DecayKind::Decoupled {
        settings.push("decoupled_weight_decay=True".to_owned());
    }
    if !inside && !class.starts_with("torch") || (!decays && spec.kind == Rule::AdamW) {
        settings.push("weight_decay=0".to_owned());
    }
    let peak = "lr=0.0".to_owned();
    let all = [vec![parameters, peak], settings].concat();
    let line = format!("optimizer = {class}({})  # the loop sets the rate", all.join(", "));
    lines.push(match line.len() <= 100 {
        true => line,
        false => {
            let each: String = all.iter().map(|argument| format!("    {argument},\n")).collect();
            format!("optimizer = {class}(\n{each})").replace("lr=0.0,", "lr=0.0,  # the loop sets it")
        }
    });
    if apart(spec) {
        let of = if exempt { "weights" } else { "model.parameters()" };
        let some = if spec.trained == Trained::All {
            ""
        } else {
            "\n            if p.grad is None:\n                continue"
        };
        before_step.extend([
            "    with torch.no_grad():".to_owned(),
            format!("        for p in {of}:{some}"),
            format!(
                "            p.mul_(1 - optimizer.param_groups[0][\"lr\"] * {})  # decay apart from the gradient",
                number(spec.weight_decay)
            ),
        ]);
    }
    Optimizer { classes: class_of(spec).into_iter().collect(), setting: lines.join("\n"), before_step }
}

/// Which parameters multiply features, and which do not.
fn weighs(script: &Script<'_>) -> [&'static str; 2] {
    match &script.spec.model {
        ModelSpec::Mlp(_) | ModelSpec::Convnet(_) => ["p.ndim > 1", "p.ndim <= 1"],
        _ => [
            "p.ndim > 1 and not name.startswith((\"positions\", \"class\"))",
            "p.ndim <= 1 or name.startswith((\"positions\", \"class\"))",
        ],
    }
}

/// Groups of parameters whose rates differ (muP).
fn slowed(spec: &OptimizerSpec, inside: bool) -> Vec<String> {
    let mut lines = vec![
        "groups = {}".to_owned(),
        "for name, p in model.named_parameters():".to_owned(),
        "    # muP: matrices of layers learn more slowly the wider they are.".to_owned(),
        "    scale = BASE / WIDTH if name.startswith(\"blocks\") and p.ndim > 1 else 1.0".to_owned(),
    ];
    if inside {
        let decay = match spec.decay_exempt {
            true => format!("{} if p.ndim > 1 and name != \"positions\" else 0.0", number(spec.weight_decay)),
            false => number(spec.weight_decay),
        };
        lines.push(format!("    decay = {decay}"));
        lines.push("    group = groups.setdefault((scale, decay), {\"params\": [], \"scale\": scale, \"weight_decay\": decay})".to_owned());
    } else {
        lines.push("    group = groups.setdefault(scale, {\"params\": [], \"scale\": scale})".to_owned());
    }
    lines.push("    group[\"params\"].append(p)".to_owned());
    lines
}

/// Lines that let some parameters stay as they are.
fn trained(script: &Script<'_>) -> Vec<String> {
    let spec = &script.spec.optimizer;
    if spec.trained == Trained::All {
        return Vec::new();
    }
    let mut lines = vec!["model.requires_grad_(False)".to_owned()];
    if spec.trained != Trained::Output {
        lines.push("for module in model.modules():".to_owned());
        let norm = match &script.spec.model {
            ModelSpec::Mlp(mlp) if mlp.norm == Norm::Batch => "BatchNorm1d",
            ModelSpec::Convnet(_) => "BatchNorm2d",
            _ => "LayerNorm",
        };
        lines.push(format!("    if isinstance(module, nn.{norm}):"));
        lines.push("        module.requires_grad_(True)".to_owned());
    }
    if spec.trained != Trained::Norms {
        lines.push(match &script.spec.model {
            ModelSpec::Mlp(_) | ModelSpec::Convnet(_) => "model[-1].requires_grad_(True)".to_owned(),
            ModelSpec::Gpt(gpt) if gpt.tied => "model.tokens.requires_grad_(True)".to_owned(),
            _ => "model.head.requires_grad_(True)".to_owned(),
        });
    }
    lines
}

/// A rule written out.
fn class_of(spec: &OptimizerSpec) -> Option<String> {
    let coupled = spec.weight_decay > 0.0 && spec.decay_kind() == DecayKind::Coupled;
    let (name, paper, lines): (&str, &str, Vec<&str>) = match spec.kind {
        Rule::Lion => (
            "Lion",
            "The sign of a mean gradient (Chen et al. 2023, arXiv 2302.06675).",
            vec![
                "beta1, beta2 = group[\"betas\"]",
                "m = state.setdefault(\"m\", torch.zeros_like(p))",
                "p.mul_(1 - group[\"lr\"] * group[\"weight_decay\"])",
                "p.add_(torch.lerp(m, g, 1 - beta1).sign(), alpha=-group[\"lr\"])",
                "m.lerp_(g, 1 - beta2)",
            ],
        ),
        Rule::NAdamW => (
            "NAdamW",
            "AdamW that looks ahead (Dozat 2016), as in optax; torch.optim.NAdam lets the momentum grow on top of that.",
            vec![
                "beta1, beta2 = group[\"betas\"]",
                "m = state.setdefault(\"m\", torch.zeros_like(p))",
                "v = state.setdefault(\"v\", torch.zeros_like(p))",
                "t = state[\"t\"] = state.get(\"t\", 0) + 1",
                "m.lerp_(g, 1 - beta1)",
                "v.lerp_(g * g, 1 - beta2)",
                "ahead = beta1 * m / (1 - beta1 ** (t + 1)) + (1 - beta1) * g / (1 - beta1**t)",
                "p.mul_(1 - group[\"lr\"] * group[\"weight_decay\"])",
                "p.sub_(group[\"lr\"] * ahead / ((v / (1 - beta2**t)).sqrt() + group[\"eps\"]))",
            ],
        ),
        Rule::Adopt => (
            "ADOPT",
            "Adam that divides before it averages (Taniguchi et al. 2024, arXiv 2411.02853); its first step only looks.",
            vec![
                "beta1, beta2 = group[\"betas\"]",
                "m = state.setdefault(\"m\", torch.zeros_like(p))",
                "p.mul_(1 - group[\"lr\"] * group[\"weight_decay\"])",
                "t = state[\"t\"] = state.get(\"t\", 0) + 1",
                "if t == 1:",
                "    state[\"v\"] = g * g",
                "    continue",
                "bound = (t - 1) ** 0.25",
                "m.lerp_((g / state[\"v\"].sqrt().clamp(min=group[\"eps\"])).clamp(-bound, bound), 1 - beta1)",
                "state[\"v\"].lerp_(g * g, 1 - beta2)",
                "p.sub_(group[\"lr\"] * m)",
            ],
        ),
        Rule::AdEmaMix => (
            "AdEMAMix",
            "AdamW with a second mean gradient of a long memory (Pagliardini, Ablin, Grangier 2024, arXiv 2409.03137).",
            vec![
                "beta1, beta2, beta3 = group[\"betas\"]",
                "m = state.setdefault(\"m\", torch.zeros_like(p))",
                "v = state.setdefault(\"v\", torch.zeros_like(p))",
                "slow = state.setdefault(\"slow\", torch.zeros_like(p))",
                "t = state[\"t\"] = state.get(\"t\", 0) + 1",
                if spec.ramp > 0 { "done = min(t / group[\"ramp\"], 1.0)" } else { "done = 1.0" },
                // Of a beta of 0 there is no logarithm; it has no memory to grow.
                if spec.beta1 > 0.0 && spec.beta1 < spec.beta3 {
                    "memory = min(exp(1 / ((1 - done) / log(beta1) + done / log(beta3))), beta3)"
                } else {
                    "memory = beta3"
                },
                "m.lerp_(g, 1 - beta1)",
                "v.lerp_(g * g, 1 - beta2)",
                "slow.lerp_(g, 1 - memory)",
                "mixed = m / (1 - beta1**t) + done * group[\"alpha\"] * slow",
                "p.mul_(1 - group[\"lr\"] * group[\"weight_decay\"])",
                "p.sub_(group[\"lr\"] * mixed / ((v / (1 - beta2**t)).sqrt() + group[\"eps\"]))",
            ],
        ),
        Rule::Lamb => (
            "LAMB",
            "AdamW's direction, in each layer as long as the layer's weights (You et al. 2020, arXiv 1904.00962).",
            vec![
                "beta1, beta2 = group[\"betas\"]",
                "m = state.setdefault(\"m\", torch.zeros_like(p))",
                "v = state.setdefault(\"v\", torch.zeros_like(p))",
                "t = state[\"t\"] = state.get(\"t\", 0) + 1",
                "m.lerp_(g, 1 - beta1)",
                "v.lerp_(g * g, 1 - beta2)",
                "update = m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + group[\"eps\"])",
                "update = update + group[\"weight_decay\"] * p",
                "weight, length = p.norm(), update.norm()",
                "adapts = group.get(\"adapted\", True) and weight > 0 and length > 0",
                "trust = weight.clamp(max=group[\"largest_norm\"]) / length if adapts else 1.0",
                "p.sub_(group[\"lr\"] * trust * update)",
            ],
        ),
        Rule::Lars => (
            "LARS",
            "Momentum with a rate of its own for each layer (You, Gitman, Ginsburg 2017, arXiv 1708.03888).",
            vec![
                "v = state.setdefault(\"v\", torch.zeros_like(p))",
                "weight, length = p.norm(), g.norm()",
                "adapts = group.get(\"adapted\", True) and weight > 0 and length > 0",
                "decay = group[\"weight_decay\"]",
                "local = group[\"trust\"] * weight / (length + decay * weight) if adapts else 1.0",
                "v.mul_(group[\"momentum\"]).add_(group[\"lr\"] * local * (g + decay * p))",
                "p.sub_(v)",
            ],
        ),
        Rule::AdaGradNorm => {
            let lines = [
                "class AdaGradNorm(torch.optim.Optimizer):",
                "    \"\"\"One sum of squares for all parameters (Ward, Wu, Bottou 2019, arXiv 1806.01811).\"\"\"",
                "",
                "    def __init__(self, params, **settings):",
                "        super().__init__(params, settings)",
                "        self.sum = 0.0",
                "",
                "    @torch.no_grad()",
                "    def step(self):",
                "        pairs = [(p, group) for group in self.param_groups for p in group[\"params\"] if p.grad is not None]",
                if coupled {
                    "        gradients = [p.grad + group[\"weight_decay\"] * p for p, group in pairs]"
                } else {
                    "        gradients = [p.grad for p, group in pairs]"
                },
                "        self.sum = self.sum + sum((g * g).sum() for g in gradients)",
                "        for (p, group), g in zip(pairs, gradients):",
                "            p.sub_(group[\"lr\"] * g / (self.sum.sqrt() + group[\"eps\"]))",
            ];
            return Some(lines.join("\n"));
        }
        _ => return None,
    };
    let head = [
        format!("class {name}(torch.optim.Optimizer):"),
        format!("    \"\"\"{paper}\"\"\""),
        String::new(),
        "    def __init__(self, params, **settings):".to_owned(),
        "        super().__init__(params, settings)".to_owned(),
        String::new(),
        "    @torch.no_grad()".to_owned(),
        "    def step(self):".to_owned(),
        "        for group in self.param_groups:".to_owned(),
        "            for p in group[\"params\"]:".to_owned(),
        "                if p.grad is None:".to_owned(),
        "                    continue".to_owned(),
        "                state, g = self.state[p], p.grad".to_owned(),
    ];
    let body = lines.iter().map(|line| format!("                {line}"));
    Some(head.into_iter().chain(body).collect::<Vec<_>>().join("\n"))
}
