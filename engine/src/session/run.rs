//! The run that is loaded: trains in slices, keeps checkpoints, rewinds, and says what happens.

use std::hint::black_box;

use super::curvature::Watch;
use super::findings::findings;
use super::history::{Evaluated, History};
use super::{Host, Inbox, SessionError, blob};
use crate::executor::{AnyExecutor, RING_ROWS, floats};
use crate::fewshot::Raw;
use crate::figure::Figure;
use crate::look::{cell, own, regions};
use crate::protocol::{Blob, Event, Finding, Metrics, Phase, Probe, RunCommand, RunEvent, RunId, RunState};
use crate::spec::Auto;
use crate::train::{Checkpoint, StepMetrics, TrainError, Trainer};

/// Longest time that training goes on before commands are looked at.
const SLICE_MS: f64 = 40.0;
/// Shortest time between two looks inside, two readings of the curvature, and two tellings of it: they do not outrun the eye.
const LOOKING_MS: f64 = 500.0;
/// Time for which a run that has not begun is rehearsed.
const REHEARSAL_MS: f64 = 400.0;
/// Time between two readings of metrics, at least.
const READING_MS: f64 = 100.0;
/// How long a run that is held back waits before it looks again whether the next update is due.
const REST_MS: f64 = 15.0;
/// Up to so many updates a second each can be watched: it is told, and looked at, at once.
const WATCHED: f64 = 5.0;
/// Memory that a run's checkpoints may take.
const CHECKPOINT_BYTES: usize = 256 << 20;
/// Checkpoints kept, at most; when there are more, every second one goes.
const CHECKPOINTS: usize = 24;

/// Memory that a run comes to hold is asked for at its start, up to so many bytes: a long run then takes no more of a WASM
/// heap, which never shrinks, than a short one.
const RESERVED_BYTES: usize = 8 << 20;

/// How many checkpoints of so many bytes are kept.
fn most_checkpoints(each: usize) -> usize {
    CHECKPOINTS.min((CHECKPOINT_BYTES / each.max(1)).max(2))
}

/// Lets the heap grow by what checkpoints of so many bytes and the numbers of so many updates will take.
fn reserve(checkpoint: usize, updates: u64) {
    let history = (updates as usize).saturating_mul(size_of::<StepMetrics>());
    // A list that grows has its old and its new place for a moment, the new one with room to spare.
    let all = most_checkpoints(checkpoint).saturating_mul(checkpoint).saturating_add(history.saturating_mul(3));
    // The compiler must not see that nothing is put there.
    drop(black_box(Vec::<u8>::with_capacity(all.min(RESERVED_BYTES))));
}

/// A run and what is known of it.
pub struct ActiveRun {
    pub id: RunId,
    pub trainer: Trainer<AnyExecutor>,
    pub history: History,
    pub state: RunState,
    watch: Watch,
    /// States to go back to, by ascending step; none of a future that was given up.
    checkpoints: Vec<Checkpoint>,
    /// Updates between checkpoints; doubles whenever there are too many.
    interval: u64,
    /// Time and updates at the last reading of metrics.
    read_at: (f64, u64),
    /// Milliseconds spent inside `step` since then.
    host_ms: f64,
    /// Micro-batches trained since then, and milliseconds that one took before; infinite before any did.
    micro_batches: usize,
    micro_ms: f64,
    /// When the run was last looked inside.
    looked_ms: f64,
    /// When the curvature was last asked for and last told, and whether more of it is known since.
    asked_ms: f64,
    told_ms: f64,
    untold: bool,
    /// What its numbers were last said to show.
    findings: Vec<Finding>,
    /// Milliseconds spent on probes since the run was resumed, and when that was.
    probe_ms: f64,
    started_ms: f64,
    /// Milliseconds of rehearsal that are left.
    rehearsal_ms: f64,
    /// A picture of the person's own, as the network sees it.
    own: Option<Vec<u8>>,
    /// Updates a second at most, 0 = no bound; and from which time and update on they are counted.
    pace: f64,
    paced_from: (f64, u64),
}

