//! CSV and TSV files: tables with a class or number to predict, and time series.
//!
//! The file is read twice: once to learn what its columns hold, and again, for the columns that a spec chooses, to take
//! their values. The text itself stays, which is smaller than its cells.

use std::collections::{BTreeMap, BTreeSet};

use csv::StringRecord;

use super::npz::table;
use super::{END_SPLIT, MIN_EXAMPLES, TEST_PERCENT, check_elements, check_places, classes, info};
use crate::data::prepare::standardise;
use crate::data::{Data, DataError, Scaling, Series, Target, Values};
use crate::spec::DataSpec;

/// Most columns.
const MAX_COLUMNS: usize = 10_000;
/// Most different texts of a column that becomes indicator columns.
const MAX_CATEGORIES: usize = 32;
/// A numeric target with more different values than this is a number to predict, not a class.
const MAX_NUMERIC_CLASSES: usize = 100;
/// Different values are counted up to this.
const COUNTED: usize = 2001;
/// First cells of a column that are kept to be shown.
const PREVIEW: usize = 5;

/// A file whose rows all have the same number of cells.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    text: String,
    delimiter: u8,
    header: bool,
    pub columns: Vec<Column>,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// From the header, or `column 3` where there is none.
    pub name: String,
    /// What its cells hold.
    pub kind: ColumnKind,
    /// Different values, counted up to 2,001.
    pub distinct: usize,
    /// Its first cells.
    pub preview: Vec<String>,
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

impl Sheet {
    pub(super) fn read(name: &str, text: String) -> Result<Self, DataError> {
        if text.trim().is_empty() {
            return Err(DataError::new(name, "is empty"));
        }
        let delimiter = delimiter(&text);
        let mut sheet = Self { text, delimiter, header: false, columns: Vec::new() };
        let mut first = StringRecord::new();
        let mut second = StringRecord::new();
        let mut reader = sheet.reader(false);
        for record in [&mut first, &mut second] {
            reader.read_record(record).map_err(|error| DataError::new(name, error.to_string()))?;
        }
        if first.len() > MAX_COLUMNS {
            let reason = format!("has {} columns; at most {MAX_COLUMNS} can be read", first.len());
            return Err(DataError::new(name, reason));
        }
        // Names stand where there is no number at all, or where text stands above a number.
        let above = first.iter().zip(&second).any(|(a, b)| number(a).is_none() && number(b).is_some());
        sheet.header = above || first.iter().all(|cell| number(cell).is_none());
        let names = sheet.names(name, &first)?;
        sheet.columns = sheet.survey(name, names)?;
        Ok(sheet)
    }

    fn reader(&self, header: bool) -> csv::Reader<&[u8]> {
        csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(header)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(self.text.as_bytes())
    }

    /// Names of the columns; a comma in one would break the list of names in a link.
    fn names(&self, name: &str, first: &StringRecord) -> Result<Vec<String>, DataError> {
        let mut seen = BTreeMap::new();
        let mut names = Vec::with_capacity(first.len());
        for (position, cell) in (1..).zip(first) {
            let title = match cell {
                cell if self.header && !cell.is_empty() => cell.replace(',', " "),
                _ => format!("column {position}"),
            };
            if let Some(earlier) = seen.insert(title.clone(), position) {
                let reason = format!("columns {earlier} and {position} have the same name {title:?}");
                return Err(DataError::new(format!("{name}, line 1"), reason));
            }
            names.push(title);
        }
        Ok(names)
    }

    /// Calls `visit` with line and cells of each row.
    fn rows(
        &self,
        name: &str,
        width: usize,
        mut visit: impl FnMut(u64, &StringRecord) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut reader = self.reader(self.header);
        let mut record = StringRecord::new();
        loop {
            let more = reader.read_record(&mut record).map_err(|error| DataError::new(name, error.to_string()))?;
            if !more {
                return Ok(());
            }
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != width {
                let reason = format!("has {} cells, where line 1 has {width}", record.len());
                return Err(DataError::new(format!("{name}, line {line}"), reason));
            }
            visit(line, &record)?;
        }
    }

