//! What the page and the worker say to each other: [`Command`] and [`Event`].
//!
//! A message is a pair (JSON, list of byte buffers). Large payloads (files, checkpoints, weights) are not in the JSON:
//! there a [`Blob`] gives their place in the list, and the buffers change owner without a copy (transferables).
//! Enums are tagged from outside (`{"run":{"run":1}}`): reading a tag from within would double the page's code.
//! Everything about a run carries its [`RunId`], so that what belongs to a run that is no longer shown can be dropped.

use serde::{Deserialize, Serialize};

use crate::fewshot::{FewshotCommand, FewshotEvent};
use crate::figure::{Figure, Knob, Verdict, gap, gaps};
use crate::range::{Range, Suggestion};
use crate::spec::{Content, Edit, Issue, RunSpec};
use crate::sweep::{Outcome, Quantity, Results};

/// Version of this vocabulary. Page and worker of one build agree; [`Command::Hello`] and [`Event::Ready`] say so, and
/// after an update of the site a mismatch asks for a reload instead of failing later.
pub const VERSION: u32 = 1;

/// A run, numbered by the page from 1.
pub type RunId = u32;

/// Index of a buffer in the message's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Blob(pub usize);

/// Which executor to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// The GPU where there is one that is real, else the CPU.
    #[default]
    Auto,
    /// The CPU executor.
    Cpu,
    /// The WebGPU executor, also on a software adapter.
    Webgpu,
}

/// What the page asks of the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// First message. Answered by [`Event::Ready`].
    Hello {
        /// The page's [`VERSION`].
        version: u32,
        /// Executor wanted.
        backend: Backend,
        /// Where data packs are fetched from: the page's own address, with a final slash.
        base: String,
    },
    /// Change the executor; a run goes on from its last checkpoint. Answered by [`Event::Ready`].
    SetBackend {
        /// Executor wanted.
        backend: Backend,
    },
    /// Build a run and report what it costs, before it runs. Answered by [`Event::Configured`].
    Configure {
        /// Its number from now on; an earlier run is dropped.
        run: RunId,
        /// What to run.
        spec: RunSpec,
    },
    /// Train until done, paused or stopped. Also resumes.
    Run {
        /// Which run.
        run: RunId,
    },
    /// Stop after the step in flight.
    Pause {
        /// Which run.
        run: RunId,
    },
    /// One update, then pause.
    Step {
        /// Which run.
        run: RunId,
    },
    /// Return to the state before update `step`: the nearest earlier checkpoint, then replay. Pauses the run.
    Rewind {
        /// Which run.
        run: RunId,
        /// Updates already done in the state wanted.
        step: u64,
    },
    /// Change a live control from the next update on. Answered by [`Event::Edited`], or [`Event::Error`] with the path.
    Edit {
        /// Which run.
        run: RunId,
        /// Path of the control, as in [`Edit::path`].
        path: String,
        /// New value, written as in a link.
        value: String,
    },
    /// Look inside now. Answered by [`Event::Look`].
    Look {
        /// Which run.
        run: RunId,
        /// Ids of the views wanted; empty = all that the model offers.
        views: Vec<String>,
        /// Test example to look at where a view shows one.
        sample: usize,
    },
    /// Measure the curvature now. Answered by [`Event::Probed`], more than once where the picture grows.
    Probe {
        /// Which run.
        run: RunId,
        /// What to measure.
        probe: Probe,
    },
    /// Test learning rates on a copy of the run, which pauses for it, goes on after it, and is not changed by it. Answered by
    /// [`Event::RateTest`], more than once.
    FindRate {
        /// Which run.
        run: RunId,
        /// The rates.
        range: Range,
    },
    /// Stop the test of learning rates that goes on.
    FindRateCancel,
    /// Evaluate on the whole test set now. Answered by [`Event::Evaluated`].
    Evaluate {
        /// Which run.
        run: RunId,
    },
    /// Read files of the person's own as a data set. Answered by [`Event::Imported`] or [`Event::Error`], or, where something
    /// is to be chosen, by [`Event::Asked`]; whatever is chosen, a run whose spec says how to use the file can be built now.
    ImportData {
        /// Name of the file or folder.
        name: String,
        /// Path within the folder, and content, of each file.
        files: Vec<(String, Blob)>,
    },
    /// The answer to [`Event::Asked`]: how to use the file that was asked about last. Answered as [`Command::ImportData`].
    Choose {
        /// What was chosen.
        options: ImportOptions,
    },
    /// Describe a data set. Answered by [`Event::DataCard`].
    InspectData {
        /// Only its `data` part matters.
        spec: RunSpec,
    },
    /// Replace the run's parameters by those of a safetensors file. Answered by [`Event::State`] or [`Event::Error`].
    ImportWeights {
        /// Which run.
        run: RunId,
        /// The file.
        file: Blob,
    },
    /// Write something of the run as a file. Answered by [`Event::Exported`].
    Export {
        /// Which run.
        run: RunId,
        /// What to write.
        kind: Export,
    },
    /// Write the run's state now. Answered by [`Event::Checkpoint`] (when a tab is about to close, for instance).
    Save {
        /// Which run.
        run: RunId,
    },
    /// Put a configured run into a stored state, with its past metrics. Answered by [`Event::State`].
    Restore {
        /// Which run.
        run: RunId,
        /// A checkpoint's bytes as received.
        checkpoint: Blob,
    },
    /// Run a study; only the studies' worker does.
    StudyRun {
        /// Its number.
        id: u32,
        /// Values of the knobs that were turned: id and value, written as in a link.
        knobs: Vec<(String, String)>,
        /// Seeds per arm.
        seeds: u32,
        /// First seed.
        first_seed: u64,
    },
    /// Stop the study that runs.
    StudyCancel,
    /// Train a cell of a sweep to its end. Answered by [`Event::Trial`]; whoever wants no answer any more ends the worker.
    Trial {
        /// Its number.
        trial: u32,
        /// What to train.
        spec: RunSpec,
        /// Training loss that counts as trained.
        target: f64,
    },
    /// Draw what came of a sweep. Answered by [`Event::SweepFigures`].
    SweepFigures {
        /// Its link.
        link: String,
        /// What its trials came to so far.
        results: Results,
        /// What the map shows.
        quantity: Quantity,
    },
    /// Train a fixed workload. Answered by [`Event::Bench`].
    Bench {
        /// Its name, `w1` to `w4`.
        workload: String,
        /// `cpu` or `webgpu`.
        backend: Backend,
        /// Steps after set-up and step 1.
        steps: u32,
        /// Configuration, optimizer, weights and batch to start from instead of the workload's own; JSON as the harness gave it.
        start: Option<Blob>,
    },
    /// Continue a text with the language model. Answered by [`Event::Text`].
    SampleText {
        /// Which run.
        run: RunId,
        /// Text to continue; may be empty.
        prompt: String,
        /// Divides the logits; 0 = most probable character.
        temperature: f64,
        /// Characters to add.
        length: usize,
    },
    /// About the few-shot lab; only the studies' worker does.
    Fewshot(FewshotCommand),
    /// Destroy the GPU device, to try the recovery from losing it.
    LoseDevice,
}

