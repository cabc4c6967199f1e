//! What is said about a run.

use serde::Serialize;

use super::Blob;
use crate::fewshot::Raw;
use crate::figure::{Figure, gap, gaps};
use crate::range::{Range, Suggestion};
use crate::spec::{Edit, Issue, RunSpec};
use crate::tree::FromTree;

/// A run, numbered by the page from 1.
pub type RunId = u32;

/// What the page asks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a command is made, written as JSON and dropped, one at a time")]
pub enum RunCommand {
    /// Build a run and report what it costs, before it runs. Answered by [`RunEvent::Configured`].
    Configure {
        /// What to run.
        spec: RunSpec,
    },
    /// Train until done, paused or stopped. Also resumes.
    Train,
    /// Train no faster than so, from now on; what is trained stays the same.
    Pace {
        /// Updates a second at most; 0 = as many as can be.
        per_second: f64,
    },
    /// Stop after the step in flight.
    Pause,
    /// One update, then pause.
    Step,
    /// Return to the state before update `step`: the nearest earlier checkpoint, then replay. Pauses the run.
    Rewind {
        /// Updates already done in the state wanted.
        step: u64,
    },
    /// Change a live control from the next update on. Answered by [`RunEvent::Edited`], or [`Event::Error`](super::Event::Error) with the path.
    Edit {
        /// Path of the control, as in [`Edit::path`].
        path: String,
        /// New value, written as in a link.
        value: String,
    },
    /// Look inside now. Answered by [`RunEvent::Look`].
    Look {
        /// Ids of the views wanted; empty = all that the model offers.
        views: Vec<String>,
        /// Test example to look at where a view shows one.
        sample: usize,
    },
    /// Show the test pictures of a cell of the confusion matrix, and training pictures that may be behind it. Answered by
    /// [`RunEvent::Look`].
    Cell {
        /// The true class.
        truth: usize,
        /// The class that the network gives.
        guess: usize,
    },
    /// Say what the network makes of a picture, now and whenever it is looked into; none = of no picture any more. Answered by
    /// [`RunEvent::Look`] with a view of its own.
    Try {
        /// The picture, as a canvas has it.
        picture: Option<Raw>,
    },
    /// Measure the curvature now. Answered by [`RunEvent::Probed`], more than once where the picture grows.
    Probe {
        /// What to measure.
        probe: Probe,
    },
    /// Test learning rates on a copy of the run, which pauses for it, goes on after it, and is not changed by it. Answered by
    /// [`RunEvent::RateTest`], more than once.
    FindRate {
        /// The rates.
        range: Range,
    },
    /// Stop the test of learning rates that goes on.
    FindRateCancel,
    /// Evaluate on the whole test set now. Answered by [`RunEvent::Evaluated`].
    Evaluate,
    /// Replace the run's parameters by those of a safetensors file. Answered by [`RunEvent::State`] or [`Event::Error`](super::Event::Error).
    ImportWeights {
        /// The file.
        file: Blob,
    },
    /// Write something of the run as a file. Answered by [`RunEvent::Exported`].
    Export {
        /// What to write.
        kind: Export,
    },
    /// Write the run's state now. Answered by [`RunEvent::Checkpoint`] (when a tab is about to close, for instance).
    Save,
    /// Put a configured run into a stored state, with its past metrics. Answered by [`RunEvent::State`].
    Restore {
        /// A checkpoint's bytes as received.
        checkpoint: Blob,
    },
    /// Continue a text with the language model. Answered by [`RunEvent::Text`].
    SampleText {
        /// Text to continue; may be empty.
        prompt: String,
        /// Divides the logits; 0 = most probable character.
        temperature: f64,
        /// Characters to add.
        length: usize,
    },
}

/// A measurement of the curvature that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// The spectrum and what belongs to it, as they are measured at intervals.
    Spectrum,
    /// Spectra and sharpness of single batches against those of all samples.
    Batches,
    /// The loss along a line through the parameters.
    Line,
    /// The loss over a plane through the parameters.
    Plane,
}

/// What can be written as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Export {
    /// Metrics, a row a step.
    Csv,
    /// Spec, metrics and evaluations.
    Json,
    /// Parameters, moments and running statistics as safetensors.
    Safetensors,
    /// Parameters as NumPy arrays.
    Npz,
}

