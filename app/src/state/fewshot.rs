//! The few-shot lab: its session, what came of it so far, and what a person does with it. It goes on whatever page is
//! shown; the studies' worker computes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::fewshot::{
    Curve, EncoderCard, FewshotCommand, FewshotEvent, FewshotLink, Method, Over, OwnCommand, OwnState, Prediction, Raw,
    Scores, Source, SourceCard, TaskSeen, Training, Work, fewshot_preset,
};
use engine::protocol::Blob;
use engine::spec::{Issue, Page};
use js_sys::{Array, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::{Engine, Lab, Undo, keep};
use crate::controls::camera;
use crate::figure::export;
use crate::figure::sheet::Sheet;
use crate::link::{copy, words};
use crate::reactive::RwSignal;

/// A session that is being turned settles for so long before it is opened.
const SETTLE: Duration = Duration::from_millis(180);

/// How names of files of own classes end.
pub const OWN_ENDING: &str = ".mbcl";

/// What takes long and was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// The encoder learns.
    Train,
    /// Methods are compared.
    Compare,
    /// Accuracy against something.
    Curve(Over),
}

/// A message with pictures, and these as an image.
pub struct Seen<T> {
    /// The message.
    pub said: T,
    /// The image.
    pub sheet: Sheet,
}

impl<T> Drop for Seen<T> {
    fn drop(&mut self) {
        self.sheet.release();
    }
}

/// Such a message, once there is one.
pub type Shown<T> = RwSignal<Option<Arc<Seen<T>>>>;

/// A picture on its way to the engine.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Columns and rows.
    pub size: [usize; 2],
    /// 1 = grey, 4 = RGBA.
    pub channels: usize,
    /// Its bytes.
    pub bytes: Uint8Array,
}

impl Picture {
    /// As the engine is told of it: its bytes are the message's only buffer.
    pub fn raw(&self) -> Raw {
        let [width, height] = self.size;
        Raw { width, height, channels: self.channels, pixels: Blob(0) }
    }
}

/// All that the page knows of the few-shot lab.
#[derive(Clone, Copy)]
pub struct Fewshot {
    /// The session.
    pub link: RwSignal<FewshotLink>,
    /// Its pictures and its encoder, once it stands.
    pub cards: RwSignal<Option<(SourceCard, EncoderCard)>>,
    /// What is prepared, and how far.
    pub work: RwSignal<Option<(Work, f64)>>,
    /// What was asked for and goes on.
    pub busy: RwSignal<Option<Busy>>,
    /// The encoder's training.
    pub training: RwSignal<Training>,
    /// The task on view.
    pub task: Shown<TaskSeen>,
    /// The iteration on view; beyond the last = the last.
    pub step: RwSignal<usize>,
    /// The query that is looked at.
    pub query: RwSignal<usize>,
    /// The compared methods, and their pictures.
    pub scores: RwSignal<Option<(Scores, Vec<u8>)>>,
    /// Accuracies against shots and ways.
    pub curves: RwSignal<Vec<Curve>>,
    /// Classes of the person's own.
    pub own: Shown<OwnState>,
    /// Where the last picture that was asked about belongs.
    pub answer: Shown<Prediction>,
    /// That picture.
    asked: StoredValue<Option<Picture>, LocalStorage>,
    /// Number of the picture that is asked about: one that is still being drawn is one.
    id: StoredValue<u32>,
    /// Whether an answer about a picture is on its way, and whether there is to be another.
    waits: StoredValue<[bool; 2]>,
    /// The class that the next files are pictures of.
    onto: StoredValue<Option<usize>>,
    /// Of each file of own classes that is on its way, whether a person has asked for it; the others are kept.
    saves: StoredValue<VecDeque<bool>>,
    /// The file of own classes as it was kept last, and as it was before a class was taken away.
    kept: StoredValue<[Option<Uint8Array>; 2], LocalStorage>,
    /// What was asked about own classes before it was known which there are.
    early: StoredValue<Vec<(OwnCommand, Vec<Uint8Array>)>, LocalStorage>,
    /// Whether those of an earlier visit have been brought back, if there were any.
    recalled: StoredValue<bool>,
    /// What the worker was told last.
    told: StoredValue<Option<FewshotLink>>,
}

