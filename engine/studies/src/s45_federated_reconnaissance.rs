//! Federated Reconnaissance: Efficient, Distributed, Class-Incremental Learning (Hendryx et al. 2021).

mod gradients;
mod ground;
mod missions;
mod prototypes;
mod run;
#[cfg(test)]
mod tests;

use engine::fewshot::{Embedding, FewshotSpec};
use engine::figure::Role;

use super::plot::{axis, in_words, log_axis};
use super::{Answer, Bound, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Study, versus};

pub(super) const STUDY: Study = Study {
    id: 45,
    slug: "federated-reconnaissance",
    title: "Averages add up, gradients do not",
    paper: "Federated Reconnaissance: Efficient, Distributed, Class-Incremental Learning",
    authors: "Hendryx, KC, Walls, Morrison",
    year: 2021,
    source: "https://arxiv.org/abs/2109.00150",
    themes: &["few-shot", "continual learning", "federated"],
    claim: "Where many clients meet new classes with few labels, an embedding that is trained once and class prototypes that are \
            exchanged and averaged beat continual learning by gradients, cost a sliver of the communication, and do as well as \
            having seen all data.",
    why: "The mean of a class is a sum over its examples: parts of it from several clients and times add up to exactly what \
          all the data would give, and no other class changes it. A gradient step for one client's classes moves weights that \
          all classes share, and the mean of several such steps is a step that nobody took.",
    differs: "Letters of many scripts under random warps instead of Omniglot and mini-ImageNet; the few-shot lab's encoder, of \
              94 thousand parameters and without batch norm, trained by prototypical episodes on 120 classes: \
              #fewshot?embedding=prototypical&base=120&updates=400&seconds=0&rate=0.002&episode_ways=10&episode_shots=5&\
              episode_queries=5&shots=5 is its setting. Ten missions in which each of four clients meets three classes; in \
              about half of these meetings some client knows the class already. Clients send only what they met themselves; the published code sends the \
              server's mean along with it, which is an arm of its own. All learning by gradients begins at the prototypes of the \
              base classes, written as a linear head; the head on all data has 200 updates of Adam. One rate serves all heads, \
              of several tried on another seed: where clients keep exemplars it is nearly the best rate; where they do not, no \
              rate did much more than keep the base classes. Encoders that learn too have a rate of 0.0001.",
    seconds: 65.0,
    knobs: &[&UPDATES, &CLIENTS, &SHOTS, &REVISIT, &ABSENT, &WARP, &EXEMPLARS, &RATE, &ENCODER_RATE],
    protocol: Protocol::Program { arms, run: |context| Box::pin(context.each_seed(run::run)), timed: false },
    figures,
    answer,
    ..Study::BASE
};

const UPDATES: Knob<usize> = Knob::integer("updates", "Encoder updates", "more make better vectors", [20, 2000], 400);
const CLIENTS: Knob<usize> = Knob::integer("clients", "Clients", "each meets three classes per mission", [1, 8], 4);
const SHOTS: Knob<usize> =
    Knob::integer("shots", "Shots", "labelled examples of a class each time it is met", [1, 10], 5);
const REVISIT: Knob<f64> = Knob::number("revisit", "Revisits", "share of meetings with known classes", [0.0, 0.9], 0.5);
const ABSENT: Knob<f64> = Knob::number("absent", "Absence", "chance that a client misses a mission", [0.0, 0.9], 0.0);
const WARP: Knob<f64> = Knob::number("warp", "Warp", "turns, shears and bends the letters", [0.2, 2.0], 1.0);
const EXEMPLARS: Knob<usize> =
    Knob::integer("exemplars", "Exemplars", "per class, for the arm that keeps them", [1, 10], 2);
const RATE: Knob<f64> = Knob::number("rate", "Rate of heads", "of the clients' descent", [1e-3, 100.0], 1.0);
const ENCODER_RATE: Knob<f64> =
    Knob::number("encoder-rate", "Rate of encoders", "where they learn too", [1e-6, 1.0], 1e-4);

/// Accuracy over all classes known after the last mission.
const FINAL: Number = Number::new("final", "%");
/// What all clients have sent.
const BYTES: Number = Number::new("sent", "MB");
/// What a client computes in a mission.
const WORK: Number = Number::new("work", "MFLOP");
/// Largest distance of a merged prototype from the mean of all data, and how many predictions that changed.
const APART: Number = Number::new("apart", "");
const CHANGED: Number = Number::new("changed", "");
/// Accuracy over the classes known after each mission.
const SEEN: Curve = Curve::new("seen", "%");
/// Mean distance of prototypes from the means of all data, after each mission.
const ERROR: Curve = Curve::new("error", "");
/// By how much the published merge ends below increments, against the share of revisits.
const GAP: Curve = Curve::new("gap", "points");

fn arms(_: &Knobs) -> Vec<Label> {
    vec![
        Label::new("A", "merged prototypes"),
        Label::new("B", "published merge").dotted(),
        Label::baseline("C", "averaged networks").dotted(),
        Label::baseline("D", "averaged heads"),
        Label::baseline("E", "averaged heads, exemplars").dashed(),
        Label { role: Role::Theory, ..Label::baseline("F", "prototypes of all data") }.long_dashed(),
        Label { role: Role::Theory, ..Label::baseline("G", "linear head on all data") },
    ]
}

/// The lab's session of these knobs.
fn session(knobs: &Knobs, seed: u64) -> FewshotSpec {
    FewshotSpec {
        embedding: Embedding::Prototypical,
        base: 120,
        updates: knobs.get(&UPDATES),
        seconds: 0.0,
        rate: 2e-3,
        warp: knobs.get(&WARP),
        episode_ways: 10,
        episode_shots: 5,
        episode_queries: 5,
        shots: 5,
        seed,
        ..FewshotSpec::default()
    }
}

