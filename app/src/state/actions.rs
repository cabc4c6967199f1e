//! What a person can do: turn controls, run, pause, rewind, open runs.

use engine::protocol::{Backend, Blob, Command, DataCommand, Export, Probe, RunCommand, RunId, RunState, StudyCommand};
use engine::range::outline;
use engine::spec::{DataSet, EffectiveSchedule, Issue, Link as Address, RunSpec, Shape, field, preset};
use js_sys::Uint8Array;
use leptos::prelude::*;
use std::rc::Rc;
use std::time::Duration;

use super::fewshot::Picture;
use super::studies::Setting;
use super::{Banner, Engine, Former, Lab, RateTest, Run, StudyRun, UNDO_S, Undo, keep};
use crate::link::{Link, Report, copy};
use crate::panels::own_picture::OWN_PICTURE;
use crate::reactive::RwSignal;

/// A recipe that is being turned settles for so long before it is built.
const SETTLE: Duration = Duration::from_millis(180);
/// The table makes room for a new run from so many on.
const MOST_RUNS: usize = 40;

impl Lab {
    /// Starts the worker that the shown page needs, unless it has been started before.
    pub fn wake(self) {
        if self.engine_here().with(|engine| *engine == Engine::Absent) {
            untrack(|| self.restart());
        }
    }

    /// Starts the worker that the shown page needs, also in place of one that has stopped for good.
    pub fn restart(self) {
        if self.page.get_untracked().of_studies() {
            self.connect_studies();
        } else {
            self.connect();
            self.tell();
        }
    }

    /// Starts the lab's worker, unless it has been started before, whatever page is shown.
    pub(super) fn wake_lab(self) {
        if self.engine.with_untracked(|engine| *engine == Engine::Absent) {
            self.connect();
            self.tell();
        }
    }

    /// Starts the lab's worker and greets it.
    pub(super) fn connect(self) {
        self.untell();
        keep::let_go();
        self.start(self.link, self.engine, Rc::new(move |report| self.receive(report)));
    }

    /// Starts the studies' worker and greets it.
    fn connect_studies(self) {
        self.forget_fewshot();
        self.start(self.study_link, self.study_engine, Rc::new(move |report| self.receive_study(report)));
    }

    fn start(self, link: Link, engine: RwSignal<Engine>, receive: Rc<dyn Fn(Report)>) {
        engine.set(Engine::Starting(0.0));
        match link.start(receive) {
            Ok(()) => link.greet(self.backend.get_untracked()),
            Err(reason) => engine.set(Engine::Stopped(reason)),
        }
    }

    /// Tells the worker the current recipe, and its state if it has one, as soon as there is a worker.
    pub(super) fn tell(self) {
        let hears = self.engine.with_untracked(Engine::hears);
        let run = self.run.get_untracked();
        let unknown = !self.recalled.get_value() || self.fetching.get_value() == Some(run);
        if !hears || self.told.get_value() || unknown {
            return;
        }
        self.told.set_value(true);
        let spec = self.spec.get_untracked();
        let own = (spec.data.set == DataSet::Own).then(|| spec.data.hash.clone());
        let state = self.states.with_value(|states| states.get(&run).map(|(_, bytes)| copy(bytes)));
        let configure = move || {
            if self.run.get_untracked() != run {
                return;
            }
            self.loaded.set_value(true);
            self.ask(RunCommand::Configure { spec: spec.clone() });
            if self.card.with_untracked(Option::is_none) {
                self.link.send(&Command::Data(DataCommand::Inspect { spec: spec.clone() }), &[]);
            }
            if let Some(bytes) = &state {
                let what = RunCommand::Restore { checkpoint: Blob(0) };
                self.link.send(&Command::Run { run, what }, std::slice::from_ref(bytes));
            }
            for (what, buffers) in self.early.try_update_value(std::mem::take).unwrap_or_default() {
                self.ask_with(what, buffers);
            }
        };
        match own {
            // A worker that has just started has not read the file yet.
            Some(hash) if !keep::held(&hash) => {
                keep::resend();
                keep::send_file(self.link, hash, configure);
            }
            _ => configure(),
        }
    }

