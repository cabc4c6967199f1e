//! What the worker says, taken into the page's state. What belongs to a run that is no longer shown is dropped, except
//! its last checkpoint.

use std::time::Duration;

use engine::protocol::{BackendInfo, DataEvent, Event, RunEvent, RunId, RunState, StudyEvent, SweepEvent, VERSION};
use engine::spec::{Edit, Issue};
use engine::tree;
use js_sys::Uint8Array;
use leptos::prelude::*;

use super::series::Evaluation;
use super::{Banner, Engine, Lab, Progress, RateTest, Run, bench, keep, tabs};
use crate::figure::export;
use crate::link::Report;
use crate::reactive::RwSignal;
use crate::text::percent;

/// A worker that dies again within so many milliseconds is not started once more by itself.
const LOOP_MS: f64 = 15_000.0;

/// What is shown of the runs' numbers follows them at this distance.
const REFRESH: Duration = Duration::from_millis(60);

impl Lab {
    /// Takes in a report of the worker.
    pub fn receive(self, report: Report) {
        self.answers();
        match report {
            Report::Loading(share) => loading(self.engine, share),
            Report::Event(event, buffers) => self.take(*event, &buffers),
            Report::Unreadable(reason) => {
                self.toast(format!("A message of the engine could not be read: {reason}"), true);
            }
            Report::Died(reason) => self.mourn(&reason),
        }
    }

    /// The worker is to be replaced by another one: it does not answer.
    pub fn replace_engine(self) {
        self.answers();
        self.died_at.set_value(f64::NEG_INFINITY);
        self.mourn("it did not answer");
    }

    /// The worker has died: start another one, and let it go on from the last checkpoint.
    fn mourn(self, reason: &str) {
        self.link.stop();
        let now = js_sys::Date::now();
        let again = now - self.died_at.get_value() > LOOP_MS;
        self.died_at.set_value(now);
        bench::fail_all(self, reason);
        self.rate_test.update(|test| test.ended = true);
        self.progress.set(None);
        // What it was asked is lost with it.
        self.untell();
        self.early.set_value(Vec::new());
        self.asked.set(Vec::new());
        let run = self.run.get_untracked();
        let from = self.states.with_value(|states| states.get(&run).map(|(step, _)| *step)).unwrap_or(0);
        self.runs.update(|runs| {
            if let Some(row) = runs.iter_mut().find(|row| row.id == run) {
                row.step = from;
                row.state = RunState::Paused;
            }
        });
        if again {
            let what = if from > 0 {
                format!("the run is back at step {from}")
            } else {
                "the run is back at its start".into()
            };
            self.trouble(format!("The engine stopped ({reason}). It was started anew; {what}."));
            self.connect();
            self.tell();
        } else {
            self.engine.set(Engine::Stopped(reason.into()));
        }
    }

    /// The studies' worker has said what this page cannot read.
    fn unread(self, reason: &str) {
        self.toast(format!("A message of the studies could not be read: {reason}"), true);
    }

    /// Takes in what only this page and the studies' worker read.
    fn opened<T>(self, event: Result<T, tree::Error>, hear: impl FnOnce(T)) {
        match event {
            Ok(event) => hear(event),
            Err(error) => self.unread(&error.to_string()),
        }
    }

    /// Takes in a report of the studies' worker.
    pub fn receive_study(self, report: Report) {
        match report {
            Report::Loading(share) => loading(self.study_engine, share),
            Report::Event(event, buffers) => match *event {
                Event::Ready { version, backend } => {
                    self.ready(self.study_engine, version, backend);
                    self.tell_fewshot();
                }
                Event::Fewshot(event) => self.opened(event.open(), |event| self.hear_fewshot(event, &buffers)),
                Event::Continual(event) => self.opened(event.open(), |event| self.hear_continual(event, &buffers)),
                // Of what it computes on; the lab's data are its own worker's to tell.
                Event::Data(_) => {}
                Event::Progress { run: None, fraction, message, .. } => self.study_runs.update(|runs| {
                    for run in runs.values_mut().filter(|run| run.running) {
                        run.message = format!("{message} {}", percent(fraction));
                    }
                }),
                // Why a study has failed it says itself.
                Event::Error { message, .. } => self.toast(message, true),
                event => self.take(event, &buffers),
            },
            Report::Unreadable(reason) => self.unread(&reason),
            Report::Died(reason) => {
                self.study_link.stop();
                let reason = if window().navigator().on_line() {
                    reason
                } else {
                    "studies have a program of their own, which this device keeps once a study has been opened online"
                        .into()
                };
                self.end_studies(&reason);
                self.forget_fewshot();
                self.forget_continual();
                // It may have been writing a script.
                self.progress.set(None);
                self.study_engine.set(Engine::Stopped(reason));
            }
        }
    }

