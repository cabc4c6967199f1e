//! Can we learn better with hard samples? (Sahayam, Zakkam, Jayaraman 2023)

mod queue;

use engine::spec::{
    Again, BatchSpec, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, Sampling, ScheduleSpec,
    Shape,
};

use super::diverged::CHANCE;
use super::gauges::{TRAINING_LOSS, TrainingLoss};
use super::names::ACCURACY;
use super::plot::{axis, in_words};
use super::{Answer, Arm, Bound, Judged, Knob, Knobs, Label, Plot, Protocol, Results, Sample, Study, versus};
use queue::{Queue, REMEMBERED, TRAINED};

pub(super) const STUDY: Study = Study {
    id: 3,
    slug: "hard-samples",
    title: "Give the hard batches another go",
    paper: "Can we learn better with hard samples?",
    authors: "Sahayam, Zakkam, Jayaraman",
    year: 2023,
    source: "https://arxiv.org/abs/2304.03486",
    themes: &["sampling", "batch"],
    claim: "Cut the data into fixed batches. After a first pass over all of them, each round trains only on the share δ of the \
            batches whose loss was highest when last seen. With as many updates as ordinary training, the network does as well \
            or better, and gets there sooner.",
    why: "A batch that was easy last time teaches little now. The losses cost nothing, because training computes them anyway, \
          and they grow stale on purpose: a batch that is left alone keeps its old loss until those that are trained on have \
          fallen below it. So every batch gets its turn again, and nothing is forgotten for good. Much depends on what a batch \
          is. Where a file is sorted by class, a batch is a topic, and some topics are harder than others. Where they were \
          shuffled once, every batch is a bit of everything, all losses are alike, and there is little to choose. Shuffling anew \
          in every epoch is the usual cure. Another arm draws as many batches at random. It tells whether hardness is what \
          helps: it, too, breaks up the fixed order, in which a network forgets the first classes of a sorted file while it \
          learns the last.",
    differs: "2,048 MNIST images pooled to 14×14 and an MLP 196-48-10 instead of CIFAR-10, CIFAR-100 and STL-10 with ResNets; 12 \
              epochs at rate 0.02 with batches of 32, instead of 100 at 0.005 with batches of 64 to 512. “Sorted” adds normal \
              noise to the number of each image's class and sorts by that before cutting batches. As in the authors' code the \
              selected batches are visited by number, not by loss; that at least one is always selected is our addition. \
              Accuracies are those after the last update, not the best ones.",
    seeds: 5,
    seconds: 25.0,
    knobs: &[&SHARE, &SPREAD, &BATCH, &RATE, &NOISE, &EPOCHS],
    also: &[["label-noise", "0.2"]],
    protocol: Protocol::Runs(arms),
    figures,
    answer,
    ..Study::BASE
};

const SHARE: Knob<f64> = Knob::number("share", "δ", "share of the batches in each round", [0.05, 1.0], 0.5);
const SPREAD: Knob<f64> =
    Knob::number("spread", "Noise of sorting", "in classes; 0 = batches of one class", [0.0, 20.0], 1.5);
const BATCH: Knob<usize> = Knob::integer("batch", "Batch size", "fewer batches, less to choose from", [8, 256], 32);
const RATE: Knob<f64> =
    Knob::number("rate", "Learning rate", "above 0.05, sorted batches throw every arm off", [1e-3, 0.2], 0.02);
const NOISE: Knob<f64> =
    Knob::number("label-noise", "Label noise", "share of wrong labels, which stay hard forever", [0.0, 0.5], 0.0);
const EPOCHS: Knob<usize> =
    Knob::integer("epochs", "Epochs", "each with as many updates as there are batches", [2, 40], 12);

/// Training images.
const IMAGES: usize = 2048;
/// A round of the sharper selection.
const FEW: f64 = 0.2;
/// The accuracy that is to be reached soon, in percent.
const SOON: f64 = 75.0;
/// Why what is lost twice is not compared.
const LOST: &str = "both diverge";
/// Readings an epoch: a round of half the batches ends at each.
const READINGS: usize = 2;

/// The settings: batches of a sorted file, and of one that was shuffled once.
const SORTED: &str = "S";
const SHUFFLED: &str = "R";

/// Updates of every arm.
fn updates(knobs: &Knobs) -> u64 {
    (knobs.get(&EPOCHS) * (IMAGES / knobs.get(&BATCH))) as u64
}

