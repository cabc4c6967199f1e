//! What the network learns from.

use serde::Serialize;

use super::choices;
use crate::tree::FromTree;

choices! {
    /// A data set: a pack that ships with the lab, a generator, or a file of the person's own.
    pub enum DataSet {
        /// Handwritten digits, 28x28 grey, 10 classes.
        Mnist = "mnist", "MNIST digits";
        /// Zalando's clothes, 28x28 grey, 10 classes.
        Fashion = "fashion", "Fashion-MNIST";
        /// Handwritten digits, 8x8 grey, 10 classes.
        Digits = "digits", "Digits 8×8";
        /// Emoji in several art styles, 32x32 RGB, 100 classes.
        Emoji100 = "emoji100", "Emoji, 100 classes";
        /// All 1,109 emoji, 32x32 RGB.
        Emoji = "emoji", "Emoji, 1,109 classes";
        /// Characters of Shakespeare's works.
        Shakespeare = "shakespeare", "Shakespeare characters";
        /// Hourly weather of three New York airports.
        Weather = "weather", "New York weather";
        /// Points on interleaved spiral arms in the plane, one class an arm.
        Spirals = "spirals", "Spirals";
        /// Points of a Gaussian mixture, one class a component.
        Mixture = "mixture", "Gaussian mixture";
        /// A file that the person brought; a link names it but does not carry it.
        Own = "own", "Own file";
    }
}

choices! {
    /// What an example is, which decides the models and objectives that fit.
    pub enum Content {
        /// Pictures with a class: `[channels, height, width]`.
        Images = "images", "images with classes";
        /// Rows of numbers with a class: `[features]`.
        Table = "table", "rows with classes";
        /// A sequence of characters.
        Text = "text", "text";
        /// A multivariate time series, to forecast.
        Series = "series", "time series";
    }
}

choices! {
    /// What becomes of the inputs of images and tables before a model sees them.
    pub enum Projection {
        /// They stay as they are.
        None = "none", "none";
        /// Their principal components over the training set, pixels counting as 0 to 1.
        Pca = "pca", "principal components";
        /// The same, each brought to variance 1.
        White = "white", "whitened components";
    }
}

/// Which data set, how much of it, and the settings of generators and of own files.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct DataSpec {
    /// The data set.
    pub set: DataSet,
    /// Training examples: so many, stratified by class and evenly spaced in the set; 0 = all. Generators: how many to draw, 0 = 2,000.
    /// Text: characters; series: time steps.
    pub train: usize,
    /// Test examples, likewise; generators: 0 = 1,000.
    pub test: usize,
    /// Side in pixels to which images are scaled down by area averaging; 0 = as they are.
    pub size: usize,
    /// Whether inputs are replaced by their principal components.
    pub projection: Projection,
    /// Principal components kept.
    pub components: usize,
    /// Share of the training labels that are replaced by classes drawn at random.
    pub label_noise: f64,
    /// Spirals: standard deviation of the points about their arm. Mixture: of a component (means lie on the unit sphere).
    pub noise: f64,
    /// Spirals: arms, that is classes.
    pub arms: usize,
    /// Mixture: components, that is classes.
    pub classes: usize,
    /// Mixture: dimensions of the space.
    pub dims: usize,
    /// Series: past time steps shown to the model.
    pub window: usize,
    /// Series: future time steps to forecast.
    pub horizon: usize,
    /// Own file: its name.
    pub file: String,
    /// Own file: the first 16 hexadecimal digits of its SHA-256, so that a link says exactly which file it needs.
    pub hash: String,
    /// Own file: what its examples are.
    pub content: Content,
    /// Own table: name of the column that holds the class (or, for a series, is forecast); empty = the last column.
    pub target: String,
    /// Own table: names of the feature columns, separated by commas (one within a name has a backslash in front), or `*`
    /// and behind it what is left out of all, each name with a `-` in front; empty = all others that are fit.
    pub columns: String,
    /// Own table: columns that are not taken for what they look like, such as `zip=category,age=number`.
    pub kinds: String,
    /// Points of a plane: training points that a hand has put elsewhere, as [`read_moves`](super::read_moves) reads them.
    pub moved: String,
    /// Images and tables: training examples that are left out, by their numbers in the training set from 0 on; ascending.
    pub dropped: Vec<u64>,
}

/// Training examples of a generated set, unless the spec says how many.
pub const GENERATED: usize = 2000;
/// Most characters of a name of a file or column.
pub const MAX_NAME: usize = 200;
/// Most characters of a list of such names.
pub const MAX_LIST: usize = 4000;
/// Most training examples that are left out.
pub const MAX_DROPPED: usize = 200;

impl Default for DataSpec {
    fn default() -> Self {
        Self {
            set: DataSet::Mnist,
            train: 0,
            test: 0,
            size: 0,
            projection: Projection::None,
            components: 32,
            label_noise: 0.0,
            noise: 0.1,
            arms: 2,
            classes: 4,
            dims: 2,
            window: 48,
            horizon: 12,
            file: String::new(),
            hash: String::new(),
            content: Content::Images,
            target: String::new(),
            columns: String::new(),
            kinds: String::new(),
            moved: String::new(),
            dropped: Vec::new(),
        }
    }
}

impl DataSpec {
    /// The default settings with another data set.
    #[must_use]
    pub fn of(set: DataSet) -> Self {
        Self { set, ..Self::default() }
    }

    /// What this set's examples are, as the model sees them: projected images are rows of numbers.
    #[must_use]
    pub fn content(&self) -> Content {
        match self.raw_content() {
            Content::Images if self.projection != Projection::None => Content::Table,
            content => content,
        }
    }

    /// What this set's examples are in their file.
    #[must_use]
    pub fn raw_content(&self) -> Content {
        match self.set {
            DataSet::Mnist | DataSet::Fashion | DataSet::Digits | DataSet::Emoji100 | DataSet::Emoji => Content::Images,
            DataSet::Spirals | DataSet::Mixture => Content::Table,
            DataSet::Shakespeare => Content::Text,
            DataSet::Weather => Content::Series,
            DataSet::Own => self.content,
        }
    }

    /// Channels, height and width of an image as the model sees it, where the set fixes them (own files do not).
    #[must_use]
    pub fn image_shape(&self) -> Option<[usize; 3]> {
        if self.content() != Content::Images {
            return None;
        }
        let [channels, side] = match self.set {
            DataSet::Mnist | DataSet::Fashion => [1, 28],
            DataSet::Digits => [1, 8],
            DataSet::Emoji100 | DataSet::Emoji => [3, 32],
            _ => return None,
        };
        let side = if self.size == 0 { side } else { self.size };
        Some([channels, side, side])
    }
}
