//! What the study shows. What is of one seed is of the first that has run.

use engine::figure::{Dash, Mark, Role, brief};

use super::*;
use crate::plot::{Plot, axis, curves, log_axis};

pub(super) fn figures(results: &Results) -> Vec<Plot> {
    let [common, other] = predicted_batches(&results.knobs);
    let mut figures = vec![prediction(results, other), hyperbolas(results), critical(results), errors(results)];
    figures.extend((other != common).then(|| prediction(results, common)));
    figures.push(constants(results));
    figures
}

/// The first seed for which something is known.
fn first<T>(results: &Results, of: impl Fn(u64) -> Option<T>) -> Option<T> {
    results.seeds.iter().find_map(|&seed| of(seed))
}

/// Points of seeds that have the same places, averaged.
fn mean_points(results: &Results, of: impl Fn(u64) -> Option<Vec<[f64; 2]>>) -> Vec<[f64; 2]> {
    let all: Vec<Vec<[f64; 2]>> = results.seeds.iter().filter_map(|&seed| of(seed)).collect();
    let length = all.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |place: usize| all.iter().map(|points| points[place][1]).sum::<f64>() / all.len() as f64;
    (0..length).map(|place| [all[0][place][0], mean(place)]).collect()
}

/// The law's curve, and the run that it was made without.
fn prediction(results: &Results, batch: usize) -> Plot {
    let width = larger(&results.knobs);
    let counted = results.knobs.get(&UPDATES) as f64 / FROM as f64;
    let ways = [
        (Guess::Law, "the law", Role::Limit, Dash::Solid),
        (Guess::NoBatch, "without the batch's term", Role::Theory, Dash::Dotted),
        (Guess::Copy, "the middle size's curve", Role::Theory, Dash::Dashed),
    ];
    let lines = ways.into_iter().filter_map(|(way, name, role, dash)| {
        let points = mean_points(results, |seed| guess(results, seed, batch, way));
        (!points.is_empty()).then(|| Mark::line(name, role, dash, points))
    });
    let arm = results.labels([format!("test/{batch}")]);
    let measured = curves(results, &arm, TEST_LOSS).into_iter().map(|mut mark| {
        if let Mark::Line { points, band, .. } = &mut mark {
            let early = points.iter().take_while(|[updates, _]| *updates < counted).count();
            points.drain(..early);
            band.drain(..early.min(band.len()));
        }
        mark
    });
    let marks = measured.chain(lines).collect();
    let off = error(results, batch, Guess::Law);
    let words = if off.is_empty() { String::new() } else { format!("the law is {off}% off on average") };
    Plot::of(
        format!("prediction-{batch}"),
        format!("Width {width}, batch {batch}: predicted and measured"),
        [log_axis("update", ""), axis("test loss", "nats/char")],
        marks,
    )
    .meaning("No run of this width was used for the law. The curve is fixed before the run begins.")
    .says(words)
    .empty("The law's curve appears when the smaller networks have trained; then the run draws over it.")
}

/// What each level costs with each batch, in updates and characters, on its hyperbola.
fn hyperbolas(results: &Results) -> Plot {
    let found: Vec<Level> = first(results, |seed| levels(results, seed)).into_iter().flatten().flatten().collect();
    let mut marks = Vec::new();
    let (mut runs, mut knees) = (Vec::new(), Vec::new());
    for level in &found {
        let at = |batch: f64| [level.curve.updates(batch), level.curve.examples(batch)];
        let batches = (0..=36).map(|place| 16.0 * libm::exp2(0.25 * f64::from(place)));
        let points: Vec<[f64; 2]> = batches.map(at).collect();
        marks.push(Mark::line(format!("one level of the loss, {:.2}", level.loss), Role::Theory, Dash::Solid, points));
        runs.extend(level.points.iter().map(|&[batch, updates]| [updates, batch * updates]));
        knees.push(at(level.curve.critical()));
    }
    if !found.is_empty() {
        let dots = |name: &str, role, points| Mark::Scatter { name: name.into(), role, points, classes: vec![] };
        marks.extend([dots("runs", Role::Train, runs), dots("critical batch", Role::Limit, knees)]);
    }
    let words: Vec<String> = found
        .iter()
        .map(|level| {
            format!("loss {:.2}: critical batch {}, R² {}", level.loss, brief(level.curve.critical()), brief(level.r2))
        })
        .collect();
    Plot::of(
        "hyperbolas",
        "What a loss costs with each batch",
        [log_axis("updates", ""), log_axis("characters", "")],
        marks,
    )
    .meaning("One curve per level of the loss; batches grow to the left. Left of its critical batch a curve is steep: many more \
              characters save few updates.")
    .says(words.join("; "))
    .empty("A dot for each batch and level.")
}

