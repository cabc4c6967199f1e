//! Population Based Training of Neural Networks (Jaderberg, Dalibard, Osindero, Czarnecki, Donahue, Razavi et al. 2017).

mod run;
mod toy;

use engine::figure::{Axis, Dash, Mark, Role, Scale};

use super::plot::{axis, curves, in_words, log_axis};
use super::{
    Answer, Bound, Curve, Judged, Knob, Knobs, Label, Number, Outcome, Plot, Protocol, Results, Sample, Study, versus,
};
use toy::{Explore, Way};

pub(super) const STUDY: Study = Study {
    id: 46,
    slug: "pbt",
    title: "Nobody wrote this learning-rate schedule",
    paper: "Population Based Training of Neural Networks",
    authors: "Jaderberg, Dalibard, Osindero, Czarnecki, Donahue, Razavi et al.",
    year: 2017,
    source: "https://arxiv.org/abs/1711.09846",
    themes: &["schedule", "learning rate", "tuning"],
    claim: "Train a population of runs. Now and then replace poor members by clones of good ones, and change the clones' \
            settings a little: the population finds schedules for its settings by itself. This takes no more updates than random \
            search, lifts the whole population, and ends at least as well.",
    why: "Random search keeps what it drew, good or bad, to the end. A clone keeps what a good run has learned and tries other \
          settings from there, so a setting is judged by what it does now, not by what it would do from the start. The settings \
          along the winner's ancestors are a schedule: high rates while they help, lower ones once only noise is left.",
    differs: "3,000 MNIST images pooled to 14×14 and an MLP 196-64-10 with SGD, instead of games, translation and GANs. \
              All members exchange at the same updates, every 30, on one machine, instead of whenever each is ready. \
              Dropout is applied to the hidden units. One worker of the toy begins a little lower, as two that tie never \
              exchange. Members are compared on 500 held-out images, and the winner is judged on 1,000 others. A loss \
              above that of guessing, or one that is not a number, counts as that of guessing.",
    seeds: 4,
    seconds: 50.0,
    knobs: &[&SIZE, &READY, &EXPLOIT, &CUT, &EXPLORE, &SPREAD],
    protocol: Protocol::Program { arms, run: |context| Box::pin(context.each_seed(run::run)), timed: false },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Exploit {
        Truncation = "truncation", "the worst by the best";
        Tournament = "tournament", "whoever meets a better one";
        Test = "test", "whoever is worse by a t-test";
        None = "none", "nobody";
    }
}

const SIZE: Knob<usize> = Knob::integer("size", "Population", "members", [2, 32], 8);
const READY: Knob<usize> = Knob::integer(
    "ready",
    "Exchange every",
    "updates; frequent exchanges favour low rates, which pay off at once",
    [5, 600],
    30,
);
const EXPLOIT: Knob<Exploit> = Knob::choice("exploit", "Who is replaced", "at an exchange", Exploit::Truncation);
const CUT: Knob<f64> = Knob::number("cut", "Worst", "share of members that the best replace", [0.0, 0.5], 0.25);
const EXPLORE: Knob<bool> = Knob::flag("explore", "Explore", "whether the settings of clones change", true);
const SPREAD: Knob<f64> =
    Knob::number("spread", "Change", "by this share a clone's settings go up or down", [0.0, 0.9], 0.2);

/// Updates of a run.
const STEPS: u64 = 1200;
/// Times that each way climbs the toy with a seed.
const REPEATS: usize = 20;

/// Loss on held-out images: the median over the members, and the best.
const MEDIAN: Curve = Curve::new("median held-out loss", "nats");
const BEST: Curve = Curve::new("best held-out loss", "nats");
/// Test images that the chosen member classifies wrongly.
const ERROR: Number = Number::new("test error", "%");
/// Rates that each member was trained with, up to each exchange, and whose clone it then became.
const RATE: Curve = Curve::new("rate", "");
const CLONED: Curve = Curve::new("cloned", "");
/// The winner's ancestors: their place in each round, and their settings.
const LINE: Curve = Curve::new("line", "");
const SCHEDULE: Curve = Curve::new("schedule", "");
const MOMENTUM: Curve = Curve::new("momentum", "");
const DROPOUT: Curve = Curve::new("dropout", "");
/// The highest rate of these over the last.
const FALL: Number = Number::new("fall of the rate", "×");
/// How often the line went on as a clone in another place.
const MOVES: Number = Number::new("moves of the line", "");
/// Parameters that differ when the winner's line is trained once more by itself.
const DIFFERING: Number = Number::new("differing parameters", "");
/// The better worker's height in the toy, where both were (x, y), and the lowest and highest end of all repeats.
const HEIGHT: Curve = Curve::new("height", "");
const PATH: Curve = Curve::new("path", "");
const LOWEST: Number = Number::new("lowest end", "");
/// Share of climbs that end at [`REACHED`] or higher.
const CLIMBS: Number = Number::new("climbs to the top", "%");
const HIGHEST: Number = Number::new("highest end", "");
/// Under this name the link of the winner's line is kept.
const LINK: &str = "link";

