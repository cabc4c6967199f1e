//! Models: burn modules, one file each, captured into the step graph.
//!
//! A model is written once, in plain burn: run eagerly it is the tests' oracle and the bench's baseline, captured it is
//! a part of a step. Parameters live in one flat vector ([`ParamLayout`]).

mod cct;
mod convnet;
mod encoder;
mod gpt;
mod init;
mod layer;
mod mlp;
mod modules;
mod params;

#[cfg(test)]
mod cct_checks;
#[cfg(test)]
mod tests;

pub use cct::Transformer;
pub use convnet::Convnet;
pub use gpt::Gpt;
pub use init::Init;
pub use layer::{Builder, Mode, Pass};
pub use mlp::Mlp;
pub use modules::load;
pub use params::{ParamEntry, ParamLayout};

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::graph::{DType, Graph, GraphError, InputKind, NodeId, Shape, capture, numel};
use crate::spec::ModelSpec;
use modules::{Named, Role};

/// Name of the state that holds all parameters, f32 `[P]`.
pub const THETA: &str = "theta";

/// Name of the step input that keys random values, u32 `[4]`; see [`crate::graph::Op::Random`].
pub const KEY: &str = "key";

/// What a model sees of one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputShape {
    /// Image `[channels, height, width]`, f32.
    Image([usize; 3]),
    /// So many numbers, f32.
    Features(usize),
    /// Characters, u32 below the size of the vocabulary.
    Tokens {
        /// Characters of an example.
        context: usize,
        /// Different characters.
        vocabulary: usize,
    },
}

impl InputShape {
    /// Shape of a batch of such examples.
    pub fn batched(&self, batch: usize) -> Shape {
        match *self {
            InputShape::Image([channels, height, width]) => vec![batch, channels, height, width],
            InputShape::Features(features) => vec![batch, features],
            InputShape::Tokens { context, .. } => vec![batch, context],
        }
    }

    /// What a batch of this shape and type holds; the vocabulary is as large as the model's output.
    fn of(graph: &Graph, x: NodeId, outputs: usize) -> Option<(usize, Self)> {
        match (graph.shape(x), graph.node(x).dtype) {
            (&[batch, channels, height, width], DType::F32) => {
                Some((batch, InputShape::Image([channels, height, width])))
            }
            (&[batch, features], DType::F32) => Some((batch, InputShape::Features(features))),
            (&[batch, context], DType::U32) => Some((batch, InputShape::Tokens { context, vocabulary: outputs })),
            _ => None,
        }
    }
}

/// A batch of examples as a burn tensor.
#[derive(Clone, Debug)]
pub enum Batch {
    /// `[batch, channels, height, width]`
    Image(Tensor<4>),
    /// `[batch, features]`
    Features(Tensor<2>),
    /// `[batch, context]`
    Tokens(Tensor<2, Int>),
}

