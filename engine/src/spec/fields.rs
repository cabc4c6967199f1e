//! The table of controls: every scalar field of [`RunSpec`], described once. The link codec, validation and the page's
//! controls derive from it: a new field of the spec is one more line here.

use serde_json::Value;

use super::control::{capital, excerpt, show};
use super::link::USUAL_NUMBERS;
use super::{
    Activation, Again, Auto, Between, Content, Curved, DataSet, DataSpec, Decay, DecayKind, Gelu, Growth, Issue, Kind,
    Loss, MAX_DROPPED, MAX_LIST, MAX_NAME, MAX_SAFE_INTEGER, ModelSpec, Momentum, Norm, NormOrder, Policy, Pooling,
    Positions, Projection, Rule, RunSpec, Sampling, Scaling, Shape, Tokenizer, Trained,
};
use crate::text::Text;
use crate::tree::FromTree;

/// What a control does where another has a value: the other's path, the value, the line.
pub type Instead = (&'static str, &'static str, Text);

/// One control of the recipe.
#[derive(Debug, PartialEq)]
pub struct Field {
    /// As in links: `model.depth`; a group's own name (`model`, `optimizer`) stands for its kind.
    pub path: &'static str,
    /// As on the page.
    pub label: &'static str,
    /// What turning it does, in one line.
    pub effect: Text,
    /// What it does instead where another control has a value.
    pub instead: &'static [Instead],
    /// Unit of its values; may be empty.
    pub unit: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// The kinds of model that have it; empty = every one.
    pub of: &'static [&'static str],
    /// When it has an effect: each named path has one of the values (`content` is that of the data as the model sees them,
    /// `raw` that in their file, `setting` what the update rule has of it). Empty = always.
    pub when: &'static [(&'static str, &'static [&'static str])],
    /// Whether it may be turned while a run goes on, as a step-stamped [`Edit`](super::Edit).
    pub live: bool,
}

impl Field {
    const fn new(
        path: &'static str,
        label: &'static str,
        unit: &'static str,
        kind: Kind,
        effect: &'static str,
    ) -> Self {
        Self { path, label, effect: Text::new(effect), instead: &[], unit, kind, of: &[], when: &[], live: false }
    }

    const fn of(mut self, kinds: &'static [&'static str]) -> Self {
        self.of = kinds;
        self
    }

    const fn when(mut self, conditions: &'static [(&'static str, &'static [&'static str])]) -> Self {
        self.when = conditions;
        self
    }

    const fn instead(mut self, lines: &'static [Instead]) -> Self {
        self.instead = lines;
        self
    }

    const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The group it belongs to: `model` for `model.depth`; itself for `seed`.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |split| split.0)
    }

    /// What turning it does in this spec, in one line.
    #[must_use]
    pub fn effect(&self, spec: &RunSpec) -> Text {
        let holds = |(path, value, _): &&Instead| spec.get(path).as_deref() == Some(*value);
        self.instead.iter().find(holds).map_or(self.effect, |(.., line)| *line)
    }

    /// Whether the spec has this field at all.
    #[must_use]
    pub fn exists(&self, spec: &RunSpec) -> bool {
        self.of.is_empty() || self.of.contains(&spec.model.kind())
    }

    /// Whether it exists and has an effect, so that its control is worth showing.
    #[must_use]
    pub fn applies(&self, spec: &RunSpec) -> bool {
        let holds = |(path, values): &(&str, &[&str])| {
            if *path == "setting" {
                return values.iter().all(|setting| spec.optimizer.kind.has(setting));
            }
            let value = match *path {
                "content" => Some(spec.data.content().id().to_owned()),
                "raw" => Some(spec.data.raw_content().id().to_owned()),
                path => spec.get(path),
            };
            value.is_some_and(|value| values.contains(&value.as_str()))
        };
        self.exists(spec) && self.when.iter().all(holds)
    }
}