impl Fewshot {
    /// A session of which nothing is known.
    pub fn new(link: FewshotLink) -> Self {
        Self {
            link: RwSignal::new(link),
            cards: RwSignal::new(None),
            work: RwSignal::new(None),
            busy: RwSignal::new(None),
            training: RwSignal::new(Training::default()),
            task: RwSignal::new(None),
            step: RwSignal::new(usize::MAX),
            query: RwSignal::new(0),
            scores: RwSignal::new(None),
            curves: RwSignal::new(Vec::new()),
            own: RwSignal::new(None),
            answer: RwSignal::new(None),
            asked: StoredValue::new_local(None),
            id: StoredValue::new(0),
            waits: StoredValue::new([false; 2]),
            onto: StoredValue::new(None),
            saves: StoredValue::new(VecDeque::new()),
            kept: StoredValue::new_local([None, None]),
            early: StoredValue::new_local(Vec::new()),
            recalled: StoredValue::new(false),
            told: StoredValue::new(None),
        }
    }
}

impl Lab {
    /// Sends the few-shot lab a command.
    pub fn ask_fewshot(self, command: FewshotCommand, buffers: &[Uint8Array]) {
        self.study_link.send(&command.into(), buffers);
    }

    /// Opens the session if the worker stands and has not been told of it.
    pub(super) fn tell_fewshot(self) {
        let ready = self.study_engine.with_untracked(|engine| matches!(engine, Engine::Ready(_)));
        let link = self.fewshot.link.get_untracked();
        let told = self.fewshot.told.with_value(|told| told.as_ref().is_some_and(|told| told.spec == link.spec));
        if ready && !told && self.page.get_untracked() == Page::Fewshot {
            self.ask_fewshot(FewshotCommand::Open { spec: Box::new(link.spec.clone()) }, &[]);
            self.fewshot.told.set_value(Some(link));
        }
    }

    /// A new worker knows nothing, and does nothing.
    pub(super) fn forget_fewshot(self) {
        self.fewshot.told.set_value(None);
        self.fewshot.busy.set(None);
        self.fewshot.work.set(None);
        self.fewshot.waits.set_value([false; 2]);
        self.fewshot.saves.set_value(VecDeque::new());
        self.fewshot.recalled.set_value(false);
        self.fewshot.own.set(None);
    }

    /// Shows another session.
    pub fn take_fewshot(self, link: FewshotLink) {
        let session = self.fewshot;
        let old = session.link.get_untracked();
        if old == link {
            self.tell_fewshot();
            return;
        }
        if old.spec.data != link.spec.data {
            session.task.set(None);
        }
        let mut but_method = old.spec;
        but_method.method = link.spec.method;
        if but_method != link.spec {
            session.scores.set(None);
            session.curves.set(Vec::new());
        }
        session.link.set(link);
        set_timeout(move || self.tell_fewshot(), SETTLE);
    }

    /// Turns one of its settings, or says what is wrong with the value.
    pub fn set_fewshot(self, key: &str, text: &str) {
        self.issues.update(|issues| issues.retain(|issue| issue.path != key));
        let mut link = self.fewshot.link.get_untracked();
        match link.spec.set(key, text) {
            Ok(()) => {
                for issue in link.spec.mend() {
                    self.complain(issue);
                }
                self.take_fewshot(link);
            }
            Err(issue) => self.complain(issue),
        }
    }

    /// Starts again from a preset.
    pub fn choose_fewshot(self, id: &str) {
        if fewshot_preset(id).is_some() {
            self.issues.set(Vec::new());
            self.take_fewshot(FewshotLink::to_preset(id));
        }
    }

