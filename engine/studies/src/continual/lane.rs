//! An arm that learns a stream with a seed: update by update, forwards and back.

use std::rc::Rc;

use engine::continual::{Arm, Cost, Insight, Moved, Reading, Record, Sharpness};
use engine::model::ParamLayout;
use engine::numeric::argmax;
use engine::streams::TaskStream;
use engine::tape::{Play, Snapshot};

use super::Ground;
use super::desk::{Batch, Desk};
use super::drift::{Drift, Layers, moved};
use super::sharpness::{Probe, descends};
use super::strategies::{Draws, Method, method};
use super::timetable::{Due, batch};
use crate::StudyError;

/// A moment to return to.
struct Kept {
    update: u64,
    snapshot: Snapshot,
    method: Box<dyn Method>,
    leg: usize,
    seen: Vec<bool>,
    begun: Rc<Vec<f32>>,
    ended: Option<Layers>,
}

/// See the module.
pub struct Lane<'p> {
    /// What it came to so far.
    pub record: Record,
    desk: Desk<'p>,
    ground: Rc<Ground>,
    arm: Arm,
    method: Box<dyn Method>,
    /// The leg at work.
    leg: usize,
    update: u64,
    stream: (Draws, TaskStream),
    kept: Vec<Kept>,
    /// Readings up to this update are those of the arm whose past this is.
    quiet: u64,
    /// Parameters where the task at hand began.
    begun: Rc<Vec<f32>>,
    drift: Drift,
    /// What layers yielded for the first task when it ended.
    ended: Option<Layers>,
    /// Made when it is first needed.
    probe: Option<Box<Probe>>,
}

