//! Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach (Granziol, Zohren, Roberts 2020).

mod closed_form;
mod sharpness;
mod stability;

use engine::figure::{Dash, Direction, Figure, Knob, Mark, Role, Verdict};
use engine::numeric::fit::power_law;
use engine::probe::spiked;
use engine::spec::{
    Activation, BatchSpec, Choice, Curved, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Rule, RunSpec,
    ScheduleSpec, Shape,
};

use super::draw::{axis, chart, curves, log_axis, with_alt};
use super::largest::LargestRate;
use super::{
    Bound, Checks, Context, Knobs, Label, Outcome, Protocol, Results, Sample, Share, Study, StudyError, Task, brief,
};

pub(super) const STUDY: Study = Study {
    id: 1,
    slug: "rmt-learning-rates",
    title: "How sharp does a batch look?",
    paper: "Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach to Neural Network Training",
    authors: "Granziol, Zohren, Roberts",
    year: 2020,
    source: "https://arxiv.org/abs/2006.09092",
    themes: &["curvature", "learning rate", "batch size"],
    claim: "The extremal eigenvalues of a mini-batch Hessian are larger than those of the full data's by an amount that \
            shrinks as 1/B. So the largest usable learning rate grows linearly with B for SGD and as √B for Adam, up to a \
            batch size after which it saturates.",
    why: "A batch's Hessian is the full data's plus a fluctuation whose entries have variance σ²/b, where b = B / (1 - B/N) \
          because a batch is drawn without replacement. Random matrix theory adds such noise to an outlier λ₁ as \
          Pσ²/(bλ₁): a small batch is not just a noisy gradient, it is a sharper landscape. SGD is stable up to 2/λ₁(H_B), \
          which is linear in B while the noise rules and constant after the knee b*. Adam divides by something like the \
          square root of the curvature, hence √B. Honest limits: cross-entropy networks catapult to flatter regions \
          instead of diverging, so the stability of networks (panel B) is judged relative to a checkpoint and held beside \
          a linear model with a closed form (panel C). And the noise of real batches is of low rank, not a Wigner matrix: \
          the slope in 1/b is the tested claim, the absolute height of the prediction is shown and is usually off.",
    expected: "Mean λ₁(H_B) falls at every step of B; a line in 1/b from the measured full-data value explains R² ≥ 0.93; the \
               excess falls with a log-log slope of -1.15 to -0.75; batches of 8 look at least 3 times as sharp as the full \
               data. For the linear model the largest rate rises with slope 0.85 to 1.05 over B = 1 to 8, at most 0.2 over \
               256 to 1,024, and is within 35% of the formula at every B. For the network SGD's slope over B ≤ 64 exceeds \
               Adam's by at least 0.2 in 2 of 3 seeds.",
    differs: "Digits of 8×8 pixels instead of CIFAR-100 and ImageNet; softmax regression on 40 whitened principal \
              components (410 parameters), or an MLP 64-32-10 with tanh, instead of VGG and WideResNet. The largest rate is \
              found by runs of 60 steps from one checkpoint, by bisection on half octaves, instead of full trainings. \
              Adam's moments are warmed by 200 updates at rate 0, so that the test is about curvature and not about a cold \
              preconditioner.",
    seeds: 3,
    flop: 8e10,
    knobs,
    also: &[["model", "mlp"]],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    verdict,
};

const MODELS: &[Choice] = &[Choice::new("softmax", "softmax regression"), Choice::new("mlp", "MLP 64-32-10")];
const MATRICES: &[Choice] = &[
    Choice::new(Curved::Hessian.id(), Curved::Hessian.label()),
    Choice::new(Curved::GaussNewton.id(), Curved::GaussNewton.label()),
];
const RULES: &[Choice] = &[Choice::new("both", "both"), Choice::new("sgd", "SGD"), Choice::new("adam", "Adam")];

