//! Efficient ConvBN Blocks for Transfer Learning and Beyond (You, Qin, Bao, Cao, Huang, Shan, Long 2024).

mod figures;
mod net;
mod run;
#[cfg(test)]
mod tests;
mod words;

use std::rc::Rc;

use engine::figure::brief;
use engine::spec::{DataSet, DataSpec};
use engine::tape::Play;

use super::images::Images;
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Outcome, Protocol, Results, Share, Study,
    StudyError, Task, versus,
};
use figures::figures;
use net::{SIDE, Way};
use run::{Learned, MOMENTUM, Steps, cost, curvature};
use words::{at_the_ends, steadiness};

pub(super) const STUDY: Study = Study {
    id: 51,
    slug: "tune-mode",
    title: "Fold the norm, keep its parameters",
    paper: "Efficient ConvBN Blocks for Transfer Learning and Beyond",
    authors: "You, Qin, Bao, Cao, Huang, Shan, Long",
    year: 2024,
    source: "https://arxiv.org/abs/2305.11624",
    themes: &["normalization", "transfer", "memory"],
    claim: "When a trained network is trained further, its batch norms' statistics can stay as they are (Eval). That keeps two \
            maps per block for the backward pass. Norms folded into the convolutions for good (Deploy) need only one, but train \
            badly. Tune folds them again in every step and lets gradients pass through the folding: it learns as well as Eval at \
            the memory cost of Deploy.",
    why: "With its statistics fixed, a norm multiplies each channel by q = γ/√v and adds a number. Multiplying the weights \
          instead of the map gives the same map and, by the chain rule, the same gradients of weights, scales and shifts; the \
          map before the norm need not be kept. In Deploy the product W' = qW is the parameter: a step at rate η moves it by η \
          times its gradient, where the other two move it by q²η times that. So each channel of Deploy learns 1/q² times as \
          fast. Multiply a channel's weights and its norm's statistics by the same number: the network computes what it did \
          before, and Deploy has the same W' and learns as before, but Eval and Tune have another q.",
    differs: "A network of four convolutions (33,000 parameters) that learns 6,000 images of clothes (Fashion-MNIST) \
              and goes on with 2,000 digits (MNIST), both pooled to 14×14, instead of ResNets from ImageNet and five \
              data sets. What counts as kept is what the backward pass of the lab's graph reads from the forward pass \
              and what grows with the batch; PyTorch keeps the same maps, but one instead of two for a norm that \
              trains. SGD with momentum 0.9 at five constant rates from 0.01 to 1, without decay; each arm's best is \
              the best on the test images, for all alike. That the channels' rates make Deploy hard to train is our \
              own derivation, not the paper's theorem.",
    seeds: 3,
    seconds: 115.0,
    knobs: &[&RATE, &SPREAD, &BATCH, &EPOCHS, &DECAY],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

const RATE: Knob<f64> = Knob::number("rate", "Learning rates", "how many times the usual rates", [0.1, 10.0], 1.0);
const SPREAD: Knob<f64> =
    Knob::number("spread", "Rescaling", "largest factor of rescaled channels before their norm", [1.0, 100.0], 8.0);
const BATCH: Knob<usize> = Knob::integer("batch", "Batch size", "of digits; what is kept grows with it", [8, 256], 64);
const EPOCHS: Knob<usize> = Knob::integer("epochs", "Epochs", "over 2,000 digits", [1, 20], 3);
const DECAY: Knob<f64> =
    Knob::number("decay", "Weight decay", "while clothes are learned; none afterwards", [0.0, 0.01], 5e-4);

/// Learning rates.
const RATES: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];
/// A rate serves an arm if it ends so close to its best, in points.
const CLOSE: f64 = 2.0;
/// Loss beyond which a run counts as diverged.
const FAR: f64 = 10.0;
/// Updates over which losses are compared.
const FIRST: usize = 20;
/// Channels' factors from which on Deploy is expected to train worse.
const SPREAD_OUT: f64 = 10.0;

