//! A person's own files as data sets: CSV, NumPy archives, folders or zip archives of pictures, text.
//!
//! Reading checks everything that can be checked without knowing which columns are wanted; every complaint names the
//! file and in it line, column or entry. Nothing here panics, whatever the bytes.

mod npz;
mod pictures;
mod table;
mod text;
mod zipped;

use sha2::{Digest, Sha256};

use super::prepare::shares;
use super::{Data, DataError, Info, Target, Values};
use crate::protocol::ImportOptions;
use crate::rng::{Rng, Stream};
use crate::spec::{Content, DataSet, DataSpec};

pub use table::{Column, ColumnKind};

/// Most bytes of a file or folder, and of what an archive inflates to.
pub const MAX_BYTES: usize = 256 << 20;
/// Most numbers, pixels or characters in a data set.
pub const MAX_ELEMENTS: usize = 20_000_000;
/// Most characters of a text and time steps of a series: a step counts the places of a window in f32, which holds every
/// whole number up to here.
pub const MAX_PLACES: usize = 1 << f32::MANTISSA_DIGITS;
/// Fewest examples.
const MIN_EXAMPLES: usize = 10;
/// Most classes.
const MAX_CLASSES: usize = 2000;
/// Percent of the examples that are held out for testing.
const TEST_PERCENT: usize = 15;

/// A file or folder that was read and can be made a data set as a spec says.
#[derive(Debug, Clone)]
pub struct OwnFile {
    name: String,
    hash: String,
    options: ImportOptions,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Sheet(table::Sheet),
    Arrays(Vec<npz::Array>),
    Pictures(pictures::Pictures),
    Text(String),
}

impl OwnFile {
    /// Reads files as dropped on the page: their paths within what was dropped, and their bytes.
    ///
    /// What they are is told from their content and endings, unless `options.content` says so: several files or a zip
    /// archive are pictures in folders named like their classes; `.npz` holds arrays; `.csv` and `.tsv` are tables (or a
    /// time series); other files are text.
    ///
    /// # Errors
    /// If the files are too large, empty, damaged, or not of a kind that can be trained on.
    pub fn read(name: &str, files: Vec<(String, Vec<u8>)>, options: &ImportOptions) -> Result<Self, DataError> {
        let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        if total > MAX_BYTES {
            let (size, most) = (total.div_ceil(1 << 20), MAX_BYTES >> 20);
            return Err(DataError::new(name, format!("has {size} MB; at most {most} MB can be read")));
        }
        if total == 0 {
            return Err(DataError::new(name, "is empty"));
        }
        let hash = hash(&files);
        let source = Source::read(name, files, options.content)?;
        let own = Self { name: name.into(), hash, options: options.clone(), source };
        // What the options ask for is tried at once, so that a complaint comes now and not when a run starts.
        own.load(&own.spec(), 0)?;
        Ok(own)
    }

    /// The data part of a spec that trains on this file as the options said.
    #[must_use]
    pub fn spec(&self) -> DataSpec {
        let content = match &self.source {
            Source::Sheet(_) if self.options.content == Some(Content::Series) => Content::Series,
            Source::Sheet(_) => Content::Table,
            Source::Arrays(arrays) => npz::content(arrays, &self.options.columns),
            Source::Pictures(_) => Content::Images,
            Source::Text(_) => Content::Text,
        };
        DataSpec {
            file: self.name.clone(),
            hash: self.hash.clone(),
            content,
            target: self.options.target.clone(),
            columns: self.options.columns.join(","),
            ..DataSpec::of(DataSet::Own)
        }
    }

    /// Names of a table's columns or an archive's arrays, to choose among; empty for pictures and text.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        match &self.source {
            Source::Sheet(sheet) => sheet.columns.iter().map(|column| column.name.clone()).collect(),
            Source::Arrays(arrays) => arrays.iter().map(|array| array.name.clone()).collect(),
            Source::Pictures(_) | Source::Text(_) => Vec::new(),
        }
    }

    /// A table's columns with their types and first cells.
    #[must_use]
    pub fn inspect(&self) -> &[Column] {
        match &self.source {
            Source::Sheet(sheet) => &sheet.columns,
            _ => &[],
        }
    }

    /// The data set that `spec` asks for. 15% of the examples, chosen by `seed` (each class in its share), are held out
    /// for testing; text and series hold out their end.
    ///
    /// # Errors
    /// If columns are missing or unfit, or there are too few examples or classes.
    pub fn load(&self, spec: &DataSpec, seed: u64) -> Result<Data, DataError> {
        let name = &self.name;
        let data = match (&self.source, spec.content) {
            (Source::Sheet(sheet), Content::Series) => sheet.series(name, spec),
            (Source::Sheet(sheet), Content::Table) => sheet.table(name, spec, seed),
            (Source::Arrays(arrays), Content::Images | Content::Table) => npz::load(name, arrays, spec, seed),
            (Source::Pictures(pictures), Content::Images) => pictures.load(name, seed),
            (Source::Text(text), Content::Text) => text::load(name, text),
            (_, content) => Err(DataError::new(name, format!("does not hold {}", content.label()))),
        }?;
        data.prepare(spec)?.altered(spec, seed)
    }
}

