//! A session: commands in, events out. The worker is a thin shell around it; tests drive it natively.
//!
//! Training and commands take turns: while a run trains, it does so in slices of a few tens of milliseconds, and
//! commands that arrived meanwhile are answered in between. What goes wrong becomes an [`Event::Error`]; a run that is
//! going on goes on.

mod choose;
mod curvature;
mod data;
mod export;
mod find_rate;
mod findings;
mod history;
mod host;
mod run;
mod setup;
mod sweep;

pub use choose::choose_executor;
pub use data::Shelf;
pub use export::archive;
pub use history::History;
pub use host::{Host, Inbox, Message};

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::bench::Bench;
use crate::executor::{AnyExecutor, ExecError};
use crate::protocol::{
    Backend, BackendInfo, BenchCommand, Blob, Command, Event, RunCommand, RunId, RunState, SweepCommand, VERSION,
};
use crate::train::TrainError;
use run::ActiveRun;

/// Something a person should read.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The curvature could not be measured.
    #[error("the curvature could not be measured: {0}")]
    Measurement(TrainError),
    /// The executor failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A data set could not be fetched or read.
    #[error("{0}")]
    Data(String),
    /// A control cannot take a value.
    #[error("{message}")]
    Control {
        /// The control.
        path: String,
        /// Why not.
        message: String,
    },
    /// A command does not fit the state of the session.
    #[error("{0}")]
    Refused(String),
}

/// State between commands.
pub struct Session<H: Host> {
    host: Rc<H>,
    inbox: Inbox,
    wanted: Backend,
    backend: Option<BackendInfo>,
    /// An executor that no run uses yet.
    spare: Option<AnyExecutor>,
    shelf: Shelf,
    run: Option<ActiveRun>,
    /// The run that could not be set up last, and why.
    refused: Option<(RunId, String)>,
    /// By workload and executor.
    benches: BTreeMap<(String, &'static str), Bench<AnyExecutor>>,
}

/// Commands always name a buffer that came with them; one that does not is refused.
fn blob(blobs: &mut [Vec<u8>], index: Blob) -> Result<Vec<u8>, SessionError> {
    blobs
        .get_mut(index.0)
        .map(std::mem::take)
        .ok_or_else(|| SessionError::Refused(format!("the message has no buffer {}", index.0)))
}

impl<H: Host> Session<H> {
    /// A session that answers what arrives in `inbox`.
    pub fn new(host: Rc<H>, inbox: Inbox) -> Self {
        Session {
            host,
            inbox,
            wanted: Backend::Auto,
            backend: None,
            spare: None,
            shelf: Shelf::default(),
            run: None,
            refused: None,
            benches: BTreeMap::new(),
        }
    }

    /// Answers commands and trains, for ever.
    pub async fn serve(mut self) {
        loop {
            self.turn().await;
        }
    }

    /// Whether there is something to do though no command waits.
    pub fn busy(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.trains() || run.measures() || self.rehearses(run))
    }

    /// Whether a run is trained before it is asked for: in code that learns it, on the processor that has to.
    fn rehearses(&self, run: &ActiveRun) -> bool {
        self.host.learns() && self.backend.as_ref().is_some_and(|info| info.kind == Backend::Cpu) && run.rehearses()
    }

    /// One command, or one slice of training and measuring where none waits.
    pub async fn turn(&mut self) {
        let message = if self.busy() { self.inbox.try_next() } else { Some(self.inbox.next().await) };
        let about = message.as_ref().and_then(|(command, _)| command.run()).or(self.run.as_ref().map(|run| run.id));
        let slice = message.is_none();
        let outcome = match message {
            Some((command, blobs)) => self.handle(command, blobs).await,
            None => self.advance().await,
        };
        if let Err(error) = outcome {
            self.report(about, error, slice).await;
        }
        self.host.breathe().await;
    }