    /// The worker does not know the current recipe, or no longer.
    pub(super) fn untell(self) {
        self.told.set_value(false);
        self.loaded.set_value(false);
    }

    /// Asks something of the current run.
    fn ask(self, what: RunCommand) {
        self.ask_with(what, Vec::new());
    }

    /// The same with the buffers that its blobs name. What is asked before the worker has the run waits until then.
    pub(super) fn ask_with(self, what: RunCommand, buffers: Vec<Uint8Array>) {
        if self.loaded.get_value() {
            self.link.send(&Command::Run { run: self.run.get_untracked(), what }, &buffers);
        } else {
            self.early.update_value(|early| early.push((what, buffers)));
        }
    }

    /// Tells it once the recipe has not changed for a moment.
    fn tell_soon(self) {
        self.untell();
        let run = self.run.get_untracked();
        set_timeout(
            move || {
                if self.run.try_get_untracked() == Some(run) {
                    self.tell();
                }
            },
            SETTLE,
        );
    }

    /// Turns one control of the recipe. During a run, live controls change what is still to come; any other control
    /// begins a new run and keeps the old one in the table.
    pub fn set(self, path: &str, text: &str) {
        self.issues.update(|issues| issues.retain(|issue| issue.path != path));
        if (path, text) == ("schedule", Shape::Drawn.id()) && self.shown_now().schedule.kind != Shape::Drawn {
            // A hand goes on from the curve that it finds.
            let all = untrack(|| self.examples());
            let known = self.spec.with_untracked(|spec| EffectiveSchedule::new(spec, all).traced());
            known.iter().for_each(|(path, text)| self.set(path, text));
        }
        let begun = self.current_untracked(Run::begun).unwrap_or(false);
        let state = self.current_untracked(|run| run.state);
        let mut spec = self.shown_now();
        if spec.get(path).as_deref() == Some(text) {
            return;
        }
        if let Err(issue) = spec.set(path, text) {
            self.complain(issue);
            return;
        }
        let live = field(&spec, path).is_some_and(|field| field.live);
        let data = path.split('.').next() == Some("data");
        let by_hand = live && data;
        let going = matches!(state, Some(RunState::Running | RunState::Paused))
            || (state == Some(RunState::Done) && (path == "steps" || by_hand));
        if begun && live && going {
            self.asked.update(|asked| asked.push((path.into(), text.into())));
            self.ask(RunCommand::Edit { path: path.into(), value: text.into() });
            return;
        }
        if begun {
            self.toast("This change starts a new run; the one before stays in the table.", false);
        }
        if data && !by_hand {
            // What was done by hand was done to other examples.
            spec.data.moved.clear();
            spec.data.dropped.clear();
        }
        for issue in spec.sanitize() {
            self.complain(issue);
        }
        let looks = self.looks.get_untracked();
        self.adopt(spec);
        if by_hand && !looks.is_empty() {
            // What a person has a hand on does not go away.
            self.looks.set(looks);
            self.look();
        }
    }

    /// Shows an issue beside its control; one that has no control on the page is said aloud.
    pub fn complain(self, issue: Issue) {
        self.issues.update(|issues| {
            issues.retain(|known| known.path != issue.path);
            issues.push(issue);
        });
    }

