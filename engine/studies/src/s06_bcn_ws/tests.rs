use burn::module::Module;
use burn::tensor::Tensor;
use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::model::{Builder, Mode};
use engine::rng::{Rng, Stream};
use engine::tape::{Breathless, Home, Play, PlayError, StepId, Words, trace};

use super::net::{Layer, NET, by_groups, standardized};
use super::run::estimate_rate;
use super::*;
use crate::names::DIVERGED;
use crate::test_help::{names_as_diverged, unmeasured};

fn play() -> Play<'static> {
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    Play::new(&home, Breathless, 3).unwrap()
}

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, Stream::Probe, 0);
    (0..count).map(|_| 2.0 * rng.normal() + 0.5).collect()
}

fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * b.abs().max(1.0)), "{a:?}\n{b:?}");
}

/// What a function of `x` yields, and the gradient of its weighted sum.
fn mapped<const D: usize>(shape: [usize; D], x: &[f32], f: fn(Tensor<D>) -> Tensor<D>) -> [Vec<f32>; 2] {
    let step = trace("map", Mode::Train, |tape| {
        let x = tape.input("x", shape);
        let weights = tape.input("w", shape);
        let y = f(x.clone());
        tape.fetch("y", &y);
        let slope = tape.grad(&(y * weights).sum(), &x);
        tape.fetch("dx", &slope);
        Ok(())
    });
    pollster::block_on(async {
        let mut play = play();
        let step = play.add(step?).await?;
        let weights = numbers(x.len(), 8);
        play.run(step, &[("x", Words::Numbers(x)), ("w", Words::Numbers(&weights))]).await?;
        Ok::<_, PlayError>([play.fetch(step, "y").await?, play.fetch(step, "dx").await?])
    })
    .unwrap()
}

/// Exact checks 1 and 2: rows of mean 0 and unbiased variance 1, whatever scale and shift the weights had; and gradients
/// without parts along either.
#[test]
fn standardized_weights_have_one_scale() {
    let (shape, size) = ([3, 2, 3, 3], 18);
    let weights = numbers(3 * size, 1);
    let [found, slopes] = mapped(shape, &weights, standardized);
    for ((row, before), slopes) in found.chunks(size).zip(weights.chunks(size)).zip(slopes.chunks(size)) {
        let mean = |row: &[f32]| row.iter().map(|&w| f64::from(w)).sum::<f64>() / size as f64;
        let unbiased =
            |row: &[f32]| row.iter().map(|&w| (f64::from(w) - mean(row)).powi(2)).sum::<f64>() / (size - 1) as f64;
        assert!(mean(row).abs() < 1e-6);
        assert!((unbiased(row) - unbiased(before) / (unbiased(before) + 1e-5)).abs() < 1e-5);
        let along: f64 = slopes.iter().zip(row).map(|(&slope, &w)| f64::from(slope * w)).sum();
        assert!(slopes.iter().sum::<f32>().abs() < 1e-4 && along.abs() < 1e-3);
    }
    let moved: Vec<f32> = weights.iter().map(|w| 3.0 * w - 2.0).collect();
    close(&mapped(shape, &moved, standardized)[0], &found, 1e-4);
}

#[derive(Module, Debug)]
struct One {
    layer: Layer,
}

const ROWS: usize = 2;
const SHAPE: [usize; 4] = [ROWS, 1, 4, 4];

/// A layer alone, whose update does not learn: steps in training and in use.
async fn layer(play: &mut Play<'_>, norms: Norms) -> Result<[StepId; 2], PlayError> {
    let form = Form { norms, standard: false, groups: 2 };
    let mut steps = vec![];
    for mode in [Mode::Train, Mode::Eval] {
        let name = if mode == Mode::Train { "train" } else { "use" };
        let step = trace(name, mode, |tape| {
            let x = tape.input("x", SHAPE);
            let rate = tape.input("rate", [1]);
            let net = tape.net(NET, |b: &mut Builder| One { layer: Layer::new(form, [1, 4], b) });
            let y = net.layer.forward(x.clone(), rate, form, tape.pass());
            tape.fetch("y", &y);
            let slope = tape.grad(&y.sum(), &x);
            tape.fetch("dx", &slope);
            Ok(())
        });
        steps.push(play.add(step?).await?);
    }
    Ok([steps[0], steps[1]])
}