/// Ways through the toy.
const TOYS: [(&str, &str, Way); 5] = {
    let pbt = Way { copies: true, settings: false, explore: Explore::Times(0.2) };
    [
        ("toy", "toy: population", pbt),
        ("toy/copied", "toy: settings cloned", Way { settings: true, ..pbt }),
        ("toy/added", "toy: settings cloned, noise added", Way { settings: true, explore: Explore::Plus(0.1), ..pbt }),
        ("toy/explore", "toy: no exchange", Way { copies: false, ..pbt }),
        ("toy/none", "toy: two workers alone", Way { copies: false, settings: false, explore: Explore::Not }),
    ]
};
/// Where a worker of the toy ends that moves along one axis alone, and what counts as the top.
const STALLED: f64 = 0.39;
const REACHED: f64 = 1.15;

fn arms(_: &Knobs) -> Vec<Label> {
    let toys = TOYS.map(|(id, name, way)| match (way.copies, way.settings) {
        (true, false) => Label::new(id, name),
        (true, true) if way.explore == Explore::Plus(0.1) => Label::new(id, name).dotted(),
        (true, true) => Label::new(id, name).dashed(),
        (false, _) if way.explore == Explore::Not => Label::baseline(id, name),
        (false, _) => Label::baseline(id, name).dashed(),
    });
    let nets = [
        Label::new("pbt", "population"),
        Label::baseline("random", "random search"),
        Label::new("link", "its schedule, run again").dotted(),
        Label::baseline("cosine", "cosine set by hand").dotted(),
    ];
    nets.into_iter().chain(toys).collect()
}

/// A line for each seed of an arm that has the curve.
fn each_seed(results: &Results, arm: &str, curve: Curve, role: Role) -> Vec<Mark> {
    let dashes = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::Long];
    let line = |(place, (seed, outcome)): (usize, (u64, &Outcome))| {
        let points = outcome.curve(curve).to_vec();
        let dash = dashes[place % dashes.len()];
        (!points.is_empty()).then(|| Mark::Line {
            name: format!("winner of seed {seed}"),
            role,
            dash,
            points,
            band: vec![],
        })
    };
    results.outcomes(arm).enumerate().filter_map(line).collect()
}

/// Every member's rate from exchange to exchange, its clones, and the winner's line, of the first seed.
fn ancestry(results: &Results) -> Plot {
    let nothing = Outcome::default();
    let outcome = results.outcomes("pbt").next().map_or(&nothing, |(_, outcome)| outcome);
    let members = results.knobs.get(&SIZE);
    let ends: Vec<f64> = outcome.curve(RATE.of(0)).iter().map(|point| point[0]).collect();
    let names = [
        (1..=members).map(|member| member.to_string()).collect(),
        ends.iter().map(|end| format!("{end:.0}")).collect(),
    ];
    let rate = |member: usize, round: usize| outcome.at(RATE.of(member as u64), ends[round]);
    let axes = [axis("up to update", ""), axis("member", "")];
    let mut plot = Plot::heat("ancestry", "Who descends from whom", axes, "", names, rate).changed(|mark| {
        if let Mark::HeatMap { scale, .. } = mark {
            *scale = Scale::Log;
        }
    });
    let mut clones = Vec::new();
    for member in 0..members {
        for &[end, source] in outcome.curve(CLONED.of(member as u64)) {
            let round = ends.iter().position(|known| *known == end).unwrap_or_default() as f64;
            clones.extend([[round, source], [round + 1.0, member as f64], [f64::NAN; 2]]);
        }
    }
    let line: Vec<[f64; 2]> = outcome.curve(LINE).to_vec();
    let drawn =
        [("clones", Role::Other, Dash::Dotted, clones), ("the winner's ancestors", Role::Train, Dash::Solid, line)];
    for (name, role, dash, points) in drawn {
        if !points.is_empty() {
            plot = plot.with([Mark::Line { name: name.into(), role, dash, points, band: vec![] }]);
        }
    }
    let moves = results.sample("pbt", MOVES);
    let words = match moves.values().next() {
        Some(moves) => format!(" The winner's line moved to another place {moves} times."),
        None => String::new(),
    };
    plot.meaning(format!("Colour is the learning rate, time runs to the right, a dotted line is a clone.{words}"))
        .says(in_words(results, &results.labels(["pbt"]), MOVES))
        .empty("Columns appear as the population trains.")
}

