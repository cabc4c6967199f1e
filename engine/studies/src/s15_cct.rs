//! Escaping the Big Data Paradigm with Compact Transformers (Hassani et al. 2021).

use engine::figure::{Mark, brief};
use engine::spec::{
    BatchSpec, DataSet, DataSpec, ModelSpec, OptimizerSpec, Pooling, Positions, Rule, RunSpec, ScheduleSpec, Shape,
    Tokenizer, TransformerSpec,
};

use super::gauges::Views;
use super::names::{ACCURACY, PARAMETERS, TEST_LOSS};
use super::plot::{axis, log_axis};
use super::{Answer, Arm, Bound, Judged, Knob, Knobs, Label, Plot, Protocol, Results, Sample, Study, versus};

pub(super) const STUDY: Study = Study {
    id: 15,
    slug: "cct",
    title: "Do small transformers need big data?",
    paper: "Escaping the Big Data Paradigm with Compact Transformers",
    authors: "Hassani, Walton, Shah, Abuduweili, Li, Shi",
    year: 2021,
    source: "https://arxiv.org/abs/2104.05704",
    themes: &["compact model", "vision", "small data"],
    claim: "With a convolutional tokenizer and sequence pooling, a small transformer learns from few images, where a \
            vision transformer of the same size lags far behind.",
    why: "Patches cut an image along a fixed grid: what crosses a border is lost, and that neighbouring pixels belong \
          together must be learned from data. A convolution with overlapping pooling brings that knowledge along and \
          keeps borders whole, so fewer images do. Sequence pooling replaces the class token by a learned, \
          input-dependent weighted mean over all tokens: nothing that an image token carries has to be routed through \
          one extra token first. The less data there are, the more such built-in knowledge is worth.",
    differs: "MNIST at 16×16 pixels instead of CIFAR-10, and networks of 16 thousand parameters: width 32, two layers, two \
              heads, MLP ratio 1, 64 tokens in every arm. Plain pre-norm layers without dropout, stochastic depth, mixup \
              or label smoothing. AdamW with a peak rate of 0.004 and 1,000 updates of 32 images for every arm, instead of \
              hundreds of epochs. The gap at other sizes has one seed, the arms without positions have two. Digits of 8×8 \
              pixels, where 16 tokens leave the tokenizer little to do, are a knob.",
    seconds: 230.0,
    knobs: &[&TRAIN, &IMAGES, &STEPS, &BARE, &TOKENIZER, &KERNEL, &POOL, &POSITIONS],
    also: &[["bare", "true"]],
    protocol: Protocol::Runs(arms),
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Pictures {
        Mnist = "mnist", "MNIST, 16×16";
        Digits = "digits", "digits, 8×8";
    }
}

const TRAIN: Knob<usize> =
    Knob::integer("train", "Training images", "fewer images: what is built in counts for more", [100, 4000], 500);
const IMAGES: Knob<Pictures> = Knob::choice("images", "Images", "at 8×8 the arms come close", Pictures::Mnist);
const STEPS: Knob<usize> = Knob::integer("steps", "Updates", "until every arm is flat", [100, 4000], 1000);
const BARE: Knob<bool> =
    Knob::flag("bare", "Without positions", "adds CCT and CVT that are not told where each token lies", false);
const TOKENIZER: Knob<Tokenizer> =
    Knob::choice("tokenizer", "Your tokenizer", "how your own arm cuts the image", Tokenizer::Conv);
const KERNEL: Knob<usize> = Knob::integer("kernel", "Your kernel", "larger kernels overlap more", [2, 5], 3);
const POOL: Knob<Pooling> =
    Knob::choice("pool", "Your pooling", "how your arm's tokens become one vector", Pooling::Seq);
const POSITIONS: Knob<Positions> =
    Knob::choice("positions", "Your positions", "how your arm learns where a token lies", Positions::Learned);

/// Sizes of the training set at which the gap is measured, beside the main one.
const SIZES: [usize; 3] = [250, 1000, 2000];
/// Images of the digits that there are to train on.
const DIGITS: usize = 1437;
/// Evaluations of an arm: one is where the last fifth of its updates begins.
const READINGS: u64 = 10;

