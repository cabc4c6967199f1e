//! From tables and indices to a batch: the part of a step's graph that reads the data set on the device.
//!
//! The tables ([`TABLE_X`], [`TABLE_Y`]) hold training rows first, then test rows. A step receives row numbers and
//! gathers its batch inside the plan, so no example crosses from host to device twice.

use std::ops::Range;

use super::TrainError;
use crate::data::{Data, Rows, Split, Target, Values, channel_scaling};
use crate::graph::{DType, Graph, GraphError, InputKind, NodeId, numel};
use crate::spec::{Loss, ModelSpec, RunSpec};

/// Name of the table of inputs: pixels, features, or tokens and time steps in order.
pub const TABLE_X: &str = "data.x";
/// Name of the table of labels or regression targets.
pub const TABLE_Y: &str = "data.y";

/// Test examples evaluated at most, the first ones.
const MOST_TESTED: usize = 2000;

/// How examples lie in the tables.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    /// Pixels u8 `[rows, c * h * w]`, labels u32 `[rows]`; the targets are the labels, or the images themselves.
    Images {
        /// Examples in the table.
        rows: usize,
        /// Channels, height, width.
        shape: [usize; 3],
        /// Classes.
        classes: usize,
        /// Mean of each channel of the training set, in pixel units (0 to 255).
        mean: Vec<f32>,
        /// Standard deviation of each channel, likewise.
        deviation: Vec<f32>,
        /// Whether the images are to be restored instead of classified.
        restored: bool,
    },
    /// Features f32 `[rows, features]`, standardised; labels u32 `[rows]`.
    Table {
        /// Examples in the table.
        rows: usize,
        /// Features of an example.
        features: usize,
        /// Classes.
        classes: usize,
    },
    /// Features f32 `[rows, features]`, standardised; targets f32 `[rows, targets]`.
    Regression {
        /// Examples in the table.
        rows: usize,
        /// Features of an example.
        features: usize,
        /// Numbers to predict.
        targets: usize,
    },
    /// Tokens u32 `[rows]`; an example is a window that starts at its index, its targets are one further.
    Text {
        /// Characters in the table.
        rows: usize,
        /// Characters of a window.
        context: usize,
        /// Different characters.
        vocabulary: usize,
    },
    /// Time steps f32 `[rows, channels]`, standardised; an example is `window` steps from its index, its target the next
    /// `horizon` steps of channel `target`.
    Series {
        /// Time steps in the table.
        rows: usize,
        /// Measured quantities.
        channels: usize,
        /// Past steps shown.
        window: usize,
        /// Future steps to predict.
        horizon: usize,
        /// The channel to predict.
        target: usize,
    },
}

/// What a batch should be mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// u32 class of each example `[b]`, or of each position `[b, t]`.
    Classes(NodeId),
    /// f32 values `[b, d]`.
    Values(NodeId),
}

/// A batch as graph values.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Images f32 `[b, c, h, w]` (0 to 255), features f32 `[b, f]`, or tokens u32 `[b, t]`.
    pub x: NodeId,
    /// What to predict.
    pub targets: Targets,
}

impl Feed {
    /// How the examples of `data` lie in the tables, for the model of `spec`.
    pub fn of(data: &Data, spec: &RunSpec) -> Result<Self, TrainError> {
        let numbers = match data.rows() {
            Rows::U8(values) => values.len(),
            Rows::F32(values) => values.len(),
            Rows::U32(values) => values.len(),
        };
        let rows = numbers / numel(&data.row_shape()).max(1);
        Ok(match &data.values {
            Values::Images(images) => {
                let scaling = channel_scaling(data);
                Feed::Images {
                    rows,
                    shape: images.shape,
                    classes: images.classes.len(),
                    mean: scaling.iter().map(|channel| channel.mean as f32 * 255.0).collect(),
                    deviation: scaling.iter().map(|channel| channel.std as f32 * 255.0).collect(),
                    restored: spec.objective.kind == Loss::Restore,
                }
            }
            Values::Table(table) => match &table.target {
                Target::Classes { names, .. } => {
                    Feed::Table { rows, features: table.columns.len(), classes: names.len() }
                }
                Target::Number { .. } => Feed::Regression { rows, features: table.columns.len(), targets: 1 },
            },
            Values::Text(text) => {
                let ModelSpec::Gpt(model) = &spec.model else {
                    return Err(TrainError::Spec("text needs a GPT as its model".to_owned()));
                };
                Feed::Text { rows, context: model.context, vocabulary: text.vocabulary.len() }
            }
            Values::Series(series) => Feed::Series {
                rows,
                channels: series.columns.len(),
                window: spec.data.window,
                horizon: spec.data.horizon,
                target: series.target,
            },
        })
    }

