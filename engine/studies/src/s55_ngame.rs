//! NGAME: Negative Mining-aware Mini-batching for Extreme Classification (Dahiya, Gupta, Saini, Soni, Wang, Dave et al. 2023).

mod net;
mod order;
mod packages;
mod run;

use engine::figure::{Direction, Mark, Role, brief};

use super::plot::{axis, in_words};
use super::{
    Answer, Bound, Curve, Judged, Knob, Knobs, Label, Number, Outcome, Plot, Protocol, Results, Sample, Study, versus,
};

pub(super) const STUDY: Study = Study {
    id: 55,
    slug: "ngame",
    title: "Neighbours make better opponents",
    paper: "NGAME: Negative Mining-aware Mini-batching for Extreme Classification",
    authors: "Dahiya, Gupta, Saini, Soni, Wang, Dave et al.",
    year: 2023,
    source: "https://arxiv.org/abs/2207.04452",
    themes: &["contrastive learning", "batch", "sampling"],
    claim: "In a batch, the labels of the other items serve as negatives. If batches are made of similar items, these negatives \
            are hard at almost no cost: an encoder trained this way is more accurate than one trained on random batches, and \
            about as good as one that searches all labels for the hardest.",
    why: "A triplet is an item, a label that it has, and one that it has not: the negative. It teaches something only until the \
          label is nearer than the negative by a margin. In a random batch the negatives are soon far away, and most triplets \
          are idle. Similar items have similar labels, so among neighbours the negatives stay close. Finding neighbours takes \
          one pass over the items now and then; a search compares every item with every label.",
    differs: "The items are 6,000 Debian packages, a name and a line of description each, and the labels 1,266 \
              packages that they depend on, which have texts of the same kind (by the maintainers of Debian 12, each \
              under its package's licence). The encoder is a bag of hashed words and pairs of words, one residual \
              layer and 48 outputs instead of a transformer, and each label learns an offset besides. 20 epochs \
              instead of 300, in which clusters double from 1 to 32 and are found anew in every epoch, and batches of \
              32 instead of 1,600: 2.5% of the labels, where the paper's batches have about 1% of its smaller sets. \
              AdamW's rate, one for all arms and not tuned, falls as a cosine. The paper's second stage, a classifier \
              for each label, is left out.",
    seeds: 3,
    seconds: 285.0,
    knobs: &[&BATCH, &CLUSTER, &REFRESH, &MARGIN, &HARDEST, &WEIGHED, &RATE, &EPOCHS],
    protocol: Protocol::Program { arms, run: |context| Box::pin(context.each_seed(run::run)), timed: false },
    figures,
    answer,
    ..Study::BASE
};

const BATCH: Knob<usize> = Knob::integer(
    "batch",
    "Batch size",
    "packages; the more there are, the harder a random batch's hardest negatives",
    [8, 512],
    32,
);
const CLUSTER: Knob<usize> = Knob::integer("cluster", "Largest clusters", "packages in each at the end", [1, 64], 32);
const REFRESH: Knob<usize> = Knob::integer("refresh", "Cluster every", "epochs", [1, 20], 1);
const MARGIN: Knob<f64> =
    Knob::number("margin", "Margin", "by which a needed label should be nearer than a negative", [0.05, 1.0], 0.3);
const HARDEST: Knob<usize> =
    Knob::integer("hardest", "Hardest", "how many negatives of each package count", [1, 10], 5);
const WEIGHED: Knob<bool> = Knob::flag("weighed", "Weighed", "whether harder negatives count more", true);
const RATE: Knob<f64> =
    Knob::number("rate", "Learning rate", "at the start; that of embeddings is five times as high", [2e-4, 2e-2], 2e-3);
const EPOCHS: Knob<usize> = Knob::integer("epochs", "Epochs", "of all arms", [4, 80], 20);

/// Shares of an epoch's used negatives that are within the margin, and how similar they are.
const ACTIVE: Curve = Curve::new("active triplets", "%");
const SIMILARITY: Curve = Curve::new("similarity of negatives", "");
/// Test packages whose first answer is right, by epochs, and by work.
const FIRST: Curve = Curve::new("P@1", "%");
const BY_WORK: Curve = Curve::new("P@1 by work", "%");
const PRECISION: Number = Number::new("P@5", "%");
const RECALL: Number = Number::new("recall@10", "%");
/// Operations of a run, and those of what its batches are prepared by, of those of its updates.
const WORK: Number = Number::new("work", "GFLOP");
const MINING: Number = Number::new("mining", "%");
/// How far below their positives used negatives lie at the end.
const GAPS: Curve = Curve::new("gaps", "%");

