//! Sessions as parts of studies: an arm from its start to its end over a study's context, and an encoder that was trained
//! on another data set.

use std::rc::Rc;

use engine::continual::{Arm, ContinualSpec, Descent, Network, Record, Strategy, StreamKind};

use super::{Ground, Lane};
use crate::names::DIVERGED;
use crate::{Context, Curve, Number, Outcome, StudyError};

/// Mean accuracy over the tasks in the end.
pub const FINAL: Number = Number::new("final", "%");
/// How far tasks fell below their best.
pub const FORGETTING: Number = Number::new("forgetting", "points");
/// Mean accuracy over the tasks so far.
pub const SEEN: Curve = Curve::new("seen", "%");

/// The ground of a session with a seed.
///
/// # Errors
/// The data cannot be had or make no stream.
pub async fn ground(context: &Context<'_>, spec: &ContinualSpec, seed: u64) -> Result<Ground, StudyError> {
    let mut sets = Vec::new();
    for data in spec.sets() {
        sets.push(context.data(&data).await?);
    }
    let made = Ground::of(spec, &sets, seed).map_err(|issue| StudyError::Other(issue.message))?;
    Ok(made.0)
}

/// Lets an arm learn the whole stream: its record and its network's parameters in the end.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn learn(
    context: &mut Context<'_>,
    ground: &Rc<Ground>,
    arm: &Arm,
) -> Result<(Record, Vec<f32>), StudyError> {
    let mut lane = learned(context, ground, arm).await?;
    let theta = lane.parameters().await?.1;
    Ok((lane.record, theta))
}

/// An arm that has learned the whole stream.
///
/// # Errors
/// As [`learn`].
pub async fn learned<'h>(context: &mut Context<'h>, ground: &Rc<Ground>, arm: &Arm) -> Result<Lane<'h>, StudyError> {
    let begun = context.now_ms();
    let play = context.play(ground.seed).await?;
    let mut lane = Lane::new(ground, arm, play, None).await?;
    while !lane.ended() {
        lane.advance().await?;
    }
    lane.record.cost.seconds = (context.now_ms() - begun) / 1000.0;
    Ok(lane)
}

/// Parameters of a convnet of these channels that was trained on clothes, of which no stream of digits has any, as
/// [`pretraining`] says.
///
/// # Errors
/// As [`learn`].
pub async fn trained_on_clothes(
    context: &mut Context<'_>,
    channels: &[usize],
    amount: [usize; 2],
    seed: u64,
) -> Result<Vec<f32>, StudyError> {
    let spec = pretraining(channels, amount);
    let ground = Rc::new(ground(context, &spec, seed).await?);
    Ok(learn(context, &ground, &spec.arms[0]).await?.1)
}

/// The training of a convnet of these channels on so many examples of clothes in so many passes: Adam, rate 1e-3, batches of
/// 64.
#[must_use]
pub fn pretraining(channels: &[usize], [examples, passes]: [usize; 2]) -> ContinualSpec {
    ContinualSpec {
        stream: StreamKind::SplitFashion,
        tasks: 1,
        examples,
        tested: 500,
        passes: passes as u32,
        network: Network::Convnet,
        hidden: channels.to_vec(),
        optimizer: Descent::Adam,
        rate: 1e-3,
        batch: 64,
        readings: 1,
        window: 0,
        arms: vec![Arm::new(Strategy::FineTuning)],
        ..ContinualSpec::default()
    }
}

/// Mean accuracy over the tasks in the end, in percent; of a run that diverged, that of guessing.
#[must_use]
pub fn accuracy(record: &Record, guessing: f64) -> f64 {
    if record.diverged.is_some() { guessing } else { 100.0 * record.summary().acc }
}

/// Sets what an arm came to: [`FINAL`], [`FORGETTING`] and [`SEEN`]; of a run that diverged, guessing and what it had seen.
pub fn conclude(outcome: &mut Outcome, record: &Record, guessing: f64) {
    outcome.number(FINAL, accuracy(record, guessing));
    let forgetting = record.summary().forgetting;
    match record.diverged {
        Some(update) => outcome.number(DIVERGED, update as f64),
        // A single task has nothing to forget.
        None if forgetting.is_nan() => {}
        None => outcome.number(FORGETTING, 100.0 * forgetting),
    }
    so_far(record).into_iter().for_each(|[task, accuracy]| outcome.point(SEEN, task, accuracy));
}

/// Accuracy over what has arrived, in percent, after each task: mean over the tasks so far.
#[must_use]
pub fn so_far(record: &Record) -> Vec<[f64; 2]> {
    let seen = |(task, row): (usize, &Vec<f64>)| {
        [(task + 1) as f64, 100.0 * row[..=task].iter().sum::<f64>() / (task + 1) as f64]
    };
    record.rows().iter().enumerate().map(seen).collect()
}
