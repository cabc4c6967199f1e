//! Training BatchNorm and Only BatchNorm (Frankle, Schwab, Morcos 2021).

mod mosaic;
mod net;
mod run;
mod spectrum;
#[cfg(test)]
mod tests;
mod words;

use std::rc::Rc;

use engine::figure::{Dash, Mark, Role};
use engine::model::Init;
use engine::spec::{DataSet, DataSpec, DecayKind, OptimizerSpec, Rule, Trained};

use super::images::Images;
use super::plot::{axis, in_words, log_axis};
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Share, Study,
    StudyError, Task, versus,
};
use net::{Form, Part, SIDE};
use run::{Learned, Way, learn};
use words::where_it_fails;

pub(super) const STUDY: Study = Study {
    id: 58,
    slug: "batchnorm-only",
    title: "How far do random features carry?",
    paper: "Training BatchNorm and Only BatchNorm: On the Expressive Power of Random Features in CNNs",
    authors: "Frankle, Schwab, Morcos",
    year: 2021,
    source: "https://arxiv.org/abs/2003.00152",
    themes: &["normalization", "random features"],
    claim: "A network whose weights all stay random, and in which only batch norm's scales and shifts learn, classifies far \
            better than one in which equally many randomly chosen weights learn. Depth helps more than width. Many scales end \
            near 0: the network learns by switching random features off.",
    why: "A scale and a shift for each channel say which random features count, and where each begins to respond. One number \
          that multiplies a whole channel does more than a single weight within it, and what one layer chooses, the next \
          combines anew.",
    differs: "2,000 MNIST images pooled to 8×8 and residual networks of 3 to 7 convolutions on 4×4 maps, 16 or 32 \
              wide, instead of CIFAR-10 and ImageNet with up to 866 layers; beside them plain (fully connected) \
              networks. 10 epochs instead of 160, with a cosine. The random weights that learn are two per channel: as \
              many as its norm has numbers, and spread the same way. Before every test all arms recompute the norms' \
              statistics on 1,000 training images. The learning rate of each arm is the best of six or \
              more, each about three times the one before, on the same test images with another seed (11).",
    seeds: 3,
    seconds: 120.0,
    knobs: &[&EPOCHS, &SCALES, &RATE, &DECAY, &NEAR_ZERO],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Scales {
        Uniform = "uniform", "uniform in 0 to 1";
        One = "one", "1";
    }
}

const EPOCHS: Knob<usize> = Knob::integer("epochs", "Epochs", "of 15 updates each", [1, 100], 10);
const SCALES: Knob<Scales> = Knob::choice("scales", "Scales start", "the norms' γ before any update", Scales::Uniform);
const RATE: Knob<f64> =
    Knob::number("rate", "Learning rate", "in every arm, relative to its usual rate", [0.01, 10.0], 1.0);
const DECAY: Knob<f64> =
    Knob::number("decay", "Weight decay", "on everything that learns, scales included", [0.0, 0.01], 1e-4);
const NEAR_ZERO: Knob<f64> =
    Knob::number("near", "Near 0", "magnitude below which a scale counts as 0", [0.0, 0.5], 0.05);

/// Accuracy on test images.
const ACCURACY: Curve = Curve::new("accuracy", "%");
/// Parameters that learn.
const COUNT: Number = Number::new("parameters", "");
/// Share of scales near 0 before and after.
const NEAR_START: Number = Number::new("near 0 at the start", "%");
const NEAR: Number = Number::new("near 0", "%");
/// Accuracy once those are 0.
const ZEROED: Number = Number::new("with these at 0", "%");
/// How scales are spread before and after: share of each bin.
const START: Curve = Curve::new("start", "%");
const END: Curve = Curve::new("end", "%");

/// The picture of filters.
const MOSAIC: &str = "mosaic";

/// A network: id, name, form, and whether every part of it is trained in turn.
#[derive(Clone, Copy)]
struct Network(&'static str, &'static str, Form, bool);

const fn residual(id: &'static str, name: &'static str, width: usize, blocks: usize, all: bool) -> Network {
    Network(id, name, Form::Residual { width, blocks }, all)
}

const fn mlp(id: &'static str, name: &'static str, width: usize, layers: usize, all: bool) -> Network {
    Network(id, name, Form::Mlp { width, layers }, all)
}

