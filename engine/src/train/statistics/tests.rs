//! The statistics of whole batches on the CPU executor, against gradients one by one and closed forms.

use std::rc::Rc;

use crate::cpu::CpuExecutor;
use crate::data::generate::{Mixture, mixture};
use crate::data::{Data, Info, Scaling, Table, Target, Values};
use crate::rng::{Rng, Stream};
use crate::spec::{
    BatchSpec, ConvnetSpec, DataSet, DataSpec, Loss, MlpSpec, ModelSpec, Norm, ObjectiveSpec, OptimizerSpec, Policy,
    Rule, RunSpec, Sampling, ScheduleSpec, Shape,
};
use crate::train::batch::{AdaptiveBatch, Now, examples_needed};
use crate::train::{GradientStatistics, TrainError, Trainer};

/// Linear regression on rows `[n, features]`.
pub fn linear(rows: &[f32], targets: &[f32]) -> Rc<Data> {
    let n = targets.len();
    Rc::new(Data {
        info: Info::default(),
        values: Values::Table(Table {
            columns: vec!["x".into(); rows.len() / n],
            values: rows.to_vec(),
            scaling: vec![],
            target: Target::Number { name: "y".into(), values: targets.to_vec(), scaling: Scaling::IDENTITY },
        }),
        train: 0..n,
        test: n..n,
    })
}

/// A model without hidden layers whose parameters stay where they are.
fn still(size: usize, sampler: Sampling) -> RunSpec {
    RunSpec {
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![], ..MlpSpec::default() }),
        optimizer: OptimizerSpec { kind: Rule::Sgd, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: 0.0, ..ScheduleSpec::default() },
        batch: BatchSpec { size, sampler, ..BatchSpec::default() },
        ..RunSpec::default()
    }
}

fn regression(size: usize) -> RunSpec {
    RunSpec {
        objective: ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() },
        ..still(size, Sampling::Shuffled)
    }
}

/// Statistics of the first `count` batches at parameters zero, or at the start if `theta` says so.
async fn statistics(
    spec: &RunSpec,
    data: &Rc<Data>,
    zero: bool,
    count: usize,
) -> Result<Vec<GradientStatistics>, TrainError> {
    let mut trainer = Trainer::new(CpuExecutor::new(), spec, data.clone()).await?;
    if zero {
        let theta = vec![0.0; trainer.layout().len()];
        trainer.set_theta(&theta)?;
    }
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        found.push(trainer.gradient_statistics().await?);
        trainer.step().await?;
        if trainer.unread() > 500 {
            trainer.metrics().await?;
        }
    }
    Ok(found)
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * b.abs().max(1e-30), "{a} against {b}");
}

#[test]
fn two_samples_match_hand_values() -> Result<(), TrainError> {
    pollster::block_on(async {
        // g_i = -2 y_i (1, 1): (-6, -6) and (-2, -2), mean (-4, -4).
        let data = linear(&[1.0, 1.0], &[3.0, 1.0]);
        let found = statistics(&regression(2), &data, true, 1).await?[0];
        close(found.square, 32.0, 1e-6);
        close(found.variance, 16.0, 1e-6);
        close(found.along, 512.0, 1e-6);
        assert_eq!((found.batch, found.error, found.directions), (2, 0.0, 0));
        // All along the mean.
        assert!(found.across() < 1e-4, "{}", found.across());
        close(found.true_square(), 24.0, 1e-6);
        close(found.noise_scale(), 16.0 / 24.0, 1e-6);

        // g_1 = -2 (1, 0, 1), g_2 = -2 (0, 1, 1): mean -(1, 1, 2), deviations +-(1, -1, 0) across it.
        let data = linear(&[1.0, 0.0, 0.0, 1.0], &[1.0, 1.0]);
        let found = statistics(&regression(2), &data, true, 1).await?[0];
        close(found.square, 6.0, 1e-6);
        close(found.variance, 4.0, 1e-6);
        close(found.across(), 4.0, 1e-6);
        assert!(found.along < 1e-9);
        Ok(())
    })
}