    /// Makes a recipe the current one, as a run that has not begun.
    pub fn adopt(self, spec: RunSpec) {
        let id = self.number();
        let old = self.run.get_untracked();
        let begun = self.current_untracked(Run::begun).unwrap_or(false);
        if begun && self.current_untracked(|run| run.state) != Some(RunState::Failed) {
            self.ask(RunCommand::Pause);
            self.ask(RunCommand::Save);
        }
        if self.spec.with_untracked(|known| known.data != spec.data) {
            self.card.set(None);
        }
        let row = Run::new(id, spec.clone(), RunState::Paused);
        self.runs.update(|runs| match runs.iter_mut().find(|run| run.id == old && !run.begun()) {
            Some(run) => *run = row,
            None => {
                if let Some(run) = runs.iter_mut().find(|run| run.id == old && run.state == RunState::Running) {
                    run.state = RunState::Paused;
                }
                runs.push(row);
            }
        });
        self.show(id, spec);
        self.tell_soon();
        while let Some(oldest) = self.runs.with_untracked(|runs| surplus(runs, id)) {
            self.put_away(oldest, format!(": the table holds {MOST_RUNS} runs. Pin what is to stay."));
        }
    }

    /// Makes a row the current one and forgets what was shown of another.
    fn show(self, id: RunId, spec: RunSpec) {
        self.run.set(id);
        self.early.set_value(Vec::new());
        self.asked.set(Vec::new());
        self.summary.set(None);
        self.checkpoints.set(Vec::new());
        self.failure.set(None);
        self.looks.set(Vec::new());
        self.curvature.set(Vec::new());
        self.findings.set(Vec::new());
        self.tested.set([0; 2]);
        self.sample.set(None);
        self.progress.set(None);
        self.rate_test.update(|test| test.ended = true);
        if self.spec.with_untracked(|known| *known != spec) {
            self.spec.set(spec);
        }
    }

    /// Starts again from a preset.
    pub fn choose_preset(self, id: &str) {
        let Some(preset) = preset(id) else { return };
        self.preset.set(preset.id.into());
        self.issues.set(Vec::new());
        self.adopt(preset.spec());
    }

    /// Run or pause.
    pub fn toggle(self) {
        match self.current_untracked(|run| run.state) {
            Some(RunState::Running) => self.pause(),
            Some(RunState::Done | RunState::Failed) => {
                self.reset();
                self.go();
            }
            _ => self.go(),
        }
    }

    fn go(self) {
        self.tell();
        self.tell_pace();
        self.ask(RunCommand::Train);
        self.mark(self.run.get_untracked(), RunState::Running);
    }

    /// Says how fast the run may go.
    fn tell_pace(self) {
        self.ask(RunCommand::Pace { per_second: self.pace.get_untracked() });
    }

    /// Lets runs go no faster than so many updates a second; 0 = as fast as they can.
    pub fn set_pace(self, per_second: f64) {
        self.pace.set(per_second);
        self.tell_pace();
    }

    /// Pauses the current run. Where it is said to be paused, its newest numbers are shown.
    pub fn pause(self) {
        self.ask(RunCommand::Pause);
        self.show_numbers();
        self.mark(self.run.get_untracked(), RunState::Paused);
    }

    /// Pauses the current run if it goes on, to leave the engine to something else.
    pub fn rest(self) {
        if self.current_untracked(|run| run.state) == Some(RunState::Running) {
            self.pause();
        }
    }

    /// Sets a row's state before the worker confirms it, so that the button answers at once.
    pub(super) fn mark(self, run: RunId, state: RunState) {
        self.runs.update(|runs| {
            if let Some(row) = runs.iter_mut().find(|row| row.id == run) {
                row.state = state;
            }
        });
    }

    /// One update.
    pub fn step_once(self) {
        if self.current_untracked(|run| run.state) != Some(RunState::Paused) {
            return;
        }
        self.tell();
        self.ask(RunCommand::Step);
    }

    /// The same recipe from the start, without edits but for what was done to the data by hand; a run that has begun stays in the
    /// table.
    pub fn reset(self) {
        if self.current_untracked(Run::begun).unwrap_or(false) {
            self.adopt(RunSpec { edits: Vec::new(), data: self.shown_now().data, ..self.spec.get_untracked() });
        }
    }

    /// Returns to the state after `step` updates.
    pub fn rewind(self, step: u64) {
        self.failure.set(None);
        self.ask(RunCommand::Rewind { step });
    }

