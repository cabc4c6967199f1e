//! Rates from known curvatures: closed forms, the steps that follow from them, and what edits do.

use std::rc::Rc;

use super::*;
use crate::cpu::CpuExecutor;
use crate::data::Data;
use crate::optim::{Bias, stability::threshold};
use crate::probe::Ritz;
use crate::spec::{
    BatchSpec, Edit, Loss, MlpSpec, ModelSpec, ObjectiveSpec, OptimizerSpec, RunSpec, ScheduleSpec, Shape,
};
use crate::train::statistics::tests::linear;
use crate::train::{StepMetrics, Trainer};

/// Scales of three features that take both signs in all combinations. With the bias the Hessian of the mean squared error is
/// diagonal, of these eigenvalues.
const SCALES: [f32; 3] = [2.0, 1.5, 0.5];
const EIGENVALUES: [f64; 4] = [8.0, 4.5, 0.5, 2.0];

fn quadratic() -> Rc<Data> {
    let sign = |row: usize, bit: usize| if row >> bit & 1 == 1 { 1.0 } else { -1.0 };
    let rows: Vec<[f32; 3]> = (0..8).map(|row| [0, 1, 2].map(|bit| SCALES[bit] * sign(row, bit))).collect();
    // A plane: the minimum is 0.
    let targets: Vec<f32> = rows.iter().map(|x| 0.5 * x[0] - x[1] + 2.0 * x[2] + 0.75).collect();
    linear(rows.as_flattened(), &targets)
}

fn spec(kind: Rule, auto: Auto, damping: f64) -> RunSpec {
    RunSpec {
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![], ..MlpSpec::default() }),
        objective: ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() },
        optimizer: OptimizerSpec { kind, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, warmup: 0, auto, damping, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 0, ..BatchSpec::default() },
        steps: 200,
        ..RunSpec::default()
    }
}

async fn train(spec: &RunSpec, updates: u64) -> Result<(Trainer<CpuExecutor>, Vec<StepMetrics>), TrainError> {
    let mut trainer = Trainer::new(CpuExecutor::new(), spec, quadratic()).await?;
    for _ in 0..updates {
        trainer.step().await?;
    }
    let metrics = trainer.metrics().await?;
    Ok((trainer, metrics))
}

/// A spectrum of these ends.
fn ends(smallest: f64, largest: f64) -> Spectrum {
    let probe = Ritz { values: vec![largest, smallest], weights: vec![0.5; 2], residuals: vec![0.0; 2], products: 2 };
    Spectrum { probes: vec![probe], products: 2, ..Spectrum::default() }
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * b.abs(), "{a} against {b}");
}

/// Loss after an update over the loss before it, late in a run.
fn late_ratio(metrics: &[StepMetrics], [from, to]: [usize; 2]) -> f64 {
    f64::from(metrics[to].loss / metrics[from].loss).powf(1.0 / (to - from) as f64)
}

#[test]
fn formulas_are_those_of_quadratics() {
    for curvatures in [[0.5, 8.0], [1e-3, 20.0], [3.0, 3.0]] {
        let [low, high]: [f64; 2] = curvatures;
        let momentum = best_momentum(curvatures);
        close(best_rate(curvatures, momentum), (2.0 / (low.sqrt() + high.sqrt())).powi(2), 1e-12);
        close(best_rate(curvatures, 0.0), 2.0 / (low + high), 1e-12);
        // All that is to be descended is stable, up to the sum of both ends.
        let rule = OptimizerSpec { kind: Rule::Momentum, momentum: 0.7, ..OptimizerSpec::default() };
        close(threshold(&rule, best_rate(curvatures, 0.7), &Bias::START).unwrap(), low + high, 1e-12);
    }
    close(best_momentum([0.5, 8.0]), 0.36, 1e-12);
    // No curvature at all at one end, and next to none at both.
    assert_eq!(best_momentum([0.0, 1.0]), MOST);
    assert_eq!(best_rate([0.0, 1e-300], 0.0), HIGHEST);
}