    /// Begins something long, or ends it.
    pub fn toggle_fewshot(self, work: Busy) {
        let busy = self.fewshot.busy;
        if busy.get_untracked().is_some() {
            self.ask_fewshot(FewshotCommand::Stop, &[]);
            busy.set(None);
            return;
        }
        busy.set(Some(work));
        let command = match work {
            Busy::Train => FewshotCommand::Train,
            Busy::Compare => FewshotCommand::Compare,
            Busy::Curve(over) => FewshotCommand::Curve { over },
        };
        self.ask_fewshot(command, &[]);
    }

    /// Asks something about the person's own classes, once it is known which there are.
    pub fn ask_own(self, command: OwnCommand, buffers: &[Uint8Array]) {
        if self.fewshot.own.with_untracked(Option::is_none) {
            self.fewshot.early.update_value(|early| early.push((command, buffers.to_vec())));
        } else {
            self.ask_fewshot(FewshotCommand::Own(command), buffers);
        }
    }

    /// Has own classes written as a file, for the person or to be kept.
    pub fn save_own(self, person: bool) {
        self.fewshot.saves.update_value(|saves| saves.push_back(person));
        self.ask_own(OwnCommand::Save, &[]);
    }

    /// Brings back the own classes of an earlier visit, to a worker that knows none, before anything is done with them.
    fn recall_own(self, none: OwnState, sheet: Sheet) {
        self.fewshot.recalled.set_value(true);
        spawn_local(async move {
            if let Some(file) = keep::kept_own_classes().await {
                self.ask_fewshot(FewshotCommand::Own(OwnCommand::Load { file: Blob(0) }), &[file]);
            }
            self.show_own(none, sheet);
        });
    }

    /// Shows own classes, and keeps them.
    fn show_own(self, own: OwnState, sheet: Sheet) {
        let session = self.fewshot;
        let known = session.own.with_untracked(|known| known.as_ref().map(|known| known.said.classes.len()));
        if known > Some(own.classes.len()) {
            session.kept.update_value(|[now, before]| *before = now.take());
            self.announce("Classes that you had taught are deleted.".into(), false, Some(Undo::Classes));
        }
        match (known, own.classes.is_empty()) {
            (None, true) if !session.recalled.get_value() => return self.recall_own(own, sheet),
            (Some(before), true) if before > 0 => keep::save_own_classes(self, None),
            (_, true) => {}
            (_, false) => self.save_own(false),
        }
        session.own.set(Some(Arc::new(Seen { said: own, sheet })));
        for (command, buffers) in session.early.try_update_value(std::mem::take).unwrap_or_default() {
            self.ask_own(command, &buffers);
        }
        // What was asked about may belong elsewhere now.
        if session.answer.with_untracked(Option::is_some) {
            self.predict();
        }
    }

    /// Brings back the own classes that there were before one was taken away.
    pub(super) fn bring_back_own(self) {
        if let [_, Some(file)] = self.fewshot.kept.get_value() {
            self.ask_own(OwnCommand::Load { file: Blob(0) }, &[copy(&file)]);
        }
    }

    /// Gives a class of the person's own pictures.
    pub fn teach(self, class: usize, pictures: &[Picture]) {
        let raw = |(i, picture): (usize, &Picture)| Raw { pixels: Blob(i), ..picture.raw() };
        let bytes: Vec<Uint8Array> = pictures.iter().map(|picture| copy(&picture.bytes)).collect();
        let pictures = pictures.iter().enumerate().map(raw).collect();
        self.ask_own(OwnCommand::AddPictures { class, pictures }, &bytes);
    }

