//! Train longer, generalize better: closing the generalization gap in large batch training of neural networks (Hoffer,
//! Hubara, Soudry 2017).

mod noise;

use engine::figure::Mark;
use engine::numeric::fit::line;
use engine::spec::{
    BatchSpec, Between, DataSet, DataSpec, DecayKind, MlpSpec, ModelSpec, Norm, OptimizerSpec, Rule, RunSpec,
    ScheduleSpec, Shape,
};

use super::gauges::{DISTANCE, Distance};
use super::names::ACCURACY;
use super::plot::{axis, curves, in_words, log_axis};
use super::{Answer, Arm, Bound, Judged, Knob, Knobs, Label, Plot, Protocol, Results, Sample, Study, versus};
use noise::{NOISE, Noise};

pub(super) const STUDY: Study = Study {
    id: 25,
    slug: "train-longer",
    title: "Large batches want a higher rate, and more time",
    paper: "Train longer, generalize better: closing the generalization gap in large batch training of neural networks",
    authors: "Hoffer, Hubara, Soudry",
    year: 2017,
    source: "https://arxiv.org/abs/1705.08741",
    themes: &["batch size", "normalization", "schedule"],
    claim: "Large batches generalize worse because they make fewer updates, not because they are large. With a rate that grows \
            with the root of the batch, norms that see small ghosts of it, and as many updates as small batches make, the gap \
            closes. Early on the distance from the start grows as the logarithm of time.",
    why: "An update from a large batch is less noisy, so at the same rate the parameters wander less far. The covariance of an \
          update is about η²/B times that of single gradients: a rate proportional to √B keeps it constant. What is left is \
          time. If the distance from the start grows as a logarithm, few updates end where the small batch was early in its \
          training. Batch norm is a second difference: small batches normalize by noisy means, and evaluation does not.",
    differs: "4,000 MNIST images pooled to 14×14 and an MLP 196-64-64-64-10 with batch norm; batches of 40 and 2,000 \
              images, 2,000 and 40 updates. The small batch has a rate of 0.05, which was not searched; the rule gives the \
              others theirs. Training longer is ten times as many epochs by default, a fifth of what would make as many \
              updates as the small batch has; “Longer” at 50 makes them equal. The rate falls to a tenth after 40% and \
              after 70% of a run. In the last 30 updates of every arm the rate is 0, so that only the norms' running \
              statistics move: otherwise a run of 40 updates would be judged by stale ones.",
    seeds: 3,
    seconds: 60.0,
    knobs: &[&LARGE, &GHOST, &FACTOR, &REGIME, &RATE],
    protocol: Protocol::Runs(arms),
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    RateRule {
        None = "none", "as it is";
        Root = "sqrt", "times the root of the ratio";
        Linear = "linear", "times the ratio";
    }
}

const LARGE: Knob<usize> =
    Knob::integer("large", "Large batch", "of 4,000 images; the small one has 40", [80, 4000], 2000);
const GHOST: Knob<usize> =
    Knob::integer("ghost", "Ghost", "images of a large batch that the norms see at a time", [2, 4000], SMALL);
const FACTOR: Knob<RateRule> =
    Knob::choice("factor", "Rate of large batches", "relative to the small batch's", RateRule::Root);
const REGIME: Knob<usize> = Knob::integer(
    "regime",
    "Longer",
    "times as many epochs; the ratio of the batches makes updates as many",
    [1, 100],
    10,
);
const RATE: Knob<f64> = Knob::number("rate", "Rate of the small batch", "its first rate", [1e-3, 0.5], 0.05);

/// Training images, and those of a small batch.
const IMAGES: usize = 4000;
const SMALL: usize = 40;
/// Epochs of arms that train no longer.
const EPOCHS: usize = 20;
/// The rate falls to a tenth after these shares of a run.
const FALLS: [f64; 2] = [0.4, 0.7];
/// So many points below the small batch count as having closed the gap.
const CLOSE: f64 = 1.5;
/// Longest gradient of arms with a high rate.
const CLIP: f64 = 5.0;
/// Updates at rate 0 at the end of every arm, in which the norms' running statistics catch up.
const STILL: u64 = 30;
/// Distances are read so many times while the rate is constant, evenly in the logarithm of the updates.
const READS: u32 = 16;

/// Whether an arm has large batches, the rate that goes with them, ghosts, and trains longer.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    large: bool,
    scaled: bool,
    ghosts: bool,
    longer: bool,
}

