//! MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies (Hu et al. 2024): the
//! warmup-stable-decay schedule.

mod transfer;

use engine::figure::{Mark, Role};
use engine::spec::{
    BatchSpec, DataSet, DataSpec, Decay, GptSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
};

use super::diverged::GUESSING;
use super::gauges::{Alignment, SHARPNESS, Sharpness, UPDATE_COSINE};
use super::names::{DIVERGED, LR, TEST_LOSS};
use super::plot::{axis, in_words};
use super::{Answer, Arm, Bound, Branch, Curve, Judged, Knob, Knobs, Label, Plot, Protocol, Results, Sample, Study};

pub(super) const STUDY: Study = Study {
    id: 14,
    slug: "wsd",
    title: "Pay once, stop anywhere",
    paper: "MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies",
    authors: "Hu, Tu, Han, He, Cui et al.",
    year: 2024,
    source: "https://arxiv.org/abs/2404.06395",
    themes: &["learning rate", "language models", "cost"],
    claim: "A warmup-stable-decay schedule matches a cosine of the same length at any stopping point: the loss stays high \
            while the rate is constant and drops sharply in a last decay over about 10% of the steps. So one stable run \
            with branches replaces one cosine run for each budget. And with muP the best learning rate, found on narrow \
            networks (a “wind tunnel”), stays the best as they grow wider.",
    why: "At a constant rate the weights keep moving forward along the valley while noise in proportion to the rate bounces them \
          off its walls. Annealing a copy (lowering its rate) takes the noise out: most of the progress was already there, the \
          decay only makes it visible. The copy is a branch (weights, optimizer moments, place in the data) that never feeds \
          back, which would be a re-warming; the main line stays undecayed, ready for the next budget. A cosine is tied to its \
          length instead: read on the way, its rate is still high. As for widths: a matrix that sums over more inputs moves its \
          output by more at the same rate, so muP divides its rate, and the logits, by the width over that of the wind tunnel.",
    differs: "Characters of Shakespeare and a GPT of 31 thousand parameters (one layer, width 64, 16 characters of \
              context) instead of models of 9 million to 2.4 billion. Both schedules end at 1% of the peak, so that the \
              floor does not decide; the paper's cosine ends at 10%. The transfer of rates between widths is a part of its \
              own, off by default for the time it takes: widths 16 to 128 with a base of 16, 300 steps. The laws of batch \
              size and scaling are not part of this study.",
    seeds: 3,
    seconds: 105.0,
    knobs: &[&PART, &PEAK, &MODEL, &DECAY, &FORM, &STEPS],
    also: &[["part", "widths"]],
    protocol: Protocol::Runs(arms),
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Part {
        Schedules = "wsd", "WSD and cosine";
        Widths = "widths", "best rate by width (muP)";
    }
}
crate::options! {
    Model {
        Tiny = "tiny", "1 layer, context 16";
        Small = "small", "small GPT: 2 layers, context 32";
    }
}

const PART: Knob<Part> =
    Knob::choice("part", "Part", "compares schedules, or widths with and without muP", Part::Schedules);
const PEAK: Knob<f64> = Knob::number(
    "peak",
    "Peak",
    "highest learning rate of every arm; for widths, four times the lowest one tried",
    [1e-4, 0.05],
    4e-3,
);
const MODEL: Knob<Model> = Knob::choice("model", "Model", "the larger takes about ten times as long", Model::Tiny);
const DECAY: Knob<usize> = Knob::integer("decay", "Decay", "percent of the steps; the rest is stable", [1, 50], 10);
const FORM: Knob<Decay> = Knob::choice("form", "Form", "how the rate falls", Decay::Exponential);
const STEPS: Knob<usize> =
    Knob::integer("steps", "Longest budget", "the others are a half and a quarter of it", [400, 4000], 2000);

/// Share of the steps after which a decay is too short.
const SHORT: f64 = 0.025;
/// Nats by which a branch may end above a cosine and still be as good.
const MARGIN: f64 = 0.02;
/// Updates before a stop between which the cosine of successive updates is taken.
const WATCHED: u64 = 8;
/// The stopping points: a quarter, a half, and all of the steps.
fn budgets(knobs: &Knobs) -> [u64; 3] {
    let steps = knobs.get(&STEPS) as u64;
    [steps / 4, steps / 2, steps]
}

