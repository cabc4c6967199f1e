//! Runs worth starting from, by name.

use super::{
    Activation, AugmentSpec, Auto, BatchSpec, ConvnetSpec, DataSet, DataSpec, GptSpec, Loss, MlpSpec, ModelSpec,
    ObjectiveSpec, OptimizerSpec, ProbesSpec, Projection, Rule, RunSpec, ScheduleSpec, Shape, TransformerSpec,
};

/// A named run to start from.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// As in links: `preset=gpt`.
    pub id: &'static str,
    /// As on the page.
    pub label: &'static str,
    build: fn() -> RunSpec,
}

impl Preset {
    /// The run itself.
    #[must_use]
    pub fn spec(&self) -> RunSpec {
        (self.build)()
    }
}

/// Every preset; the first is the default.
pub const PRESETS: &[Preset] = &[
    Preset { id: "cct-mnist", label: "Compact transformer reads digits", build: RunSpec::default },
    Preset { id: "gpt", label: "Character GPT on Shakespeare", build: gpt },
    Preset { id: "mlp", label: "MLP on 8×8 digits", build: mlp },
    Preset { id: "tanh-mlp", label: "Tanh MLP on 8×8 digits, plain SGD", build: tanh_mlp },
    Preset { id: "convnet", label: "Convnet sorts clothes", build: convnet },
    Preset { id: "weather", label: "MLP forecasts the weather", build: weather },
    Preset { id: "spirals", label: "MLP untangles spirals", build: spirals },
    Preset { id: "edge", label: "Full-batch descent at the edge of stability", build: edge },
    Preset { id: "on-the-fly", label: "Heavy ball, tuned by its curvature", build: on_the_fly },
    Preset { id: "hand-tuned", label: "Heavy ball, tuned by hand", build: hand_tuned },
    Preset { id: "cct-digits", label: "CCT on 300 digits", build: cct_digits },
    Preset { id: "vit-digits", label: "ViT-Lite on 300 digits", build: vit_digits },
];

/// The preset of that id; `default` names the first.
#[must_use]
pub fn preset(id: &str) -> Option<&'static Preset> {
    let id = if id == "default" { PRESETS[0].id } else { id };
    PRESETS.iter().find(|preset| preset.id == id)
}

fn gpt() -> RunSpec {
    RunSpec {
        data: DataSpec::of(DataSet::Shakespeare),
        model: ModelSpec::Gpt(GptSpec::default()),
        schedule: ScheduleSpec { peak: 3e-3, warmup: 50, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 32, ..BatchSpec::default() },
        // Each example is a text of 64 characters.
        probes: ProbesSpec { tested: 200, samples: 16, ..ProbesSpec::default() },
        steps: 1000,
        ..RunSpec::default()
    }
}

/// Sharpens from below 2/eta up to it within a few hundred updates, as in Cohen et al. (2021), at a size that trains in
/// seconds: centred inputs, a smooth network, squared error.
fn edge() -> RunSpec {
    RunSpec {
        data: DataSpec { train: 200, projection: Projection::Pca, components: 20, ..DataSpec::of(DataSet::Digits) },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![32, 32], activation: Activation::Tanh, ..MlpSpec::default() }),
        objective: ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() },
        optimizer: OptimizerSpec { kind: Rule::Sgd, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: 2.0, warmup: 0, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 0, ..BatchSpec::default() },
        // The curvature is what it is about, and its updates take no time.
        probes: ProbesSpec { samples: 200, share: 0.6, ..ProbesSpec::default() },
        steps: 4000,
        ..RunSpec::default()
    }
}

fn mlp() -> RunSpec {
    RunSpec {
        data: DataSpec::of(DataSet::Digits),
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![64, 32], ..MlpSpec::default() }),
        ..RunSpec::default()
    }
}

/// 64-32-10, 2,410 parameters: the learning rate alone decides, with no warm-up, momentum or decay beside it.
fn tanh_mlp() -> RunSpec {
    RunSpec {
        data: DataSpec::of(DataSet::Digits),
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![32], activation: Activation::Tanh, ..MlpSpec::default() }),
        optimizer: OptimizerSpec { kind: Rule::Sgd, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: 0.1, warmup: 0, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 32, ..BatchSpec::default() },
        steps: 2000,
        ..RunSpec::default()
    }
}

/// Heavy ball whose rate and momentum follow from the spectrum of its batches.
fn on_the_fly() -> RunSpec {
    RunSpec {
        optimizer: OptimizerSpec { kind: Rule::Momentum, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, warmup: 0, auto: Auto::Both, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 128, ..BatchSpec::default() },
        steps: 600,
        ..tanh_mlp()
    }
}

/// Its twin by hand: of six rates and five momenta, the pair of the lowest training loss over five seeds.
fn hand_tuned() -> RunSpec {
    let mut spec = on_the_fly();
    (spec.schedule.auto, spec.schedule.peak, spec.optimizer.momentum) = (Auto::Off, 0.5, 0.95);
    spec
}

fn convnet() -> RunSpec {
    RunSpec {
        data: DataSpec::of(DataSet::Fashion),
        model: ModelSpec::Convnet(ConvnetSpec::default()),
        augment: AugmentSpec { flip: true, ..AugmentSpec::default() },
        ..RunSpec::default()
    }
}

/// The next 12 hours at three airports from the last 48.
fn weather() -> RunSpec {
    RunSpec {
        data: DataSpec::of(DataSet::Weather),
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![128, 128], activation: Activation::Gelu, ..MlpSpec::default() }),
        objective: ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() },
        ..RunSpec::default()
    }
}

fn spirals() -> RunSpec {
    RunSpec {
        data: DataSpec { arms: 3, ..DataSpec::of(DataSet::Spirals) },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![64, 64], activation: Activation::Tanh, ..MlpSpec::default() }),
        schedule: ScheduleSpec { peak: 1e-2, ..ScheduleSpec::default() },
        ..RunSpec::default()
    }
}

/// Arm C of the study on compact transformers: 16 tokens of width 32.
fn cct_digits() -> RunSpec {
    digits(ModelSpec::Cct(TransformerSpec { blocks: 1, width: 32, ratio: 1, ..TransformerSpec::cct() }))
}

/// Arm A of the same study: 2x2 patches, class token.
fn vit_digits() -> RunSpec {
    digits(ModelSpec::Vit(TransformerSpec { patch: 2, width: 32, ratio: 1, ..TransformerSpec::vit() }))
}

fn digits(model: ModelSpec) -> RunSpec {
    RunSpec { data: DataSpec { train: 300, ..DataSpec::of(DataSet::Digits) }, model, steps: 300, ..RunSpec::default() }
}
