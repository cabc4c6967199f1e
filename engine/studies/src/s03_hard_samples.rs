//! Can we learn better with hard samples? (Sahayam, Zakkam, Jayaraman 2023)

mod queue;

use engine::spec::{
    Again, BatchSpec, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, Sampling, ScheduleSpec,
    Shape,
};

use super::gauges::{TRAINING_LOSS, TrainingLoss};
use super::names::ACCURACY;
use super::plot::{axis, in_words};
use super::{
    Answer, Arm, Bound, Judged, Knob, Knobs, Label, Number, Outcome, Plot, Protocol, Results, Sample, Study, versus,
};
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
    differs: "2,048 MNIST images pooled to 14×14 and an MLP 196-48-10 instead of CIFAR-10, CIFAR-100 and STL-10 with ResNets. \
              “Sorted” adds normal noise to the number of each image's class and sorts by that before cutting batches. As in the \
              authors' code the selected batches are visited by number, not by loss; that at least one is always selected is our \
              addition. Accuracies are those after the last update, not the best ones.",
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
/// Readings an epoch: a round of half the batches ends at each.
const READINGS: usize = 2;

/// The settings: batches of a sorted file, and of one that was shuffled once.
const SORTED: &str = "S";
const SHUFFLED: &str = "R";

fn arms(knobs: &Knobs) -> Vec<Arm> {
    let (size, epochs) = (knobs.get(&BATCH), knobs.get(&EPOCHS));
    let steps = (epochs * (IMAGES / size)) as u64;
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
        Arm { readings: (READINGS * epochs) as u64, gauges, ..Arm::new(label, RunSpec { batch, ..spec.clone() }) }
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

/// Updates to [`SOON`], of each seed that reached it; of one that did not, those of the whole run.
fn soon(results: &Results, arm: &str) -> Sample {
    let updates = |(seed, outcome): (u64, &Outcome)| {
        let points = outcome.curve(ACCURACY);
        let reached = points.iter().find(|point| point[1] >= SOON).or(points.last())?;
        Some((seed, reached[0]))
    };
    Sample(results.outcomes(arm).filter_map(updates).collect())
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
                "Bright: trained on since the last reading. The first two rows are the first pass, over all batches.",
            )
            .empty("One column per batch, for the hardest share of sorted batches and the first seed."),
        Plot::table(results, "The arms in numbers", &columns)
            .meaning("Training loss is that on all 2,048 images, after half of the updates."),
    ]
}

fn answer(results: &Results) -> Answer {
    let of = |setting: &str, arm: &str, number: Number| results.sample(&id(setting, arm), number);
    let end = |setting: &str, arm: &str| of(setting, arm, ACCURACY.last());
    let [all, half, random] = ["all", "half", "random"].map(|arm| end(SORTED, arm));
    let [plain, hard] = ["all", "half"].map(|arm| end(SHUFFLED, arm));
    let fresh = results.sample("F", ACCURACY);
    let halfway = |arm: &str| of(SHUFFLED, arm, TRAINING_LOSS.last());
    let points = |name: &str, sample: &Sample, bound| Judged::most_seeds(name, sample, bound, "points", [4, 5]);
    let name = "sorted: accuracy of the hardest batches above all batches";
    let sorted = points(name, &half.minus(&all), Bound::AtLeast(5.0));
    let words = versus(["With sorted batches training on the hardest", "training on all"], [&half, &all], "%", true);
    let apart = half.minus(&random).mean();
    let why = if apart > 1.0 {
        format!("As many drawn at random get {}%: hardness helps.", random.mean_in_words())
    } else {
        format!(
            "As many drawn at random get {}%: what helps is breaking up the order, not hardness.",
            random.mean_in_words()
        )
    };
    let more = format!(
        "{} Shuffling in every epoch gets {}% without any choosing.",
        versus(["With batches that were shuffled once the hardest", "all"], [&hard, &plain], "%", true) + ".",
        fresh.mean_in_words(),
    );
    let sooner = soon(results, &id(SORTED, "half")).over(&soon(results, &id(SORTED, "all")));
    let name = format!("sorted: updates to {SOON}%, relative to all batches");
    let distance = |a: &Sample, b: &Sample| a.with(b, |a, b| (a - b).abs());
    let mean = |name: &str, sample: Sample, most| Judged::mean(name, &sample, Bound::AtMost(most), "points");
    let lower = "shuffled once: training loss halfway lower with the hardest batches";
    Answer::new(sorted, format!("{words}. {why}")).more(more).also([
        Judged::most_seeds(name, &sooner, Bound::AtMost(0.5), "×", [4, 5]),
        points("sorted: the hardest above as many random ones", &half.minus(&random), Bound::Above(0.0)),
        mean("shuffled once: difference of accuracies", distance(&hard, &plain), 1.0),
        Judged::most_seeds(lower, &halfway("all").minus(&halfway("half")), Bound::Above(0.0), "nats", [4, 5]),
        mean("sorted, hardest: distance from shuffling in every epoch", distance(&half, &fresh), 1.5),
    ])
}

#[cfg(test)]
mod tests;
