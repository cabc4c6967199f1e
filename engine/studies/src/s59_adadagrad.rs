//! AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods (Lau, Liu, Kolar 2024).

mod cloud;
mod descent;
mod drawing;

use engine::figure::{Figure, Knob, Verdict};
use engine::spec::{
    BatchSpec, Choice, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Policy, Projection, Rule, RunSpec,
    ScheduleSpec, Shape,
};

use super::{Bound, Checks, Context, Knobs, Label, Protocol, Results, Share, Study, StudyError, Task, brief};

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
    why: "Far from the optimum single examples agree on where to go, and a batch of 8 says as much as one of 4,000. Near it \
          they argue: their mean is small, their scatter is not, and only a crowd has a direction. The norm test compares \
          the two, V / b against η²|g|², and asks for the batch at which they balance. It never shrinks it. Where noise is \
          all there is, |g|² is itself V / b, so each test multiplies the batch by 1/η²: η and the interval set the pace \
          together, and η ≥ 1 stops it. Honest limits: AdaGrad and AdaGrad-Norm anneal their own steps and gain less, or \
          nothing. The inner-product test as the paper's code has it never grows a batch here: with noise in D directions its \
          two quantities come to 1/(θ²D) and 1/ν² of the threshold where noise is all there is, far below 1 (a test derives \
          and measures both), because the g that it takes for the gradient is that noise. Without label noise and \
          whitening (“Clean, easy data”) small fixed batches win at equal samples.",
    expected: "At equal samples: for SGD the adaptive arm's final gap is at most half of the best fixed batch's in 4 of 5 \
               seeds. For AdaGrad it is at most half of that of every fixed batch up to 512, with at least 20 times fewer \
               updates than batches of 8 and a test accuracy within 1 point of the best fixed arm. Batches span 2 decades in \
               every adaptive run; that they never shrink is part of the scheme.",
    differs: "MNIST pooled to 14×14, on 24 whitened principal components, with 30% of the labels replaced, instead of CIFAR-10 \
             and ImageNet; softmax regression, whose optimum is known, or an MLP 24-64-10. Every arm gets 30 epochs of \
             4,000 examples at a constant rate. AdaGrad-Norm is the paper's, with one sum, not the repository's by rows; the \
             inner-product test is global, not summed over tensors.",
    seeds: 5,
    flop: 1e11,
    knobs,
    also: &[["clean", "true"]],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    verdict,
};

const MODELS: &[Choice] = &[Choice::new("softmax", "softmax regression"), Choice::new("mlp", "MLP 24-64-10")];
const TESTS: &[Choice] = &[
    Choice::new("both", "both"),
    Choice::new(Policy::NormTest.id(), Policy::NormTest.label()),
    Choice::new(Policy::InnerProduct.id(), Policy::InnerProduct.label()),
];
const OPTIMIZERS: &[Choice] = &[
    Choice::new("all", "all three"),
    Choice::new(Rule::Sgd.id(), Rule::Sgd.label()),
    Choice::new(Rule::AdaGrad.id(), Rule::AdaGrad.label()),
    Choice::new(Rule::AdaGradNorm.id(), Rule::AdaGradNorm.label()),
];
/// Update rules and their learning rates.
const RULES: [(Rule, f64); 3] = [(Rule::Sgd, 0.5), (Rule::AdaGrad, 0.2), (Rule::AdaGradNorm, 2.0)];
/// Batch sizes of the fixed arms; the last is all data.
const FIXED: [usize; 4] = [8, 64, 512, 4000];
/// Examples that every arm may draw, in epochs.
const EPOCHS: u64 = 30;

fn knobs() -> Vec<Knob> {
    vec![
        Knob::number(
            "eta",
            "η",
            "noise tolerated over gradient; smaller grows faster, 1 and more never",
            [0.05, 10.0],
            0.9,
        ),
        Knob::integer("first", "First batch", "of the adaptive arms", [2, 256], 8),
        Knob::integer("interval", "Test every", "updates between two tests", [1, 500], 20),
        Knob::choice("test", "Test", "what is compared with the gradient", TESTS, "both"),
        Knob::number(
            "noise",
            "Label noise",
            "share of the labels replaced: what the examples argue about",
            [0.0, 0.9],
            0.3,
        ),
        Knob::choice("optimizer", "Optimizer", "AdaGrad anneals its own steps, SGD does not", OPTIMIZERS, "all"),
        Knob::choice("model", "Model", "the MLP is not convex: its loss takes the place of the gap", MODELS, "softmax"),
        Knob::flag("clean", "Clean, easy data", "no label noise, not whitened: where the scheme loses", false),
    ]
}

