//! Lessons: a few steps that set controls, ask for a prediction, let a person run, and conclude from the numbers of those
//! very runs. A lesson is a text; [`Lesson::read`] is its only reader, and GLOSSARY.md and `app/lessons` show its form:
//!
//! ```text
//! # Title
//! What it is about, in a line.
//! @card Short name for the start page
//! @start #lab?preset=spirals
//!
//! ## A step
//! Words, paragraph by paragraph, with **emphasis**.
//! @set schedule.peak=0.3
//! @show schedule.peak, batch.size
//! @run fast
//! @ask What will the loss do?
//! - It falls | fast.loss < fast.first / 2
//! - It grows | fast.loss > fast.first
//! @look loss
//! @if fast.loss > fast.first | It has grown from {fast.first} to {fast.loss}.
//! @else This run does not show it: its loss went from {fast.first} to {fast.loss}.
//! ```

mod expression;
mod numbers;
mod read;

pub use expression::{Ask, Expression};
pub use numbers::{Measured, Quantity};

use crate::spec::RunSpec;

/// A lesson.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// Its title.
    pub title: String,
    /// What it is about, in a line.
    pub about: String,
    /// What it is called on the start page, if it is there.
    pub card: Option<String>,
    /// Preset of its first run, by id.
    pub preset: String,
    /// Its steps; at least one.
    pub steps: Vec<Step>,
}

/// A step of a lesson.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its title.
    pub title: String,
    /// Its paragraphs.
    pub text: Vec<String>,
    /// The recipe at its beginning.
    pub spec: RunSpec,
    /// Controls that it shows, by path.
    pub show: Vec<String>,
    /// The name of the run that it asks for.
    pub run: Option<String>,
    /// What a person is to predict.
    pub ask: Option<Question>,
    /// The figure that it points at, by id.
    pub look: Option<String>,
    /// What may be concluded: the first whose condition holds. The last has none, and says what is said otherwise.
    pub conclusions: Vec<(Option<Expression>, Words)>,
}

/// A question whose answer the run gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// Answers, and when each is the right one.
    pub options: Vec<(String, Expression)>,
}

/// A text with numbers in it: a text, then the number behind it if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Words(Vec<(String, Option<Expression>)>);

/// What is wrong with a lesson's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line {}: {}.", self.line, self.message)
    }
}

impl Step {
    /// What its runs show, as the place among [`Step::conclusions`]; none where there is nothing to conclude, or not yet.
    #[must_use]
    pub fn concluded(&self, ask: &Ask) -> Option<usize> {
        for (i, (condition, _)) in self.conclusions.iter().enumerate() {
            match condition {
                None => return Some(i),
                Some(condition) if condition.value(ask)? != 0.0 => return Some(i),
                Some(_) => {}
            }
        }
        None
    }
}

impl Question {
    /// The answer that the runs give, as its place; none where they fit no answer.
    #[must_use]
    pub fn right(&self, ask: &Ask) -> Option<usize> {
        self.options.iter().position(|(_, holds)| holds.value(ask).is_some_and(|value| value != 0.0))
    }
}

impl Words {
    /// The text with its numbers.
    #[must_use]
    pub fn said(&self, ask: &Ask, number: &dyn Fn(f64) -> String) -> String {
        let mut said = String::new();
        for (text, value) in &self.0 {
            said.push_str(text);
            if let Some(value) = value {
                said.push_str(&number(value.value(ask).unwrap_or(f64::NAN)));
            }
        }
        said
    }
}

#[cfg(test)]
mod tests;
