//! The curvature beside a run: measured between its steps in slices, kept as readings, drawn as the right column.
//!
//! A measurement works on a snapshot of the parameters, so training goes on between two products without effect on it,
//! and it on none of the run's numbers. What was measured belongs to the run's history: a rewind forgets what came
//! later, and a saved run keeps it.

mod batches;
mod figures;
mod instruments;
mod landscape;
mod reading;
mod ridges;
mod spectrum;

use std::collections::VecDeque;

use crate::executor::AnyExecutor;
use crate::figure::Figure;
use crate::probe::{Curvature, Landscape, Point, Settings, first_rows, probed_rows};
use crate::protocol::Probe;
use crate::spec::Curved;
use crate::train::{TrainError, Trainer};
use batches::Batches;
use landscape::{Direction, Slice};
pub use reading::{Layer, Reading};
use spectrum::{NOISE_PARTS, Spectrum};

/// Readings kept; when there are more, every second one goes.
const READINGS: usize = 400;
/// Places of a slice that are computed between two drawings.
const PLACES: usize = 8;

/// A measurement under way.
enum Job {
    Spectrum(Box<Spectrum>),
    Batches(Box<Batches>),
    Slice(Box<Slice>),
}

/// What is known of a run's curvature, and what is being measured.
#[derive(Default)]
pub struct Watch {
    readings: Vec<Reading>,
    /// Figures that were asked for, by id.
    asked: Vec<Figure>,
    /// Where the next ones are taken.
    tools: Option<Tools>,
    job: Option<Job>,
    waiting: VecDeque<Probe>,
}

/// What measurements share: plans on the run's executor, and vectors of the measurement before.
struct Tools {
    operator: Curved,
    whole: Curvature,
    /// For single batches and examples.
    part: Curvature,
    landscape: Landscape,
    /// Examples.
    rows: Vec<u32>,
    /// Those for the noise scale: more, as one gradient of each is enough.
    noise_rows: Vec<u32>,
    /// Eigenvectors to start the next search from, and those of the preconditioned matrix.
    warm: Vec<Vec<f32>>,
    scaled: Vec<Vec<f32>>,
    /// Parameters at the start of the run.
    origin: Vec<f32>,
    /// Updates and parameters at the last reading.
    before: (u64, Vec<f32>),
    /// Parameters one update later, where an instrument asks for them.
    after: Option<Vec<f32>>,
}

impl Tools {
    fn new(trainer: &Trainer<AnyExecutor>) -> Result<Self, TrainError> {
        let origin = trainer.layout().initial(trainer.spec().seed);
        let (spec, feed) = (trainer.spec(), trainer.feed());
        let operator = trainer.recipe().probes.operator;
        let settings = Settings { micro: trainer.recipe().batch.micro, ..Settings::default() };
        let curvature = |prefix| Curvature::new(spec, feed, operator, settings, prefix);
        Ok(Tools {
            operator,
            whole: curvature("probe.whole")?,
            part: curvature("probe.part")?,
            landscape: Landscape::new(spec, feed, settings.micro, "probe.loss")?,
            rows: probed_rows(trainer, 1),
            noise_rows: probed_rows(trainer, NOISE_PARTS),
            warm: vec![],
            scaled: vec![],
            before: (0, origin.clone()),
            after: None,
            origin,
        })
    }

    fn release(&mut self, executor: &mut AnyExecutor) {
        self.whole.release(executor);
        self.part.release(executor);
        self.landscape.release(executor);
    }
}

impl Watch {
    /// Asks for a measurement; one that waits already is not asked for twice.
    pub fn ask(&mut self, probe: Probe) {
        if !self.waiting.contains(&probe) {
            self.waiting.push_back(probe);
        }
    }

    /// Whether there is anything to do.
    pub fn busy(&self) -> bool {
        self.job.is_some() || !self.waiting.is_empty()
    }

    /// All readings by ascending step, the one under way with what it tells already.
    pub fn readings(&self) -> Vec<&Reading> {
        let growing = match &self.job {
            Some(Job::Spectrum(spectrum)) => Some(spectrum.reading()),
            _ => None,
        };
        let before = |reading: &&Reading| growing.is_none_or(|growing| reading.step < growing.step);
        self.readings.iter().filter(before).chain(growing).collect()
    }

    /// All figures of these, and those that were asked for.
    pub fn figures(&self) -> Vec<Figure> {
        figures::all(&self.readings()).into_iter().chain(self.asked.iter().cloned()).collect()
    }

    /// Forgets what was measured after the first `step` updates, and what is being measured.
    pub fn rewind(&mut self, step: u64) {
        self.readings.retain(|reading| reading.step <= step);
        self.asked.clear();
        self.job = None;
        self.waiting.clear();
        if let Some(tools) = &mut self.tools {
            tools.warm.clear();
            tools.scaled.clear();
            tools.before = (0, tools.origin.clone());
        }
    }

