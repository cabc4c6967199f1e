//! A small network over clips, with norms that see a batch by parts.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::module::conv3d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, activation};
use engine::model::{Builder, Init, Mode, Pass};

use super::clips::CLASSES;

/// Name of the network.
pub const NET: &str = "net";
/// Channels of the convolutions, the clip's one first, and their strides over frames; over space all have 2.
const CHANNELS: [usize; 4] = [1, 8, 16, 32];
const STRIDES: [usize; 3] = [1, 2, 2];
const EPSILON: f64 = 1e-5;

/// Batch norm over parts of a batch.
#[derive(Module, Debug)]
pub struct PartNorm {
    scale: Param<Tensor<1>>,
    shift: Param<Tensor<1>>,
    /// Mean of all parts that have been settled, and mean of their squares.
    mean: Param<Tensor<1>>,
    square: Param<Tensor<1>>,
    /// Least clips of a part; 0 = a batch is one.
    part: usize,
}

#[derive(Module, Debug)]
struct Layer {
    weight: Param<Tensor<5>>,
    norm: PartNorm,
}

/// Three convolutions, global mean and a linear output: of any number of frames and any side.
#[derive(Module, Debug)]
pub struct Net {
    layers: Vec<Layer>,
    head: Linear,
}

/// Into how many equal parts of at least so many clips a batch is cut, as many as there can be.
pub fn parts(clips: usize, least: usize) -> usize {
    let most = clips.checked_div(least).unwrap_or(1);
    (1..=most).rev().find(|parts| clips.is_multiple_of(*parts)).unwrap_or(1)
}

impl PartNorm {
    pub fn new(channels: usize, part: usize, b: &mut Builder) -> Self {
        PartNorm {
            scale: b.param([channels], Init::Constant(1.0)),
            shift: b.param([channels], Init::Constant(0.0)),
            mean: b.state([channels], 0.0),
            square: b.state([channels], 1.0),
            part,
        }
    }

    /// Normalizes `[clips, channels, places]`. `settles`, `[1]`: how far the means of all parts move towards those of this
    /// batch, which evaluation goes by; training knows nothing of them.
    pub fn forward(&self, x: Tensor<3>, settles: Option<&Tensor<1>>, pass: &mut Pass) -> Tensor<3> {
        let [clips, channels, places] = x.dims();
        let lined = [1, 1, channels, 1];
        let count = if pass.mode == Mode::Eval { 1 } else { parts(clips, self.part) };
        let x = x.reshape([count, clips / count, channels, places]);
        let (mean, variance) = if pass.mode == Mode::Eval {
            let mean = self.mean.val();
            let variance = self.square.val() - mean.clone() * mean.clone();
            (mean.reshape(lined), variance.reshape(lined))
        } else {
            let mean = x.clone().mean_dims(&[1, 3]);
            let variance = (x.clone() - mean.clone()).powf_scalar(2.0).mean_dims(&[1, 3]);
            (mean, variance)
        };
        if let Some(rate) = settles {
            // Mean variance of the parts and variance of their means, by way of the mean square.
            let square = mean.clone().powf_scalar(2.0) + variance.clone();
            for (state, seen) in [(&self.mean, mean.clone()), (&self.square, square)] {
                let old = state.val();
                let seen = seen.mean_dim(0).reshape([channels]);
                pass.update(state, &(old.clone() + (seen - old) * rate.clone()));
            }
        }
        let normal = (x - mean) * (variance + EPSILON).powf_scalar(-0.5);
        (normal * self.scale.val().reshape(lined) + self.shift.val().reshape(lined)).reshape([clips, channels, places])
    }
}

impl Net {
    pub fn new(part: usize, b: &mut Builder) -> Self {
        let layer = |pair: &[usize]| Layer {
            weight: b.param([pair[1], pair[0], 3, 3, 3], Init::kaiming_normal(27 * pair[0])),
            norm: PartNorm::new(pair[1], part, b),
        };
        let layers = CHANNELS.windows(2).map(layer).collect();
        let last = CHANNELS[CHANNELS.len() - 1];
        Net { layers, head: b.linear(last, CLASSES, true, Init::linear_normal(last)) }
    }

    /// Logits of clips `[clips, frames, side, side]`.
    pub fn forward(&self, x: Tensor<4>, settles: Option<&Tensor<1>>, pass: &mut Pass) -> Tensor<2> {
        let [clips, frames, height, width] = x.dims();
        let mut x = x.reshape([clips, 1, frames, height, width]);
        for (layer, stride) in self.layers.iter().zip(STRIDES) {
            x = conv3d(x, layer.weight.val(), None, ConvOptions::new([stride, 2, 2], [1; 3], [1; 3], 1));
            let [_, channels, frames, height, width] = x.dims();
            let flat = x.reshape([clips, channels, frames * height * width]);
            x = activation::relu(layer.norm.forward(flat, settles, pass))
                .reshape([clips, channels, frames, height, width]);
        }
        let channels = x.dims()[1];
        self.head.forward(x.mean_dims(&[2, 3, 4]).reshape([clips, channels]))
    }
}
