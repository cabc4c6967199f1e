//! The network that learns a stream: hidden layers, strided convolutions or a compact convolutional transformer, and one linear
//! layer of outputs.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation};

use engine::continual::{ContinualSpec, Descent, Network};
use engine::model::{Builder, Init, InputShape, Mode, Pass, Transformer};
use engine::spec::{OptimizerSpec, Rule, TransformerSpec};

/// The most tokens that a CCT makes of a picture: it makes 7 x 7 of one of 28 pixels, 4 x 4 of one of 8.
const TOKENS: usize = 64;

/// See the module.
#[derive(Module, Debug)]
pub struct Learner {
    convolutions: Vec<Conv2d>,
    hidden: Vec<Linear>,
    transformer: Option<Transformer>,
    head: Linear,
    /// Channels, height and width of a picture.
    picture: [usize; 3],
}

impl Learner {
    /// The session's network over examples of that shape.
    pub fn new(spec: &ContinualSpec, shape: &[usize], outputs: usize, builder: &mut Builder) -> Self {
        let (mut width, mut picture) = (shape.iter().product(), [0; 3]);
        let (mut convolutions, mut hidden, mut transformer) = (Vec::new(), Vec::new(), None);
        match (spec.network, shape) {
            (Network::Convnet, &[mut channels, mut height, mut wide]) => {
                picture = [channels, height, wide];
                for &next in &spec.hidden {
                    convolutions.push(builder.conv2d([channels, next], 3, 2, 1, true));
                    (channels, height, wide) = (next, height.div_ceil(2), wide.div_ceil(2));
                }
                width = channels * height * wide;
            }
            (Network::Cct, &[channels, height, wide]) => {
                picture = [channels, height, wide];
                let cct = cct(&spec.hidden, [height, wide]);
                width = cct.width;
                transformer = Transformer::headless(&cct, InputShape::Image(picture), builder).ok();
            }
            _ => {
                for &next in &spec.hidden {
                    hidden.push(builder.linear(width, next, true, Init::kaiming_normal(width)));
                    width = next;
                }
            }
        }
        let head = builder.linear(width, outputs, true, Init::linear_normal(width));
        Self { convolutions, hidden, transformer, head, picture }
    }

    /// What the outputs are made of, `[rows, features]`, of `x` `[rows, numbers]`.
    pub fn features(&self, x: Tensor<2>) -> Tensor<2> {
        self.features_through(x, |_, maps| maps)
    }

    /// The same with something done to the maps `[rows, channels, height, width]` that each convolution yields, counted from
    /// 0, before they are rectified.
    pub fn features_through(&self, x: Tensor<2>, mut then: impl FnMut(usize, Tensor<4>) -> Tensor<4>) -> Tensor<2> {
        self.walk(x, &mut then, &mut |_, _| ())
    }

    /// What each layer yields, `[rows, numbers]`, by its path, the lowest first; the last are the logits.
    pub fn layers(&self, x: Tensor<2>) -> Vec<(String, Tensor<2>)> {
        let mut layers = Vec::new();
        let features = self.walk(x, &mut |_, maps| maps, &mut |name, layer| layers.push((name, layer)));
        layers.push(("head".into(), self.head(features)));
        layers
    }

    fn walk(
        &self,
        x: Tensor<2>,
        then: &mut dyn FnMut(usize, Tensor<4>) -> Tensor<4>,
        seen: &mut dyn FnMut(String, Tensor<2>),
    ) -> Tensor<2> {
        let mut x = x;
        let [channels, height, width] = self.picture;
        if let Some(transformer) = &self.transformer {
            let pictures = x.clone().reshape([x.dims()[0], channels, height, width]);
            // It has neither dropout nor running statistics: every mode is the same.
            return transformer.features(pictures, &mut Pass::new(Mode::Eval), &mut |stage, tokens| {
                seen(format!("transformer.{stage}"), tokens.clone().flatten(1, 2));
            });
        }
        if !self.convolutions.is_empty() {
            let mut maps = x.clone().reshape([x.dims()[0], channels, height, width]);
            for (place, convolution) in self.convolutions.iter().enumerate() {
                maps = activation::relu(then(place, convolution.forward(maps)));
                seen(format!("convolutions.{place}"), maps.clone().flatten(1, 3));
            }
            x = maps.flatten(1, 3);
        }
        for (place, layer) in self.hidden.iter().enumerate() {
            x = activation::relu(layer.forward(x));
            seen(format!("hidden.{place}"), x.clone());
        }
        x
    }

    /// Logits `[rows, outputs]` of features.
    pub fn head(&self, features: Tensor<2>) -> Tensor<2> {
        self.head.forward(features)
    }

    /// Logits `[rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head(self.features(x))
    }
}

/// The lab's compact convolutional transformer: a block for each width, all of the first, with two heads, after one convolution
/// that strides as far as leaves few enough tokens, and overlaps: CCT-2/5x1 of MNIST's pictures.
fn cct(widths: &[usize], [height, wide]: [usize; 2]) -> TransformerSpec {
    let width = widths.first().copied().unwrap_or(1);
    let heads = if width.is_multiple_of(2) { 2 } else { 1 };
    let of_stride = |stride: usize| TransformerSpec {
        blocks: 1,
        stride,
        kernel: 2 * stride + 1,
        width,
        depth: widths.len(),
        heads,
        ..TransformerSpec::cct()
    };
    let few =
        |cct: &TransformerSpec| cct.token_grid(height, wide).is_some_and(|[rows, columns]| rows * columns <= TOKENS);
    (1..=height.max(wide)).map(of_stride).find(few).unwrap_or_else(|| of_stride(1))
}

/// The session's update rule, without weight decay.
pub fn rule(descent: Descent) -> OptimizerSpec {
    let kind = match descent {
        Descent::Sgd => Rule::Sgd,
        Descent::Momentum => Rule::Momentum,
        Descent::Adam => Rule::Adam,
    };
    OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(kind) }
}

/// Logits without the outputs that do not compete: `allowed` is 1 for those that do, else 0. Their share is exactly 0.
pub fn masked(logits: Tensor<2>, allowed: Tensor<2>) -> Tensor<2> {
    const FAR: f64 = 1e4;
    logits + (allowed - 1.0) * FAR
}

/// Cross-entropy: minus the sum over all places of `target` times the log-share. Targets carry the weights of the examples.
pub fn cross_entropy(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    (activation::log_softmax(logits, 1) * target).sum().neg()
}
