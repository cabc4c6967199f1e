//! Runs a range test on a branch of a run.

use super::figure;
use super::limit::{Limit, Search};
use super::{Range, Record, Suggestion};
use crate::executor::Executor;
use crate::figure::Figure;
use crate::optim::{Bias, stability};
use crate::spec::{Momentum, OptimizerSpec, Policy, RunSpec, Scaling, ScheduleSpec, Shape};
use crate::train::{StepMetrics, TrainError, Trainer, Waiting};

/// How often the rates are tried, each time on other batches.
const PASSES: usize = 3;

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
    /// How often the rates are tried.
    passes: usize,
    /// Updates done in this pass, idle ones included.
    done: u64,
    /// One a pass; never empty.
    records: Vec<Record>,
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
        let passes = if batch < trainer.examples() { PASSES } else { 1 };
        let (present, records) = (trainer.lr(), vec![Record::new(&range)]);
        Self { range, recipe, step, present, idle, passes, done: 0, records, limit: None }
    }

    /// Runs the test to its end: all rates tried, or diverged, or `go_on` says no, which is asked between any two
    /// micro-batches and parts of products. Then, and whatever failed in between, the run is back where it was: parameters, moments,
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
        let outcome = self.passes(trainer, &waiting, &mut search, go_on).await;
        if let Some(mut search) = search {
            search.release(trainer.executor_mut());
        }
        let rejoined = trainer.rejoin(waiting);
        outcome.and(rejoined)
    }

    async fn passes<E: Executor>(
        &mut self,
        trainer: &mut Trainer<E>,
        from: &Waiting,
        search: &mut Option<Search>,
        mut go_on: impl AsyncFnMut(&Self) -> bool,
    ) -> Result<(), TrainError> {
        while self.pass(trainer, search, &mut go_on).await? && self.records.len() < self.passes {
            let drawn = self.records.len() as u64 * (self.idle + self.range.updates) * self.recipe.batch.size as u64;
            trainer.restart(from, drawn)?;
            self.records.push(Record::new(&self.range));
            self.done = 0;
        }
        Ok(())
    }

    /// Tries all rates until the loss diverges; `false` if it was stopped.
    async fn pass<E: Executor>(
        &mut self,
        trainer: &mut Trainer<E>,
        search: &mut Option<Search>,
        go_on: &mut impl AsyncFnMut(&Self) -> bool,
    ) -> Result<bool, TrainError> {
        let optimizer = self.recipe.optimizer.clone();
        let updates = self.idle + self.range.updates;
        while self.done < updates {
            if self.limit.is_none() && self.done >= self.measured_at(&optimizer) {
                *search = Search::begin(trainer, &optimizer, updates - self.done, self.range.samples as usize).await?;
                let mut limit = search
                    .is_none()
                    .then(|| Limit::Unknown(format!("no theory says what curvature {} bears", optimizer.kind.label())));
                while let (None, Some(search)) = (&limit, &mut *search) {
                    limit = search.advance(trainer.executor_mut()).await?;
                    if !go_on(self).await {
                        return Ok(false);
                    }
                }
                self.limit = limit;
            }
            let Some(trains) = self.update(trainer, go_on).await? else { return Ok(false) };
            if !go_on(self).await {
                return Ok(false);
            }
            if !trains {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Updates of the test after which the curvature is measured: none, but a rule that divides by what it remembers must
    /// have seen gradients first. A tenth of the updates, at the lowest rates, hardly moves the parameters.
    fn measured_at(&self, optimizer: &OptimizerSpec) -> u64 {
        let forgetful = self.step == 0 && stability::preconditioner(optimizer, &Bias::START).is_some();
        if forgetful { (self.idle + self.range.updates) / 10 } else { 0 }
    }

    /// One update at the next rate; `Some(false)` if the loss has diverged, `None` if `go_on` said no.
    async fn update<E: Executor>(
        &mut self,
        trainer: &mut Trainer<E>,
        go_on: &mut impl AsyncFnMut(&Self) -> bool,
    ) -> Result<Option<bool>, TrainError> {
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
        let test = &*self;
        if !trainer.step_in_parts(1, async |_| go_on(test).await).await? {
            return Ok(None);
        }
        let metrics = trainer.metrics().await?;
        self.done += 1;
        let record = self.records.last_mut().filter(|_| self.done > self.idle);
        let Some(record) = record else { return Ok(Some(metrics.iter().all(StepMetrics::is_finite))) };
        Ok(Some(metrics.iter().all(|metrics| record.take(rate, f64::from(metrics.loss), metrics.is_finite()))))
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

    /// The losses of the first pass so far.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.records[0]
    }

    /// The losses of every pass so far.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The limit that the curvature sets, once it is measured.
    #[must_use]
    pub fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    /// Share of the updates done, 0..=1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let earlier = (self.records.len() - 1) as f64;
        (earlier + self.share()) / self.passes as f64
    }

    /// Share of this pass that is done.
    fn share(&self) -> f64 {
        let diverged = self.records.last().is_some_and(|record| record.diverged().is_some());
        if diverged { 1.0 } else { self.done as f64 / (self.idle + self.range.updates) as f64 }
    }

    /// Whether all rates were tried, or the loss has diverged, in every pass.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.records.len() == self.passes && self.share() >= 1.0
    }

    /// Rates to use; none before it is complete.
    #[must_use]
    pub fn suggestions(&self) -> Vec<Suggestion> {
        if self.complete() { Record::together(&self.records) } else { vec![] }
    }

    /// Loss over rate, with all that is known of it.
    #[must_use]
    pub fn figure(&self) -> Figure {
        figure::figure(self)
    }
}