impl Source {
    fn read(name: &str, mut files: Vec<(String, Vec<u8>)>, content: Option<Content>) -> Result<Self, DataError> {
        let fail = |reason: &str| Err(DataError::new(name, reason));
        if files.len() > 1 {
            return Ok(Self::Pictures(pictures::Pictures::read(name, &files)?));
        }
        let Some((path, bytes)) = files.pop() else { return fail("is empty") };
        let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        if bytes.starts_with(b"PK") || ending == "npz" || ending == "zip" {
            let entries = zipped::inflate(name, &bytes)?;
            return if ending == "npz" || entries.iter().any(|(path, _)| path.ends_with(".npy")) {
                Ok(Self::Arrays(npz::read(name, entries)?))
            } else {
                Ok(Self::Pictures(pictures::Pictures::read(name, &entries)?))
            };
        }
        if pictures::is_picture(&bytes) {
            return fail("is one picture; drop a folder or zip archive with a folder of pictures for each class");
        }
        if bytes.starts_with(npz::MAGIC) {
            return fail("is one array; save inputs x and labels y together with numpy.savez_compressed");
        }
        if bytes.starts_with(&[0x1f, 0x8b]) {
            return fail("is compressed with gzip; unpack it first");
        }
        let text = text::decode(name, bytes)?;
        match content {
            Some(Content::Images) => fail("is not a folder or archive of pictures"),
            Some(Content::Text) => Ok(Self::Text(text)),
            Some(Content::Table | Content::Series) => Ok(Self::Sheet(table::Sheet::read(name, text)?)),
            None if ending == "csv" || ending == "tsv" => Ok(Self::Sheet(table::Sheet::read(name, text)?)),
            None => Ok(Self::Text(text)),
        }
    }
}

/// First 16 hexadecimal digits of the SHA-256 of a file, or of a folder's paths and files in order of path.
fn hash(files: &[(String, Vec<u8>)]) -> String {
    let mut hasher = Sha256::new();
    if let [(_, bytes)] = files {
        hasher.update(bytes);
    } else {
        let mut sorted: Vec<&(String, Vec<u8>)> = files.iter().collect();
        sorted.sort();
        for (path, bytes) in sorted {
            hasher.update((path.len() as u64).to_le_bytes());
            hasher.update(path);
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Provenance of an own file.
fn info(name: &str, split: &str, available: usize, notes: Vec<String>) -> Info {
    Info {
        title: name.into(),
        attribution: "Own file; it stays in this browser".into(),
        split: split.into(),
        available,
        notes,
        ..Info::default()
    }
}

const RANDOM_SPLIT: &str = "15%, drawn at random, each class in its share";
const END_SPLIT: &str = "the last 15%";

/// Divides `n` rows at random: all rows in their new order, and how many of them, from the first, are for training.
///
/// With classes, each keeps its share in both parts and at least one training row.
fn divide(n: usize, labels: Option<&[u32]>, classes: usize, seed: u64) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..n).collect();
    Rng::new(seed, Stream::Split, 0).shuffle(&mut order);
    let class_of = |row: usize| labels.map_or(0, |labels| labels[row] as usize);
    let mut sizes = vec![0_usize; classes.max(1)];
    for row in 0..n {
        sizes[class_of(row)] += 1;
    }
    let mut quota = shares(&sizes, n * TEST_PERCENT / 100);
    for (quota, size) in quota.iter_mut().zip(&sizes) {
        *quota = (*quota).min(size.saturating_sub(1));
    }
    let (mut train, mut test) = (Vec::with_capacity(n), Vec::new());
    for row in order {
        let left = &mut quota[class_of(row)];
        if *left > 0 {
            *left -= 1;
            test.push(row);
        } else {
            train.push(row);
        }
    }
    let count = train.len();
    train.append(&mut test);
    (train, count)
}

/// Puts rows and what is beside them in a random order and holds some out.
fn split(name: &str, values: Values, rows: usize, notes: Vec<String>, seed: u64) -> Result<Data, DataError> {
    let data = Data { info: info(name, RANDOM_SPLIT, rows, notes), values, train: 0..rows, test: rows..rows };
    let (order, train) = divide(rows, data.labels(), data.classes().len(), seed);
    if rows < MIN_EXAMPLES || train == rows {
        return Err(DataError::new(
            name,
            format!("has {rows} usable examples; at least {MIN_EXAMPLES} are needed, and two of some class"),
        ));
    }
    let mut data = data.select(&order, train);
    data.info.available = train;
    Ok(data)
}

/// Which column or array a class or number comes from, and what its values are.
fn classes(place: &str, names: Vec<String>, labels: Vec<u32>) -> Result<Target, DataError> {
    match names.len() {
        0 | 1 => {
            let only = names.first().map_or_else(String::new, |name| format!(", {name:?}"));
            Err(DataError::new(place, format!("has only one class{only}; at least two are needed")))
        }
        n if n > MAX_CLASSES => {
            Err(DataError::new(place, format!("has {n} classes; at most {MAX_CLASSES} can be told")))
        }
        _ => Ok(Target::Classes { labels, names }),
    }
}

/// Checks the number of elements before they are allocated.
fn check_elements(place: &str, rows: usize, columns: usize) -> Result<(), DataError> {
    if rows.saturating_mul(columns) > MAX_ELEMENTS {
        let reason =
            format!("{rows} x {columns} values are more than the {} million that fit", MAX_ELEMENTS / 1_000_000);
        return Err(DataError::new(place, reason));
    }
    Ok(())
}

/// Checks the length of a text or series, in `unit`.
fn check_places(place: &str, length: usize, unit: &str) -> Result<(), DataError> {
    if length > MAX_PLACES {
        let reason =
            format!("has {length} {unit}; at most {MAX_PLACES} can be read: split the file and bring a part of it");
        return Err(DataError::new(place, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
