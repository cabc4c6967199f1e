//! A rectangle of numbers as colours.

use engine::decimal::rounded;
use engine::figure::{Dash, Figure, Grid, Mark, Scale, symlog, symlog_unit};

use super::axis::{shorten, title};
use super::cartesian::stroke;
use super::palette::{Palette, Tone};
use super::scene::{Anchor, Paint, Scene, Shape};
use crate::text::{number, tick};

/// What the mark says besides its numbers.
pub struct Heat<'a> {
    /// The numbers.
    pub grid: &'a Grid,
    /// How values map to colours.
    pub scale: Scale,
    /// Values of the coldest and hottest colour.
    pub range: Option<[f64; 2]>,
    /// Names of rows.
    pub rows: &'a [String],
    /// Names of columns.
    pub columns: &'a [String],
}

impl<'a> Heat<'a> {
    /// A mark's, if it is a map.
    pub fn of(mark: &'a Mark) -> Option<Self> {
        match mark {
            Mark::HeatMap { grid, scale, range, rows, columns } => {
                Some(Self { grid, scale: *scale, range: *range, rows, columns })
            }
            _ => None,
        }
    }
}

/// Values of the coldest and hottest colour.
fn range(heat: &Heat) -> [f64; 2] {
    heat.range.unwrap_or_else(|| {
        let log = heat.scale == Scale::Log;
        let values = heat.grid.values.iter().map(|value| f64::from(*value));
        let values = values.filter(|value| value.is_finite() && !(log && *value <= 0.0));
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)])
    })
}

/// Where a value lies between coldest and hottest, 0..=1.
fn share(value: f64, [low, high]: [f64; 2], scale: Scale) -> f64 {
    let share = match scale {
        _ if high <= low => return if value > low { 1.0 } else { 0.0 },
        Scale::Linear => (value - low) / (high - low),
        Scale::Log => (value / low).ln() / (high / low).ln(),
        Scale::Symlog => {
            let along = |value| symlog(value, symlog_unit(low.abs().max(high.abs())));
            (along(value) - along(low)) / (along(high) - along(low))
        }
    };
    share.clamp(0.0, 1.0)
}

/// Room for the colour key.
const RIGHT: f64 = 60.0;
const TOP: f64 = 4.0;
/// The largest side of a cell.
const LARGEST: f64 = 76.0;

/// The most letters of a name.
const NAME: usize = 16;
/// The least height of a row that has a name, where there are few.
const NAMED: f64 = 16.0;
const FEW: usize = 12;

/// Width and height of a cell in this room: square, but never so flat that its name could not stand beside it.
fn cell(heat: &Heat, room: [f64; 2]) -> [f64; 2] {
    let [across, down] = [room[0] / heat.grid.width.max(1) as f64, room[1] / heat.grid.height.max(1) as f64];
    let square = across.min(down).max(0.5);
    let named = !heat.rows.is_empty() && heat.grid.height <= FEW;
    [square, if named { square.max(NAMED.min(down)) } else { square }]
}

/// Room for names and titles at the left and below.
fn margins(figure: &Figure, heat: &Heat) -> [f64; 2] {
    let longest = heat.rows.iter().map(|name| name.chars().count().min(NAME)).max().unwrap_or(0) as f64;
    let left = if heat.rows.is_empty() { 6.0 } else { longest * 6.4 + 8.0 }
        + if title(&figure.y).is_empty() { 0.0 } else { 14.0 };
    let below =
        18.0 + if heat.columns.is_empty() { 0.0 } else { 14.0 } + if title(&figure.x).is_empty() { 0.0 } else { 2.0 };
    [left, below]
}

/// Height that suits the map at a width.
pub fn height(figure: &Figure, heat: &Heat, width: f64) -> f64 {
    let [left, below] = margins(figure, heat);
    let [_, cell] = cell(heat, [width - left - RIGHT, f64::INFINITY]);
    (heat.grid.height as f64 * cell.clamp(2.0, LARGEST)).clamp(40.0, 460.0) + below + TOP
}

