//! A training run of a study as it goes on: it stops where something is to be measured, what it measures is recorded, and
//! branches leave it and come back.

use engine::executor::{AnyExecutor, RING_ROWS};
use engine::probe::{Curvature, Operator, Point, Settings, gaussian};
use engine::spec::{Curved, RunSpec};
use engine::train::Trainer;

use super::updates::Alignment;
use super::{Arm, Branch, Context, Label, Outcome, Share, Source, StudyError, TestSet};

/// Training examples whose loss's curvature is measured: evenly spaced, always the same.
const SHARP_ROWS: usize = 32;
/// Products that find its largest eigenvalue.
const SHARP_STEPS: usize = 20;

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
    /// Made when it is first needed.
    hessian: Option<Curvature>,
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
                (trainer, vec![TestSet { name: String::new(), rows }])
            }
        };
        let mut line = Self {
            context,
            trainer,
            tests,
            label: arm.label.clone(),
            seed: spec.seed,
            arm,
            hessian: None,
            share,
            taken: 0,
            updates: arm.updates(),
        };
        let parameters = line.trainer.layout().len() as f64;
        line.outcome().number("parameters", parameters);
        Ok(line)
    }

    fn outcome(&mut self) -> &mut Outcome {
        self.context.results.record(&self.label.id, self.seed)
    }

    /// Trains until `stop` updates are done and measures there. Says whether the run can go on.
    pub async fn advance(&mut self, stop: u64) -> Result<bool, StudyError> {
        let mut alignment = Alignment::default();
        while self.trainer.steps_done() < stop {
            let watched = self.arm.watched > 1 && stop - self.trainer.steps_done() <= self.arm.watched;
            if watched && alignment.is_empty() {
                alignment.push(self.trainer.theta().await?);
            }
            self.trainer.step().await?;
            if watched {
                alignment.push(self.trainer.theta().await?);
            }
            self.taken += 1;
            if self.trainer.unread() == RING_ROWS as u64 && !self.read().await? {
                return Ok(false);
            }
            self.context.breathe().await?;
        }
        let finite = self.read().await?;
        if let Some(cosine) = alignment.mean_cosine() {
            self.outcome().reading("update_cosine", stop as f64, cosine);
        }
        self.measure().await?;
        if finite && self.arm.sharp.contains(&stop) {
            self.measure_sharpness(stop).await?;
        }
        let done = self.share.at(self.taken as f64 / self.updates.max(1) as f64);
        let message = format!("{}, seed {}: update {} of {}", self.label.name, self.seed, self.taken, self.updates);
        self.context.progress(done, &message);
        Ok(finite)
    }

    /// Evaluates every test set.
    async fn measure(&mut self) -> Result<(), StudyError> {
        let outcome = self.context.results.record(&self.label.id, self.seed);
        for test in &self.tests {
            let evaluation = self.trainer.evaluate_rows(&test.rows).await?;
            outcome.reading(&test.curve("test_loss"), evaluation.step as f64, evaluation.loss);
            if let Some(accuracy) = evaluation.accuracy {
                outcome.reading(&test.curve("accuracy"), evaluation.step as f64, 100.0 * accuracy);
            }
        }
        Ok(())
    }

    /// The largest eigenvalue of the Hessian of the loss on some training examples.
    async fn measure_sharpness(&mut self, stop: u64) -> Result<(), StudyError> {
        let all = self.trainer.feed().train_rows(self.trainer.data());
        let rows: Vec<u32> = all.iter().copied().step_by((all.len() / SHARP_ROWS).max(1)).take(SHARP_ROWS).collect();
        let mut hessian = match self.hessian.take() {
            Some(hessian) => hessian,
            None => {
                let (spec, feed) = (self.trainer.spec(), self.trainer.feed());
                Curvature::new(spec, feed, Curved::Hessian, Settings::default(), "sharpness")?
            }
        };
        let executor = self.trainer.executor_mut();
        hessian.linearise(executor, Point::Run, &rows).await?;
        let start = gaussian(self.seed, 0, hessian.size());
        let largest = self.context.largest_eigenvalue(&mut hessian, executor, &start, SHARP_STEPS).await?;
        self.outcome().reading("sharpness", stop as f64, largest);
        self.hessian = Some(hessian);
        Ok(())
    }

    /// Takes what the trainer has measured since the last reading into the results. Says whether the run can go on.
    async fn read(&mut self) -> Result<bool, StudyError> {
        let metrics = self.trainer.metrics().await?;
        let outcome = self.outcome();
        for step in &metrics {
            outcome.reading("loss", step.step as f64, f64::from(step.loss));
            outcome.reading("lr", step.step as f64, f64::from(step.lr));
        }
        let diverged = metrics.iter().find(|step| !step.is_finite()).map(|step| step.step);
        if let Some(step) = diverged {
            outcome.number("diverged", step as f64);
        }
        Ok(diverged.is_none())
    }

    /// Runs a branch to its end, as an arm of its own that starts with the main line's readings here, and comes back.
    pub async fn follow(&mut self, branch: &Branch) -> Result<(), StudyError> {
        let here = self.outcome().last_readings();
        let main = std::mem::replace(&mut self.label, branch.label.clone());
        let parameters = self.trainer.layout().len() as f64;
        let outcome = self.outcome();
        outcome.number("parameters", parameters);
        for (name, [x, y]) in here {
            if outcome.curves.contains_key(&name) {
                // Another branch of that name was here before: no line leads from its end to this start.
                outcome.point(&name, x - 0.5, f64::NAN);
            }
            outcome.reading(&name, x, y);
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
        self.outcome().done = true;
        self.label = main;
        Ok(self.trainer.rejoin(waiting)?)
    }

    /// Ends the run.
    pub fn end(mut self) -> Trainer<AnyExecutor> {
        self.outcome().done = true;
        self.trainer
    }
}