    /// The readings for safe-keeping: JSON, filled up with blanks to whole words.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(&self.readings).unwrap_or_default();
        bytes.resize(bytes.len().next_multiple_of(4), b' ');
        bytes
    }

    /// Takes back what [`Self::to_bytes`] wrote; readings of another version are left out.
    pub fn restore(&mut self, bytes: &[u8]) {
        self.readings = crate::tree::parse(bytes).unwrap_or_default();
    }

    /// Keeps its readings alone: on another executor its plans are of no use.
    pub fn leave_executor(&mut self) {
        *self = Watch { readings: std::mem::take(&mut self.readings), ..Watch::default() };
    }

    /// Whether it wants to know the parameters after so many updates.
    pub fn awaits(&self, updates: u64) -> bool {
        matches!(&self.job, Some(Job::Spectrum(spectrum)) if spectrum.reading().told.alpha.is_some() && spectrum.reading().step + 1 == updates)
    }

    /// Takes the parameters that it wanted to know.
    pub fn updated(&mut self, theta: Vec<f32>) {
        if let Some(tools) = &mut self.tools {
            tools.after = Some(theta);
        }
    }

    /// Gives plans and buffers back, for instance because the settings have changed.
    pub fn release(&mut self, executor: &mut AnyExecutor) {
        self.job = None;
        if let Some(mut tools) = self.tools.take() {
            tools.release(executor);
        }
    }

    /// Stops measuring: what is under way and what waits.
    pub fn give_up(&mut self, executor: &mut AnyExecutor) {
        self.waiting.clear();
        self.release(executor);
    }

    /// Does a part of the work: about one product. True when there is something new to show.
    pub async fn advance(&mut self, trainer: &mut Trainer<AnyExecutor>) -> Result<bool, TrainError> {
        let probes = &trainer.recipe().probes;
        let wanted = (probes.operator, probes.samples);
        if self.job.is_none() && self.tools.as_ref().is_some_and(|tools| !tools.fits(wanted, trainer)) {
            self.release(trainer.executor_mut());
        }
        let tools = match &mut self.tools {
            Some(tools) => tools,
            None => self.tools.insert(Tools::new(trainer)?),
        };
        let Some(job) = &mut self.job else {
            let Some(probe) = self.waiting.pop_front() else { return Ok(false) };
            let job = begin(probe, tools, trainer, self.readings.last()).await?;
            // A reading tells norms and distance from its start.
            let tells = matches!(job, Job::Spectrum(_));
            self.job = Some(job);
            return Ok(tells);
        };
        match job {
            Job::Spectrum(spectrum) => {
                let grown = spectrum.advance(tools, trainer).await?;
                if spectrum.done() {
                    let reading = spectrum.reading().clone();
                    self.job = None;
                    self.keep(reading);
                }
                Ok(grown)
            }
            Job::Batches(batches) => {
                let (grown, done) = batches.advance(tools, trainer).await?;
                if grown {
                    let figures = batches.figures();
                    self.show(figures);
                }
                if done {
                    self.job = None;
                }
                Ok(grown)
            }
            Job::Slice(slice) => {
                for _ in 0..PLACES {
                    let Some(theta) = slice.next() else { break };
                    let executor = trainer.executor_mut();
                    tools.landscape.go(executor, Point::Given(&theta)).await?;
                    let losses = tools.landscape.losses(executor, &tools.rows).await?;
                    slice.take(mean(&losses));
                }
                let (figure, done) = (slice.figure(), slice.done());
                self.show(vec![figure]);
                if done {
                    self.job = None;
                }
                Ok(true)
            }
        }
    }

    fn keep(&mut self, reading: Reading) {
        self.readings.retain(|other| other.step < reading.step);
        self.readings.iter_mut().for_each(|other| other.told.forget_pictures());
        self.readings.push(reading);
        if self.readings.len() > READINGS {
            let last = self.readings.len() - 1;
            let mut number = 0;
            self.readings.retain(|_| {
                number += 1;
                number % 2 == 1 || number > last
            });
        }
    }

    fn show(&mut self, figures: Vec<Figure>) {
        for figure in figures {
            match self.asked.iter_mut().find(|known| known.id == figure.id) {
                Some(place) => *place = figure,
                None => self.asked.push(figure),
            }
        }
    }
}

impl Tools {
    /// Whether they measure what the settings ask for.
    fn fits(&self, (operator, samples): (Curved, usize), trainer: &Trainer<AnyExecutor>) -> bool {
        self.operator == operator && self.rows == first_rows(trainer, samples)
    }
}

async fn begin(
    probe: Probe,
    tools: &mut Tools,
    trainer: &mut Trainer<AnyExecutor>,
    last: Option<&Reading>,
) -> Result<Job, TrainError> {
    let step = trainer.steps_done();
    let theta = trainer.theta().await?;
    Ok(match probe {
        Probe::Spectrum => Job::Spectrum(Box::new(Spectrum::begin(tools, trainer, theta).await?)),
        Probe::Batches => Job::Batches(Box::new(Batches::begin(tools, trainer, theta).await?)),
        Probe::Line | Probe::Plane => {
            let executor = trainer.executor_mut();
            tools.landscape.go(executor, Point::Run).await?;
            let loss = mean(&tools.landscape.losses(executor, &tools.rows).await?);
            let count = if probe == Probe::Line { 1 } else { 2 };
            // Along the sharpest directions where they are known, else along random ones.
            let direction =
                |k: usize| match (tools.warm.get(k), last.and_then(|last| Some((last.step, *last.top.get(k)?)))) {
                    (Some(vector), Some((at, value))) => {
                        Direction::eigenvector(&format!("v{} of step {at}", k + 1), vector, value, loss)
                    }
                    _ => Direction::random(trainer.layout(), &theta, trainer.spec().seed, k as u32),
                };
            let directions = (0..count).map(direction).collect();
            Job::Slice(Box::new(Slice::new(step, tools.rows.len(), theta.clone(), directions)))
        }
    })
}

fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len().max(1) as f64
}

#[cfg(test)]
mod tests;