    /// Trains a run that has ended by half as long again.
    pub fn train_on(self) {
        let steps = self.shown_now().steps;
        self.set("steps", &(steps + steps.div_ceil(2)).to_string());
        self.go();
    }

    /// Shows the pictures behind a cell of the confusion matrix: truth and guess.
    pub fn look_into(self, [truth, guess]: [usize; 2]) {
        self.tell();
        self.ask(RunCommand::Cell { truth, guess });
    }

    /// Shows a picture on the pad and has it told apart, while there is a pad.
    pub fn show_picture(self, picture: Picture) {
        if let Some(pad) = self.pad.get_untracked() {
            pad.show(picture);
            self.try_picture(pad.picture());
        }
    }

    /// Looks inside now.
    pub fn look(self) {
        self.tell();
        self.ask(RunCommand::Look { views: Vec::new(), sample: 0 });
    }

    /// Asks what the network makes of a picture, now and whenever it is looked into; none = of no picture any more.
    pub fn try_picture(self, picture: Option<Picture>) {
        self.tell();
        if picture.is_none() {
            self.looks.update(|known| known.retain(|figure| figure.id != OWN_PICTURE));
        }
        let what = RunCommand::Try { picture: picture.as_ref().map(Picture::raw) };
        self.ask_with(what, picture.into_iter().map(|picture| picture.bytes).collect());
    }

    /// Measures the curvature now.
    pub fn probe(self, probe: Probe) {
        self.tell();
        self.ask(RunCommand::Probe { probe });
    }

    /// Tests learning rates on a copy of the run as it is now.
    pub fn find_rate(self) {
        self.tell();
        let range = self.rate_test.with_untracked(|test| test.range);
        self.rate_test.set(RateTest { range, figure: outline(), ..RateTest::default() });
        self.ask(RunCommand::FindRate { range });
    }

    /// Stops testing them.
    pub fn stop_finding(self) {
        if self.rate_test.with_untracked(|test| !test.ended) {
            self.ask(RunCommand::FindRateCancel);
        }
    }

    /// Takes a learning rate over: into the recipe, or in mid-run as edits of what is still to come.
    pub fn use_rate(self, rate: f64) {
        self.dialog.set(None);
        let all = untrack(|| self.examples());
        let going = matches!(self.current_untracked(|run| run.state), Some(RunState::Running | RunState::Paused));
        let now = self.current_untracked(|run| run.step).filter(|_| going).unwrap_or(0);
        let turns = self.spec.with_untracked(|spec| EffectiveSchedule::new(spec, all).raised(now, rate));
        if turns.is_empty() {
            self.toast("The schedule is at 0 for all that is still to come: no peak gives it this rate.", true);
        }
        turns.iter().for_each(|(path, value)| self.set(path, value));
    }

    /// Lets the language model write.
    pub fn write(self, prompt: String, temperature: f64) {
        self.tell();
        self.ask(RunCommand::SampleText { prompt, temperature, length: 240 });
    }

