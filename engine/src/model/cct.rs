//! Compact transformers over images: ViT-Lite, CVT and CCT (Hassani et al. 2021, arXiv 2104.05704).
//!
//! One encoder; the three differ in how an image becomes tokens (patches or overlapping convolutions with
//! max-pooling) and how tokens become one vector (class token, mean, or sequence pooling).

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Tensor, TensorData, activation};

use super::encoder::{Drops, Layer, WEIGHT_STD, Weights};
use super::layer::{DropRate, dropout};
use super::{Batch, Builder, Forward, Init, InputShape, ModelError, Pass};
use crate::spec::{Pooling, Positions, Tokenizer, TransformerSpec};

/// Filters of every tokenizer block but the last, which has the encoder's width.
const FILTERS: usize = 64;

/// Standard deviation of the truncated normal that learned positions start from.
const POSITION_STD: f32 = 0.2;

/// Tokenizer, encoder, pooling, linear output.
#[derive(Module, Debug)]
pub struct Transformer {
    convs: Vec<Conv2d>,
    patch: Option<Linear>,
    class: Option<Param<Tensor<2>>>,
    positions: Option<Param<Tensor<2>>>,
    blocks: Vec<Layer>,
    norm: LayerNorm,
    pool: Option<Linear>,
    /// None = what outputs would be made of is what it yields.
    head: Option<Linear>,
    max_pool: MaxPool2d,
    patch_side: usize,
    #[module(skip)]
    dropout: DropRate,
    #[module(skip)]
    pooling: Pooling,
    sine: bool,
}

impl Transformer {
    /// The network of a spec.
    pub fn new(spec: &TransformerSpec, input: InputShape, outputs: usize, b: &mut Builder) -> Result<Self, ModelError> {
        let mut network = Self::headless(spec, input, b)?;
        network.head = Some(b.linear(spec.width, outputs, true, Init::TruncatedNormal(WEIGHT_STD)));
        Ok(network)
    }

    /// The same without an output layer, for who has one of their own: see [`Self::features`].
    ///
    /// # Errors
    /// The spec does not fit the images or contradicts itself.
    pub fn headless(spec: &TransformerSpec, input: InputShape, b: &mut Builder) -> Result<Self, ModelError> {
        let fail = |reason: String| Err(ModelError::Spec { model: Self::KIND, reason });
        let InputShape::Image([channels, height, width]) = input else { return fail("reads images only".into()) };
        let Some([rows, columns]) = spec.token_grid(height, width) else {
            return fail(format!("the tokenizer does not fit {height}x{width} pixels"));
        };
        let d = spec.width;
        if spec.heads == 0 || !d.is_multiple_of(spec.heads) {
            return fail(format!("{} heads do not divide a width of {d}", spec.heads));
        }
        let weights = Init::TruncatedNormal(WEIGHT_STD);
        let (mut convs, mut patch) = (Vec::new(), None);
        match spec.tokenizer {
            Tokenizer::Patch => patch = Some(b.linear(channels * spec.patch * spec.patch, d, true, weights)),
            Tokenizer::Conv => {
                let mut inputs = channels;
                for block in 1..=spec.blocks {
                    let filters = if block == spec.blocks { d } else { FILTERS };
                    let (stride, padding) = (spec.conv_stride(), spec.conv_padding());
                    convs.push(b.conv2d([inputs, filters], spec.kernel, stride, padding, spec.conv_bias));
                    inputs = filters;
                }
            }
        }
        let class = (spec.pool == Pooling::Class).then(|| b.param([1, d], Init::Constant(0.0)));
        let tokens = rows * columns + usize::from(spec.pool == Pooling::Class);
        let learned = spec.positions == Positions::Learned;
        let positions = learned.then(|| b.param([tokens, d], Init::TruncatedNormal(POSITION_STD)));
        let blocks = (0..spec.depth)
            .map(|k| {
                let path = spec.stochastic_depth * k as f64 / spec.depth.saturating_sub(1).max(1) as f64;
                let drops = Drops {
                    dropout: DropRate::of_recipe(spec.dropout),
                    attention: spec.attention_dropout.into(),
                    path,
                };
                Layer::new(d, spec.heads, (spec.ratio, spec.gelu), spec.order, drops, Weights::default(), b)
            })
            .collect();
        Ok(Transformer {
            convs,
            patch,
            class,
            positions,
            blocks,
            norm: b.layer_norm(d),
            pool: (spec.pool == Pooling::Seq).then(|| b.linear(d, 1, true, weights)),
            head: None,
            max_pool: MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(burn::nn::PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            patch_side: spec.patch,
            dropout: DropRate::of_recipe(spec.dropout),
            pooling: spec.pool,
            sine: spec.positions == Positions::Sine,
        })
    }

    /// Image `[batch, channels, height, width]` to tokens `[batch, tokens, d]`, row by row.
    pub(super) fn tokenize(&self, x: Tensor<4>) -> Tensor<3> {
        if let Some(patch) = &self.patch {
            return patch.forward(patches(x, self.patch_side));
        }
        let features = self.convs.iter().fold(x, |x, conv| self.max_pool.forward(activation::relu(conv.forward(x))));
        features.flatten::<3>(2, 3).swap_dims(1, 2)
    }

    /// Class token and positions.
    fn embed(&self, mut x: Tensor<3>, pass: &Pass) -> Tensor<3> {
        let [batch, _, d] = x.dims();
        if let Some(class) = &self.class {
            x = Tensor::cat(vec![class.val().unsqueeze::<3>().expand([batch, 1, d]), x], 1);
        }
        if let Some(positions) = &self.positions {
            x = x + positions.val().unsqueeze::<3>();
        } else if self.sine {
            let [_, tokens, _] = x.dims();
            let table = TensorData::new(sines(tokens, d), [1, tokens, d]);
            x = x.clone() + Tensor::from_data(table, &x.device());
        }
        dropout(x, self.dropout, pass)
    }

    /// Embedded tokens to encoded ones, in the same shape.
    pub(super) fn encode(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        self.encode_seen(x, pass, &mut |_, _| ())
    }

    /// The same; `seen` is shown what each block yields.
    fn encode_seen(&self, mut x: Tensor<3>, pass: &mut Pass, seen: &mut dyn FnMut(&str, &Tensor<3>)) -> Tensor<3> {
        for (k, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, None, &format!("attention.{k}"), pass);
            seen(&format!("blocks.{k}"), &x);
        }
        self.norm.forward(x)
    }

