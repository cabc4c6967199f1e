//! A run of Minibatch 0.1.0 in burn:
//! A GPT on Shakespeare characters, seed 1.
//!
//! It trains 50 of the run's 1000 updates from the lab's start on the lab's batches,
//! and prints the lab's loss beside its own.
//! The lab repeats the run with
//!
//!     minibatch run '#lab?preset=gpt&model.context=32&batch.size=8&v=2'
//!
//! `cargo run` builds and runs it.

use std::error::Error;
use std::f64::consts::PI;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};
use safetensors::SafeTensors;

const CONTEXT: usize = 32;
const WIDTH: usize = 64;
const DEPTH: usize = 2;
const HEADS: usize = 2;
const RATIO: usize = 4;
const VOCABULARY: usize = 68;
const BATCH: usize = 8;
const PEAK: f64 = 0.003;
const WARMUP: f64 = 50.0;
const STEPS: f64 = 1000.0;

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

    fn attend(&self, x: Tensor<3>, hidden: &Tensor<2, Bool>) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let parts = self.qkv.forward(x).chunk(3, 2).into_iter();
        let heads = |part: Tensor<3>| part.reshape([batch, tokens, HEADS, WIDTH / HEADS]).swap_dims(1, 2);
        let parts: Vec<Tensor<4>> = parts.map(heads).collect();
        let scores = parts[0].clone().matmul(parts[1].clone().transpose()) / ((WIDTH / HEADS) as f64).sqrt();
        let scores = scores.mask_fill(hidden.clone().unsqueeze::<4>(), -1e9);
        let mixed = activation::softmax(scores, 3).matmul(parts[2].clone());
        self.out.forward(mixed.swap_dims(1, 2).reshape([batch, tokens, WIDTH]))
    }

    fn forward(&self, x: Tensor<3>, hidden: &Tensor<2, Bool>) -> Tensor<3> {
        let x = x.clone() + self.attend(self.norm1.forward(x), hidden);
        let inner = activation::gelu(self.fc1.forward(self.norm2.forward(x.clone())));
        x + self.fc2.forward(inner)
    }
}

#[derive(Module, Debug)]
struct Gpt {
    tokens: Embedding,
    positions: Param<Tensor<2>>,
    blocks: Vec<Layer>,
    norm: LayerNorm,
    head: Linear,
}

impl Gpt {
    fn new(device: &Device) -> Self {
        Self {
            tokens: EmbeddingConfig::new(VOCABULARY, WIDTH).init(device),
            positions: Param::from_tensor(Tensor::zeros([CONTEXT, WIDTH], device)),
            blocks: (0..DEPTH).map(|_| Layer::new(device)).collect(),
            norm: LayerNormConfig::new(WIDTH).init(device),
            head: LinearConfig::new(WIDTH, VOCABULARY).init(device),
        }
    }

    fn forward(&self, x: Tensor<2, Int>) -> Tensor<2> {
        let [batch, context] = x.dims();
        let mut x = self.tokens.forward(x) + self.positions.val().unsqueeze::<3>();
        // What a place may not see: what comes later.
        let place = Tensor::<1, Int>::arange(0..context as i64, &x.device());
        let hidden = place.clone().reshape([1, context]).greater(place.reshape([context, 1]));
        for block in &self.blocks {
            x = block.forward(x, &hidden);
        }
        let x = self.norm.forward(x).reshape([batch * context, WIDTH]);
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

/// Characters, by their places in the vocabulary.
struct Table {
    x: Vec<u8>,
}

impl Table {
    fn new(file: &SafeTensors) -> Self {
        let x = bytes(file, "x").to_vec();
        Self { x }
    }

    /// Inputs and targets of some rows.
    fn batch(&self, rows: &[usize], device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
        let texts = |from: usize| rows.iter().flat_map(move |&row| &self.x[row + from..row + from + CONTEXT]);
        let tokens = |from| texts(from).map(|&token| i64::from(token)).collect::<Vec<_>>();
        let (x, y) = (tokens(0), tokens(1));
        (
            Tensor::from_data(TensorData::new(x, [rows.len(), CONTEXT]), device),
            Tensor::from_data(TensorData::new(y, [rows.len() * CONTEXT]), device),
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
fn test(model: &Gpt, table: &Table, rows: &[usize]) -> [f32; 2] {
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
    let mut model = Gpt::new(&device).map(&mut Start { file: start, path: Vec::new() });
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