impl ActiveRun {
    /// A run at its start.
    pub async fn new(id: RunId, mut trainer: Trainer<AnyExecutor>) -> Result<Self, SessionError> {
        let first = trainer.checkpoint().await?;
        reserve(first.bytes(), trainer.steps_total());
        let interval = (trainer.steps_total() / 20).clamp(10, 200);
        Ok(ActiveRun {
            id,
            trainer,
            history: History::default(),
            state: RunState::Paused,
            watch: Watch::default(),
            checkpoints: vec![first],
            interval,
            read_at: (0.0, 0),
            host_ms: 0.0,
            micro_batches: 0,
            micro_ms: f64::INFINITY,
            looked_ms: f64::NEG_INFINITY,
            asked_ms: f64::NEG_INFINITY,
            told_ms: f64::NEG_INFINITY,
            untold: false,
            findings: vec![],
            probe_ms: 0.0,
            started_ms: 0.0,
            rehearsal_ms: REHEARSAL_MS,
            own: None,
            pace: 0.0,
            paced_from: (0.0, 0),
        })
    }

    /// Does what is asked of the run. What only a session can do is refused.
    pub async fn handle(
        &mut self,
        host: &impl Host,
        inbox: &Inbox,
        what: RunCommand,
        mut blobs: Vec<Vec<u8>>,
    ) -> Result<(), SessionError> {
        match what {
            RunCommand::Train => self.resume(host),
            RunCommand::Pace { per_second } => {
                self.pace = if per_second.is_finite() { per_second.max(0.0) } else { 0.0 };
                self.paced_from = (host.now_ms(), self.trainer.steps_done());
                Ok(())
            }
            RunCommand::Pause => self.pause(host).await,
            RunCommand::Step => self.single_step(host, inbox).await,
            RunCommand::Rewind { step } => self.rewind(host, inbox, step).await,
            RunCommand::Edit { path, value } => self.edit(host, &path, &value).await,
            RunCommand::Look { views, sample } => self.look(host, &views, sample).await,
            RunCommand::Cell { truth, guess } => self.look_into_cell(host, [truth, guess]).await,
            RunCommand::Try { picture } => self.try_picture(host, picture, &mut blobs).await,
            RunCommand::Probe { probe } => {
                self.probe(probe);
                Ok(())
            }
            RunCommand::FindRate { range } => self.find_rate(host, inbox, range).await,
            RunCommand::Evaluate => self.evaluate(host, true).await,
            RunCommand::ImportWeights { file } => self.import_weights(host, &blob(&mut blobs, file)?).await,
            RunCommand::Export { kind } => self.export(host, kind).await,
            RunCommand::Save => self.save(host).await,
            RunCommand::Restore { checkpoint } => self.restore(host, &blob(&mut blobs, checkpoint)?).await,
            RunCommand::SampleText { prompt, temperature, length } => {
                self.sample_text(host, &prompt, temperature, length).await
            }
            RunCommand::Configure { .. } | RunCommand::FindRateCancel => {
                Err(SessionError::Refused("that is not for a run that stands".into()))
            }
        }
    }

    /// Whether slices should be given to it, to train.
    pub fn trains(&self) -> bool {
        self.state == RunState::Running
    }

    /// Whether slices should be given to it, to measure.
    pub fn measures(&self) -> bool {
        self.state != RunState::Failed && self.watch.busy()
    }

    /// Whether slices should be given to it before it begins. What measures before its first update is left alone.
    pub fn rehearses(&self) -> bool {
        let measured = self.trainer.recipe().schedule.auto != Auto::Off;
        self.rehearsal_ms > 0.0 && self.state == RunState::Paused && self.trainer.steps_done() == 0 && !measured
    }

