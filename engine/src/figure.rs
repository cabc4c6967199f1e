//! What a study or a probe can show ([`Figure`], [`Mark`]), let you turn ([`Knob`]) and conclude ([`Verdict`]).
//!
//! A figure is a value: the engine computes it, the page draws it, the command line writes it as JSON or CSV.
//! Missing or non-finite numbers are `null` in JSON and NaN here: a gap in a line, an empty cell.

use serde::Serialize;

use crate::decimal::{exponent, fixed, plain};
use crate::tree::FromTree;

pub use crate::spec::{Choice, Kind};

/// A chart, picture grid or table with all that it needs to be read alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
#[serde(default)]
pub struct Figure {
    /// Stable name within its study or probe; the next figure of the same id replaces this one.
    pub id: String,
    /// What is shown, in a few words.
    pub title: String,
    /// What to make of it, in one line.
    pub meaning: String,
    /// The current value in words and numbers, shown beside the title; may be empty.
    pub value: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What is drawn, first below.
    pub marks: Vec<Mark>,
    /// Names of the classes that its marks number, for the key; may be empty.
    pub classes: Vec<String>,
    /// Text alternative: what a person who cannot see the figure should know.
    pub alt: String,
    /// While `marks` is empty: what will appear here and what starts it.
    pub empty: String,
}

/// One axis of a figure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
#[serde(default)]
pub struct Axis {
    /// Quantity, without unit.
    pub label: String,
    /// Unit; empty if dimensionless.
    pub unit: String,
    /// How values map to lengths.
    pub scale: Scale,
    /// Of a [`Scale::Symlog`]: the size up to which it is about linear; none = see [`symlog_unit`].
    pub linear: Option<f64>,
    /// Fixed range, if the data should not decide it.
    pub range: Option<[f64; 2]>,
    /// Names of the positions 0, 1, 2, ... of a categorical axis; empty = numeric.
    pub categories: Vec<String>,
}

/// How an axis maps values to lengths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Proportional.
    #[default]
    Linear,
    /// Logarithmic; values <= 0 are gaps.
    Log,
    /// Logarithmic on both sides of zero and linear near it, for spectra: see [`symlog`].
    Symlog,
}

/// The symmetric logarithm of [`Scale::Symlog`]: linear up to `unit`, logarithmic beyond.
#[must_use]
pub fn symlog(value: f64, unit: f64) -> f64 {
    libm::asinh(value / unit)
}

/// The value whose [`symlog`] is `place`.
#[must_use]
pub fn symlog_inverse(place: f64, unit: f64) -> f64 {
    libm::sinh(place) * unit
}

/// The unit of a [`Scale::Symlog`] axis whose values reach up to `largest` in magnitude: four decades are spread out.
#[must_use]
pub fn symlog_unit(largest: f64) -> f64 {
    if largest.is_finite() && largest > 0.0 { largest * 1e-4 } else { 1.0 }
}

/// What a mark stands for, which decides its colour everywhere in the lab.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// This run's training (blue).
    #[default]
    Train,
    /// Held-out data (orange).
    Test,
    /// A limit, such as 2/eta or a critical batch (orange, dashed).
    Limit,
    /// Another run, a baseline arm (grey).
    Other,
    /// A theory's prediction (grey, dashed).
    Theory,
    /// Learning rate (teal).
    Lr,
    /// Batch size (violet).
    Batch,
}

/// How a line is stroked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Dash {
    /// Unbroken.
    #[default]
    Solid,
    /// Dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// Long dashes.
    Long,
}

/// A rectangle of numbers, row by row from the top.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Grid {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` values; NaN = nothing there, infinity = never.
    #[serde(with = "gaps_or_never")]
    pub values: Vec<f32>,
}

/// A small picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Tile {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 = grey, 3 = RGB.
    pub channels: usize,
    /// `height * width * channels` bytes, row by row, channels innermost.
    #[serde(with = "hex")]
    pub pixels: Vec<u8>,
    /// Text below the picture; may be empty.
    pub caption: String,
    /// Whether to mark the picture as one to look at (a wrong guess, for instance).
    pub highlight: bool,
    /// Its number in the training set, from 0 on; none = it is not of the training set.
    #[serde(default)]
    pub example: Option<u64>,
    /// Heat laid over the picture and stretched to it: 0 leaves the picture as it is, the largest value colours it the most.
    pub heat: Option<Grid>,
}

