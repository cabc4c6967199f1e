//! A hypernetwork that makes all weights of a small classifier from one number γ, and the steps over both.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, activation};
use engine::model::{Builder, Init, Mode, ModelError, ParamEntry, ParamLayout};
use engine::objective::recorded::cross_entropy;
use engine::spec::OptimizerSpec;
use engine::tape::{Play, StepId, Table, Tape, trace};

use super::{Activation, Encoding};
use crate::StudyError;

/// Name of the hypernetwork.
pub const HYPER: &str = "hyper";
/// Name of the classifier.
const CLASSIFIER: &str = "classifier";
/// Weights made for one γ.
const MADE: &str = "made";
/// Widths of the classifier, pixels first.
const WIDTHS: [usize; 4] = [64, 32, 32, 10];
/// Widths of the hypernetwork's hidden layers.
const HIDDEN: [usize; 2] = [16, 16];
/// Slope of a leaky rectifier below 0.
const LEAK: f64 = 0.01;

/// What a hypernetwork is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    /// How γ enters; none = as it is.
    pub encoding: Option<Encoding>,
    /// Whether the classifier starts from weights of its own, to which the hypernetwork adds.
    pub adds: bool,
    /// Between its layers.
    pub activation: Activation,
}

/// γ as the hypernetwork reads it: itself, or a point on a circle or on a line.
#[must_use]
pub fn code(encoding: Option<Encoding>, gamma: f64) -> Vec<f32> {
    let (sine, cosine) = libm::sincos(gamma * std::f64::consts::FRAC_PI_2);
    match encoding {
        None => vec![gamma as f32],
        Some(Encoding::Circle) => vec![cosine as f32, sine as f32],
        Some(Encoding::Line) => vec![gamma as f32, (1.0 - gamma) as f32],
    }
}

/// The classifier: rectified layers.
#[derive(Module, Debug)]
pub struct Classifier {
    layers: Vec<Linear>,
}

impl Classifier {
    /// As it would start by itself.
    pub fn new(builder: &mut Builder) -> Self {
        let layer = |pair: &[usize]| builder.linear(pair[0], pair[1], true, Init::kaiming_normal(pair[0]));
        Self { layers: WIDTHS.windows(2).map(layer).collect() }
    }

    /// Logits `[rows, classes]`.
    pub fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (place, layer) in self.layers.iter().enumerate() {
            x = if place == 0 { layer.forward(x) } else { layer.forward(activation::relu(x)) };
        }
        x
    }
}

/// The hypernetwork. For each tensor of the classifier it has a last layer of its own, and what that adds to: the bias of the
/// layer, which is 0 at the start or the weights of a classifier that stands by itself.
#[derive(Module, Debug)]
pub struct Hyper {
    hidden: Vec<Linear>,
    outs: Vec<Linear>,
    own: Vec<Param<Tensor<1>>>,
}

/// Of variance 2 over the numbers that a layer yields, for a leaky rectifier.
fn fan_out(outputs: usize) -> Init {
    Init::Normal((2.0 / (1.0 + LEAK * LEAK) / outputs as f64).sqrt() as f32)
}

impl Hyper {
    /// For a classifier that lies like this.
    pub fn new(form: Form, layout: &ParamLayout, builder: &mut Builder) -> Self {
        let mut width = code(form.encoding, 0.0).len();
        let mut hidden = Vec::new();
        for next in HIDDEN {
            hidden.push(builder.linear(width, next, true, fan_out(next)));
            width = next;
        }
        let numbers = |entry: &ParamEntry| entry.shape.iter().product::<usize>();
        let mut out = |entry: &ParamEntry| {
            let init = if is_bias(entry) { Init::Constant(0.0) } else { fan_out(numbers(entry)) };
            builder.linear(width, numbers(entry), false, init)
        };
        let outs = layout.entries().iter().map(&mut out).collect();
        let own = |entry: &ParamEntry| {
            builder.param([numbers(entry)], if form.adds { entry.init } else { Init::Constant(0.0) })
        };
        Self { hidden, outs, own: layout.entries().iter().map(own).collect() }
    }

