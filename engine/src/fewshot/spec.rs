//! What a session of the few-shot lab is.

use serde::Serialize;

use super::Method;
use crate::spec::choices;
use crate::tree::FromTree;

choices! {
    /// Where pictures and classes come from.
    pub enum Source {
        /// Letters of many scripts, 28x28 grey.
        Glyphs = "glyphs", "Letters of 130 scripts";
        /// Kanji drawn from their strokes with a fine pen and with a brush, 28x28 grey.
        Kanji = "kanji", "Kanji";
        /// Emoji drawn in up to eight art styles, 32x32 RGB.
        Emoji = "emoji", "Emoji in art styles";
        /// MNIST, Fashion-MNIST and the 8x8 digits as classes side by side, 28x28 grey.
        Digits = "digits", "Digits and clothes";
        /// Drawings of many hands by what they show, 32x32 RGB.
        Clipart = "clipart", "Clip art";
        /// Pictures of the person's own.
        Own = "own", "Own pictures";
    }
}

impl Source {
    /// Whether its pictures are in colour, which the shipped encoder of letters cannot see.
    #[must_use]
    pub const fn coloured(self) -> bool {
        matches!(self, Self::Emoji | Self::Clipart)
    }
}

choices! {
    /// What turns a picture into the vector that methods compare.
    pub enum Embedding {
        /// The encoder that comes with the lab: trained on base classes beforehand.
        Shipped = "shipped", "Shipped encoder";
        /// SqueezeNet 1.1 as trained on ImageNet's photographs.
        Squeezenet = "squeezenet", "SqueezeNet, photographs";
        /// The pixels themselves, of length 1.
        Pixels = "pixels", "Pixels";
        /// The network at its random start.
        Random = "random", "Random network";
        /// Trained here by prototypical episodes (Snell et al. 2017).
        Prototypical = "prototypical", "Prototypical episodes";
        /// Trained here as a classifier of the base classes.
        Linear = "linear", "Classifier, linear head";
        /// The same with a head that compares directions (Chen et al. 2019).
        Cosine = "cosine", "Classifier, cosine head";
        /// Trained here by supervised contrast (Khosla et al. 2020).
        Contrastive = "contrastive", "Supervised contrast";
    }
}

impl Embedding {
    /// Whether it is trained when a session asks for it.
    #[must_use]
    pub const fn trains(self) -> bool {
        matches!(self, Self::Prototypical | Self::Linear | Self::Cosine | Self::Contrastive)
    }
}

choices! {
    /// An art style of the emoji.
    pub enum Style {
        /// All of them.
        Any = "any", "any style";
        /// Google's of today.
        Noto = "noto", "Noto";
        /// Twitter's.
        Twemoji = "twemoji", "Twemoji";
        /// OpenMoji, line drawings.
        Openmoji = "openmoji", "OpenMoji";
        /// Microsoft's, flat.
        Fluent = "fluent-emoji-flat", "Fluent, flat";
        /// Google's first.
        NotoV1 = "noto-v1", "Noto, first version";
        /// EmojiOne's second.
        Emojione = "emojione", "EmojiOne";
        /// EmojiOne's first.
        EmojioneV1 = "emojione-v1", "EmojiOne, first version";
        /// Mozilla's.
        Fxemoji = "fxemoji", "FxEmojis";
    }
}

/// Everything that decides a session: `FewshotSpec::default()` is the first preset. Each field is a row of
/// [`SETTINGS`](super::SETTINGS), which says what it means and which values it takes.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A link kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct FewshotSpec {
    /// Where pictures and classes come from.
    pub data: Source,
    /// How strongly pictures are warped; 0 = not at all. At 1: rotation up to 20 degrees, scale 0.75 to 1.25, shear 0.3,
    /// shift 10%, and an elastic warp.
    pub warp: f64,
    /// Emoji: the style of the support.
    pub support_style: Style,
    /// Emoji: the style of the queries.
    pub query_style: Style,
    /// Classes of a task.
    pub ways: usize,
    /// Labelled examples a class.
    pub shots: usize,
    /// Examples to be classified, a class.
    pub queries: usize,
    /// Concentration of the Dirichlet distribution of the queries over the classes; 0 = as many of each.
    pub alpha: f64,
    /// Tasks over which methods are compared.
    pub tasks: usize,
    /// The method of the task that is shown.
    pub method: Method,
    /// The methods that are compared; the first is what differences are against.
    pub compare: Vec<Method>,
    /// Weight of the neighbours.
    pub lambda: f64,
    /// Neighbours in the graph, with the point itself.
    pub knn: usize,
    /// Neighbours that vote.
    pub neighbours: usize,
    /// Factor on similarities before a softmax.
    pub temperature: f64,
    /// Weight of the squared length of the ridge head's parameters.
    pub ridge: f64,
    /// Steps of descent of fitted heads.
    pub iterations: usize,
    /// Whether support rows stay what they are in every inner iteration.
    pub clamp: bool,
    /// What turns a picture into a vector.
    pub embedding: Embedding,
    /// Base classes that the encoder is trained on; 0 = all.
    pub base: usize,
    /// Updates of the encoder's training.
    pub updates: usize,
    /// Seconds after which training ends, wherever it is; 0 = no limit.
    pub seconds: f64,
    /// Learning rate of the encoder's training.
    pub rate: f64,
    /// Classes of a training episode.
    pub episode_ways: usize,
    /// Labelled examples a class in a training episode.
    pub episode_shots: usize,
    /// Examples to be classified, a class, in a training episode.
    pub episode_queries: usize,
    /// Share of known pictures that may be taken for none of the classes.
    pub alarm: f64,
    /// Seed of every random number.
    pub seed: u64,
}

impl Default for FewshotSpec {
    fn default() -> Self {
        Self {
            data: Source::Glyphs,
            warp: 1.0,
            support_style: Style::Any,
            query_style: Style::Any,
            ways: 5,
            shots: 1,
            queries: 15,
            alpha: 0.0,
            tasks: 1000,
            method: Method::SlkMs,
            compare: Method::ALL.to_vec(),
            lambda: 0.7,
            knn: 3,
            neighbours: 1,
            temperature: 10.0,
            ridge: 1.0,
            iterations: 100,
            clamp: true,
            embedding: Embedding::Shipped,
            base: 0,
            updates: 1500,
            seconds: 60.0,
            rate: 4e-3,
            episode_ways: 30,
            episode_shots: 1,
            episode_queries: 3,
            alarm: 0.05,
            seed: 1,
        }
    }
}
