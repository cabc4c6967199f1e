//! Power Scheduler: A Batch Size and Token Number Agnostic Learning Rate Scheduler (Shen et al. 2024).

mod figures;
mod fit;
mod losses;
mod words;

use engine::figure::brief;
use engine::spec::{
    BatchSpec, DataSet, DataSpec, Decay, Edit, GptSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
};

use super::{
    Answer, Arm, Bound, Branch, Context, Judged, Knob, Knobs, Label, Protocol, Results, Sample, Share, Study,
    StudyError, Task,
};
use fit::Law;
use losses::{carried, ends, excess, laws, oracle, over, tested, way_loss};
use words::{lost, why};

pub(super) const STUDY: Study = Study {
    id: 18,
    slug: "power-scheduler",
    title: "One knob for every budget",
    paper: "Power Scheduler: A Batch Size and Token Number Agnostic Learning Rate Scheduler",
    authors: "Shen, Stallone, Mishra, Zhang, Tan, Prasad, Soria, Cox, Panda",
    year: 2024,
    source: "https://arxiv.org/abs/2408.13359",
    themes: &["learning rate", "schedule", "batch size", "language models"],
    claim: "The best peak rate of a warmup-stable-decay schedule is proportional to the batch size and falls as a power of the \
            number of tokens in the whole run. If the rate follows that law as tokens are seen, one setting serves every length \
            and every batch size.",
    why: "A high rate covers ground, a low rate averages noise away, and the longer a run lasts the more noise there is to \
          average. So the best constant rate depends on when the run will stop. A power of the tokens seen is at every moment \
          near what is best for a run that stops there: it need not know the end. With a rate proportional to the batch, the \
          rates over a given stretch of tokens add up to the same sum, whatever the batch size.",
    differs: "Characters of Shakespeare and a GPT of five thousand parameters (one layer, width 16, 16 characters of \
              context) in muP, instead of models of 12 million to 3 billion; 16 thousand to a million tokens instead of up \
              to 128 billion. The law is fitted to all budgets but the longest and tested at the longest and the shortest. \
              All budgets of a rate are branches of one run, each decayed over its last fifth to 1%, so warm-up is 10% of \
              the shortest budget in all of them. Five rates are tried, from 0.004 to 0.064. The oracle is the bottom of a \
              parabola through the losses of the best of them and its neighbours, not a run of its own; the carried rate \
              is the best of the five itself. The rate is capped at what the law says of the shortest budget, as it was \
              fitted to no shorter one; the paper has one cap for all batches, which “Highest rate” offers.",
    seeds: 3,
    seconds: 150.0,
    knobs: &[&TOKENS, &BATCH, &RATIO, &WIDTH, &CAP, &SWITCH],
    protocol: Protocol::Program { arms, run, timed: false },
    figures: figures::figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Cap {
        Law = "law", "the law's at the shortest budget";
        One = "one", "the carried rate, for both batches";
    }
}

const TOKENS: Knob<usize> = Knob::integer(
    "tokens",
    "Longest budget",
    "in units of 1,024 tokens; each other budget is a quarter of the next",
    [512, 8192],
    1024,
);
const BATCH: Knob<usize> = Knob::integer("batch", "Small batch", "sequences of 16 characters", [2, 16], 8);
const WIDTH: Knob<usize> = Knob::integer("width", "Width over 16", "muP keeps the rates in place", [1, 8], 1);
const RATIO: Knob<usize> = Knob::integer("ratio", "Large batch", "times the small one", [2, 8], 4);
const CAP: Knob<Cap> = Knob::choice("cap", "Highest rate", "the cap, until the law falls below it", Cap::Law);
const SWITCH: Knob<bool> = Knob::flag(
    "switch",
    "Switch the batch",
    "one more run of the power law: small batches for half of the tokens, then large ones",
    false,
);