/// As many training images as asked for, or as there are.
fn available(knobs: &Knobs, images: usize) -> usize {
    if knobs.get(&IMAGES) == Pictures::Digits { images.min(DIGITS) } else { images }
}

/// Size of the main training set.
fn main_size(knobs: &Knobs) -> usize {
    available(knobs, knobs.get(&TRAIN))
}

/// The other sizes at which the gap is measured.
fn other_sizes(knobs: &Knobs) -> Vec<usize> {
    let sizes = SIZES.map(|size| available(knobs, size)).into_iter();
    sizes.filter(|&size| size != main_size(knobs) && !knobs.get(&BARE)).collect()
}

/// CCT; the others differ from it in tokenizer, pooling and positions.
fn cct() -> TransformerSpec {
    TransformerSpec { patch: 2, blocks: 1, width: 32, depth: 2, heads: 2, ratio: 1, ..TransformerSpec::cct() }
}

fn arm(knobs: &Knobs, label: Label, design: &TransformerSpec, train: usize) -> Arm {
    let data = match knobs.get(&IMAGES) {
        Pictures::Mnist => DataSpec { train, test: 2000, size: 16, ..DataSpec::of(DataSet::Mnist) },
        Pictures::Digits => DataSpec { train, ..DataSpec::of(DataSet::Digits) },
    };
    let spec = RunSpec {
        data,
        model: match (design.tokenizer, design.pool) {
            (Tokenizer::Conv, _) => ModelSpec::Cct(design.clone()),
            (Tokenizer::Patch, Pooling::Class) => ModelSpec::Vit(design.clone()),
            (Tokenizer::Patch, _) => ModelSpec::Cvt(design.clone()),
        },
        optimizer: OptimizerSpec { kind: Rule::AdamW, weight_decay: 0.01, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Cosine, peak: 4e-3, warmup: 50, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 32, ..BatchSpec::default() },
        steps: knobs.get(&STEPS) as u64,
        ..RunSpec::default()
    };
    Arm { readings: READINGS, ..Arm::new(label, spec) }
}

fn arms(knobs: &Knobs) -> Vec<Arm> {
    let train = main_size(knobs);
    let cvt = TransformerSpec { tokenizer: Tokenizer::Patch, ..cct() };
    let vit = TransformerSpec { pool: Pooling::Class, ..cvt.clone() };
    let [a, b, c] = [Label::baseline("A", "ViT-Lite"), Label::baseline("B", "CVT").dashed(), Label::new("C", "CCT")];
    let mut designs = vec![(a.clone(), vit.clone()), (b, cvt.clone()), (c.clone(), cct())];
    if knobs.get(&BARE) {
        let bare = |design| TransformerSpec { positions: Positions::None, ..design };
        designs.push((Label::new("D", "CCT, no positions").dashed(), bare(cct())));
        designs.push((Label::baseline("E", "CVT, no positions").dotted(), bare(cvt)));
    }
    let (tokenizer, pool, positions) = (knobs.get(&TOKENIZER), knobs.get(&POOL), knobs.get(&POSITIONS));
    // Patches have no kernel: two designs that differ in nothing else are the same.
    let kernel = if tokenizer == Tokenizer::Patch { cct().kernel } else { knobs.get(&KERNEL) };
    let own = TransformerSpec { tokenizer, kernel, pool, positions, ..cct() };
    if designs.iter().all(|(_, design)| *design != own) {
        designs.push((Label::new("Y", "yours").dotted(), own));
    }
    let main = |(label, design): (Label, TransformerSpec)| {
        let seeds = if ["D", "E"].contains(&label.id.as_str()) { 2 } else { usize::MAX };
        Arm { seeds, ..arm(knobs, label, &design, train) }
    };
    let mut arms: Vec<Arm> = designs.into_iter().map(main).collect();
    arms[0].gauges.push(Box::new(Views(&["attention"])));
    arms[2].gauges.push(Box::new(Views(&["pool", "filters"])));
    for size in other_sizes(knobs) {
        for (label, design) in [(&a, &vit), (&c, &cct())] {
            let label = Label { id: at(&label.id, size), name: format!("{} on {size}", label.name), ..label.clone() };
            arms.push(Arm { seeds: 1, readings: 1, ..arm(knobs, label, design, size) });
        }
    }
    arms
}

