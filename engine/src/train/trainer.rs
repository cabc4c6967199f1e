//! The training loop over one executor.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::auto_rate::{self, AutoRate};
use super::batch::{AdaptiveBatch, Now};
use super::checkpoint::Checkpoint;
use super::feed::{Feed, TABLE_X};
use super::micro::{Parts, StepInputs, split, split_decided};
use super::plateau::{self, Plateau};
use super::program::{self, Programs};
use super::statistics::{self, GradientStatistics, STATISTICS};
use crate::data::sampler::{Sampler, sampler};
use crate::data::{Data, DataError, Split};
use crate::executor::{self, ExecError, Executor, PlanId, Prepared, RING_COLUMNS, RING_ROWS, Run, floats};
use crate::graph::plan::Plan;
use crate::graph::{GraphError, Program, numel};
use crate::model::{ModelError, ParamLayout, THETA, ghosts};
use crate::optim::{self, Bias};
use crate::probe::{Curvature, Settings, Spectrum};
use crate::protocol::{ModuleCost, Summary};
use crate::rng::{Rng, Stream};
use crate::spec::{Curved, EffectiveSchedule, OptimizerSpec, Policy, Rates, Rule, RunSpec};

/// Why a run cannot be built or go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrainError {
    /// The graph could not be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The model does not fit the data.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data set could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The executor failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A checkpoint or weights file does not fit.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// Parts of the spec contradict each other.
    #[error("{0}")]
    Spec(String),
}

/// Numbers of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepMetrics {
    /// The update, counted from 0.
    pub step: u64,
    /// Mean loss of the batch.
    pub loss: f32,
    /// Share of the batch classified correctly; NaN for regression.
    pub accuracy: f32,
    /// Global norm of the gradient that the update rule had, before clipping.
    pub grad_norm: f32,
    /// Learning rate.
    pub lr: f32,
    /// Share of the last velocity, or of the last mean gradient, that was kept; 0 where the rule keeps neither.
    pub momentum: f32,
    /// Examples in the batch.
    pub batch: usize,
}

impl StepMetrics {
    /// Whether training can go on from here.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.grad_norm.is_finite()
    }
}

/// Result on the test set.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Updates done before it.
    pub step: u64,
    /// Table rows of the examples.
    pub rows: Vec<u32>,
    /// Mean loss.
    pub loss: f64,
    /// Share correct; `None` for regression.
    pub accuracy: Option<f64>,
    /// Loss of each example.
    pub losses: Vec<f32>,
    /// Predicted class of each example (position, for text); empty for regression.
    pub predicted: Vec<u32>,
}

/// A value read from the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub numbers: Vec<f32>,
}

async fn ready<E: Executor>(executor: &mut E, program: &Program) -> Result<Prepared, TrainError> {
    Prepared::new(executor, program).await
}

/// What a plan of a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A whole step, of one micro-batch.
    Step {
        /// Whether places are left over.
        padded: bool,
    },
    /// One micro-batch of a step of several, which adds to sums.
    Part {
        /// Whether places are left over.
        padded: bool,
    },
    /// One micro-batch of an estimate of the Hessian's diagonal, for rules that want one, which adds to a sum.
    Diagonal {
        /// Whether places are left over.
        padded: bool,
    },
    /// The update from these sums.
    Update,
    /// The mean gradient at theta itself, where steps take theirs elsewhere, and the scatter about it.
    Mean,
    Scatter,
    /// Losses and predictions, the model's inside, answers to inputs.
    Evaluation,
    Look,
    Response,
}

/// Trains one spec on one executor.
pub struct Trainer<E: Executor> {
    executor: E,
    spec: RunSpec,
    schedule: EffectiveSchedule,
    /// The data set as it was made.
    original: Rc<Data>,
    /// The same as a hand has changed it by the next update, and what it has done.
    data: Rc<Data>,
    moved: String,
    dropped: Vec<u64>,
    /// Table rows of the latter, ascending.
    left_out: Vec<u32>,
    feed: Feed,
    sampler: Box<dyn Sampler>,
    layout: ParamLayout,
    /// Names and sizes of the state buffers that make up a checkpoint.
    states: Vec<(String, usize)>,
    /// Names of those that every micro-batch changes, as running statistics.
    running: Vec<String>,
    /// By what they are for and how many examples they take; what was used last comes last.
    plans: Vec<((Purpose, usize), Prepared)>,
    /// Whether they drop units: of a network that drops none no draws are made.
    drops: bool,
    /// Result on the test set with the parameters as they are, once it is known.
    tested: Option<Rc<Evaluation>>,
    /// Whether the scatter of single gradients is estimated along random directions.
    estimated: bool,
    batches: AdaptiveBatch,
    auto_rate: AutoRate,
    plateau: Plateau,
    /// Where the curvature that sets the rate is measured; `None` before the first time.
    curvature: Option<Curvature>,
    step: u64,
    drawn: u64,
    /// What moving averages of gradients still hold of their start.
    bias: Bias,
    /// Updates whose metrics have been read.
    read: u64,
    /// Learning rate, momentum and batch size of the last updates, at least those whose metrics have not been read.
    used: VecDeque<(f32, f32, usize)>,
}

