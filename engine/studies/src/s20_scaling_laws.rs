//! Unraveling the Mystery of Scaling Laws: Part I (Su, Tian, Shen, Cai 2024).

mod figures;
mod fit;
mod law;

use engine::spec::{
    BatchSpec, DataSet, DataSpec, GptSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
};

use super::names::{DIVERGED, TEST_LOSS};
use super::{
    Answer, Arm, Bound, Context, Judged, Knob, Knobs, Label, Number, Protocol, Results, Sample, Share, Study,
    StudyError, Task,
};
use fit::{Level, Trajectory};
use law::Law;

pub(super) const STUDY: Study = Study {
    id: 20,
    slug: "scaling-laws",
    title: "Predict the curve before you run it",
    paper: "Unraveling the Mystery of Scaling Laws: Part I",
    authors: "Su, Tian, Shen, Cai",
    year: 2024,
    source: "https://arxiv.org/abs/2403.06563",
    themes: &["batch size", "language models", "cost"],
    claim: "Six constants, fitted to small models, predict the loss of a larger one before it runs: at every update, for any \
            batch size. They also give the critical batch size, beyond which more examples save few updates; it grows as the \
            loss falls.",
    why: "A batch averages noise away. As long as noise rules, twice the batch halves the updates; once the batch's gradient is \
          nearly the whole gradient, more examples are wasted. In between, reaching a given loss costs S updates and E examples \
          with (S / S_min - 1)(E / E_min - 1) = 1, and B_crit = E_min / S_min is where both cost twice their least. As training \
          goes on, the gradient fades before its noise does, so B_crit grows. Once updates are converted into those of an \
          infinitely large batch, runs with all batches fall on one curve: what a network of this size cannot learn, plus a \
          power of the updates.",
    differs: "Characters of Shakespeare and GPTs of one layer and 1,300 to 4,900 parameters without the embeddings, \
              instead of 1 to 60 million; the larger one that is predicted has 8,600, not 33 billion. A context has 16 \
              characters; batches are counted in characters. The law of the batch is fitted at one size to six batches of \
              32 to 1,024 characters that see as much text, with rates that grow with the root of the batch from the best \
              of four at 64; muP carries them to other sizes. Rates and law are read off the held-out text on which \
              predictions are judged. Three sizes within a factor of four say little about what each could reach \
              eventually, and none comes near that: the batch part of the law is the robust one.",
    seeds: 3,
    seconds: 60.0,
    knobs: &[&LARGER, &BATCH, &UPDATES, &BUDGET, &LEVELS],
    protocol: Protocol::Program { arms, run, timed: false },
    figures: figures::figures,
    answer,
    ..Study::BASE
};

const LARGER: Knob<usize> = Knob::integer("larger", "Width to predict", "with 2 heads; must be even", [26, 96], 32);
const BATCH: Knob<usize> =
    Knob::integer("batch", "Batch to predict", "characters, a multiple of 16; beside batches of 256", [16, 2048], 64);
const UPDATES: Knob<usize> = Knob::integer(
    "updates",
    "Updates",
    "of the runs that the size law is fitted to, and of those predicted",
    [300, 6000],
    1500,
);
const BUDGET: Knob<usize> = Knob::integer("budget", "Text per batch size", "thousands of characters", [150, 2000], 300);
const LEVELS: Knob<usize> = Knob::integer("levels", "Levels", "losses at which batches are compared", [3, 16], 8);

/// Characters of a sequence.
const CONTEXT: usize = 16;
/// Widths that the law of the size is fitted to; the one in the middle tells the law of the batch.
const WIDTHS: [usize; 3] = [12, 16, 24];
const MIDDLE: usize = WIDTHS[1];
/// Batches of the law of the batch, in characters; the second has the rates searched.
const BATCHES: [usize; 6] = [32, 64, 128, 256, 512, 1024];
const SEARCHED: usize = 64;
/// The batch of runs that tell the law of the size.
const COMMON: usize = 256;
/// Rates searched, each twice the one before.
const RATES: usize = 4;
const LOWEST: f64 = 2e-3;
/// Updates of warm-up, of which the law says nothing, and those after which losses count.
const WARMUP: u64 = 20;
const SETTLED: u64 = 2 * WARMUP;
/// Losses of a run are predicted and compared from this share of its updates on.
const FROM: u64 = 10;
/// Times that a run is tested, evenly in the logarithm of its updates.
const READS: u32 = 40;
/// Levels lie between these shares of the way that the loss falls with the searched batch.
const BETWEEN: [f64; 2] = [0.2, 0.95];

/// The rate that is best with the searched batch.
const RATE: Number = Number::new("best rate", "");

