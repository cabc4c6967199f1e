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
pub use layer::{BatchNorm, Builder, Mode, Pass, drop_path, dropout};
pub use mlp::Mlp;
pub use modules::load;
pub(crate) use modules::{Named, Role, tensors};
pub use params::{ParamEntry, ParamLayout};

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::graph::capture::value_id;
use crate::graph::{DType, Graph, GraphError, NodeId, Shape};
use crate::spec::ModelSpec;
use crate::tape::{self, AppendedNet};

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
    capture_used(graph, spec, outputs, x, None, mode)
}

/// The same of a batch in which `used` tells, f32 `[batch]`, which places hold an example (1) and which are left over (0):
/// what a layer takes of a batch as a whole, it takes of the former.
pub fn capture_used(
    graph: &mut Graph,
    spec: &ModelSpec,
    outputs: usize,
    x: NodeId,
    used: Option<NodeId>,
    mode: Mode,
) -> Result<Captured, ModelError> {
    let fail = |reason: String| ModelError::Spec { model: spec.kind(), reason };
    let (batch, input) = InputShape::of(graph, x, outputs)
        .ok_or_else(|| fail(format!("cannot read {:?} {:?}", graph.node(x).dtype, graph.shape(x))))?;
    let (appended, logits) = tape::append(graph, mode, |tape| {
        let x = match input {
            InputShape::Image([channels, height, width]) => {
                Batch::Image(tape.node(x, [batch, channels, height, width]))
            }
            InputShape::Features(features) => Batch::Features(tape.node(x, [batch, features])),
            InputShape::Tokens { context, .. } => Batch::Tokens(tape.int_node(x, [batch, context])),
        };
        let mut builder = Builder::new(tape.device());
        let network = build(spec, input, outputs, &mut builder)?;
        tape.add("", modules::tensors_of(&*network, &builder));
        let used = used.map(|used| tape.node(used, [batch]));
        tape.pass().used = used;
        let logits = network.forward(x, tape.pass())?;
        value_id(&logits).ok_or_else(|| fail("left the capture device".into()))
    })?;
    let lost = || fail("yields a value that its forward pass did not compute".into());
    let mut logits = appended.values.get(&logits).copied().ok_or_else(lost)?;
    if let InputShape::Tokens { context, .. } = input {
        logits = graph.reshape(logits, &[batch, context, outputs])?;
    }
    let AppendedNet { net, params, changed, .. } = appended.nets.into_iter().next().ok_or_else(lost)?;
    Ok(Captured { layout: net.layout, params, logits, taps: appended.taps, states: changed })
}
