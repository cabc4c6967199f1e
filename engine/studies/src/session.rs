//! The studies' session: commands in, events out, as the lab's (`engine::session`) has it, and all that it does is to run
//! studies, the few-shot and the continual lab, and to write scripts. It has a worker of its own, so that a page without studies fetches none of their code.

use std::cell::Cell;
use std::rc::Rc;

use engine::data::Data;
use engine::executor::{AnyExecutor, ExecError};
use engine::fewshot::FewshotCommand;
use engine::figure::Figure;
use engine::protocol::{Backend, BackendInfo, Command, Event, Sealed, StudyCommand, StudyEvent, VERSION};
use engine::session::{Host, Inbox, Shelf};
use engine::spec::RunSpec;
use engine::tree::FromTree;

use crate::continual::session::{self as continual, Continual, Place};
use crate::fewshot::Desk as Fewshot;
use crate::{Finished, STUDIES, Settings, StudyError, Task, run, script};

/// The session as a study sees it.
struct Stage<'a, H: Host> {
    id: u32,
    host: &'a H,
    inbox: &'a Inbox,
    /// Whether it was asked to stop.
    cancelled: Cell<bool>,
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

    /// Nothing else that waits for its turn ends a study. One that waits behind it and was cancelled never starts, and says so now.
    fn cancelled(&self) -> bool {
        let cancels = |command: &Command| matches!(command, Command::Study(StudyCommand::Cancel { .. }));
        while let Some((Command::Study(StudyCommand::Cancel { id }), _)) = self.inbox.take(cancels) {
            let starts = |command: &Command| match command {
                Command::Study(StudyCommand::Run { id: waiting, .. }) => *waiting == id,
                _ => false,
            };
            if id == self.id && !self.cancelled.get() {
                self.cancelled.set(true);
            } else if self.inbox.take(starts).is_some() {
                self.host.emit(ended(id, Err(StudyError::Cancelled)), vec![]);
            }
        }
        self.cancelled.get()
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
    /// The session of the continual lab at hand.
    continual: Option<Continual>,
}

impl<H: Host> Session<H> {
    /// A session that answers what arrives in `inbox`.
    pub fn new(host: Rc<H>, inbox: Inbox) -> Self {
        let (spare, shelf, fewshot) = (None, Shelf::default(), Fewshot::default());
        Self { host, inbox, wanted: Backend::Auto, spare, shelf, fewshot, continual: None }
    }

    /// Answers commands, for ever.
    pub async fn serve(mut self) {
        loop {
            self.turn().await;
        }
    }

    /// One command, or, where none waits, a slice of what goes on.
    pub async fn turn(&mut self) {
        let learns = self.continual.as_ref().is_some_and(Continual::runs);
        let busy = learns || self.fewshot.busy();
        let message = if busy { self.inbox.try_next() } else { Some(self.inbox.next().await) };
        match (message, &mut self.continual) {
            (Some((command, blobs)), _) => {
                if let Err(message) = self.handle(command, blobs).await {
                    self.host.emit(Event::Error { run: None, path: None, message }, vec![]);
                }
            }
            (None, Some(session)) if learns => {
                session.slice(Place { host: &*self.host, shelf: &mut self.shelf, wanted: self.wanted }).await;
            }
            (None, _) => self.fewshot.slice(&*self.host).await,
        }
        self.host.breathe().await;
    }

    async fn handle(&mut self, command: Command, blobs: Vec<Vec<u8>>) -> Result<(), String> {
        match command {
            Command::Hello { backend, base, .. } => {
                self.shelf.base = base;
                self.compute_on(backend).await
            }
            Command::SetBackend { backend } => self.compute_on(backend).await,
            Command::Study(StudyCommand::Run { id, knobs, seeds, first_seed }) => {
                self.run(id, &Settings { knobs, seeds, first_seed }).await;
                Ok(())
            }
            // A study that runs looks for it in the inbox; nothing is left to cancel when it gets here.
            Command::Study(StudyCommand::Cancel { .. }) => Ok(()),
            Command::Study(StudyCommand::Script { run, link, framework }) => {
                let executor = self.executor().await?;
                script::write(&*self.host, &mut self.shelf, executor, run, &link, &framework).await
            }
            Command::Fewshot(command) => self.fewshot(opened(&command)?, &blobs).await,
            Command::Data(what) => {
                let event = self.shelf.handle(&*self.host, what, blobs).await.map_err(|error| error.to_string())?;
                self.host.emit(Event::Data(event), vec![]);
                Ok(())
            }
            Command::Continual(what) => {
                let place = Place { host: &*self.host, shelf: &mut self.shelf, wanted: self.wanted };
                continual::handle(&mut self.continual, opened(&what)?, place).await;
                Ok(())
            }
            _ => Err("this worker trains no run of the lab".into()),
        }
    }

