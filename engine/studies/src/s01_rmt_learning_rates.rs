//! Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach (Granziol, Zohren, Roberts 2020).

mod closed_form;
mod drawing;
mod sharpness;
mod stability;

use std::ops::RangeInclusive;

use engine::numeric::fit::power_law;
use engine::spec::{
    Activation, BatchSpec, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
};

use super::largest::LargestRate;
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Outcome, Protocol, Results, Sample, Share,
    Study, StudyError, Task,
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
    claim: "The outermost eigenvalues of a mini-batch's Hessian are larger than those of the full data's by an amount that \
            shrinks as 1/B. So the largest usable learning rate grows linearly with B for SGD and as √B for Adam, up to a batch \
            size after which it saturates.",
    why: "A batch's Hessian is the full data's plus a fluctuation whose entries have variance σ²/b, where b = B / (1 - B/N) \
          because a batch is drawn without replacement. Random matrix theory adds such noise to an outlier λ₁ as Pσ²/(bλ₁): a \
          small batch is not just a noisy gradient, it is a sharper landscape. SGD is stable up to 2/λ₁(H_B), which is linear in \
          B while the noise rules and constant after the knee b*. Adam divides by something like the square root of the \
          curvature, hence √B. Honest limits: cross-entropy networks catapult to flatter regions instead of diverging, so a \
          network's largest rate is judged from one checkpoint, and held beside that of a linear model, for which there is a \
          formula. And the noise of real batches is of low rank, not a Wigner matrix: the slope in 1/b is the tested claim, the \
          predicted height is shown too, and is usually off.",
    differs: "Digits of 8×8 pixels instead of CIFAR-100 and ImageNet; softmax regression on 40 whitened principal \
              components (410 parameters), or an MLP 64-32-10 with tanh, instead of VGG and WideResNet. The largest rate is \
              found by runs of 60 steps from one checkpoint, by bisection on half octaves, instead of full trainings. \
              Adam's moments are warmed by 200 updates at rate 0, so that the test is about curvature and not about a cold \
              preconditioner.",
    seconds: 8.0,
    knobs: &[&BATCH, &CHECKPOINT, &MATRIX, &OPTIMIZER, &MODEL],
    also: &[["model", "mlp"]],
    protocol: Protocol::Program { arms, run, timed: false },
    figures: drawing::figures,
    answer,
    ..Study::BASE
};

/// Largest rate at each batch size, and those at which the grid of rates ended first.
const RATE: Curve = Curve::new("rate", "");
const BEYOND: Curve = Curve::new("beyond", "");
/// Largest rate by the formula.
const FORMULA: Curve = Curve::new("formula", "");
/// Top eigenvalue of all data's matrix, or of its mean over the batches of a size.
const LAMBDA: Number = Number::new("lambda", "");
/// That of the weighted covariance of the linear model's inputs.
const M: Number = Number::new("m", "");
/// Top eigenvalues of batches against 1/b: of each, and their means.
const SINGLE: Curve = Curve::new("single", "");
const BY_INVERSE_BATCH: Curve = Curve::new("by inverse batch", "");
/// Densities of a batch's spectrum, and of all data's.
const DENSITY: Curve = Curve::new("density", "");
const FULL_DENSITY: Curve = Curve::new("full density", "");
/// Rise of the fitted line with 1/b, that which random matrices predict, and how well the line fits.
const FIT: Number = Number::new("fit", "");
const PREDICTED: Number = Number::new("predicted", "");
const R2: Number = Number::new("r2", "");
/// Log-log slope of the excess over b, and batch sizes without an excess, which have no place on that line.
const SLOPE: Number = Number::new("slope", "");
const WITHOUT: Number = Number::new("without", "");
/// Steps of B at which the mean eigenvalue does not fall.
const RISES: Number = Number::new("rises", "");
/// The eigenvalue of the smallest batches, of all data's.
const RATIO: Number = Number::new("ratio", "×");
/// Variance of an entry of one example's matrix.
const VARIANCE: Number = Number::new("variance", "");