const DEEP: Network = residual("c16x3", "16 wide, 3 blocks", 16, 3, false);
const WIDE: Network = residual("c32x1", "32 wide, 1 block", 32, 1, false);
const FULL: [Network; 2] =
    [residual("c16x1", "16 wide, 1 block", 16, 1, true), mlp("m64x4", "MLP, 64 wide, 4 layers", 64, 4, true)];
const NETWORKS: [Network; 7] = [
    FULL[0],
    DEEP,
    WIDE,
    mlp("m32x4", "MLP, 32 wide, 4 layers", 32, 4, false),
    mlp("m32x8", "MLP, 32 wide, 8 layers", 32, 8, false),
    FULL[1],
    mlp("m128x4", "MLP, 128 wide, 4 layers", 128, 4, false),
];

/// The network along whose parameters curvature is taken.
const CURVED: &Network = &FULL[0];

/// What learns: id, name, part, and whether in every network.
const PARTS: [(&str, &str, Part, bool); 5] = [
    ("norms", "norms", Part::Groups(Trained::Norms), true),
    ("random", "random weights", Part::Scattered, true),
    ("all", "all", Part::Groups(Trained::All), false),
    ("both", "norms and output", Part::Groups(Trained::NormsAndOutput), false),
    ("output", "output", Part::Groups(Trained::Output), false),
];

/// The highest learning rate of an arm: of those tried, each about three times the one before, that with the best accuracy on
/// seed 11. Where an arm learns at all, that is neither the lowest nor the highest of them.
fn rate(Network(network, _, form, _): &Network, part: Part) -> f64 {
    match (form, part, *network) {
        (Form::Residual { .. }, Part::Groups(Trained::All | Trained::NormsAndOutput), _) => 1.0,
        (Form::Residual { .. }, ..) => 10.0,
        (Form::Mlp { .. }, Part::Groups(Trained::All), _) => 0.03,
        (Form::Mlp { .. }, Part::Groups(Trained::NormsAndOutput), _) => 0.1,
        (Form::Mlp { .. }, Part::Groups(Trained::Output), _) => 0.3,
        (Form::Mlp { .. }, Part::Groups(Trained::Norms), "m32x4") => 0.1,
        (Form::Mlp { .. }, Part::Groups(Trained::Norms), "m128x4") => 3.0,
        (Form::Mlp { .. }, Part::Scattered, "m32x4" | "m128x4") => 3.0,
        (Form::Mlp { .. }, ..) => 1.0,
    }
}

fn id(network: &str, part: &str) -> String {
    format!("{network}/{part}")
}

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |Network(network, words, ..): &Network, (part, name, ..): &(&str, &str, Part, bool)| {
        let (id, name) = (id(network, part), format!("{words}: {name}"));
        match *part {
            "norms" => Label::new(&id, name),
            "both" => Label::new(&id, name).dashed(),
            "random" => Label::baseline(&id, name),
            "all" => Label::baseline(&id, name).long_dashed(),
            _ => Label::baseline(&id, name).dotted(),
        }
    };
    let of = |network: &'static Network| {
        PARTS.iter().filter(|part| part.3 || network.3).map(move |part| label(network, part))
    };
    NETWORKS.iter().flat_map(of).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let spec = DataSpec { train: 2000, test: 1000, size: SIDE, ..DataSpec::of(DataSet::Mnist) };
        let images = Rc::new(Images::of("images", &*context.data(&spec).await?)?);
        let gamma = match knobs.get(&SCALES) {
            Scales::Uniform => Init::Between(0.0, 1.0),
            Scales::One => Init::Constant(1.0),
        };
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, one) in NETWORKS.iter().enumerate() {
                let &Network(network, words, form, all) = one;
                context.progress(share.part(place, NETWORKS.len()).at(0.0), words);
                for &(id_of_part, _, part, _) in PARTS.iter().filter(|part| part.3 || all) {
                    let kind = match form {
                        Form::Residual { .. } => Rule::Momentum,
                        Form::Mlp { .. } => Rule::Adam,
                    };
                    let rule = OptimizerSpec {
                        weight_decay: knobs.get(&DECAY),
                        decay: DecayKind::Coupled,
                        decay_exempt: false,
                        clip: 0.0,
                        ..OptimizerSpec::of(kind)
                    };
                    let rate = knobs.get(&RATE) * rate(one, part);
                    let way =
                        Way { form, part, gamma, rule, rate, epochs: knobs.get(&EPOCHS), near: knobs.get(&NEAR_ZERO) };
                    let (play, arm) = (context.play(seed).await?, id(network, id_of_part));
                    let mut learned = learn(play, &images, &way, seed, context.results.record(&arm, seed)?).await?;
                    if network == CURVED.0 && matches!(id_of_part, "norms" | "random") {
                        spectrum::measure(context, &mut learned, &images, &way, (&arm, seed)).await?;
                    }
                    if arm == id(DEEP.0, "norms") && context.pictures(seed) {
                        let Learned { layout, start, end, .. } = &learned;
                        context.results.keep(MOSAIC, mosaic::picture(words, layout, start, end, way.near));
                    }
                }
            }
        }
        Ok(())
    })
}

