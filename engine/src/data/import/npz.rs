//! NumPy archives: `numpy.savez(file, x=..., y=...)`.
//!
//! Format: the NEP 1 description of `.npy`, versions 1 to 3; numbers of fixed size in C order.

use super::labels::{MAX_NUMERIC_CLASSES, Outcome, Wanted};
use super::{MAX_CLASSES, Rows, check_elements, names, pictures, split};
use crate::data::pack::channels_first;
use crate::data::prepare::area_average;
use crate::data::{Data, DataError, Images, Values};
use crate::protocol::{Column as Shown, Taken};
use crate::spec::{Content, DataSpec};

/// How a `.npy` file starts.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Names under which inputs and labels are commonly saved, in order of preference.
const INPUTS: [&str; 9] = ["x", "images", "data", "features", "inputs", "arr_0", "x_train", "train_images", "train_x"];
const LABELS: [&str; 9] = ["y", "labels", "label", "targets", "target", "arr_1", "y_train", "train_labels", "train_y"];
/// Largest number that counts as a class wherever it is saved as a whole number, however many classes there are.
const MAX_LABEL: f64 = 65_535.0;
/// First elements of an array that are shown.
const PREVIEW: usize = 5;

/// One array of an archive, checked against its header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// Without its ending, fit for a link.
    pub name: String,
    shape: Vec<usize>,
    kind: Number,
    big_endian: bool,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Number {
    fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "b1" => Self::Bool,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "f4" => Self::F32,
            "f8" => Self::F64,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }
}

/// The arrays of an archive, and what is to be said of those that cannot be read.
#[derive(Debug, Clone)]
pub(super) struct Arrays {
    pub all: Vec<Array>,
    /// Name, and why it is left out.
    unread: Vec<(String, String)>,
}

/// Parses every `.npy` entry; other entries are ignored.
pub(super) fn read(name: &str, entries: Vec<(String, Vec<u8>)>) -> Result<Arrays, DataError> {
    let mut arrays = Arrays { all: Vec::new(), unread: Vec::new() };
    for (path, bytes) in entries {
        if let Some(array) = path.strip_suffix(".npy") {
            let array = names::fit(array);
            match Array::parse(&array, bytes) {
                Ok(parsed) => arrays.all.push(parsed),
                Err(reason) => arrays.unread.push((array, reason)),
            }
        }
    }
    match (arrays.all.first(), arrays.unread.pop()) {
        (None, None) => Err(DataError::new(name, "has no arrays")),
        (None, Some((array, reason))) => Err(DataError::new(format!("{name}, array {array}"), reason)),
        (Some(_), last) => {
            arrays.unread.extend(last);
            Ok(arrays)
        }
    }
}

impl Array {
    fn parse(name: &str, bytes: Vec<u8>) -> Result<Self, String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("does not start as a NumPy array")?;
        let (length, rest) = match rest {
            [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            [version, ..] => return Err(format!("has format version {version} or is cut short; 1 to 3 can be read")),
            [] => return Err("ends within its header".into()),
        };
        let (header, content) = rest.split_at_checked(length).ok_or("ends within its header")?;
        let header = std::str::from_utf8(header).map_err(|_| "has a header that is not text")?;
        let descr = quoted(value(header, "descr")?).ok_or("holds records, not plain numbers")?;
        let (order, code) = descr.split_at_checked(1).ok_or("names no number type")?;
        let kind = Number::parse(code)
            .filter(|_| matches!(order, "<" | ">" | "|" | "="))
            .ok_or_else(|| format!("holds values of type {descr}; numbers (u1 to u8, i1 to i8, f4, f8) can be read"))?;
        if value(header, "fortran_order")?.starts_with("True") {
            return Err("is in Fortran order; save it with numpy.ascontiguousarray".into());
        }
        let shape = tuple(value(header, "shape")?)?;
        if shape.contains(&0) {
            return Err(format!("is empty: its shape is {shape:?}"));
        }
        let wanted = shape.iter().try_fold(kind.bytes(), |product, &axis| product.checked_mul(axis));
        if wanted != Some(content.len()) {
            let wanted = wanted.map_or("more bytes than can be counted".into(), |wanted| format!("{wanted} bytes"));
            return Err(format!("claims shape {shape:?}, which needs {wanted}, but holds {}", content.len()));
        }
        let start = bytes.len() - content.len();
        Ok(Self {
            name: name.into(),
            shape,
            kind,
            big_endian: order == ">",
            // The header is cut off in place: the arrays may be large.
            bytes: {
                let mut bytes = bytes;
                bytes.drain(..start);
                bytes
            },
        })
    }