/// Most parameters: with their gradient and two moments they fill a quarter of what WebAssembly can address.
const MOST_PARAMETERS: usize = 1 << 26;
/// Name under which a checkpoint holds what the sampler has received.
const SAMPLER: &str = "sampler";
/// Examples evaluated at once.
const EVALUATION_MICRO: usize = 100;
/// Plans that are kept, the last that were used, however much memory they take: more than an update and its reading have.
const FEW_PLANS: usize = 6;
/// Words of the arenas of all plans up to which others are kept, too.
const KEPT_WORDS: usize = 1 << 25;

impl<E: Executor> Trainer<E> {
    /// Builds a run: writes the tables, initialises the states, compiles the plans of its first step.
    pub async fn new(executor: E, spec: &RunSpec, data: Rc<Data>) -> Result<Self, TrainError> {
        let span = Feed::of(&data, spec)?.span();
        let sampler = sampler(&spec.batch, &data, span, spec.seed)?;
        Self::with_sampler(executor, spec, data, sampler).await
    }

    /// A run whose examples a sampler of one's own draws, such as a stream of tasks.
    pub async fn with_sampler(
        mut executor: E,
        spec: &RunSpec,
        data: Rc<Data>,
        sampler: Box<dyn Sampler>,
    ) -> Result<Self, TrainError> {
        executor.reset();
        let feed = Feed::of(&data, spec)?;
        for (name, bytes) in feed.tables(&data) {
            executor.write(name, bytes)?;
        }
        let programs = Programs::new(spec, &feed)?;
        let layout = programs.layout().clone();
        if layout.len() > MOST_PARAMETERS {
            let reason = format!("the model has {} parameters; at most {MOST_PARAMETERS} can be trained", layout.len());
            return Err(TrainError::Spec(reason));
        }
        let mut states = Vec::new();
        for (name, values) in programs.states() {
            executor.write(&name, bytemuck::cast_slice(&values))?;
            states.push((name, values.len()));
        }
        for (name, len) in programs.scratch().into_iter().chain([(STATISTICS, statistics::LENGTH)]) {
            executor.write(name, &vec![0; len * 4])?;
        }
        let running = programs.running().map(str::to_owned).collect();
        let all = examples(&data, &feed);
        let mut trainer = Trainer {
            executor,
            spec: spec.clone(),
            schedule: EffectiveSchedule::new(spec, all),
            sampler,
            original: data.clone(),
            data,
            moved: String::new(),
            dropped: Vec::new(),
            left_out: Vec::new(),
            layout,
            states,
            running,
            feed,
            plans: Vec::new(),
            drops: spec.model.dropout() > 0.0,
            tested: None,
            estimated: false,
            batches: AdaptiveBatch::default(),
            auto_rate: AutoRate::default(),
            plateau: Plateau::default(),
            curvature: None,
            step: 0,
            drawn: 0,
            bias: Bias::START,
            read: 0,
            used: VecDeque::new(),
        };
        trainer.follow()?;
        trainer.plans_of(trainer.batch_at(0)).await?;
        Ok(trainer)
    }

    /// Updates done (enqueued; their numbers may still be on the device).
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Updates of the whole run, after all edits.
    pub fn steps_total(&self) -> u64 {
        self.schedule.steps()
    }

    /// The spec as it runs, edits included.
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// The recipe in force at the next update, its edits spent.
    pub fn recipe(&self) -> &RunSpec {
        self.schedule.at(self.step)
    }

    /// The learning rate of the next update, as far as measurements have set it.
    pub fn lr(&self) -> f64 {
        self.rates(self.batch_at(self.step)).lr
    }

    /// The optimizer's settings at the next update, its momentum as that is moved or set.
    pub fn optimizer(&self) -> OptimizerSpec {
        self.rates(self.batch_at(self.step)).applied(&self.recipe().optimizer)
    }

    /// What moving averages of gradients still hold of their start after the updates done.
    pub fn bias(&self) -> Bias {
        self.bias
    }

    /// The data set as the next update sees it.
    pub fn data(&self) -> &Rc<Data> {
        &self.data
    }

    /// The data set as it was made, before any hand changed it.
    pub fn original(&self) -> &Rc<Data> {
        &self.original
    }

    /// Training examples as table rows, without those that are left out at the next update.
    pub fn train_rows(&self) -> Vec<u32> {
        let mut rows = self.feed.train_rows(&self.data);
        rows.retain(|row| !self.leaves_out(*row));
        rows
    }

