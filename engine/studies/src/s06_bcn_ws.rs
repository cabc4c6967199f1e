//! Micro-Batch Training with Batch-Channel Normalization and Weight Standardization (Qiao, Wang, Liu, Shen, Yuille 2019).

mod net;
mod run;
#[cfg(test)]
mod tests;

use engine::figure::{Mark, Role, brief};
use engine::spec::{DataSet, DataSpec};

use super::images::Images;
use super::plot::{axis, in_words};
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Share, Study,
    StudyError, Task,
};
use net::{Form, Norms, SIDE};
use run::{Way, learn};

pub(super) const STUDY: Study = Study {
    id: 6,
    slug: "bcn-ws",
    title: "Training with one image at a time",
    paper: "Micro-Batch Training with Batch-Channel Normalization and Weight Standardization",
    authors: "Qiao, Wang, Liu, Shen, Yuille",
    year: 2019,
    source: "https://arxiv.org/abs/1903.10520",
    themes: &["normalization", "batch size"],
    claim: "With standardized weights, and a norm that first uses running estimates and then each image's own channels, a \
            network learns as well from one image at a time as batch norm does from large batches. Batch norm itself fails \
            there.",
    why: "With one image per batch, batch norm uses each image's own statistics in training, but averages over other images at \
          test time. Running estimates are the same in both, but nothing keeps the image at hand in range: a second norm, over \
          groups of its channels, does. Standardized weights keep what enters a norm at one scale, so that the estimates need \
          not chase it.",
    differs: "3,000 MNIST images pooled to 14×14, one epoch, and three convolutions of 8, 16 and 32 channels, instead of \
              ImageNet and ResNets; the last norm sees 3×3 positions. Groups of channels are 4 instead of 32. Estimates begin as \
              the mean of all images so far and turn into running averages, which is our choice: the paper's code leaves their \
              rate open. The learning rate is in proportion to the batch size and falls over the second half; batch norm with \
              large batches, which makes few updates, has a second try at twice the rate, and the better one counts.",
    seeds: 3,
    seconds: 60.0,
    knobs: &[&MICRO, &GROUPS, &ESTIMATES, &RATE],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Groups {
        One = "1", "1";
        Two = "2", "2";
        Four = "4", "4";
        Eight = "8", "8";
    }
}

const MICRO: Knob<usize> = Knob::integer("micro", "Other small batch", "images; tested beside 1", [2, 16], 2);
const GROUPS: Knob<Groups> = Knob::choice("groups", "Groups", "of channels, in norms over groups", Groups::Four);
const ESTIMATES: Knob<f64> =
    Knob::number("estimates", "Estimates move", "how far per image; at most 0.1 per update", [1e-4, 0.1], 0.01);
const RATE: Knob<f64> = Knob::number("rate", "Learning rate", "per image in a small batch", [1e-5, 0.01], 1e-3);

/// Accuracy on test images, over images seen.
const ACCURACY: Curve = Curve::new("accuracy", "%");
/// The same at the end with the statistics of test batches.
const BATCH_STATISTICS: Number = Number::new("by batch statistics", "%");
/// Training loss over images seen, and its largest value at a single update.
const LOSS: Curve = Curve::new("training loss", "nats");
const LARGEST: Number = Number::new("largest loss", "nats");
/// Images seen when that came.
const LARGEST_AT: Number = Number::new("images before the largest loss", "");
/// Mean and deviation of each channel of the last convolution, before the nonlinearity.
const SPREAD: Curve = Curve::new("spread", "");
/// Share of channels that yield hardly anything.
const ELIMINATED: Number = Number::new("eliminated", "%");
const UPDATES: Number = Number::new("updates", "");

/// Training and test images.
const IMAGES: [usize; 2] = [3000, 500];
/// The large batch, its learning rates and its estimates' rate; epochs of the arm that learns longer.
const LARGE: usize = 32;
const LARGE_RATE: f64 = 0.03;
const FAST_RATE: f64 = 2.0 * LARGE_RATE;
const LARGE_ESTIMATES: f64 = 0.1;
const LONG: usize = 4;

/// Norms that are compared with small batches: id, name, norms, standardized weights.
const KINDS: [(&str, &str, Norms, bool); 5] = [
    ("bn", "batch norm", Norms::Batch, false),
    ("gn", "group norm", Norms::Group, false),
    ("gn-ws", "group norm, WS", Norms::Group, true),
    ("est-ws", "estimates, WS", Norms::Estimated, true),
    ("bcn-ws", "BCN, WS", Norms::BatchChannel, true),
];

fn groups(knobs: &Knobs) -> usize {
    match knobs.get(&GROUPS) {
        Groups::One => 1,
        Groups::Two => 2,
        Groups::Four => 4,
        Groups::Eight => 8,
    }
}

