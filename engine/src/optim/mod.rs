//! Update rules as graph functions over flat vectors: parameters, gradient, and state have one layout.
//!
//! Every number that may change between steps, decay and clipping included, comes in the step input [`HYPER`]; a rule
//! that froze one would train wrongly and look plausible.

mod adafactor;
mod adagrad;
mod adagrad_norm;
mod adam;
mod ademamix;
mod adopt;
mod bias;
mod lamb;
mod lars;
mod layers;
mod lion;
mod minimise;
mod momentum;
mod muon;
mod nadam;
mod prodigy;
mod radam;
mod rmsprop;
pub mod sam;
mod schedule_free;
mod sgd;
mod soap;
mod sophia;
pub mod stability;
#[cfg(test)]
mod tests;

pub use bias::Bias;
pub use minimise::{descend, gradient};

use crate::graph::jvp::jvp;
use crate::graph::{BinaryOp, DType, Graph, GraphError, InputKind, NodeId, Program, UnaryOp, numel};
use crate::model::{ParamEntry, ParamLayout, THETA};
use crate::rng::Draw;
use crate::spec::{DecayKind, OptimizerSpec, Rates, Rule, rules};

/// Step input: f32, one number a [`Hyper`].
pub const HYPER: &str = "hyper";

/// Places in the step input [`HYPER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Hyper {
    /// Learning rate.
    LearningRate,
    /// Learning rate that states go by which hold one: also while they are being warmed, when the learning rate is 0.
    Pace,
    /// Weight decay.
    WeightDecay,
    /// Largest gradient norm; infinite = no clipping.
    Clip,
    /// Momentum.
    Momentum,
    /// `1 - momentum`: share of the new gradient in a mean that keeps the momentum.
    NewVelocity,
    /// `1 - beta1`: share of the new gradient in the mean gradient.
    NewMean,
    /// `1 - beta2`: share of the new squared gradient in the mean squared gradient.
    NewSquare,
    /// Added to divisors.
    Eps,
    /// What the mean gradient is multiplied by to be rid of its start at 0 (see [`Bias`]).
    MeanCorrection,
    /// The same of the mean squared gradient.
    SquareCorrection,
    /// LARS: step over the norm of the weights, at learning rate 1.
    Trust,
    /// LAMB: largest norm of the weights that counts; infinite = any.
    LargestNorm,
    /// A rule's own numbers (see [`Kernel::own`]).
    First,
    /// The other.
    Second,
}

/// Numbers in the step input.
const HYPERS: usize = Hyper::Second as usize + 1;

/// Contents of the step input for update `step` (from 0) at learning rate `lr`, after updates with the same settings.
pub fn hyper(spec: &OptimizerSpec, lr: f32, step: u64) -> [f32; HYPERS] {
    let lr = f64::from(lr);
    hyper_at(spec, &Rates { lr, pace: lr, momentum: None }, &Bias::after(spec, step + 1))
}

/// Contents of the step input for an update whose settings may have changed on the way to it: `spec` as it is at that
/// update, `bias` as it is after it.
pub fn hyper_at(spec: &OptimizerSpec, rates: &Rates, bias: &Bias) -> [f32; HYPERS] {
    let mut numbers = [0.0; HYPERS];
    let mut put = |which: Hyper, number: f64| numbers[which as usize] = number as f32;
    put(Hyper::LearningRate, rates.lr);
    put(Hyper::Pace, rates.pace);
    put(Hyper::WeightDecay, spec.weight_decay);
    put(Hyper::Clip, bound(spec.clip));
    put(Hyper::Momentum, spec.momentum);
    // In f64: of 1 - 0.99999, f32 would keep three digits.
    put(Hyper::NewVelocity, 1.0 - spec.momentum);
    put(Hyper::NewMean, 1.0 - spec.beta1);
    put(Hyper::NewSquare, 1.0 - spec.beta2);
    put(Hyper::Eps, spec.eps);
    put(Hyper::MeanCorrection, bias.mean_correction());
    put(Hyper::SquareCorrection, bias.square_correction());
    put(Hyper::Trust, spec.trust);
    put(Hyper::LargestNorm, bound(spec.largest_norm));
    let [first, second] = (kernel(spec.kind).own)(spec, bias);
    put(Hyper::First, first);
    put(Hyper::Second, second);
    numbers
}

/// A bound that is not there where it is 0.
fn bound(value: f64) -> f64 {
    if value > 0.0 { value } else { f64::INFINITY }
}

/// What a rule keeps from one update to the next; zero at the start.
#[derive(Clone, Copy, Debug)]
struct State {
    name: &'static str,
    /// How many numbers, for a model's parameters.
    len: fn(&ParamLayout) -> usize,
}

impl State {
    /// One number a parameter.
    const fn vector(name: &'static str) -> Self {
        State { name, len: ParamLayout::len }
    }

