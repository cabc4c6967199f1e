//! What the page and the worker say to each other: [`Command`] and [`Event`], by subject.
//!
//! A message is a pair (JSON, list of byte buffers). Large payloads (files, checkpoints, weights) are not in the JSON:
//! there a [`Blob`] gives their place in the list, and the buffers change owner without a copy (transferables).
//! Enums are tagged from outside (`{"run":{"run":1,"what":"train"}}`): reading a tag from within would double the page's
//! code. Everything about a run carries its [`RunId`], so that what belongs to a run that is no longer shown can be dropped.

mod bench;
mod data;
mod run;
mod sealed;
mod study;
mod sweep;

pub use bench::{BenchCommand, BenchRow};
pub use data::{Choice, Column, DataCard, DataCommand, DataEvent, ImportOptions, Taken};
pub use run::{
    Export, Finding, FindingKind, Metrics, ModuleCost, Probe, RunCommand, RunEvent, RunId, RunState, Summary,
};
pub use sealed::Sealed;
pub use study::{Reference, StudyCard, StudyCommand, StudyEvent};
pub use sweep::{SweepCommand, SweepEvent};

use serde::Serialize;

use crate::continual::{ContinualCommand, ContinualEvent};
use crate::fewshot::{FewshotCommand, FewshotEvent};
use crate::figure::gap;
use crate::tree::FromTree;

/// Version of this vocabulary. Page and worker of one build agree; [`Command::Hello`] and [`Event::Ready`] say so, and
/// after an update of the site a mismatch asks for a reload instead of failing later.
pub const VERSION: u32 = 2;

/// Index of a buffer in the message's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(transparent)]
pub struct Blob(pub usize);

/// Which executor to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, FromTree)]
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

/// What a run computes on.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
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

/// What the page asks of the worker.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
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
    /// Destroy the GPU device, to try the recovery from losing it.
    LoseDevice,
    /// About a run.
    Run {
        /// Which run.
        run: RunId,
        /// What of it.
        what: RunCommand,
    },
    /// About data sets.
    Data(DataCommand),
    /// About studies.
    Study(StudyCommand),
    /// About a sweep.
    Sweep(SweepCommand),
    /// Train a fixed workload.
    Bench(BenchCommand),
    /// About the few-shot lab; only the studies' worker does.
    Fewshot(Sealed<FewshotCommand>),
    /// About the continual lab; only the studies' worker does.
    Continual(Sealed<ContinualCommand>),
}

impl Command {
    /// The run it is about; `None` = not about a run.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        match self {
            Self::Run { run, .. } => Some(*run),
            _ => None,
        }
    }

    /// Whether it ends long work of the lab that goes on: cancels a test; pauses, rewinds, replaces or moves a run.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        use RunCommand::{Configure, FindRateCancel, Pause, Restore, Rewind};
        match self {
            Self::Run { what, .. } => {
                matches!(what, FindRateCancel | Pause | Rewind { .. } | Configure { .. } | Restore { .. })
            }
            Self::SetBackend { .. } => true,
            _ => false,
        }
    }
}

/// What the worker tells the page.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
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
    /// The GPU device was lost and the run rebuilt.
    DeviceLost {
        /// Which run; none if none was configured.
        run: Option<RunId>,
        /// What the browser said.
        message: String,
        /// Updates done in the checkpoint from which the run goes on.
        recovered_from_step: Option<u64>,
    },
    /// Something did not work; nothing else changed.
    Error {
        /// Which run; none = not about a run.
        run: Option<RunId>,
        /// The control it is about, if any.
        path: Option<String>,
        /// What is wrong, for the person.
        message: String,
    },
    /// About a run.
    Run {
        /// Which run.
        run: RunId,
        /// What of it.
        what: RunEvent,
    },
    /// About data sets.
    Data(DataEvent),
    /// About a study.
    Study {
        /// Its number.
        id: u32,
        /// What of it.
        what: StudyEvent,
    },
    /// About a sweep.
    Sweep(SweepEvent),
    /// A bench's row.
    Bench {
        /// The row.
        row: BenchRow,
    },
    /// From the few-shot lab.
    Fewshot(Sealed<FewshotEvent>),
    /// About the continual lab.
    Continual(Sealed<ContinualEvent>),
}

/// A kind of long work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fetching or making data.
    Data,
    /// Tracing and planning the step, compiling its kernels.
    Compile,
    /// Replaying updates.
    Train,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::RunSpec;
    use crate::tree;

    fn there_and_back<T: Serialize + FromTree>(value: &T) -> String {
        let json = serde_json::to_string(value).unwrap();
        let back: T = tree::parse(&json).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
        json
    }

    #[test]
    fn commands_are_tagged_json() {
        let json = there_and_back(&Command::Run { run: 3, what: RunCommand::Configure { spec: RunSpec::default() } });
        assert!(json.starts_with(r#"{"run":{"run":3,"what":{"configure":{"spec":{"data":{"set":"mnist""#), "{json}");
        let files = vec![("cat/1.png".into(), Blob(0))];
        there_and_back(&Command::Data(DataCommand::Import { name: "a.zip".into(), files }));
        let options = ImportOptions { kinds: vec![("a".into(), Taken::Category)], ..ImportOptions::default() };
        there_and_back(&Command::Data(DataCommand::Choose { options }));
        let cancel = Command::Study(StudyCommand::Cancel { id: 14 });
        assert_eq!(there_and_back(&cancel), r#"{"study":{"cancel":{"id":14}}}"#);
    }

    #[test]
    fn what_ends_long_work() {
        let of_run = |what| Command::Run { run: 1, what };
        assert!(of_run(RunCommand::Pause).interrupts() && of_run(RunCommand::Rewind { step: 1 }).interrupts());
        assert!(Command::SetBackend { backend: Backend::Cpu }.interrupts());
        assert!(!of_run(RunCommand::Train).interrupts() && !Command::LoseDevice.interrupts());
    }

    #[test]
    fn events_carry_gaps_as_null() {
        let metrics = Metrics {
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
        let json = there_and_back(&Event::Run { run: 1, what: RunEvent::Metrics(metrics) });
        let start = r#"{"run":{"run":1,"what":{"metrics":{"first_step":8,"loss":[2.5,null]"#;
        assert!(json.starts_with(start), "{json}");
    }

    #[test]
    fn malformed_messages_are_errors() {
        for text in
            ["", "{}", r#"{"fly":{}}"#, r#"{"run":{"run":-1,"what":"train"}}"#, r#"{"run":{"run":1,"what":"fly"}}"#]
        {
            assert!(tree::parse::<Command>(text).is_err());
        }
    }
}
