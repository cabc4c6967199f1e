//! Transductive Few-Shot Learning: Clustering is All You Need? (Ziko, Boudiaf, Dolz, Granger, Ben Ayed 2021).

mod tasks;
#[cfg(test)]
mod tests;

use engine::fewshot::{Embedding, FewshotSpec, Method};

use super::plot::{axis, curves};
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Share, Study,
    StudyError, Task,
};

pub(super) const STUDY: Study = Study {
    id: 23,
    slug: "transductive-few-shot",
    title: "Is clustering the queries all you need?",
    paper: "Transductive Few-Shot Learning: Clustering is All You Need?",
    authors: "Ziko, Boudiaf, Dolz, Granger, Ben Ayed",
    year: 2021,
    source: "https://arxiv.org/abs/2106.09516",
    themes: &["few-shot", "clustering", "transductive"],
    claim: "With features from plain training on base classes, clustering the queries (K-means that begins at the labelled \
            examples) already gains what specialised transductive methods gain; neighbours that agree add a little.",
    why: "One labelled picture is a poor centre for its class; fifteen unlabelled ones around it show where the centre is. The \
          gain is largest where labels are fewest. The honest limit: benchmarks have as many queries of each class, and clusters \
          of equal size are what K-means likes to find; the second run draws them unevenly.",
    differs: "Letters of many scripts under random warps instead of mini-ImageNet, and an encoder of three strided \
              convolutions with 94 thousand parameters, trained by cross-entropy on 300 base classes, instead of a wide \
              residual network. λ is chosen on validation classes, with one labelled picture per class, from the same \
              six values for each method. The tasks, encoders and methods are those of the \
              few-shot lab: #fewshot?embedding=linear&base=300&updates=700&seconds=0&rate=0.001 is its setting.",
    seconds: 100.0,
    knobs: &[&UPDATES, &BASE, &TASKS, &WAYS, &QUERIES, &KNN, &WARP, &ALPHA, &CLAMP],
    protocol: Protocol::Program { arms: |_| arms(), run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

/// Accuracy, its interval's half, and the paired gain over the baseline with its lower end; of so many shots.
const ACCURACY: Number = Number::new("accuracy", "%");
const HALF: Number = Number::new("half", "%");
const GAIN: Number = Number::new("gain", "points");
const LEAST: Number = Number::new("gain at least", "points");
/// Gain where queries are drawn unevenly, at one shot.
const UNEVEN: Number = Number::new("gain, uneven", "points");
/// The λ that validation chose.
const LAMBDA: Number = Number::new("lambda", "");
/// Accuracy on validation classes against λ.
const TRIED: Curve = Curve::new("validation accuracy", "%");
/// The energy of one task over the outer iterations.
const ENERGY: Curve = Curve::new("energy", "");

/// Labelled examples a class.
const SHOTS: [usize; 2] = [1, 5];

const UPDATES: Knob<usize> = Knob::integer("updates", "Encoder updates", "more make better vectors", [50, 3000], 700);
const BASE: Knob<usize> = Knob::integer("base", "Base classes", "that the encoder learns from", [20, 1800], 300);
const TASKS: Knob<usize> = Knob::integer("tasks", "Tasks", "more give a surer result", [10, 1000], 400);
const WAYS: Knob<usize> = Knob::integer("ways", "Ways", "classes per task", [2, 20], 5);
const QUERIES: Knob<usize> = Knob::integer("queries", "Queries", "per class; clustering learns from them", [2, 30], 15);
const KNN: Knob<usize> = Knob::integer("knn", "Neighbours", "in the graph, with the point itself", [2, 10], 3);
const WARP: Knob<f64> = Knob::number("warp", "Warp", "turns, shears and bends the letters", [0.2, 2.0], 1.0);
const ALPHA: Knob<f64> = Knob::number("alpha", "Uneven α", "of the second run; smaller is less even", [0.2, 20.0], 2.0);
const CLAMP: Knob<bool> = Knob::flag("clamp", "Support stays", "off = as in the published code", true);

/// Method, id and whether λ means something to it. The first is the baseline.
const ARMS: [(&str, Method, bool); 6] = [
    ("A", Method::SimpleShot, false),
    ("B", Method::BdCspn, false),
    ("C", Method::KMeans, false),
    ("D", Method::LaplacianShot, true),
    ("E", Method::SlkMeans, true),
    ("F", Method::SlkMs, true),
];

fn arms() -> Vec<Label> {
    let label = |(place, (id, method, _)): (usize, &(&str, Method, bool))| match place {
        0 => Label::baseline(id, method.label()),
        1 => Label::new(id, "Rectified prototypes").dotted(),
        3 => Label::new(id, method.label()).dashed(),
        4 => Label::new(id, method.label()).long_dashed(),
        5 => Label::new(id, method.label()).dotted(),
        _ => Label::new(id, method.label()),
    };
    ARMS.iter().enumerate().map(label).collect()
}

/// The lab's session of these knobs.
fn session(knobs: &Knobs, seed: u64) -> FewshotSpec {
    FewshotSpec {
        embedding: Embedding::Linear,
        base: knobs.get(&BASE),
        updates: knobs.get(&UPDATES),
        seconds: 0.0,
        rate: 1e-3,
        warp: knobs.get(&WARP),
        ways: knobs.get(&WAYS),
        queries: knobs.get(&QUERIES),
        tasks: knobs.get(&TASKS),
        knn: knobs.get(&KNN),
        clamp: knobs.get(&CLAMP),
        seed,
        ..FewshotSpec::default()
    }
}

fn run<'a>(context: &'a mut Context<'_>) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let alpha = context.results.knobs.get(&ALPHA);
        for (seed, share) in context.seeds(Share::ALL) {
            let spec = session(&context.results.knobs, seed);
            tasks::run(context, &spec, alpha, share).await?;
        }
        Ok(())
    })
}

