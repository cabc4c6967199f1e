//! Small convolutional network.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Tensor, activation};

use super::layer::{BatchNorm, DropRate, dropout};
use super::{Batch, Builder, Forward, Init, InputShape, ModelError, Pass};
use crate::spec::{ConvnetSpec, Norm};

/// Blocks of convolution, norm, ReLU and 2x2 max-pooling; global mean pooling; a linear output.
#[derive(Module, Debug)]
pub struct Convnet {
    blocks: Vec<Block>,
    head: Linear,
    pool: MaxPool2d,
    #[module(skip)]
    dropout: DropRate,
}

#[derive(Module, Debug)]
struct Block {
    conv: Conv2d,
    norm: Option<BatchNorm>,
}

impl Convnet {
    /// The network of a spec. A convolution under batch norm has no bias: the norm's would undo it.
    pub fn new(spec: &ConvnetSpec, input: InputShape, outputs: usize, b: &mut Builder) -> Result<Self, ModelError> {
        let fail = |reason: String| Err(ModelError::Spec { model: Self::KIND, reason });
        let InputShape::Image([mut channels, height, width]) = input else { return fail("reads images only".into()) };
        if spec.kernel.is_multiple_of(2) {
            return fail(format!("the kernel must be odd, not {}", spec.kernel));
        }
        if height.min(width) >> spec.channels.len() == 0 {
            return fail(format!("{} poolings leave nothing of {height}x{width} pixels", spec.channels.len()));
        }
        let mut blocks = Vec::with_capacity(spec.channels.len());
        for &filters in &spec.channels {
            let norm = spec.norm == Norm::Batch;
            let conv = b.conv2d([channels, filters], spec.kernel, 1, spec.kernel / 2, !norm);
            blocks.push(Block { conv, norm: norm.then(|| b.batch_norm_of(filters, Init::Constant(1.0), spec.ghost)) });
            channels = filters;
        }
        let head = b.linear(channels, outputs, true, Init::linear_normal(channels));
        let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        Ok(Convnet { blocks, head, pool, dropout: DropRate::of_recipe(spec.dropout) })
    }
}

impl Forward for Convnet {
    const KIND: &'static str = "convnet";

    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError> {
        let Batch::Image(mut x) = x else { return Err(Self::misfit(&x)) };
        for block in &self.blocks {
            x = block.conv.forward(x);
            if let Some(norm) = &block.norm {
                x = norm.forward(x, pass);
            }
            x = self.pool.forward(activation::relu(x));
        }
        let [batch, channels, height, width] = x.dims();
        let mean = x.sum_dims(&[2, 3]) / (height * width) as f64;
        let pooled = dropout(mean.reshape([batch, channels]), self.dropout, pass);
        Ok(self.head.forward(pooled))
    }
}