    /// Tells the page; a lost device is rebuilt first. `training`: it happened in a slice of training.
    async fn report(&mut self, about: Option<RunId>, error: SessionError, training: bool) {
        let mut told = error.to_string();
        if let Some(message) = setup::device_lost(&error) {
            match self.recover(message.to_owned()).await {
                Ok(()) => return,
                Err(second) => told = format!("{told}; {second}"),
            }
        }
        // What failed within training would fail again; a command that was refused and a measurement stop nothing.
        let training = training && !matches!(error, SessionError::Measurement(_));
        if let Some(run) = self.run.as_mut().filter(|run| training && run.trains()) {
            run.state = RunState::Failed;
            run.tell_state(&*self.host);
        }
        let path = match &error {
            SessionError::Control { path, .. } => Some(path.clone()),
            _ => None,
        };
        self.host.emit(Event::Error { run: about, path, message: told }, vec![]);
    }

    async fn handle(&mut self, command: Command, mut blobs: Vec<Vec<u8>>) -> Result<(), SessionError> {
        match command {
            Command::Hello { backend, base, .. } => {
                self.wanted = backend;
                self.shelf.base = base;
                let (executor, info) = self.host.executor(backend).await?;
                self.spare = Some(executor);
                self.greet(info);
                Ok(())
            }
            Command::SetBackend { backend } => self.set_backend(backend).await,
            Command::Run { run, what: RunCommand::Configure { spec } } => {
                let outcome = self.configure(run, spec).await;
                self.refused = outcome.as_ref().err().map(|error| (run, error.to_string()));
                outcome
            }
            // Long work looks for it in the inbox; nothing is left to cancel when it gets here.
            Command::Run { what: RunCommand::FindRateCancel, .. } => Ok(()),
            Command::Run { run, what } => {
                let (host, inbox) = (self.host.clone(), self.inbox.clone());
                self.active(run)?.handle(&*host, &inbox, what, blobs).await
            }
            Command::Data(what) => {
                let event = self.shelf.handle(&*self.host, what, blobs).await?;
                self.host.emit(Event::Data(event), vec![]);
                Ok(())
            }
            Command::Study(_) | Command::Fewshot(_) | Command::Continual(_) => {
                Err(SessionError::Refused("the studies have a worker of their own".into()))
            }
            Command::Sweep(SweepCommand::Trial { trial, spec, target }) => self.trial(trial, spec, target).await,
            Command::Sweep(SweepCommand::Figures { link, results, quantity }) => {
                self.sweep_figures(link, &results, quantity);
                Ok(())
            }
            Command::Bench(BenchCommand { workload, backend, steps, start, profiled }) => {
                let start = start.map(|index| blob(&mut blobs, index)).transpose()?;
                self.bench(&workload, backend, [steps, profiled], start).await
            }
            Command::LoseDevice => {
                if let Some(run) = &mut self.run {
                    run.trainer.executor_mut().lose_device();
                }
                Ok(())
            }
        }
    }

    /// The answer to a command about data.
    fn greet(&mut self, info: BackendInfo) {
        self.backend = Some(info.clone());
        self.host.emit(Event::Ready { version: VERSION, backend: info }, vec![]);
    }

    /// The run of that number; a stale number is refused, and one that could not be set up with the reason.
    fn active(&mut self, id: RunId) -> Result<&mut ActiveRun, SessionError> {
        match (&mut self.run, &self.refused) {
            (Some(run), _) if run.id == id => Ok(run),
            (_, Some((refused, reason))) if *refused == id => Err(SessionError::Refused(reason.clone())),
            _ => Err(SessionError::Refused(format!("run {id} is not the one that is loaded"))),
        }
    }

    async fn advance(&mut self) -> Result<(), SessionError> {
        let (host, inbox) = (self.host.clone(), self.inbox.clone());
        match &mut self.run {
            Some(run) if run.trains() || run.measures() => run.slice(&*host, &inbox).await,
            Some(run) => run.rehearse(&*host, &inbox).await,
            None => Ok(()),
        }
    }
}
