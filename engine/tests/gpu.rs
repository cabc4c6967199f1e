//! Whole training steps on WebGPU against the CPU executor. Needs an adapter (Mesa's lavapipe will do); without one the
//! tests print so and pass.

use std::rc::Rc;

use engine::cpu::CpuExecutor;
use engine::data;
use engine::executor::{Counters, Executor};
use engine::gpu::{GpuDevice, GpuExecutor, Request};
use engine::spec::{ModelSpec, RunSpec, preset};
use engine::train::{GradientStatistics, StepMetrics, TrainError, Trainer};

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

/// 50 steps agree within 1% in loss and 5% in gradient norm at every step. The kernels for real adapters, slow on
/// software, go 10 steps.
fn parity(id: &str) -> Result<(), TrainError> {
    let spec = spec(id);
    let (expected, _) = pollster::block_on(train(CpuExecutor::new(), &spec, 50))?;
    for (software, steps) in [(true, 50), (false, 10)] {
        let Some(executor) = gpu(software) else { return Ok(()) };
        let (found, executor) = pollster::block_on(train(executor, &spec, steps))?;
        println!("{id}: {:?}, {} kernels", executor.counters(), executor.compiled_kernels());
        assert_eq!(found.len(), steps);
        for (found, expected) in found.iter().zip(&expected) {
            let drift = |found: f32, expected: f32| (found - expected).abs() / expected.abs();
            assert!(drift(found.loss, expected.loss) <= 0.01, "{id}: {found:?} against {expected:?}");
            assert!(drift(found.grad_norm, expected.grad_norm) <= 0.05, "{id}: {found:?} against {expected:?}");
        }
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

/// Twenty updates at the rate of their curvature: learning rates agree within 1%, as the losses do.
#[test]
fn curvature_sets_the_rate_as_on_the_cpu() -> Result<(), TrainError> {
    let mut spec = spec("tanh-mlp");
    for (path, value) in
        [("optimizer", "momentum"), ("schedule.auto", "both"), ("schedule.interval", "5"), ("schedule.products", "8")]
    {
        spec.set(path, value).unwrap();
    }
    let (expected, _) = pollster::block_on(train(CpuExecutor::new(), &spec, 20))?;
    assert_ne!(expected[0].lr, expected[5].lr);
    for software in [true, false] {
        let Some(executor) = gpu(software) else { return Ok(()) };
        let (found, _) = pollster::block_on(train(executor, &spec, 20))?;
        for (found, expected) in found.iter().zip(&expected) {
            let drift = |found: f32, expected: f32| (found - expected).abs() / expected.abs();
            assert!(drift(found.lr, expected.lr) <= 0.01, "{found:?} against {expected:?}");
            assert!(drift(found.loss, expected.loss) <= 0.01, "{found:?} against {expected:?}");
        }
    }
    Ok(())
}

async fn statistics<E: Executor>(executor: E, spec: &RunSpec) -> Result<GradientStatistics, TrainError> {
    let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose()?;
    let data = Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?);
    Trainer::new(executor, spec, data).await?.gradient_statistics().await
}

/// Exact for the MLP, with the same random directions on both for the convolutions of the transformer; in one micro-batch,
/// and in three, the last of which has places left over.
#[test]
fn gradients_of_single_examples_scatter_as_on_the_cpu() -> Result<(), TrainError> {
    for (id, directions) in [("mlp", 0), ("cct-digits", 8)] {
        for micro in [0, 3] {
            let mut spec = spec(id);
            spec.batch.micro = micro;
            let expected = pollster::block_on(statistics(CpuExecutor::new(), &spec))?;
            assert_eq!(expected.directions, directions, "{id}");
            for software in [true, false] {
                let Some(executor) = gpu(software) else { return Ok(()) };
                let found = pollster::block_on(statistics(executor, &spec))?;
                let pairs = [
                    (found.square, expected.square),
                    (found.variance, expected.variance),
                    (found.along, expected.along),
                    (found.across(), expected.across()),
                ];
                for (found, expected) in pairs {
                    assert!((found - expected).abs() <= 1e-3 * expected, "{id} by {micro}: {found} against {expected}");
                }
            }
        }
    }
    Ok(())
}

/// After warm-up a step is one submission, creates no buffer and launches at most 120 kernels.
#[test]
fn steps_are_single_submissions_without_new_buffers() -> Result<(), TrainError> {
    let spec = spec("cct-digits");
    let mut readings: Vec<Counters> = Vec::new();
    for steps in [3, 13] {
        let Some(executor) = gpu(true) else { return Ok(()) };
        readings.push(pollster::block_on(train(executor, &spec, steps))?.1.counters());
    }
    assert_eq!(readings[1].submits - readings[0].submits, 10);
    assert_eq!(readings[1].buffer_creations, readings[0].buffer_creations);
    assert!(readings[1].dispatches - readings[0].dispatches <= 1200, "{readings:?}");
    Ok(())
}
