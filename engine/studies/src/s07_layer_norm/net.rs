//! Networks with and without norms: an LSTM that reads an image row by row, and a plain one.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Tensor, activation};
use engine::model::{BatchNorm, Builder, Init, ParamLayout, Pass};
use engine::nn::recurrent::Lstm;

/// Name of the network.
pub const NET: &str = "net";
/// Side of the images.
pub const SIDE: usize = 14;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Digits.
pub const CLASSES: usize = 10;
/// Units of each hidden layer of the plain network.
pub const WIDTH: usize = 128;

/// What normalizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    None,
    Batch,
    Layer,
}

/// What a network is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Reads the rows of an image one after another; so many cells. It has layer norms or none.
    Recurrent { cells: usize, normalized: bool },
    /// Two hidden layers of [`WIDTH`].
    Plain(Norms),
}

/// Layers, each with its norm, and a linear output.
#[derive(Module, Debug)]
pub struct Net {
    lstm: Option<Lstm>,
    hidden: Vec<Linear>,
    batch: Vec<BatchNorm>,
    layer: Vec<LayerNorm>,
    head: Linear,
}

impl Net {
    pub fn new(form: Form, b: &mut Builder) -> Self {
        let width = match form {
            Form::Recurrent { cells, .. } => cells,
            Form::Plain(_) => WIDTH,
        };
        let head = b.linear(width, CLASSES, true, Init::linear_normal(width));
        let mut net = Net { lstm: None, hidden: vec![], batch: vec![], layer: vec![], head };
        match form {
            Form::Recurrent { cells, normalized: true } => net.lstm = Some(Lstm::normalized(b, SIDE, cells)),
            Form::Recurrent { cells, normalized: false } => net.lstm = Some(Lstm::new(b, SIDE, cells)),
            Form::Plain(norms) => {
                for inputs in [PIXELS, WIDTH] {
                    net.hidden.push(b.linear(inputs, WIDTH, true, Init::kaiming_normal(inputs)));
                    match norms {
                        Norms::None => {}
                        Norms::Batch => net.batch.push(b.batch_norm(WIDTH)),
                        Norms::Layer => net.layer.push(b.layer_norm(WIDTH)),
                    }
                }
            }
        }
        net
    }

    /// Logits of images `[rows, PIXELS]`.
    pub fn forward(&self, mut x: Tensor<2>, pass: &mut Pass) -> Tensor<2> {
        if let Some(lstm) = &self.lstm {
            let rows = x.dims()[0];
            let (_, last) = lstm.forward(x.reshape([rows, SIDE, SIDE]), None, None);
            return self.head.forward(last.hidden);
        }
        for (place, linear) in self.hidden.iter().enumerate() {
            x = linear.forward(x);
            if let Some(norm) = self.batch.get(place) {
                x = norm.forward(x, pass);
            }
            if let Some(norm) = self.layer.get(place) {
                x = norm.forward(x);
            }
            x = activation::relu(x);
        }
        self.head.forward(x)
    }
}

/// Parameters in which every forget gate begins open, its bias 1 higher: the second quarter of the biases of what enters an LSTM.
pub fn remembering(layout: &ParamLayout, theta: &mut [f32]) {
    for entry in layout.entries().iter().filter(|entry| entry.name.ends_with("lstm.input.bias")) {
        let cells = entry.shape[0] / 4;
        theta[entry.offset + cells..][..cells].iter_mut().for_each(|bias| *bias += 1.0);
    }
}
