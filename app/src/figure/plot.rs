//! From a [`Figure`] to a [`Scene`]: which marks are drawn how, and how tall that should be.

use engine::figure::{Dash, Figure, Mark};

use super::heatmap::Heat;
use super::palette::Tone;
use super::scene::{Anchor, Paint, Scene};
use super::{cartesian, distribution, heatmap, ridgeline, tiles};

/// Whether a canvas shows this mark; tables and passages are text on the page.
pub const fn drawn(mark: &Mark) -> bool {
    !matches!(mark, Mark::Table { .. } | Mark::Text { .. })
}

/// Whether uPlot shows the figure: nothing but lines and rules over numbers.
pub fn is_chart(figure: &Figure) -> bool {
    let lines = figure.marks.iter().any(|mark| matches!(mark, Mark::Line { .. }));
    let all = figure.marks.iter().all(|mark| matches!(mark, Mark::Line { .. } | Mark::Rule { .. }));
    lines && all && figure.x.categories.is_empty()
}

/// The height in pixels that suits the drawn marks at a width.
pub fn height(figure: &Figure, width: f64) -> f64 {
    let of = |mark: &Mark| match mark {
        Mark::Tiles { tiles } => tiles::height(tiles, width),
        Mark::HeatMap { .. } => Heat::of(mark).map_or(0.0, |heat| heatmap::height(figure, &heat, width)),
        Mark::Distribution { outcomes } => distribution::height(outcomes),
        Mark::Table { .. } | Mark::Text { .. } => 0.0,
        _ => (width * 0.42).clamp(170.0, 250.0),
    };
    figure.marks.iter().map(of).fold(0.0, f64::max)
}

/// Draws the figure's marks into a scene of that size. `log`: axes made logarithmic by the person.
pub fn scene(figure: &Figure, width: f64, height: f64, log: [bool; 2]) -> Scene {
    let mut scene = Scene::new(width, height);
    let mut axes = false;
    let ridged = figure.marks.iter().any(|mark| matches!(mark, Mark::Ridgeline { .. }));
    // Lines over a map of cells lie in its own places; it draws them.
    let mapped = figure.marks.iter().any(|mark| matches!(mark, Mark::HeatMap { .. }));
    for mark in &figure.marks {
        match mark {
            Mark::Tiles { tiles } => tiles::draw(tiles, &mut scene),
            Mark::HeatMap { .. } => {
                if let Some(heat) = Heat::of(mark) {
                    heatmap::draw(figure, &heat, &mut scene);
                }
            }
            Mark::Line { .. } if mapped => {}
            Mark::Ridgeline { role, x, ridges } => ridgeline::draw(figure, *role, x, ridges, log[0], &mut scene),
            Mark::Distribution { outcomes } => distribution::draw(outcomes, &mut scene),
            Mark::Table { .. } | Mark::Text { .. } => {}
            // A ridgeline draws the rules across it with its own axes.
            Mark::Rule { .. } if ridged => {}
            _ => axes = true,
        }
    }
    if axes {
        cartesian::draw(figure, log, &mut scene);
    }
    scene
}

/// The figure with title, value and key, as it is exported.
pub fn poster(figure: &Figure, log: [bool; 2]) -> Scene {
    let width = 720.0;
    let body = height(figure, width - 32.0).max(120.0);
    let inner = scene(figure, width - 32.0, if is_chart(figure) { 320.0 } else { body }, log);
    let mut poster = Scene::new(width, inner.height + 64.0);
    let ink = Paint(Tone::Ink, 1.0);
    poster.label([16.0, 24.0], figure.title.clone(), ink, 15.0, Anchor::Start);
    poster.label([width - 16.0, 24.0], figure.value.clone(), ink, 13.0, Anchor::End);
    let mut left = 16.0;
    for (name, tone, dash) in keys(figure) {
        poster.stroke([left, 41.0], [left + 16.0, 41.0], Paint(tone, 1.0), 2.5, dash);
        poster.text([left + 21.0, 45.0], name.clone(), Anchor::Start);
        left += 36.0 + name.chars().count() as f64 * 6.2;
    }
    for mut shape in inner.shapes {
        shift(&mut shape, 16.0, 56.0);
        poster.shapes.push(shape);
    }
    poster
}

fn shift(shape: &mut super::scene::Shape, dx: f64, dy: f64) {
    use super::scene::Shape;
    match shape {
        Shape::Line { points, .. } | Shape::Area { points, .. } => {
            for [x, y] in points {
                *x += dx;
                *y += dy;
            }
        }
        Shape::Rect { at, .. } | Shape::Picture { at, .. } => {
            at[0] += dx;
            at[1] += dy;
        }
        Shape::Dot { at, .. } | Shape::Text { at, .. } => {
            at[0] += dx;
            at[1] += dy;
        }
    }
}

/// Name, colour and stroke of each named series.
pub fn keys(figure: &Figure) -> Vec<(String, Tone, Dash)> {
    let mut keys = Vec::new();
    for mark in &figure.marks {
        match mark {
            Mark::Line { name, role, dash, .. } => {
                keys.push((name.clone(), Tone::of(*role), cartesian::stroke(*role, *dash)));
            }
            Mark::Scatter { name, role, classes, .. } if classes.is_empty() => {
                keys.push((name.clone(), Tone::of(*role), Dash::Dotted));
            }
            Mark::Bars { series, .. } => {
                keys.extend(series.iter().map(|one| (one.name.clone(), Tone::of(one.role), Dash::Solid)));
            }
            _ => {}
        }
    }
    keys.retain(|(name, ..)| !name.is_empty());
    keys
}