    /// Makes a run of the table the current one, in its last known state.
    pub fn open(self, id: RunId) {
        if id == self.run.get_untracked() {
            return;
        }
        let Some(spec) =
            self.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).map(|run| run.spec.clone()))
        else {
            return;
        };
        let old = self.run.get_untracked();
        if self.current_untracked(Run::begun).unwrap_or(false) {
            self.ask(RunCommand::Pause);
            self.ask(RunCommand::Save);
            self.runs.update(|runs| {
                if let Some(run) = runs.iter_mut().find(|run| run.id == old && run.state == RunState::Running) {
                    run.state = RunState::Paused;
                }
            });
        } else {
            self.runs.update(|runs| runs.retain(|run| run.id != old));
        }
        if self.spec.with_untracked(|known| known.data != spec.data) {
            self.card.set(None);
        }
        self.show(id, spec);
        self.untell();
        // Its state may be in the database only.
        self.fetching.set_value(Some(id));
        keep::load_state(self, id, move || {
            self.fetching.update_value(|fetching| *fetching = fetching.filter(|run| *run != id));
            self.tell();
        });
    }

    /// Opens a run of an earlier visit where it was cut short.
    pub fn resume(self, id: RunId) {
        self.banners.update(|banners| banners.retain(|banner| *banner != Banner::Resume(id)));
        self.open(id);
    }

    /// Takes a run off the table, to which it can be brought back for a while; the current one is replaced by a fresh start.
    pub fn delete(self, id: RunId) {
        if id == self.run.get_untracked() {
            self.reset();
        }
        // A run that has not begun is still the current one.
        if id != self.run.get_untracked() {
            self.put_away(id, ".".into());
        }
    }

    /// The same with one that is not the current one; `why` ends what is said of it.
    fn put_away(self, id: RunId, why: String) {
        let name = self.name_of(id);
        let mut row = None;
        self.runs.update(|runs| row = runs.iter().position(|run| run.id == id).map(|place| runs.remove(place)));
        let Some(row) = row else { return };
        let series = self.series.try_update_value(|series| series.remove(&id)).flatten();
        let state = self.states.try_update_value(|states| states.remove(&id)).flatten();
        self.remember(Former(row, series, state));
        self.announce(format!("“{name}” is deleted{why}"), false, Some(Undo::Run(id)));
        let forget = move || {
            let there = self.runs.with_untracked(|runs| runs.iter().any(|run| run.id == id));
            if !there && self.take_former(id).is_some() {
                keep::forget(id);
            }
        };
        set_timeout(forget, std::time::Duration::from_secs(UNDO_S));
    }

    /// Gives a run another name and note.
    pub fn rename(self, id: RunId, name: String, note: String) {
        let run = self.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).cloned());
        let Some(run) = run.filter(|run| run.name != name || run.note != note) else { return };
        self.remember(Former(run, None, None));
        self.call(id, &name, &note);
        self.announce(format!("Saved as “{}”.", self.name_of(id)), false, Some(Undo::Run(id)));
    }

    fn name_of(self, id: RunId) -> String {
        let name =
            |names: &Vec<(RunId, String)>| names.iter().find(|(known, _)| *known == id).map(|(_, name)| name.clone());
        self.names.with_untracked(name).unwrap_or_default()
    }

    fn call(self, id: RunId, name: &str, note: &str) {
        self.runs.update(|runs| {
            if let Some(run) = runs.iter_mut().find(|run| run.id == id) {
                run.name = name.to_owned();
                run.note = note.to_owned();
            }
        });
        keep::save_run(self, id);
    }

    /// Brings something back as it was.
    pub fn undo(self, what: Undo) {
        match what {
            Undo::Run(id) => self.bring_back(id),
            Undo::Sweep(link, results) => self.bring_back_sweep(&link, results),
            Undo::Classes => self.bring_back_own(),
        }
    }

    /// Puts a run back as it was: to its place, or to its name and note.
    fn bring_back(self, id: RunId) {
        let Some(Former(row, series, state)) = self.take_former(id) else { return };
        if self.runs.with_untracked(|runs| runs.iter().any(|run| run.id == id)) {
            self.call(id, &row.name, &row.note);
            return;
        }
        if let Some(series) = series {
            self.series.update_value(|all| {
                all.insert(id, series);
            });
        }
        if let Some(state) = state {
            self.states.update_value(|states| {
                states.insert(id, state);
            });
        }
        self.runs.update(|runs| {
            let place = runs.iter().position(|run| run.id > id).unwrap_or(runs.len());
            runs.insert(place, row);
        });
        self.tick.update(|tick| *tick = tick.wrapping_add(1));
    }

    /// Of each run the last change alone can be undone.
    fn remember(self, run: Former) {
        drop(self.take_former(run.0.id));
        self.former.update_value(|former| former.push(run));
    }

    fn take_former(self, id: RunId) -> Option<Former> {
        let take = |former: &mut Vec<Former>| {
            let place = former.iter().position(|Former(row, ..)| row.id == id)?;
            Some(former.remove(place))
        };
        self.former.try_update_value(take).flatten()
    }

    /// Asks the worker for a file of the current run.
    pub fn export(self, kind: Export) {
        self.tell();
        self.ask(RunCommand::Export { kind });
    }

    /// Changes the executor.
    pub fn choose_backend(self, backend: Backend) {
        self.backend.set(backend);
        keep::remember("executor", backend_id(backend));
        for link in [self.link, self.study_link] {
            link.send(&Command::SetBackend { backend }, &[]);
        }
    }

    /// Has a run written as a script.
    pub fn write_script(self, run: RunId, address: &Address, framework: &str) {
        self.need_studies();
        let command = StudyCommand::Script { run, link: address.fragment(), framework: framework.to_owned() };
        let ask = move || self.study_link.send(&Command::Study(command), &[]);
        keep::send_file(self.study_link, address.spec.data.hash.clone(), ask);
    }

    fn need_studies(self) {
        if !self.study_engine.with_untracked(Engine::hears) {
            self.connect_studies();
        }
    }

    /// Runs a study.
    pub fn run_study(self, id: u32, set: Setting) {
        self.rest();
        self.need_studies();
        let Setting { knobs, seeds } = set.clone();
        self.study_runs.update(|runs| {
            let (begun_ms, message) = (js_sys::Date::now(), "Starting".into());
            runs.insert(id, StudyRun { running: true, begun_ms, message, set, ..StudyRun::default() });
        });
        self.study_link.send(&Command::Study(StudyCommand::Run { id, knobs, seeds, first_seed: 1 }), &[]);
    }

    /// Says goodbye for now: the tab is hidden and may never come back.
    pub fn save(self) {
        if self.current_untracked(Run::begun).unwrap_or(false) {
            self.ask(RunCommand::Save);
        }
    }
}