const IMAGES: &[(&str, &[&str])] = &[("content", &["images"])];
const TABLE: &[(&str, &[&str])] = &[("content", &["table"])];
const RAW_IMAGES: &[(&str, &[&str])] = &[("raw", &["images"])];
const ROWS: &[(&str, &[&str])] = &[("raw", &["images", "table"])];
const PROJECTED: &[(&str, &[&str])] = &[("raw", &["images", "table"]), ("data.projection", &["pca", "white"])];
const OWN: &[(&str, &[&str])] = &[("data", &["own"])];
const OWN_TABLE: &[(&str, &[&str])] = &[("data", &["own"]), ("content", &["table", "series"])];
const MIXTURE: &[(&str, &[&str])] = &[("data", &["mixture"])];
const SERIES: &[(&str, &[&str])] = &[("content", &["series"])];
const CONV: &[(&str, &[&str])] = &[("model.tokenizer", &["conv"])];
const ENTROPY: &[(&str, &[&str])] = &[("objective", &["cross_entropy"])];
const RESTORE: &[(&str, &[&str])] = &[("objective", &["restore"])];
const AVERAGED: Text = Text::new("how close to the mean of all steps the gradient is taken");
const VELOCITY: &[(&str, &[&str])] = &[("setting", &["momentum"]), GIVEN];
const FIRST_MOMENT: &[(&str, &[&str])] = &[("setting", &["beta1"])];
const SECOND_MOMENT: &[(&str, &[&str])] = &[("setting", &["beta2"])];
const SLOW_MEAN: &[(&str, &[&str])] = &[("setting", &["beta3"])];
const BASIS: &[(&str, &[&str])] = &[("setting", &["basis_every"])];
const DIVISOR: &[(&str, &[&str])] = &[("setting", &["eps"])];
const TRUST: &[(&str, &[&str])] = &[("setting", &["trust"])];
const LARGEST_NORM: &[(&str, &[&str])] = &[("setting", &["largest_norm"])];
const EITHER_DECAY: &[(&str, &[&str])] = &[("setting", &["decay"])];
#[rustfmt::skip] // a set of names
const PEAKED: &[(&str, &[&str])] = &[("schedule", &["constant", "cosine", "wsd", "linear", "exponential", "polynomial", "inverse_sqrt", "step", "restarts", "one_cycle", "power", "infinite", "on_plateau"]), BY_HAND];
#[rustfmt::skip] // a set of names
const FALLING: &[(&str, &[&str])] = &[("schedule", &["cosine", "wsd", "linear", "exponential", "polynomial", "inverse_sqrt", "step", "restarts", "one_cycle", "power", "infinite", "on_plateau"])];
const DECAYING: &[(&str, &[&str])] = &[("schedule", &["wsd", "power", "infinite"])];
const FORMED: &[(&str, &[&str])] = &[("schedule", &["wsd", "power", "one_cycle"])];
const PERIODIC: &[(&str, &[&str])] = &[("schedule", &["step", "restarts", "on_plateau"])];
const STEP: &[(&str, &[&str])] = &[("schedule", &["step"])];
const ON_PLATEAU: &[(&str, &[&str])] = &[("schedule", &["on_plateau"])];
const RESTARTS: &[(&str, &[&str])] = &[("schedule", &["restarts"])];
const ONE_CYCLE: &[(&str, &[&str])] = &[("schedule", &["one_cycle"])];
const POLYNOMIAL: &[(&str, &[&str])] = &[("schedule", &["polynomial"])];
const POWER: &[(&str, &[&str])] = &[("schedule", &["power"])];
const INFINITE: &[(&str, &[&str])] = &[("schedule", &["infinite"])];
#[rustfmt::skip] // a set of names
const UNSCALED: &[(&str, &[&str])] = &[("schedule", &["constant", "cosine", "wsd", "linear", "exponential", "polynomial", "inverse_sqrt", "step", "restarts", "one_cycle", "infinite", "on_plateau", "drawn"]), BY_HAND];
const KEEPING: &[(&str, &[&str])] = &[("setting", &["keeps"]), GIVEN];
const MOVING: &[(&str, &[&str])] = &[("setting", &["keeps"]), ("schedule.momentum", &["counter", "along"]), GIVEN];
const LINEAR: &[(&str, &[&str])] =
    &[("setting", &["linear"]), ("optimizer.rho", &["0"]), ("optimizer.trained", &["all"])];
const TUNED: &[(&str, &[&str])] = &[("schedule.auto", &["rate", "both"])];
const DRAWN: &[(&str, &[&str])] = &[("schedule", &["drawn"])];
const FIXED: &[(&str, &[&str])] = &[("batch.sampler", &["fixed"])];
const CLUSTERED: &[(&str, &[&str])] = &[("batch.sampler", &["fixed"]), ("batch.clustered", &["true"])];
const STEPPED: &[(&str, &[&str])] = &[("batch.policy", &["stepped"])];
const RAMP: &[(&str, &[&str])] = &[("batch.policy", &["ramp"])];
const ADAPTIVE: &[(&str, &[&str])] = &[("batch.policy", &["noise_scale", "norm_test", "inner_product"])];
const INNER: &[(&str, &[&str])] = &[("batch.policy", &["inner_product"])];
const NOISE: &[(&str, &[&str])] = &[("batch.policy", &["noise_scale"])];
const CHANGING: &[(&str, &[&str])] =
    &[("batch.policy", &["stepped", "ramp", "noise_scale", "norm_test", "inner_product"])];

/// The learning rate's height is the recipe's.
const BY_HAND: (&str, &[&str]) = ("schedule.auto", &["off"]);
/// Momentum is the recipe's.
const GIVEN: (&str, &[&str]) = ("schedule.auto", &["off", "rate"]);
const ENCODERS: &[&str] = &["vit", "cvt", "cct"];
const TRANSFORMERS: &[&str] = &["vit", "cvt", "cct", "gpt"];

