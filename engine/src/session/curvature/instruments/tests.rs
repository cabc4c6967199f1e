//! Each instrument against a closed form or finite differences.

use super::super::tests::{measure, spec, trainer};
use super::super::{Tools, Watch};
use super::*;
use crate::probe::{Operator, Point, dot, gaussian};
use crate::protocol::Probe;
use crate::spec::{Loss, MlpSpec, ModelSpec, Rule, RunSpec};

fn close(found: f64, exact: f64, tolerance: f64) {
    assert!((found - exact).abs() <= tolerance * exact.abs(), "{found} for {exact}");
}

/// Tools at the state of a run.
async fn tools(trainer: &mut Trainer<AnyExecutor>) -> Tools {
    let mut tools = Tools::new(trainer).unwrap();
    tools.before = (trainer.steps_done(), trainer.theta().await.unwrap());
    tools
}

async fn loss(tools: &mut Tools, trainer: &mut Trainer<AnyExecutor>, theta: &[f32], rows: &[u32]) -> f64 {
    tools.landscape.go(trainer.executor_mut(), Point::Given(theta)).await.unwrap();
    super::super::mean(&tools.landscape.losses(trainer.executor_mut(), rows).await.unwrap())
}

fn moved(theta: &[f32], by: f64, along: &[f32]) -> Vec<f32> {
    theta.iter().zip(along).map(|(theta, along)| theta + by as f32 * along).collect()
}

#[test]
fn ratios_have_the_errors_of_ratios() {
    let exact = Gauged::ratio(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0], 3);
    assert_eq!((exact.value, exact.error), (2.0, 0.0));
    // Of ones below: the mean and its standard error.
    let mean = Gauged::mean(&[1.0, 2.0, 3.0, 6.0], 4);
    close(mean.value, 3.0, 1e-12);
    close(mean.error, (14.0f64 / 3.0 / 4.0).sqrt(), 1e-12);
}

/// The step of plain descent on the examples' own loss, against losses along it: the parabola through both slopes.
#[test]
fn alpha_is_where_the_step_lands() {
    pollster::block_on(async {
        let mut trainer = trainer(&spec(Rule::Sgd, 0.5)).await;
        let mut tools = tools(&mut trainer).await;
        // 16 equal parts of 200 examples.
        let (theta, rows) = (tools.before.1.clone(), tools.noise_rows[..192].to_vec());
        trainer.step().await.unwrap();
        let after = trainer.theta().await.unwrap();
        let update: Vec<f32> = after.iter().zip(&theta).map(|(a, b)| a - b).collect();
        tools.after = Some(after.clone());
        let mut alpha = Alpha::default();
        for part in 0..alpha::PARTS {
            alpha.measure(part, &mut tools, &mut trainer).await.unwrap();
        }
        let told = alpha.told().unwrap();
        let mut slope = async |theta: &[f32]| {
            let h = 1e-2;
            let ahead = loss(&mut tools, &mut trainer, &moved(theta, h, &update), &rows).await;
            (ahead - loss(&mut tools, &mut trainer, &moved(theta, -h, &update), &rows).await) / (2.0 * h)
        };
        let (before, after) = (slope(&theta).await, slope(&after).await);
        assert!(before < 0.0);
        assert!((told.value + after / before).abs() < 0.01, "{} for {}", told.value, -after / before);
        assert!(told.error > 0.0 && told.samples == rows.len());
    });
}

#[test]
fn alpha_of_a_parabola_says_how_far_the_step_went() {
    // L = theta^2 / 2 from 1: to 0.5, to the lowest point, as high as before, beyond, and uphill.
    let at = |to: f64| {
        let mut alpha = Alpha::default();
        alpha.set(&[to - 1.0; 2], &[to * (to - 1.0); 2]);
        alpha.told().unwrap().value
    };
    assert_eq!([0.5, 0.0, -1.0, -2.0].map(at), [-0.5, 0.0, 1.0, 2.0]);
    assert!(at(1.5).is_nan());
}

#[test]
fn batch_sharpness_is_the_curvature_along_the_batchs_own_gradient() {
    pollster::block_on(async {
        let mut spec = spec(Rule::Momentum, 0.1);
        spec.batch.size = 24;
        let mut trainer = trainer(&spec).await;
        for _ in 0..20 {
            trainer.step().await.unwrap();
        }
        let mut tools = tools(&mut trainer).await;
        let mut found = BatchSharpness::default();
        for number in 0..batch_sharpness::BATCHES {
            found.measure(number, 24, &mut tools, &mut trainer).await.unwrap();
        }
        let told = found.told().unwrap();
        // 8 batches of 24 of 200 examples.
        assert_eq!(told.samples, 192);
        assert!(told.error > 0.0);
        let theta = tools.before.1.clone();
        let rows = crate::probe::first_rows(&trainer, 24 * batch_sharpness::BATCHES);
        let (mut above, mut below) = (0.0, 0.0);
        for batch in rows.chunks(24) {
            let mut gradient = async |theta: &[f32]| {
                tools.landscape.go(trainer.executor_mut(), Point::Given(theta)).await.unwrap();
                tools.landscape.gradient(trainer.executor_mut(), batch).await.unwrap().1
            };
            let here = gradient(&theta).await;
            let h = 0.02;
            let (ahead, behind) = (gradient(&moved(&theta, h, &here)).await, gradient(&moved(&theta, -h, &here)).await);
            above += (dot(&ahead, &here) - dot(&behind, &here)) / (2.0 * h);
            below += dot(&here, &here);
        }
        close(told.value, above / below, 5e-3);
        let settles = Settles::of(&spec.optimizer, 0.1).unwrap();
        close(settles.small, 2.0 * (1.0 - spec.optimizer.momentum) / 0.1, 1e-12);
        close(settles.large, 2.0 * (1.0 + spec.optimizer.momentum) / 0.1, 1e-12);
    });
}