/// What the worker tells of a run.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "an event is made, written as JSON and dropped, one at a time")]
pub enum RunEvent {
    /// A run is built and can start.
    Configured {
        /// The spec as it will run.
        spec: RunSpec,
        /// What had to be replaced by defaults.
        issues: Vec<Issue>,
        /// What it costs.
        summary: Summary,
    },
    /// Numbers of consecutive updates.
    Metrics(Metrics),
    /// Result on the test set.
    Evaluated {
        /// Updates done before it.
        step: u64,
        /// Mean loss.
        #[serde(with = "gap")]
        loss: f64,
        /// Share correct; none where there are no classes.
        accuracy: Option<f64>,
        /// Examples evaluated.
        n: usize,
    },
    /// The run's state changed, or is reported after a command.
    State {
        /// Updates done.
        step: u64,
        /// What it does now.
        state: RunState,
    },
    /// A live control was turned; the run's spec now has this edit.
    Edited {
        /// The edit as recorded.
        edit: Edit,
    },
    /// A state of the run to return to, for the timeline and for safe-keeping.
    Checkpoint {
        /// Updates done.
        step: u64,
        /// The state: parameters, optimizer state, metrics so far.
        state: Blob,
    },
    /// Views of the network's inside.
    Look {
        /// Updates done.
        step: u64,
        /// The views.
        figures: Vec<Figure>,
    },
    /// All figures of the curvature, in place of those before.
    Probed {
        /// The figures, the most telling first.
        figures: Vec<Figure>,
    },
    /// What the run's numbers say of how it goes, in place of what they said before.
    Findings {
        /// The gravest first.
        findings: Vec<Finding>,
    },
    /// A test of learning rates goes on, or has ended.
    RateTest {
        /// Loss over learning rate so far.
        figure: Figure,
        /// Rates to use; none while it goes on, nor if it was stopped, nor if the loss never fell.
        suggestions: Vec<Suggestion>,
        /// Share of its updates done, 0..=1.
        fraction: f64,
        /// Whether it has ended.
        ended: bool,
    },
    /// Text of the language model.
    Text {
        /// Updates done.
        step: u64,
        /// Prompt and continuation.
        text: String,
    },
    /// A loss or parameter is no longer finite; the run has stopped.
    NonFinite {
        /// The update that produced it.
        step: u64,
        /// The first non-finite tensor, by its name in the model.
        tensor: String,
        /// What happened and what may help.
        message: String,
    },
    /// A file to offer for download.
    Exported {
        /// File name.
        name: String,
        /// Media type.
        mime: String,
        /// Content.
        file: Blob,
    },
}

/// What a run costs, known before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Summary {
    /// Parameters by module, in the model's order.
    pub modules: Vec<ModuleCost>,
    /// Parameters in all.
    pub parameters: u64,
    /// Floating-point operations of an update.
    pub flop: u64,
    /// Bytes read and written by the kernels of an update.
    pub bytes: u64,
    /// Predicted peak memory in bytes.
    pub peak_bytes: u64,
    /// Dispatches an update (kernel calls on the CPU).
    pub dispatches: u32,
    /// Shapes and the like, such as `49 tokens of width 64`.
    pub notes: Vec<String>,
}

/// A module's share of the parameters.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct ModuleCost {
    /// Its path in the model.
    pub module: String,
    /// Its parameters.
    pub parameters: u64,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Trains.
    Running,
    /// Waits.
    Paused,
    /// All steps are done.
    Done,
    /// Stopped by a non-finite number or an error.
    Failed,
}

/// Numbers of consecutive updates, a column a quantity, all of one length.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Metrics {
    /// Number of the first update in the columns.
    pub first_step: u64,
    /// Mean loss of the batch.
    #[serde(with = "gaps")]
    pub loss: Vec<f32>,
    /// Share of the batch that was classified correctly; NaN where there are no classes.
    #[serde(with = "gaps")]
    pub accuracy: Vec<f32>,
    /// Learning rate.
    #[serde(with = "gaps")]
    pub lr: Vec<f32>,
    /// Share of the last velocity, or of the last mean gradient, that was kept; 0 where the rule keeps neither.
    #[serde(with = "gaps")]
    pub momentum: Vec<f32>,
    /// Examples in the batch.
    #[serde(with = "gaps")]
    pub batch: Vec<f32>,
    /// Global norm of the gradient before clipping.
    #[serde(with = "gaps")]
    pub grad_norm: Vec<f32>,
    /// Wall-clock milliseconds an update, averaged over the reading.
    #[serde(with = "gaps")]
    pub step_ms: Vec<f32>,
    /// Milliseconds of those spent on the host.
    #[serde(with = "gaps")]
    pub host_ms: Vec<f32>,
}

/// Something that a run's own numbers show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromTree)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The update from which on.
    pub step: u64,
    /// What happened, with its numbers, and what helps.
    pub text: String,
}

/// What a run's numbers can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The loss went up and stays there.
    Diverged,
    /// The test loss rises while the training loss falls.
    Overfits,
    /// Units, or all of them, have no gradient.
    Silent,
}
