//! Panel B: the largest rate from which a network does not leave its checkpoint, by batch size and update rule.

use super::{Start, record};
use crate::largest::{LargestRate, RateGrid};
use crate::{Context, Share, StudyError};
use engine::executor::AnyExecutor;
use engine::spec::{OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape};
use engine::train::{Checkpoint, Trainer};

/// Batch sizes.
pub const BATCHES: [usize; 5] = [4, 16, 64, 256, 1024];
/// Steps of a trial.
const STEPS: u64 = 60;
/// Steps at rate 0 before a trial, so that Adam's moments know the batches that are to come.
const WARM: u64 = 200;
/// The loss may grow so many times over the checkpoint's.
const TOLERATED: f64 = 1.5;

/// An update rule under test.
#[derive(Clone, Copy)]
pub struct Arm {
    /// Its arm.
    pub id: &'static str,
    /// As figures name it.
    pub name: &'static str,
    rule: Rule,
    /// Half octaves: five trials find the edge.
    grid: RateGrid,
    warm: u64,
}

const fn half_octaves(lowest: f64) -> RateGrid {
    RateGrid { lowest, per_octave: 2, count: 31 }
}

/// The rules, by the values of the knob.
pub const ARMS: [Arm; 2] = [
    Arm { id: "sgd", name: "SGD", rule: Rule::Sgd, grid: half_octaves(1.0 / 64.0), warm: 0 },
    Arm { id: "adam", name: "Adam", rule: Rule::Adam, grid: half_octaves(1.0 / 4096.0), warm: WARM },
];

impl Arm {
    fn spec(&self, base: &RunSpec, batch: usize, rate: f64) -> RunSpec {
        let mut spec = RunSpec {
            optimizer: OptimizerSpec { kind: self.rule, weight_decay: 0.0, ..OptimizerSpec::default() },
            schedule: ScheduleSpec { kind: Shape::Constant, peak: rate, warmup: 0, ..ScheduleSpec::default() },
            steps: self.warm + STEPS,
            ..base.clone()
        };
        spec.batch.size = batch;
        spec
    }
}

/// Measures one rule's largest rate at every batch size, into the curve `rate` of its arm.
pub async fn run(
    context: &mut Context<'_>,
    arm: Arm,
    start: &Start,
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    let spec = arm.spec(&start.spec, BATCHES[0], 0.0);
    context.with_trainer(&spec, async |context, trainer| search(context, trainer, arm, start, seed, share).await).await
}

async fn search(
    context: &mut Context<'_>,
    trainer: &mut Trainer<AnyExecutor>,
    arm: Arm,
    start: &Start,
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    trainer.set_theta(&start.theta)?;
    let cold = trainer.checkpoint().await?;
    let loss = trainer.training_loss().await?;
    for (done, batch) in BATCHES.into_iter().enumerate() {
        let done = done as f64 / BATCHES.len() as f64;
        context.progress(share.at(done), &format!("{}, batches of {batch}, seed {seed}", arm.name));
        trainer.restore(&cold)?;
        trainer.set_spec(arm.spec(&start.spec, batch, 0.0));
        context.updates(trainer, arm.warm).await?;
        let warm = trainer.checkpoint().await?;
        let mut search = LargestRate::on(arm.grid);
        while let Some(rate) = search.next() {
            trainer.set_spec(arm.spec(&start.spec, batch, rate));
            search.tell(trial(context, trainer, &warm).await? <= TOLERATED * loss);
        }
        record(context.results.record(arm.id, seed)?, batch, &search);
    }
    context.results.record(arm.id, seed)?.done = true;
    Ok(())
}

/// The loss over all training examples after the steps of a trial; NaN where it is lost.
async fn trial(
    context: &mut Context<'_>,
    trainer: &mut Trainer<AnyExecutor>,
    from: &Checkpoint,
) -> Result<f64, StudyError> {
    trainer.restore(from)?;
    context.updates(trainer, STEPS).await?;
    Ok(trainer.training_loss().await?)
}
