//! One axis of a sweep: a field of the recipe and the values it takes.
//!
//! As text: `schedule.peak:0.001..10:8` (eight values spaced as the field's slider is, `:log` or `:linear` said where it is
//! spaced otherwise) or `batch.size:8,16,32`; lists of whole numbers are set apart by `/`: `model.hidden:32/64,32`.

use super::RATE;
use crate::decimal::exponent;
use crate::spec::{FIELDS, Field, Kind, RunSpec, excerpt, field, show_number};

/// The most values of an axis.
pub const MAX_VALUES: usize = 64;

/// A field and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The field's path, such as `batch.size`.
    pub path: String,
    /// What it is set to.
    pub values: Values,
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Evenly spaced numbers from `low` to `high`; whole ones for fields that take whole numbers.
    Range {
        /// First value.
        low: f64,
        /// Last value; above the first.
        high: f64,
        /// How many; at least 2.
        count: usize,
        /// Whether neighbours have equal ratios instead of equal differences.
        log: bool,
    },
    /// Each value written as in a link.
    List(Vec<String>),
}

/// Whether the field's own slider is logarithmic; `None` for what is no number.
fn is_log(kind: &Kind) -> Option<bool> {
    match kind {
        Kind::Integer { log, .. } | Kind::Number { log, .. } => Some(*log),
        Kind::Choice { .. } | Kind::Bool | Kind::Text { .. } | Kind::List { .. } => None,
    }
}

/// What stands between the values of a list: a value that is a list itself has commas.
fn separator(kind: &Kind) -> char {
    if matches!(kind, Kind::List { .. }) { '/' } else { ',' }
}

/// Whether a field can be varied: free text cannot.
pub(super) fn can_vary(field: &Field) -> bool {
    !matches!(field.kind, Kind::Text { .. })
}

/// A field's name where nothing stands about it: on the recipe's panel the peak is that of the group's learning rate.
pub fn name(field: &Field) -> &'static str {
    if field.path == RATE { "learning rate" } else { field.label }
}

/// The fields that an axis about a recipe may vary.
pub fn fields(base: &RunSpec) -> impl Iterator<Item = &'static Field> + '_ {
    FIELDS.iter().filter(|field| can_vary(field) && field.applies(base))
}

impl Axis {
    /// An axis over the part of a field's range that its slider spans, or over all its choices.
    #[must_use]
    pub fn over(field: &Field) -> Self {
        let range = |low: f64, high: f64, log: bool| Values::Range { low, high, count: 5, log };
        let values = match &field.kind {
            Kind::Integer { slider: [low, high], log, .. } => range(*low as f64, *high as f64, *log),
            Kind::Number { slider: [low, high], log, .. } => range(*low, *high, *log),
            Kind::Choice { options } => Values::List(options.iter().map(|option| option.id.to_string()).collect()),
            Kind::Bool => Values::List(vec!["false".into(), "true".into()]),
            Kind::Text { .. } => Values::List(Vec::new()),
            Kind::List { .. } => Values::List(vec!["32".into(), "64".into()]),
        };
        Self { path: field.path.into(), values }
    }