    /// Trains some updates of a run that has not begun, and takes them back: what a browser's compiler makes fast because it has
    /// run often is so, then, once Run is pressed.
    pub async fn rehearse(&mut self, host: &impl Host, inbox: &Inbox) -> Result<(), SessionError> {
        // None after an error; the run itself meets it again, and says so.
        let left = std::mem::take(&mut self.rehearsal_ms);
        let began = host.now_ms();
        let start = self.trainer.checkpoint().await?;
        let mut go_on = async |_: [usize; 2]| host.now_ms() - began < SLICE_MS && inbox.is_empty();
        while !self.over() && go_on([0; 2]).await && self.trainer.step_in_parts(1, &mut go_on).await? {}
        self.trainer.restore(&start)?;
        self.rehearsal_ms = left - (host.now_ms() - began);
        Ok(())
    }

    /// Whether no update is left.
    fn over(&self) -> bool {
        self.trainer.steps_done() >= self.trainer.steps_total()
    }

    /// The state of a run that neither trains nor has failed.
    fn at_rest(&self) -> RunState {
        if self.over() { RunState::Done } else { RunState::Paused }
    }

    pub fn tell_state(&self, host: &impl Host) {
        self.tell(host, RunEvent::State { step: self.trainer.steps_done(), state: self.state });
    }

    /// Says something of the run.
    pub fn tell(&self, host: &impl Host, what: RunEvent) {
        self.tell_with(host, what, vec![]);
    }

    /// The same with the buffers that its blobs name.
    pub fn tell_with(&self, host: &impl Host, what: RunEvent, blobs: Vec<Vec<u8>>) {
        host.emit(Event::Run { run: self.id, what }, blobs);
    }

    fn set_state(&mut self, host: &impl Host, state: RunState) {
        self.state = state;
        self.tell_state(host);
    }

    /// Starts or goes on.
    pub fn resume(&mut self, host: &impl Host) -> Result<(), SessionError> {
        if self.over() {
            self.set_state(host, RunState::Done);
            return Ok(());
        }
        if self.state == RunState::Failed {
            return Err(SessionError::Refused("the run has failed; rewind it or change the recipe".to_owned()));
        }
        self.start_clock(host);
        self.set_state(host, RunState::Running);
        Ok(())
    }

    fn start_clock(&mut self, host: &impl Host) {
        self.read_at = (host.now_ms(), self.trainer.steps_done());
        self.paced_from = self.read_at;
        self.host_ms = 0.0;
        self.micro_batches = 0;
        self.probe_ms = 0.0;
        self.started_ms = host.now_ms();
    }

    /// Stops after what is enqueued.
    pub async fn pause(&mut self, host: &impl Host) -> Result<(), SessionError> {
        self.read_metrics(host).await?;
        if self.state == RunState::Running {
            self.state = self.at_rest();
        }
        if self.untold {
            self.tell_curvature(host);
        }
        self.tell_state(host);
        self.save(host).await
    }

    /// One update, unless a command that waits ends it.
    pub async fn single_step(&mut self, host: &impl Host, inbox: &Inbox) -> Result<(), SessionError> {
        if self.state == RunState::Failed || self.over() {
            self.tell_state(host);
            return Ok(());
        }
        self.start_clock(host);
        self.state = RunState::Paused;
        if self.train_one(host, inbox).await? {
            self.read_metrics(host).await?;
            self.after_step(host).await?;
            if self.state != RunState::Failed {
                self.state = self.at_rest();
            }
        }
        self.tell_state(host);
        Ok(())
    }

    /// One update; `false` if a command that waits has ended it.
    async fn train_one(&mut self, host: &impl Host, inbox: &Inbox) -> Result<bool, SessionError> {
        let (before, micro_batches) = (host.now_ms(), self.trainer.micro_batches());
        let whole = self.update(host, || inbox.interrupts() || inbox.edits()).await?;
        self.host_ms += host.now_ms() - before;
        self.micro_batches += if whole { micro_batches } else { 0 };
        if whole && self.watch.awaits(self.trainer.steps_done()) {
            self.watch.updated(self.trainer.theta().await?);
        }
        Ok(whole)
    }