const CONVNET_NORMS: &[super::Choice] =
    &[super::Choice::new("none", Norm::None.label()), super::Choice::new("batch", Norm::Batch.label())];

/// How a norm over the batch sees it.
const OVER_BATCH: &[Instead] = &[(
    "model.norm",
    "batch",
    Text::new("keeps activations in scale, over the examples that are computed at once (the micro-batch)"),
)];

/// What the models that start from truncated normals take for one.
const STARTS: &[Instead] =
    &[("model", "vit", CUT), ("model", "cvt", CUT), ("model", "cct", CUT), ("model", "gpt", CUT)];
const CUT: Text =
    Text::new("the network that learns; weights start from normals cut at 2 σ (flax rescales them, torch cuts at ±2)");

/// Every control, in the order of links and of the page. A group's kind comes before its fields.
#[rustfmt::skip] // one field a line
pub static FIELDS: &[Field] = &[
    Field::new("data", "data set", "", Kind::choice(DataSet::CHOICES), "what the network learns from"),
    Field::new("data.train", "train size", "examples", Kind::log_integer(0, 10_000_000, [10, 100_000]), "how many examples it may learn from; 0 = all"),
    Field::new("data.test", "test size", "examples", Kind::log_integer(0, 10_000_000, [10, 100_000]), "how many held-out examples judge it; 0 = all"),
    Field::new("data.size", "image side", "px", Kind::integer(0, 64), "scales images down; 0 = as they are").when(RAW_IMAGES),
    Field::new("data.projection", "projection", "", Kind::choice(Projection::CHOICES), "turns inputs onto the directions they vary in").when(ROWS),
    Field::new("data.components", "components", "", Kind::log_integer(1, 1024, [2, 256]), "directions kept, those of most variance").when(PROJECTED),
    Field::new("data.label_noise", "label noise", "", Kind::number(0.0, 1.0), "share of training labels replaced at random").when(ROWS),
    Field::new("data.noise", "noise", "", Kind::number(0.0, 2.0), "spread of the points; more makes classes overlap").when(&[("data", &["spirals", "mixture"])]),
    Field::new("data.arms", "arms", "", Kind::integer(2, 8), "spiral arms, one class each").when(&[("data", &["spirals"])]),
    Field::new("data.classes", "Gaussians", "", Kind::integer(2, 20), "Gaussians in the mixture, one class each").when(MIXTURE),
    Field::new("data.dims", "dimensions", "", Kind::log_integer(2, 256, [2, 256]), "dimensions of the space").when(MIXTURE),
    Field::new("data.window", "window", "steps", Kind::log_integer(1, 512, [1, 512]), "how much of the past the model sees").when(SERIES),
    Field::new("data.horizon", "horizon", "steps", Kind::log_integer(1, 128, [1, 128]), "how far ahead it forecasts").when(SERIES),
    Field::new("data.file", "file", "", Kind::Text { max_len: MAX_NAME }, "name of your file; it stays on this device").when(OWN),
    Field::new("data.hash", "fingerprint", "", Kind::Text { max_len: 64 }, "tells exactly which file a link needs").when(OWN),
    Field::new("data.content", "content", "", Kind::choice(Content::CHOICES), "what the examples in the file are").when(OWN),
    Field::new("data.target", "target column", "", Kind::Text { max_len: MAX_NAME }, "the column to predict; empty = the last").when(OWN_TABLE),
    Field::new("data.columns", "feature columns", "", Kind::Text { max_len: MAX_LIST }, "columns to predict from, with commas; empty = all others").when(OWN_TABLE),
    Field::new("data.kinds", "column kinds", "", Kind::Text { max_len: MAX_LIST }, "columns read as something else: zip=category,age=number").when(OWN_TABLE),
    Field::new("data.moved", "moved points", "number:x:y", Kind::Text { max_len: 2000 }, "training points that a hand has put elsewhere").when(TABLE).live(),
    Field::new("data.dropped", "left out", "examples", Kind::list([0, MAX_DROPPED], 0, 10_000_000), "training examples it does not learn from, by number").when(ROWS).live(),
    Field::new("model", "model", "", Kind::choice(ModelSpec::KINDS), "the network that learns").instead(STARTS),
    Field::new("model.hidden", "hidden layers", "", Kind::list([0, 8], 1, 4096), "width of each hidden layer; none = linear").of(&["mlp"]),
    Field::new("model.activation", "activation", "", Kind::choice(Activation::CHOICES), "the bend between layers").of(&["mlp"]),
    Field::new("model.channels", "channels", "", Kind::list([1, 5], 1, 512), "channels of each block; each halves the image").of(&["convnet"]),
    Field::new("model.kernel", "kernel", "px", Kind::integer(1, 7), "side of the window a filter sees; odd").of(&["convnet"]),
    Field::new("model.norm", "norm", "", Kind::choice(Norm::CHOICES), "keeps activations in scale").instead(OVER_BATCH).of(&["mlp"]),
    Field::new("model.norm", "norm", "", Kind::choice(CONVNET_NORMS), "keeps activations in scale").instead(OVER_BATCH).of(&["convnet"]),
    Field::new("model.ghost", "ghost batch", "examples", Kind::log_integer(0, 100_000, [2, 1024]), "examples that batch norm takes at once; 0 = all").of(&["mlp", "convnet"]).when(&[("model.norm", &["batch"])]),
    Field::new("model.tokenizer", "tokenizer", "", Kind::choice(Tokenizer::CHOICES), "how the image becomes tokens").of(ENCODERS),
    Field::new("model.patch", "patch", "px", Kind::integer(1, 32), "side of a patch; smaller means more tokens").of(ENCODERS).when(&[("model.tokenizer", &["patch"])]),
    Field::new("model.blocks", "conv blocks", "", Kind::integer(1, 4), "convolutions with pooling; each halves the token grid").of(ENCODERS).when(CONV),
    Field::new("model.kernel", "kernel", "px", Kind::integer(1, 7), "side of the window a filter sees; above the stride they overlap").of(ENCODERS).when(CONV),
    Field::new("model.stride", "stride", "px", Kind::integer(0, 4), "steps between windows; 0 = from the kernel").of(ENCODERS).when(CONV),
    Field::new("model.conv_bias", "conv bias", "", Kind::Bool, "adds a trained constant to each filter").of(ENCODERS).when(CONV),
    Field::new("model.context", "context", "characters", Kind::log_integer(2, 512, [8, 256]), "how far back it reads").of(&["gpt"]),
    Field::new("model.width", "width", "", Kind::log_integer(4, 1024, [16, 256]), "features of a token").of(TRANSFORMERS),
    Field::new("model.depth", "depth", "layers", Kind::integer(1, 12), "layers, one after the other").of(TRANSFORMERS),
    Field::new("model.heads", "heads", "", Kind::integer(1, 16), "attention patterns side by side; divides the width").of(TRANSFORMERS),
    Field::new("model.ratio", "MLP ratio", "", Kind::integer(1, 8), "hidden width of the MLP over the width").of(TRANSFORMERS),
    Field::new("model.gelu", "GELU", "", Kind::choice(Gelu::CHOICES), "the bend in the MLP: exact, or GPT-2's approximation").of(TRANSFORMERS),
    Field::new("model.positions", "positions", "", Kind::choice(Positions::CHOICES), "what tells tokens where they are").of(ENCODERS),
    Field::new("model.pool", "pooling", "", Kind::choice(Pooling::CHOICES), "how tokens become one answer").of(ENCODERS),
    Field::new("model.order", "norm order", "", Kind::choice(NormOrder::CHOICES), "where the norms sit in a layer").of(ENCODERS),
    Field::new("model.tied", "tied embedding", "", Kind::Bool, "the output shares the embedding's weights").of(&["gpt"]),
    Field::new("model.base", "muP base", "", Kind::log_integer(0, 1024, [8, 256]), "keeps a rate tuned at this width good at others; 0 = off").of(&["gpt"]),
    Field::new("model.dropout", "dropout", "", Kind::number(0.0, 0.9), "switches units off at random, against overfitting").live(),
    Field::new("model.attention_dropout", "attention dropout", "", Kind::number(0.0, 0.9), "switches attention weights off at random").of(ENCODERS),
    Field::new("model.stochastic_depth", "stochastic depth", "", Kind::number(0.0, 0.9), "skips layers at random, later ones more often").of(ENCODERS),
    Field::new("objective", "loss", "", Kind::choice(Loss::CHOICES), "what training makes small"),
    Field::new("objective.label_smoothing", "label smoothing", "", Kind::number(0.0, 0.9), "asks for less than full certainty").when(ENTROPY),
    Field::new("objective.mask", "hidden share", "", Kind::number(0.0, 1.0), "how much of the image the network does not see").when(RESTORE),
    Field::new("objective.patch", "hidden patch", "px", Kind::integer(1, 32), "side of what is hidden at once").when(RESTORE),
    Field::new("optimizer", "optimizer", "", Kind::choice(Rule::CHOICES), "how a gradient becomes a step").instead(Rule::EFFECTS),
    Field::new("optimizer.trained", "trained", "", Kind::choice(Trained::CHOICES), "which parameters learn; the others stay as they start"),
    Field::new("optimizer.momentum", "momentum", "", Kind::number(0.0, 0.9999), "how much of the last step is kept").instead(&[("optimizer", "muon", Text::new("how much of the last step is kept, for matrices")), ("optimizer", "schedule_free_sgd", AVERAGED), ("optimizer", "schedule_free_adamw", AVERAGED)]).when(VELOCITY).live(),
    Field::new("optimizer.beta1", "β₁", "", Kind::number(0.0, 0.9999), "memory of the mean gradient").instead(&[("optimizer", "lion", Text::new("weight of the memory in a step")), ("optimizer", "muon", Text::new("memory of the mean gradient, where AdamW acts"))]).when(FIRST_MOMENT).live(),
    Field::new("optimizer.beta2", "β₂", "", Kind::number(0.0, 0.99999), "memory of the squared gradient").instead(&[("optimizer", "lion", Text::new("memory of the mean gradient")), ("optimizer", "muon", Text::new("memory of the squared gradient, where AdamW acts"))]).when(SECOND_MOMENT).live(),
    Field::new("optimizer.beta3", "β₃", "", Kind::number(0.0, 0.99999), "memory of the slow mean gradient").when(SLOW_MEAN).live(),
    Field::new("optimizer.alpha", "slow share", "×", Kind::number(0.0, 20.0), "how many times the slow mean is added").when(SLOW_MEAN).live(),
    Field::new("optimizer.ramp", "slow ramp", "steps", Kind::log_integer(0, 10_000_000, [1, 100_000]), "steps over which the slow mean's memory and share grow to that").when(SLOW_MEAN).live(),
    Field::new("optimizer.basis_every", "new basis every", "steps", Kind::log_integer(1, 10_000_000, [1, 1000]), "how often its axes follow the gradients; less often is faster").when(BASIS).live(),
    Field::new("optimizer.eps", "ε", "", Kind::log_number(1e-12, 1.0, [1e-10, 1e-2]), "floor of the divisor: larger acts more like SGD").instead(&[("optimizer", "muon", Text::new("floor of the divisor, where AdamW acts"))]).when(DIVISOR).live(),
    Field::new("optimizer.trust", "trust coefficient", "", Kind::log_number(0.0, 10.0, [1e-4, 1.0]), "a layer's step over its weights, at rate 1").when(TRUST).live(),
    Field::new("optimizer.largest_norm", "largest norm", "", Kind::log_number(0.0, 1e6, [0.1, 100.0]), "weights beyond it lengthen a layer's step no more; 0 = any").when(LARGEST_NORM).live(),
    Field::new("optimizer.weight_decay", "weight decay", "", Kind::log_number(0.0, 100.0, [1e-4, 1.0]), "pulls weights towards zero").live(),
    Field::new("optimizer.decay", "decay kind", "", Kind::choice(DecayKind::CHOICES), "apart from the gradient, or added to it").when(EITHER_DECAY),
    Field::new("optimizer.decay_exempt", "exempt biases", "", Kind::Bool, "biases, norms and positions do not decay").instead(&[("optimizer", "lars", Text::new("biases, norms and positions neither decay nor adapt")), ("optimizer", "lamb", Text::new("biases, norms and positions neither decay nor adapt"))]),
    Field::new("optimizer.clip", "clip", "", Kind::log_number(0.0, 1e6, [0.01, 100.0]), "longest gradient; 0 = any").live(),
    Field::new("optimizer.rho", "SAM ρ", "", Kind::log_number(0.0, 10.0, [1e-3, 1.0]), "takes the gradient so far uphill, for flat minima; twice the work; each micro-batch has its own top; 0 = off"),
    Field::new("optimizer.warm", "warm moments", "steps", Kind::log_integer(0, 10_000_000, [1, 1000]), "first steps that only fill the optimizer's memory").live(),
    Field::new("schedule", "schedule", "", Kind::choice(Shape::CHOICES), "the learning rate over the run").instead(&[("schedule", "on_plateau", Text::new("the rate drops when the test loss stops falling, which then is no longer unseen"))]).live(),
    Field::new("schedule.peak", "learning rate", "", Kind::log_number(0.0, 1e9, [1e-5, 10.0]), "highest learning rate").when(PEAKED).live(),
    Field::new("schedule.warmup", "warm-up", "steps", Kind::log_integer(0, 10_000_000, [1, 1000]), "steps from zero to the peak").live(),
    Field::new("schedule.start", "start", "× peak", Kind::number(0.0, 1.0), "learning rate at the beginning of the rise").when(ONE_CYCLE).live(),
    Field::new("schedule.period", "period", "steps", Kind::log_integer(1, 10_000_000, [1, 10_000]), "steps between drops, or of the first cosine").instead(&[("schedule", "on_plateau", Text::new("steps between two looks at the test loss, on at most 500 examples"))]).when(PERIODIC).live(),
    Field::new("schedule.factor", "drop", "×", Kind::number(0.0, 1.0), "what a drop multiplies the learning rate by").when(STEP).live(),
    Field::new("schedule.cut", "drop", "×", Kind::number(0.0, 1.0), "what a drop multiplies the learning rate by").when(ON_PLATEAU).live(),
    Field::new("schedule.patience", "patience", "looks", Kind::log_integer(0, 10_000, [1, 100]), "so many in a row without a better loss are borne; one more, and the rate drops").when(ON_PLATEAU).live(),
    Field::new("schedule.threshold", "threshold", "of the best", Kind::log_number(0.0, 1.0, [1e-5, 0.1]), "how much lower a loss must be to count as better").when(ON_PLATEAU).live(),
    Field::new("schedule.rest", "rest", "looks", Kind::log_integer(0, 10_000, [1, 100]), "so many after a drop do not count against it").when(ON_PLATEAU).live(),
    Field::new("schedule.multiplier", "stretch", "×", Kind::integer(1, 10), "how much longer each cosine is than the one before").when(RESTARTS).live(),
    Field::new("schedule.power", "power", "", Kind::log_number(0.1, 10.0, [0.1, 10.0]), "above 1 falls early, below 1 late").when(POLYNOMIAL).live(),
    Field::new("schedule.gain", "gain a", "", Kind::log_number(0.0, 1e9, [1e-6, 1.0]), "learning rate = batch × a × tokens seen ^ b").when(POWER).live(),
    Field::new("schedule.exponent", "exponent b", "", Kind::number(-2.0, 0.0), "how fast it falls with the tokens seen").when(POWER).live(),
    Field::new("schedule.cooldown", "cool-down", "steps", Kind::log_integer(0, 10_000_000, [1, 10_000]), "steps from the peak to the plateau").when(INFINITE).live(),
    Field::new("schedule.cooling", "cool-down form", "", Kind::choice(Decay::CHOICES), "how the cool-down falls").when(INFINITE).live(),
    Field::new("schedule.plateau", "plateau", "× peak", Kind::number(0.0, 1.0), "learning rate that is kept as long as you like").when(INFINITE).live(),
    Field::new("schedule.decay", "decay", "steps", Kind::log_integer(0, 10_000_000, [1, 10_000]), "steps of the final decay").when(DECAYING).live(),
    Field::new("schedule.form", "decay form", "", Kind::choice(Decay::CHOICES), "how the decay falls").when(FORMED).live(),
    Field::new("schedule.floor", "floor", "× peak", Kind::number(0.0, 1.0), "learning rate at the last step; 0 makes that step idle").instead(&[("schedule", "on_plateau", Text::new("the rate drops no lower"))]).when(FALLING).live(),
    Field::new("schedule.points", "points", "step:lr", Kind::Text { max_len: 4000 }, "the curve runs through these").when(DRAWN).live(),
    Field::new("schedule.between", "between points", "", Kind::choice(Between::CHOICES), "how the curve joins two points").when(DRAWN).live(),
    Field::new("schedule.origin", "starts at", "step", Kind::log_integer(0, 10_000_000, [1, 10_000]), "the step at which this shape takes over").live(),
    Field::new("schedule.span", "span", "steps", Kind::log_integer(0, 10_000_000, [1, 10_000]), "steps that the shape fills; 0 = the rest of the run").live(),
    Field::new("schedule.repeat", "repeat", "", Kind::Bool, "starts the shape again after its span").live(),
    Field::new("schedule.scaling", "batch scaling", "", Kind::choice(Scaling::CHOICES), "what a new batch size does to the learning rate").when(UNSCALED).live(),
    Field::new("schedule.momentum", "momentum course", "", Kind::choice(Momentum::CHOICES), "how momentum moves with the learning rate").when(KEEPING).live(),
    Field::new("schedule.low", "lowest momentum", "", Kind::number(0.0, 0.9999), "where it moves; the optimizer's own is the highest").when(MOVING).live(),
    Field::new("schedule.auto", "from curvature", "", Kind::choice(Auto::CHOICES), "what the batch's spectrum sets while the run goes on").when(LINEAR).live(),
    Field::new("schedule.interval", "measure every", "steps", Kind::log_integer(1, 10_000_000, [1, 1000]), "how often the spectrum sets the rate").when(TUNED).live(),
    Field::new("schedule.damping", "damping", "", Kind::log_number(0.0, 1e9, [1e-4, 100.0]), "added to every curvature: smaller rates, less momentum").when(TUNED).live(),
    Field::new("schedule.vectors", "probe vectors", "", Kind::integer(1, 16), "random vectors a measurement; more see more of the spectrum").when(TUNED).live(),
    Field::new("schedule.products", "Lanczos steps", "", Kind::integer(4, 100), "products with each probe vector; more see further out").when(TUNED).live(),
    Field::new("batch.size", "batch size", "examples", Kind::log_integer(0, 1_000_000, [1, 4096]), "examples a step averages over; 0 = all").live(),
    Field::new("batch.micro", "micro-batch", "examples", Kind::log_integer(0, 1_000_000, [1, 1024]), "examples computed at once; 0 = automatic"),
    Field::new("batch.sampler", "sampler", "", Kind::choice(Sampling::CHOICES), "how batches are drawn"),
    Field::new("batch.share", "trained on again", "of batches", Kind::number(0.01, 1.0), "how many of them a round trains on after the first; 1 = all").when(FIXED),
    Field::new("batch.again", "which ones", "", Kind::choice(Again::CHOICES), "what a round picks; losses are those before the last update on a batch").when(FIXED),
    Field::new("batch.clustered", "sorted by class", "", Kind::Bool, "lays classes together, as in a sorted file").when(FIXED),
    Field::new("batch.spread", "noise of sorting", "classes", Kind::log_number(0.0, 1e6, [0.1, 100.0]), "0 = batches of one class").when(CLUSTERED),
    Field::new("batch.policy", "batch policy", "", Kind::choice(Policy::CHOICES), "what makes batches grow").live(),
    Field::new("batch.largest", "largest batch", "examples", Kind::log_integer(0, 1_000_000, [1, 4096]), "batches grow no further; 0 = all").when(CHANGING).live(),
    Field::new("batch.factor", "growth factor", "×", Kind::number(1.0, 16.0), "how much larger at each step up").when(STEPPED).live(),
    Field::new("batch.every", "grow every", "steps", Kind::log_integer(1, 10_000_000, [1, 1000]), "how often the batch is multiplied").when(STEPPED).live(),
    Field::new("batch.at", "grow at", "steps", Kind::list([0, 16], 1, 10_000_000), "multiplies at these steps; none = every so often").when(STEPPED).live(),
    Field::new("batch.over", "ramp length", "steps", Kind::log_integer(1, 10_000_000, [10, 10_000]), "steps to the largest batch").when(RAMP).live(),
    Field::new("batch.growth", "ramp form", "", Kind::choice(Growth::CHOICES), "how the ramp climbs").when(RAMP).live(),
    Field::new("batch.interval", "test every", "steps", Kind::log_integer(1, 10_000_000, [1, 1000]), "how often single gradients are compared").when(ADAPTIVE).live(),
    Field::new("batch.eta", "η", "", Kind::log_number(1e-3, 1e9, [0.05, 10.0]), "noise tolerated in the gradient; smaller grows faster").when(&[("batch.policy", &["norm_test"])]).live(),
    Field::new("batch.theta", "θ", "", Kind::log_number(1e-3, 1e9, [0.05, 10.0]), "noise tolerated along the gradient").when(INNER).live(),
    Field::new("batch.nu", "ν", "", Kind::log_number(1e-3, 1e9, [0.05, 100.0]), "noise tolerated across the gradient").when(INNER).live(),
    Field::new("batch.multiple", "batch over noise scale", "×", Kind::log_number(1e-3, 1e3, [0.01, 100.0]), "1 = the critical batch size").when(NOISE).live(),
    Field::new("batch.smoothing", "smoothing", "", Kind::number(0.0, 0.999), "memory of earlier noise scales").when(NOISE).live(),
    Field::new("batch.shrink", "may shrink", "", Kind::Bool, "lets batches become smaller again").when(ADAPTIVE).live(),
    Field::new("augment.shift", "shift", "px", Kind::integer(0, 16), "moves images at random").when(IMAGES),
    Field::new("augment.flip", "flip", "", Kind::Bool, "mirrors half the images").when(IMAGES),
    Field::new("augment.crop", "crop", "of side", Kind::number(0.0, 1.0), "smallest part kept of an image; 0 = no crop").when(IMAGES),
    Field::new("augment.mixup", "mixup α", "", Kind::number(0.0, 10.0), "blends pairs of images and their classes; 0 = off").when(IMAGES),
    Field::new("probes.evaluate", "evaluate every", "steps", Kind::log_integer(0, 10_000_000, [1, 1000]), "how often the test set is asked; 0 = at the end"),
    Field::new("probes.tested", "test on", "examples", Kind::log_integer(0, 100_000, [16, 2048]), "of the test set, until the end; 0 = all; more is slower and surer"),
    Field::new("probes.look", "look every", "steps", Kind::log_integer(0, 10_000_000, [1, 1000]), "how often the views inside are drawn; 0 = on request"),
    Field::new("probes.curvature", "curvature every", "steps", Kind::log_integer(0, 10_000_000, [1, 1000]), "how often the spectrum is measured; 0 = on request").live(),
    Field::new("probes.operator", "curvature of", "", Kind::choice(Curved::CHOICES), "the matrix whose eigenvalues are shown").live(),
    Field::new("probes.samples", "curvature samples", "examples", Kind::log_integer(1, 100_000, [16, 2048]), "training examples it is measured on; more is slower and surer").live(),
    Field::new("probes.products", "Lanczos steps", "", Kind::integer(4, 100), "products for each spectrum; more resolve finer").live(),
    Field::new("probes.share", "time for probes", "", Kind::number(0.0, 0.9), "largest share spent on looking"),
    Field::new("probes.alpha", "step on the parabola (α)", "", Kind::Bool, "where an update lands: 0 = lowest point, 1 = as high as before").live(),
    Field::new("probes.signal", "signal-to-noise by layer", "", Kind::Bool, "a batch's gradient against its noise").live(),
    Field::new("probes.cabs", "batch by CABS", "", Kind::Bool, "examples that balance noise and loss").live(),
    Field::new("probes.stopping", "early-stopping criterion", "", Kind::Bool, "whether the gradient is all noise").live(),
    Field::new("probes.elements", "gradient elements", "", Kind::Bool, "their histograms").live(),
    Field::new("probes.batch_sharpness", "batch sharpness", "", Kind::Bool, "curvature of a batch along its own gradient").live(),
    Field::new("probes.blocks", "Hessian by layer", "", Kind::Bool, "norms of its blocks").live(),
    Field::new("probes.perturbation", "random weights", "", Kind::Bool, "rise of the loss when weights move at random").live(),
    Field::new("seed", "seed", "", Kind::Integer { min: 0, max: MAX_SAFE_INTEGER, slider: [1, 100], log: false }, "another number, other random draws"),
    Field::new("steps", "steps", "", Kind::log_integer(1, 1_000_000_000, [10, 10_000]), "updates of the whole run").live(),
];

