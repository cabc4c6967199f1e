//! Trains one run: the same session as in the page's worker, with files in place of messages.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use engine::data;
use engine::executor::{AnyExecutor, ExecError};
use engine::protocol::{
    Backend, BackendInfo, Blob, Command, Event, Export, Finding, FindingKind, RunCommand, RunEvent, RunId, RunState,
};
use engine::session::{Host, Inbox, Message, Session};
use engine::spec::Link;
use serde_json::{Value, json};

use crate::native::{Teller, now_ms, open};
use crate::{Failure, place, print_json, record, spec};

/// The file with every number of a run, and that with how it ended.
pub const NUMBERS: &str = "run.json";
pub const RESULT: &str = "result.json";
const METRICS: &str = "metrics.csv";
const TABLE: &str = "metrics.parquet";
/// Files of a run, by what is exported. That which says a run is there comes last: a program that was killed leaves none.
const FILES: [(Export, &str); 3] =
    [(Export::Csv, METRICS), (Export::Safetensors, "weights.safetensors"), (Export::Json, NUMBERS)];

const RUN: RunId = 1;

/// A command about the run, without buffers.
fn of_run(what: RunCommand) -> Message {
    (Command::Run { run: RUN, what }, vec![])
}

/// What has become of the run.
#[derive(Default)]
struct Outcome {
    backend: String,
    parameters: u64,
    steps: u64,
    loss: f64,
    evaluated: Value,
    /// What the numbers were last said to show.
    findings: Vec<Finding>,
    ended: bool,
    failure: Option<Failure>,
    /// Files in the order in which they were asked for.
    files: Vec<Vec<u8>>,
}

/// The session's world: this machine.
struct Machine {
    teller: Teller,
    /// Of the CPU executor.
    threads: usize,
    total: u64,
    outcome: RefCell<Outcome>,
    /// Its numbers.
    record: RefCell<logs::Run>,
}

impl Host for Machine {
    fn emit(&self, event: Event, mut blobs: Vec<Vec<u8>>) {
        if let Event::Run { what, .. } = &event {
            record::take(&mut self.record.borrow_mut(), what);
        }
        let mut outcome = self.outcome.borrow_mut();
        match event {
            Event::Ready { backend, .. } => outcome.backend = backend.adapter,
            Event::Error { message, .. } => outcome.failure = Some(Failure::Failed(message)),
            Event::DeviceLost { message, .. } => {
                outcome.failure = Some(Failure::Failed(format!("the GPU device was lost: {message}")));
            }
            Event::Run { what, .. } => match what {
                RunEvent::Configured { summary, .. } => {
                    outcome.parameters = summary.parameters;
                    self.teller.say(&format!("{} parameters on {}", summary.parameters, outcome.backend));
                }
                RunEvent::Metrics(metrics) => {
                    outcome.steps = metrics.first_step + metrics.loss.len() as u64;
                    outcome.loss = metrics.loss.last().copied().map_or(f64::NAN, f64::from);
                    self.teller.say(&format!("step {} of {}: loss {:.4}", outcome.steps, self.total, outcome.loss));
                }
                RunEvent::Evaluated { step, loss, accuracy, n } => {
                    let share = accuracy.map(|share| format!(", accuracy {:.2}%", 100.0 * share)).unwrap_or_default();
                    self.teller.say(&format!("step {step} of {}: test loss {loss:.4}{share}", self.total));
                    outcome.evaluated = json!({ "step": step, "loss": loss, "accuracy": accuracy, "n": n });
                }
                RunEvent::Findings { findings } => outcome.findings = findings,
                RunEvent::State { state: RunState::Done | RunState::Failed, .. } => outcome.ended = true,
                RunEvent::Exported { .. } => outcome.files.extend(blobs.pop()),
                RunEvent::NonFinite { message, .. } => outcome.failure = Some(Failure::Diverged(message)),
                _ => {}
            },
            _ => {}
        }
    }

    async fn fetch(&self, path: &str, _: &dyn Fn(f64)) -> Result<Vec<u8>, String> {
        let name = path.strip_prefix("data/").unwrap_or(path);
        data::read_pack_file(name).map_err(|error| error.to_string())
    }

    async fn executor(&self, wanted: Backend) -> Result<(AnyExecutor, BackendInfo), ExecError> {
        open(wanted, self.threads).await
    }

    fn now_ms(&self) -> f64 {
        now_ms()
    }

    fn clock(&self) -> fn() -> f64 {
        now_ms
    }