    /// What each column holds.
    fn survey(&self, name: &str, names: Vec<String>) -> Result<Vec<Column>, DataError> {
        let column = |name| Column { name, kind: ColumnKind::Whole, distinct: 0, preview: Vec::new() };
        let mut columns: Vec<Column> = names.into_iter().map(column).collect();
        let mut distinct: Vec<BTreeSet<String>> = vec![BTreeSet::new(); columns.len()];
        let mut rows = 0_usize;
        self.rows(name, columns.len(), |line, record| {
            rows += 1;
            for ((column, seen), cell) in columns.iter_mut().zip(&mut distinct).zip(record) {
                if column.preview.len() < PREVIEW {
                    column.preview.push(cell.to_owned());
                }
                if cell.is_empty() {
                    continue;
                }
                match (&column.kind, number(cell)) {
                    (ColumnKind::Text(..), _) => {}
                    (_, None) => column.kind = ColumnKind::Text(line, shorten(cell)),
                    (ColumnKind::Whole, Some(value)) if value.fract() != 0.0 => column.kind = ColumnKind::Number,
                    _ => {}
                }
                if seen.len() < COUNTED && !seen.contains(cell) {
                    seen.insert(cell.to_owned());
                }
            }
            Ok(())
        })?;
        if rows < MIN_EXAMPLES {
            return Err(DataError::new(name, format!("has {rows} rows; at least {MIN_EXAMPLES} are needed")));
        }
        for (column, seen) in columns.iter_mut().zip(distinct) {
            column.distinct = seen.len();
        }
        Ok(columns)
    }

    /// Positions of the target and of the feature columns, and whether the latter were named.
    fn choose(&self, name: &str, spec: &DataSpec) -> Result<(usize, Vec<usize>, bool), DataError> {
        let find = |wanted: &str| {
            self.columns.iter().position(|column| column.name == wanted).ok_or_else(|| {
                let all: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                DataError::new(
                    name,
                    format!("there is no column {wanted:?}; the columns are {}", shorten(&all.join(", "))),
                )
            })
        };
        let target = if spec.target.is_empty() { self.columns.len().saturating_sub(1) } else { find(&spec.target)? };
        let named: Vec<&str> = spec.columns.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let features = if named.is_empty() {
            (0..self.columns.len()).filter(|&column| column != target).collect()
        } else {
            let mut features = named.iter().map(|wanted| find(wanted)).collect::<Result<Vec<_>, _>>()?;
            features.retain(|&column| column != target);
            features
        };
        Ok((target, features, !named.is_empty()))
    }

    /// Each row is an example; the target column is its class, or a number to predict.
    pub(super) fn table(&self, name: &str, spec: &DataSpec, seed: u64) -> Result<Data, DataError> {
        let (target, features, named) = self.choose(name, spec)?;
        let mut notes = Vec::new();
        let mut inputs = Vec::new();
        for position in features {
            match self.input(position) {
                Ok(input) => inputs.push(input),
                Err(reason) if named => return Err(DataError::new(self.place(name, position), reason)),
                Err(reason) => notes.push(format!("Column {} is left out: it {reason}.", self.columns[position].name)),
            }
        }
        if inputs.is_empty() {
            return Err(DataError::new(name, "has no column to learn from beside its target"));
        }
        let mut outcome = Outcome::of(&self.columns[target]);
        let (mut values, mut gaps) = (Vec::new(), Gaps::default());
        let mut categories = inputs.iter().map(|_| BTreeMap::new()).collect::<Vec<_>>();
        self.categories(name, &inputs, &mut categories)?;
        let width: usize = inputs.iter().zip(&categories).map(|(input, seen)| input.width(seen)).sum();
        self.rows(name, self.columns.len(), |line, record| {
            let used = inputs.iter().map(|input| input.column).chain([target]);
            if let Some(empty) = used.into_iter().find(|&column| record[column].is_empty()) {
                gaps.add(line, &self.columns[empty].name);
                return Ok(());
            }
            check_elements(name, values.len() / width.max(1) + 1, width)?;
            for (input, seen) in inputs.iter().zip(&categories) {
                let cell = &record[input.column];
                if input.text {
                    let code = seen.get(cell).copied().unwrap_or_default();
                    values.extend((0..seen.len()).map(|category| if category == code { 1.0 } else { 0.0 }));
                } else {
                    values.push(self.finite(name, line, input.column, cell)?);
                }
            }
            outcome.push(&record[target], |cell| self.finite(name, line, target, cell))
        })?;
        notes.extend(gaps.note(name, values.len() / width.max(1))?);
        let columns = inputs.iter().zip(&categories).flat_map(|(input, seen)| {
            let name = &self.columns[input.column].name;
            if input.text { seen.keys().map(|text| format!("{name}={text}")).collect() } else { vec![name.clone()] }
        });
        let target = outcome.finish(&self.place(name, target), &self.columns[target].name)?;
        table(name, columns.collect(), values, target, seed, notes)
    }