const WAYS: [(&str, &str, Way); 6] = {
    let small = Way { large: false, scaled: false, ghosts: false, longer: false };
    let large = Way { large: true, ..small };
    let scaled = Way { scaled: true, ..large };
    let ghosts = Way { ghosts: true, ..scaled };
    [
        ("SB", "small", small),
        ("LB", "large", large),
        ("LR", "large, rate", scaled),
        ("GBN", "large, rate, ghosts", ghosts),
        ("RA", "large, rate, longer", Way { longer: true, ..scaled }),
        ("ALL", "large, rate, ghosts, longer", Way { longer: true, ..ghosts }),
    ]
};

fn way_of(arm: &str) -> Way {
    WAYS.iter().find(|(id, ..)| *id == arm).map_or(Way::default(), |(.., way)| *way)
}

/// What the rate of large batches is multiplied by.
fn factor(knobs: &Knobs) -> f64 {
    let ratio = knobs.get(&LARGE) as f64 / SMALL as f64;
    match knobs.get(&FACTOR) {
        RateRule::None => 1.0,
        RateRule::Root => libm::sqrt(ratio),
        RateRule::Linear => ratio,
    }
}

/// Batch size and updates that learn, of an arm.
fn sizes(knobs: &Knobs, way: Way) -> (usize, u64) {
    let size = if way.large { knobs.get(&LARGE) } else { SMALL };
    let epochs = if way.longer { EPOCHS * knobs.get(&REGIME) } else { EPOCHS };
    (size, (epochs * (IMAGES / size)) as u64)
}

/// Updates at the first rate.
fn first_fall(updates: u64) -> u64 {
    (FALLS[0] * updates as f64).round() as u64
}

/// A rate that falls to a tenth twice, then is 0.
fn falling(rate: f64, updates: u64) -> ScheduleSpec {
    let [first, second] = FALLS.map(|share| (share * updates as f64).round() as u64);
    let mut points = vec![(0, rate)];
    for (at, before, after) in
        [(first, rate, 0.1 * rate), (second, 0.1 * rate, 0.01 * rate), (updates, 0.01 * rate, 0.0)]
    {
        points.extend([(at - 1, before), (at, after)]);
    }
    points.dedup_by_key(|(at, _)| *at);
    let points: Vec<String> = points.iter().map(|(at, rate)| format!("{at}:{rate}")).collect();
    ScheduleSpec {
        kind: Shape::Drawn,
        points: points.join(","),
        between: Between::Linear,
        warmup: 0,
        ..ScheduleSpec::default()
    }
}

fn arms(knobs: &Knobs) -> Vec<Arm> {
    let arm = |&(id, name, way): &(&str, &'static str, Way)| {
        let (size, updates) = sizes(knobs, way);
        let rate = knobs.get(&RATE) * if way.scaled { factor(knobs) } else { 1.0 };
        let ghost = if way.ghosts { knobs.get(&GHOST) } else { 0 };
        let spec = RunSpec {
            data: DataSpec { train: IMAGES, test: 1000, size: 14, ..DataSpec::of(DataSet::Mnist) },
            model: ModelSpec::Mlp(MlpSpec { hidden: vec![64; 3], norm: Norm::Batch, ghost, ..MlpSpec::default() }),
            optimizer: OptimizerSpec {
                weight_decay: 1e-4,
                decay: DecayKind::Coupled,
                decay_exempt: false,
                clip: if way.scaled { CLIP } else { 0.0 },
                ..OptimizerSpec::of(Rule::Momentum)
            },
            schedule: falling(rate, updates),
            // All of a batch at once: norms see micro-batches.
            batch: BatchSpec { size, micro: size, ..BatchSpec::default() },
            steps: updates + STILL,
            ..RunSpec::default()
        };
        let label = match id {
            "SB" => Label::baseline(id, name),
            "LB" => Label::baseline(id, name).dotted(),
            "LR" => Label::new(id, name).dotted(),
            "GBN" => Label::new(id, name).dashed(),
            "RA" => Label::new(id, name).long_dashed(),
            _ => Label::new(id, name),
        };
        let seen = if way.ghosts { knobs.get(&GHOST).min(size) } else { size };
        Arm {
            readings: 10,
            reads: doublings(first_fall(updates)),
            gauges: vec![Distance::gauge(), Box::new(Noise(seen))],
            ..Arm::new(label, spec)
        }
    };
    WAYS.iter().map(arm).collect()
}