/// Parameters beside those of embeddings and output: four matrices with biases and three norms of the layer.
fn size(width: usize) -> f64 {
    (8 * width * width + 13 * width) as f64
}

fn model(width: usize) -> GptSpec {
    GptSpec { context: CONTEXT, width, depth: 1, heads: 2, ratio: 2, base: MIDDLE, ..GptSpec::default() }
}

/// The rate of a batch, given the best one of the searched batch.
fn scaled(rate: f64, batch: usize) -> f64 {
    rate * libm::sqrt(batch as f64 / SEARCHED as f64)
}

fn id(width: usize, batch: usize) -> String {
    format!("{width}/{batch}")
}

/// A run: a width, a batch in characters, updates, and its rate.
fn arm(label: Label, width: usize, batch: usize, steps: u64, rate: f64) -> Arm {
    let spec = RunSpec {
        data: DataSpec { test: 16_000, ..DataSpec::of(DataSet::Shakespeare) },
        model: ModelSpec::Gpt(model(width)),
        optimizer: OptimizerSpec { beta2: 0.95, weight_decay: 0.0, clip: 1.0, ..OptimizerSpec::of(Rule::AdamW) },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: rate, warmup: WARMUP, ..ScheduleSpec::default() },
        batch: BatchSpec { size: (batch / CONTEXT).max(1), ..BatchSpec::default() },
        steps,
        ..RunSpec::default()
    };
    let (first, last) = (WARMUP as f64, steps as f64);
    let at = |place: u32| (first * libm::pow(last / first, f64::from(place) / f64::from(READS))).round() as u64;
    Arm { readings: 1, reads: (0..=READS).map(at).collect(), ..Arm::new(label, spec) }
}

/// Rate number `place` of those searched.
fn rate(place: usize) -> f64 {
    LOWEST * (1_u32 << place) as f64
}

/// A run that rates are searched by.
fn search(knobs: &Knobs, place: usize) -> Arm {
    let rate = rate(place);
    let label =
        Label::baseline(&format!("search/{place}"), format!("batch {SEARCHED}, rate {}", engine::figure::brief(rate)));
    let steps = (1000 * knobs.get(&BUDGET) / SEARCHED / 4) as u64;
    Arm { reads: vec![], ..arm(label.dotted(), MIDDLE, SEARCHED, steps, rate) }
}

/// The runs that the law is fitted to, given the best rate of the searched batch.
fn fitted(knobs: &Knobs, rate: f64) -> Vec<Arm> {
    let updates = knobs.get(&UPDATES) as u64;
    let batches = BATCHES.map(|batch| {
        let least = if batch == COMMON { updates } else { 0 };
        let steps = ((1000 * knobs.get(&BUDGET) / batch) as u64).max(least);
        (MIDDLE, batch, steps)
    });
    let widths = WIDTHS.into_iter().filter(|width| *width != MIDDLE).map(|width| (width, COMMON, updates));
    let run = |(width, batch, steps): (usize, usize, u64)| {
        let label = Label::baseline(&id(width, batch), format!("width {width}, batch {batch}"));
        arm(if width == MIDDLE { label } else { label.dashed() }, width, batch, steps, scaled(rate, batch))
    };
    batches.into_iter().chain(widths).map(run).collect()
}

/// The batches that are predicted: in characters, whole sequences.
fn predicted_batches(knobs: &Knobs) -> [usize; 2] {
    [COMMON, knobs.get(&BATCH) / CONTEXT * CONTEXT]
}

/// The width that is predicted.
fn larger(knobs: &Knobs) -> usize {
    knobs.get(&LARGER) / 2 * 2
}

/// The runs that are predicted.
fn predicted(knobs: &Knobs, rate: f64) -> Vec<Arm> {
    let [common, other] = predicted_batches(knobs);
    let run = |batch: usize| {
        let label = Label::new(&format!("test/{batch}"), format!("width {}, batch {batch}", larger(knobs)));
        arm(label, larger(knobs), batch, knobs.get(&UPDATES) as u64, scaled(rate, batch))
    };
    let second = (other != common).then(|| run(other));
    [run(common)].into_iter().chain(second).collect()
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    let search = (0..RATES).map(|place| search(knobs, place));
    let all = predicted(knobs, 1.0).into_iter().chain(fitted(knobs, 1.0)).chain(search);
    all.map(|arm| arm.label).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let count = arms(&knobs).len();
        for (seed, share) in context.seeds(Share::ALL) {
            let mut best = (f64::INFINITY, LOWEST);
            for place in 0..RATES {
                let arm = search(&knobs, place);
                context.train(&arm, seed, share.part(place, count), None).await?;
                let numbers = &context.results.record(&arm.label.id, seed)?.numbers;
                let loss = numbers.get(&TEST_LOSS.last()).copied().unwrap_or(f64::NAN);
                if loss < best.0 && !numbers.contains_key(&DIVERGED) {
                    best = (loss, arm.spec.schedule.peak);
                }
            }
            context.results.record(&id(MIDDLE, SEARCHED), seed)?.number(RATE, best.1);
            let arms = fitted(&knobs, best.1).into_iter().chain(predicted(&knobs, best.1));
            for (place, arm) in arms.enumerate() {
                context.train(&arm, seed, share.part(RATES + place, count), None).await?;
            }
        }
        Ok(())
    })
}