    /// One number.
    const fn scalar(name: &'static str) -> Self {
        State { name, len: |_| 1 }
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
    /// Weight decay times theta, or times the [`point`] of the gradient; 0 where a parameter is exempt.
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
        let len = (state.len)(self.layout);
        self.graph.input(&self.layout.name(state.name), &[len], DType::F32, InputKind::State)
    }

    /// A state as an exponential moving average, with the new value's share.
    fn average(&mut self, state: State, share: Hyper, value: NodeId) -> Result<NodeId, GraphError> {
        let share = self.hyper(share)?;
        let old = self.state(state)?;
        self.mix(share, old, value)
    }

    /// `old + share (new - old)`. With the small share given, not its complement, it is as exact as the share is.
    fn mix(&mut self, share: NodeId, old: NodeId, new: NodeId) -> Result<NodeId, GraphError> {
        let change = self.graph.sub(new, old)?;
        let change = self.graph.mul(change, share)?;
        self.graph.add(old, change)
    }

    /// Between `-bound` and `bound`.
    fn clamp(&mut self, x: NodeId, bound: NodeId) -> Result<NodeId, GraphError> {
        let below = self.graph.binary(BinaryOp::Min, x, bound)?;
        let least = self.graph.neg(bound)?;
        self.graph.binary(BinaryOp::Max, below, least)
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

/// Records the direction of a step.
type Directs = fn(&mut Step<'_>) -> Result<Direction, GraphError>;
/// Records where a step takes its gradient.
type Points = fn(&mut Step<'_>) -> Result<NodeId, GraphError>;

/// An update rule: what it keeps, what it does, and what theory says of its stability.
struct Kernel {
    /// Empty ones are left out.
    states: &'static [State],
    direction: Directs,
    yields: Yields,
    /// See [`stability::threshold`], at learning rate 1; `None` where there is no such theory.
    bears: Option<fn(&OptimizerSpec, &Bias) -> f64>,
    /// The second moment by whose root all of a step is divided, by each coordinate or by all alike.
    divides: Option<Divisor>,
    /// Where the gradient is taken and weights decay, if that is not theta itself (the step has no gradient yet).
    point: Option<Points>,
    /// The state that the run fills with an estimate of the Hessian's diagonal before some updates.
    estimates: Option<State>,
    /// What is renewed on the host after some updates.
    renews: Option<Renewal>,
    /// Whether its first update only looks at the gradient: moving averages start after it.
    looks: bool,
    /// Numbers of its own, which may differ at every update: [`Hyper::First`] and [`Hyper::Second`], from settings and moving
    /// averages as they are after the update.
    own: fn(&OptimizerSpec, &Bias) -> [f64; 2],
}

impl Kernel {
    /// A rule of which there is no more to say than what it keeps and does.
    const fn of(states: &'static [State], direction: Directs) -> Self {
        let own: fn(&OptimizerSpec, &Bias) -> [f64; 2] = |_, _| [0.0; 2];
        Kernel {
            states,
            direction,
            yields: Yields::Direction,
            bears: None,
            divides: None,
            point: None,
            estimates: None,
            renews: None,
            looks: false,
            own,
        }
    }
}

/// States that a rule has renewed on the host, in f64, between two updates.
#[derive(Clone, Copy)]
struct Renewal {
    states: &'static [State],
    /// Whether it is due after so many updates.
    due: fn(&OptimizerSpec, f64) -> bool,
    renew: Renew,
}

/// Renews the contents of some states after so many updates.
type Renew = fn(&ParamLayout, f64, &mut [Vec<f64>]);

/// A second moment that a rule divides by the root of.
#[derive(Clone, Copy)]
struct Divisor {
    state: State,
    /// Whether it is rid of its start at 0 first.
    corrected: bool,
    /// Whether eps is the least that the root counts as; else it is added to it.
    floor: bool,
}

impl Divisor {
    const fn of(state: State, corrected: bool) -> Self {
        Divisor { state, corrected, floor: false }
    }
}

/// The rules' kernels by the table of rules.
macro_rules! kernels {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $label:literal, $file:ident :: $kernel:ident => $row:expr;)+) => {
        const fn kernel(rule: Rule) -> &'static Kernel {
            match rule { $(Rule::$variant => &$file::$kernel),+ }
        }
    };
}
rules!(kernels);

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

/// The states that a rule keeps for a model's parameters: names and lengths. They are zero at the start.
pub fn states(spec: &OptimizerSpec, layout: &ParamLayout) -> impl Iterator<Item = (&'static str, usize)> {
    let states = kernel(spec.kind).states.iter();
    states.map(|state| (state.name, (state.len)(layout))).filter(|(_, len)| *len > 0)
}

/// Where the rule takes the gradient, flat, if that is not at theta; its states as they are before the update say where.
///
/// # Errors
/// States of other lengths are declared by the net's names.
pub fn point(graph: &mut Graph, spec: &OptimizerSpec, layout: &ParamLayout) -> Result<Option<NodeId>, GraphError> {
    let Some(point) = kernel(spec.kind).point else { return Ok(None) };
    let theta = minimise::theta(graph, layout)?;
    let hyper = hypers(graph, layout)?;
    let (gradient, decay) = (theta, theta);
    point(&mut Step { graph, layout, hyper, theta, gradient, decay, exempt: spec.decay_exempt }).map(Some)
}

/// Whether the rule wants more of a run than gradients at theta: [`point`], [`estimate`], [`renewed`].
#[must_use]
pub fn needs_run(spec: &OptimizerSpec) -> bool {
    let kernel = kernel(spec.kind);
    kernel.point.is_some() || kernel.estimates.is_some() || kernel.renews.is_some()
}

/// Whether gradients are taken elsewhere than at theta.
#[must_use]
pub fn moves_away(spec: &OptimizerSpec) -> bool {
    spec.rho > 0.0 || kernel(spec.kind).point.is_some()
}

/// The state that is to hold an estimate of the Hessian's diagonal on the batch of the next update, `bias` as it is before it;
/// `None` if the rule wants none, or none now.
#[must_use]
pub fn estimate(spec: &OptimizerSpec, bias: &Bias) -> Option<&'static str> {
    kernel(spec.kind).estimates.filter(|_| sophia::due(bias.updates())).map(|state| state.name)
}

