//! What the study shows.

use engine::figure::{Axis, Mark, Role, brief};

use super::{
    ADAM, AS_DRAWN, BY_RATE, Curve, LAMB, LARGE, LARS, LAYERS, MOMENTUM, PLACES, SMALL, STEP, WAYS, Way, at_edge,
    batch, best, carried, decades, factor, plateau, tuned,
};
use crate::plot::{axis, log_axis};
use crate::{Label, Plot, Results, Sample};

pub fn figures(results: &Results) -> Vec<Plot> {
    let large = results.knobs.get(&LARGE);
    let accuracy = || axis("test accuracy", "%");
    let by_rate = |id: &str, title: String, place: usize, also: Option<Label>| {
        let arms: Vec<(&Way, String)> = WAYS.iter().map(|way| (way, way.arm(place))).collect();
        let drawn = also.iter().map(|label| (&WAYS[MOMENTUM], label.id.clone()));
        let lines = arms.into_iter().chain(drawn).filter_map(|(way, arm)| rates_line(results, way, &arm, place));
        Plot::of(id, title, [log_axis("peak rate", ""), accuracy()], lines.collect())
            .empty("Lines grow as rates are tried.")
    };
    let drawn = results.labels([AS_DRAWN]).pop();
    vec![
        Plot::of(
            "batches",
            format!("One rate, tuned with batches of {SMALL}"),
            [log_axis("batch", ""), accuracy()],
            batches(results),
        )
        .says(in_words(|way| carried(results, way, 2)))
        .meaning(format!(
            "Equally many epochs with batches of {}, at the rate that is best with {SMALL}, scaled.",
            PLACES.map(|place| batch(&results.knobs, place).to_string()).join(", ")
        ))
        .empty("Lines appear when a seed has tried all rates."),
        by_rate("plateaus", format!("Which rates work with batches of {large}"), 2, None)
            .with(carried_points(results))
            .says(in_words(|way| tuned(results, way)))
            .meaning("A wide top needs little tuning. The dot marks the rate that is best with small batches, scaled."),
        layers("steps", "How far the first update moves each layer", results, STEPS).meaning(ragged(
            results,
            "relative steps",
            STEPS,
        )),
        layers("trust", "The ratio by which each layer's step is scaled", results, TRUST).meaning(format!(
            "The step of LARS over that of plain descent, of LAMB over Adam's. {}",
            ragged(results, "ratios", TRUST)
        )),
        by_rate("grid", format!("The rates that are tried with batches of {SMALL}"), 0, drawn).meaning(
            "The top of each line is the rate that larger batches get, scaled. Dotted: momentum with its layers as drawn.",
        ),
        by_rate("middle", format!("The same with batches of {}", batch(&results.knobs, 1)), 1, None)
            .meaning("Between the small batch and the large one."),
        table(results),
    ]
}

/// Accuracy by rate, over the mean of the seeds.
fn rates_line(results: &Results, way: &Way, arm: &str, place: usize) -> Option<Mark> {
    let label = results.labels([arm]).pop()?;
    let (points, band) = results.mean_curve(arm, BY_RATE);
    let scale = factor(&results.knobs, place);
    let points: Vec<[f64; 2]> = points.iter().map(|&[at, y]| [way.rate(at as usize) * scale, y]).collect();
    let band = if results.seeds.len() > 1 { band } else { vec![] };
    let name = if arm == AS_DRAWN { label.name } else { way.name.to_owned() };
    (!points.is_empty()).then_some(Mark::Line { name, role: label.role, dash: label.dash, points, band })
}

/// Accuracy against the batch at the rate that was tuned with small ones.
fn batches(results: &Results) -> Vec<Mark> {
    let line = |way: &Way| {
        let at = PLACES.map(|place| (batch(&results.knobs, place) as f64, carried(results, way, place)));
        let known: Vec<&(f64, Sample)> = at.iter().filter(|(_, sample)| !sample.is_empty()).collect();
        let label = way.label(0, &results.knobs);
        let points = known.iter().map(|(batch, sample)| [*batch, sample.mean()]).collect();
        let band = if results.seeds.len() > 1 {
            known.iter().map(|(_, sample)| [sample.min(), sample.max()]).collect()
        } else {
            vec![]
        };
        let name = way.name.to_owned();
        (known.len() == PLACES.len()).then_some(Mark::Line { name, role: label.role, dash: label.dash, points, band })
    };
    WAYS.iter().filter_map(line).collect()
}

/// Where the rates from small batches lie with the large one.
fn carried_points(results: &Results) -> Vec<Mark> {
    let point = |way: &Way| {
        let rate = way.rate(best(results, &way.arm(0))?) * factor(&results.knobs, 2);
        let mean = carried(results, way, 2).mean();
        let (name, role) = (String::new(), way.label(2, &results.knobs).role);
        (!mean.is_nan()).then(|| Mark::Scatter { name, role, points: vec![[rate, mean]], classes: vec![] })
    };
    WAYS.iter().filter_map(point).collect()
}