    /// Gives it the pictures of files; what is none is said.
    fn teach_files(self, class: usize, files: Vec<(String, Uint8Array)>) {
        spawn_local(async move {
            let mut pictures = Vec::new();
            for (name, bytes) in files {
                let picture = match web_sys::Blob::new_with_u8_array_sequence(&Array::of1(&bytes)) {
                    Ok(blob) => camera::decode(&blob).await,
                    Err(error) => Err(words(&error)),
                };
                match picture {
                    Ok(picture) => pictures.push(picture),
                    Err(reason) => self.toast(format!("{name} is no picture that can be read: {reason}"), true),
                }
            }
            if !pictures.is_empty() {
                self.teach(class, &pictures);
            }
        });
    }

    /// Asks where a picture belongs. Of those that come while one is being answered the last counts.
    pub fn classify(self, picture: Picture) {
        self.fewshot.asked.set_value(Some(picture));
        self.predict();
    }

    /// The picture that was asked about last.
    pub fn pictured(self) -> Option<Picture> {
        self.fewshot.asked.get_value()
    }

    /// Nothing is asked about any more.
    pub fn unask(self) {
        self.fewshot.id.update_value(|id| *id = id.wrapping_add(1));
        self.fewshot.asked.set_value(None);
        self.fewshot.answer.set(None);
    }

    fn predict(self) {
        let Some(picture) = self.pictured() else { return };
        let [out, _] = self.fewshot.waits.get_value();
        self.fewshot.waits.set_value([true, out]);
        if !out {
            self.ask_own(
                OwnCommand::Predict { id: self.fewshot.id.get_value(), picture: picture.raw() },
                &[copy(&picture.bytes)],
            );
        }
    }

    /// An answer about a picture has come, or will not.
    fn answered(self) {
        let [_, again] = self.fewshot.waits.get_value();
        self.fewshot.waits.set_value([false; 2]);
        if again {
            self.predict();
        }
    }

    /// The next files are pictures of this class of the person's own.
    pub fn onto_class(self, class: Option<usize>) {
        self.fewshot.onto.set_value(class);
    }

    /// Takes in files as own classes: a folder a class, a zip of these, single pictures for the class that was named.
    pub(super) fn own_files(self, files: Vec<(String, Uint8Array)>) {
        if self.fewshot.link.with_untracked(|link| link.spec.data != Source::Own) {
            self.set_fewshot("data", Source::Own.id());
        }
        if let [(name, bytes)] = files.as_slice()
            && name.ends_with(OWN_ENDING)
        {
            self.ask_own(OwnCommand::Load { file: Blob(0) }, std::slice::from_ref(bytes));
            return;
        }
        let class = self.fewshot.onto.get_value();
        self.onto_class(None);
        // The browser reads more kinds of pictures than the engine, which alone reads archives.
        if let Some(class) = class
            && !files.iter().any(|(name, _)| name.to_ascii_lowercase().ends_with(".zip"))
        {
            self.teach_files(class, files);
            return;
        }
        let named = files.iter().enumerate().map(|(i, (path, _))| (path.clone(), Blob(i))).collect();
        let buffers: Vec<Uint8Array> = files.into_iter().map(|(_, bytes)| bytes).collect();
        self.ask_own(OwnCommand::Import { files: named, class }, &buffers);
    }