/// A point for each network of a kind: how many numbers learn, and how well. Lines lead from a network to deeper ones, dashed
/// ones to wider ones.
fn scatter(results: &Results, residual: bool) -> Vec<Mark> {
    let point = |network: &str, part: &str| {
        let id = id(network, part);
        let point = [results.sample(&id, COUNT).mean(), results.sample(&id, ACCURACY).mean()];
        point.iter().all(|x| x.is_finite()).then_some(point)
    };
    let kind = |network: &&Network| matches!(network.2, Form::Residual { .. }) == residual;
    let mut marks = Vec::new();
    let ways: [(&[&str], Dash, &str); 2] = match residual {
        true => [(&["c16x1", "c16x3"], Dash::Solid, "deeper"), (&["c16x1", "c32x1"], Dash::Dashed, "wider")],
        false => [(&["m32x4", "m32x8"], Dash::Solid, "deeper"), (&["m32x4", "m64x4", "m128x4"], Dash::Dashed, "wider")],
    };
    for (part, name, role) in [("norms", "norms", Role::Train), ("random", "random weights", Role::Other)] {
        for (networks, dash, way) in ways {
            let points: Vec<[f64; 2]> = networks.iter().filter_map(|network| point(network, part)).collect();
            marks.extend((points.len() > 1).then(|| Mark::line(format!("{name}, {way}"), role, dash, points)));
        }
    }
    for ((part, name, ..), role) in PARTS.iter().skip(2).zip([Role::Test, Role::Batch, Role::Lr]) {
        let points: Vec<[f64; 2]> = NETWORKS.iter().filter(kind).filter_map(|network| point(network.0, part)).collect();
        let mark = Mark::Scatter { name: (*name).to_owned(), role, points: points.clone(), classes: vec![] };
        marks.extend((!points.is_empty()).then_some(mark));
    }
    marks
}

fn figures(results: &Results) -> Vec<Plot> {
    // The title of their figure says which network.
    let parts = |network: &Network| {
        let mut labels = results.labels(PARTS.map(|(part, ..)| id(network.0, part)));
        labels.iter_mut().zip(PARTS).for_each(|(label, (_, name, ..))| label.name = name.to_owned());
        labels
    };
    let counted = |id: &str, title: &str, kind: bool| {
        let axes = [log_axis("parameters that learn", ""), axis("test accuracy", "%")];
        Plot::of(id, title, axes, scatter(results, kind)).empty("A point for each network.")
    };
    let [conv, dense] = [&FULL[0], &FULL[1]];
    let training = |network: &Network, id: &str| {
        let axes = [axis("update", ""), axis("test accuracy", "%")];
        Plot::curves(results, id, network.1, axes, &parts(network), ACCURACY).empty("Lines grow while the arms learn.")
    };
    let deep = results.labels([id(DEEP.0, "norms")]);
    let [before, after] = [START, END].map(|curve| super::plot::curves(results, &deep, curve));
    let named = |name: &'static str, role: Role| {
        move |mut mark: Mark| {
            if let Mark::Line { name: known, role: drawn, .. } = &mut mark {
                (*known, *drawn) = (name.to_owned(), role);
            }
            mark
        }
    };
    let spread =
        before.into_iter().map(named("before", Role::Other)).chain(after.into_iter().map(named("after", Role::Train)));
    vec![
        counted("convolutions", "Residual networks", true).meaning("From left to right, more parameters learn."),
        training(conv, "training").meaning("Five parts of one network, each trained by itself."),
        Plot::of(
            "scales",
            "Scales of the norms before and after training",
            [axis("γ", ""), axis("share", "%")],
            spread.collect(),
        )
        .meaning(format!("{}, norms alone. A random feature whose scale is 0 is switched off. The outermost points hold all that lies beyond.", DEEP.1))
        .says(in_words(results, &deep, NEAR))
        .empty("Lines appear when the network has learned."),
        switched_off(results),
        spectrum::figure(results, CURVED),
        counted("dense", "Networks without convolutions", false).meaning("The same for fully connected layers."),
        training(dense, "training-dense").meaning("Five parts of one network, each trained by itself."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("test accuracy", ACCURACY.last()),
                ("parameters", COUNT),
                ("near 0 at the start", NEAR_START),
                ("near 0 at the end", NEAR),
                ("accuracy with these set to 0", ZEROED),
            ],
        )
        .meaning(format!("Near 0: share of scales smaller than {} in magnitude.", results.knobs.get(&NEAR_ZERO))),
    ]
}