fn knobs() -> Vec<Knob> {
    vec![
        Knob::integer("batch", "Batch", "whose spectrum is drawn over that of all data", [1, 1437], 32),
        Knob::integer("checkpoint", "Checkpoint", "steps of Adam before anything is measured", [0, 1000], 300),
        Knob::choice(
            "matrix",
            "Matrix",
            "Gauss–Newton has no negative part and less noise",
            MATRICES,
            Curved::Hessian.id(),
        ),
        Knob::choice("optimizer", "Optimizer", "whose largest rate is searched", RULES, "both"),
        Knob::choice("model", "Model", "the MLP is not convex", MODELS, "softmax"),
    ]
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    let mut arms = vec![Label::new(sharpness::ARM, "batch curvature")];
    arms.extend(rules(knobs).map(|arm| match arm.id {
        "sgd" => Label::new(arm.id, arm.name),
        _ => Label::new(arm.id, arm.name).dashed(),
    }));
    arms.push(Label::baseline(closed_form::ARM, "linear model"));
    arms
}

/// The update rules that the knob asks for.
fn rules(knobs: &Knobs) -> impl Iterator<Item = stability::Arm> {
    let wanted = knobs.choice("optimizer").to_owned();
    stability::ARMS.into_iter().filter(move |arm| wanted == "both" || wanted == arm.id)
}

/// Where measuring starts: the run that led there, and its parameters.
struct Start {
    spec: RunSpec,
    theta: Vec<f32>,
}

fn spec(knobs: &Knobs, seed: u64) -> RunSpec {
    let mlp = knobs.choice("model") == "mlp";
    let hidden = if mlp { vec![32] } else { vec![] };
    RunSpec {
        data: if mlp { DataSpec::of(DataSet::Digits) } else { closed_form::data() },
        model: ModelSpec::Mlp(MlpSpec { hidden, activation: Activation::Tanh, ..MlpSpec::default() }),
        optimizer: OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: 3e-3, warmup: 0, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 128, ..BatchSpec::default() },
        steps: knobs.integer("checkpoint") as u64,
        seed,
        ..RunSpec::default()
    }
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        for (seed, share) in context.seeds(Share::ALL) {
            let spec = spec(&knobs, seed);
            let mut trainer = context.trainer(&spec).await?;
            context.updates(&mut trainer, spec.steps).await?;
            let start = Start { theta: trainer.theta().await?, spec };
            sharpness::run(context, &mut trainer, seed, share.between(0.0, 0.5)).await?;
            context.give_back(trainer.into_executor());
            let rules: Vec<stability::Arm> = rules(&knobs).collect();
            for (place, &arm) in rules.iter().enumerate() {
                let share = share.between(0.5, 0.7).part(place, rules.len());
                stability::run(context, arm, &start, seed, share).await?;
            }
            closed_form::run(context, seed, share.between(0.7, 1.0)).await?;
        }
        Ok(())
    })
}

/// Records how far a search got at a batch size: the curve `rate`, and the curve `beyond` where the grid ended first.
fn record(outcome: &mut Outcome, batch: usize, search: &LargestRate) {
    let rate = search.found().unwrap_or(f64::NAN);
    outcome.number(&format!("rate@{batch}"), rate);
    outcome.point("rate", batch as f64, rate);
    if search.ran_out() {
        outcome.point("beyond", batch as f64, rate);
    }
}

fn figures(results: &Results) -> Vec<Figure> {
    vec![sharpness_figure(results), density_figure(results), rates_figure(results), closed_form_figure(results)]
}

/// All points of a curve, of every seed.
fn points(results: &Results, arm: &str, curve: &str) -> Vec<[f64; 2]> {
    results.outcomes(arm).filter_map(|(_, outcome)| outcome.curves.get(curve)).flatten().copied().collect()
}

