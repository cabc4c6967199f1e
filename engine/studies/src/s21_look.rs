//! Rethinking Supervised Pre-training for Better Downstream Transferring (Feng et al. 2022).

mod run;
#[cfg(test)]
mod tests;

use super::plot::{axis, in_words, log_axis};
use super::{Answer, Bound, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Study, versus};

pub(super) const STUDY: Study = Study {
    id: 21,
    slug: "look",
    title: "Near someone of your kind, or near everyone?",
    paper: "Rethinking Supervised Pre-training for Better Downstream Transferring",
    authors: "Feng, Jiang, Tang, Jin, Gao",
    year: 2022,
    source: "https://arxiv.org/abs/2110.06014",
    themes: &["pre-training", "transfer", "metric learning"],
    claim: "Cross-entropy and supervised contrast press every class into one cluster and lose what differs within it. LOOK \
            asks only that most of an image's nearest neighbours share its label, so that a class may have several modes, and \
            its features transfer better to tasks that the labels said nothing about.",
    why: "Supervised contrast pulls at all pairs of a label, however far apart they are. LOOK pulls at neighbours alone: what \
          already sits among its own kind is left alone, and an island of fours need not move to the island of sevens because \
          both have the same label.",
    differs: "Digits of 8×8 pixels under two super-labels, each covering five random digits, instead of ImageNet; the downstream \
              task is to tell all ten digits apart from frozen features. An MLP 64-128-128-32 without a projection head, and \
              one learning rate for all losses; every arm is judged by the directions of its 32 outputs. Neighbours are \
              sought within the batch of 256, with gradients through both sides, instead of in a queue of a momentum encoder. \
              Where no neighbour has the same label, the nearest example that has it joins them. A linear head on the features \
              is fitted by the lab's 100 steps, too roughly to judge by; what it comes to is said beside the answer. \
              #fewshot?data=digits&embedding=contrastive shows supervised contrast in the few-shot lab.",
    seeds: 5,
    seconds: 150.0,
    knobs: &[&STEPS, &NEIGHBOURS, &TEMPERATURE, &RATE],
    protocol: Protocol::Program { arms, run: |context| Box::pin(context.each_seed(run::run)), timed: false },
    figures,
    answer,
    ..Study::BASE
};

const STEPS: Knob<usize> = Knob::integer("steps", "Updates", "of each arm", [10, 3000], 400);
const NEIGHBOURS: Knob<usize> = Knob::integer("neighbours", "Neighbours", "LOOK's k; 255 = all", [1, 255], 10);
const TEMPERATURE: Knob<f64> =
    Knob::number("temperature", "Temperature", "smaller: only the nearest count", [0.02, 1.0], 0.1);
const RATE: Knob<f64> = Knob::number("rate", "Peak rate", "of Adam, which falls along a cosine", [1e-4, 1e-1], 2e-3);

/// Accuracy of five nearest neighbours on the ten digits from half of the labels, and from five a digit.
const FINE: Number = Number::new("fine", "%");
const FEW: Number = Number::new("few", "%");
/// The same on the two super-labels.
const COARSE: Number = Number::new("coarse", "%");
/// A linear head on the ten digits, by the lab's 100 steps of descent from the class means: no more than a rough fit.
const PROBE: Number = Number::new("probe", "%");
/// How well the digits of one super-label lie apart, and along how many directions it spreads.
const SILHOUETTE: Number = Number::new("silhouette", "");
const RANK: Number = Number::new("rank", "");
/// Fine accuracy while it learns, and against k.
const LEARNED: Curve = Curve::new("learned", "%");
const BY_K: Curve = Curve::new("by k", "%");

fn arms(_: &Knobs) -> Vec<Label> {
    vec![
        Label::baseline("A", "cross-entropy"),
        Label::baseline("B", "cosine cross-entropy").dashed(),
        Label::baseline("C", "supervised contrast").dotted(),
        Label::new("D", "NCA, all neighbours").dashed(),
        Label::new("E", "LOOK"),
        Label::baseline("F", "random network").long_dashed(),
        Label::baseline("G", "cross-entropy on ten digits").long_dashed(),
    ]
}

