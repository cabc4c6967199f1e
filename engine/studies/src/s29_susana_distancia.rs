//! SuSana Distancia is all you need: class separability in metric learning via two distance-based losses for few-shot image
//! classification (Mendez-Ruiz et al. 2023).

mod losses;
mod run;
#[cfg(test)]
mod tests;

use engine::fewshot::{Embedding, FewshotSpec};
use losses::{Settings, Terms};

use super::plot::axis;
use super::{Answer, Bound, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Study, versus};

pub(super) const STUDY: Study = Study {
    id: 29,
    slug: "susana-distancia",
    title: "What does a margin add once the answer is right?",
    paper: "SuSana Distancia is all you need: class separability in metric learning via two distance-based losses for \
            few-shot image classification",
    authors: "Mendez-Ruiz, Gonzalez-Zapata, Reyes-Amezcua, Flores-Araiza, Lopez-Tiro, Mendez-Vazquez, Ochoa-Ruiz",
    year: 2023,
    source: "https://arxiv.org/abs/2305.09062",
    themes: &["few-shot", "metric learning"],
    claim: "A hinge between a query's own and its nearest wrong prototype (Proto-Triplet), and a score of how well nearest \
            neighbours keep classes apart (ICNN), added to the cross-entropy of a prototypical network, separate classes \
            better and raise few-shot accuracy by about two points.",
    why: "Cross-entropy cares little for a query that is already on the right side. The hinge pushes until a margin is kept, \
          and the score goes on pulling a class's points together and others away from them, in distances relative to the \
          nearest other class.",
    differs: "Letters of many scripts under random warps instead of mini-ImageNet, and the few-shot lab's encoder of \
              94 thousand parameters, without norms, instead of a pre-trained residual network: three passes of plain \
              classification over 120 base classes are the warm start \
              (#fewshot?embedding=linear&base=120&updates=75&seconds=0&rate=0.001 is its setting), then every arm sees \
              the same 300 episodes of 5 classes with one labelled picture and 8 queries each. The score is that of \
              the published code, of labelled pictures and queries together, with its 4 neighbours and the margin of \
              0.5; losses are averaged, without weights.",
    seeds: 5,
    seconds: 130.0,
    knobs: &[&EPISODES, &TASKS, &WAYS, &QUERIES, &MARGIN, &NEIGHBOURS, &VARIANCE, &PURITY, &TEMPERATURE, &WARP],
    protocol: Protocol::Program { arms, run: |context| Box::pin(context.each_seed(run::run)), timed: false },
    figures,
    answer,
    ..Study::BASE
};

const EPISODES: Knob<usize> = Knob::integer("episodes", "Episodes", "that every arm learns from", [10, 3000], 300);
const TASKS: Knob<usize> =
    Knob::integer("tasks", "Tasks", "on novel classes; more give a surer result", [10, 1000], 300);
const WAYS: Knob<usize> = Knob::integer("ways", "Ways", "classes per episode", [2, 20], 5);
const QUERIES: Knob<usize> = Knob::integer("queries", "Queries", "per class in an episode", [1, 15], 8);
const MARGIN: Knob<f64> =
    Knob::number("margin", "Margin", "by how much a query's own prototype should be nearer", [0.0, 5.0], 0.5);
const NEIGHBOURS: Knob<usize> = Knob::integer("neighbours", "Neighbours", "that the score looks at", [1, 20], 4);
const VARIANCE: Knob<bool> = Knob::flag("variance", "Variance counts", "the score's term ω", true);
const PURITY: Knob<bool> = Knob::flag("purity", "Purity counts", "the score's term γ, which has no gradient", true);
const TEMPERATURE: Knob<f64> =
    Knob::number("temperature", "Temperature", "divides the cross-entropy's logits", [0.1, 100.0], 1.0);
const WARP: Knob<f64> = Knob::number("warp", "Warp", "turns, shears and bends the letters", [0.2, 2.0], 1.0);

/// Accuracy, its interval's half, and the paired gain over cross-entropy alone with its lower end; of so many shots.
const ACCURACY: Number = Number::new("accuracy", "%");
const HALF: Number = Number::new("half", "%");
const GAIN: Number = Number::new("gain", "points");
const LEAST: Number = Number::new("gain at least", "points");
/// Score of novel tasks and its parts.
const PARTS: [Number; 4] =
    [Number::new("score", ""), Number::new("lambda", ""), Number::new("omega", ""), Number::new("gamma", "")];
/// Width of a class, of the distance to the nearest other one.
const RATIO: Number = Number::new("ratio", "");
/// Mean of `d(own) - d(nearest wrong)` over the queries of novel tasks.
const SEPARATION: Number = Number::new("separation", "");
/// Score of the episodes.
const SCORE: Curve = Curve::new("episode score", "");
/// Density of `d(own) - d(nearest wrong)`.
const SLACK: Curve = Curve::new("slack", "");

