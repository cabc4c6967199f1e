//! One arm's run on a budget of examples, and the optimum that its gap is measured from.

use super::{EPOCHS, cloud, pictured, spec};
use crate::{Context, Knobs, Share, StudyError};
use engine::spec::{BatchSpec, Rule, RunSpec};
use engine::train::examples_needed;

/// Readings of a run.
const READINGS: u64 = 80;
/// Updates that find the optimum.
const OPTIMUM_STEPS: u64 = 1500;

/// The least training loss of softmax regression.
pub async fn optimum(context: &mut Context<'_>, knobs: &Knobs, seed: u64) -> Result<f64, StudyError> {
    let all = BatchSpec { size: 0, ..BatchSpec::default() };
    let mut spec = spec(knobs, (Rule::Nesterov, 1.0), all, seed);
    spec.optimizer.momentum = 0.9;
    let mut trainer = context.trainer(&spec).await?;
    context.updates(&mut trainer, OPTIMUM_STEPS).await?;
    let loss = trainer.training_loss().await?;
    context.give_back(trainer.into_executor());
    Ok(loss)
}

/// Trains an arm until its samples are spent. Curves against samples: `gap` above the optimum and, of adaptive arms, `batch`
/// and the test's `statistic` (examples that it asks for, of the batch); the gap against updates is `gap by update`.
pub async fn descend(
    context: &mut Context<'_>,
    arm: &str,
    spec: &RunSpec,
    optimum: f64,
    share: Share,
) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let mut trainer = context.trainer(spec).await?;
    let budget = EPOCHS * trainer.examples() as u64;
    let every = budget / READINGS;
    let first = trainer.batch_at(0);
    let mut last = first;
    let mut read = None;
    let pictured = context.pictures(spec.seed) && Some(arm) == pictured(&knobs).as_deref();
    if pictured {
        cloud::keep(context, &mut trainer, cloud::START).await?;
    }
    loop {
        let (drawn, batch) = (trainer.examples_drawn(), trainer.batch_at(trainer.steps_done()));
        let ends = drawn + batch as u64 > budget;
        if read != Some(drawn / every) || ends {
            read = Some(drawn / every);
            let gap = trainer.training_loss().await? - optimum;
            let adapts = spec.batch.policy.adapts();
            let seen = if adapts { Some(trainer.gradient_statistics().await?) } else { None };
            // Every run has its points at the same samples, those at which readings are due, so that seeds can be averaged.
            let at = if ends { budget } else { drawn / every * every } as f64;
            let outcome = context.results.record(arm, spec.seed);
            outcome.point("gap", at, gap);
            if trainer.steps_done() > 0 {
                outcome.point("gap by update", trainer.steps_done() as f64, gap);
            }
            if let Some(asked) = seen.and_then(|seen| examples_needed(&spec.batch, &seen)) {
                outcome.point("batch", at, batch as f64);
                outcome.reading("statistic", at, asked / batch as f64);
            }
            outcome.number("gap", gap);
            let message = format!("{arm}, seed {}: {drawn} of {budget} samples", spec.seed);
            context.progress(share.at(drawn as f64 / budget as f64), &message);
        }
        if ends {
            break;
        }
        last = batch;
        context.updates(&mut trainer, 1).await?;
    }
    let accuracy = trainer.evaluate().await?.accuracy.unwrap_or(f64::NAN);
    if pictured {
        cloud::keep(context, &mut trainer, cloud::END).await?;
    }
    let outcome = context.results.record(arm, spec.seed);
    outcome.number("optimum", optimum);
    outcome.number("accuracy", 100.0 * accuracy);
    outcome.number("updates", trainer.steps_done() as f64);
    outcome.number("last batch", last as f64);
    outcome.number("growth", last as f64 / first as f64);
    outcome.done = true;
    context.give_back(trainer.into_executor());
    Ok(())
}
