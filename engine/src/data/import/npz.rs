//! NumPy archives: `numpy.savez(file, x=..., y=...)`.
//!
//! Format: the NEP 1 description of `.npy`, versions 1 to 3; numbers of fixed size in C order.

use std::collections::BTreeMap;

use super::{check_elements, classes, pictures, split};
use crate::data::pack::channels_first;
use crate::data::prepare::{area_average, standardise};
use crate::data::{Data, DataError, Images, Scaling, Table, Target, Values};
use crate::spec::{Content, DataSpec};

/// How a `.npy` file starts.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Names under which inputs and labels are commonly saved, in order of preference.
const INPUTS: [&str; 6] = ["x", "images", "data", "features", "inputs", "arr_0"];
const LABELS: [&str; 6] = ["y", "labels", "label", "targets", "target", "arr_1"];
/// Largest class number.
const MAX_LABEL: f64 = 65_535.0;

/// One array of an archive, checked against its header.
#[derive(Debug, Clone)]
pub(super) struct Array {
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

/// Parses every `.npy` entry; other entries are ignored.
pub(super) fn read(name: &str, entries: Vec<(String, Vec<u8>)>) -> Result<Vec<Array>, DataError> {
    let mut arrays = Vec::new();
    for (path, bytes) in entries {
        if let Some(array) = path.strip_suffix(".npy") {
            let parsed = Array::parse(array, bytes);
            arrays.push(parsed.map_err(|reason| DataError::new(format!("{name}, array {array}"), reason))?);
        }
    }
    if arrays.is_empty() {
        return Err(DataError::new(name, "has no arrays"));
    }
    Ok(arrays)
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
pub(super) fn content(arrays: &[Array], columns: &[String]) -> Content {
    let input = match columns.first() {
        Some(name) => arrays.iter().find(|array| array.name == *name),
        None => guess(arrays, &INPUTS, |array| array.shape.len() > 1),
    };
    if input.is_some_and(|array| array.shape.len() > 2) { Content::Images } else { Content::Table }
}

/// The array with a customary name, else the only one that fits.
fn guess<'a>(arrays: &'a [Array], names: &[&str], fits: impl Fn(&Array) -> bool) -> Option<&'a Array> {
    let named = names.iter().find_map(|name| arrays.iter().find(|array| array.name.eq_ignore_ascii_case(name)));
    let mut fitting = arrays.iter().filter(|array| fits(array));
    named.or_else(|| fitting.next().filter(|_| fitting.next().is_none()))
}

/// Inputs and labels as a data set. The spec's first column names the input array, its target the array of labels.
pub(super) fn load(name: &str, arrays: &[Array], spec: &DataSpec, seed: u64) -> Result<Data, DataError> {
    let choose = |wanted: &str, names: &[&str], fits: fn(&Array) -> bool, what: &str| {
        let chosen = match wanted {
            "" => guess(arrays, names, fits),
            wanted => arrays.iter().find(|array| array.name == wanted),
        };
        chosen.ok_or_else(|| {
            let all: Vec<String> = arrays.iter().map(|array| format!("{} {:?}", array.name, array.shape)).collect();
            let which = if wanted.is_empty() {
                format!("it is not clear which array holds the {what}")
            } else {
                format!("there is no array {wanted}")
            };
            DataError::new(name, format!("{which}; it has {}", all.join(", ")))
        })
    };
    let x =
        choose(spec.columns.split(',').next().unwrap_or_default(), &INPUTS, |array| array.shape.len() > 1, "inputs")?;
    let y = choose(&spec.target, &LABELS, |array| array.shape.len() == 1, "labels")?;
    if y.shape.len() != 1 || y.rows() != x.rows() {
        let reason =
            format!("has shape {:?}; one label for each of the {} rows of {} is needed", y.shape, x.rows(), x.name);
        return Err(DataError::new(format!("{name}, array {}", y.name), reason));
    }
    let target = target(&format!("{name}, array {}", y.name), y)?;
    let place = format!("{name}, array {}", x.name);
    let fail = |reason: String| DataError::new(&place, reason);
    let rows = x.rows();
    let numeric_target = matches!(target, Target::Number { .. });
    match x.shape.as_slice() {
        &[_, columns] if columns > 0 => {
            check_elements(&place, rows, columns)?;
            let values = finite(x, columns).map_err(fail)?;
            let columns = (0..columns).map(|column| format!("{} {}", x.name, column + 1)).collect();
            table(name, columns, values, target, seed, Vec::new())
        }
        _ if numeric_target => Err(fail("pictures need whole numbers as labels".into())),
        &[_, height, width] => images(name, x, [1, height, width], false, target, seed).map_err(fail)?,
        &[_, height, width, channels @ (1 | 3)] => {
            images(name, x, [channels, height, width], true, target, seed).map_err(fail)?
        }
        &[_, channels @ (1 | 3), height, width] => {
            images(name, x, [channels, height, width], false, target, seed).map_err(fail)?
        }
        shape => Err(fail(format!(
            "has shape {shape:?}; rows [N, columns] or pictures [N, height, width] with 1 or 3 channels can be read"
        ))),
    }
}

