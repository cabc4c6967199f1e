//! Running recorded steps.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::breath::wrong;
use super::{Breathe, PlayError, Snapshot, Table, Traced, Words};
use crate::executor::{AnyExecutor, ExecError, Executor, Prepared, RING_COLUMNS, RING_ROWS, Run, floats, words};
use crate::graph::{DType, InputDecl, InputKind, Target, numel};
use crate::model::{KEY, ParamLayout, THETA};
use crate::optim::{self, Bias, HYPER};
use crate::rng::{own_seed, step_key};
use crate::spec::{OptimizerSpec, Rates};

/// A step that a [`Play`] runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepId(usize);

pub(super) struct Step {
    pub(super) traced: Traced,
    pub(super) plan: Prepared,
    /// Runs so far: what their draws are told apart by.
    runs: u64,
    /// Numbers read, by metric.
    columns: Vec<Vec<f32>>,
}

/// What is kept of a net.
#[derive(Clone, Copy, Debug)]
struct Trained {
    rate: Option<f64>,
    /// After the updates so far, of whichever step.
    bias: Bias,
}

impl Trained {
    const START: Self = Trained { rate: None, bias: Bias::START };
}

/// Where an executor is when nobody uses it.
pub type Home<E> = Rc<RefCell<Option<E>>>;

/// Recorded steps on an executor, over the same nets, states and tables. The executor goes back to where it came from when
/// the play is dropped.
///
/// Hyper-parameters and the keys of draws are filled in here; how often a step ran and a net was updated is counted here.
pub struct Play<'p, E: Executor = AnyExecutor> {
    /// `None` once the executor has failed.
    executor: Option<E>,
    home: Home<E>,
    breath: Box<dyn Breathe + 'p>,
    seed: u64,
    steps: Vec<Step>,
    nets: BTreeMap<String, Trained>,
    /// Contents of each state at the start.
    states: BTreeMap<String, Start>,
    tables: BTreeMap<String, usize>,
    /// Runs so far: the row of the metrics ring.
    row: u64,
    /// The steps whose rows have not been read.
    unread: VecDeque<usize>,
}

/// What a state holds at the start.
#[derive(Clone, Debug)]
enum Start {
    Zeros(usize),
    Values(Vec<f32>),
    Parameters(ParamLayout),
}

impl Start {
    fn len(&self) -> usize {
        match self {
            Start::Zeros(len) => *len,
            Start::Values(values) => values.len(),
            Start::Parameters(layout) => layout.len(),
        }
    }

    fn values(&self, seed: u64) -> Vec<f32> {
        match self {
            Start::Zeros(len) => vec![0.0; *len],
            Start::Values(values) => values.clone(),
            Start::Parameters(layout) => layout.initial(seed),
        }
    }
}

impl<'p, E: Executor> Play<'p, E> {
    /// Takes the executor from its home and clears it. `seed`: of initial parameters and of all draws.
    ///
    /// # Errors
    /// Nobody is at home.
    pub fn new(home: &Home<E>, breath: impl Breathe + 'p, seed: u64) -> Result<Self, PlayError> {
        let taken = home.try_borrow_mut().ok().and_then(|mut home| home.take());
        let mut executor = taken.ok_or_else(|| wrong("executor", "is used by another play"))?;
        executor.reset();
        Ok(Play {
            executor: Some(executor),
            home: home.clone(),
            breath: Box::new(breath),
            seed,
            steps: Vec::new(),
            nets: BTreeMap::new(),
            states: BTreeMap::new(),
            tables: BTreeMap::new(),
            row: 0,
            unread: VecDeque::new(),
        })
    }

