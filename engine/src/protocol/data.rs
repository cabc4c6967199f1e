//! What is said about data sets.

use serde::Serialize;

use super::Blob;
use crate::figure::Figure;
use crate::spec::{Content, DataSpec, RunSpec};
use crate::tree::FromTree;

/// What the page asks about data.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a command is made, written as JSON and dropped, one at a time")]
pub enum DataCommand {
    /// Read files of the person's own as a data set. Answered by [`DataEvent::Imported`] or [`Event::Error`](super::Event::Error), or, where something
    /// is to be chosen, by [`DataEvent::Asked`]; whatever is chosen, a run whose spec says how to use the file can be built now.
    Import {
        /// Name of the file or folder.
        name: String,
        /// Path within the folder, and content, of each file.
        files: Vec<(String, Blob)>,
    },
    /// The answer to [`DataEvent::Asked`]: how to use the file that was asked about last. Answered as [`DataCommand::Import`].
    Choose {
        /// What was chosen.
        options: ImportOptions,
    },
    /// Describe a data set. Answered by [`DataEvent::Card`].
    Inspect {
        /// Only its `data` part matters.
        spec: RunSpec,
    },
}

/// How to read an own file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
#[serde(default)]
pub struct ImportOptions {
    /// What its examples are; none = told from the file.
    pub content: Option<Content>,
    /// Table: name of the target column; empty = the likely one. Arrays: name of that of labels.
    pub target: String,
    /// Table: names of the feature columns; empty = all others that are fit. Arrays: name of that of inputs.
    pub columns: Vec<String>,
    /// Table: columns that are not taken for what they look like.
    pub kinds: Vec<(String, Taken)>,
}

/// What a column of a table is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// Numbers; other cells are missing values.
    Number,
    /// Categories: an indicator for each, or classes.
    Category,
    /// Nothing.
    Ignored,
}

impl Taken {
    /// Its name in links.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Category => "category",
            Self::Ignored => "ignored",
        }
    }

    /// The inverse of [`Taken::id`].
    #[must_use]
    pub fn read(id: &str) -> Option<Self> {
        [Self::Number, Self::Category, Self::Ignored].into_iter().find(|taken| taken.id() == id)
    }
}

/// What the worker tells of data.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "an event is made, written as JSON and dropped, one at a time")]
pub enum DataEvent {
    /// A data set described.
    Card {
        /// The description.
        card: DataCard,
    },
    /// An own file was read.
    Imported {
        /// Its data part of a spec (`set` = own, name, hash, content), ready for [`RunCommand::Configure`](super::RunCommand::Configure).
        data: DataSpec,
        /// Its description.
        card: DataCard,
    },
    /// An own file was read and leaves something to choose. Answered by [`DataCommand::Choose`].
    Asked {
        /// What.
        choice: Choice,
    },
}

/// A data set described.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct DataCard {
    /// Its name.
    pub title: String,
    /// What its examples are.
    pub content: Content,
    /// Training examples in use.
    pub train: usize,
    /// Test examples in use.
    pub test: usize,
    /// Training examples there are.
    pub available: usize,
    /// Shape of one example.
    pub shape: Vec<usize>,
    /// Names of the classes, or the characters; empty for series.
    pub classes: Vec<String>,
    /// Licence.
    pub licence: String,
    /// Whom to thank, and where it comes from.
    pub attribution: String,
    /// Picture grid, class histogram, curves or passage.
    pub figures: Vec<Figure>,
    /// What was noticed on reading, such as skipped rows.
    pub notes: Vec<String>,
}

/// What a person may choose about a file of their own before it is used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Choice {
    /// Name of the file.
    pub name: String,
    /// What a spec calls it by, [`DataSpec::hash`].
    pub hash: String,
    /// Rows of a table.
    pub rows: usize,
    /// Columns of a table, or arrays of an archive.
    pub columns: Vec<Column>,
    /// Whether they are arrays.
    pub arrays: bool,
    /// The likely array of inputs; empty = not clear.
    pub inputs: String,
    /// The likely column to predict, or array of labels; empty = not clear.
    pub target: String,
    /// The likely column to forecast, should rows follow in time.
    pub forecast: String,
    /// Whether rows follow in time for all that is known: there is but one column.
    pub series: bool,
    /// What was noticed on reading.
    pub notes: Vec<String>,
}

/// A column of a table or an array of an archive, as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is taken for as an input.
    pub taken: Taken,
    /// Whether it holds text.
    pub text: bool,
    /// Why it is ignored, or what it lacks.
    pub note: String,
    /// Its first values.
    pub first: Vec<String>,
    /// How many different values it has; of an array its shape.
    pub distinct: String,
    /// Whether its values are classes, should it be the target: if not, they are numbers to predict.
    pub classes: bool,
}
