//! The runs of a seed, and the first step of each rule.

use engine::executor::AnyExecutor;
use engine::graph::numel;
use engine::model::{ParamEntry, ParamLayout};
use engine::numeric::{distance, norm};
use engine::spec::{RunSpec, ScheduleSpec, Shape};
use engine::train::Trainer;

use super::{AS_DRAWN, BY_RATE, Curve, MOMENTUM, PLACES, RATES, SPREAD, STEP, STEP_AS_DRAWN, WAYS, Way, spec};
use crate::{Context, Share, StudyError};

/// Accuracy of a network that guesses, in percent: that of a run whose loss is no longer a number.
const GUESSED: f64 = 10.0;
/// Rate of the first step that is measured; its length is told at rate 1.
const PROBED: f64 = 0.1;

/// The tensors that multiply features, from the first layer to the output.
pub fn weights(layout: &ParamLayout) -> impl Iterator<Item = &ParamEntry> {
    layout.entries().iter().filter(|entry| entry.shape.len() == 2)
}

/// What each layer is multiplied by, which leaves what the network computes as it is: biases are still 0, and ReLU lets
/// positive factors through.
fn factors(spread: f64) -> [f32; 4] {
    let spread = spread as f32;
    [spread, 1.0 / spread, spread, 1.0 / spread]
}

/// Spreads the scales of layers.
pub fn spread(layout: &ParamLayout, theta: &mut [f32], spread: f64) {
    for (entry, factor) in weights(layout).zip(factors(spread)) {
        theta[entry.offset..][..numel(&entry.shape)].iter_mut().for_each(|weight| *weight *= factor);
    }
}

/// Everything of a seed.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    let factor = context.results.knobs.get(&SPREAD);
    let tuned = WAYS.iter().flat_map(|way| PLACES.map(|place| (way, place, way.arm(place), factor)));
    let runs: Vec<_> = tuned.chain([(&WAYS[MOMENTUM], 0, AS_DRAWN.to_owned(), 1.0)]).collect();
    for way in &WAYS {
        for (curve, factor) in [(STEP, factor), (STEP_AS_DRAWN, 1.0)] {
            first_step(context, way, curve, factor, seed).await?;
        }
    }
    for (number, (way, place, arm, factor)) in runs.iter().enumerate() {
        let share = share.part(number, runs.len());
        for rate in 0..RATES {
            let spec = RunSpec { seed, ..spec(&context.results.knobs, way, *place, rate) };
            let accuracy = accuracy(context, &spec, *factor).await?;
            context.results.record(arm, seed)?.point(BY_RATE, rate as f64, accuracy);
            let name = format!("{}, batch {}, seed {seed}: rate {} of {RATES}", way.name, spec.batch.size, rate + 1);
            context.progress(share.at((rate + 1) as f64 / RATES as f64), &name);
        }
        context.results.record(arm, seed)?.done = true;
    }
    Ok(())
}

/// Spreads the layers of a run that is about to begin.
async fn begin(trainer: &mut Trainer<AnyExecutor>, factor: f64) -> Result<Vec<f32>, StudyError> {
    let mut theta = trainer.theta().await?;
    spread(trainer.layout(), &mut theta, factor);
    trainer.set_theta(&theta)?;
    Ok(theta)
}

/// Accuracy of a run in the end, in percent.
async fn accuracy(context: &mut Context<'_>, spec: &RunSpec, factor: f64) -> Result<f64, StudyError> {
    context
        .with_trainer(spec, async |context, trainer| {
            begin(trainer, factor).await?;
            context.updates(trainer, spec.steps).await?;
            let end = trainer.evaluate().await?;
            let accuracy = end.accuracy.filter(|_| end.loss.is_finite());
            Ok(accuracy.map_or(GUESSED, |accuracy| 100.0 * accuracy))
        })
        .await
}

/// Records the length of a rule's first update with the large batch over that of the weights, layer by layer.
async fn first_step(
    context: &mut Context<'_>,
    way: &Way,
    curve: Curve,
    factor: f64,
    seed: u64,
) -> Result<(), StudyError> {
    let spec = spec(&context.results.knobs, way, 2, 0);
    let schedule = ScheduleSpec { kind: Shape::Constant, peak: PROBED, warmup: 0, ..spec.schedule.clone() };
    let spec = RunSpec { seed, schedule, ..spec };
    let steps = context
        .with_trainer(&spec, async |context, trainer| {
            let before = begin(trainer, factor).await?;
            context.updates(trainer, 1).await?;
            let after = trainer.theta().await?;
            Ok(relative(trainer.layout(), &before, &after))
        })
        .await?;
    let outcome = context.results.record(&way.arm(2), seed)?;
    for (layer, step) in steps.into_iter().enumerate() {
        outcome.point(curve, (layer + 1) as f64, step / PROBED);
    }
    Ok(())
}

/// Length of a step over that of the weights, layer by layer.
pub fn relative(layout: &ParamLayout, before: &[f32], after: &[f32]) -> Vec<f64> {
    let of_layer = |entry: &ParamEntry| {
        let range = entry.offset..entry.offset + numel(&entry.shape);
        distance(&after[range.clone()], &before[range.clone()]) / norm(&before[range])
    };
    weights(layout).map(of_layer).collect()
}