/// The control of that path in this spec; `None` if the spec has no such field.
#[must_use]
pub fn field(spec: &RunSpec, path: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.path == path && field.exists(spec))
}

impl RunSpec {
    /// The value of a control, written as in a link; `None` if this spec has no such field.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<String> {
        let mut tree = tree(self);
        leaf(&mut tree, path).map(|value| show(value))
    }

    /// Turns one control. A new kind of model comes with its defaults, a new update rule with its usual numbers. Rules between fields are not checked here but
    /// by [`RunSpec::validate`].
    ///
    /// # Errors
    /// An [`Issue`] at the path if there is no such control or the value is not one of its; the spec is then unchanged.
    pub fn set(&mut self, path: &str, text: &str) -> Result<(), Issue> {
        let Some(field) = field(self, path) else {
            return Err(self.no_such(path));
        };
        let value = field.kind.parse(text).map_err(|problem| {
            let used = self.get(path).unwrap_or_default();
            Issue::new(path, format!("{} {problem}", capital(field.label)), used)
        })?;
        match (path, ModelSpec::of(text), Rule::from_id(text)) {
            ("model", Some(model), _) if model.kind() != self.model.kind() => self.model = model,
            ("optimizer", _, Some(rule)) => self.optimizer.choose(rule),
            _ => return self.place(field, value),
        }
        Ok(())
    }

    /// Turns one control as a link of that version does.
    ///
    /// # Errors
    /// As [`RunSpec::set`].
    pub fn set_as_of(&mut self, version: u32, path: &str, text: &str) -> Result<(), Issue> {
        match (path, Rule::from_id(text)) {
            ("optimizer", Some(rule)) if version < USUAL_NUMBERS => self.optimizer.kind = rule,
            _ => return self.set(path, text),
        }
        Ok(())
    }

    fn place(&mut self, field: &Field, value: Value) -> Result<(), Issue> {
        let mut tree = tree(self);
        if let Some(place) = leaf(&mut tree, field.path) {
            *place = value;
        }
        *self = Self::from_tree(&tree).map_err(|error| {
            Issue::new(field.path, format!("{} was refused: {error}", capital(field.label)), String::new())
        })?;
        // A side that was chosen for another set is no wish for this one.
        if field.path == "data"
            && let Some([_, side, _]) = DataSpec::of(self.data.set).image_shape()
            && self.data.size > side
        {
            self.data.size = 0;
        }
        Ok(())
    }

    fn no_such(&self, path: &str) -> Issue {
        let shown = excerpt(path);
        let message = if FIELDS.iter().any(|field| field.path == path) {
            format!("The model “{}” has no “{shown}”", self.model.kind())
        } else {
            format!("There is no control “{shown}”")
        };
        Issue::new(&shown, message, String::new())
    }
}

/// The spec as JSON. Non-finite numbers become null.
pub(super) fn tree(spec: &RunSpec) -> Value {
    crate::tree::of(spec)
}

/// The place of a control's value in the spec's JSON.
pub(super) fn leaf<'a>(tree: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let value = path.split('.').try_fold(tree, |value, key| value.as_object_mut()?.get_mut(key))?;
    if value.is_object() {
        // A group's name stands for its kind.
        let group = value.as_object_mut()?;
        let key = if group.contains_key("set") { "set" } else { "kind" };
        group.get_mut(key)
    } else {
        Some(value)
    }
}