/// A density over the x axis at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Ridge {
    /// What moment or arm it belongs to, such as `step 100`.
    pub label: String,
    /// Density at each of the mark's `x`.
    #[serde(with = "gaps")]
    pub values: Vec<f32>,
}

/// One seed's outcome in one arm.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct SeedDot {
    /// Position of its arm on the categorical x axis.
    pub arm: usize,
    /// The seed.
    pub seed: u64,
    /// The outcome.
    #[serde(with = "gap")]
    pub value: f64,
}

/// One thing drawn in a figure.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Points joined in order.
    Line {
        /// Name in the key.
        name: String,
        /// Meaning.
        role: Role,
        /// Stroke.
        dash: Dash,
        /// `[x, y]`; over a heat map its places, column and row from 0, 0 at the top left.
        #[serde(with = "gap_rows")]
        points: Vec<[f64; 2]>,
        /// Shaded band about the line, `[low, high]` at each point; empty = none.
        #[serde(with = "gap_rows", default)]
        band: Vec<[f64; 2]>,
    },
    /// Points.
    Scatter {
        /// Name in the key.
        name: String,
        /// Meaning.
        role: Role,
        /// `[x, y]`.
        #[serde(with = "gap_rows")]
        points: Vec<[f64; 2]>,
        /// A class for each point, coloured by category instead of role; empty = none.
        #[serde(default)]
        classes: Vec<u32>,
    },
    /// Centres of classes: a star each, in the colour that a scatter gives the class of its number.
    Stars {
        /// `[x, y]` by class.
        #[serde(with = "gap_rows")]
        points: Vec<[f64; 2]>,
    },
    /// Bars over the categories of the x axis.
    Bars {
        /// One series a part of the bar.
        series: Vec<BarSeries>,
        /// On top of each other instead of side by side.
        stacked: bool,
    },
    /// A coloured rectangle of numbers.
    HeatMap {
        /// The numbers.
        grid: Grid,
        /// How values map to colours.
        scale: Scale,
        /// Values of the coldest and hottest colour; none = those of the data.
        range: Option<[f64; 2]>,
        /// Name of each row, top first; may be empty.
        rows: Vec<String>,
        /// Name of each column; may be empty.
        columns: Vec<String>,
    },
    /// Which class each place of the plane belongs to, coloured by category as a scatter's classes are: the cells of the grid
    /// cut the ranges of both axes, which must be given, evenly.
    Regions {
        /// Classes, row by row from the top.
        grid: Grid,
    },
    /// Densities over one x grid, one behind the other (a single one is a plain density).
    Ridgeline {
        /// Meaning.
        role: Role,
        /// Where the densities are evaluated.
        #[serde(with = "gaps")]
        x: Vec<f32>,
        /// Oldest first.
        ridges: Vec<Ridge>,
    },
    /// A grid of small pictures.
    Tiles {
        /// The pictures, row by row.
        tiles: Vec<Tile>,
    },
    /// Rows of text.
    Table {
        /// Heads of the columns.
        columns: Vec<String>,
        /// Cells, row by row.
        rows: Vec<Vec<String>>,
    },
    /// A passage of text, such as a language model's sample.
    Text {
        /// The passage.
        text: String,
    },
    /// Probabilities of named outcomes, such as the next character.
    Distribution {
        /// Name and probability, most probable first.
        outcomes: Vec<Outcome>,
    },
    /// A straight reference line over the whole figure.
    Rule {
        /// Name drawn beside it.
        label: String,
        /// Meaning.
        role: Role,
        /// The direction in which the line runs.
        along: Direction,
        /// Where it crosses the other axis.
        #[serde(with = "gap")]
        at: f64,
    },
    /// What the x axis passes through, one stretch after another from 0 on; every second one is shaded.
    Stretches {
        /// Name of each.
        names: Vec<String>,
        /// Where each ends, ascending.
        ends: Vec<f64>,
    },
    /// Each seed's outcome as a dot over its arm, with the arm's mean as a short line.
    SeedDots {
        /// Meaning.
        role: Role,
        /// The outcomes.
        dots: Vec<SeedDot>,
    },
    /// Means with their intervals, in the rows of the arms that the x axis names.
    Intervals {
        /// Meaning.
        role: Role,
        /// Mean of each arm; a gap = not of this role.
        #[serde(with = "gaps")]
        means: Vec<f32>,
        /// `[low, high]` of each arm.
        #[serde(with = "gap_rows")]
        ranges: Vec<[f64; 2]>,
    },
}

