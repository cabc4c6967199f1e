//! What outlives the tab: runs with their numbers and last checkpoint, own files, results of studies. Where the browser
//! keeps nothing (private windows, a full disk) the lab works on and says so once.

use std::cell::{Cell, RefCell};

use engine::figure::{Figure, Verdict};
use engine::protocol::{Blob, Command, DataCommand, RunId, RunState};
use engine::spec::RunSpec;
use engine::sweep::Results;
use engine::tree::{self, FromTree};
use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::series::{Evaluation, Series};
use super::studies::Setting;
use super::{Banner, Lab, Run, StudyRun, effective, tabs};
use crate::link::{Link, copy};
use crate::store;

/// Files larger than this are not kept: the browser would rather not.
const LARGEST_FILE: u32 = 256 << 20;

/// How long the database may take before the lab goes on without it.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(1500);

thread_local! {
    /// The last file that was sent, until the worker says what it is.
    static PENDING: RefCell<Option<JsValue>> = const { RefCell::new(None) };
    /// Whether a person has brought the file that was sent last; otherwise the page itself has fetched it for a link.
    static BROUGHT: Cell<bool> = const { Cell::new(false) };
    /// Hashes of the files that the lab's worker has read.
    static HELD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Whether it was said that nothing can be kept.
    static SAID: RefCell<bool> = const { RefCell::new(false) };
}

/// A run without its long columns; also the head of an exported run.
#[derive(Serialize, FromTree)]
struct Head {
    id: RunId,
    spec: RunSpec,
    state: RunState,
    step: u64,
    pinned: bool,
    #[serde(default)]
    name: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    began: Option<f64>,
    /// Step, loss and accuracy (null where there are no classes).
    evaluations: Vec<(u64, Option<f64>, Option<f64>)>,
}

/// A run as a file: what the page and the command line exchange.
#[derive(Serialize, FromTree)]
struct RunFile {
    spec: RunSpec,
    #[serde(default)]
    name: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    began: Option<f64>,
    steps: Columns,
    #[serde(default)]
    evaluations: Vec<FileEvaluation>,
}

/// Columns of equal length; null where there is no number.
#[derive(Serialize, FromTree, Default)]
#[serde(default)]
struct Columns {
    loss: Vec<Option<f32>>,
    accuracy: Vec<Option<f32>>,
    lr: Vec<Option<f32>>,
    batch: Vec<Option<f32>>,
    grad_norm: Vec<Option<f32>>,
    step_ms: Vec<Option<f32>>,
    host_ms: Vec<Option<f32>>,
    momentum: Vec<Option<f32>>,
}

#[derive(Serialize, FromTree)]
struct FileEvaluation {
    step: u64,
    loss: Option<f64>,
    accuracy: Option<f64>,
}

/// A study's result.
#[derive(Serialize, FromTree)]
struct StudyFile {
    study_done: StudyResult,
}

#[derive(Serialize, FromTree)]
struct StudyResult {
    id: u32,
    verdict: Option<Verdict>,
    figures: Vec<Figure>,
    #[serde(default)]
    set: Setting,
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

fn object(entries: &[(&str, &JsValue)]) -> JsValue {
    let object = Object::new();
    for (key, value) in entries {
        // A plain object takes any key.
        let _ = Reflect::set(&object, &JsValue::from_str(key), value);
    }
    object.into()
}

impl Lab {
    /// Brings back the runs of earlier visits, offers the last one that was cut short, and then has the current recipe
    /// built: only now is its number certain.
    pub fn recall(self) {
        // A database that never answers must not keep the lab from working.
        set_timeout(move || self.begin(), PATIENCE);
        spawn_local(async move {
            match store::all(store::RUNS).await {
                Ok(records) => self.take_back(records.iter().filter_map(parse).collect(), &tabs::taken().await),
                Err(reason) => say(self, &reason),
            }
            self.begin();
            if let Ok(records) = store::all(store::STUDIES).await {
                self.study_runs.update(|runs| {
                    for (id, study) in records.iter().filter_map(parse_study) {
                        // One that has begun on this visit is newer.
                        if !runs.contains_key(&id) {
                            runs.insert(id, study);
                        }
                    }
                });
            }
            self.recall_sweep();
        });
    }

