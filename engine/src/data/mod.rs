//! Data sets: what a network learns from, on the host.
//!
//! A [`Data`] is one table (rows of pixels, numbers or characters) with labels or targets beside it; training examples
//! come first, test examples after them. A training step keeps the table on its device and draws examples by index:
//! the number of a row, or the first row of a window for text and series.

mod by_hand;
pub mod canvas;
mod card;
mod error;
pub mod generate;
pub mod import;
mod mend;
mod mislabel;
pub mod pack;
pub mod pca;
mod prepare;
pub mod sampler;

use std::ops::Range;

pub use error::DataError;

use crate::spec::{Content, DataSet, DataSpec};

/// A data set in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Where it comes from.
    pub info: Info,
    /// The examples.
    pub values: Values,
    /// Rows for training.
    pub train: Range<usize>,
    /// Rows for testing; after those for training.
    pub test: Range<usize>,
}

/// Provenance of a data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info {
    /// Its name on the page.
    pub title: String,
    /// Licence; empty for generated data and own files.
    pub licence: String,
    /// Whom to thank.
    pub attribution: String,
    /// The package it was made from.
    pub source: String,
    /// How training and test examples were divided.
    pub split: String,
    /// Training rows that there are, of which a spec may use fewer.
    pub available: usize,
    /// What was noticed on reading or changed by it.
    pub notes: Vec<String>,
}

/// The examples of a data set, by kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Pictures with a class.
    Images(Images),
    /// Rows of numbers with a class or a number to predict.
    Table(Table),
    /// One sequence of characters.
    Text(Text),
    /// One multivariate time series.
    Series(Series),
}

/// Pictures with a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// Channels (1 or 3), height, width.
    pub shape: [usize; 3],
    /// `[N, channels, height, width]`, 0..=255.
    pub pixels: Vec<u8>,
    /// Class of each picture, `[N]`.
    pub labels: Vec<u32>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Further divisions of the pictures, such as the art style.
    pub attributes: Vec<Attribute>,
}

/// A division of the examples beside their class.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// What it divides by.
    pub name: String,
    /// Names of its values.
    pub names: Vec<String>,
    /// Value of each example, `[N]`.
    pub values: Vec<u32>,
}

/// Rows of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// `[N, columns]`, standardised by `scaling`.
    pub values: Vec<f32>,
    /// How each column was standardised.
    pub scaling: Vec<Scaling>,
    /// What to predict.
    pub target: Target,
}

/// What is to be predicted from a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A class.
    Classes {
        /// Class of each row, `[N]`.
        labels: Vec<u32>,
        /// Names of the classes.
        names: Vec<String>,
    },
    /// A number.
    Number {
        /// Its column's name.
        name: String,
        /// Value for each row, `[N]`, standardised by `scaling`.
        values: Vec<f32>,
        /// How it was standardised.
        scaling: Scaling,
    },
}

/// One sequence of characters.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Position of each character in the vocabulary.
    pub tokens: Vec<u32>,
    /// The characters, ascending; at most [`MAX_VOCABULARY`].
    pub vocabulary: Vec<char>,
}

/// One multivariate time series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// `[time steps, columns]`, standardised by `scaling`.
    pub values: Vec<f32>,
    /// How each column was standardised.
    pub scaling: Vec<Scaling>,
    /// The column to forecast.
    pub target: usize,
    /// Time from row to row, in words; empty = unknown.
    pub interval: String,
}

/// A standardisation: `raw = standardised * std + mean`, both taken over the training rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Mean of the raw values.
    pub mean: f64,
    /// Standard deviation of the raw values; 1 where they are constant.
    pub std: f64,
}

impl Scaling {
    /// Values as they are.
    pub const IDENTITY: Self = Self { mean: 0.0, std: 1.0 };

    /// The raw value.
    #[must_use]
    pub fn raw(self, standardised: f32) -> f64 {
        f64::from(standardised) * self.std + self.mean
    }
}

/// Most symbols that a text may use.
pub const MAX_VOCABULARY: usize = 256;

/// Which part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// For testing.
    Test,
}