/// Width of a digit over the size of its font.
const DIGIT: f64 = 0.58;
/// Least room between the numbers of two cells.
const APART: f64 = 5.0;

/// A value in so many letters, with as many digits as these hold.
fn fitting(value: f64, letters: f64) -> Option<String> {
    fewer_digits(value).find(|text| text.chars().count() as f64 <= letters)
}

/// A value as it is, then with three significant digits, with two, and with one.
fn fewer_digits(value: f64) -> impl Iterator<Item = String> {
    [value].into_iter().chain([3, 2, 1].into_iter().map(move |digits| rounded(value, digits))).map(tick)
}

/// The colour of a value: a tone and how much of it lies over the panel's.
fn shade(value: f64, span: [f64; 2], scale: Scale) -> (Tone, f64) {
    // What never happened has no place between cold and hot.
    if value.is_finite() { (Tone::Train, 0.05 + 0.95 * share(value, span, scale)) } else { (Tone::Other, 0.3) }
}

/// Draws the map with its names and a colour key, and the figure's lines over it.
pub fn draw(figure: &Figure, heat: &Heat, scene: &mut Scene) {
    let Grid { width, height, values } = heat.grid;
    if *width == 0 || *height == 0 || values.len() != width * height {
        return;
    }
    let [left, below] = margins(figure, heat);
    let room = [scene.width - left - RIGHT, scene.height - below - TOP];
    let [across, down] = cell(heat, room);
    let size = [across * *width as f64, down * *height as f64];
    let top = TOP;
    scene.cells = [left, top, size[0], size[1]];
    let span = range(heat);
    let palette = Palette::read();
    let mut rgba = Vec::with_capacity(values.len() * 4);
    for value in values {
        let value = f64::from(*value);
        if value.is_nan() {
            rgba.extend([0; 4]);
            continue;
        }
        let (tone, share) = shade(value, span, heat.scale);
        rgba.extend(palette.mix(Tone::Panel, tone, share));
        rgba.push(255);
    }
    scene.shapes.push(Shape::Picture { at: [left, top, size[0], size[1]], size: [*width, *height], rgba });
    let mut lined = false;
    for mark in &figure.marks {
        if let Mark::Line { role, dash, points, .. } = mark {
            lined = true;
            let place = |[x, y]: &[f64; 2]| [left + (x + 0.5) * across, top + (y + 0.5) * down];
            trace(points.iter().map(place).collect(), Tone::of(*role), stroke(*role, *dash), scene);
        }
    }
    let row_name = |i: usize| heat.rows.get(i).cloned().unwrap_or_else(|| format!("row {i}"));
    let column_name = |i: usize| heat.columns.get(i).cloned().unwrap_or_else(|| format!("column {i}"));
    for (i, value) in values.iter().enumerate() {
        let (row, column) = (i / width, i % width);
        let at = [left + column as f64 * across, top + row as f64 * down, across, down];
        let text = format!("{} · {}\n{}", row_name(row), column_name(column), number(f64::from(*value)));
        scene.spot(at, text);
        if across >= 24.0 && !value.is_nan() && *value != 0.0 && values.len() <= 256 {
            let (tone, share) = shade(f64::from(*value), span, heat.scale);
            let paint = if value.is_finite() && share > 0.57 { Paint(Tone::Panel, 1.0) } else { Paint(Tone::Ink, 0.8) };
            let font = if across >= 36.0 { 11.0 } else { 10.0 };
            let width = |text: &String| text.chars().count() as f64 * DIGIT * font;
            if let Some(text) = fitting(f64::from(*value), (across - APART) / (DIGIT * font)) {
                if lined {
                    // Lines run through the middles of cells; a number stands on its cell's colour, not on a line.
                    let [r, g, b] = palette.mix(Tone::Panel, tone, share);
                    let wide = width(&text);
                    let behind = [at[0] + (across - wide) / 2.0, at[1] + down / 2.0 - 6.5, wide, 13.0];
                    scene.shapes.push(Shape::Picture { at: behind, size: [1, 1], rgba: vec![r, g, b, 255] });
                }
                scene.label([at[0] + across / 2.0, at[1] + down / 2.0 + 3.5], text, paint, font, Anchor::Middle);
            }
        }
    }
    // Numbers are read more easily in round steps.
    let every = |room: f64, cell: f64| {
        let steps = [1, 2, 5, 10, 20, 50, 100, 200, 500];
        steps.into_iter().find(|step| *step as f64 >= room / cell).unwrap_or(1000)
    };
    for (i, name) in heat.rows.iter().enumerate().step_by(every(12.0, down)) {
        scene.text([left - 5.0, top + (i as f64 + 0.5) * down + 3.5], shorten(name, NAME), Anchor::End);
    }
    let longest = heat.columns.iter().map(|name| name.chars().count().min(NAME)).max().unwrap_or(0) as f64 * 6.4 + 4.0;
    for (i, name) in heat.columns.iter().enumerate().step_by(every(longest, across)) {
        scene.text([left + (i as f64 + 0.5) * across, top + size[1] + 12.0], shorten(name, NAME), Anchor::Middle);
    }
    if !title(&figure.x).is_empty() {
        let drop = if heat.columns.is_empty() { 14.0 } else { 27.0 };
        scene.text([left + size[0] / 2.0, top + size[1] + drop], title(&figure.x), Anchor::Middle);
    }
    if !title(&figure.y).is_empty() {
        scene.shapes.push(Shape::Text {
            at: [10.0, top + size[1] / 2.0],
            text: title(&figure.y),
            paint: Paint(Tone::Soft, 1.0),
            size: 11.0,
            anchor: Anchor::Middle,
            upward: true,
        });
    }
    key(scene, [left + size[0] + 8.0, top, size[1].min(120.0)], span);
}