    /// From now on the worker may be told the current recipe, under a number that stays.
    fn begin(self) {
        if !self.recalled.get_value() {
            self.recalled.set_value(true);
            self.renumber();
        }
        self.tell();
    }

    /// By ascending number, as the database gives them; `taken`: those that another tab has in hand.
    fn take_back(self, records: Vec<(Head, Series)>, taken: &[f64]) {
        let Some(last) = records.iter().map(|(head, _)| head.id).max() else { return };
        self.last_run.update_value(|known| *known = last.max(*known));
        // The database was late: a number was given before these were known.
        if self.recalled.get_value() && self.run.get_untracked() <= last {
            self.renumber();
        }
        let free = |head: &&Head| !taken.contains(&f64::from(head.id));
        let cut_short = cut_short(records.iter().map(|(head, _)| head).filter(free));
        let rows: Vec<Run> = records
            .iter()
            .map(|(head, _)| Run {
                id: head.id,
                spec: head.spec.clone(),
                state: if head.state == RunState::Running { RunState::Paused } else { head.state },
                step: head.step,
                overlay: head.pinned,
                pinned: head.pinned,
                name: head.name.clone(),
                note: head.note.clone(),
            })
            .collect();
        self.runs.update(|runs| {
            runs.splice(0..0, rows);
        });
        self.series.update_value(|all| {
            for (head, series) in records {
                all.insert(head.id, series);
            }
        });
        self.tick.update(|tick| *tick = tick.wrapping_add(1));
        if let Some(id) = cut_short.filter(|_| self.current_untracked(|run| !run.begun()).unwrap_or(false)) {
            self.banners.update(|banners| banners.push(Banner::Resume(id)));
        }
    }

    /// Gives the current run, unless the engine has begun it, a number of its own.
    fn renumber(self) {
        let old = self.run.get_untracked();
        let begun = self.current_untracked(Run::begun).unwrap_or(true);
        if begun && self.loaded.get_value() {
            return;
        }
        let id = self.number();
        self.runs.update(|runs| {
            // It comes behind those of earlier visits.
            if let Some(run) = runs.iter_mut().rev().find(|run| run.id == old) {
                run.id = id;
            }
        });
        self.run.set(id);
        self.summary.set(None);
        self.untell();
    }

    /// Adds a run from a file to the table.
    pub fn add_run(self, mut run: Run, series: Series) {
        let issues = run.spec.sanitize();
        if let Some(issue) = issues.first() {
            self.toast(format!("This run was made with a recipe that does not fit here: {}", issue.message), true);
        }
        let id = self.number();
        run.id = id;
        if run.step >= effective(&run.spec).steps {
            run.state = RunState::Done;
        }
        self.runs.update(|runs| {
            let place = runs.len().saturating_sub(1);
            runs.insert(place, run);
        });
        self.series.update_value(|all| {
            all.insert(id, series);
        });
        self.tick.update(|tick| *tick = tick.wrapping_add(1));
        save_run(self, id);
        self.toast("The run is in the table and drawn behind the current one.", false);
    }
}

/// The last run of those that are kept, by ascending number, that has not come to its end, unless it has failed.
fn cut_short<'a>(heads: impl DoubleEndedIterator<Item = &'a Head>) -> Option<RunId> {
    let open = |head: &&Head| head.step > 0 && head.state != RunState::Done && head.step < effective(&head.spec).steps;
    heads.rev().find(open).filter(|head| head.state != RunState::Failed).map(|head| head.id)
}

/// Says once that nothing can be kept, and why.
fn say(lab: Lab, reason: &str) {
    if !SAID.replace(true) {
        lab.toast(format!("Runs are not kept when this tab closes: {reason}."), true);
    }
}