/// Accuracy on test images after training at each rate.
const BY_RATE: Curve = Curve::new("accuracy by rate", "%");
/// The best of these.
const BEST: Number = Number::new("best accuracy", "%");
/// The highest rate that serves the arm.
const HIGHEST: Number = Number::new("highest rate that serves", "");
/// Loss of each update's batch, of each rate.
const LOSS: Curve = Curve::new("loss", "nats");
/// Largest difference of a parameter from Eval's, after updates, of each rate.
const APART: Curve = Curve::new("apart", "");
/// Largest difference of the first losses from Eval's, of Eval's, and of accuracies, at rates at which neither diverged.
const LOSS_APART: Number = Number::new("losses apart", "");
const ACCURACY_APART: Number = Number::new("accuracies apart", "points");
/// What is kept for a batch's backward pass: of images and output layer, then of each block; and in all.
const KEPT: Number = Number::new("kept", "KB");
const KEPT_IN_ALL: Number = Number::new("kept in all", "KB");
/// Memory of an update, with gradients and all else, as it is planned.
const MEMORY: Number = Number::new("memory", "KB");
const WORK: Number = Number::new("work", "MFLOP");
const MS: Number = Number::new("an update", "ms");
/// Rates at which a loss was beyond [`FAR`] or no number.
const DIVERGED: Number = Number::new("diverged", "");
/// 1/q² of the channels: how many are about each, and the largest.
const FACTORS: Curve = Curve::new("factors", "%");
const LARGEST: Number = Number::new("largest factor", "");
/// Rate beyond which the steepest direction of the first Hessian is unstable.
const EDGE: Number = Number::new("edge", "");

/// Arms: id, name, way, and whether of rescaled channels. What is compared with Eval comes after it.
const ARMS: [(&str, &str, Way, bool); 6] = [
    ("train", "Train", Way::Train, false),
    ("eval", "Eval", Way::Eval, false),
    ("tune", "Tune", Way::Tune, false),
    ("deploy", "Deploy", Way::Deploy, false),
    ("eval/rescaled", "Eval, rescaled", Way::Eval, true),
    ("tune/rescaled", "Tune, rescaled", Way::Tune, true),
];
/// Tune and what it is held against.
const PAIRS: [[&str; 2]; 2] = [["tune", "eval"], ["tune/rescaled", "eval/rescaled"]];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |&(id, name, way, rescaled): &(&str, &'static str, Way, bool)| match (way, rescaled) {
        (Way::Train, _) => Label::baseline(id, name).dotted(),
        (Way::Eval, false) => Label::baseline(id, name),
        (Way::Eval, true) => Label::baseline(id, name).long_dashed(),
        (Way::Tune, false) => Label::new(id, name),
        (Way::Tune, true) => Label::new(id, name).long_dashed(),
        (Way::Deploy, _) => Label::new(id, name).dotted(),
    };
    ARMS.iter().map(label).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let images = |set, train, test| DataSpec { train, test, size: SIDE, ..DataSpec::of(set) };
        let clothes = Images::of("clothes", &*context.data(&images(DataSet::Fashion, 6000, 100)).await?)?;
        let digits = Rc::new(Images::of("digits", &*context.data(&images(DataSet::Mnist, 2000, 2000)).await?)?);
        for (seed, share) in context.seeds(Share::ALL) {
            context.progress(share.at(0.0), "clothes are learned");
            let mut play = context.play(seed).await?;
            clothes.upload(&mut play)?;
            digits.upload(&mut play)?;
            let steps = Steps::new(&mut play, [&clothes, &digits], knobs.get(&BATCH), knobs.get(&DECAY)).await?;
            steps.learn_clothes(&mut play, &clothes, seed).await?;
            compare(context, play, &steps, &digits, seed, share.between(0.15, 1.0)).await?;
        }
        Ok(())
    })
}

