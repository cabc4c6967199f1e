//! AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods (Lau, Liu, Kolar 2024).

mod cloud;
mod descent;
mod drawing;

use engine::figure::brief;
use engine::spec::{
    BatchSpec, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Policy, Projection, Rule, RunSpec, ScheduleSpec,
    Shape,
};

use super::names::ACCURACY;
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Share, Study,
    StudyError, Task,
};

pub(super) const STUDY: Study = Study {
    id: 59,
    slug: "adadagrad",
    title: "The gradient tells you when to average more",
    paper: "AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods",
    authors: "Lau, Liu, Kolar",
    year: 2024,
    source: "https://arxiv.org/abs/2402.11215",
    themes: &["batch size", "optimizer"],
    claim: "Let a test on the gradient's own variance decide when to enlarge the batch while AdaGrad or AdaGrad-Norm does \
            the updates: the scheme needs far fewer updates than small fixed batches and ends better than large ones.",
    why: "Far from the optimum single examples agree on where to go, and a batch of 8 says as much as one of 4,000. Near it they \
          argue: their mean is small, their scatter is not, and only a crowd has a direction. The norm test compares the two, V \
          / b against η²|g|², and asks for the batch at which they balance. It never shrinks it. Where noise is all there is, \
          |g|² is itself V / b, so each test multiplies the batch by 1/η²: η and the interval set the pace together, and η ≥ 1 \
          stops it. Honest limits: AdaGrad and AdaGrad-Norm anneal their own steps and gain less, or nothing. The inner-product \
          test as the paper's code has it stays silent: it compares how far single gradients scatter along the batch's own mean \
          g with |g|⁴, and where noise is all there is, g is itself that noise. Its statistic is then about the mean eigenvalue \
          of the gradients' covariance over its trace, 1/(θ²D) in D directions, and 1/ν² for its second part: both far below 1 \
          whatever the batch (a test derives and measures them). The figure shows how low the threshold would have to be for it \
          to trigger. Without label noise and whitening (“Clean, easy data”) small fixed batches win at equal samples.",
    differs: "MNIST pooled to 14×14, on 24 whitened principal components, with 30% of the labels replaced, instead of \
              CIFAR-10 and ImageNet; softmax regression, whose optimum is known, or an MLP 24-64-10. Every arm gets 30 \
              epochs of 4,000 examples at a constant rate, one for each optimizer whatever the batch, which was not \
              tuned; the test is made every 20 updates. AdaGrad-Norm is the paper's, with one sum, not the \
              repository's by rows; the inner-product test is global, not summed over tensors.",
    seeds: 5,
    seconds: 30.0,
    knobs: &[&ETA, &FIRST, &INTERVAL, &TEST, &NOISE, &OPTIMIZER, &MODEL, &CLEAN],
    also: &[["clean", "true"]],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

/// Training loss above the optimum, in the end and against samples.
const GAP: Curve = Curve::new("gap", "nats");
/// The same against updates.
const GAP_BY_UPDATE: Curve = Curve::new("gap by update", "nats");
/// Batch size of adaptive arms.
const BATCH: Curve = Curve::new("batch", "");
/// Examples that the test asks for, of the batch.
const STATISTIC: Curve = Curve::new("statistic", "");
/// Updates that the samples lasted for.
const UPDATES: Number = Number::new("updates", "");
/// The last batch, and how many times the first it is.
const LAST_BATCH: Number = Number::new("last batch", "");
const GROWTH: Number = Number::new("growth", "×");
/// Least training loss.
const OPTIMUM: Number = Number::new("optimum", "nats");

crate::options! {
    Model {
        Softmax = "softmax", "softmax regression";
        Mlp = "mlp", "MLP 24-64-10";
    }
}
crate::options! {
    Tests {
        Both = "both", "both";
        Norm = "norm_test", "norm test";
        Inner = "inner_product", "inner-product test";
    }
}
crate::options! {
    Optimizers {
        All = "all", "all three";
        Sgd = "sgd", "SGD";
        AdaGrad = "adagrad", "AdaGrad";
        AdaGradNorm = "adagrad_norm", "AdaGrad-Norm";
    }
}

const ETA: Knob<f64> = Knob::number(
    "eta",
    "η",
    "noise tolerated relative to the gradient; smaller grows faster, 1 and more never",
    [0.05, 10.0],
    0.9,
);
const FIRST: Knob<usize> = Knob::integer("first", "First batch", "of the adaptive arms", [2, 256], 8);
const INTERVAL: Knob<usize> = Knob::integer("interval", "Test every", "updates between two tests", [1, 500], 20);
const TEST: Knob<Tests> = Knob::choice("test", "Test", "what is compared with the gradient", Tests::Both);
const NOISE: Knob<f64> = Knob::number(
    "noise",
    "Label noise",
    "share of the labels replaced: what the examples argue about",
    [0.0, 0.9],
    0.3,
);
const OPTIMIZER: Knob<Optimizers> =
    Knob::choice("optimizer", "Optimizer", "AdaGrad anneals its own steps, SGD does not", Optimizers::All);
const MODEL: Knob<Model> =
    Knob::choice("model", "Model", "the MLP is not convex: its loss takes the place of the gap", Model::Softmax);
const CLEAN: Knob<bool> =
    Knob::flag("clean", "Clean, easy data", "no label noise, not whitened: where the scheme loses", false);

/// Update rules and their learning rates.
const RULES: [(Rule, f64); 3] = [(Rule::Sgd, 0.5), (Rule::AdaGrad, 0.2), (Rule::AdaGradNorm, 2.0)];
/// Batch sizes of the fixed arms; the last is all data.
const FIXED: [usize; 4] = [8, 64, 512, 4000];
/// Examples that every arm may draw, in epochs.
const EPOCHS: u64 = 30;

/// The update rules that the knob asks for.
fn rules(knobs: &Knobs) -> impl Iterator<Item = (Rule, f64)> {
    let rule = match knobs.get(&OPTIMIZER) {
        Optimizers::All => None,
        Optimizers::Sgd => Some(Rule::Sgd),
        Optimizers::AdaGrad => Some(Rule::AdaGrad),
        Optimizers::AdaGradNorm => Some(Rule::AdaGradNorm),
    };
    RULES.into_iter().filter(move |(known, _)| rule.is_none_or(|rule| rule == *known))
}

/// Whether the test that the knob asks for is this one.
fn wanted(knobs: &Knobs, policy: Policy) -> bool {
    match knobs.get(&TEST) {
        Tests::Both => true,
        Tests::Norm => policy == Policy::NormTest,
        Tests::Inner => policy == Policy::InnerProduct,
    }
}

/// What decides the batch size, for each update rule.
fn policies(knobs: &Knobs) -> Vec<(Label, BatchSpec)> {
    let fixed = |size: usize| {
        let label = Label::baseline(&size.to_string(), format!("b = {size}"));
        (label, BatchSpec { size, ..BatchSpec::default() })
    };
    let [b8, b64, b512, all] = FIXED.map(fixed);
    let mut policies = vec![(b8.0.dotted(), b8.1), (b64.0.dashed(), b64.1), b512, (all.0.long_dashed(), all.1)];
    let (eta, interval) = (knobs.get(&ETA), knobs.get(&INTERVAL) as u64);
    let often = (interval / 4).max(1);
    let adaptive = |policy, interval| BatchSpec {
        size: knobs.get(&FIRST),
        policy,
        largest: 0,
        interval,
        eta,
        theta: eta,
        nu: 3.0,
        ..BatchSpec::default()
    };
    if wanted(knobs, Policy::NormTest) {
        let label = |id, every| Label::new(id, format!("norm test, every {every}"));
        policies.push((label("norm", interval), adaptive(Policy::NormTest, interval)));
        policies.push((label("often", often).dashed(), adaptive(Policy::NormTest, often)));
    }
    if wanted(knobs, Policy::InnerProduct) {
        let label = Label::new("inner", format!("inner-product test, every {interval}"));
        policies.push((label.dotted(), adaptive(Policy::InnerProduct, interval)));
    }
    policies
}

/// The policy that the claim is judged by.
fn judged(knobs: &Knobs) -> &'static str {
    if wanted(knobs, Policy::NormTest) { "norm" } else { "inner" }
}

