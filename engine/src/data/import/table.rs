//! CSV and TSV files: tables with a class or number to predict, and time series.
//!
//! The file is read twice: once to learn what its columns hold, and again, for the columns that a spec chooses, to take
//! their values. The text itself stays, which is smaller than its cells.

use std::collections::BTreeMap;

use csv::StringRecord;

use super::columns::{Column, Survey, is_header, likely_forecast, likely_target};
use super::dialect::{Dialect, Written};
use super::labels::{Outcome, number_key};
use super::{END_SPLIT, MIN_EXAMPLES, Rows, TEST_PERCENT, check_elements, check_places, info, names, shorten};
use crate::data::prepare::standardise;
use crate::data::{Data, DataError, Series, Values};
use crate::protocol::Taken;
use crate::spec::{DataSpec, MAX_LIST};

/// Most columns.
const MAX_COLUMNS: usize = 10_000;

/// A file whose rows all have the same number of cells.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    text: String,
    dialect: Dialect,
    /// Lines of the file before the text.
    skipped: u64,
    header: bool,
    pub columns: Vec<Column>,
    pub rows: usize,
    /// What was noticed about how it is written.
    pub notes: Vec<String>,
}

/// The columns that a spec asks for.
struct Chosen {
    target: usize,
    features: Vec<usize>,
    /// Whether the spec names the features one by one.
    named: bool,
    /// What columns are taken for that are not taken for what they look like.
    kinds: BTreeMap<usize, Taken>,
}

impl Sheet {
    pub(super) fn read(name: &str, text: String, mut notes: Vec<String>) -> Result<Self, DataError> {
        if text.trim().is_empty() {
            return Err(DataError::new(name, "is empty"));
        }
        let Written { text, dialect, skipped } = Written::of(names::composed(&text));
        if dialect.comma {
            notes.push("Commas in numbers are read as decimal points.".into());
        }
        let mut sheet = Self { text, dialect, skipped, header: false, columns: Vec::new(), rows: 0, notes };
        let (mut first, mut second) = (StringRecord::new(), StringRecord::new());
        let mut reader = dialect.reader(&sheet.text, false);
        for record in [&mut first, &mut second] {
            reader.read_record(record).map_err(|error| DataError::new(name, error.to_string()))?;
        }
        if first.len() > MAX_COLUMNS {
            let reason = format!("has {} columns; at most {MAX_COLUMNS} can be read", first.len());
            return Err(DataError::new(name, reason));
        }
        sheet.header = is_header(dialect, &first, &second);
        sheet.survey(name, &first)?;
        Ok(sheet)
    }

    /// Names of the columns, and whether the file gives one.
    fn names(&self, first: &StringRecord) -> Vec<(String, bool)> {
        let given: Vec<bool> = first.iter().map(|cell| self.header && !cell.is_empty()).collect();
        let titles = (1..)
            .zip(first)
            .zip(&given)
            .map(|((position, cell), given)| if *given { names::fit(cell) } else { format!("column {position}") });
        names::distinct(titles.collect()).into_iter().zip(given).collect()
    }

    /// Calls `visit` with line and cells of each row.
    fn rows(
        &self,
        name: &str,
        width: usize,
        mut visit: impl FnMut(u64, &StringRecord) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut reader = self.dialect.reader(&self.text, self.header);
        let mut record = StringRecord::new();
        loop {
            let more = reader.read_record(&mut record).map_err(|error| DataError::new(name, error.to_string()))?;
            if !more {
                return Ok(());
            }
            let line = record.position().map_or(0, csv::Position::line) + self.skipped;
            if record.len() != width {
                let reason = format!("has {} cells, where line {} has {width}", record.len(), 1 + self.skipped);
                return Err(DataError::new(format!("{name}, line {line}"), reason));
            }
            visit(line, &record)?;
        }
    }

    /// What each column holds.
    fn survey(&mut self, name: &str, first: &StringRecord) -> Result<(), DataError> {
        let column = |(name, given): (String, bool)| Survey::new(name, self.header && !given, self.dialect);
        let mut surveys: Vec<Survey> = self.names(first).into_iter().map(column).collect();
        let mut rows = 0_usize;
        self.rows(name, surveys.len(), |line, record| {
            rows += 1;
            surveys.iter_mut().zip(record).for_each(|(survey, cell)| survey.see(line, cell));
            Ok(())
        })?;
        if rows < MIN_EXAMPLES {
            return Err(DataError::new(name, format!("has {rows} rows; at least {MIN_EXAMPLES} are needed")));
        }
        self.rows = rows;
        self.columns = surveys.into_iter().map(Survey::finish).collect();
        Ok(())
    }

