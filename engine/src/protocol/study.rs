//! What is said about studies.

use serde::Serialize;

use super::RunId;
use crate::figure::{Figure, Holds, Knob, Verdict};
use crate::tree::FromTree;

/// What the page asks about studies; only their worker knows an answer.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum StudyCommand {
    /// Run a study; only the studies' worker does.
    Run {
        /// Its number.
        id: u32,
        /// Values of the knobs that were turned: id and value, written as in a link.
        knobs: Vec<(String, String)>,
        /// Seeds per arm.
        seeds: u32,
        /// First seed.
        first_seed: u64,
    },
    /// Stop a study, or have it not start.
    Cancel {
        /// Its number.
        id: u32,
    },
    /// Write a run of the lab as a script for another framework. Answered by [`crate::protocol::RunEvent::Exported`].
    Script {
        /// The run.
        run: RunId,
        /// Its link.
        link: String,
        /// For what: `torch`, `jax` or `burn`.
        framework: String,
    },
}

/// What the worker tells of a study.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum StudyEvent {
    /// A study goes on.
    Progress {
        /// Runs finished.
        done: u32,
        /// Runs in all.
        total: u32,
        /// Seconds still needed; none = unknown.
        eta_s: Option<f64>,
        /// What is going on.
        message: String,
    },
    /// Figures of a study so far.
    Figures {
        /// The figures; those of the same id are replaced.
        figures: Vec<Figure>,
    },
    /// A study has ended.
    Done {
        /// Its conclusion; none if it was cancelled or failed.
        verdict: Option<Verdict>,
        /// Its final figures.
        figures: Vec<Figure>,
        /// Why it failed; none if it did not.
        failure: Option<String>,
    },
}

/// A study as the gallery shows it.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct StudyCard {
    /// Its number.
    pub id: u32,
    /// Its name in links, such as `cct`.
    pub slug: String,
    /// Its question or finding, as a title.
    pub title: String,
    /// The paper.
    pub paper: String,
    /// Its authors.
    pub authors: String,
    /// Its year.
    pub year: u32,
    /// Where to read it.
    pub source: String,
    /// What it claims.
    pub claim: String,
    /// Why that should be so, in a paragraph.
    pub why: String,
    /// What is different here from the paper.
    pub differences: String,
    /// Themes to filter by.
    pub themes: Vec<String>,
    /// What can be turned.
    pub knobs: Vec<Knob>,
    /// Its figures while nothing has run: titles, axes and what will appear.
    pub figures: Vec<Figure>,
    /// Seeds per arm unless asked otherwise.
    pub seeds: u32,
    /// What is expected, a check a line, the one that decides first.
    pub expected: Vec<String>,
    /// Seconds that a default run takes on one core of the machine on which STUDIES.md was written.
    pub seconds: f64,
    /// What it came to when STUDIES.md was written; the build adds it.
    #[serde(default)]
    pub reference: Option<Reference>,
}

/// What a study came to when STUDIES.md was written, with its knobs as they come.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Reference {
    /// The study's number.
    pub id: u32,
    /// Whether the claim held.
    pub holds: Holds,
    /// The answer in words.
    pub answer: String,
    /// Over how many seeds.
    pub seeds: u32,
    /// Its first figure that is drawn, in numbers of three places.
    pub figure: Figure,
}
