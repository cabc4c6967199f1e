//! A training run of a study as it goes on: it stops where something is to be measured, what it measures is recorded, and
//! branches leave it and come back.

use engine::executor::{AnyExecutor, RING_ROWS};
use engine::spec::RunSpec;
use engine::train::Trainer;

use super::gauges::{At, Gauge};
use super::names::{ACCURACY, DIVERGED, LOSS, LR, PARAMETERS, TEST_LOSS};
use super::{Arm, Branch, Context, Label, Outcome, Share, Source, StudyError, TestSet};

/// See the module.
pub(super) struct Line<'c, 'h> {
    context: &'c mut Context<'h>,
    trainer: Trainer<AnyExecutor>,
    tests: Vec<TestSet>,
    /// The arm or branch that readings are recorded under.
    label: Label,
    seed: u64,
    /// What is to be measured, and when.
    arm: &'c Arm,
    gauges: Vec<Box<dyn Gauge>>,
    share: Share,
    /// Updates done, and in all, those of branches included.
    taken: u64,
    updates: u64,
}

impl<'c, 'h> Line<'c, 'h> {
    /// Builds an arm's run; `spec` is the arm's with its seed.
    pub async fn start(
        context: &'c mut Context<'h>,
        arm: &'c Arm,
        spec: &RunSpec,
        share: Share,
        source: Option<Source>,
    ) -> Result<Self, StudyError> {
        let (trainer, tests) = match source {
            Some(Source { data, sampler, tests }) => {
                (Trainer::with_sampler(context.take_executor().await?, spec, data, sampler).await?, tests)
            }
            None => {
                let trainer = context.trainer(spec).await?;
                let rows = trainer.feed().test_rows(trainer.data());
                (trainer, vec![TestSet { which: None, rows }])
            }
        };
        let mut line = Self {
            context,
            trainer,
            tests,
            label: arm.label.clone(),
            seed: spec.seed,
            arm,
            gauges: arm.gauges.clone(),
            share,
            taken: 0,
            updates: arm.updates(),
        };
        let parameters = line.trainer.layout().len() as f64;
        line.outcome()?.number(PARAMETERS, parameters);
        Ok(line)
    }

    fn outcome(&mut self) -> Result<&mut Outcome, StudyError> {
        self.context.results.record(&self.label.id, self.seed)
    }

    fn at(&mut self) -> At<'_, 'h> {
        At { context: self.context, trainer: &mut self.trainer, label: &self.label, seed: self.seed }
    }

    /// Trains until `stop` updates are done and measures there. Says whether the run can go on.
    pub async fn advance(&mut self, stop: u64) -> Result<bool, StudyError> {
        // Taken out while they work: they see the line.
        let mut gauges = std::mem::take(&mut self.gauges);
        let finite = self.train(stop, &mut gauges).await?;
        self.measure().await?;
        for gauge in gauges.iter_mut().filter(|_| finite) {
            gauge.stop(&mut self.at()).await?;
        }
        self.gauges = gauges;
        let done = self.share.at(self.taken as f64 / self.updates.max(1) as f64);
        let message = format!("{}, seed {}: update {} of {}", self.label.name, self.seed, self.taken, self.updates);
        self.context.progress(done, &message);
        Ok(finite)
    }

    /// Trains until `stop` updates are done, watched by gauges. Says whether the run can go on.
    async fn train(&mut self, stop: u64, gauges: &mut [Box<dyn Gauge>]) -> Result<bool, StudyError> {
        let start = self.trainer.steps_done();
        for done in start..stop {
            let watching = |gauge: &&mut Box<dyn Gauge>| stop - done <= gauge.watched();
            for gauge in gauges.iter_mut().filter(watching) {
                if done == start || stop - done == gauge.watched() {
                    gauge.watch(&mut self.at()).await?;
                }
            }
            self.trainer.step().await?;
            for gauge in gauges.iter_mut().filter(watching) {
                gauge.watch(&mut self.at()).await?;
            }
            self.taken += 1;
            if self.trainer.unread() == RING_ROWS as u64 && !self.read().await? {
                return Ok(false);
            }
            self.context.breathe().await?;
        }
        self.read().await
    }

    /// Evaluates every test set.
    async fn measure(&mut self) -> Result<(), StudyError> {
        let outcome = self.context.results.record(&self.label.id, self.seed)?;
        for test in &self.tests {
            let evaluation = self.trainer.evaluate_rows(&test.rows).await?;
            outcome.reading(TEST_LOSS.of_part(test.which), evaluation.step as f64, evaluation.loss);
            if let Some(accuracy) = evaluation.accuracy {
                outcome.reading(ACCURACY.of_part(test.which), evaluation.step as f64, 100.0 * accuracy);
            }
        }
        Ok(())
    }

    /// Takes what the trainer has measured since the last reading into the results. Says whether the run can go on.
    async fn read(&mut self) -> Result<bool, StudyError> {
        let metrics = self.trainer.metrics().await?;
        let outcome = self.outcome()?;
        for step in &metrics {
            outcome.reading(LOSS, step.step as f64, f64::from(step.loss));
            outcome.reading(LR, step.step as f64, f64::from(step.lr));
        }
        let diverged = metrics.iter().find(|step| !step.is_finite()).map(|step| step.step);
        if let Some(step) = diverged {
            outcome.number(DIVERGED, step as f64);
        }
        Ok(diverged.is_none())
    }

    /// Runs a branch to its end, as an arm of its own that starts with the main line's readings here, and comes back.
    pub async fn follow(&mut self, branch: &Branch) -> Result<(), StudyError> {
        let here = self.outcome()?.last_readings();
        let main = std::mem::replace(&mut self.label, branch.label.clone());
        let parameters = self.trainer.layout().len() as f64;
        let outcome = self.outcome()?;
        outcome.number(PARAMETERS, parameters);
        for (curve, [x, y]) in here {
            if outcome.curves.contains_key(&curve) {
                // Another branch of that name was here before: no line leads from its end to this start.
                outcome.point(curve, x - 0.5, f64::NAN);
            }
            outcome.reading(curve, x, y);
        }
        let waiting = self.trainer.branch().await?;
        // Without the edits that await the main line.
        let now = self.trainer.recipe().clone();
        self.trainer.set_spec(RunSpec { schedule: branch.schedule.clone(), steps: branch.steps, ..now });
        for stop in self.arm.stops_of(branch) {
            if !self.advance(stop).await? {
                break;
            }
        }
        self.outcome()?.done = true;
        self.label = main;
        Ok(self.trainer.rejoin(waiting)?)
    }

    /// Ends the run.
    pub async fn end(mut self) -> Result<Trainer<AnyExecutor>, StudyError> {
        self.outcome()?.done = true;
        let mut gauges = std::mem::take(&mut self.gauges);
        for gauge in &mut gauges {
            gauge.end(&mut self.at()).await?;
        }
        Ok(self.trainer)
    }
}