    /// Uploads a table. Comes before the steps that read it.
    ///
    /// # Errors
    /// Contents of another type or length; the executor fails.
    pub fn table<'w>(&mut self, table: &Table, contents: impl Into<Words<'w>>) -> Result<(), PlayError> {
        let (bytes, dtype) = contents.into().bytes();
        if dtype != table.dtype || bytes.len() != table.len() {
            return Err(wrong(&table.name, "does not have the contents that it declares"));
        }
        self.executor()?.write(&table.name, bytes)?;
        self.tables.insert(table.name.clone(), bytes.len());
        Ok(())
    }

    /// Makes a step ready. States that are new get their contents at the start; those that an earlier step named go on.
    ///
    /// # Errors
    /// A table that is not there; two steps of one name; a state of another length than an earlier step's.
    pub async fn add(&mut self, traced: Traced) -> Result<StepId, PlayError> {
        if self.steps.iter().any(|step| step.traced.name == traced.name) {
            return Err(wrong(traced.name, "is the name of two steps"));
        }
        for input in traced.program.graph.inputs() {
            match input.kind {
                InputKind::State => self.begin(&traced, input)?,
                InputKind::Table if !self.tables.contains_key(&input.name) => {
                    return Err(wrong(&input.name, "is no table here"));
                }
                InputKind::Table | InputKind::Step => {}
            }
        }
        for net in &traced.nets {
            self.nets.entry(net.layout.net().to_owned()).or_insert(Trained::START);
        }
        let plan = Prepared::new::<_, PlayError>(self.executor()?, &traced.program).await?;
        let columns = vec![Vec::new(); traced.metrics.len()];
        self.steps.push(Step { traced, plan, runs: 0, columns });
        Ok(StepId(self.steps.len() - 1))
    }

    /// Writes the start of a state that is new.
    fn begin(&mut self, traced: &Traced, input: &InputDecl) -> Result<(), PlayError> {
        let len = numel(&input.shape);
        if let Some(known) = self.states.get(&input.name) {
            return if known.len() == len { Ok(()) } else { Err(wrong(&input.name, "has another length elsewhere")) };
        }
        let mut start = Start::Zeros(len);
        for net in &traced.nets {
            if net.layout.name(THETA) == input.name {
                start = Start::Parameters(net.layout.clone());
            }
            if let Some((_, values)) = net.running.iter().find(|(name, _)| *name == input.name) {
                start = Start::Values(values.clone());
            }
        }
        let values = start.values(self.seed);
        self.executor()?.write(&input.name, bytemuck::cast_slice(&values))?;
        self.states.insert(input.name.clone(), start);
        Ok(())
    }

    /// Sets the learning rate of a net, for all steps.
    ///
    /// # Errors
    /// No step has such a net.
    pub fn rate(&mut self, net: &str, rate: f64) -> Result<(), PlayError> {
        let trained = self.nets.get_mut(net).ok_or_else(|| wrong(net, "is no net here"))?;
        trained.rate = Some(rate);
        Ok(())
    }

    /// Changes the numbers of a net's rule (momentum, decay, clipping) in the steps that update it. Its kind stays.
    ///
    /// # Errors
    /// No step updates such a net.
    pub fn tune(&mut self, net: &str, change: impl Fn(&mut OptimizerSpec)) -> Result<(), PlayError> {
        let nets = self.steps.iter_mut().flat_map(|step| &mut step.traced.nets);
        let rules: Vec<_> =
            nets.filter(|known| known.layout.net() == net).filter_map(|net| net.rule.as_mut()).collect();
        if rules.is_empty() {
            return Err(wrong(net, "is updated by no step"));
        }
        for rule in rules {
            let kind = rule.kind;
            change(rule);
            rule.kind = kind;
        }
        Ok(())
    }

    /// Runs a step once, with the inputs that it declares, and breathes.
    ///
    /// # Errors
    /// An input that is missing, not the step's, or of another type or length; a net that is updated has no rate; the
    /// executor fails; the person has asked to stop.
    pub async fn run(&mut self, step: StepId, inputs: &[(&str, Words<'_>)]) -> Result<(), PlayError> {
        self.submit(step, inputs).await?;
        self.breath.breathe().await
    }

    /// Runs a step once without a breath, for what measures time.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn submit(&mut self, step: StepId, inputs: &[(&str, Words<'_>)]) -> Result<(), PlayError> {
        let words = self.words(step, inputs)?;
        if self.unread.len() == RING_ROWS {
            self.drain().await?;
        }
        let (plan, row) = (self.at(step)?.plan.id, self.row);
        let submitted = self.executor()?.submit(&[Run { plan, words: &words, row }]).await;
        self.sound(submitted)?;
        self.row += 1;
        self.unread.push_back(step.0);
        let step = &mut self.steps[step.0];
        step.runs += 1;
        for net in &step.traced.nets {
            if let (Some(rule), Some(trained)) = (&net.rule, self.nets.get_mut(net.layout.net())) {
                trained.bias = trained.bias.advanced(rule, 1);
            }
        }
        Ok(())
    }

    /// The words of a step's inputs.
    pub(super) fn words(&self, step: StepId, inputs: &[(&str, Words<'_>)]) -> Result<Vec<u32>, PlayError> {
        let Step { traced, plan, runs, .. } = self.at(step)?;
        let declared = |name: &str| traced.program.graph.inputs().iter().find(|input| input.name == name);
        if let Some((name, _)) =
            inputs.iter().find(|(name, _)| declared(name).is_none_or(|input| input.kind != InputKind::Step))
        {
            return Err(wrong(name, "is no input of the step"));
        }
        let mut fault = None;
        let words = plan.words(|name, slot| {
            let given = inputs.iter().find(|(known, _)| *known == name);
            let filled = match (given, declared(name)) {
                (Some((_, words)), Some(input)) => {
                    if words.fill(input.dtype, slot) {
                        Ok(())
                    } else {
                        Err("has another type or length")
                    }
                }
                _ => self.own_words(traced, *runs, name, slot),
            };
            if let Err(reason) = filled {
                fault.get_or_insert(wrong(name, reason));
            }
        });
        match fault {
            Some(fault) => Err(fault),
            None => Ok(words),
        }
    }

    /// Hyper-parameters and keys.
    fn own_words(&self, traced: &Traced, runs: u64, name: &str, slot: &mut [u32]) -> Result<(), &'static str> {
        if name == KEY {
            slot.copy_from_slice(&step_key(own_seed(self.seed, traced.name), runs, 0));
            return Ok(());
        }
        for net in &traced.nets {
            if net.layout.name(KEY) == name {
                let seed = own_seed(own_seed(self.seed, net.layout.net()), traced.name);
                slot.copy_from_slice(&step_key(seed, runs, 0));
                return Ok(());
            }
            if let Some(rule) = net.rule.as_ref().filter(|_| net.layout.name(HYPER) == name) {
                let trained = self.nets.get(net.layout.net()).copied().unwrap_or(Trained::START);
                let rate = trained.rate.ok_or("its net has no rate")?;
                let rates = Rates { lr: rate, pace: rate, momentum: None };
                let hyper = optim::hyper_at(rule, &rates, &trained.bias.advanced(rule, 1));
                slot.iter_mut().zip(hyper).for_each(|(word, value)| *word = value.to_bits());
                return Ok(());
            }
        }
        Err("was not given")
    }

    /// What a step's metric has been, a number for each run since the last call for this step, by the metric's name.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn metrics(&mut self, step: StepId) -> Result<BTreeMap<&'static str, Vec<f32>>, PlayError> {
        self.drain().await?;
        let step = self.steps.get_mut(step.0).ok_or_else(|| wrong("step", "belongs to another play"))?;
        let names = step.traced.metrics.iter().copied();
        Ok(names.zip(&mut step.columns).map(|(name, column)| (name, std::mem::take(column))).collect())
    }

    /// Reads the rows of the ring that have been written.
    async fn drain(&mut self) -> Result<(), PlayError> {
        let count = self.unread.len();
        if count == 0 {
            return Ok(());
        }
        let first = self.row - count as u64;
        let read = self.executor()?.metrics(first, count).await;
        let rows = self.sound(read)?;
        for (row, step) in rows.chunks_exact(RING_COLUMNS).zip(self.unread.drain(..)) {
            self.steps[step].columns.iter_mut().zip(row).for_each(|(column, value)| column.push(*value));
        }
        Ok(())
    }

    /// A fetched value of a step's last run; classes as numbers.
    ///
    /// # Errors
    /// The step fetches no such value; the executor fails.
    pub async fn fetch(&mut self, step: StepId, name: &str) -> Result<Vec<f32>, PlayError> {
        let Step { traced, plan, .. } = self.at(step)?;
        let wanted = |target: &Target| matches!(target, Target::Fetch(known) if known == name);
        let output = traced.program.outputs.iter().find(|output| wanted(&output.target));
        let dtype = output.map(|output| traced.program.graph.node(output.node).dtype);
        let (dtype, plan) = (dtype.ok_or_else(|| wrong(name, "is not fetched"))?, plan.id);
        let fetched = self.executor()?.fetch(plan, name).await;
        let bytes = self.sound(fetched)?;
        Ok(match dtype {
            DType::U32 => words(&bytes).map(|word| word as f32).collect(),
            _ => floats(&bytes),
        })
    }

    /// Contents of a state.
    ///
    /// # Errors
    /// There is no such state; the executor fails.
    pub async fn read(&mut self, state: &str) -> Result<Vec<f32>, PlayError> {
        self.known(state)?;
        let read = self.executor()?.read(state).await;
        Ok(floats(&self.sound(read)?))
    }

    /// Replaces the contents of a state.
    ///
    /// # Errors
    /// There is no such state, or it has another length; the executor fails.
    pub fn write(&mut self, state: &str, values: &[f32]) -> Result<(), PlayError> {
        if self.known(state)? != values.len() {
            return Err(wrong(state, "has another length"));
        }
        Ok(self.executor()?.write(state, bytemuck::cast_slice(values))?)
    }

    /// All states as they are.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn snapshot(&mut self) -> Result<Snapshot, PlayError> {
        let names: Vec<String> = self.states.keys().cloned().collect();
        let states = self.contents(names).await?;
        let biases = self.nets.iter().map(|(name, net)| (name.clone(), net.bias)).collect();
        Ok(Snapshot { states, biases, runs: self.steps.iter().map(|step| step.runs).collect() })
    }

    /// The states of one net as they are: its parameters, running statistics and moments. [`Self::restore`] puts them back
    /// and leaves all else, so that a net can be exchanged for another of its kind.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn snapshot_of(&mut self, net: &str) -> Result<Snapshot, PlayError> {
        let prefix = format!("{net}.");
        let names: Vec<String> = self.states.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
        let biases = self.nets.get_key_value(net).map(|(name, net)| (name.clone(), net.bias)).into_iter().collect();
        Ok(Snapshot { states: self.contents(names).await?, biases, runs: Vec::new() })
    }

    async fn contents(&mut self, names: Vec<String>) -> Result<BTreeMap<String, Vec<u8>>, PlayError> {
        let mut states = BTreeMap::new();
        for name in names {
            let read = self.executor()?.read(&name).await;
            states.insert(name, self.sound(read)?);
        }
        Ok(states)
    }

    /// Goes back to a snapshot of this play. States, nets and steps that came later keep what they have.
    ///
    /// # Errors
    /// The executor fails.
    pub fn restore(&mut self, at: &Snapshot) -> Result<(), PlayError> {
        for (state, bytes) in &at.states {
            if self.known(state)? * 4 != bytes.len() {
                return Err(wrong(state, "has another length"));
            }
            self.executor()?.write(state, bytes)?;
        }
        for (name, &bias) in &at.biases {
            self.nets.entry(name.clone()).or_insert(Trained::START).bias = bias;
        }
        self.steps.iter_mut().zip(&at.runs).for_each(|(step, &runs)| step.runs = runs);
        Ok(())
    }

    /// Goes back to the start, under another seed. Steps, tables and rates stay.
    ///
    /// # Errors
    /// The executor fails.
    pub fn restart(&mut self, seed: u64) -> Result<(), PlayError> {
        self.seed = seed;
        let starts: Vec<_> = self.states.iter().map(|(name, start)| (name.clone(), start.values(seed))).collect();
        for (name, values) in starts {
            self.executor()?.write(&name, bytemuck::cast_slice(&values))?;
        }
        self.nets.values_mut().for_each(|net| net.bias = Bias::START);
        self.steps.iter_mut().for_each(|step| step.runs = 0);
        Ok(())
    }

    /// Lets one net begin anew, as it began.
    ///
    /// # Errors
    /// The executor fails.
    pub fn renew(&mut self, net: &str) -> Result<(), PlayError> {
        let prefix = format!("{net}.");
        let own = self.states.iter().filter(|(name, _)| name.starts_with(&prefix));
        let starts: Vec<_> = own.map(|(name, start)| (name.clone(), start.values(self.seed))).collect();
        for (name, values) in starts {
            self.executor()?.write(&name, bytemuck::cast_slice(&values))?;
        }
        if let Some(trained) = self.nets.get_mut(net) {
            trained.bias = Bias::START;
        }
        Ok(())
    }

    /// The executor, for probes and counters.
    ///
    /// # Errors
    /// It has failed before.
    pub fn executor(&mut self) -> Result<&mut E, PlayError> {
        self.executor.as_mut().ok_or_else(|| wrong("executor", "has failed"))
    }

    /// Lets go of an executor that failed: it is not handed back.
    fn sound<T>(&mut self, result: Result<T, ExecError>) -> Result<T, PlayError> {
        if matches!(result, Err(ExecError::DeviceLost(_) | ExecError::Device(_))) {
            self.executor = None;
        }
        Ok(result?)
    }

    /// Floating-point operations of a run of a step, by its plan.
    ///
    /// # Errors
    /// The step belongs to another play.
    pub fn flop(&self, step: StepId) -> Result<u64, PlayError> {
        Ok(self.at(step)?.plan.plan.flop())
    }

    pub(super) fn at(&self, step: StepId) -> Result<&Step, PlayError> {
        self.steps.get(step.0).ok_or_else(|| wrong("step", "belongs to another play"))
    }

    fn known(&self, state: &str) -> Result<usize, PlayError> {
        self.states.get(state).map(Start::len).ok_or_else(|| wrong(state, "is no state here"))
    }
}

impl<E: Executor> Drop for Play<'_, E> {
    fn drop(&mut self) {
        if let (Some(mut executor), Ok(mut home)) = (self.executor.take(), self.home.try_borrow_mut()) {
            executor.reset();
            *home = Some(executor);
        }
    }
}
