//! The studies' session: commands in, events out, as the lab's (`engine::session`) has it, and all that it does is to run
//! studies. It has a worker of its own, so that a page without studies fetches none of their code.

use std::cell::Cell;
use std::rc::Rc;

use engine::data::Data;
use engine::executor::{AnyExecutor, ExecError};
use engine::fewshot::FewshotCommand;
use engine::figure::Figure;
use engine::protocol::{Backend, BackendInfo, Command, Event, StudyCommand, StudyEvent, VERSION};
use engine::session::{Host, Inbox, Shelf};
use engine::spec::RunSpec;

use crate::fewshot::Desk as Fewshot;
use crate::{STUDIES, Settings, StudyError, Task, run};

/// The session as a study sees it.
struct Stage<'a, H: Host> {
    id: u32,
    host: &'a H,
    inbox: &'a Inbox,
    wanted: Backend,
    /// An executor that has been made ahead.
    spare: Cell<Option<(AnyExecutor, BackendInfo)>>,
    /// Taken out while a pack is being fetched.
    shelf: Cell<Shelf>,
}

impl<H: Host> crate::Host for Stage<'_, H> {
    fn progress(&self, done: u32, total: u32, eta_s: Option<f64>, message: &str) {
        let what = StudyEvent::Progress { done, total, eta_s, message: message.to_owned() };
        self.host.emit(Event::Study { id: self.id, what }, vec![]);
    }

    fn figures(&self, figures: Vec<Figure>) {
        self.host.emit(Event::Study { id: self.id, what: StudyEvent::Figures { figures } }, vec![]);
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
        Box::pin(async {
            match self.spare.take() {
                Some(spare) => Ok(spare),
                None => self.host.executor(self.wanted).await,
            }
        })
    }

    fn data<'a>(&'a self, spec: &'a RunSpec) -> Task<'a, Result<Rc<Data>, StudyError>> {
        Box::pin(async move {
            let mut shelf = self.shelf.take();
            let data = shelf.get(self.host, spec).await;
            self.shelf.set(shelf);
            data.map_err(|error| StudyError::Other(error.to_string()))
        })
    }

    fn pack<'a>(&'a self, name: &'a str) -> Task<'a, Result<Rc<Vec<u8>>, StudyError>> {
        Box::pin(async move {
            let mut shelf = self.shelf.take();
            let pack = shelf.pack(self.host, name).await;
            self.shelf.set(shelf);
            pack.map_err(|error| StudyError::Other(error.to_string()))
        })
    }
}

/// State between commands.
pub struct Session<H: Host> {
    host: Rc<H>,
    inbox: Inbox,
    wanted: Backend,
    /// An executor that no study uses yet.
    spare: Option<(AnyExecutor, BackendInfo)>,
    shelf: Shelf,
    fewshot: Fewshot,
}

impl<H: Host> Session<H> {
    /// A session that answers what arrives in `inbox`.
    pub fn new(host: Rc<H>, inbox: Inbox) -> Self {
        Self { host, inbox, wanted: Backend::Auto, spare: None, shelf: Shelf::default(), fewshot: Fewshot::default() }
    }

    /// Answers commands, for ever.
    pub async fn serve(mut self) {
        loop {
            self.turn().await;
        }
    }

    /// One command, or a slice of what goes on while none waits.
    pub async fn turn(&mut self) {
        let message = if self.fewshot.busy() { self.inbox.try_next() } else { Some(self.inbox.next().await) };
        match message {
            Some((command, blobs)) => {
                if let Err(message) = self.handle(command, &blobs).await {
                    self.host.emit(Event::Error { run: None, path: None, message }, vec![]);
                }
            }
            None => self.fewshot.slice(&*self.host).await,
        }
        self.host.breathe().await;
    }

    async fn handle(&mut self, command: Command, blobs: &[Vec<u8>]) -> Result<(), String> {
        match command {
            Command::Hello { backend, base, .. } => {
                self.shelf.base = base;
                self.compute_on(backend).await
            }
            Command::SetBackend { backend } => self.compute_on(backend).await,
            Command::Study(StudyCommand::Run { id, knobs, seeds, first_seed }) => {
                self.run(id, Settings { knobs, seeds, first_seed }).await
            }
            // A study that runs looks for it in the inbox; nothing is left to cancel when it gets here.
            Command::Study(StudyCommand::Cancel) => Ok(()),
            Command::Fewshot(command) => self.fewshot(command, blobs).await,
            _ => Err("this worker runs studies and nothing else".into()),
        }
    }