fn head(lab: Lab, id: RunId) -> Option<(Head, Series)> {
    let row = lab.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).cloned())?;
    let series = lab.series.with_value(|all| all.get(&id).cloned()).unwrap_or_default();
    let evaluations = series.evaluations.iter().map(|e| (e.step, finite(e.loss), finite(e.accuracy))).collect();
    let Run { spec, state, step, pinned, name, note, .. } = row;
    let head = Head { id, spec, state, step, pinned, name, note, began: series.began, evaluations };
    Some((head, series))
}

/// Keeps a run's recipe and numbers.
pub fn save_run(lab: Lab, id: RunId) {
    let Some((head, series)) = head(lab, id) else { return };
    if head.step == 0 {
        return;
    }
    let json = tree::json(&head);
    let columns: Array =
        series.columns.iter().map(|column| JsValue::from(Float32Array::from(column.as_slice()))).collect();
    let record = object(&[("json", &JsValue::from_str(&json)), ("columns", &columns)]);
    spawn_local(async move {
        if let Err(reason) = store::put(store::RUNS, &JsValue::from(id), &record).await {
            say(lab, &reason);
        }
    });
}

/// Keeps a run's last checkpoint.
pub fn save_state(lab: Lab, id: RunId, step: u64, bytes: &Uint8Array) {
    let record = object(&[("step", &JsValue::from_f64(step as f64)), ("bytes", bytes)]);
    spawn_local(async move {
        if let Err(reason) = store::put(store::STATES, &JsValue::from(id), &record).await {
            say(lab, &reason);
        }
    });
}

/// Fetches a run's checkpoint, if there is one that this visit does not know, and then goes on.
pub fn load_state(lab: Lab, id: RunId, then: impl FnOnce() + 'static) {
    spawn_local(async move {
        let known = lab.states.with_value(|states| states.contains_key(&id));
        if !known && let Ok(record) = store::get(store::STATES, &JsValue::from(id)).await {
            let step = get(&record, "step").as_f64();
            let bytes = get(&record, "bytes").dyn_into::<Uint8Array>();
            if let (Some(step), Ok(bytes)) = (step, bytes) {
                lab.states.update_value(|states| {
                    states.insert(id, (step as u64, bytes));
                });
            }
        }
        then();
    });
}

/// Forgets a run.
pub fn forget(id: RunId) {
    spawn_local(async move {
        for name in [store::RUNS, store::STATES] {
            // What was never kept need not be forgotten.
            let _ = store::delete(name, &JsValue::from(id)).await;
        }
    });
}

fn parse(record: &JsValue) -> Option<(Head, Series)> {
    let head: Head = tree::parse(get(record, "json").as_string()?).ok()?;
    let columns = get(record, "columns").dyn_into::<Array>().ok()?;
    let mut series = Series { began: head.began, ..Series::default() };
    for (i, column) in series.columns.iter_mut().enumerate() {
        // A column that an earlier build did not keep stays empty.
        if (i as u32) < columns.length() {
            *column = columns.get(i as u32).dyn_into::<Float32Array>().ok()?.to_vec();
        }
    }
    let nan = f64::NAN;
    series.evaluations = head
        .evaluations
        .iter()
        .map(|(step, loss, accuracy)| Evaluation {
            step: *step,
            loss: loss.unwrap_or(nan),
            accuracy: accuracy.unwrap_or(nan),
        })
        .collect();
    Some((head, series))
}

/// A run as JSON, to be read back by any lab or the command line.
pub fn run_json(lab: Lab, id: RunId) -> Option<String> {
    let (head, series) = head(lab, id)?;
    let [loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum] =
        series.columns.map(|column| column.into_iter().map(|value| value.is_finite().then_some(value)).collect());
    let file = RunFile {
        spec: head.spec,
        name: head.name,
        note: head.note,
        began: head.began,
        steps: Columns { loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum },
        evaluations: head
            .evaluations
            .into_iter()
            .map(|(step, loss, accuracy)| FileEvaluation { step, loss, accuracy })
            .collect(),
    };
    Some(tree::json(&file))
}

