//! `make bench`: every workload on our executors, and the same model run eagerly with burn's autodiff and AdamW on
//! burn-flex, from the same weights and batch in the same process. One JSON line a workload and executor; the CPU
//! executor's line carries the ratio of the eager step to its own.
//!
//! Eager and planned steps alternate in blocks, so that what else the machine does falls on both alike.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::OnceLock;
use std::time::Instant;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::bench::{Bench, LEARNING_RATE, READING, Start, Workload, optimizer, program, workloads};
use engine::cpu::CpuExecutor;
use engine::gpu::{GpuDevice, GpuExecutor, Request};
use engine::model::{Batch, Builder, Forward, Gpt, InputShape, Mlp, Mode, Pass, Transformer, load};
use engine::numeric::{median, sorted};
use engine::protocol::BenchRow;
use engine::spec::ModelSpec;

/// Blocks of [`READING`] steps that are measured.
const BLOCKS: usize = 8;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn now_ms() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1000.0
}

/// A model that burn runs eagerly, with its optimizer.
struct Eager<M: Forward> {
    module: M,
    optimizer: ModuleOptimizer,
    workload: Workload,
    start: Start,
    device: Device,
    done: u64,
    losses: Vec<(u64, f64)>,
}

/// An eager model of any kind.
trait Step {
    fn step(&mut self) -> Outcome<Tensor<1>>;
    fn record(&mut self, loss: f64);
    fn losses(&self) -> &[(u64, f64)];
}

impl<M: Forward> Eager<M> {
    fn boxed(workload: &Workload, new: impl FnOnce(&mut Builder) -> Outcome<M>) -> Outcome<Box<dyn Step>>
    where
        M: 'static,
    {
        let (_, layout) = program(workload)?;
        let start = Start::own(workload, &layout);
        let device = Device::flex().autodiff();
        let module = load(new(&mut Builder::new(&device))?, &layout, &start.theta, &BTreeMap::new());
        let ours = optimizer();
        let optimizer = AdamWConfig::new()
            .with_beta_1(ours.beta1 as f32)
            .with_beta_2(ours.beta2 as f32)
            .with_epsilon(ours.eps as f32)
            .with_weight_decay(ours.weight_decay as f32)
            .init();
        Ok(Box::new(Self { module, optimizer, workload: workload.clone(), start, device, done: 0, losses: vec![] }))
    }
}

impl<M: Forward> Step for Eager<M> {
    fn step(&mut self) -> Outcome<Tensor<1>> {
        let shape = self.workload.input.batched(self.workload.batch);
        let floats = || self.start.example.x.iter().map(|&bits| f32::from_bits(bits)).collect::<Vec<f32>>();
        let x = match self.workload.input {
            InputShape::Image(_) => Batch::Image(Tensor::from_data(TensorData::new(floats(), shape), &self.device)),
            InputShape::Features(_) => {
                Batch::Features(Tensor::from_data(TensorData::new(floats(), shape), &self.device))
            }
            InputShape::Tokens { .. } => {
                let tokens: Vec<i64> = self.start.example.x.iter().map(|&token| i64::from(token)).collect();
                Batch::Tokens(Tensor::<2, Int>::from_data(TensorData::new(tokens, shape), &self.device))
            }
        };
        let y: Vec<i64> = self.start.example.y.iter().map(|&class| i64::from(class)).collect();
        let count = y.len();
        let y = Tensor::<1, Int>::from_data(TensorData::new(y, [count]), &self.device);
        let logits = Forward::forward(&self.module, x, &mut Pass::new(Mode::Train))?;
        let loss = CrossEntropyLossConfig::new().init(&self.device).forward(logits, y);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.module);
        self.module = self.optimizer.step(f64::from(LEARNING_RATE), self.module.clone(), gradients);
        self.done += 1;
        Ok(loss)
    }

    fn record(&mut self, loss: f64) {
        self.losses.push((self.done, loss));
    }

    fn losses(&self) -> &[(u64, f64)] {
        &self.losses
    }
}

