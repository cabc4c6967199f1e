//! A session of the continual lab in the worker: it learns in slices, between which messages arrive.

use std::rc::Rc;

use engine::continual::{ContinualCommand, ContinualEvent, ContinualSpec, Export, Memory, Record, StreamKind};
use engine::data::Data;
use engine::executor::AnyExecutor;
use engine::protocol::{Backend, Blob, RunState};
use engine::session::{Host, Shelf};
use engine::spec::{Issue, Link, RunSpec};
use engine::tape::{Breathless, Home, Play};

use super::timetable::Due;
use super::{Examples, Ground, Lane, export, frozen, glyphs};
use crate::StudyError;

/// How long a slice of learning lasts.
const SLICE_MS: f64 = 30.0;
/// How often the page hears how far it is.
const TOLD_MS: f64 = 200.0;
/// Most pictures of a memory that are shown.
const SHOWN: usize = 60;

/// What a session needs of the worker.
pub struct Place<'a, H: Host> {
    /// The worker.
    pub host: &'a H,
    /// Data at hand.
    pub shelf: &'a mut Shelf,
    /// What to compute on.
    pub wanted: Backend,
}

/// A session that is ready.
pub struct Continual {
    lab: u32,
    spec: ContinualSpec,
    sets: Vec<Rc<Data>>,
    ground: Rc<Ground>,
    /// Which seed is at hand, from 0.
    seed: usize,
    /// The arms of that seed that have not been learned before, where its turn has come.
    lanes: Vec<Option<Lane<'static>>>,
    /// An executor for each arm, while no lane uses it.
    homes: Vec<Home<AnyExecutor>>,
    /// What has ended, by arm and seed.
    records: Vec<Vec<Option<Record>>>,
    running: bool,
    /// Updates after which each arm was told of last.
    told: Vec<Option<u64>>,
    told_ms: f64,
    /// Milliseconds learned, and updates done in them: to foretell the rest.
    pace: (f64, u64),
}

/// A fault at a control.
pub struct Fault {
    path: String,
    message: String,
}

impl From<StudyError> for Fault {
    fn from(error: StudyError) -> Self {
        Self { path: String::new(), message: error.to_string() }
    }
}

impl From<engine::tape::PlayError> for Fault {
    fn from(error: engine::tape::PlayError) -> Self {
        StudyError::from(error).into()
    }
}

fn fault(message: impl Into<String>) -> Fault {
    Fault { path: String::new(), message: message.into() }
}

/// Answers a command; `session` is what is at hand.
pub async fn handle<H: Host>(session: &mut Option<Continual>, command: ContinualCommand, mut place: Place<'_, H>) {
    let lab = lab_of(&command);
    let outcome = match command {
        ContinualCommand::Configure { link, .. } => {
            *session = None;
            match Continual::new(lab, &link, &mut place).await {
                Ok(made) => {
                    *session = Some(made);
                    Ok(())
                }
                Err(fault) => Err(fault),
            }
        }
        command => match session.as_mut().filter(|session| session.lab == lab) {
            Some(known) if !matches!(command, ContinualCommand::Cancel { .. }) => known.obey(command, &mut place).await,
            Some(_) => {
                *session = None;
                Ok(())
            }
            // The page has moved on.
            None => Ok(()),
        },
    };
    if let Err(Fault { path, message }) = outcome {
        if let Some(session) = session.as_mut() {
            session.running = false;
        }
        emit(place.host, ContinualEvent::Refused { lab, path, message });
        if let Some(session) = session {
            session.tell_state(place.host, RunState::Paused);
        }
    }
}

const fn lab_of(command: &ContinualCommand) -> u32 {
    match command {
        ContinualCommand::Configure { lab, .. }
        | ContinualCommand::Run { lab }
        | ContinualCommand::Pause { lab }
        | ContinualCommand::Step { lab }
        | ContinualCommand::Rewind { lab, .. }
        | ContinualCommand::Fork { lab, .. }
        | ContinualCommand::Cancel { lab }
        | ContinualCommand::Export { lab, .. } => *lab,
    }
}

fn emit(host: &impl Host, event: ContinualEvent) {
    host.emit(event.into(), vec![]);
}

