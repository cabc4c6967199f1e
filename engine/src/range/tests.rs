//! Range tests of real runs on the CPU executor.

use std::rc::Rc;

use super::*;
use crate::cpu::CpuExecutor;
use crate::data;
use crate::spec::{
    Auto, DataSet, DataSpec, Loss, MlpSpec, ModelSpec, ObjectiveSpec, Policy, Projection, Rule, RunSpec, Shape, preset,
};
use crate::train::{Checkpoint, StepMetrics, Trainer};

/// Seven decades about the limit of the [`quadratic`]; its curvature is small.
const WIDE: Range = Range { low: 1e-3, high: 1e4, updates: 100, samples: 0 };

/// A linear model with squared error on all examples at once: a quadratic.
fn quadratic(kind: Rule) -> RunSpec {
    let mut spec = RunSpec {
        data: DataSpec {
            train: 200,
            test: 20,
            projection: Projection::Pca,
            components: 20,
            ..DataSpec::of(DataSet::Digits)
        },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![], ..MlpSpec::default() }),
        objective: ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() },
        ..RunSpec::default()
    };
    spec.optimizer.kind = kind;
    spec.optimizer.weight_decay = 0.0;
    spec.batch.size = 0;
    spec.probes.samples = 200;
    (spec.schedule.kind, spec.schedule.warmup) = (Shape::Constant, 0);
    spec
}

async fn trainer(spec: &RunSpec) -> Trainer<CpuExecutor> {
    let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose().unwrap();
    let data = Rc::new(data::load(&spec.data, spec.seed, pack.as_deref()).unwrap());
    Trainer::new(CpuExecutor::new(), spec, data).await.unwrap()
}

async fn train(trainer: &mut Trainer<CpuExecutor>, steps: u64) -> Vec<StepMetrics> {
    for _ in 0..steps {
        trainer.step().await.unwrap();
    }
    trainer.metrics().await.unwrap()
}

async fn find(trainer: &mut Trainer<CpuExecutor>, range: Range) -> RangeTest {
    let mut test = RangeTest::new(trainer, range);
    test.run(trainer, async |_: &RangeTest| true).await.unwrap();
    test
}

fn stable(test: &RangeTest) -> StableRate {
    match test.limit() {
        Some(Limit::Stable(stable)) => *stable,
        other => panic!("{other:?}"),
    }
}

/// The first rate of a range at which gradient descent along the sharpest direction of a quadratic swings more widely than
/// at the start, having been damped before.
fn regrown(limit: &StableRate, range: &Range) -> f64 {
    let mut x = 1.0f64;
    (0..range.updates)
        .map(|i| range.rate(i))
        .find(|rate| {
            x *= 1.0 - rate * limit.lambda;
            x.abs() > 1.0
        })
        .unwrap()
}

#[test]
fn on_a_quadratic_the_loss_diverges_where_the_curvature_says() {
    pollster::block_on(async {
        for (kind, multiple) in [(Rule::Sgd, 2.0), (Rule::Momentum, 3.8)] {
            let spec = quadratic(kind);
            let mut at_start = trainer(&spec).await;
            let coarse = find(&mut at_start, WIDE).await;
            let limit = stable(&coarse);
            assert!((limit.multiple - multiple).abs() < 1e-9 && !limit.preconditioned && limit.samples == 200);
            // As far beyond the limit as it takes the swings to grow back to what they were before lower rates damped them,
            // give or take three updates.
            if kind == Rule::Sgd {
                let over = coarse.record().diverged().unwrap() / regrown(&limit, &WIDE);
                assert!((1.0 / 1.7..1.7).contains(&over), "diverged at {over} of the rate of theory");
            }
            // The slower the rates grow, the closer.
            let range = Range { low: limit.rate / 4.0, high: limit.rate * 4.0, updates: 1000, samples: 0 };
            let fine = find(&mut at_start, range).await.record().diverged().unwrap() / limit.rate;
            assert!((1.0..1.4).contains(&fine), "{kind:?}: diverged at {fine} of the limit");
            // The limit itself is the largest rate at which training is stable.
            for (share, holds) in [(0.97, true), (1.03, false)] {
                let mut spec = spec.clone();
                spec.schedule.peak = share * limit.rate;
                let losses = train(&mut trainer(&spec).await, 1000).await;
                let fell = losses[999].loss < losses[0].loss;
                assert_eq!(fell, holds, "{kind:?} at {share}: {} to {}", losses[0].loss, losses[999].loss);
            }
        }
    });
}

#[test]
fn rules_that_scale_each_parameter_are_measured_as_they_see_it() {
    pollster::block_on(async {
        let mut trainer = trainer(&quadratic(Rule::AdamW)).await;
        let first = find(&mut trainer, Range::default()).await;
        train(&mut trainer, 20).await;
        for test in [first, find(&mut trainer, Range::default()).await] {
            let limit = stable(&test);
            assert!(limit.preconditioned && (limit.multiple - 38.0).abs() < 0.1, "{limit:?}");
            assert!((1e-5..1.0).contains(&limit.rate), "{limit:?}");
            let figure = test.figure();
            assert!(figure.meaning.contains("as AdamW scales it"), "{}", figure.meaning);
        }
    });
}

