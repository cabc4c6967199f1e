//! Update rules as graph functions over flat vectors: parameters, gradient, and state have one layout.
//!
//! Every number that may change between steps, decay and clipping included, comes in the step input [`HYPER`]; a rule
//! that froze one would train wrongly and look plausible.

mod adagrad;
mod adagrad_norm;
mod adam;
mod lamb;
mod lars;
mod layers;
mod lion;
mod minimise;
mod momentum;
mod muon;
mod rmsprop;
pub mod sam;
mod sgd;
pub mod stability;
#[cfg(test)]
mod tests;

pub use minimise::minimise;

use crate::graph::{BinaryOp, DType, Graph, GraphError, InputKind, NodeId, Program, UnaryOp, numel};
use crate::model::{ParamEntry, ParamLayout, THETA};
use crate::spec::{DecayKind, OptimizerSpec, Rule};

/// Step input: f32, one number a [`Hyper`].
pub const HYPER: &str = "hyper";

/// Places in the step input [`HYPER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Hyper {
    /// Learning rate.
    LearningRate,
    /// Weight decay.
    WeightDecay,
    /// Largest gradient norm; infinite = no clipping.
    Clip,
    /// Momentum.
    Momentum,
    /// Share of the last mean gradient that is kept.
    Beta1,
    /// Share of the last mean squared gradient that is kept.
    Beta2,
    /// Added to divisors.
    Eps,
    /// `1 / (1 - beta1^t)`
    Correction1,
    /// `1 / (1 - beta2^t)`
    Correction2,
    /// LARS: step over the norm of the weights, at learning rate 1.
    Trust,
    /// LAMB: largest norm of the weights that counts; infinite = any.
    LargestNorm,
}

/// Numbers in the step input.
const HYPERS: usize = Hyper::LargestNorm as usize + 1;

/// Bias correction at update `step` (from 0) of a mean that keeps a share beta: `1 / (1 - beta^(step + 1))`.
fn correction(beta: f64, step: u64) -> f64 {
    // libm, not the platform: the same bits natively and in WASM.
    1.0 / (1.0 - libm::pow(beta, step as f64 + 1.0))
}

/// Contents of the step input for update `step` (from 0) at learning rate `lr`.
pub fn hyper(spec: &OptimizerSpec, lr: f32, step: u64) -> [f32; HYPERS] {
    let mut numbers = [0.0; HYPERS];
    numbers[Hyper::LearningRate as usize] = lr;
    numbers[Hyper::WeightDecay as usize] = spec.weight_decay as f32;
    numbers[Hyper::Clip as usize] = bound(spec.clip);
    numbers[Hyper::Momentum as usize] = spec.momentum as f32;
    numbers[Hyper::Beta1 as usize] = spec.beta1 as f32;
    numbers[Hyper::Beta2 as usize] = spec.beta2 as f32;
    numbers[Hyper::Eps as usize] = spec.eps as f32;
    numbers[Hyper::Correction1 as usize] = correction(spec.beta1, step) as f32;
    numbers[Hyper::Correction2 as usize] = correction(spec.beta2, step) as f32;
    numbers[Hyper::Trust as usize] = spec.trust as f32;
    numbers[Hyper::LargestNorm as usize] = bound(spec.largest_norm);
    numbers
}

/// A bound that is not there where it is 0.
fn bound(value: f64) -> f32 {
    if value > 0.0 { value as f32 } else { f32::INFINITY }
}

/// Whether a rule keeps a number for each parameter or one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Vector,
    Scalar,
}

/// What a rule keeps from one update to the next; zero at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    name: &'static str,
    extent: Extent,
}

impl State {
    /// One number a parameter.
    const fn vector(name: &'static str) -> Self {
        State { name, extent: Extent::Vector }
    }

    /// One number.
    const fn scalar(name: &'static str) -> Self {
        State { name, extent: Extent::Scalar }
    }

    fn len(self, parameters: usize) -> usize {
        match self.extent {
            Extent::Vector => parameters,
            Extent::Scalar => 1,
        }
    }
}

/// What a rule sees.
struct Step<'a> {
    graph: &'a mut Graph,
    layout: &'a ParamLayout,
    hyper: NodeId,
    /// The parameters before the update.
    theta: NodeId,
    /// The gradient, clipped, with the decay if that is coupled to it.
    gradient: NodeId,
    /// Weight decay times theta; 0 where a parameter is exempt.
    decay: NodeId,
    /// Whether biases and the like are left out of what a rule does to whole layers.
    exempt: bool,
}