/// Exact checks 3, 4 and 6: estimates move as the formula says, their deviation about the estimate of before; at rate 0 training
/// is as use, and images do not see each other.
#[test]
fn estimates_move_as_the_formula_says() {
    pollster::block_on(async {
        let mut play = play();
        let [train, used] = layer(&mut play, Norms::Estimated).await?;
        let theta = play.read("net.theta").await?;
        let (mut mean, mut variance) = ([0.0f64; 4], [1.0f64; 4]);
        for step in 0..3 {
            let x = numbers(ROWS * 16, 20 + step);
            let moves = [0.25f32];
            play.run(train, &[("x", Words::Numbers(&x)), ("rate", Words::Numbers(&moves))]).await?;
            let before = convolved(&x, &theta[..36]);
            for channel in 0..4 {
                let seen: Vec<f64> = (0..ROWS).flat_map(|row| before[row][channel].clone()).collect();
                let n = seen.len() as f64;
                let spread = seen.iter().map(|v| (v - mean[channel]).powi(2)).sum::<f64>() / n;
                mean[channel] += 0.25 * (seen.iter().sum::<f64>() / n - mean[channel]);
                variance[channel] += 0.25 * (spread - variance[channel]);
            }
            let expected: Vec<f32> = (0..ROWS)
                .flat_map(|row| (0..4).map(move |channel| (row, channel)))
                .flat_map(|(row, channel)| {
                    let (mean, scale) = (mean[channel], (variance[channel] + 1e-5).sqrt());
                    before[row][channel].iter().map(move |v| ((v - mean) / scale) as f32).collect::<Vec<_>>()
                })
                .collect();
            close(&play.fetch(train, "y").await?, &expected, 1e-4);
        }
        let x = numbers(ROWS * 16, 30);
        let still = [("x", Words::Numbers(&x)), ("rate", Words::Numbers(&[0.0]))];
        play.run(train, &still).await?;
        let (in_training, slopes) = (play.fetch(train, "y").await?, play.fetch(train, "dx").await?);
        play.run(used, &still).await?;
        close(&in_training, &play.fetch(used, "y").await?, 1e-6);
        close(&slopes, &play.fetch(used, "dx").await?, 1e-5);
        // Another second image changes nothing of the first.
        let other: Vec<f32> = x[..16].iter().copied().chain(numbers(16, 31)).collect();
        play.run(train, &[("x", Words::Numbers(&other)), ("rate", Words::Numbers(&[0.0]))]).await?;
        assert_eq!(play.fetch(train, "y").await?[..64], in_training[..64]);
        let [train, used] = layer_of_batch().await?;
        assert!(train.iter().zip(&used).any(|(a, b)| (a - b).abs() > 0.1), "batch norm differs in use");
        Ok::<_, PlayError>(())
    })
    .unwrap();
}

/// A batch norm's layer in training and in use on the same images.
async fn layer_of_batch() -> Result<[Vec<f32>; 2], PlayError> {
    let mut play = play();
    let [train, used] = layer(&mut play, Norms::Batch).await?;
    let x = numbers(ROWS * 16, 30);
    let mut found = vec![];
    for step in [train, used] {
        play.run(step, &[("x", Words::Numbers(&x)), ("rate", Words::Numbers(&[0.0]))]).await?;
        found.push(play.fetch(step, "y").await?);
    }
    Ok([found.remove(0), found.remove(0)])
}

