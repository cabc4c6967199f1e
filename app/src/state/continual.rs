//! The continual lab: its session, what came of it so far, and what a person does with it. The studies' worker computes
//! it; it goes on whatever page is shown.

use std::time::Duration;

use engine::continual::{
    Arm, ContinualCommand, ContinualEvent, ContinualSpec, Course, Export, Memory, PRESETS, Preset, Record, Shown,
    setting,
};
use engine::protocol::RunState;
use engine::spec::{DataSet, Issue, Link as Address};
use js_sys::Uint8Array;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::studies::text;
use super::{Engine, Lab, keep};
use crate::figure::export;
use crate::link::words;
use crate::reactive::RwSignal;

/// What is shown of a running session follows it at this distance.
const REFRESH: Duration = Duration::from_millis(150);
/// A session that is being turned settles for so long before the worker is told.
const SETTLE: Duration = Duration::from_millis(250);

/// The session as it comes: the one that forgets soonest.
pub fn first() -> ContinualSpec {
    PRESETS.first().map(Preset::spec).unwrap_or_default()
}

/// What an arm has stored, and the pictures of it.
pub type Stored = (Memory, Vec<u8>);

/// A session, and what came of it.
pub struct Learning {
    /// What it is.
    pub spec: ContinualSpec,
    /// What lies ahead; empty until the worker has read the data.
    pub course: Course,
    /// What each arm came to, by arm and seed.
    pub records: Vec<Vec<Record>>,
    /// What each arm has stored.
    pub memories: Vec<Option<Stored>>,
    /// What it does.
    pub state: RunState,
    /// The seed at hand, from 0.
    pub seed: usize,
    /// Updates done of each arm.
    pub updates: Vec<u64>,
    /// Seconds still needed; NaN = unknown.
    pub eta_s: f64,
    /// Its number between page and worker.
    number: u32,
    /// Whether the worker has been told.
    told: bool,
    /// Whether it is to run once the worker has been told.
    wanted: bool,
    /// Whether changes wait to be shown.
    stale: bool,
}

impl Learning {
    /// A session that has not begun.
    pub fn new(spec: ContinualSpec) -> Self {
        let mut course = Course { arms: spec.arms.iter().map(Arm::label).collect(), ..Course::default() };
        course.seeds = (0..spec.seeds.into()).map(|seed| spec.seed + seed).collect();
        let mut new = Self {
            spec,
            course,
            records: Vec::new(),
            memories: Vec::new(),
            state: RunState::Paused,
            seed: 0,
            updates: Vec::new(),
            eta_s: f64::NAN,
            number: 0,
            told: false,
            wanted: false,
            stale: false,
        };
        new.make_room();
        new
    }

    /// Records of all arms and seeds; of what is new, empty ones.
    fn make_room(&mut self) {
        let seeds = self.course.seeds.len();
        self.records.resize(self.course.arms.len(), Vec::new());
        for record in &mut self.records {
            record.resize(seeds, Record::default());
            for record in record {
                record.borders.clone_from(&self.course.borders);
            }
        }
        self.memories.resize(self.course.arms.len(), None);
    }

    /// Updates done of the arm that is furthest.
    pub fn done(&self) -> u64 {
        self.updates.iter().copied().max().unwrap_or(0)
    }

    /// Updates of the whole stream.
    pub fn total(&self) -> u64 {
        self.course.borders.last().copied().unwrap_or(0)
    }

    /// Whether anything was learned.
    pub fn begun(&self) -> bool {
        self.done() > 0 || self.seed > 0 || self.state != RunState::Paused
    }

    /// What its figures are drawn of.
    pub fn shown(&self, seed: Option<usize>) -> Shown<'_> {
        Shown { course: &self.course, arms: &self.spec.arms, records: &self.records, seed }
    }

    fn record(&mut self, arm: usize, seed: usize) -> Option<&mut Record> {
        self.records.get_mut(arm)?.get_mut(seed)
    }
}

impl Lab {
    /// Reads the file of what others have published of sessions, which the build has put beside the page.
    pub fn fetch_published(self, into: RwSignal<String>) {
        spawn_local(async move {
            match text("published").await {
                Ok(file) => into.set(file),
                Err(reason) => self.toast(format!("Published numbers could not be loaded: {}", words(&reason)), true),
            }
        });
    }

    /// Reads the session, reactively.
    pub fn learned<T>(self, read: impl FnOnce(&Learning) -> T) -> T {
        self.continual_tick.track();
        self.continual.with_value(read)
    }

