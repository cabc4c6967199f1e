//! MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies (Hu et al. 2024): the
//! warmup-stable-decay schedule.

mod transfer;

use engine::figure::{Figure, Knob, Mark, Role, Verdict};
use engine::spec::{
    BatchSpec, Choice, DataSet, DataSpec, Decay, GptSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
};

use super::draw::{axis, chart, curves, in_words, with_alt};
use super::{Arm, Bound, Branch, Checks, Knobs, Label, Protocol, Results, Sample, Study};

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
    why: "At a constant rate the weights keep moving forward along the valley while noise in proportion to the rate bounces \
          them off its walls. Annealing a copy takes the noise out: most of the progress was already there, the decay only \
          makes it visible. The copy is a branch (weights, optimizer moments, place in the data) that never feeds back, \
          which would be a re-warming; the main line stays undecayed, ready for the next budget. A cosine is tied to its \
          length instead: read on the way, it is still hot. As for widths: a matrix that sums over more inputs moves its output \
          by more at the same rate, so muP divides its rate, and the logits, by the width over that of the wind tunnel.",
    expected: "At each of three budgets the branch's validation loss is within 0.02 nats of that of a cosine run of its \
               own, on either side; it is at least 0.03 below the constant rate's at the last budget, and at least 0.01 \
               below that of the longest cosine read at the first and at the second. At least 60% of the drop comes in the \
               first half of the decay, and a decay over 2.5% of the steps is at least 0.005 worse than one over 10%. In \
               the part “rate over widths”, the best of five rates moves by at most one place over the widths with muP, \
               and by at least two without.",
    differs: "Characters of Shakespeare and a GPT of 31 thousand parameters (one layer, width 64, 16 characters of \
              context) instead of models of 9 million to 2.4 billion. Both schedules end at 1% of the peak, so that the \
              floor does not decide; the paper's cosine ends at 10%. The transfer of rates between widths is a part of its \
              own, off by default for the time it takes: widths 16 to 128 with a base of 16, 300 steps. The laws of batch \
              size and scaling are not part of this study.",
    seeds: 2,
    flop: 4.5e11,
    knobs,
    also: &[["part", "widths"]],
    protocol: Protocol::Runs(arms),
    figures,
    verdict,
};

const PARTS: &[Choice] = &[Choice::new("wsd", "WSD and cosine"), Choice::new("widths", "rate over widths (muP)")];
const MODELS: &[Choice] =
    &[Choice::new("tiny", "1 layer, context 16"), Choice::new("small", "small GPT: 2 layers, context 32")];
/// Share of the steps after which a decay is too short.
const SHORT: f64 = 0.025;
/// Updates before a stop between which the cosine of successive updates is taken.
const WATCHED: u64 = 8;
const LOSS: &str = "test_loss";

fn knobs() -> Vec<Knob> {
    vec![
        Knob::choice("part", "Part", "what is compared: schedules, or widths with and without muP", PARTS, "wsd"),
        Knob::number(
            "peak",
            "Peak",
            "highest learning rate, of every arm; of widths, the lowest tried",
            [1e-4, 0.05],
            4e-3,
        ),
        Knob::choice("model", "Model", "the larger takes about ten times as long", MODELS, "tiny"),
        Knob::integer("decay", "Decay", "percent of the steps; the rest is stable", [1, 50], 10),
        Knob::choice("form", "Form", "how the rate falls", Decay::CHOICES, Decay::Exponential.id()),
        Knob::integer("steps", "Longest budget", "the others are a half and a quarter of it", [400, 4000], 2000),
    ]
}

/// The stopping points: a quarter, a half, and all of the steps.
fn budgets(knobs: &Knobs) -> [u64; 3] {
    let steps = knobs.integer("steps") as u64;
    [steps / 4, steps / 2, steps]
}

/// Where the stable phase of a budget ends.
fn branch_point(knobs: &Knobs, budget: u64) -> u64 {
    budget - (budget * knobs.integer("decay") as u64 / 100).max(1)
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
    if knobs.choice("model") == "tiny" { tiny } else { GptSpec { context: 32, depth: 2, ratio: 4, ..tiny } }
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
        schedule: ScheduleSpec { kind, peak: knobs.number("peak"), warmup: 50, floor: 0.01, ..ScheduleSpec::default() },
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
    let form = Decay::from_id(knobs.choice("form")).unwrap_or(Decay::Exponential);
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
        sharp: sharp.clone(),
        watched: WATCHED,
        ..Arm::new(label, spec)
    };
    let stable = Arm { branches, ..with(Label::new(MAIN, "constant rate").dashed(), main.clone()) };
    let cosines = budgets.iter().map(|&budget| {
        with(Label::baseline(&cosine(budget), format!("cosine, {budget} steps")), spec(knobs, Shape::Cosine, budget))
    });
    cosines.chain([stable]).collect()
}

