//! A session from its start to its end, arm by arm and seed by seed: the command line's way, and that of studies.

use std::rc::Rc;

use engine::continual::{ContinualSpec, Course, Export, Record};
use engine::data::Data;
use engine::spec::{Issue, RunSpec};
use engine::tape::{Breathless, Home, Play};

use super::{Ground, Lane, export, frozen, glyphs};
use crate::{Host, StudyError};

/// What an arm came to with a seed.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Which arm.
    pub arm: usize,
    /// Which seed, from 0.
    pub seed: usize,
    /// What it came to.
    pub record: Record,
}

/// What a session came to.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The session as it ran.
    pub spec: ContinualSpec,
    /// What the data made necessary to put right.
    pub issues: Vec<Issue>,
    /// What lay ahead.
    pub course: Course,
    /// What became of it, seed by seed.
    pub runs: Vec<Whole>,
}

impl Ended {
    /// A file of it; `None` for one that holds more than numbers.
    #[must_use]
    pub fn file(&self, kind: Export) -> Option<String> {
        let runs = || self.runs.iter().map(|run| (run.arm, run.seed, &run.record));
        match kind {
            Export::Csv => Some(export::csv(&self.course, runs())),
            Export::Json => Some(export::json(&self.spec, &self.course, runs()).to_string()),
            Export::Safetensors => None,
        }
    }
}

/// The data sets of a session.
///
/// # Errors
/// One cannot be had.
pub async fn sets(spec: &ContinualSpec, host: &dyn Host) -> Result<Vec<Rc<Data>>, StudyError> {
    let mut sets = Vec::new();
    if let Some(name) = glyphs::file(spec) {
        let file = host.pack(name).await?;
        sets.push(Rc::new(glyphs::data(&file, spec.seed).map_err(StudyError::Other)?));
    }
    for data in spec.sets() {
        sets.push(host.data(&RunSpec { data, seed: spec.seed, ..RunSpec::default() }).await?);
    }
    Ok(sets)
}

/// Runs a session to its end; `tell` hears what goes on and which share is done.
///
/// # Errors
/// The data cannot make the stream, or the executor fails.
pub async fn run(spec: &ContinualSpec, host: &dyn Host, tell: &mut dyn FnMut(&str, f64)) -> Result<Ended, StudyError> {
    let sets = sets(spec, host).await?;
    let file = match frozen::file(spec) {
        Some(name) => Some(host.pack(name).await?),
        None => None,
    };
    let file = file.as_deref().map(Vec::as_slice);
    let (executor, _) = host.executor().await?;
    let home = Home::new(Some(executor).into());
    let mut ended = Ended { spec: spec.clone(), issues: Vec::new(), course: Course::default(), runs: Vec::new() };
    let total = spec.arms.len() * spec.seeds as usize;
    for seed in 0..spec.seeds as usize {
        let number = spec.seed + seed as u64;
        let made = Ground::of(spec, &sets, number).map_err(|issue| StudyError::Other(issue.message))?;
        let (mut ground, issues) = made;
        ground.encode(Play::new(&home, Breathless, number)?, file).await?;
        let ground = Rc::new(ground);
        if seed == 0 {
            (ended.course, ended.issues) = (ground.course(), issues);
        }
        for (arm, what) in spec.arms.iter().enumerate() {
            let begun = host.now_ms();
            let mut lane = Lane::new(&ground, what, Play::new(&home, Breathless, number)?, None).await?;
            while !lane.ended() {
                lane.advance().await?;
                if host.cancelled() {
                    return Err(StudyError::Cancelled);
                }
            }
            let mut record = lane.record.clone();
            record.cost.seconds = (host.now_ms() - begun) / 1000.0;
            ended.runs.push(Whole { arm, seed, record });
            tell(&format!("{}, seed {number}", what.label()), ended.runs.len() as f64 / total as f64);
        }
    }
    Ok(ended)
}
