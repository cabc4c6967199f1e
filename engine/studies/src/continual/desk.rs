//! What a strategy works with: the examples, the network, and the steps that have been recorded over them.

use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::Tensor;
use engine::continual::{ContinualSpec, Encoder, Head, Leg, Network, Scenario};
use engine::model::{Init, Mode, ModelError, ParamEntry, ParamLayout};
use engine::numeric::norm;
use engine::tape::{Play, Snapshot, StepId, Table, Tape, Traced, Words, trace};

use super::frozen;
use super::learner::{Learner, cross_entropy, masked, rule};
use super::reservoir::Reservoir;
use super::tasks::{Examples, Tasks};
use crate::StudyError;

/// Rows that are answered at once.
pub const CHUNK: usize = 200;
/// Name of the network.
pub const NET: &str = "net";

/// New examples of an update.
pub struct Batch {
    /// Updates done before it.
    pub update: u64,
    /// Rows.
    pub rows: Vec<u32>,
}

/// Frozen features of all rows, `[rows, width]`.
pub struct Features {
    /// Numbers of a row.
    pub width: usize,
    /// The features, row by row, each brought to a mean square of 1.
    pub values: Vec<f32>,
}

impl Features {
    /// Features of so many numbers a row, each row brought to a mean square of 1 by itself.
    #[must_use]
    pub fn levelled(width: usize, mut values: Vec<f32>) -> Self {
        for row in values.chunks_mut(width) {
            let size = (norm(row) / (width as f64).sqrt()).max(1e-6) as f32;
            row.iter_mut().for_each(|value| *value /= size);
        }
        Self { width, values }
    }

    /// Those of a row.
    #[must_use]
    pub fn row(&self, row: u32) -> &[f32] {
        &self.values[row as usize * self.width..(row as usize + 1) * self.width]
    }
}

/// See the module.
pub struct Desk<'p> {
    /// The steps and their states.
    pub play: Play<'p>,
    /// The session.
    pub spec: Rc<ContinualSpec>,
    /// The examples.
    pub tasks: Rc<Tasks>,
    /// Frozen features, where something is computed on them.
    pub features: Option<Rc<Features>>,
    /// Seed of what strategies draw.
    pub seed: u64,
    /// Outputs that have been seen among the labels so far.
    pub seen: Vec<bool>,
    /// Where the network's parameters lie.
    pub layout: ParamLayout,
    inputs: Inputs,
    steps: BTreeMap<&'static str, StepId>,
    /// Everything as it was before the first update.
    fresh: Option<Rc<Snapshot>>,
}

/// What features are multiplied by where a head learns from them, so that a row has length 4 and usual learning rates suit.
#[must_use]
pub fn reach(width: usize) -> f64 {
    4.0 / (width.max(1) as f64).sqrt()
}

/// What the network reads: a table, what its numbers are multiplied by, and their shape.
#[derive(Clone)]
struct Inputs {
    table: Table,
    scale: f64,
    shape: Vec<usize>,
}

impl Inputs {
    fn of(tasks: &Tasks) -> Self {
        let shape = [tasks.rows(), tasks.width()];
        let (table, scale) = match tasks.examples {
            Examples::Pixels(_) => (Table::bytes("examples", shape), 1.0 / 255.0),
            Examples::Numbers(_) => (Table::numbers("examples", shape), 1.0),
        };
        Self { table, scale, shape: tasks.shape.clone() }
    }

    fn of_features(rows: usize, width: usize) -> Self {
        Self { table: Table::numbers("features", [rows, width]), scale: reach(width), shape: vec![width] }
    }

    /// Rows as the network reads them.
    fn read(&self, tape: &mut Tape, index: &str, rows: usize) -> Tensor<2> {
        tape.rows(&self.table, index, [rows, self.shape.iter().product()]) * self.scale
    }
}