/// Names of the states that [`renew`] is to have after an update, `bias` as it is after it; none where nothing is due.
#[must_use]
pub fn renewed(spec: &OptimizerSpec, layout: &ParamLayout, bias: &Bias) -> Vec<&'static str> {
    let due = kernel(spec.kind).renews.filter(|renewal| (renewal.due)(spec, bias.updates()));
    let states = due.map_or(&[][..], |renewal| renewal.states);
    let there = states.iter().all(|state| (state.len)(layout) > 0);
    states.iter().filter(|_| there).map(|state| state.name).collect()
}

/// Renews the contents of these states. Only f64 and roots: the same bits natively and in WASM.
pub fn renew(spec: &OptimizerSpec, layout: &ParamLayout, bias: &Bias, contents: &mut [Vec<f64>]) {
    if let Some(renewal) = kernel(spec.kind).renews {
        (renewal.renew)(layout, bias.updates(), contents);
    }
}

/// Appends an estimate of the Hessian's diagonal, `u * H u` of random signs u, from the flat gradient at theta.
///
/// # Errors
/// States of other lengths are declared by the net's names; an operation has no derivative of its gradient.
pub fn diagonal(graph: &mut Graph, layout: &ParamLayout, gradient: NodeId, key: NodeId) -> Result<NodeId, GraphError> {
    let theta = minimise::theta(graph, layout)?;
    let draw = graph.random(key, Draw::Signs.stream(0), &[layout.len()])?;
    let [half, up, down] = [0.5, 1.0, -1.0].map(|number| graph.constant(number, &[1]));
    let low = graph.binary(BinaryOp::Less, draw, half)?;
    let signs = graph.select(low, up, down)?;
    let product = jvp(graph, &[gradient], &[theta], &[signs])?[0];
    graph.mul(signs, product)
}

fn hypers(graph: &mut Graph, layout: &ParamLayout) -> Result<NodeId, GraphError> {
    graph.input(&layout.name(HYPER), &[HYPERS], DType::F32, InputKind::Step)
}

/// Appends clipping, the rule, and weight decay. States and hyper-parameters are the net's own, by the layout's names.
/// Each parameter's change is multiplied by a number of `scale`, `[P]`, if there is one. A parameter whose rate or scale is
/// 0 stays as it is and counts in no norm.
fn append(
    graph: &mut Graph,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    theta: NodeId,
    mut gradient: NodeId,
    scale: Option<NodeId>,
) -> Result<Update, GraphError> {
    let hyper = hypers(graph, layout)?;
    let rates = match layout.rates() {
        Some(rates) => Some((graph.literal(&rates, &[layout.len()])?, rates.contains(&0.0))),
        None => None,
    };
    let still = rates.filter(|&(_, some)| some).map(|(rates, _)| rates);
    let moves: Vec<NodeId> = still.into_iter().chain(scale).collect();
    let zero = graph.constant(0.0, &[layout.len()]);
    for &moves in &moves {
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
    let at = point(graph, spec, layout)?.unwrap_or(theta);
    let mut decay = graph.mul(at, decay)?;
    if spec.decay_exempt {
        let mask = at_each(layout, |_, entry| if is_weight(entry) { 1.0 } else { 0.0 });
        let mask = graph.literal(&mask, &[layout.len()])?;
        decay = graph.mul(decay, mask)?;
    }
    for &moves in &moves {
        decay = graph.select(moves, decay, zero)?;
    }
    let &Kernel { direction: rule, yields, .. } = kernel(spec.kind);
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
    let mut moved = step.graph.sub(theta, direction)?;
    // To the bit, whatever a rule makes of a gradient of 0.
    for &moves in &moves {
        moved = step.graph.select(moves, moved, theta)?;
    }
    let states = states.into_iter().map(|(state, node)| (layout.name(state.name), node)).collect();
    Ok(Update { theta: moved, states, grad_norm: norm })
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