impl Step<'_> {
    /// A hyper-parameter as `[1]`.
    fn hyper(&mut self, which: Hyper) -> Result<NodeId, GraphError> {
        self.graph.slice(self.hyper, &[which as usize], &[1])
    }

    /// A state of the rule as it was before this update.
    fn state(&mut self, state: State) -> Result<NodeId, GraphError> {
        let len = state.len(self.layout.len());
        self.graph.input(&self.layout.name(state.name), &[len], DType::F32, InputKind::State)
    }

    /// A state as an exponential moving average: `beta state + (1 - beta) value`.
    fn average(&mut self, state: State, beta: Hyper, value: NodeId) -> Result<NodeId, GraphError> {
        let beta = self.hyper(beta)?;
        let old = self.state(state)?;
        self.mix(beta, old, value)
    }

    /// `share old + (1 - share) new`.
    fn mix(&mut self, share: NodeId, old: NodeId, new: NodeId) -> Result<NodeId, GraphError> {
        let shape = self.graph.shape(share).to_vec();
        let one = self.graph.constant(1.0, &shape);
        let rest = self.graph.sub(one, share)?;
        let kept = self.graph.mul(old, share)?;
        let new = self.graph.mul(new, rest)?;
        self.graph.add(kept, new)
    }

    /// `direction / (sqrt(second) + eps)`.
    fn over_root(&mut self, direction: NodeId, second: NodeId) -> Result<NodeId, GraphError> {
        let root = self.graph.unary(UnaryOp::Sqrt, second)?;
        let eps = self.hyper(Hyper::Eps)?;
        let root = self.graph.add(root, eps)?;
        self.graph.div(direction, root)
    }
}

/// A rule's direction and new states.
struct Direction {
    /// See [`Yields`].
    direction: NodeId,
    states: Vec<(State, NodeId)>,
}

/// What a rule's direction still lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Yields {
    /// Weight decay, if that is not in the gradient, and the learning rate.
    Direction,
    /// The learning rate: decay is in it.
    Decayed,
    /// Nothing: it is what is subtracted from theta.
    Change,
}

/// A rule: the states it keeps, its direction, and what that is.
type Row = (&'static [State], fn(&mut Step<'_>) -> Result<Direction, GraphError>, Yields);

/// The rules: one line each.
fn row(rule: Rule) -> Row {
    match rule {
        Rule::Sgd => (sgd::STATES, sgd::direction, Yields::Direction),
        Rule::Momentum => (momentum::STATES, momentum::heavy_ball, Yields::Direction),
        Rule::Nesterov => (momentum::STATES, momentum::nesterov, Yields::Direction),
        Rule::Lars => (lars::STATES, lars::change, Yields::Change),
        Rule::AdaGrad => (adagrad::STATES, adagrad::direction, Yields::Direction),
        Rule::AdaGradNorm => (adagrad_norm::STATES, adagrad_norm::direction, Yields::Direction),
        Rule::RmsProp => (rmsprop::STATES, rmsprop::direction, Yields::Direction),
        Rule::Adam | Rule::AdamW => (adam::STATES, adam::direction, Yields::Direction),
        Rule::Lamb => (adam::STATES, lamb::direction, Yields::Decayed),
        Rule::Lion => (lion::STATES, lion::direction, Yields::Direction),
        Rule::Muon => (muon::STATES, muon::direction, Yields::Direction),
    }
}

/// What an update yields.
#[derive(Clone, Debug)]
pub struct Update {
    /// New parameters.
    pub theta: NodeId,
    /// New states of the rule by name.
    pub states: Vec<(String, NodeId)>,
    /// Global norm of the gradient before clipping.
    pub grad_norm: NodeId,
}

impl Update {
    /// Lets the new parameters of the net and the rule's new states replace the old: the end of every training step.
    ///
    /// # Errors
    /// States of other lengths are declared by these names.
    pub fn keep(&self, program: &mut Program, layout: &ParamLayout) -> Result<(), GraphError> {
        for (name, value) in &self.states {
            program.keep(name, *value)?;
        }
        program.keep(&layout.name(THETA), self.theta)
    }
}