impl Continual {
    /// Makes the session of a link ready.
    async fn new<H: Host>(lab: u32, link: &str, place: &mut Place<'_, H>) -> Result<Self, Fault> {
        let (mut spec, mut issues) = ContinualSpec::read(&Link::parse(link));
        let (ground, sets) = loop {
            let sets = load(&spec, place).await?;
            match Ground::of(&spec, &sets, spec.seed) {
                Ok((ground, found)) => {
                    issues.extend(found);
                    break (ground, sets);
                }
                Err(issue) if matches!(spec.stream, StreamKind::Own | StreamKind::OwnTime) => {
                    // A file that makes no stream gives way to one that does.
                    let used = StreamKind::SplitMnist;
                    (spec.stream, (spec.scenario, spec.tasks)) = (used, used.usual());
                    issues.push(Issue { used: used.id().into(), ..issue });
                }
                Err(issue) => return Err(Fault { path: issue.path, message: issue.message }),
            }
        };
        let mut session = Self {
            lab,
            records: vec![vec![None; spec.seeds as usize]; spec.arms.len()],
            lanes: Vec::new(),
            homes: Vec::new(),
            spec,
            sets,
            ground: Rc::new(ground),
            seed: 0,
            running: false,
            told: Vec::new(),
            told_ms: f64::NEG_INFINITY,
            pace: (0.0, 0),
        };
        session.configured(place.host, issues);
        session.open(0, place).await?;
        session.tell_state(place.host, RunState::Paused);
        Ok(session)
    }

    fn configured(&self, host: &impl Host, issues: Vec<Issue>) {
        let link = self.spec.link().fragment();
        emit(host, ContinualEvent::Configured { lab: self.lab, link, issues, course: self.ground.course() });
    }

    /// Makes the lanes of a seed for the arms that it has not had.
    async fn open<H: Host>(&mut self, seed: usize, place: &mut Place<'_, H>) -> Result<(), Fault> {
        self.lanes.clear();
        let number = self.spec.seed + seed as u64;
        let made = Ground::of(&self.spec, &self.sets, number);
        let (mut ground, _) = made.map_err(|issue| Fault { path: issue.path, message: issue.message })?;
        self.seed = seed;
        self.told = vec![None; self.spec.arms.len()];
        let home = self.home(0, place).await?;
        let file = encoder(&self.spec, place).await?;
        ground.encode(Play::new(&home, Breathless, number)?, file.as_deref().map(Vec::as_slice)).await?;
        self.ground = Rc::new(ground);
        for arm in 0..self.spec.arms.len() {
            let lane = if self.records[arm][seed].is_none() { Some(self.lane(arm, None, place).await?) } else { None };
            self.lanes.push(lane);
            self.tell(arm, Due::All, place.host);
            place.host.breathe().await;
        }
        Ok(())
    }

    async fn home<H: Host>(&mut self, arm: usize, place: &Place<'_, H>) -> Result<Home<AnyExecutor>, Fault> {
        while self.homes.len() <= arm {
            self.homes.push(Home::default());
        }
        let home = self.homes[arm].clone();
        if home.borrow().is_none() {
            let (executor, _) = place.host.executor(place.wanted).await.map_err(|error| fault(error.to_string()))?;
            *home.borrow_mut() = Some(executor);
        }
        Ok(home)
    }