    /// Studies that go on have come to an end that they did not plan.
    fn end_studies(self, reason: &str) {
        if self.study_runs.with_untracked(|runs| runs.values().any(|run| run.running)) {
            self.study_runs.update(|runs| {
                for run in runs.values_mut().filter(|run| run.running) {
                    run.running = false;
                    run.message = format!("Stopped: {reason}");
                }
            });
        }
    }

    /// Says what went wrong until it is dismissed.
    fn trouble(self, text: String) {
        self.banners.update(|banners| {
            banners.retain(|banner| !matches!(banner, Banner::Trouble(_)));
            banners.push(Banner::Trouble(text));
        });
    }

    /// Shows what has come of the runs' numbers, soon and with whatever else comes until then: a small network may send
    /// a hundred times a second.
    fn refresh(self) {
        if !self.stale.get_value() {
            self.stale.set_value(true);
            set_timeout(move || self.show_numbers(), REFRESH);
        }
    }

    /// Shows what has come of the runs' numbers, now.
    pub(super) fn show_numbers(self) {
        self.stale.set_value(false);
        let run = self.run.get_untracked();
        let done = self.series.with_value(|all| all.get(&run).map_or(0, |series| series.len() as u64));
        if self.current_untracked(|row| row.step < done).unwrap_or(false) {
            self.row(run, |row| row.step = done);
        }
        self.tick.update(|tick| *tick = tick.wrapping_add(1));
    }

    fn is_current(self, run: RunId) -> bool {
        self.run.get_untracked() == run
    }

    fn row(self, run: RunId, change: impl FnOnce(&mut Run)) {
        self.runs.update(|runs| {
            if let Some(row) = runs.iter_mut().find(|row| row.id == run) {
                change(row);
            }
        });
    }

    fn take(self, event: Event, buffers: &[Uint8Array]) {
        match event {
            Event::Ready { version, backend } => {
                self.ready(self.engine, version, backend);
                self.draw_sweep();
            }
            Event::Data(DataEvent::Card { card }) => self.card.set(Some(card)),
            Event::Data(DataEvent::Asked { choice }) => self.asked(choice),
            Event::Data(DataEvent::Imported { data, card }) => self.imported(data, card),
            Event::DeviceLost { message, recovered_from_step, .. } => {
                let then = match recovered_from_step {
                    Some(step) => format!(" The run was rebuilt and goes on from step {step}."),
                    None => " It was set up again.".into(),
                };
                self.trouble(format!("The GPU device was lost: {}.{then}", message.trim_end_matches('.')));
            }
            Event::Progress { run, phase, fraction, eta_s, message } if run.is_none_or(|run| self.is_current(run)) => {
                // A share that is not known (NaN) is no end.
                let ended = fraction >= 1.0;
                self.progress.set((!ended).then_some(Progress { phase, fraction, eta_s, message }));
            }
            Event::Run { run, what } => self.take_of_run(run, what, buffers),
            Event::Study { id, what } => self.take_of_study(id, what),
            Event::Sweep(SweepEvent::Figures { link, figures }) => self.sweep_drawn(&link, figures),
            Event::Bench { row } => bench::finished(self, row),
            Event::Error { run, path, message } => self.failed(run, path, message),
            // Progress of another run; of trials the workers' pool is told, of a lab its own page.
            _ => {}
        }
    }

