//! What a control takes: kinds of values, their ranges, and how they are written and read as text.

use serde::Serialize;
use serde_json::{Number, Value};

use crate::decimal::{exponent, number, plain, rounded};
use std::borrow::Cow;

use super::Choice;
use crate::tree::FromTree;

/// The kind of value a control takes, with its range. Shared by the recipe's fields and the studies' knobs.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A whole number in `min..=max`.
    Integer {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
        /// The part of the range that a slider spans; typed values may lie outside.
        slider: [u64; 2],
        /// Whether the slider is logarithmic (its left end then stands for 0 where 0 is allowed).
        log: bool,
    },
    /// A real number in `min..=max`.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// The part of the range that a slider spans; typed values may lie outside.
        slider: [f64; 2],
        /// Whether the slider is logarithmic (its left end then stands for 0 where 0 is allowed).
        log: bool,
    },
    /// One of several named values.
    Choice {
        /// The values, in order.
        options: Cow<'static, [Choice]>,
    },
    /// On or off; in links `true` or `false`.
    Bool,
    /// Free text of at most so many characters.
    Text {
        /// Longest text, in characters.
        max_len: usize,
    },
    /// Whole numbers, separated by commas.
    List {
        /// Fewest entries.
        min_len: usize,
        /// Most entries.
        max_len: usize,
        /// Smallest entry.
        min: u64,
        /// Largest entry.
        max: u64,
    },
}

impl Kind {
    /// A whole number with a linear slider over its whole range.
    #[must_use]
    pub const fn integer(min: u64, max: u64) -> Self {
        Self::Integer { min, max, slider: [min, max], log: false }
    }

    /// A whole number with a logarithmic slider over `slider`.
    #[must_use]
    pub const fn log_integer(min: u64, max: u64, slider: [u64; 2]) -> Self {
        Self::Integer { min, max, slider, log: true }
    }

    /// A real number with a linear slider over its whole range.
    #[must_use]
    pub const fn number(min: f64, max: f64) -> Self {
        Self::Number { min, max, slider: [min, max], log: false }
    }

    /// A real number with a logarithmic slider over `slider`.
    #[must_use]
    pub const fn log_number(min: f64, max: f64, slider: [f64; 2]) -> Self {
        Self::Number { min, max, slider, log: true }
    }

    /// One of several named values.
    #[must_use]
    pub const fn choice(options: &'static [Choice]) -> Self {
        Self::Choice { options: Cow::Borrowed(options) }
    }

    /// Whole numbers, separated by commas.
    #[must_use]
    pub const fn list(lengths: [usize; 2], min: u64, max: u64) -> Self {
        Self::List { min_len: lengths[0], max_len: lengths[1], min, max }
    }

    /// Reads a value written as in a link.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without its subject: `"must be a whole number from 1 to 12, not “13”"`.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Integer { min, max, .. } => whole(text, *min, *max).map(Value::from),
            Self::Number { min, max, .. } => {
                let number = number(text).filter(|number| (*min..=*max).contains(number));
                let number = number.and_then(|number| Number::from_f64(nine_digits(number)));
                number.map(Value::Number).ok_or_else(|| unfit("number", [*min, *max].map(show_number), text))
            }
            Self::Choice { options } => {
                if options.iter().any(|option| option.id == text) {
                    return Ok(Value::from(text));
                }
                let ids: Vec<&str> = options.iter().map(|option| &*option.id).collect();
                Err(format!("must be one of {}, not “{}”", ids.join(", "), excerpt(text)))
            }
            Self::Bool => match text {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => Err(format!("must be true or false, not “{}”", excerpt(text))),
            },
            Self::Text { max_len } => {
                if text.chars().nth(*max_len).is_some() {
                    return Err(format!("must have at most {max_len} characters"));
                }
                if text.chars().any(char::is_control) {
                    return Err("must not contain control characters".into());
                }
                Ok(Value::from(text))
            }
            Self::List { min_len, max_len, min, max } => {
                let mut entries = Vec::new();
                if !text.trim().is_empty() {
                    for entry in text.split(',') {
                        if entries.len() == *max_len {
                            return Err(format!("must have at most {max_len} entries"));
                        }
                        entries.push(Value::from(whole(entry, *min, *max)?));
                    }
                }
                if entries.len() < *min_len {
                    return Err(format!("must have at least {min_len} entries"));
                }
                Ok(Value::Array(entries))
            }
        }
    }
}

/// Writes a value as in a link; the inverse of [`Kind::parse`].
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(bool) => bool.to_string(),
        Value::Array(entries) => {
            let entries: Vec<String> = entries.iter().map(show).collect();
            entries.join(",")
        }
        Value::Number(number) => match number.as_u64() {
            Some(whole) => whole.to_string(),
            None => show_number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Null | Value::Object(_) => String::new(),
    }
}

/// The shortest text that reads back as the same number: `0.002`, `1e-8`.
#[must_use]
pub fn show_number(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e9).contains(&magnitude) { exponent(number, None) } else { plain(number) }
}

/// A number from 0 to 1e9 as in a link, with three digits: a hand has no more.
#[must_use]
pub fn three_digits(value: f64) -> String {
    show_number(rounded(value.clamp(0.0, 1e9), 3))
}

/// The nearest number of at most nine significant decimal digits. Such numbers survive JSON readers that are exact for
/// short decimals alone, and make short links; f32 holds no more digits anyway.
fn nine_digits(value: f64) -> f64 {
    let rounded = rounded(value, 9);
    // -0 would be written as 0 somewhere.
    if rounded == 0.0 { 0.0 } else { rounded }
}

fn whole(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let number = text.trim().parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| unfit("whole number", [min, max].map(|end| end.to_string()), text))
}

/// What is wrong with a text that is no number of its range.
fn unfit(what: &str, [min, max]: [String; 2], text: &str) -> String {
    format!("must be a {what} from {min} to {max}, not “{}”", excerpt(text))
}

/// The beginning of a text that may be long or malicious, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut excerpt: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// With the first letter in upper case; a Greek symbol stays as it is.
pub(crate) fn capital(text: &str) -> String {
    let mut capital = text.to_owned();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    capital
}