/// Id of an arm on another size of training set.
fn at(arm: &str, size: usize) -> String {
    format!("{arm}@{size}")
}

/// By how much CCT is above ViT-Lite at each size, ascending.
fn gaps(results: &Results) -> Vec<(usize, Sample)> {
    let train = main_size(&results.knobs);
    let accuracy = |arm: &str, size| {
        let id = if size == train { arm.to_owned() } else { at(arm, size) };
        results.sample(&id, ACCURACY)
    };
    let mut sizes = [other_sizes(&results.knobs), vec![train]].concat();
    sizes.sort_unstable();
    let gap = |size| (size, accuracy("C", size).minus(&accuracy("A", size)));
    sizes.into_iter().map(gap).filter(|(_, gap)| !gap.is_empty()).collect()
}

fn figures(results: &Results) -> Vec<Plot> {
    let main: Vec<Label> = results.arms.iter().filter(|label| !label.id.contains('@')).cloned().collect();
    let train = main_size(&results.knobs);
    let gaps = gaps(results);
    let points: Vec<[f64; 2]> = gaps.iter().map(|(size, gap)| [*size as f64, gap.mean()]).collect();
    let words: Vec<String> =
        gaps.iter().map(|(size, gap)| format!("{} points on {size}", gap.mean_in_words())).collect();
    let drawn = results.labels(["C"]).into_iter().filter(|_| points.len() > 1);
    let line = drawn.map(|cct| Mark::line("CCT above ViT-Lite", cct.role, cct.dash, points.clone()));
    let gap_axes = [log_axis("training images", ""), axis("CCT above ViT-Lite", "points")];
    let view = |name: &str, title| Plot::picture(results, name, &name[2..], title).empty("Once the arm has trained.");
    let steps = [axis("update", ""), axis("test accuracy", "%")];
    vec![
        Plot::dots(results, "accuracy", format!("Test accuracy after {train} training images"), "test accuracy", &main, ACCURACY)
            .meaning(
                "Each dot is a seed, the line their mean: all arms but yours have about as many parameters and tokens. ViT-Lite \
                 cuts patches and reads a class token, CVT cuts patches and pools, CCT makes its tokens by convolutions and pools.",
            )
            .empty("Dots appear as runs end."),
        Plot::curves(results, "training", "Test accuracy while training", steps, &main, ACCURACY)
            .meaning("How fast each arm learns from the same images; the band spans the seeds.")
            .empty("Lines grow while the arms train."),
        Plot::of("size", "The gap by size of the training set", gap_axes, line.collect())
            .meaning(format!(
                "What convolution and pooling are worth together, where images are few and where there are more. One seed at \
                 sizes other than {train}."
            ))
            .says(words.join(", "))
            .empty("A point for each size of the training set."),
        view("C/pool", "Where CCT looks: sequence-pool weights")
            .meaning("The weight of each token in the mean that is classified, laid over the digit."),
        view("A/attention", "Where ViT-Lite looks: attention")
            .meaning("What the class token reads from each patch, laid over the same digit."),
        view("C/filters", "CCT's tokenizer filters")
            .meaning(format!("Learned from {train} digits: white adds, black subtracts, grey ignores.")),
        Plot::table(results, "The arms in numbers", &[
            ("test accuracy", ACCURACY.last()),
            ("test loss", TEST_LOSS.last()),
            ("parameters", PARAMETERS),
        ])
        .meaning("Mean and standard deviation over the seeds."),
    ]
}

