//! What a session is.

use super::{Arm, Leg, Strategy, setting};
use crate::spec::{DataSet, DataSpec, choices};

/// The most tasks of a stream.
pub const MAX_TASKS: usize = 50;
/// The most strategies that a session starts with.
pub const MAX_STARTED: usize = 6;
/// The most arms, those that left another one's past included.
pub const MAX_ARMS: usize = 8;
/// The most seeds of a session.
pub const MAX_SEEDS: u32 = 10;

choices! {
    /// Where tasks come from.
    pub enum StreamKind {
        /// Handwritten digits, some classes a task.
        SplitMnist = "split-mnist", "Split MNIST";
        /// Clothes, some classes a task.
        SplitFashion = "split-fashion", "Split Fashion-MNIST";
        /// Small handwritten digits, some classes a task.
        SplitDigits = "split-digits", "Split digits 8×8";
        /// Emoji, some of 100 classes a task.
        SplitEmoji = "split-emoji", "Split emoji, 100 classes";
        /// Letters of many scripts, some of 100 classes a task.
        SplitGlyphs = "split-glyphs", "Split letters, 100 classes";
        /// Handwritten digits, their pixels in another order in every task.
        PermutedMnist = "permuted-mnist", "Permuted MNIST";
        /// Handwritten digits, turned further in every task.
        RotatedMnist = "rotated-mnist", "Rotated MNIST";
        /// Emoji of the same classes, another artist in every task.
        EmojiStyles = "emoji-styles", "Emoji by art style";
        /// Handwritten digits, then clothes, then small digits.
        Sets = "sets", "MNIST, Fashion-MNIST, digits";
        /// A file of the person's own, split by class.
        Own = "own", "Own file, by class";
        /// A file of the person's own, cut in the order of its rows.
        OwnTime = "own-time", "Own file, by order of rows";
    }
}

choices! {
    /// What must be told at the test.
    pub enum Scenario {
        /// Which class of all.
        Class = "class", "class-incremental";
        /// Which class of those of a task, all tasks sharing the outputs.
        Domain = "domain", "domain-incremental";
        /// Which class of a task that is named; a head for each.
        Task = "task", "task-incremental";
    }
}

choices! {
    /// In which order classes arrive.
    pub enum Order {
        /// As the data set numbers them.
        Given = "given", "as numbered";
        /// Shuffled by the seed.
        Seed = "seed", "by the seed";
    }
}

choices! {
    /// What learns.
    pub enum Network {
        /// A multilayer perceptron on pixels or numbers.
        Mlp = "mlp", "MLP";
        /// Strided convolutions on pictures, then a linear head.
        Convnet = "convnet", "Convnet";
        /// A compact convolutional transformer on pictures, then a linear head.
        Cct = "cct", "CCT";
        /// A head on the features of a frozen encoder.
        Encoder = "encoder", "Frozen encoder";
    }
}

choices! {
    /// What makes the features that do not change.
    pub enum Encoder {
        /// A random layer of rectified units.
        Random = "random", "random features";
        /// The inputs themselves.
        Inputs = "inputs", "the inputs themselves";
        /// Trained on letters of many scripts, as the few-shot lab ships it.
        Letters = "letters", "trained on letters";
        /// SqueezeNet 1.1 as trained on ImageNet's photographs.
        Squeezenet = "squeezenet", "SqueezeNet, photographs";
    }
}

choices! {
    /// Which classes compete in a class-incremental stream.
    pub enum Head {
        /// Those seen so far.
        Growing = "growing", "grows with the classes";
        /// All, from the start.
        Full = "full", "all classes from the start";
    }
}

choices! {
    /// The update rule.
    pub enum Descent {
        /// Plain descent.
        Sgd = "sgd", "SGD";
        /// A heavy ball of momentum 0.9.
        Momentum = "momentum", "SGD, momentum 0.9";
        /// Adam with its usual numbers.
        Adam = "adam", "Adam";
    }
}

impl Network {
    /// Its usual hidden layers.
    #[must_use]
    pub fn usual(self) -> Vec<usize> {
        vec![if self == Self::Cct { 32 } else { 256 }; 2]
    }

    /// Whether it sees pictures alone.
    #[must_use]
    pub const fn sees_pictures(self) -> bool {
        matches!(self, Self::Convnet | Self::Cct)
    }
}

