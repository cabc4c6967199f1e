//! Running a study within a session.

use std::cell::Cell;
use std::rc::Rc;

use super::data::Shelf;
use super::{Host, Inbox, Session, SessionError};
use crate::data::Data;
use crate::executor::{AnyExecutor, ExecError};
use crate::figure::Figure;
use crate::protocol::{Backend, BackendInfo, Event, RunState};
use crate::spec::RunSpec;
use crate::study::{self, Settings, StudyError, Task};

/// The session as a study sees it.
struct Stage<'a, H: Host> {
    id: u32,
    host: &'a H,
    inbox: &'a Inbox,
    wanted: Backend,
    /// Taken out while a pack is being fetched.
    shelf: Cell<Shelf>,
}

impl<H: Host> study::Host for Stage<'_, H> {
    fn progress(&self, done: u32, total: u32, eta_s: Option<f64>, message: &str) {
        self.host.emit(Event::StudyProgress { id: self.id, done, total, eta_s, message: message.to_owned() }, vec![]);
    }

    fn figures(&self, figures: Vec<Figure>) {
        self.host.emit(Event::StudyFigures { id: self.id, figures }, vec![]);
    }

    fn cancelled(&self) -> bool {
        self.inbox.interrupts()
    }

    fn breathe(&self) -> Task<'_, ()> {
        Box::pin(self.host.breathe())
    }

    fn now_ms(&self) -> f64 {
        self.host.now_ms()
    }

    fn executor(&self) -> Task<'_, Result<(AnyExecutor, BackendInfo), ExecError>> {
        Box::pin(self.host.executor(self.wanted))
    }

    fn data<'a>(&'a self, spec: &'a RunSpec) -> Task<'a, Result<Rc<Data>, StudyError>> {
        Box::pin(async move {
            let mut shelf = self.shelf.take();
            let data = shelf.get(self.host, spec).await;
            self.shelf.set(shelf);
            data.map_err(|error| StudyError::Other(error.to_string()))
        })
    }
}

impl<H: Host> Session<H> {
    /// Runs a study to its end or until it is cancelled; the run in the lab pauses first.
    pub(super) async fn study(
        &mut self,
        id: u32,
        knobs: Vec<(String, String)>,
        seeds: u32,
        first_seed: u64,
    ) -> Result<(), SessionError> {
        let study = study::STUDIES
            .iter()
            .find(|study| study.id == id)
            .ok_or_else(|| SessionError::Refused(format!("there is no study {id}")))?;
        let host = self.host.clone();
        if let Some(run) = self.run.as_mut().filter(|run| run.state == RunState::Running) {
            run.pause(&*host).await?;
        }
        let stage = Stage {
            id,
            host: &*host,
            inbox: &self.inbox,
            wanted: self.wanted,
            shelf: Cell::new(std::mem::take(&mut self.shelf)),
        };
        let outcome = study::run(study, &Settings { knobs, seeds, first_seed }, &stage).await;
        self.shelf = stage.shelf.take();
        let (verdict, figures) = match outcome {
            Ok(finished) => (Some(finished.verdict), finished.figures),
            Err(StudyError::Cancelled) => (None, vec![]),
            Err(error) => {
                self.host.emit(Event::StudyDone { id, verdict: None, figures: vec![] }, vec![]);
                return Err(SessionError::Refused(error.to_string()));
            }
        };
        self.host.emit(Event::StudyDone { id, verdict, figures }, vec![]);
        Ok(())
    }
}
