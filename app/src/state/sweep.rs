//! The sweep: its grid, what came of its cells so far, and what a person does with it. It goes on whatever page is shown.

use std::time::Duration;

use engine::figure::Figure;
use engine::protocol::{Command, SweepCommand};
use engine::spec::{Link as Address, Page};
use engine::sweep::{Quantity, Results, Sweep};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::pool::Pool;
use super::{Lab, Undo, keep};

/// What is kept and drawn of a running sweep follows it at this distance.
const REFRESH: Duration = Duration::from_millis(300);

/// What is swept, what came of it, and who is at work on it.
pub struct Sweeping {
    /// The grid.
    pub sweep: Sweep,
    /// Its trials' outcomes so far.
    pub results: Results,
    /// How many of its trials can run at all.
    pub total: usize,
    /// What the map shows.
    pub quantity: Quantity,
    /// Whether the trials run on the GPU, one after the other.
    pub gpu: bool,
    /// What went wrong; empty if nothing did.
    pub problem: String,
    /// The workers.
    pub pool: Pool,
    /// Whether results wait to be kept and drawn.
    stale: bool,
}

/// The sweep as it comes.
pub fn plain() -> Sweep {
    Sweep::read(&Address::to_page(Page::Sweep, Vec::new())).0
}

impl Sweeping {
    /// A sweep that has not begun.
    pub fn new(sweep: Sweep) -> Self {
        let mut new = Self {
            sweep: sweep.clone(),
            results: Results::default(),
            total: 0,
            quantity: Quantity::Loss,
            gpu: false,
            problem: String::new(),
            pool: Pool::new(),
            stale: false,
        };
        new.show(sweep);
        new
    }

    /// Shows a grid of which nothing is known.
    fn show(&mut self, sweep: Sweep) {
        self.results = Results::new(&sweep);
        self.total = self.results.missing(&sweep).len();
        self.sweep = sweep;
        self.problem.clear();
    }

    /// Its link.
    pub fn link(&self) -> String {
        self.sweep.link().fragment()
    }
}

/// What stands in the map's place until the engine has drawn one.
pub fn promise() -> Figure {
    Figure {
        id: "sweep".into(),
        title: "Map".into(),
        empty: "The map arrives with the engine.".into(),
        ..Figure::default()
    }
}

impl Lab {
    /// Reads the sweep, reactively.
    pub fn swept<T>(self, read: impl FnOnce(&Sweeping) -> T) -> T {
        self.sweep_tick.track();
        self.sweep.with_value(read)
    }

    /// Changes the sweep, and lets whoever has read it know.
    pub(super) fn change_sweep(self, change: impl FnOnce(&mut Sweeping)) {
        self.sweep.update_value(change);
        self.sweep_tick.update(|tick| *tick = tick.wrapping_add(1));
    }

    /// Shows another sweep, with what earlier visits know of it.
    pub fn take_sweep(self, sweep: Sweep) {
        if self.sweep.with_value(|known| known.sweep == sweep) {
            return;
        }
        self.stop_sweep();
        self.change_sweep(|known| known.show(sweep));
        self.recall_sweep();
    }

    /// Turns one of its settings, or says what is wrong with the value.
    pub fn set_sweep(self, key: &str, text: &str) {
        let mut sweep = self.sweep.with_value(|known| known.sweep.clone());
        let problem = match sweep.set(key, text) {
            Ok(()) => {
                // Settings have rules between them.
                let (sweep, issues) = Sweep::read(&sweep.link());
                self.take_sweep(sweep);
                issues.first().map(|issue| issue.message.clone()).unwrap_or_default()
            }
            Err(problem) => problem,
        };
        self.change_sweep(|known| known.problem = problem);
    }

    /// Shows something else on the map.
    pub fn show_quantity(self, quantity: Quantity) {
        self.change_sweep(|known| known.quantity = quantity);
        self.draw_sweep();
    }

    /// Has the trials run on the GPU, or not.
    pub fn sweep_on_gpu(self, gpu: bool) {
        self.change_sweep(|known| known.gpu = gpu);
    }

    /// Forgets what its trials came to, which can be brought back for a while.
    pub fn clear_sweep(self) {
        let undo = self.sweep.with_value(|known| Undo::Sweep(known.link(), known.results.clone()));
        self.change_sweep(|known| known.show(known.sweep.clone()));
        self.keep_sweep();
        self.draw_sweep();
        self.announce("What had come of this sweep is deleted.".into(), false, Some(undo));
    }

    /// Brings back what had come of a sweep; what has come since is newer.
    pub(super) fn bring_back_sweep(self, link: &str, results: Results) {
        if link == self.sweep.with_value(Sweeping::link) {
            self.fill_sweep(results);
            self.keep_sweep();
        } else {
            keep::save_sweep(self, link, &results);
        }
    }

    fn fill_sweep(self, results: Results) {
        self.change_sweep(|known| {
            for (place, former) in known.results.outcomes.iter_mut().zip(results.outcomes) {
                *place = place.or(former);
            }
        });
        self.draw_sweep();
    }

    /// Fetches what is kept of it. What this visit has trained is newer.
    pub(super) fn recall_sweep(self) {
        let link = self.sweep.with_value(Sweeping::link);
        spawn_local(async move {
            let kept = keep::kept_sweep(&link).await;
            if link == self.sweep.with_value(Sweeping::link) {
                self.fill_sweep(kept.unwrap_or_default());
            }
        });
    }

    /// Keeps and draws its results soon, with whatever else comes until then.
    pub(super) fn refresh_sweep(self) {
        if self.sweep.with_value(|known| known.stale) {
            return;
        }
        self.sweep.update_value(|known| known.stale = true);
        let link = self.sweep.with_value(Sweeping::link);
        let refresh = move || {
            self.sweep.update_value(|known| known.stale = false);
            // Another sweep may be shown by now, of which what is kept is still on its way.
            if link == self.sweep.with_value(Sweeping::link) {
                self.keep_sweep();
                self.draw_sweep();
            }
        };
        set_timeout(refresh, REFRESH);
    }

    pub(super) fn keep_sweep(self) {
        self.sweep.with_value(|known| keep::save_sweep(self, &known.link(), &known.results));
    }

    /// Has the engine draw it.
    pub(super) fn draw_sweep(self) {
        let what = self.sweep.with_value(|known| SweepCommand::Figures {
            link: known.link(),
            results: known.results.clone(),
            quantity: known.quantity,
        });
        self.link.send(&Command::Sweep(what), &[]);
    }

    /// The engine has drawn a sweep: this one, unless another is shown by now.
    pub(super) fn sweep_drawn(self, link: &str, figures: Vec<Figure>) {
        if link == self.sweep.with_value(Sweeping::link) {
            self.sweep_figures.set(figures);
        }
    }
}