/// Where the workers of the toy went: of the population, and alone.
fn plane(results: &Results) -> Plot {
    let worker = |id: &str, name: &str, role, worker: u64, dash| {
        let points: Vec<[f64; 2]> =
            results.outcomes(id).next().map_or(vec![], |(_, found)| found.curve(PATH.of(worker)).to_vec());
        (!points.is_empty()).then(|| Mark::Line { name: name.to_owned(), role, dash, points, band: vec![] })
    };
    let marks = [
        worker("toy/none", "one worker alone", Role::Other, 0, Dash::Solid),
        worker("toy/none", "the other alone", Role::Other, 1, Dash::Dashed),
        worker("toy", "one of the population", Role::Train, 0, Dash::Solid),
        worker("toy", "the other", Role::Train, 1, Dash::Dashed),
    ];
    let square = |label: &str| Axis { range: Some([0.0, 1.0]), ..axis(label, "") };
    Plot::of(
        "plane",
        "The toy: two workers, each blind to one axis",
        [square("θ₀"), square("θ₁")],
        marks.into_iter().flatten().collect(),
    )
    .says(in_words(results, &results.labels(["toy", "toy/none"]), LOWEST))
    .meaning(
        "The top of the hill is at (0, 0). Alone, each worker reaches an axis and stays; where the worse worker takes over the \
         better one's position, both can climb on.",
    )
    .empty("Paths appear at once.")
}

