//! What the page asks of the few-shot lab.

use serde::Serialize;

use super::FewshotSpec;
use crate::protocol::{Blob, Command, Sealed};
use crate::tree::FromTree;

/// What the page asks of the few-shot lab, in [`Command::Fewshot`](crate::protocol::Command::Fewshot). What is wrong is
/// answered by [`FewshotEvent::Refused`](super::FewshotEvent::Refused), and nothing is lost.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum FewshotCommand {
    /// Work on this session from now on. Answered by [`Opened`](super::FewshotEvent::Opened) and, where pictures can be
    /// embedded without training, by the task that was shown last (task 0 at first). Only what the change touches is
    /// computed anew; a trained encoder is kept until what it was trained by changes.
    Open {
        /// The session.
        spec: Box<FewshotSpec>,
    },
    /// Train the encoder, or go on with it. Answered by [`Training`](super::FewshotEvent::Training), many times.
    Train,
    /// Stop whatever long goes on (training, comparing, curves); what has been found stays.
    Stop,
    /// Show a task. Answered by [`Task`](super::FewshotEvent::Task).
    Task {
        /// Its number; own pictures have one task, whatever the number.
        number: u32,
    },
    /// Give the task that is shown one more labelled picture. Answered by [`Task`](super::FewshotEvent::Task).
    AddShot {
        /// Place of its class in the task.
        place: usize,
        /// The picture; none = the next one of that class.
        picture: Option<Raw>,
    },
    /// Run the compared methods over the tasks. Answered by [`Scores`](super::FewshotEvent::Scores), many times.
    Compare,
    /// Accuracy of the compared methods against shots or ways. Answered by [`Curve`](super::FewshotEvent::Curve), many times.
    Curve {
        /// Against what.
        over: Over,
    },
    /// About pictures of the person's own.
    Own(OwnCommand),
    /// Write something as a file. Answered by [`File`](super::FewshotEvent::File).
    Export {
        /// What.
        kind: ExportKind,
    },
}

impl From<FewshotCommand> for Command {
    fn from(command: FewshotCommand) -> Self {
        Self::Fewshot(Sealed::new(&command))
    }
}

/// What accuracy is drawn against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Labelled examples a class.
    Shots,
    /// Classes of a task.
    Ways,
}

/// What can be written as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum ExportKind {
    /// Embeddings with their labels, safetensors.
    Embeddings,
    /// Support and queries of every task, JSON.
    Tasks,
    /// Task, query, true class, class by each method, CSV.
    Predictions,
    /// Accuracies and intervals by method, JSON.
    Results,
}

/// About pictures of the person's own: the session with [`Source::Own`](super::Source::Own), whose classes stay whatever is
/// opened meanwhile. Everything but [`Predict`](Self::Predict), [`Save`](Self::Save) is answered by
/// [`FewshotEvent::Own`](super::FewshotEvent::Own), and by the task where own pictures are shown.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum OwnCommand {
    /// A new class without pictures. Two classes of one name are refused.
    AddClass {
        /// Its name.
        name: String,
    },
    /// Another name.
    RenameClass {
        /// Its place.
        class: usize,
        /// The name.
        name: String,
    },
    /// Takes a class away, with its pictures.
    RemoveClass {
        /// Its place.
        class: usize,
    },
    /// Pictures of a class.
    AddPictures {
        /// Its place.
        class: usize,
        /// The pictures.
        pictures: Vec<Raw>,
    },
    /// Takes a picture away.
    RemovePicture {
        /// Place of its class.
        class: usize,
        /// Its place there.
        picture: usize,
    },
    /// Pictures by files: a folder a class, or a zip of such folders. Single pictures go to `class`.
    Import {
        /// Path within the folder, and content, of each file.
        files: Vec<(String, Blob)>,
        /// Place of the class that single pictures belong to; none = their names' beginnings are classes.
        class: Option<usize>,
    },
    /// Which class has this picture? Answered by [`Prediction`](super::FewshotEvent::Prediction).
    Predict {
        /// Comes back with the answer. A picture under the number of the one before takes its place: one that is still drawn.
        id: u32,
        /// The picture.
        picture: Raw,
    },
    /// All classes away.
    Clear,
    /// Classes and pictures as a file. Answered by [`File`](super::FewshotEvent::File).
    Save,
    /// Classes from a file that was saved, in place of those there are.
    Load {
        /// The file.
        file: Blob,
    },
}

/// A picture as bytes: what a canvas has. It is brought to the embedding's side and channels by the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromTree)]
pub struct Raw {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 = grey, 3 = RGB, 4 = RGBA (laid on white).
    pub channels: usize,
    /// `height * width * channels` bytes, row by row, channels innermost.
    pub pixels: Blob,
}
