//! A run of Minibatch 0.1.0 in burn:
//! An MLP on Digits 8×8, seed 1.
//!
//! It trains 50 of the run's 600 updates from the lab's start on the lab's batches,
//! and prints the lab's loss beside its own.
//! The lab repeats the run with
//!
//!     minibatch run '#lab?preset=mlp&v=2'
//!
//! `cargo run` builds and runs it.

use std::error::Error;
use std::f64::consts::PI;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use safetensors::SafeTensors;

const PIXELS: usize = 64;
const FEATURES: usize = 64;
const BATCH: usize = 64;
const PEAK: f64 = 0.002;
const WARMUP: f64 = 20.0;
const STEPS: f64 = 600.0;

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
    head: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let layer = |[inputs, outputs]: [usize; 2]| LinearConfig::new(inputs, outputs).init(device);
        let layers = [[64, 64], [64, 32]].map(layer).into();
        Self { layers, head: LinearConfig::new(32, 10).init(device) }
    }

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for layer in &self.layers {
            x = activation::relu(layer.forward(x));
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

/// Images, whose pixels have mean 0 and deviation 1 over the training set, and their classes.
struct Table {
    x: Vec<f32>,
    y: Vec<i64>,
}

impl Table {
    fn new(file: &SafeTensors) -> Self {
        let [mean, deviation] = ["mean", "std"].map(|name| numbers(file, name));
        let pixels = bytes(file, "x").iter().enumerate();
        let channel = |at: usize| at / PIXELS % mean.len();
        let x = pixels.map(|(at, &pixel)| (f32::from(pixel) - mean[channel(at)]) / deviation[channel(at)]).collect();
        let y = indices(file, "y").into_iter().map(|class| class as i64).collect();
        Self { x, y }
    }

    /// Inputs and targets of some rows.
    fn batch(&self, rows: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let x = rows.iter().flat_map(|&row| &self.x[row * FEATURES..(row + 1) * FEATURES]);
        let x = x.copied().collect::<Vec<_>>();
        let y = rows.iter().map(|&row| self.y[row]).collect::<Vec<_>>();
        (
            Tensor::from_data(TensorData::new(x, [rows.len(), FEATURES]), device),
            Tensor::from_data(TensorData::new(y, [rows.len()]), device),
        )
    }
}

/// Cross-entropy in nats.
fn objective(out: Tensor<2>, y: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init(&out.device()).forward(out, y)
}

/// Learning rate of an update, counted from 0.
fn rate(step: f64) -> f64 {
    if step < WARMUP {
        return PEAK * (step + 1.0) / WARMUP;
    }
    let progress = (step - WARMUP) / (STEPS - 1.0 - WARMUP);
    PEAK * 0.5 * (1.0 + f64::cos(PI * progress))
}

/// Loss and accuracy on the test set.
fn test(model: &Mlp, table: &Table, rows: &[usize]) -> [f32; 2] {
    let (model, device) = (model.valid(), Device::flex());
    let [mut loss, mut right] = [0.0; 2];
    for part in rows.chunks(100) {
        let (x, y) = table.batch(part, &device);
        let out = model.forward(x);
        let hits = out.clone().argmax(1).reshape([-1]).equal(y.clone()).float().mean();
        right += part.len() as f32 * hits.into_scalar::<f32>();
        loss += part.len() as f32 * objective(out, y).into_scalar::<f32>();
    }
    [loss, right].map(|sum| sum / rows.len() as f32)
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
    for (step, rows) in rows.chunks(BATCH).enumerate() {
        let (x, y) = table.batch(rows, &device);
        let loss = objective(model.forward(x), y);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate(step as f64), model, gradients);
        let loss = loss.into_scalar::<f32>();
        println!("update {step}  loss {loss:.6}  lab {:.6}", lab[step]);
        losses.push([loss, lab[step]]);
    }
    let [loss, accuracy] = test(&model, &table, &indices(&data, "test_rows"));
    println!("test loss {loss:.6}  lab {:.6}", numbers(&data, "lab_test_loss")[0]);
    println!("test accuracy {accuracy:.4}  lab {:.4}", numbers(&data, "lab_test_accuracy")[0]);
    Ok(losses)
}

fn main() -> Result<(), Box<dyn Error>> {
    train(Path::new(env!("CARGO_MANIFEST_DIR"))).map(|_| ())
}
