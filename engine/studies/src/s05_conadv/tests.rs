use burn::tensor::Tensor;
use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::model::Mode;
use engine::rng::{Rng, Stream};
use engine::tape::{Breathless, Home, Play, PlayError, Words, trace};

use super::run::{CLASSES, PIXELS, attacked, others, starts};
use super::*;
use crate::names::DIVERGED;
use crate::test_help::{names_as_diverged, unmeasured};

const ROWS: usize = 4;

fn play() -> Play<'static> {
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    Play::new(&home, Breathless, 3).unwrap()
}

fn way(beside: Beside, updates: usize, rate: f64) -> Way {
    Way { beside, reach: 0.1, targeted: false, streams: Streams::None, updates, rate }
}

fn images() -> Images {
    let spec = DataSpec { train: 8, test: 4, size: SIDE, ..DataSpec::of(DataSet::Mnist) };
    let pack = engine::data::read_pack_file(&engine::data::pack_file(spec.set).unwrap()).unwrap();
    Images::of("images", &engine::data::load(&spec, 1, Some(&pack)).unwrap()).unwrap()
}

/// Readings and the last training loss of an arm.
fn learned(way: &Way) -> Vec<[f64; 2]> {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    let outcome = results.record("plain", 1).unwrap();
    pollster::block_on(learn(play(), &images(), way, 1, outcome)).unwrap();
    outcome.curve(LOSS).iter().chain(outcome.curve(ACCURACY)).copied().collect()
}

/// Exact check 1: without learning, no age of the attacks makes a difference; with it, it does.
#[test]
fn stale_attacks_are_stale() {
    let of = |age, rate| learned(&way(Beside::Attack(age), 20, rate));
    assert_eq!(of(0, 0.0), of(1, 0.0));
    assert_eq!(of(0, 0.0), of(5, 0.0));
    assert_ne!(of(0, 0.05), of(1, 0.05));
    assert_eq!([0, 1, 8].map(|age| Beside::Attack(age).dependent()), [2, 1, 1]);
}

/// Exact check 2, second half: attacks that reach nowhere are the images, and half of two equal losses is one.
#[test]
fn attacks_of_no_reach_are_images_alone() {
    let nowhere = learned(&Way { reach: 0.0, ..way(Beside::Attack(1), 20, 0.05) });
    for (a, b) in nowhere.iter().zip(learned(&way(Beside::Nothing, 20, 0.05))) {
        assert!((a[1] - b[1]).abs() < 1e-5, "{a:?} and {b:?}");
    }
}

/// What a linear loss is attacked to, `sum w . x`.
fn on_linear(x: &[f32], start: &[f32], weights: &[f32], targeted: bool) -> Vec<f32> {
    let way = Way { targeted, ..way(Beside::Attack(0), 1, 0.1) };
    let step = trace("attack", Mode::Probe, |tape| {
        let [x, start, weights] = ["x", "start", "weights"].map(|name| tape.input(name, [ROWS, PIXELS]));
        let loss = (start.clone() * weights).sum();
        let [moved, _]: [Tensor<2>; 2] = attacked(tape, start, x, &loss, &way);
        tape.fetch("moved", &moved);
        Ok(())
    });
    pollster::block_on(async {
        let mut play = play();
        let step = play.add(step?).await?;
        let inputs = [("x", Words::Numbers(x)), ("start", Words::Numbers(start)), ("weights", Words::Numbers(weights))];
        play.run(step, &inputs).await?;
        play.fetch(step, "moved").await
    })
    .map_err(|error: PlayError| error)
    .unwrap()
}

