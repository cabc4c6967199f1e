//! Three convolutions with norms that see the batch, single images, or estimates; and weight standardization.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::module::{avg_pool2d, conv2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions};
use burn::tensor::{Tensor, activation};
use engine::graph::capture::stop_gradient;
use engine::model::{Builder, Init, Mode, Pass};

/// Name of the network.
pub const NET: &str = "net";
/// Side of the images.
pub const SIDE: usize = 14;
/// Digits.
pub const CLASSES: usize = 10;
/// Channels of the convolutions, the image's one first.
pub const CHANNELS: [usize; 4] = [1, 8, 16, 32];
const EPSILON: f64 = 1e-5;

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Statistics of the batch; running averages in use.
    Batch,
    /// Statistics of each image, over groups of channels.
    Group,
    /// Running estimates in training and in use alike.
    Estimated,
    /// These, then statistics of each image over groups of what they yield.
    BatchChannel,
}

/// What a network is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub norms: Norms,
    /// Weight standardization.
    pub standard: bool,
    /// Groups of channels.
    pub groups: usize,
}

/// A convolution and its norm.
#[derive(Module, Debug)]
pub struct Layer {
    weight: Param<Tensor<4>>,
    scale: Param<Tensor<1>>,
    shift: Param<Tensor<1>>,
    /// Of the second norm, one for each group.
    second: Vec<Param<Tensor<1>>>,
    mean: Param<Tensor<1>>,
    variance: Param<Tensor<1>>,
}

/// The network.
#[derive(Module, Debug)]
pub struct Net {
    layers: Vec<Layer>,
    head: Linear,
}

impl Layer {
    pub fn new(form: Form, [inputs, outputs]: [usize; 2], b: &mut Builder) -> Self {
        let second = match form.norms {
            Norms::BatchChannel => [1.0, 0.0].map(|at| b.param([form.groups], Init::Constant(at))).to_vec(),
            _ => vec![],
        };
        Layer {
            weight: b.param([outputs, inputs, 3, 3], Init::kaiming_normal(inputs * 9)),
            scale: b.param([outputs], Init::Constant(1.0)),
            shift: b.param([outputs], Init::Constant(0.0)),
            second,
            mean: b.state([outputs], 0.0),
            variance: b.state([outputs], 1.0),
        }
    }

    /// Channels `[rows, outputs, side, side]` before the nonlinearity. `rate`, `[1]`: how far estimates move.
    pub fn forward(&self, x: Tensor<4>, rate: Tensor<1>, form: Form, pass: &mut Pass) -> Tensor<4> {
        let weight = self.weight.val();
        let weight = if form.standard { standardized(weight) } else { weight };
        let x = conv2d(x, weight, None, ConvOptions::new([1; 2], [1; 2], [1; 2], 1));
        match form.norms {
            Norms::Group => self.affine(by_groups(x, form.groups)),
            Norms::Batch => self.affine(self.by_batch(x, rate, pass)),
            Norms::Estimated => self.affine(self.by_estimates(x, rate, pass)),
            Norms::BatchChannel => {
                let [rows, channels, height, width] = x.dims();
                let inner = self.affine(self.by_estimates(x, rate, pass));
                let outer =
                    by_groups(inner, form.groups).reshape([rows, form.groups, channels / form.groups * height * width]);
                let of = |place: usize| self.second[place].val().reshape([1, form.groups, 1]);
                (outer * of(0) + of(1)).reshape([rows, channels, height, width])
            }
        }
    }

    fn affine(&self, x: Tensor<4>) -> Tensor<4> {
        let lined = [1, self.scale.dims()[0], 1, 1];
        x * self.scale.val().reshape(lined) + self.shift.val().reshape(lined)
    }

    fn by_batch(&self, x: Tensor<4>, rate: Tensor<1>, pass: &mut Pass) -> Tensor<4> {
        let lined = [1, x.dims()[1], 1, 1];
        if pass.mode == Mode::Eval {
            return normal(x, self.mean.val().reshape(lined), self.variance.val().reshape(lined));
        }
        let [rows, channels, height, width] = x.dims();
        let count = (rows * height * width) as f64;
        let mean = x.clone().mean_dims(&[0, 2, 3]);
        let variance = (x.clone() - mean.clone()).powf_scalar(2.0).mean_dims(&[0, 2, 3]);
        if pass.mode == Mode::Train {
            let unbiased = variance.clone() * (count / (count - 1.0).max(1.0));
            pass.update(&self.mean, &moved(self.mean.val(), mean.clone().reshape([channels]), rate.clone()));
            pass.update(&self.variance, &moved(self.variance.val(), unbiased.reshape([channels]), rate));
        }
        normal(x, mean, variance)
    }