    /// One update. A long one lets messages arrive between its micro-batches and tells how far it is; if something
    /// interrupts it, it is given up as if it had not begun, and the answer is `false`.
    async fn update(&mut self, host: &impl Host, interrupted: impl Fn() -> bool) -> Result<bool, SessionError> {
        let (run, step, began) = (self.id, self.trainer.steps_done(), host.now_ms());
        let mut breathed = began;
        let tell = |share: f64| {
            let eta_s = Some((host.now_ms() - began) / 1000.0 * (1.0 - share) / share);
            let message = format!("step {step}");
            host.emit(Event::Progress { run: Some(run), phase: Phase::Train, fraction: share, eta_s, message }, vec![]);
        };
        let at_once = (SLICE_MS / self.micro_ms) as usize;
        let go_on = async |[done, of]: [usize; 2]| {
            if host.now_ms() - breathed < SLICE_MS {
                return true;
            }
            tell(done as f64 / of as f64);
            host.breathe().await;
            breathed = host.now_ms();
            !interrupted()
        };
        let whole = self.trainer.step_in_parts(at_once, go_on).await?;
        if breathed > began {
            tell(1.0);
        }
        Ok(whole)
    }

    /// Trains and measures for a few tens of milliseconds.
    pub async fn slice(&mut self, host: &impl Host, inbox: &Inbox) -> Result<(), SessionError> {
        let start = host.now_ms();
        while self.trains() && host.now_ms() - start < SLICE_MS {
            if self.early(host.now_ms()) {
                host.rest(REST_MS).await;
                break;
            }
            if !self.train_one(host, inbox).await? {
                break;
            }
            let now = host.now_ms();
            let due =
                now - self.read_at.0 >= READING_MS || self.trainer.unread() >= RING_ROWS as u64 / 2 || self.watched();
            if due || self.at_milestone() {
                self.read_metrics(host).await?;
                if self.state == RunState::Failed {
                    return Ok(());
                }
            }
            self.after_step(host).await?;
            if self.over() {
                self.set_state(host, RunState::Done);
                self.save(host).await?;
            }
            if inbox.interrupts() {
                break;
            }
        }
        self.watch_on(host).await
    }

    /// Whether the next update would come before its time.
    fn early(&self, now: f64) -> bool {
        let (from, update) = self.paced_from;
        self.pace > 0.0 && (self.trainer.steps_done() - update) as f64 > (now - from) / 1000.0 * self.pace
    }

    /// Whether it goes so slowly that each update can be watched.
    fn watched(&self) -> bool {
        self.trains() && self.pace > 0.0 && self.pace <= WATCHED
    }

    /// Whether probes have not yet taken more than their share of the time.
    fn affordable(&self, now: f64) -> bool {
        self.probe_ms <= self.trainer.recipe().probes.share * (now - self.started_ms).max(1000.0)
    }

    /// Goes on measuring the curvature: while it trains for as long as its share of the time allows, else at once.
    async fn watch_on(&mut self, host: &impl Host) -> Result<(), SessionError> {
        let start = host.now_ms();
        while self.measures() && (!self.trains() || self.affordable(host.now_ms())) {
            self.measure(host).await?;
            if host.now_ms() - start > SLICE_MS {
                break;
            }
        }
        let now = host.now_ms();
        if self.untold && (!self.trains() || now - self.told_ms >= LOOKING_MS) {
            self.tell_curvature(host);
            self.probe_ms += host.now_ms() - now;
        }
        Ok(())
    }

    /// Measures a part.
    async fn measure(&mut self, host: &impl Host) -> Result<(), SessionError> {
        let before = host.now_ms();
        self.untold |= match self.watch.advance(&mut self.trainer).await {
            Ok(grown) => grown,
            Err(error) => {
                self.watch.give_up(self.trainer.executor_mut());
                return Err(SessionError::Measurement(error));
            }
        };
        if self.trains() {
            self.probe_ms += host.now_ms() - before;
        } else if self.untold {
            self.tell_curvature(host);
        }
        Ok(())
    }

    fn tell_curvature(&mut self, host: &impl Host) {
        (self.untold, self.told_ms) = (false, host.now_ms());
        self.tell(host, RunEvent::Probed { figures: self.watch.figures() });
        self.tell_findings(host);
    }

