//! A figure's numbers as CSV.

use std::fmt::Write as _;

use engine::decimal::plain;
use engine::figure::{Figure, Mark};

use super::regions;

/// A cell: quoted where it must be.
pub fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn value(value: f64) -> String {
    if value.is_finite() { plain(value) } else { String::new() }
}

/// One table a mark, each with its own head, an empty line between them.
pub fn csv(figure: &Figure) -> String {
    let parts: Vec<String> =
        figure.marks.iter().map(|mark| table(figure, mark)).filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn table(figure: &Figure, mark: &Mark) -> String {
    let mut out = String::new();
    let mut row = |cells: &[String]| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", cells.join(","));
    };
    match mark {
        Mark::Line { name, points, band, .. } => {
            row(&["series".into(), "x".into(), "y".into(), "low".into(), "high".into()]);
            for (i, [x, y]) in points.iter().enumerate() {
                let [low, high] = band.get(i).copied().unwrap_or([f64::NAN; 2]);
                row(&[cell(name), value(*x), value(*y), value(low), value(high)]);
            }
        }
        Mark::Scatter { name, points, classes, .. } => {
            row(&["series".into(), "x".into(), "y".into(), "class".into()]);
            for (i, [x, y]) in points.iter().enumerate() {
                let class = classes.get(i).map(u32::to_string).unwrap_or_default();
                row(&[cell(name), value(*x), value(*y), class]);
            }
        }
        Mark::Stars { points } => {
            row(&["class".into(), "x".into(), "y".into()]);
            for (class, [x, y]) in points.iter().enumerate() {
                row(&[cell(&regions::name(figure, class as u32)), value(*x), value(*y)]);
            }
        }
        Mark::Bars { series, .. } => {
            row(&["series".into(), "category".into(), "value".into()]);
            for one in series {
                for (i, v) in one.values.iter().enumerate() {
                    row(&[cell(&one.name), i.to_string(), value(f64::from(*v))]);
                }
            }
        }
        Mark::Regions { grid } => {
            row(&["x".into(), "y".into(), "class".into()]);
            for (i, class) in grid.values.iter().enumerate() {
                let [x, y] = figure.place(grid, i);
                row(&[value(x), value(y), cell(&regions::name(figure, *class as u32))]);
            }
        }
        Mark::HeatMap { grid, rows, columns, .. } => {
            row(&["row".into(), "column".into(), "value".into()]);
            for (i, v) in grid.values.iter().enumerate() {
                let (r, c) = (i / grid.width.max(1), i % grid.width.max(1));
                let name = |names: &[String], i: usize| names.get(i).map_or_else(|| i.to_string(), |name| cell(name));
                row(&[name(rows, r), name(columns, c), value(f64::from(*v))]);
            }
        }
        Mark::Ridgeline { x, ridges, .. } => {
            row(&["ridge".into(), "x".into(), "density".into()]);
            for ridge in ridges {
                for (x, v) in x.iter().zip(&ridge.values) {
                    row(&[cell(&ridge.label), value(f64::from(*x)), value(f64::from(*v))]);
                }
            }
        }
        Mark::Tiles { tiles } => {
            row(&["tile".into(), "caption".into(), "highlight".into()]);
            for (i, tile) in tiles.iter().enumerate() {
                row(&[i.to_string(), cell(&tile.caption), tile.highlight.to_string()]);
            }
        }
        Mark::Table { columns, rows } => {
            row(&columns.iter().map(|c| cell(c)).collect::<Vec<_>>());
            for cells in rows {
                row(&cells.iter().map(|c| cell(c)).collect::<Vec<_>>());
            }
        }
        Mark::Text { text } => row(&[cell(text)]),
        Mark::Distribution { outcomes } => {
            row(&["outcome".into(), "probability".into()]);
            for one in outcomes {
                row(&[cell(&one.label), value(one.probability)]);
            }
        }
        Mark::Rule { label, at, .. } => {
            row(&["rule".into(), "at".into()]);
            row(&[cell(label), value(*at)]);
        }
        Mark::Stretches { names, ends } => {
            row(&["stretch".into(), "end".into()]);
            for (name, end) in names.iter().zip(ends) {
                row(&[cell(name), value(*end)]);
            }
        }
        Mark::Intervals { means, ranges, .. } => {
            row(&["arm".into(), "mean".into(), "low".into(), "high".into()]);
            let arms = figure.x.categories.iter().zip(means).zip(ranges).filter(|((_, mean), _)| mean.is_finite());
            for ((arm, mean), [low, high]) in arms {
                row(&[cell(arm), value(f64::from(*mean)), value(*low), value(*high)]);
            }
        }
        Mark::SeedDots { dots, .. } => {
            row(&["arm".into(), "seed".into(), "value".into()]);
            for dot in dots {
                row(&[dot.arm.to_string(), dot.seed.to_string(), value(dot.value)]);
            }
        }
    }
    out
}