/// No other rate makes the slower of both ends faster, whatever the momentum.
#[test]
fn the_rate_is_the_best_for_its_momentum() {
    let radius = |momentum: f64, rate: f64, curvature: f64| {
        let trace = 1.0 + momentum - rate * curvature;
        let inside = trace * trace - 4.0 * momentum;
        if inside < 0.0 { momentum.sqrt() } else { 0.5 * (trace.abs() + inside.sqrt()) }
    };
    let curvatures = [0.5, 8.0];
    let slowest =
        |momentum: f64, rate: f64| curvatures.into_iter().map(|c| radius(momentum, rate, c)).fold(0.0, f64::max);
    let best = best_momentum(curvatures);
    for momentum in [0.0, 0.2, best, 0.6, 0.9] {
        let found = slowest(momentum, best_rate(curvatures, momentum));
        for factor in [0.5, 0.9, 0.99, 1.01, 1.1, 2.0] {
            let other = slowest(momentum, factor * best_rate(curvatures, momentum));
            assert!(found <= other + 1e-12, "momentum {momentum}, rate times {factor}: {found} and {other}");
        }
        // Up to where a double root becomes two.
        assert!(slowest(best, best_rate(curvatures, best)) <= found + 1e-7);
    }
}

#[test]
fn descent_on_a_quadratic_has_the_closed_forms_rate() -> Result<(), TrainError> {
    pollster::block_on(async {
        for damping in [0.0, 0.25] {
            let (trainer, metrics) = train(&spec(Rule::Sgd, Auto::Rate, damping), 40).await?;
            let rate = 2.0 / (8.5 + 2.0 * damping);
            close(trainer.lr(), rate, 1e-5);
            close(f64::from(metrics[0].lr), rate, 1e-5);
            // The slowest direction: the flattest, beside the steepest where nothing is damped.
            close(late_ratio(&metrics, [20, 39]), (1.0 - rate * 0.5).powi(2), 2e-3);
        }
        Ok(())
    })
}

#[test]
fn heavy_ball_on_a_quadratic_takes_the_closed_forms_steps() -> Result<(), TrainError> {
    pollster::block_on(async {
        for damping in [0.0, 0.25] {
            let recipe = spec(Rule::Momentum, Auto::Both, damping);
            let (trainer, metrics) = train(&recipe, 24).await?;
            let damped = [0.5 + damping, 8.0 + damping];
            let (momentum, rate) = (best_momentum(damped), best_rate(damped, best_momentum(damped)));
            close(trainer.optimizer().momentum, momentum, 1e-5);
            close(trainer.lr(), rate, 1e-5);
            // The recursion along each eigenvector, from where the run starts.
            let start = trainer.layout().initial(recipe.seed);
            let target = [0.5, -1.0, 2.0, 0.75];
            let mut errors: Vec<[f64; 2]> =
                start.iter().zip(target).map(|(&theta, target)| [f64::from(theta) - target, 0.0]).collect();
            for step in &metrics {
                let loss: f64 = errors.iter().zip(EIGENVALUES).map(|([error, _], c)| 0.5 * c * error * error).sum();
                assert!((f64::from(step.loss) - loss).abs() < 1e-4 * loss + 1e-7, "{step:?} against {loss}");
                close(f64::from(step.momentum), momentum, 1e-5);
                for ([error, velocity], curvature) in errors.iter_mut().zip(EIGENVALUES) {
                    *velocity = momentum * *velocity + curvature * *error;
                    *error -= rate * *velocity;
                }
            }
            // Faster than the best descent without momentum.
            assert!(late_ratio(&metrics, [4, 16]) < 0.85 * (7.5_f64 / 8.5).powi(2));
        }
        Ok(())
    })
}