/// One series of a bar chart.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct BarSeries {
    /// Name in the key.
    pub name: String,
    /// Meaning.
    pub role: Role,
    /// Height over each category.
    #[serde(with = "gaps")]
    pub values: Vec<f32>,
}

/// A named outcome and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Outcome {
    /// Name.
    pub label: String,
    /// Probability in 0..=1.
    #[serde(with = "gap")]
    pub probability: f64,
}

/// The direction in which a reference line runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Along x, at a y.
    Horizontal,
    /// Along y, at an x.
    Vertical,
}

/// Something about a study that can be turned before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Knob {
    /// As in links: `study/15?kernel=5`.
    pub id: String,
    /// As on the page.
    pub label: String,
    /// What turning it does, in one line.
    pub effect: String,
    /// Unit of its values; may be empty.
    pub unit: String,
    /// The values it takes.
    pub kind: Kind,
    /// Its value unless turned, written as in a link.
    pub default: String,
}

/// Whether a paper's main claim holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// This run could not test it.
    Untested,
}

/// What a study concludes from the numbers of this run.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Verdict {
    /// Whether the main claim holds: what the headline check says.
    pub holds: Holds,
    /// The claim that was put to the test.
    pub claim: String,
    /// The answer in plain words and with its numbers: `No. With 300 images the two tie: 88.6 against 87.9%.`
    pub answer: String,
    /// Further numbers, in sentences; may be empty.
    pub measured: String,
    /// The check that decides.
    pub headline: Check,
    /// Further checks, which do not.
    pub also: Vec<Check>,
}

/// One comparison of measured against expected.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Check {
    /// What is compared.
    pub name: String,
    /// The number measured, with its unit.
    pub measured: String,
    /// What it should be, such as `>= 4 points`.
    pub expected: String,
    /// Whether it is; `None` where this run could not test it.
    pub holds: Option<bool>,
}

impl Verdict {
    /// All checks, the headline first.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        [&self.headline].into_iter().chain(&self.also)
    }
}

impl Mark {
    /// Whether it is drawn; tables and passages are text.
    #[must_use]
    pub const fn drawn(&self) -> bool {
        !matches!(self, Self::Table { .. } | Self::Text { .. })
    }

    /// A line without a band.
    #[must_use]
    pub fn line(name: impl Into<String>, role: Role, dash: Dash, points: Vec<[f64; 2]>) -> Self {
        Self::Line { name: name.into(), role, dash, points, band: vec![] }
    }
}