crate::options! {
    Model {
        Softmax = "softmax", "softmax regression";
        Mlp = "mlp", "MLP 64-32-10";
    }
}
crate::options! {
    Matrix {
        Hessian = "hessian", "Hessian";
        GaussNewton = "ggn", "Gauss–Newton";
    }
}
crate::options! {
    Rules {
        Both = "both", "both";
        Sgd = "sgd", "SGD";
        Adam = "adam", "Adam";
    }
}

const BATCH: Knob<usize> =
    Knob::integer("batch", "Batch", "size whose spectrum is drawn over that of all data", [1, 1437], 32);
const CHECKPOINT: Knob<usize> =
    Knob::integer("checkpoint", "Checkpoint", "steps of Adam before anything is measured", [0, 1000], 300);
const MATRIX: Knob<Matrix> =
    Knob::choice("matrix", "Matrix", "Gauss–Newton has no negative part and less noise", Matrix::Hessian);
const OPTIMIZER: Knob<Rules> = Knob::choice("optimizer", "Optimizer", "whose largest rate is searched", Rules::Both);
const MODEL: Knob<Model> = Knob::choice("model", "Model", "the MLP is not convex", Model::Softmax);

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
    let wanted = knobs.get(&OPTIMIZER);
    stability::ARMS.into_iter().filter(move |arm| match wanted {
        Rules::Both => true,
        Rules::Sgd => arm.id == "sgd",
        Rules::Adam => arm.id == "adam",
    })
}

/// Where measuring starts: the run that led there, and its parameters.
struct Start {
    spec: RunSpec,
    theta: Vec<f32>,
}

fn spec(knobs: &Knobs, seed: u64) -> RunSpec {
    let mlp = knobs.get(&MODEL) == Model::Mlp;
    let hidden = if mlp { vec![32] } else { vec![] };
    RunSpec {
        data: if mlp { DataSpec::of(DataSet::Digits) } else { closed_form::data() },
        model: ModelSpec::Mlp(MlpSpec { hidden, activation: Activation::Tanh, ..MlpSpec::default() }),
        optimizer: OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Constant, peak: 3e-3, warmup: 0, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 128, ..BatchSpec::default() },
        steps: knobs.get(&CHECKPOINT) as u64,
        seed,
        ..RunSpec::default()
    }
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        for (seed, share) in context.seeds(Share::ALL) {
            let spec = spec(&knobs, seed);
            let theta = context
                .with_trainer(&spec, async |context, trainer| {
                    context.updates(trainer, spec.steps).await?;
                    let theta = trainer.theta().await?;
                    sharpness::run(context, trainer, seed, share.between(0.0, 0.5)).await?;
                    Ok(theta)
                })
                .await?;
            let start = Start { spec, theta };
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
    outcome.number(RATE.last().of(batch as u64), rate);
    outcome.point(RATE, batch as f64, rate);
    if search.ran_out() {
        outcome.point(BEYOND, batch as f64, rate);
    }
}

/// The log-log slope of an arm's largest rate over some batch sizes, seed by seed.
fn slope(results: &Results, arm: &str, batches: RangeInclusive<f64>) -> Sample {
    let of_seed = |(seed, outcome): (u64, &Outcome)| {
        let points: Vec<[f64; 2]> =
            outcome.curve(RATE).iter().filter(|point| batches.contains(&point[0])).copied().collect();
        // Too few points have no slope.
        Some((seed, power_law(&points).slope)).filter(|(_, slope)| slope.is_finite())
    };
    Sample(results.outcomes(arm).filter_map(of_seed).collect())
}

/// Whether all searches of an arm over some batch sizes found the edge within their grid of rates.
fn settled(results: &Results, arm: &str, batches: RangeInclusive<f64>) -> bool {
    let any = |outcome: &Outcome, curve: Curve, bad: fn(f64) -> bool| {
        outcome.curve(curve).iter().any(|&[batch, rate]| batches.contains(&batch) && bad(rate))
    };
    !results.outcomes(arm).any(|(_, outcome)| any(outcome, BEYOND, |_| true) || any(outcome, RATE, f64::is_nan))
}