    /// By estimates that no derivative flows through. The deviation is that from the estimate of before.
    fn by_estimates(&self, x: Tensor<4>, rate: Tensor<1>, pass: &mut Pass) -> Tensor<4> {
        let channels = x.dims()[1];
        let lined = [1, channels, 1, 1];
        let (mut mean, mut variance) = (self.mean.val(), self.variance.val());
        if pass.mode == Mode::Train {
            let seen = stop_gradient(x.clone());
            let deviation = (seen.clone() - mean.clone().reshape(lined)).powf_scalar(2.0);
            mean = moved(mean, seen.mean_dims(&[0, 2, 3]).reshape([channels]), rate.clone());
            variance = moved(variance, deviation.mean_dims(&[0, 2, 3]).reshape([channels]), rate);
            pass.update(&self.mean, &mean);
            pass.update(&self.variance, &variance);
        }
        normal(x, mean.reshape(lined), variance.reshape(lined))
    }
}

impl Net {
    pub fn new(form: Form, b: &mut Builder) -> Self {
        let layers = CHANNELS.windows(2).map(|pair| Layer::new(form, [pair[0], pair[1]], b)).collect();
        let last = CHANNELS[CHANNELS.len() - 1];
        Net { layers, head: b.linear(last, CLASSES, true, Init::linear_normal(last)) }
    }

    /// Logits of images `[rows, pixels]`, and the channels of each layer before the nonlinearity.
    pub fn forward(&self, x: Tensor<2>, rate: Tensor<1>, form: Form, pass: &mut Pass) -> (Tensor<2>, Vec<Tensor<4>>) {
        let rows = x.dims()[0];
        let mut x = x.reshape([rows, 1, SIDE, SIDE]);
        let mut before = vec![];
        for (place, layer) in self.layers.iter().enumerate() {
            let y = layer.forward(x, rate.clone(), form, pass);
            before.push(y.clone());
            x = activation::relu(y);
            if place + 1 < self.layers.len() {
                let halved = AvgPoolOptions {
                    kernel_size: [2; 2],
                    stride: [2; 2],
                    padding: [(0, 0); 2],
                    count_include_pad: true,
                    ceil_mode: false,
                };
                x = avg_pool2d(x, halved);
            }
        }
        let channels = x.dims()[1];
        (self.head.forward(x.mean_dims(&[2, 3]).reshape([rows, channels])), before)
    }
}

/// An estimate moved towards what was seen.
fn moved(old: Tensor<1>, seen: Tensor<1>, rate: Tensor<1>) -> Tensor<1> {
    old.clone() + (seen - old) * rate
}

fn normal(x: Tensor<4>, mean: Tensor<4>, variance: Tensor<4>) -> Tensor<4> {
    (x - mean) * (variance + EPSILON).powf_scalar(-0.5)
}

/// Each image's groups of channels at mean 0 and variance 1.
pub fn by_groups(x: Tensor<4>, groups: usize) -> Tensor<4> {
    let [rows, channels, height, width] = x.dims();
    let x = x.reshape([rows, groups, channels / groups * height * width]);
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().powf_scalar(2.0).mean_dim(2);
    (centred * (variance + EPSILON).powf_scalar(-0.5)).reshape([rows, channels, height, width])
}

/// Weight standardization: the weights of each output channel at mean 0 and, without bias, variance 1.
pub fn standardized(weight: Tensor<4>) -> Tensor<4> {
    let [outputs, inputs, height, width] = weight.dims();
    let size = inputs * height * width;
    let rows = weight.reshape([outputs, size]);
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = centred.clone().powf_scalar(2.0).sum_dim(1) / (size as f64 - 1.0);
    (centred * (variance + EPSILON).powf_scalar(-0.5)).reshape([outputs, inputs, height, width])
}