/// How batches are composed and negatives found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By chance; negatives are the other packages' labels.
    Random,
    /// Of ever larger clusters.
    Neighbours,
    /// By chance, with the hardest of all labels for each package.
    Global,
    /// Of the largest clusters from the start.
    Abrupt,
}

const ARMS: [(&str, &str, Way); 4] = [
    ("R", "random batches", Way::Random),
    ("N", "neighbours", Way::Neighbours),
    ("G", "hardest of all", Way::Global),
    ("W", "neighbours from the start", Way::Abrupt),
];

/// Share of a run after which triplets are counted, and its early part.
const LATE: f64 = 0.3;
const EARLY: f64 = 0.2;
/// Epochs between two tests.
const EVERY: usize = 2;
/// Largest share of the labels in a batch at which neighbours are expected to pay.
const POOL: f64 = 0.1;

/// Labels in all.
const LABELS: f64 = 1266.0;

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |&(id, name, way): &(&str, &'static str, Way)| match way {
        Way::Random => Label::baseline(id, name),
        Way::Global => Label::baseline(id, name).dotted(),
        Way::Neighbours => Label::new(id, name),
        Way::Abrupt => Label::new(id, name).dashed(),
    };
    ARMS.iter().map(label).collect()
}

/// A curve's mean over the epochs of a part of the run, given by its ends as shares.
fn during(results: &Results, arm: &str, curve: Curve, [from, to]: [f64; 2]) -> Sample {
    let epochs = results.knobs.get(&EPOCHS) as f64;
    let mean = |(seed, outcome): (u64, &Outcome)| {
        let within = |[x, _]: &&[f64; 2]| (from * epochs..=to * epochs).contains(x);
        let part: Vec<f64> = outcome.curve(curve).iter().filter(within).map(|[_, y]| *y).collect();
        (seed, part.iter().sum::<f64>() / part.len() as f64)
    };
    Sample(results.outcomes(arm).map(mean).filter(|(_, mean)| mean.is_finite()).collect())
}

fn active(results: &Results, arm: &str) -> Sample {
    during(results, arm, ACTIVE, [LATE, 1.0])
}

fn early(results: &Results, arm: &str) -> Sample {
    during(results, arm, FIRST, [0.0, EARLY])
}

