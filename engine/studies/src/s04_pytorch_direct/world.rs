//! What every arm works on: images as the nodes of a graph, and GraphSAGE over the rows that a [`Fetcher`] brings.

use burn::module::Module;
use burn::tensor::activation::relu;

use engine::data::{Rows, Scaling, Split, channel_scaling};
use engine::model::{Init, Mode, ModelError};
use engine::neighbours::{self, Graph};
use engine::nn::sage::SageLayer;
use engine::objective::recorded::{correct, cross_entropy};
use engine::rng::{Rng, Stream};
use engine::spec::{DataSet, DataSpec, OptimizerSpec, Rule};
use engine::tape::{Traced, Words, trace};

use super::{BATCH, FAN_OUT, NODES, RESIDENT, WIDTH, Width};
use crate::fetch::{Fetcher, Load, Way};
use crate::{Context, Knobs, StudyError};

/// Nearest neighbours of a node, and the dimensions in which they are found.
const DEGREE: usize = 10;
const PROJECTED: usize = 50;
/// Hidden features, and classes.
const HIDDEN: usize = 64;
const CLASSES: usize = 10;
/// Share of the study's work that building the graph takes.
pub const BUILT: f64 = 0.05;

/// The study's only net.
pub const NET: &str = "";
const LABELS: &str = "labels";
pub const CORRECT: &str = "correct";

/// What every arm works on.
pub struct World {
    pub knobs: Knobs,
    /// Row-major, one row a node.
    pub features: Vec<f32>,
    pub width: usize,
    labels: Vec<u32>,
    graph: Graph,
    by_use: Vec<u32>,
    /// Nodes before this one are for training.
    train: usize,
    pub batch: usize,
    fan_out: usize,
}

impl World {
    pub async fn build(context: &mut Context<'_>) -> Result<Self, StudyError> {
        let knobs = context.results.knobs.clone();
        let data = context.data(&DataSpec::of(DataSet::Mnist)).await?;
        let (Rows::U8(pixels), Some(labels)) = (data.rows(), data.labels()) else {
            return Err(StudyError::Other("the study needs images with classes".into()));
        };
        let size = data.row_shape().iter().product::<usize>().max(1);
        let range = data.range(Split::Train);
        let nodes = range.start..range.end.min(range.start + knobs.get(&NODES));
        let count = nodes.len();
        if count < 2 * DEGREE {
            return Err(StudyError::Other(format!("{count} images are too few for a graph")));
        }
        let scale = channel_scaling(&data).first().copied().unwrap_or(Scaling::IDENTITY);
        let standard = |&pixel: &u8| (f32::from(pixel) / 255.0 - scale.mean as f32) / scale.std as f32;
        let pixels: Vec<f32> = pixels[nodes.start * size..nodes.end * size].iter().map(standard).collect();
        context.progress(0.0, "projecting the images");
        context.breathe().await?;
        let points = neighbours::project(&pixels, size, PROJECTED, Rng::new(1, Stream::Generate, 0));
        let mut targets = Vec::with_capacity(count * DEGREE);
        for first in (0..count).step_by(100) {
            targets.extend(neighbours::nearest(&points, count, DEGREE, first..(first + 100).min(count)));
            context.progress(BUILT * first as f64 / count as f64, "finding nearest neighbours");
            context.breathe().await?;
        }
        let width = match knobs.get(&WIDTH) {
            Width::Pixels => size,
            Width::Hundred => 100,
            Width::Odd => 33,
        };
        let features = if width == size {
            pixels
        } else {
            let columns = neighbours::project(&pixels, size, width, Rng::new(1, Stream::Generate, 1));
            (0..count * width).map(|at| columns[at % width * count + at / width]).collect()
        };
        let graph = Graph::regular(targets, DEGREE);
        let (by_use, labels, train) = (graph.by_use(), labels[nodes].to_vec(), count * 4 / 5);
        let (batch, fan_out) = (knobs.get(&BATCH), knobs.get(&FAN_OUT));
        Ok(Self { knobs, features, width, labels, graph, by_use, train, batch, fan_out })
    }