fn sharpness_figure(results: &Results) -> Figure {
    let (mean, band) = results.mean_curve(sharpness::ARM, "by inverse batch");
    let number = |name: &str| results.sample(sharpness::ARM, name).mean();
    let [top, fit, predicted, variance, parameters] =
        ["lambda", "fit", "predicted", "variance", "parameters"].map(number);
    let mut marks = Vec::new();
    if let Some(end) = mean.iter().map(|point| point[0]).reduce(f64::max) {
        let singles = points(results, sharpness::ARM, "single");
        marks.push(Mark::Scatter { name: "one batch".into(), role: Role::Other, points: singles, classes: vec![] });
        if variance.is_finite() {
            let at = |k: u32| end * f64::from(k) / 40.0;
            let theory = (0..=40).map(|k| [at(k), spiked(top, parameters * variance * at(k))]).collect();
            marks.push(Mark::line("random matrices", Role::Theory, Dash::Dashed, theory));
            marks.push(Mark::line("fitted line", Role::Limit, Dash::Dashed, vec![[0.0, top], [end, top + fit * end]]));
        }
        marks.push(Mark::Line {
            name: "mean of 12 batches".into(),
            role: Role::Batch,
            dash: Dash::Solid,
            points: mean.clone(),
            band,
        });
    }
    let words = match (mean.iter().map(|point| point[1]).reduce(f64::max), fit.is_finite()) {
        (Some(high), true) => format!(
            "from {} on all data to {} in batches of 8; the fitted line rises by {} for 1/b, random matrices predict {}",
            brief(top),
            brief(high),
            brief(fit),
            brief(predicted)
        ),
        (Some(high), false) => format!("up to {} so far", brief(high)),
        _ => String::new(),
    };
    let figure = chart(
        "sharpness",
        "Largest curvature of a batch",
        "A smaller batch sees a sharper landscape: its top eigenvalue grows in proportion to 1/b. Dots are single batches, \
         the band spans the seeds.",
        [axis("1/b, b = B / (1 - B/N)", "1/examples"), axis("λ₁ of the batch's matrix", "")],
        marks,
    );
    with_alt(figure, &words, "Dots appear batch by batch, from 8 examples to all.")
}

fn density_figure(results: &Results) -> Figure {
    let batch = results.knobs.integer("batch");
    let density = |curve: &str| {
        let mut all = results.outcomes(sharpness::ARM).filter_map(|(_, outcome)| outcome.curves.get(curve));
        all.next().cloned().unwrap_or_default()
    };
    let [own, full] = ["density", "full density"].map(density);
    let reach = |points: &[[f64; 2]]| {
        points.iter().filter(|point| point[1].is_finite()).map(|point| point[0]).fold(f64::NAN, f64::max)
    };
    let words = if own.is_empty() {
        String::new()
    } else {
        format!("that of {batch} examples reaches to {}, that of all to {}", brief(reach(&own)), brief(reach(&full)))
    };
    let marks =
        [("all data", Role::Other, full), (if batch == 1 { "one example" } else { "one batch" }, Role::Batch, own)];
    let marks = marks.into_iter().filter(|(_, _, points)| !points.is_empty());
    let figure = chart(
        "density",
        format!("Spectrum of a batch of {batch} over that of all data"),
        "As the batch shrinks, the spectrum stretches to both sides; turn “Batch” and run again.",
        [axis("eigenvalue", ""), log_axis("density", "per unit")],
        marks.map(|(name, role, points)| Mark::line(name, role, Dash::Solid, points)).collect(),
    );
    with_alt(figure, &words, "Two densities, after the batches of the first seed.")
}

/// Largest rates against the batch size, on logarithmic axes.
fn rate_chart(id: &str, title: &str, meaning: &str, marks: Vec<Mark>) -> Figure {
    chart(id, title, meaning, [log_axis("batch size B", "examples"), log_axis("largest rate", "")], marks)
}

/// A power law through the first point of a line.
fn guide(name: &str, from: Option<&[f64; 2]>, exponent: f64, to: f64) -> Option<Mark> {
    let &[x, y] = from?;
    let far = [to, y * libm::pow(to / x, exponent)];
    (y > 0.0).then(|| Mark::line(name, Role::Theory, Dash::Dotted, vec![[x, y], far]))
}

/// Where a search ended with its grid: the largest rate is higher than drawn.
fn beyond(results: &Results, arms: &[Label]) -> Option<Mark> {
    let points: Vec<[f64; 2]> = arms.iter().flat_map(|label| points(results, &label.id, "beyond")).collect();
    let name = "at least this: the grid ends".into();
    (!points.is_empty()).then_some(Mark::Scatter { name, role: Role::Limit, points, classes: vec![] })
}

fn knee(at: f64) -> Option<Mark> {
    let mark = Mark::Rule { label: "knee b*".into(), role: Role::Limit, along: Direction::Vertical, at };
    (at.is_finite() && at > 0.0).then_some(mark)
}