/// All arms: id, label, and how they learn.
fn ways(knobs: &Knobs) -> Vec<(Label, Way)> {
    let micro = knobs.get(&MICRO);
    let form = |norms, standard| Form { norms, standard, groups: groups(knobs) };
    let mut ways = vec![];
    for (batch, of) in [(1, "1"), (micro, "micro")] {
        for (kind, name, norms, standard) in KINDS {
            let (id, name) = (format!("{kind}/{of}"), format!("{name}, {batch} per batch"));
            let label = match kind {
                "bcn-ws" => Label::new(&id, name),
                "est-ws" => Label::new(&id, name).dotted(),
                "bn" => Label::baseline(&id, name),
                "gn" => Label::baseline(&id, name).dotted(),
                _ => Label::baseline(&id, name).dashed(),
            };
            let estimates = (knobs.get(&ESTIMATES) * batch as f64).min(0.1);
            let rate = knobs.get(&RATE) * batch as f64;
            ways.push((label, Way { form: form(norms, standard), batch, epochs: 1, rate, estimates }));
        }
    }
    for (id, name, epochs, rate) in [
        ("bn/large", "batch norm, 32 per batch", 1, LARGE_RATE),
        ("bn/fast", "batch norm, 32 per batch, twice the rate", 1, FAST_RATE),
        ("bn/long", "batch norm, 32 per batch, four epochs", LONG, LARGE_RATE),
    ] {
        let label = Label::baseline(id, name).long_dashed();
        let form = form(Norms::Batch, false);
        ways.push((label, Way { form, batch: LARGE, epochs, rate, estimates: LARGE_ESTIMATES }));
    }
    ways
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    ways(knobs).into_iter().map(|(label, _)| label).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let ways = ways(&context.results.knobs);
        let [train, test] = IMAGES;
        let spec = DataSpec { train, test, size: SIDE, ..DataSpec::of(DataSet::Mnist) };
        let images = Images::of("images", &*context.data(&spec).await?)?;
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, (label, way)) in ways.iter().enumerate() {
                context.progress(share.part(place, ways.len()).at(0.0), &label.name);
                let play = context.play(seed).await?;
                learn(play, &images, way, seed, context.results.record(&label.id, seed)?).await?;
            }
        }
        Ok(())
    })
}

/// Accuracy of batch norm with large batches that see the images once, at the better of its rates.
fn large(results: &Results) -> Sample {
    let [large, fast] = ["bn/large", "bn/fast"].map(|arm| results.sample(arm, ACCURACY));
    if fast.mean() > large.mean() { fast } else { large }
}

fn figures(results: &Results) -> Vec<Plot> {
    let once: Vec<Label> = results.arms.iter().filter(|label| label.id != "bn/long").cloned().collect();
    let single = results.labels(KINDS.map(|(kind, ..)| format!("{kind}/1")));
    let micro = results.knobs.get(&MICRO);
    let mut x = axis("", "");
    x.categories = [1, micro, LARGE].map(|batch| format!("{batch} per batch")).to_vec();
    let bars = KINDS.map(|(kind, name, norms, _)| {
        let role = match norms {
            Norms::BatchChannel => Role::Train,
            Norms::Batch => Role::Limit,
            Norms::Estimated => Role::Lr,
            Norms::Group if kind == "gn" => Role::Other,
            Norms::Group => Role::Batch,
        };
        let small = ["1", "micro"].map(|of| results.sample(&format!("{kind}/{of}"), ACCURACY).mean());
        // Only batch norm learns from large batches, too.
        let large = if norms == Norms::Batch { large(results).mean() } else { f64::NAN };
        (name, role, [&small[..], &[large]].concat())
    });
    let spread = |kind: &str, title: &str, id: &str| {
        let points: Vec<[f64; 2]> =
            results.outcomes(&format!("{kind}/1")).flat_map(|(_, o)| o.curve(SPREAD).to_vec()).collect();
        let role = if kind == "bcn-ws" { Role::Train } else { Role::Limit };
        let scatter = Mark::Scatter { name: "a channel".into(), role, points: points.clone(), classes: vec![] };
        Plot::of(
            id,
            title,
            [axis("mean", ""), axis("deviation", "")],
            if points.is_empty() { vec![] } else { vec![scatter] },
        )
        .meaning(
            "One point per channel of the last convolution, before the nonlinearity. A channel whose mean lies many deviations \
             below 0 yields nothing.",
        )
        .empty("Points appear when the arm has learned.")
    };
    vec![
        Plot::bars("accuracy", "Accuracy by norm and batch", [x, axis("test accuracy", "%")], bars)
            .meaning("All have seen the same images once. Batch norm with large batches has made fewer updates.")
            .says(in_words(results, &once, ACCURACY.last()))
            .empty("Bars appear as arms finish."),
        Plot::curves(
            results,
            "training",
            "One image per batch",
            [axis("images seen", ""), axis("test accuracy", "%")],
            &single,
            ACCURACY,
        )
        .meaning("At test time batch norm uses running averages of single images' statistics.")
        .empty("Lines grow while the arms learn."),
        Plot::curves(
            results,
            "loss",
            "Training loss, one image per batch",
            [axis("images seen", ""), axis("training loss", "nats")],
            &single,
            LOSS,
        )
        .meaning("Averaged over a thirtieth of the run at a time.")
        .empty("Lines appear as arms finish."),
        spread("bcn-ws", "Channels of BCN, WS", "channels"),
        spread("est-ws", "Channels of estimates alone, WS", "channels-estimated"),
        Plot::table(
            results,
            "All numbers",
            &[
                ("test accuracy", ACCURACY.last()),
                ("by batch statistics", BATCH_STATISTICS),
                ("updates", UPDATES),
                ("largest loss", LARGEST),
                ("channels eliminated", ELIMINATED),
            ],
        )
        .meaning(
            "Eliminated: above 0 at fewer than 1% of the positions in test images. By batch statistics: batch norm normalizes as \
             in training.",
        ),
    ]
}