fn figures(results: &Results) -> Vec<Plot> {
    let all = &results.arms;
    let curve = |id: &str, title: &str, x: [&str; 2], y: [&str; 2], curve: Curve| {
        Plot::curves(results, id, title, [axis(x[0], x[1]), axis(y[0], y[1])], all, curve)
            .empty("Lines grow while the arms train.")
    };
    let margin = Mark::Rule {
        label: "margin".into(),
        role: Role::Limit,
        along: Direction::Vertical,
        at: -results.knobs.get(&MARGIN),
    };
    let batch = |id: &str, title: &str, meaning: &str| {
        Plot::picture(results, id, format!("batch/{id}"), title)
            .meaning(meaning)
            .empty("Points when the arm has trained.")
    };
    let apart = results.sample("N", FIRST).minus(&results.sample("R", FIRST));
    let words = match apart.mean() {
        gain if gain.is_finite() => format!(
            "Batches of neighbours end {} points {} random ones. P@1 is the share of test packages whose nearest label is one that \
             they need.",
            brief(gain.abs()),
            if gain < 0.0 { "below" } else { "above" }
        ),
        _ => "The share of test packages whose nearest label is one that they need.".to_owned(),
    };
    vec![
        curve("first", "Correct first answers", ["epoch", ""], ["P@1", "%"], FIRST).meaning(words),
        curve("active", "Triplets that teach", ["epoch", ""], ["active triplets", "%"], ACTIVE)
            .meaning("Share of the used negatives that lie within the margin. Where all lie outside, a batch teaches nothing."),
        batch(
            "R",
            "A random batch",
            "Packages where the encoder puts them, on the plane in which they spread most. The batch is scattered all over it.",
        ),
        batch("N", "A batch of neighbours", "The batch is made of clusters, whose packages lie close together."),
        curve(
            "gaps",
            "How much nearer the needed label is than the negatives",
            ["similarity minus that of the needed label", ""],
            ["used negatives", "%"],
            GAPS,
        )
        .with([margin])
        .meaning("In the last epoch. Right of the margin a triplet teaches; right of 0 the negative is even nearer than the needed label."),
        curve("work", "Correct first answers by work", ["work", "GFLOP"], ["P@1", "%"], BY_WORK)
            .meaning("Work counts all operations, including those that compose batches or search for negatives."),
        curve("similarity", "Similarity of used negatives", ["epoch", ""], ["cosine", ""], SIMILARITY)
            .meaning("Similarity to the package of the hardest few labels in its batch."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("P@1", FIRST.last()),
                ("P@5", PRECISION),
                ("recall@10", RECALL),
                ("work", WORK),
                ("mining, relative to the updates", MINING),
            ],
        )
        .says(in_words(results, all, FIRST))
        .meaning("On 1,000 test packages, after the last epoch. P@5 is the share of the five nearest labels that are needed: 20% \
                  at most where a package needs only one. Recall is the share of the needed labels among the ten nearest."),
    ]
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number: Number| results.sample(arm, number);
    let first = |arm: &str| sample(arm, FIRST.last());
    let gain = first("N").minus(&first("R"));
    let batch = results.knobs.get(&BATCH) as f64;
    let clustered =
        |judged: Judged| judged.given(results.knobs.get(&CLUSTER) > 1, "no cluster has more than one package");
    let sparse = |judged: Judged| {
        clustered(judged).given(batch <= POOL * LABELS, "a random batch has more than a tenth of the labels")
    };
    let versus =
        versus(["Training on neighbours", "training on random batches"], [&first("N"), &first("R")], "%", true);
    let words = if gain.is_empty() { versus + "." } else { versus + " correct first answers." };
    let early = Judged::every_seed(
        "P@1 in the first fifth of the run: growing clusters above full-size ones from the start",
        &early(results, "N").minus(&early(results, "W")),
        Bound::Above(0.0),
        "points",
    );
    let long = results.knobs.get(&EPOCHS) as f64 * EARLY >= EVERY as f64;
    Answer::new(
        sparse(Judged::most_seeds(
            "P@1: neighbours above random batches",
            &gain,
            Bound::AtLeast(1.0),
            "points",
            [2, 3],
        )),
        words,
    )
    .also([
        sparse(Judged::every_seed(
            "active triplets after 30% of the run, neighbours relative to random batches",
            &active(results, "N").over(&active(results, "R")),
            Bound::AtLeast(1.5),
            "×",
        )),
        clustered(Judged::as_good(
            "P@1: neighbours below the hardest of all",
            &first("G").minus(&first("N")),
            1.5,
            "points",
        )),
        clustered(Judged::every_seed(
            "work of finding neighbours, relative to the updates",
            &sample("N", MINING),
            Bound::AtMost(10.0),
            "%",
        )),
        Judged::every_seed(
            "work of searching all labels, relative to the updates",
            &sample("G", MINING),
            Bound::AtLeast(50.0),
            "%",
        ),
        clustered(early).given(long, "no test falls into the first fifth of so short a run"),
    ])
    .more(if gain.is_empty() { String::new() } else { numbers(results) })
}

fn numbers(results: &Results) -> String {
    let words = |arm: &str, number: Number| results.sample(arm, number).mean_in_words();
    format!(
        "After 30% of the run, {}% of the triplets are active with neighbours, {}% with random batches and {}% with the hardest \
         of all. Where clusters have their full size from the start, {}% of first answers are right, with the hardest of all \
         {}%. Composing batches of neighbours takes {}% of the work of the updates, searching all labels {}%; with what was \
         found in each batch, a run against the hardest of all takes {} times the work of one on random batches. The ten nearest \
         labels include {}% of the needed ones with neighbours and {}% with random batches. A batch has at most {}% of the \
         labels.{}",
        active(results, "N").mean_in_words(),
        active(results, "R").mean_in_words(),
        active(results, "G").mean_in_words(),
        words("W", FIRST.last()),
        words("G", FIRST.last()),
        words("N", MINING),
        words("G", MINING),
        results.sample("G", WORK).over(&results.sample("R", WORK)).mean_in_words(),
        words("N", RECALL),
        words("R", RECALL),
        brief(100.0 * (results.knobs.get(&BATCH) as f64 / LABELS).min(1.0)),
        at_once(results),
    )
}

/// Why clusters of full size may pay from the start, where they do.
fn at_once(results: &Results) -> String {
    let [grown, full] = ["N", "W"].map(|arm| (early(results, arm), during(results, arm, ACTIVE, [0.0, EARLY])));
    let ahead = full.0.mean() > grown.0.mean() && full.1.mean() > grown.1.mean();
    if !ahead {
        return String::new();
    }
    format!(
        " In the first fifth of the run full clusters are ahead of growing ones: {}% of their triplets are active against {}%. \
         Texts that share words lie near each other before any training, so that clusters of them may be meaningful at once.",
        full.1.mean_in_words(),
        grown.1.mean_in_words(),
    )
}

#[cfg(test)]
mod tests;