fn rates_figure(results: &Results) -> Figure {
    let arms = results.labels(stability::ARMS.map(|arm| arm.id));
    let mut marks = curves(results, &arms, "rate");
    let mut words = Vec::new();
    for label in &arms {
        let (mean, _) = results.mean_curve(&label.id, "rate");
        let (name, exponent) = if label.id == "sgd" { ("∝ B", 1.0) } else { ("∝ √B", 0.5) };
        marks.extend(guide(name, mean.first(), exponent, 64.0));
        if let (Some(first), Some(last)) = (mean.first(), mean.last()) {
            words.push(format!(
                "{} from {} at B = {} to {} at {}",
                label.name,
                brief(first[1]),
                first[0],
                brief(last[1]),
                last[0]
            ));
        }
    }
    marks.extend(beyond(results, &arms));
    if !marks.is_empty() {
        let [top, fit] = ["lambda", "fit"].map(|name| results.sample(sharpness::ARM, name).mean());
        marks.extend(knee(fit / top));
    }
    let figure = rate_chart(
        "rates",
        "Largest rate of the network",
        "Sixty steps from one checkpoint must not raise the loss by half; dotted: what the theory's powers of B would be.",
        marks,
    );
    with_alt(figure, &words.join(", "), "A point for each rule and batch size, found by bisection.")
}

fn closed_form_figure(results: &Results) -> Figure {
    let arms = results.labels([closed_form::ARM]);
    let mut marks = curves(results, &arms, "rate");
    let (formula, _) = results.mean_curve(closed_form::ARM, "formula");
    let (mean, _) = results.mean_curve(closed_form::ARM, "rate");
    if !formula.is_empty() {
        marks.push(Mark::line("formula", Role::Theory, Dash::Dashed, formula));
        marks.extend(beyond(results, &arms));
        marks.extend(guide("∝ B", mean.first(), 1.0, 64.0));
        let [top, m] = ["lambda", "m"].map(|name| results.sample(closed_form::ARM, name).mean());
        marks.extend(knee(m / (top * top)));
    }
    let values: Vec<String> = mean.iter().map(|[batch, rate]| format!("{} at B = {batch}", brief(*rate))).collect();
    let figure = rate_chart(
        "closed",
        "Largest rate of the linear model",
        "With squared loss the edge has a formula: linear in B up to the knee, then flat.",
        marks,
    );
    with_alt(figure, &values.join(", "), "A point for each batch size, found by bisection.")
}

/// The log-log slope of an arm's largest rate over some batch sizes, seed by seed.
fn slope(results: &Results, arm: &str, batches: std::ops::RangeInclusive<f64>) -> Sample {
    let of_seed = |(seed, outcome): (u64, &Outcome)| {
        let points: Vec<[f64; 2]> =
            outcome.curves.get("rate")?.iter().filter(|point| batches.contains(&point[0])).copied().collect();
        Some((seed, power_law(&points).slope))
    };
    Sample(results.outcomes(arm).filter_map(of_seed).collect())
}

/// Largest relative distance of the linear model's rate from the formula, in percent, seed by seed.
fn distance_from_formula(results: &Results) -> Sample {
    let of_seed = |(seed, outcome): (u64, &Outcome)| {
        let [rates, formula] = ["rate", "formula"].map(|name| outcome.curves.get(name));
        let distance = |(a, b): (&[f64; 2], &[f64; 2])| 100.0 * (a[1] / b[1] - 1.0).abs();
        // A rate that was not found is as far as can be.
        let far = |distance: f64| if distance.is_nan() { f64::INFINITY } else { distance };
        Some((seed, rates?.iter().zip(formula?).map(distance).map(far).fold(0.0, f64::max)))
    };
    Sample(results.outcomes(closed_form::ARM).filter_map(of_seed).collect())
}