/// The arm whose single gradients are drawn.
fn pictured(knobs: &Knobs) -> Option<String> {
    rules(knobs).next().map(|(rule, _)| id(rule, judged(knobs)))
}

/// Id of the arm of a rule and a policy.
fn id(rule: Rule, policy: &str) -> String {
    format!("{}/{policy}", rule.id())
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    let of_rule = |(rule, _): (Rule, f64)| {
        let label = move |(label, _): (Label, BatchSpec)| Label {
            id: id(rule, &label.id),
            name: format!("{}, {}", rule.label(), label.name),
            ..label
        };
        policies(knobs).into_iter().map(label)
    };
    rules(knobs).flat_map(of_rule).collect()
}

fn spec(knobs: &Knobs, (kind, peak): (Rule, f64), batch: BatchSpec, seed: u64) -> RunSpec {
    let clean = knobs.get(&CLEAN);
    let hidden = if convex(knobs) { vec![] } else { vec![64] };
    RunSpec {
        data: DataSpec {
            train: FIXED[3],
            test: 1000,
            size: 14,
            projection: if clean { Projection::Pca } else { Projection::White },
            components: 24,
            label_noise: if clean { 0.0 } else { knobs.get(&NOISE) },
            ..DataSpec::of(DataSet::Mnist)
        },
        model: ModelSpec::Mlp(MlpSpec { hidden, ..MlpSpec::default() }),
        optimizer: OptimizerSpec { kind, eps: 1e-10, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, peak, warmup: 0, ..ScheduleSpec::default() },
        batch,
        steps: EPOCHS * FIXED[3] as u64,
        seed,
        ..RunSpec::default()
    }
}