/// The losses of a run after its warm-up; `None` before it has ended.
fn trajectory(results: &Results, seed: u64, arm: &str, width: usize, batch: usize) -> Option<Trajectory> {
    let outcome = results.outcome(arm, seed).filter(|outcome| outcome.done)?;
    let counts = |point: &&[f64; 2]| point[0] > SETTLED as f64 && point[1].is_finite();
    let points: Vec<[f64; 2]> = outcome.curve(TEST_LOSS).iter().filter(counts).copied().collect();
    Some(Trajectory { size: size(width), batch: batch as f64, points: fit::falling(&points) })
}

/// The runs with all batches at the size in the middle.
fn batches(results: &Results, seed: u64) -> Option<Vec<Trajectory>> {
    BATCHES.into_iter().map(|batch| trajectory(results, seed, &id(MIDDLE, batch), MIDDLE, batch)).collect()
}

/// The runs of all sizes with the common batch.
fn sizes(results: &Results, seed: u64) -> Option<Vec<Trajectory>> {
    WIDTHS.into_iter().map(|width| trajectory(results, seed, &id(width, COMMON), width, COMMON)).collect()
}

/// The levels at which batches are compared, the highest loss first; those at which no hyperbola fits are `None`.
fn levels(results: &Results, seed: u64) -> Option<Vec<Option<Level>>> {
    let runs = batches(results, seed)?;
    let searched = runs.iter().find(|run| run.batch == SEARCHED as f64)?;
    let [[_, first], [_, last]] = [searched.points.first()?, searched.points.last()?];
    let [high, low] = BETWEEN.map(|share| first + (last - first) * share);
    let count = results.knobs.get(&LEVELS);
    let loss = |place: usize| high + (low - high) * place as f64 / (count - 1) as f64;
    Some((0..count).map(|place| Level::of(&runs, loss(place))).collect())
}

/// The law, fitted to all runs but those that are predicted.
fn law(results: &Results, seed: u64) -> Option<Law> {
    let levels: Vec<Level> = levels(results, seed)?.into_iter().flatten().collect();
    let mut runs = batches(results, seed)?;
    runs.extend(sizes(results, seed)?.into_iter().filter(|run| run.size != size(MIDDLE)));
    fit::law(fit::critical(&levels)?, &runs)
}

/// What a predicted run is held against.
#[derive(Clone, Copy, PartialEq)]
enum Guess {
    /// The law.
    Law,
    /// The law without its term of the batch: as if the batch were the common one.
    NoBatch,
    /// The measured curve of the size in the middle with the common batch.
    Copy,
}

/// Predicted losses of a batch's run: `[updates, loss]` where the run was tested.
fn guess(results: &Results, seed: u64, batch: usize, guess: Guess) -> Option<Vec<[f64; 2]>> {
    let knobs = &results.knobs;
    let (updates, width) = (knobs.get(&UPDATES) as u64, larger(knobs));
    let known = trajectory(results, seed, &id(MIDDLE, COMMON), MIDDLE, COMMON)?;
    let law = law(results, seed)?;
    let of_law = |at: f64, batch: usize| law.loss(size(width), at, batch as f64);
    let reads = arm(Label::default(), width, batch, updates, 1.0).reads.into_iter();
    let loss = |at: f64| match guess {
        Guess::Law => Some(of_law(at, batch)),
        Guess::NoBatch => Some(of_law(at, COMMON)),
        Guess::Copy => fit::loss_at(&known.points, at),
    };
    let counted = reads.filter(|&at| at * FROM >= updates && at > SETTLED).map(|at| at as f64);
    Some(counted.filter_map(|at| Some([at, loss(at)?])).collect())
}

/// Mean distance of a guess from the loss that was measured, in percent of it, seed by seed; infinite where the run diverged.
fn error(results: &Results, batch: usize, way: Guess) -> Sample {
    results.by_seed(|seed| {
        let outcome = results.outcome(&format!("test/{batch}"), seed).filter(|outcome| outcome.done)?;
        let guess = guess(results, seed, batch, way)?;
        let off = |&[at, loss]: &[f64; 2]| 100.0 * (loss / outcome.at(TEST_LOSS, at) - 1.0).abs();
        let mean = guess.iter().map(off).sum::<f64>() / guess.len().max(1) as f64;
        (!guess.is_empty()).then_some(if mean.is_finite() { mean } else { f64::INFINITY })
    })
}