/// The filters of a network whose norms have learned.
fn switched_off(results: &Results) -> Plot {
    let plot = Plot::picture(results, MOSAIC, MOSAIC, "Which random features are switched off");
    match results.picture(MOSAIC) {
        Some(_) => plot,
        None => plot
            .meaning("The filters as they were drawn, those whose scale has ended near 0 in grey.")
            .empty("Filters appear when the network has learned."),
    }
}

/// The mean of a quantity over all networks, seed by seed, or its least where `combine` is that.
fn over(samples: impl IntoIterator<Item = Sample>, combine: impl Fn(f64, f64) -> f64) -> Sample {
    samples.into_iter().reduce(|all, next| all.with(&next, &combine)).unwrap_or_default()
}

fn answer(results: &Results) -> Answer {
    let end = |network: &Network, part: &str| results.sample(&id(network.0, part), ACCURACY);
    let gains: Vec<Sample> =
        NETWORKS.iter().map(|network| end(network, "norms").minus(&end(network, "random"))).collect();
    let least = over(gains, f64::min);
    let mean = |part: &str| {
        let sum = over(NETWORKS.iter().map(|network| end(network, part)), |a, b| a + b);
        Sample(sum.0.into_iter().map(|(seed, value)| (seed, value / NETWORKS.len() as f64)).collect())
    };
    let [norms, random] = ["norms", "random"].map(mean);
    let near = |number: Number, part: &str, network: &Network| results.sample(&id(network.0, part), number);
    let more = |network: &Network| near(NEAR, "norms", network).minus(&near(NEAR_START, "norms", network));
    let [conv, dense] = [&FULL[0], &FULL[1]];
    let switched = over([more(conv), more(dense), more(&DEEP)], f64::min);
    let beyond =
        over([conv, dense].map(|network| near(NEAR, "norms", network).minus(&near(NEAR, "all", network))), f64::min);
    let above_output =
        over([conv, dense].map(|network| end(network, "norms").minus(&end(network, "output"))), f64::min);
    let lost =
        over(NETWORKS.iter().map(|network| end(network, "norms").minus(&near(ZEROED, "norms", network))), f64::max);
    let some_near = results.knobs.get(&NEAR_ZERO) > 0.0;
    let words =
        versus(["Training only the norms", "training equally many random weights"], [&norms, &random], "%", true);
    Answer::new(
        Judged::every_seed(
            "norms above equally many random weights, in the network where they are least ahead",
            &least,
            Bound::AtLeast(10.0),
            "points",
        ),
        format!("{words}, mean over {} networks.", NETWORKS.len()),
    )
    .also([
        Judged::mean(
            format!("norms alone: {} above {}", DEEP.1, WIDE.1),
            &end(&DEEP, "norms").minus(&end(&WIDE, "norms")),
            Bound::AtLeast(2.0),
            "points",
        ),
        Judged::every_seed(
            "norms above the output layer alone, in the worse network",
            &above_output,
            Bound::Above(0.0),
            "points",
        ),
        Judged::every_seed(
            "share of scales near 0: end above start, in the network with the smallest rise",
            &switched,
            Bound::Above(0.0),
            "points",
        )
        .given(some_near, NONE_NEAR),
        Judged::every_seed(
            "share near 0: norms alone above all trained, in the worse network",
            &beyond,
            Bound::Above(0.0),
            "points",
        )
        .given(some_near, NONE_NEAR),
        Judged::mean(
            "accuracy lost when scales near 0 are set to 0, in the network that loses most",
            &lost,
            Bound::AtMost(2.0),
            "points",
        )
        .given(some_near, NONE_NEAR),
    ])
    .more(where_it_fails(results))
}

/// Why nothing is said of scales near 0.
const NONE_NEAR: &str = "no scale counts as near 0";