    /// Says what the numbers show, if that has changed.
    fn tell_findings(&mut self, host: &impl Host) {
        let findings = findings(&self.history, &self.watch.readings());
        if findings != self.findings {
            self.findings.clone_from(&findings);
            self.tell(host, RunEvent::Findings { findings });
        }
    }

    /// Measures something of the curvature in the slices to come.
    pub fn probe(&mut self, probe: Probe) {
        self.watch.ask(probe);
    }

    fn every(&self, interval: u64) -> bool {
        interval > 0 && self.trainer.steps_done().is_multiple_of(interval)
    }

    /// Whether something beyond training is due, before which the metrics must be known to be finite.
    fn at_milestone(&self) -> bool {
        let probes = &self.trainer.spec().probes;
        self.every(self.interval) || self.every(probes.evaluate) || self.every(probes.look) || self.over()
    }

    /// Checkpoints, evaluations and looks that are due.
    async fn after_step(&mut self, host: &impl Host) -> Result<(), SessionError> {
        if self.state == RunState::Failed {
            return Ok(());
        }
        if self.every(self.interval) {
            self.remember().await?;
            self.save(host).await?;
        }
        let done = self.over();
        let probes = self.trainer.spec().probes.clone();
        let before = host.now_ms();
        if self.every(probes.evaluate) || done {
            self.evaluate(host, false).await?;
        }
        // Looking inside is for the eye alone; it gives way when it takes more than its share of the time.
        let seen = before - self.looked_ms >= LOOKING_MS;
        if done || self.watched() || (self.every(probes.look) && seen && self.affordable(before)) {
            self.looked_ms = before;
            self.look(host, &[], 0).await?;
        }
        self.probe_ms += host.now_ms() - before;
        let curvature = self.trainer.recipe().probes.curvature;
        if curvature == 0 {
            return Ok(());
        }
        // On any machine at the first update and at multiples of the interval, none in between: one that is slow passes some by.
        let first = self.trainer.steps_done() == 1;
        let free = before - self.asked_ms >= LOOKING_MS && !self.watch.busy() && self.affordable(host.now_ms());
        if first || (self.every(curvature) && free) {
            self.asked_ms = before;
            // The losses do not wait for it.
            self.read_metrics(host).await?;
            if self.state != RunState::Failed {
                self.watch.ask(Probe::Spectrum);
                self.measure(host).await?;
            }
        } else if done {
            self.watch.ask(Probe::Spectrum);
        }
        Ok(())
    }

    /// Reads the numbers of the updates since the last reading and tells them; a non-finite one stops the run.
    pub async fn read_metrics(&mut self, host: &impl Host) -> Result<(), SessionError> {
        let metrics = self.trainer.metrics().await?;
        let now = host.now_ms();
        // It may have gone back since.
        let updates = self.trainer.steps_done().saturating_sub(self.read_at.1).max(1) as f64;
        let (step_ms, host_ms) = ((now - self.read_at.0) / updates, self.host_ms / updates);
        if self.micro_batches > 0 {
            self.micro_ms = (now - self.read_at.0) / self.micro_batches as f64;
        }
        self.read_at = (now, self.trainer.steps_done());
        (self.host_ms, self.micro_batches) = (0.0, 0);
        let finite = metrics.iter().position(|metrics| !metrics.is_finite());
        let shown = &metrics[..finite.map_or(metrics.len(), |first| first + 1)];
        self.history.extend(shown);
        if !shown.is_empty() {
            self.tell(host, RunEvent::Metrics(columns(shown, step_ms, host_ms)));
            self.tell_findings(host);
        }
        match finite {
            Some(first) => self.stop_non_finite(host, &metrics[first]).await,
            None => Ok(()),
        }
    }