/// Lets every arm go on from what has been learned, at every rate.
async fn compare(
    context: &mut Context<'_>,
    mut play: Play<'_>,
    steps: &Steps,
    digits: &Rc<Images>,
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let learned = play.snapshot().await?;
    steps.rescale(&mut play, knobs.get(&SPREAD), seed).await?;
    let rescaled = play.snapshot().await?;
    let mut evals: Vec<Learned> = Vec::new();
    for (place, &(id, name, way, other)) in ARMS.iter().enumerate() {
        let share = share.part(place, ARMS.len());
        let start = if other { &rescaled } else { &learned };
        play.restore(start)?;
        measure(context, &mut play, steps, digits, (id, way), seed).await?;
        let begun = context.now_ms();
        let mut updates = 0;
        for (which, rate) in RATES.into_iter().enumerate() {
            context.progress(share.part(which, RATES.len()).at(0.0), name);
            play.restore(start)?;
            let rate = knobs.get(&RATE) * rate;
            let size = (knobs.get(&EPOCHS), knobs.get(&BATCH));
            let found = steps.learn_digits(&mut play, digits, (way, rate), size, seed).await?;
            updates += found.losses.len();
            let outcome = context.results.record(id, seed)?;
            record(outcome, (which, rate), &found);
            if way == Way::Eval {
                evals.truncate(which);
                evals.push(found);
            } else if let (Way::Tune, Some(eval)) = (way, evals.get(which)) {
                hold_against(outcome, which, eval, &found);
            }
        }
        let spent = context.now_ms() - begun;
        let outcome = context.results.record(id, seed)?;
        outcome.number(MS, spent / updates.max(1) as f64);
        let points = outcome.curve(BY_RATE).to_vec();
        let best = points.iter().fold(f64::NAN, |best, point| best.max(point[1]));
        outcome.number(BEST, best);
        let serving = points.iter().rev().find(|point| point[1] >= best - CLOSE);
        outcome.number(HIGHEST, serving.map_or(f64::NAN, |point| point[0]));
        outcome.done = true;
    }
    Ok(())
}

/// What an arm costs, how it is scaled, and how curved its loss is where it begins.
async fn measure(
    context: &mut Context<'_>,
    play: &mut Play<'_>,
    steps: &Steps,
    digits: &Rc<Images>,
    (id, way): (&str, Way),
    seed: u64,
) -> Result<(), StudyError> {
    let batch = context.results.knobs.get(&BATCH);
    let factors = steps.factors(play).await?;
    let cost = cost(way, digits, batch)?;
    // The network of Train is another function; that of Tune is Eval's in Eval's parameters.
    let edge = match way {
        Way::Eval | Way::Deploy => Some(2.0 * (1.0 + MOMENTUM) / curvature(play, digits, way, seed).await?),
        Way::Train | Way::Tune => None,
    };
    let outcome = context.results.record(id, seed)?;
    edge.into_iter().for_each(|edge| outcome.number(EDGE, edge));
    let kilobytes = |bytes: f64| bytes * batch as f64 / 1024.0;
    for (part, &bytes) in cost.kept.iter().enumerate() {
        outcome.number(KEPT.of(part as u64), kilobytes(bytes));
    }
    outcome.number(KEPT_IN_ALL, kilobytes(cost.kept.iter().sum()));
    outcome.number(MEMORY, cost.arena / 1024.0);
    outcome.number(WORK, cost.flop / 1e6);
    outcome.number(LARGEST, factors.iter().copied().fold(f64::NAN, f64::max));
    outcome.number(DIVERGED, 0.0);
    // Half powers of two.
    let place = |factor: f64| (2.0 * factor.log2()).round() as i64;
    let mut counts = std::collections::BTreeMap::<i64, usize>::new();
    factors
        .iter()
        .filter(|factor| factor.is_finite())
        .for_each(|&factor| *counts.entry(place(factor)).or_default() += 1);
    if let (Some((&first, _)), Some((&last, _))) = (counts.first_key_value(), counts.last_key_value()) {
        for bin in first - 1..=last + 1 {
            let share = 100.0 * counts.get(&bin).copied().unwrap_or(0) as f64 / factors.len() as f64;
            outcome.point(FACTORS, (0.5 * bin as f64).exp2(), share);
        }
    }
    Ok(())
}

fn record(outcome: &mut Outcome, (which, rate): (usize, f64), found: &Learned) {
    for (update, &loss) in found.losses.iter().enumerate() {
        outcome.point(LOSS.of(which as u64), (update + 1) as f64, f64::from(loss));
    }
    outcome.point(BY_RATE, rate, found.accuracy);
    if diverged(found) {
        let so_far = outcome.numbers.get(&DIVERGED).copied().unwrap_or(0.0);
        outcome.number(DIVERGED, so_far + 1.0);
    }
}

fn diverged(found: &Learned) -> bool {
    !found.losses.iter().all(|&loss| f64::from(loss) <= FAR)
}

