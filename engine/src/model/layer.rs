//! Building modules with known starts, and the layers whose training differs from their inference.
//!
//! burn's own dropout and batch norm run in inference mode under capture; ours are told the mode by the [`Pass`].

use burn::module::{Module, Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d,
};
use burn::tensor::{Device, Distribution, Tensor, TensorData};

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
    /// How often the recipe's dropout drops and what it multiplies the rest by, f32 `[2]`, where that may differ from step
    /// to step; `None` = as the network was built.
    pub(crate) dropout: Option<Tensor<1>>,
    /// Named values, under capture.
    pub(crate) taps: Vec<(String, ValueId)>,
    /// New values of running statistics, under capture.
    pub(crate) updates: Vec<(ParamId, ValueId)>,
}

impl Pass {
    /// A pass that has yielded nothing yet.
    pub fn new(mode: Mode) -> Self {
        Pass { mode, used: None, dropout: None, taps: Vec::new(), updates: Vec::new() }
    }

    /// Lets what is taken of a batch as a whole be that of the places for which `used`, `[batch]`, is 1, not 0: the others
    /// are normalized by it.
    pub fn count(&mut self, used: Tensor<1>) {
        self.used = Some(used);
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

    /// Batch normalization, see [`BatchNorm`], of the whole batch at once.
    pub fn batch_norm(&mut self, features: usize) -> BatchNorm {
        self.batch_norm_of(features, Init::Constant(1.0), 0)
    }

    /// The same whose scales start from `gamma`, of ghosts of at least so many examples (0 = the whole batch).
    pub fn batch_norm_of(&mut self, features: usize, gamma: Init, ghost: usize) -> BatchNorm {
        BatchNorm {
            gamma: self.param([features], gamma),
            beta: self.param([features], Init::Constant(0.0)),
            mean: self.state([features], 0.0),
            variance: self.state([features], 1.0),
            ghost,
        }
    }
}

/// How often something is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropRate {
    rate: f64,
    /// Whether it is the recipe's dropout, which may be turned while a run goes on.
    turned: bool,
}

impl DropRate {
    /// The recipe's dropout, of which a [`Pass`] may know more than the network was built with.
    pub const fn of_recipe(rate: f64) -> Self {
        Self { rate, turned: true }
    }

    /// A rate, and what is then left multiplied by so that the mean stays, as a step reads them.
    pub fn words(rate: f64) -> [f32; 2] {
        [rate as f32, (1.0 / (1.0 - rate)) as f32]
    }
}

impl From<f64> for DropRate {
    fn from(rate: f64) -> Self {
        Self { rate, turned: false }
    }
}

/// In training, each element is zero with probability `rate`, else scaled by `1 / (1 - rate)`.
pub fn dropout<const D: usize>(x: Tensor<D>, rate: impl Into<DropRate>, pass: &Pass) -> Tensor<D> {
    let shape = x.dims();
    drop_shared(x, shape, rate.into(), pass)
}

/// In training, an example's whole branch is zero with probability `rate`, else scaled by `1 / (1 - rate)`
/// (stochastic depth, Huang et al. 2016).
pub fn drop_path<const D: usize>(x: Tensor<D>, rate: f64, pass: &Pass) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    drop_shared(x, shape, rate.into(), pass)
}

/// One draw for each element of `shape`, which broadcasts to that of `x`.
fn drop_shared<const D: usize>(x: Tensor<D>, shape: [usize; D], rate: DropRate, pass: &Pass) -> Tensor<D> {
    let DropRate { rate, turned } = rate;
    if pass.mode != Mode::Train || rate == 0.0 {
        return x;
    }
    let uniform = Tensor::<D>::random(shape, Distribution::Default, &x.device());
    if let Some(now) = pass.dropout.as_ref().filter(|_| turned) {
        let part = |at: usize| now.clone().narrow(0, at, 1).reshape([1; D]);
        let keep = uniform.greater_equal(part(0).expand(shape)).float();
        return x * (keep * part(1));
    }
    let keep = uniform.greater_equal_elem(rate).float();
    x * (keep * (1.0 / (1.0 - rate)))
}

/// Batch normalization (Ioffe and Szegedy 2015) of axis 1, epsilon 1e-5, momentum 0.1; the running variance is the
/// unbiased one. Places of a batch that hold no example are in none of them.
///
/// With ghosts (Hoffer et al. 2017, arXiv 1705.08741) the batch is cut into equal parts, each of which is normalized by
/// itself; running statistics move as if the parts had come one after another.
#[derive(Module, Debug)]
pub struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    /// Running mean.
    mean: Param<Tensor<1>>,
    /// Running variance.
    variance: Param<Tensor<1>>,
    /// Least examples of a ghost; 0 = all are one.
    ghost: usize,
}

/// Over which axes a norm takes its statistics.
struct Over<const D: usize> {
    axes: Vec<usize>,
    /// Shape of a number a feature.
    lined: [usize; D],
    /// Shape of a number an example.
    rows: [usize; D],
}

