use burn::module::Module;
use burn::nn::LayerNorm;
use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::model::{BatchNorm, Builder, Mode, ParamLayout};
use engine::rng::{Rng, Stream};
use engine::tape::{Breathless, Home, Play, PlayError, Words, trace};

use super::net::{NET, Net, WIDTH, remembering};
use super::*;
use crate::test_help::unmeasured;

const ROWS: usize = 8;
const UNITS: usize = 6;

fn play() -> Play<'static> {
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    Play::new(&home, Breathless, 3).unwrap()
}

fn numbers(count: usize) -> Vec<f32> {
    let mut rng = Rng::new(5, Stream::Probe, 0);
    (0..count).map(|_| 3.0 * rng.normal() + 1.0).collect()
}

#[derive(Module, Debug)]
struct Both {
    layer: LayerNorm,
    batch: BatchNorm,
}

/// What the layer norm (or the batch norm) makes of rows of [`UNITS`], and the gradient of a weighted sum of it.
fn normalized(rows: usize, x: &[f32], batch: bool) -> [Vec<f32>; 2] {
    let step = trace("norm", Mode::Probe, |tape| {
        let x = tape.input("x", [rows, UNITS]);
        let weights = tape.input("w", [rows, UNITS]);
        let both = tape.net(NET, |b: &mut Builder| Both { layer: b.layer_norm(UNITS), batch: b.batch_norm(UNITS) });
        let y = if batch { both.batch.forward(x.clone(), tape.pass()) } else { both.layer.forward(x.clone()) };
        tape.fetch("y", &y);
        let slope = tape.grad(&(y * weights).sum(), &x);
        tape.fetch("dx", &slope);
        Ok(())
    });
    pollster::block_on(async {
        let mut play = play();
        let step = play.add(step?).await?;
        let weights: Vec<f32> = (0..rows * UNITS).map(|k| (k as f32).cos()).collect();
        play.run(step, &[("x", Words::Numbers(x)), ("w", Words::Numbers(&weights))]).await?;
        Ok::<_, PlayError>([play.fetch(step, "y").await?, play.fetch(step, "dx").await?])
    })
    .unwrap()
}

/// Exact checks 1 to 4: mean 0 and variance 1 of each case, whatever else is in the batch, however it is scaled and moved; and
/// a gradient without parts along what it takes off.
#[test]
fn a_case_is_normalized_by_itself_alone() {
    let x = numbers(ROWS * UNITS);
    let [y, slopes] = normalized(ROWS, &x, false);
    for ((x, y), slopes) in x.chunks(UNITS).zip(y.chunks(UNITS)).zip(slopes.chunks(UNITS)) {
        let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / UNITS as f64;
        let centre = mean(x);
        let variance = x.iter().map(|&v| (f64::from(v) - centre).powi(2)).sum::<f64>() / UNITS as f64;
        assert!(mean(y).abs() < 1e-5);
        let found = y.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / UNITS as f64;
        assert!((found - variance / (variance + 1e-5)).abs() < 1e-5);
        let sum: f64 = slopes.iter().map(|&v| f64::from(v)).sum();
        let along: f64 = slopes.iter().zip(y).map(|(&s, &y)| f64::from(s * y)).sum();
        assert!(sum.abs() < 1e-5 && along.abs() < 1e-4, "{sum} {along}");
    }
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let [first, _] = normalized(2, &x[..2 * UNITS], false);
    assert_eq!(bits(&first), bits(&y[..2 * UNITS]));
    let [by_batch, _] = normalized(ROWS, &x, true);
    let [of_two, _] = normalized(2, &x[..2 * UNITS], true);
    assert_ne!(bits(&of_two), bits(&by_batch[..2 * UNITS]));
    for (change, tolerance) in [(&(|v: f32| 10.0 * v) as &dyn Fn(f32) -> f32, 1e-3), (&|v| v + 5.0, 1e-5)] {
        let [changed, _] = normalized(ROWS, &x.iter().map(|&v| change(v)).collect::<Vec<_>>(), false);
        assert!(changed.iter().zip(&y).all(|(a, b)| (a - b).abs() < tolerance));
    }
}

fn layout(form: Form) -> ParamLayout {
    let mut layout = ParamLayout::default();
    trace("layout", Mode::Train, |tape| {
        tape.net(NET, |builder| Net::new(form, builder));
        layout = tape.layout(NET);
        Ok(())
    })
    .unwrap();
    layout
}

/// Exact check 6, and where the forget gates' biases lie.
#[test]
fn norms_have_eighteen_numbers_a_cell() {
    let of = |normalized| layout(Form::Recurrent { cells: 48, normalized });
    let (plain, normed) = (of(false), of(true));
    assert_eq!((plain.len(), normed.len() - plain.len()), (12_096 + 490, 18 * 48));
    let mut theta = vec![0.0; plain.len()];
    remembering(&plain, &mut theta);
    assert_eq!(theta.iter().sum::<f32>(), 48.0);
    let of = |norms| layout(Form::Plain(norms)).len();
    assert_eq!((of(Norms::Batch), of(Norms::Layer)), (of(Norms::None) + 4 * WIDTH, of(Norms::None) + 4 * WIDTH));
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, at) in [("lstm", 400.0), ("ln", 200.0)] {
        let outcome = results.record(arm, 1).unwrap();
        for (x, y) in [(100.0, 50.0), (at, 90.0), (600.0, 95.0)] {
            outcome.reading(ACCURACY, x, y);
        }
        outcome.done = true;
    }
    assert!((learned(&results, "ln", 0).mean() - 200.0).abs() < 1e-9);
    let said = answer(&results).verdict(&STUDY).answer;
    assert!(said.contains("learns in fewer updates: 200 updates to 90% accuracy against 400"), "{said}");
}

/// Accuracies of both LSTMs that end at these, after 600 updates.
fn ended(accuracies: [f64; 2]) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, accuracy) in ["lstm", "ln"].into_iter().zip(accuracies) {
        let outcome = results.record(arm, 1).unwrap();
        outcome.reading(ACCURACY, 300.0, 50.0);
        outcome.reading(ACCURACY, 600.0, accuracy);
        outcome.done = true;
    }
    results
}

#[test]
fn runs_that_do_not_get_there_are_said_and_two_of_them_do_not_tie() {
    let said = |accuracies| answer(&ended(accuracies)).verdict(&STUDY);
    assert_eq!(said([80.0, 70.0]).holds, engine::figure::Holds::Untested);
    let worse = said([95.0, 80.0]).answer;
    assert!(worse.starts_with("No. Layer norm saves no updates here: more than 600 updates"), "{worse}");
    assert!(said([80.0, 95.0]).answer.ends_with("against more than 600 without."));
}

#[test]
fn a_loss_that_diverged_is_the_largest() {
    let mut results = ended([95.0, 95.0]);
    for (arm, last) in [("lstm-high", f64::NAN), ("ln-high", 0.5)] {
        let outcome = results.record(arm, 1).unwrap();
        outcome.reading(LOSS, 25.0, 2.0);
        outcome.reading(LOSS, 50.0, last);
        outcome.done = true;
    }
    let high = |results: &Results| answer(results).verdict(&STUDY).also[0].holds;
    assert_eq!(high(&results), Some(true));
    results.record("ln-high", 1).unwrap().reading(LOSS, 75.0, f64::NAN);
    assert_eq!(high(&results), None);
}