fn arms(knobs: &Knobs) -> Vec<Arm> {
    let (size, epochs, steps) = (knobs.get(&BATCH), knobs.get(&EPOCHS), updates(knobs));
    let spec = RunSpec {
        data: DataSpec {
            train: IMAGES,
            test: 1000,
            size: 14,
            label_noise: knobs.get(&NOISE),
            ..DataSpec::of(DataSet::Mnist)
        },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![48], ..MlpSpec::default() }),
        optimizer: OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(Rule::Momentum) },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: knobs.get(&RATE), warmup: 0, ..ScheduleSpec::default() },
        steps,
        ..RunSpec::default()
    };
    let arm = |label: Label, batch: BatchSpec| {
        let mut gauges = vec![TrainingLoss::at(vec![steps / 2])];
        if label.id == id(SORTED, "half") {
            gauges.push(Queue::gauge());
        }
        let arm = Arm::new(label, RunSpec { batch, ..spec.clone() });
        // The training loss is taken halfway, which not all numbers of batches make one of the even readings.
        Arm { readings: (READINGS * epochs) as u64, reads: vec![steps / 2], gauges, ..arm }
    };
    let fixed = |clustered: bool, share: f64, again: Again| BatchSpec {
        size,
        sampler: Sampling::Fixed,
        share,
        again,
        clustered,
        spread: knobs.get(&SPREAD),
        ..BatchSpec::default()
    };
    let share = knobs.get(&SHARE);
    let mut arms = Vec::new();
    for (setting, name) in [(SORTED, "sorted"), (SHUFFLED, "shuffled once")] {
        let fixed = |share, again| fixed(setting == SORTED, share, again);
        let label = |arm: &str, what: String| Label::new(&id(setting, arm), format!("{name}: {what}"));
        let baseline = Label::baseline(&id(setting, "all"), format!("{name}: all batches"));
        arms.push(arm(baseline, fixed(1.0, Again::Hardest)));
        arms.push(arm(label("half", format!("hardest {share}")), fixed(share, Again::Hardest)));
        arms.push(arm(label("few", format!("hardest {FEW}")).dashed(), fixed(FEW, Again::Hardest)));
        arms.push(arm(label("random", format!("random {share}")).dotted(), fixed(share, Again::Random)));
    }
    let anew = BatchSpec { size, ..BatchSpec::default() };
    arms.push(arm(Label::baseline("F", "shuffled in every epoch").long_dashed(), anew));
    arms
}

fn id(setting: &str, arm: &str) -> String {
    format!("{setting}/{arm}")
}

/// Arms of a setting, and the control.
fn of_setting(results: &Results, setting: &str) -> Vec<Label> {
    let wanted = |label: &&Label| label.id.starts_with(setting) || label.id == "F";
    results.arms.iter().filter(wanted).cloned().collect()
}

/// Updates to [`SOON`]; of a run that did not get there, all of its updates, which is less than it would need.
fn soon(results: &Results, arm: &str) -> Sample {
    let all = updates(&results.knobs) as f64;
    Sample(
        results.outcomes(arm).map(|(seed, outcome)| (seed, outcome.reached(ACCURACY, SOON).unwrap_or(all))).collect(),
    )
}

/// How many of an arm's runs did not get to [`SOON`].
fn missed(results: &Results, arm: &str) -> usize {
    results.outcomes(arm).filter(|(_, outcome)| outcome.reached(ACCURACY, SOON).is_none()).count()
}

/// What helped with sorted batches, in words, by the accuracies of all batches, the hardest and random ones.
fn cause(all: &Sample, half: &Sample, random: &Sample) -> String {
    let (gain, apart) = (half.minus(all).mean(), half.minus(random).mean());
    if !apart.is_finite() {
        return String::new();
    }
    let helps = match (gain > 0.0, apart > 1.0) {
        (true, true) => ": hardness helps",
        (true, false) => ": what helps is breaking up the order, not hardness",
        _ => "",
    };
    format!(" As many drawn at random get {}%{helps}.", random.mean_in_words())
}

/// Runs that say less than they seem to, in words.
fn late(results: &Results) -> String {
    let late = |arm: &str| {
        let missed = missed(results, &id(SORTED, arm));
        let name = results.labels([id(SORTED, arm)]).pop().unwrap_or_default().name;
        (missed > 0).then(|| format!(" “{name}” does not reach {SOON}% in {missed} of {} runs.", results.seeds.len()))
    };
    ["all", "half"].into_iter().filter_map(late).collect()
}

