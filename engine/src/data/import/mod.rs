//! A person's own files as data sets: CSV, NumPy archives, folders or zip archives of pictures, text.
//!
//! Reading checks everything that can be checked without knowing which columns are wanted; every complaint names the
//! file and in it line, column or entry. Nothing here panics, whatever the bytes.

mod columns;
mod dialect;
mod jpeg;
mod labels;
mod names;
mod npz;
mod pictures;
mod table;
mod text;
mod zipped;

use sha2::{Digest, Sha256};

use super::prepare::{pick, shares, standardise};
use super::{Data, DataError, Info, Scaling, Table, Target, Values};
use crate::protocol::{Choice, ImportOptions, Taken};
use crate::rng::{Rng, Stream};
use crate::spec::{Content, DataSet, DataSpec, MAX_LIST};
use labels::Wanted;

pub use columns::{Column, ColumnKind};
pub use pictures::{Picture, each_picture};

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

/// Name of the table that is read where several lie together, as competitions pack them.
const TRAINING_TABLE: &str = "train";

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
    Arrays(npz::Arrays),
    Pictures(pictures::Pictures),
    Text(String, Vec<String>),
}

impl OwnFile {
    /// Reads files as dropped on the page: their paths within what was dropped, and their bytes. What of them is wanted
    /// is still to be said ([`OwnFile::choose`]).
    ///
    /// What they are is told from their content and endings, unless `content` says so: several files or a zip archive are
    /// pictures in folders named like their classes, or lie around a table; `.npz` holds arrays; `.csv` and `.tsv` are
    /// tables (or a time series); other files are text.
    ///
    /// # Errors
    /// If the files are too large, empty, damaged, or not of a kind that can be trained on.
    pub fn open(name: &str, files: Vec<(String, Vec<u8>)>, content: Option<Content>) -> Result<Self, DataError> {
        let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        if total > MAX_BYTES {
            let (size, most) = (total.div_ceil(1 << 20), MAX_BYTES >> 20);
            return Err(DataError::new(name, format!("has {size} MB; at most {most} MB can be read")));
        }
        if total == 0 {
            return Err(DataError::new(name, "is empty"));
        }
        let hash = hash(&files);
        let source = Source::read(name, files, content)?;
        Ok(Self { name: names::fit(name), hash, options: ImportOptions::default(), source })
    }

    /// Says what of the file is wanted, and tries it at once, so that a complaint comes now and not when a run starts: the
    /// data part of a spec that trains on it, and the data.
    ///
    /// # Errors
    /// If what is wanted is not there or unfit, or a link could not say it.
    pub fn choose(&mut self, options: &ImportOptions) -> Result<(DataSpec, Data), DataError> {
        let before = std::mem::replace(&mut self.options, options.clone());
        let chosen = self.spec().and_then(|spec| Ok((spec.clone(), self.load(&spec, 1)?)));
        if chosen.is_err() {
            self.options = before;
        }
        chosen
    }

    /// [`OwnFile::open`] and [`OwnFile::choose`] at once.
    ///
    /// # Errors
    /// As these.
    pub fn read(name: &str, files: Vec<(String, Vec<u8>)>, options: &ImportOptions) -> Result<Self, DataError> {
        let mut own = Self::open(name, files, options.content)?;
        own.choose(options)?;
        Ok(own)
    }

    /// The data part of a spec that trains on this file as the options said.
    ///
    /// # Errors
    /// If it is longer than a link takes.
    pub fn spec(&self) -> Result<DataSpec, DataError> {
        let ImportOptions { content, target, columns, kinds } = &self.options;
        let spec = DataSpec { file: self.name.clone(), hash: self.hash.clone(), ..DataSpec::of(DataSet::Own) };
        Ok(match &self.source {
            Source::Sheet(sheet) => {
                let series = self.is_series(sheet, *content);
                let target = sheet.target(target, series);
                let columns = sheet.listed(&self.name, columns, &target)?;
                let content = if series { Content::Series } else { Content::Table };
                DataSpec { content, kinds: self.kinds(kinds)?, target, columns, ..spec }
            }
            Source::Arrays(arrays) => {
                let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                let listed = names::choice(&columns, &[], &columns).unwrap_or_default();
                let content = npz::content(arrays, &self.options.columns);
                DataSpec { content, target: target.clone(), columns: listed, ..spec }
            }
            Source::Pictures(_) => DataSpec { content: Content::Images, ..spec },
            Source::Text(..) => DataSpec { content: Content::Text, ..spec },
        })
    }

    /// Whether rows follow in time: as was said, or since there is nothing but one column.
    fn is_series(&self, sheet: &table::Sheet, content: Option<Content>) -> bool {
        match content {
            Some(content) => content == Content::Series,
            None => sheet.columns.len() == 1,
        }
    }