    fn find(&self, name: &str, wanted: &str) -> Result<usize, DataError> {
        let called = |fits: &dyn Fn(&str) -> bool| self.columns.iter().position(|column| fits(&column.name));
        // Earlier links have blanks where the name has commas.
        called(&|name| name == wanted).or_else(|| called(&|name| name.replace(',', " ") == wanted)).ok_or_else(|| {
            let all: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            let reason = format!("there is no column {wanted:?}; the columns are {}", shorten(&all.join(", ")));
            DataError::new(name, reason)
        })
    }

    fn choose(&self, name: &str, spec: &DataSpec) -> Result<Chosen, DataError> {
        let target =
            if spec.target.is_empty() { self.columns.len().saturating_sub(1) } else { self.find(name, &spec.target)? };
        let listed = names::read_list(&spec.columns);
        let all = (0..self.columns.len()).filter(|&column| column != target);
        let star = !self.columns.iter().any(|column| column.name == "*");
        let (features, named) = match names::left_out(&listed).filter(|_| star) {
            _ if listed.is_empty() => (all.collect(), false),
            Some(out) => {
                let out = out.into_iter().map(|wanted| self.find(name, wanted)).collect::<Result<Vec<_>, _>>()?;
                (all.filter(|column| !out.contains(column)).collect(), true)
            }
            None => {
                let mut features =
                    listed.iter().map(|wanted| self.find(name, wanted)).collect::<Result<Vec<_>, _>>()?;
                features.retain(|&column| column != target);
                (features, true)
            }
        };
        let mut kinds = BTreeMap::new();
        for entry in names::read_list(&spec.kinds) {
            let known = entry.rsplit_once('=').and_then(|(column, kind)| Some((column, Taken::read(kind)?)));
            let (column, kind) = known.ok_or_else(|| {
                let reason = format!("{entry:?} says of no column that it is a number or a category");
                DataError::new(name, reason)
            })?;
            kinds.insert(self.find(name, column)?, kind);
        }
        Ok(Chosen { target, features, named, kinds })
    }

    /// A target, as a spec names it: the likely one where nothing was chosen.
    pub(super) fn target(&self, wanted: &str, series: bool) -> String {
        if !wanted.is_empty() {
            return wanted.into();
        }
        let likely = if series { likely_forecast } else { likely_target }(&self.columns, self.rows);
        if likely + 1 == self.columns.len() { String::new() } else { self.columns[likely].name.clone() }
    }

    /// Chosen columns, as a spec lists them; `target` is not among those of a table.
    pub(super) fn listed(&self, name: &str, chosen: &[String], target: &str) -> Result<String, DataError> {
        if chosen.is_empty() {
            return Ok(String::new());
        }
        let last = self.columns.last().map(|column| column.name.as_str()).unwrap_or_default();
        let target = if target.is_empty() { last } else { target };
        let others = || self.columns.iter().filter(|column| column.name != target);
        let usual: Vec<&str> =
            others().filter(|column| column.unfit(self.rows).is_none()).map(|column| column.name.as_str()).collect();
        let all: Vec<&str> = others().map(|column| column.name.as_str()).collect();
        let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
        names::choice(&chosen, &usual, &all).ok_or_else(|| {
            let reason = format!(
                "the names of the {} chosen columns, and of those left out, are longer than the {MAX_LIST} characters that \
                 a link holds; choose fewer, or leave out fewer",
                chosen.len()
            );
            DataError::new(name, reason)
        })
    }