impl Figure {
    /// The figure's numbers as CSV (RFC 4180): a lone table as it stands, everything else as one row a number with the
    /// columns `mark,series,x,y,low,high,value`. Gaps are empty cells.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv = Csv::default();
        if let [Mark::Table { columns, rows }] = self.marks.as_slice() {
            csv.row(columns);
            rows.iter().for_each(|row| csv.row(row));
            return csv.text;
        }
        csv.row(&["mark", "series", "x", "y", "low", "high", "value"]);
        for mark in &self.marks {
            self.mark_rows(mark, &mut csv);
        }
        csv.text
    }

    /// The middle of a cell of a grid that cuts the ranges of both axes evenly; rows run downwards, the y axis upwards.
    #[must_use]
    pub fn place(&self, grid: &Grid, cell: usize) -> [f64; 2] {
        let [x, y] = [&self.x, &self.y].map(|axis| axis.range.unwrap_or([0.0, 1.0]));
        let along =
            |[low, high]: [f64; 2], at: usize, of: usize| low + (high - low) * (at as f64 + 0.5) / of.max(1) as f64;
        let (row, column) = (cell / grid.width.max(1), cell % grid.width.max(1));
        [along(x, column, grid.width), along([y[1], y[0]], row, grid.height)]
    }

    fn mark_rows(&self, mark: &Mark, csv: &mut Csv) {
        match mark {
            Mark::Line { name, points, band, .. } => {
                for (i, [x, y]) in points.iter().enumerate() {
                    let [low, high] = band.get(i).copied().unwrap_or([f64::NAN; 2]);
                    csv.row(&["line", name, &cell(*x), &cell(*y), &cell(low), &cell(high), ""]);
                }
            }
            Mark::Scatter { name, points, classes, .. } => {
                for (i, [x, y]) in points.iter().enumerate() {
                    let class = classes.get(i).map_or_else(String::new, u32::to_string);
                    csv.row(&["scatter", name, &cell(*x), &cell(*y), "", "", &class]);
                }
            }
            Mark::Stars { points } => {
                for (class, [x, y]) in points.iter().enumerate() {
                    csv.row(&["star", &named(&self.classes, class), &cell(*x), &cell(*y), "", "", ""]);
                }
            }
            Mark::Bars { series, .. } => {
                for BarSeries { name, values, .. } in series {
                    for (i, value) in values.iter().enumerate() {
                        csv.row(&["bar", name, &named(&self.x.categories, i), &cell32(*value), "", "", ""]);
                    }
                }
            }
            Mark::Regions { grid } => {
                for (i, class) in grid.values.iter().enumerate() {
                    let [x, y] = self.place(grid, i);
                    csv.row(&["region", "", &cell(x), &cell(y), "", "", &cell32(*class)]);
                }
            }
            Mark::HeatMap { grid, rows, columns, .. } => {
                for (i, value) in grid.values.iter().enumerate() {
                    let (row, column) = (i / grid.width.max(1), i % grid.width.max(1));
                    csv.row(&["cell", "", &named(columns, column), &named(rows, row), "", "", &cell32(*value)]);
                }
            }
            Mark::Ridgeline { x, ridges, .. } => {
                for Ridge { label, values } in ridges {
                    for (x, value) in x.iter().zip(values) {
                        csv.row(&["density", label, &cell32(*x), &cell32(*value), "", "", ""]);
                    }
                }
            }
            Mark::Tiles { tiles } => {
                for (i, tile) in tiles.iter().enumerate() {
                    csv.row(&["tile", &tile.caption, &i.to_string(), "", "", "", ""]);
                }
            }
            Mark::Table { columns, rows } => {
                for (i, row) in rows.iter().enumerate() {
                    for (j, value) in row.iter().enumerate() {
                        csv.row(&["table", "", &named(columns, j), &i.to_string(), "", "", value]);
                    }
                }
            }
            Mark::Text { text } => csv.row(&["text", "", "", "", "", "", text]),
            Mark::Distribution { outcomes } => {
                for Outcome { label, probability } in outcomes {
                    csv.row(&["outcome", label, "", "", "", "", &cell(*probability)]);
                }
            }
            Mark::Rule { label, along, at, .. } => match along {
                Direction::Horizontal => csv.row(&["rule", label, "", &cell(*at), "", "", ""]),
                Direction::Vertical => csv.row(&["rule", label, &cell(*at), "", "", "", ""]),
            },
            Mark::Stretches { names, ends } => {
                for (name, end) in names.iter().zip(ends) {
                    csv.row(&["stretch", name, &cell(*end), "", "", "", ""]);
                }
            }
            Mark::SeedDots { dots, .. } => {
                for SeedDot { arm, seed, value } in dots {
                    let arm = named(&self.x.categories, *arm);
                    csv.row(&["seed", &arm, &seed.to_string(), &cell(*value), "", "", ""]);
                }
            }
            Mark::Intervals { means, ranges, .. } => {
                for (arm, (mean, [low, high])) in
                    means.iter().zip(ranges).enumerate().filter(|(_, (mean, _))| mean.is_finite())
                {
                    csv.row(&[
                        "interval",
                        &named(&self.x.categories, arm),
                        "",
                        &cell32(*mean),
                        &cell(*low),
                        &cell(*high),
                        "",
                    ]);
                }
            }
        }
    }
}

