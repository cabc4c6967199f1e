//! What a control is: the kind of value it takes and how a value is read from text.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

use super::Choice;

/// The kind of value a control takes, with its range. Shared by the recipe's fields and the studies' knobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A whole number in `min..=max`.
    Integer {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
        /// Whether the control moves on a logarithmic scale.
        log: bool,
        /// Unit shown behind the value; may be empty.
        unit: Cow<'static, str>,
    },
    /// A real number in `min..=max`.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// Whether the control moves on a logarithmic scale.
        log: bool,
        /// Unit shown behind the value; may be empty.
        unit: Cow<'static, str>,
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