    async fn fewshot(&mut self, command: FewshotCommand, blobs: &[Vec<u8>]) -> Result<(), String> {
        for name in self.fewshot.missing(&command) {
            let bytes = self.shelf.pack(&*self.host, name).await.map_err(|error| error.to_string())?;
            self.fewshot.stock(name, bytes);
        }
        let first = matches!(command, FewshotCommand::Open { .. }) && !self.fewshot.open();
        let executor = if first { Some(self.executor().await?) } else { None };
        self.fewshot.handle(&*self.host, command, blobs, executor).await;
        Ok(())
    }

    /// The executor that has been made ahead, or another one.
    async fn executor(&mut self) -> Result<AnyExecutor, String> {
        match self.spare.take() {
            Some((spare, _)) => Ok(spare),
            None => Ok(self.host.executor(self.wanted).await.map_err(|error| error.to_string())?.0),
        }
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
    async fn run(&mut self, id: u32, settings: &Settings) {
        let host = self.host.clone();
        let stage = Stage {
            id,
            host: &*host,
            inbox: &self.inbox,
            cancelled: Cell::new(false),
            wanted: self.wanted,
            spare: Cell::new(self.spare.take()),
            shelf: Cell::new(std::mem::take(&mut self.shelf)),
        };
        let outcome = match STUDIES.iter().find(|study| study.id == id) {
            // While it waited for its turn.
            _ if crate::Host::cancelled(&stage) => Err(StudyError::Cancelled),
            Some(study) => run(study, settings, &stage).await,
            None => Err(StudyError::Other(format!("there is no study {id}"))),
        };
        (self.spare, self.shelf) = (stage.spare.take(), stage.shelf.take());
        host.emit(ended(id, outcome), vec![]);
    }
}

/// How a study has ended.
fn ended(id: u32, outcome: Result<Finished, StudyError>) -> Event {
    let (verdict, figures, failure) = match outcome {
        Ok(finished) => (Some(finished.verdict), finished.figures, None),
        Err(StudyError::Cancelled) => (None, vec![], None),
        Err(error) => (None, vec![], Some(error.to_string())),
    };
    Event::Study { id, what: StudyEvent::Done { verdict, figures, failure } }
}

/// A command that only this session reads.
fn opened<T: FromTree>(command: &Sealed<T>) -> Result<T, String> {
    command.open().map_err(|error| format!("a command cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::continual::{ContinualCommand, ContinualEvent, Export as ContinualExport, Record};
    use engine::protocol::RunState;

    use crate::test_page::TestPage;

    /// What a session says to these commands.
    fn answers(commands: Vec<Command>) -> Vec<Event> {
        let (page, inbox) = (Rc::new(TestPage::new(Some)), Inbox::default());
        let mut session = Session::new(page.clone(), inbox.clone());
        for command in commands {
            inbox.push((command, vec![]));
            pollster::block_on(session.turn());
        }
        page.take().into_iter().map(|(event, _)| event).collect()
    }

    fn hello() -> Command {
        Command::Hello { version: VERSION, backend: Backend::Cpu, base: "/".into() }
    }

    fn study(id: u32) -> Command {
        // Of study 4, which is soon done with these.
        let knobs = [("nodes", "2000"), ("steps", "10")].into_iter().filter(|_| id == 4);
        let knobs = knobs.map(|(id, value)| (id.to_owned(), value.to_owned())).collect();
        Command::Study(StudyCommand::Run { id, knobs, seeds: 1, first_seed: 1 })
    }

    fn cancel(id: u32) -> Command {
        Command::Study(StudyCommand::Cancel { id })
    }

    /// What a session says to commands that all wait when it turns to the first of them.
    fn answers_at_once(commands: Vec<Command>) -> Vec<Event> {
        let (page, inbox) = (Rc::new(TestPage::new(Some)), Inbox::default());
        let mut session = Session::new(page.clone(), inbox.clone());
        commands.into_iter().for_each(|command| inbox.push((command, vec![])));
        // One that ends it, as each turn waits for a command.
        inbox.push((Command::LoseDevice, vec![]));
        let mut told = Vec::new();
        while !matches!(told.last(), Some((Event::Error { .. }, _))) {
            pollster::block_on(session.turn());
            told.extend(page.take());
        }
        told.into_iter().map(|(event, _)| event).collect()
    }

    /// The studies that have ended, in this order, and whether with a verdict.
    fn endings(events: &[Event]) -> Vec<(u32, bool)> {
        let ending = |event: &Event| match event {
            Event::Study { id, what: StudyEvent::Done { verdict, failure: None, .. } } => {
                Some((*id, verdict.is_some()))
            }
            _ => None,
        };
        events.iter().filter_map(ending).collect()
    }

    fn went_on(events: &[Event], study: u32) -> bool {
        let progress =
            |event: &Event| matches!(event, Event::Study { id, what: StudyEvent::Progress { .. } } if *id == study);
        events.iter().any(progress)
    }

    #[test]
    fn a_study_runs_to_its_verdict() {
        let events = answers(vec![hello(), study(4)]);
        assert!(matches!(&events[0], Event::Ready { backend, .. } if backend.kind == Backend::Cpu));
        assert!(went_on(&events, 4));
        assert!(matches!(events.last(), Some(Event::Study { id: 4, what: StudyEvent::Done { verdict: Some(_), .. } })));
    }

    #[test]
    fn nothing_but_its_own_cancel_ends_a_study() {
        let other_page =
            ContinualCommand::Configure { lab: 1, link: "#continual?stream=split-digits&tasks=2&examples=60".into() };
        let waiting = [other_page.into(), Command::SetBackend { backend: Backend::Cpu }, cancel(15)];
        let events = answers_at_once([hello(), study(4)].into_iter().chain(waiting).collect());
        assert_eq!(endings(&events), [(4, true)]);
        let configured = |event: &Event| matches!(event, Event::Continual(_));
        assert!(events.iter().any(configured), "what waited has its turn");
    }

    #[test]
    fn a_cancelled_study_is_the_one_that_was_meant() {
        // The second, while it waits: it says so before the first is done.
        let events = answers_at_once(vec![hello(), study(4), study(15), cancel(15)]);
        assert_eq!(endings(&events), [(15, false), (4, true)]);
        assert!(!went_on(&events, 15));
        // The first; the second runs.
        let events = answers_at_once(vec![hello(), study(15), study(4), cancel(15)]);
        assert_eq!(endings(&events), [(15, false), (4, true)]);
        assert!(!went_on(&events, 15));
        // One that was cancelled can be run again.
        let events = answers_at_once(vec![hello(), study(4), cancel(4), study(4)]);
        assert_eq!(endings(&events), [(4, false), (4, true)]);
    }

    /// A session of a page that goes on until it waits.
    struct Learning {
        page: Rc<TestPage<Event>>,
        inbox: Inbox,
        session: Session<TestPage<Event>>,
    }

    impl Learning {
        fn say(&mut self, command: ContinualCommand) -> Vec<ContinualEvent> {
            self.inbox.push((command.into(), vec![]));
            pollster::block_on(async {
                self.session.turn().await;
                while self.session.continual.as_ref().is_some_and(Continual::runs) {
                    self.session.turn().await;
                }
            });
            let told = self.page.take().into_iter().map(|(event, _)| event);
            told.filter_map(
                |event| if let Event::Continual(event) = event { Some(event.open().unwrap()) } else { None },
            )
            .collect()
        }

        /// The records that the page would have after these events.
        fn hear(records: &mut Vec<Record>, events: &[ContinualEvent]) {
            for event in events {
                match event {
                    ContinualEvent::Configured { course, .. } => {
                        records.resize(course.arms.len(), Record::default());
                        records.iter_mut().for_each(|record| record.borders.clone_from(&course.borders));
                    }
                    ContinualEvent::Readings { arm, readings, .. } => {
                        readings.iter().for_each(|reading| records[*arm].push(reading.clone()));
                    }
                    ContinualEvent::State { updates, .. } => {
                        records.iter_mut().zip(updates).for_each(|(record, update)| record.rewind(*update));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Learns to the end, goes back, forks, learns on: the page's matrices are those of the link that says so, learned anew.
    #[test]
    fn a_continual_session_goes_back_and_forks() {
        let (page, inbox) = (Rc::new(TestPage::new(Some)), Inbox::default());
        let mut session = Session::new(page.clone(), inbox.clone());
        session.shelf.base = "/".into();
        let mut learning = Learning { page, inbox, session };
        let link = "#continual?stream=split-digits&tasks=3&examples=60&tested=30&hidden=12&batch=6&readings=2&window=2&\
                    memory=20&strategies=fine-tuning,replay";
        let mut records = Vec::new();
        let configure = |lab, link: &str| ContinualCommand::Configure { lab, link: link.to_owned() };
        let events = learning.say(configure(1, link));
        assert!(matches!(&events[0], ContinualEvent::Configured { issues, .. } if issues.is_empty()), "{events:?}");
        Learning::hear(&mut records, &events);
        let events = learning.say(ContinualCommand::Run { lab: 1 });
        let done = |event: &ContinualEvent| matches!(event, ContinualEvent::State { state: RunState::Done, .. });
        assert!(events.last().is_some_and(done), "{events:?}");
        assert!(events.iter().any(|event| matches!(event, ContinualEvent::Insight { memory: Some(_), .. })));
        Learning::hear(&mut records, &events);
        let first = records.clone();
        assert_eq!(first[1].rows().len(), 3);
        for command in [
            ContinualCommand::Rewind { lab: 1, update: 13 },
            ContinualCommand::Fork { lab: 1, arm: 0, update: 13, strategy: "ewc:lambda=5".into() },
            ContinualCommand::Step { lab: 1 },
            ContinualCommand::Run { lab: 1 },
        ] {
            let events = learning.say(command);
            assert!(!events.iter().any(|event| matches!(event, ContinualEvent::Refused { .. })), "{events:?}");
            Learning::hear(&mut records, &events);
        }
        assert_eq!(records[..2], first, "the same bit for bit after going back");
        assert_eq!(records[2].rows().len(), 3);
        let mut anew = Vec::new();
        let link = format!("{link},fine-tuning/13/ewc:lambda=5");
        Learning::hear(&mut anew, &learning.say(configure(2, &link)));
        Learning::hear(&mut anew, &learning.say(ContinualCommand::Run { lab: 2 }));
        assert_eq!(anew, records, "the link gives the same");
        assert!(learning.say(ContinualCommand::Run { lab: 1 }).is_empty(), "the page has moved on");
        let exported = learning.say(ContinualCommand::Export { lab: 2, kind: ContinualExport::Safetensors });
        assert!(matches!(exported[..], [ContinualEvent::Exported { .. }]));
        let refused = learning.say(ContinualCommand::Fork { lab: 2, arm: 0, update: 9, strategy: "hope".into() });
        assert!(matches!(&refused[0], ContinualEvent::Refused { message, .. } if message.contains("no strategy")));
    }

    #[test]
    fn what_goes_wrong_is_said() {
        // Without a greeting it does not know where the data are.
        for (id, words) in [(0, "there is no study 0"), (15, "could not be fetched")] {
            let events = answers(vec![study(id)]);
            let failed = |event: &Event| {
                matches!(event, Event::Study { what: StudyEvent::Done { verdict: None, failure: Some(reason), .. }, .. }
                    if reason.contains(words))
            };
            assert!(events.last().is_some_and(failed), "{events:?}");
        }
        let events = answers(vec![Command::LoseDevice]);
        let refused =
            |event: &Event| matches!(event, Event::Error { message, .. } if message.contains("trains no run"));
        assert!(events.last().is_some_and(refused), "{events:?}");
    }
}