/// Where the stable phase of a budget ends.
fn branch_point(knobs: &Knobs, budget: u64) -> u64 {
    budget - (budget * knobs.get(&DECAY) as u64 / 100).max(1)
}

/// The middle of a budget's decay.
fn middle(knobs: &Knobs, budget: u64) -> u64 {
    budget - (budget - branch_point(knobs, budget)) / 2
}

/// Where a decay that is too short begins, at the last budget.
fn short_point(steps: u64) -> u64 {
    steps - ((steps as f64 * SHORT) as u64).max(1)
}

fn cosine(budget: u64) -> String {
    format!("cosine@{budget}")
}

fn branch(budget: u64) -> String {
    format!("wsd@{budget}")
}

const MAIN: &str = "stable";
const EARLY: &str = "short";

fn model(knobs: &Knobs) -> GptSpec {
    let tiny = GptSpec { context: 16, width: 64, depth: 1, heads: 4, ratio: 1, tied: true, ..GptSpec::default() };
    if knobs.get(&MODEL) == Model::Tiny { tiny } else { GptSpec { context: 32, depth: 2, ratio: 4, ..tiny } }
}

fn spec(knobs: &Knobs, kind: Shape, steps: u64) -> RunSpec {
    RunSpec {
        data: DataSpec { test: 20_000, ..DataSpec::of(DataSet::Shakespeare) },
        model: ModelSpec::Gpt(model(knobs)),
        optimizer: OptimizerSpec {
            kind: Rule::AdamW,
            beta2: 0.95,
            weight_decay: 0.1,
            clip: 1.0,
            ..OptimizerSpec::default()
        },
        schedule: ScheduleSpec { kind, peak: knobs.get(&PEAK), warmup: 50, floor: 0.01, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 16, ..BatchSpec::default() },
        steps,
        ..RunSpec::default()
    }
}

fn arms(knobs: &Knobs) -> Vec<Arm> {
    if transfer::asked(knobs) { transfer::arms(knobs) } else { schedules(knobs) }
}

fn schedules(knobs: &Knobs) -> Vec<Arm> {
    let budgets = budgets(knobs);
    let last = budgets[2];
    let form = knobs.get(&FORM);
    let main = spec(knobs, Shape::Constant, last);
    let leave = |label: Label, at: u64, steps: u64| Branch {
        label,
        at,
        schedule: ScheduleSpec { kind: Shape::Wsd, form, decay: steps - at, ..main.schedule.clone() },
        steps,
    };
    let mut branches: Vec<Branch> = budgets
        .iter()
        .map(|&budget| {
            leave(Label::new(&branch(budget), format!("WSD, {budget} steps")), branch_point(knobs, budget), budget)
        })
        .collect();
    branches.push(leave(Label::new(EARLY, "WSD, 2.5% decay").dotted(), short_point(last), last));
    branches.sort_by_key(|branch| branch.at);
    let reads = [&budgets[..], &[middle(knobs, last)]].concat();
    let sharp = vec![branch_point(knobs, last), middle(knobs, last), last];
    let with = |label: Label, spec: RunSpec| Arm {
        reads: reads.clone(),
        gauges: vec![Alignment::over(WATCHED), Sharpness::at(sharp.clone())],
        ..Arm::new(label, spec)
    };
    let stable = Arm { branches, ..with(Label::new(MAIN, "constant rate").dashed(), main.clone()) };
    let cosines = budgets.iter().map(|&budget| {
        with(Label::baseline(&cosine(budget), format!("cosine, {budget} steps")), spec(knobs, Shape::Cosine, budget))
    });
    cosines.chain([stable]).collect()
}