impl Command {
    /// The run it is about; `None` = not about a run.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        match self {
            Self::Configure { run, .. }
            | Self::Run { run }
            | Self::Pause { run }
            | Self::Step { run }
            | Self::Rewind { run, .. }
            | Self::Edit { run, .. }
            | Self::Look { run, .. }
            | Self::Probe { run, .. }
            | Self::FindRate { run, .. }
            | Self::Evaluate { run }
            | Self::ImportWeights { run, .. }
            | Self::Export { run, .. }
            | Self::Save { run }
            | Self::Restore { run, .. }
            | Self::SampleText { run, .. } => Some(*run),
            Self::Hello { .. }
            | Self::SetBackend { .. }
            | Self::ImportData { .. }
            | Self::Choose { .. }
            | Self::InspectData { .. }
            | Self::StudyRun { .. }
            | Self::StudyCancel
            | Self::FindRateCancel
            | Self::Trial { .. }
            | Self::SweepFigures { .. }
            | Self::Bench { .. }
            | Self::Fewshot(_)
            | Self::LoseDevice => None,
        }
    }
}

/// A measurement of the curvature that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// How to read an own file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a person may choose about a file of their own before it is used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Name of the file.
    pub name: String,
    /// What a spec calls it by, [`DataSpec::hash`](crate::spec::DataSpec::hash).
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// What can be written as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What the worker tells the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "an event is made, written as JSON and dropped, one at a time")]
pub enum Event {
    /// The executor stands.
    Ready {
        /// The worker's [`VERSION`].
        version: u32,
        /// What it runs on.
        backend: BackendInfo,
    },
    /// A data set described.
    DataCard {
        /// The description.
        card: DataCard,
    },
    /// An own file was read.
    Imported {
        /// Its data part of a spec (`set` = own, name, hash, content), ready for [`Command::Configure`].
        data: crate::spec::DataSpec,
        /// Its description.
        card: DataCard,
    },
    /// An own file was read and leaves something to choose. Answered by [`Command::Choose`].
    Asked {
        /// What.
        choice: Choice,
    },
    /// A run is built and can start.
    Configured {
        /// Which run.
        run: RunId,
        /// The spec as it will run.
        spec: RunSpec,
        /// What had to be replaced by defaults.
        issues: Vec<Issue>,
        /// What it costs.
        summary: Summary,
    },
    /// Something long goes on.
    Progress {
        /// Which run; none = not about a run.
        run: Option<RunId>,
        /// What kind of work.
        phase: Phase,
        /// Share done, 0..=1.
        #[serde(with = "gap")]
        fraction: f64,
        /// Seconds still needed; none = unknown.
        eta_s: Option<f64>,
        /// What is going on, in a few words.
        message: String,
    },
    /// Numbers of consecutive updates.
    Metrics(Metrics),
    /// Result on the test set.
    Evaluated {
        /// Which run.
        run: RunId,
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
        /// Which run.
        run: RunId,
        /// Updates done.
        step: u64,
        /// What it does now.
        state: RunState,
    },
    /// A live control was turned; the run's spec now has this edit.
    Edited {
        /// Which run.
        run: RunId,
        /// The edit as recorded.
        edit: Edit,
    },
    /// A state of the run to return to, for the timeline and for safe-keeping.
    Checkpoint {
        /// Which run.
        run: RunId,
        /// Updates done.
        step: u64,
        /// The state: parameters, optimizer state, metrics so far.
        state: Blob,
    },
    /// Views of the network's inside.
    Look {
        /// Which run.
        run: RunId,
        /// Updates done.
        step: u64,
        /// The views.
        figures: Vec<Figure>,
    },
    /// All figures of the curvature, in place of those before.
    Probed {
        /// Which run.
        run: RunId,
        /// The figures, the most telling first.
        figures: Vec<Figure>,
    },
    /// What the run's numbers say of how it goes, in place of what they said before.
    Findings {
        /// Which run.
        run: RunId,
        /// The gravest first.
        findings: Vec<Finding>,
    },
    /// A test of learning rates goes on, or has ended.
    RateTest {
        /// Which run.
        run: RunId,
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
        /// Which run.
        run: RunId,
        /// Updates done.
        step: u64,
        /// Prompt and continuation.
        text: String,
    },
    /// A loss or parameter is no longer finite; the run has stopped.
    NonFinite {
        /// Which run.
        run: RunId,
        /// The update that produced it.
        step: u64,
        /// The first non-finite tensor, by its name in the model.
        tensor: String,
        /// What happened and what may help.
        message: String,
    },
    /// The GPU device was lost and the run rebuilt.
    DeviceLost {
        /// Which run; none if none was configured.
        run: Option<RunId>,
        /// What the browser said.
        message: String,
        /// Updates done in the checkpoint from which the run goes on.
        recovered_from_step: Option<u64>,
    },
    /// A file to offer for download.
    Exported {
        /// Which run.
        run: RunId,
        /// File name.
        name: String,
        /// Media type.
        mime: String,
        /// Content.
        file: Blob,
    },
    /// A study goes on.
    StudyProgress {
        /// Its number.
        id: u32,
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
    StudyFigures {
        /// Its number.
        id: u32,
        /// The figures; those of the same id are replaced.
        figures: Vec<Figure>,
    },
    /// A study has ended.
    StudyDone {
        /// Its number.
        id: u32,
        /// Its conclusion; none if it was cancelled.
        verdict: Option<Verdict>,
        /// Its final figures.
        figures: Vec<Figure>,
    },
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
    SweepFigures {
        /// Its link, as it was given.
        link: String,
        /// Replace all earlier ones.
        figures: Vec<Figure>,
    },
    /// A bench's row.
    Bench {
        /// The row.
        row: BenchRow,
    },
    /// From the few-shot lab.
    Fewshot(FewshotEvent),
    /// Something did not work; nothing else changed.
    Error {
        /// Which run; none = not about a run.
        run: Option<RunId>,
        /// The control it is about, if any.
        path: Option<String>,
        /// What is wrong, for the person.
        message: String,
    },
}

/// What a run computes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackendInfo {
    /// `Cpu` or `Webgpu`.
    pub kind: Backend,
    /// Name of the adapter or processor, as far as known.
    pub adapter: String,
    /// Whether the adapter is software.
    pub fallback: bool,
    /// Why this executor and no other.
    pub reason: String,
    /// Names and values of the limits that matter.
    pub limits: Vec<(String, String)>,
}