    /// Whether a table row is a training example that is left out at the next update.
    pub fn leaves_out(&self, row: u32) -> bool {
        self.left_out.binary_search(&row).is_ok()
    }

    /// Brings the examples to what the recipe in force at the next update makes of them: moves points on the device, and has the
    /// sampler leave out what is to be left out.
    ///
    /// # Errors
    /// The executor fails.
    pub fn follow(&mut self) -> Result<(), TrainError> {
        let spec = &self.schedule.at(self.step).data;
        if spec.moved != self.moved {
            let moved = self.original.moved(spec).map_or_else(|| self.original.clone(), Rc::new);
            for (name, bytes) in self.feed.tables(&moved).into_iter().filter(|(name, _)| *name == TABLE_X) {
                self.executor.write(name, bytes)?;
            }
            self.moved.clone_from(&spec.moved);
            self.data = moved;
        }
        if spec.dropped != self.dropped {
            self.dropped.clone_from(&spec.dropped);
            self.left_out = self.original.left_out(spec);
            self.sampler.leave_out(&self.left_out);
        }
        Ok(())
    }

    /// Where batches are drawn by their losses, the last loss of each before it was trained on.
    pub fn remembered(&self) -> &[f32] {
        self.sampler.remembered()
    }

    /// How examples lie in the tables.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Where each parameter lies.
    pub fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// Names and sizes of the states that a checkpoint holds.
    pub fn states(&self) -> &[(String, usize)] {
        &self.states
    }

    /// The executor, for counters and tests.
    pub fn executor_mut(&mut self) -> &mut E {
        &mut self.executor
    }

    /// Ends the run and gives the executor back.
    pub fn into_executor(self) -> E {
        self.executor
    }

    /// Replaces the spec by one that differs in its edits, in its schedule and number of steps, or in the seed of the draws inside
    /// steps: the future changes, the past stays, and so does the order of examples.
    pub fn set_spec(&mut self, spec: RunSpec) {
        self.schedule = EffectiveSchedule::new(&spec, examples(&self.original, &self.feed));
        self.spec = spec;
    }

    /// Examples drawn for the updates done.
    pub fn examples_drawn(&self) -> u64 {
        self.drawn
    }

    /// Examples in the training set that are not left out; at least 1.
    pub fn examples(&self) -> usize {
        examples(&self.data, &self.feed).saturating_sub(self.left_out.len()).max(1)
    }

    /// Examples in update `step`: what is planned, or, where the batch policy adapts, what it has decided so far.
    pub fn batch_at(&self, step: u64) -> usize {
        self.batches.batch(&self.now(step)).unwrap_or_else(|| self.schedule.batch(step))
    }