    /// All weights `[weights]` from a code `[1, numbers]`.
    pub fn weights(&self, form: Form, code: Tensor<2>) -> Tensor<1> {
        let mut x = code;
        for layer in &self.hidden {
            x = activated(form.activation, layer.forward(x));
        }
        let made = self.outs.iter().zip(&self.own).map(|(out, own)| {
            let size = own.dims();
            out.forward(x.clone()).reshape(size) + own.val()
        });
        Tensor::cat(made.collect(), 0)
    }
}

/// Whether a tensor of the classifier is a bias.
pub fn is_bias(entry: &ParamEntry) -> bool {
    entry.init == Init::Constant(0.0)
}

fn activated(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::Leaky => activation::leaky_relu(x, LEAK),
        Activation::Relu => activation::relu(x),
        Activation::Tanh => x.tanh(),
        Activation::Gelu => activation::gelu(x),
    }
}

/// Both networks in a step: the classifier, and the weights that are made for it.
pub fn networks(tape: &mut Tape, form: Form) -> (Classifier, Tensor<1>) {
    let classifier = tape.net(CLASSIFIER, Classifier::new);
    let layout = tape.layout(CLASSIFIER);
    let hyper = tape.net(HYPER, |builder| Hyper::new(form, &layout, builder));
    let code = tape.input("code", [1, code(form.encoding, 0.0).len()]);
    let made = hyper.weights(form, code);
    (classifier, made)
}

/// The steps of an arm over pictures of 8×8 pixels.
pub struct Steps {
    /// An update: inputs `index`, `labels`, `code`; metric `gradient`.
    pub update: StepId,
    /// Makes the weights for `code`; fetched as `weights`.
    pub make: StepId,
    /// Answers `index` with the weights made last; fetched as `logits`.
    pub answer: StepId,
    /// Where the classifier's weights lie.
    pub layout: ParamLayout,
}

impl Steps {
    /// Recorded into a play: updates of so many rows, answers to so many.
    ///
    /// # Errors
    /// They cannot be recorded or run.
    pub async fn new(
        play: &mut Play<'_>,
        form: Form,
        rule: &OptimizerSpec,
        pictures: &Table,
        [batch, asked]: [usize; 2],
    ) -> Result<Self, StudyError> {
        let read = |tape: &mut Tape, rows: usize| tape.rows(pictures, "index", [rows, WIDTHS[0]]) * (1.0 / 255.0);
        let update = play.add(trace("update", Mode::Train, |tape| {
            let (x, labels) = (read(tape, batch), tape.labels("labels", [batch]));
            let (classifier, made) = networks(tape, form);
            let loss = cross_entropy(tape.with(&classifier, &made).forward(x), labels).mean();
            let theta = tape.flat(HYPER);
            let gradient = tape.grad(&loss, &theta);
            tape.descend(HYPER, &gradient, rule);
            tape.metric("gradient", &gradient.powf_scalar(2.0).sum().sqrt());
            Ok(())
        })?);
        let update = update.await?;
        let mut layout = ParamLayout::default();
        let make = play.add(trace("make", Mode::Eval, |tape| {
            let (_, made) = networks(tape, form);
            layout = tape.layout(CLASSIFIER);
            let _ = tape.state(MADE, made.dims());
            tape.keep(MADE, &made);
            tape.fetch("weights", &made);
            Ok(())
        })?);
        let make = make.await?;
        let answer = play.add(answer(pictures, asked, layout.len())?).await?;
        Ok(Self { update, make, answer, layout })
    }
}

fn answer(pictures: &Table, asked: usize, weights: usize) -> Result<engine::tape::Traced, ModelError> {
    trace("answer", Mode::Eval, |tape| {
        let x = tape.rows(pictures, "index", [asked, WIDTHS[0]]) * (1.0 / 255.0);
        let classifier = tape.net(CLASSIFIER, Classifier::new);
        let made = tape.state(MADE, [weights]);
        let logits = tape.with(&classifier, &made).forward(x);
        tape.fetch("logits", &logits);
        Ok(())
    })
}
