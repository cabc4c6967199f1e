//! Magnitude Invariant Parametrizations Improve Hypernetwork Learning (Gonzalez Ortiz et al. 2024).

mod hyper;
mod run;
#[cfg(test)]
mod tests;

use engine::figure::brief;
use engine::spec::{DataSet, DataSpec, OptimizerSpec, Rule};
use hyper::Form;
use run::{Turned, Way, learn};

use super::plot::axis;
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Share, Study,
    StudyError, Task, versus,
};

pub(super) const STUDY: Study = Study {
    id: 44,
    slug: "mip-hypernetworks",
    title: "An input that is a volume knob",
    paper: "Magnitude Invariant Parametrizations Improve Hypernetwork Learning",
    authors: "Gonzalez Ortiz, Guttag, Dalca",
    year: 2024,
    source: "https://arxiv.org/abs/2304.07645",
    themes: &["hypernetworks", "initialisation"],
    claim: "A hypernetwork makes the weights of a network from an input γ. Scaling γ scales the weights, which slows training. \
            If γ enters as a point on a circle (input encoding) and what is made is added to weights that are learned directly \
            (output encoding), it learns faster, with every optimizer. Both together are MIP.",
    why: "ReLU layers without biases pass a factor of their input straight on: at γ = 0 all weights are 0, at γ = 1 they have \
          the intended size, and the gradients follow. On a circle every γ has length 1, and what is added to weights of the \
          usual size need not have the right size itself.",
    differs: "Digits of 8×8 pixels turned by 90γ degrees at nine angles, and a classifier of 3,466 weights, instead of image \
              registration and segmentation. The weights that are added to are the bias of the hypernetwork's last layer, as in \
              the published code; without output encoding that bias starts at 0 and learns as well.",
    seeds: 5,
    seconds: 60.0,
    knobs: &[&RATE, &UPDATES, &ENCODING, &ACTIVATION, &FIRST],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Encoding {
        Circle = "circle", "cos and sin of πγ/2";
        Line = "line", "γ and 1 - γ";
    }
}

crate::options! {
    Activation {
        Leaky = "leaky", "leaky ReLU";
        Relu = "relu", "ReLU";
        Tanh = "tanh", "tanh";
        Gelu = "gelu", "GELU";
    }
}

const RATE: Knob<f64> = Knob::number("rate", "Learning rate", "of Adam, in the figures", [1e-5, 0.03], 3e-4);
const UPDATES: Knob<usize> = Knob::integer("updates", "Updates", "of 64 digits at one angle each", [100, 3000], 600);
const ENCODING: Knob<Encoding> =
    Knob::choice("encoding", "Input encoding", "how γ enters in the arms that encode it", Encoding::Circle);
const ACTIVATION: Knob<Activation> = Knob::choice("activation", "Activation", "of the hypernetwork", Activation::Leaky);
const FIRST: Knob<f64> =
    Knob::number("first", "Smallest γ", "above 0, no angle starts with weights of 0", [0.0, 0.5], 0.0);

/// Mean accuracy over the angles in the end.
const FINAL: Number = Number::new("final", "%");
/// Updates until that accuracy is [`ENOUGH`]; an arm that never comes there has all of its own.
const SPEED: Number = Number::new("updates to 80%", "");
/// Deviation of the gradients' norms over the first 200 updates, of their mean.
const UNEVEN: Number = Number::new("unevenness", "");
/// Mean accuracy over the angles.
const ACCURACY: Curve = Curve::new("accuracy", "%");
/// Final accuracy at each γ.
const BY_ANGLE: Curve = Curve::new("by angle", "%");
/// Size of the weights made for each γ at the start and in the end.
const START: Curve = Curve::new("size at the start", "");
const SPREAD: Curve = Curve::new("size in the end", "");
/// Norm of each update's gradient.
const GRADIENT: Curve = Curve::new("gradient", "");
/// Accuracy at which an arm counts as there, in percent.
const ENOUGH: f64 = 80.0;

