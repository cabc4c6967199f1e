//! One arm with a seed.

use burn::tensor::Tensor;
use engine::model::Mode;
use engine::objective::recorded::{correct, cross_entropy};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, PlayError, StepId, Tape, Traced, Words, trace};
use engine::train::INDEX;

use super::net::{CHANNELS, Form, NET, Net, Norms};
use super::{ACCURACY, BATCH_STATISTICS, ELIMINATED, LARGEST, LARGEST_AT, LOSS, SPREAD, UPDATES};
use crate::StudyError;
use crate::diverged::CHANCE;
use crate::images::Images;
use crate::names::DIVERGED;
use crate::results::Outcome;

/// A channel counts as eliminated if its ReLU yields more than 0 at less than this share of places.
const ALIVE: f64 = 0.01;
/// Tests of a run.
const TESTS: usize = 6;
/// Means of the loss that are drawn.
const WINDOWS: usize = 30;

/// How an arm learns.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub form: Form,
    pub batch: usize,
    pub epochs: usize,
    /// Learning rate of the first half; then it falls to 0.
    pub rate: f64,
    /// How far running statistics move in the long run.
    pub estimates: f64,
}

/// An update, or a test in the mode, on rows `index` of the images.
fn recorded(images: &Images, way: &Way, rows: usize, mode: Mode) -> Result<Traced, PlayError> {
    let name = match mode {
        Mode::Train => "update",
        Mode::Eval => "test",
        Mode::Probe => "by batches",
    };
    Ok(trace(name, mode, |tape| {
        let (x, labels) = images.batch(tape, rows);
        let rate: Tensor<1> = tape.input("rate", [1]);
        let net = tape.net(NET, |b| Net::new(way.form, b));
        let (logits, before) = net.forward(x, rate, way.form, tape.pass());
        if mode == Mode::Train {
            let loss = cross_entropy(logits, labels).mean();
            tape.metric("loss", &loss);
            let rule = OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(Rule::Momentum) };
            tape.minimise(NET, &loss, &rule);
        } else {
            tape.metric("accuracy", &correct(logits, labels).mean());
        }
        if mode == Mode::Eval {
            channels(tape, before);
        }
        Ok(())
    })?)
}

/// What channels yield before the nonlinearity: mean, deviation and share above 0, each `[all channels]`.
fn channels(tape: &mut Tape, before: Vec<Tensor<4>>) {
    let of = |measure: fn(Tensor<4>) -> Tensor<4>| {
        let each = before.iter().map(|y| {
            let channels = y.dims()[1];
            measure(y.clone()).reshape([channels])
        });
        Tensor::cat(each.collect(), 0)
    };
    let mean = |y: Tensor<4>| y.mean_dims(&[0, 2, 3]);
    tape.fetch("mean", &of(mean));
    tape.fetch(
        "deviation",
        &of(|y| (y.clone() - y.mean_dims(&[0, 2, 3])).powf_scalar(2.0).mean_dims(&[0, 2, 3]).sqrt()),
    );
    tape.fetch("above", &of(|y| y.greater_elem(0.0).float().mean_dims(&[0, 2, 3])));
}

/// Mean accuracy in percent over the test images, as many at once as the step was recorded for.
async fn accuracy(play: &mut Play<'_>, images: &Images, step: StepId, at_once: usize) -> Result<f64, StudyError> {
    for rows in images.tested().chunks_exact(at_once) {
        play.run(step, &[(INDEX, Words::Classes(rows)), ("rate", Words::Numbers(&[0.0]))]).await?;
    }
    let found = play.metrics(step).await?;
    let all = found.get("accuracy").map_or(&[][..], |all| all);
    Ok(100.0 * all.iter().map(|&share| f64::from(share)).sum::<f64>() / all.len() as f64)
}

/// How far estimates move at an update, from 0: as means of all so far, then as running ones.
pub fn estimate_rate(number: usize, in_the_long_run: f64) -> f64 {
    in_the_long_run.max(1.0 / (number + 1) as f64)
}

/// Trains an arm and records what it comes to.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn learn(
    mut play: Play<'_>,
    images: &Images,
    way: &Way,
    seed: u64,
    outcome: &mut Outcome,
) -> Result<(), StudyError> {
    images.upload(&mut play)?;
    let tested = images.tested().len();
    let update = play.add(recorded(images, way, way.batch, Mode::Train)?).await?;
    let test = play.add(recorded(images, way, tested, Mode::Eval)?).await?;
    // The same order of images for every arm.
    let mut rng = Rng::new(own_seed(seed, "batches"), Stream::Sample, 0);
    let mut order: Vec<u32> = (0..images.train as u32).collect();
    let epoch = images.train / way.batch;
    let updates = epoch * way.epochs;
    let mut losses: Vec<f64> = vec![];
    for number in 0..updates {
        if number % epoch == 0 {
            rng.shuffle(&mut order);
        }
        let left = (updates - number) as f64 / updates as f64;
        play.rate(NET, way.rate * (2.0 * left).min(1.0))?;
        let index = &order[number % epoch * way.batch..][..way.batch];
        let moves = [estimate_rate(number, way.estimates) as f32];
        play.run(update, &[(INDEX, Words::Classes(index)), ("rate", Words::Numbers(&moves))]).await?;
        if (number + 1) * TESTS / updates > number * TESTS / updates {
            let found = play.metrics(update).await?;
            losses.extend(found.get("loss").into_iter().flatten().map(|&loss| f64::from(loss)));
            let seen = ((number + 1) * way.batch) as f64;
            if let Some(at) = losses.iter().position(|loss| !loss.is_finite()) {
                let at = ((at + 1) * way.batch) as f64;
                outcome.number(DIVERGED, at);
                outcome.number(LARGEST, f64::INFINITY);
                outcome.number(LARGEST_AT, at);
                outcome.reading(ACCURACY, seen, CHANCE);
                outcome.done = true;
                return Ok(());
            }
            outcome.reading(ACCURACY, seen, accuracy(&mut play, images, test, tested).await?);
        }
    }
    let each = losses.len().div_ceil(WINDOWS).max(1);
    for (place, window) in losses.chunks(each).enumerate() {
        let mean = window.iter().sum::<f64>() / window.len() as f64;
        outcome.point(LOSS, ((place * each + window.len()) * way.batch) as f64, mean);
    }
    let largest = losses.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    if let Some((at, &loss)) = largest {
        outcome.number(LARGEST, loss);
        outcome.number(LARGEST_AT, ((at + 1) * way.batch) as f64);
    }
    outcome.number(UPDATES, updates as f64);
    let [means, deviations, above] =
        [play.fetch(test, "mean").await?, play.fetch(test, "deviation").await?, play.fetch(test, "above").await?];
    let dead = above.iter().filter(|&&share| f64::from(share) < ALIVE).count();
    outcome.number(ELIMINATED, 100.0 * dead as f64 / above.len().max(1) as f64);
    // Of the last convolution, where most channels are.
    let last = CHANNELS[CHANNELS.len() - 1];
    for (mean, deviation) in means.iter().zip(&deviations).rev().take(last) {
        outcome.point(SPREAD, f64::from(*mean), f64::from(*deviation));
    }
    if way.form.norms == Norms::Batch {
        let by_batches = play.add(recorded(images, way, way.batch, Mode::Probe)?).await?;
        outcome.number(BATCH_STATISTICS, accuracy(&mut play, images, by_batches, way.batch).await?);
    }
    outcome.done = true;
    Ok(())
}
