//! What the columns of a table hold, what each is taken for, and which of them is to be predicted.

use std::collections::BTreeSet;

use csv::StringRecord;

use super::MAX_CLASSES;
use super::dialect::{Dialect, is_marker};
use super::labels::{MAX_NUMERIC_CLASSES, Outcome};
use crate::protocol::{Column as Shown, Taken};

/// Most different texts of a column that becomes indicator columns.
pub(super) const MAX_CATEGORIES: usize = 32;
/// Different values are counted up to this.
const COUNTED: usize = 2001;
/// First cells of a column that are kept to be shown.
const PREVIEW: usize = 5;
/// Names that a column of classes usually has.
const TARGETS: [&str; 10] =
    ["label", "labels", "class", "classes", "target", "y", "outcome", "species", "category", "diagnosis"];
/// Names of columns that only number the rows, where their cells do.
const INDICES: [&str; 6] = ["", "unnamed: 0", "index", "id", "row", "rownames"];

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// From the header, or `column 3` where there is none.
    pub name: String,
    /// What its cells hold.
    pub kind: ColumnKind,
    /// Different values, counted up to 2,001.
    pub distinct: usize,
    /// Cells without a value: empty, or a marker such as `NA` in a column of numbers.
    pub missing: usize,
    /// Its first cells.
    pub preview: Vec<String>,
    /// Whether it numbers the rows and is called so.
    pub index: bool,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnKind {
    /// Whole numbers only.
    Whole,
    /// Numbers.
    Number,
    /// Text: the line of the first cell that is not a number, and that cell.
    Text(u64, String),
}

impl Column {
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, ColumnKind::Text(..))
    }

    pub(super) fn describe(&self) -> String {
        match &self.kind {
            ColumnKind::Text(line, cell) => format!("holds text (line {line}: {cell:?})"),
            ColumnKind::Whole => "holds whole numbers".into(),
            ColumnKind::Number => "holds numbers".into(),
        }
    }

    fn values(&self) -> String {
        if self.distinct >= COUNTED { "over 2,000".into() } else { self.distinct.to_string() }
    }

    /// Why it is no input unless it is asked for, of a table with so many rows.
    pub(super) fn unfit(&self, rows: usize) -> Option<String> {
        if self.index {
            Some("only numbers the rows".into())
        } else if 2 * self.missing > rows {
            Some(format!("has no value in {} of {rows} rows", self.missing))
        } else if self.is_text() {
            self.too_many().map(|reason| format!("{}, and {reason}", self.describe()))
        } else {
            None
        }
    }

    /// Why it cannot become indicators.
    pub(super) fn too_many(&self) -> Option<String> {
        let what = if self.is_text() { "texts" } else { "values" };
        (self.distinct > MAX_CATEGORIES).then(|| {
            format!("{} different {what} are more than the {MAX_CATEGORIES} that can be told apart", self.values())
        })
    }

    /// What it is taken for as an input, unless a person says otherwise.
    pub(super) fn taken(&self, rows: usize) -> Taken {
        match (self.unfit(rows), self.is_text()) {
            (Some(_), _) => Taken::Ignored,
            (None, true) => Taken::Category,
            (None, false) => Taken::Number,
        }
    }

    /// How its cells are read as what is to be predicted.
    pub(super) fn outcome(&self, taken: Option<Taken>) -> Outcome {
        let class = match (taken, &self.kind) {
            (Some(Taken::Category), _) => true,
            (Some(Taken::Number), _) | (_, ColumnKind::Number) => false,
            (_, ColumnKind::Whole) => self.distinct <= MAX_NUMERIC_CLASSES,
            (_, ColumnKind::Text(..)) => true,
        };
        if class { Outcome::classes(!self.is_text()) } else { Outcome::Number(Vec::new()) }
    }

    /// Whether its values can be classes of a table with so many rows: few of them.
    fn could_be_class(&self, rows: usize) -> bool {
        let most = match self.kind {
            ColumnKind::Text(..) => MAX_CLASSES,
            ColumnKind::Whole => MAX_NUMERIC_CLASSES,
            ColumnKind::Number => 0,
        };
        !self.index && (2..=most).contains(&self.distinct) && 2 * self.distinct <= rows && 2 * self.missing <= rows
    }

    /// As the page shows it.
    pub(super) fn shown(&self, rows: usize) -> Shown {
        let unfit = self.unfit(rows).map(|reason| format!("It {reason}."));
        let missing = (self.missing > 0).then(|| format!("{} of {rows} rows have no value.", self.missing));
        Shown {
            name: self.name.clone(),
            taken: self.taken(rows),
            text: self.is_text(),
            note: unfit.or(missing).unwrap_or_default(),
            first: self.preview.iter().map(|cell| super::shorten(cell)).collect(),
            distinct: self.values(),
            classes: matches!(self.outcome(None), Outcome::Classes { .. }),
        }
    }
}