    /// Goes back to before the update that went wrong, repeats it launch by launch, and names the first tensor.
    async fn stop_non_finite(&mut self, host: &impl Host, wrong: &StepMetrics) -> Result<(), SessionError> {
        self.state = RunState::Failed;
        self.return_to(host, wrong.step, || false).await?;
        let tensor = self.trainer.first_non_finite(async || host.breathe().await).await?;
        let tensor = tensor.unwrap_or_else(|| "the loss".to_owned());
        self.return_to(host, wrong.step, || false).await?;
        self.history.extend(&[*wrong]);
        let message = format!(
            "Update {} produced a number that is not finite, first in {tensor}. The learning rate was {}. \
             Rewind and lower it, clip the gradient, or lengthen the warm-up.",
            wrong.step, wrong.lr
        );
        self.tell(host, RunEvent::NonFinite { step: wrong.step, tensor, message });
        self.tell_state(host);
        Ok(())
    }

    /// Keeps the present state for rewinding.
    pub async fn remember(&mut self) -> Result<(), SessionError> {
        let checkpoint = self.trainer.checkpoint().await?;
        let (most, last) = (most_checkpoints(checkpoint.bytes()), checkpoint.step);
        self.keep(checkpoint);
        let first = self.checkpoints.first().map_or(last, |first| first.step);
        while self.checkpoints.len() > most {
            self.interval *= 2;
            let interval = self.interval;
            self.checkpoints.retain(|kept| kept.step.is_multiple_of(interval) || [first, last].contains(&kept.step));
        }
        Ok(())
    }

    /// Keeps a state as the last one.
    fn keep(&mut self, checkpoint: Checkpoint) {
        self.checkpoints.truncate(self.checkpoints.partition_point(|kept| kept.step < checkpoint.step));
        self.checkpoints.push(checkpoint);
    }