/// Largest relative distance of the linear model's rate from the formula, in percent, seed by seed.
fn distance_from_formula(results: &Results) -> Sample {
    let of_seed = |(seed, outcome): (u64, &Outcome)| {
        let [rates, formula] = [RATE, FORMULA].map(|curve| outcome.curve(curve));
        let distance = |(a, b): (&[f64; 2], &[f64; 2])| 100.0 * (a[1] / b[1] - 1.0).abs();
        // A rate that was not found is as far as can be.
        let far = |distance: f64| if distance.is_nan() { f64::INFINITY } else { distance };
        (!rates.is_empty()).then(|| (seed, rates.iter().zip(formula).map(distance).map(far).fold(0.0, f64::max)))
    };
    Sample(results.outcomes(closed_form::ARM).filter_map(of_seed).collect())
}

/// How the network's largest rates grow with the batch, for the rules that were asked for.
fn rates_in_words(slopes: [&Sample; 2]) -> String {
    let claimed = ["SGD, where theory says 1", "Adam, where it says 1/2"];
    let measured = slopes.iter().zip(claimed).filter(|(slope, _)| slope.mean().is_finite());
    let parts: Vec<String> = measured.map(|(slope, rule)| format!("{} for {rule}", slope.mean_in_words())).collect();
    match parts.join(", and ") {
        none if none.is_empty() => none,
        parts => format!(" Up to B = 64 the network's largest rate goes with the power {parts}."),
    }
}