    async fn lane<H: Host>(
        &mut self,
        arm: usize,
        past: Option<(&Record, u64)>,
        place: &Place<'_, H>,
    ) -> Result<Lane<'static>, Fault> {
        let home = self.home(arm, place).await?;
        let play = Play::new(&home, Breathless, self.ground.seed)?;
        Ok(Lane::new(&self.ground, &self.spec.arms[arm], play, past).await?)
    }

    /// Whether there is something to learn now.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.running
    }

    /// A command about this session.
    async fn obey<H: Host>(&mut self, command: ContinualCommand, place: &mut Place<'_, H>) -> Result<(), Fault> {
        match command {
            ContinualCommand::Run { .. } => {
                self.running = true;
                self.tell_state(place.host, RunState::Running);
            }
            ContinualCommand::Pause { .. } => {
                self.running = false;
                self.tell_state(place.host, RunState::Paused);
            }
            ContinualCommand::Step { .. } => {
                self.running = false;
                for arm in 0..self.lanes.len() {
                    self.advance(arm, place.host).await?;
                }
                self.tell_state(place.host, RunState::Paused);
            }
            ContinualCommand::Rewind { update, .. } => self.rewind(update, place).await?,
            ContinualCommand::Fork { arm, update, strategy, .. } => self.fork(arm, update, &strategy, place).await?,
            ContinualCommand::Export { kind, .. } => self.export(kind, place.host).await?,
            ContinualCommand::Configure { .. } | ContinualCommand::Cancel { .. } => {}
        }
        Ok(())
    }

    async fn rewind<H: Host>(&mut self, update: u64, place: &mut Place<'_, H>) -> Result<(), Fault> {
        self.running = false;
        for arm in 0..self.lanes.len() {
            self.records[arm][self.seed] = None;
            if let Some(lane) = &mut self.lanes[arm] {
                lane.rewind(update).await?;
            } else {
                // An arm that had ended before this seed was opened again.
                let mut lane = self.lane(arm, None, place).await?;
                while lane.update() < update && !lane.ended() {
                    lane.advance().await?;
                }
                self.lanes[arm] = Some(lane);
            }
            self.told[arm] = None;
        }
        self.tell_state(place.host, RunState::Paused);
        for arm in 0..self.lanes.len() {
            self.tell(arm, Due::All, place.host);
        }
        Ok(())
    }

    async fn fork<H: Host>(
        &mut self,
        arm: usize,
        update: u64,
        strategy: &str,
        place: &mut Place<'_, H>,
    ) -> Result<(), Fault> {
        self.running = false;
        if update >= self.ground.timetable.updates() {
            return Err(fault(format!("after {update} updates nothing is left to learn")));
        }
        let forked = self.spec.forked(arm, update, strategy);
        let forked = forked.map_err(|message| Fault { path: "strategies".into(), message })?;
        let encodes = forked.encodes() && !self.spec.encodes();
        self.spec = forked;
        let ground = Ground {
            spec: Rc::new(self.spec.clone()),
            tasks: self.ground.tasks.clone(),
            features: self.ground.features.clone(),
            start: self.ground.start.clone(),
            timetable: self.ground.timetable.clone(),
            seed: self.ground.seed,
        };
        let new = self.spec.arms.len() - 1;
        let home = self.home(new, place).await?;
        let mut ground = ground;
        if encodes {
            let file = encoder(&self.spec, place).await?;
            let play = Play::new(&home, Breathless, ground.seed)?;
            ground.encode(play, file.as_deref().map(Vec::as_slice)).await?;
        }
        self.ground = Rc::new(ground);
        self.records.push(vec![None; self.spec.seeds as usize]);
        self.told.push(None);
        self.configured(place.host, Vec::new());
        let past = self.record(arm).cloned();
        let past = past.as_ref().filter(|past| past.readings.last().is_some_and(|last| last.update >= update));
        let mut lane = self.lane(new, past.map(|past| (past, update)), place).await?;
        while lane.update() < update && !lane.ended() {
            lane.advance().await?;
        }
        self.lanes.push(Some(lane));
        self.tell(new, Due::All, place.host);
        self.tell_state(place.host, RunState::Paused);
        Ok(())
    }

    /// What an arm came to so far with the seed at hand.
    fn record(&self, arm: usize) -> Option<&Record> {
        let ended = || self.records.get(arm)?.get(self.seed)?.as_ref();
        self.lanes.get(arm)?.as_ref().map(|lane| &lane.record).or_else(ended)
    }

    /// One update of an arm.
    async fn advance(&mut self, arm: usize, host: &impl Host) -> Result<(), Fault> {
        let Some(lane) = &mut self.lanes[arm] else { return Ok(()) };
        if lane.ended() {
            return Ok(());
        }
        let begun = host.now_ms();
        let due = lane.advance().await?;
        let spent = host.now_ms() - begun;
        lane.record.cost.seconds += spent / 1000.0;
        self.pace = (self.pace.0 + spent, self.pace.1 + 1);
        if lane.ended() {
            self.records[arm][self.seed] = Some(lane.record.clone());
        }
        if let Some(update) = lane.record.diverged {
            let (lab, seed, message) = (self.lab, self.seed, diverged(&self.spec.arms[arm].label(), update));
            emit(host, ContinualEvent::Diverged { lab, arm, seed, update, message });
        }
        if due != Due::Nothing {
            self.tell(arm, due, host);
        }
        Ok(())
    }

    /// A slice of learning: always the arm that is least far, so that all go side by side.
    pub async fn slice<H: Host>(&mut self, mut place: Place<'_, H>) {
        if let Err(Fault { path, message }) = self.try_slice(&mut place).await {
            self.running = false;
            emit(place.host, ContinualEvent::Refused { lab: self.lab, path, message });
            self.tell_state(place.host, RunState::Failed);
        }
    }

    async fn try_slice<H: Host>(&mut self, place: &mut Place<'_, H>) -> Result<(), Fault> {
        let begun = place.host.now_ms();
        while place.host.now_ms() - begun < SLICE_MS {
            let left = self.lanes.iter().enumerate().filter_map(|(arm, lane)| Some((arm, lane.as_ref()?)));
            let next = left.filter(|(_, lane)| !lane.ended()).min_by_key(|(_, lane)| lane.update());
            let Some((arm, _)) = next else { return self.next_seed(place).await };
            self.advance(arm, place.host).await?;
        }
        if place.host.now_ms() - self.told_ms >= TOLD_MS {
            self.tell_state(place.host, RunState::Running);
        }
        Ok(())
    }

    /// Goes on with the first seed that an arm has not had, or ends.
    async fn next_seed<H: Host>(&mut self, place: &mut Place<'_, H>) -> Result<(), Fault> {
        let seeds = self.spec.seeds as usize;
        match (0..seeds).find(|&seed| self.records.iter().any(|seeds| seeds[seed].is_none())) {
            Some(seed) => {
                self.open(seed, place).await?;
                self.tell_state(place.host, RunState::Running);
            }
            None => {
                self.running = false;
                self.tell_state(place.host, RunState::Done);
            }
        }
        Ok(())
    }

    fn tell_state(&mut self, host: &impl Host, state: RunState) {
        self.told_ms = host.now_ms();
        let length = self.ground.timetable.updates();
        let updates: Vec<u64> =
            self.lanes.iter().map(|lane| lane.as_ref().map_or(length, |lane| lane.update())).collect();
        let here: u64 = updates.iter().map(|update| length.saturating_sub(*update)).sum();
        let missing = self.records.iter().flat_map(|seeds| seeds.iter().enumerate());
        let later = missing.filter(|(seed, record)| *seed != self.seed && record.is_none()).count() as u64 * length;
        let (spent, done) = self.pace;
        let eta_s = if done == 0 { f64::NAN } else { spent / done as f64 * (here + later) as f64 / 1000.0 };
        emit(host, ContinualEvent::State { lab: self.lab, state, seed: self.seed, updates, eta_s });
    }

    /// Tells what is new of an arm: readings, and after one of all tasks what else is seen.
    fn tell(&mut self, arm: usize, due: Due, host: &impl Host) {
        let Some(record) = self.record(arm) else { return };
        let new = record.readings.iter().filter(|reading| self.told[arm].is_none_or(|told| reading.update > told));
        let readings: Vec<_> = new.cloned().collect();
        let last = readings.last().map(|reading| reading.update);
        if let Some(last) = last {
            let (lab, seed) = (self.lab, self.seed);
            emit(host, ContinualEvent::Readings { lab, arm, seed, readings });
            self.told[arm] = Some(last);
        }
        let Some(record) = self.record(arm).filter(|_| due == Due::All) else { return };
        let (insight, cost) = (record.insight.clone(), record.cost.clone());
        let (memory, blobs) = self.memory(arm).map_or((None, vec![]), |(memory, pixels)| (Some(memory), vec![pixels]));
        let event = ContinualEvent::Insight { lab: self.lab, arm, seed: self.seed, insight, cost, memory };
        host.emit(event.into(), blobs);
    }

    /// What an arm has stored, with the pixels of some of it, evenly spread over the memory.
    fn memory(&self, arm: usize) -> Option<(Memory, Vec<u8>)> {
        let stored = self.lanes.get(arm)?.as_ref()?.stored();
        if stored.is_empty() {
            return None;
        }
        let tasks = &self.ground.tasks;
        let mut counts = vec![0; tasks.outputs.len()];
        stored.iter().for_each(|&row| counts[tasks.output[row as usize] as usize] += 1);
        let mut shown: Vec<u32> = stored.iter().copied().step_by(stored.len().div_ceil(SHOWN)).collect();
        shown.sort_by_key(|&row| tasks.output[row as usize]);
        let width = tasks.width();
        let pixels = match &tasks.examples {
            Examples::Pixels(pixels) => {
                shown.iter().flat_map(|&row| pixels[row as usize * width..][..width].to_vec()).collect()
            }
            Examples::Numbers(_) => Vec::new(),
        };
        let shape = if pixels.is_empty() { [0; 3] } else { tasks.picture() };
        let shown = shown.iter().map(|&row| tasks.output[row as usize]).collect();
        Some((Memory { arm, counts, shape, shown, pixels: Blob(0) }, pixels))
    }

    async fn export(&mut self, kind: Export, host: &impl Host) -> Result<(), Fault> {
        let course = self.ground.course();
        let (name, mime, file) = match kind {
            Export::Csv => ("continual.csv", "text/csv", export::csv(&course, self.told_records()).into_bytes()),
            Export::Json => {
                let json = export::json(&self.spec, &course, self.told_records());
                ("continual.json", "application/json", json.to_string().into_bytes())
            }
            Export::Safetensors => {
                let mut parameters = Vec::new();
                for (arm, lane) in self.lanes.iter_mut().enumerate() {
                    if let Some(lane) = lane {
                        let (layout, theta) = lane.parameters().await?;
                        parameters.push((format!("{arm}.{}", self.spec.arms[arm].text()), layout, theta));
                    }
                }
                ("continual.safetensors", "application/octet-stream", export::safetensors(&parameters)?)
            }
        };
        let (name, mime) = (name.into(), mime.into());
        let event = ContinualEvent::Exported { lab: self.lab, name, mime, file: Blob(0) };
        host.emit(event.into(), vec![file]);
        Ok(())
    }

    /// Every record, ended or not.
    fn told_records(&self) -> impl Iterator<Item = (usize, usize, &Record)> {
        let pairs =
            (0..self.spec.seeds as usize).flat_map(|seed| (0..self.spec.arms.len()).map(move |arm| (arm, seed)));
        pairs.filter_map(|(arm, seed)| {
            let here = if seed == self.seed { self.record(arm) } else { None };
            Some((arm, seed, here.or(self.records[arm][seed].as_ref())?))
        })
    }
}