/// Updates evenly in their logarithm, up to `last`.
fn doublings(last: u64) -> Vec<u64> {
    let at = |place| (last as f64).powf(f64::from(place) / f64::from(READS)).round() as u64;
    let mut reads: Vec<u64> = (0..=READS).map(at).collect();
    reads.dedup();
    reads
}

/// Goodness of two fits to the distance while the rate is constant, over all updates but the first fiftieth: against the
/// logarithm of the updates, and against the updates.
fn fits(points: &[[f64; 2]], last: u64) -> [f64; 2] {
    let within = |[x, _]: &&[f64; 2]| *x >= 0.02 * last as f64 && *x <= last as f64;
    let within: Vec<[f64; 2]> = points.iter().filter(within).copied().collect();
    let log: Vec<[f64; 2]> = within.iter().map(|&[x, y]| [x.ln(), y]).collect();
    [line(&log).r2, line(&within).r2]
}

/// A point's place in epochs instead of updates.
fn by_epoch(results: &Results, label: &Label, mark: Mark) -> Mark {
    let way = way_of(&label.id);
    let share = sizes(&results.knobs, way).0 as f64 / IMAGES as f64;
    match mark {
        Mark::Line { name, role, dash, points, band } => {
            Mark::Line { name, role, dash, points: points.into_iter().map(|[x, y]| [share * x, y]).collect(), band }
        }
        mark => mark,
    }
}

fn figures(results: &Results) -> Vec<Plot> {
    let all = &results.arms;
    let epochs = all.iter().flat_map(|label| {
        let lines = curves(results, std::slice::from_ref(label), ACCURACY);
        lines.into_iter().map(move |mark| by_epoch(results, label, mark))
    });
    let accuracy = |x: &str| [log_axis(x, ""), axis("test accuracy", "%")];
    let far = results.labels(["SB", "LB", "LR", "RA"]);
    let constant = |label: &Label| {
        let way = way_of(&label.id);
        let last = first_fall(sizes(&results.knobs, way).1) as f64;
        curves(results, std::slice::from_ref(label), DISTANCE).into_iter().map(move |mut mark| {
            if let Mark::Line { points, band, .. } = &mut mark {
                let within = points.iter().take_while(|[x, _]| *x <= last).count();
                points.truncate(within);
                band.truncate(within);
            }
            mark
        })
    };
    let distances = far.iter().flat_map(constant).collect();
    vec![
        Plot::of("epochs", "Accuracy by epochs", accuracy("epochs"), epochs.collect())
            .says(in_words(results, all, ACCURACY))
            .meaning("Test accuracy by how often an arm has seen the data; a large batch makes fewer updates of as much data.")
            .empty("Lines grow while the arms train."),
        Plot::curves(results, "updates", "Accuracy by updates", accuracy("updates"), all, ACCURACY)
            .meaning("The same runs by updates: arms above each other have made equally many.")
            .empty("Lines grow while the arms train."),
        Plot::dots(results, "end", "Final accuracy", "test accuracy", all, ACCURACY)
            .meaning("One dot per seed.")
            .empty("Dots appear when an arm has trained."),
        Plot::of("distance", "Distance from the start", [log_axis("updates", ""), axis("distance", "")], distances)
            .says(in_words(results, &far, DISTANCE))
            .meaning("While the rate is constant. On this logarithmic axis a straight line is a logarithm of time.")
            .empty("Lines grow while the arms train."),
        Plot::dots(results, "noise", "Noise of the mean that norms subtract", "variance of a mean", all, NOISE)
            .meaning("How much the mean over what a norm sees at a time differs from draw to draw, relative to the variance of a \
                      unit in the first layer.")
            .empty("Dots appear when an arm has trained."),
        Plot::table(results, "All numbers", &[("test accuracy", ACCURACY.last()), ("distance", DISTANCE.last()), ("noise", NOISE)])
            .meaning("Mean over the seeds, with the deviation."),
    ]
}