/// A table as comma-separated values (RFC 4180) in the making.
#[derive(Default)]
pub(crate) struct Csv {
    /// The rows so far.
    pub text: String,
}

impl Csv {
    /// Appends a row; cells are quoted where they must be.
    pub fn row(&mut self, cells: &[impl AsRef<str>]) {
        for (i, cell) in cells.iter().map(AsRef::as_ref).enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            if cell.contains(['"', ',', '\n', '\r']) {
                self.text.extend(["\"", &cell.replace('"', "\"\""), "\""]);
            } else {
                self.text.push_str(cell);
            }
        }
        self.text.push_str("\r\n");
    }
}

fn cell(number: f64) -> String {
    if number.is_finite() { number.to_string() } else { String::new() }
}

fn cell32(number: f32) -> String {
    if number.is_finite() { number.to_string() } else { String::new() }
}

/// The name of position `i`, or its number where it has none.
fn named(names: &[String], i: usize) -> String {
    names.get(i).cloned().unwrap_or_else(|| i.to_string())
}

/// JSON has no NaN: a non-finite number travels as `null` and comes back as NaN.
pub(crate) mod gap {
    use serde::{Serialize, Serializer};

    use crate::tree::{Error, FromTree, Value};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(value).serialize(serializer)
    }

    pub fn from_tree(tree: &Value) -> Result<f64, Error> {
        Ok(Option::from_tree(tree)?.unwrap_or(f64::NAN))
    }
}

/// [`gap`] for vectors.
pub(crate) mod gaps {
    use serde::Serializer;

    use crate::tree::{Error, FromTree, Value};

    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| value.is_finite().then_some(*value)))
    }

    pub fn from_tree(tree: &Value) -> Result<Vec<f32>, Error> {
        let values: Vec<Option<f32>> = Vec::from_tree(tree)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect())
    }
}

/// JSON has no infinity: a number beyond the largest that fits reads back as one.
const BEYOND: f64 = 1e39;

/// [`gaps`] that keeps infinities.
mod gaps_or_never {
    use serde::Serializer;
    use serde::ser::SerializeSeq;

    use super::BEYOND;
    pub use super::gaps::from_tree;

    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(values.len()))?;
        for value in values {
            if value.is_infinite() {
                items.serialize_element(&BEYOND.copysign(f64::from(*value)))?;
            } else {
                items.serialize_element(&value.is_finite().then_some(*value))?;
            }
        }
        items.end()
    }
}

/// [`gap`] for points.
pub(crate) mod gap_rows {
    use serde::Serializer;

    use crate::tree::{Error, FromTree, Value};

    pub fn serialize<S: Serializer>(rows: &[[f64; 2]], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(rows.iter().map(|row| row.map(|value| value.is_finite().then_some(value))))
    }

    pub fn from_tree(tree: &Value) -> Result<Vec<[f64; 2]>, Error> {
        let rows: Vec<[Option<f64>; 2]> = Vec::from_tree(tree)?;
        Ok(rows.into_iter().map(|row| row.map(|value| value.unwrap_or(f64::NAN))).collect())
    }
}

/// Bytes as hexadecimal text: a third of the length of a JSON array, and no codec to carry.
mod hex {
    use serde::Serializer;

    use crate::tree::{Error, FromTree, Value, error};

    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|digit| char::from(DIGITS[usize::from(digit)]))
            .collect();
        serializer.serialize_str(&text)
    }

    pub fn from_tree(tree: &Value) -> Result<Vec<u8>, Error> {
        let text = String::from_tree(tree)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(|| error("not a hexadecimal digit".into()));
        text.as_bytes()
            .chunks(2)
            .map(|pair| match *pair {
                [high, low] => Ok((digit(high)? * 16 + digit(low)?) as u8),
                _ => Err(error("an odd number of hexadecimal digits".into())),
            })
            .collect()
    }
}