    /// Takes in what the few-shot lab says.
    pub(super) fn hear_fewshot(self, event: FewshotEvent, buffers: &[Uint8Array]) {
        let session = self.fewshot;
        let bytes = |blob: Blob| buffers.get(blob.0).map(Uint8Array::to_vec).unwrap_or_default();
        match event {
            FewshotEvent::Opened { spec, issues, source, encoder } => {
                let asked = session.told.with_value(|told| told.clone());
                let now = session.link.get_untracked();
                // What a person has turned since is newer.
                if asked.is_some_and(|asked| asked == now) && now.spec != *spec {
                    let link = FewshotLink { spec: *spec, ..now };
                    session.told.set_value(Some(link.clone()));
                    session.link.set(link);
                }
                issues.into_iter().for_each(|issue| self.complain(issue));
                if encoder.updates == 0 {
                    session.training.set(Training::default());
                }
                if !encoder.ready {
                    session.task.set(None);
                }
                session.work.set(None);
                session.cards.set(Some((source, encoder)));
            }
            FewshotEvent::Progress { work, fraction } => {
                session.work.set((fraction < 1.0).then_some((work, fraction)));
            }
            FewshotEvent::Training(training) => {
                self.end(Busy::Train, training.finished);
                session.training.update(|known| known.take(training));
            }
            FewshotEvent::Task(task) => {
                let pixels = bytes(task.pictures.pixels);
                Sheet::of(&task.pictures.clone(), &pixels, move |sheet| self.show_task(task, sheet));
            }
            FewshotEvent::Scores(scores) => {
                self.end(Busy::Compare, scores.finished);
                let pixels = scores.pictures.as_ref().map(|pictures| bytes(pictures.pixels)).unwrap_or_default();
                session.scores.set(Some((scores, pixels)));
            }
            FewshotEvent::Curve(curve) => {
                self.end(Busy::Curve(curve.over), curve.finished);
                session.curves.update(|curves| {
                    curves.retain(|known| known.over != curve.over);
                    curves.push(curve);
                });
            }
            FewshotEvent::Own(own) => {
                let pixels = bytes(own.pictures.pixels);
                own.notes.iter().for_each(|note| self.toast(note.clone(), true));
                Sheet::of(&own.pictures.clone(), &pixels, move |sheet| self.show_own(own, sheet));
            }
            FewshotEvent::Prediction(prediction) => {
                let pixels = bytes(prediction.seen.pixels);
                self.answered();
                Sheet::of(&prediction.seen.clone(), &pixels, move |sheet| {
                    if self.pictured().is_some() {
                        session.answer.set(Some(Arc::new(Seen { said: prediction, sheet })));
                    }
                });
            }
            FewshotEvent::File { name, file } => {
                let of_own = name.ends_with(OWN_ENDING);
                let person = !of_own || session.saves.try_update_value(|s| s.pop_front()).flatten().unwrap_or(true);
                let bytes = buffers.get(file.0);
                if !person {
                    session.kept.update_value(|[now, _]| *now = bytes.cloned());
                    keep::save_own_classes(self, bytes.cloned());
                } else if let Some(bytes) = bytes {
                    export::bytes(&name, "application/octet-stream", bytes);
                }
            }
            FewshotEvent::Refused { message, at } => {
                // What is about own pictures or a task leaves other work alone.
                if at.is_empty() {
                    session.busy.set(None);
                }
                session.waits.set_value([false; 2]);
                if engine::fewshot::setting(&at).is_some() {
                    self.complain(Issue::new(&at, message, ""));
                } else {
                    self.toast(message, true);
                }
            }
        }
    }

    /// Something long has come to its end.
    fn end(self, work: Busy, finished: bool) {
        if finished && self.fewshot.busy.get_untracked() == Some(work) {
            self.fewshot.busy.set(None);
        }
    }

    fn show_task(self, task: TaskSeen, sheet: Sheet) {
        let session = self.fewshot;
        let same =
            |known: &Seen<TaskSeen>| (known.said.number, known.said.queries.len()) == (task.number, task.queries.len());
        let stays = session.task.with_untracked(|known| known.as_ref().is_some_and(|known| same(known)));
        if !stays {
            // What went wrong is worth a look first.
            let wrong = task.queries.iter().position(|query| query.truth.is_some_and(|truth| truth != query.predicted));
            session.query.set(wrong.unwrap_or(0));
        }
        session.step.set(usize::MAX);
        session.task.set(Some(Arc::new(Seen { said: task, sheet })));
    }

    /// The method of the task on view.
    pub fn fewshot_method(self) -> Method {
        self.fewshot.link.with(|link| link.spec.method)
    }
}