/// A data set described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Something that a run's own numbers show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The update from which on.
    pub step: u64,
    /// What happened, with its numbers, and what helps.
    pub text: String,
}

/// What a run's numbers can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The loss went up and stays there.
    Diverged,
    /// The test loss rises while the training loss falls.
    Overfits,
    /// Units, or all of them, have no gradient.
    Silent,
}

/// What a run costs, known before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleCost {
    /// Its path in the model.
    pub module: String,
    /// Its parameters.
    pub parameters: u64,
}

/// A kind of long work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fetching or making data.
    Data,
    /// Tracing and planning the step, compiling its kernels.
    Compile,
    /// Replaying updates.
    Train,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Which run.
    pub run: RunId,
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

/// A study as the gallery shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// One workload on one executor, as defined with the bench workloads; times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchRow {
    /// `w1` to `w4`.
    pub workload: String,
    /// `cpu` or `webgpu`; natively also `gpu` and `eager` (burn's autodiff on burn-flex).
    pub executor: String,
    /// Adapter or processor.
    pub adapter: String,
    /// Steps measured.
    pub steps: u32,
    /// Parameters.
    pub parameters: u64,
    /// Median of a step after warm-up.
    pub median_ms: f64,
    /// Fastest step.
    pub min_ms: f64,
    /// Slowest step.
    pub max_ms: f64,
    /// Host time a step: encoding and submitting, without waiting. Median.
    pub host_ms: f64,
    /// Step 1: tracing, planning, compiling and running.
    pub first_step_ms: f64,
    /// Of that, compiling shaders.
    pub compile_ms: f64,
    /// Dispatches a step.
    pub dispatches: u32,
    /// Submits a step.
    pub submits: u32,
    /// Buffers created a step.
    pub buffer_creations: u32,
    /// Peak bytes of buffers.
    pub peak_bytes: u64,
    /// The same as the plan predicted.
    pub predicted_bytes: u64,
    /// FLOP a step.
    pub flop: u64,
    /// Loss of step 1.
    #[serde(with = "gap")]
    pub first_loss: f64,
    /// Last loss read.
    #[serde(with = "gap")]
    pub last_loss: f64,
    /// Every loss read: step and loss.
    pub losses: Vec<(u64, f64)>,
    /// Median of the eager step over this one; only where both ran.
    pub eager_ratio: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T: Serialize + for<'de> Deserialize<'de>>(value: &T) -> String {
        let json = serde_json::to_string(value).unwrap();
        let back: T = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
        json
    }

    #[test]
    fn commands_are_tagged_json() {
        let json = there_and_back(&Command::Configure { run: 3, spec: RunSpec::default() });
        assert!(json.starts_with(r#"{"configure":{"run":3,"spec":{"data":{"set":"mnist""#), "{json}");
        there_and_back(&Command::ImportData { name: "a.zip".into(), files: vec![("cat/1.png".into(), Blob(0))] });
        there_and_back(&Command::Choose {
            options: ImportOptions { kinds: vec![("a".into(), Taken::Category)], ..ImportOptions::default() },
        });
        there_and_back(&Command::StudyCancel);
    }

    #[test]
    fn events_carry_gaps_as_null() {
        let metrics = Metrics {
            run: 1,
            first_step: 8,
            loss: vec![2.5, f32::NAN],
            accuracy: vec![f32::NAN; 2],
            lr: vec![0.1; 2],
            momentum: vec![0.9; 2],
            batch: vec![64.0; 2],
            grad_norm: vec![1.0, f32::INFINITY],
            step_ms: vec![3.0; 2],
            host_ms: vec![1.0; 2],
        };
        let json = there_and_back(&Event::Metrics(metrics));
        assert!(json.contains(r#"{"metrics":{"run":1,"first_step":8,"loss":[2.5,null]"#), "{json}");
    }

    #[test]
    fn malformed_messages_are_errors() {
        for text in ["", "{}", r#"{"fly":{}}"#, r#"{"run":{"run":-1}}"#] {
            assert!(serde_json::from_str::<Command>(text).is_err());
        }
    }
}