    /// The rows in order are time steps; the target column is forecast from all.
    pub(super) fn series(&self, name: &str, spec: &DataSpec) -> Result<Data, DataError> {
        let (target, mut chosen, named) = self.choose(name, spec)?;
        let mut notes = Vec::new();
        chosen.push(target);
        chosen.sort_unstable();
        chosen.dedup();
        let texts: Vec<usize> = chosen.iter().copied().filter(|&column| self.columns[column].is_text()).collect();
        for column in texts {
            let reason = self.columns[column].describe();
            if named || column == target {
                return Err(DataError::new(self.place(name, column), format!("{reason}; a series needs numbers")));
            }
            notes.push(format!("Column {} is left out: it {reason}.", self.columns[column].name));
            chosen.retain(|&other| other != column);
        }
        let (mut values, width) = (Vec::new(), chosen.len());
        self.rows(name, self.columns.len(), |line, record| {
            check_elements(name, values.len() / width + 1, width)?;
            for &column in &chosen {
                if record[column].is_empty() {
                    let place = format!("{name}, line {line}, column {}", self.columns[column].name);
                    return Err(DataError::new(place, "is empty; a time series must have no gaps"));
                }
                values.push(self.finite(name, line, column, &record[column])?);
            }
            Ok(())
        })?;
        let rows = values.len() / width;
        check_places(name, rows, "time steps")?;
        let train = rows - rows * TEST_PERCENT / 100;
        let scaling = standardise(&mut values, width, 0..train);
        let columns = chosen.iter().map(|&column| self.columns[column].name.clone()).collect();
        let target = chosen.iter().position(|&column| column == target).unwrap_or_default();
        Ok(Data {
            info: info(name, END_SPLIT, train, notes),
            values: Values::Series(Series { columns, values, scaling, target, interval: String::new() }),
            train: 0..train,
            test: train..rows,
        })
    }

    /// How a column enters the network, or why it cannot.
    fn input(&self, column: usize) -> Result<Input, String> {
        let Column { kind, distinct, .. } = &self.columns[column];
        match kind {
            ColumnKind::Text(..) if *distinct > MAX_CATEGORIES => Err(format!(
                "{}, and {} different texts are more than the {MAX_CATEGORIES} that can be told apart",
                self.columns[column].describe(),
                if *distinct >= COUNTED { "over 2,000".into() } else { distinct.to_string() }
            )),
            kind => Ok(Input { column, text: matches!(kind, ColumnKind::Text(..)) }),
        }
    }

    /// The different texts of each text column, numbered in their order.
    fn categories(
        &self,
        name: &str,
        inputs: &[Input],
        categories: &mut [BTreeMap<String, usize>],
    ) -> Result<(), DataError> {
        self.rows(name, self.columns.len(), |_, record| {
            for (input, seen) in inputs.iter().zip(&mut *categories).filter(|(input, _)| input.text) {
                let cell = &record[input.column];
                if !cell.is_empty() && !seen.contains_key(cell) {
                    seen.insert(cell.to_owned(), 0);
                }
            }
            Ok(())
        })?;
        for seen in categories {
            for (number, code) in seen.values_mut().enumerate() {
                *code = number;
            }
        }
        Ok(())
    }

    fn place(&self, name: &str, column: usize) -> String {
        format!("{name}, column {}", self.columns[column].name)
    }

    fn finite(&self, name: &str, line: u64, column: usize, cell: &str) -> Result<f32, DataError> {
        let value = number(cell).map(|value| value as f32);
        value.filter(|value| value.is_finite()).ok_or_else(|| {
            let place = format!("{name}, line {line}, column {}", self.columns[column].name);
            DataError::new(place, format!("{:?} is not a finite number", shorten(cell)))
        })
    }
}