/// The table that a step keeps on its device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rows<'a> {
    /// Pixels, `[N, channels * height * width]`.
    U8(&'a [u8]),
    /// Standardised numbers, `[N, columns]`.
    F32(&'a [f32]),
    /// Characters, `[N]`.
    U32(&'a [u32]),
}

impl Data {
    /// Kind of the examples.
    #[must_use]
    pub fn content(&self) -> Content {
        match self.values {
            Values::Images(_) => Content::Images,
            Values::Table(_) => Content::Table,
            Values::Text(_) => Content::Text,
            Values::Series(_) => Content::Series,
        }
    }

    /// The table for the device, row by row.
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        match &self.values {
            Values::Images(images) => Rows::U8(&images.pixels),
            Values::Table(table) => Rows::F32(&table.values),
            Values::Text(text) => Rows::U32(&text.tokens),
            Values::Series(series) => Rows::F32(&series.values),
        }
    }

    /// Shape of one row: `[channels, height, width]`, `[columns]`, or `[]` for a character.
    #[must_use]
    pub fn row_shape(&self) -> Vec<usize> {
        match &self.values {
            Values::Images(images) => images.shape.to_vec(),
            Values::Table(table) => vec![table.columns.len()],
            Values::Text(_) => Vec::new(),
            Values::Series(series) => vec![series.columns.len()],
        }
    }

    /// Class of each row, where rows have classes.
    #[must_use]
    pub fn labels(&self) -> Option<&[u32]> {
        match &self.values {
            Values::Images(images) => Some(&images.labels),
            Values::Table(Table { target: Target::Classes { labels, .. }, .. }) => Some(labels),
            _ => None,
        }
    }

    /// Names of the classes; empty where rows have none.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        match &self.values {
            Values::Images(images) => &images.classes,
            Values::Table(Table { target: Target::Classes { names, .. }, .. }) => names,
            _ => &[],
        }
    }

    /// Rows of a part.
    #[must_use]
    pub fn range(&self, split: Split) -> Range<usize> {
        match split {
            Split::Train => self.train.clone(),
            Split::Test => self.test.clone(),
        }
    }

    /// Indices of the examples of a part. An example covers `span` consecutive rows: 1 for images and tables, context
    /// length + 1 for text, window + horizon for series. Empty if the part is shorter than that.
    #[must_use]
    pub fn examples(&self, split: Split, span: usize) -> Range<usize> {
        let rows = self.range(split);
        let last = rows.end.saturating_sub(span.saturating_sub(1));
        rows.start..last.max(rows.start)
    }
}

/// File name, in the folder `data/` beside the page, of the pack that holds a built-in data set; none for generators
/// and own files.
#[must_use]
pub fn pack_file(set: DataSet) -> Option<String> {
    match set {
        DataSet::Mnist
        | DataSet::Fashion
        | DataSet::Digits
        | DataSet::Emoji100
        | DataSet::Emoji
        | DataSet::Shakespeare
        | DataSet::Weather => Some(format!("{}.bin", set.id())),
        DataSet::Spirals | DataSet::Mixture | DataSet::Own => None,
    }
}

/// The data set of a spec: its pack, or generated with `seed`, cut to the spec's sizes.
///
/// # Errors
/// If `pack` is not the pack that the spec's set needs or is damaged, or the set is an own file, which its importer reads.
pub fn load(spec: &DataSpec, seed: u64, pack: Option<&[u8]>) -> Result<Data, DataError> {
    let data = match spec.set {
        DataSet::Spirals => generate::spirals(&generate::Spirals::of(spec), seed)?,
        DataSet::Mixture => generate::mixture(&generate::Mixture::of(spec), seed)?,
        DataSet::Own => return Err(DataError::new(&spec.file, "drop this file on the page to train on it")),
        _ => {
            let bytes = pack.ok_or_else(|| DataError::new(spec.set.id(), "its pack was not fetched"))?;
            pack::read(bytes)?.prepare(spec)?
        }
    };
    data.altered(spec, seed)
}

/// Reads the file of a built-in data set from the first of: the folder that the environment variable `MINIBATCH_DATA`
/// names, `public/data` below the current folder, `public/data` of the source tree.
///
/// # Errors
/// If none of them has the file.
#[cfg(not(target_arch = "wasm32"))]
pub fn read_pack_file(name: &str) -> Result<Vec<u8>, DataError> {
    use std::path::PathBuf;

    let folders = std::env::var_os("MINIBATCH_DATA")
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("public/data"), PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../public/data"))]);
    let mut reason = String::new();
    for folder in folders {
        match std::fs::read(folder.join(name)) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => reason = format!("{}: {error}; MINIBATCH_DATA can name its folder", folder.display()),
        }
    }
    Err(DataError::new(name, reason))
}

/// Mean and standard deviation of each channel over the training images, pixels as 0..=1.
#[must_use]
pub fn channel_scaling(data: &Data) -> Vec<Scaling> {
    let Values::Images(images) = &data.values else { return Vec::new() };
    let [channels, height, width] = images.shape;
    let plane = (height * width).max(1);
    let mut sums = vec![(0_u64, 0_u64); channels];
    let train = images.pixels.get(data.train.start * channels * plane..data.train.end * channels * plane);
    for (i, pixels) in train.unwrap_or_default().chunks_exact(plane).enumerate() {
        let (sum, squares) = &mut sums[i % channels];
        for &pixel in pixels {
            *sum += u64::from(pixel);
            *squares += u64::from(pixel) * u64::from(pixel);
        }
    }
    let count = (data.train.len() * plane).max(1) as f64;
    sums.into_iter()
        .map(|(sum, squares)| {
            let mean = sum as f64 / count / 255.0;
            let variance = squares as f64 / count / (255.0 * 255.0) - mean * mean;
            let std = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
            Scaling { mean, std }
        })
        .collect()
}