    /// Each row is an example; the target column is its class, or a number to predict.
    pub(super) fn table(&self, name: &str, spec: &DataSpec, seed: u64) -> Result<Data, DataError> {
        let Chosen { target, features, named, kinds } = self.choose(name, spec)?;
        let mut notes = self.notes.clone();
        let mut inputs = Vec::new();
        for position in features {
            match self.input(position, named, kinds.get(&position).copied()) {
                Ok(input) => inputs.push(input),
                Err(reason) if named => return Err(DataError::new(self.place(name, position), reason)),
                Err(reason) => notes.push(self.left_out(position, &reason)),
            }
        }
        if inputs.is_empty() {
            let mut reason = "has no column to learn from beside its target".to_owned();
            for note in notes.iter().skip(self.notes.len()) {
                reason += &format!(". {}", note.trim_end_matches('.'));
            }
            return Err(DataError::new(name, reason));
        }
        let mut outcome = self.columns[target].outcome(kinds.get(&target).copied());
        let text_target = matches!(outcome, Outcome::Classes { numeric: false, .. });
        let (mut values, mut gaps) = (Vec::new(), Gaps::default());
        let mut categories = inputs.iter().map(|_| BTreeMap::new()).collect::<Vec<_>>();
        self.categories(name, &inputs, &mut categories)?;
        let width: usize = inputs.iter().zip(&categories).map(|(input, seen)| input.width(seen)).sum();
        let mut used: Vec<(usize, bool)> = inputs.iter().map(|input| (input.column, input.category)).collect();
        used.push((target, text_target));
        self.rows(name, self.columns.len(), |line, record| {
            if let Some(&(gap, _)) = used.iter().find(|&&(column, text)| self.is_missing(&record[column], column, text))
            {
                gaps.add(line, &self.columns[gap].name, &record[gap]);
                return Ok(());
            }
            check_elements(name, values.len() / width.max(1) + 1, width)?;
            for (input, seen) in inputs.iter().zip(&categories) {
                let cell = &record[input.column];
                if input.category {
                    let code = seen.get(&self.category(input.column, cell)).copied().unwrap_or_default();
                    values.extend((0..seen.len()).map(|category| if category == code { 1.0 } else { 0.0 }));
                } else {
                    values.push(self.finite(name, line, input.column, cell)?);
                }
            }
            let cell = &record[target];
            outcome.push(cell, if text_target { 0.0 } else { self.finite(name, line, target, cell)? });
            Ok(())
        })?;
        notes.extend(gaps.note(name, values.len() / width.max(1))?);
        let columns = inputs.iter().zip(&categories).flat_map(|(input, seen)| {
            let name = &self.columns[input.column].name;
            if input.category { seen.keys().map(|text| format!("{name}={text}")).collect() } else { vec![name.clone()] }
        });
        let columns = columns.collect();
        let wanted = outcome.finish(&self.place(name, target))?;
        Rows { columns, values, target: self.columns[target].name.clone(), wanted }.data(name, seed, notes)
    }

    /// The rows in order are time steps; the target column is forecast from all.
    pub(super) fn series(&self, name: &str, spec: &DataSpec) -> Result<Data, DataError> {
        let Chosen { target, features: mut chosen, named, .. } = self.choose(name, spec)?;
        let mut notes = self.notes.clone();
        chosen.push(target);
        crate::numeric::sort(&mut chosen);
        chosen.dedup();
        let unfit = |column: usize| {
            let known = &self.columns[column];
            if known.is_text() { Some(known.describe()) } else { known.unfit(self.rows).filter(|_| !named) }
        };
        for (column, reason) in chosen.clone().into_iter().filter_map(|column| Some((column, unfit(column)?))) {
            if column == target && !self.columns[column].is_text() {
                continue;
            }
            if named || column == target {
                return Err(DataError::new(self.place(name, column), format!("{reason}; a series needs numbers")));
            }
            notes.push(self.left_out(column, &reason));
            chosen.retain(|&other| other != column);
        }
        let (mut values, width) = (Vec::new(), chosen.len());
        self.rows(name, self.columns.len(), |line, record| {
            check_elements(name, values.len() / width + 1, width)?;
            for &column in &chosen {
                let cell = &record[column];
                if self.is_missing(cell, column, false) {
                    let place = format!("{name}, line {line}, column {}", self.called(column));
                    let what = if cell.is_empty() { "is empty".into() } else { format!("holds {cell:?}") };
                    return Err(DataError::new(place, format!("{what}; a time series must have no gaps")));
                }
                values.push(self.finite(name, line, column, cell)?);
            }
            Ok(())
        })?;
        let rows = values.len() / width;
        check_places(name, rows, "time steps")?;
        let train = rows - rows * TEST_PERCENT / 100;
        let (values, scaling) = standardise(&values, width, 0..train);
        let columns = chosen.iter().map(|&column| self.columns[column].name.clone()).collect();
        let target = chosen.iter().position(|&column| column == target).unwrap_or_default();
        Ok(Data {
            info: info(name, END_SPLIT, train, notes),
            values: Values::Series(Series { columns, values, scaling, target, interval: String::new() }),
            train: 0..train,
            test: train..rows,
        })
    }