fn verdict(results: &Results) -> Verdict {
    let number = |name: &str| results.sample(sharpness::ARM, name);
    let mut checks = Checks::new();
    checks.every_seed("steps of B at which mean λ₁(H_B) does not fall", &number("rises"), Bound::AtMost(0.0), "");
    checks.every_seed("R² of the line in 1/b", &number("r2"), Bound::AtLeast(0.93), "");
    checks.every_seed("log-log slope of the excess over b", &number("slope"), Bound::Between(-1.15, -0.75), "");
    checks.every_seed("λ₁ of 8 examples, of all data's", &number("ratio"), Bound::AtLeast(3.0), "×");
    let linear = |batches| slope(results, closed_form::ARM, batches);
    checks.every_seed("linear model: slope over B = 1 to 8", &linear(1.0..=8.0), Bound::Between(0.85, 1.05), "");
    checks.every_seed("linear model: slope over B = 256 to 1,024", &linear(256.0..=1024.0), Bound::AtMost(0.2), "");
    let distance = distance_from_formula(results);
    checks.every_seed("linear model: largest distance from the formula", &distance, Bound::AtMost(35.0), "%");
    let [sgd, adam] = stability::ARMS.map(|arm| slope(results, arm.id, 0.0..=64.0));
    let excess = sgd.minus(&adam);
    let name = "network: SGD's slope over B ≤ 64 less Adam's";
    let both = checks.given(results.knobs.choice("optimizer") == "both", "only one optimizer was asked for");
    both.most_seeds(name, &excess, Bound::AtLeast(0.2), "", [2, 3]);
    let measured = format!(
        "Batches of 8 look {:.1} times as sharp as all data; the line in 1/b has R² {:.3} and rises {:.2} times as steeply as \
         random matrices predict (their noise has full rank, that of batches has not). The linear model's largest rate \
         grows with slope {:.2} up to B = 8 and {:.2} beyond 256; the network's with {:.2} for SGD and {:.2} for Adam up \
         to B = 64.",
        number("ratio"),
        number("r2"),
        number("fit").over(&number("predicted")),
        linear(1.0..=8.0),
        linear(256.0..=1024.0),
        sgd,
        adam,
    );
    checks.verdict(&STUDY, measured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_help::failing;
    use engine::figure::Holds;
    use engine::probe::inverse_batch;

    /// Results in which a batch's excess goes with a power of 1/b, and rates with a power of B up to a knee.
    fn filled(excess: f64, [sgd, adam]: [f64; 2], reached: bool) -> Results {
        let (knobs, _) = Knobs::new(&knobs(), &[]);
        let mut results = Results::new(knobs.clone(), arms(&knobs), vec![1, 2, 3]);
        for seed in [1, 2, 3] {
            let outcome = results.record(sharpness::ARM, seed);
            for batch in [8, 16, 32, 64, 128, 256, 512, 1024, 1437] {
                let inverse = inverse_batch(batch, 1437);
                outcome.point("by inverse batch", inverse, 0.1 + 4.0 * inverse.powf(excess));
            }
            outcome.number("lambda", 0.1);
            sharpness::judge(outcome);
            for (arm, exponent) in stability::ARMS.iter().zip([sgd, adam]) {
                let outcome = results.record(arm.id, seed);
                for batch in stability::BATCHES {
                    outcome.point("rate", batch as f64, 0.01 * (batch.min(256) as f64).powf(exponent));
                }
            }
            let outcome = results.record(closed_form::ARM, seed);
            for batch in closed_form::BATCHES {
                let formula = closed_form::predicted([1.0, 56.5], batch);
                outcome.point("formula", batch as f64, formula);
                outcome.point("rate", batch as f64, 1.1 * formula);
                if !reached {
                    outcome.point("beyond", batch as f64, 1.1 * formula);
                }
            }
        }
        results
    }

    /// What the theory says holds; noise that does not shrink as 1/b, or equal slopes of the rules, do not.
    #[test]
    fn the_verdict_follows_the_numbers() {
        let sound = verdict(&filled(1.0, [0.8, 0.4], true));
        assert_eq!(sound.holds, Holds::Yes, "{sound:?}");
        let flat = failing(&verdict(&filled(0.3, [0.8, 0.4], true)));
        assert!(flat.contains(&1) && flat.contains(&2) && !flat.contains(&0), "{flat:?}");
        assert_eq!(failing(&verdict(&filled(1.0, [0.5, 0.4], true))), [7]);
        assert_eq!(verdict(&Results::default()).holds, Holds::No);
    }

    #[test]
    fn the_figure_says_where_the_grid_ended() {
        let named = |results: &Results| {
            closed_form_figure(results).marks.iter().any(|mark| matches!(mark, Mark::Scatter { role: Role::Limit, .. }))
        };
        assert!(!named(&filled(1.0, [0.8, 0.4], true)) && named(&filled(1.0, [0.8, 0.4], false)));
    }
}
