//! The strategies: what each is called, where it is from, what it needs, and what can be set.

use super::Scenario;
use crate::spec::{Kind, choices};
use crate::text::Text;

choices! {
    /// A way to learn tasks one after another.
    pub enum Strategy {
        /// Plain descent on what arrives: the lower reference.
        FineTuning = "fine-tuning", "Fine-tuning";
        /// All tasks at once, mixed, as if there were no stream: the upper reference.
        Joint = "joint", "Joint training";
        /// Everything seen so far at every task.
        Cumulative = "cumulative", "Cumulative";
        /// Elastic weight consolidation, a penalty for every task.
        Ewc = "ewc", "EWC";
        /// Elastic weight consolidation with one running penalty.
        OnlineEwc = "online-ewc", "Online EWC";
        /// Synaptic intelligence.
        Si = "si", "SI";
        /// Learning without forgetting.
        Lwf = "lwf", "LwF";
        /// Experience replay from a reservoir.
        Replay = "replay", "Replay";
        /// Replay of examples and of the logits that they had.
        DerPlusPlus = "der++", "DER++";
        /// Replay with an asymmetric cross-entropy.
        ErAce = "er-ace", "ER-ACE";
        /// Averaged gradient episodic memory.
        AGem = "a-gem", "A-GEM";
        /// A greedy balanced memory, and a network trained on nothing else.
        Gdumb = "gdumb", "GDumb";
        /// Exemplars, distillation, nearest mean of exemplars.
        Icarl = "icarl", "iCaRL";
        /// A linear head on frozen features, by plain descent.
        Probe = "linear-probe", "Linear probe";
        /// Nearest class mean of frozen features.
        NearestMean = "nearest-mean", "Nearest mean";
        /// Streaming linear discriminant analysis of frozen features.
        Slda = "slda", "Streaming LDA";
        /// Discrete key-value bottleneck on frozen features.
        KeyValue = "key-value", "Key-value bottleneck";
        /// Channel-wise reprogramming of a frozen convnet, a set of small filters for each task.
        Clr = "clr", "CLR";
        /// A hypernetwork that makes the weights for each task.
        Hypernetwork = "hypernetwork", "Hypernetwork";
    }
}

/// What there is to know of a strategy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StrategyRow {
    /// Which one.
    pub strategy: Strategy,
    /// Its paper: authors and year, title; empty where there is none.
    pub paper: &'static str,
    /// Where to read it; empty where there is no paper.
    pub source: &'static str,
    /// Whether it keeps examples.
    pub keeps_examples: bool,
    /// Whether it must be told when a task ends.
    pub needs_borders: bool,
    /// Whether it always works on the frozen encoder's features, whatever the network of the others.
    pub frozen: bool,
    /// The one scenario that it is made for; `None` = any.
    pub only: Option<Scenario>,
    /// Whether it needs a convnet.
    pub convolves: bool,
    /// Ids of the [`SETTINGS`] that it reads.
    pub settings: &'static [&'static str],
    /// What it does, in one line.
    pub line: Text,
}

impl Strategy {
    /// Its row of the table.
    #[must_use]
    pub fn row(self) -> &'static StrategyRow {
        // The tests go over all: every strategy has a row, at its place.
        &STRATEGIES[self as usize]
    }

    /// Whether it reads a setting.
    #[must_use]
    pub fn has(self, setting: &str) -> bool {
        self.row().settings.contains(&setting)
    }
}

impl StrategyRow {
    const fn new(strategy: Strategy, line: &'static str) -> Self {
        let (paper, source) = ("", "");
        Self {
            strategy,
            paper,
            source,
            keeps_examples: false,
            needs_borders: false,
            frozen: false,
            only: None,
            convolves: false,
            settings: &[],
            line: Text::new(line),
        }
    }

    const fn by(mut self, paper: &'static str, source: &'static str) -> Self {
        self.paper = paper;
        self.source = source;
        self
    }

    const fn set(mut self, settings: &'static [&'static str]) -> Self {
        self.settings = settings;
        self
    }

    const fn keeps_examples(mut self) -> Self {
        self.keeps_examples = true;
        self
    }

    const fn needs_borders(mut self) -> Self {
        self.needs_borders = true;
        self
    }

    const fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    const fn only(mut self, scenario: Scenario) -> Self {
        self.only = Some(scenario);
        self
    }

    const fn convolves(mut self) -> Self {
        self.convolves = true;
        self
    }
}

