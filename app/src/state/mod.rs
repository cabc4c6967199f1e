//! All that the page knows. Signals are made once, by the page itself, and live as long as it does: a message from the
//! worker may arrive at any time and must find them.

pub mod actions;
pub mod address;
pub mod bench;
pub mod compare;
pub mod continual;
pub mod events;
pub mod fewshot;
pub mod files;
pub mod keep;
pub mod lessons;
pub mod logs;
pub mod pool;
pub mod series;
pub mod studies;
pub mod sweep;
pub mod tabs;
pub mod watchdog;

use std::sync::atomic::{AtomicUsize, Ordering};

use continual::Learning;
use engine::continual::ContinualSpec;
use engine::fewshot::FewshotLink;
use engine::figure::{Figure, Verdict};
use engine::pairs::Pairs;
use engine::protocol::{
    Backend, BackendInfo, BenchRow, Choice, DataCard, Finding, Phase, RunCommand, RunId, RunState, StudyCard, Summary,
};
use engine::range::{Range, Suggestion};
use engine::spec::{Content, EffectiveSchedule, FIELDS, Field, Issue, Link as Address, Page, RunSpec};
use engine::sweep::{Results, Sweep};
use js_sys::Uint8Array;
use leptos::prelude::*;
use lessons::{Shipped, Way};

use crate::link::{Link, Program};
use crate::reactive::{RwSignal, Signal};
use compare::{Begun, Group};
use fewshot::Fewshot;
use series::Series;
use studies::Setting;
use sweep::Sweeping;

use crate::widgets::pad::Pad;

/// What is known about the worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Engine {
    /// Nothing has needed it yet.
    Absent,
    /// It loads; so much of its code has arrived, 0..=1.
    Starting(f64),
    /// It runs on this.
    Ready(BackendInfo),
    /// It has died, for this reason.
    Stopped(String),
}

impl Engine {
    /// Whether there is one that hears, now or soon.
    const fn hears(&self) -> bool {
        matches!(self, Self::Starting(_) | Self::Ready(_))
    }
}

/// A row of the table of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Its recipe with all edits.
    pub spec: RunSpec,
    /// What it does.
    pub state: RunState,
    /// Updates done.
    pub step: u64,
    /// Whether its lines are drawn behind those of the current run.
    pub overlay: bool,
    /// Whether it is kept when the table is cleared.
    pub pinned: bool,
    /// What a person calls it; empty = what differs from its neighbours.
    pub name: String,
    /// What a person has noted about it.
    pub note: String,
}

/// How long a deleted run can be brought back, in seconds.
const UNDO_S: u64 = 12;

/// A run as it was before it was deleted, with its numbers and its last checkpoint, or before it got another name or note.
struct Former(Run, Option<Series>, Option<(u64, Uint8Array)>);

/// Long work that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What kind.
    pub phase: Phase,
    /// Share done.
    pub fraction: f64,
    /// Seconds still needed.
    pub eta_s: Option<f64>,
    /// In a few words.
    pub message: String,
}

/// A short message that goes away.
#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    /// Its number.
    pub id: usize,
    /// What it says.
    pub text: String,
    /// Whether something did not work.
    pub bad: bool,
    /// What it can bring back.
    pub undo: Option<Undo>,
}

/// What can be brought back as it was before a person took it away.
#[derive(Debug, Clone, PartialEq)]
pub enum Undo {
    /// A run, or its name and note.
    Run(RunId),
    /// What had come of a sweep, by its link.
    Sweep(String, Results),
    /// The few-shot lab's own classes.
    Classes,
}

/// A message that stays until it is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Banner {
    /// Something stopped; what was done about it.
    Trouble(String),
    /// A run of an earlier visit could go on.
    Resume(RunId),
    /// Page and worker are of different builds.
    Outdated,
}

/// A dialog that is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Dialog {
    /// The link to what is shown.
    Share,
    /// Keys and how to begin.
    Help,
    /// Adapter, limits and executor.
    Preflight,
    /// Columns of a table or arrays of an archive, before it is used.
    Columns(Choice),
    /// The test of learning rates.
    FindRate,
    /// A run's name and note.
    Name(RunId),
    /// What differs between the runs.
    Differences,
}

/// How a link names a control that it hides alone. One that is named as its group is that group's kind.
pub fn alone(field: &Field) -> String {
    if field.path == field.group() { format!("{}.kind", field.path) } else { field.path.into() }
}