    /// How a column enters the network, or why it cannot; `named` ones only if they must not.
    fn input(&self, column: usize, named: bool, kind: Option<Taken>) -> Result<Input, String> {
        let known = &self.columns[column];
        let usual = if known.is_text() { Taken::Category } else { Taken::Number };
        if !named
            && kind.is_none()
            && let Some(reason) = known.unfit(self.rows)
        {
            return Err(reason);
        }
        match kind.unwrap_or(usual) {
            Taken::Ignored => Err("is to be left out".into()),
            Taken::Number => Ok(Input { column, category: false }),
            Taken::Category => match known.too_many() {
                Some(reason) => Err(format!("{}, and {reason}", known.describe())),
                None => Ok(Input { column, category: true }),
            },
        }
    }

    /// The different values of each category, numbered in their order.
    fn categories(
        &self,
        name: &str,
        inputs: &[Input],
        categories: &mut [BTreeMap<String, usize>],
    ) -> Result<(), DataError> {
        self.rows(name, self.columns.len(), |_, record| {
            for (input, seen) in inputs.iter().zip(&mut *categories).filter(|(input, _)| input.category) {
                let cell = &record[input.column];
                if !self.is_missing(cell, input.column, true) {
                    seen.entry(self.category(input.column, cell)).or_insert(0);
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

    /// What a cell of a category counts as: equal numbers are one.
    fn category(&self, column: usize, cell: &str) -> String {
        match self.dialect.number(cell).filter(|_| !self.columns[column].is_text()) {
            Some(number) => number_key(cell, number),
            None => cell.to_owned(),
        }
    }

    /// Whether a cell has no value, read as text or as a number.
    fn is_missing(&self, cell: &str, column: usize, text: bool) -> bool {
        let text = text && self.columns[column].is_text();
        cell.is_empty() || (!text && self.dialect.number(cell).is_none())
    }

    fn called(&self, column: usize) -> &str {
        called(&self.columns[column].name)
    }

    fn place(&self, name: &str, column: usize) -> String {
        format!("{name}, column {}", self.called(column))
    }

    fn left_out(&self, column: usize, reason: &str) -> String {
        format!("Column {} is left out: it {reason}.", self.called(column))
    }

    fn finite(&self, name: &str, line: u64, column: usize, cell: &str) -> Result<f64, DataError> {
        let value = self.dialect.number(cell);
        // Squares of what f32 holds are within f64.
        value.filter(|value| value.abs() <= f64::from(f32::MAX)).ok_or_else(|| {
            let place = format!("{name}, line {line}, column {}", self.called(column));
            DataError::new(place, format!("{:?} is not a finite number", shorten(cell)))
        })
    }
}

/// What follows the word "column": a name; of one without a name, which is called "column 2", its number.
fn called(name: &str) -> &str {
    name.strip_prefix("column ").unwrap_or(name)
}

/// A column as input: its number, or an indicator for each of its values.
struct Input {
    column: usize,
    category: bool,
}

impl Input {
    fn width(&self, categories: &BTreeMap<String, usize>) -> usize {
        if self.category { categories.len() } else { 1 }
    }
}

/// Rows that are left out because a value that is needed is missing.
#[derive(Default)]
struct Gaps {
    count: usize,
    first: Option<(u64, String, String)>,
}

impl Gaps {
    fn add(&mut self, line: u64, column: &str, cell: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (line, column.to_owned(), shorten(cell)));
    }

    /// What to say of them; an error if they are most of the rows.
    fn note(self, name: &str, used: usize) -> Result<Option<String>, DataError> {
        let Some((line, column, cell)) = self.first else { return Ok(None) };
        let column = called(&column);
        let what = if cell.is_empty() { "is empty".into() } else { format!("holds {cell:?}") };
        if self.count > used {
            let reason = format!("{what}, and most rows lack a value ({} of {})", self.count, self.count + used);
            return Err(DataError::new(format!("{name}, line {line}, column {column}"), reason));
        }
        let rows = if self.count == 1 {
            "1 row that lacks a value is".into()
        } else {
            format!("{} rows that lack a value are", self.count)
        };
        let first = if self.count == 1 { "it is" } else { "the first is" };
        Ok(Some(format!("{rows} left out: {first} line {line}, where column {column} {what}.")))
    }
}