/// Reads a run's JSON: the run, still without a number, and its numbers. None if it is something else.
pub fn read_run(text: &str) -> Option<(Run, Series)> {
    let file: RunFile = tree::parse(text).ok()?;
    let Columns { loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum } = file.steps;
    let columns = [loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum];
    let columns = columns.map(|column| column.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect());
    let mut series = Series { columns, evaluations: Vec::new(), began: file.began };
    // One at a time, as they come from a run: a file may hold them in any order.
    for FileEvaluation { step, loss, accuracy } in file.evaluations {
        let [loss, accuracy] = [loss, accuracy].map(|value| value.unwrap_or(f64::NAN));
        series.evaluated(Evaluation { step, loss, accuracy });
    }
    let run = Run::new(0, file.spec, RunState::Paused);
    Some((Run { step: series.len() as u64, pinned: true, name: file.name, note: file.note, ..run }, series))
}

/// Holds on to a file until the worker has read it and said its hash.
pub fn remember_file(name: &str, files: &[(String, Uint8Array)]) {
    expect();
    let size: f64 = files.iter().map(|(_, bytes)| f64::from(bytes.length())).sum();
    if size > f64::from(LARGEST_FILE) {
        PENDING.set(None);
        return;
    }
    let paths: Array = files.iter().map(|(path, _)| JsValue::from_str(path)).collect();
    let contents: Array = files.iter().map(|(_, bytes)| JsValue::from(copy(bytes))).collect();
    PENDING.set(Some(object(&[("name", &JsValue::from_str(name)), ("paths", &paths), ("contents", &contents)])));
}

/// What the worker reads next, a person has brought.
pub fn expect() {
    BROUGHT.set(true);
}

/// What the worker reads next, the page sends it by itself.
pub fn resend() {
    BROUGHT.set(false);
}

/// Whether the lab's worker has read a file and need not be sent it.
pub fn held(hash: &str) -> bool {
    HELD.with_borrow(|held| held.iter().any(|known| known == hash))
}

/// The lab's worker has read a file.
pub fn hold(hash: &str) {
    if !held(hash) {
        HELD.with_borrow_mut(|held| held.push(hash.to_owned()));
    }
}

/// The lab has another worker, which has read nothing.
pub fn let_go() {
    HELD.with_borrow_mut(Vec::clear);
}

/// Whether a person has brought the file that the worker has just read. One that the page has sent by itself must change
/// nothing: the page would send it again for what it was changed to.
pub fn brought() -> bool {
    BROUGHT.get()
}

/// The worker has read the file: keep it under its hash.
pub fn file_read(lab: Lab, hash: &str) {
    hold(hash);
    let Some(record) = PENDING.take() else { return };
    let key = JsValue::from_str(hash);
    spawn_local(async move {
        if let Err(reason) = store::put(store::FILES, &key, &record).await {
            say(lab, &reason);
        }
    });
}

/// Sends a kept file to the worker, then goes on. A file that is not kept is asked for by the worker's own message.
pub fn send_file(link: Link, hash: String, then: impl FnOnce() + 'static) {
    spawn_local(async move {
        if let Ok(record) = store::get(store::FILES, &JsValue::from_str(&hash)).await
            && let (Ok(paths), Ok(contents)) =
                (get(&record, "paths").dyn_into::<Array>(), get(&record, "contents").dyn_into::<Array>())
        {
            let name = get(&record, "name").as_string().unwrap_or_default();
            let path = |(i, path): (usize, JsValue)| (path.as_string().unwrap_or_default(), Blob(i));
            let files = paths.iter().enumerate().map(path).collect();
            let buffers: Vec<Uint8Array> = contents.iter().filter_map(|bytes| bytes.dyn_into().ok()).collect();
            link.send(&Command::Data(DataCommand::Import { name, files }), &buffers);
        }
        then();
    });
}