    /// Rows that a step reads.
    pub fn rows(&self) -> usize {
        self.batch * (1 + self.fan_out + self.fan_out * self.fan_out)
    }

    pub fn fetcher(&self, arm: &str) -> Fetcher<'_> {
        let way = match arm {
            "A" => Way::Staged,
            "B" => Way::Resident(self.labels.len()),
            "C" => Way::Paged,
            _ => Way::Resident(self.labels.len() * self.knobs.get(&RESIDENT) / 100),
        };
        Fetcher::new(way, &self.features, self.width, self.rows(), &self.by_use)
    }

    /// Rows around the seeds of a step, these first.
    fn neighbourhood(&self, mut rng: Rng, seed: impl Fn(usize, &mut Rng) -> u32) -> Vec<u32> {
        let seeds: Vec<u32> = (0..self.batch).map(|at| seed(at, &mut rng)).collect();
        self.graph.neighbourhood(&seeds, &[self.fan_out; 2], &mut rng)
    }

    /// Rows that a training step reads under a seed; the first of them are the seeds of the neighbourhoods.
    pub fn training_rows(&self, seed: u64, step: usize) -> Vec<u32> {
        self.neighbourhood(Rng::new(seed, Stream::Sample, step as u32), |_, rng| rng.below(self.train as u32))
    }

    /// Rows for the test nodes `first` and on, which repeat from the start behind the last one.
    pub fn test_rows(&self, first: usize) -> Vec<u32> {
        let node = |at: usize| (self.train + (first + at) % self.tests()) as u32;
        self.neighbourhood(Rng::new(0, Stream::Sample, first as u32), |at, _| node(at))
    }

    /// A step over rows that are fetched: GraphSAGE with mean aggregation, two layers. It trains with Adam without decay, or
    /// says which seeds are classified correctly.
    pub fn step(&self, fetcher: &Fetcher<'_>, mode: Mode) -> Result<Traced, ModelError> {
        let (width, batch, fan_out) = (self.width, self.batch, self.fan_out);
        trace(if mode == Mode::Train { "step" } else { "evaluation" }, mode, |tape| {
            let x = fetcher.features(tape);
            // Node and neighbours add up: each output sums over twice the width.
            let net = tape.net(NET, |builder| Net {
                layer1: SageLayer::new(builder, [width, HIDDEN], Init::kaiming_normal(2 * width)),
                layer2: SageLayer::new(builder, [HIDDEN, CLASSES], Init::linear_normal(2 * HIDDEN)),
            });
            let labels = tape.labels(LABELS, [batch]);
            let hidden = relu(net.layer1.forward(&x, batch * (1 + fan_out), batch, fan_out));
            let logits = net.layer2.forward(&hidden, batch, batch, fan_out);
            if mode == Mode::Eval {
                tape.fetch(CORRECT, &correct(logits, labels));
                return Ok(());
            }
            let loss = cross_entropy(logits, labels).mean();
            tape.minimise(NET, &loss, &optimizer());
            tape.metric("loss", &loss);
            Ok(())
        })
    }

    /// Nodes for testing.
    pub fn tests(&self) -> usize {
        self.labels.len() - self.train
    }

    /// Classes of the nodes that a step is about.
    pub fn classes(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter().take(self.batch).map(|&row| self.labels[row as usize]).collect()
    }
}

#[derive(Module, Debug)]
struct Net {
    layer1: SageLayer,
    layer2: SageLayer,
}

pub fn optimizer() -> OptimizerSpec {
    OptimizerSpec { kind: Rule::AdamW, weight_decay: 0.0, ..OptimizerSpec::default() }
}

/// What a step is given.
pub fn inputs<'l>(load: &'l Load, labels: &'l [u32]) -> Vec<(&'static str, Words<'l>)> {
    load.inputs().into_iter().chain([(LABELS, Words::Classes(labels))]).collect()
}