/// Arms by id and name: whether the input is encoded, and the output.
const ARMS: [(&str, &str, [bool; 2]); 4] = [
    ("default", "default", [false, false]),
    ("input", "input encoding", [true, false]),
    ("output", "output encoding", [false, true]),
    ("mip", "both (MIP)", [true, true]),
];

/// Optimizers by the ending of the arms' ids and names. The first is that of the figures, at the rate of the knob.
const RECIPES: [(&str, &str, Rule, f64); 6] = [
    ("", "", Rule::Adam, f64::NAN),
    ("/adam1e-3", ", Adam 0.001", Rule::Adam, 1e-3),
    ("/adam3e-3", ", Adam 0.003", Rule::Adam, 3e-3),
    ("/sgd3e-3", ", SGD 0.003", Rule::Momentum, 3e-3),
    ("/sgd1e-2", ", SGD 0.01", Rule::Momentum, 1e-2),
    ("/sgd3e-2", ", SGD 0.03", Rule::Momentum, 3e-2),
];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |(id, name, _): &(&str, &str, [bool; 2]), (suffix, words): (&str, &str)| {
        let (id, name) = (format!("{id}{suffix}"), format!("{name}{words}"));
        match id.split('/').next() {
            Some("default") => Label::baseline(&id, name),
            Some("input") => Label::new(&id, name).dashed(),
            Some("output") => Label::new(&id, name).dotted(),
            _ => Label::new(&id, name),
        }
    };
    let of = |(suffix, words, ..): &(&'static str, &'static str, Rule, f64)| (*suffix, *words);
    RECIPES.iter().map(of).flat_map(|recipe| ARMS.iter().map(move |arm| label(arm, recipe))).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let data = context.data(&DataSpec::of(DataSet::Digits)).await?;
        let digits = Turned::of(&data, knobs.get(&FIRST))?;
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, &(suffix, words, kind, rate)) in RECIPES.iter().enumerate() {
                let share = share.part(place, RECIPES.len());
                for (place, (id, name, [input, output])) in ARMS.iter().enumerate() {
                    context.progress(share.part(place, ARMS.len()).at(0.0), &format!("{name}{words}"));
                    let way = Way {
                        form: Form {
                            encoding: input.then(|| knobs.get(&ENCODING)),
                            adds: *output,
                            activation: knobs.get(&ACTIVATION),
                        },
                        rule: OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(kind) },
                        rate: if rate.is_nan() { knobs.get(&RATE) } else { rate },
                        updates: knobs.get(&UPDATES),
                    };
                    let play = context.play(seed).await?;
                    let outcome = context.results.record(&format!("{id}{suffix}"), seed)?;
                    learn(play, &digits, &way, seed, suffix.is_empty(), outcome).await?;
                }
            }
        }
        Ok(())
    })
}

fn figures(results: &Results) -> Vec<Plot> {
    let arms = results.labels(ARMS.map(|(id, ..)| id));
    let two = results.labels(["default", "mip"]);
    let gamma = |quantity: &str| [axis("γ", ""), axis(quantity, "")];
    let size = "RMS of first-layer weights";
    vec![
        Plot::curves(
            results,
            "accuracy",
            "Accuracy over nine angles",
            [axis("update", ""), axis("accuracy", "%")],
            &arms,
            ACCURACY,
        )
        .meaning("On test digits turned by each angle, with the weights made for it.")
        .empty("Lines grow while the arms learn."),
        Plot::curves(results, "start", "Size of the weights before any update", gamma(size), &arms, START)
            .meaning(
                "RMS: root mean square. Where γ enters as it is, weights grow in proportion to it, from 0 unless they are added \
                 to others.",
            )
            .empty("A line appears when an arm begins."),
        Plot::curves(
            results,
            "gradient",
            "Size of each update's gradient",
            [axis("update", ""), axis("norm", "")],
            &two,
            GRADIENT,
        )
        .meaning("Updates at small and large angles alternate; by default their gradients differ in size.")
        .empty("Lines appear when an arm has learned."),
        Plot::dots(results, "speed", "Updates to 80%", "updates", &arms, SPEED)
            .meaning("One dot per seed. An arm that never reaches 80% has a dot at its last update.")
            .empty("Dots appear when an arm has learned."),
        Plot::curves(
            results,
            "angles",
            "Final accuracy at each γ",
            [axis("γ", ""), axis("accuracy", "%")],
            &arms,
            BY_ANGLE,
        )
        .meaning("The angle is 90γ degrees.")
        .empty("Lines appear when an arm has learned."),
        Plot::table(
            results,
            "Every optimizer",
            &[("updates to 80%", SPEED), ("final accuracy", FINAL), ("unevenness of gradients", UNEVEN)],
        )
        .meaning("Unevenness: deviation of the first 200 gradients' norms, relative to their mean. SGD has a momentum of 0.9."),
        Plot::curves(results, "end", "Final size of the weights", gamma(size), &arms, SPREAD)
            .meaning("What is left of the slope when the arms have learned.")
            .empty("Lines appear when an arm has learned."),
    ]
}

