//! A grid of small pictures with captions and heat laid over them.

use engine::figure::{Dash, Grid, Tile};

use super::axis::shorten;
use super::palette::{Palette, Tone};
use super::scene::{Anchor, Paint, Scene, Shape};

const GAP: f64 = 6.0;
const CAPTION: f64 = 14.0;

/// Columns, side of a picture and height of a row, so that pictures are large but fit.
fn layout(tiles: &[Tile], width: f64) -> (usize, f64, f64) {
    let wish = match tiles.len() {
        0..=2 => 130.0,
        3..=8 => 76.0,
        9..=24 => 60.0,
        25..=64 => 44.0,
        _ => 32.0,
    };
    let columns = (((width + GAP) / (wish + GAP)).floor() as usize).clamp(1, tiles.len().max(1));
    let side = ((width - GAP * (columns - 1) as f64) / columns as f64).max(4.0).min(1.5 * wish);
    let caption = if tiles.iter().any(|tile| !tile.caption.is_empty()) { CAPTION } else { 0.0 };
    (columns, side, side + caption + GAP)
}

/// Height that all pictures need at a width.
pub fn height(tiles: &[Tile], width: f64) -> f64 {
    let (columns, _, row) = layout(tiles, width);
    tiles.len().div_ceil(columns) as f64 * row
}

/// Draws the pictures row by row.
pub fn draw(tiles: &[Tile], scene: &mut Scene) {
    let (columns, side, row) = layout(tiles, scene.width);
    let palette = Palette::read();
    for (i, tile) in tiles.iter().enumerate() {
        let left = (i % columns) as f64 * (side + GAP);
        let top = (i / columns) as f64 * row;
        let Some(rgba) = pixels(tile) else { continue };
        let scale = side / tile.width.max(tile.height) as f64;
        let (w, h) = (tile.width as f64 * scale, tile.height as f64 * scale);
        let at = [left + (side - w) / 2.0, top + (side - h) / 2.0, w, h];
        scene.shapes.push(Shape::Picture { at, size: [tile.width, tile.height], rgba });
        if let Some(rgba) = tile.heat.as_ref().and_then(|heat| overlay(heat, &palette)) {
            let heat = tile.heat.as_ref().map_or([1, 1], |heat| [heat.width, heat.height]);
            scene.shapes.push(Shape::Picture { at, size: heat, rgba });
        }
        if tile.highlight {
            let [x, y, w, h] = at;
            let corners = vec![[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]];
            let paint = Paint(Tone::Test, 1.0);
            scene.shapes.push(Shape::Line { points: corners, paint, width: 2.0, dash: Dash::Solid });
        }
        if !tile.caption.is_empty() {
            let tone = if tile.highlight { Tone::Test } else { Tone::Soft };
            let fits = (side / 5.6) as usize;
            let point = [left + side / 2.0, top + side + 11.0];
            scene.label(point, shorten(&tile.caption, fits), Paint(tone, 1.0), 10.5, Anchor::Middle);
        }
        let text =
            if tile.caption.is_empty() { format!("{} × {}", tile.width, tile.height) } else { tile.caption.clone() };
        scene.spot([left, top, side, side], text);
    }
}

/// Four bytes a pixel, or nothing if the tile is not what it says.
fn pixels(tile: &Tile) -> Option<Vec<u8>> {
    let count = tile.width.checked_mul(tile.height)?;
    if count == 0 || tile.pixels.len() != count.checked_mul(tile.channels)? {
        return None;
    }
    match tile.channels {
        1 => Some(tile.pixels.iter().flat_map(|v| [*v, *v, *v, 255]).collect()),
        3 => Some(tile.pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect()),
        _ => None,
    }
}

fn overlay(heat: &Grid, palette: &Palette) -> Option<Vec<u8>> {
    if heat.values.is_empty() || heat.values.len() != heat.width.checked_mul(heat.height)? {
        return None;
    }
    let [r, g, b] = palette.rgb(Tone::Train);
    // Of many small shares the largest is to be seen, too. Casts take NaN and what lies below 0 for 0.
    let most = heat.values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let alpha = |value: f32| (value / most * 180.0) as u8;
    Some(heat.values.iter().flat_map(|value| [r, g, b, alpha(*value)]).collect())
}