impl Run {
    /// One that has done nothing yet.
    pub fn new(id: RunId, spec: RunSpec, state: RunState) -> Self {
        let (name, note) = (String::new(), String::new());
        Self { id, spec, state, step: 0, overlay: true, pinned: false, name, note }
    }

    /// Whether it has done, or is about to do, an update.
    pub fn begun(&self) -> bool {
        self.step > 0 || self.state != RunState::Paused
    }
}

/// The run that makes room where there are too many: the oldest that is neither pinned nor the current one.
fn surplus(runs: &[Run], current: RunId) -> Option<RunId> {
    let oldest = runs.iter().find(|run| !run.pinned && run.id != current).map(|run| run.id);
    oldest.filter(|_| runs.len() > MOST_RUNS)
}

/// As kept between visits.
pub const fn backend_id(backend: Backend) -> &'static str {
    match backend {
        Backend::Auto => "auto",
        Backend::Cpu => "cpu",
        Backend::Webgpu => "webgpu",
    }
}

/// The executor of that name; automatic for anything else.
pub fn backend_of(id: &str) -> Backend {
    match id {
        "cpu" => Backend::Cpu,
        "webgpu" => Backend::Webgpu,
        _ => Backend::Auto,
    }
}

#[cfg(test)]
#[test]
fn the_oldest_makes_room_unless_it_is_pinned_or_the_current_one() {
    let row = |id| Run::new(id, RunSpec::default(), RunState::Done);
    let mut runs: Vec<Run> = (1..=MOST_RUNS as RunId).map(row).collect();
    assert_eq!(surplus(&runs, 1), None);
    runs.push(row(99));
    assert_eq!([surplus(&runs, 99), surplus(&runs, 1)], [Some(1), Some(2)]);
    runs.iter_mut().take(MOST_RUNS).for_each(|run| run.pinned = true);
    assert_eq!(surplus(&runs, 99), None);
}
