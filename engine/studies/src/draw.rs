//! Figures that most studies need, from their results.

use engine::figure::{Axis, Figure, Grid, Mark, Scale, SeedDot};

use super::{Label, Results, Sample, brief};

/// An axis with a quantity and its unit.
pub(super) fn axis(label: &str, unit: &str) -> Axis {
    Axis { label: label.into(), unit: unit.into(), ..Axis::default() }
}

/// The same on a logarithmic scale.
pub(super) fn log_axis(label: &str, unit: &str) -> Axis {
    Axis { scale: Scale::Log, ..axis(label, unit) }
}

/// What is drawn over two axes.
pub(super) fn chart(id: &str, title: impl Into<String>, meaning: &str, [x, y]: [Axis; 2], marks: Vec<Mark>) -> Figure {
    Figure { id: id.into(), title: title.into(), meaning: meaning.into(), x, y, marks, ..Figure::default() }
}

/// An axis with a place for each arm.
pub(super) fn arm_axis(arms: &[Label]) -> Axis {
    Axis { categories: arms.iter().map(|label| label.name.clone()).collect(), ..Axis::default() }
}

/// A line for each arm that has the curve: its mean over the seeds, in a band from the lowest to the highest.
pub(super) fn curves(results: &Results, arms: &[Label], curve: &str) -> Vec<Mark> {
    let line = |label: &Label| {
        let (points, band) = results.mean_curve(&label.id, curve);
        let band = if results.seeds.len() > 1 { band } else { vec![] };
        (!points.is_empty()).then(|| Mark::Line {
            name: label.name.clone(),
            role: label.role,
            dash: label.dash,
            points,
            band,
        })
    };
    arms.iter().filter_map(line).collect()
}

/// A heat map of the values at each row and column, under their names; nothing before there is a value.
pub(super) fn heat_map(rows: Vec<String>, columns: Vec<String>, value: impl Fn(usize, usize) -> f64) -> Vec<Mark> {
    let (width, height) = (columns.len(), rows.len());
    let values: Vec<f32> = (0..width * height).map(|at| value(at / width, at % width) as f32).collect();
    let begun = values.iter().any(|value| value.is_finite());
    let grid = Grid { width, height, values };
    if begun { vec![Mark::HeatMap { grid, scale: Scale::Linear, range: None, rows, columns }] } else { vec![] }
}

/// A table under these heads; nothing before it has rows.
pub(super) fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Vec<Mark> {
    let columns = columns.iter().map(|&head| head.to_owned()).collect();
    if rows.is_empty() { vec![] } else { vec![Mark::Table { columns, rows }] }
}

/// The figure `table`: a row for each arm that has the first of the numbers. A column has a head, a number over the seeds,
/// its decimals and its unit.
pub(super) fn arm_table(
    results: &Results,
    title: &str,
    meaning: &str,
    columns: &[(&str, &str, usize, &str)],
) -> Figure {
    let row = |label: &Label| {
        let cell = |&(_, number, decimals, unit): &(&str, &str, usize, &str)| {
            let sample = results.sample(&label.id, number);
            if sample.is_empty() { "–".to_owned() } else { format!("{sample:.decimals$}{unit}") }
        };
        let begun = columns.first().is_some_and(|(_, number, ..)| !results.sample(&label.id, number).is_empty());
        begun.then(|| [label.name.clone()].into_iter().chain(columns.iter().map(cell)).collect())
    };
    let heads: Vec<&str> = ["arm"].into_iter().chain(columns.iter().map(|(head, ..)| *head)).collect();
    let marks = table(&heads, results.arms.iter().filter_map(row).collect());
    let words =
        columns.first().map_or_else(String::new, |(_, number, ..)| in_words(results, &results.arms, number, ""));
    let figure = chart("table", title, meaning, [Axis::default(), Axis::default()], marks);
    with_alt(figure, &words, "A row for each arm.")
}

/// A number of each arm as a dot for each seed, with the arm's mean.
pub(super) fn seed_dots(results: &Results, arms: &[Label], number: &str) -> Vec<Mark> {
    let of_arm = |(arm, label): (usize, &Label)| {
        let sample = results.sample(&label.id, number);
        let dots: Vec<SeedDot> = sample.0.iter().map(|&(seed, value)| SeedDot { arm, seed, value }).collect();
        (!dots.is_empty()).then_some(Mark::SeedDots { role: label.role, dots })
    };
    arms.iter().enumerate().filter_map(of_arm).collect()
}

/// `A 81.0 ± 2.9, B 83.9 ± 0.2`: a number of the arms in words.
pub(super) fn in_words(results: &Results, arms: &[Label], number: &str, unit: &str) -> String {
    let of_arm = |label: &Label| {
        let sample: Sample = results.sample(&label.id, number);
        match sample.len() {
            0 => None,
            1 => Some(format!("{} {}{unit}", label.name, brief(sample.mean()))),
            _ => Some(format!("{} {sample}{unit}", label.name)),
        }
    };
    arms.iter().filter_map(of_arm).collect::<Vec<_>>().join(", ")
}

/// Gives a figure its text alternative: what it shows, and the values in words; `empty` until there are any.
pub(super) fn with_alt(figure: Figure, values: &str, empty: &str) -> Figure {
    let alt = if values.is_empty() { figure.title.clone() } else { format!("{}: {values}.", figure.title) };
    Figure { alt, empty: empty.into(), ..figure }
}