impl Column {
    fn is_text(&self) -> bool {
        matches!(self.kind, ColumnKind::Text(..))
    }

    fn describe(&self) -> String {
        match &self.kind {
            ColumnKind::Text(line, cell) => format!("holds text (line {line}: {cell:?})"),
            ColumnKind::Whole => "holds whole numbers".into(),
            ColumnKind::Number => "holds numbers".into(),
        }
    }
}

/// A column as input: its number, or an indicator for each of its texts.
struct Input {
    column: usize,
    text: bool,
}

impl Input {
    fn width(&self, categories: &BTreeMap<String, usize>) -> usize {
        if self.text { categories.len() } else { 1 }
    }
}

/// The target column's values as they are read.
enum Outcome {
    Number(Vec<f32>),
    /// Class numbers by order of appearance, and what they stand for.
    Classes {
        cells: BTreeMap<String, u32>,
        labels: Vec<u32>,
        numeric: bool,
    },
}

impl Outcome {
    fn of(column: &Column) -> Self {
        match column.kind {
            ColumnKind::Number => Self::Number(Vec::new()),
            ColumnKind::Whole if column.distinct > MAX_NUMERIC_CLASSES => Self::Number(Vec::new()),
            _ => Self::Classes { cells: BTreeMap::new(), labels: Vec::new(), numeric: !column.is_text() },
        }
    }

    fn push(&mut self, cell: &str, finite: impl Fn(&str) -> Result<f32, DataError>) -> Result<(), DataError> {
        match self {
            Self::Number(values) => values.push(finite(cell)?),
            Self::Classes { cells, labels, numeric } => {
                // Equal numbers are one class, however they are written.
                let key = if *numeric { finite(cell)?.to_string() } else { cell.to_owned() };
                let next = cells.len() as u32;
                labels.push(*cells.entry(key).or_insert(next));
            }
        }
        Ok(())
    }

    fn finish(self, place: &str, name: &str) -> Result<Target, DataError> {
        match self {
            Self::Number(values) => Ok(Target::Number { name: name.into(), values, scaling: Scaling::IDENTITY }),
            Self::Classes { cells, mut labels, numeric } => {
                let mut sorted: Vec<(String, u32)> = cells.into_iter().collect();
                if numeric {
                    let value = |cell: &str| cell.parse::<f32>().unwrap_or_default();
                    sorted.sort_by(|(a, _), (b, _)| value(a).total_cmp(&value(b)));
                }
                let mut class_of = vec![0; sorted.len()];
                for (class, (_, appearance)) in (0..).zip(&sorted) {
                    class_of[*appearance as usize] = class;
                }
                for label in &mut labels {
                    *label = class_of[*label as usize];
                }
                classes(place, sorted.into_iter().map(|(cell, _)| cell).collect(), labels)
            }
        }
    }
}

/// Rows that are left out because a cell that is needed is empty.
#[derive(Default)]
struct Gaps {
    count: usize,
    first: Option<(u64, String)>,
}

impl Gaps {
    fn add(&mut self, line: u64, column: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (line, column.to_owned()));
    }

    /// What to say of them; an error if they are most of the rows.
    fn note(self, name: &str, used: usize) -> Result<Option<String>, DataError> {
        let Some((line, column)) = self.first else { return Ok(None) };
        if self.count > used {
            let reason = format!("is empty, and so are cells of most rows ({} of {})", self.count, self.count + used);
            return Err(DataError::new(format!("{name}, line {line}, column {column}"), reason));
        }
        Ok(Some(format!(
            "{} rows with empty cells are left out, the first in line {line}, column {column}.",
            self.count
        )))
    }
}

/// Tab, semicolon or comma, whichever the first line has most of.
fn delimiter(text: &str) -> u8 {
    let line = text.lines().next().unwrap_or_default();
    let count = |delimiter: u8| line.bytes().filter(|&byte| byte == delimiter).count();
    // The last of equals wins: a comma where the line has none of them.
    [b'\t', b';', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}

/// A cell as a number; `NaN` and `inf` count as numbers here, so that they are refused where they stand.
fn number(cell: &str) -> Option<f64> {
    cell.parse().ok()
}

/// The beginning of a long text.
fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.into() } else { text.chars().take(MOST).chain("...".chars()).collect() }
}