fn eager(workload: &Workload) -> Outcome<Box<dyn Step>> {
    let (input, outputs) = (workload.input, workload.outputs);
    match &workload.model {
        ModelSpec::Mlp(spec) => Eager::boxed(workload, |builder| Ok(Mlp::new(spec, input, outputs, builder)?)),
        ModelSpec::Cct(spec) => Eager::boxed(workload, |builder| Ok(Transformer::new(spec, input, outputs, builder)?)),
        ModelSpec::Gpt(spec) => Eager::boxed(workload, |builder| Ok(Gpt::new(spec, input, outputs, builder)?)),
        other => Err(format!("no workload has a {}", other.kind()).into()),
    }
}

/// Steps up to the next reading of the loss; mean milliseconds a step.
fn block(model: &mut dyn Step, steps: u64) -> Outcome<f64> {
    let begun = now_ms();
    for step in 1..=steps {
        let loss = model.step()?;
        if step == steps {
            let value = f64::from(loss.into_scalar::<f32>());
            model.record(value);
        }
    }
    Ok((now_ms() - begun) / steps as f64)
}

fn measure(workload: &Workload) -> Outcome<()> {
    let begun = now_ms();
    let mut baseline = eager(workload)?;
    block(&mut *baseline, 1)?;
    let first_step_ms = now_ms() - begun;
    let adapter = std::env::consts::ARCH;
    let mut ours = pollster::block_on(Bench::new(CpuExecutor::new(), ["cpu", adapter], workload.name, None, now_ms))?;
    // Up to the first reading: caches and allocators warm up.
    let warm = READING - 1;
    block(&mut *baseline, warm)?;
    pollster::block_on(ours.run([warm as u32, 0]))?;
    let (mut times, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        times.push(block(&mut *baseline, READING)?);
        rows.push(pollster::block_on(ours.run([READING as u32, 0]))?);
    }
    let steps = BLOCKS as u32 * READING as u32;
    let losses = baseline.losses().to_vec();
    let times = sorted(&times);
    let eager_ms = median(&times);
    let eager = BenchRow {
        workload: workload.name.into(),
        executor: "eager".into(),
        adapter: adapter.into(),
        steps,
        median_ms: eager_ms,
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        host_ms: eager_ms,
        first_step_ms,
        first_loss: losses[0].1,
        last_loss: losses[losses.len() - 1].1,
        losses,
        ..BenchRow::default()
    };
    println!("{}", serde_json::to_string(&eager)?);
    let collect = |of: fn(&BenchRow) -> f64| rows.iter().map(of).collect::<Vec<f64>>();
    let medians = sorted(&collect(|row| row.median_ms));
    let own_ms = median(&medians);
    let last = rows.pop().ok_or("no blocks")?;
    let row = BenchRow {
        steps,
        median_ms: own_ms,
        min_ms: medians[0],
        max_ms: medians[medians.len() - 1],
        host_ms: median(&collect_host(&rows, &last)),
        eager_ratio: Some(eager_ms / own_ms),
        ..last
    };
    println!("{}", serde_json::to_string(&row)?);
    match pollster::block_on(GpuDevice::request(Request::Fastest)) {
        Ok(device) => {
            let adapter = device.preflight().adapter.clone();
            let names = ["gpu", adapter.as_str()];
            let row = pollster::block_on(async {
                let mut bench = Bench::new(GpuExecutor::new(device), names, workload.name, None, now_ms).await?;
                bench.run([warm as u32, 0]).await?;
                bench.run([steps, 0]).await
            })?;
            println!("{}", serde_json::to_string(&row)?);
        }
        Err(error) => eprintln!("{} on the GPU left out: {error}", workload.name),
    }
    Ok(())
}

fn collect_host(rows: &[BenchRow], last: &BenchRow) -> Vec<f64> {
    rows.iter().chain([last]).map(|row| row.host_ms).collect()
}

fn main() -> Outcome<()> {
    // Cargo passes flags such as `--bench`; words name workloads.
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for workload in
        workloads().iter().filter(|workload| named.is_empty() || named.iter().any(|name| name == workload.name))
    {
        measure(workload)?;
    }
    Ok(())
}