    fn kinds(&self, kinds: &[(String, Taken)]) -> Result<String, DataError> {
        let entries: Vec<String> = kinds.iter().map(|(column, kind)| format!("{column}={}", kind.id())).collect();
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        names::choice(&entries, &[], &entries).filter(|text| !text.starts_with('*')).ok_or_else(|| {
            let reason = format!(
                "the names of the {} columns that are taken for something else are longer than the {MAX_LIST} \
                 characters that a link holds",
                kinds.len()
            );
            DataError::new(&self.name, reason)
        })
    }

    /// What there is to choose among: the columns of a table or the arrays of an archive, as they are taken unless a
    /// person says otherwise; none of pictures and text, nor of an archive that leaves nothing open or has one array.
    #[must_use]
    pub fn choice(&self) -> Option<Choice> {
        let choice = Choice { name: self.name.clone(), hash: self.hash.clone(), ..Choice::default() };
        match &self.source {
            Source::Sheet(sheet) => {
                let named = |series| {
                    let target = sheet.target("", series);
                    let last = || sheet.columns.last().map(|column| column.name.clone()).unwrap_or_default();
                    if target.is_empty() { last() } else { target }
                };
                Some(Choice {
                    rows: sheet.rows,
                    columns: sheet.columns.iter().map(|column| column.shown(sheet.rows)).collect(),
                    target: named(false),
                    forecast: named(true),
                    series: self.is_series(sheet, None),
                    notes: sheet.notes.clone(),
                    ..choice
                })
            }
            Source::Arrays(arrays) => {
                let [x, y] = arrays.roles("", "");
                if arrays.all.len() < 2 || (arrays.all.len() == 2 && x.is_some() && y.is_some() && x != y) {
                    return None;
                }
                let name = |array: Option<&npz::Array>| array.map(|array| array.name.clone()).unwrap_or_default();
                Some(Choice {
                    columns: arrays.shown(),
                    inputs: name(x),
                    target: name(y),
                    arrays: true,
                    notes: arrays.unread().collect(),
                    ..choice
                })
            }
            Source::Pictures(_) | Source::Text(..) => None,
        }
    }

    /// Whether it is what files of this name and hash are.
    #[must_use]
    pub fn is(&self, name: &str, hash: &str) -> bool {
        self.name == names::fit(name) && self.hash == hash
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
            (Source::Text(text, notes), Content::Text) => text::load(name, text, notes.clone()),
            (_, content) => Err(DataError::new(name, format!("does not hold {}", content.label()))),
        }?;
        data.prepare(spec)?.altered(spec, seed)
    }
}

impl Source {
    fn read(name: &str, mut files: Vec<(String, Vec<u8>)>, content: Option<Content>) -> Result<Self, DataError> {
        let fail = |reason: &str| Err(DataError::new(name, reason));
        if files.len() > 1 {
            return Self::folder(name, files, content);
        }
        let Some((path, bytes)) = files.pop() else { return fail("is empty") };
        let ending = ending(&path);
        if bytes.starts_with(b"PK") || ending == "npz" || ending == "zip" {
            let entries = zipped::inflate(name, &bytes)?;
            return if ending == "npz" || entries.iter().any(|(path, _)| path.ends_with(".npy")) {
                Ok(Self::Arrays(npz::read(name, entries)?))
            } else {
                Self::folder(name, entries, content)
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
        let (text, notes) = text::decode(name, bytes)?;
        match content {
            Some(Content::Images) => fail("is not a folder or archive of pictures"),
            Some(Content::Text) => Ok(Self::Text(text, notes)),
            Some(Content::Table | Content::Series) => Ok(Self::Sheet(table::Sheet::read(name, text, notes)?)),
            None if is_table(&path) => Ok(Self::Sheet(table::Sheet::read(name, text, notes)?)),
            None => Ok(Self::Text(text, notes)),
        }
    }

    /// Several files: pictures, or the table or text among them.
    fn folder(name: &str, mut files: Vec<(String, Vec<u8>)>, content: Option<Content>) -> Result<Self, DataError> {
        let pictures = files.iter().any(|(path, bytes)| !hidden(path) && pictures::looks_like_picture(path, bytes));
        let of = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..files.len()).filter(|&file| !hidden(&files[file].0) && fits(&files[file].0)).collect()
        };
        let (tables, texts) = (of(&is_table), of(&|path| ending(path) == "txt"));
        let chosen = match (tables.as_slice(), texts.as_slice()) {
            _ if pictures => None,
            ([], [only]) | ([only], _) => Some(*only),
            ([], _) => None,
            (several, _) => {
                let training = several.iter().find(|&&file| stem(&files[file].0).eq_ignore_ascii_case(TRAINING_TABLE));
                let Some(training) = training else {
                    let paths: Vec<&str> = several.iter().map(|&file| files[file].0.as_str()).collect();
                    let reason = format!("holds several tables ({}); bring one of them", shorten(&paths.join(", ")));
                    return Err(DataError::new(name, reason));
                };
                Some(*training)
            }
        };
        let Some(chosen) = chosen else { return Ok(Self::Pictures(pictures::Pictures::read(name, &files)?)) };
        let others = files.iter().filter(|(path, _)| !hidden(path)).count() - 1;
        let (path, bytes) = files.swap_remove(chosen);
        let place = format!("{name}, entry {path}");
        let mut source = Self::read(&place, vec![(path.clone(), bytes)], content)?;
        if others > 0
            && let Self::Sheet(table::Sheet { notes, .. }) | Self::Text(_, notes) = &mut source
        {
            notes.push(format!("Of {} files, {path} was read.", others + 1));
        }
        Ok(source)
    }
}

