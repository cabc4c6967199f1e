//! Lessons: those that come with the page, in a file that the build joins them in, and that of a person's own.

use engine::lesson::{Lesson, Measured};
use engine::pairs::Pairs;
use engine::protocol::{RunId, RunState};
use leptos::task::spawn_local;
use web_sys::File;

use super::studies::text;
use super::{Lab, files};
use crate::link::words;

/// Parts the lessons in their file, each of which begins with its name in a line.
const BETWEEN: char = '\u{c}';

/// A lesson that comes with the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Shipped {
    /// As in links.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What the text says.
    pub lesson: Lesson,
}

/// How far a person has come in a lesson.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// The step that is shown.
    pub at: usize,
    /// Runs that have ended, by their names.
    pub made: Pairs<String, RunId>,
    /// What was predicted, by step.
    pub predicted: Pairs<usize, usize>,
    /// The last run that was fresh while the step was shown.
    pub fresh: Option<RunId>,
}

/// What a person's own lesson begins as.
pub const EXAMPLE: &str = "# My lesson
What it is about, in a line.
@start #lab?preset=tanh-mlp

## Make it diverge
A step may be too long. **Predict first**, then press Run.
@set schedule.peak=3
@show schedule.peak
@run fast
@ask What will the training loss do?
- It falls | fast.loss < fast.first
- It grows, or stops being a number | fast.failed > 0 or fast.loss >= fast.first
@look loss
@if fast.failed > 0 or fast.loss > fast.first | Too fast: the loss went from {fast.first} to {fast.loss}.
@else Not yet too fast: the loss went from {fast.first} to {fast.loss}.
";

impl Lab {
    /// Reads the lessons that come with the page.
    pub fn fetch_lessons(self) {
        spawn_local(async move {
            match text("lessons").await {
                Ok(file) => self.lessons.set(file.split(BETWEEN).filter_map(shipped).collect()),
                Err(reason) => self.toast(format!("The lessons could not be loaded: {}", words(&reason)), true),
            }
        });
    }

    /// Takes a file in as the lesson that is being written.
    pub fn read_lesson(self, files: Vec<File>) {
        spawn_local(async move {
            let Some(file) = files.first() else { return };
            match files::bytes(file).await.map(|bytes| String::from_utf8(bytes.to_vec())) {
                Ok(Ok(text)) => self.draft.set(text),
                _ => self.toast(format!("{} is no text", file.name()), true),
            }
        });
    }

    /// Reads a run as lessons do, reactively.
    pub fn measured<T>(&self, run: RunId, read: impl FnOnce(&Measured) -> T) -> Option<T> {
        let failed = self.runs.with(|runs| runs.iter().any(|row| row.id == run && row.state == RunState::Failed));
        self.numbers(run, |series| {
            let tests: Vec<[f64; 2]> = series.evaluations.iter().map(|test| [test.loss, test.accuracy]).collect();
            read(&Measured { losses: &series.columns[0], tests: &tests, failed })
        })
    }
}

/// A part of the file. The build has none that cannot be read: a test reads them all.
fn shipped(part: &str) -> Option<Shipped> {
    let (name, text) = part.split_once('\n')?;
    Some(Shipped { name: name.into(), text: text.into(), lesson: Lesson::read(text).ok()? })
}

#[cfg(test)]
#[test]
fn the_example_is_a_lesson() {
    assert_eq!(Lesson::read(EXAMPLE).unwrap().steps.len(), 1);
}