/// A convolution of one channel into four, by its definition: `[row][channel][place]`.
fn convolved(x: &[f32], weights: &[f32]) -> Vec<Vec<Vec<f64>>> {
    let at = |image: &[f32], row: i32, column: i32| match (row, column) {
        (0..4, 0..4) => f64::from(image[(4 * row + column) as usize]),
        _ => 0.0,
    };
    let of = |image: &[f32], kernel: &[f32]| {
        let place = |k: i32| {
            let taps =
                (0..9).map(|tap| f64::from(kernel[tap as usize]) * at(image, k / 4 + tap / 3 - 1, k % 4 + tap % 3 - 1));
            taps.sum::<f64>()
        };
        (0..16).map(place).collect::<Vec<f64>>()
    };
    x.chunks(16).map(|image| weights.chunks(9).map(|kernel| of(image, kernel)).collect()).collect()
}

/// Exact check 5: each image's groups at mean 0 and variance 1; one group is a layer norm over the image.
#[test]
fn groups_are_normalized_image_by_image() {
    let x = numbers(2 * 4 * 9, 3);
    let [y, _] = mapped([2, 4, 3, 3], &x, |x| by_groups(x, 2));
    for (group, before) in y.chunks(18).zip(x.chunks(18)) {
        let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / 18.0;
        let variance =
            |values: &[f32]| values.iter().map(|&v| (f64::from(v) - mean(values)).powi(2)).sum::<f64>() / 18.0;
        assert!(mean(group).abs() < 1e-5);
        assert!((variance(group) - variance(before) / (variance(before) + 1e-5)).abs() < 1e-4);
    }
    let [whole, _] = mapped([2, 4, 3, 3], &x, |x| by_groups(x, 1));
    let [as_layer, _] = mapped([2, 36], &x, |x| {
        let centred = x.clone() - x.mean_dim(1);
        centred.clone() / (centred.powf_scalar(2.0).mean_dim(1) + 1e-5).sqrt()
    });
    close(&whole, &as_layer, 1e-5);
}

#[test]
fn estimates_begin_as_means() {
    assert_eq!([0, 1, 3, 99, 500].map(|number| estimate_rate(number, 0.01)), [1.0, 0.5, 0.25, 0.01, 0.01]);
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, accuracy, largest) in [
        ("bcn-ws/1", 86.0, 3.9),
        ("bn/1", 11.0, 9.0),
        ("gn/1", 75.0, 4.0),
        ("gn-ws/1", 84.0, 4.0),
        ("est-ws/1", 74.0, 4.7),
        ("bn/large", 64.0, 3.0),
        ("bn/fast", 70.0, 3.0),
        ("bn/long", 92.0, 3.0),
    ] {
        let outcome = results.record(arm, 1).unwrap();
        outcome.reading(ACCURACY, 3000.0, accuracy);
        outcome.number(LARGEST, largest);
        outcome.done = true;
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes, and better than claimed. With one image"), "{}", verdict.answer);
    assert!(verdict.headline.measured.starts_with("-16 points"), "the better rate counts: {:?}", verdict.headline);
    assert!(verdict.measured.contains("ends 6 points below it"), "{}", verdict.measured);
    assert!(verdict.measured.ends_with("is 2 points higher."), "{}", verdict.measured);
    assert!(verdict.also.iter().all(|check| check.holds == Some(true)));
}

/// Where the largest loss came is called the start only where it came early; what diverged lost.
#[test]
fn spikes_and_divergence_are_said() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for arm in ["bcn-ws/1", "est-ws/1"] {
        results.record(arm, 1).unwrap().number(LARGEST_AT, 12.0);
    }
    assert!(spikes(&results).ends_with("that is the start, not a spike."));
    let outcome = results.record("est-ws/1", 1).unwrap();
    outcome.number(LARGEST_AT, 2500.0);
    outcome.number(DIVERGED, 2500.0);
    assert!(spikes(&results).ends_with("2500 with estimates alone."), "{}", spikes(&results));
    names_as_diverged(&STUDY, &results, "“estimates, WS, 1 per batch” with 1 of 1 seeds");
    for arm in ["bcn-ws/1", "est-ws/1"] {
        results.record(arm, 1).unwrap().number(LARGEST, f64::INFINITY);
    }
    assert_eq!(answer(&results).verdict(&STUDY).also[2].holds, None);
}