/// The mean over the seeds of each layer's relative first step.
fn first(results: &Results, way: usize, curve: Curve) -> Vec<f64> {
    results.mean_curve(&WAYS[way].arm(2), curve).0.iter().map(|point| point[1]).collect()
}

/// A quantity of each layer by rule.
type Quantity = &'static [(usize, Option<usize>)];
/// Relative steps of all rules.
const STEPS: Quantity = &[(MOMENTUM, None), (ADAM, None), (LARS, None), (LAMB, None)];
/// The step of a rule that measures layers over that of its sibling that does not.
const TRUST: Quantity = &[(LARS, Some(MOMENTUM)), (LAMB, Some(ADAM))];

/// Each layer's number in doublings from the mean of their logarithms.
fn doublings(results: &Results, &(way, over): &(usize, Option<usize>)) -> Vec<f64> {
    let mut steps = first(results, way, STEP);
    if let Some(over) = over {
        steps.iter_mut().zip(first(results, over, STEP)).for_each(|(step, other)| *step /= other);
    }
    let logs: Vec<f64> = steps.iter().map(|step| libm::log2(*step)).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    logs.iter().map(|log| log - mean).collect()
}

fn layers(id: &str, title: &str, results: &Results, quantity: Quantity) -> Plot {
    let name = |layer: usize| if layer + 1 == LAYERS { "output".to_owned() } else { format!("{}", layer + 1) };
    let places = Axis { label: "layer".into(), categories: (0..LAYERS).map(name).collect(), ..Axis::default() };
    let series = quantity.iter().map(|of| {
        // Bars have no strokes: a colour each.
        let role = [Role::Other, Role::Lr, Role::Test, Role::Train][of.0];
        (WAYS[of.0].name, role, doublings(results, of))
    });
    Plot::bars(id, title, [places, axis("doublings above mean", "")], series)
        .says(spans(results, quantity))
        .empty("Bars appear with the first update.")
}

/// How many times the largest layer's number is the smallest's.
fn span(results: &Results, of: &(usize, Option<usize>)) -> f64 {
    let logs = doublings(results, of);
    let [low, high] = [f64::min, f64::max].map(|pick: fn(f64, f64) -> f64| logs.iter().copied().reduce(pick));
    high.zip(low).map_or(f64::NAN, |(high, low)| libm::exp2(high - low))
}

fn spans(results: &Results, quantity: Quantity) -> String {
    let known = quantity.iter().map(|of| (WAYS[of.0].name, span(results, of))).filter(|(_, span)| !span.is_nan());
    known.map(|(name, span)| format!("{name} {}×", brief(span))).collect::<Vec<_>>().join(", ")
}

fn ragged(results: &Results, what: &str, quantity: Quantity) -> String {
    let spans = spans(results, quantity);
    if spans.is_empty() {
        format!("How far {what} of layers lie apart.")
    } else {
        format!("From the smallest to the largest, {what} span: {spans}.")
    }
}

fn in_words(of: impl Fn(&Way) -> Sample) -> String {
    let known = WAYS.iter().map(|way| (way.name, of(way))).filter(|(_, sample)| !sample.is_empty());
    known.map(|(name, sample)| format!("{name} {sample}%")).collect::<Vec<_>>().join(", ")
}

fn table(results: &Results) -> Plot {
    let row = |way: &Way| {
        let rate = best(results, &way.arm(0))?;
        let edge = |place: usize| if at_edge(results, &way.arm(place)) { ", at the edge of the grid" } else { "" };
        let cell = |sample: Sample| if sample.is_empty() { "–".to_owned() } else { format!("{sample}%") };
        Some(vec![
            way.name.to_owned(),
            format!("{}{}", brief(way.rate(rate)), edge(0)),
            cell(carried(results, way, 0)),
            cell(carried(results, way, 1)),
            cell(carried(results, way, 2)),
            format!("{}{}", cell(tuned(results, way)), edge(2)),
            Some(plateau(results, way)).filter(|width| !width.is_nan()).map_or_else(|| "–".to_owned(), decades),
        ])
    };
    let [small, middle, large] = PLACES.map(|place| format!("batch {}", batch(&results.knobs, place)));
    let heads = ["rule", "best rate", &small, &middle, &large, "tuned there", "plateau"];
    Plot::rows("table", "All numbers", &heads, WAYS.iter().filter_map(row).collect())
        .meaning("Mean over the seeds, with the deviation. The plateau is that of the large batch.")
        .empty("A row for each rule.")
}