/// Recipes in which all that a run remembers matters.
fn recipes() -> Vec<RunSpec> {
    let mut adaptive = preset("mlp").unwrap().spec();
    adaptive.data.train = 400;
    (adaptive.batch.policy, adaptive.batch.size, adaptive.batch.interval) = (Policy::NormTest, 8, 3);
    adaptive.optimizer.kind = Rule::Momentum;
    // Running statistics, random numbers, gradients summed over micro-batches, moments that are being warmed, and an edit
    // that comes during the test.
    let mut convnet = preset("convnet").unwrap().spec();
    (convnet.data.size, convnet.data.train, convnet.batch.size, convnet.batch.micro) = (12, 300, 16, 8);
    convnet.optimizer.warm = 9;
    convnet.record(12, "batch.size", "24").unwrap();
    // Rate and momentum that were measured.
    let mut measured = preset("mlp").unwrap().spec();
    measured.optimizer.kind = Rule::Momentum;
    (measured.schedule.auto, measured.schedule.interval) = (Auto::Both, 5);
    vec![adaptive, convnet, measured]
}

#[test]
fn a_run_goes_on_as_if_it_had_not_been_tested() {
    pollster::block_on(async {
        for spec in recipes() {
            let mut straight = trainer(&spec).await;
            let expected = train(&mut straight, 30).await;
            for step in [0, 7] {
                let mut tested = trainer(&spec).await;
                let mut found = train(&mut tested, step).await;
                let before: Checkpoint = tested.checkpoint().await.unwrap();
                // Beyond all that is finite: no buffer may keep a NaN.
                let test = find(&mut tested, Range { high: 1e9, updates: 40, ..Range::default() }).await;
                assert!(test.record().points().len() > 10 && test.complete());
                assert_eq!(test.record().points()[0].rate, 1e-6);
                assert_eq!((tested.checkpoint().await.unwrap(), tested.spec()), (before, &spec));
                found.extend(train(&mut tested, 30 - step).await);
                assert_eq!(found, expected, "tested after {step} updates");
                assert_eq!(tested.theta().await.unwrap(), straight.theta().await.unwrap());
            }
        }
    });
}

#[test]
fn a_test_that_is_stopped_leaves_the_run_where_it_was() {
    pollster::block_on(async {
        let mut trainer = trainer(&quadratic(Rule::Adam)).await;
        train(&mut trainer, 5).await;
        let before = trainer.checkpoint().await.unwrap();
        // Among products, among updates, and before anything.
        for parts in [1, 60, 0] {
            let mut test = RangeTest::new(&trainer, Range::default());
            let left = std::cell::Cell::new(parts);
            let go_on = async |_: &RangeTest| {
                left.set(left.get() - 1);
                left.get() > 0
            };
            test.run(&mut trainer, go_on).await.unwrap();
            assert!(!test.complete() && test.suggestions().is_empty());
            assert_eq!(trainer.checkpoint().await.unwrap(), before);
        }
    });
}

#[test]
fn the_limit_says_on_how_many_examples_it_was_measured() {
    pollster::block_on(async {
        let mut spec = quadratic(Rule::Sgd);
        (spec.probes.samples, spec.batch.size) = (16, 50);
        let mut trainer = trainer(&spec).await;
        train(&mut trainer, 3).await;
        let few = find(&mut trainer, WIDE).await;
        assert_eq!((stable(&few).samples, stable(&few).all, few.step(), few.records().len()), (16, 200, 3, 3));
        let meaning = few.figure().meaning;
        assert!(meaning.starts_with("steps on the 16 of 200 examples on which λ1 = "), "{meaning}");
        let all = find(&mut trainer, Range { samples: 1000, ..WIDE }).await;
        assert_eq!((stable(&all).samples, stable(&all).all), (200, 200));
        assert!(stable(&all).lambda < stable(&few).lambda, "the few have the sharper landscape");
        // Restarts draw other batches.
        let [first, second, ..] = few.records() else { panic!("{:?}", few.records()) };
        assert_ne!(first.points()[0].loss, second.points()[0].loss);
    });
}

#[test]
fn the_figure_says_what_was_found() {
    pollster::block_on(async {
        let test = find(&mut trainer(&quadratic(Rule::Sgd)).await, WIDE).await;
        let figure = test.figure();
        let csv = figure.to_csv();
        for label in ["steepest descent", "minimum / 10", "schedule now 0.002", "2/λ1", "diverged"] {
            assert!(csv.contains(&format!("rule,{label}")), "{label} is not among {csv}");
        }
        let diverged = crate::spec::three_digits(test.record().diverged().unwrap());
        assert_eq!(figure.value, format!("diverged at {diverged}"));
        assert!(figure.meaning.starts_with("full-batch steps are stable up to 2/λ1 = "), "{}", figure.meaning);
        assert!(figure.alt.contains("Suggested rates: steepest descent: "), "{}", figure.alt);
    });
}