/// Width at which muP leaves rates as they are.
const BASE: usize = 16;
/// Characters of a sequence.
const CONTEXT: usize = 16;
/// Budgets, each four times the one before; the law is fitted to all but the last.
const BUDGETS: usize = 4;
/// Rates tried, each twice the one before.
const RATES: usize = 5;
const LOWEST: f64 = 4e-3;
/// Warm-up, of the shortest budget, and decay, of each: one part in so many.
const WARMUP: u64 = 10;
const DECAY: u64 = 5;
/// Updates of the shortest budget with the large batch below which nothing is concluded.
const LEAST: u64 = 10;
/// Nats above the oracle that are as good.
const MARGIN: f64 = 0.02;
/// A power of the batch below this is not the paper's.
const LINEAR: f64 = 0.75;
/// Ids of the run that switches: its main line, and its decayed branch.
const SWITCHED_MAIN: &str = "switch-main";
const SWITCHED: &str = "switch";

/// Rate number `place`.
fn rate(place: usize) -> f64 {
    LOWEST * (1_u32 << place) as f64
}

fn batches(knobs: &Knobs) -> [usize; 2] {
    let small = knobs.get(&BATCH);
    [small, knobs.get(&RATIO) * small]
}

/// Tokens of each budget.
fn budgets(knobs: &Knobs) -> [u64; BUDGETS] {
    let most = 1024 * knobs.get(&TOKENS) as u64;
    std::array::from_fn(|place| most >> (2 * (BUDGETS - 1 - place)))
}

/// Updates in which so many tokens are seen.
fn updates(tokens: u64, batch: usize) -> u64 {
    tokens / (batch * CONTEXT) as u64
}

/// The update before which the branch of a budget leaves.
fn leave(tokens: u64, batch: usize) -> u64 {
    let steps = updates(tokens, batch);
    steps.saturating_sub((steps / DECAY).max(1))
}

/// Ids of an arm of the grid: the run at a constant rate, and its decayed branches.
fn stable(batch: usize, place: usize) -> String {
    format!("stable/{batch}/{place}")
}

fn wsd(batch: usize, place: usize) -> String {
    format!("wsd/{batch}/{place}")
}

/// What is held against the oracle: the paper's power law, the same with the power of the batch that was fitted, and one rate
/// for everything.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Power,
    Fitted,
    Carried,
}

/// The ways that follow a law, with their names; in the order of [`laws`].
const POWERS: [(Way, &str); 2] = [(Way::Power, "power law"), (Way::Fitted, "power law, fitted batch")];

/// Ids of a law's runs with a batch, before the decays and with them.
fn law_arms(way: Way, batch: usize) -> [String; 2] {
    let which = if way == Way::Power { "paper" } else { "fitted" };
    [format!("law-main/{which}/{batch}"), format!("law/{which}/{batch}")]
}

/// A run over the longest budget, with a decayed branch for each.
fn arm(knobs: &Knobs, batch: usize, schedule: &ScheduleSpec, [main, branch]: [Label; 2]) -> Arm {
    let budgets = budgets(knobs);
    let steps = |tokens| updates(tokens, batch);
    let shape = |kind| if kind == Shape::Power { kind } else { Shape::Wsd };
    let schedule = ScheduleSpec { warmup: steps(budgets[0]) / WARMUP, decay: 0, floor: 0.01, ..schedule.clone() };
    let spec = RunSpec {
        data: DataSpec { test: 16_000, ..DataSpec::of(DataSet::Shakespeare) },
        model: ModelSpec::Gpt(GptSpec {
            context: CONTEXT,
            width: BASE * knobs.get(&WIDTH),
            depth: 1,
            heads: 2,
            ratio: 2,
            base: BASE,
            ..GptSpec::default()
        }),
        optimizer: OptimizerSpec { beta2: 0.95, weight_decay: 0.0, clip: 1.0, ..OptimizerSpec::of(Rule::AdamW) },
        schedule: schedule.clone(),
        batch: BatchSpec { size: batch, ..BatchSpec::default() },
        steps: leave(budgets[BUDGETS - 1], batch),
        ..RunSpec::default()
    };
    let decayed = |&tokens: &u64| Branch {
        label: branch.clone(),
        at: leave(tokens, batch),
        schedule: ScheduleSpec {
            kind: shape(schedule.kind),
            decay: steps(tokens) - leave(tokens, batch),
            form: Decay::Exponential,
            ..schedule.clone()
        },
        steps: steps(tokens),
    };
    Arm { readings: 1, branches: budgets.iter().map(decayed).collect(), ..Arm::new(main, spec) }
}

