//! A sweep's results as figures: the map of a quantity over the grid, and the stable edge.

use serde::Serialize;

use super::edge::{Edge, EdgePoint};
use super::{Axis, Outcome, Results, Sweep};
use crate::decimal::{fixed, rounded};
use crate::figure::{Axis as FigureAxis, Dash, Figure, Grid, Mark, Role, Scale};
use crate::spec::{self, Content, capital, show_number};
use crate::tree::FromTree;

/// What a map shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, FromTree)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Training loss at the end.
    #[default]
    Loss,
    /// Accuracy on the test set.
    Accuracy,
    /// Updates until the run diverged.
    Divergence,
    /// Updates until the target loss.
    Updates,
    /// Examples until the target loss.
    Examples,
}

impl Quantity {
    /// All.
    pub const ALL: [Self; 5] = [Self::Loss, Self::Divergence, Self::Updates, Self::Examples, Self::Accuracy];

    /// Those that a sweep has: forecasts are not right or wrong.
    #[must_use]
    pub fn of(sweep: &Sweep) -> &'static [Self] {
        let without_classes = sweep.base.data.content() == Content::Series;
        if without_classes { &Self::ALL[..4] } else { &Self::ALL }
    }

    /// As on the page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Loss => "final loss",
            Self::Accuracy => "test accuracy",
            Self::Divergence => "divergence",
            Self::Updates => "updates to target",
            Self::Examples => "samples to target",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Loss => "mean training loss of the last tenth of each run; ∞ = no longer finite",
            Self::Accuracy => "percent of the test set that the trained network gets right",
            Self::Divergence => {
                "updates before the loss left for good the range below an untrained network's; ∞ = it trained"
            }
            Self::Updates => "updates until the mean loss of the last 256 samples was at the target; ∞ = never",
            Self::Examples => "samples until the mean loss of the last 256 was at the target; ∞ = never",
        }
    }

    /// A run's value; infinite where it never happened.
    fn value(self, outcome: &Outcome) -> f64 {
        let until = |count: Option<u64>| count.map_or(f64::INFINITY, |count| count as f64);
        match self {
            Self::Loss if outcome.loss.is_nan() => f64::INFINITY,
            Self::Loss => outcome.loss,
            Self::Accuracy => outcome.accuracy.map_or(f64::NAN, |share| 100.0 * share),
            Self::Divergence => until(outcome.diverged),
            Self::Updates => until(outcome.reached.map(|reached| reached.0)),
            Self::Examples => until(outcome.reached.map(|reached| reached.1)),
        }
    }
}

/// A number of three digits.
fn short(number: f64) -> String {
    if number.is_finite() { show_number(rounded(number, 3)) } else { "∞".into() }
}

fn axis(sweep: &Sweep, axis: &Axis) -> FigureAxis {
    let unit = axis.field(&sweep.base).map_or("", |field| field.unit);
    FigureAxis { label: sweep.label(axis).into(), unit: unit.into(), ..FigureAxis::default() }
}

/// The map of a quantity over the grid, larger values of y on top, and the stable edge on it where there is one.
#[must_use]
pub fn heat(sweep: &Sweep, results: &Results, quantity: Quantity) -> Figure {
    let (columns, mut rows) = (sweep.columns(), sweep.rows());
    let width = columns.len();
    let mean = |cell: usize| {
        let seeds = results.cell(sweep, cell)?;
        let values = seeds.iter().map(|outcome| quantity.value(outcome));
        // A cell trains if all its seeds do.
        if quantity == Quantity::Divergence {
            return Some(values.fold(f64::INFINITY, f64::min));
        }
        Some(values.sum::<f64>() / seeds.len() as f64)
    };
    let cells: Vec<Option<f64>> = (0..width * rows.len()).map(mean).collect();
    let values = (0..rows.len()).rev().flat_map(|row| &cells[row * width..][..width]);
    let values = values.map(|value| value.map_or(f32::NAN, |value| value as f32)).collect();
    let grid = Grid { width, height: rows.len(), values };
    let scale = if quantity == Quantity::Accuracy { Scale::Linear } else { Scale::Log };
    // The colours of losses end at the untrained network's: how far beyond it a run has gone says nothing.
    let start = results.outcomes.iter().flatten().map(|outcome| outcome.start).fold(f64::NAN, f64::max);
    let lowest = cells.iter().flatten().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
    let range = (quantity == Quantity::Loss && lowest < start).then_some([lowest, start]);
    let alt = alt(sweep, results, quantity, &cells);
    let edge = Edge::of(sweep, results);
    rows.reverse();
    let mut marks = vec![Mark::HeatMap { grid, scale, range, rows, columns }];
    if let Some(edge) = &edge {
        marks.extend(lines(sweep, edge));
    }
    Figure {
        id: "sweep".into(),
        title: format!("{} by {} and {}", capital(quantity.label()), sweep.label(&sweep.x), sweep.label(&sweep.y)),
        meaning: quantity.meaning().into(),
        value: format!("{} of {} runs", results.finished(), sweep.trials()),
        x: axis(sweep, &sweep.x),
        y: axis(sweep, &sweep.y),
        marks,
        alt,
        ..Figure::default()
    }
}

