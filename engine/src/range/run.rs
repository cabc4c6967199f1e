//! Runs a range test on a branch of a run.

use super::figure;
use super::limit::{Limit, Search};
use super::{Range, Record, Suggestion};
use crate::executor::Executor;
use crate::figure::Figure;
use crate::optim::stability;
use crate::spec::{Momentum, OptimizerSpec, Policy, RunSpec, Scaling, ScheduleSpec, Shape};
use crate::train::{TrainError, Trainer};

/// A range test: what it does and what it has found so far.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeTest {
    range: Range,
    /// The recipe of the run's next update at a standstill.
    recipe: RunSpec,
    step: u64,
    /// The schedule's rate of that update.
    present: f64,
    /// Updates before the test that only warm the optimizer's moments, at rate 0, as the recipe has them.
    idle: u64,
    /// Updates done, idle ones included.
    done: u64,
    record: Record,
    limit: Option<Limit>,
}

impl RangeTest {
    /// A test of the rates in `range` at the run's present state; nothing has run yet.
    #[must_use]
    pub fn new<E: Executor>(trainer: &Trainer<E>, range: Range) -> Self {
        let step = trainer.steps_done();
        let batch = trainer.batch_at(step);
        let mut recipe = trainer.recipe().clone();
        recipe.optimizer = trainer.optimizer();
        recipe.batch.policy = Policy::Fixed;
        recipe.batch.size = batch;
        let idle = recipe.optimizer.warm.saturating_sub(step);
        Self { range, recipe, step, present: trainer.lr(), idle, done: 0, record: Record::new(&range), limit: None }
    }

    /// Runs the test to its end: all rates tried, or diverged, or `go_on` says no, which is asked between any two updates
    /// and parts of products. Then, and whatever failed in between, the run is back where it was: parameters, moments,
    /// place in the data, what its batch policy has decided. Its metrics must have been read.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn run<E: Executor>(
        &mut self,
        trainer: &mut Trainer<E>,
        go_on: impl AsyncFnMut(&Self) -> bool,
    ) -> Result<(), TrainError> {
        let waiting = trainer.branch().await?;
        let mut search = None;
        let outcome = self.train(trainer, &mut search, go_on).await;
        if let Some(mut search) = search {
            search.release(trainer.executor_mut());
        }
        let rejoined = trainer.rejoin(waiting);
        outcome.and(rejoined)
    }

    async fn train<E: Executor>(
        &mut self,
        trainer: &mut Trainer<E>,
        search: &mut Option<Search>,
        mut go_on: impl AsyncFnMut(&Self) -> bool,
    ) -> Result<(), TrainError> {
        let optimizer = self.recipe.optimizer.clone();
        let last = self.step + self.idle + self.range.updates;
        while self.done < self.idle + self.range.updates {
            if self.limit.is_none() && self.done >= self.measured_at(&optimizer) {
                *search = Search::begin(trainer, &optimizer, last).await?;
                let mut limit = search
                    .is_none()
                    .then(|| Limit::Unknown(format!("no theory says what curvature {} bears", optimizer.kind.label())));
                while let (None, Some(search)) = (&limit, &mut *search) {
                    limit = search.advance(trainer.executor_mut()).await?;
                    if !go_on(self).await {
                        return Ok(());
                    }
                }
                self.limit = limit;
            }
            if !self.update(trainer).await? || !go_on(self).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Updates of the test after which the curvature is measured: none, but a rule that divides by what it remembers must
    /// have seen gradients first. A tenth of the updates, at the lowest rates, hardly moves the parameters.
    fn measured_at(&self, optimizer: &OptimizerSpec) -> u64 {
        let forgetful = self.step == 0 && stability::preconditioner(optimizer, 1).is_some();
        if forgetful { (self.idle + self.range.updates) / 10 } else { 0 }
    }

    /// One update at the next rate; `false` if the loss has diverged.
    async fn update<E: Executor>(&mut self, trainer: &mut Trainer<E>) -> Result<bool, TrainError> {
        let rate = self.range.rate(self.done.saturating_sub(self.idle));
        let schedule = ScheduleSpec {
            kind: Shape::Constant,
            peak: rate,
            warmup: 0,
            scaling: Scaling::None,
            momentum: Momentum::Constant,
            ..ScheduleSpec::default()
        };
        trainer.set_spec(RunSpec { schedule, ..self.recipe.clone() });
        trainer.step().await?;
        let metrics = trainer.metrics().await?;
        self.done += 1;
        let tried = self.done > self.idle;
        Ok(metrics.iter().all(|metrics| {
            let finite = metrics.is_finite();
            if tried { self.record.take(rate, f64::from(metrics.loss), finite) } else { finite }
        }))
    }

    /// The rates that it tries.
    #[must_use]
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// The rule that it trains with.
    #[must_use]
    pub fn optimizer(&self) -> &OptimizerSpec {
        &self.recipe.optimizer
    }

    /// Updates that the run has done before it.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The learning rate that the schedule has for the run's next update.
    #[must_use]
    pub fn present(&self) -> f64 {
        self.present
    }

    /// The losses so far.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The limit that the curvature sets, once it is measured.
    #[must_use]
    pub fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    /// Share of the updates done, 0..=1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.done as f64 / (self.idle + self.range.updates) as f64
    }

    /// Whether all rates were tried, or the loss has diverged.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.record.diverged().is_some() || self.fraction() >= 1.0
    }

    /// Rates to use; none before it is complete.
    #[must_use]
    pub fn suggestions(&self) -> Vec<Suggestion> {
        if self.complete() { self.record.suggestions() } else { vec![] }
    }

    /// Loss over rate, with all that is known of it.
    #[must_use]
    pub fn figure(&self) -> Figure {
        figure::figure(self)
    }
}
