//! The update rule by burn's optimizers.

use engine::spec::{DecayKind, ModelSpec, Rule, RunSpec, Trained};

use crate::refuse;
use crate::schedule;
use crate::script::{Script, slows};
use crate::text::Language;

/// What a script needs of its update rule.
pub struct Optimizer {
    /// Functions that burn lacks.
    pub functions: Vec<String>,
    /// The lines that make `optimizer`.
    pub setting: Vec<String>,
    /// Whether the gradient is clipped.
    pub clips: bool,
}

/// Whether burn has a rule.
fn knows(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::Sgd
            | Rule::Momentum
            | Rule::Nesterov
            | Rule::AdaGrad
            | Rule::RmsProp
            | Rule::Adam
            | Rule::AdamW
            | Rule::Lion
            | Rule::Lamb
    )
}

/// What a script for burn leaves to others.
pub fn reasons(spec: &RunSpec) -> Vec<String> {
    let mut reasons = Vec::new();
    let optimizer = &spec.optimizer;
    if !knows(optimizer.kind) {
        reasons.push(format!("{} is not among the update rules that scripts have", optimizer.kind.label()));
    }
    let drawn = refuse::drawn(spec);
    if !drawn.is_empty() {
        reasons.push(format!("the lab draws random numbers of its own for {}", drawn.join(" and ")));
    }
    if schedule::moves_momentum(spec) && optimizer.kind != Rule::Sgd {
        reasons.push("momentum moves in this run, and stands still there".to_owned());
    }
    if optimizer.trained != Trained::All {
        reasons.push("some parameters do not learn, and there all do".to_owned());
    }
    if slows(&spec.model) {
        reasons.push("its optimizers have one rate for all parameters, and muP has several".to_owned());
    }
    let couples = matches!(optimizer.kind, Rule::Momentum | Rule::Nesterov | Rule::AdaGrad | Rule::RmsProp);
    if couples && optimizer.weight_decay > 0.0 && optimizer.decay_kind() == DecayKind::Decoupled {
        reasons.push(format!("its {} adds the decay to the gradient", optimizer.kind.label()));
    }
    if optimizer.kind == Rule::Lamb && (optimizer.largest_norm > 0.0 || optimizer.decay_exempt) {
        reasons.push("its LAMB has no largest norm and adapts every layer".to_owned());
    }
    reasons
}

/// The configuration of a rule, without decay; and whether that stands apart from the gradient.
fn config(spec: &RunSpec) -> (String, bool) {
    let optimizer = &spec.optimizer;
    let float = |value: f64| Language::Rust.float(value);
    let betas = format!(".with_beta_1({}).with_beta_2({})", float(optimizer.beta1), float(optimizer.beta2));
    let eps = format!(".with_epsilon({})", float(optimizer.eps));
    let apart = matches!(optimizer.kind, Rule::AdamW | Rule::Lion | Rule::Lamb);
    let config = match optimizer.kind {
        Rule::Momentum | Rule::Nesterov => "SgdConfig::new().with_momentum(Some(momentum))".to_owned(),
        Rule::AdaGrad => format!("AdaGradConfig::new(){eps}"),
        Rule::RmsProp => format!("RmsPropConfig::new().with_alpha({}){eps}.with_momentum(0.0)", float(optimizer.beta2)),
        Rule::Adam => format!("AdamConfig::new(){betas}{eps}"),
        Rule::AdamW => format!("AdamWConfig::new(){betas}{eps}.with_weight_decay(0.0)"),
        Rule::Lion => format!("LionConfig::new(){betas}"),
        Rule::Lamb => format!("LambConfig::new(){betas}{eps}"),
        _ => "SgdConfig::new()".to_owned(),
    };
    (config, apart)
}

/// The rule of a run.
pub fn written(script: &Script<'_>) -> Optimizer {
    let spec = script.spec;
    let decay = spec.optimizer.weight_decay;
    let (config, apart) = config(spec);
    let mut setting = Vec::new();
    if matches!(spec.optimizer.kind, Rule::Momentum | Rule::Nesterov) {
        let ahead = if spec.optimizer.kind == Rule::Nesterov { ".with_nesterov(true)" } else { "" };
        let kept = Language::Rust.float(spec.optimizer.momentum);
        setting.push(format!("let momentum = MomentumConfig::new().with_momentum({kept}).with_dampening(0.0){ahead};"));
    }
    if decay > 0.0 {
        let decay = Language::Rust.float(decay);
        let added = if apart { decay } else { format!("Some(WeightDecayConfig::new({decay}))") };
        setting.push(format!("let decay = {added};"));
        let added = ".with_weight_decay(decay)";
        setting.push(format!("let rule = {config};"));
        if spec.optimizer.decay_exempt {
            let exempt = match &spec.model {
                ModelSpec::Mlp(_) | ModelSpec::Convnet(_) => "\"bias\", \"gamma\", \"beta\"",
                _ => "\"bias\", \"gamma\", \"beta\", \"positions\", \"class\"",
            };
            setting.push(format!("let exempt = ParamGroup::from_any_predicates(vec![{exempt}]);"));
            setting.push("let plain = rule.clone().build();".to_owned());
            setting.push(format!("let mut optimizer = rule{added}.init().with_group(exempt, plain, None);"));
        } else {
            setting.push(format!("let mut optimizer = rule{added}.init();"));
        }
    } else {
        setting.push(format!("let mut optimizer = {config}.init();"));
    }
    let clips = spec.optimizer.clip > 0.0;
    let functions = if clips { vec![CLIPPED.to_owned()] } else { vec![] };
    Optimizer { functions, setting, clips }
}

/// burn clips the gradient of each parameter by itself.
const CLIPPED: &str = "\
/// Brings the gradient of all parameters together to a largest norm; burn's own clips that of each.
fn clipped<M: Module>(gradients: GradientsParams, model: &M, largest: f32) -> GradientsParams {
    let mut clip = Clip { gradients, square: 0.0, factor: None };
    model.visit(&mut clip);
    clip.factor = Some((largest / clip.square.sqrt()).min(1.0));
    model.visit(&mut clip);
    clip.gradients
}

/// Adds up squares, then multiplies by the factor.
struct Clip {
    gradients: GradientsParams,
    square: f32,
    factor: Option<f32>,
}

impl ModuleVisitor for Clip {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        match self.factor {
            None => self.square += gradient.powf_scalar(2.0).sum().into_scalar::<f32>(),
            Some(factor) => self.gradients.register(param.id, gradient * factor),
        }
    }
}";