    /// All elements as numbers; integers beyond 2^53 are rounded.
    fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let (kind, big_endian) = (self.kind, self.big_endian);
        self.bytes.chunks_exact(kind.bytes()).map(move |chunk| {
            let mut word = [0_u8; 8];
            if big_endian {
                for (to, from) in word.iter_mut().zip(chunk.iter().rev()) {
                    *to = *from;
                }
            } else {
                word[..chunk.len()].copy_from_slice(chunk);
            }
            let bits = u64::from_le_bytes(word);
            match kind {
                Number::Bool => f64::from(u8::from(bits != 0)),
                Number::U8 | Number::U16 | Number::U32 | Number::U64 => bits as f64,
                Number::I8 => f64::from(bits as i8),
                Number::I16 => f64::from(bits as i16),
                Number::I32 => f64::from(bits as i32),
                Number::I64 => bits as i64 as f64,
                Number::F32 => f64::from(f32::from_bits(bits as u32)),
                Number::F64 => f64::from_bits(bits),
            }
        })
    }

    fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// An element as a CSV file would have it, with all digits of a whole number.
    fn cell(&self, at: usize, value: f64) -> String {
        let word = || {
            let chunk = self.bytes.get(8 * at..8 * at + 8)?.try_into().ok()?;
            Some(if self.big_endian { u64::from_be_bytes(chunk) } else { u64::from_le_bytes(chunk) })
        };
        match self.kind {
            Number::U64 => word().unwrap_or_default().to_string(),
            Number::I64 => (word().unwrap_or_default() as i64).to_string(),
            Number::F32 => (value as f32).to_string(),
            _ => value.to_string(),
        }
    }

    /// A number for each row.
    fn is_list(&self) -> bool {
        matches!(self.shape.as_slice(), [_] | [_, 1])
    }

    fn describe(&self) -> String {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        shape.join(" \u{d7} ")
    }
}

impl Arrays {
    /// As the page shows them.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let shown = |array: &Array| Shown {
            name: array.name.clone(),
            taken: Taken::Number,
            text: false,
            note: String::new(),
            first: array.numbers().take(PREVIEW).enumerate().map(|(at, value)| array.cell(at, value)).collect(),
            distinct: array.describe(),
            classes: array.is_list(),
        };
        self.all.iter().map(shown).collect()
    }

    /// What is said of those that are not used.
    fn notes(&self, used: [&Array; 2]) -> Vec<String> {
        let others: Vec<&str> =
            self.all.iter().filter(|array| !used.contains(array)).map(|array| array.name.as_str()).collect();
        let others = (!others.is_empty()).then(|| match others.as_slice() {
            [only] => format!("Array {only} is left out."),
            others => format!("Arrays {} are left out.", others.join(", ")),
        });
        others.into_iter().chain(self.unread()).collect()
    }

    /// What is said of those that cannot be read.
    pub(super) fn unread(&self) -> impl Iterator<Item = String> + '_ {
        self.unread.iter().map(|(array, reason)| format!("Array {array} is left out: it {reason}."))
    }

    /// The array of inputs and that of labels, where the spec or their names and shapes say which they are.
    pub(super) fn roles(&self, inputs: &str, labels: &str) -> [Option<&Array>; 2] {
        let choose = |wanted: &str, names: &[&str], fits: fn(&Array) -> bool| match wanted {
            "" => guess(&self.all, names, fits),
            wanted => self.all.iter().find(|array| array.name == wanted),
        };
        [
            choose(inputs, &INPUTS, |array| array.shape.len() > 1),
            choose(labels, &LABELS, |array| array.shape.len() == 1),
        ]
    }
}