#[test]
fn identical_samples_do_not_scatter() -> Result<(), TrainError> {
    pollster::block_on(async {
        let data = linear(&[0.3; 30], &[0.7; 10]);
        let found = statistics(&regression(8), &data, true, 1).await?[0];
        assert!(found.variance < 1e-6 * found.square, "{found:?}");
        assert!(found.along < 1e-6 * found.square * found.square, "{found:?}");
        let one = statistics(&regression(1), &data, true, 1).await?[0];
        assert!(one.variance.is_nan() && one.along.is_nan());
        Ok(())
    })
}

fn digits(spec: &RunSpec) -> Result<Rc<Data>, TrainError> {
    let pack = crate::data::read_pack_file("digits.bin")?;
    Ok(Rc::new(crate::data::load(&spec.data, spec.seed, Some(&pack))?))
}

#[test]
fn norms_give_the_variance_of_gradients_one_by_one() -> Result<(), TrainError> {
    pollster::block_on(async {
        let model = ModelSpec::Mlp(MlpSpec { hidden: vec![16, 12], norm: Norm::Layer, ..MlpSpec::default() });
        let mut spec = RunSpec { data: DataSpec::of(DataSet::Digits), model, ..still(20, Sampling::Shuffled) };
        let data = digits(&spec)?;
        let mut found = Vec::new();
        // Micro-batches of one have one gradient each; those of 8 leave places over in the last.
        for micro in [1, 0, 8] {
            spec.batch.micro = micro;
            found.push(statistics(&spec, &data, false, 1).await?[0]);
        }
        for other in &found[1..] {
            assert_eq!(other.directions, 0);
            close(other.square, found[0].square, 1e-5);
            close(other.variance, found[0].variance, 1e-5);
            close(other.along, found[0].along, 1e-4);
        }
        Ok(())
    })
}

#[test]
fn random_directions_estimate_the_rest_within_their_error() -> Result<(), TrainError> {
    pollster::block_on(async {
        let convnet = ConvnetSpec { channels: vec![4, 6], norm: Norm::None, ..ConvnetSpec::default() };
        let mut spec = RunSpec {
            data: DataSpec::of(DataSet::Digits),
            model: ModelSpec::Convnet(convnet),
            ..still(16, Sampling::Shuffled)
        };
        let data = digits(&spec)?;
        let estimated = statistics(&spec, &data, false, 40).await?;
        spec.batch.micro = 1;
        let exact = statistics(&spec, &data, false, 40).await?;
        let n = exact.len() as f64;
        let off: f64 = exact.iter().zip(&estimated).map(|(a, b)| b.variance - a.variance).sum::<f64>() / n;
        let error = estimated.iter().map(|found| found.error * found.error).sum::<f64>().sqrt() / n;
        assert!(off.abs() < 3.0 * error, "{off} of standard error {error}");
        for (a, b) in exact.iter().zip(&estimated) {
            assert_eq!((a.directions, b.directions), (0, 8));
            assert!(b.error > 0.0 && b.error < a.variance, "{b:?} against {a:?}");
            close(b.square, a.square, 1e-4);
            close(b.along, a.along, 1e-3);
        }
        Ok(())
    })
}

#[test]
fn the_variance_of_batches_is_that_of_the_population() -> Result<(), TrainError> {
    // Drawn without replacement, E V is the population's trace times N / (N - 1): that of all N as one batch.
    let data = Mixture { components: 3, dims: 4, spread: 0.6, train: 200, test: 1 };
    let data = Rc::new(mixture(&data, 1)?);
    pollster::block_on(async {
        let whole = statistics(&still(0, Sampling::Shuffled), &data, false, 1).await?[0];
        let parts = statistics(&still(16, Sampling::Shuffled), &data, false, 2000).await?;
        assert_eq!((whole.batch, parts[0].batch), (200, 16));
        let mean = parts.iter().map(|found| found.variance).sum::<f64>() / 2000.0;
        close(mean, whole.variance, 0.02);
        // And the square is the true one plus V / b, up to the correction for a finite population.
        let square = parts.iter().map(|found| found.square).sum::<f64>() / 2000.0;
        close(square, whole.square + whole.variance / 16.0 * (1.0 - 16.0 / 200.0), 0.02);
        Ok(())
    })
}