/// Makes a table of all rows into a data set, standardised.
pub(super) fn table(
    name: &str,
    columns: Vec<String>,
    values: Vec<f32>,
    target: Target,
    seed: u64,
    notes: Vec<String>,
) -> Result<Data, DataError> {
    let rows = values.len() / columns.len().max(1);
    let scaling = vec![Scaling::IDENTITY; columns.len()];
    let table = Table { columns, values, scaling, target };
    let mut data = split(name, Values::Table(table), rows, notes, seed)?;
    if let Values::Table(table) = &mut data.values {
        table.scaling = standardise(&mut table.values, table.columns.len(), data.train.clone());
        if let Target::Number { values, scaling, .. } = &mut table.target {
            let [new] = standardise(values, 1, data.train.clone())[..] else { return Ok(data) };
            *scaling = new;
        }
    }
    Ok(data)
}

/// Elements as f32; names the row of the first that is not finite.
fn finite(array: &Array, columns: usize) -> Result<Vec<f32>, String> {
    let mut values = Vec::with_capacity(array.rows() * columns);
    for (at, value) in array.numbers().enumerate() {
        let value = value as f32;
        if !value.is_finite() {
            return Err(format!("row {}, column {}: {value} is not a finite number", at / columns, at % columns));
        }
        values.push(value);
    }
    Ok(values)
}

/// Whole numbers are classes; other numbers are to be predicted.
fn target(place: &str, y: &Array) -> Result<Target, DataError> {
    let fail = |row: usize, reason: String| DataError::new(format!("{place}, row {row}"), reason);
    let mut whole = true;
    for (row, value) in y.numbers().enumerate() {
        if !value.is_finite() || !(value as f32).is_finite() {
            return Err(fail(row, format!("{value} is not a finite number")));
        }
        whole &= value.fract() == 0.0;
    }
    if y.kind.is_float() && !whole {
        let values = y.numbers().map(|value| value as f32).collect();
        return Ok(Target::Number { name: y.name.clone(), values, scaling: Scaling::IDENTITY });
    }
    if let Some((row, value)) = y.numbers().enumerate().find(|(_, value)| !(0.0..=MAX_LABEL).contains(value)) {
        return Err(fail(row, format!("label {value} is out of range; classes are numbered from 0 to {MAX_LABEL}")));
    }
    let labels: Vec<u32> = y.numbers().map(|value| value as u32).collect();
    let mut code: BTreeMap<u32, u32> = labels.iter().map(|&label| (label, 0)).collect();
    for (number, class) in (0..).zip(code.values_mut()) {
        *class = number;
    }
    let names = code.keys().map(u32::to_string).collect();
    classes(place, names, labels.iter().map(|label| code[label]).collect())
}

fn images(
    name: &str,
    x: &Array,
    [channels, height, width]: [usize; 3],
    interleaved: bool,
    target: Target,
    seed: u64,
) -> Result<Result<Data, DataError>, String> {
    let plane = height * width;
    let Target::Classes { labels, names } = target else { return Err("pictures need classes".into()) };
    let pixels = bytes(x, channels * plane)?;
    let pixels = if interleaved { channels_first(&pixels, channels, plane) } else { pixels };
    let side = pictures::side(height, width, x.rows());
    check_elements(&x.name, x.rows(), channels * side * side).map_err(|error| error.reason)?;
    let mut notes = Vec::new();
    let pixels = if [height, width] == [side, side] {
        pixels
    } else {
        notes.push(format!("Pictures of {height}x{width} pixels are scaled to {side}x{side}."));
        pixels.chunks_exact(plane).flat_map(|plane| area_average(plane, [height, width], [side, side])).collect()
    };
    let images = Images { shape: [channels, side, side], pixels, labels, classes: names, attributes: Vec::new() };
    Ok(split(name, Values::Images(images), x.rows(), notes, seed))
}

/// Pixels as bytes: integers 0..=255 as they are, floats 0..=1 or 0..=255 rounded.
fn bytes(x: &Array, picture: usize) -> Result<Vec<u8>, String> {
    if x.kind == Number::U8 {
        return Ok(x.bytes.clone());
    }
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
    let scale = if x.kind.is_float() && greatest <= 1.0 || x.kind == Number::Bool { 255.0 } else { 1.0 };
    Ok(x.numbers().map(|value| (value * scale).round() as u8).collect())
}