/// Every rate with both batches: `[batch, place]`.
fn grid(knobs: &Knobs) -> impl Iterator<Item = [usize; 2]> {
    batches(knobs).into_iter().flat_map(|batch| (0..RATES).map(move |place| [batch, place]))
}

fn tried(knobs: &Knobs, [batch, place]: [usize; 2]) -> Arm {
    let rate = rate(place);
    let schedule = ScheduleSpec { kind: Shape::Constant, peak: rate, ..ScheduleSpec::default() };
    let words = format!("batch {batch}, rate {}", brief(rate));
    let main = Label::baseline(&stable(batch, place), format!("constant, {words}")).dashed();
    arm(knobs, batch, &schedule, [main, Label::baseline(&wsd(batch, place), format!("WSD, {words}"))])
}

/// What a law says of a batch at the shortest budget; of shorter ones it knows nothing.
fn highest(knobs: &Knobs, batch: usize, law: &Law) -> f64 {
    law.rate(batch as f64, budgets(knobs)[0] as f64)
}

/// A law's run with a batch, at most at a rate, else at most at the law's own of the shortest budget. Its labels do not depend on the law.
fn by_law(knobs: &Knobs, (way, name): (Way, &str), batch: usize, law: &Law, cap: Option<f64>) -> Arm {
    let cap = cap.unwrap_or_else(|| highest(knobs, batch, law));
    // The engine's law is in proportion to the batch.
    let gain = law.gain * libm::pow(batch as f64, law.share - 1.0);
    let schedule =
        ScheduleSpec { kind: Shape::Power, peak: cap, gain, exponent: law.exponent, ..ScheduleSpec::default() };
    let [main, decayed] = law_arms(way, batch);
    // Up to a comma a name is a family's.
    let name = name.replace(", ", " with ");
    let main = Label::new(&main, format!("{name}, not decayed, batch {batch}"));
    let decayed = Label::new(&decayed, format!("{name}, batch {batch}"));
    arm(knobs, batch, &schedule, if way == Way::Power { [main, decayed] } else { [main.dashed(), decayed.dashed()] })
}

/// The run of the paper's law whose batch grows half-way; nothing else is turned.
fn switching(knobs: &Knobs, law: &Law, cap: Option<f64>) -> Arm {
    let [small, large] = batches(knobs);
    let cap = cap.or(Some(highest(knobs, large, law)));
    let tokens = budgets(knobs)[BUDGETS - 1];
    let half = updates(tokens / 2, small);
    let [at, end] = [leave(tokens, large), updates(tokens, large)].map(|step| step - updates(tokens / 2, large) + half);
    let mut arm = by_law(knobs, POWERS[0], small, law, cap);
    arm.label = Label::new(SWITCHED_MAIN, "power law, not decayed, batch switched").dotted();
    arm.spec.edits = vec![Edit { step: half, path: "batch.size".into(), value: large.to_string() }];
    arm.spec.steps = at;
    arm.branches.truncate(1);
    for branch in &mut arm.branches {
        branch.label = Label::new(SWITCHED, "power law, batch switched").dotted();
        (branch.at, branch.steps, branch.schedule.decay) = (at, end, end - at);
    }
    arm
}