/// Id, name and what is added to the cross-entropy. The first is the baseline.
const ARMS: [(&str, &str, Terms); 4] = [
    ("A", "cross-entropy", Terms { triplet: false, icnn: false }),
    ("B", "with Proto-Triplet", Terms { triplet: true, icnn: false }),
    ("C", "with ICNN", Terms { triplet: false, icnn: true }),
    ("D", "with both", Terms { triplet: true, icnn: true }),
];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |(place, (id, name, _)): (usize, &(&str, &str, Terms))| match place {
        0 => Label::baseline(id, *name),
        1 => Label::new(id, *name).dotted(),
        2 => Label::new(id, *name).dashed(),
        _ => Label::new(id, *name),
    };
    ARMS.iter().enumerate().map(label).collect()
}

/// By how much the score on novel classes should rise, and classes should be narrower for their distance, in percent.
const RISE: f64 = 0.02;
const NARROWER: f64 = 5.0;

/// The lab's session of the warm start.
fn session(knobs: &Knobs, seed: u64) -> FewshotSpec {
    FewshotSpec {
        embedding: Embedding::Linear,
        base: 120,
        // Three passes over 20 pictures of each class.
        updates: 75,
        seconds: 0.0,
        rate: 1e-3,
        warp: knobs.get(&WARP),
        seed,
        ..FewshotSpec::default()
    }
}

fn settings(knobs: &Knobs) -> Settings {
    Settings {
        margin: knobs.get(&MARGIN),
        neighbours: knobs.get(&NEIGHBOURS),
        variance: knobs.get(&VARIANCE),
        purity: knobs.get(&PURITY),
        temperature: knobs.get(&TEMPERATURE),
    }
}

fn figures(results: &Results) -> Vec<Plot> {
    let task = |arm: &str, title: &str| {
        Plot::picture(results, arm, format!("task {arm}"), title)
            .meaning(
                "One novel task on the plane in which it spreads most: stars are prototypes, and a line leads from each query \
                 that does not keep the margin to the wrong prototype that is too near.",
            )
            .empty("A picture appears when the first seed's arm is trained.")
    };
    let slack = [axis("distance to own prototype minus nearest wrong one", ""), axis("density", "")];
    let margin = results.knobs.get(&MARGIN);
    vec![
        Plot::dots(results, "ratio", "How wide classes are for their distance", "ratio", &results.arms, RATIO)
            .meaning("Mean distance to a class's own mean, relative to the distance between nearest means, on 50 novel classes; \
                      less is better.")
            .empty("Dots appear when a seed's arms are trained."),
        Plot::dots(results, "gain", "Gain over cross-entropy, one labelled picture", "gain", &results.arms[1..], GAIN.of(1))
            .meaning("One dot per seed: its mean difference on the same novel tasks.")
            .empty("Dots appear when a seed's arms are trained."),
        Plot::curves(results, "slack", "How clearly queries are right", slack, &results.arms, SLACK)
            .meaning(format!(
                "Queries of novel tasks; right of 0 they are wrong, left of -{margin} they keep the margin. The last bins hold \
                 all that lies beyond."
            ))
            .empty("Lines appear when a seed's arms are trained."),
        Plot::curves(results, "score", "The score while they learn", [axis("episode", ""), axis("ICNN score", "")], &results.arms, SCORE)
            .meaning("Of the training episodes, also where it is no part of the loss.")
            .empty("Lines appear when an arm is trained."),
        task("A", "A novel task, cross-entropy alone"),
        task("D", "The same task, with both losses"),
        Plot::dots(results, "shots5", "Gain with five labelled pictures", "gain", &results.arms[1..], GAIN.of(5))
            .meaning("One dot per seed: its mean difference on the same novel tasks.")
            .empty("Dots appear when a seed's arms are trained."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("1 shot", ACCURACY.of(1)),
                ("±", HALF.of(1)),
                ("gain", GAIN.of(1)),
                ("5 shots", ACCURACY.of(5)),
                ("gain", GAIN.of(5)),
                ("score", PARTS[0]),
                ("λ", PARTS[1]),
                ("ω", PARTS[2]),
                ("γ", PARTS[3]),
                ("width over distance", RATIO),
                ("d(own) - d(wrong)", SEPARATION),
            ],
        )
        .meaning(
            "On novel classes. ± is half of the 95% interval over a seed's tasks; gains are differences on the same ones. The score is \
             the mean of its parts: near to the own class and far from others (λ), evenly so (ω), and the share of neighbours of \
             the own class (γ).",
        ),
    ]
}