/// Every strategy, in the order of [`Strategy::ALL`].
pub const STRATEGIES: &[StrategyRow] = &[
    StrategyRow::new(Strategy::FineTuning, "Descends the loss of what arrives and remembers nothing on purpose."),
    StrategyRow::new(
        Strategy::Joint,
        "Draws from all tasks at once: what a network can reach where nothing is lost to order.",
    ),
    StrategyRow::new(Strategy::Cumulative, "Draws from all tasks so far, as many updates as the others make."),
    StrategyRow::new(Strategy::Ewc, "Holds each parameter where earlier tasks left it, by their Fisher information.")
        .by(
            "Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks",
            "https://arxiv.org/abs/1612.00796",
        )
        .set(&["lambda", "fisher"])
        .needs_borders(),
    StrategyRow::new(Strategy::OnlineEwc, "EWC with one anchor and a Fisher information that fades.")
        .by("Schwarz et al. 2018, Progress & Compress", "https://arxiv.org/abs/1805.06370")
        .set(&["lambda", "fisher", "gamma"])
        .needs_borders(),
    StrategyRow::new(Strategy::Si, "Holds parameters by how much their path lowered the loss of earlier tasks.")
        .by("Zenke et al. 2017, Continual learning through synaptic intelligence", "https://arxiv.org/abs/1703.04200")
        .set(&["c"])
        .needs_borders(),
    StrategyRow::new(Strategy::Lwf, "Answers for old classes as the network before the task did.")
        .by("Li and Hoiem 2016, Learning without forgetting", "https://arxiv.org/abs/1606.09282")
        .set(&["distil", "temperature"])
        .needs_borders(),
    StrategyRow::new(Strategy::Replay, "Mixes every batch with examples from a reservoir.")
        .by("Chaudhry et al. 2019, On tiny episodic memories", "https://arxiv.org/abs/1902.10486")
        .set(&["memory"])
        .keeps_examples(),
    StrategyRow::new(Strategy::DerPlusPlus, "Replays examples with the logits that they had when they were stored.")
        .by("Buzzega et al. 2020, Dark experience for general continual learning", "https://arxiv.org/abs/2004.07211")
        .set(&["memory", "alpha", "beta"])
        .keeps_examples(),
    StrategyRow::new(Strategy::ErAce, "Replay in which new examples compete only with the classes of their own batch.")
        .by(
            "Caccia et al. 2022, New insights on reducing abrupt representation change",
            "https://arxiv.org/abs/2104.05025",
        )
        .set(&["memory"])
        .keeps_examples(),
    StrategyRow::new(Strategy::AGem, "Turns a gradient that would raise the loss of the memory until it does not.")
        .by("Chaudhry et al. 2019, Efficient lifelong learning with A-GEM", "https://arxiv.org/abs/1812.00420")
        .set(&["memory"])
        .keeps_examples(),
    StrategyRow::new(Strategy::Gdumb, "Stores a balanced sample, and trains a new network on it whenever asked.")
        .by("Prabhu et al. 2020, GDumb", "https://doi.org/10.1007/978-3-030-58536-5_31")
        .set(&["memory", "dumb-passes"])
        .keeps_examples(),
    StrategyRow::new(
        Strategy::Icarl,
        "Keeps exemplars near each class mean, distils, and decides by the nearest mean of exemplars.",
    )
    .by("Rebuffi et al. 2017, iCaRL", "https://arxiv.org/abs/1611.07725")
    .set(&["memory"])
    .keeps_examples()
    .needs_borders()
    .only(Scenario::Class),
    StrategyRow::new(Strategy::Probe, "A linear head on frozen features: what cannot forget is the features.").frozen(),
    StrategyRow::new(Strategy::NearestMean, "Averages the features of each class; nothing is trained.")
        .by(
            "Janson et al. 2022, A simple baseline that questions the use of pretrained models in continual learning",
            "https://arxiv.org/abs/2210.04428",
        )
        .frozen(),
    StrategyRow::new(
        Strategy::Slda,
        "Class means and one running covariance: linear discriminant analysis, an example at a time.",
    )
    .by(
        "Hayes and Kanan 2020, Lifelong machine learning with deep streaming linear discriminant analysis",
        "https://arxiv.org/abs/1909.01520",
    )
    .set(&["shrinkage"])
    .frozen(),
    StrategyRow::new(
        Strategy::KeyValue,
        "Looks features up among keys that unlabelled inputs have placed, and learns the values that were hit alone.",
    )
    .by("Träuble et al. 2023, Discrete key-value bottleneck", "https://arxiv.org/abs/2207.11240")
    .set(&["codebooks", "pairs", "key-width", "value-rate"])
    .frozen(),
    StrategyRow::new(
        Strategy::Clr,
        "Leaves the network as it was and gives each task a small filter a channel, norms and outputs of its own.",
    )
    .by(
        "Ge et al. 2023, CLR: Channel-wise lightweight reprogramming for continual learning",
        "https://arxiv.org/abs/2307.11386",
    )
    .set(&["kernel", "norms"])
    .only(Scenario::Task)
    .convolves(),
    StrategyRow::new(
        Strategy::Hypernetwork,
        "Makes the weights for each task from a vector of the task, and holds what it made for earlier ones.",
    )
    .by(
        "Chandra et al. 2023, Continual learning with dependency preserving hypernetworks",
        "https://arxiv.org/abs/2209.07712",
    )
    .set(&["chunks", "recurrent", "hold", "weighed", "fisher", "grow"])
    .needs_borders()
    .only(Scenario::Task),
];

