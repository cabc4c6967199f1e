//! What the few-shot lab tells the page.

use serde::Serialize;

use super::{FewshotSpec, Method, Over};
use crate::figure::{gap, gaps};
use crate::protocol::{Blob, Event, Sealed};
use crate::spec::Issue;
use crate::tree::FromTree;

/// What the few-shot lab tells the page, in [`Event::Fewshot`](crate::protocol::Event::Fewshot).
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum FewshotEvent {
    /// A session stands.
    Opened {
        /// As it runs.
        spec: Box<FewshotSpec>,
        /// What had to be replaced, such as more queries than a class has pictures.
        issues: Vec<Issue>,
        /// Its pictures.
        source: SourceCard,
        /// Its encoder.
        encoder: EncoderCard,
    },
    /// Something long goes on.
    Progress {
        /// What.
        work: Work,
        /// Share done, 0..=1.
        #[serde(with = "gap")]
        fraction: f64,
    },
    /// Training of the encoder: what is new since the last of these.
    Training(Training),
    /// A task with the shown method's answers.
    Task(TaskSeen),
    /// Accuracies over the tasks so far.
    Scores(Scores),
    /// Accuracies against shots or ways so far.
    Curve(Curve),
    /// Own classes as they are.
    Own(OwnState),
    /// Where an own picture belongs.
    Prediction(Prediction),
    /// A file to be kept.
    File {
        /// Its name.
        name: String,
        /// Its content.
        file: Blob,
    },
    /// What was asked cannot be done; everything is as before.
    Refused {
        /// Why, as a sentence.
        message: String,
        /// The setting or thing that it is about; may be empty.
        at: String,
    },
}

impl From<FewshotEvent> for Event {
    fn from(event: FewshotEvent) -> Self {
        Self::Fewshot(Sealed::new(&event))
    }
}

/// What takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A pack is fetched.
    Fetch,
    /// Pictures become vectors.
    Embed,
}

/// A mean with the half width of its 95% interval by Student's t.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, FromTree)]
pub struct Mean {
    /// Mean.
    #[serde(with = "gap")]
    pub mean: f64,
    /// Half of the interval; null of one task.
    #[serde(with = "gap")]
    pub half: f64,
}

/// A session's pictures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct SourceCard {
    /// Name.
    pub title: String,
    /// Licence; empty of own pictures.
    pub licence: String,
    /// Whom to thank.
    pub attribution: String,
    /// Classes that the encoder learns from.
    pub base: usize,
    /// Classes on which it is watched while it learns.
    pub validation: usize,
    /// Classes of the tasks.
    pub novel: usize,
    /// Pictures of each novel class, fewest and most.
    pub pictures: [usize; 2],
}

/// A session's encoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct EncoderCard {
    /// What it is, in a few words.
    pub name: String,
    /// Numbers of a vector.
    pub dims: usize,
    /// Its parameters.
    pub parameters: usize,
    /// Updates so far.
    pub updates: usize,
    /// Updates in all.
    pub of: usize,
    /// Whether pictures can be embedded: it needs no training, or has begun it.
    pub ready: bool,
}

/// Training of the encoder: columns, a number an update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Training {
    /// Number of the first update in the columns; 0 = training began anew.
    pub first: usize,
    /// Updates in all.
    pub of: usize,
    /// Loss of the update's episode or batch.
    #[serde(with = "gaps")]
    pub loss: Vec<f32>,
    /// Share of it that was classified correctly.
    #[serde(with = "gaps")]
    pub accuracy: Vec<f32>,
    /// Learning rate.
    #[serde(with = "gaps")]
    pub rate: Vec<f32>,
    /// On validation classes, new ones: updates done, accuracy of nearest prototypes at 5-way 1-shot.
    pub validation: Vec<(usize, Mean)>,
    /// Updates a second, over the last of them.
    #[serde(with = "gap")]
    pub speed: f64,
    /// Seconds of training so far.
    #[serde(with = "gap")]
    pub seconds: f64,
    /// Whether it has ended.
    pub finished: bool,
}

/// Pictures of one size, one after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromTree)]
pub struct Gallery {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 = grey, 3 = RGB.
    pub channels: usize,
    /// How many.
    pub count: usize,
    /// `count * height * width * channels` bytes, channels innermost.
    pub pixels: Blob,
}

/// A task as a method sees it. Pictures: first the support, class by class, then the queries.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct TaskSeen {
    /// Its number.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// Its classes, by place.
    pub classes: Vec<SeenClass>,
    /// All pictures.
    pub pictures: Gallery,
    /// Place of the class of each support picture; the first `support.len()` pictures are they.
    pub support: Vec<usize>,
    /// The others.
    pub queries: Vec<Query>,
    /// Share of the queries that was classified correctly; none where their classes are not known.
    pub accuracy: Option<f64>,
    /// Every picture's vector on the task's two main directions.
    pub points: Vec<[f32; 2]>,
    /// Share of the scatter that the two directions hold.
    pub explained: f64,
    /// How it came to that, from the start on; at least one step.
    pub walk: Vec<Walk>,
    /// What it took, in milliseconds, without embedding.
    #[serde(with = "gap")]
    pub milliseconds: f64,
}

