//! Update rules as graph functions over flat vectors: parameters, gradient, and state have one layout.
//!
//! Every number that may change between steps, decay and clipping included, comes in the step input [`HYPER`]; a rule
//! that froze one would train wrongly and look plausible.

mod adamw;
mod minimise;
mod momentum;
mod sgd;
#[cfg(test)]
mod tests;

pub use minimise::minimise;

use crate::graph::{BinaryOp, DType, Graph, GraphError, InputKind, NodeId, UnaryOp};
use crate::model::{ParamEntry, ParamLayout};
use crate::spec::{OptimizerSpec, Rule};

/// Step input: f32, one number a [`Hyper`].
pub const HYPER: &str = "hyper";

/// Places in the step input [`HYPER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Hyper {
    /// Learning rate.
    LearningRate,
    /// Decoupled weight decay.
    WeightDecay,
    /// Largest gradient norm; infinite = no clipping.
    Clip,
    /// Momentum.
    Momentum,
    /// Adam's decay of the first moment.
    Beta1,
    /// Adam's decay of the second moment.
    Beta2,
    /// Adam's epsilon.
    Eps,
    /// `1 / (1 - beta1^t)`
    Correction1,
    /// `1 / (1 - beta2^t)`
    Correction2,
}

/// Numbers in the step input.
const HYPERS: usize = Hyper::Correction2 as usize + 1;

/// Contents of the step input for update `step` (from 0) at learning rate `lr`.
pub fn hyper(spec: &OptimizerSpec, lr: f32, step: u64) -> [f32; HYPERS] {
    let t = step as f64 + 1.0;
    // libm, not the platform: the same bits natively and in WASM.
    let correction = |beta: f64| (1.0 / (1.0 - libm::pow(beta, t))) as f32;
    let mut numbers = [0.0; HYPERS];
    numbers[Hyper::LearningRate as usize] = lr;
    numbers[Hyper::WeightDecay as usize] = spec.weight_decay as f32;
    numbers[Hyper::Clip as usize] = if spec.clip > 0.0 { spec.clip as f32 } else { f32::INFINITY };
    numbers[Hyper::Momentum as usize] = spec.momentum as f32;
    numbers[Hyper::Beta1 as usize] = spec.beta1 as f32;
    numbers[Hyper::Beta2 as usize] = spec.beta2 as f32;
    numbers[Hyper::Eps as usize] = spec.eps as f32;
    numbers[Hyper::Correction1 as usize] = correction(spec.beta1);
    numbers[Hyper::Correction2 as usize] = correction(spec.beta2);
    numbers
}

/// What a rule sees.
struct Step<'a> {
    graph: &'a mut Graph,
    hyper: NodeId,
    theta: NodeId,
    /// The gradient, clipped.
    gradient: NodeId,
}

impl Step<'_> {
    /// A hyper-parameter as `[1]`.
    fn hyper(&mut self, which: Hyper) -> Result<NodeId, GraphError> {
        self.graph.slice(self.hyper, &[which as usize], &[1])
    }

    /// A state vector of the rule.
    fn state(&mut self, name: &str) -> Result<NodeId, GraphError> {
        let shape = self.graph.shape(self.theta).to_vec();
        self.graph.input(name, &shape, DType::F32, InputKind::State)
    }

    /// `a x + b y` for `[1]` factors.
    fn combine(&mut self, a: NodeId, x: NodeId, b: NodeId, y: NodeId) -> Result<NodeId, GraphError> {
        let ax = self.graph.mul(x, a)?;
        let by = self.graph.mul(y, b)?;
        self.graph.add(ax, by)
    }
}

/// A rule's direction and new state.
struct Direction {
    /// What is multiplied by the learning rate and subtracted.
    direction: NodeId,
    /// State vectors by name.
    states: Vec<(&'static str, NodeId)>,
}

/// What an update yields.
#[derive(Clone, Debug)]
pub struct Update {
    /// New parameters.
    pub theta: NodeId,
    /// New state vectors by name.
    pub states: Vec<(String, NodeId)>,
    /// Global norm of the gradient before clipping.
    pub grad_norm: NodeId,
}

/// Names of the state vectors that a rule keeps, each as long as theta and zero at the start.
pub fn states(spec: &OptimizerSpec) -> &'static [&'static str] {
    match spec.kind {
        Rule::Sgd => &[],
        Rule::Momentum | Rule::Nesterov => momentum::STATES,
        Rule::AdamW => adamw::STATES,
    }
}

/// Appends clipping, the rule, and decoupled weight decay.
pub fn append(
    graph: &mut Graph,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    theta: NodeId,
    gradient: NodeId,
) -> Result<Update, GraphError> {
    let hyper = graph.input(HYPER, &[HYPERS], DType::F32, InputKind::Step)?;
    let square = graph.mul(gradient, gradient)?;
    let square = graph.sum(square, &[0])?;
    let norm = graph.unary(UnaryOp::Sqrt, square)?;
    let mut step = Step { graph, hyper, theta, gradient };
    let clip = step.hyper(Hyper::Clip)?;
    let ratio = step.graph.div(clip, norm)?;
    let one = step.graph.constant(1.0, &[1]);
    let shrink = step.graph.binary(BinaryOp::Min, one, ratio)?;
    step.gradient = step.graph.mul(gradient, shrink)?;
    let Direction { direction, states } = match spec.kind {
        Rule::Sgd => sgd::direction(&mut step)?,
        Rule::Momentum => momentum::direction(&mut step, false)?,
        Rule::Nesterov => momentum::direction(&mut step, true)?,
        Rule::AdamW => adamw::direction(&mut step)?,
    };
    let lr = step.hyper(Hyper::LearningRate)?;
    let decay = step.hyper(Hyper::WeightDecay)?;
    let mut decayed = step.graph.mul(theta, decay)?;
    if spec.decay_exempt {
        let mask = step.graph.literal(&decay_mask(layout), &[layout.len()])?;
        decayed = step.graph.mul(decayed, mask)?;
    }
    let total = step.graph.add(direction, decayed)?;
    let change = step.graph.mul(total, lr)?;
    let theta = step.graph.sub(theta, change)?;
    let states = states.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
    Ok(Update { theta, states, grad_norm: norm })
}

/// 1 for parameters that weight decay shrinks, 0 for biases, scales of norms, embeddings of positions,
/// and the class token.
fn decay_mask(layout: &ParamLayout) -> Vec<f32> {
    let decays =
        |entry: &ParamEntry| entry.shape.len() > 1 && !entry.name.contains("position") && !entry.name.contains("class");
    let mut mask = vec![0.0; layout.len()];
    for entry in layout.entries().iter().filter(|entry| decays(entry)) {
        mask[entry.offset..entry.offset + crate::graph::numel(&entry.shape)].fill(1.0);
    }
    mask
}