fn answer(results: &Results) -> Answer {
    let end = |arm: &str| results.sample(arm, ACCURACY);
    let [bcn, batch, group, standard, estimated] = ["bcn-ws/1", "bn/1", "gn/1", "gn-ws/1", "est-ws/1"].map(end);
    let (large, long) = (large(results), end("bn/long"));
    let [tame, wild] = ["bcn-ws/1", "est-ws/1"].map(|arm| results.sample(arm, LARGEST));
    let words = if [&bcn, &batch, &large].iter().any(|sample| sample.is_empty()) {
        "Not all of these norms were measured.".to_owned()
    } else {
        format!(
            "With one image per batch, BCN with WS reaches {}% and batch norm {}%; batch norm with 32 images per batch reaches \
             {}% on the same images.",
            bcn.mean_in_words(),
            batch.mean_in_words(),
            large.mean_in_words()
        )
    };
    Answer::new(
        Judged::as_good(
            "BCN, WS with 1 image below batch norm with 32, same images seen",
            &large.minus(&bcn),
            2.0,
            "points",
        ),
        words,
    )
    .also([
        Judged::every_seed("1 image: BCN, WS above batch norm", &bcn.minus(&batch), Bound::AtLeast(30.0), "points"),
        Judged::most_seeds(
            "1 image: BCN, WS above estimates alone",
            &bcn.minus(&estimated),
            Bound::AtLeast(5.0),
            "points",
            [2, 3],
        ),
        Judged::mean("largest loss: estimates alone above BCN, WS", &wild.minus(&tame), Bound::Above(0.0), "nats")
            .given(!wild.minus(&tame).values().any(f64::is_nan), "both diverge"),
        Judged::most_seeds(
            "1 image: group norm with WS above without",
            &standard.minus(&group),
            Bound::AtLeast(4.0),
            "points",
            [2, 3],
        ),
    ])
    .more(longer(bcn.minus(&long).mean(), bcn.minus(&standard).mean()))
    .more(spikes(results))
    .more(results.diverged_in_words("guessing"))
}

/// When losses were largest, which tells spikes from the beginning.
fn spikes(results: &Results) -> String {
    let at = |arm: &str| results.sample(arm, LARGEST_AT).mean();
    let [bcn, estimated] = ["bcn-ws/1", "est-ws/1"].map(at);
    if !(bcn.is_finite() && estimated.is_finite()) {
        return String::new();
    }
    let early = if bcn.max(estimated) < IMAGES[0] as f64 / 10.0 { ": that is the start, not a spike" } else { "" };
    format!(
        "The largest loss of a single image comes at image {} of 3,000 on average with BCN and {} with estimates alone{early}.",
        brief(bcn),
        brief(estimated)
    )
}

/// What the comparison leaves open, in words.
fn longer(above: f64, over_groups: f64) -> String {
    if !(above.is_finite() && over_groups.is_finite()) {
        return String::new();
    }
    let way = if above < 0.0 { "below" } else { "above" };
    format!(
        "Batch norm with 32 images makes few updates in one epoch: if it trains for four, which is still an eighth of the updates \
         with one image, BCN with WS and one image ends {} points {way} it. Compared with group norm with WS, BCN with WS is {} \
         points {}.",
        brief(above.abs()),
        brief(over_groups.abs()),
        if over_groups < 0.0 { "lower" } else { "higher" }
    )
}
