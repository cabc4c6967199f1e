//! One arm's run on a budget of examples, and the optimum that its gap is measured from.

use super::{
    BATCH, EPOCHS, GAP, GAP_BY_UPDATE, GROWTH, LAST_BATCH, OPTIMUM, STATISTIC, UPDATES, cloud, pictured, spec,
};
use crate::names::ACCURACY;
use crate::{Context, Knobs, Share, StudyError};
use engine::executor::AnyExecutor;
use engine::spec::{BatchSpec, Rule, RunSpec};
use engine::train::{Trainer, examples_needed};

/// Readings of a run.
const READINGS: u64 = 80;
/// Updates that find the optimum.
const OPTIMUM_STEPS: u64 = 1500;
/// What rounding leaves of a gap: one that is smaller is as good as this.
const LEAST_GAP: f64 = 1e-6;

/// How far a training loss is above the optimum; infinite where it is no number.
pub fn gap(loss: f64, optimum: f64) -> f64 {
    if loss.is_finite() { (loss - optimum).max(LEAST_GAP) } else { f64::INFINITY }
}

/// The least training loss of softmax regression.
pub async fn optimum(context: &mut Context<'_>, knobs: &Knobs, seed: u64) -> Result<f64, StudyError> {
    let all = BatchSpec { size: 0, ..BatchSpec::default() };
    let mut spec = spec(knobs, (Rule::Nesterov, 1.0), all, seed);
    spec.optimizer.momentum = 0.9;
    context
        .with_trainer(&spec, async |context, trainer| {
            context.updates(trainer, OPTIMUM_STEPS).await?;
            Ok(trainer.training_loss().await?)
        })
        .await
}

/// Trains an arm until its samples are spent, with a point of its curves wherever a reading is due.
pub async fn descend(
    context: &mut Context<'_>,
    arm: &str,
    spec: &RunSpec,
    optimum: f64,
    share: Share,
) -> Result<(), StudyError> {
    context.with_trainer(spec, async |context, trainer| spend(context, trainer, arm, spec, optimum, share).await).await
}

async fn spend(
    context: &mut Context<'_>,
    trainer: &mut Trainer<AnyExecutor>,
    arm: &str,
    spec: &RunSpec,
    optimum: f64,
    share: Share,
) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let budget = EPOCHS * trainer.examples() as u64;
    let every = budget / READINGS;
    let first = trainer.batch_at(0);
    let mut last = first;
    let mut read = None;
    let pictured = context.pictures(spec.seed) && Some(arm) == pictured(&knobs).as_deref();
    if pictured {
        cloud::keep(context, trainer, cloud::START).await?;
    }
    loop {
        let (drawn, batch) = (trainer.examples_drawn(), trainer.batch_at(trainer.steps_done()));
        let ends = drawn + batch as u64 > budget;
        if read != Some(drawn / every) || ends {
            read = Some(drawn / every);
            let gap = gap(trainer.training_loss().await?, optimum);
            let adapts = spec.batch.policy.adapts();
            let seen = if adapts { Some(trainer.gradient_statistics().await?) } else { None };
            // Every run has its points at the same samples, those at which readings are due, so that seeds can be averaged.
            let at = if ends { budget } else { drawn / every * every } as f64;
            let outcome = context.results.record(arm, spec.seed)?;
            outcome.point(GAP, at, gap);
            if trainer.steps_done() > 0 {
                outcome.point(GAP_BY_UPDATE, trainer.steps_done() as f64, gap);
            }
            if let Some(asked) = seen.and_then(|seen| examples_needed(&spec.batch, &seen)) {
                outcome.point(BATCH, at, batch as f64);
                outcome.reading(STATISTIC, at, asked / batch as f64);
            }
            outcome.number(GAP.last(), gap);
            let message = format!("{arm}, seed {}: {drawn} of {budget} samples", spec.seed);
            context.progress(share.at(drawn as f64 / budget as f64), &message);
        }
        if ends {
            break;
        }
        last = batch;
        context.updates(trainer, 1).await?;
    }
    let accuracy = trainer.evaluate().await?.accuracy.unwrap_or(f64::NAN);
    if pictured {
        cloud::keep(context, trainer, cloud::END).await?;
    }
    let outcome = context.results.record(arm, spec.seed)?;
    outcome.number(OPTIMUM, optimum);
    outcome.number(ACCURACY.last(), 100.0 * accuracy);
    outcome.number(UPDATES, trainer.steps_done() as f64);
    outcome.number(LAST_BATCH, last as f64);
    outcome.number(GROWTH, last as f64 / first as f64);
    outcome.done = true;
    Ok(())
}
