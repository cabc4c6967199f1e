//! What no script can repeat, by name; and what it repeats in the mean alone.

use engine::spec::{EffectiveSchedule, Loss, ModelSpec, Rule, RunSpec};
use engine::train::Feed;

use crate::record::MOST_DRAWN;
use crate::{Framework, burn, jax, schedule, torch};

/// Why a script could not train what the lab does with `all` training examples; empty = it can.
pub fn reasons(spec: &RunSpec, feed: &Feed, all: usize, framework: Framework, updates: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    if EffectiveSchedule::new(spec, all).seen(updates) > MOST_DRAWN as u64 {
        reasons.push(format!("{updates} updates draw more than {MOST_DRAWN} examples; ask for fewer"));
    }
    for edit in spec.edits.iter().filter(|edit| edit.step < updates) {
        let told = ["schedule", "batch", "steps", "probes"].contains(&edit.path.split('.').next().unwrap_or_default());
        // Which rows a batch has is in the data.
        if !told && edit.path != "data.dropped" {
            reasons.push(format!("“{}” was changed at update {}", edit.path, edit.step));
        }
    }
    if spec.objective.kind == Loss::Restore || matches!(feed, Feed::Images { restored: true, .. }) {
        reasons.push("which patches are hidden is drawn by the lab".to_owned());
    }
    if spec.model.ghost().is_some() {
        reasons.push("its batch norm has no ghost batches".to_owned());
    }
    if spec.augment.crop > 0.0 && spec.augment.crop < 1.0 {
        reasons.push("random crops are drawn and scaled by the lab".to_owned());
    }
    if spec.augment.mixup > 0.0 {
        reasons.push("which examples mixup blends is drawn by the lab".to_owned());
    }
    let rule = spec.optimizer.kind;
    let known = match framework {
        Framework::Torch => torch::knows(rule),
        Framework::Jax => jax::knows(rule),
        // Its own reasons say what it has.
        Framework::Burn => true,
    };
    if !known {
        reasons.push(format!("{} is not among the update rules that scripts have", rule.label()));
    }
    if spec.optimizer.rho > 0.0 {
        reasons.push("SAM takes two gradients an update".to_owned());
    }
    if framework == Framework::Torch {
        reasons.extend(torch::reasons(spec));
    }
    if framework == Framework::Jax {
        reasons.extend(jax::reasons(spec));
    } else if framework == Framework::Burn {
        reasons.extend(burn::reasons(spec));
    } else if schedule::moves_momentum(spec) && known && !matches!(rule, Rule::Sgd | Rule::Momentum | Rule::Nesterov) {
        reasons
            .push(format!("momentum moves with the rate, and its {} corrects for one that stands still", rule.label()));
    }
    reasons
}

/// What draws random numbers of its own, so that losses agree in the mean alone.
pub fn drawn(spec: &RunSpec) -> Vec<&'static str> {
    let (dropout, attention, path) = drops(&spec.model);
    let all = [
        (dropout > 0.0, "dropout"),
        (attention > 0.0 && dropout == 0.0, "dropout of attention"),
        (path > 0.0, "stochastic depth"),
        (spec.augment.shift > 0, "shifted images"),
        (spec.augment.flip, "mirrored images"),
    ];
    all.into_iter().filter(|(draws, _)| *draws).map(|(_, what)| what).collect()
}

/// Rates of dropout, of attention's, and of stochastic depth.
pub fn drops(model: &ModelSpec) -> (f64, f64, f64) {
    match model {
        ModelSpec::Mlp(spec) => (spec.dropout, 0.0, 0.0),
        ModelSpec::Convnet(spec) => (spec.dropout, 0.0, 0.0),
        ModelSpec::Vit(spec) | ModelSpec::Cvt(spec) | ModelSpec::Cct(spec) => {
            (spec.dropout, spec.attention_dropout, spec.stochastic_depth)
        }
        ModelSpec::Gpt(spec) => (spec.dropout, spec.dropout, 0.0),
    }
}
