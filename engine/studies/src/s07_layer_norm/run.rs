//! One arm with a seed.

use engine::model::{Mode, ParamLayout};
use engine::objective::recorded::{correct, cross_entropy};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, PlayError, StepId, Traced, Words, trace};
use engine::train::INDEX;

use super::net::{Form, NET, Net, Norms, remembering};
use super::{ACCURACY, BATCH_STATISTICS, COUNT, LOSS};
use crate::StudyError;
use crate::diverged::CHANCE;
use crate::images::Images;
use crate::names::DIVERGED;
use crate::results::Outcome;

/// How an arm learns.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub form: Form,
    pub batch: usize,
    pub rate: f64,
    pub updates: usize,
    /// Updates between tests; losses are means over as many.
    pub each: usize,
}

/// An update, or a test in the mode, on rows `index` of the images.
fn recorded(
    images: &Images,
    way: &Way,
    rows: usize,
    mode: Mode,
    layout: &mut ParamLayout,
) -> Result<Traced, PlayError> {
    let name = match mode {
        Mode::Train => "update",
        Mode::Eval => "test",
        Mode::Probe => "by batches",
    };
    Ok(trace(name, mode, |tape| {
        let (x, labels) = images.batch(tape, rows);
        let net = tape.net(NET, |builder| Net::new(way.form, builder));
        *layout = tape.layout(NET);
        let logits = net.forward(x, tape.pass());
        if mode == Mode::Train {
            let loss = cross_entropy(logits, labels).mean();
            tape.metric("loss", &loss);
            tape.minimise(NET, &loss, &OptimizerSpec { weight_decay: 0.0, clip: 1.0, ..OptimizerSpec::of(Rule::Adam) });
        } else {
            tape.metric("accuracy", &correct(logits, labels).mean());
        }
        Ok(())
    })?)
}

/// Mean accuracy in percent over the test images, as many at once as the step was recorded for.
async fn accuracy(play: &mut Play<'_>, images: &Images, step: StepId, at_once: usize) -> Result<f64, StudyError> {
    for rows in images.tested().chunks_exact(at_once) {
        play.run(step, &[(INDEX, Words::Classes(rows))]).await?;
    }
    let found = play.metrics(step).await?;
    let all = found.get("accuracy").map_or(&[][..], |all| all);
    Ok(100.0 * all.iter().map(|&share| f64::from(share)).sum::<f64>() / all.len() as f64)
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
    let mut layout = ParamLayout::default();
    let update = play.add(recorded(images, way, way.batch, Mode::Train, &mut layout)?).await?;
    let test = play.add(recorded(images, way, tested, Mode::Eval, &mut layout)?).await?;
    outcome.number(COUNT, layout.len() as f64);
    let name = format!("{NET}.theta");
    let mut theta = play.read(&name).await?;
    remembering(&layout, &mut theta);
    play.write(&name, &theta)?;
    play.rate(NET, way.rate)?;
    // The same batches for every arm of one batch size.
    let mut rng = Rng::new(own_seed(seed, "batches"), Stream::Sample, 0);
    let mut order: Vec<u32> = (0..images.train as u32).collect();
    let epoch = images.train / way.batch;
    for number in 0..way.updates {
        if number % epoch == 0 {
            rng.shuffle(&mut order);
        }
        let index = &order[number % epoch * way.batch..][..way.batch];
        play.run(update, &[(INDEX, Words::Classes(index))]).await?;
        if (number + 1) % way.each == 0 || number + 1 == way.updates {
            let done = (number + 1) as f64;
            let losses = play.metrics(update).await?;
            let losses = losses.get("loss").map_or(&[][..], |losses| losses);
            let mean = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64;
            outcome.reading(LOSS, done, mean);
            if !mean.is_finite() {
                outcome.number(DIVERGED, done);
                outcome.reading(ACCURACY, done, CHANCE);
                outcome.done = true;
                return Ok(());
            }
            outcome.reading(ACCURACY, done, accuracy(&mut play, images, test, tested).await?);
        }
    }
    if way.form == Form::Plain(Norms::Batch) {
        let by_batches = play.add(recorded(images, way, way.batch, Mode::Probe, &mut layout)?).await?;
        outcome.number(BATCH_STATISTICS, accuracy(&mut play, images, by_batches, way.batch).await?);
    }
    outcome.done = true;
    Ok(())
}