fn figures(results: &Results) -> Vec<Plot> {
    if transfer::asked(&results.knobs) {
        return transfer::figures(results);
    }
    let budgets = budgets(&results.knobs);
    let ends = |arm: fn(u64) -> String| {
        let of_budget = |&budget: &u64| {
            let loss = loss_at(results, &arm(budget), budget);
            (!loss.is_empty()).then(|| format!("{} at {budget}", loss.mean_in_words()))
        };
        budgets.iter().filter_map(of_budget).collect::<Vec<String>>().join(", ")
    };
    let words = match (ends(branch), ends(cosine)) {
        (wsd, cosine) if wsd.is_empty() || cosine.is_empty() => String::new(),
        (wsd, cosine) => format!("branches end at {wsd}; cosines at {cosine}"),
    };
    let over_updates = |id: &str, title: &str, curve: Curve, [quantity, unit]: [&str; 2]| {
        Plot::curves(results, id, title, [axis("update", ""), axis(quantity, unit)], &results.arms, curve)
    };
    let start = (budgets[0] / 2) as f64;
    let lengths = [cosine(budgets[2]), branch(budgets[2])];
    let [whole, decayed] = lengths.each_ref().map(|arm| loss_at(results, arm, budgets[2]));
    let against = match whole.minus(&decayed).mean() {
        below if below > MARGIN => "The longest ends below where its cosine ends. ",
        below if below < -MARGIN => "The longest ends above where its cosine ends. ",
        below if below.is_finite() => "The longest ends about where its cosine ends. ",
        _ => "",
    };
    let curved = in_words(results, &results.labels([MAIN, &lengths[1], &lengths[0]]), SHARPNESS);
    vec![
        over_updates("loss", "Validation loss", TEST_LOSS, ["cross-entropy", "nats/char"])
            .changed(|mark| leave_out_before(start, mark))
            .with(cosine_ends(results))
            .meaning(format!(
                "Each budget has a branch that leaves the stable run to be decayed. {against}Shown from update {start} on."
            ))
            .says(words)
            .empty("Lines grow while the arms train."),
        over_updates("rates", "Learning rate", LR, ["learning rate", ""])
            .meaning("One stable run with a decay for each budget, against a cosine run for each.")
            .says("")
            .empty("The schedules, as the arms run."),
        over_updates("alignment", "Cosine of successive updates", UPDATE_COSINE, ["cosine", ""])
            .meaning("Near 1, updates keep going in one direction; at a lower rate they bounce less from wall to wall.")
            .empty("A point wherever the arms are evaluated."),
        over_updates("sharpness", "Sharpest curvature", SHARPNESS, ["λ₁ of the Hessian", ""])
            .meaning("Before, in the middle and at the end of the last decay: a lower rate tolerates sharper places.")
            .says(curved)
            .empty("Points about the last decay of each arm."),
    ]
}

/// Takes the points of a line before an update away: the first losses are so high that all later ones would look alike.
fn leave_out_before(start: f64, mark: &mut Mark) {
    if let Mark::Line { points, band, .. } = mark {
        let early = points.iter().take_while(|[x, _]| *x < start).count();
        points.drain(..early);
        band.drain(..early.min(band.len()));
    }
}

/// Where the cosines end, as dots.
fn cosine_ends(results: &Results) -> Option<Mark> {
    let of_budget = |budget: u64| {
        let mean = loss_at(results, &cosine(budget), budget).mean();
        mean.is_finite().then_some([budget as f64, mean])
    };
    let points: Vec<[f64; 2]> = budgets(&results.knobs).into_iter().filter_map(of_budget).collect();
    let name = "ends of the cosines".into();
    (!points.is_empty()).then_some(Mark::Scatter { name, role: Role::Limit, points, classes: vec![] })
}

/// An arm's loss after so many updates, seed by seed; where it had diverged by then, that of guessing.
fn loss_at(results: &Results, arm: &str, step: u64) -> Sample {
    results.by_seed(|seed| {
        let own = results.outcome(arm, seed);
        // A stable run that diverged early has let no branch go.
        let line = own.or_else(|| results.outcome(MAIN, seed))?;
        let diverged = line.numbers.get(&DIVERGED).is_some_and(|&update| update <= step as f64);
        let point = || own?.curve(TEST_LOSS).iter().find(|[update, _]| *update == step as f64);
        let loss = if diverged { GUESSING } else { point()?[1] };
        Some(if loss.is_finite() { loss } else { GUESSING })
    })
}

/// Whether two runs diverged with the same seed, so that nothing is claimed of them.
fn both_lost(one: &Sample, other: &Sample) -> bool {
    one.with(other, f64::min).values().any(|better| better == GUESSING)
}