/// A line through places of cells, column and row counted from the top left one, with a rim that parts it from their
/// colours.
fn trace(points: Vec<[f64; 2]>, tone: Tone, dash: Dash, scene: &mut Scene) {
    let rim = Shape::Line { points: points.clone(), paint: Paint(Tone::Panel, 0.8), width: 5.0, dash: Dash::Solid };
    scene.shapes.push(rim);
    scene.shapes.push(Shape::Line { points, paint: Paint(tone, 1.0), width: 2.2, dash });
}

/// The colour key: a strip from cold to hot with its two values.
fn key(scene: &mut Scene, [left, top, height]: [f64; 3], [low, high]: [f64; 2]) {
    if !(low.is_finite() && high.is_finite()) {
        return;
    }
    let palette = Palette::read();
    let rows = 24;
    let rgba = (0..rows).flat_map(|i| {
        let [r, g, b] = palette.mix(Tone::Panel, Tone::Train, 0.05 + 0.95 * (1.0 - i as f64 / (rows - 1) as f64));
        [r, g, b, 255]
    });
    scene.shapes.push(Shape::Picture { at: [left, top, 6.0, height], size: [1, rows], rgba: rgba.collect() });
    scene.stroke([left, top], [left + 6.0, top], Paint(Tone::Line, 1.0), 1.0, Dash::Solid);
    scene.label([left + 9.0, top + 9.0], number(high), Paint(Tone::Soft, 1.0), 10.0, Anchor::Start);
    scene.label([left + 9.0, top + height], number(low), Paint(Tone::Soft, 1.0), 10.0, Anchor::Start);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_neighbouring_cells_stay_apart() {
        assert_eq!(fitting(0.98765, 6.0).as_deref(), Some("0.988"));
        assert_eq!(fitting(0.98765, 4.0).as_deref(), Some("0.99"));
        assert_eq!(fitting(0.98765, 1.0).as_deref(), Some("1"));
        assert_eq!(fitting(0.9, 3.0).as_deref(), Some("0.9"));
        assert_eq!(fitting(0.02, 2.5), None);
    }
}