#[test]
fn negative_curvature_counts_as_flat_and_no_spectrum_changes_nothing() {
    let recipe = spec(Rule::Momentum, Auto::Both, 0.5);
    let schedule = EffectiveSchedule::new(&recipe, 8);
    let mut auto = AutoRate::default();
    let rates = |auto: &AutoRate| auto.rates(&schedule, 0, 8, 0, 1.0);
    let useless = [
        Spectrum::default(),
        ends(-1.0, f64::NAN),
        ends(f64::NEG_INFINITY, 1.0),
        ends(0.0, f64::INFINITY),
        ends(-2.0, -1.0),
        ends(0.0, 0.0),
    ];
    // Before anything is known the recipe's own rate holds.
    for spectrum in &useless {
        auto.observe(&schedule, 0, spectrum);
        assert_eq!(rates(&auto), schedule.rates(0, 8, 0, 1.0));
    }
    auto.observe(&schedule, 0, &ends(-3.0, 7.5));
    let known = rates(&auto);
    close(known.lr, 0.32, 1e-12);
    close(known.momentum.unwrap(), 0.36, 1e-12);
    for spectrum in &useless {
        auto.observe(&schedule, 50, spectrum);
        assert_eq!(rates(&auto), known);
    }
    assert_eq!(AutoRate::restored(&auto.numbers()), auto);
    for none in [&[1.0][..], &[0.0, 1.0, f64::NAN], &[0.0, f64::INFINITY, 1.0], &[0.0, -3.0, -2.0]] {
        assert_eq!(AutoRate::restored(none), AutoRate::default());
    }
    assert_eq!(AutoRate::restored(&AutoRate::default().numbers()), AutoRate::default());
}

#[test]
fn the_shape_multiplies_what_is_measured() {
    let mut recipe = spec(Rule::Sgd, Auto::Rate, 1.0);
    recipe.schedule = ScheduleSpec { kind: Shape::Cosine, peak: 0.3, warmup: 10, floor: 0.25, ..recipe.schedule };
    recipe.optimizer.warm = 3;
    let schedule = EffectiveSchedule::new(&recipe, 8);
    let mut auto = AutoRate::default();
    auto.observe(&schedule, 0, &ends(0.0, 8.0));
    let lr = |step| auto.rates(&schedule, step, 8, 0, 1.0).lr;
    assert_eq!(lr(2), 0.0, "the moments are being warmed");
    close(lr(4), 0.2 * 0.5, 1e-12);
    close(lr(10), 0.2, 1e-12);
    close(lr(199), 0.2 * 0.25, 1e-12);
}

/// Edits act from their update on; what was measured for another batch, or before curvature was asked, is not used.
#[test]
fn edits_change_the_future_only() {
    let edit = |step: u64, path: &str, value: &str| Edit { step, path: path.into(), value: value.into() };
    let mut recipe = spec(Rule::Momentum, Auto::Off, 0.5);
    recipe.edits = vec![
        edit(30, "schedule.auto", "both"),
        edit(60, "schedule.damping", "2"),
        edit(70, "schedule.auto", "rate"),
        edit(90, "batch.size", "4"),
        edit(95, "schedule.interval", "10"),
        edit(150, "schedule.auto", "off"),
    ];
    assert_eq!(recipe.validate(), []);
    let schedule = EffectiveSchedule::new(&recipe, 8);
    let mut auto = AutoRate::default();
    let due: Vec<u64> = (0..200).filter(|&step| auto.due(&schedule, step)).collect();
    assert_eq!(due, [30, 70, 90, 100, 110, 120, 130, 140]);
    auto.observe(&schedule, 30, &ends(0.0, 7.5));
    let at = |auto: &AutoRate, step| auto.rates(&schedule, step, 8, 0, 1.0);
    let by_hand = |step| schedule.rates(step, 8, 0, 1.0);
    assert_eq!(at(&auto, 29), by_hand(29));
    let momentum = best_momentum([0.5, 8.0]);
    assert_eq!(
        at(&auto, 59),
        Rates { lr: best_rate([0.5, 8.0], momentum), pace: best_rate([0.5, 8.0], momentum), momentum: Some(momentum) }
    );
    let [low, high] = [2.0, 9.5];
    assert_eq!(at(&auto, 60).momentum, Some(best_momentum([low, high])));
    assert_eq!(at(&auto, 70), by_hand(70), "not yet measured again");
    auto.observe(&schedule, 70, &ends(0.0, 7.5));
    assert_eq!(
        at(&auto, 89),
        Rates { lr: best_rate([low, high], 0.9), pace: best_rate([low, high], 0.9), momentum: None }
    );
    assert_eq!(at(&auto, 90), by_hand(90), "another batch");
    auto.observe(&schedule, 140, &ends(0.0, 7.5));
    assert_eq!(at(&auto, 150), by_hand(150));
}