/// Updates to 80% of an arm, of the default's with the same optimizer.
fn share(results: &Results, arm: &str, suffix: &str) -> Sample {
    let of = |arm: &str| results.sample(&format!("{arm}{suffix}"), SPEED);
    of(arm).over(&of("default"))
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number| results.sample(arm, number);
    let most =
        |name: &str, sample: &Sample, most: f64| Judged::most_seeds(name, sample, Bound::AtMost(most), "", [4, 5]);
    let uneven = sample("mip", UNEVEN).over(&sample("default", UNEVEN));
    let words = versus(["MIP", "the default"], [&sample("mip", SPEED), &sample("default", SPEED)], "updates", false);
    let others = RECIPES.iter().skip(1).map(|(suffix, words, ..)| {
        most(&format!("updates to 80%{words}, MIP relative to the default"), &share(results, "mip", suffix), 1.0)
    });
    let faster = most("updates to 80%, MIP relative to the default", &share(results, "mip", ""), 0.5);
    Answer::new(faster, words + " to 80% at nine angles.")
        .also([
            most("updates to 80%, input encoding relative to the default", &share(results, "input", ""), 0.5),
            most("unevenness of gradients, MIP relative to the default", &uneven, 0.6),
            Judged::as_good(
                "final accuracy of MIP below the default's by",
                &sample("default", FINAL).minus(&sample("mip", FINAL)),
                0.0,
                "points",
            ),
        ])
        .also(others)
        .more(format!(
            "To 80% the default needs {} updates, input encoding alone {}, output encoding alone {} and both {}.{}",
            sample("default", SPEED).mean_in_words(),
            sample("input", SPEED).mean_in_words(),
            sample("output", SPEED).mean_in_words(),
            sample("mip", SPEED).mean_in_words(),
            parts(results),
        ))
}

/// What each part brings by itself, and why that of the input may be too little.
fn parts(results: &Results) -> String {
    let saved = |arm: &str| results.sample("default", SPEED).mean() - results.sample(arm, SPEED).mean();
    let both = saved("mip");
    if both.is_nan() || both <= 0.0 {
        return String::new();
    }
    let alone = |arm: &str| format!("{:.0}%", 100.0 * saved(arm) / both);
    let [input, mip] = ["input", "mip"].map(|arm| results.sample(arm, START));
    let (sizes, _) = results.mean_curve("input", START);
    let [least, most] =
        [f64::min, f64::max].map(|of| sizes.iter().map(|point| point[1]).reduce(of).unwrap_or(f64::NAN));
    format!(
        " Of the updates that both save, input encoding alone saves {} and output encoding alone {}. With the input encoded \
         alone, the weights start {} times as large at one γ as at another, but at γ = 1 with {} times their size with both.",
        alone("input"),
        alone("output"),
        brief(most / least),
        input.over(&mip).mean_in_words(),
    )
}
