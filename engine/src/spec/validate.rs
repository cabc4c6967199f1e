//! What makes a spec fit to run, and what to say when it is not.

use serde::{Deserialize, Serialize};

/// Something about a spec, link or file that had to be replaced by a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// The control it belongs to, such as `model.heads`; empty = the whole link.
    pub path: String,
    /// What is wrong, for the person.
    pub message: String,
    /// The value in its place, written as in a link; empty if nothing was put in place.
    pub used: String,
}

impl Issue {
    /// An issue at a control.
    #[must_use]
    pub fn new(path: &str, message: impl Into<String>, used: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), used: used.into() }
    }
}
