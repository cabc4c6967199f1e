//! The edge of stability (Cohen et al. 2021, arXiv 2103.00065): full-batch gradient descent sharpens until the largest
//! eigenvalue is 2 / eta, and hovers there while the loss goes on falling.

use super::*;
use crate::cpu::CpuExecutor;
use crate::optim::stability::threshold;
use crate::spec::{BatchSpec, OptimizerSpec, Rule, ScheduleSpec, Shape};

const STEPS: usize = 400;
/// Updates between two measurements.
const EVERY: usize = 10;

/// 500 digits of 4x4 pixels, all of them in every step.
fn descent(eta: f64, seed: u64) -> RunSpec {
    let spec = mlp(&[32, 32]);
    RunSpec {
        data: DataSpec { train: 500, ..spec.data },
        optimizer: OptimizerSpec { kind: Rule::Sgd, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: eta, warmup: 0, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 0, ..BatchSpec::default() },
        seed,
        ..spec
    }
}

/// Largest eigenvalue over the threshold of stability, and loss, every few updates.
async fn watch(eta: f64, seed: u64) -> Vec<(f64, f64)> {
    let spec = descent(eta, seed);
    let mut trainer = trained(CpuExecutor::new(), &spec, 0).await;
    let rows = rows(&trainer, usize::MAX);
    assert_eq!(rows.len(), 500);
    let mut hessian =
        Curvature::new(trainer.spec(), trainer.feed(), Curved::Hessian, Settings::default(), "sharpness").unwrap();
    let size = hessian.size();
    let (mut known, mut seen) = (Vec::new(), Vec::new());
    for measurement in 0..STEPS / EVERY {
        hessian.linearise(trainer.executor_mut(), Point::Run, &rows).await.unwrap();
        let search = Eigenpairs::new(size, [1, 0], 1e-3, 100, &known, (seed, measurement as u32));
        let pairs = solve(search, &mut hessian, trainer.executor_mut()).await;
        assert!(pairs.converged);
        known = pairs.vectors();
        for _ in 0..EVERY {
            trainer.step().await.unwrap();
        }
        let loss = trainer.metrics().await.unwrap().last().unwrap().loss;
        let bias = trainer.bias().advanced(&spec.optimizer, 1);
        let edge = threshold(&spec.optimizer, eta, &bias).unwrap();
        seen.push((pairs.largest[0].value / edge, f64::from(loss)));
    }
    seen
}

#[test]
fn gradient_descent_sharpens_to_two_over_its_rate_and_stays_there() {
    pollster::block_on(async {
        for seed in [1, 2] {
            for eta in [0.45, 0.55, 0.7] {
                let seen = watch(eta, seed).await;
                let sharpness: Vec<f64> = seen.iter().map(|(sharpness, _)| *sharpness).collect();
                let crossing = sharpness.iter().position(|&sharpness| sharpness >= 1.0);
                let crossing = crossing.unwrap_or_else(|| panic!("{eta}: {sharpness:.2?}"));
                assert!(sharpness[0] < 0.9 && crossing > 0, "{eta} starts at {:.2}", sharpness[0]);
                // A fast first crossing overshoots for some 50 updates; then 150 that a quadratic loss would not survive.
                let hovering = &sharpness[crossing + 6..crossing + 21];
                let mean = hovering.iter().sum::<f64>() / hovering.len() as f64;
                println!("eta {eta}, seed {seed}: crosses at {}, {mean:.3}, {hovering:.2?}", crossing * EVERY);
                assert!((mean - 1.0).abs() < 0.1, "{eta}: {mean} of {hovering:.2?}");
                assert!(hovering.iter().all(|x| (x - 1.0).abs() < 0.3), "{eta}: {hovering:.2?}");
                assert!(seen[crossing + 20].1 < 0.7 * seen[crossing].1, "{eta}: the loss goes on falling");
            }
            // At a tenth of these rates nothing of the kind is near.
            assert!(watch(0.05, seed).await.iter().all(|(sharpness, _)| *sharpness < 0.3));
        }
    });
}
