//! Building modules with known starts, and the layers whose training differs from their inference.
//!
//! burn's own dropout and batch norm run in inference mode under capture; ours are told the mode by the [`Pass`].

use burn::module::{Module, Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d,
};
use burn::tensor::{Device, Distribution, Tensor};

use super::Init;
use super::modules::Role;
use crate::graph::capture::{ValueId, value_id};

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Dropout draws, batch norm uses and updates batch statistics.
    Train,
    /// The loss that training descends, without its noise and without a trace: batch norm uses batch statistics as in
    /// training but leaves the running ones alone, nothing is random.
    Probe,
    /// Nothing is random; batch norm uses its running statistics.
    Eval,
}

/// A forward pass: its mode, and what it yields beside the logits.
#[derive(Debug)]
pub struct Pass {
    /// How layers behave.
    pub mode: Mode,
    /// 1 for each place of the batch that holds an example, 0 for one that is left over, f32 `[batch]`; `None` = all do.
    pub(crate) used: Option<Tensor<1>>,
    /// Named values, under capture.
    pub(crate) taps: Vec<(String, ValueId)>,
    /// New values of running statistics, under capture.
    pub(crate) updates: Vec<(ParamId, ValueId)>,
}

impl Pass {
    /// A pass that has yielded nothing yet.
    pub fn new(mode: Mode) -> Self {
        Pass { mode, used: None, taps: Vec::new(), updates: Vec::new() }
    }

    /// Offers a value for looking at. Has no effect outside of capture.
    pub fn tap<const D: usize>(&mut self, name: &str, value: &Tensor<D>) {
        self.taps.extend(value_id(value).map(|id| (name.to_owned(), id)));
    }

    /// Sets what a running statistic becomes after this pass. Has no effect outside of capture.
    pub fn update<const D: usize>(&mut self, state: &Param<Tensor<D>>, value: &Tensor<D>) {
        self.updates.extend(value_id(value).map(|id| (state.id, id)));
    }
}

/// Makes the tensors of modules and remembers what each is for. They are zeros until values are loaded.
#[derive(Debug)]
pub struct Builder {
    device: Device,
    roles: Vec<(ParamId, Role)>,
}

impl Builder {
    /// A builder of modules on a device.
    pub fn new(device: &Device) -> Self {
        Builder { device: device.clone(), roles: Vec::new() }
    }

    pub(super) fn role(&self, id: ParamId) -> Option<Role> {
        self.roles.iter().find(|(known, _)| *known == id).map(|&(_, role)| role)
    }

    /// A trained tensor.
    pub fn param<const D: usize>(&mut self, shape: [usize; D], init: Init) -> Param<Tensor<D>> {
        self.tensor(shape, Role::Trained { init, rate: 1.0 })
    }

    /// Lets a trained tensor learn at so many times the recipe's rate.
    pub fn slow<const D: usize>(&mut self, param: &Param<Tensor<D>>, factor: f32) {
        let found = self.roles.iter_mut().find(|(known, _)| *known == param.id);
        if let Some((_, Role::Trained { rate, .. })) = found {
            *rate = factor;
        }
    }

    /// A running statistic.
    pub fn state<const D: usize>(&mut self, shape: [usize; D], initial: f32) -> Param<Tensor<D>> {
        self.tensor(shape, Role::Running(initial)).set_require_grad(false)
    }

    fn tensor<const D: usize>(&mut self, shape: [usize; D], role: Role) -> Param<Tensor<D>> {
        let param = Param::from_tensor(Tensor::zeros(shape, &self.device));
        self.roles.push((param.id, role));
        param
    }

    /// `y = x W + b` with zero bias.
    pub fn linear(&mut self, inputs: usize, outputs: usize, bias: bool, init: Init) -> Linear {
        let config = LinearConfig::new(inputs, outputs).with_bias(bias).with_initializer(Initializer::Zeros);
        let mut linear = config.init(&self.device);
        linear.weight = self.param([inputs, outputs], init);
        linear.bias = bias.then(|| self.param([outputs], Init::Constant(0.0)));
        linear
    }

    /// Layer normalization over the last axis, epsilon 1e-5.
    pub fn layer_norm(&mut self, features: usize) -> LayerNorm {
        let mut norm = LayerNormConfig::new(features).init(&self.device);
        norm.gamma = self.param([features], Init::Constant(1.0));
        norm.beta = Some(self.param([features], Init::Constant(0.0)));
        norm
    }