fn figures(results: &Results) -> Vec<Plot> {
    let both = results.labels(["pbt", "random"]);
    let best = |label: &Label| Label { name: format!("{}, best", label.name), ..label.clone().dashed() };
    let bests: Vec<Label> = both.iter().map(best).collect();
    let median = |label: &Label| Label { name: format!("{}, median", label.name), ..label.clone() };
    let medians: Vec<Label> = both.iter().map(median).collect();
    let loss = [axis("update", ""), log_axis("held-out loss", "nats")];
    let by_hand = curves(results, &results.labels(["cosine"]), SCHEDULE);
    let winners = each_seed(results, "pbt", SCHEDULE, Role::Lr);
    let nets = results.labels(["pbt", "random", "link", "cosine"]);
    let toys = results.labels(TOYS.map(|(id, ..)| id));
    let settings = each_seed(results, "pbt", MOMENTUM, Role::Train);
    let dropout = each_seed(results, "pbt", DROPOUT, Role::Test);
    vec![
        Plot::of("loss", "The population and random search", loss, [curves(results, &medians, MEDIAN), curves(results, &bests, BEST)].concat())
            .says(in_words(results, &medians, MEDIAN))
            .meaning("Both start from the same draws. In the population clones of better members take the place of poor ones, which \
                      the median shows.")
            .empty("Lines grow while the members train."),
        ancestry(results),
        Plot::of("schedule", "The winner's learning rate", [axis("update", ""), log_axis("learning rate", "")], [by_hand, winners].concat())
            .says(in_words(results, &results.labels(["pbt"]), FALL))
            .meaning("Along the winner's ancestors, beside a cosine set by hand. Nobody wrote it.")
            .empty("A line for each seed when its population has trained."),
        Plot::dots(results, "error", "Test error of the chosen member", "test error", &nets, ERROR)
            .meaning("Chosen by held-out loss. The third arm trains the winner's schedule from the start, with another seed.")
            .empty("Dots appear when an arm has trained."),
        plane(results),
        Plot::curves(results, "height", "The toy: height of the better worker", [axis("update", ""), axis("height", "")], &toys, HEIGHT)
            .meaning("The top is 1.2 high; a worker that moves along one axis alone stops at 0.39.")
            .empty("Lines appear at once."),
        Plot::of("settings", "The winner's momentum", [axis("update", ""), axis("momentum", "")], settings)
            .says(in_words(results, &results.labels(["pbt"]), MOMENTUM))
            .meaning("Along the winner's ancestors.")
            .empty("A line for each seed when its population has trained."),
        Plot::of("dropout", "The winner's dropout", [axis("update", ""), axis("dropout", "")], dropout)
            .says(in_words(results, &results.labels(["pbt"]), DROPOUT))
            .meaning("Along the winner's ancestors.")
            .empty("A line for each seed when its population has trained."),
        Plot::picture(results, LINK, "link", "The winner's line as a run of the lab")
            .meaning("Its start, its settings and all their changes, for the first seed. A clone has its own batches and random \
                      draws, which a link cannot hold: it repeats the line exactly up to the first clone, and then with other \
                      batches.")
            .empty("A link when the population has trained."),
        Plot::table(results, "All numbers", &[("test error", ERROR), ("held-out loss", BEST.last()), ("median", MEDIAN.last()), ("fall of the rate", FALL), ("moves", MOVES)])
            .meaning("At the end of a run: test error of the chosen member, held-out loss of the best member and of the median \
                      one."),
    ]
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number: Number| results.sample(arm, number);
    let [median, random] = ["pbt", "random"].map(|arm| sample(arm, MEDIAN.last()));
    let lower = random.minus(&median);
    let error = |arm: &str| sample(arm, ERROR);
    let worse = error("pbt").minus(&error("random"));
    let fall = sample("pbt", FALL);
    let exchanged = exchanged(results);
    let explored = exchanged && results.knobs.get(&EXPLORE) && results.knobs.get(&SPREAD) > 0.0;
    let stalled = |arm: &str, name: &str| {
        let apart = Sample(
            sample(arm, HIGHEST).0.into_iter().map(|(seed, end)| (seed, rounded((end - STALLED).abs()))).collect(),
        );
        Judged::every_seed(
            format!("toy, {name}: largest height, distance from {STALLED}"),
            &apart,
            Bound::AtMost(0.01),
            "",
        )
    };
    let words = format!(
        "{} in the median of its members.",
        versus(["The population", "random search"], [&median, &random], "nats", false)
    );
    Answer::new(
        Judged::every_seed(
            "held-out loss, median of the members: random search above the population",
            &lower,
            Bound::Above(0.0),
            "nats",
        )
        .given(exchanged, NOBODY),
        words,
    )
    .also([
        Judged::most_seeds(
            "test error of the chosen member: population above random search",
            &worse,
            Bound::AtMost(0.5),
            "points",
            [3, 4],
        )
        .given(exchanged, NOBODY),
        Judged::most_seeds(
            "highest rate of the winner's line, relative to its last",
            &fall,
            Bound::AtLeast(2.0),
            "×",
            [3, 4],
        )
        .given(explored, "settings do not change"),
        Judged::every_seed(
            format!("toy: climbs of the population that end at {REACHED} or higher"),
            &sample("toy", CLIMBS),
            Bound::AtLeast(100.0),
            "%",
        ),
        stalled("toy/none", "two workers alone"),
        stalled("toy/explore", "no exchange"),
        stalled("toy/copied", "settings cloned"),
        Judged::every_seed(
            "parameters that differ when the winner's line is trained by itself",
            &sample("pbt", DIFFERING),
            Bound::AtMost(0.0),
            "",
        ),
    ])
    .more(if median.is_empty() { String::new() } else { told(results) })
}

const NOBODY: &str = "nobody was replaced";

/// Whether any member of the population was replaced.
fn exchanged(results: &Results) -> bool {
    let members = 0..results.knobs.get(&SIZE) as u64;
    results
        .outcomes("pbt")
        .any(|(_, outcome)| members.clone().any(|member| !outcome.curve(CLONED.of(member)).is_empty()))
}

/// To millionths: what is less is rounding.
fn rounded(distance: f64) -> f64 {
    (1e6 * distance).round() / 1e6
}

/// What else there is to say.
fn told(results: &Results) -> String {
    let words = |arm: &str, number: Number| results.sample(arm, number).mean_in_words();
    format!(
        "The best member ends at a held-out loss of {} against {} for random search, with a test error of {}% against {}%. The \
         winner's schedule run again with another seed: {}%; a cosine set by hand: {}%. Along the winner's ancestors, over {} \
         moves, the highest rate is {}× the last. In the toy {}% of the climbs end at {REACHED} or higher.",
        words("pbt", BEST.last()),
        words("random", BEST.last()),
        words("pbt", ERROR),
        words("random", ERROR),
        words("link", ERROR),
        words("cosine", ERROR),
        words("pbt", MOVES),
        words("pbt", FALL),
        words("toy", CLIMBS),
    )
}

#[cfg(test)]
mod tests;