#[test]
fn noise_alone_asks_for_the_batch_over_eta_squared() -> Result<(), TrainError> {
    // Targets that do not depend on the inputs: at zero, the gradient is -2 y x, of mean 0 and covariance 4 I.
    let (n, features) = (6000, 120);
    let mut rng = Rng::new(4, Stream::Generate, 0);
    let rows: Vec<f32> = (0..n * features).map(|_| rng.normal()).collect();
    let targets: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
    let data = linear(&rows, &targets);
    pollster::block_on(async {
        let found = statistics(&regression(16), &data, true, 300).await?;
        let eta = 0.5;
        let batch = BatchSpec { policy: Policy::NormTest, size: 16, eta, largest: 0, ..BatchSpec::default() };
        let spec = RunSpec { batch, ..RunSpec::default() };
        let now = Now { spec: &spec, step: 0, batch_start: 0, all: n };
        let growth = |found: &GradientStatistics| {
            let mut batches = AdaptiveBatch::default();
            batches.observe(&now, found);
            batches.batch(&now).unwrap() as f64 / 16.0
        };
        let mean = found.iter().map(growth).sum::<f64>() / found.len() as f64;
        close(mean, 1.0 / (eta * eta), 0.1);
        Ok(())
    })
}

/// Why study 59's inner-product arms keep their first batch. At zero, targets of ±1 leave Gaussian gradients -2 y x of
/// mean 0 and covariance 4 I in D dimensions, x with its 1 for the bias. Then g and the sample covariance are independent
/// and |g|^2 is chi-squared, so the examples asked for are, of the batch, 1 / (theta^2 (D - 2)) along g and
/// (D - 1) / ((D - 2) nu^2) across it: noise in many directions hardly touches the first, and nu >= 1 bounds the second.
#[test]
fn noise_alone_leaves_the_inner_product_test_content() -> Result<(), TrainError> {
    let (n, features, batch) = (6000, 40, 16);
    let mut rng = Rng::new(5, Stream::Generate, 0);
    let rows: Vec<f32> = (0..n * features).map(|_| rng.normal()).collect();
    let targets: Vec<f32> = (0..n).map(|_| if rng.below(2) == 0 { -1.0 } else { 1.0 }).collect();
    let data = linear(&rows, &targets);
    let dimensions = features as f64 + 1.0;
    pollster::block_on(async {
        let found = statistics(&regression(batch), &data, true, 300).await?;
        let asked = |theta: f64, nu: f64| {
            let spec = BatchSpec { policy: Policy::InnerProduct, theta, nu, ..BatchSpec::default() };
            let all: Option<Vec<f64>> = found.iter().map(|seen| examples_needed(&spec, seen)).collect();
            all.unwrap().iter().sum::<f64>() / (found.len() * batch) as f64
        };
        // One of the two bounds at a time.
        close(asked(0.9, 1e6), 1.0 / (0.81 * (dimensions - 2.0)), 0.05);
        close(asked(1e6, 3.0), (dimensions - 1.0) / (dimensions - 2.0) / 9.0, 0.05);
        assert!(asked(0.9, 3.0) < 0.2, "far below 1, so the batch never grows");
        Ok(())
    })
}

/// Study 59, exact check 6.
#[test]
fn a_test_that_tolerates_all_noise_is_a_fixed_batch() -> Result<(), TrainError> {
    let data = Rc::new(mixture(&Mixture { components: 3, dims: 4, spread: 0.6, train: 200, test: 1 }, 1)?);
    let trained = |policy: Policy| {
        let batch = BatchSpec { size: 16, policy, eta: 1e9, interval: 1, largest: 0, ..BatchSpec::default() };
        let schedule = ScheduleSpec { kind: Shape::Constant, peak: 0.1, ..ScheduleSpec::default() };
        let spec = RunSpec { batch, schedule, ..still(16, Sampling::Shuffled) };
        pollster::block_on(async {
            let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
            for _ in 0..40 {
                trainer.step().await?;
            }
            Ok::<_, TrainError>(trainer.theta().await?.iter().map(|x| x.to_bits()).collect::<Vec<u32>>())
        })
    };
    assert_eq!(trained(Policy::NormTest)?, trained(Policy::Fixed)?);
    Ok(())
}