fn convex(knobs: &Knobs) -> bool {
    knobs.get(&MODEL) == Model::Softmax
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let rules: Vec<(Rule, f64)> = rules(&knobs).collect();
        for (seed, share) in context.seeds(Share::ALL) {
            let optimum = if convex(&knobs) { descent::optimum(context, &knobs, seed).await? } else { 0.0 };
            for (place, &rule) in rules.iter().enumerate() {
                let (share, policies) = (share.part(place, rules.len()), policies(&knobs));
                for (k, (label, batch)) in policies.iter().enumerate() {
                    let spec = spec(&knobs, rule, batch.clone(), seed);
                    let share = share.part(k, policies.len());
                    descent::descend(context, &id(rule.0, &label.id), &spec, optimum, share).await?;
                }
            }
        }
        Ok(())
    })
}

fn figures(results: &Results) -> Vec<Plot> {
    // The rule of the title first.
    let mut rules: Vec<(Rule, f64)> = rules(&results.knobs).collect();
    rules.sort_by_key(|(rule, _)| *rule != Rule::AdaGrad);
    let mut figures: Vec<Plot> = rules.iter().flat_map(|(rule, _)| drawing::gap_figures(results, *rule)).collect();
    figures.splice(2..2, [drawing::batch_figure(results), drawing::statistic_figure(results)]);
    figures.extend([cloud::START, cloud::END].map(|moment| cloud::figure(results, moment)));
    figures.push(drawing::table(results));
    figures
}