/// Panels of the lab that a link may hide: name in links, and on the page.
pub const PANELS: [(&str, &str); 7] = [
    ("panel.accuracy", "Accuracy"),
    ("panel.rate", "Learning rate"),
    ("panel.batch", "Batch size"),
    ("panel.runs", "Runs"),
    ("panel.look", "Look inside"),
    ("panel.curvature", "Curvature"),
    ("panel.data", "Data"),
];

/// The test of learning rates, as far as it has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateTest {
    /// The rates that it tries, or that the next one will.
    pub range: Range,
    /// Loss over learning rate.
    pub figure: Figure,
    /// Rates to use.
    pub suggestions: Vec<Suggestion>,
    /// Share of its updates done.
    pub fraction: f64,
    /// Whether none goes on.
    pub ended: bool,
}

/// A study as it stands on this page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StudyRun {
    /// Whether it runs now.
    pub running: bool,
    /// Runs finished and in all.
    pub done: [u32; 2],
    /// Seconds still needed.
    pub eta_s: Option<f64>,
    /// What goes on.
    pub message: String,
    /// When it began, in milliseconds since some fixed moment.
    pub begun_ms: f64,
    /// How it was set.
    pub set: Setting,
    /// Its figures so far.
    pub figures: Vec<Figure>,
    /// Its conclusion.
    pub verdict: Option<Verdict>,
}

