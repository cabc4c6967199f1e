//! Convolutions with their batch norms in the four ways of the paper, and networks of them.

use burn::module::{Module, Param, ParamId};
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation};
use engine::model::{BatchNorm, Builder, Init, Mode, Pass};
use engine::tape::Tape;

/// Side of the images.
pub const SIDE: usize = 14;
/// Channels in and out, and stride of each block.
pub const BLOCKS: [([usize; 2], usize); 4] = [([1, 16], 2), ([16, 32], 2), ([32, 32], 1), ([32, 64], 2)];
/// Names of the network, of one that has its norms folded into its convolutions, and of their output layer.
pub const NET: &str = "net";
pub const FOLDED: &str = "folded";
pub const HEAD: &str = "head";
/// What a norm adds to variances.
pub const EPSILON: f64 = 1e-5;

/// How a convolution and its norm are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The norm takes the statistics of the batch, and keeps track of them.
    Train,
    /// The convolution, then the norm by the statistics that it has.
    Eval,
    /// One convolution, whose weights are computed from those of the convolution and the norm.
    Tune,
    /// One convolution, whose weights were computed once and are parameters from then on.
    Deploy,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Train, Self::Eval, Self::Tune, Self::Deploy];

    /// How layers behave.
    pub fn mode(self) -> Mode {
        if self == Self::Train { Mode::Train } else { Mode::Eval }
    }

    /// Name of the network that it trains.
    pub fn net(self) -> &'static str {
        if self == Self::Deploy { FOLDED } else { NET }
    }
}

/// A convolution with its norm.
#[derive(Module, Debug)]
pub struct Block {
    pub conv: Conv2d,
    pub norm: BatchNorm,
}

impl Block {
    /// Maps of images `[rows, channels, height, width]`, before the activation.
    pub fn forward(&self, x: Tensor<4>, way: Way, pass: &mut Pass) -> Tensor<4> {
        match way {
            Way::Train | Way::Eval => self.norm.forward(self.conv.forward(x), pass),
            Way::Tune | Way::Deploy => self.folded().forward(x),
        }
    }

    /// The convolution that does what both do in evaluation: its weights are functions of theirs.
    pub fn folded(&self) -> Conv2d {
        let [scale, shift] = self.norm.line();
        let channels = scale.dims()[0];
        let weight = self.conv.weight.val() * scale.clone().reshape([channels, 1, 1, 1]);
        let shift = match &self.conv.bias {
            Some(bias) => shift + scale * bias.val(),
            None => shift,
        };
        Conv2d {
            weight: Param::initialized(ParamId::new(), weight),
            bias: Some(Param::initialized(ParamId::new(), shift)),
            ..self.conv.clone()
        }
    }
}

/// Blocks.
#[derive(Module, Debug)]
pub struct Net {
    pub blocks: Vec<Block>,
}

impl Net {
    /// The first `depth` blocks.
    pub fn new(depth: usize, b: &mut Builder) -> Self {
        let block = |&(channels, stride): &([usize; 2], usize)| Block {
            conv: b.conv2d(channels, 3, stride, 1, false),
            norm: b.batch_norm(channels[1]),
        };
        Self { blocks: BLOCKS.iter().take(depth).map(block).collect() }
    }
}

/// The same number of convolutions, with biases.
#[derive(Module, Debug)]
pub struct Folded {
    convs: Vec<Conv2d>,
}

impl Folded {
    pub fn new(depth: usize, b: &mut Builder) -> Self {
        let conv = |&(channels, stride): &([usize; 2], usize)| b.conv2d(channels, 3, stride, 1, true);
        Self { convs: BLOCKS.iter().take(depth).map(conv).collect() }
    }
}

/// What the first `depth` blocks make of images `[rows, pixels]`.
pub fn maps(tape: &mut Tape, x: Tensor<2>, way: Way, depth: usize) -> Tensor<4> {
    let rows = x.dims()[0];
    let mut x = x.reshape([rows, 1, SIDE, SIDE]);
    if way == Way::Deploy {
        let net = tape.net(FOLDED, |builder| Folded::new(depth, builder));
        return net.convs.iter().fold(x, |x, conv| activation::relu(conv.forward(x)));
    }
    let net = tape.net(NET, |builder| Net::new(depth, builder));
    let mut own = Pass::new(way.mode());
    for block in &net.blocks {
        // Batch norms tell what becomes of their statistics to the pass of the step; other ways have none.
        let pass = if way == Way::Train { tape.pass() } else { &mut own };
        x = activation::relu(block.forward(x, way, pass));
    }
    x
}

/// The output of an average over the maps of all blocks, `[rows, classes]`; `head`: name of the layer.
pub fn logits(tape: &mut Tape, x: Tensor<2>, way: Way, head: &str, classes: usize) -> Tensor<2> {
    let maps = maps(tape, x, way, BLOCKS.len());
    let [rows, channels, height, width] = maps.dims();
    let features = (maps.sum_dims(&[2, 3]) / (height * width) as f64).reshape([rows, channels]);
    tape.net(head, |builder| builder.linear(channels, classes, true, Init::linear_normal(channels))).forward(features)
}

/// Sets the parameters of the folded network to what does as the network does in evaluation.
pub fn fold(tape: &mut Tape) {
    let net = tape.net(NET, |builder| Net::new(BLOCKS.len(), builder));
    tape.net(FOLDED, |builder| Folded::new(BLOCKS.len(), builder));
    tape.set(FOLDED, &flat(&net.blocks));
}

/// Weights and biases of the convolutions that blocks fold into, one after another.
pub fn flat<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> Tensor<1> {
    let mut parts = Vec::new();
    for conv in blocks.into_iter().map(Block::folded) {
        let weight = conv.weight.val();
        let count = weight.dims().iter().product::<usize>();
        parts.push(weight.reshape([count]));
        parts.extend(conv.bias.map(|bias| bias.val()));
    }
    Tensor::cat(parts, 0)
}