/// Which column is most likely to hold the class: one that is called so, else the last, else one with few values; else
/// the last that holds anything but the numbers of the rows.
pub(super) fn likely_target(columns: &[Column], rows: usize) -> usize {
    let fits = |column: &&(usize, &Column)| column.1.could_be_class(rows);
    let all: Vec<(usize, &Column)> = columns.iter().enumerate().collect();
    let called = |name: &str| TARGETS.iter().any(|target| name.eq_ignore_ascii_case(target));
    let named = all.iter().rev().filter(fits).find(|(_, column)| called(&column.name));
    let last = || all.last().filter(|column| fits(column));
    let few = |text: bool| {
        let of_kind = all.iter().filter(fits).filter(move |(_, column)| column.is_text() == text);
        of_kind.min_by_key(|(position, column)| (column.distinct, std::cmp::Reverse(*position)))
    };
    let any = || all.iter().rev().find(|(_, column)| column.unfit(rows).is_none());
    let target = named.or_else(last).or_else(|| few(true)).or_else(|| few(false)).or_else(any);
    target.map_or(columns.len().saturating_sub(1), |(position, _)| *position)
}

/// Which column of a series is forecast: the last of numbers that do not number the rows.
pub(super) fn likely_forecast(columns: &[Column], rows: usize) -> usize {
    let fits = |column: &Column| !column.is_text() && column.unfit(rows).is_none();
    columns.iter().rposition(fits).unwrap_or(columns.len().saturating_sub(1))
}

/// What is learned of a column as its cells go by.
pub(super) struct Survey {
    column: Column,
    dialect: Dialect,
    seen: BTreeSet<String>,
    numbers: usize,
    fractions: bool,
    /// Cells that stand for a missing number, and the first of them.
    markers: usize,
    marker: Option<(u64, String)>,
    /// Text that is no marker.
    text: Option<(u64, String)>,
    /// The number of the last row, as long as the column numbers them.
    count: Option<f64>,
    counts: bool,
}

impl Survey {
    /// Of a column with a name, and whether the file itself gives it none.
    pub(super) fn new(name: String, unnamed: bool, dialect: Dialect) -> Self {
        let index = INDICES.contains(&name.to_ascii_lowercase().as_str()) || unnamed;
        let kind = ColumnKind::Whole;
        let column = Column { name, kind, distinct: 0, missing: 0, preview: Vec::new(), index };
        Self {
            column,
            dialect,
            seen: BTreeSet::new(),
            numbers: 0,
            fractions: false,
            markers: 0,
            marker: None,
            text: None,
            count: None,
            counts: true,
        }
    }

    /// Takes the next cell.
    pub(super) fn see(&mut self, line: u64, cell: &str) {
        let column = &mut self.column;
        if column.preview.len() < PREVIEW {
            column.preview.push(cell.to_owned());
        }
        let number = self.dialect.number(cell);
        self.counts &= number.is_some_and(|number| match self.count.replace(number) {
            Some(last) => number == last + 1.0,
            None => number == 0.0 || number == 1.0,
        });
        if cell.is_empty() {
            column.missing += 1;
            return;
        }
        match number {
            Some(number) => {
                self.numbers += 1;
                self.fractions |= number.fract() != 0.0;
            }
            None if is_marker(cell) => {
                self.markers += 1;
                self.marker.get_or_insert_with(|| (line, super::shorten(cell)));
            }
            None => {
                self.text.get_or_insert_with(|| (line, super::shorten(cell)));
            }
        }
        if self.seen.len() < COUNTED && !self.seen.contains(cell) {
            self.seen.insert(cell.to_owned());
        }
    }