fn figures(results: &Results) -> Vec<Plot> {
    let missions = |quantity: &str, unit: &str| [axis("missions", ""), axis(quantity, unit)];
    let along = results.labels(["A", "B", "C", "D", "E", "F"]);
    let merges = results.labels(["A", "B"]);
    let sent = results.labels(["A", "B", "C", "D", "E"]);
    let place = |label: &Label| {
        let point = [BYTES, FINAL].map(|number| results.sample(&label.id, number).mean());
        let points = if point.iter().all(|x| x.is_finite()) { vec![point] } else { vec![] };
        (label.name.clone(), points)
    };
    let prices = sent.iter().map(place);
    vec![
        Plot::curves(results, "seen", "Accuracy as classes arrive", missions("accuracy over all known", "%"), &along, SEEN)
            .meaning(
                "All classes met so far and 20 base classes, on the same test pictures for every arm. More classes are harder to \
                 tell apart; what lies below the prototypes of all data was forgotten or not learned.",
            )
            .empty("Lines appear when a seed's missions are done."),
        Plot::dots(results, "final", "Accuracy after the last mission", "accuracy", &results.arms, FINAL)
            .meaning("One dot per seed.")
            .empty("Dots appear when a seed's missions are done."),
        Plot::groups("price", "What it costs to send", [log_axis("sent by all clients", "MB"), axis("accuracy", "%")], prices)
            .says(in_words(results, &sent, BYTES))
            .meaning("Up and to the left is better. A prototype is 66 numbers; a network is sent whole in every mission.")
            .empty("A point for each arm that sends something."),
        Plot::curves(results, "error", "Distance of the prototypes from the means of all data", missions("distance", ""), &merges, ERROR)
            .meaning(
                "Increments stay on the means. The published merge adds the server's mean to itself whenever a known class is \
                 met again, and leans towards what came first.",
            )
            .empty("Lines appear when a seed's missions are done."),
        Plot::curves(
            results,
            "gap",
            "What the published merge loses",
            [axis("meetings with known classes", "%"), axis("accuracy below increments", "points")],
            &results.labels(["B"]),
            GAP,
        )
        .meaning("After the last mission, a mean over eight draws of the missions. Where no class is met twice, both merges \
                  agree.")
        .empty("A line appears when a seed's missions are done."),
        Plot::table(
            results,
            "All numbers",
            &[("final accuracy", FINAL), ("sent", BYTES), ("work of a client, a mission", WORK)],
        )
        .meaning("Work is counted where a client encodes its pictures, and where it trains a whole network."),
    ]
}

fn answer(results: &Results) -> Answer {
    let [a, c, d, e, central, head] = ["A", "C", "D", "E", "F", "G"].map(|arm| results.sample(arm, FINAL));
    let better = c.with(&d, f64::max);
    let best = better.with(&e, f64::max);
    let gap = |percent: f64| results.sample_at("B", GAP, percent);
    let error = |arm: &str| results.sample(arm, FINAL).with(&results.sample_at(arm, ERROR, 10.0), |_, error| error);
    let sent = results.sample("A", BYTES).over(&results.sample("C", BYTES)).with(&a, |share, _| 100.0 * share);
    let words = versus(["Merging prototypes", "the best of the arms that learn by gradients"], [&a, &best], "%", true);
    // Where clients may miss missions, a seed may have none in which any class is met.
    let met = results.sample("A", BYTES).values().all(|bytes| bytes > 0.0);
    let tested = |judged: Judged| judged.given(met, "in some seed no client met a class");
    let every = |name: &str, sample: &Sample, bound, unit| tested(Judged::every_seed(name, sample, bound, unit));
    let mean = |name: &str, sample: &Sample| tested(Judged::mean(name, sample, Bound::Above(0.0), "points"));
    let (apart, changed) = (results.sample("A", APART), results.sample("A", CHANGED));
    Answer::new(
        every(
            "prototypes above the better of averaged networks and heads by",
            &a.minus(&better),
            Bound::AtLeast(10.0),
            "points",
        ),
        words + ".",
    )
    .also([
        every("prototypes above averaged networks by", &a.minus(&c), Bound::AtLeast(25.0), "points"),
        every("prototypes below heads with exemplars by", &e.minus(&a), Bound::AtMost(2.0), "points"),
        every("distance from the means of all data, largest", &apart, Bound::AtMost(1e-5), ""),
        every("predictions that differ from those by the means of all data", &changed, Bound::AtMost(0.0), ""),
        tested(Judged::as_good("prototypes below a linear head on all data", &head.minus(&a), 2.0, "points")),
        every("bytes sent, relative to averaged networks", &sent, Bound::AtMost(0.5), "%"),
        mean("published merge below increments, 75% revisits", &gap(75.0)),
        mean("that gap above the gap at 25%", &gap(75.0).minus(&gap(25.0))),
    ])
    .more(if a.is_empty() {
        String::new()
    } else {
        format!(
            "Prototypes of all data in one place reach {}%, a linear head on all data {}%, averaged networks {}%, averaged \
             heads {}%, and with exemplars {}%. At the end the published merge's prototypes lie {} from the means of all data.",
            central.mean_in_words(),
            head.mean_in_words(),
            c.mean_in_words(),
            d.mean_in_words(),
            e.mean_in_words(),
            error("B").mean_in_words(),
        )
    })
    .more(results.diverged_in_words("guessing"))
}