/// The states that a rule keeps for so many parameters: names and lengths. They are zero at the start.
pub fn states(spec: &OptimizerSpec, parameters: usize) -> impl Iterator<Item = (&'static str, usize)> {
    row(spec.kind).0.iter().map(move |state| (state.name, state.len(parameters)))
}

/// Appends clipping, the rule, and weight decay. States and hyper-parameters are the net's own, by the layout's names.
pub fn append(
    graph: &mut Graph,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    theta: NodeId,
    gradient: NodeId,
) -> Result<Update, GraphError> {
    append_scaled(graph, spec, layout, theta, gradient, None)
}

/// The same, with each parameter's change multiplied by a number of `scale`, `[P]`. A parameter whose rate or scale is 0
/// stays as it is and counts in no norm.
pub fn append_scaled(
    graph: &mut Graph,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    theta: NodeId,
    mut gradient: NodeId,
    scale: Option<NodeId>,
) -> Result<Update, GraphError> {
    let hyper = graph.input(&layout.name(HYPER), &[HYPERS], DType::F32, InputKind::Step)?;
    let rates = match layout.rates() {
        Some(rates) => Some((graph.literal(&rates, &[layout.len()])?, rates.contains(&0.0))),
        None => None,
    };
    let still = rates.filter(|&(_, some)| some).map(|(rates, _)| rates);
    for moves in still.into_iter().chain(scale) {
        let zero = graph.constant(0.0, &[layout.len()]);
        gradient = graph.select(moves, gradient, zero)?;
    }
    let square = square_norm(graph, gradient)?;
    let norm = graph.unary(UnaryOp::Sqrt, square)?;
    let clip = graph.slice(hyper, &[Hyper::Clip as usize], &[1])?;
    let ratio = graph.div(clip, norm)?;
    let one = graph.constant(1.0, &[1]);
    let shrink = graph.binary(BinaryOp::Min, one, ratio)?;
    let mut gradient = graph.mul(gradient, shrink)?;
    let decay = graph.slice(hyper, &[Hyper::WeightDecay as usize], &[1])?;
    let mut decay = graph.mul(theta, decay)?;
    if spec.decay_exempt {
        let mask = at_each(layout, |_, entry| if is_weight(entry) { 1.0 } else { 0.0 });
        let mask = graph.literal(&mask, &[layout.len()])?;
        decay = graph.mul(decay, mask)?;
    }
    let (_, rule, yields) = row(spec.kind);
    let coupled = spec.decay_kind() == DecayKind::Coupled;
    if yields == Yields::Direction && coupled {
        gradient = graph.add(gradient, decay)?;
    }
    let mut step = Step { graph, layout, hyper, theta, gradient, decay, exempt: spec.decay_exempt };
    let Direction { mut direction, states } = rule(&mut step)?;
    if yields == Yields::Direction && !coupled {
        direction = step.graph.add(direction, decay)?;
    }
    for factor in rates.map(|(rates, _)| rates).into_iter().chain(scale) {
        direction = step.graph.mul(direction, factor)?;
    }
    if yields != Yields::Change {
        let lr = step.hyper(Hyper::LearningRate)?;
        direction = step.graph.mul(direction, lr)?;
    }
    let theta = step.graph.sub(theta, direction)?;
    let states = states.into_iter().map(|(state, node)| (layout.name(state.name), node)).collect();
    Ok(Update { theta, states, grad_norm: norm })
}

/// Square of a flat vector's norm, `[1]`.
fn square_norm(graph: &mut Graph, vector: NodeId) -> Result<NodeId, GraphError> {
    let square = graph.mul(vector, vector)?;
    graph.sum(square, &[0])
}

/// Whether a parameter multiplies features, so that weight decay is for it: not a bias, a scale of a norm, an embedding
/// of positions, or the class token.
fn is_weight(entry: &ParamEntry) -> bool {
    entry.shape.len() > 1 && !entry.name.contains("position") && !entry.name.contains("class")
}

/// A number of each entry (and its place among them), at each of its parameters.
fn at_each(layout: &ParamLayout, number: impl Fn(usize, &ParamEntry) -> f32) -> Vec<f32> {
    let mut numbers = vec![0.0; layout.len()];
    for (place, entry) in layout.entries().iter().enumerate() {
        numbers[entry.offset..entry.offset + numel(&entry.shape)].fill(number(place, entry));
    }
    numbers
}