/// Goodness of the fits to an arm's distances, seed by seed, and of the worse one.
fn goodness(results: &Results, arm: &str) -> [Sample; 2] {
    let way = way_of(arm);
    let last = first_fall(sizes(&results.knobs, way).1);
    [0, 1].map(|which| {
        let of = |(seed, outcome): (u64, &super::Outcome)| (seed, fits(outcome.curve(DISTANCE), last)[which]);
        Sample(results.outcomes(arm).map(of).filter(|(_, r2)| r2.is_finite()).collect())
    })
}

fn answer(results: &Results) -> Answer {
    let knobs = &results.knobs;
    let [large_size, ghost, regime] = [&LARGE, &GHOST, &REGIME].map(|knob| knobs.get(knob));
    let end = |arm: &str| results.sample(arm, ACCURACY);
    let [small, large, rate, ghosts, longer, all] = WAYS.map(|(id, ..)| end(id));
    let noise = |arm: &str| results.sample(arm, NOISE);
    let [log, straight] = goodness(results, "SB");
    let compared = (results.diverged("SB") == 0, "the small batch diverged");
    let close = |name: &str, behind: &Sample| {
        Judged::most_seeds(name, behind, Bound::AtMost(CLOSE), "points", [2, 3]).given(compared.0, compared.1)
    };
    let gap = small.minus(&all);
    let names = ["The large batch with all three remedies", "the small one"];
    let words = if gap.mean() > 0.0 && gap.mean() <= CLOSE {
        let [far, high, low] = [&gap, &small, &all].map(Sample::mean_in_words);
        format!("{} comes within {far} points of {}: {low} against {high}%", names[0], names[1])
    } else {
        versus(names, [&all, &small], "%", true)
    };
    let gained = longer.with(&all, f64::min).minus(&rate);
    let relative = |to: &str, bound: Bound| {
        let name = match to {
            "LR" => "noise of a ghost's statistics, relative to the whole batch's",
            _ => "noise of a ghost's statistics, relative to the small batch's",
        };
        Judged::mean(name, &noise("GBN").over(&noise(to)), bound, "×")
    };
    Answer::new(close("small batch above the large one with all three", &gap), format!("{words}."))
        .also([
            Judged::mean(
                "small batch above the unchanged large one",
                &small.minus(&large),
                Bound::AtLeast(5.0),
                "points",
            )
            .given(compared.0, compared.1),
            Judged::mean("gained by the rate", &rate.minus(&large), Bound::AtLeast(4.0), "points")
                .given(knobs.get(&FACTOR) != RateRule::None, "the rate is as it was"),
            Judged::most_seeds(
                "gained by training longer, with ghosts or without, the less",
                &gained,
                Bound::AtLeast(1.0),
                "points",
                [2, 3],
            )
            .given(regime > 1, "no arm trains longer"),
            close("small batch above the large one with rate and time", &small.minus(&longer)),
            Judged::mean(
                "ghosts without more updates: accuracy gained",
                &ghosts.minus(&rate),
                Bound::Between(-1.0, 1.0),
                "points",
            )
            .given(ghost < large_size, "a ghost is the whole batch"),
            relative("LR", Bound::AtLeast(10.0))
                .given(10 * ghost <= large_size, "a ghost is more than a tenth of the batch")
                .given(large_size < IMAGES, "the whole batch is all images, whose statistics have no noise"),
            relative("SB", Bound::Between(0.9, 1.1))
                .given(ghost == SMALL, "ghosts are not as large as the small batch"),
            Judged::every_seed(
                "small batch: R² of the distance against the logarithm of updates",
                &log,
                Bound::AtLeast(0.95),
                "",
            )
            .given(compared.0, compared.1),
            Judged::every_seed("the same, above R² against updates", &log.minus(&straight), Bound::Above(0.0), "")
                .given(compared.0, compared.1),
        ])
        .more(steps_to_close(results, &[large, rate, ghosts, all].map(|arm| small.minus(&arm))))
        .more(results.diverged_in_words("guessing from there on"))
}

/// How far behind the small batch the large one is with each remedy more.
fn steps_to_close(results: &Results, behind: &[Sample; 4]) -> String {
    let said = |sample: &Sample| if sample.is_empty() { "(not measured)".into() } else { sample.mean_in_words() };
    let [large, rate, ghosts, all] = behind.each_ref().map(said);
    format!(
        "Points by which the large batch is behind: as it is {large}; with its own rate {rate}; with ghosts too {ghosts}; with \
         {} times as many epochs as well {all}.",
        results.knobs.get(&REGIME),
    )
}

#[cfg(test)]
mod tests;