/// The critical batch at the lowest level over that at the highest, of the levels at which a hyperbola fits, if these are two
/// or more.
fn growth(results: &Results) -> Sample {
    results.by_seed(|seed| {
        let fitted: Vec<Level> = levels(results, seed)?.into_iter().flatten().collect();
        let [highest, .., lowest] = &fitted[..] else { return None };
        Some(lowest.curve.critical() / highest.curve.critical())
    })
}

fn answer(results: &Results) -> Answer {
    let [common, other] = predicted_batches(&results.knobs);
    let [first, second] = [common, other].map(|batch| error(results, batch, Guess::Law));
    let worst = first.with(&second, f64::max);
    let good = results
        .by_seed(|seed| Some(levels(results, seed)?.iter().flatten().filter(|level| level.r2 >= 0.9).count() as f64));
    let growth = growth(results);
    let naive = |way| error(results, other, way).over(&second);
    let fitted = (unfitted(results) == 0, "with a seed or more the law could not be fitted");
    let ran = (second.values().all(f64::is_finite), "the run that is predicted diverged");
    let within = if other == common {
        format!("{}% with batches of {common} characters", said(&first))
    } else {
        format!("{}% with batches of {common} characters and {}% with {other}", said(&first), said(&second))
    };
    let mut words = if first.is_empty() {
        "No loss was predicted.".to_owned()
    } else {
        let width = larger(&results.knobs);
        format!("The law, fitted to widths of 12 to 24, predicts the loss of width {width} within {within}.")
    };
    if !growth.is_empty() {
        words += &format!(
            " At the lowest level of the loss the critical batch is {} times that at the highest.",
            growth.mean_in_words()
        );
    }
    let share = 6.0 / 8.0 * results.knobs.get(&LEVELS) as f64;
    Answer::new(
        Judged::mean("mean error of the predicted loss, the worse batch", &worst, Bound::AtMost(5.0), "%")
            .given(fitted.0, fitted.1),
        words,
    )
    .also([
        Judged::mean("levels whose hyperbola has R² ≥ 0.9", &good, Bound::AtLeast(share), ""),
        Judged::mean("critical batch at the lowest loss, relative to the highest", &growth, Bound::AtLeast(1.5), "×")
            .given(growth.len() == good.len(), "with a seed or more hyperbolas fit at fewer than two levels"),
        Judged::mean(
            format!("batch {other}: error without the batch term, relative to the law's"),
            &naive(Guess::NoBatch),
            Bound::AtLeast(1.5),
            "×",
        )
        .given(other != common, "it is the common batch")
        .given(fitted.0, fitted.1)
        .given(ran.0, ran.1),
        Judged::mean(
            format!("batch {other}: error of the middle size's curve, relative to the law's"),
            &naive(Guess::Copy),
            Bound::AtLeast(1.5),
            "×",
        )
        .given(fitted.0, fitted.1)
        .given(ran.0, ran.1),
    ])
    .more(more(results))
    .more(results.diverged_in_words("an infinite loss from there on"))
}

/// A mean in words, or that there is none.
fn said(sample: &Sample) -> String {
    match sample.mean() {
        mean if mean.is_nan() => "(not measured)".into(),
        f64::INFINITY => "∞".into(),
        _ => sample.mean_in_words(),
    }
}

/// Seeds whose small networks have trained, and to which no law could be fitted.
fn unfitted(results: &Results) -> usize {
    let trained = |seed: u64| batches(results, seed).is_some() && sizes(results, seed).is_some();
    results.seeds.iter().filter(|&&seed| trained(seed) && law(results, seed).is_none()).count()
}

/// The exponents, and what is to be known about the runs.
fn more(results: &Results) -> String {
    let law = |pick: fn(Law) -> f64| results.by_seed(|seed| law(results, seed).map(pick));
    let exponents = [law(|law| law.size.exponent), law(|law| law.updates.exponent), law(|law| law.batch.exponent)];
    let [size, updates, batch] = exponents.each_ref();
    let mut words = Vec::new();
    if !size.is_empty() {
        words.push(format!(
            "The exponents are {size} for the size, {updates} for the updates, and 1/({batch}) for the critical batch."
        ));
    }
    let ends = [0, RATES - 1].map(rate);
    let rates = results.sample(&id(MIDDLE, SEARCHED), RATE);
    let at_end = rates.values().filter(|rate| ends.contains(rate)).count();
    if at_end > 0 {
        words.push(format!(
            "With {at_end} of {} seeds the best rate is the lowest or the highest of the {RATES} tried.",
            rates.len()
        ));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