/// A number with as many digits as a sentence bears: about three that matter.
#[must_use]
pub fn brief(value: f64) -> String {
    let magnitude = value.abs();
    let text = match magnitude {
        0.0 => return "0".to_owned(),
        m if !m.is_finite() => return plain(value),
        m if m >= 1e6 => return exponent(value, Some(2)),
        m if m < 1e-3 => return exponent(value, Some(1)),
        m if m >= 100.0 => return fixed(value, 0),
        m if m >= 10.0 => fixed(value, 1),
        m if m >= 0.1 => fixed(value, 2),
        _ => fixed(value, 4),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    fn line(points: Vec<[f64; 2]>) -> Mark {
        Mark::line("loss, train", Role::Train, Dash::Solid, points)
    }

    #[test]
    fn gaps_survive_json() {
        let figure = Figure { marks: vec![line(vec![[0.0, 2.5], [1.0, f64::NAN]])], ..Figure::default() };
        let json = serde_json::to_string(&figure).unwrap();
        assert!(json.contains("[1.0,null]"), "{json}");
        let Mark::Line { points, .. } = &tree::parse::<Figure>(&json).unwrap().marks[0] else { panic!() };
        assert_eq!(points[0], [0.0, 2.5]);
        assert!(points[1][1].is_nan());
    }

    #[test]
    fn infinities_of_a_grid_survive_json() {
        let grid = Grid { width: 4, height: 1, values: vec![0.1, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] };
        let json = serde_json::to_string(&grid).unwrap();
        assert!(json.contains("[0.1,1e+39,-1e+39,null]"), "{json}");
        let back: Grid = tree::parse(&json).unwrap();
        assert_eq!(back.values[..3], grid.values[..3]);
        assert!(back.values[3].is_nan());
    }

    #[test]
    fn pixels_survive_json() {
        let tile = Tile { width: 2, height: 1, channels: 1, pixels: vec![0, 255], ..Tile::default() };
        let json = serde_json::to_string(&tile).unwrap();
        assert!(json.contains("\"00ff\""), "{json}");
        assert_eq!(tree::parse::<Tile>(&json).unwrap(), tile);
        for bad in ["0", "0g", "é"] {
            assert!(tree::parse::<Tile>(json.replace("00ff", bad)).is_err());
        }
    }

    #[test]
    fn csv_is_one_row_a_number() {
        let rule = Mark::Rule { label: "2/η".into(), role: Role::Limit, along: Direction::Horizontal, at: 4.0 };
        let grid = Grid { width: 2, height: 1, values: vec![0.1, f32::NAN] };
        let heat =
            Mark::HeatMap { grid, scale: Scale::Linear, range: None, rows: vec!["say \"a\"".into()], columns: vec![] };
        let figure = Figure { marks: vec![line(vec![[0.0, 2.5], [1.0, f64::NAN]]), rule, heat], ..Figure::default() };
        let expected = [
            "mark,series,x,y,low,high,value",
            "line,\"loss, train\",0,2.5,,,",
            "line,\"loss, train\",1,,,,",
            "rule,2/η,,4,,,",
            "cell,,0,\"say \"\"a\"\"\",,,0.1",
            "cell,,1,\"say \"\"a\"\"\",,,",
            "",
        ];
        assert_eq!(figure.to_csv(), expected.join("\r\n"));
    }

    #[test]
    fn a_lone_table_is_itself() {
        let table = Mark::Table { columns: vec!["arm".into(), "n".into()], rows: vec![vec!["a".into(), "1".into()]] };
        assert_eq!(Figure { marks: vec![table], ..Figure::default() }.to_csv(), "arm,n\r\na,1\r\n");
    }

    #[test]
    fn numbers_are_brief() {
        let written: Vec<String> =
            [4.0, 88.25, 0.5, 1437.0, 3_149_265.0, 2.3e-5, 0.0127, -3.0, f64::NAN].into_iter().map(brief).collect();
        assert_eq!(written, ["4", "88.2", "0.5", "1437", "3.15e6", "2.3e-5", "0.0127", "-3", "NaN"]);
    }
}
