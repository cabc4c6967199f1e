//! What the study shows.

use super::{
    BATCH, BEYOND, BY_INVERSE_BATCH, DENSITY, FIT, FORMULA, FULL_DENSITY, LAMBDA, M, PREDICTED, RATE, SINGLE, VARIANCE,
    closed_form, sharpness, stability,
};
use crate::names::PARAMETERS;
use crate::plot::{axis, curves, log_axis};
use crate::{Curve, Label, Number, Plot, Results};
use engine::figure::{Dash, Direction, Mark, Role, brief};
use engine::probe::spiked;

/// All figures, what the headline is about first.
pub fn figures(results: &Results) -> Vec<Plot> {
    vec![sharpness_figure(results), density_figure(results), rates_figure(results), closed_form_figure(results)]
}

/// All points of a curve, of every seed.
fn points(results: &Results, arm: &str, curve: Curve) -> Vec<[f64; 2]> {
    results.outcomes(arm).flat_map(|(_, outcome)| outcome.curve(curve)).copied().collect()
}

fn sharpness_figure(results: &Results) -> Plot {
    let (mean, band) = results.mean_curve(sharpness::ARM, BY_INVERSE_BATCH);
    let number = |number: Number| results.sample(sharpness::ARM, number).mean();
    let [top, fit, predicted, variance, parameters] = [LAMBDA, FIT, PREDICTED, VARIANCE, PARAMETERS].map(number);
    let mut marks = Vec::new();
    if let Some(end) = mean.iter().map(|point| point[0]).reduce(f64::max) {
        let singles = points(results, sharpness::ARM, SINGLE);
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
    let axes = [axis("1/b, b = B / (1 - B/N)", "1/examples"), axis("λ₁ of the batch's matrix", "")];
    Plot::of("sharpness", "Largest curvature of a batch", axes, marks)
        .meaning(
            "By the theory a smaller batch sees a sharper landscape: its top eigenvalue grows in proportion to 1/b. Dots are \
             single batches, the band spans the seeds.",
        )
        .says(words)
        .empty("Dots appear batch by batch, from 8 examples to all.")
}

fn density_figure(results: &Results) -> Plot {
    let batch = results.knobs.get(&BATCH);
    let density = |curve: Curve| {
        let mut all = results.outcomes(sharpness::ARM).map(|(_, outcome)| outcome.curve(curve).to_vec());
        all.find(|points| !points.is_empty()).unwrap_or_default()
    };
    let [own, full] = [DENSITY, FULL_DENSITY].map(density);
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
    let lines = marks.map(|(name, role, points)| Mark::line(name, role, Dash::Solid, points)).collect();
    let title = format!("Spectrum of a batch of {batch} over that of all data");
    Plot::of("density", title, [axis("eigenvalue", ""), log_axis("density", "per unit")], lines)
        .meaning("As the batch shrinks, the spectrum stretches to both sides; turn “Batch” and run again.")
        .says(words)
        .empty("Two densities, after the batches of the first seed.")
}

/// Largest rates against the batch size, on logarithmic axes.
fn rate_chart(id: &str, title: &str, marks: Vec<Mark>) -> Plot {
    Plot::of(id, title, [log_axis("batch size B", "examples"), log_axis("largest rate", "")], marks)
}

/// A power law through the first point of a line.
fn guide(name: &str, from: Option<&[f64; 2]>, exponent: f64, to: f64) -> Option<Mark> {
    let &[x, y] = from?;
    let far = [to, y * libm::pow(to / x, exponent)];
    let dash = if exponent < 1.0 { Dash::Long } else { Dash::Dotted };
    (y > 0.0).then(|| Mark::line(name, Role::Theory, dash, vec![[x, y], far]))
}

/// Where a search ended with its grid: the largest rate is higher than drawn.
fn beyond(results: &Results, arms: &[Label]) -> Option<Mark> {
    let points: Vec<[f64; 2]> = arms.iter().flat_map(|label| points(results, &label.id, BEYOND)).collect();
    let name = "at least this: the grid ends".into();
    (!points.is_empty()).then_some(Mark::Scatter { name, role: Role::Limit, points, classes: vec![] })
}

fn knee(at: f64) -> Option<Mark> {
    let mark = Mark::Rule { label: "knee b*".into(), role: Role::Limit, along: Direction::Vertical, at };
    (at.is_finite() && at > 0.0).then_some(mark)
}

fn rates_figure(results: &Results) -> Plot {
    let arms = results.labels(stability::ARMS.map(|arm| arm.id));
    let mut marks = curves(results, &arms, RATE);
    let mut words = Vec::new();
    for label in &arms {
        let (mean, _) = results.mean_curve(&label.id, RATE);
        let (name, exponent) = if label.id == "sgd" { ("∝ B", 1.0) } else { ("∝ √B", 0.5) };
        marks.extend(guide(name, mean.first(), exponent, 64.0));
        let found: Vec<&[f64; 2]> = mean.iter().filter(|point| point[1].is_finite()).collect();
        if let [first, .., last] = found[..] {
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
        let [top, fit] = [LAMBDA, FIT].map(|number| results.sample(sharpness::ARM, number).mean());
        marks.extend(knee(fit / top));
    }
    rate_chart("rates", "Largest rate of the network", marks)
        .meaning("Sixty steps from one checkpoint must not raise the loss by half; grey: the theory's powers of B.")
        .says(words.join(", "))
        .empty("A point for each rule and batch size, found by bisection.")
}

pub fn closed_form_figure(results: &Results) -> Plot {
    let arms = results.labels([closed_form::ARM]);
    let mut marks = curves(results, &arms, RATE);
    let (formula, _) = results.mean_curve(closed_form::ARM, FORMULA);
    let (mean, _) = results.mean_curve(closed_form::ARM, RATE);
    if !formula.is_empty() {
        marks.push(Mark::line("formula", Role::Theory, Dash::Dashed, formula));
        marks.extend(beyond(results, &arms));
        marks.extend(guide("∝ B", mean.first(), 1.0, 64.0));
        let [top, m] = [LAMBDA, M].map(|number| results.sample(closed_form::ARM, number).mean());
        marks.extend(knee(m / (top * top)));
    }
    let found = mean.iter().filter(|[_, rate]| rate.is_finite());
    let values: Vec<String> = found.map(|[batch, rate]| format!("{} at B = {batch}", brief(*rate))).collect();
    rate_chart("closed", "Largest rate of the linear model", marks)
        .meaning("With squared loss the edge has a formula: linear in B up to the knee, then flat.")
        .says(values.join(", "))
        .empty("A point for each batch size, found by bisection.")
}