/// Points that an arm has still gained over the last fifth of its updates, seed by seed.
fn late(results: &Results, arm: &str) -> Sample {
    let steps = results.knobs.get(&STEPS) as f64;
    let gained = |(seed, outcome): (u64, &super::Outcome)| {
        let before = outcome.curve(ACCURACY).iter().rfind(|point| point[0] <= 0.8 * steps)?[1];
        Some((seed, outcome.curve(ACCURACY).last()?[1] - before))
    };
    Sample(results.outcomes(arm).filter_map(gained).collect())
}

/// The most that any of the compared arms has gained so, seed by seed.
fn latest(results: &Results) -> Sample {
    let each = ["A", "B", "C", "D", "E"].map(|arm| late(results, arm));
    results.by_seed(|seed| {
        let of_seed = each.iter().flat_map(|sample| &sample.0).filter(|(known, _)| *known == seed);
        of_seed.map(|(_, gained)| *gained).reduce(f64::max)
    })
}

fn answer(results: &Results) -> Answer {
    let [a, b, c, d, e] = ["A", "B", "C", "D", "E"].map(|arm| results.sample(arm, ACCURACY));
    let (gap, train) = (c.minus(&a), main_size(&results.knobs));
    let bare = (results.has("D"), "turn “Without positions”");
    let sizes = gaps(results);
    let several = (sizes.len() != 1, "one size only");
    // Of the seeds that both sizes have.
    let [few, most] = ends(&sizes).unwrap_or_default();
    let shrunk = few.minus(&most);
    let words = format!("With {train} images {}.", versus(["CCT", "ViT-Lite"], [&c, &a], "%", true));
    Answer::new(Judged::mean("CCT above ViT-Lite", &gap, Bound::AtLeast(4.0), "points"), words)
        .also([
            Judged::every_seed("CCT above ViT-Lite", &gap, Bound::Above(0.0), "points"),
            Judged::as_good("pooling alone: CVT below ViT-Lite", &a.minus(&b), 1.0, "points"),
            Judged::mean("the gap shrinks with more images by", &shrunk, Bound::Above(0.0), "points")
                .given(several.0, several.1),
            Judged::mean("CCT above ViT-Lite with the most images", &most, Bound::AtLeast(0.0), "points")
                .given(several.0, several.1),
            Judged::mean("most that an arm gains over its last fifth", &latest(results), Bound::AtMost(2.0), "points"),
            Judged::mean("what CCT loses without positions", &c.minus(&d), Bound::AtMost(3.0), "points")
                .given(bare.0, bare.1),
            Judged::every_seed("CCT above CVT, both without positions", &d.minus(&e), Bound::AtLeast(20.0), "points")
                .given(bare.0, bare.1),
        ])
        .more(exceptions(&a.minus(&b), &sizes))
}

/// The gaps at the smallest size and the largest, of the seeds that both have; none of one size.
fn ends(sizes: &[(usize, Sample)]) -> Option<[Sample; 2]> {
    let [(_, few), .., (_, most)] = sizes else { return None };
    Some([few.with(most, |few, _| few), most.with(few, |most, _| most)])
}

/// Where pooling alone or more images do other than the paper says: by how much, and with how many seeds or images.
fn exceptions(behind: &Sample, sizes: &[(usize, Sample)]) -> String {
    let mut words = Vec::new();
    let bad = behind.values().filter(|behind| *behind > 1.0).count();
    if behind.mean() > 1.0 {
        let [least, most] = [behind.min(), behind.max()].map(brief);
        let start = if behind.deviation() > behind.mean() { ": the start matters more than the pooling" } else { "" };
        words.push(match behind.len() {
            1 => format!("CVT is {least} points behind ViT-Lite."),
            seeds => format!(
                "CVT is more than a point behind ViT-Lite in {bad} of {seeds} seeds; by seed, it is behind by {least} to \
                 {most} points{start}."
            ),
        });
    }
    if let ([(few, _), .., (many, _)], Some([first, last])) = (sizes, ends(sizes))
        && first.mean() <= last.mean()
    {
        words.push(format!(
            "The gap between CCT and ViT-Lite is {} points with {few} images and {} with {many}: over these sizes it does not \
             shrink.",
            first.mean_in_words(),
            last.mean_in_words()
        ));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