fn figures(results: &Results) -> Vec<Figure> {
    if transfer::asked(&results.knobs) {
        return transfer::figures(results);
    }
    let budgets = budgets(&results.knobs);
    let ends = |arm: fn(u64) -> String| {
        let of_budget = |&budget: &u64| {
            let mean = results.sample(&arm(budget), LOSS).mean();
            mean.is_finite().then(|| format!("{mean:.3} at {budget}"))
        };
        budgets.iter().filter_map(of_budget).collect::<Vec<String>>().join(", ")
    };
    let words = match (ends(branch), ends(cosine)) {
        (wsd, cosine) if wsd.is_empty() || cosine.is_empty() => String::new(),
        (wsd, cosine) => format!("branches end at {wsd}; cosines at {cosine}"),
    };
    let over_updates = |id: &str, title: &str, meaning: &str, curve: &str, [quantity, unit]: [&str; 2]| {
        chart(id, title, meaning, [axis("update", ""), axis(quantity, unit)], curves(results, &results.arms, curve))
    };
    let start = (budgets[0] / 2) as f64;
    let meaning = format!(
        "Branches fall off the stable plateau like cliffs, and end about where the cosines end. From update {start} on."
    );
    let mut loss = over_updates("loss", "Validation loss", &meaning, LOSS, ["cross-entropy", "nats/char"]);
    loss.marks.iter_mut().for_each(|mark| leave_out_before(start, mark));
    loss.marks.extend(cosine_ends(results));
    let meaning = "One stable run with a short decay for each budget, against a cosine run for each.";
    let rates = over_updates("rates", "Learning rate", meaning, "lr", ["learning rate", ""]);
    let meaning = "While the rate falls, updates begin to agree: less bouncing, more going forward.";
    let alignment = over_updates("alignment", "Cosine of successive updates", meaning, "update_cosine", ["cosine", ""]);
    let meaning =
        "Before, in the middle and at the end of the last decay: a lower rate bears, and finds, sharper places.";
    let sharpness = over_updates("sharpness", "Sharpest curvature", meaning, "sharpness", ["λ₁ of the Hessian", ""]);
    let curved = in_words(results, &results.labels([MAIN, &branch(budgets[2]), &cosine(budgets[2])]), "sharpness", "");
    vec![
        with_alt(loss, &words, "Lines grow while the arms train."),
        with_alt(rates, "", "The schedules, as the arms run."),
        with_alt(alignment, "", "A point wherever the arms are evaluated."),
        with_alt(sharpness, &curved, "Points about the last decay of each arm."),
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
        let mean = results.sample_at(&cosine(budget), LOSS, budget as f64).mean();
        mean.is_finite().then_some([budget as f64, mean])
    };
    let points: Vec<[f64; 2]> = budgets(&results.knobs).into_iter().filter_map(of_budget).collect();
    let name = "ends of the cosines".into();
    (!points.is_empty()).then_some(Mark::Scatter { name, role: Role::Limit, points, classes: vec![] })
}

fn verdict(results: &Results) -> Verdict {
    if transfer::asked(&results.knobs) {
        return transfer::verdict(results);
    }
    let knobs = &results.knobs;
    let budgets = budgets(knobs);
    let [first, second, last] = budgets;
    let at = |arm: &str, step: u64| results.sample_at(arm, LOSS, step as f64);
    let decayed = |budget: u64| at(&branch(budget), budget);
    let mut checks = Checks::new();
    for budget in budgets {
        let gap = decayed(budget).minus(&at(&cosine(budget), budget));
        checks.mean(&format!("above a cosine of {budget} steps"), &gap, Bound::Between(-0.02, 0.02), "nats");
    }
    let noise = at(MAIN, last).minus(&decayed(last));
    checks.mean("below the constant rate", &noise, Bound::AtLeast(0.03), "nats");
    for budget in [first, second] {
        let hot = at(&cosine(last), budget).minus(&decayed(budget));
        let name = format!("below the longest cosine, read at {budget} steps");
        checks.mean(&name, &hot, Bound::AtLeast(0.01), "nats");
    }
    let share = first_half(results, last);
    checks.mean("part of the drop in the first half of the decay", &share, Bound::AtLeast(60.0), "%");
    let short = at(EARLY, last).minus(&decayed(last));
    let longer = checks.given(branch_point(knobs, last) < short_point(last), "the decay is no longer than that");
    longer.mean("below a decay over 2.5% of the steps", &short, Bound::AtLeast(0.005), "nats");
    let [alone, branched] = updates(knobs);
    let measured = format!(
        "Validation loss after {first}, {second} and {last} steps: {:.3}, {:.3} and {:.3} with branches of one stable run, \
         {:.3}, {:.3} and {:.3} with cosines of their own, at {branched} instead of {alone} updates; {:.3} at the constant \
         rate. Successive updates have a cosine of {:.2} at the constant rate and of {:.2} at the end of the decay, in which \
         the sharpest curvature goes from {:.1} to {:.1}.",
        decayed(first),
        decayed(second),
        decayed(last),
        at(&cosine(first), first),
        at(&cosine(second), second),
        at(&cosine(last), last),
        at(MAIN, last),
        results.sample(MAIN, "update_cosine"),
        results.sample(&branch(last), "update_cosine"),
        results.sample_at(&branch(last), "sharpness", branch_point(knobs, last) as f64),
        results.sample(&branch(last), "sharpness"),
    );
    checks.verdict(&STUDY, measured)
}

/// Percent of the last branch's drop that its first half brings, seed by seed.
fn first_half(results: &Results, budget: u64) -> Sample {
    let knobs = &results.knobs;
    let at = |step: u64| results.sample_at(&branch(budget), LOSS, step as f64);
    let [start, middle, end] = [branch_point(knobs, budget), middle(knobs, budget), budget].map(at);
    start.minus(&middle).with(&start.minus(&end), |half, whole| 100.0 * half / whole)
}

/// Updates of cosine runs of all budgets, and of a stable run with a branch for each.
fn updates(knobs: &Knobs) -> [u64; 2] {
    let budgets = budgets(knobs);
    let aside: u64 = budgets.iter().map(|&budget| budget - branch_point(knobs, budget)).sum();
    [budgets.iter().sum(), branch_point(knobs, budgets[2]) + aside]
}

#[cfg(test)]
mod tests;