/// A class of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromTree)]
pub struct SeenClass {
    /// Its name.
    pub name: String,
    /// Further of its pictures that [`FewshotCommand::AddShot`](super::FewshotCommand::AddShot) can bring.
    pub more: usize,
}

/// A picture that was classified.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Query {
    /// Place of its class; none where it is not known.
    pub truth: Option<usize>,
    /// Place of the class that it was given.
    pub predicted: usize,
    /// Probability of each class, as the method has it.
    #[serde(with = "gaps")]
    pub probabilities: Vec<f32>,
    /// Euclidean distance to each prototype, where the method left it.
    #[serde(with = "gaps")]
    pub distances: Vec<f32>,
    /// The support picture that is nearest.
    pub nearest: usize,
}

/// One iteration of a method.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Walk {
    /// Prototypes on the task's two main directions.
    pub prototypes: Vec<[f32; 2]>,
    /// Place of the class of each query.
    pub predicted: Vec<usize>,
    /// Share that is right; none where classes are not known.
    pub accuracy: Option<f64>,
    /// What the method makes small; none where it has no such thing.
    pub energy: Option<f64>,
}

/// The compared methods over the tasks so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Scores {
    /// Tasks done.
    pub tasks: usize,
    /// Tasks in all.
    pub of: usize,
    /// By method, in the order of [`FewshotSpec::compare`].
    pub methods: Vec<Score>,
    /// The pairs of classes that the shown method, or else the first, confuses most.
    pub confused: Vec<Confused>,
    /// The classes that it gets right least.
    pub hardest: Vec<Hard>,
    /// A picture for each of `confused` (truth, then prediction) and then of `hardest`; none before the end.
    pub pictures: Option<Gallery>,
    /// Which method `confused` and `hardest` are of.
    pub of_method: Option<Method>,
    /// Whether all tasks are done, or it was stopped.
    pub finished: bool,
}

/// A method over the tasks so far.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Score {
    /// Which.
    pub method: Method,
    /// Accuracy.
    pub accuracy: Mean,
    /// How much more than the first method's on the same tasks.
    pub difference: Mean,
    /// Chance of such a difference if the two did not differ (paired t); null of the first.
    #[serde(with = "gap")]
    pub p: f64,
    /// Milliseconds a task.
    #[serde(with = "gap")]
    pub milliseconds: f64,
}

/// Two classes that are taken for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromTree)]
pub struct Confused {
    /// The true class.
    pub truth: String,
    /// What it was taken for.
    pub predicted: String,
    /// How often.
    pub count: usize,
    /// Of how many queries of the true class in tasks with both.
    pub of: usize,
}

/// A class and how often it was got right.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Hard {
    /// Its name.
    pub class: String,
    /// Share of its queries that were right.
    pub accuracy: f64,
    /// Its queries.
    pub queries: usize,
}

/// Accuracy against shots or ways.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Curve {
    /// Against what.
    pub over: Over,
    /// Its values.
    pub values: Vec<usize>,
    /// Accuracies by method, in the order of [`FewshotSpec::compare`], and value; shorter while it goes on.
    pub methods: Vec<(Method, Vec<Mean>)>,
    /// Values that there are too few pictures or classes for.
    pub missing: Vec<usize>,
    /// Whether it is done.
    pub finished: bool,
}

/// Own classes as they are.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct OwnState {
    /// The classes.
    pub classes: Vec<OwnClass>,
    /// All pictures, class by class, as the encoder sees them.
    pub pictures: Gallery,
    /// When a picture counts as none of these; none of fewer than two classes with pictures.
    pub rejection: Option<Rejection>,
    /// What was noticed, a sentence each: files that are no pictures, for instance.
    pub notes: Vec<String>,
}

/// An own class.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct OwnClass {
    /// Its name.
    pub name: String,
    /// Its pictures.
    pub pictures: usize,
    /// Of them so many are classified correctly by the others; none where it cannot be told.
    pub right: Option<usize>,
}

/// When a picture counts as none of the classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, FromTree)]
pub struct Rejection {
    /// Distance to the nearest prototype beyond which it does.
    pub distance: f64,
    /// Share of known pictures that it refuses, measured on classes put aside for that.
    pub false_alarms: f64,
    /// Share of unknown pictures that it lets pass, likewise.
    pub misses: f64,
}

/// Where an own picture belongs.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Prediction {
    /// As asked.
    pub id: u32,
    /// Place of the class; none = none of these.
    pub class: Option<usize>,
    /// Probability of each class; null of one without pictures.
    #[serde(with = "gaps")]
    pub probabilities: Vec<f32>,
    /// Distance to each class's prototype; null of one without pictures.
    #[serde(with = "gaps")]
    pub distances: Vec<f32>,
    /// The nearest picture: class and place there.
    pub nearest: Option<(usize, usize)>,
    /// The picture as the encoder sees it.
    pub seen: Gallery,
    /// What it took.
    #[serde(with = "gap")]
    pub milliseconds: f64,
}