/// A path's ending, without the dot and in small letters.
fn ending(path: &str) -> String {
    path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

/// A file's name without folders and ending.
fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

fn is_table(path: &str) -> bool {
    matches!(ending(path).as_str(), "csv" | "tsv")
}

/// Whether a system or program has left a file there for itself.
fn hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

/// The beginning of a long text.
fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.into() } else { text.chars().take(MOST).chain("...".chars()).collect() }
}

/// First 16 hexadecimal digits of the SHA-256 of a file, or of a folder's paths and files in order of path: by this a spec
/// names them.
#[must_use]
pub fn hash(files: &[(String, Vec<u8>)]) -> String {
    let mut hasher = Sha256::new();
    if let [(_, bytes)] = files {
        hasher.update(bytes);
    } else {
        let mut sorted: Vec<&(String, Vec<u8>)> = files.iter().collect();
        crate::numeric::sort(&mut sorted);
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

/// Random order of `rows` examples, and how many of them are for training.
fn order(
    name: &str,
    rows: usize,
    labels: Option<&[u32]>,
    classes: usize,
    seed: u64,
) -> Result<(Vec<usize>, usize), DataError> {
    let (order, train) = divide(rows, labels, classes, seed);
    if rows < MIN_EXAMPLES || train == rows {
        return Err(DataError::new(
            name,
            format!("has {rows} usable examples; at least {MIN_EXAMPLES} are needed, and two of some class"),
        ));
    }
    Ok((order, train))
}

/// Puts rows and what is beside them in a random order and holds some out.
fn split(name: &str, values: Values, rows: usize, notes: Vec<String>, seed: u64) -> Result<Data, DataError> {
    let data = Data { info: info(name, RANDOM_SPLIT, rows, notes), values, train: 0..rows, test: rows..rows };
    let (order, train) = order(name, rows, data.labels(), data.classes().len(), seed)?;
    let mut data = data.select(&order, train);
    data.info.available = train;
    Ok(data)
}

/// Rows of raw numbers with what is to be predicted from them, as they stand in the file.
struct Rows {
    columns: Vec<String>,
    /// `[N, columns]`.
    values: Vec<f64>,
    /// Name of the target.
    target: String,
    wanted: Wanted,
}

impl Rows {
    /// A data set of all rows in a random order, each column and a number to predict standardised before they are rounded
    /// to f32.
    fn data(self, name: &str, seed: u64, notes: Vec<String>) -> Result<Data, DataError> {
        let Self { columns, values, target, wanted } = self;
        let width = columns.len();
        let rows = values.len() / width.max(1);
        let (labels, classes) = match &wanted {
            Wanted::Classes { labels, names } => (Some(labels.as_slice()), names.len()),
            Wanted::Number(_) => (None, 0),
        };
        let (order, train) = order(name, rows, labels, classes, seed)?;
        let (values, scaling) = standardise(&pick(&values, width, &order), width, 0..train);
        let target = match wanted {
            Wanted::Classes { labels, names } => Target::Classes { labels: pick(&labels, 1, &order), names },
            Wanted::Number(raw) => {
                let (values, scaling) = standardise(&pick(&raw, 1, &order), 1, 0..train);
                let scaling = scaling.first().copied().unwrap_or(Scaling::IDENTITY);
                Target::Number { name: target, values, scaling }
            }
        };
        Ok(Data {
            info: info(name, RANDOM_SPLIT, train, notes),
            values: Values::Table(Table { columns, values, scaling, target }),
            train: 0..train,
            test: train..rows,
        })
    }
}

/// Checks that there are neither too few nor too many classes.
fn check_classes(place: &str, names: &[String]) -> Result<(), DataError> {
    match names {
        [] | [_] => {
            let only = names.first().map_or_else(String::new, |name| format!(", {name:?}"));
            Err(DataError::new(place, format!("has only one class{only}; at least two are needed")))
        }
        names if names.len() > MAX_CLASSES => {
            Err(DataError::new(place, format!("has {} classes; at most {MAX_CLASSES} can be told", names.len())))
        }
        _ => Ok(()),
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
mod reports;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod tests;