/// The page's state. Copied freely: it is a handful of keys.
#[derive(Clone, Copy)]
pub struct Lab {
    /// Which page is shown.
    pub page: RwSignal<Page>,
    /// Its settings, other than the lab's.
    pub settings: RwSignal<Vec<(String, String)>>,
    /// The preset that the recipe is compared with, by id.
    pub preset: RwSignal<String>,
    /// The recipe with the edits of the current run.
    pub spec: RwSignal<RunSpec>,
    /// Controls of the current run that were turned, and to what, as long as the engine has not answered.
    pub asked: RwSignal<Vec<(String, String)>>,
    /// Controls that are not shown.
    pub hide: RwSignal<Vec<String>>,
    /// What whoever opens the link is asked to do; may be empty.
    pub task: RwSignal<String>,
    /// What the lab hides and asks for, while another page is shown.
    pub handed: RwSignal<(Vec<String>, String)>,
    /// Whether it is shown within another page.
    pub embed: RwSignal<bool>,
    /// Whether it is shown to a class, larger.
    pub present: RwSignal<bool>,
    /// What is wrong, and at which control.
    pub issues: RwSignal<Vec<Issue>>,
    /// The lab's worker.
    pub engine: RwSignal<Engine>,
    /// The studies' worker.
    pub study_engine: RwSignal<Engine>,
    /// Updates a second at most; 0 = as many as can be.
    pub pace: RwSignal<f64>,
    /// The executor asked for.
    pub backend: RwSignal<Backend>,
    /// Long work of the current run or of nobody.
    pub progress: RwSignal<Option<Progress>>,
    /// The current run.
    pub run: RwSignal<RunId>,
    /// What it costs, once it is built.
    pub summary: RwSignal<Option<Summary>>,
    /// Steps at which it can be returned to without replay.
    pub checkpoints: RwSignal<Vec<u64>>,
    /// Why it stopped.
    pub failure: RwSignal<Option<String>>,
    /// Views of its inside, by id.
    pub looks: RwSignal<Vec<Figure>>,
    /// The step at which these were drawn.
    pub look_step: RwSignal<u64>,
    /// The fewest and the most test examples that an evaluation took; 0 = not known.
    pub tested: RwSignal<[usize; 2]>,
    /// Figures of its curvature.
    pub curvature: RwSignal<Vec<Figure>>,
    /// What its numbers show: that it has diverged, and the like.
    pub findings: RwSignal<Vec<Finding>>,
    /// Where a person's own picture is drawn or shown, while there is such a place.
    pub pad: RwSignal<Option<Pad>>,
    /// The last test of learning rates.
    pub rate_test: RwSignal<RateTest>,
    /// The data set.
    pub card: RwSignal<Option<DataCard>>,
    /// Text of the language model and the step at which it was written.
    pub sample: RwSignal<Option<(u64, String)>>,
    /// All runs, oldest first.
    pub runs: RwSignal<Vec<Run>>,
    /// Their numbers.
    pub series: StoredValue<Pairs<RunId, Series>>,
    /// Counts changes of `series`.
    pub tick: RwSignal<u32>,
    /// Every run, named by what differs from its neighbours.
    pub names: Signal<Vec<(RunId, String)>>,
    /// The runs that have begun, and their recipes.
    pub begun: Signal<Vec<Begun>>,
    /// What runs are grouped by: a control, or [`compare::SEEDS`]; empty = nothing.
    pub grouped: RwSignal<String>,
    /// The runs that have begun, in groups; none unless a person has asked for groups.
    pub groups: Signal<Vec<Group>>,
    /// The step under the pointer in any lane; NaN = none.
    pub cursor: RwSignal<f64>,
    /// The steps to which a hand has narrowed the lanes, and for which run.
    pub zoom: RwSignal<Option<(RunId, [u64; 2])>>,
    /// Whether the terms that texts explain are known.
    pub terms: RwSignal<bool>,
    /// All studies.
    pub studies: RwSignal<Vec<StudyCard>>,
    /// What they have shown here, by number.
    pub study_runs: RwSignal<Pairs<u32, StudyRun>>,
    /// The sweep.
    pub sweep: StoredValue<Sweeping>,
    /// Counts its changes, but for those of its trials' progress.
    pub sweep_tick: RwSignal<u32>,
    /// Counts reports of its trials' progress.
    pub trial_tick: RwSignal<u32>,
    /// Its map and, where there is one, the stable edge, as the engine has drawn them.
    pub sweep_figures: RwSignal<Vec<Figure>>,
    /// The few-shot lab.
    pub fewshot: Fewshot,
    /// The session of the continual lab.
    pub continual: StoredValue<Learning>,
    /// Counts its changes.
    pub continual_tick: RwSignal<u32>,
    /// Rows of the bench.
    pub bench: RwSignal<Vec<BenchRow>>,
    /// Short messages.
    pub toasts: RwSignal<Vec<Toast>>,
    /// Messages that stay.
    pub banners: RwSignal<Vec<Banner>>,
    /// The open dialog.
    pub dialog: RwSignal<Option<Dialog>>,
    /// Why what was chosen about a file cannot be used.
    pub refusal: RwSignal<Option<String>>,
    /// Whether the recipe is open as a sheet, on phones.
    pub sheet: RwSignal<bool>,
    /// Whether the lab says where to start.
    pub start: RwSignal<bool>,
    /// Whether the recipe shows its basic controls alone.
    pub basic: RwSignal<bool>,
    /// The lessons that come with the page.
    pub lessons: RwSignal<Vec<Shipped>>,
    /// How far a person has come in lessons, by their texts.
    pub ways: StoredValue<Pairs<String, Way>>,
    /// The lesson that is being written.
    pub draft: RwSignal<String>,
    /// The connection to the lab's worker.
    pub link: Link,
    /// The connection to the studies' worker.
    pub study_link: Link,
    /// The highest number of a run so far.
    last_run: StoredValue<RunId>,
    /// Whether numbers of runs wait to be shown.
    stale: StoredValue<bool>,
    /// Whether runs of earlier visits are known, or are no longer waited for.
    recalled: StoredValue<bool>,
    /// The run whose state is on its way from the database.
    fetching: StoredValue<Option<RunId>>,
    /// Whether the worker knows the current recipe, or will as soon as its file has been read.
    told: StoredValue<bool>,
    /// Whether it has been sent it.
    loaded: StoredValue<bool>,
    /// What was asked of the current run before that.
    early: StoredValue<Vec<(RunCommand, Vec<Uint8Array>)>, LocalStorage>,
    /// The last checkpoint of each run of this visit.
    states: StoredValue<Pairs<RunId, (u64, Uint8Array)>, LocalStorage>,
    /// Runs that can be brought back as they were.
    former: StoredValue<Vec<Former>, LocalStorage>,
    /// Benches that are waited for.
    pub waiting: StoredValue<Vec<bench::Waiting>, LocalStorage>,
    /// Workloads and executors that the engine has set up for a bench.
    pub benches: StoredValue<Vec<[String; 2]>, LocalStorage>,
    /// How long a worker that trains has said nothing.
    pub silence: watchdog::Silence,
    /// When the worker last died, to end a loop of deaths.
    died_at: StoredValue<f64>,
}

