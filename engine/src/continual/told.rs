//! What page and worker say to each other about a session.

use serde::Serialize;

use super::{Cost, Insight, Reading};
use crate::figure::{Figure, gap};
use crate::protocol::{Blob, Command, Event, RunState, Sealed};
use crate::spec::Issue;
use crate::tree::FromTree;

/// A session that others have published numbers of, as `minibatch continual --write` ran it.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Published {
    /// Its link, from `#` on.
    pub link: String,
    /// A row for each strategy: what it came to, and what others say.
    pub table: Figure,
}

/// What the page asks. `lab`: the session's number, chosen by the page; what belongs to another one is dropped.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum ContinualCommand {
    /// Make a session ready, in place of an earlier one. Answered by [`ContinualEvent::Configured`].
    Configure {
        /// Its number.
        lab: u32,
        /// Its link, from `#` on.
        link: String,
    },
    /// Learn until the end, or until paused. Also resumes.
    Run {
        /// Which session.
        lab: u32,
    },
    /// Stop after the update in flight. Answered by [`ContinualEvent::State`].
    Pause {
        /// Which session.
        lab: u32,
    },
    /// One update of every arm, then pause.
    Step {
        /// Which session.
        lab: u32,
    },
    /// All arms of the seed at hand go back to so many updates, exactly, and pause. Answered by [`ContinualEvent::State`].
    Rewind {
        /// Which session.
        lab: u32,
        /// Updates done in the state wanted.
        update: u64,
    },
    /// One more arm: the past of `arm` up to `update`, and from there on another strategy. Answered by
    /// [`ContinualEvent::Configured`] with the link that says so; the session pauses.
    Fork {
        /// Which session.
        lab: u32,
        /// Whose past.
        arm: usize,
        /// Updates of that past.
        update: u64,
        /// The strategy from there on, as in links: `ewc:lambda=50`.
        strategy: String,
    },
    /// Drop the session.
    Cancel {
        /// Which session.
        lab: u32,
    },
    /// Write something of it as a file. Answered by [`ContinualEvent::Exported`].
    Export {
        /// Which session.
        lab: u32,
        /// What.
        kind: Export,
    },
}

impl From<ContinualCommand> for Command {
    fn from(command: ContinualCommand) -> Self {
        Self::Continual(Sealed::new(&command))
    }
}

/// What can be written as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Export {
    /// The accuracy matrices, a row for each arm, seed, task learned and task tested.
    Csv,
    /// Link, records and their numbers.
    Json,
    /// The parameters of every arm as they are.
    Safetensors,
}

/// What lies ahead of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Course {
    /// What each task brings, in words.
    pub tasks: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Updates done when each task ends.
    pub borders: Vec<u64>,
    /// What each arm is called.
    pub arms: Vec<String>,
    /// Seeds, in order.
    pub seeds: Vec<u64>,
    /// Notes about the data, such as how many examples there are.
    pub notes: Vec<String>,
}

/// What an arm has stored.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Memory {
    /// Which arm.
    pub arm: usize,
    /// Examples stored, by output.
    pub counts: Vec<u32>,
    /// Channels, height and width of the pictures; zeros where examples are no pictures.
    pub shape: [usize; 3],
    /// Outputs of the pictures that are shown.
    pub shown: Vec<u32>,
    /// Their pixels, one after another, 0..=255.
    pub pixels: Blob,
}

/// What the worker tells.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum ContinualEvent {
    /// A session is ready.
    Configured {
        /// Which session.
        lab: u32,
        /// Its link as it will run.
        link: String,
        /// What had to be replaced by defaults.
        issues: Vec<Issue>,
        /// What lies ahead.
        course: Course,
    },
    /// How far it is, after a command and while it goes on.
    State {
        /// Which session.
        lab: u32,
        /// What it does.
        state: RunState,
        /// Which seed is at hand, from 0.
        seed: usize,
        /// Updates done of each arm; after a rewind fewer than before, and readings after them are no more.
        updates: Vec<u64>,
        /// Seconds still needed; NaN = unknown.
        #[serde(with = "gap")]
        eta_s: f64,
    },
    /// New readings of an arm, in order ([`Record::push`](super::Record::push)).
    Readings {
        /// Which session.
        lab: u32,
        /// Which arm.
        arm: usize,
        /// Which seed, from 0.
        seed: usize,
        /// The readings.
        readings: Vec<Reading>,
    },
    /// What is seen of an arm at an evaluation of all tasks, in place of what was seen before.
    Insight {
        /// Which session.
        lab: u32,
        /// Which arm.
        arm: usize,
        /// Which seed, from 0.
        seed: usize,
        /// What is seen.
        insight: Insight,
        /// What it costs.
        cost: Cost,
        /// What it has stored; none where it stores nothing.
        memory: Option<Memory>,
    },
    /// The numbers of an arm are no longer finite: it ends there, the others go on.
    Diverged {
        /// Which session.
        lab: u32,
        /// Which arm.
        arm: usize,
        /// Which seed, from 0.
        seed: usize,
        /// Updates done.
        update: u64,
        /// What happened and what may help, for the person.
        message: String,
    },
    /// A file to offer for download.
    Exported {
        /// Which session.
        lab: u32,
        /// File name.
        name: String,
        /// Media type.
        mime: String,
        /// Content.
        file: Blob,
    },
    /// Something did not work; nothing else changed.
    Refused {
        /// Which session.
        lab: u32,
        /// The control it is about; empty = none.
        path: String,
        /// What is wrong, for the person.
        message: String,
    },
}

impl From<ContinualEvent> for Event {
    fn from(event: ContinualEvent) -> Self {
        Self::Continual(Sealed::new(&event))
    }
}
