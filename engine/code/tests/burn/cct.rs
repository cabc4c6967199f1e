//! A run of Minibatch 0.1.0 in burn:
//! A CCT on Digits 8×8, seed 1.
//!
//! It trains 50 of the run's 300 updates from the lab's start on the lab's batches,
//! and prints the lab's loss beside its own.
//! The lab repeats the run with
//!
//!     minibatch run '#lab?preset=cct-digits&v=2'
//!
//! `cargo run` builds and runs it.

use std::error::Error;
use std::f64::consts::PI;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use safetensors::SafeTensors;

const WIDTH: usize = 32;
const DEPTH: usize = 2;
const HEADS: usize = 2;
const RATIO: usize = 1;
const TOKENS: usize = 16;
const PIXELS: usize = 64;
const FEATURES: usize = 64;
const BATCH: usize = 64;
const PEAK: f64 = 0.002;
const WARMUP: f64 = 20.0;
const STEPS: f64 = 300.0;

#[derive(Module, Debug)]
struct Layer {
    norm1: LayerNorm,
    qkv: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Layer {
    fn new(device: &Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {
            norm1: LayerNormConfig::new(WIDTH).init(device),
            qkv: LinearConfig::new(WIDTH, 3 * WIDTH).init(device),
            out: linear(WIDTH, WIDTH),
            norm2: LayerNormConfig::new(WIDTH).init(device),
            fc1: linear(WIDTH, RATIO * WIDTH),
            fc2: linear(RATIO * WIDTH, WIDTH),
        }
    }

    fn attend(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let parts = self.qkv.forward(x).chunk(3, 2).into_iter();
        let heads = |part: Tensor<3>| part.reshape([batch, tokens, HEADS, WIDTH / HEADS]).swap_dims(1, 2);
        let parts: Vec<Tensor<4>> = parts.map(heads).collect();
        let scores = parts[0].clone().matmul(parts[1].clone().transpose()) / ((WIDTH / HEADS) as f64).sqrt();
        let mixed = activation::softmax(scores, 3).matmul(parts[2].clone());
        self.out.forward(mixed.swap_dims(1, 2).reshape([batch, tokens, WIDTH]))
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attend(self.norm1.forward(x));
        let inner = activation::gelu(self.fc1.forward(self.norm2.forward(x.clone())));
        x + self.fc2.forward(inner)
    }
}

#[derive(Module, Debug)]
struct Transformer {
    convs: Vec<Conv2d>,
    pooling: MaxPool2d,
    positions: Param<Tensor<2>>,
    blocks: Vec<Layer>,
    norm: LayerNorm,
    pool: Linear,
    head: Linear,
}

impl Transformer {
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            let conv = Conv2dConfig::new(channels, [3, 3]).with_bias(false);
            conv.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        let pooling = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]);
        Self {
            convs: [[1, WIDTH]].map(conv).into(),
            pooling: pooling.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(),
            positions: Param::from_tensor(Tensor::zeros([TOKENS, WIDTH], device)),
            blocks: (0..DEPTH).map(|_| Layer::new(device)).collect(),
            norm: LayerNormConfig::new(WIDTH).init(device),
            pool: LinearConfig::new(WIDTH, 1).init(device),
            head: LinearConfig::new(WIDTH, 10).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let block = |x, conv: &Conv2d| self.pooling.forward(activation::relu(conv.forward(x)));
        let mut x = self.convs.iter().fold(x, block).flatten::<3>(2, 3).swap_dims(1, 2);
        x = x + self.positions.val().unsqueeze::<3>();
        for block in &self.blocks {
            x = block.forward(x);
        }
        let x = self.norm.forward(x);
        let weights = activation::softmax(self.pool.forward(x.clone()).swap_dims(1, 2), 2);
        let x = weights.matmul(x);
        self.head.forward(x.flatten::<2>(1, 2))
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
    fn batch(&self, rows: &[usize], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let x = rows.iter().flat_map(|&row| &self.x[row * FEATURES..(row + 1) * FEATURES]);
        let x = x.copied().collect::<Vec<_>>();
        let y = rows.iter().map(|&row| self.y[row]).collect::<Vec<_>>();
        (
            Tensor::from_data(TensorData::new(x, [rows.len(), 1, 8, 8]), device),
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
fn test(model: &Transformer, table: &Table, rows: &[usize]) -> [f32; 2] {
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
    let mut model = Transformer::new(&device).map(&mut Start { file: start, path: Vec::new() });
    let decay = 0.01;
    let rule = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-8).with_weight_decay(0.0);
    let exempt = ParamGroup::from_any_predicates(vec!["bias", "gamma", "beta", "positions", "class"]);
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