fn alt(sweep: &Sweep, results: &Results, quantity: Quantity, cells: &[Option<f64>]) -> String {
    let (columns, rows) = (sweep.columns(), sweep.rows());
    let span = |values: &[String]| match values {
        [] => String::new(),
        [only] => only.clone(),
        [first, .., last] => format!("{first} to {last}"),
    };
    let (x, y) = (sweep.label(&sweep.x), sweep.label(&sweep.y));
    let mut text = format!(
        "{} by {x} from left to right ({}) and {y} from bottom to top ({}). {} of {} runs have finished.",
        capital(quantity.label()),
        span(&columns),
        span(&rows),
        results.finished(),
        sweep.trials(),
    );
    let known = cells.iter().enumerate().filter_map(|(cell, value)| Some((cell, (*value)?)));
    let finite = known.filter(|(_, value)| value.is_finite());
    let ends = [f64::total_cmp, |a: &f64, b: &f64| b.total_cmp(a)];
    for (word, order) in ["Lowest", "Highest"].into_iter().zip(ends) {
        if let Some((cell, value)) = finite.clone().min_by(|a, b| order(&a.1, &b.1)) {
            let (column, row) = (&columns[cell % columns.len()], &rows[cell / columns.len()]);
            text.push_str(&format!(" {word}: {} at {x} {column}, {y} {row}.", short(value)));
        }
    }
    let diverged = results.outcomes.iter().flatten().filter(|outcome| outcome.diverged.is_some()).count();
    text.push_str(&format!(" {diverged} diverged."));
    text
}

const EDGE: &str = "stable edge";
const LINEAR: &str = "∝ batch size";
const ROOT: &str = "∝ √ batch size";

/// The edge and its guides over the map, in the places of its cells.
fn lines(sweep: &Sweep, edge: &Edge) -> Vec<Mark> {
    if edge.points.is_empty() {
        return Vec::new();
    }
    let numbers =
        |texts: Vec<String>| texts.iter().map(|text| spec::number(text).unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    let (columns, rows) = (numbers(sweep.columns()), numbers(sweep.rows()));
    let top = rows.len() as f64 - 1.0;
    let (rates, values) = if edge.rate_is_x { (&columns, &rows) } else { (&rows, &columns) };
    let at = |place: usize, rate: f64| {
        let [along, across] = [place as f64, place_of(rate, rates)];
        if edge.rate_is_x { [across, top - along] } else { [along, top - across] }
    };
    let mut marks = Vec::new();
    if edge.by_batch {
        for (name, power, dash) in [(LINEAR, 1.0, Dash::Dashed), (ROOT, 0.5, Dash::Dotted)] {
            let guide = |(place, value): (usize, &f64)| edge.guide(power, *value).map(|rate| at(place, rate));
            marks.push(Mark::line(name, Role::Theory, dash, values.iter().enumerate().filter_map(guide).collect()));
        }
    }
    // Over its guides: where it follows one, it is what was found.
    let traced = edge.points.iter().map(|point| at(point.place, point.rate())).collect();
    marks.push(Mark::line(EDGE, Role::Lr, Dash::Solid, traced));
    marks
}

/// The place of a value among those of an axis, between them by ratio; NaN more than half a place beyond the ends.
fn place_of(value: f64, axis: &[f64]) -> f64 {
    let last = axis.len().saturating_sub(1);
    let share = |i: usize| libm::log(value / axis[i]) / libm::log(axis[i + 1] / axis[i]);
    let places = (0..last).map(|i| (i, share(i)));
    let inside = |&(i, share): &(usize, f64)| {
        let low = if i == 0 { -0.5 } else { 0.0 };
        let high = if i + 1 == last { 1.5 } else { 1.0 };
        (low..=high).contains(&share)
    };
    places.into_iter().find(inside).map_or(f64::NAN, |(i, share)| i as f64 + share)
}

/// The stable edge over the other axis, with its slopes; `None` where the sweep has no such edge to show.
#[must_use]
pub fn edge_chart(sweep: &Sweep, results: &Results) -> Option<Figure> {
    let edge = Edge::of(sweep, results)?;
    let (rate, other) = if edge.rate_is_x { (&sweep.x, &sweep.y) } else { (&sweep.y, &sweep.x) };
    let name = sweep.label(other);
    let traced: Vec<[f64; 2]> = edge.points.iter().map(|point| [point.value, point.rate()]).collect();
    let mut marks = Vec::new();
    if !traced.is_empty() {
        let band = edge.points.iter().map(|point| [point.stable, point.unstable]).collect();
        marks.push(Mark::Line { name: EDGE.into(), role: Role::Lr, dash: Dash::Solid, points: traced, band });
        if edge.by_batch {
            for (name, power, dash) in [(LINEAR, 1.0, Dash::Dashed), (ROOT, 0.5, Dash::Dotted)] {
                let guide = |point: &EdgePoint| Some([point.value, edge.guide(power, point.value)?]);
                marks.push(Mark::line(name, Role::Theory, dash, edge.points.iter().filter_map(guide).collect()));
            }
        }
    }
    let value = match edge.slopes {
        Some([low, high]) => format!("slope {} at small, {} at large {name}", fixed(low, 2), fixed(high, 2)),
        None => String::new(),
    };
    let list: Vec<String> =
        edge.points.iter().map(|point| format!("{} at {name} {}", short(point.stable), short(point.value))).collect();
    let found = match list.is_empty() {
        true => "No edge within the grid is known yet.".into(),
        false => format!("Largest {} that still trains: {}. {}", sweep.label(rate), list.join(", "), capital(&value)),
    };
    let logarithmic = |axis: FigureAxis| FigureAxis { scale: Scale::Log, ..axis };
    Some(Figure {
        id: "edge".into(),
        title: format!("Largest {} that still trains", sweep.label(rate)),
        meaning: "between the last that trains and the first that does not (band); guides through its first point"
            .into(),
        value,
        x: logarithmic(axis(sweep, other)),
        y: logarithmic(axis(sweep, rate)),
        marks,
        alt: found,
        empty: format!("The edge appears once a {name} has a run that trains and one that does not."),
        ..Figure::default()
    })
}