/// Keeps a study's result.
pub fn save_study(lab: Lab, id: u32) {
    let Some(run) = lab.study_runs.with_untracked(|runs| runs.get(&id).cloned()) else { return };
    if run.verdict.is_none() {
        return;
    }
    let result = StudyFile { study_done: StudyResult { id, verdict: run.verdict, figures: run.figures, set: run.set } };
    let json = tree::json(&result);
    spawn_local(async move {
        if let Err(reason) = store::put(store::STUDIES, &JsValue::from(id), &JsValue::from_str(&json)).await {
            say(lab, &reason);
        }
    });
}

fn parse_study(record: &JsValue) -> Option<(u32, StudyRun)> {
    let StudyFile { study_done: StudyResult { id, verdict, figures, set } } = tree::parse(record.as_string()?).ok()?;
    Some((id, StudyRun { figures, verdict, set, ..StudyRun::default() }))
}

/// Keeps what came of a sweep under its link.
pub fn save_sweep(lab: Lab, link: &str, results: &Results) {
    let json = tree::json(results);
    let (key, json) = (JsValue::from_str(link), JsValue::from_str(&json));
    spawn_local(async move {
        if let Err(reason) = store::put(store::SWEEPS, &key, &json).await {
            say(lab, &reason);
        }
    });
}

/// What is kept of a sweep.
pub async fn kept_sweep(link: &str) -> Option<Results> {
    let record = store::get(store::SWEEPS, &JsValue::from_str(link)).await.ok()?;
    tree::parse(record.as_string()?).ok()
}

/// Keeps a small setting.
pub fn remember(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        // A full or forbidden storage forgets; the setting holds until the tab closes.
        let _ = storage.set_item(key, value);
    }
}

/// A small setting of an earlier visit.
pub fn recalled(key: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(key).ok()?
}

/// The key, among the files, of the person's own classes of the few-shot lab.
const OWN_CLASSES: &str = "own-classes";

/// Keeps the few-shot lab's own classes, as the file that the engine saves; none = there are none.
pub fn save_own_classes(lab: Lab, file: Option<Uint8Array>) {
    spawn_local(async move {
        let key = JsValue::from_str(OWN_CLASSES);
        let kept = match file {
            Some(file) => store::put(store::FILES, &key, &file).await,
            None => store::delete(store::FILES, &key).await,
        };
        if let Err(reason) = kept {
            say(lab, &reason);
        }
    });
}

/// The own classes that an earlier visit has kept.
pub async fn kept_own_classes() -> Option<Uint8Array> {
    store::get(store::FILES, &JsValue::from_str(OWN_CLASSES)).await.ok()?.dyn_into().ok()
}

#[cfg(test)]
#[test]
fn a_run_is_cut_short_by_its_steps_with_all_edits() {
    let head = |id, state, step, edit: &str| {
        let mut spec = RunSpec { steps: 100, ..RunSpec::default() };
        if !edit.is_empty() {
            spec.record(10, "steps", edit).unwrap();
        }
        let (name, note) = (String::new(), String::new());
        Head { id, spec, state, step, pinned: false, name, note, began: None, evaluations: Vec::new() }
    };
    let offered = |heads: &[Head]| cut_short(heads.iter());
    assert_eq!(offered(&[head(1, RunState::Paused, 50, ""), head(2, RunState::Paused, 0, "")]), Some(1));
    assert_eq!(offered(&[head(1, RunState::Done, 100, "")]), None);
    // Made shorter and at its end; made longer and not.
    assert_eq!(offered(&[head(1, RunState::Paused, 50, "50"), head(2, RunState::Done, 50, "50")]), None);
    assert_eq!(offered(&[head(1, RunState::Paused, 100, "200")]), Some(1));
    assert_eq!(offered(&[head(1, RunState::Paused, 50, ""), head(2, RunState::Failed, 50, "")]), None);
}
