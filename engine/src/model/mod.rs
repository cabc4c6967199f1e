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
pub(crate) use layer::ghosts;
pub use layer::{BatchNorm, Builder, DropRate, Mode, Pass, drop_path, dropout};
pub use mlp::Mlp;
pub use modules::load;
pub(crate) use modules::{Named, Role, tensors, tensors_of};
pub use params::{ParamEntry, ParamLayout};

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::graph::{DType, Graph, GraphError, NodeId, Shape};
use crate::spec::ModelSpec;

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
    pub(crate) fn of(graph: &Graph, x: NodeId, outputs: usize) -> Option<(usize, Self)> {
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
pub(crate) trait Network {
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
pub(crate) fn build(
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
