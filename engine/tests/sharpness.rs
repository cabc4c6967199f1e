//! Updates whose gradient is taken away from theta, sharpness-aware and schedule-free ones, put together by hand from runs without
//! them.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and what helps them is no less a test")]

use std::collections::BTreeMap;
use std::rc::Rc;

use engine::cpu::CpuExecutor;
use engine::data;
use engine::metrics::Interval;
use engine::probe::{Curvature, Operator, Point, Settings};
use engine::spec::{Curved, Link, RunSpec};
use engine::train::{Checkpoint, TrainError, Trainer};

const RHO: f32 = 0.1;

/// An MLP by plain gradient descent at rate 1: an update is the gradient.
fn spec(rest: &str) -> RunSpec {
    let link = Link::parse(&format!(
        "#lab?preset=mlp&model.hidden=16&optimizer=sgd&optimizer.weight_decay=0&schedule=constant&schedule.peak=1\
         &schedule.warmup=0&{rest}&v=1"
    ));
    assert_eq!(link.issues, []);
    link.spec
}

async fn trainer(spec: &RunSpec) -> Result<Trainer<CpuExecutor>, TrainError> {
    let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose()?;
    let data = Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?);
    Trainer::new(CpuExecutor::new(), spec, data).await
}

/// The state after one update from a checkpoint, and what theta lost.
async fn update(spec: &RunSpec, from: &Checkpoint) -> Result<(Checkpoint, Vec<f32>), TrainError> {
    let mut trainer = trainer(spec).await?;
    trainer.restore(from)?;
    let old = trainer.theta().await?;
    trainer.step().await?;
    let new = trainer.theta().await?;
    Ok((trainer.checkpoint().await?, old.iter().zip(new).map(|(old, new)| old - new).collect()))
}

fn sharp(spec: &RunSpec) -> RunSpec {
    let mut spec = spec.clone();
    spec.optimizer.rho = f64::from(RHO);
    spec
}

/// The checkpoint with theta moved by rho along a gradient.
fn uphill(from: &Checkpoint, gradient: &[f32]) -> Checkpoint {
    let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
    let mut states: BTreeMap<String, Vec<u8>> = from.states.clone();
    let theta = states.get_mut("theta").unwrap();
    for (word, g) in theta.chunks_exact_mut(4).zip(gradient) {
        let old = f32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        word.copy_from_slice(&(old + RHO * g / norm).to_le_bytes());
    }
    Checkpoint { states, ..from.clone() }
}

fn close(found: &[f32], expected: &[f32]) {
    let size = expected.iter().map(|x| x * x).sum::<f32>().sqrt();
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
    assert!(apart < 1e-4 * size, "{apart} of {size}");
}

/// The second pass has the first one's examples and dropout masks; batch norm's running statistics, the loss and its
/// accuracy are the first one's.
#[test]
fn the_second_pass_repeats_the_first_elsewhere() -> Result<(), TrainError> {
    pollster::block_on(async {
        for rest in [
            "batch.size=12&model.norm=batch&model.dropout=0.3",
            "batch.size=12&model.norm=layer&model.dropout=0.5&augment.shift=1",
        ] {
            let plain = spec(rest);
            let start = trainer(&plain).await?.checkpoint().await?;
            let (first, gradient) = update(&plain, &start).await?;
            let (_, expected) = update(&plain, &uphill(&start, &gradient)).await?;
            let (last, found) = update(&sharp(&plain), &start).await?;
            close(&found, &expected);
            let apart = found.iter().zip(&gradient).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart > 1e-3, "the point matters: {apart}");
            for (name, bytes) in first.states.iter().filter(|(name, _)| *name != "theta") {
                assert_eq!(last.states[name], *bytes, "{name}");
            }

            let mut runs = [trainer(&plain).await?, trainer(&sharp(&plain)).await?];
            let mut metrics = vec![];
            for run in &mut runs {
                run.step().await?;
                metrics.push(run.metrics().await?[0]);
            }
            assert_eq!((metrics[0].loss, metrics[0].accuracy), (metrics[1].loss, metrics[1].accuracy));
        }
        Ok(())
    })
}

/// Each micro-batch has a worst point of its own.
#[test]
fn micro_batches_are_perturbed_one_by_one() -> Result<(), TrainError> {
    pollster::block_on(async {
        let whole = spec("batch.size=12&batch.micro=4");
        let part = spec("batch.size=4");
        let start = trainer(&whole).await?.checkpoint().await?;
        let mut expected = vec![0.0; start.states["theta"].len() / 4];
        for drawn in [0, 4, 8] {
            let start = Checkpoint { drawn, ..start.clone() };
            let (_, gradient) = update(&part, &start).await?;
            let (_, gradient) = update(&part, &uphill(&start, &gradient)).await?;
            expected.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g / 3.0);
        }
        let (_, found) = update(&sharp(&whole), &start).await?;
        close(&found, &expected);
        Ok(())
    })
}

