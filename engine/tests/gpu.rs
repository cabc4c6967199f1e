//! Whole training steps on WebGPU against the CPU executor. Needs an adapter (Mesa's lavapipe will do); without one the
//! tests print so and pass.

use std::rc::Rc;
use std::time::Instant;

use engine::cpu::CpuExecutor;
use engine::data;
use engine::executor::{Counters, Executor};
use engine::gpu::{GpuDevice, GpuExecutor, Request};
use engine::spec::{ModelSpec, RunSpec, preset};
use engine::train::{StepMetrics, TrainError, Trainer};

/// An executor with kernels for software or real adapters; `None`, with a printed line, where there is no adapter.
fn gpu(software: bool) -> Option<GpuExecutor> {
    match pollster::block_on(GpuDevice::request(Request::Fastest)) {
        Ok(device) => Some(GpuExecutor::with_kernels_for(device, software)),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// A preset with few examples a step.
fn spec(id: &str) -> RunSpec {
    let mut spec = preset(id).map(|preset| preset.spec()).unwrap_or_default();
    spec.batch.size = 8;
    if let ModelSpec::Gpt(gpt) = &mut spec.model {
        gpt.context = 32;
    }
    spec.sanitize();
    spec
}

async fn train<E: Executor>(executor: E, spec: &RunSpec, steps: usize) -> Result<(Vec<StepMetrics>, E), TrainError> {
    let pack = match data::pack_file(spec.data.set) {
        Some(name) => Some(data::read_pack_file(&name)?),
        None => None,
    };
    let data = Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?);
    let mut trainer = Trainer::new(executor, spec, data).await?;
    for _ in 0..steps {
        trainer.step().await?;
    }
    let metrics = trainer.metrics().await?;
    Ok((metrics, trainer.into_executor()))
}

/// 50 steps agree within 1% in loss at every step.
fn parity(id: &str) -> Result<(), TrainError> {
    let spec = spec(id);
    let (expected, _) = pollster::block_on(train(CpuExecutor::new(), &spec, 50))?;
    for software in [true, false] {
        let Some(executor) = gpu(software) else { return Ok(()) };
        let start = Instant::now();
        let (found, executor) = pollster::block_on(train(executor, &spec, 50))?;
        println!("{id} ({}): {:?}", if software { "software" } else { "real" }, start.elapsed());
        println!("  {:?}, {} kernels", executor.counters(), executor.compiled_kernels());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let drift = (found.loss - expected.loss).abs() / expected.loss.abs();
            assert!(drift <= 0.01, "{id} step {}: loss {} against {}", found.step, found.loss, expected.loss);
        }
        let last = |metrics: &[StepMetrics]| metrics.last().map(|m| (m.loss, m.grad_norm));
        println!("  last {:?} against {:?}", last(&found), last(&expected));
    }
    Ok(())
}

#[test]
fn an_mlp_trains_as_on_the_cpu() -> Result<(), TrainError> {
    parity("mlp")
}

#[test]
fn a_convnet_trains_as_on_the_cpu() -> Result<(), TrainError> {
    parity("convnet")
}

#[test]
fn a_compact_transformer_trains_as_on_the_cpu() -> Result<(), TrainError> {
    parity("cct-digits")
}

#[test]
fn a_gpt_trains_as_on_the_cpu() -> Result<(), TrainError> {
    parity("gpt")
}

/// After warm-up a step is one submission and creates nothing.
#[test]
fn steps_are_single_submissions_without_new_buffers() -> Result<(), TrainError> {
    let Some(executor) = gpu(true) else { return Ok(()) };
    let spec = spec("cct-digits");
    let (_, executor) = pollster::block_on(train(executor, &spec, 0))?;
    let warm_up: Counters = pollster::block_on(train(executor, &spec, 3))?.1.counters();
    let Some(executor) = gpu(true) else { return Ok(()) };
    let longer = pollster::block_on(async {
        let (_, executor) = train(executor, &spec, 0).await?;
        Ok::<_, TrainError>(train(executor, &spec, 13).await?.1.counters())
    })?;
    assert_eq!(longer.submits - warm_up.submits, 10);
    assert_eq!(longer.buffer_creations, warm_up.buffer_creations);
    Ok(())
}