impl Lab {
    /// A fresh page that shows what an address says.
    pub fn new(address: Address) -> Self {
        let (sweep, issues) = match address.page {
            Page::Sweep => Sweep::read(&address),
            _ => (sweep::plain(), address.issues.clone()),
        };
        let (fewshot, issues) = match address.page {
            Page::Fewshot => engine::fewshot::read(&address),
            _ => (FewshotLink::default(), issues),
        };
        let (session, issues) = match address.page {
            Page::Continual => ContinualSpec::read(&address),
            _ => (continual::first(), issues),
        };
        // It gets its number when those of earlier visits are known.
        let runs = RwSignal::new(vec![Run::new(0, address.spec.clone(), RunState::Paused)]);
        let grouped = RwSignal::new(String::new());
        let begun = Signal::memo(move |_| runs.with(|runs| compare::begun(runs)));
        Self {
            names: Signal::memo(move |_| runs.with(|runs| compare::names(runs))),
            begun,
            groups: Signal::memo(move |_| begun.with(|begun| grouped.with(|by| compare::groups(begun, by)))),
            sweep: StoredValue::new(Sweeping::new(sweep)),
            sweep_tick: RwSignal::new(0),
            continual: StoredValue::new(Learning::new(session)),
            continual_tick: RwSignal::new(0),
            trial_tick: RwSignal::new(0),
            sweep_figures: RwSignal::new(vec![sweep::promise()]),
            fewshot: Fewshot::new(fewshot),
            page: RwSignal::new(address.page),
            settings: RwSignal::new(address.settings),
            preset: RwSignal::new(address.preset),
            spec: RwSignal::new(address.spec),
            asked: RwSignal::new(Vec::new()),
            hide: RwSignal::new(address.hide),
            task: RwSignal::new(address.task),
            handed: RwSignal::new(Default::default()),
            embed: RwSignal::new(address.embed),
            present: RwSignal::new(address.present),
            issues: RwSignal::new(issues),
            pace: RwSignal::new(0.0),
            engine: RwSignal::new(Engine::Absent),
            study_engine: RwSignal::new(Engine::Absent),
            backend: RwSignal::new(keep::recalled("executor").map_or(Backend::Auto, |id| actions::backend_of(&id))),
            progress: RwSignal::new(None),
            run: RwSignal::new(0),
            summary: RwSignal::new(None),
            checkpoints: RwSignal::new(Vec::new()),
            failure: RwSignal::new(None),
            looks: RwSignal::new(Vec::new()),
            look_step: RwSignal::new(0),
            tested: RwSignal::new([0; 2]),
            curvature: RwSignal::new(Vec::new()),
            findings: RwSignal::new(Vec::new()),
            pad: RwSignal::new(None),
            rate_test: RwSignal::new(RateTest { ended: true, ..RateTest::default() }),
            card: RwSignal::new(None),
            sample: RwSignal::new(None),
            runs,
            series: StoredValue::new(Pairs::default()),
            tick: RwSignal::new(0),
            grouped,
            cursor: RwSignal::new(f64::NAN),
            zoom: RwSignal::new(None),
            terms: RwSignal::new(false),
            studies: RwSignal::new(Vec::new()),
            study_runs: RwSignal::new(Pairs::default()),
            bench: RwSignal::new(Vec::new()),
            toasts: RwSignal::new(Vec::new()),
            banners: RwSignal::new(Vec::new()),
            dialog: RwSignal::new(None),
            refusal: RwSignal::new(None),
            sheet: RwSignal::new(false),
            start: RwSignal::new(address::bare()),
            basic: RwSignal::new(address::bare()),
            lessons: RwSignal::new(Vec::new()),
            ways: StoredValue::new(Pairs::default()),
            draft: RwSignal::new(lessons::EXAMPLE.into()),
            link: Link::new(Program::Lab),
            study_link: Link::new(Program::Studies),
            last_run: StoredValue::new(0),
            stale: StoredValue::new(false),
            recalled: StoredValue::new(false),
            fetching: StoredValue::new(None),
            told: StoredValue::new(false),
            loaded: StoredValue::new(false),
            early: StoredValue::new_local(Vec::new()),
            states: StoredValue::new_local(Pairs::default()),
            former: StoredValue::new_local(Vec::new()),
            waiting: StoredValue::new_local(Vec::new()),
            benches: StoredValue::new_local(Vec::new()),
            silence: watchdog::Silence::new(),
            died_at: StoredValue::new(f64::NEG_INFINITY),
        }
    }

    /// The worker that the shown page needs: the studies', or the lab's.
    pub fn engine_here(&self) -> RwSignal<Engine> {
        if self.page.get().of_studies() { self.study_engine } else { self.engine }
    }

    /// The lab of the page that a component belongs to.
    pub fn of() -> Self {
        expect_context()
    }

    /// The current run's row, reactively.
    pub fn current<T>(&self, read: impl FnOnce(&Run) -> T) -> Option<T> {
        let id = self.run.get();
        self.runs.with(|runs| runs.iter().find(|run| run.id == id).map(read))
    }