/// The runs that follow these laws.
fn followed(knobs: &Knobs, laws: &[Law; 2], cap: Option<f64>) -> Vec<Arm> {
    let ways = POWERS.into_iter().zip(laws);
    let mut arms: Vec<Arm> =
        ways.flat_map(|(way, law)| batches(knobs).map(|batch| by_law(knobs, way, batch, law, cap))).collect();
    arms.extend(knobs.get(&SWITCH).then(|| switching(knobs, &laws[0], cap)));
    arms
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    let law = Law { share: 1.0, gain: 1.0, exponent: 0.0 };
    let followed = followed(knobs, &[law; 2], None).into_iter();
    followed.chain(grid(knobs).map(|cell| tried(knobs, cell))).flat_map(|arm| arm.labels()).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let grid: Vec<[usize; 2]> = grid(&knobs).collect();
        let runs = grid.len() + POWERS.len() * batches(&knobs).len() + usize::from(knobs.get(&SWITCH));
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, &cell) in grid.iter().enumerate() {
                context.train(&tried(&knobs, cell), seed, share.part(place, runs), None).await?;
            }
            let fitted = laws(&context.results, seed).zip(carried(&context.results, seed));
            let (laws, place) = fitted.ok_or_else(|| StudyError::Other("no run had a loss that is finite".into()))?;
            let followed = followed(&knobs, &laws, (knobs.get(&CAP) == Cap::One).then(|| rate(place)));
            for (place, arm) in followed.iter().enumerate() {
                context.train(arm, seed, share.part(grid.len() + place, runs), None).await?;
            }
        }
        Ok(())
    })
}

fn answer(results: &Results) -> Answer {
    let knobs = &results.knobs;
    let [power, fitted, carried] = [Way::Power, Way::Fitted, Way::Carried].map(|way| tested(results, way));
    let ahead = |way: &Sample| way.with(&carried, |law, carried| law - 0.5 * carried);
    let law = |pick: fn([Law; 2]) -> f64| results.by_seed(|seed| Some(pick(laws(results, seed)?)));
    let [exponent, share] = [law(|[law, _]| law.exponent), law(|[_, free]| free.share)];
    let worst =
        |way: Way, batch: usize| over(budgets(knobs).map(|tokens| excess(results, way, batch, tokens)), f64::max);
    let words = format!(
        "Over the shortest and the longest budget and both batches, the power law ends {} nats above a rate tuned for each, and \
         one rate carried over {}. The best rate varies as the power {} of the tokens and {} of the batch; with that power of \
         the batch in place of 1 the law ends {} nats above.",
        said(&power),
        said(&carried),
        said(&exponent),
        said(&share),
        said(&fitted),
    );
    let enough = updates(budgets(knobs)[0], batches(knobs)[1]) >= LEAST;
    let tested =
        |judged: Judged| judged.given(enough, "the shortest budget has fewer than 10 updates of the large batch");
    let half = |name: &str, way: &Sample| {
        Judged::mean(
            format!("{name}: distance above the oracle, minus half of the carried rate's"),
            &ahead(way),
            Bound::AtMost(0.0),
            "nats",
        )
    };
    let anytime = |(way, name): (Way, &str), batch: usize| {
        let name = format!("{name}: distance above the oracle at the worst budget, batch {batch}");
        Judged::as_good(name, &worst(way, batch), MARGIN, "nats")
    };
    let cells = POWERS.into_iter().flat_map(|way| batches(knobs).map(|batch| anytime(way, batch)));
    let also = [
        Judged::every_seed("power of the tokens", &exponent, Bound::Below(0.0), ""),
        Judged::every_seed("power of the batch, left free", &share, Bound::Above(0.0), ""),
        half(POWERS[1].1, &fitted),
    ];
    Answer::new(tested(half(POWERS[0].1, &power)), words)
        .also(also.into_iter().chain(cells).map(tested))
        .more(why(&share, results))
        .more(lost(results))
}

/// A mean in words, or that there is none.
fn said(sample: &Sample) -> String {
    if sample.is_empty() { "(not measured)".into() } else { sample.mean_in_words() }
}

/// Each budget with each batch.
fn cells(knobs: &Knobs) -> Vec<(usize, u64)> {
    batches(knobs).into_iter().flat_map(|batch| budgets(knobs).map(|tokens| (batch, tokens))).collect()
}

#[cfg(test)]
mod tests;
