//! Which class each place of the plane belongs to, beneath the points of a scatter and in their frame.

use engine::figure::{Figure, Grid};

use super::axis::Frame;
use super::palette::Tone;
use super::scene::{Paint, Scene};
use crate::text::number;

/// How much of a class's colour its region has: its points stand out.
const SHARE: f64 = 0.32;

/// Height that suits a plane at a width: both axes alike.
pub fn height(width: f64) -> f64 {
    (width * 0.86).clamp(200.0, 420.0)
}

/// Draws the regions, neighbours of one class in a row as one.
pub fn draw(figure: &Figure, grid: &Grid, frame: &Frame, scene: &mut Scene) {
    let [left, top, right, bottom] = frame.area;
    // Edges on whole pixels: neighbours leave no seam.
    let across = |column: usize| (left + (right - left) * column as f64 / grid.width as f64).round();
    let down = |row: usize| (top + (bottom - top) * row as f64 / grid.height as f64).round();
    for (row, classes) in grid.values.chunks(grid.width.max(1)).enumerate() {
        let mut column = 0;
        for run in classes.chunk_by(|a, b| a == b) {
            let (from, to) = (across(column), across(column + run.len()));
            let at = [from, down(row), to - from, down(row + 1) - down(row)];
            let class = run[0] as u32;
            scene.rect(at, Paint(Tone::Class(class), SHARE));
            let [_, y] = figure.place(grid, row * grid.width);
            scene.spot(at, format!("{} at {} = {}", name(figure, class), figure.y.label, number(y)));
            column += run.len();
        }
    }
}

/// A class as it is called.
pub fn name(figure: &Figure, class: u32) -> String {
    figure.classes.get(class as usize).cloned().unwrap_or_else(|| format!("class {class}"))
}