fn figures(results: &Results) -> Vec<Plot> {
    let at = |shots: usize| {
        let title = format!(
            "Accuracy, {shots} labelled {}",
            if shots == 1 { "picture per class" } else { "pictures per class" }
        );
        Plot::dots(results, &format!("shots{shots}"), title, "accuracy", &results.arms, ACCURACY.of(shots as u64))
            .meaning(
                "A dot is a seed's mean over the same tasks for every method. SimpleShot takes the nearest prototype; LaplacianShot \
                 and SLK let near queries agree, SLK-MS with classes where points are dense.",
            )
            .empty("Dots appear when a seed's tasks are done.")
    };
    let gains = |id: &str, title: &str, number: Number| {
        Plot::dots(results, id, title, "gain", &results.arms[1..], number)
            .meaning("Compared with the nearest prototype on the same tasks.")
            .empty("Dots appear when a seed's tasks are done.")
    };
    let tuned = results.labels(["D", "E", "F"]);
    let energies = results.labels(["C", "E", "F"]);
    let energy = curves(results, &energies, ENERGY);
    vec![
        at(1),
        gains("gain", "Gain with one labelled picture", GAIN.of(1)),
        gains("uneven", "Gain where queries are unevenly drawn", UNEVEN).meaning(
            "The same with queries from a Dirichlet distribution: how much of the gain the even queries gave.",
        ),
        at(5),
        Plot::curves(
            results,
            "lambda",
            "Choosing λ on validation classes",
            [axis("λ", ""), axis("accuracy", "%")],
            &tuned,
            TRIED,
        )
        .meaning(
            "Each method takes the λ with which it does best here; the tasks of the other figures have other classes.",
        )
        .empty("Lines appear once the encoder is trained."),
        Plot::of("energy", "The energy of one task", [axis("outer iteration", ""), axis("energy", "")], energy)
            .meaning("Prototypes and assignments take turns at lowering it.")
            .empty("Lines appear when a seed's tasks are done."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("1 shot", ACCURACY.of(1)),
                ("±", HALF.of(1)),
                ("gain", GAIN.of(1)),
                ("5 shots", ACCURACY.of(5)),
                ("gain", GAIN.of(5)),
                ("gain, uneven", UNEVEN),
            ],
        )
        .meaning("± is half of the 95% interval over a seed's tasks; gains are over the nearest prototype on the same tasks."),
    ]
}

fn answer(results: &Results) -> Answer {
    let gain = |arm: &str, shots: u64| results.sample(arm, GAIN.of(shots));
    let clustering = gain("C", 1);
    let one = |arm: &str| results.sample(arm, ACCURACY.of(1));
    let best =
        |sample: [Sample; 2]| if sample[0].mean() > sample[1].mean() { sample[0].clone() } else { sample[1].clone() };
    let specialised = best([one("D"), best([one("E"), one("F")])]);
    let every = |name: &str, sample: &Sample, bound| Judged::every_seed(name, sample, bound, "points");
    let headline = every("K-means above nearest prototypes, 1 shot", &clustering, Bound::AtLeast(3.0));
    let also = [
        every("lower end of that gain's interval", &results.sample("C", LEAST.of(1)), Bound::Above(0.0)),
        every("SLK-Means below K-means, 1 shot", &one("C").minus(&one("E")), Bound::AtMost(0.5)),
        Judged::as_good(
            "K-means below the best of LaplacianShot and SLK, 1 shot",
            &specialised.minus(&one("C")),
            1.0,
            "points",
        ),
        every("K-means' gain at 1 shot above that at 5", &clustering.minus(&gain("C", 5)), Bound::Above(0.0)),
        every(
            "K-means' gain lost to uneven queries",
            &clustering.minus(&results.sample("C", UNEVEN)),
            Bound::Above(0.0),
        ),
    ];
    if clustering.is_empty() {
        return Answer::new(headline, "Nothing was measured.").also(also);
    }
    let words = format!(
        "With one labelled picture per class, nearest prototypes get {}% of the queries right, K-means {}%, SLK-Means {}% and \
         SLK-MS {}%.",
        one("A").mean_in_words(),
        one("C").mean_in_words(),
        one("E").mean_in_words(),
        one("F").mean_in_words()
    );
    Answer::new(headline, words).also(also).more(format!(
        "Where queries are drawn unevenly, K-means' gain is {} points instead of {}; with five labelled pictures it is {}.{}",
        results.sample("C", UNEVEN).mean_in_words(),
        clustering.mean_in_words(),
        gain("C", 5).mean_in_words(),
        edges(results),
    ))
}

/// Which methods took a λ beyond which none was tried: another one might do better.
fn edges(results: &Results) -> String {
    let at_edge = |lambda: f64| tasks::LAMBDAS.first() == Some(&lambda) || tasks::LAMBDAS.last() == Some(&lambda);
    let of = |label: &Label| {
        let lambdas = results.sample(&label.id, LAMBDA);
        let seeds = lambdas.values().filter(|&lambda| at_edge(lambda)).count();
        (seeds > 0).then(|| format!("{} in {seeds} of {} seeds", label.name, lambdas.len()))
    };
    let found: Vec<String> = results.arms.iter().filter_map(of).collect();
    if found.is_empty() {
        return String::new();
    }
    format!(" Validation chose the smallest or the largest λ that was tried for {}.", found.join(", "))
}
