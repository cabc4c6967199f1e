//! What a script reads: the start and the data, as safetensors.

use std::collections::HashMap;

use engine::data::{Data, Rows, Target, Values};
use engine::train::Feed;
use safetensors::tensor::{Dtype, TensorView};

use crate::Error;
use crate::record::Record;
use crate::script::Script;

/// How a framework calls and keeps a parameter of the lab.
pub struct Name {
    /// What it calls it.
    pub name: String,
    /// Whether it keeps the matrix the other way round.
    pub transposed: bool,
}

/// A tensor on its way into a file.
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.to_owned(), dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// Numbers by which frameworks index.
    fn indices(name: &str, shape: &[usize], values: impl IntoIterator<Item = u32>) -> Self {
        let bytes = values.into_iter().flat_map(|value| i64::from(value).to_le_bytes()).collect();
        Self { name: name.to_owned(), dtype: Dtype::I64, shape: shape.to_vec(), bytes }
    }

    fn bytes(name: &str, shape: &[usize], bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), dtype: Dtype::U8, shape: shape.to_vec(), bytes }
    }
}

fn written(tensors: &[Tensor], link: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut views = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        views.push((tensor.name.as_str(), TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)?));
    }
    let metadata = link.map(|link| HashMap::from([("minibatch.link".to_owned(), link.to_owned())]));
    Ok(safetensors::serialize(views, metadata)?)
}

/// The parameters and running statistics that the run starts from, `names` saying what the framework calls each of them.
pub fn start(record: &Record, names: &dyn Fn(&str, &[usize]) -> Name) -> Result<Vec<u8>, Error> {
    let mut tensors = Vec::new();
    for entry in record.layout.entries() {
        let count = entry.shape.iter().product::<usize>();
        let values = &record.theta[entry.offset..entry.offset + count];
        let Name { name, transposed } = names(&entry.name, &entry.shape);
        tensors.push(match (transposed, &entry.shape[..]) {
            (true, &[rows, columns]) => {
                let turned: Vec<f32> =
                    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect();
                Tensor::floats(&name, &[columns, rows], &turned)
            }
            _ => Tensor::floats(&name, &entry.shape, values),
        });
    }
    for (name, values) in &record.running {
        tensors.push(Tensor::floats(&names(name, &[values.len()]).name, &[values.len()], values));
    }
    written(&tensors, None)
}

/// The tables of the data set, the rows of every update, and what the lab came to.
pub fn data(script: &Script<'_>, record: &Record, data: &Data) -> Result<Vec<u8>, Error> {
    let mut tensors = Vec::new();
    let shaped = |count: usize| {
        let row = data.row_shape();
        let rows = count / row.iter().product::<usize>().max(1);
        [vec![rows], row].concat()
    };
    tensors.push(match data.rows() {
        Rows::U8(values) => Tensor::bytes("x", &shaped(values.len()), values.to_vec()),
        Rows::F32(values) => Tensor::floats("x", &shaped(values.len()), values),
        // A vocabulary has at most 256 characters.
        Rows::U32(values) => {
            Tensor::bytes("x", &shaped(values.len()), values.iter().map(|&token| token as u8).collect())
        }
    });
    if let Values::Table(engine::data::Table { target: Target::Number { values, .. }, .. }) = &data.values {
        tensors.push(Tensor::floats("y", &[values.len(), 1], values));
    } else if let Some(labels) = data.labels() {
        tensors.push(Tensor::indices("y", &[labels.len()], labels.iter().copied()));
    }
    if let Feed::Images { shape: [channels, ..], mean, deviation, .. } = script.feed {
        tensors.push(Tensor::floats("mean", &[*channels, 1, 1], mean));
        tensors.push(Tensor::floats("std", &[*channels, 1, 1], deviation));
    }
    let rows = record.rows.iter().flatten().copied();
    if script.sized {
        let sizes = record.rows.iter().map(|rows| rows.len() as u32);
        tensors.push(Tensor::indices("rows", &[record.rows.iter().map(Vec::len).sum()], rows));
        tensors.push(Tensor::indices("sizes", &[record.rows.len()], sizes));
    } else {
        tensors.push(Tensor::indices("rows", &[record.rows.len(), record.rows.first().map_or(0, Vec::len)], rows));
    }
    let test = &record.test;
    tensors.push(Tensor::indices("test_rows", &[test.rows.len()], test.rows.iter().copied()));
    let of = |each: fn(&engine::train::StepMetrics) -> f32| record.metrics.iter().map(each).collect::<Vec<f32>>();
    let count = record.metrics.len();
    tensors.push(Tensor::floats("lab_losses", &[count], &of(|metrics| metrics.loss)));
    tensors.push(Tensor::floats("lab_rates", &[count], &of(|metrics| metrics.lr)));
    if script.moves_momentum {
        tensors.push(Tensor::floats("lab_momenta", &[count], &of(|metrics| metrics.momentum)));
    }
    tensors.push(Tensor::floats("lab_test_loss", &[1], &[test.loss as f32]));
    if let Some(accuracy) = test.accuracy {
        tensors.push(Tensor::floats("lab_test_accuracy", &[1], &[accuracy as f32]));
    }
    written(&tensors, Some(&script.link))
}