    /// Update `step` as batch policies see it.
    fn now(&self, step: u64) -> Now<'_> {
        Now::of(&self.schedule, step, self.examples())
    }

    /// Learning rate and momentum of the next update on `batch` examples.
    fn rates(&self, batch: usize) -> Rates {
        let reduced = self.plateau.reduced(&self.schedule, self.step);
        self.auto_rate.rates(&self.schedule, self.step, batch, self.drawn, reduced)
    }

    /// The micro-batches of a batch.
    fn parts(&self, batch: usize) -> Parts {
        let spec = &self.schedule.at(self.step).batch;
        let chosen = spec.policy == Policy::Fixed || batch == spec.planned(0, self.examples());
        let sizes = if chosen { split(batch, spec.micro) } else { split_decided(batch, spec.micro) };
        Parts::new(batch, sizes, self.spec.model.normalises_batches())
    }

    /// The state into which the Hessian's diagonal is estimated before the next update, if it is.
    fn estimated_state(&self) -> Option<&'static str> {
        optim::estimate(&self.spec.optimizer, &self.bias)
    }

    /// The micro-batches of a batch, and the plans of its update in order, with how often each runs: those that see the batch run once
    /// for each micro-batch.
    async fn plans_of(&mut self, batch: usize) -> Result<(Parts, Vec<(Prepared, usize)>), TrainError> {
        let parts = self.parts(batch);
        let Parts { micro, padded, runs } = parts;
        let mut plans = Vec::with_capacity(3);
        if self.estimated_state().is_some() {
            plans.push((self.prepare(Purpose::Diagonal { padded }, micro).await?, runs));
        }
        if parts.accumulated() {
            plans.push((self.prepare(Purpose::Part { padded }, micro).await?, runs));
            plans.push((self.prepare(Purpose::Update, 0).await?, 1));
        } else {
            plans.push((self.prepare(Purpose::Step { padded }, micro).await?, 1));
        }
        Ok((parts, plans))
    }

    /// Gives back the plans that were used longest ago, but for so many.
    fn forget_plans(&mut self, kept: usize) {
        let forgotten = self.plans.len().saturating_sub(kept);
        self.plans.drain(..forgotten).for_each(|(_, plan)| self.executor.release(plan.id));
    }

    /// The plan for a purpose and so many examples; compiles it unless it is there.
    async fn prepare(&mut self, purpose: Purpose, examples: usize) -> Result<Prepared, TrainError> {
        let drops = self.recipe().model.dropout() > 0.0;
        if self.drops != drops {
            self.forget_plans(0);
            self.drops = drops;
        }
        let key = (purpose, examples);
        if let Some(at) = self.plans.iter().position(|(known, _)| *known == key) {
            self.plans[at..].rotate_left(1);
            return Ok(self.plans[self.plans.len() - 1].1.clone());
        }
        if self.plans.iter().map(|(_, plan)| plan.plan.arena_words).sum::<usize>() > KEPT_WORDS {
            self.forget_plans(FEW_PLANS - 1);
        }
        let mut spec = RunSpec { model: self.recipe().model.clone(), ..self.spec.clone() };
        if matches!(purpose, Purpose::Mean | Purpose::Scatter) {
            // Single gradients scatter about the mean at theta, wherever the update takes its own.
            spec.optimizer = OptimizerSpec::of(Rule::Sgd);
        }
        let padded = matches!(
            purpose,
            Purpose::Step { padded: true } | Purpose::Part { padded: true } | Purpose::Diagonal { padded: true }
        );
        let programs = Programs::new(&spec, &self.feed)?.padded(padded).telling(self.sampler.receives());
        let program = match purpose {
            Purpose::Step { .. } => programs.step(examples)?,
            Purpose::Part { .. } | Purpose::Mean => programs.accumulate(examples)?,
            Purpose::Diagonal { .. } => programs.diagonal(examples, self.estimated_state().unwrap_or_default())?,
            Purpose::Update => programs.update()?,
            Purpose::Scatter => {
                let (program, estimated) = statistics::program(&programs, examples)?;
                self.estimated = estimated;
                program
            }
            Purpose::Evaluation => programs.evaluate(examples)?,
            Purpose::Look => programs.look(examples)?,
            Purpose::Response => programs.respond(examples)?,
        };
        let plan = ready(&mut self.executor, &program).await?;
        self.plans.push((key, plan.clone()));
        Ok(plan)
    }

    /// What the runs of the next update read.
    fn inputs(&mut self, batch: usize, parts: Parts) -> StepInputs {
        let mut index = vec![0; batch];
        self.sampler.fill(self.drawn, &mut index);
        let rates = self.rates(batch);
        let optimizer = rates.applied(&self.schedule.at(self.step).optimizer);
        let hyper = optim::hyper_at(&optimizer, &rates, &self.bias.advanced(&optimizer, 1)).to_vec();
        let (seed, step, mixup) = (self.spec.seed, self.step, self.spec.augment.mixup);
        StepInputs { index, parts, hyper, seed, step, mixup, dropout: self.recipe().model.dropout() }
    }

    /// The words of every run of the next update.
    async fn runs_of_step(&mut self) -> Result<Vec<(PlanId, Vec<u32>)>, TrainError> {
        let batch = self.batch_at(self.step);
        let (parts, plans) = self.plans_of(batch).await?;
        let inputs = self.inputs(batch, parts);
        Ok(plans.iter().flat_map(|(plan, times)| (0..*times).map(|run| inputs.words(plan, run))).collect())
    }

    /// Micro-batches of the next update.
    pub fn micro_batches(&self) -> usize {
        self.parts(self.batch_at(self.step)).runs
    }

    /// Enqueues one update as one submission; measurements that its rate or the batch policy want come before it.
    pub async fn step(&mut self) -> Result<(), TrainError> {
        self.step_in_parts(usize::MAX, async |_| true).await.map(|_| ())
    }

    /// The same as submissions of at most `at_once` micro-batches; the numbers are the same bit for bit. Between two of them
    /// `go_on` is told how many are done, of how many. Once it says no, the update is given up: the run is as it was before
    /// it, and the answer is `false`.
    pub async fn step_in_parts(
        &mut self,
        at_once: usize,
        mut go_on: impl AsyncFnMut([usize; 2]) -> bool,
    ) -> Result<bool, TrainError> {
        self.follow()?;
        self.measure_rate().await?;
        let batch = self.batch_at(self.step);
        let runs = self.plans_of(batch).await?.0.runs;
        // A sum over micro-batches starts anew with the first of them; running statistics do not.
        let mut before = Vec::new();
        if runs > at_once {
            for name in &self.running {
                before.push((name.clone(), self.executor.read(name).await?));
            }
        }
        let measured = match self.batches.due(&self.now(self.step)) {
            true => self.statistics_in_parts(at_once, &mut go_on).await?.map(Some),
            false => Some(None),
        };
        let Some(measured) = measured else { return self.give_up(&before) };
        let words = self.runs_of_step().await?;
        self.tested = None;
        if self.sampler.receives() {
            self.submit_and_tell(&words, batch).await?;
        } else if !self.submit(&words, at_once, &mut go_on).await? {
            return self.give_up(&before);
        }
        if self.used.len() == RING_ROWS {
            self.used.pop_front();
        }
        let rates = self.rates(batch);
        let mut optimizer = rates.applied(&self.recipe().optimizer);
        self.bias = self.bias.advanced(&optimizer, 1);
        let momentum = optimizer.momentum_mut().map_or(0.0, |momentum| *momentum);
        self.used.push_back((rates.lr as f32, momentum as f32, batch));
        if let Some(measured) = measured {
            let all = self.examples();
            self.batches.observe(&Now::of(&self.schedule, self.step, all), &measured);
        }
        self.drawn += batch as u64;
        self.step += 1;
        self.renew(&optimizer).await?;
        Ok(true)
    }

    /// Renews on the host what the rule wants renewed after the update that was made with these settings.
    async fn renew(&mut self, optimizer: &OptimizerSpec) -> Result<(), TrainError> {
        let names = optim::renewed(optimizer, &self.layout, &self.bias);
        let mut contents = Vec::with_capacity(names.len());
        for name in &names {
            contents.push(self.state(name).await?.into_iter().map(f64::from).collect());
        }
        optim::renew(optimizer, &self.layout, &self.bias, &mut contents);
        for (name, numbers) in names.iter().zip(contents) {
            let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
            self.executor.write(name, bytemuck::cast_slice(&numbers))?;
        }
        Ok(())
    }

    /// Puts states back to what they were before an update that is given up.
    fn give_up(&mut self, before: &[(String, Vec<u8>)]) -> Result<bool, TrainError> {
        for (name, bytes) in before {
            self.executor.write(name, bytes)?;
        }
        Ok(false)
    }

    /// Enqueues the runs of one update, at most `at_once` of them a submission; `false` if `go_on` said no between two.
    async fn submit(
        &mut self,
        words: &[(PlanId, Vec<u32>)],
        at_once: usize,
        go_on: &mut impl AsyncFnMut([usize; 2]) -> bool,
    ) -> Result<bool, TrainError> {
        let runs: Vec<Run<'_>> = words.iter().map(|(plan, words)| Run { plan: *plan, words, row: self.step }).collect();
        let mut done = 0;
        for part in runs.chunks(at_once.max(1)) {
            self.executor.submit(part).await?;
            done += part.len();
            if done < runs.len() && !go_on([done, runs.len()]).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs an update micro-batch by micro-batch, and tells the sampler the losses of its examples.
    async fn submit_and_tell(&mut self, words: &[(PlanId, Vec<u32>)], batch: usize) -> Result<(), TrainError> {
        let mut examples = vec![0; batch];
        self.sampler.fill(self.drawn, &mut examples);
        let parts = self.parts(batch);
        let mut losses = Vec::with_capacity(batch);
        let first = if self.estimated_state().is_some() { parts.runs } else { 0 };
        for (number, (plan, words)) in words.iter().enumerate() {
            self.executor.submit(&[Run { plan: *plan, words, row: self.step }]).await?;
            if let Some(run) = number.checked_sub(first).filter(|&run| run < parts.runs) {
                let own = floats(&self.executor.fetch(*plan, program::LOSSES).await?);
                losses.extend(own.iter().take(parts.examples(run, batch).len()));
            }
        }
        self.sampler.feedback(&examples, &losses);
        Ok(())
    }

    /// Measures what sets the learning rate of the next update, if that is due.
    async fn measure_rate(&mut self) -> Result<(), TrainError> {
        if self.auto_rate.due(&self.schedule, self.step) {
            let spectrum = self.batch_spectrum().await?;
            self.auto_rate.observe(&self.schedule, self.step, &spectrum);
        }
        if self.plateau.due(&self.schedule, self.step) {
            let rows = self.test_rows(plateau::EXAMPLES);
            let held_out = self.test(rows).await?;
            self.plateau.observe(&self.schedule, self.step, &held_out);
        }
        Ok(())
    }

    /// Spectral density of the Hessian on the next update's batch, with the parameters as they are. Changes nothing.
    pub async fn batch_spectrum(&mut self) -> Result<Spectrum, TrainError> {
        let mut rows = vec![0; self.batch_at(self.step)];
        self.sampler.fill(self.drawn, &mut rows);
        let curvature = match &mut self.curvature {
            Some(curvature) => curvature,
            None => {
                let settings = Settings { micro: self.spec.batch.micro, ..Settings::default() };
                let curvature = Curvature::new(&self.spec, &self.feed, Curved::Hessian, settings, "rate")?;
                self.curvature.insert(curvature)
            }
        };
        let at = (self.spec.seed, self.step);
        let recipe = &self.schedule.at(self.step).schedule;
        auto_rate::spectrum(curvature, &mut self.executor, &rows, recipe, at).await
    }

    /// How the gradients of the next update's examples scatter, with the parameters as they are. Changes nothing.
    pub async fn gradient_statistics(&mut self) -> Result<GradientStatistics, TrainError> {
        let whole = self.statistics_in_parts(usize::MAX, &mut async |_| true).await?;
        whole.ok_or_else(|| TrainError::Spec("the measurement was given up".to_owned()))
    }

    /// The same as submissions of at most `at_once` micro-batches; `None` if `go_on` said no between two.
    async fn statistics_in_parts(
        &mut self,
        at_once: usize,
        go_on: &mut impl AsyncFnMut([usize; 2]) -> bool,
    ) -> Result<Option<GradientStatistics>, TrainError> {
        let batch = self.batch_at(self.step);
        let parts = self.parts(batch);
        let Parts { micro, padded, .. } = parts;
        let mean = if optim::moves_away(&self.spec.optimizer) { Purpose::Mean } else { Purpose::Part { padded } };
        let plans = [self.prepare(mean, micro).await?, self.prepare(Purpose::Scatter, micro).await?];
        let inputs = self.inputs(batch, parts);
        let words: Vec<_> = plans.iter().flat_map(|plan| (0..parts.runs).map(|run| inputs.words(plan, run))).collect();
        if !self.submit(&words, at_once, go_on).await? {
            return Ok(None);
        }
        let sums = floats(&self.executor.read(STATISTICS).await?);
        Ok(Some(GradientStatistics::from_sums(batch, &sums, self.estimated)))
    }

    /// Updates whose metrics wait on the device; at most [`RING_ROWS`] may.
    pub fn unread(&self) -> u64 {
        self.step - self.read
    }

    /// Numbers of the updates since the last reading.
    pub async fn metrics(&mut self) -> Result<Vec<StepMetrics>, TrainError> {
        let first = self.read.max(self.step.saturating_sub(RING_ROWS as u64));
        let count = (self.step - first) as usize;
        if count == 0 {
            return Ok(vec![]);
        }
        let rows = self.executor.metrics(first, count).await?;
        self.read = self.step;
        let classes = self.feed.has_classes();
        let used = self.used.iter().skip(self.used.len().saturating_sub(count));
        Ok(rows
            .chunks_exact(RING_COLUMNS)
            .zip(used)
            .zip(first..)
            .map(|((row, &(lr, momentum, batch)), step)| StepMetrics {
                step,
                loss: row[program::LOSS],
                accuracy: if classes { row[program::CORRECT] } else { f32::NAN },
                grad_norm: row[program::GRAD_NORM],
                lr,
                momentum,
                batch,
            })
            .collect())
    }

    /// Loss and accuracy on the whole test set, with the numbers of each example. Asked again before the parameters change,
    /// it costs nothing.
    pub async fn evaluate(&mut self) -> Result<Rc<Evaluation>, TrainError> {
        self.test(self.test_rows(0)).await
    }

    /// The same on `probes.tested` examples until the end of the run: what it can spare on its way. They are the same ones
    /// throughout, whatever the seed, so that points of one curve and curves of two runs compare.
    pub async fn estimate(&mut self) -> Result<Rc<Evaluation>, TrainError> {
        let most = if self.step < self.steps_total() { self.spec.probes.tested } else { 0 };
        self.test(self.test_rows(most)).await
    }

    /// At most so many rows of the test set, always the same ones; 0 = all.
    fn test_rows(&self, most: usize) -> Vec<u32> {
        let mut rows = self.feed.test_rows(&self.data);
        if (1..rows.len()).contains(&most) {
            Rng::new(0, Stream::Probe, u32::MAX - 1).shuffle(&mut rows);
            rows.truncate(most);
            crate::numeric::sort(&mut rows);
        }
        rows
    }

    async fn test(&mut self, rows: Vec<u32>) -> Result<Rc<Evaluation>, TrainError> {
        if let Some(known) = self.tested.as_ref().filter(|known| known.rows == rows) {
            return Ok(known.clone());
        }
        let evaluation = Rc::new(self.evaluate_rows(&rows).await?);
        self.tested = Some(evaluation.clone());
        Ok(evaluation)
    }

    /// Mean loss on the whole training set.
    pub async fn training_loss(&mut self) -> Result<f64, TrainError> {
        Ok(self.evaluate_rows(&self.train_rows()).await?.loss)
    }

    /// Loss and accuracy on some table rows, with the numbers of each.
    pub async fn evaluate_rows(&mut self, rows: &[u32]) -> Result<Evaluation, TrainError> {
        let mut evaluation = Evaluation {
            step: self.step,
            rows: rows.to_vec(),
            loss: f64::NAN,
            accuracy: None,
            losses: vec![],
            predicted: vec![],
        };
        if rows.is_empty() {
            return Ok(evaluation);
        }
        let micro = EVALUATION_MICRO.min(rows.len());
        let plan = self.prepare(Purpose::Evaluation, micro).await?;
        let mut correct = 0.0;
        for chunk in rows.chunks(micro) {
            let words = plan.words(|name, slot| match name {
                program::INDEX => {
                    slot.iter_mut().enumerate().for_each(|(place, word)| *word = chunk[place % chunk.len()]);
                }
                program::WEIGHT => slot.fill(1.0f32.to_bits()),
                _ => {}
            });
            self.executor.submit(&[Run { plan: plan.id, words: &words, row: self.step }]).await?;
            let losses = floats(&self.executor.fetch(plan.id, program::LOSSES).await?);
            evaluation.losses.extend(losses.iter().take(chunk.len()));
            if self.feed.has_classes() {
                let hits = floats(&self.executor.fetch(plan.id, program::HITS).await?);
                correct += hits.iter().take(chunk.len()).map(|&hit| f64::from(hit)).sum::<f64>();
                let predicted = self.executor.fetch(plan.id, program::PREDICTED).await?;
                let each = predicted.len() / 4 / micro;
                evaluation.predicted.extend(executor::words(&predicted).take(chunk.len() * each));
            }
        }
        let n = evaluation.losses.len() as f64;
        evaluation.loss = evaluation.losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / n;
        evaluation.accuracy = self.feed.has_classes().then_some(correct / n);
        Ok(evaluation)
    }

    /// Values of the model's inside for some table rows: `logits` and the model's taps, by name.
    pub async fn look(&mut self, rows: &[u32]) -> Result<BTreeMap<String, Value>, TrainError> {
        let micro = rows.len().max(1);
        let prepared = self.prepare(Purpose::Look, micro).await?;
        let words = prepared.words(|name, slot| {
            if name == program::INDEX {
                slot.iter_mut().zip(rows).for_each(|(word, row)| *word = *row);
            }
        });
        self.executor.submit(&[Run { plan: prepared.id, words: &words, row: self.step }]).await?;
        let mut values = BTreeMap::new();
        for (name, tensor) in &prepared.plan.fetches {
            let numbers = floats(&self.executor.fetch(prepared.id, name).await?);
            values.insert(name.clone(), Value { shape: tensor.shape.clone(), numbers });
        }
        Ok(values)
    }

    /// Logits for `count` examples given as words: tokens, or the bits of features.
    pub async fn respond(&mut self, inputs: &[u32], count: usize) -> Result<Vec<f32>, TrainError> {
        let prepared = self.prepare(Purpose::Response, count).await?;
        let words = prepared.words(|_, slot| slot.iter_mut().zip(inputs).for_each(|(word, input)| *word = *input));
        self.executor.submit(&[Run { plan: prepared.id, words: &words, row: self.step }]).await?;
        Ok(floats(&self.executor.fetch(prepared.id, program::LOGITS).await?))
    }

    /// All parameters, flat, in the layout's order.
    pub async fn theta(&mut self) -> Result<Vec<f32>, TrainError> {
        self.state(THETA).await
    }

    /// A state by name, such as one of the optimizer's.
    pub async fn state(&mut self, name: &str) -> Result<Vec<f32>, TrainError> {
        Ok(floats(&self.executor.read(name).await?))
    }

    /// Replaces all parameters.
    pub fn set_theta(&mut self, theta: &[f32]) -> Result<(), TrainError> {
        if theta.len() != self.layout.len() {
            return Err(TrainError::Checkpoint(format!(
                "{} parameters for a model of {}",
                theta.len(),
                self.layout.len()
            )));
        }
        self.tested = None;
        Ok(self.executor.write(THETA, bytemuck::cast_slice(theta))?)
    }

    /// The state of the run after every enqueued update.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint, TrainError> {
        let mut states = BTreeMap::new();
        for (name, _) in &self.states {
            states.insert(name.clone(), self.executor.read(name).await?);
        }
        let mut control = BTreeMap::from([
            (AdaptiveBatch::NAME.to_owned(), self.batches.numbers()),
            (AutoRate::NAME.to_owned(), self.auto_rate.numbers()),
            (Plateau::NAME.to_owned(), self.plateau.numbers()),
            (Bias::NAME.to_owned(), self.bias.numbers()),
        ]);
        if self.sampler.receives() {
            control.insert(SAMPLER.to_owned(), self.sampler.numbers());
        }
        Ok(Checkpoint { step: self.step, drawn: self.drawn, states, control })
    }

    /// Puts the run into a stored state. Nothing changes if the checkpoint does not fit.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        for (name, len) in &self.states {
            match checkpoint.states.get(name) {
                Some(bytes) if bytes.len() == len * 4 => {}
                Some(bytes) => {
                    return Err(TrainError::Checkpoint(format!(
                        "{name} has {} numbers, this run needs {len}",
                        bytes.len() / 4
                    )));
                }
                None => return Err(TrainError::Checkpoint(format!("{name} is missing"))),
            }
        }
        let numbers = |name| checkpoint.control.get(name).map_or(&[][..], Vec::as_slice);
        if !self.sampler.restore(numbers(SAMPLER)) && checkpoint.step != self.step {
            let reason = "it does not say by which losses the next examples are drawn";
            return Err(TrainError::Checkpoint(reason.into()));
        }
        self.tested = None;
        for (name, _) in &self.states {
            self.executor.write(name, &checkpoint.states[name])?;
        }
        self.step = checkpoint.step;
        self.drawn = checkpoint.drawn;
        self.read = checkpoint.step;
        self.used.clear();
        self.batches = AdaptiveBatch::restored(numbers(AdaptiveBatch::NAME));
        self.auto_rate = AutoRate::restored(numbers(AutoRate::NAME));
        self.plateau = Plateau::restored(numbers(Plateau::NAME));
        // Files from before it was kept had constant settings, or were wrong.
        let bias = Bias::restored(numbers(Bias::NAME));
        self.bias = bias.unwrap_or_else(|| Bias::after(&self.recipe().optimizer, self.step));
        self.follow()
    }

    /// Runs the next update and names the first launch that wrote a non-finite number. The state is then that after the update, or
    /// after a part of it. Others have their turn after each micro-batch of several: only the one that goes wrong is run launch by
    /// launch.
    pub async fn first_non_finite(&mut self, mut breathe: impl AsyncFnMut()) -> Result<Option<String>, TrainError> {
        self.follow()?;
        self.measure_rate().await?;
        let batch = self.batch_at(self.step);
        let (parts, plans) = self.plans_of(batch).await?;
        let inputs = self.inputs(batch, parts);
        self.tested = None;
        for (plan, times) in &plans {
            for part in 0..*times {
                let (id, words) = inputs.words(plan, part);
                let run = Run { plan: id, words: &words, row: self.step };
                if *times > 1 {
                    self.executor.submit(std::slice::from_ref(&run)).await?;
                    breathe().await;
                    if self.left_finite(&plan.plan).await? {
                        continue;
                    }
                }
                if let Some(label) = self.executor.first_non_finite(run).await? {
                    return Ok(Some(label));
                }
            }
        }
        Ok(None)
    }

    /// Whether all that a run of a plan has written to states are finite numbers.
    async fn left_finite(&mut self, plan: &Plan) -> Result<bool, TrainError> {
        for state in plan.written() {
            if self.state(&plan.inputs[state.index()].name).await?.iter().any(|number| !number.is_finite()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What an update costs.
    pub async fn summary(&mut self) -> Result<Summary, TrainError> {
        let (parts, plans) = self.plans_of(self.batch_at(self.step)).await?;
        let total =
            |of: fn(&Plan) -> u64| plans.iter().map(|(plan, times)| of(&plan.plan) * *times as u64).sum::<u64>();
        let mut modules: Vec<ModuleCost> = Vec::new();
        for entry in self.layout.entries() {
            let module = entry.name.rsplit_once('.').map_or(entry.name.as_str(), |(module, _)| module);
            let parameters = numel(&entry.shape) as u64;
            match modules.last_mut() {
                Some(last) if last.module == module => last.parameters += parameters,
                _ => modules.push(ModuleCost { module: module.to_owned(), parameters }),
            }
        }
        let mut notes = vec![format!("{} × {} examples an update", parts.runs, parts.micro)];
        // What is computed at once may not divide as asked.
        if let Some(ghost) = self.spec.model.ghost() {
            notes.push(format!("batch norm sees {} at once", parts.micro / ghosts(parts.micro, ghost)));
        }
        if self.spec.optimizer.rho > 0.0 {
            notes.push("two gradients of each".to_owned());
        }
        Ok(Summary {
            modules,
            parameters: self.layout.len() as u64,
            flop: total(Plan::flop),
            bytes: total(Plan::traffic),
            peak_bytes: plans.iter().map(|(plan, _)| plan.plan.peak_bytes()).max().unwrap_or(0),
            dispatches: total(|plan| plan.launches.len() as u64) as u32,
            notes,
        })
    }
}

/// Examples in the training set; at least 1.
fn examples(data: &Data, feed: &Feed) -> usize {
    data.examples(Split::Train, feed.span()).len().max(1)
}
