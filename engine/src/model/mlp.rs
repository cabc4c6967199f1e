//! Multilayer perceptron.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Tensor, activation};

use super::layer::{BatchNorm, DropRate, dropout};
use super::{Batch, Builder, Forward, Init, InputShape, ModelError, Pass};
use crate::spec::{Activation, MlpSpec, Norm};

/// Hidden layers and a linear output.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Layer>,
    head: Linear,
    #[module(skip)]
    dropout: DropRate,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Layer {
    linear: Linear,
    layer_norm: Option<LayerNorm>,
    batch_norm: Option<BatchNorm>,
}

impl Mlp {
    /// The network of a spec; images are read as rows of numbers.
    pub fn new(spec: &MlpSpec, input: InputShape, outputs: usize, builder: &mut Builder) -> Result<Self, ModelError> {
        let mut features = match input {
            InputShape::Image(shape) => shape.iter().product(),
            InputShape::Features(features) => features,
            InputShape::Tokens { .. } => {
                return Err(ModelError::Spec { model: Self::KIND, reason: "cannot read characters".into() });
            }
        };
        let mut layers = Vec::with_capacity(spec.hidden.len());
        for &width in &spec.hidden {
            let init = match spec.activation {
                Activation::Relu | Activation::Gelu => Init::kaiming_normal(features),
                Activation::Tanh => Init::linear_normal(features),
            };
            layers.push(Layer {
                linear: builder.linear(features, width, true, init),
                layer_norm: (spec.norm == Norm::Layer).then(|| builder.layer_norm(width)),
                batch_norm: (spec.norm == Norm::Batch)
                    .then(|| builder.batch_norm_of(width, Init::Constant(1.0), spec.ghost)),
            });
            features = width;
        }
        let head = builder.linear(features, outputs, true, Init::linear_normal(features));
        Ok(Mlp { layers, head, dropout: DropRate::of_recipe(spec.dropout), activation: spec.activation })
    }
}

impl Forward for Mlp {
    const KIND: &'static str = "mlp";

    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError> {
        let mut x = match x {
            Batch::Image(x) => x.flatten(1, 3),
            Batch::Features(x) => x,
            Batch::Tokens(_) => return Err(Self::misfit(&x)),
        };
        for layer in &self.layers {
            x = layer.linear.forward(x);
            if let Some(norm) = &layer.layer_norm {
                x = norm.forward(x);
            }
            if let Some(norm) = &layer.batch_norm {
                x = norm.forward(x, pass);
            }
            x = match self.activation {
                Activation::Relu => activation::relu(x),
                Activation::Gelu => activation::gelu(x),
                Activation::Tanh => x.tanh(),
            };
            x = dropout(x, self.dropout, pass);
        }
        Ok(self.head.forward(x))
    }
}