/// The text after `'key':` in the header's dictionary.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("has a header without {key}");
    let (_, rest) = header.split_once(&format!("'{key}'")).ok_or_else(missing)?;
    Ok(rest.trim_start().strip_prefix(':').ok_or_else(missing)?.trim_start())
}

/// The text between quotes at the start.
fn quoted(text: &str) -> Option<&str> {
    Some(text.strip_prefix('\'')?.split_once('\'')?.0)
}

/// `(3, 4)` or `(3,)` or `()`.
fn tuple(text: &str) -> Result<Vec<usize>, String> {
    let inner = text.strip_prefix('(').and_then(|text| text.split_once(')'));
    let (inner, _) = inner.ok_or("has a header without a readable shape")?;
    let axes = inner.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    axes.map(|axis| axis.parse().map_err(|_| format!("has {axis:?} in its shape"))).collect()
}

/// What the chosen (or guessed) input array holds.
pub(super) fn content(arrays: &Arrays, columns: &[String]) -> Content {
    let [input, _] = arrays.roles(columns.first().map_or("", String::as_str), "");
    if input.is_some_and(|array| array.shape.len() > 2) { Content::Images } else { Content::Table }
}

/// The array with a customary name, else the only one that fits.
fn guess<'a>(arrays: &'a [Array], names: &[&str], fits: impl Fn(&Array) -> bool) -> Option<&'a Array> {
    let named = names.iter().find_map(|name| arrays.iter().find(|array| array.name.eq_ignore_ascii_case(name)));
    let mut fitting = arrays.iter().filter(|array| fits(array));
    named.or_else(|| fitting.next().filter(|_| fitting.next().is_none()))
}

/// Inputs and labels as a data set. The spec's first column names the input array, its target the array of labels.
pub(super) fn load(name: &str, arrays: &Arrays, spec: &DataSpec, seed: u64) -> Result<Data, DataError> {
    let wanted = names::read_list(&spec.columns);
    let wanted = wanted.first().map_or("", String::as_str);
    let found = |array: Option<&Array>, wanted: &str, what: &str| {
        if let Some((_, reason)) = arrays.unread.iter().find(|(array, _)| array == wanted) {
            return Err(DataError::new(format!("{name}, array {wanted}"), reason));
        }
        array.cloned().ok_or_else(|| {
            let mut all: Vec<String> =
                arrays.all.iter().map(|array| format!("{} {:?}", array.name, array.shape)).collect();
            all.extend(arrays.unread.iter().map(|(array, reason)| format!("{array} (it {reason})")));
            let which = if wanted.is_empty() {
                format!("it is not clear which array holds the {what}")
            } else {
                format!("there is no array {wanted}")
            };
            DataError::new(name, format!("{which}; it has {}", all.join(", ")))
        })
    };
    let [x, y] = arrays.roles(wanted, &spec.target);
    let (x, y) = (found(x, wanted, "inputs")?, found(y, &spec.target, "labels")?);
    let notes = arrays.notes([&x, &y]);
    if !y.is_list() || y.rows() != x.rows() {
        let reason =
            format!("has shape {:?}; one label for each of the {} rows of {} is needed", y.shape, x.rows(), x.name);
        return Err(DataError::new(format!("{name}, array {}", y.name), reason));
    }
    let wanted = target(&format!("{name}, array {}", y.name), &y)?;
    let place = format!("{name}, array {}", x.name);
    let fail = |reason: String| DataError::new(&place, reason);
    let rows = x.rows();
    match x.shape.as_slice() {
        &[_, columns] if columns > 0 => {
            check_elements(&place, rows, columns)?;
            let values = finite(&x, columns).map_err(fail)?;
            let columns = (0..columns).map(|column| format!("{} {}", x.name, column + 1)).collect();
            Rows { columns, values, target: y.name, wanted }.data(name, seed, notes)
        }
        &[_, height, width] => images(name, &x, [1, height, width], false, wanted, seed, notes),
        &[_, height, width, channels @ (1 | 3)] => {
            images(name, &x, [channels, height, width], true, wanted, seed, notes)
        }
        &[_, channels @ (1 | 3), height, width] => {
            images(name, &x, [channels, height, width], false, wanted, seed, notes)
        }
        shape => Err(fail(format!(
            "has shape {shape:?}; rows [N, columns] or pictures [N, height, width] with 1 or 3 channels can be read"
        ))),
    }
}

