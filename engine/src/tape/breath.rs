//! What lies between a play and those it plays for: breaths, and errors.

use std::pin::Pin;

use crate::executor::ExecError;
use crate::graph::GraphError;
use crate::model::ModelError;

/// Why steps cannot be run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlayError {
    /// A program cannot be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A step cannot be recorded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The executor failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Something was asked of a name that has no such thing.
    #[error("{0}: {1}")]
    Name(String, &'static str),
    /// The person has asked to stop.
    #[error("cancelled")]
    Cancelled,
}

pub(super) fn wrong(name: &str, reason: &'static str) -> PlayError {
    PlayError::Name(name.to_owned(), reason)
}

/// Lets the rest of a worker get its turn.
pub trait Breathe {
    /// Called after every run; cheap unless a breath is due.
    ///
    /// # Errors
    /// The person has asked to stop.
    fn breathe(&mut self) -> Pin<Box<dyn Future<Output = Result<(), PlayError>> + '_>>;
}

/// Needs no air: for tests and threads of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breathless;

impl Breathe for Breathless {
    fn breathe(&mut self) -> Pin<Box<dyn Future<Output = Result<(), PlayError>> + '_>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