fn answer(results: &Results) -> Answer {
    if transfer::asked(&results.knobs) {
        return transfer::answer(results);
    }
    let knobs = &results.knobs;
    let budgets = budgets(knobs);
    let [first, second, last] = budgets;
    let at = |arm: &str, step: u64| loss_at(results, arm, step);
    let decayed = |budget: u64| at(&branch(budget), budget);
    let whole = |budget: u64| at(&cosine(budget), budget);
    let above = |budget: u64| decayed(budget).minus(&whole(budget));
    let compared = |budget: u64| !both_lost(&decayed(budget), &whole(budget));
    let worst = above(first).with(&above(second), f64::max).with(&above(last), f64::max);
    let worst =
        Judged::as_good("branch above a cosine of the same length, at the worst budget", &worst, MARGIN, "nats")
            .given(budgets.into_iter().all(compared), LOST);
    let cosines = |budget: u64| {
        Judged::as_good(format!("branch above a cosine of {budget} steps"), &above(budget), MARGIN, "nats")
            .given(compared(budget), LOST)
    };
    let below = |name: &str, other: Sample, budget: u64, least: f64| {
        let branch = decayed(budget);
        Judged::mean(name, &other.minus(&branch), Bound::AtLeast(least), "nats")
            .given(!both_lost(&other, &branch), LOST)
    };
    let hot = |budget: u64| {
        let name = format!("branch below the longest cosine, read at {budget} steps");
        below(&name, at(&cosine(last), budget), budget, 0.01)
    };
    let longer = branch_point(knobs, last) < short_point(last);
    let [half, drop] = first_half(results, last);
    let [alone, branched] = updates(knobs);
    let losses =
        |arm: fn(u64) -> String| budgets.map(|budget| said(at(&arm(budget), budget).mean_in_words())).join(", ");
    let words = format!(
        "After {first}, {second} and {last} steps the branches of one stable run have a loss of {} nats, a cosine run for each \
         {}: {branched} instead of {alone} updates.",
        losses(branch),
        losses(cosine),
    );
    let sharp = |arm: &str, step: u64| said(results.sample_at(arm, SHARPNESS, step as f64).to_string());
    let aligned = |arm: &str| said(results.sample(arm, UPDATE_COSINE).to_string());
    let last_branch = branch(last);
    let more = format!(
        "The constant rate ends at {}. Successive updates have a cosine of {} at the constant rate and of {} at the end of \
         the decay, in which the sharpest curvature goes from {} to {}.",
        said(at(MAIN, last).to_string()),
        aligned(MAIN),
        aligned(&last_branch),
        sharp(&last_branch, branch_point(knobs, last)),
        sharp(&last_branch, last),
    );
    let lost = results.diverged_in_words(&format!("guessing ({GUESSING} nats)"));
    Answer::new(worst, words).more(more).more(lost).also(budgets.map(cosines)).also([
        below("last branch below the constant rate", at(MAIN, last), last, 0.03),
        hot(first),
        hot(second),
        Judged::mean("share of the drop in the first half of the decay", &half, Bound::AtLeast(60.0), "%")
            .given(drop.is_empty() || drop.min() > 0.0, "with a seed or more the decay lowers no loss"),
        below("last branch below a decay over 2.5% of the steps", at(EARLY, last), last, 0.005)
            .given(longer, "the decay is no longer than that"),
    ])
}

const LOST: &str = "both runs diverged";

/// A number in words, or that there is none.
fn said(words: String) -> String {
    if ["–", "NaN"].contains(&words.as_str()) { "(not measured)".into() } else { words }
}

/// Percent of the last branch's drop that its first half brings, and the drop, seed by seed.
fn first_half(results: &Results, budget: u64) -> [Sample; 2] {
    let knobs = &results.knobs;
    let at = |step: u64| loss_at(results, &branch(budget), step);
    let [start, middle, end] = [branch_point(knobs, budget), middle(knobs, budget), budget].map(at);
    let drop = start.minus(&end);
    [start.minus(&middle).with(&drop, |half, whole| 100.0 * half / whole), drop]
}

/// Updates of cosine runs of all budgets, and of a stable run with a branch for each.
fn updates(knobs: &Knobs) -> [u64; 2] {
    let budgets = budgets(knobs);
    let aside: u64 = budgets.iter().map(|&budget| budget - branch_point(knobs, budget)).sum();
    [budgets.iter().sum(), branch_point(knobs, budgets[2]) + aside]
}

#[cfg(test)]
mod tests;