fn figures(results: &Results) -> Vec<Plot> {
    let dots = |id: &str, title: &str, number: Number| {
        Plot::dots(results, id, title, "accuracy", &results.arms, number)
            .meaning("A dot is a seed: another split of the digits, another start.")
            .empty("Dots appear when a seed's arms are trained.")
    };
    let map = |arm: &str, title: &str| {
        Plot::picture(results, arm, format!("map {arm}"), title)
            .meaning("Test digits on the plane in which they spread most, a colour each; the super-labels are two sets of five.")
            .empty("A picture appears when the first seed's arm is trained.")
    };
    vec![
        dots("fine", "Ten digits, from features made for two labels", FINE),
        map("C", "Where supervised contrast puts the digits"),
        map("E", "Where LOOK puts the digits"),
        Plot::curves(results, "learned", "Ten digits while two labels are learned", [axis("update", ""), axis("accuracy", "%")], &results.arms, LEARNED)
            .meaning("Five nearest neighbours on frozen features.")
            .empty("Lines grow while arms train."),
        Plot::curves(results, "k", "How many neighbours", [log_axis("k", ""), axis("accuracy on ten digits", "%")], &results.labels(["E"]), BY_K)
            .meaning("LOOK with more and more neighbours; with all 255 others it is NCA.")
            .empty("A line appears when a seed is done."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("ten digits", FINE),
                ("of 5 labels each", FEW),
                ("linear head, 100 steps", PROBE),
                ("two labels", COARSE),
                ("silhouette within", SILHOUETTE),
                ("directions within", RANK),
            ],
        )
        .meaning(
            "Silhouette: how much nearer a digit is to its own kind than to the next digit of its super-label. Directions: the \
             participation ratio of the covariance within a super-label.",
        ),
    ]
}

fn answer(results: &Results) -> Answer {
    let of = |arm: &str, number: Number| results.sample(arm, number);
    let [ce, cosine, contrast, nca, look] = ["A", "B", "C", "D", "E"].map(|arm| of(arm, FINE));
    let coarse = |arm: &str| of("E", COARSE).minus(&of(arm, COARSE)).with(&look, |apart, _| apart.abs());
    let alike = |name: &str, arm: &str| {
        Judged::most_seeds(
            format!("two labels: difference of LOOK and {name}"),
            &coarse(arm),
            Bound::AtMost(1.0),
            "points",
            [4, 5],
        )
    };
    let words = versus(["LOOK", "cross-entropy"], [&look, &ce], "%", true);
    let probe = versus(["LOOK", "cross-entropy"], [&of("E", PROBE), &of("A", PROBE)], "%", true);
    let others = results.labels(["B", "C", "D", "G", "F"]);
    Answer::new(
        Judged::most_seeds(
            "LOOK above cross-entropy on ten digits",
            &look.minus(&ce),
            Bound::AtLeast(1.5),
            "points",
            [4, 5],
        ),
        words + " of the ten digits told apart by their neighbours, in features made for two labels.",
    )
    .also([
        Judged::most_seeds(
            "LOOK above supervised contrast",
            &look.minus(&contrast),
            Bound::AtLeast(10.0),
            "points",
            [4, 5],
        ),
        Judged::most_seeds(
            "LOOK above cosine cross-entropy",
            &look.minus(&cosine),
            Bound::Above(0.0),
            "points",
            [4, 5],
        ),
        alike("cross-entropy", "A"),
        alike("supervised contrast", "C"),
        Judged::as_good("LOOK below NCA, which looks at all", &nca.minus(&look), 1.0, "points")
            .given(results.knobs.get(&NEIGHBOURS) < run::BATCH - 1, "with all neighbours LOOK is NCA"),
    ])
    .more(if look.is_empty() {
        String::new()
    } else {
        format!("Others reach: {}. By a linear head instead of neighbours {probe}.", in_words(results, &others, FINE))
    })
}
