//! What is to be predicted, from the cells of a column or the elements of an array: one rule for both.

use std::collections::BTreeMap;

use super::check_classes;
use crate::data::DataError;

/// A numeric target with more different values than this is a number to predict, not a class.
pub(super) const MAX_NUMERIC_CLASSES: usize = 100;

/// A target's values as they are read; numbers are scaled later.
pub(super) enum Outcome {
    /// To be predicted as they are.
    Number(Vec<f64>),
    /// Classes by order of appearance.
    Classes {
        /// Number and name of each class, by what makes two cells one class.
        cells: BTreeMap<String, (u32, String)>,
        /// Class of each row.
        labels: Vec<u32>,
        /// Whether equal numbers are one class, however they are written.
        numeric: bool,
    },
}

/// A target that was read: its rows' values, before they are put in order and scaled.
pub(super) enum Wanted {
    /// Raw numbers.
    Number(Vec<f64>),
    /// Classes.
    Classes {
        /// Class of each row.
        labels: Vec<u32>,
        /// Their names.
        names: Vec<String>,
    },
}

impl Outcome {
    /// Classes, of numbers or of texts.
    pub(super) fn classes(numeric: bool) -> Self {
        Self::Classes { cells: BTreeMap::new(), labels: Vec::new(), numeric }
    }

    /// Takes a cell, and the number that it stands for where it stands for one.
    pub(super) fn push(&mut self, cell: &str, value: f64) {
        match self {
            Self::Number(values) => values.push(value),
            Self::Classes { cells, labels, numeric } => {
                let key = if *numeric { number_key(cell, value) } else { cell.to_owned() };
                let next = cells.len() as u32;
                let (label, _) = cells.entry(key).or_insert_with_key(|key| {
                    // As it is first written, with all its digits: codes may begin with zeros.
                    let written = *numeric && whole(cell).is_some() && !cell.starts_with('+') && key != "0";
                    (next, if written { cell.to_owned() } else { key.clone() })
                });
                labels.push(*label);
            }
        }
    }

    /// All values; classes in the order of their numbers or texts.
    pub(super) fn finish(self, place: &str) -> Result<Wanted, DataError> {
        let (cells, mut labels, numeric) = match self {
            Self::Number(values) => return Ok(Wanted::Number(values)),
            Self::Classes { cells, labels, numeric } => (cells, labels, numeric),
        };
        let mut sorted: Vec<(String, (u32, String))> = cells.into_iter().collect();
        if numeric {
            let value = |key: &str| key.parse::<f64>().unwrap_or_default();
            // Numbers too long for a float differ in their digits.
            crate::numeric::sort_by(&mut sorted, &|(a, _), (b, _)| {
                value(a).total_cmp(&value(b)).then(a.len().cmp(&b.len())).then_with(|| a.cmp(b))
            });
        }
        let mut class_of = vec![0; sorted.len()];
        for (class, (_, (appearance, _))) in (0..).zip(&sorted) {
            class_of[*appearance as usize] = class;
        }
        for label in &mut labels {
            *label = class_of[*label as usize];
        }
        let names: Vec<String> = sorted.into_iter().map(|(_, (_, name))| name).collect();
        check_classes(place, &names)?;
        Ok(Wanted::Classes { labels, names })
    }
}

/// A whole number's digits with its sign, without zeros in front; none if the cell is anything else.
fn whole(cell: &str) -> Option<String> {
    let (sign, digits) = match cell.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", cell.strip_prefix('+').unwrap_or(cell)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match digits.trim_start_matches('0') {
        "" => Some("0".into()),
        digits => Some(format!("{sign}{digits}")),
    }
}

/// The same text for equal numbers, with every digit of a whole one.
pub(super) fn number_key(cell: &str, value: f64) -> String {
    // Zero has no sign here.
    whole(cell).unwrap_or_else(|| if value == 0.0 { "0".into() } else { value.to_string() })
}