impl<'p> Desk<'p> {
    /// A desk with nothing learned. The play is new.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn new(
        mut play: Play<'p>,
        spec: Rc<ContinualSpec>,
        tasks: Rc<Tasks>,
        features: Option<Rc<Features>>,
        seed: u64,
    ) -> Result<Self, StudyError> {
        let inputs = match &features {
            Some(features) if spec.network == Network::Encoder => {
                let inputs = Inputs::of_features(tasks.rows(), features.width);
                play.table(&inputs.table, &features.values)?;
                inputs
            }
            _ => {
                let inputs = Inputs::of(&tasks);
                play.table(&inputs.table, words(&tasks.examples))?;
                inputs
            }
        };
        let seen = vec![false; tasks.outputs.len()];
        let layout = ParamLayout::default();
        let mut desk =
            Self { play, spec, tasks, features, seed, seen, layout, inputs, steps: BTreeMap::new(), fresh: None };
        desk.step("answer", CHUNK, |tape, net, x| {
            let features = net.features(x);
            tape.fetch("logits", &net.head(features.clone()));
            tape.fetch("features", &features);
            Ok(())
        })
        .await?;
        Ok(desk)
    }

    /// A step of that name over so many rows, `index`, of the examples; recorded once.
    ///
    /// # Errors
    /// It cannot be recorded or run.
    pub async fn step(
        &mut self,
        name: &'static str,
        rows: usize,
        write: impl FnOnce(&mut Tape, &Learner, Tensor<2>) -> Result<(), ModelError>,
    ) -> Result<StepId, StudyError> {
        if let Some(&step) = self.steps.get(name) {
            return Ok(step);
        }
        let recorded = self.recorder();
        let traced = trace(name, Mode::Train, |tape| {
            let (net, x) = recorded(tape, rows);
            write(tape, &net, x)
        })?;
        if let Some(net) = traced.nets.iter().find(|net| net.layout.net() == NET) {
            self.layout = net.layout.clone();
        }
        let step = self.add(traced).await?;
        self.play.rate(NET, self.spec.rate)?;
        Ok(step)
    }

    /// What writes the network into a recording, and so many rows, `index`, of the examples.
    pub fn recorder(&self) -> impl Fn(&mut Tape, usize) -> (Learner, Tensor<2>) + use<> {
        let (inputs, spec, outputs) = (self.inputs.clone(), self.spec.clone(), self.tasks.outputs.len());
        move |tape, rows| {
            let x = inputs.read(tape, "index", rows);
            (tape.net(NET, |builder| Learner::new(&spec, &inputs.shape, outputs, builder)), x)
        }
    }

    /// A step over states alone, with the network's parameters at hand; recorded once.
    ///
    /// # Errors
    /// It cannot be recorded or run.
    pub async fn bare_step(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut Tape) -> Result<(), ModelError>,
    ) -> Result<StepId, StudyError> {
        if let Some(&step) = self.steps.get(name) {
            return Ok(step);
        }
        let (shape, spec, outputs) = (self.inputs.shape.clone(), self.spec.clone(), self.tasks.outputs.len());
        let traced = trace(name, Mode::Train, |tape| {
            let _ = tape.net(NET, |builder| Learner::new(&spec, &shape, outputs, builder));
            write(tape)
        })?;
        self.add(traced).await
    }

    /// A step that keeps the network's parameters in a state of that name, which other steps read; recorded once.
    ///
    /// # Errors
    /// It cannot be recorded or run.
    pub async fn copy_step(&mut self, name: &'static str, state: &str) -> Result<StepId, StudyError> {
        self.bare_step(name, |tape| {
            let theta = tape.flat(NET);
            // Declared so that the play knows it.
            let _ = tape.state(state, theta.dims());
            tape.keep(state, &theta);
            Ok(())
        })
        .await
    }

    /// Makes a step ready, once under its name.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn add(&mut self, traced: Traced) -> Result<StepId, StudyError> {
        if let Some(&step) = self.steps.get(traced.name) {
            return Ok(step);
        }
        let name = traced.name;
        let step = self.play.add(traced).await?;
        self.steps.insert(name, step);
        Ok(step)
    }

    /// A step that was recorded before.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn known(&self, name: &str) -> Result<StepId, StudyError> {
        self.steps.get(name).copied().ok_or_else(|| StudyError::Other(format!("the step {name} was not recorded")))
    }

    /// The step of plain descent on weighted examples: inputs `index`, `target`, `allowed` of so many rows.
    ///
    /// # Errors
    /// It cannot be recorded or run.
    pub async fn descent(&mut self, name: &'static str, rows: usize) -> Result<StepId, StudyError> {
        let (outputs, rule) = (self.tasks.outputs.len(), rule(self.spec.optimizer));
        self.step(name, rows, |tape, net, x| {
            let loss = examples_loss(tape, net.forward(x), outputs);
            tape.minimise(NET, &loss, &rule);
            tape.metric("loss", &loss);
            Ok(())
        })
        .await
    }

    /// Remembers everything as it is as fresh, for [`Self::begin_anew`].
    ///
    /// # Errors
    /// The executor fails.
    pub async fn remember_fresh(&mut self) -> Result<(), StudyError> {
        self.fresh = Some(Rc::new(self.play.snapshot().await?));
        Ok(())
    }

    /// Puts everything back to how it was before the first update.
    ///
    /// # Errors
    /// The executor fails.
    pub fn begin_anew(&mut self) -> Result<(), StudyError> {
        if let Some(fresh) = self.fresh.clone() {
            self.play.restore(&fresh)?;
        }
        Ok(())
    }

    /// Gives the network these parameters, but for its outputs, which stay as they are; there, they may have had another
    /// number.
    ///
    /// # Errors
    /// They are of another network.
    pub async fn start_from(&mut self, start: &[f32]) -> Result<(), StudyError> {
        let mut theta = self.theta().await?;
        let below = self.head().map_or(theta.len(), |entry| entry.offset);
        if start.len() < below || !(start.len() - below).is_multiple_of(self.inner_width() + 1) {
            return Err(StudyError::Other("the parameters are of another network".into()));
        }
        theta[..below].copy_from_slice(&start[..below]);
        Ok(self.play.write("net.theta", &theta)?)
    }

    /// Shape of an example as the network reads it.
    #[must_use]
    pub fn input_shape(&self) -> &[usize] {
        &self.inputs.shape
    }

    /// How many outputs there are.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.tasks.outputs.len()
    }

    /// Logits of any number of rows, `[rows, outputs]`, all outputs.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn logits(&mut self, rows: &[u32]) -> Result<Vec<f32>, StudyError> {
        self.answers(rows, "logits", self.outputs()).await
    }

    /// What the outputs are made of, `[rows, features]`.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn inner(&mut self, rows: &[u32]) -> Result<Vec<f32>, StudyError> {
        let width = self.inner_width();
        self.answers(rows, "features", width).await
    }

    /// How many features the outputs are made of.
    #[must_use]
    pub fn inner_width(&self) -> usize {
        self.head().map_or(0, |weight| weight.shape[0])
    }

    /// The first parameter of the outputs, which come last: `[features, outputs]`.
    fn head(&self) -> Option<&ParamEntry> {
        self.layout.entries().iter().find(|entry| entry.name.starts_with("head."))
    }

    async fn answers(&mut self, rows: &[u32], what: &str, width: usize) -> Result<Vec<f32>, StudyError> {
        let step = self.known("answer")?;
        in_chunks(&mut self.play, step, rows, what, width).await
    }

    /// The network's parameters.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn theta(&mut self) -> Result<Vec<f32>, StudyError> {
        Ok(self.play.read("net.theta").await?)
    }

    /// Outputs that have been seen so far, a 1 each.
    #[must_use]
    pub fn seen_outputs(&self) -> Vec<f32> {
        self.seen.iter().map(|&seen| f32::from(u8::from(seen))).collect()
    }

    /// Outputs that compete for a row, a 1 each.
    #[must_use]
    pub fn allowed(&self, row: u32) -> Vec<f32> {
        self.allowed_in(self.tasks.task[row as usize] as usize)
    }

    /// Outputs that compete in a task: 1 for those, else 0.
    #[must_use]
    pub fn allowed_in(&self, task: usize) -> Vec<f32> {
        match self.spec.scenario {
            // An untrained network is asked for all.
            Scenario::Class if self.spec.head == Head::Growing && self.seen.contains(&true) => self.seen_outputs(),
            Scenario::Class | Scenario::Domain => vec![1.0; self.outputs()],
            Scenario::Task => indicator(self.outputs(), &self.tasks.of_task[task]),
        }
    }

    /// Rows as inputs of [`Self::descent`], padded to `places` with rows of no weight; each row has the weight 1 / `of`.
    #[must_use]
    pub fn fill(&self, rows: &[u32], places: usize, of: usize) -> Filled {
        let outputs = self.outputs();
        let mut filled = Filled {
            index: rows.to_vec(),
            target: vec![0.0; places * outputs],
            allowed: Vec::with_capacity(places * outputs),
        };
        filled.index.resize(places, 0);
        for (place, &row) in rows.iter().enumerate() {
            filled.target[place * outputs + self.tasks.output[row as usize] as usize] = 1.0 / of.max(1) as f32;
            filled.allowed.extend(self.allowed(row));
        }
        filled.allowed.resize(places * outputs, 1.0);
        filled
    }

    /// Runs a step with these rows and other inputs.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn run(&mut self, step: StepId, filled: &Filled, more: &[(&str, Words<'_>)]) -> Result<(), StudyError> {
        let mut inputs = filled.inputs().to_vec();
        inputs.extend_from_slice(more);
        Ok(self.play.run(step, &inputs).await?)
    }

    /// An empty memory of the size that the strategy of a leg is given.
    #[must_use]
    pub fn reservoir(&self, leg: &Leg) -> Reservoir {
        Reservoir::new(self.value(leg, "memory") as usize, self.seed)
    }

    /// A setting of the strategy in a leg.
    #[must_use]
    pub fn value(&self, leg: &Leg, id: &str) -> f64 {
        self.spec.value(leg, id)
    }

    /// Floating-point operations of a step that was recorded under a name; 0 where there is none.
    #[must_use]
    pub fn flop(&self, name: &str) -> u64 {
        self.steps.get(name).and_then(|&step| self.play.flop(step).ok()).unwrap_or(0)
    }
}