    /// What the column holds.
    pub(super) fn finish(self) -> Column {
        let Self { mut column, mut seen, numbers, fractions, markers, marker, text, counts, .. } = self;
        let text = match text {
            // Markers among texts are texts.
            Some(text) => Some(marker.into_iter().chain([text]).min().unwrap_or_default()),
            None if numbers == 0 => marker,
            None => None,
        };
        if text.is_none() {
            column.missing += markers;
            seen.retain(|cell| !is_marker(cell));
        }
        column.distinct = seen.len();
        column.index &= counts;
        column.kind = match text {
            Some((line, cell)) => ColumnKind::Text(line, cell),
            None if fractions => ColumnKind::Number,
            None => ColumnKind::Whole,
        };
        column
    }
}

/// Whether a first record names columns, judged by the one below it: there is no number in it, or text above a number.
pub(super) fn is_header(dialect: Dialect, first: &StringRecord, second: &StringRecord) -> bool {
    let number = |cell: &str| dialect.number(cell).is_some_and(f64::is_finite);
    let named = |cell: &str| !cell.is_empty() && !is_marker(cell) && !number(cell);
    first.iter().zip(second).any(|(above, below)| named(above) && number(below)) || !first.iter().any(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Cells<'c> = &'c [(&'c str, fn(usize) -> String)];

    fn columns(cells: Cells<'_>, rows: usize) -> Vec<Column> {
        let dialect = Dialect { delimiter: b',', comma: false };
        cells
            .iter()
            .map(|(name, cell)| {
                let mut survey = Survey::new((*name).into(), false, dialect);
                (0..rows).for_each(|row| survey.see(row as u64 + 2, &cell(row)));
                survey.finish()
            })
            .collect()
    }

    #[test]
    fn a_class_has_few_values_and_is_no_identifier() {
        let id: fn(usize) -> String = |i| (i + 1).to_string();
        let name: fn(usize) -> String = |i| format!("n{i}");
        let kind: fn(usize) -> String = |i| ["a", "b"][i % 2].into();
        let digit: fn(usize) -> String = |i| (i % 7).to_string();
        let size: fn(usize) -> String = |i| format!("{}.5", i * i);
        let target = |cells: Cells<'_>| likely_target(&columns(cells, 60), 60);
        assert_eq!(target(&[("size", size), ("kind", kind), ("name", name)]), 1);
        assert_eq!(target(&[("kind", kind), ("size", size), ("id", id)]), 0);
        assert_eq!(target(&[("label", digit), ("pixel", digit)]), 0);
        assert_eq!(target(&[("a", digit), ("b", kind)]), 1);
        assert_eq!(target(&[("a", kind), ("b", digit)]), 1);
        // Nothing has few values: the last one that is not an identifier is predicted.
        assert_eq!(target(&[("a", size), ("b", size), ("id", id)]), 1);
        assert_eq!(target(&[("id", id)]), 0);
    }

    #[test]
    fn markers_are_gaps_among_numbers_and_texts_among_texts() {
        let all = columns(
            &[
                ("a", |i| if i == 3 { "NA".into() } else { i.to_string() }),
                ("b", |i| if i == 3 { "NA".into() } else { format!("t{}", i % 3) }),
                ("c", |_| "?".into()),
                ("d", |i| if i < 9 { String::new() } else { "1.5".into() }),
            ],
            12,
        );
        assert_eq!((&all[0].kind, all[0].missing, all[0].distinct), (&ColumnKind::Whole, 1, 11));
        assert_eq!((&all[1].kind, all[1].missing, all[1].distinct), (&ColumnKind::Text(2, "t0".into()), 0, 4));
        assert_eq!(all[2].kind, ColumnKind::Text(2, "?".into()));
        assert_eq!((all[3].taken(12), all[3].missing), (Taken::Ignored, 9));
        assert_eq!(all[3].unfit(12).unwrap(), "has no value in 9 of 12 rows");
    }
}
