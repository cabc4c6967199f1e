//! A run of Minibatch 0.1.0 in burn:
//! An MLP on New York weather, seed 1.
//!
//! It trains 50 of the run's 600 updates from the lab's start on the lab's batches,
//! and prints the lab's loss beside its own.
//! The lab repeats the run with
//!
//!     minibatch run '#lab?preset=weather&optimizer.clip=0.2&schedule=wsd&schedule.decay=570&batch.policy=stepped&batch.every=20&v=2'
//!
//! `cargo run` builds and runs it.

use std::error::Error;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData, activation};
use safetensors::SafeTensors;

const CHANNELS: usize = 25;
const WINDOW: usize = 48;
const HORIZON: usize = 12;
const TARGET: usize = 7;
const PEAK: f64 = 0.002;
const DECAY_FROM: f64 = 30.0;
const STEPS: f64 = 600.0;
const WARMUP: f64 = 20.0;

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
    head: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let layer = |[inputs, outputs]: [usize; 2]| LinearConfig::new(inputs, outputs).init(device);
        let layers = [[1200, 128], [128, 128]].map(layer).into();
        Self { layers, head: LinearConfig::new(128, 12).init(device) }
    }

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for layer in &self.layers {
            x = activation::gelu(layer.forward(x));
        }
        self.head.forward(x)
    }
}

/// Puts the lab's start in place of a module's own, by the path of each parameter.
struct Start<'a> {
    file: SafeTensors<'a>,
    path: Vec<String>,
}

impl ModuleMapper for Start<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = numbers(&self.file, &self.path.join("."));
        let own = param.val();
        let value = Tensor::from_data(TensorData::new(values, own.dims()), &own.device());
        Param::initialized(param.id, value.require_grad())
    }
}

fn bytes<'a>(file: &SafeTensors<'a>, name: &str) -> &'a [u8] {
    file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}")).data()
}

fn numbers(file: &SafeTensors, name: &str) -> Vec<f32> {
    let words = bytes(file, name).chunks_exact(4);
    words.map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

fn indices(file: &SafeTensors, name: &str) -> Vec<usize> {
    let words = bytes(file, name).chunks_exact(8);
    words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize).collect()
}

/// Measurements, standardised, hour after hour.
struct Table {
    x: Vec<f32>,
}

impl Table {
    fn new(file: &SafeTensors) -> Self {
        let x = numbers(file, "x");
        Self { x }
    }

    /// Inputs and targets of some rows.
    fn batch(&self, rows: &[usize], device: &Device) -> (Tensor<2>, Tensor<2>) {
        let x: Vec<f32> =
            rows.iter().flat_map(|&row| &self.x[row * CHANNELS..(row + WINDOW) * CHANNELS]).copied().collect();
        let ahead = |row: usize| (0..HORIZON).map(move |k| self.x[(row + WINDOW + k) * CHANNELS + TARGET]);
        let y: Vec<f32> = rows.iter().flat_map(|&row| ahead(row)).collect();
        (
            Tensor::from_data(TensorData::new(x, [rows.len(), 1200]), device),
            Tensor::from_data(TensorData::new(y, [rows.len(), HORIZON]), device),
        )
    }
}

/// Mean squared error.
fn objective(out: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    (out - y).powf_scalar(2.0).mean()
}

/// Brings the gradient of all parameters together to a largest norm; burn's own clips that of each.
fn clipped<M: Module>(gradients: GradientsParams, model: &M, largest: f32) -> GradientsParams {
    let mut clip = Clip { gradients, square: 0.0, factor: None };
    model.visit(&mut clip);
    clip.factor = Some((largest / clip.square.sqrt()).min(1.0));
    model.visit(&mut clip);
    clip.gradients
}

/// Adds up squares, then multiplies by the factor.
struct Clip {
    gradients: GradientsParams,
    square: f32,
    factor: Option<f32>,
}

impl ModuleVisitor for Clip {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        match self.factor {
            None => self.square += gradient.powf_scalar(2.0).sum().into_scalar::<f32>(),
            Some(factor) => self.gradients.register(param.id, gradient * factor),
        }
    }
}

/// Learning rate of an update, counted from 0.
fn rate(step: f64) -> f64 {
    if step < WARMUP {
        return PEAK * (step + 1.0) / WARMUP;
    }
    if step < DECAY_FROM {
        return PEAK;
    }
    let progress = (step - DECAY_FROM) / (STEPS - 1.0 - DECAY_FROM);
    PEAK * (1.0 - progress)
}

/// Loss on the test set.
fn test(model: &Mlp, table: &Table, rows: &[usize]) -> f32 {
    let (model, device) = (model.valid(), Device::flex());
    let mut loss = 0.0;
    for part in rows.chunks(100) {
        let (x, y) = table.batch(part, &device);
        let out = model.forward(x);
        loss += part.len() as f32 * objective(out, y).into_scalar::<f32>();
    }
    loss / rows.len() as f32
}

/// Trains the network and tests it; the loss of each update beside the lab's.
pub fn train(folder: &Path) -> Result<Vec<[f32; 2]>, Box<dyn Error>> {
    let start = std::fs::read(folder.join("start.safetensors"))?;
    let data = std::fs::read(folder.join("data.safetensors"))?;
    let (start, data) = (SafeTensors::deserialize(&start)?, SafeTensors::deserialize(&data)?);
    let (table, device) = (Table::new(&data), Device::flex().autodiff());
    let mut model = Mlp::new(&device).map(&mut Start { file: start, path: Vec::new() });
    let decay = 0.01;
    let rule = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-8).with_weight_decay(0.0);
    let exempt = ParamGroup::from_any_predicates(vec!["bias", "gamma", "beta"]);
    let plain = rule.clone().build();
    let mut optimizer = rule.with_weight_decay(decay).init().with_group(exempt, plain, None);
    let lab = numbers(&data, "lab_losses");
    let mut losses = Vec::new();
    let rows = indices(&data, "rows");
    let mut rest = &rows[..];
    for (step, size) in indices(&data, "sizes").into_iter().enumerate() {
        let (rows, later) = rest.split_at(size);
        rest = later;
        let (x, y) = table.batch(rows, &device);
        let loss = objective(model.forward(x), y);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let gradients = clipped(gradients, &model, 0.2);
        model = optimizer.step(rate(step as f64), model, gradients);
        let loss = loss.into_scalar::<f32>();
        println!("update {step}  loss {loss:.6}  lab {:.6}", lab[step]);
        losses.push([loss, lab[step]]);
    }
    let loss = test(&model, &table, &indices(&data, "test_rows"));
    println!("test loss {loss:.6}  lab {:.6}", numbers(&data, "lab_test_loss")[0]);
    Ok(losses)
}

fn main() -> Result<(), Box<dyn Error>> {
    train(Path::new(env!("CARGO_MANIFEST_DIR"))).map(|_| ())
}
