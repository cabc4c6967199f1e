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
/// Updates until that accuracy is [`ENOUGH`]; an arm that never comes there has one more than all of its own.
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

/// Optimizers by the ending of the arms' ids and names, with the share of the default's updates that MIP may need at most:
/// at the highest rates less is claimed. The first is that of the figures, at the rate of the knob.
const RECIPES: [(&str, &str, Rule, f64, f64); 6] = [
    ("", "", Rule::Adam, f64::NAN, 0.5),
    ("/adam1e-3", ", Adam 0.001", Rule::Adam, 1e-3, 1.0),
    ("/adam3e-3", ", Adam 0.003", Rule::Adam, 3e-3, 1.0),
    ("/sgd3e-3", ", SGD 0.003", Rule::Momentum, 3e-3, 0.5),
    ("/sgd1e-2", ", SGD 0.01", Rule::Momentum, 1e-2, 0.5),
    ("/sgd3e-2", ", SGD 0.03", Rule::Momentum, 3e-2, 1.0),
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
    let of = |(suffix, words, ..): &(&'static str, &'static str, Rule, f64, f64)| (*suffix, *words);
    RECIPES.iter().map(of).flat_map(|recipe| ARMS.iter().map(move |arm| label(arm, recipe))).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let data = context.data(&DataSpec::of(DataSet::Digits)).await?;
        let digits = Turned::of(&data, knobs.get(&FIRST))?;
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, &(suffix, words, kind, rate, _)) in RECIPES.iter().enumerate() {
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
                "RMS: root mean square. Where γ enters as it is and layers are rectified, weights grow in proportion to it, from 0 \
                 unless they are added to others.",
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
        .meaning("The angle of each update is drawn at random: a rough line has gradients that differ in size between angles.")
        .empty("Lines appear when an arm has learned."),
        Plot::dots(results, "speed", "Updates to 80%", "updates", &arms, SPEED)
            .meaning("One dot per seed. An arm that never reaches 80% has a dot just past its last update.")
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
        .meaning("An arm that never reaches 80% counts with one update more than it has. Unevenness: deviation of the first 200 \
             gradients' norms, relative to their mean. SGD has a momentum of 0.9."),
        Plot::curves(results, "end", "Final size of the weights", gamma(size), &arms, SPREAD)
            .meaning("What is left of the slope when the arms have learned.")
            .empty("Lines appear when an arm has learned."),
    ]
}

/// Updates to 80% of an arm, relative to the default's with the same optimizer, against the most that is claimed.
fn faster(results: &Results, name: &str, arm: &str, suffix: &str, most: f64) -> Judged {
    let [own, default] = [arm, "default"].map(|arm| results.sample(&format!("{arm}{suffix}"), SPEED));
    let name = format!("updates to 80%{name} relative to the default");
    Judged::most_seeds(name, &own.over(&default), Bound::AtMost(most), "", [4, 5])
        .given(neither(results, &own, &default) == 0, "in some seed neither gets there")
}

/// In how many seeds neither of two arms gets to 80%.
fn neither(results: &Results, own: &Sample, default: &Sample) -> usize {
    never(results, &own.with(default, f64::min))
}

/// In how many seeds so many updates to 80% are more than there are.
fn never(results: &Results, speeds: &Sample) -> usize {
    let updates = results.knobs.get(&UPDATES) as f64;
    speeds.values().filter(|&speed| speed > updates).count()
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number| results.sample(arm, number);
    let [default, mip] = ["default", "mip"].map(|arm| sample(arm, SPEED));
    let [uneven_default, uneven_mip] = ["default", "mip"].map(|arm| sample(arm, UNEVEN));
    let finite = [&uneven_default, &uneven_mip].iter().all(|uneven| uneven.values().all(f64::is_finite));
    let uneven = Judged::most_seeds(
        "unevenness of gradients, MIP relative to the default",
        &uneven_mip.over(&uneven_default),
        Bound::AtMost(0.6),
        "",
        [4, 5],
    );
    let words = match neither(results, &mip, &default) {
        0 => versus(["MIP", "the default"], [&mip, &default], "updates", false) + " to 80% at nine angles.",
        count => format!("In {count} of {} seeds neither MIP nor the default gets to 80% at nine angles.", mip.len()),
    };
    let others = RECIPES
        .iter()
        .skip(1)
        .map(|&(suffix, words, _, _, most)| faster(results, &format!("{words}, MIP"), "mip", suffix, most));
    Answer::new(faster(results, ", MIP", "mip", "", RECIPES[0].4), words)
        .also([
            faster(results, ", input encoding", "input", "", RECIPES[0].4),
            uneven.given(finite, "gradients were no longer finite"),
            Judged::as_good(
                "final accuracy of MIP below the default's by",
                &sample("default", FINAL).minus(&sample("mip", FINAL)),
                0.0,
                "points",
            ),
        ])
        .also(others)
        .more(if mip.is_empty() { String::new() } else { more(results) })
}

/// What every arm needs, and what each part of MIP brings by itself.
fn more(results: &Results) -> String {
    let needs = |arm: &str| {
        let speeds = results.sample(arm, SPEED);
        let words = speeds.mean_in_words();
        match never(results, &speeds) {
            0 => words,
            count => {
                let past = results.knobs.get(&UPDATES) + 1;
                format!("{words} (never in {count} of {} seeds, which counts as {past})", speeds.len())
            }
        }
    };
    format!(
        "To 80% the default needs {} updates, input encoding alone {}, output encoding alone {} and both {}.{}",
        needs("default"),
        needs("input"),
        needs("output"),
        needs("mip"),
        parts(results),
    )
}

/// What each part brings by itself, and why that of the input may be too little.
fn parts(results: &Results) -> String {
    let saved = |arm: &str| results.sample("default", SPEED).mean() - results.sample(arm, SPEED).mean();
    let both = saved("mip");
    let all_get_there = ARMS.iter().all(|(id, ..)| never(results, &results.sample(id, SPEED)) == 0);
    if both.is_nan() || both <= 0.0 || !all_get_there {
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