    /// The tables' contents as bytes, by name.
    pub fn tables<'a>(&self, data: &'a Data) -> Vec<(&'static str, &'a [u8])> {
        let x: &[u8] = match data.rows() {
            Rows::U8(values) => values,
            Rows::F32(values) => bytemuck::cast_slice(values),
            Rows::U32(values) => bytemuck::cast_slice(values),
        };
        let y = match &data.values {
            Values::Table(crate::data::Table { target: Target::Number { values, .. }, .. }) => {
                Some(bytemuck::cast_slice(values))
            }
            _ => data.labels().map(bytemuck::cast_slice),
        };
        [(TABLE_X, x)].into_iter().chain(y.map(|y| (TABLE_Y, y))).collect()
    }

    /// Consecutive table rows that one example covers.
    pub fn span(&self) -> usize {
        match *self {
            Feed::Images { .. } | Feed::Table { .. } | Feed::Regression { .. } => 1,
            Feed::Text { context, .. } => context + 1,
            Feed::Series { window, horizon, .. } => window + horizon,
        }
    }

    /// Training examples as table rows. Windows of text and series start at every row that leaves them whole.
    pub fn train_rows(&self, data: &Data) -> Vec<u32> {
        data.examples(Split::Train, self.span()).map(|row| row as u32).collect()
    }

    /// Test examples as table rows. Windows of text and series do not overlap, so that each position counts once.
    pub fn test_rows(&self, data: &Data) -> Vec<u32> {
        let examples: Range<usize> = data.examples(Split::Test, self.span());
        let stride = match *self {
            Feed::Text { context, .. } => context,
            Feed::Series { horizon, .. } => horizon,
            _ => 1,
        };
        examples.step_by(stride.max(1)).take(MOST_TESTED).map(|row| row as u32).collect()
    }

    /// Whether an answer is right or wrong (and not near or far).
    pub fn has_classes(&self) -> bool {
        match self {
            Feed::Images { restored, .. } => !restored,
            Feed::Table { .. } | Feed::Text { .. } => true,
            Feed::Regression { .. } | Feed::Series { .. } => false,
        }
    }

    /// Shape and type of one example as the model sees it (without the batch axis).
    pub fn example(&self) -> (Vec<usize>, DType) {
        match *self {
            Feed::Images { shape, .. } => (shape.to_vec(), DType::F32),
            Feed::Table { features, .. } | Feed::Regression { features, .. } => (vec![features], DType::F32),
            Feed::Text { context, .. } => (vec![context], DType::U32),
            Feed::Series { channels, window, .. } => (vec![window * channels], DType::F32),
        }
    }

    /// Width of the model's output: classes, characters, or numbers to predict.
    pub fn outputs(&self) -> usize {
        match *self {
            Feed::Images { shape, restored: true, .. } => numel(&shape),
            Feed::Images { classes, .. } | Feed::Table { classes, .. } => classes,
            Feed::Regression { targets, .. } => targets,
            Feed::Text { vocabulary, .. } => vocabulary,
            Feed::Series { horizon, .. } => horizon,
        }
    }

    /// Pixels to numbers of mean 0 and deviation 1 over the training set; other inputs are that already.
    pub fn standardise(&self, graph: &mut Graph, x: NodeId) -> Result<NodeId, GraphError> {
        let Feed::Images { shape: [channels, ..], ref mean, ref deviation, .. } = *self else { return Ok(x) };
        let mean = graph.literal(mean, &[1, channels, 1, 1])?;
        let scale: Vec<f32> = deviation.iter().map(|deviation| 1.0 / deviation).collect();
        let scale = graph.literal(&scale, &[1, channels, 1, 1])?;
        let x = graph.sub(x, mean)?;
        graph.mul(x, scale)
    }

    /// Gathers the batch of the u32 `index` `[b]`; images in pixel units.
    pub fn gather(&self, graph: &mut Graph, index: NodeId) -> Result<Batch, GraphError> {
        let batch = numel(graph.shape(index));
        let table = |graph: &mut Graph, name: &str, shape: &[usize], dtype: DType| {
            graph.input(name, shape, dtype, InputKind::Table)
        };
        match *self {
            Feed::Images { rows, shape, .. } => {
                let [channels, height, width] = shape;
                let pixels = table(graph, TABLE_X, &[rows, numel(&shape)], DType::U8)?;
                let labels = table(graph, TABLE_Y, &[rows], DType::U32)?;
                let x = graph.take_rows(pixels, index)?;
                let x = graph.reshape(x, &[batch, channels, height, width])?;
                Ok(Batch { x, targets: Targets::Classes(graph.take_rows(labels, index)?) })
            }
            Feed::Table { rows, features, .. } => {
                let table_x = table(graph, TABLE_X, &[rows, features], DType::F32)?;
                let labels = table(graph, TABLE_Y, &[rows], DType::U32)?;
                let x = graph.take_rows(table_x, index)?;
                Ok(Batch { x, targets: Targets::Classes(graph.take_rows(labels, index)?) })
            }
            Feed::Regression { rows, features, targets } => {
                let table_x = table(graph, TABLE_X, &[rows, features], DType::F32)?;
                let table_y = table(graph, TABLE_Y, &[rows, targets], DType::F32)?;
                let x = graph.take_rows(table_x, index)?;
                Ok(Batch { x, targets: Targets::Values(graph.take_rows(table_y, index)?) })
            }
            Feed::Text { rows, context, .. } => {
                let tokens = table(graph, TABLE_X, &[rows], DType::U32)?;
                let here = window(graph, index, context, 0)?;
                let next = window(graph, index, context, 1)?;
                let x = graph.take_rows(tokens, here)?;
                Ok(Batch { x, targets: Targets::Classes(graph.take_rows(tokens, next)?) })
            }
            Feed::Series { rows, channels, window: past, horizon, target } => {
                let steps = table(graph, TABLE_X, &[rows, channels], DType::F32)?;
                let shown = window(graph, index, past, 0)?;
                let ahead = window(graph, index, horizon, past)?;
                let x = graph.take_rows(steps, shown)?;
                let x = graph.reshape(x, &[batch, past * channels])?;
                let future = graph.take_rows(steps, ahead)?;
                let future = graph.slice(future, &[0, 0, target], &[batch, horizon, 1])?;
                Ok(Batch { x, targets: Targets::Values(graph.reshape(future, &[batch, horizon])?) })
            }
        }
    }
}

/// u32 `[b, length]`: `index + offset`, `index + offset + 1`, ... Exact below 2^24 rows, where f32 holds every integer.
fn window(graph: &mut Graph, index: NodeId, length: usize, offset: usize) -> Result<NodeId, GraphError> {
    let batch = numel(graph.shape(index));
    let start = graph.cast(index, DType::F32)?;
    let start = graph.reshape(start, &[batch, 1])?;
    let ahead = graph.iota(&[batch, length], 1)?;
    let ahead = graph.add_scalar(ahead, offset as f32)?;
    let place = graph.add(start, ahead)?;
    graph.cast(place, DType::U32)
}