impl BatchNorm {
    const EPSILON: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    /// Normalizes `[batch, features, ..]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: &mut Pass) -> Tensor<D> {
        let shape = x.dims();
        let [batch, features] = [shape[0], shape[1]];
        let parts = if pass.mode == Mode::Eval { 1 } else { ghosts(batch, self.ghost) };
        if parts > 1 {
            let size = batch / parts;
            let each = shape.iter().product::<usize>() / (batch * features);
            let over = Over { axes: vec![1, 3], lined: [1, 1, features, 1], rows: [parts, size, 1, 1] };
            return self.normalize(x.reshape([parts, size, features, each]), &over, pass).reshape(shape);
        }
        let (mut lined, mut rows) = ([1; D], [1; D]);
        (lined[1], rows[0]) = (features, batch);
        self.normalize(x, &Over { axes: (0..D).filter(|&axis| axis != 1).collect(), lined, rows }, pass)
    }

    fn normalize<const D: usize>(&self, x: Tensor<D>, over: &Over<D>, pass: &mut Pass) -> Tensor<D> {
        let lined = over.lined;
        let (mean, variance) = match pass.mode {
            Mode::Train | Mode::Probe => {
                let (mean, variance, unbiased) = match pass.used.clone() {
                    Some(used) => Self::of_used(&x, used, over),
                    None => Self::of_all(&x, over),
                };
                if pass.mode == Mode::Train {
                    self.track(&self.mean, mean.clone(), pass);
                    self.track(&self.variance, unbiased, pass);
                }
                (mean, variance)
            }
            Mode::Eval => (self.mean.val().reshape(lined), self.variance.val().reshape(lined)),
        };
        let inverse = (variance + Self::EPSILON).powf_scalar(-0.5);
        (x - mean) * inverse * self.gamma.val().reshape(lined) + self.beta.val().reshape(lined)
    }

    /// What it does to each feature in evaluation: `scale x + shift`, both `[features]`, from its running statistics.
    pub fn line(&self) -> [Tensor<1>; 2] {
        let scale = (self.variance.val() + Self::EPSILON).powf_scalar(-0.5) * self.gamma.val();
        let shift = self.beta.val() - scale.clone() * self.mean.val();
        [scale, shift]
    }

    /// Mean, variance and unbiased variance, in axes of length 1.
    fn of_all<const D: usize>(x: &Tensor<D>, over: &Over<D>) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
        let count = over.axes.iter().map(|&axis| x.dims()[axis]).product::<usize>() as f64;
        let mean = x.clone().sum_dims(&over.axes) / count;
        let centred = x.clone() - mean.clone();
        let variance = (centred.clone() * centred).sum_dims(&over.axes) / count;
        let unbiased = variance.clone() * (count / (count - 1.0).max(1.0));
        (mean, variance, unbiased)
    }

    /// The same over the examples for which `used` is 1.
    fn of_used<const D: usize>(x: &Tensor<D>, used: Tensor<1>, over: &Over<D>) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
        let examples = over.rows.iter().product::<usize>() * over.lined.iter().product::<usize>();
        let each = (x.dims().iter().product::<usize>() / examples) as f64;
        let used = used.reshape(over.rows);
        let count = used.clone().sum_dims(&over.axes) * each;
        let mean = (x.clone() * used.clone()).sum_dims(&over.axes) / count.clone();
        let centred = x.clone() - mean.clone();
        let variance = (centred.clone() * centred * used).sum_dims(&over.axes) / count.clone();
        let unbiased = variance.clone() * (count.clone() / (count - 1.0).clamp_min(1.0));
        (mean, variance, unbiased)
    }

    /// Moves a running statistic by that of each part in turn: `1 - m` of the old is kept as often as there are parts.
    fn track<const D: usize>(&self, state: &Param<Tensor<1>>, now: Tensor<D>, pass: &mut Pass) {
        let (old, features) = (state.val(), state.val().dims()[0]);
        let kept = 1.0 - Self::MOMENTUM;
        let parts = now.dims().iter().product::<usize>() / features;
        let now = match parts {
            1 => now.reshape([features]) * Self::MOMENTUM,
            _ => {
                let share = |part| (Self::MOMENTUM * kept.powi((parts - 1 - part) as i32)) as f32;
                let shares = TensorData::new((0..parts).map(share).collect(), [parts, 1]);
                let shares = Tensor::<2>::from_data(shares, &old.device());
                (now.reshape([parts, features]) * shares).sum_dim(0).reshape([features])
            }
        };
        let moved = old * kept.powi(parts as i32) + now;
        pass.update(state, &moved);
    }
}

/// Into how many equal parts of at least `ghost` examples a batch is cut, as many as there can be.
pub(crate) fn ghosts(batch: usize, ghost: usize) -> usize {
    let most = batch.checked_div(ghost).unwrap_or(1);
    (1..=most).rev().find(|&parts| batch.is_multiple_of(parts)).unwrap_or(1)
}