/// What adaptive batches decide by is measured at theta, whatever the update does.
#[test]
fn gradients_scatter_as_without_it() -> Result<(), TrainError> {
    pollster::block_on(async {
        let plain = spec("batch.size=12");
        let expected = trainer(&plain).await?.gradient_statistics().await?;
        let mut run = trainer(&sharp(&plain)).await?;
        assert_eq!(run.gradient_statistics().await?, expected);
        let notes = run.summary().await?.notes;
        assert!(notes.iter().any(|note| note.contains("two gradients")), "{notes:?}");
        Ok(())
    })
}

/// Schedule-Free SGD without momentum takes its gradients where SGD does, and theta is the mean of SGD's places: gradients,
/// losses and running statistics are those there, in one micro-batch and in several.
#[test]
fn schedule_free_steps_are_sgds_and_theta_their_mean() -> Result<(), TrainError> {
    pollster::block_on(async {
        for rest in ["batch.size=12&model.norm=batch", "batch.size=12&batch.micro=4"] {
            let mut plain = spec(rest);
            plain.set("schedule.peak", "0.1").unwrap();
            let mut free = plain.clone();
            free.set("optimizer", "schedule_free_sgd").unwrap();
            free.set("optimizer.momentum", "0").unwrap();
            let mut runs = [trainer(&plain).await?, trainer(&free).await?];
            let mut mean = vec![0.0; runs[0].theta().await?.len()];
            for step in 1..=20_u8 {
                for run in &mut runs {
                    run.step().await?;
                }
                let place = runs[0].theta().await?;
                mean.iter_mut().zip(&place).for_each(|(mean, x)| *mean += (x - *mean) / f32::from(step));
            }
            close(&runs[1].theta().await?, &mean);
            let [checkpoint, other] = [runs[0].checkpoint().await?, runs[1].checkpoint().await?];
            for (name, bytes) in checkpoint.states.iter().filter(|(name, _)| *name != "theta") {
                let [a, b] = [bytes, &other.states[name]].map(|bytes| bytemuck::pod_collect_to_vec::<u8, f32>(bytes));
                close(&b, &a);
            }
            let [sgd, found] = [runs[0].metrics().await?, runs[1].metrics().await?];
            for (a, b) in sgd.iter().zip(&found) {
                assert!((a.loss - b.loss).abs() < 1e-3 * a.loss, "{a:?} {b:?}");
            }
            // What is tested is the mean.
            let last = runs[0].evaluate().await?.loss;
            runs[0].set_theta(&mean)?;
            let [of_mean, tested] = [runs[0].evaluate().await?.loss, runs[1].evaluate().await?.loss];
            assert!(
                (of_mean / tested - 1.0).abs() < 1e-3 && (last / tested - 1.0).abs() > 1e-2,
                "{last} {of_mean} {tested}"
            );
        }
        Ok(())
    })
}

/// The diagonal that Sophia divides by is the Hessian's: estimates at a theta that stands still, by micro-batches, have a mean
/// whose sum is the trace, and are made at every tenth update alone.
#[test]
fn sophia_estimates_the_diagonal_of_the_hessian() -> Result<(), TrainError> {
    pollster::block_on(async {
        let mut still = spec("data.train=30&batch.size=30&batch.micro=10");
        still.set("model.hidden", "8").unwrap();
        still.set("optimizer", "sophia").unwrap();
        still.set("optimizer.warm", "100000").unwrap();
        let mut run = trainer(&still).await?;
        let size = run.theta().await?.len();
        let mut rows = run.feed().train_rows(run.data());
        rows.truncate(30);
        let mut matrix = Curvature::new(&still, run.feed(), Curved::Hessian, Settings::default(), "test")?;
        matrix.linearise(run.executor_mut(), Point::Run, &rows).await?;
        let mut exact = Vec::with_capacity(size);
        for k in 0..size {
            let unit = (0..size).map(|j| f32::from(u8::from(j == k))).collect();
            exact.push(matrix.apply(run.executor_mut(), vec![unit]).await?[0][k]);
        }
        let trace: f64 = exact.iter().map(|&x| f64::from(x)).sum();
        let mut sums = Vec::new();
        for step in 0..800 {
            let before = run.state("sophia.estimate").await?;
            run.step().await?;
            let estimate = run.state("sophia.estimate").await?;
            assert_eq!(estimate == before, step % 10 != 0, "step {step}");
            if step % 10 == 0 {
                sums.push(estimate.iter().map(|&x| f64::from(x)).sum::<f64>());
            }
        }
        let found = Interval::of(&sums, 0.999);
        assert!((found.mean - trace).abs() < found.half && found.half < 0.6 * trace.abs(), "{found:?} is not {trace}");
        Ok(())
    })
}