    /// Encoded tokens `[batch, tokens, d]` to one vector each, `[batch, d]`.
    pub(super) fn gather(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<2> {
        let [batch, tokens, d] = x.dims();
        let pooled = match (&self.pool, self.pooling) {
            (Some(scorer), _) => {
                let weights = activation::softmax(scorer.forward(x.clone()).swap_dims(1, 2), 2);
                pass.tap("pool", &weights.clone().reshape([batch, tokens]));
                weights.matmul(x)
            }
            (None, Pooling::Class) => x.narrow(1, 0, 1),
            (None, _) => x.sum_dim(1) / tokens as f64,
        };
        pooled.reshape([batch, d])
    }

    /// Tokens `[batch, tokens, d]` to logits.
    pub(super) fn classify(&self, tokens: Tensor<3>, pass: &mut Pass) -> Tensor<2> {
        let x = self.embed(tokens, pass);
        let x = self.encode(x, pass);
        let x = self.gather(x, pass);
        match &self.head {
            Some(head) => head.forward(x),
            None => x,
        }
    }

    /// What outputs are made of, `[batch, d]`, of images `[batch, channels, height, width]`. `seen` is shown `[batch, tokens,
    /// d]` by name: the tokens as they come (`tokens`), and what each block makes of them (`blocks.0`, ..).
    pub fn features(&self, x: Tensor<4>, pass: &mut Pass, seen: &mut dyn FnMut(&str, &Tensor<3>)) -> Tensor<2> {
        let tokens = self.tokenize(x);
        seen("tokens", &tokens);
        let x = self.embed(tokens, pass);
        let x = self.encode_seen(x, pass, seen);
        self.gather(x, pass)
    }
}

impl Forward for Transformer {
    const KIND: &'static str = "transformer";

    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError> {
        let Batch::Image(x) = x else { return Err(Self::misfit(&x)) };
        let tokens = self.tokenize(x);
        pass.tap("tokens", &tokens);
        Ok(self.classify(tokens, pass))
    }
}

/// Cuts images into squares of `side` pixels: `[batch, tokens, channels * side * side]`.
fn patches(x: Tensor<4>, side: usize) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    let (rows, columns) = (height / side, width / side);
    x.reshape([batch, channels, rows, side, columns, side]).permute([0, 2, 4, 1, 3, 5]).reshape([
        batch,
        rows * columns,
        channels * side * side,
    ])
}

/// Sinusoidal positions (Vaswani et al. 2017): even features are sines, odd ones cosines, wavelengths geometric from
/// 2 pi to 10,000 * 2 pi. Row-major `[tokens, d]`.
fn sines(tokens: usize, d: usize) -> Vec<f32> {
    let value = |position: usize, feature: usize| {
        let angle = position as f64 / 10_000f64.powf((feature - feature % 2) as f64 / d as f64);
        (if feature.is_multiple_of(2) { libm::sin(angle) } else { libm::cos(angle) }) as f32
    };
    (0..tokens).flat_map(|position| (0..d).map(move |feature| value(position, feature))).collect()
}