/// The update rules that the knob asks for.
fn rules(knobs: &Knobs) -> impl Iterator<Item = (Rule, f64)> {
    let wanted = knobs.choice("optimizer").to_owned();
    RULES.into_iter().filter(move |(rule, _)| wanted == "all" || wanted == rule.id())
}

/// Whether the test that the knob asks for is this one.
fn wanted(knobs: &Knobs, policy: Policy) -> bool {
    ["both", policy.id()].contains(&knobs.choice("test"))
}

/// What decides the batch size, for each update rule.
fn policies(knobs: &Knobs) -> Vec<(Label, BatchSpec)> {
    let fixed = |size: usize| {
        let label = Label::baseline(&size.to_string(), format!("b = {size}"));
        (label, BatchSpec { size, ..BatchSpec::default() })
    };
    let [b8, b64, b512, all] = FIXED.map(fixed);
    let mut policies = vec![(b8.0.dotted(), b8.1), (b64.0.dashed(), b64.1), b512, (all.0.long_dashed(), all.1)];
    let (eta, interval) = (knobs.number("eta"), knobs.integer("interval") as u64);
    let often = (interval / 4).max(1);
    let adaptive = |policy, interval| BatchSpec {
        size: knobs.integer("first"),
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
    let clean = knobs.flag("clean");
    let hidden = if convex(knobs) { vec![] } else { vec![64] };
    RunSpec {
        data: DataSpec {
            train: FIXED[3],
            test: 1000,
            size: 14,
            projection: if clean { Projection::Pca } else { Projection::White },
            components: 24,
            label_noise: if clean { 0.0 } else { knobs.number("noise") },
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
    knobs.choice("model") == "softmax"
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

fn figures(results: &Results) -> Vec<Figure> {
    let mut figures = vec![drawing::batch_figure(results), drawing::statistic_figure(results)];
    for (rule, _) in rules(&results.knobs) {
        figures.extend(drawing::gap_figures(results, rule));
    }
    figures.extend([cloud::START, cloud::END].map(|moment| cloud::figure(results, moment)));
    figures.push(drawing::table(results));
    figures
}

fn verdict(results: &Results) -> Verdict {
    let judged = judged(&results.knobs);
    let of = |rule, policy: &str, number: &str| results.sample(&id(rule, policy), number);
    let best = |rule, sizes: &[usize], number: &str, better: fn(f64, f64) -> f64| {
        let samples = sizes.iter().map(|size| of(rule, &size.to_string(), number));
        samples.reduce(|a, b| a.with(&b, better)).unwrap_or_default()
    };
    let ratio = |rule, sizes: &[usize]| of(rule, judged, "gap").over(&best(rule, sizes, "gap", f64::min));
    let asked = |rule| rules(&results.knobs).any(|(asked, _)| asked == rule);
    let mut checks = Checks::new();
    let mut measured = Vec::new();
    let gap = "gap of the adaptive arm, of the best";
    let sgd = ratio(Rule::Sgd, &FIXED);
    let with_sgd = checks.given(asked(Rule::Sgd), "SGD was not asked for");
    with_sgd.most_seeds(&format!("SGD: {gap} fixed batch's"), &sgd, Bound::AtMost(0.5), "×", [4, 5]);
    if asked(Rule::Sgd) {
        measured.push(format!("SGD's adaptive gap is {sgd:.2} times the best fixed one"));
    }
    let ada = |policy: &str, number: &str| of(Rule::AdaGrad, policy, number);
    let below = ratio(Rule::AdaGrad, &FIXED[..3]);
    let saved = ada("8", "updates").over(&ada(judged, "updates"));
    let behind = best(Rule::AdaGrad, &FIXED, "accuracy", f64::max).minus(&ada(judged, "accuracy"));
    let (with_ada, why_not) = (asked(Rule::AdaGrad), "AdaGrad was not asked for");
    checks.given(with_ada, why_not).every_seed(&format!("AdaGrad: {gap} of b ≤ 512"), &below, Bound::AtMost(0.5), "×");
    checks.given(with_ada, why_not).every_seed(
        "AdaGrad: updates with b = 8, of the adaptive arm's",
        &saved,
        Bound::AtLeast(20.0),
        "×",
    );
    checks.given(with_ada, why_not).mean(
        "AdaGrad: accuracy behind the best fixed batch's",
        &behind,
        Bound::AtMost(1.0),
        "points",
    );
    if with_ada {
        let all = ada(judged, "gap").over(&ada(&FIXED[3].to_string(), "gap"));
        measured.push(format!(
            "AdaGrad's is {below:.2} times the best with up to 512 examples and {all:.1} times that with all data, after \
             {saved:.0} times fewer updates than with 8"
        ));
    }
    if asked(Rule::AdaGradNorm) {
        measured.push(format!("AdaGrad-Norm's is {:.1} times the best fixed one", ratio(Rule::AdaGradNorm, &FIXED)));
    }
    for (policy, endings) in [(Policy::NormTest, &["/norm", "/often"][..]), (Policy::InnerProduct, &["/inner"])] {
        let arms = results.arms.iter().filter(|label| endings.iter().any(|ending| label.id.ends_with(ending)));
        let growths = arms.map(|label| results.sample(&label.id, "growth"));
        let growth = growths.reduce(|a, b| a.with(&b, f64::min)).unwrap_or_default();
        let (test, wanted) = (policy.label(), wanted(&results.knobs, policy));
        let name = format!("{test}: last batch of the first, least of its arms");
        checks.given(wanted, "the test was not asked for").every_seed(&name, &growth, Bound::AtLeast(100.0), "×");
        if wanted {
            measured.push(format!("the least growth of a batch under the {test} is {}×", brief(growth.min())));
        }
    }
    checks.verdict(&STUDY, format!("{}.", measured.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_help::{failing, turned};
    use engine::figure::{Holds, Role};

    /// Results of an adaptive arm with that gap, batch growth and accuracy beside fixed arms with a gap of 0.01 and 80%.
    fn filled(knobs: &Knobs, gap: f64, growth: f64, accuracy: f64) -> Results {
        let arms = arms(knobs);
        let mut results = Results::new(knobs.clone(), arms.clone(), vec![1, 2, 3, 4, 5]);
        for (arm, seed) in arms.iter().flat_map(|arm| (1..=5).map(move |seed| (arm, seed))) {
            let fixed = arm.role == Role::Other;
            let outcome = results.record(&arm.id, seed);
            outcome.number("gap", if fixed { 0.01 } else { gap });
            outcome.number("accuracy", if fixed { 80.0 } else { accuracy });
            outcome.number("updates", if arm.id.ends_with("/8") { 15_000.0 } else { 400.0 });
            outcome.number("growth", if fixed { 1.0 } else { growth });
            outcome.number("last batch", 8.0 * if fixed { 1.0 } else { growth });
            for curve in ["gap", "gap by update", "batch", "statistic"] {
                outcome.point(curve, 1.0, 1.0);
            }
        }
        for [moment, _] in [cloud::START, cloud::END] {
            results.keep(moment, cloud::drawn(vec![[1.0, 0.0]], 0.9));
        }
        results
    }

    #[test]
    fn the_verdict_follows_the_numbers() {
        let knobs = turned(&STUDY, &[]);
        let judged = |gap, growth, accuracy| verdict(&filled(&knobs, gap, growth, accuracy));
        assert_eq!(judged(0.004, 500.0, 79.5).holds, Holds::Yes);
        assert_eq!(failing(&judged(0.006, 500.0, 79.5)), [0, 1]);
        assert_eq!(failing(&judged(0.004, 90.0, 78.5)), [3, 4, 5]);
    }

    #[test]
    fn what_was_not_asked_for_is_not_claimed() {
        let results =
            filled(&turned(&STUDY, &[("optimizer", "adagrad_norm"), ("test", "inner_product")]), 0.001, 500.0, 80.0);
        assert_eq!(results.arms.len(), 5);
        let verdict = verdict(&results);
        assert_eq!(failing(&verdict), [0, 1, 2, 3, 4]);
        assert!(verdict.checks[0].holds.is_none(), "{verdict:?}");
    }

    #[test]
    fn recipes_are_valid_as_they_stand() {
        for knobs in [
            turned(&STUDY, &[]),
            turned(&STUDY, &[("clean", "true"), ("model", "mlp"), ("first", "2"), ("interval", "1")]),
        ] {
            for rule in rules(&knobs) {
                for (_, batch) in policies(&knobs) {
                    let spec = spec(&knobs, rule, batch, 1);
                    assert_eq!(spec.validate(), [], "{spec:?}");
                }
            }
        }
    }

    #[test]
    fn every_figure_has_something_to_show() {
        let results = filled(&turned(&STUDY, &[]), 0.004, 500.0, 79.5);
        for figure in figures(&results) {
            assert!(!figure.marks.is_empty(), "{}", figure.id);
        }
    }
}