    /// Changes it, and lets whoever has read it know.
    fn change_learning(self, change: impl FnOnce(&mut Learning)) {
        self.continual.update_value(change);
        self.continual_tick.update(|tick| *tick = tick.wrapping_add(1));
    }

    /// Lets whoever has read it know, soon and of whatever else comes until then.
    fn show_learning_soon(self) {
        if self.continual.with_value(|known| known.stale) {
            return;
        }
        self.continual.update_value(|known| known.stale = true);
        set_timeout(move || self.change_learning(|known| known.stale = false), REFRESH);
    }

    fn ask_continual(self, command: impl FnOnce(u32) -> ContinualCommand) {
        let number = self.continual.with_value(|known| known.number);
        self.study_link.send(&command(number).into(), &[]);
    }

    /// Shows another session, which has not begun.
    pub fn take_continual(self, spec: ContinualSpec) {
        if self.continual.with_value(|known| known.spec != spec) {
            self.begin_continual(spec);
        }
    }

    /// Puts a session that has not begun in place of the one at hand.
    fn begin_continual(self, spec: ContinualSpec) {
        let (number, told) = self.continual.with_value(|known| (known.number, known.told));
        if told {
            self.ask_continual(|lab| ContinualCommand::Cancel { lab });
        }
        self.change_learning(|known| *known = Learning { number: number.wrapping_add(1), ..Learning::new(spec) });
        let settled = move || {
            if self.continual.with_value(|known| known.number == number.wrapping_add(1)) {
                self.tell_continual();
            }
        };
        set_timeout(settled, SETTLE);
    }

    /// Tells the worker of the session, as soon as there is one.
    pub fn tell_continual(self) {
        let ready = self.study_engine.with_untracked(|engine| matches!(engine, Engine::Ready(_)));
        if !ready || self.continual.with_value(|known| known.told) {
            return;
        }
        self.continual.update_value(|known| known.told = true);
        let (number, link, own) = self.continual.with_value(|known| {
            let sets = known.spec.sets();
            let own = sets.first().filter(|data| data.set == DataSet::Own).map(|data| data.hash.clone());
            (known.number, known.spec.link().fragment(), own)
        });
        let configure = move || {
            let command = ContinualCommand::Configure { lab: number, link: link.clone() };
            self.study_link.send(&command.into(), &[]);
            let mut wanted = false;
            self.continual.update_value(|known| wanted = std::mem::take(&mut known.wanted));
            if wanted {
                self.ask_continual(|lab| ContinualCommand::Run { lab });
            }
        };
        match own {
            Some(hash) if !hash.is_empty() => keep::send_file(self.study_link, hash, configure),
            _ => configure(),
        }
    }

    /// The worker is gone, and what it knew with it.
    pub(super) fn forget_continual(self) {
        let begun = self.continual.with_value(Learning::begun);
        self.continual.update_value(|known| known.told = false);
        if begun {
            let spec = self.continual.with_value(|known| known.spec.clone());
            self.begin_continual(spec);
        }
    }

    /// Run or pause; from the start once it is done.
    pub fn toggle_continual(self) {
        match self.continual.with_value(|known| known.state) {
            RunState::Running => {
                self.change_learning(|known| known.state = RunState::Paused);
                self.ask_continual(|lab| ContinualCommand::Pause { lab });
                return;
            }
            RunState::Done | RunState::Failed => self.reset_continual(),
            RunState::Paused => {}
        }
        self.rest();
        self.change_learning(|known| {
            known.state = RunState::Running;
            known.wanted = !known.told;
        });
        if self.continual.with_value(|known| known.told) {
            self.ask_continual(|lab| ContinualCommand::Run { lab });
        } else {
            self.tell_continual();
        }
    }

    /// One update of every arm.
    pub fn step_continual(self) {
        if self.continual.with_value(|known| known.state == RunState::Paused) {
            self.tell_continual();
            self.ask_continual(|lab| ContinualCommand::Step { lab });
        }
    }

    /// The same session from the start.
    pub fn reset_continual(self) {
        if self.continual.with_value(Learning::begun) {
            let spec = self.continual.with_value(|known| known.spec.clone());
            self.begin_continual(spec);
        }
    }

    /// All arms go back to so many updates.
    pub fn rewind_continual(self, update: u64) {
        self.ask_continual(|lab| ContinualCommand::Rewind { lab, update });
    }