fn answer(results: &Results) -> Answer {
    let judged = judged(&results.knobs);
    let of = |rule, policy: &str, number: Number| results.sample(&id(rule, policy), number);
    let best = |rule, sizes: &[usize], number: Number, better: fn(f64, f64) -> f64| {
        let samples = sizes.iter().map(|size| of(rule, &size.to_string(), number));
        samples.reduce(|a, b| a.with(&b, better)).unwrap_or_default()
    };
    let gap = GAP.last();
    let ratio = |rule, sizes: &[usize]| of(rule, judged, gap).over(&best(rule, sizes, gap, f64::min));
    let saved = |rule| of(rule, "8", UPDATES).over(&of(rule, judged, UPDATES));
    let asked = |rule| rules(&results.knobs).any(|(asked, _)| asked == rule);
    let (ada, norm) = (Rule::AdaGrad, Rule::AdaGradNorm);
    let claimed: Vec<Rule> = [ada, norm].into_iter().filter(|&rule| asked(rule)).collect();
    let large = |rule| ratio(rule, &FIXED[3..]);
    let worst = claimed.iter().map(|&rule| large(rule)).reduce(|a, b| a.with(&b, f64::max)).unwrap_or_default();
    let convex = convex(&results.knobs);
    let what = if convex { "gap" } else { "training loss" };
    let name = format!("{what} of the adaptive arm, relative to all data: the worse of AdaGrad and AdaGrad-Norm");
    let better = Judged::every_seed(name, &worst, Bound::Below(1.0), "×").given(!claimed.is_empty(), NOT_ASKED);
    let fewer = |rule: Rule| {
        let name = format!("{}: updates with b = 8, relative to the adaptive arm's", rule.label());
        Judged::every_seed(name, &saved(rule), Bound::AtLeast(20.0), "×").given(asked(rule), NOT_ASKED)
    };
    let below = Judged::every_seed(
        "AdaGrad: gap of the adaptive arm, relative to the best of b ≤ 512",
        &ratio(ada, &FIXED[..3]),
        Bound::AtMost(0.5),
        "×",
    );
    let accuracy = ACCURACY.last();
    let behind = best(ada, &FIXED, accuracy, f64::max).minus(&of(ada, judged, accuracy));
    let behind = Judged::as_good("AdaGrad: accuracy behind the best fixed batch's", &behind, 1.0, "points");
    let sgd = "SGD: gap of the adaptive arm, relative to the best fixed batch's";
    let sgd = Judged::most_seeds(sgd, &ratio(Rule::Sgd, &FIXED), Bound::AtMost(0.5), "×", [4, 5]);
    let room = FIXED[3] as f64 / results.knobs.get(&FIRST) as f64 >= DECADES;
    let grows = |policy: Policy| {
        let name = format!("{}: last batch relative to the first, smallest of its arms", policy.label());
        let judged = Judged::every_seed(name, &grown(results, policy), Bound::AtLeast(DECADES), "×");
        judged.given(wanted(&results.knobs, policy), NOT_ASKED).given(room, NO_ROOM)
    };
    let ends = |&rule: &Rule| {
        let (gap, saved) = (large(rule), saved(rule));
        if gap.is_empty() || saved.is_empty() {
            return format!("With {} the adaptive batch and the fixed ones were not all measured.", rule.label());
        }
        format!(
            "With {} the adaptive batch ends {} than all data in every update, at {} times its {what}; a batch of 8 takes {} \
             times as many updates.",
            rule.label(),
            if gap.mean() < 1.0 { "better" } else { "worse" },
            gap.mean_in_words(),
            saved.mean_in_words(),
        )
    };
    let words = match claimed.iter().map(ends).collect::<Vec<_>>().join(" ") {
        none if none.is_empty() => "Neither AdaGrad nor AdaGrad-Norm was asked for.".into(),
        words => words,
    };
    let of_best = |(rule, _): (Rule, f64)| {
        let ratio = ratio(rule, &FIXED);
        (!ratio.is_empty()).then(|| format!("{ratio}× with {}", rule.label()))
    };
    let gaps: Vec<String> = rules(&results.knobs).filter_map(of_best).collect();
    let mut more = Vec::new();
    if !gaps.is_empty() {
        more.push(format!("The adaptive arm's {what} relative to the best fixed batch's: {}.", gaps.join(", ")));
    }
    more.extend(drawing::loudest(results).map(|loudest| match loudest < 1.0 {
        true => format!("The inner-product test never sees more than {} of what would trigger it.", brief(loudest)),
        false => format!("The inner-product test sees up to {} times what triggers it.", brief(loudest)),
    }));
    let of_gap = |judged: Judged, rule| judged.given(asked(rule), NOT_ASKED).given(convex || !asked(rule), NOT_CONVEX);
    Answer::new(better, words).more(more.join(" ")).also([
        fewer(ada),
        of_gap(below, ada),
        behind.given(asked(ada), NOT_ASKED),
        fewer(norm),
        of_gap(sgd, Rule::Sgd),
        grows(Policy::NormTest),
        grows(Policy::InnerProduct),
    ])
}

/// Why a claim is not tested.
const NOT_ASKED: &str = "it was not asked for";
const NOT_CONVEX: &str = "the MLP's least loss is not known";
const NO_ROOM: &str = "the first batch is more than a hundredth of all examples";
/// How many times the first batch the last one should be.
const DECADES: f64 = 100.0;

/// How many times the first batch the last one is, least of the arms of a test.
fn grown(results: &Results, policy: Policy) -> Sample {
    let endings = if policy == Policy::NormTest { &["/norm", "/often"][..] } else { &["/inner"] };
    let arms = results.arms.iter().filter(|label| endings.iter().any(|ending| label.id.ends_with(ending)));
    arms.map(|label| results.sample(&label.id, GROWTH)).reduce(|a, b| a.with(&b, f64::min)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