fn answer(results: &Results) -> Answer {
    let number = |number: Number| results.sample(sharpness::ARM, number);
    let linear = |batches| slope(results, closed_form::ARM, batches);
    let [sgd, adam] = stability::ARMS.map(|arm| slope(results, arm.id, 0.0..=64.0));
    let both = results.knobs.get(&OPTIMIZER) == Rules::Both;
    let found = stability::ARMS.iter().all(|arm| settled(results, arm.id, 0.0..=64.0));
    let excess = if number(SLOPE).mean().is_finite() {
        format!(
            "The excess of a batch's largest eigenvalue goes with the power {} of b, where theory says -1: batches of 8 look {} \
             times as sharp as all data.",
            number(SLOPE).mean_in_words(),
            number(RATIO).mean_in_words(),
        )
    } else {
        "How the largest eigenvalue goes with the batch was not measured.".to_owned()
    };
    let mut more = format!(
        "The line in 1/b has R² {} and rises {} times as steeply as random matrices predict (their noise has full rank, that \
         of batches has not). The linear model's largest rate goes with the power {} of B up to B = 8 and {} beyond 256.",
        number(R2),
        number(FIT).over(&number(PREDICTED)),
        linear(1.0..=8.0),
        linear(256.0..=1024.0),
    );
    if number(WITHOUT).max() > 0.0 {
        more += " Batch sizes without an excess are left out of its power.";
    }
    if !results.arms.iter().all(|arm| settled(results, &arm.id, 0.0..=f64::INFINITY)) {
        more += " Some searches came to an end of their grid of rates: the edge lies beyond it.";
    }
    let ended = "a search came to an end of its grid of rates";
    let words = excess + &rates_in_words([&sgd, &adam]);
    let slope = "log-log slope of the excess over b";
    Answer::new(Judged::every_seed(slope, &number(SLOPE), Bound::Between(-1.15, -0.75), ""), words).more(more).also([
        Judged::every_seed("steps of B at which mean λ₁(H_B) does not fall", &number(RISES), Bound::AtMost(0.0), ""),
        Judged::every_seed("R² of the line in 1/b", &number(R2), Bound::AtLeast(0.93), ""),
        Judged::every_seed("λ₁ of 8 examples, relative to all data's", &number(RATIO), Bound::AtLeast(3.0), "×"),
        Judged::every_seed("linear model: slope over B = 1 to 8", &linear(1.0..=8.0), Bound::Between(0.85, 1.05), "")
            .given(settled(results, closed_form::ARM, 1.0..=8.0), ended),
        Judged::every_seed(
            "linear model: slope over B = 256 to 1,024",
            &linear(256.0..=1024.0),
            Bound::AtMost(0.2),
            "",
        )
        .given(settled(results, closed_form::ARM, 256.0..=1024.0), ended),
        Judged::every_seed(
            "linear model: largest distance from the formula",
            &distance_from_formula(results),
            Bound::AtMost(35.0),
            "%",
        ),
        Judged::most_seeds(
            "network: SGD's slope over B ≤ 64 minus Adam's",
            &sgd.minus(&adam),
            Bound::AtLeast(0.2),
            "",
            [2, 3],
        )
        .given(found, ended)
        .given(both, "only one optimizer was asked for"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_help::{failing, unmeasured};
    use engine::figure::Holds;
    use engine::figure::{Mark, Role};
    use engine::probe::inverse_batch;

    /// Results in which a batch's excess goes with a power of 1/b, and rates with a power of B up to a knee.
    fn filled(excess: f64, [sgd, adam]: [f64; 2], reached: bool) -> Results {
        let mut results = unmeasured(&STUDY, &[], &[1, 2, 3]);
        for seed in [1, 2, 3] {
            let outcome = results.record(sharpness::ARM, seed).unwrap();
            for batch in [8, 16, 32, 64, 128, 256, 512, 1024, 1437] {
                let inverse = inverse_batch(batch, 1437);
                outcome.point(BY_INVERSE_BATCH, inverse, 0.1 + 4.0 * inverse.powf(excess));
            }
            outcome.number(LAMBDA, 0.1);
            sharpness::judge(outcome);
            for (arm, exponent) in stability::ARMS.iter().zip([sgd, adam]) {
                let outcome = results.record(arm.id, seed).unwrap();
                for batch in stability::BATCHES {
                    outcome.point(RATE, batch as f64, 0.01 * (batch.min(256) as f64).powf(exponent));
                }
            }
            let outcome = results.record(closed_form::ARM, seed).unwrap();
            for batch in closed_form::BATCHES {
                let formula = closed_form::predicted([1.0, 56.5], batch);
                outcome.point(FORMULA, batch as f64, formula);
                outcome.point(RATE, batch as f64, 1.1 * formula);
                if !reached {
                    outcome.point(BEYOND, batch as f64, 1.1 * formula);
                }
            }
        }
        results
    }

    /// What the theory says holds; noise that does not shrink as 1/b, or equal slopes of the rules, do not.
    #[test]
    fn the_answer_follows_the_numbers() {
        let judged = |results: &Results| answer(results).verdict(&STUDY);
        let sound = judged(&filled(1.0, [0.8, 0.4], true));
        assert_eq!((sound.holds, failing(&sound)), (Holds::Yes, vec![]), "{sound:?}");
        let flat = failing(&judged(&filled(0.3, [0.8, 0.4], true)));
        assert!(flat.contains(&0) && flat.contains(&2) && !flat.contains(&1), "{flat:?}");
        assert_eq!(failing(&judged(&filled(1.0, [0.5, 0.4], true))), [7]);
        assert!(!sound.measured.contains("end of their grid"), "{sound:?}");
    }

    /// A rate beyond the grid is a lower bound only, and none at all is no point of a line.
    #[test]
    fn slopes_of_searches_that_left_their_grid_are_not_judged() {
        let mut results = filled(1.0, [0.8, 0.4], true);
        results.record("sgd", 2).unwrap().point(BEYOND, 64.0, 0.3);
        let verdict = answer(&results).verdict(&STUDY);
        assert_eq!(verdict.checks().map(|check| check.holds).nth(7), Some(None));
        assert!(verdict.measured.contains("end of their grid"), "{}", verdict.measured);
        assert!(settled(&results, "sgd", 0.0..=16.0) && !settled(&results, "sgd", 0.0..=64.0));
        results.record("adam", 1).unwrap().point(RATE, 2.0, f64::NAN);
        assert!(!settled(&results, "adam", 0.0..=16.0));
    }

    #[test]
    fn the_figure_says_where_the_grid_ended() {
        let named = |results: &Results| {
            drawing::closed_form_figure(results)
                .marks()
                .iter()
                .any(|mark| matches!(mark, Mark::Scatter { role: Role::Limit, .. }))
        };
        assert!(!named(&filled(1.0, [0.8, 0.4], true)) && named(&filled(1.0, [0.8, 0.4], false)));
    }
}