/// All elements; names the row of the first that is not finite.
fn finite(array: &Array, columns: usize) -> Result<Vec<f64>, String> {
    let mut values = Vec::with_capacity(array.rows() * columns);
    for (at, value) in array.numbers().enumerate() {
        if !(value as f32).is_finite() {
            return Err(format!("row {}, column {}: {value} is not a finite number", at / columns, at % columns));
        }
        values.push(value);
    }
    Ok(values)
}

/// Classes or numbers to predict, as in a table's column; whole numbers from 0 to 65,535 in an array of whole numbers are
/// classes however many there are.
fn target(place: &str, y: &Array) -> Result<Wanted, DataError> {
    let (mut whole, mut usual) = (true, !y.kind.is_float());
    let mut distinct = std::collections::BTreeSet::new();
    for (row, value) in y.numbers().enumerate() {
        if !(value as f32).is_finite() {
            return Err(DataError::new(format!("{place}, row {row}"), format!("{value} is not a finite number")));
        }
        whole &= value.fract() == 0.0;
        usual &= (0.0..=MAX_LABEL).contains(&value);
        if distinct.len() <= MAX_CLASSES {
            distinct.insert(y.cell(row, value));
        }
    }
    let classes = whole && (usual || distinct.len() <= MAX_NUMERIC_CLASSES);
    let mut outcome = if classes { Outcome::classes(true) } else { Outcome::Number(Vec::new()) };
    y.numbers().enumerate().for_each(|(row, value)| outcome.push(&y.cell(row, value), value));
    outcome.finish(place)
}

fn images(
    name: &str,
    x: &Array,
    [channels, height, width]: [usize; 3],
    interleaved: bool,
    wanted: Wanted,
    seed: u64,
    mut notes: Vec<String>,
) -> Result<Data, DataError> {
    let fail = |reason: String| DataError::new(format!("{name}, array {}", x.name), reason);
    let plane = height * width;
    let Wanted::Classes { labels, names } = wanted else {
        return Err(fail("pictures need classes as labels, and these are numbers to predict".into()));
    };
    let pixels = bytes(x, channels * plane).map_err(fail)?;
    let pixels = if interleaved { channels_first(&pixels, channels, plane) } else { pixels };
    let side = pictures::side(height, width, x.rows());
    check_elements(&format!("{name}, array {}", x.name), x.rows(), channels * side * side)?;
    let pixels = if [height, width] == [side, side] {
        pixels
    } else {
        notes.push(format!("Pictures of {height}x{width} pixels are scaled to {side}x{side}."));
        pixels.chunks_exact(plane).flat_map(|plane| area_average(plane, [height, width], [side, side])).collect()
    };
    let images = Images { shape: [channels, side, side], pixels, labels, classes: names, attributes: Vec::new() };
    split(name, Values::Images(images), x.rows(), notes, seed)
}

/// Pixels as bytes: 0 to 255 as they are, and 0 to 1 from black to white.
fn bytes(x: &Array, picture: usize) -> Result<Vec<u8>, String> {
    let mut greatest = 0.0_f64;
    for (at, value) in x.numbers().enumerate() {
        if !(0.0..=255.0).contains(&value) {
            return Err(format!(
                "picture {}: pixel {value} is out of range; 0 to 255, or 0 to 1, can be read",
                at / picture
            ));
        }
        greatest = greatest.max(value);
    }
    let scale = if greatest <= 1.0 { 255.0 } else { 1.0 };
    Ok(x.numbers().map(|value| (value * scale).round() as u8).collect())
}