    async fn breathe(&self) {}
}

/// Trains what a link or spec says with the controls of `set` turned, from the file `weights` on; prints how it ended; writes
/// files to `out`, also of a run that diverged.
pub fn run(
    what: &str,
    set: &[(String, String)],
    out: Option<PathBuf>,
    weights: Option<PathBuf>,
    backend: Backend,
    threads: usize,
) -> Result<(), Failure> {
    let link = spec::turned_exactly(what, set)?;
    let weights = weights.as_deref().map(place::read_weights).transpose()?;
    if let Some(folder) = &out {
        std::fs::create_dir_all(folder).map_err(|error| Failure::Usage(format!("{}: {error}", folder.display())))?;
    }
    let record = RefCell::new(record::of(&link));
    let (teller, total) = (Teller::new(), link.spec.steps);
    let machine = Rc::new(Machine { teller, threads, total, outcome: RefCell::default(), record });
    let inbox = Inbox::default();
    let mut session = Session::new(machine.clone(), inbox.clone());
    let begun = now_ms();
    let import = weights.map(|file| (of_run(RunCommand::ImportWeights { file: Blob(0) }).0, vec![file]));
    let configure = of_run(RunCommand::Configure { spec: link.spec.clone() });
    let begin = [(Command::SetBackend { backend }, vec![]), configure];
    // A sweep to which the run belongs asks where it began.
    let first = out.is_some().then(|| of_run(RunCommand::Evaluate));
    for message in begin.into_iter().chain(import).chain(first).chain([of_run(RunCommand::Train)]) {
        inbox.push(message);
        turn(&mut session, &machine)?;
    }
    let mut ended = Ok(());
    while ended.is_ok() && !machine.outcome.borrow().ended {
        ended = turn(&mut session, &machine);
    }
    let seconds = (now_ms() - begun) / 1000.0;
    machine.teller.end();
    if let Err(Failure::Failed(_) | Failure::Usage(_)) = ended {
        return ended;
    }
    let report = machine.outcome.borrow().report(&link, seconds);
    if let Some(folder) = &out {
        write_files(&mut session, &machine, &inbox, folder, &head(&link))?;
        write(&folder.join(RESULT), report.to_string().as_bytes())?;
    }
    let outcome = machine.outcome.borrow();
    let diverged = outcome.findings.iter().find(|finding| finding.kind == FindingKind::Diverged);
    print_json(&report).and(ended).and(diverged.map_or(Ok(()), |finding| Err(Failure::Diverged(finding.text.clone()))))
}

impl Outcome {
    /// What is printed.
    fn report(&self, link: &Link, seconds: f64) -> Value {
        json!({
            "link": link.fragment(),
            "backend": self.backend,
            "parameters": self.parameters,
            "steps": self.steps,
            "loss": self.loss,
            "test": self.evaluated,
            "findings": self.findings.iter().map(|finding| &finding.text).collect::<Vec<_>>(),
            "seconds": seconds,
        })
    }
}

/// One turn of the session; what went wrong in it ends the program.
fn turn(session: &mut Session<Machine>, machine: &Machine) -> Result<(), Failure> {
    pollster::block_on(session.turn());
    match machine.outcome.borrow_mut().failure.take() {
        Some(failure) => {
            machine.teller.end();
            Err(failure)
        }
        None => Ok(()),
    }
}

/// What stands above a run's table: what makes it again.
fn head(link: &Link) -> String {
    format!("# Minibatch {}, seed {}, {}\n", env!("CARGO_PKG_VERSION"), link.spec.seed, link.fragment())
}

fn write_files(
    session: &mut Session<Machine>,
    machine: &Machine,
    inbox: &Inbox,
    folder: &Path,
    head: &str,
) -> Result<(), Failure> {
    let record = machine.record.borrow().clone();
    write(&folder.join(TABLE), &logs::table(&record))?;
    write(&folder.join(logs::EVENTS), &logs::events(&record, record::now_ms()))?;
    for (kind, name) in FILES {
        inbox.push(of_run(RunCommand::Export { kind }));
        turn(session, machine)?;
        let file = machine.outcome.borrow_mut().files.pop().unwrap_or_default();
        let head = if name == METRICS { head } else { "" };
        write(&folder.join(name), &[head.as_bytes(), &file].concat())?;
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let begun = path.with_extension("part");
    let written = std::fs::write(&begun, bytes).and_then(|()| std::fs::rename(&begun, path));
    written.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}
