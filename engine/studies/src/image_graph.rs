//! MNIST as a graph: every image is a node, linked to its nearest others in a random projection.

use engine::data::{Rows, Scaling, Split, channel_scaling};
use engine::neighbours::{self, Graph};
use engine::rng::{Rng, Stream};
use engine::spec::{DataSet, DataSpec};

use super::{Context, StudyError};

/// Nearest neighbours of a node, and the dimensions in which they are found.
const DEGREE: usize = 10;
const PROJECTED: usize = 50;

/// The nodes' features and classes, and who is near whom. The first four fifths of them are for training.
pub struct ImageGraph {
    /// Standardised pixels, or a random projection of them: row-major, one row a node.
    pub features: Vec<f32>,
    /// Floats of a row.
    pub width: usize,
    labels: Vec<u32>,
    graph: Graph,
    train: usize,
    /// Nodes that a step is about, and how many neighbours it reads of each, and of each of these.
    pub batch: usize,
    pub fan_out: usize,
}

impl ImageGraph {
    /// The first `nodes` training images; features of `width` floats, or the pixels; steps about `batch` nodes that read
    /// `fan_out` neighbours of each. Progress runs from 0 to `done`.
    ///
    /// # Errors
    /// The data cannot be had, are no images, or too few for a graph.
    pub async fn build(
        context: &mut Context<'_>,
        nodes: usize,
        width: Option<usize>,
        [batch, fan_out]: [usize; 2],
        done: f64,
    ) -> Result<Self, StudyError> {
        let data = context.data(&DataSpec::of(DataSet::Mnist)).await?;
        let (Rows::U8(pixels), Some(labels)) = (data.rows(), data.labels()) else {
            return Err(StudyError::Other("the study needs images with classes".into()));
        };
        let size = data.row_shape().iter().product::<usize>().max(1);
        let range = data.range(Split::Train);
        let nodes = range.start..range.end.min(range.start + nodes);
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
            context.progress(done * first as f64 / count as f64, "finding nearest neighbours");
            context.breathe().await?;
        }
        let features = match width {
            None => pixels,
            Some(width) => {
                let columns = neighbours::project(&pixels, size, width, Rng::new(1, Stream::Generate, 1));
                (0..count * width).map(|at| columns[at % width * count + at / width]).collect()
            }
        };
        let graph = Graph::regular(targets, DEGREE);
        let (width, labels, train) = (width.unwrap_or(size), labels[nodes].to_vec(), count * 4 / 5);
        Ok(Self { features, width, labels, graph, train, batch, fan_out })
    }

    /// Nodes in all.
    pub fn nodes(&self) -> usize {
        self.labels.len()
    }

    /// Nodes for testing.
    pub fn tests(&self) -> usize {
        self.nodes() - self.train
    }

    /// All nodes, those that most others have as a neighbour first.
    pub fn by_use(&self) -> Vec<u32> {
        self.graph.by_use()
    }

    /// Rows that a step reads.
    pub fn rows(&self) -> usize {
        self.batch * (1 + self.fan_out + self.fan_out * self.fan_out)
    }

    /// Rows that training step `step` reads under a seed, hop by hop; the first are the nodes that it is about.
    pub fn training(&self, seed: u64, step: usize) -> Vec<u32> {
        let mut rng = Rng::new(seed, Stream::Sample, step as u32);
        let nodes: Vec<u32> = (0..self.batch).map(|_| rng.below(self.train as u32)).collect();
        self.graph.neighbourhood(&nodes, &[self.fan_out; 2], &mut rng)
    }

    /// Rows for the test nodes `first` and on, which repeat from the start behind the last one.
    pub fn testing(&self, first: usize) -> Vec<u32> {
        let nodes: Vec<u32> = (first..first + self.batch).map(|at| (self.train + at % self.tests()) as u32).collect();
        self.graph.neighbourhood(&nodes, &[self.fan_out; 2], &mut Rng::new(0, Stream::Sample, first as u32))
    }

    /// Classes of the nodes that a step over `rows` is about.
    pub fn classes(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter().take(self.batch).map(|&row| self.labels[row as usize]).collect()
    }
}
