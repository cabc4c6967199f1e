//! The network and its updates: of the base classes by some of the tricks, and of a session.

use burn::tensor::Tensor;

use engine::model::{Init, Mode, ModelError};
use engine::objective::recorded::cross_entropy;
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Tape, Traced, trace};

use crate::encoder::{BATCH, ConvEncoder, NET, pictures, unit_rows};
use crate::pairs::Batch;

/// Numbers of a vector: room for the vertices of all classes.
pub const DIMS: usize = 96;
/// Pictures of an update on base classes, each in two views.
pub const PAIRS: usize = 32;
/// Quarter turns.
pub const TURNS: usize = 4;
/// What is learned beside the encoder: vectors of classes, and which way up a picture is.
pub const HEAD: &str = "head";
const WAY_UP: &str = "way up";
/// Factor on cosines before the softmax.
const SHARPNESS: f64 = 16.0;

/// Which tricks the training on base classes has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tricks {
    /// Supervised contrast beside the cross-entropy.
    pub contrast: bool,
    /// Classes are tied to vertices; else their vectors are learned.
    pub vertices: bool,
    /// Turned pictures are classes of their own.
    pub pseudo: bool,
    /// The encoder begins where telling pictures from one another led it.
    pub pretraining: bool,
    /// Turned pictures are told apart by a head of their own.
    pub rotation: bool,
}

impl Tricks {
    /// Whether updates have turned pictures.
    pub fn turned(self) -> bool {
        self.pseudo || self.rotation
    }

    /// Pictures of an update.
    pub fn rows(self) -> usize {
        if self.turned() { 3 * PAIRS } else { 2 * PAIRS }
    }

    /// The label of a base class's picture after so many quarter turns: `4 class + turns`, or the vertex of the class and,
    /// behind all `vertices`, the turned classes.
    pub fn label(self, class: usize, turns: usize, vertices: usize) -> u32 {
        let label = match (self.pseudo, self.vertices) {
            (false, _) => class,
            (true, false) => TURNS * class + turns,
            (true, true) if turns == 0 => class,
            (true, true) => vertices + (TURNS - 1) * class + turns - 1,
        };
        label as u32
    }
}

/// Shapes of a study.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Channels, height, width of a picture.
    pub shape: [usize; 3],
    /// Channels of the first convolution.
    pub width: usize,
    /// Base classes, and all of them.
    pub base: usize,
    pub classes: usize,
    /// Divides similarities in the contrasts.
    pub temperature: f64,
}

impl Form {
    fn encoder(&self, tape: &mut Tape) -> ConvEncoder {
        let widths = [1, 2, 4].map(|times| times * self.width);
        tape.net(NET, |builder| ConvEncoder::sized(builder, self.shape, widths, DIMS))
    }

    /// The vectors of a batch, of length 1.
    pub fn embedding(&self) -> Result<Traced, ModelError> {
        trace("embed", Mode::Eval, |tape| {
            let x = pictures(tape, BATCH, self.shape);
            let vectors = self.encoder(tape).forward(x);
            tape.fetch("vectors", &unit_rows(vectors));
            Ok(())
        })
    }

    /// Two views of a picture are to be alike, and unlike all others (NT-Xent, Chen et al. 2020): the contrast in which every
    /// picture is a class.
    pub fn pretraining(&self) -> Result<Traced, ModelError> {
        trace("pretraining", Mode::Train, |tape| {
            let x = pictures(tape, 2 * PAIRS, self.shape);
            let own = tape.labels("own", [2 * PAIRS]);
            let z = unit_rows(self.encoder(tape).forward(x));
            tape.minimise(
                NET,
                &Batch::new(z.clone().matmul(z.transpose()) / self.temperature, own).contrast(),
                &adam(),
            );
            Ok(())
        })
    }

    /// An update on base classes. Pictures: one view of each, the other, and where the tricks need them the first views
    /// turned.
    pub fn learning(&self, name: &'static str, tricks: Tricks) -> Result<Traced, ModelError> {
        trace(name, Mode::Train, |tape| {
            let features = self.encoder(tape).forward(pictures(tape, tricks.rows(), self.shape));
            let z = unit_rows(features.clone());
            let views = z.clone().slice(0..2 * PAIRS);
            let held = if tricks.pseudo { z } else { views.clone() };
            let labels = tape.labels("labels", [held.dims()[0]]);
            let vertices = if tricks.vertices { self.classes } else { 0 };
            let learned = match (tricks.vertices, tricks.pseudo) {
                (false, false) => self.base,
                (false, true) => TURNS * self.base,
                (true, false) => 0,
                (true, true) => (TURNS - 1) * self.base,
            };
            let mut weights: Vec<Tensor<2>> = Vec::new();
            if tricks.vertices {
                weights.push(tape.input("vertices", [vertices, DIMS]));
            }
            if learned > 0 {
                let head = tape.net(HEAD, |builder| builder.linear(DIMS, learned, false, Init::linear_normal(DIMS)));
                weights.push(unit_rows(head.weight.val().transpose()));
            }
            let logits = held.matmul(Tensor::cat(weights, 0).transpose()) * SHARPNESS;
            let mut loss = cross_entropy(logits, labels).mean();
            if tricks.contrast {
                let classes = tape.labels("classes", [2 * PAIRS]);
                loss =
                    loss + Batch::new(views.clone().matmul(views.transpose()) / self.temperature, classes).contrast();
            }
            if tricks.rotation {
                let turns = tape.labels("turns", [3 * PAIRS]);
                let head = tape.net(WAY_UP, |builder| builder.linear(DIMS, TURNS, true, Init::linear_normal(DIMS)));
                loss = loss + cross_entropy(head.forward(features), turns).mean();
                tape.minimise(WAY_UP, &loss, &adam());
            }
            if learned > 0 {
                tape.minimise(HEAD, &loss, &adam());
            }
            tape.minimise(NET, &loss, &adam());
            tape.metric("loss", &loss);
            Ok(())
        })
    }

    /// Nets of such an update that learn.
    pub fn learners(tricks: Tricks) -> Vec<&'static str> {
        let head = !tricks.vertices || tricks.pseudo;
        [(NET, true), (HEAD, head), (WAY_UP, tricks.rotation)]
            .into_iter()
            .filter(|net| net.1)
            .map(|net| net.0)
            .collect()
    }

    /// An update of a session on so many pictures: towards the vectors of their classes and away from those of all classes
    /// that are open. `mask`: which parameters of the encoder change.
    pub fn session(&self, rows: usize) -> Result<Traced, ModelError> {
        trace("session", Mode::Train, |tape| {
            let x = pictures(tape, rows, self.shape);
            let labels = tape.labels("labels", [rows]);
            let z = unit_rows(self.encoder(tape).forward(x));
            let init = Init::linear_normal(DIMS);
            let head = tape.net("targets", |builder| builder.linear(DIMS, self.classes, false, init));
            let open = tape.input("open", [1, self.classes]).expand([rows, self.classes]);
            let weights = unit_rows(head.weight.val().transpose());
            let loss = cross_entropy(z.matmul(weights.transpose()) * SHARPNESS + open, labels).mean();
            let parameters = tape.layout(NET).len();
            let mask = tape.input("mask", [parameters]);
            tape.scale_rates(NET, &mask);
            tape.minimise(NET, &loss, &adam());
            tape.minimise("targets", &loss, &adam());
            Ok(())
        })
    }
}

fn adam() -> OptimizerSpec {
    OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::default() }
}