    /// Square 2-D convolution, kaiming-normal for the ReLU that follows, zero bias.
    pub fn conv2d(&mut self, channels: [usize; 2], kernel: usize, stride: usize, padding: usize, bias: bool) -> Conv2d {
        let [inputs, outputs] = channels;
        let mut conv = Conv2dConfig::new(channels, [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
            .with_bias(bias)
            .with_initializer(Initializer::Zeros)
            .init(&self.device);
        let init = Init::kaiming_normal(inputs * kernel * kernel);
        conv.weight = self.param([outputs, inputs, kernel, kernel], init);
        conv.bias = bias.then(|| self.param([outputs], Init::Constant(0.0)));
        conv
    }

    /// Table of trained rows.
    pub fn embedding(&mut self, rows: usize, features: usize, init: Init) -> Embedding {
        let mut table = EmbeddingConfig::new(rows, features).with_initializer(Initializer::Zeros).init(&self.device);
        table.weight = self.param([rows, features], init);
        table
    }

    /// Batch normalization, see [`BatchNorm`].
    pub fn batch_norm(&mut self, features: usize) -> BatchNorm {
        BatchNorm {
            gamma: self.param([features], Init::Constant(1.0)),
            beta: self.param([features], Init::Constant(0.0)),
            mean: self.state([features], 0.0),
            variance: self.state([features], 1.0),
        }
    }
}

/// In training, each element is zero with probability `rate`, else scaled by `1 / (1 - rate)`.
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64, pass: &Pass) -> Tensor<D> {
    let shape = x.dims();
    drop_shared(x, shape, rate, pass)
}

/// In training, an example's whole branch is zero with probability `rate`, else scaled by `1 / (1 - rate)`
/// (stochastic depth, Huang et al. 2016).
pub fn drop_path<const D: usize>(x: Tensor<D>, rate: f64, pass: &Pass) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    drop_shared(x, shape, rate, pass)
}

/// One draw for each element of `shape`, which broadcasts to that of `x`.
fn drop_shared<const D: usize>(x: Tensor<D>, shape: [usize; D], rate: f64, pass: &Pass) -> Tensor<D> {
    if pass.mode != Mode::Train || rate == 0.0 {
        return x;
    }
    let uniform = Tensor::<D>::random(shape, Distribution::Default, &x.device());
    let keep = uniform.greater_equal_elem(rate).float();
    x * (keep * (1.0 / (1.0 - rate)))
}

/// Batch normalization (Ioffe and Szegedy 2015) of axis 1, epsilon 1e-5, momentum 0.1; the running variance is the
/// unbiased one. Places of a batch that hold no example are in none of them.
#[derive(Module, Debug)]
pub struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    /// Running mean.
    mean: Param<Tensor<1>>,
    /// Running variance.
    variance: Param<Tensor<1>>,
}

impl BatchNorm {
    const EPSILON: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    /// Normalizes `[batch, features, ..]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: &mut Pass) -> Tensor<D> {
        let features = x.dims()[1];
        let mut lined = [1; D];
        lined[1] = features;
        let (mean, variance) = match pass.mode {
            Mode::Train | Mode::Probe => {
                let (mean, variance, unbiased) = match pass.used.clone() {
                    Some(used) => Self::of_used(&x, used),
                    None => Self::of_all(&x),
                };
                if pass.mode == Mode::Train {
                    self.track(&self.mean, mean.clone().reshape([features]), pass);
                    self.track(&self.variance, unbiased, pass);
                }
                (mean, variance)
            }
            Mode::Eval => (self.mean.val().reshape(lined), self.variance.val().reshape(lined)),
        };
        let inverse = (variance + Self::EPSILON).powf_scalar(-0.5);
        (x - mean) * inverse * self.gamma.val().reshape(lined) + self.beta.val().reshape(lined)
    }

    /// Mean and variance over all axes but the second, in axes of length 1, and the unbiased variance `[features]`.
    fn of_all<const D: usize>(x: &Tensor<D>) -> (Tensor<D>, Tensor<D>, Tensor<1>) {
        let features = x.dims()[1];
        let axes: Vec<usize> = (0..D).filter(|&axis| axis != 1).collect();
        let count = (x.dims().iter().product::<usize>() / features) as f64;
        let mean = x.clone().sum_dims(&axes) / count;
        let centred = x.clone() - mean.clone();
        let variance = (centred.clone() * centred).sum_dims(&axes) / count;
        let unbiased = variance.clone().reshape([features]) * (count / (count - 1.0).max(1.0));
        (mean, variance, unbiased)
    }

    /// The same over the examples for which `used` is 1.
    fn of_used<const D: usize>(x: &Tensor<D>, used: Tensor<1>) -> (Tensor<D>, Tensor<D>, Tensor<1>) {
        let [batch, features] = [x.dims()[0], x.dims()[1]];
        let axes: Vec<usize> = (0..D).filter(|&axis| axis != 1).collect();
        let each = (x.dims().iter().product::<usize>() / (batch * features)) as f64;
        let count = used.clone().sum() * each;
        let mut lined = [1; D];
        lined[0] = batch;
        let used = used.reshape(lined);
        let over = count.clone().reshape([1; D]);
        let mean = (x.clone() * used.clone()).sum_dims(&axes) / over.clone();
        let centred = x.clone() - mean.clone();
        let variance = (centred.clone() * centred * used).sum_dims(&axes) / over;
        let unbiased = variance.clone().reshape([features]) * (count.clone() / (count - 1.0).clamp_min(1.0));
        (mean, variance, unbiased)
    }

    fn track(&self, state: &Param<Tensor<1>>, now: Tensor<1>, pass: &mut Pass) {
        let moved = state.val() * (1.0 - Self::MOMENTUM) + now * Self::MOMENTUM;
        pass.update(state, &moved);
    }
}