    /// Another future for an arm, from where it is now.
    pub fn fork_continual(self, arm: usize, strategy: &str) {
        let update = self.continual.with_value(|known| known.updates.get(arm).copied().unwrap_or(0));
        self.ask_continual(|lab| ContinualCommand::Fork { lab, arm, update, strategy: strategy.into() });
    }

    /// Asks for a file.
    pub fn export_continual(self, kind: Export) {
        self.ask_continual(|lab| ContinualCommand::Export { lab, kind });
    }

    /// Turns a control of the session or a setting of its strategies, or says what is wrong with the value.
    pub fn set_continual(self, path: &str, text: &str) {
        self.edit_continual(path, |spec| match setting(path) {
            Some(setting) => {
                let value = setting.kind.parse(text)?;
                spec.turn(path, value.as_f64().unwrap_or(setting.default));
                Ok(())
            }
            None => {
                spec.set(path, text)?;
                // What the lab learns from is the file that is at hand.
                if path == "stream" && spec.own.hash.is_empty() {
                    spec.own = self.spec.with_untracked(|lab| {
                        if lab.data.set == DataSet::Own { lab.data.clone() } else { spec.own.clone() }
                    });
                }
                Ok(())
            }
        });
    }

    /// Changes the session, or says at a control what is wrong.
    pub fn edit_continual(self, path: &str, change: impl FnOnce(&mut ContinualSpec) -> Result<(), String>) {
        let mut spec = self.continual.with_value(|known| known.spec.clone());
        match change(&mut spec) {
            Ok(()) => {
                // Controls have rules between them.
                let (spec, issues) = ContinualSpec::read(&spec.link());
                self.issues.set(issues);
                self.take_continual(spec);
            }
            Err(problem) => self.complain(Issue::new(path, format!("“{path}” {problem}"), "")),
        }
    }

    /// Takes in what the worker says about a session.
    pub(super) fn hear_continual(self, event: ContinualEvent, buffers: &[Uint8Array]) {
        let own = |lab: u32| self.continual.with_value(|known| known.number == lab);
        match event {
            ContinualEvent::Configured { lab, link, issues, course } if own(lab) => {
                let spec = ContinualSpec::read(&Address::parse(&link)).0;
                self.change_learning(|known| {
                    known.spec = spec;
                    known.course = course;
                    known.make_room();
                });
                for issue in issues {
                    self.complain(issue);
                }
            }
            ContinualEvent::State { lab, state, seed, updates, eta_s } if own(lab) => self.change_learning(|known| {
                for (arm, update) in updates.iter().enumerate() {
                    if let Some(record) = known.record(arm, seed) {
                        record.rewind(*update);
                    }
                }
                known.state = state;
                known.seed = seed;
                known.updates = updates;
                known.eta_s = eta_s;
            }),
            ContinualEvent::Readings { lab, arm, seed, readings } if own(lab) => {
                self.continual.update_value(|known| {
                    if let Some(record) = known.record(arm, seed) {
                        readings.into_iter().for_each(|reading| record.push(reading));
                    }
                });
                self.show_learning_soon();
            }
            ContinualEvent::Insight { lab, arm, seed, insight, cost, memory } if own(lab) => {
                self.continual.update_value(|known| {
                    if let Some(record) = known.record(arm, seed) {
                        record.insight = insight;
                        record.cost = cost;
                    }
                    let pixels = |memory: &Memory| buffers.get(memory.pixels.0).map(Uint8Array::to_vec);
                    if let Some(place) = known.memories.get_mut(arm) {
                        *place = memory.map(|memory| {
                            let pixels = pixels(&memory).unwrap_or_default();
                            (memory, pixels)
                        });
                    }
                });
                self.show_learning_soon();
            }
            ContinualEvent::Exported { lab, name, mime, file } if own(lab) => {
                if let Some(bytes) = buffers.get(file.0) {
                    export::bytes(&name, &mime, bytes);
                }
            }
            ContinualEvent::Refused { lab, path, message } if own(lab) => {
                if path.is_empty() {
                    self.toast(message, true);
                } else {
                    self.complain(Issue::new(&path, message, ""));
                }
                if self.continual.with_value(|known| known.state == RunState::Running) {
                    self.change_learning(|known| known.state = RunState::Paused);
                }
            }
            // Of a session that is no longer shown.
            _ => {}
        }
    }
}