impl<'p> Lane<'p> {
    /// An arm at the start of the stream. `past`: the record of the arm that it leaves, and the updates of that past.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn new(
        ground: &Rc<Ground>,
        arm: &Arm,
        play: Play<'p>,
        past: Option<(&Record, u64)>,
    ) -> Result<Self, StudyError> {
        let parts = (ground.spec.clone(), ground.tasks.clone(), ground.features.clone());
        let mut desk = Desk::new(play, parts.0, parts.1, parts.2, ground.seed).await?;
        let mut method = method(&arm.legs[0], &desk);
        method.begin(&mut desk).await?;
        if let Some(start) = &ground.start {
            desk.start_from(start).await?;
        }
        let drift = Drift::new(&mut desk).await?;
        desk.remember_fresh().await?;
        let stream = (method.draws(), ground.stream(method.draws()));
        let mut record = Record { borders: ground.timetable.borders.clone(), ..Record::default() };
        let mut quiet = 0;
        if let Some((past, update)) = past {
            record.readings = past.readings.iter().filter(|reading| reading.update <= update).cloned().collect();
            quiet = if record.readings.is_empty() { 0 } else { update };
        }
        let begun = Rc::new(desk.theta().await?);
        let mut lane = Self {
            record,
            desk,
            ground: ground.clone(),
            arm: arm.clone(),
            method,
            leg: 0,
            update: 0,
            stream,
            kept: Vec::new(),
            quiet,
            begun,
            drift,
            ended: None,
            probe: None,
        };
        if lane.record.readings.is_empty() {
            lane.read(Due::All).await?;
        }
        lane.keep().await?;
        Ok(lane)
    }

    /// Updates done.
    #[must_use]
    pub const fn update(&self) -> u64 {
        self.update
    }

    /// Whether the stream has ended, or the arm's numbers are no longer finite.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.update >= self.ground.timetable.updates() || self.record.diverged.is_some()
    }

    /// Rows that are stored.
    #[must_use]
    pub fn stored(&self) -> &[u32] {
        self.method.stored()
    }

    /// Where the network's parameters lie, and what they are.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn parameters(&mut self) -> Result<(ParamLayout, Vec<f32>), StudyError> {
        Ok((self.desk.layout.clone(), self.desk.theta().await?))
    }

    /// Contents of a state of the arm's own.
    ///
    /// # Errors
    /// There is none of that name; the executor fails.
    pub async fn state(&mut self, name: &str) -> Result<Vec<f32>, StudyError> {
        Ok(self.desk.play.read(name).await?)
    }

    /// One update. What was evaluated after it.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn advance(&mut self) -> Result<Due, StudyError> {
        if self.ended() {
            return Ok(Due::Nothing);
        }
        self.change_leg().await?;
        let task = self.ground.timetable.task(self.update);
        let rows = batch(&mut self.stream.1, self.update, self.ground.spec.batch);
        for &row in &rows {
            self.desk.seen[self.ground.tasks.output[row as usize] as usize] = true;
        }
        self.method.learn(&mut self.desk, &Batch { update: self.update, rows }).await?;
        self.update += 1;
        let border = self.ground.timetable.borders.contains(&self.update);
        if border {
            self.method.border(&mut self.desk, task).await?;
        }
        let due = self.ground.timetable.due(self.update);
        if self.update > self.quiet {
            self.read(due).await?;
        }
        if border || self.half_way(task) {
            if border {
                self.begun = Rc::new(self.desk.theta().await?);
                if task == 0 {
                    self.ended = Some(self.drift.layers(&mut self.desk).await?);
                }
            }
            self.keep().await?;
        }
        Ok(due)
    }

    /// Another strategy takes over where the arm says so.
    async fn change_leg(&mut self) -> Result<(), StudyError> {
        let next = self.arm.legs.get(self.leg + 1).filter(|next| next.from == self.update);
        if let Some(next) = next {
            let mut method = method(next, &self.desk);
            method.begin(&mut self.desk).await?;
            self.method = method;
            self.leg += 1;
            self.draw_anew();
        }
        Ok(())
    }

    fn draw_anew(&mut self) {
        let draws = self.method.draws();
        if draws != self.stream.0 {
            self.stream = (draws, self.ground.stream(draws));
        }
    }

    fn half_way(&self, task: usize) -> bool {
        let begin = self.ground.timetable.begin(task);
        self.update == begin + (self.ground.timetable.borders[task] - begin) / 2
    }

    /// Keeps the moment to return to.
    async fn keep(&mut self) -> Result<(), StudyError> {
        if self.kept.last().is_none_or(|kept| kept.update < self.update) {
            let snapshot = self.desk.play.snapshot().await?;
            let (method, seen, begun) = (self.method.twin(), self.desk.seen.clone(), self.begun.clone());
            let (update, leg, ended) = (self.update, self.leg, self.ended.clone());
            self.kept.push(Kept { update, snapshot, method, leg, seen, begun, ended });
        }
        Ok(())
    }

    /// Goes back to the state after so many updates, exactly: to the last moment kept before, and forwards from there.
    /// Readings after it are forgotten.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn rewind(&mut self, update: u64) -> Result<(), StudyError> {
        if update >= self.update {
            return Ok(());
        }
        let quiet = self.quiet;
        self.kept.retain(|kept| kept.update <= update);
        if let Some(kept) = self.kept.last() {
            self.desk.play.restore(&kept.snapshot)?;
            (self.update, self.leg, self.method) = (kept.update, kept.leg, kept.method.twin());
            self.desk.seen.clone_from(&kept.seen);
            (self.begun, self.ended) = (kept.begun.clone(), kept.ended.clone());
            self.draw_anew();
        }
        self.record.rewind(update);
        // What was read of these updates before stays.
        self.quiet = update;
        while self.update < update && !self.ended() {
            self.advance().await?;
        }
        self.quiet = quiet.min(update);
        Ok(())
    }

    /// Evaluates what is due.
    async fn read(&mut self, due: Due) -> Result<(), StudyError> {
        let tests = match due {
            Due::Nothing => return Ok(()),
            Due::First => &self.ground.tasks.test[..1],
            Due::All => &self.ground.tasks.test[..],
        };
        let (rows, outputs) = (tests.concat(), self.desk.outputs());
        let scores = self.method.answer(&mut self.desk, &rows).await?;
        if scores.iter().any(|score| score.is_nan()) {
            self.record.diverged = Some(self.update);
            return Ok(());
        }
        let mut confusion = vec![vec![0_u32; outputs]; outputs];
        let mut accuracy = Vec::with_capacity(tests.len());
        let mut scores = scores.chunks(outputs);
        for (task, rows) in tests.iter().enumerate() {
            let allowed = self.desk.allowed_in(task);
            let mut right = 0;
            for &row in rows {
                let competing = scores.next().into_iter().flatten().zip(&allowed);
                let competing =
                    competing.map(|(&score, &allowed)| if allowed > 0.0 { score } else { f32::NEG_INFINITY });
                let answer = argmax(&competing.collect::<Vec<f32>>()).unwrap_or(0);
                let truth = self.ground.tasks.output[row as usize] as usize;
                right += usize::from(answer == truth);
                confusion[truth][answer] += 1;
            }
            accuracy.push(right as f32 / rows.len().max(1) as f32);
        }
        let sharpness = self.sharpness().await?;
        self.record.push(Reading { update: self.update, accuracy, sharpness });
        if due == Due::All {
            let task = self.ground.timetable.task(self.update.saturating_sub(1));
            let recent = self.ground.tasks.of_task[task].clone();
            let moved = self.moved().await?;
            let drifted = match &self.ended {
                Some(ended) => self.drift.since(ended, &mut self.desk).await?,
                None => Vec::new(),
            };
            self.record.insight = Insight { update: self.update, confusion, recent, moved, drifted };
            let network = self.desk.layout.len() as u64;
            let examples = self.method.stored().len() as u64;
            self.record.cost = Cost {
                parameters: self.method.parameters(network),
                memory_bytes: examples * self.ground.tasks.example_bytes() + self.method.extra_bytes(network),
                examples,
                flop: self.method.flop(&self.desk),
                seconds: self.record.cost.seconds,
            };
        }
        Ok(())
    }

    /// How sharply the loss bends, where that is due.
    async fn sharpness(&mut self) -> Result<Option<Sharpness>, StudyError> {
        let timetable = &self.ground.timetable;
        if !timetable.is_bent(self.update) || !descends(self.arm.legs[self.leg].strategy) {
            return Ok(None);
        }
        let probe = match &mut self.probe {
            Some(probe) => probe,
            None => self.probe.insert(Box::new(Probe::new(&mut self.desk)?)),
        };
        probe.read(&mut self.desk, timetable.task(self.update), self.ground.spec.curvature).await
    }

    /// How far each layer's weights went in the task at hand.
    async fn moved(&mut self) -> Result<Vec<Moved>, StudyError> {
        let theta = self.desk.theta().await?;
        let weights = self.desk.layout.entries().iter().filter(|entry| entry.name.ends_with("weight"));
        Ok(weights
            .map(|entry| {
                let place = entry.offset..entry.offset + entry.shape.iter().product::<usize>();
                let layer = entry.name.trim_end_matches(".weight").to_owned();
                Moved { layer, relative: moved(&self.begun[place.clone()], &theta[place]) }
            })
            .collect())
    }
}