/// What a person should know of an arm whose numbers are no longer finite.
#[must_use]
pub fn diverged(arm: &str, update: u64) -> String {
    format!("{arm} is no longer finite after {update} updates: try a smaller learning rate or a weaker penalty")
}

async fn load<H: Host>(spec: &ContinualSpec, place: &mut Place<'_, H>) -> Result<Vec<Rc<Data>>, Fault> {
    let mut sets = Vec::new();
    if let Some(name) = glyphs::file(spec) {
        let wrong = |message: String| Fault { path: "stream".into(), message };
        let file = place.shelf.pack(place.host, name).await.map_err(|error| wrong(error.to_string()))?;
        sets.push(Rc::new(glyphs::data(&file, spec.seed).map_err(wrong)?));
    }
    for data in spec.sets() {
        let run = RunSpec { data, seed: spec.seed, ..RunSpec::default() };
        let data = place.shelf.get(place.host, &run).await;
        sets.push(data.map_err(|error| Fault { path: "stream".into(), message: error.to_string() })?);
    }
    Ok(sets)
}

/// The file of the session's encoder, where it has one.
async fn encoder<H: Host>(spec: &ContinualSpec, place: &mut Place<'_, H>) -> Result<Option<Rc<Vec<u8>>>, Fault> {
    let Some(name) = frozen::file(spec) else { return Ok(None) };
    let file = place.shelf.pack(place.host, name).await;
    file.map(Some).map_err(|error| Fault { path: "encoder".into(), message: error.to_string() })
}