    /// The field, as the recipe has it; another model's where the other axis varies the model.
    #[must_use]
    pub fn field(&self, base: &RunSpec) -> Option<&'static Field> {
        field(base, &self.path).or_else(|| FIELDS.iter().find(|field| field.path == self.path))
    }

    /// Reads an axis as it stands in a link.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str, base: &RunSpec) -> Result<Self, String> {
        let (path, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut axis = Self { path: path.to_owned(), values: Values::List(Vec::new()) };
        let field = axis.field(base).ok_or_else(|| format!("There is no control “{}” to vary", excerpt(path)))?;
        if !can_vary(field) {
            return Err(format!("{} is free text and cannot be varied", field.label));
        }
        // Blanks alone would read as a list without entries, which a link cannot say.
        if rest.trim().is_empty() {
            return Err(format!("{path} needs values, such as {RANGE_EXAMPLE} or {LIST_EXAMPLE}"));
        }
        axis.values = match (rest.split_once(".."), is_log(&field.kind)) {
            (Some((low, rest)), Some(log)) => range(field, low, rest, log)?,
            _ => Values::List(list(field, rest)?),
        };
        Ok(axis)
    }

    /// The axis as it stands in a link; the inverse of [`Axis::parse`].
    #[must_use]
    pub fn text(&self, base: &RunSpec) -> String {
        let kind = self.field(base).map(|field| &field.kind);
        match &self.values {
            Values::Range { low, high, count, log } => {
                let own = kind.and_then(is_log) == Some(*log);
                let spacing = match (own, log) {
                    (true, _) => "",
                    (false, true) => ":log",
                    (false, false) => ":linear",
                };
                format!("{}:{}..{}:{count}{spacing}", self.path, show_number(*low), show_number(*high))
            }
            Values::List(values) => {
                let apart = kind.map_or(',', separator);
                format!("{}:{}", self.path, values.join(&apart.to_string()))
            }
        }
    }

    /// The values, each written as in a link. Numbers of a range have three digits but for its ends; whole numbers that
    /// fall together count once.
    #[must_use]
    pub fn points(&self, base: &RunSpec) -> Vec<String> {
        let (low, high, count, log) = match &self.values {
            Values::List(values) => return values.clone(),
            Values::Range { low, high, count, log } => (*low, *high, *count, *log),
        };
        let kind = self.field(base).map(|field| &field.kind);
        let whole = matches!(kind, Some(Kind::Integer { .. }));
        // Read as it will be when it comes back in a link, so that it comes back as the same number.
        let three_digits = |value: f64| {
            let read = kind.and_then(|kind| kind.parse(&exponent(value, Some(2))).ok());
            read.map_or_else(|| show_number(value), |value| crate::spec::show(&value))
        };
        let last = count.saturating_sub(1).max(1);
        let mut points: Vec<String> = (0..count)
            .map(|i| {
                let share = i as f64 / last as f64;
                // libm: the same bits on every platform, hence the same runs.
                let value = if log { low * libm::pow(high / low, share) } else { low + (high - low) * share };
                match i {
                    0 => show_number(low),
                    i if i == last => show_number(high),
                    _ if whole => show_number(value.round()),
                    _ => three_digits(value),
                }
            })
            .collect();
        points.dedup();
        points
    }

    /// Leaves at most so many values.
    pub(super) fn truncate(&mut self, most: usize, base: &RunSpec) {
        let mut points = self.points(base);
        points.truncate(most.max(1));
        self.values = Values::List(points);
    }
}

const RANGE_EXAMPLE: &str = "schedule.peak:0.001..10:8";
const LIST_EXAMPLE: &str = "batch.size:8,16,32";

/// `low..high:count[:spacing]`, of which `low` is read already.
fn range(field: &Field, low: &str, rest: &str, own: bool) -> Result<Values, String> {
    let mut parts = rest.split(':');
    let number = |text: &str| {
        let value = field.kind.parse(text).map_err(|problem| format!("{} {problem}", field.label))?;
        value.as_f64().ok_or_else(|| format!("{} must be a number", field.label))
    };
    let (low, high) = (number(low)?, number(parts.next().unwrap_or_default())?);
    let many = Kind::integer(2, MAX_VALUES as u64);
    let count = parts.next().ok_or_else(|| format!("A range ends with its count, such as {RANGE_EXAMPLE}"))?;
    let count = many.parse(count).map_err(|problem| format!("The count of {} {problem}", field.label))?;
    let log = match (parts.next(), parts.next()) {
        (None, _) => own,
        (Some("log"), None) => true,
        (Some("linear"), None) => false,
        (Some(other), _) => return Err(format!("“{}” is no spacing: log or linear", excerpt(other))),
    };
    if high <= low {
        return Err(format!("The range of {} must rise", field.label));
    }
    if log && low <= 0.0 {
        return Err(format!("A logarithmic range of {} must begin above 0", field.label));
    }
    Ok(Values::Range { low, high, count: count.as_u64().unwrap_or(2) as usize, log })
}

fn list(field: &Field, text: &str) -> Result<Vec<String>, String> {
    let mut values: Vec<String> = Vec::new();
    for part in text.split(separator(&field.kind)) {
        if values.len() == MAX_VALUES {
            return Err(format!("An axis has at most {MAX_VALUES} values"));
        }
        let value = field.kind.parse(part).map_err(|problem| format!("{} {problem}", field.label))?;
        let value = crate::spec::show(&value);
        if values.contains(&value) {
            return Err(format!("{} has {} twice", field.label, excerpt(&value)));
        }
        values.push(value);
    }
    Ok(values)
}
