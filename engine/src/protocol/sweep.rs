//! What is said about sweeps.

use serde::Serialize;

use crate::figure::Figure;
use crate::spec::RunSpec;
use crate::sweep::{Outcome, Quantity, Results};
use crate::tree::FromTree;

/// What the page asks about a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a command is made, written as JSON and dropped, one at a time")]
pub enum SweepCommand {
    /// Train a cell of a sweep to its end. Answered by [`SweepEvent::Trial`]; whoever wants no answer any more ends the worker.
    Trial {
        /// Its number.
        trial: u32,
        /// What to train.
        spec: RunSpec,
        /// Training loss that counts as trained.
        target: f64,
    },
    /// Draw what came of a sweep. Answered by [`SweepEvent::Figures`].
    Figures {
        /// Its link.
        link: String,
        /// What its trials came to so far.
        results: Results,
        /// What the map shows.
        quantity: Quantity,
    },
}

/// What the worker tells of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum SweepEvent {
    /// A trial goes on.
    TrialProgress {
        /// Its number.
        trial: u32,
        /// Share done, 0..=1.
        fraction: f64,
    },
    /// A trial has ended.
    Trial {
        /// Its number.
        trial: u32,
        /// What it came to; none if another command interrupted it.
        outcome: Option<Outcome>,
    },
    /// A sweep's figures: the map, and the stable edge where it has one.
    Figures {
        /// Its link, as it was given.
        link: String,
        /// Replace all earlier ones.
        figures: Vec<Figure>,
    },
}