/// Exact checks 2 and 3: within the reach and the range of pixels; from the image itself, a linear loss rises by exactly the
/// reach times the sum of its weights' sizes, or falls as much where the attack is targeted.
#[test]
fn attacks_keep_within_reach_and_go_as_far_as_they_may() {
    let mut rng = Rng::new(9, Stream::Probe, 0);
    let weights: Vec<f32> = (0..ROWS * PIXELS).map(|_| rng.normal()).collect();
    let x: Vec<f32> = (0..ROWS * PIXELS).map(|_| rng.uniform()).collect();
    let start = starts(&x, 0.1, &mut rng);
    assert_ne!(start, x);
    for (moved, x) in on_linear(&x, &start, &weights, false).iter().zip(&x) {
        assert!((moved - x).abs() <= 0.1 + 1e-6 && (0.0..=1.0).contains(moved));
    }
    let middle = vec![0.5; ROWS * PIXELS];
    let size: f32 = weights.iter().map(|weight| weight.abs()).sum();
    for (targeted, sign) in [(false, 1.0), (true, -1.0)] {
        let moved = on_linear(&middle, &middle, &weights, targeted);
        let rise: f32 = moved.iter().zip(&weights).map(|(x, weight)| (x - 0.5) * weight).sum();
        assert!((rise - sign * 0.1 * size).abs() < 1e-3 * size, "{rise}");
    }
}

/// Exact check 5.
#[test]
fn targets_are_other_classes_all_equally_likely() {
    let mut rng = Rng::new(11, Stream::Probe, 0);
    let found = others(&vec![3; 10_000], &mut rng);
    let counts: Vec<f64> =
        (0..CLASSES as u32).map(|class| found.iter().filter(|&&c| c == class).count() as f64).collect();
    assert_eq!(counts[3], 0.0);
    let expected = 10_000.0 / 9.0;
    let square: f64 =
        counts.iter().enumerate().filter(|(k, _)| *k != 3).map(|(_, n)| (n - expected).powi(2) / expected).sum();
    // Chi-square with 8 degrees of freedom: above this in one case of a thousand.
    assert!(square < 26.1, "{square}");
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, accuracy) in [("plain", 85.0), ("noise", 86.0), ("fresh", 89.2), ("stale", 89.0), ("old", 88.0)] {
        let outcome = results.record(arm, 1).unwrap();
        outcome.reading(ACCURACY, 120.0, accuracy);
        outcome.number(WORK, 60.0);
        outcome.number(WORK_OF_ATTACK, 20.0);
        outcome.reading(AGREEMENT, 50.0, if arm == "old" { 80.0 } else { 95.0 });
        outcome.done = true;
    }
    // An attack in turn with learning from all images, or beside it.
    assert_eq!((time(&results, "fresh").mean(), time(&results, "stale").mean()), (80.0, 60.0));
    let verdict = answer(&results).verdict(&STUDY);
    let said = verdict.answer;
    assert!(said.starts_with("Yes, but one of 6 further claims fails. Training with attacks that are one"), "{said}");
    assert!(said.contains("update old is ahead of images alone"), "{said}");
    assert!(!verdict.measured.contains("what is small here"), "{}", verdict.measured);
    // A fresh attack that gains enough is not called small.
    results.record("stale", 1).unwrap().reading(ACCURACY, 120.0, 86.0);
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.measured.contains("Fresh attacks gain 4.2 points on average, of which age costs 3.2."));
    // Where the gain is small it is said whose it is.
    for (arm, accuracy) in [("fresh", 86.5), ("stale", 86.2)] {
        results.record(arm, 1).unwrap().reading(ACCURACY, 120.0, accuracy);
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.answer.starts_with("No, not by enough."), "{}", verdict.answer);
    assert!(
        verdict.measured.contains("gain only 1.5 points on average, of which age costs 0.3"),
        "{}",
        verdict.measured
    );
}

/// Rates that throw it off end a run, which then counts as guessing.
#[test]
fn what_diverges_counts_as_guessing() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    let outcome = results.record("plain", 1).unwrap();
    pollster::block_on(learn(play(), &images(), &way(Beside::Nothing, 25, 1e300), 1, outcome)).unwrap();
    assert_eq!((outcome.curve(ACCURACY), outcome.numbers.get(&SHARPNESS)), (&[[10.0, 10.0]][..], None));
    names_as_diverged(&STUDY, &results, "“images alone” with 1 of 1 seeds");
    results.record("stale", 1).unwrap().number(DIVERGED, 10.0);
    assert_eq!(answer(&results).verdict(&STUDY).holds, engine::figure::Holds::Untested);
}

#[test]
fn attacks_of_no_reach_are_not_judged() {
    let results = unmeasured(&STUDY, &[("reach", "0")], &[1]);
    assert_eq!(answer(&results).verdict(&STUDY).holds, engine::figure::Holds::Untested);
}