/// One layer under squared errors: the loss is a parabola, whose rise both ways is half the curvature along the move.
#[test]
fn a_perturbation_is_half_the_curvature_along_it_on_a_parabola() {
    pollster::block_on(async {
        let mut spec =
            RunSpec { model: ModelSpec::Mlp(MlpSpec { hidden: vec![], ..MlpSpec::default() }), ..spec(Rule::Sgd, 0.1) };
        spec.objective.kind = Loss::Mse;
        let mut trainer = trainer(&spec).await;
        let mut tools = tools(&mut trainer).await;
        let mut found = Perturbation::default();
        let theta = tools.before.1.clone();
        let rows = tools.noise_rows.clone();
        tools.part.linearise(trainer.executor_mut(), Point::Given(&theta), &rows).await.unwrap();
        let mut exact = 0.0;
        for draw in 0..2 {
            found.measure(draw, &mut tools, &mut trainer).await.unwrap();
            let seed = !trainer.spec().seed;
            let tip = super::super::landscape::Direction::random(trainer.layout(), &theta, seed, draw as u32).tip;
            let by: Vec<f32> = tip.iter().map(|x| 0.1 * x).collect();
            let product = tools.part.apply(trainer.executor_mut(), vec![by.clone()]).await.unwrap().concat();
            exact += dot(&by, &product) / 4.0;
        }
        let told = found.told().unwrap();
        close(told.value, exact, 1e-2);
        assert_eq!(told.samples, rows.len());
    });
}

/// Gaussian gradients of a known mean: signal over noise and CABS are what they were made of, and the stopping criterion is
/// about 0 where there is no signal, far below where there is.
#[test]
fn gradients_of_known_noise_are_told_apart() {
    let (size, batch, count) = (400, 4, 16);
    let layout = {
        let mut layout = ParamLayout::default();
        layout.push("a.weight", &[size], crate::model::Init::Constant(0.0));
        layout
    };
    let (mut clarity, mut size_of_batch, mut still, mut moving, mut inside) = (0.0, 0.0, 0.0, 0.0, 0);
    let runs = 100;
    for run in 0..runs {
        let parts = |mean: f32| {
            let mut parts = SmallBatches::new(batch);
            for k in 0..count {
                // The mean of 4 examples of deviation 3.
                let draw = gaussian(run, k, size);
                parts.add(draw.iter().map(|x| mean + 1.5 * x).collect());
            }
            parts
        };
        let (noise, signal) = (parts(0.0), parts(0.5));
        clarity += gradient::signal(&signal, &layout, 8)[0].value / f64::from(runs as u32);
        size_of_batch += gradient::cabs(&signal, 0.1, 2.0).value / f64::from(runs as u32);
        let stopping = gradient::stopping(&noise);
        still += stopping.value / f64::from(runs as u32);
        inside += usize::from(stopping.value.abs() < 2.0 * stopping.error);
        assert_eq!(stopping.samples, 64);
        moving += gradient::stopping(&signal).value / f64::from(runs as u32);
    }
    // |G|^2 = 100, tr Sigma = 3600.
    close(clarity, 8.0 * 100.0 / 3600.0, 0.01);
    close(size_of_batch, 0.1 * 3600.0 / 2.0, 0.01);
    assert!(still.abs() < 0.01, "{still}");
    // g^2 over the variance of the mean of 16: 0.25 / (2.25 / 16).
    close(moving, -16.0 * 0.25 / 2.25, 0.02);
    assert!(inside > 85, "{inside} of {runs}");
}

/// All at once, on and off in mid-run: every figure comes, no number of the run changes.
#[test]
fn instruments_that_are_on_show_their_figures_and_change_no_number() {
    pollster::block_on(async {
        let mut on = spec(Rule::Momentum, 0.05);
        for path in ["alpha", "signal", "cabs", "stopping", "elements", "batch_sharpness", "blocks", "perturbation"] {
            on.set(&format!("probes.{path}"), "true").unwrap();
        }
        let (mut alone, mut watched) = (trainer(&spec(Rule::Momentum, 0.05)).await, trainer(&on).await);
        let mut watch = Watch::default();
        for _ in 0..2 {
            watch.ask(Probe::Spectrum);
            while watch.busy() {
                watch.advance(&mut watched).await.unwrap();
                alone.step().await.unwrap();
                watched.step().await.unwrap();
                if watch.awaits(watched.steps_done()) {
                    watch.updated(watched.theta().await.unwrap());
                }
            }
        }
        assert_eq!(alone.theta().await.unwrap(), watched.theta().await.unwrap());
        let figures = watch.figures();
        for id in [
            "alpha",
            "batch-sharpness",
            "signal",
            "cabs",
            "stopping",
            "perturbation",
            "blocks",
            "elements",
            "elements-against",
        ] {
            let figure = figures.iter().find(|figure| figure.id == id);
            assert!(figure.is_some_and(|figure| !figure.marks.is_empty() && figure.empty.is_empty()), "{id}");
        }
        let mut again = Watch::default();
        again.restore(&watch.to_bytes());
        assert_eq!(again.figures().len(), figures.len());
        let mut off = trainer(&spec(Rule::Momentum, 0.05)).await;
        off.step().await.unwrap();
        let mut plain = Watch::default();
        measure(&mut plain, &mut off, Probe::Spectrum).await;
        assert_eq!(plain.figures().len() + 9, figures.len());
    });
}
