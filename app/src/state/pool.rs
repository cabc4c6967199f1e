//! The workers that train a sweep's cells: several on the CPU, each with an engine of its own, or one on the GPU.

use std::rc::Rc;

use engine::protocol::{Backend, Command, Event, SweepCommand, SweepEvent};
use engine::spec::DataSet;
use leptos::prelude::*;

use super::{Lab, keep};
use crate::link::{Link, Program, Report};

/// The most workers.
const MOST_HANDS: usize = 8;
/// A sweep whose workers have died so often without finishing a trial ends.
const MOST_DEATHS: u32 = 3;

/// A trial in training.
pub struct Busy {
    /// The worker's number.
    hand: usize,
    /// The trial's.
    pub trial: usize,
    /// Share done, 0..=1.
    pub share: f64,
}

/// Workers, what they do and what they have still to do.
pub struct Pool {
    hands: [Link; MOST_HANDS],
    /// Trials in training.
    pub busy: Vec<Busy>,
    /// Trials that nobody has begun, the next one last.
    todo: Vec<usize>,
    /// Work in all and done since the beginning, as [`engine::sweep::Sweep::work`] counts it.
    work: [f64; 2],
    /// When it began, in milliseconds.
    begun: f64,
    /// Deaths of workers since a trial last ended well.
    deaths: u32,
}

impl Pool {
    /// No workers yet.
    pub fn new() -> Self {
        Self {
            hands: [(); MOST_HANDS].map(|()| Link::new(Program::Hand)),
            busy: Vec::new(),
            todo: Vec::new(),
            work: [0.0; 2],
            begun: 0.0,
            deaths: 0,
        }
    }

    /// Seconds until all have ended, once enough is known.
    pub fn left(&self, work: impl Fn(usize) -> f64) -> Option<f64> {
        let [total, done] = self.work;
        let done = done + self.busy.iter().map(|one| one.share * work(one.trial)).sum::<f64>();
        let elapsed = (js_sys::Date::now() - self.begun) / 1000.0;
        (done > 0.0 && !self.busy.is_empty()).then(|| elapsed * (total - done).max(0.0) / done)
    }
}

impl Lab {
    /// Trains every cell that has no result, from the beginning if all have.
    pub fn run_sweep(self) {
        self.rest();
        if self.sweep.with_value(|known| known.results.finished() >= known.total) {
            self.clear_sweep();
        }
        let mut hands = 0;
        self.change_sweep(|known| {
            let todo = known.results.missing(&known.sweep);
            let cores = window().navigator().hardware_concurrency() as usize;
            hands = if known.gpu { 1 } else { cores.saturating_sub(1).clamp(1, MOST_HANDS) }.min(todo.len());
            known.problem.clear();
            known.pool.work = [todo.iter().map(|trial| known.sweep.work(*trial)).sum(), 0.0];
            known.pool.todo = todo.into_iter().rev().collect();
            known.pool.begun = js_sys::Date::now();
            known.pool.deaths = 0;
        });
        for hand in 0..hands {
            self.hire(hand);
        }
    }

    /// Ends it; finished cells stay.
    pub fn stop_sweep(self) {
        let mut ran = false;
        self.change_sweep(|known| {
            ran = !known.pool.busy.is_empty();
            known.pool.busy.clear();
            known.pool.todo.clear();
            known.pool.hands.iter().for_each(Link::stop);
        });
        if ran {
            self.keep_sweep();
        }
    }

    fn hand(self, hand: usize) -> Link {
        self.sweep.with_value(|known| known.pool.hands[hand])
    }

    /// Starts a worker and gives it its first trial.
    fn hire(self, hand: usize) {
        let link = self.hand(hand);
        if let Err(reason) = link.start(Rc::new(move |report| self.receive_from(hand, report))) {
            return self.give_up(&reason);
        }
        let (gpu, own) = self.sweep.with_value(|known| {
            let data = &known.sweep.base.data;
            (known.gpu, (data.set == DataSet::Own).then(|| data.hash.clone()))
        });
        link.greet(if gpu { Backend::Webgpu } else { Backend::Cpu });
        let begin = move || self.next_trial(hand);
        match own {
            Some(hash) => keep::send_file(link, hash, begin),
            None => begin(),
        }
    }

    /// Gives a worker the next trial, or sends it home.
    fn next_trial(self, hand: usize) {
        let mut command = None;
        self.change_sweep(|known| {
            known.pool.busy.retain(|one| one.hand != hand);
            // Only trials that have a recipe are on the list.
            if let Some(trial) = known.pool.todo.pop()
                && let Ok(spec) = known.sweep.spec(trial)
            {
                known.pool.busy.push(Busy { hand, trial, share: 0.0 });
                let what = SweepCommand::Trial { trial: trial as u32, spec, target: known.sweep.target };
                command = Some(Command::Sweep(what));
            }
        });
        let link = self.hand(hand);
        match command {
            Some(command) => link.send(&command, &[]),
            None => link.stop(),
        }
    }

    fn receive_from(self, hand: usize, report: Report) {
        match report {
            Report::Event(event, _) => match *event {
                Event::Sweep(SweepEvent::TrialProgress { fraction, .. }) => {
                    self.sweep.update_value(|known| {
                        if let Some(one) = known.pool.busy.iter_mut().find(|one| one.hand == hand) {
                            one.share = fraction;
                        }
                    });
                    self.trial_tick.update(|tick| *tick = tick.wrapping_add(1));
                }
                Event::Sweep(SweepEvent::Trial { trial, outcome }) => {
                    let trial = trial as usize;
                    self.change_sweep(|known| {
                        known.pool.work[1] += known.sweep.work(trial);
                        known.pool.deaths = 0;
                        if let Some(outcome) = outcome {
                            known.results.take(trial, outcome);
                        }
                    });
                    self.refresh_sweep();
                    self.next_trial(hand);
                }
                // What fails in one cell may do in the others; a worker whose device is lost has another one by now.
                Event::Error { message, .. } | Event::DeviceLost { message, .. } => {
                    self.blame(hand, "No result", &message);
                    self.next_trial(hand);
                }
                _ => {}
            },
            Report::Loading(_) => {}
            Report::Unreadable(reason) => self.give_up(&reason),
            Report::Died(reason) => {
                self.blame(hand, "Begun anew", &reason);
                let mut deaths = 0;
                self.sweep.update_value(|known| {
                    // After all others: it may be what its worker died of.
                    let pool = &mut known.pool;
                    pool.todo.splice(..0, pool.busy.iter().filter(|one| one.hand == hand).map(|one| one.trial));
                    deaths = pool.deaths;
                });
                if deaths > MOST_DEATHS { self.give_up(&reason) } else { self.hire(hand) }
            }
        }
    }

    /// Says what became of the cell in a worker's hands, and why.
    fn blame(self, hand: usize, what: &str, reason: &str) {
        self.change_sweep(|known| {
            let one = known.pool.busy.iter().find(|one| one.hand == hand);
            let cell = one.map_or_else(|| "a cell".into(), |one| known.sweep.name(one.trial));
            known.problem = format!("{what} at {cell}: {reason}");
            known.pool.deaths += 1;
        });
    }

    /// Ends it because nothing more will come of it.
    fn give_up(self, reason: &str) {
        self.stop_sweep();
        self.change_sweep(|known| known.problem = format!("The sweep stopped: {reason}"));
    }
}
