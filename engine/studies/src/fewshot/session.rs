//! What the studies' session does for the few-shot lab: one message at a time, and long work in slices between them.

use std::rc::Rc;

use engine::executor::AnyExecutor;
use engine::fewshot::{
    ExportKind, FewshotCommand, FewshotEvent, FewshotSpec, Mean, OwnCommand, Source, TaskSeen, Training,
};
use engine::protocol::Blob;
use engine::session::Host;
use engine::tape::Home;

use super::compare::Comparison;
use super::curve::Curves;
use super::lab::{Lab, Packs};
use super::{embeddings_file, predictions_csv, tasks_json};
use crate::StudyError;

/// Milliseconds of work between two looks at the inbox.
const SLICE_MS: f64 = 30.0;
/// Shortest time between two reports.
const TELL_MS: f64 = 250.0;
/// Shares of a training at which it is validated.
const MARKS: &[f64] = &[0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// The few-shot lab's place in a session.
#[derive(Default)]
pub(crate) struct Desk {
    lab: Option<Lab>,
    packs: Packs,
    work: Option<Long>,
    /// The last comparison of this session: what is exported.
    compared: Option<Comparison>,
    told_ms: f64,
}

/// Work that goes on between messages.
enum Long {
    Training(Lesson),
    Comparison(Box<Comparison>),
    Curves(Curves),
}

/// How far the page knows of a training.
#[derive(Default)]
struct Lesson {
    /// Updates told.
    told: usize,
    /// Rates of the updates since.
    rates: Vec<f32>,
    /// Marks passed.
    marks: usize,
    validation: Vec<(usize, Mean)>,
    /// Updates and milliseconds since the last report.
    pace: (usize, f64),
}

impl Desk {
    /// Whether work goes on.
    pub fn busy(&self) -> bool {
        self.work.is_some()
    }

    /// Whether a session is open: it needs no executor any more.
    pub fn open(&self) -> bool {
        self.lab.is_some()
    }

    /// Names of the files that a command needs and that are not here.
    pub fn missing(&self, command: &FewshotCommand) -> Vec<&'static str> {
        match command {
            FewshotCommand::Open { spec } => {
                Lab::needs(spec).into_iter().filter(|name| !self.packs.contains_key(name)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes in a file.
    pub fn stock(&mut self, name: &'static str, bytes: Rc<Vec<u8>>) {
        self.packs.insert(name, bytes);
    }

    /// Answers a command. `executor`: for the first session that is opened.
    pub async fn handle(
        &mut self,
        host: &impl Host,
        command: FewshotCommand,
        blobs: &[Vec<u8>],
        executor: Option<AnyExecutor>,
    ) {
        let at = match &command {
            FewshotCommand::Own(_) => "own",
            FewshotCommand::Task { .. } | FewshotCommand::AddShot { .. } => "task",
            FewshotCommand::Export { .. } => "export",
            _ => "",
        };
        if let Err(error) = self.answer(host, command, blobs, executor).await {
            emit(host, FewshotEvent::Refused { message: error.to_string(), at: at.into() }, None);
        }
    }

    async fn answer(
        &mut self,
        host: &impl Host,
        command: FewshotCommand,
        blobs: &[Vec<u8>],
        executor: Option<AnyExecutor>,
    ) -> Result<(), StudyError> {
        let clock = host.clock();
        if let FewshotCommand::Open { spec } = command {
            return self.open_session(host, *spec, executor).await;
        }
        if matches!(command, FewshotCommand::Stop) {
            return self.stop(host).await;
        }
        let lab = self.lab.as_mut().ok_or_else(|| StudyError::Other("No session is open".into()))?;
        match command {
            FewshotCommand::Open { .. } | FewshotCommand::Stop => {}
            FewshotCommand::Train => {
                if !lab.spec.embedding.trains() {
                    return Err(StudyError::Other("This embedding needs no training".into()));
                }
                self.stop(host).await?;
                let done = self.lab.as_ref().map_or(0, |lab| lab.encoder_card().updates);
                self.work = Some(Long::Training(Lesson { told: done, ..Lesson::default() }));
            }
            FewshotCommand::Task { number } => tell_task(host, lab.show(number, clock).await?),
            FewshotCommand::AddShot { place, picture } => {
                let picture = picture.map(|raw| lab.canvas(&raw, blobs)).transpose()?;
                lab.add_shot(place, picture)?;
                let number = lab.shown.number;
                tell_task(host, lab.show(number, clock).await?);
            }
            FewshotCommand::Compare => {
                self.stop(host).await?;
                self.compared = None;
                self.work = self.lab.as_ref().map(|lab| Long::Comparison(Box::new(lab.comparison())));
            }
            FewshotCommand::Curve { over } => {
                self.stop(host).await?;
                self.work = self.lab.as_ref().map(|lab| Long::Curves(lab.curves(over)));
            }
            FewshotCommand::Own(command) => own(host, lab, command, blobs).await?,
            FewshotCommand::Export { kind } => self.export(host, kind).await?,
        }
        Ok(())
    }

    async fn open_session(
        &mut self,
        host: &impl Host,
        mut spec: FewshotSpec,
        executor: Option<AnyExecutor>,
    ) -> Result<(), StudyError> {
        self.stop(host).await?;
        self.compared = None;
        let mut issues = spec.mend();
        match &mut self.lab {
            Some(lab) => lab.open(spec, &self.packs).await?,
            None => self.lab = Some(Lab::new(Home::new(executor.into()), spec, &self.packs).await?),
        }
        let Some(lab) = &mut self.lab else { return Ok(()) };
        issues.extend(lab.fit());
        let (spec, source, encoder) = (Box::new(lab.spec.clone()), lab.source(), lab.encoder_card());
        let ready = encoder.ready;
        emit(host, FewshotEvent::Opened { spec, issues, source, encoder }, None);
        if lab.spec.data == Source::Own {
            tell_own(host, lab, Vec::new()).await?;
        } else if ready {
            tell_task(host, lab.show(lab.shown.number, host.clock()).await?);
        }
        Ok(())
    }

    /// Ends what goes on; what has been found is told and kept.
    async fn stop(&mut self, host: &impl Host) -> Result<(), StudyError> {
        let (Some(work), Some(lab)) = (self.work.take(), &mut self.lab) else { return Ok(()) };
        match work {
            Long::Training(mut lesson) => lesson.tell(host, lab, true).await?,
            Long::Comparison(comparison) => {
                let (scores, pixels) = lab.scores(&comparison, true);
                emit(host, FewshotEvent::Scores(scores), pixels);
                self.compared = Some(*comparison);
            }
            Long::Curves(curves) => emit(host, FewshotEvent::Curve(lab.drawn(&curves, true)), None),
        }
        Ok(())
    }

    /// A slice of what goes on.
    pub async fn slice(&mut self, host: &impl Host) {
        if let Err(error) = self.advance(host).await {
            self.work = None;
            emit(host, FewshotEvent::Refused { message: error.to_string(), at: String::new() }, None);
        }
    }

    async fn advance(&mut self, host: &impl Host) -> Result<(), StudyError> {
        let (Some(work), Some(lab)) = (&mut self.work, &mut self.lab) else { return Ok(()) };
        let began = host.now_ms();
        let mut ended = false;
        while !ended && host.now_ms() - began < SLICE_MS {
            match work {
                Long::Training(lesson) => ended = !lesson.step(host, lab).await?,
                Long::Comparison(comparison) => {
                    lab.compare(comparison, host.clock()).await?;
                    ended = comparison.done();
                }
                Long::Curves(curves) => {
                    lab.extend(curves).await?;
                    ended = curves.done();
                }
            }
        }
        if ended {
            return self.stop(host).await;
        }
        if host.now_ms() - self.told_ms >= TELL_MS {
            self.told_ms = host.now_ms();
            match work {
                Long::Training(lesson) => lesson.tell(host, lab, false).await?,
                Long::Comparison(comparison) => {
                    emit(host, FewshotEvent::Scores(lab.scores(comparison, false).0), None);
                }
                Long::Curves(curves) => emit(host, FewshotEvent::Curve(lab.drawn(curves, false)), None),
            }
        }
        Ok(())
    }

    async fn export(&mut self, host: &impl Host, kind: ExportKind) -> Result<(), StudyError> {
        let nothing = || StudyError::Other("Compare methods first: what they were compared on is written".into());
        let (comparison, lab) = self.compared.as_ref().zip(self.lab.as_mut()).ok_or_else(nothing)?;
        let (name, bytes) = match kind {
            ExportKind::Embeddings => ("embeddings.safetensors", embeddings_file(lab, comparison).await?),
            ExportKind::Tasks => ("tasks.json", tasks_json(comparison).to_string().into_bytes()),
            ExportKind::Predictions => ("predictions.csv", predictions_csv(comparison).into_bytes()),
            ExportKind::Results => {
                let scores = lab.scores(comparison, false).0;
                ("results.json", serde_json::to_vec(&scores).unwrap_or_default())
            }
        };
        emit(host, FewshotEvent::File { name: name.into(), file: Blob(0) }, Some(bytes));
        Ok(())
    }
}

impl Lesson {
    /// One update; validation where a mark is passed. `false` once training is over.
    async fn step(&mut self, host: &impl Host, lab: &mut Lab) -> Result<bool, StudyError> {
        let began = host.now_ms();
        let share = lab.encoder.training.as_ref().map_or(1.0, |training| training.share(&lab.spec));
        let passed = MARKS.iter().filter(|&&mark| mark <= share).count();
        if passed > self.marks {
            self.marks = passed;
            let done = lab.encoder_card().updates;
            let accuracy = lab.encoder.validate(&lab.pictures, &lab.spec).await?;
            self.validation.push((done, accuracy));
        }
        let rate = lab.encoder.training.as_ref().map_or(0.0, |training| training.rate(&lab.spec));
        let more = lab.encoder.update(&lab.pictures, &lab.spec).await?;
        let spent = host.now_ms() - began;
        if let Some(training) = &mut lab.encoder.training {
            training.seconds += spent / 1e3;
        }
        if more {
            self.rates.push(rate as f32);
            self.pace = (self.pace.0 + 1, self.pace.1 + spent);
        }
        Ok(more)
    }

    /// Tells what is new; at the end also shows the task anew.
    async fn tell(&mut self, host: &impl Host, lab: &mut Lab, finished: bool) -> Result<(), StudyError> {
        let [loss, accuracy] = lab.encoder.columns().await?;
        let training = Training {
            first: self.told,
            of: lab.spec.updates,
            rate: std::mem::take(&mut self.rates),
            validation: std::mem::take(&mut self.validation),
            speed: self.pace.0 as f64 / (self.pace.1 / 1e3),
            seconds: lab.encoder.training.as_ref().map_or(0.0, |training| training.seconds),
            finished,
            loss,
            accuracy,
        };
        self.told += training.loss.len();
        self.pace = (0, 0.0);
        emit(host, FewshotEvent::Training(training), None);
        if finished {
            lab.changed();
            tell_task(host, lab.show(lab.shown.number, host.clock()).await?);
        }
        Ok(())
    }
}

async fn own(host: &impl Host, lab: &mut Lab, command: OwnCommand, blobs: &[Vec<u8>]) -> Result<(), StudyError> {
    match command {
        OwnCommand::Predict { id, picture } => {
            let (prediction, pixels) = lab.predict(id, &picture, blobs, host.clock()).await?;
            emit(host, FewshotEvent::Prediction(prediction), Some(pixels));
            tell_own_task(host, lab).await;
        }
        OwnCommand::Save => {
            let file = FewshotEvent::File { name: "classes.mbcl".into(), file: Blob(0) };
            emit(host, file, Some(lab.save()?));
        }
        command => {
            let notes = lab.own(command, blobs)?;
            tell_own(host, lab, notes).await?;
        }
    }
    Ok(())
}

async fn tell_own(host: &impl Host, lab: &mut Lab, notes: Vec<String>) -> Result<(), StudyError> {
    let (state, pixels) = lab.own_state(notes).await?;
    emit(host, FewshotEvent::Own(state), Some(pixels));
    tell_own_task(host, lab).await;
    Ok(())
}

/// The own task, where there is one yet and it is shown.
async fn tell_own_task(host: &impl Host, lab: &mut Lab) {
    if lab.spec.data == Source::Own
        && let Ok(task) = lab.show(0, host.clock()).await
    {
        tell_task(host, task);
    }
}

fn tell_task(host: &impl Host, (task, pixels): (TaskSeen, Vec<u8>)) {
    emit(host, FewshotEvent::Task(task), Some(pixels));
}

fn emit(host: &impl Host, event: FewshotEvent, pixels: Option<Vec<u8>>) {
    host.emit(event.into(), pixels.into_iter().collect());
}