    /// Takes in what a run says; what one says that is no longer shown counts only where it has a row.
    fn take_of_run(self, run: RunId, what: RunEvent, buffers: &[Uint8Array]) {
        match what {
            RunEvent::Configured { spec, issues, summary } if self.is_current(run) => {
                self.summary.set(Some(summary));
                for issue in issues {
                    self.complain(issue);
                }
                self.row(run, |row| row.spec = spec.clone());
                if self.spec.with_untracked(|known| *known != spec) {
                    self.spec.set(spec);
                }
            }
            RunEvent::Metrics(metrics) if self.known(run) => {
                self.series.update_value(|all| all.or_default(run).take(&metrics, js_sys::Date::now()));
                self.refresh();
            }
            RunEvent::Evaluated { step, loss, accuracy, n } if self.known(run) => {
                if self.is_current(run) {
                    self.count_tested(n);
                }
                let evaluation = Evaluation { step, loss, accuracy: accuracy.unwrap_or(f64::NAN) };
                self.series.update_value(|all| all.or_default(run).evaluated(evaluation));
                self.refresh();
            }
            RunEvent::State { step, state } if self.known(run) => self.state_changed(run, step, state),
            RunEvent::Edited { edit } => self.edited(run, edit),
            RunEvent::Checkpoint { step, state } if self.known(run) => {
                if let Some(bytes) = buffers.get(state.0) {
                    self.checkpoint(run, step, bytes);
                }
            }
            RunEvent::Exported { name, mime, file } => {
                if let Some(bytes) = buffers.get(file.0) {
                    export::bytes(&name, &mime, bytes);
                }
            }
            RunEvent::Look { step, figures } if self.is_current(run) => {
                self.look_step.set(step);
                self.looks.update(|known| merge(known, figures));
            }
            RunEvent::Probed { figures } if self.is_current(run) => self.curvature.set(figures),
            RunEvent::Findings { findings } if self.is_current(run) => self.findings.set(findings),
            RunEvent::RateTest { figure, suggestions, fraction, ended } if self.is_current(run) => {
                self.rate_test
                    .update(|test| *test = RateTest { range: test.range, figure, suggestions, fraction, ended });
            }
            RunEvent::Text { step, text } if self.is_current(run) => self.sample.set(Some((step, text))),
            RunEvent::NonFinite { step, tensor, message } if self.known(run) => {
                self.row(run, |row| row.state = RunState::Failed);
                if self.is_current(run) {
                    self.failure.set(Some(format!("Stopped at step {step}: {tensor} is not finite. {message}")));
                    self.progress.set(None);
                }
            }
            // Of a run that is no longer shown.
            _ => {}
        }
    }

    fn take_of_study(self, id: u32, what: StudyEvent) {
        match what {
            StudyEvent::Progress { done, total, eta_s, message } => self.study_runs.update(|runs| {
                let run = runs.or_default(id);
                run.running = true;
                run.done = [done, total];
                run.eta_s = eta_s;
                run.message = message;
            }),
            StudyEvent::Figures { figures } => self.study_runs.update(|runs| {
                merge(&mut runs.or_default(id).figures, figures);
            }),
            StudyEvent::Done { verdict, figures, failure } => {
                self.study_runs.update(|runs| {
                    let run = runs.or_default(id);
                    run.running = false;
                    run.eta_s = None;
                    let took = (js_sys::Date::now() - run.begun_ms) / 1000.0;
                    run.message = match failure {
                        Some(reason) => format!("Stopped: {reason}"),
                        None if verdict.is_some() => format!("It took {} here.", crate::text::seconds(took)),
                        None => "Cancelled.".into(),
                    };
                    run.verdict = verdict;
                    merge(&mut run.figures, figures);
                });
                keep::save_study(self, id);
            }
        }
    }

    /// On its way a run is tested on fewer examples than at its end.
    fn count_tested(self, n: usize) {
        let [least, most] = self.tested.get_untracked();
        let counted = if least == 0 { [n, n] } else { [least.min(n), most.max(n)] };
        if counted != [least, most] {
            self.tested.set(counted);
        }
    }