/// How far Tune is from Eval at a rate.
fn hold_against(outcome: &mut Outcome, which: usize, eval: &Learned, tune: &Learned) {
    for ((update, a), (_, b)) in eval.parameters.iter().zip(&tune.parameters) {
        let apart = a.iter().zip(b).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        outcome.point(APART.of(which as u64), *update as f64, f64::from(apart));
    }
    if diverged(eval) || diverged(tune) {
        return;
    }
    let losses = eval.losses.iter().zip(&tune.losses).take(FIRST);
    let losses = losses.fold(0.0, |most: f64, (a, b)| most.max(f64::from((a - b).abs() / a)));
    for (number, apart) in [(LOSS_APART, losses), (ACCURACY_APART, (eval.accuracy - tune.accuracy).abs())] {
        let so_far = outcome.numbers.get(&number).copied().unwrap_or(0.0);
        outcome.number(number, apart.max(so_far));
    }
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number: Number| results.sample(arm, number);
    let share = |number: Number, [a, b]: [&str; 2]| sample(a, number).over(&sample(b, number));
    let apart = sample("tune", ACCURACY_APART);
    let kept = share(KEPT_IN_ALL, ["tune", "eval"]);
    let [tuned, evaluated] = ["tune", "eval"].map(|arm| sample(arm, BEST));
    let deployed = share(KEPT_IN_ALL, ["deploy", "eval"]);
    let memory = if kept.is_empty() || deployed.is_empty() {
        String::new()
    } else {
        let [tune, deploy] = [&kept, &deployed].map(|sample| brief(100.0 * sample.mean()));
        format!(" Tune keeps {tune}% of what Eval keeps for the backward pass, Deploy {deploy}%.")
    };
    let words = format!("At their best rates {}.{memory}", versus(["Tune", "Eval"], [&tuned, &evaluated], "%", true));
    let spread = |eval: &str| sample(eval, LARGEST).min() >= SPREAD_OUT;
    // What is compared at rates at which neither diverges.
    let steady = |judged: Judged, tune: &str| {
        judged.given(sample(tune, BEST).is_empty() || !sample(tune, LOSS_APART).is_empty(), "every rate diverges")
    };
    let lower = |eval: &str| {
        let name = if eval == "eval" { "" } else { " with rescaled channels" };
        Judged::every_seed(
            format!("highest rate that serves Deploy, relative to Eval's{name}"),
            &share(HIGHEST, ["deploy", eval]),
            Bound::Below(1.0),
            "×",
        )
        .given(spread(eval), NOT_SPREAD)
    };
    Answer::new(
        Judged::as_good("best accuracy of Tune below Eval's by", &evaluated.minus(&tuned), 0.5, "points"),
        words,
    )
    .also([
        steady(
            Judged::every_seed(
                "Tune and Eval: largest difference of accuracies at a rate",
                &apart,
                Bound::AtMost(0.5),
                "points",
            ),
            "tune",
        ),
        steady(
            Judged::every_seed(
                format!("Tune and Eval: largest difference of the first {FIRST} losses, relative to Eval's"),
                &sample("tune", LOSS_APART),
                Bound::AtMost(1e-3),
                "",
            ),
            "tune",
        ),
        steady(
            Judged::every_seed(
                "the same two with rescaled channels: largest difference of accuracies at a rate",
                &sample("tune/rescaled", ACCURACY_APART),
                Bound::AtMost(0.5),
                "points",
            ),
            "tune/rescaled",
        ),
        Judged::every_seed("kept for the backward pass, Tune relative to Eval", &kept, Bound::AtMost(0.65), "×"),
        Judged::every_seed(
            "kept for the backward pass, Tune relative to Deploy",
            &share(KEPT_IN_ALL, ["tune", "deploy"]),
            Bound::Between(0.98, 1.02),
            "×",
        ),
        lower("eval"),
        lower("eval/rescaled"),
        Judged::every_seed(
            "rate at which the first curvature is unstable, Deploy relative to Eval with rescaled channels",
            &share(EDGE, ["deploy", "eval/rescaled"]),
            Bound::Below(1.0),
            "×",
        )
        .given(spread("eval/rescaled"), NOT_SPREAD),
        Judged::most_seeds(
            "time per update, Tune relative to Eval",
            &share(MS, ["tune", "eval"]),
            Bound::AtMost(1.0),
            "×",
            [2, 3],
        )
        .given(results.gpu, "no real GPU took part"),
    ])
    .more([steadiness(results), at_the_ends(results)].concat())
}

/// Why nothing is expected of Deploy.
const NOT_SPREAD: &str = "no channel of Deploy learns ten times as fast";
