//! Whole training steps on WebGPU against the CPU executor. Needs an adapter (Mesa's lavapipe will do); without one the
//! tests print so and pass.

use std::rc::Rc;

use engine::cpu::CpuExecutor;
use engine::data;
use engine::executor::{Counters, Executor};
use engine::gpu::{Adapter, GpuDevice, GpuExecutor, Request};
use engine::model::THETA;
use engine::spec::{MlpSpec, ModelSpec, Norm, OptimizerSpec, Rule, RunSpec, preset};
use engine::train::{GradientStatistics, StepMetrics, TrainError, Trainer};

/// An executor with kernels for software or real adapters; `None`, with a printed line, where there is no adapter.
fn gpu(software: bool) -> Option<GpuExecutor> {
    match pollster::block_on(GpuDevice::request(Request::Fastest)) {
        Ok(device) => {
            let adapter = match software {
                true if device.adapter() == Adapter::Quads => Adapter::Quads,
                true => Adapter::Software,
                false => Adapter::Real,
            };
            Some(GpuExecutor::with_kernels_for(device, adapter))
        }
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

/// A number of every update lies within a share `most` of what is expected.
fn assert_close(what: &str, found: &[StepMetrics], expected: &[StepMetrics], of: fn(&StepMetrics) -> f32, most: f32) {
    for (found, expected) in found.iter().zip(expected) {
        let drift = (of(found) - of(expected)).abs() / of(expected).abs();
        assert!(drift <= most, "{what}: {found:?} against {expected:?}");
    }
}

/// 50 steps agree within 1% in loss and 5% in gradient norm at every step. The kernels for real adapters, slow on
/// software, go 10 steps there.
fn parity(id: &str) -> Result<(), TrainError> {
    let spec = spec(id);
    let (expected, _) = pollster::block_on(train(CpuExecutor::new(), &spec, 50))?;
    for software in [true, false] {
        let Some(executor) = gpu(software) else { return Ok(()) };
        let steps = if software || !executor.device().adapter().is_software() { 50 } else { 10 };
        let (found, executor) = pollster::block_on(train(executor, &spec, steps))?;
        println!("{id}: {:?}, {} kernels", executor.counters(), executor.compiled_kernels());
        assert_eq!(found.len(), steps);
        assert_close(id, &found, &expected, |metrics| metrics.loss, 0.01);
        assert_close(id, &found, &expected, |metrics| metrics.grad_norm, 0.05);
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
        assert_close("on the fly", &found, &expected, |metrics| metrics.lr, 0.01);
        assert_close("on the fly", &found, &expected, |metrics| metrics.loss, 0.01);
    }
    Ok(())
}

/// 24 updates of a small MLP by every rule, alone and with SAM in two micro-batches: losses within 1%, and parameters
/// within 1e-4 of their norm where the rule is smooth. A sign turned by rounding moves one of Lion's parameters by twice
/// the rate. Rounding also turns those axes of SOAP's along which there is next to no gradient: its eps is above that.
#[test]
fn every_update_rule_trains_as_on_the_cpu() -> Result<(), TrainError> {
    const STEPS: usize = 24;
    for &kind in Rule::ALL {
        for (rho, micro) in [(0.0, 0), (0.05, 8)] {
            let mut spec = spec("mlp");
            spec.model = ModelSpec::Mlp(MlpSpec { hidden: vec![24, 16], norm: Norm::Layer, ..MlpSpec::default() });
            spec.batch.size = 16;
            spec.batch.micro = micro;
            spec.schedule.warmup = 4;
            let eps = if kind == Rule::Soap { 0.1 } else { 1e-8 };
            spec.optimizer =
                OptimizerSpec { kind, rho, eps, warm: 2, clip: 1.0, trust: 1.0, ..OptimizerSpec::default() };
            assert_eq!(spec.validate(), []);
            let (expected, mut cpu) = pollster::block_on(train(CpuExecutor::new(), &spec, STEPS))?;
            let Some(executor) = gpu(true) else { return Ok(()) };
            let (found, mut executor) = pollster::block_on(train(executor, &spec, STEPS))?;
            assert_close(&format!("{kind:?}, SAM {rho}"), &found, &expected, |metrics| metrics.loss, 0.01);
            let [found, expected] = [pollster::block_on(executor.read(THETA))?, pollster::block_on(cpu.read(THETA))?]
                .map(|bytes| bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
            let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
            let apart =
                norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied());
            println!("{kind:?}, SAM {rho}: parameters {apart:.1e} apart, {:?}", executor.counters());
            assert!(apart <= 1e-4 || kind == Rule::Lion, "{kind:?}, SAM {rho}: {apart}");
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