    /// The state before update `step`: from the nearest checkpoint, by replay. `false` if it was interrupted. Later checkpoints are
    /// forgotten: what is trained from now on may not lead to them.
    async fn return_to(
        &mut self,
        host: &impl Host,
        step: u64,
        interrupted: impl Fn() -> bool,
    ) -> Result<bool, SessionError> {
        let kept = self.checkpoints.partition_point(|kept| kept.step <= step);
        let Some(checkpoint) = self.checkpoints[..kept].last() else {
            return Err(SessionError::Refused(format!("no checkpoint before update {step}")));
        };
        let from = checkpoint.step;
        self.trainer.restore(checkpoint)?;
        self.checkpoints.truncate(kept);
        let mut told = host.now_ms();
        while self.trainer.steps_done() < step {
            if !self.update(host, &interrupted).await? {
                return Ok(false);
            }
            if self.trainer.unread() >= RING_ROWS as u64 / 2 || self.trainer.steps_done() == step {
                let metrics = self.trainer.metrics().await?;
                self.history.extend(&metrics);
            }
            let now = host.now_ms();
            if now - told > READING_MS {
                told = now;
                let done = self.trainer.steps_done();
                host.emit(
                    Event::Progress {
                        run: Some(self.id),
                        phase: Phase::Train,
                        fraction: (done - from) as f64 / (step - from) as f64,
                        eta_s: None,
                        message: format!("replaying update {done} of {step}"),
                    },
                    vec![],
                );
                host.breathe().await;
                if interrupted() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Returns to the state before update `step` and pauses.
    pub async fn rewind(&mut self, host: &impl Host, inbox: &Inbox, step: u64) -> Result<(), SessionError> {
        if self.state == RunState::Running {
            self.read_metrics(host).await?;
        }
        let step = step.min(self.trainer.steps_total());
        self.state = RunState::Paused;
        let known = self.history.steps.len();
        let outcome = self.return_to(host, step, || inbox.interrupts()).await;
        self.forget_future();
        // After a longer way back that this one interrupted, the way leads forward.
        if let Some(new @ [_, ..]) = self.history.steps.get(known..) {
            self.tell(host, RunEvent::Metrics(columns(new, f64::NAN, f64::NAN)));
        }
        self.tell_curvature(host);
        self.tell_state(host);
        // The state in safe-keeping is of the future that was given up.
        if outcome? { self.save(host).await } else { Ok(()) }
    }

    /// Forgets what is known of updates that are not done any more, and waits.
    fn forget_future(&mut self) {
        let step = self.trainer.steps_done();
        self.history.rewind(step);
        self.watch.rewind(step);
        self.state = self.at_rest();
    }

    /// Turns a live control from the next update on, and records it in the spec.
    pub async fn edit(&mut self, host: &impl Host, path: &str, value: &str) -> Result<(), SessionError> {
        let mut spec = self.trainer.spec().clone();
        let edit = spec
            .record(self.trainer.steps_done(), path, value)
            .map_err(|issue| SessionError::Control { path: issue.path, message: issue.message })?;
        // What examples there are only the data tell.
        if let Some(issue) =
            self.trainer.original().mend(&mut spec.clone()).into_iter().find(|issue| issue.path == path)
        {
            return Err(SessionError::Control { path: issue.path, message: issue.message });
        }
        self.trainer.set_spec(spec);
        self.tell(host, RunEvent::Edited { edit });
        if path.starts_with("data.") {
            self.trainer.follow()?;
            self.look(host, &[regions::ID.to_owned()], 0).await?;
        }
        if self.state != RunState::Failed && self.over() != (self.state == RunState::Done) {
            self.set_state(host, self.at_rest());
        }
        Ok(())
    }

    /// Evaluates on the test set, `whole` or as many of its examples as a run can spare on its way, and tells the result.
    pub async fn evaluate(&mut self, host: &impl Host, whole: bool) -> Result<(), SessionError> {
        let result = if whole { self.trainer.evaluate().await? } else { self.trainer.estimate().await? };
        let evaluated =
            Evaluated { step: result.step, loss: result.loss, accuracy: result.accuracy, n: result.losses.len() };
        self.tell(
            host,
            RunEvent::Evaluated {
                step: evaluated.step,
                loss: evaluated.loss,
                accuracy: evaluated.accuracy,
                n: evaluated.n,
            },
        );
        self.history.evaluated(evaluated);
        self.tell_findings(host);
        Ok(())
    }

    /// Sends views of the network's inside.
    pub async fn look(&mut self, host: &impl Host, views: &[String], sample: usize) -> Result<(), SessionError> {
        let mut figures = crate::look::look(&mut self.trainer, views, sample).await?;
        figures.extend(self.look_at_own().await?);
        self.tell(host, RunEvent::Look { step: self.trainer.steps_done(), figures });
        Ok(())
    }

    /// Says what the network makes of a picture, from now on.
    async fn try_picture(
        &mut self,
        host: &impl Host,
        picture: Option<Raw>,
        blobs: &mut [Vec<u8>],
    ) -> Result<(), SessionError> {
        let seen = |picture: Raw| {
            let bytes = blob(blobs, picture.pixels)?;
            own::seen(self.trainer.data(), &picture, &bytes).map_err(SessionError::Refused)
        };
        self.own = picture.map(seen).transpose()?;
        let figures = self.look_at_own().await?.into_iter().collect();
        self.tell(host, RunEvent::Look { step: self.trainer.steps_done(), figures });
        Ok(())
    }

    /// Shows the pictures behind a cell of the confusion matrix.
    async fn look_into_cell(&mut self, host: &impl Host, cell: [usize; 2]) -> Result<(), SessionError> {
        let figures = cell::figures(&mut self.trainer, cell).await?;
        self.tell(host, RunEvent::Look { step: self.trainer.steps_done(), figures });
        Ok(())
    }

    async fn look_at_own(&mut self) -> Result<Option<Figure>, SessionError> {
        Ok(match &self.own {
            Some(pixels) => own::figure(&mut self.trainer, pixels).await?,
            None => None,
        })
    }

    /// Continues a text.
    pub async fn sample_text(
        &mut self,
        host: &impl Host,
        prompt: &str,
        temperature: f64,
        length: usize,
    ) -> Result<(), SessionError> {
        let text = crate::look::text::sample(&mut self.trainer, prompt, temperature, length).await?;
        self.tell(host, RunEvent::Text { step: self.trainer.steps_done(), text });
        Ok(())
    }

    /// Sends the state with all numbers so far, for safe-keeping.
    pub async fn save(&mut self, host: &impl Host) -> Result<(), SessionError> {
        if self.state == RunState::Failed {
            return Ok(());
        }
        self.read_metrics(host).await?;
        let mut checkpoint = self.trainer.checkpoint().await?;
        let step = checkpoint.step;
        let history = bytemuck::cast_slice(&self.history.to_floats()).to_vec();
        checkpoint.states.insert(HISTORY.to_owned(), history);
        checkpoint.states.insert(CURVATURE.to_owned(), self.watch.to_bytes());
        let bytes = checkpoint.to_bytes()?;
        self.tell_with(host, RunEvent::Checkpoint { step, state: Blob(0) }, vec![bytes]);
        Ok(())
    }

    /// Puts the run into a stored state, with its numbers.
    pub async fn restore(&mut self, host: &impl Host, bytes: &[u8]) -> Result<(), SessionError> {
        let mut checkpoint = Checkpoint::from_bytes(bytes)?;
        let history = checkpoint
            .states
            .remove(HISTORY)
            .and_then(|bytes| History::from_floats(&floats(&bytes)))
            .filter(|history| history.steps.len() as u64 == checkpoint.step)
            .ok_or_else(|| TrainError::Checkpoint("the history does not fit the step".to_owned()))?;
        // States that were kept before there were readings have none.
        let readings = checkpoint.states.remove(CURVATURE).unwrap_or_default();
        self.trainer.restore(&checkpoint)?;
        self.keep(checkpoint);
        self.history = history;
        self.watch.restore(&readings);
        self.tell_curvature(host);
        self.state = self.at_rest();
        if !self.history.steps.is_empty() {
            self.tell(host, RunEvent::Metrics(columns(&self.history.steps, f64::NAN, f64::NAN)));
        }
        for evaluated in &self.history.evaluations {
            let Evaluated { step, loss, accuracy, n } = *evaluated;
            self.tell(host, RunEvent::Evaluated { step, loss, accuracy, n });
        }
        self.tell_state(host);
        Ok(())
    }

    /// After new parameters came from outside: the states before them are no longer the way to the states after.
    pub async fn weights_replaced(&mut self, host: &impl Host) -> Result<(), SessionError> {
        self.read_metrics(host).await?;
        self.checkpoints.clear();
        self.remember().await?;
        if self.state != RunState::Running {
            self.state = self.at_rest();
        }
        self.evaluate(host, true).await?;
        self.tell_state(host);
        Ok(())
    }

    /// Moves to another executor and waits there in the newest state that is kept. Where that fails, it stays as it is.
    pub async fn move_to(&mut self, executor: AnyExecutor) -> Result<(), SessionError> {
        let mut trainer = Trainer::new(executor, self.trainer.spec(), self.trainer.original().clone()).await?;
        if let Some(checkpoint) = self.checkpoints.last() {
            trainer.restore(checkpoint)?;
        }
        self.trainer = trainer;
        self.watch.leave_executor();
        self.forget_future();
        // The other executor's time says nothing of this one's.
        self.micro_ms = f64::INFINITY;
        Ok(())
    }
}

/// Name under which a saved checkpoint holds the history.
const HISTORY: &str = "history";

/// Name under which it holds the readings of the curvature.
const CURVATURE: &str = "curvature";

fn columns(metrics: &[StepMetrics], step_ms: f64, host_ms: f64) -> Metrics {
    let column = |of: fn(&StepMetrics) -> f32| metrics.iter().map(of).collect::<Vec<f32>>();
    Metrics {
        first_step: metrics.first().map_or(0, |metrics| metrics.step),
        loss: column(|metrics| metrics.loss),
        accuracy: column(|metrics| metrics.accuracy),
        lr: column(|metrics| metrics.lr),
        momentum: column(|metrics| metrics.momentum),
        batch: column(|metrics| metrics.batch as f32),
        grad_norm: column(|metrics| metrics.grad_norm),
        step_ms: vec![step_ms as f32; metrics.len()],
        host_ms: vec![host_ms as f32; metrics.len()],
    }
}