/// A number that strategies read: one value for all, which each may have its own of.
#[derive(Debug, PartialEq)]
pub struct Setting {
    /// As in links.
    pub id: &'static str,
    /// As on the page.
    pub label: &'static str,
    /// What turning it does, in one line.
    pub effect: Text,
    /// Unit of its values; may be empty.
    pub unit: &'static str,
    /// The values it takes: a kind of number.
    pub kind: Kind,
    /// Its value unless turned.
    pub default: f64,
}

const fn number(id: &'static str, label: &'static str, effect: &'static str, kind: Kind, default: f64) -> Setting {
    Setting { id, label, effect: Text::new(effect), unit: "", kind, default }
}

const fn count(
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    effect: &'static str,
    kind: Kind,
    default: f64,
) -> Setting {
    Setting { id, label, effect: Text::new(effect), unit, kind, default }
}

/// All settings of strategies.
pub const SETTINGS: &[Setting] = &[
    count(
        "memory",
        "Memory",
        "examples",
        "how many examples may be kept",
        Kind::log_integer(1, 20_000, [10, 10_000]),
        1000.0,
    ),
    number("lambda", "EWC λ", "how firmly EWC holds parameters", Kind::log_number(0.0, 1e7, [1.0, 1e5]), 30.0),
    count(
        "fisher",
        "Fisher examples",
        "examples",
        "on how many examples of a task its Fisher information is measured",
        Kind::log_integer(1, 5000, [10, 1000]),
        200.0,
    ),
    number(
        "gamma",
        "Online EWC γ",
        "how much of the earlier Fisher information stays at a border",
        Kind::number(0.0, 1.0),
        0.9,
    ),
    number("c", "SI c", "how firmly SI holds parameters", Kind::log_number(0.0, 1e4, [1e-3, 100.0]), 0.1),
    number("distil", "LwF λ", "weight of the old network's answers", Kind::log_number(0.0, 100.0, [0.1, 10.0]), 1.0),
    number(
        "temperature",
        "LwF temperature",
        "how soft the answers are that are compared",
        Kind::log_number(0.1, 20.0, [0.5, 10.0]),
        2.0,
    ),
    number("alpha", "DER++ α", "weight of the stored logits", Kind::log_number(0.0, 10.0, [0.01, 2.0]), 0.2),
    number("beta", "DER++ β", "weight of the stored labels", Kind::log_number(0.0, 10.0, [0.01, 2.0]), 0.5),
    count(
        "dumb-passes",
        "GDumb passes",
        "passes",
        "how often GDumb's network sees the memory",
        Kind::log_integer(1, 200, [1, 100]),
        10.0,
    ),
    number(
        "shrinkage",
        "LDA shrinkage",
        "how far the covariance is drawn towards the identity",
        Kind::log_number(1e-6, 1.0, [1e-6, 1.0]),
        1e-2,
    ),
    number("codebooks", "Codebooks", "how many sets of keys vote", Kind::log_integer(1, 256, [4, 256]), 64.0),
    number("pairs", "Pairs", "key-value pairs of a codebook", Kind::log_integer(1, 4096, [16, 1024]), 256.0),
    number("key-width", "Key width", "dimensions of a key", Kind::log_integer(1, 64, [2, 32]), 8.0),
    number("value-rate", "Value rate", "learning rate of the values", Kind::log_number(1e-3, 100.0, [0.1, 20.0]), 5.0),
    count(
        "kernel",
        "CLR filter",
        "pixels",
        "side of each channel's filter: odd, an even number counts as the next; 0 = no filters",
        Kind::integer(0, 7),
        3.0,
    ),
    count(
        "chunks",
        "Hypernetwork chunks",
        "chunks",
        "in how many parts the weights are made",
        Kind::log_integer(1, 200, [4, 64]),
        33.0,
    ),
    number(
        "recurrent",
        "Hypernetwork LSTM",
        "1 = an LSTM makes chunk after chunk; 0 = an MLP makes each by itself",
        Kind::integer(0, 1),
        1.0,
    ),
    number(
        "hold",
        "Hypernetwork β",
        "how firmly weights made for earlier tasks are held",
        Kind::log_number(0.0, 1e7, [1e-4, 10.0]),
        0.01,
    ),
    number(
        "weighed",
        "Hypernetwork importance",
        "1 = weights that matter more are held more; 0 = all alike",
        Kind::integer(0, 1),
        0.0,
    ),
    count(
        "grow",
        "Hypernetwork growth",
        "cells",
        "how many cells the LSTM gains, once, after a task that ends with a higher loss than those before it; 0 = none",
        Kind::integer(0, 64),
        0.0,
    ),
    number("norms", "CLR norms", "1 = a batch norm of each task after each filter; 0 = none", Kind::integer(0, 1), 1.0),
];

/// The setting of that id.
#[must_use]
pub fn setting(id: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.id == id)
}
