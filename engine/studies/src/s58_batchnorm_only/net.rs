//! Networks in which batch norm follows every layer, and which of their parameters learn.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, activation};
use engine::model::{BatchNorm, Builder, Init, ParamEntry, ParamLayout, Pass};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::Trained;
use engine::tape::Tape;

/// Name of the network.
pub const NET: &str = "net";
/// Side of the images.
pub const SIDE: usize = 8;
/// Digits.
const CLASSES: usize = 10;
/// What a norm has for each channel: a scale and a shift.
const NUMBERS: usize = 2;

/// What a network is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// A convolution of stride 2, then blocks of two convolutions around which the input is added; so wide throughout.
    Residual { width: usize, blocks: usize },
    /// Hidden layers, so wide.
    Mlp { width: usize, layers: usize },
}

/// Which of a network's parameters learn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// Whole groups.
    Groups(Trained),
    /// As many weights as norms have numbers, spread alike: two of each channel, drawn at random.
    Scattered,
}

/// Layers, each with its norm, and a linear output.
#[derive(Module, Debug)]
pub struct Net {
    convs: Vec<Conv2d>,
    linears: Vec<Linear>,
    norms: Vec<BatchNorm>,
    head: Linear,
}

impl Net {
    /// A network whose norms' scales start from `gamma`.
    pub fn new(form: Form, gamma: Init, b: &mut Builder) -> Self {
        let (mut convs, mut linears) = (Vec::new(), Vec::new());
        let (width, layers) = match form {
            Form::Residual { width, blocks } => {
                convs.push(b.conv2d([1, width], 3, 2, 1, false));
                convs.extend((0..2 * blocks).map(|_| b.conv2d([width; 2], 3, 1, 1, false)));
                (width, 1 + 2 * blocks)
            }
            Form::Mlp { width, layers } => {
                let inputs = |layer| if layer == 0 { SIDE * SIDE } else { width };
                let linear = |layer| b.linear(inputs(layer), width, false, Init::kaiming_normal(inputs(layer)));
                linears.extend((0..layers).map(linear));
                (width, layers)
            }
        };
        let norms = (0..layers).map(|_| b.batch_norm_of(width, gamma, 0)).collect();
        Self { convs, linears, norms, head: b.linear(width, CLASSES, true, Init::linear_normal(width)) }
    }

    /// Logits of images `[rows, pixels]`.
    pub fn forward(&self, mut x: Tensor<2>, pass: &mut Pass) -> Tensor<2> {
        for (linear, norm) in self.linears.iter().zip(&self.norms) {
            x = activation::relu(norm.forward(linear.forward(x), pass));
        }
        if let [stem, blocks @ ..] = self.convs.as_slice() {
            let rows = x.dims()[0];
            let mut layers = self.norms.iter();
            let mut layer = |conv: &Conv2d, x: Tensor<4>| match layers.next() {
                Some(norm) => norm.forward(conv.forward(x), pass),
                None => x,
            };
            let mut image = activation::relu(layer(stem, x.reshape([rows, 1, SIDE, SIDE])));
            for pair in blocks.chunks(2) {
                let mut inner = layer(&pair[0], image.clone());
                for second in &pair[1..] {
                    inner = layer(second, activation::relu(inner));
                }
                image = activation::relu(image + inner);
            }
            let [_, channels, height, width] = image.dims();
            x = (image.sum_dims(&[2, 3]) / (height * width) as f64).reshape([rows, channels]);
        }
        self.head.forward(x)
    }
}

/// Lets a part of the network learn; the mask of scattered weights is the state [`MASK`].
pub fn learns(tape: &mut Tape, part: Part) {
    match part {
        Part::Groups(trained) => {
            let layout = tape.layout(NET).trained(trained);
            let mut rates = layout.entries().iter().map(|entry| entry.rate);
            tape.rates(NET, |_| rates.next().unwrap_or(0.0));
        }
        Part::Scattered => {
            let size = tape.layout(NET).len();
            let mask = tape.state(MASK, [size]);
            tape.scale_rates(NET, &mask);
        }
    }
}

/// State: 1 for each weight that learns, else 0.
pub const MASK: &str = "mask";

/// So many weights of each channel as its norm has numbers, at random.
pub fn scattered(layout: &ParamLayout, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(own_seed(seed, "scattered"), Stream::Sample, 0);
    let mut mask = vec![0.0; layout.len()];
    for entry in layout.entries().iter().filter(|entry| is_hidden(entry)) {
        let size = entry.shape.iter().product::<usize>();
        // Channels are the rows of a convolution's weights and the columns of a dense layer's.
        let columns = entry.shape.len() == 2;
        let channels = entry.shape[usize::from(columns)];
        let inputs = size / channels;
        for channel in 0..channels {
            let mut places: Vec<usize> = (0..inputs).collect();
            rng.shuffle(&mut places);
            for place in places.into_iter().take(NUMBERS) {
                let within = if columns { place * channels + channel } else { channel * inputs + place };
                mask[entry.offset + within] = 1.0;
            }
        }
    }
    mask
}

/// Which parameters learn, by their places.
pub fn learning(layout: &ParamLayout, part: Part, seed: u64) -> Vec<usize> {
    match part {
        Part::Groups(trained) => {
            let layout = layout.clone().trained(trained);
            let entries = layout.entries().iter().filter(|entry| entry.rate != 0.0);
            entries.flat_map(|entry| entry.offset..entry.offset + entry.shape.iter().product::<usize>()).collect()
        }
        Part::Scattered => {
            let mask = scattered(layout, seed);
            (0..mask.len()).filter(|&place| mask[place] == 1.0).collect()
        }
    }
}

/// Whether these are the weights of a layer that a norm follows.
pub fn is_hidden(entry: &ParamEntry) -> bool {
    entry.name.ends_with("weight") && !entry.name.starts_with("head")
}

/// The scales of all norms.
pub fn gammas(layout: &ParamLayout, theta: &[f32]) -> Vec<f32> {
    let entries = layout.entries().iter().filter(|entry| entry.name.ends_with("gamma"));
    entries.flat_map(|entry| &theta[entry.offset..entry.offset + entry.shape[0]]).copied().collect()
}

/// Parameters in which the scales of less than `least` in size are 0.
pub fn without_small(layout: &ParamLayout, theta: &[f32], least: f64) -> Vec<f32> {
    let mut theta = theta.to_vec();
    for entry in layout.entries().iter().filter(|entry| entry.name.ends_with("gamma")) {
        for gamma in &mut theta[entry.offset..entry.offset + entry.shape[0]] {
            if f64::from(gamma.abs()) < least {
                *gamma = 0.0;
            }
        }
    }
    theta
}