    /// A control was turned in mid-run: recorded as the engine has done, in place of what it was turned to before at the
    /// same step.
    fn edited(self, run: RunId, edit: Edit) {
        let path = edit.path.clone();
        self.row(run, |row| {
            // What the engine has recorded the page can record, too; if not, it would have to be kept all the same.
            if row.spec.record(edit.step, &edit.path, &edit.value).is_err() {
                row.spec.edits.push(edit);
            }
        });
        if self.is_current(run) {
            if let Some(spec) = self.current_untracked(|row| row.spec.clone()) {
                self.spec.set(spec);
            }
            self.settle(&path);
        }
    }

    /// What a control was turned to has an answer.
    fn settle(self, path: &str) {
        self.asked.update(|asked| {
            if let Some(place) = asked.iter().position(|(known, _)| known == path) {
                asked.remove(place);
            }
        });
    }

    fn checkpoint(self, run: RunId, step: u64, bytes: &Uint8Array) {
        if self.is_current(run) {
            // Those after it are of a future that was given up.
            self.checkpoints.update(|steps| {
                steps.retain(|known| *known < step);
                steps.push(step);
            });
        }
        self.states.update_value(|states| {
            states.insert(run, (step, bytes.clone()));
        });
        keep::save_run(self, run);
        keep::save_state(self, run, step, bytes);
    }

    /// Whether a run has a row: metrics and checkpoints of one that was just left still count.
    pub fn known(self, run: RunId) -> bool {
        self.runs.with_untracked(|runs| runs.iter().any(|row| row.id == run))
    }

    fn ready(self, engine: RwSignal<Engine>, version: u32, backend: BackendInfo) {
        if version != VERSION {
            self.banners.update(|banners| {
                if !banners.contains(&Banner::Outdated) {
                    banners.push(Banner::Outdated);
                }
            });
        }
        engine.set(Engine::Ready(backend));
        // Now that the first thing is done, app/start.js sees to offline use.
        if let Ok(event) = web_sys::Event::new("engine-ready") {
            // An event that nobody receives is no failure.
            let _ = window().dispatch_event(&event);
        }
    }

    fn state_changed(self, run: RunId, step: u64, state: RunState) {
        if step > 0 || state == RunState::Running {
            tabs::take_run(run);
        }
        self.series.update_value(|all| {
            if let Some(series) = all.get_mut(&run)
                && step < series.len() as u64
            {
                series.rewind(step);
            }
        });
        self.row(run, |row| {
            row.step = step;
            row.state = state;
        });
        self.tick.update(|tick| *tick = tick.wrapping_add(1));
        if state != RunState::Running {
            if self.is_current(run) {
                self.progress.set(None);
            }
            keep::save_run(self, run);
        }
    }

    fn failed(self, run: Option<RunId>, path: Option<String>, message: String) {
        if run.is_some_and(|run| !self.is_current(run)) {
            return;
        }
        if bench::failed(self, path.as_deref(), &message) {
            return;
        }
        match &path {
            Some(path) => self.settle(path),
            None => {
                self.rate_test.update(|test| test.ended = true);
                self.asked.set(Vec::new());
            }
        }
        self.progress.set(None);
        if let Some(run) = run {
            self.row(run, |row| {
                if row.state == RunState::Running && row.step == 0 {
                    row.state = RunState::Paused;
                }
            });
        }
        match path {
            Some(path) if engine::spec::field(&self.spec.get_untracked(), &path).is_some() => {
                self.complain(Issue::new(&path, message, ""));
            }
            // A message behind the dialog would not be seen.
            None if self.chooses() => self.refusal.set(Some(message)),
            _ => self.toast(message, true),
        }
    }
}

/// More of a program has arrived; the last of it may be told when the engine stands already.
fn loading(engine: RwSignal<Engine>, share: f64) {
    if engine.with_untracked(|engine| matches!(engine, Engine::Starting(_))) {
        engine.set(Engine::Starting(share));
    }
}

/// Figures of the same id are replaced, new ones come behind.
fn merge(known: &mut Vec<engine::figure::Figure>, new: Vec<engine::figure::Figure>) {
    for figure in new {
        match known.iter_mut().find(|known| known.id == figure.id) {
            Some(place) => *place = figure,
            None => known.push(figure),
        }
    }
}