/// A session of the continual lab.
#[derive(Debug, Clone, PartialEq)]
pub struct ContinualSpec {
    /// The preset that its link is relative to, by id; empty = none.
    pub preset: String,
    /// Where tasks come from.
    pub stream: StreamKind,
    /// What must be told at the test.
    pub scenario: Scenario,
    /// How many tasks.
    pub tasks: usize,
    /// In which order classes arrive.
    pub order: Order,
    /// Training examples a task at most, evenly of each class; 0 = all.
    pub examples: usize,
    /// Test examples a task at most, likewise; 0 = all.
    pub tested: usize,
    /// How often a task's examples are seen.
    pub passes: u32,
    /// Share of the way to the middle of a task over which a border is blurred, 0..=1.
    pub blur: f64,
    /// Share of its examples that the last class of the order keeps, the others in between geometrically; 1 = balanced.
    pub imbalance: f64,
    /// Rotated pictures: degrees from task to task.
    pub angle: f64,
    /// What learns.
    pub network: Network,
    /// Widths of hidden layers, of a convnet its channels, of a CCT those of its blocks, on a frozen encoder those of the head.
    pub hidden: Vec<usize>,
    /// What makes the features that do not change.
    pub encoder: Encoder,
    /// Random features: how many.
    pub features: usize,
    /// Which classes compete in a class-incremental stream.
    pub head: Head,
    /// The update rule.
    pub optimizer: Descent,
    /// Learning rate.
    pub rate: f64,
    /// New examples an update.
    pub batch: usize,
    /// Stored examples an update, for strategies that replay.
    pub replayed: usize,
    /// Evaluations of all tasks in a task.
    pub readings: u32,
    /// Updates after a border after each of which the first task is evaluated.
    pub window: u64,
    /// Examples of either task on which curvature is measured about borders; 0 = it is not.
    pub curvature: usize,
    /// What learns the stream, side by side.
    pub arms: Vec<Arm>,
    /// Settings of strategies that were turned, by id, for all arms that have none of their own.
    pub values: Vec<(String, f64)>,
    /// The first seed.
    pub seed: u64,
    /// How many seeds: the first and those after it.
    pub seeds: u32,
    /// The file of the person's own.
    pub own: DataSpec,
}

impl Default for ContinualSpec {
    /// Split MNIST, class-incremental, five tasks in one pass.
    fn default() -> Self {
        let arms = [Strategy::FineTuning, Strategy::Ewc, Strategy::Replay, Strategy::Cumulative].map(Arm::new).to_vec();
        Self {
            preset: String::new(),
            stream: StreamKind::SplitMnist,
            scenario: Scenario::Class,
            tasks: 5,
            order: Order::Given,
            examples: 0,
            tested: 400,
            passes: 1,
            blur: 0.0,
            imbalance: 1.0,
            angle: 15.0,
            network: Network::Mlp,
            hidden: Network::Mlp.usual(),
            encoder: Encoder::Random,
            features: 512,
            head: Head::Growing,
            optimizer: Descent::Sgd,
            rate: 0.1,
            batch: 10,
            replayed: 10,
            readings: 10,
            window: 20,
            curvature: 0,
            arms,
            values: Vec::new(),
            seed: 1,
            seeds: 1,
            own: DataSpec::of(DataSet::Own),
        }
    }
}

impl ContinualSpec {
    /// The value of a strategy's setting in a leg of an arm: its own, else the session's, else the usual one; NaN for an
    /// unknown setting.
    #[must_use]
    pub fn value(&self, leg: &Leg, id: &str) -> f64 {
        let find = |values: &[(String, f64)]| values.iter().find(|(known, _)| known == id).map(|(_, value)| *value);
        let usual = || setting(id).map(|setting| setting.default);
        find(&leg.values).or_else(|| find(&self.values)).or_else(usual).unwrap_or(f64::NAN)
    }

    /// Whether an arm reads a setting.
    #[must_use]
    pub fn reads(&self, setting: &str) -> bool {
        self.arms.iter().flat_map(|arm| &arm.legs).any(|leg| leg.strategy.has(setting))
    }

    /// Whether something is computed on the frozen encoder.
    #[must_use]
    pub fn encodes(&self) -> bool {
        let frozen = |leg: &Leg| leg.strategy.row().frozen;
        self.network == Network::Encoder || self.arms.iter().flat_map(|arm| &arm.legs).any(frozen)
    }

    /// Another future of an arm's past: the session with one more arm, which is the last.
    ///
    /// # Errors
    /// What keeps it from being, as a sentence.
    pub fn forked(&self, arm: usize, update: u64, next: &str) -> Result<Self, String> {
        if self.arms.len() >= MAX_ARMS {
            return Err(format!("A session has at most {MAX_ARMS} arms"));
        }
        let parent = self.arms.get(arm).ok_or("There is no such arm")?;
        let mut forked = self.clone();
        forked.arms.push(parent.forked(update, next)?);
        Ok(forked)
    }

    /// The data sets that the stream is made of, in the order of their tasks; none of letters, which are drawn for it.
    #[must_use]
    pub fn sets(&self) -> Vec<DataSpec> {
        let of = |set: DataSet, size: usize| DataSpec { size, ..DataSpec::of(set) };
        match self.stream {
            StreamKind::SplitMnist | StreamKind::PermutedMnist | StreamKind::RotatedMnist => {
                vec![of(DataSet::Mnist, 0)]
            }
            StreamKind::SplitFashion => vec![of(DataSet::Fashion, 0)],
            StreamKind::SplitDigits => vec![of(DataSet::Digits, 0)],
            StreamKind::SplitEmoji | StreamKind::EmojiStyles => vec![of(DataSet::Emoji100, 0)],
            // The smallest pictures set the side.
            StreamKind::Sets => vec![of(DataSet::Mnist, 8), of(DataSet::Fashion, 8), of(DataSet::Digits, 0)],
            StreamKind::SplitGlyphs => Vec::new(),
            StreamKind::Own | StreamKind::OwnTime => vec![self.own.clone()],
        }
    }
}