/// A model cannot be built or captured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The model does not fit the data or contradicts itself.
    #[error("{model}: {reason}")]
    Spec {
        /// Kind of the model.
        model: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// The forward pass has no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// A forward pass from a batch to logits `[rows, outputs]`; rows are examples, or all positions of all texts.
pub trait Forward: Module {
    /// Kind of the model, as in specs.
    const KIND: &'static str;

    /// Computes logits; `pass` says how and collects what else is of interest.
    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError>;

    /// The error of a batch that this model cannot read.
    fn misfit(x: &Batch) -> ModelError {
        let found = match x {
            Batch::Image(_) => "images",
            Batch::Features(_) => "rows of numbers",
            Batch::Tokens(_) => "characters",
        };
        ModelError::Spec { model: Self::KIND, reason: format!("cannot read {found}") }
    }
}

/// A model of any kind: [`Forward`] without its type.
trait Network {
    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError>;
    fn visit(&self, visitor: &mut modules::Visitor<'_>);
}

impl<M: Forward> Network for M {
    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError> {
        Forward::forward(self, x, pass)
    }

    fn visit(&self, visitor: &mut modules::Visitor<'_>) {
        Module::visit(self, visitor);
    }
}

/// Builds the model of a spec: one line a model.
fn build(
    spec: &ModelSpec,
    input: InputShape,
    outputs: usize,
    builder: &mut Builder,
) -> Result<Box<dyn Network>, ModelError> {
    Ok(match spec {
        ModelSpec::Mlp(spec) => Box::new(Mlp::new(spec, input, outputs, builder)?),
        ModelSpec::Convnet(spec) => Box::new(Convnet::new(spec, input, outputs, builder)?),
        ModelSpec::Vit(spec) | ModelSpec::Cvt(spec) | ModelSpec::Cct(spec) => {
            Box::new(Transformer::new(spec, input, outputs, builder)?)
        }
        ModelSpec::Gpt(spec) => Box::new(Gpt::new(spec, input, outputs, builder)?),
    })
}

/// A running statistic: changes with every training batch, but not by gradients.
#[derive(Clone, Debug)]
pub struct Running {
    /// Name of the state, its module path, as `blocks.0.norm.mean`.
    pub name: String,
    /// Its contents at the start.
    pub initial: Vec<f32>,
    /// Its value after this batch.
    pub value: NodeId,
}

/// A model in a graph.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Where each parameter lies in theta.
    pub layout: ParamLayout,
    /// Each parameter in its own shape, in the layout's order: a slice of the state [`THETA`].
    pub params: Vec<NodeId>,
    /// f32 `[batch, outputs]`; for characters `[batch, context, outputs]`.
    pub logits: NodeId,
    /// Values worth looking at, by name: `tokens` `[batch, tokens, width]`, `attention.K`
    /// `[batch, heads, tokens, tokens]` of layer K, `pool` `[batch, tokens]`.
    pub taps: Vec<(String, NodeId)>,
    /// Running statistics that this pass changes; none in evaluation.
    pub states: Vec<Running>,
}

/// Appends a model to a graph that has computed its batch already. `x` is f32 `[batch, channels, height, width]` or
/// `[batch, features]`, or u32 characters `[batch, context]`.
///
/// Declares what it reads: [`THETA`], running statistics by their names, and [`KEY`] if it draws random numbers.
pub fn capture_into(
    graph: &mut Graph,
    spec: &ModelSpec,
    outputs: usize,
    x: NodeId,
    mode: Mode,
) -> Result<Captured, ModelError> {
    let fail = |reason: String| ModelError::Spec { model: spec.kind(), reason };
    let (batch, input) = InputShape::of(graph, x, outputs)
        .ok_or_else(|| fail(format!("cannot read {:?} {:?}", graph.node(x).dtype, graph.shape(x))))?;
    let (recording, recorded) = capture::record(|device| record(device, spec, input, outputs, batch, mode))?;
    let Recorded { tensors, x: x_id, logits, pass } = recorded?;

    let mut layout = ParamLayout::default();
    for tensor in &tensors {
        if let Role::Trained { init, rate } = tensor.role {
            layout.push_slowed(&tensor.name, &tensor.shape, init, rate);
        }
    }
    let theta = graph.input(THETA, &[layout.len()], DType::F32, InputKind::State)?;
    let params = layout.views(graph, theta)?;
    let mut bound = BTreeMap::from([(x_id, (x, String::new()))]);
    let mut views = params.iter();
    for tensor in &tensors {
        let node = match tensor.role {
            Role::Trained { .. } => views.next().copied(),
            Role::Running(_) => Some(graph.input(&tensor.name, &tensor.shape, DType::F32, InputKind::State)?),
        };
        bound.extend(tensor.value.zip(node).map(|(id, node)| (id, (node, tensor.module()))));
    }
    let key = |graph: &mut Graph| graph.input(KEY, &[4], DType::U32, InputKind::Step);
    let values = recording.append(graph, &bound, key)?;
    let node = |id: &capture::ValueId| {
        values.get(id).copied().ok_or_else(|| fail("yields a value that its forward pass did not compute".into()))
    };
    let taps = pass.taps.iter().map(|(name, id)| Ok((name.clone(), node(id)?))).collect::<Result<_, ModelError>>()?;
    let mut states = Vec::new();
    for (param, id) in &pass.updates {
        if let Some(Named { name, shape, role: Role::Running(initial), .. }) = tensors.iter().find(|t| t.id == *param) {
            states.push(Running { name: name.clone(), initial: vec![*initial; numel(shape)], value: node(id)? });
        }
    }
    let mut logits = node(&logits)?;
    if let InputShape::Tokens { context, .. } = input {
        logits = graph.reshape(logits, &[batch, context, outputs])?;
    }
    Ok(Captured { layout, params, logits, taps, states })
}

/// What a forward pass on the capture device leaves behind.
struct Recorded {
    tensors: Vec<Named>,
    x: capture::ValueId,
    logits: capture::ValueId,
    pass: Pass,
}

fn record(
    device: &Device,
    spec: &ModelSpec,
    input: InputShape,
    outputs: usize,
    batch: usize,
    mode: Mode,
) -> Result<Recorded, ModelError> {
    let mut builder = Builder::new(device);
    let network = build(spec, input, outputs, &mut builder)?;
    let tensors = modules::tensors(&*network, &builder);
    let (x, id) = match input {
        InputShape::Image([channels, height, width]) => {
            let x = Tensor::empty([batch, channels, height, width], device);
            let id = capture::value_id(&x);
            (Batch::Image(x), id)
        }
        InputShape::Features(features) => {
            let x = Tensor::empty([batch, features], device);
            let id = capture::value_id(&x);
            (Batch::Features(x), id)
        }
        InputShape::Tokens { context, .. } => {
            let x = Tensor::empty([batch, context], device);
            let id = capture::value_id(&x);
            (Batch::Tokens(x), id)
        }
    };
    let mut pass = Pass::new(mode);
    let logits = network.forward(x, &mut pass)?;
    match id.zip(capture::value_id(&logits)) {
        Some((x, logits)) => Ok(Recorded { tensors, x, logits, pass }),
        None => Err(ModelError::Spec { model: spec.kind(), reason: "left the capture device".into() }),
    }
}
