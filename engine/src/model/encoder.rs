//! The transformer layer that the image models and the GPT share.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Bool, Tensor, activation};

use super::layer::{DropRate, drop_path, dropout};
use super::{Builder, Init, Pass};
use crate::spec::{Gelu, NormOrder};

/// Standard deviation of the truncated normal that linear weights and embeddings start from.
pub const WEIGHT_STD: f32 = 0.02;

/// Rates of what a layer drops in training.
#[derive(Clone, Copy, Debug)]
pub struct Drops {
    /// After attention's projection and in the MLP.
    pub dropout: DropRate,
    /// Attention weights.
    pub attention: DropRate,
    /// Whole branches (stochastic depth).
    pub path: f64,
}

/// How a layer's matrices start and learn, and what its branches weigh.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// What matrices start from.
    pub init: Init,
    /// Learning rate of matrices, of the recipe's.
    pub rate: f32,
    /// Factor of each branch when it joins the residual stream.
    pub branch: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { init: Init::TruncatedNormal(WEIGHT_STD), rate: 1.0, branch: 1.0 }
    }
}

/// `x` times a factor, which costs nothing if it is 1.
pub fn scaled<const D: usize>(x: Tensor<D>, factor: f64) -> Tensor<D> {
    if factor == 1.0 { x } else { x * factor }
}

/// Self-attention and MLP with residuals.
#[derive(Module, Debug)]
pub struct Layer {
    norm1: LayerNorm,
    qkv: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    #[module(skip)]
    order: NormOrder,
    #[module(skip)]
    gelu: Gelu,
    #[module(skip)]
    drops: Drops,
    #[module(skip)]
    weights: Weights,
}

impl Layer {
    /// A layer of width `d`, MLP width `ratio * d`. CCT's published code has no bias in the qkv projection; the plain
    /// pre-norm layer has.
    pub fn new(
        d: usize,
        heads: usize,
        (ratio, gelu): (usize, Gelu),
        order: NormOrder,
        drops: Drops,
        weights: Weights,
        b: &mut Builder,
    ) -> Self {
        let matrix = |inputs: usize, outputs: usize, bias: bool, b: &mut Builder| {
            let linear = b.linear(inputs, outputs, bias, weights.init);
            b.slow(&linear.weight, weights.rate);
            linear
        };
        Layer {
            norm1: b.layer_norm(d),
            qkv: matrix(d, 3 * d, order == NormOrder::Pre, b),
            out: matrix(d, d, true, b),
            norm2: b.layer_norm(d),
            fc1: matrix(d, ratio * d, true, b),
            fc2: matrix(ratio * d, d, true, b),
            heads,
            order,
            gelu,
            drops,
            weights,
        }
    }

    /// `[batch, tokens, d]` to the same shape. `hidden` marks the keys that a query may not see, as
    /// `[tokens, tokens]`. Attention weights are tapped under `name`.
    pub fn forward(&self, x: Tensor<3>, hidden: Option<&Tensor<2, Bool>>, name: &str, pass: &mut Pass) -> Tensor<3> {
        let attended = self.attend(self.norm1.forward(x.clone()), hidden, name, pass);
        let x = x + scaled(drop_path(attended, self.drops.path, pass), self.weights.branch);
        let normal = self.norm2.forward(x.clone());
        let residual = match self.order {
            NormOrder::Pre => x,
            NormOrder::Official => normal.clone(),
        };
        let inner = self.fc1.forward(normal);
        let inner = match self.gelu {
            Gelu::Exact => activation::gelu(inner),
            Gelu::Tanh => activation::gelu_approximate(inner),
        };
        let inner = dropout(inner, self.drops.dropout, pass);
        let branch = dropout(self.fc2.forward(inner), self.drops.dropout, pass);
        residual + scaled(drop_path(branch, self.drops.path, pass), self.weights.branch)
    }

    fn attend(&self, x: Tensor<3>, hidden: Option<&Tensor<2, Bool>>, name: &str, pass: &mut Pass) -> Tensor<3> {
        let [batch, tokens, d] = x.dims();
        let size = d / self.heads;
        let qkv = self.qkv.forward(x);
        // [batch, heads, tokens, size] of query (0), key (1) or value (2).
        let part = |k: usize| {
            let part = qkv.clone().narrow(2, k * d, d);
            part.reshape([batch, tokens, self.heads, size]).swap_dims(1, 2)
        };
        let scores = part(0).matmul(part(1).transpose()) * (size as f64).powf(-0.5);
        let scores = match hidden {
            // Far below any score: its exponential is 0.
            Some(hidden) => scores.mask_fill(hidden.clone().unsqueeze::<4>(), -1e9),
            None => scores,
        };
        let weights = activation::softmax(scores, 3);
        pass.tap(name, &weights);
        let mixed = dropout(weights, self.drops.attention, pass).matmul(part(2));
        let joined = mixed.swap_dims(1, 2).reshape([batch, tokens, d]);
        dropout(self.out.forward(joined), self.drops.dropout, pass)
    }
}
