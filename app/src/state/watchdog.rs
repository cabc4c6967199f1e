//! A worker that trains and says nothing: it may be busy with one long computation, or hang. A worker that has ended is
//! noticed at once ([`crate::link`]); whether one that lives still works, only a person can judge, who is told.

use std::time::Duration;

use engine::protocol::RunState;
use leptos::prelude::*;

use super::{Engine, Lab};
use crate::reactive::RwSignal;

/// How often it is looked at.
const TICK: Duration = Duration::from_secs(5);
/// Ticks of silence after which it is said: 30 seconds. Ticks, not a clock: while a machine sleeps, nobody is silent.
const PATIENCE: u32 = 6;

/// How long the worker has been silent.
#[derive(Clone, Copy)]
pub struct Silence {
    /// Ticks without a word, while a run goes on.
    ticks: StoredValue<u32>,
    /// Whether a person should know.
    pub long: RwSignal<bool>,
}

impl Silence {
    /// None yet.
    pub fn new() -> Self {
        Self { ticks: StoredValue::new(0), long: RwSignal::new(false) }
    }
}

/// Begins to watch; it goes on as long as the page.
pub fn install(lab: Lab) {
    set_interval(move || lab.listen_for_silence(), TICK);
}

impl Lab {
    /// The worker has said something.
    pub(super) fn answers(self) {
        self.silence.ticks.set_value(0);
        if self.silence.long.get_untracked() {
            self.silence.long.set(false);
        }
    }

    fn listen_for_silence(self) {
        let ready = self.engine.with_untracked(|engine| matches!(engine, Engine::Ready(_)));
        let trains = self.current_untracked(|run| run.state) == Some(RunState::Running);
        if !(ready && trains) {
            return self.answers();
        }
        let ticks = self.silence.ticks.get_value() + 1;
        self.silence.ticks.set_value(ticks);
        if ticks >= PATIENCE && !self.silence.long.get_untracked() {
            self.silence.long.set(true);
        }
    }
}
