//! The network that learns a stream: hidden layers or strided convolutions, and one linear layer of outputs.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation};

use engine::continual::{ContinualSpec, Descent, Network};
use engine::model::{Builder, Init};
use engine::spec::{OptimizerSpec, Rule};

/// See the module.
#[derive(Module, Debug)]
pub struct Learner {
    convolutions: Vec<Conv2d>,
    hidden: Vec<Linear>,
    head: Linear,
    /// Channels, height and width of a picture.
    picture: [usize; 3],
}

impl Learner {
    /// The session's network over examples of that shape.
    pub fn new(spec: &ContinualSpec, shape: &[usize], outputs: usize, builder: &mut Builder) -> Self {
        let (mut width, mut picture) = (shape.iter().product(), [0; 3]);
        let (mut convolutions, mut hidden) = (Vec::new(), Vec::new());
        match *shape {
            [mut channels, mut height, mut wide] if spec.network == Network::Convnet => {
                picture = [channels, height, wide];
                for &next in &spec.hidden {
                    convolutions.push(builder.conv2d([channels, next], 3, 2, 1, true));
                    (channels, height, wide) = (next, height.div_ceil(2), wide.div_ceil(2));
                }
                width = channels * height * wide;
            }
            _ => {
                for &next in &spec.hidden {
                    hidden.push(builder.linear(width, next, true, Init::kaiming_normal(width)));
                    width = next;
                }
            }
        }
        let head = builder.linear(width, outputs, true, Init::linear_normal(width));
        Self { convolutions, hidden, head, picture }
    }

    /// What the outputs are made of, `[rows, features]`, of `x` `[rows, numbers]`.
    pub fn features(&self, x: Tensor<2>) -> Tensor<2> {
        self.features_through(x, |_, maps| maps)
    }

    /// The same with something done to the maps `[rows, channels, height, width]` that each convolution yields, counted from
    /// 0, before they are rectified.
    pub fn features_through(&self, x: Tensor<2>, mut then: impl FnMut(usize, Tensor<4>) -> Tensor<4>) -> Tensor<2> {
        let mut x = x;
        if !self.convolutions.is_empty() {
            let [channels, height, width] = self.picture;
            let mut maps = x.clone().reshape([x.dims()[0], channels, height, width]);
            for (place, convolution) in self.convolutions.iter().enumerate() {
                maps = activation::relu(then(place, convolution.forward(maps)));
            }
            x = maps.flatten(1, 3);
        }
        for layer in &self.hidden {
            x = activation::relu(layer.forward(x));
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