fn answer(results: &Results) -> Answer {
    let of = |arm: &str, number: Number| results.sample(arm, number);
    let gain = of("D", GAIN.of(1));
    let better = gain.with(&of("B", GAIN.of(1)), f64::max);
    let score = |arm: &str| of(arm, PARTS[0]).minus(&of("A", PARTS[0]));
    let narrower = |arm: &str| of("A", RATIO).with(&of(arm, RATIO), |plain, ratio| 100.0 * (1.0 - ratio / plain));
    let reached = |arm: &str| score(arm).with(&narrower(arm), |rise, share| least(rise / RISE, share / NARROWER));
    let shapes = reached("C").with(&reached("D"), least);
    let names = ["Training with both losses", "cross-entropy alone"];
    let accuracy = versus(names, [&of("D", ACCURACY.of(1)), &of("A", ACCURACY.of(1))], "%", true);
    let changes = |arm: &str| {
        let width = of(arm, RATIO).with(&of("A", RATIO), |ratio, plain| 100.0 * (ratio / plain - 1.0));
        format!("{} and {}%", signed(&score(arm)), signed(&width))
    };
    let words = if shapes.is_empty() {
        format!("{accuracy}.")
    } else {
        format!(
            "On novel classes the score and the width of classes for their distance change by {} with both losses, by {} with \
             ICNN. {accuracy} of queries right with one labelled picture per class.",
            changes("D"),
            changes("C"),
        )
    };
    let name = "score 0.02 higher and classes 5% narrower, with ICNN and with both: smallest share reached";
    Answer::new(Judged::most_seeds(name, &shapes, Bound::AtLeast(1.0), "×", [4, 5]), words)
        .also([
            Judged::every_seed("gain of both losses, 1 shot", &gain, Bound::Above(0.0), "points"),
            Judged::every_seed("lower end of that gain's interval", &of("D", LEAST.of(1)), Bound::Above(0.0), "points"),
            Judged::mean("mean gain of both losses, the paper's 2 points", &gain, Bound::AtLeast(2.0), "points"),
            Judged::every_seed(
                "the better of Proto-Triplet and both above cross-entropy",
                &better,
                Bound::AtLeast(-0.5),
                "points",
            ),
            Judged::most_seeds(
                "score on novel classes above cross-entropy's, with ICNN",
                &score("C"),
                Bound::AtLeast(RISE),
                "",
                [4, 5],
            ),
            Judged::most_seeds(
                "score on novel classes above cross-entropy's, with both",
                &score("D"),
                Bound::AtLeast(RISE),
                "",
                [4, 5],
            ),
            Judged::most_seeds(
                "classes narrower for their distance, with ICNN",
                &narrower("C"),
                Bound::AtLeast(NARROWER),
                "%",
                [4, 5],
            ),
            Judged::most_seeds(
                "classes narrower for their distance, with both",
                &narrower("D"),
                Bound::AtLeast(NARROWER),
                "%",
                [4, 5],
            ),
        ])
        .more(if gain.is_empty() { String::new() } else { numbers(results) })
}

/// The smaller of two numbers; NaN if either is.
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// A mean with its sign.
fn signed(sample: &Sample) -> String {
    format!("{}{}", if sample.mean() > 0.0 { "+" } else { "" }, sample.mean_in_words())
}

fn numbers(results: &Results) -> String {
    let of = |arm: &str, number: Number| results.sample(arm, number).mean_in_words();
    let three = |number: Number| ["B", "C", "D"].map(|arm| of(arm, number));
    let ([b1, c1, d1], [b5, c5, d5], [b, c, d]) = (three(GAIN.of(1)), three(GAIN.of(5)), three(RATIO));
    format!(
        "Gains with one labelled picture: {b1} points with Proto-Triplet, {c1} with ICNN, {d1} with both; with five {b5}, {c5} and \
         {d5}. The width of classes over their distance goes from {} to {b}, {c} and {d}.{}",
        of("A", RATIO),
        reason(results),
    )
}

/// What the margin asks for where queries do not keep it by far.
fn reason(results: &Results) -> String {
    let (slack, margin) = (results.sample("A", SEPARATION), results.knobs.get(&MARGIN));
    let nearer = slack.with(&slack, |slack, _| -slack);
    if nearer.is_empty() || !(0.0..margin).contains(&nearer.mean()) {
        return String::new();
    }
    format!(
        " Under cross-entropy alone a novel query is on average {} nearer to its own prototype than to the nearest wrong one, \
         where the margin asks for {margin}: so near to the border between classes cross-entropy pushes, too.",
        nearer.mean_in_words()
    )
}