fn figures(results: &Results) -> Vec<Plot> {
    let curves = |setting: &str, title: &str, meaning: &str| {
        let arms = of_setting(results, setting);
        let axes = [axis("update", ""), axis("test accuracy", "%")];
        Plot::curves(results, setting, title, axes, &arms, ACCURACY)
            .meaning(meaning)
            .says(in_words(results, &arms, ACCURACY))
            .empty("One line per arm.")
    };
    let columns = [("test accuracy", ACCURACY.last()), ("training loss halfway", TRAINING_LOSS.last())];
    vec![
        curves(
            SORTED,
            "Batches of a sorted file",
            "Each batch holds a few classes; its loss shows if they need more practice.",
        ),
        curves(SHUFFLED, "Batches shuffled once", "Each batch is a bit of everything; there is little to choose from."),
        Plot::picture(results, REMEMBERED, "remembered", "Each batch's last known loss")
            .meaning("A batch that is left out keeps its colour; once the others have become easier, it gets its turn.")
            .empty("One column per batch, for the hardest share of sorted batches and the first seed."),
        Plot::picture(results, TRAINED, "trained", "Which batches were trained on")
            .meaning(
                "Blue: trained on since the last reading. The first two rows are the first pass, over all batches.",
            )
            .empty("One column per batch, for the hardest share of sorted batches and the first seed."),
        Plot::table(results, "The arms in numbers", &columns)
            .meaning("Training loss is that on all 2,048 images, after half of the updates."),
    ]
}

fn answer(results: &Results) -> Answer {
    let chosen = results.knobs.get(&SHARE) < 1.0;
    let end = |setting: &str, arm: &str| results.sample_or(&id(setting, arm), ACCURACY, CHANCE);
    let [all, half, random] = ["all", "half", "random"].map(|arm| end(SORTED, arm));
    let [plain, hard, hardest] = ["all", "half", "few"].map(|arm| end(SHUFFLED, arm));
    let fresh = results.sample_or("F", ACCURACY, CHANCE);
    let halfway = |arm: &str| results.sample_or(&id(SHUFFLED, arm), TRAINING_LOSS, f64::INFINITY);
    let fallen = halfway("all").minus(&halfway("half"));
    let points = |name: &str, sample: &Sample, bound| Judged::most_seeds(name, sample, bound, "points", [4, 5]);
    let name = "sorted: accuracy of the hardest batches above all batches";
    let sorted = points(name, &half.minus(&all), Bound::AtLeast(5.0));
    let words = versus(["With sorted batches training on the hardest", "training on all"], [&half, &all], "%", true);
    let anew = if fresh.is_empty() {
        String::new()
    } else {
        format!(" Shuffling in every epoch gets {}% without any choosing.", fresh.mean_in_words())
    };
    let once = versus(["With batches that were shuffled once the hardest", "all"], [&hard, &plain], "%", true);
    let more = format!("{once}.{anew}{}", late(results));
    let sooner = soon(results, &id(SORTED, "half")).over(&soon(results, &id(SORTED, "all")));
    let name = format!("sorted: updates to {SOON}%, relative to all batches");
    let neither = ["all", "half"].iter().all(|arm| missed(results, &id(SORTED, arm)) == results.seeds.len());
    let distance = |a: &Sample, b: &Sample| a.with(b, |a, b| (a - b).abs());
    let apart = |pick: fn(f64, f64) -> f64| hard.with(&plain, pick).with(&hardest, pick);
    let whole = "δ = 1 leaves nothing out";
    let mean = |name: &str, sample: Sample, most| Judged::mean(name, &sample, Bound::AtMost(most), "points");
    let lower = "shuffled once: training loss halfway lower with the hardest batches";
    let words = format!("{words}.{}", cause(&all, &half, &random));
    Answer::new(sorted.given(chosen, whole), words).more(more).more(results.diverged_in_words("guessing")).also([
        Judged::most_seeds(name, &sooner, Bound::AtMost(0.5), "×", [4, 5])
            .given(!neither, "no run gets there")
            .given(chosen, whole),
        points("sorted: the hardest above as many random ones", &half.minus(&random), Bound::Above(0.0))
            .given(chosen, whole),
        mean("shuffled once: largest difference of accuracies", apart(f64::max).minus(&apart(f64::min)), 1.0)
            .given(!results.both_diverged(&id(SHUFFLED, "all"), &id(SHUFFLED, "half")), LOST),
        Judged::most_seeds(lower, &fallen, Bound::Above(0.0), "nats", [4, 5])
            .given(!fallen.values().any(f64::is_nan), LOST)
            .given(chosen, whole),
        mean("sorted, hardest: distance from shuffling in every epoch", distance(&half, &fresh), 1.5)
            .given(!results.both_diverged(&id(SORTED, "half"), "F"), LOST)
            .given(chosen, whole),
    ])
}

#[cfg(test)]
mod tests;