    /// The same without subscribing.
    pub fn current_untracked<T>(&self, read: impl FnOnce(&Run) -> T) -> Option<T> {
        let id = self.run.get_untracked();
        self.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).map(read))
    }

    /// What the current run does.
    pub fn state(&self) -> RunState {
        self.current(|run| run.state).unwrap_or(RunState::Paused)
    }

    /// Whether there is a number to predict and no class: of a table only its card tells.
    pub fn predicts_numbers(&self) -> bool {
        match self.spec.with(|spec| spec.data.content()) {
            Content::Series => true,
            Content::Table => self.card.with(|card| {
                card.as_ref().is_some_and(|card| card.content == Content::Table && card.classes.is_empty())
            }),
            Content::Images | Content::Text => false,
        }
    }

    /// Updates that it has done.
    pub fn step(&self) -> u64 {
        self.current(|run| run.step).unwrap_or(0)
    }

    /// Examples in the training set, once they are known.
    pub fn known_examples(&self) -> Option<usize> {
        self.card.with(|card| card.as_ref().map(|card| card.train.max(1)))
    }

    /// The same; 1 until they are known.
    pub fn examples(&self) -> usize {
        self.known_examples().unwrap_or(1)
    }

    /// Whether the link hides a control, reactively.
    pub fn hides(&self, field: &Field) -> bool {
        self.hide.with(|hide| hide.iter().any(|path| *path == alone(field) || path == field.group()))
    }

    /// Whether a panel is shown, by its name in [`PANELS`].
    pub fn shows(&self, panel: &str) -> bool {
        self.hide.with(|hide| !hide.iter().any(|name| name == panel))
    }

    /// Whether there is a control to turn.
    pub fn has_controls(&self) -> bool {
        let spec = self.shown();
        FIELDS.iter().any(|field| field.applies(&spec) && !self.hides(field))
    }

    /// The recipe as its controls show it: with all edits made, also those that the engine has yet to answer.
    pub fn shown(&self) -> RunSpec {
        self.asked.with(|asked| self.spec.with(|spec| turned(spec, asked)))
    }

    /// The same without subscribing.
    pub fn shown_now(&self) -> RunSpec {
        self.asked.with_untracked(|asked| self.spec.with_untracked(|spec| turned(spec, asked)))
    }

    /// Reads the numbers of a run, reactively.
    pub fn numbers<T>(&self, run: RunId, read: impl FnOnce(&Series) -> T) -> Option<T> {
        self.tick.track();
        self.series.with_value(|all| all.get(&run).map(read))
    }

    /// Says something for a few seconds.
    pub fn toast(&self, text: impl Into<String>, bad: bool) {
        self.announce(text.into(), bad, None);
    }

    /// The same, with what it can bring back.
    fn announce(&self, text: String, bad: bool, undo: Option<Undo>) {
        // One that was dismissed must not take the next along when its time is over.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let toasts = self.toasts;
        let length = if bad || undo.is_some() { UNDO_S } else { 5 };
        toasts.update(|toasts| {
            toasts.retain(|known| known.text != text);
            toasts.push(Toast { id, text, bad, undo });
            let extra = toasts.len().saturating_sub(4);
            toasts.drain(..extra);
        });
        let forget = move || toasts.update(|toasts| toasts.retain(|toast| toast.id != id));
        set_timeout(forget, std::time::Duration::from_secs(length));
    }
}

/// The recipe after all its edits; the edits themselves are spent.
pub fn effective(spec: &RunSpec) -> RunSpec {
    if spec.edits.is_empty() { spec.clone() } else { EffectiveSchedule::new(spec, 0).at(u64::MAX).clone() }
}

/// The same with what was asked for since; what a recipe does not take is no part of it.
fn turned(spec: &RunSpec, asked: &[(String, String)]) -> RunSpec {
    let mut spec = effective(spec);
    for (path, value) in asked {
        let _ = spec.set(path, value);
    }
    spec
}

#[cfg(test)]
#[test]
fn a_control_shows_what_it_was_turned_to_last() {
    let mut spec = RunSpec::default();
    spec.record(5, "schedule.peak", "0.25").unwrap();
    let asked = |values: &[&str]| {
        values.iter().map(|value| ("schedule.peak".to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let shown = |values: &[&str]| turned(&spec, &asked(values)).get("schedule.peak").unwrap();
    assert_eq!([shown(&[]), shown(&["0.5"]), shown(&["0.5", "0.25"])], ["0.25", "0.5", "0.25"]);
    assert_eq!(shown(&["much"]), "0.25");
}