/// Critical batches over the loss, with the law through them.
fn critical(results: &Results) -> Plot {
    let mut marks = Vec::new();
    let mut points = Vec::new();
    for &seed in &results.seeds {
        let levels = levels(results, seed).into_iter().flatten().flatten();
        points.extend(levels.map(|level| [level.loss, level.curve.critical()]));
    }
    let dots = Mark::Scatter { name: "levels".into(), role: Role::Train, points: points.clone(), classes: vec![] };
    marks.extend((!points.is_empty()).then_some(dots));
    let losses = points.iter().map(|point| point[0]);
    let (low, high) = losses.fold((f64::INFINITY, 0.0), |(low, high), loss| (loss.min(low), loss.max(high)));
    if let Some(law) = first(results, |seed| law(results, seed)) {
        let line = (0..=20).map(|place| low * libm::pow(high / low, f64::from(place) / 20.0));
        marks.push(Mark::line("law", Role::Limit, Dash::Solid, line.map(|loss| [loss, law.critical(loss)]).collect()));
    }
    let growth = growth(results);
    let words = if growth.is_empty() {
        String::new()
    } else {
        format!("at the lowest level the critical batch is {growth} times that at the highest")
    };
    Plot::of(
        "critical",
        "Critical batch by loss",
        [log_axis("test loss", "nats/char"), log_axis("critical batch", "characters")],
        marks,
    )
    .meaning("Training goes from right to left. A dot for each level and seed; if the law were exact, those of one seed would \
              lie on a line.")
    .says(words)
    .empty("A dot for each level.")
}

/// How far each guess is off.
fn errors(results: &Results) -> Plot {
    let batches = predicted_batches(&results.knobs);
    let mut axes = [axis("", ""), axis("mean error", "%")];
    axes[0].categories = batches.map(|batch| format!("batch {batch}")).to_vec();
    let of = |way| batches.map(|batch| error(results, batch, way).mean()).to_vec();
    let ways = [
        (Guess::Law, "the law", Role::Train),
        (Guess::NoBatch, "without the batch's term", Role::Other),
        (Guess::Copy, "the middle size's curve", Role::Lr),
    ];
    let series: Vec<(&str, Role, Vec<f64>)> = ways.into_iter().map(|(way, name, role)| (name, role, of(way))).collect();
    let words: Vec<String> = series
        .iter()
        .filter(|(_, _, values)| values.iter().all(|value| value.is_finite()))
        .map(|(name, _, values)| format!("{name} {} and {}%", brief(values[0]), brief(values[1])))
        .collect();
    Plot::bars("errors", "How far predictions are off", axes, series)
        .meaning("Mean distance from the measured loss over the last nine tenths of the run.")
        .says(words.join(", "))
        .empty("Bars appear when the larger network has trained.")
}

/// The six constants.
fn constants(results: &Results) -> Plot {
    let of = |pick: fn(Law) -> f64| results.by_seed(|seed| law(results, seed).map(pick)).to_string();
    let row =
        |what: &str, scale: fn(Law) -> f64, exponent: fn(Law) -> f64| vec![what.to_owned(), of(scale), of(exponent)];
    let rows = vec![
        row("size: N_c, α_N", |law| law.size.scale, |law| law.size.exponent),
        row("updates: S_c, α_S", |law| law.updates.scale, |law| law.updates.exponent),
        row("critical batch: B_*, α_B", |law| law.batch.scale, |law| 1.0 / law.batch.exponent),
    ];
    let known = first(results, |seed| law(results, seed)).is_some();
    Plot::rows("constants", "The six constants", &["of", "scale", "exponent"], if known { rows } else { vec![] })
        .meaning(
            "Mean over the seeds, with the deviation. Scales lie far outside the measured range, so they vary most.",
        )
        .empty("Three rows when the smaller networks have trained.")
}
