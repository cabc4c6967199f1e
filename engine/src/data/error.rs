//! What can be wrong with data.

/// A data set that cannot be read or made: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct DataError {
    /// File, and within it line, column or entry.
    pub place: String,
    /// What is wrong and, where there is one, the way out.
    pub reason: String,
}

impl DataError {
    /// What is wrong in a place.
    pub fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}