    async fn fewshot(&mut self, command: FewshotCommand, blobs: &[Vec<u8>]) -> Result<(), String> {
        for name in self.fewshot.missing(&command) {
            let bytes = self.shelf.pack(&*self.host, name).await.map_err(|error| error.to_string())?;
            self.fewshot.stock(name, bytes);
        }
        let first = matches!(command, FewshotCommand::Open { .. }) && !self.fewshot.open();
        let executor = match (first, self.spare.take()) {
            (true, Some((spare, _))) => Some(spare),
            (true, None) => Some(self.host.executor(self.wanted).await.map_err(|error| error.to_string())?.0),
            (false, spare) => {
                self.spare = spare;
                None
            }
        };
        self.fewshot.handle(&*self.host, command, blobs, executor).await;
        Ok(())
    }

    /// Makes an executor for the next study, and says what it is.
    async fn compute_on(&mut self, backend: Backend) -> Result<(), String> {
        self.wanted = backend;
        let (executor, info) = self.host.executor(backend).await.map_err(|error| error.to_string())?;
        self.spare = Some((executor, info.clone()));
        self.host.emit(Event::Ready { version: VERSION, backend: info }, vec![]);
        Ok(())
    }

    /// Runs a study to its end or until it is cancelled.
    async fn run(&mut self, id: u32, settings: Settings) -> Result<(), String> {
        let study = STUDIES.iter().find(|study| study.id == id).ok_or_else(|| format!("there is no study {id}"))?;
        let host = self.host.clone();
        let stage = Stage {
            id,
            host: &*host,
            inbox: &self.inbox,
            wanted: self.wanted,
            spare: Cell::new(self.spare.take()),
            shelf: Cell::new(std::mem::take(&mut self.shelf)),
        };
        let outcome = run(study, &settings, &stage).await;
        self.shelf = stage.shelf.take();
        let (verdict, figures, failure) = match outcome {
            Ok(finished) => (Some(finished.verdict), finished.figures, None),
            Err(StudyError::Cancelled) => (None, vec![], None),
            Err(error) => (None, vec![], Some(error.to_string())),
        };
        self.host.emit(Event::Study { id, what: StudyEvent::Done { verdict, figures } }, vec![]);
        failure.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::OnceLock;
    use std::time::Instant;

    use super::*;
    use engine::data::read_pack_file;
    use engine::session::choose_executor;

    /// Keeps what it is told.
    #[derive(Default)]
    struct Desk(RefCell<Vec<Event>>);

    impl Host for Desk {
        fn emit(&self, event: Event, _: Vec<Vec<u8>>) {
            self.0.borrow_mut().push(event);
        }

        async fn fetch(&self, address: &str, _: &dyn Fn(f64)) -> Result<Vec<u8>, String> {
            let name = address.strip_prefix("/data/").ok_or("there is no such folder")?;
            read_pack_file(name).map_err(|error| error.to_string())
        }

        async fn executor(&self, _: Backend) -> Result<(AnyExecutor, BackendInfo), ExecError> {
            choose_executor(Backend::Cpu).await
        }

        fn clock(&self) -> fn() -> f64 {
            static START: OnceLock<Instant> = OnceLock::new();
            || START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
        }

        async fn breathe(&self) {}
    }

    /// What a session says to these commands.
    fn answers(commands: Vec<Command>) -> Vec<Event> {
        let (desk, inbox) = (Rc::new(Desk::default()), Inbox::default());
        let mut session = Session::new(desk.clone(), inbox.clone());
        for command in commands {
            inbox.push((command, vec![]));
            pollster::block_on(session.turn());
        }
        desk.0.take()
    }

    #[test]
    fn a_study_runs_to_its_verdict() {
        let hello = Command::Hello { version: VERSION, backend: Backend::Cpu, base: "/".into() };
        let knobs = [("nodes", "2000"), ("steps", "10")].map(|(id, value)| (id.to_owned(), value.to_owned())).to_vec();
        let study = Command::Study(StudyCommand::Run { id: 4, knobs, seeds: 1, first_seed: 1 });
        let events = answers(vec![hello, study]);
        assert!(matches!(&events[0], Event::Ready { backend, .. } if backend.kind == Backend::Cpu));
        assert!(events.iter().any(|event| matches!(event, Event::Study { id: 4, what: StudyEvent::Progress { .. } })));
        assert!(matches!(events.last(), Some(Event::Study { id: 4, what: StudyEvent::Done { verdict: Some(_), .. } })));
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let study = |id| Command::Study(StudyCommand::Run { id, knobs: vec![], seeds: 1, first_seed: 1 });
        for (command, words) in [
            (study(0), "there is no study 0"),
            // Without a greeting it does not know where the data are.
            (study(15), "could not be fetched"),
            (Command::LoseDevice, "runs studies and nothing else"),
        ] {
            let events = answers(vec![command]);
            assert!(
                matches!(events.last(), Some(Event::Error { message, .. }) if message.contains(words)),
                "{events:?}"
            );
        }
    }
}