/// What a step over [`CHUNK`] rows, `index`, fetches under a name, of any number of rows: `[rows, width]`.
///
/// # Errors
/// The executor fails.
pub async fn in_chunks(
    play: &mut Play<'_>,
    step: StepId,
    rows: &[u32],
    what: &str,
    width: usize,
) -> Result<Vec<f32>, StudyError> {
    let mut all = Vec::with_capacity(rows.len() * width);
    for chunk in rows.chunks(CHUNK) {
        let mut index = chunk.to_vec();
        index.resize(CHUNK, 0);
        play.run(step, &[("index", Words::Classes(&index))]).await?;
        all.extend_from_slice(&play.fetch(step, what).await?[..chunk.len() * width]);
    }
    Ok(all)
}

/// Rows as inputs of a step.
pub struct Filled {
    /// Row numbers.
    pub index: Vec<u32>,
    /// Weighted targets, `[rows, outputs]`.
    pub target: Vec<f32>,
    /// Outputs that compete, `[rows, outputs]`.
    pub allowed: Vec<f32>,
}

impl Filled {
    /// Adds rows after these.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.index.extend(other.index);
        self.target.extend(other.target);
        self.allowed.extend(other.allowed);
        self
    }

    /// As a step takes them.
    #[must_use]
    pub fn inputs(&self) -> [(&'static str, Words<'_>); 3] {
        [
            ("index", Words::Classes(&self.index)),
            ("target", Words::Numbers(&self.target)),
            ("allowed", Words::Numbers(&self.allowed)),
        ]
    }
}

/// The weighted cross-entropy of logits against the inputs `target` and `allowed`.
pub fn examples_loss(tape: &mut Tape, logits: Tensor<2>, outputs: usize) -> Tensor<1> {
    let rows = logits.dims()[0];
    let target = tape.input("target", [rows, outputs]);
    let allowed = tape.input("allowed", [rows, outputs]);
    cross_entropy(masked(logits, allowed), target)
}

/// 1 at these places, else 0.
#[must_use]
pub fn indicator(places: usize, ones: &[u32]) -> Vec<f32> {
    let mut all = vec![0.0; places];
    for &one in ones {
        if let Some(place) = all.get_mut(one as usize) {
            *place = 1.0;
        }
    }
    all
}

fn words(examples: &Examples) -> Words<'_> {
    match examples {
        Examples::Pixels(pixels) => Words::Bytes(pixels),
        Examples::Numbers(numbers) => Words::Numbers(numbers),
    }
}

/// Features of all rows by the session's encoder, which a play of its own computes. `file`: its [`frozen::file`]. Each row is brought to a mean square of 1
/// by itself: nothing of the stream is looked at ahead.
///
/// # Errors
/// The executor fails.
pub async fn encode(
    play: &mut Play<'_>,
    spec: &ContinualSpec,
    tasks: &Tasks,
    file: Option<&[u8]>,
) -> Result<Features, StudyError> {
    if frozen::file(spec).is_some() {
        return frozen::encode(play, spec.encoder, tasks, file).await;
    }
    let inputs = Inputs::of(tasks);
    let random = spec.encoder == Encoder::Random;
    let width = if random { spec.features } else { tasks.width() };
    play.table(&inputs.table, words(&tasks.examples))?;
    let step = play
        .add(trace("encode", Mode::Eval, |tape| {
            let x = inputs.read(tape, "index", CHUNK);
            let x = if random {
                let from = tasks.width();
                let layer =
                    tape.net("encoder", |builder| builder.linear(from, width, false, Init::kaiming_normal(from)));
                burn::tensor::activation::relu(layer.forward(x))
            } else {
                x
            };
            let size = (x.clone().powf_scalar(2.0).mean_dim(1) + 1e-12).sqrt();
            tape.fetch("features", &(x / size));
            Ok(())
        })?)
        .await?;
    let rows: Vec<u32> = (0..tasks.rows() as u32).collect();
    let values = in_chunks(play, step, &rows, "features", width).await?;
    Ok(Features { width, values })
}
