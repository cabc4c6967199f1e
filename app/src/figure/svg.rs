//! Writes a [`Scene`] as SVG, for export.

use engine::decimal::fixed;
use std::fmt::Write as _;

use super::canvas::{colour, pattern, picture};
use super::palette::{Palette, Tone};
use super::scene::{Anchor, Paint, Scene, Shape};

/// The whole document.
pub fn svg(scene: &Scene) -> String {
    let palette = Palette::read();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"Inter, system-ui, sans-serif\"><rect width=\"100%\" height=\"100%\" fill=\"{ground}\"/>",
        w = fixed(scene.width, 0),
        h = fixed(scene.height, 0),
        ground = colour(Paint(Tone::Panel, 1.0), &palette),
    );
    for shape in &scene.shapes {
        element(shape, &palette, &mut out);
    }
    out.push_str("</svg>");
    out
}

/// Text with the characters that mean something in XML written out.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A tenth of a pixel is fine enough.
fn pixels(length: f64) -> String {
    fixed(length, 1)
}

fn path(points: &[[f64; 2]]) -> String {
    let mut d = String::new();
    let mut pen_down = false;
    for [x, y] in points {
        if x.is_nan() || y.is_nan() {
            pen_down = false;
            continue;
        }
        let command = if pen_down { 'L' } else { 'M' };
        let _ = write!(d, "{command}{} {}", pixels(*x), pixels(*y));
        pen_down = true;
    }
    d
}

fn element(shape: &Shape, palette: &Palette, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match shape {
        Shape::Line { points, paint, width, dash } => {
            let dashes: Vec<String> = pattern(*dash).iter().copied().map(pixels).collect();
            write!(
                out,
                "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-dasharray=\"{}\" d=\"{}\"/>",
                colour(*paint, palette),
                pixels(*width),
                if dashes.is_empty() { "none".to_owned() } else { dashes.join(" ") },
                path(points)
            )
        }
        Shape::Area { points, paint } => {
            write!(out, "<path fill=\"{}\" d=\"{}Z\"/>", colour(*paint, palette), path(points))
        }
        Shape::Rect { at, paint } => {
            let [x, y, width, height] = at.map(pixels);
            let fill = colour(*paint, palette);
            write!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>")
        }
        Shape::Dot { at, radius, paint } => {
            let [x, y] = at.map(pixels);
            let (radius, fill) = (pixels(*radius), colour(*paint, palette));
            write!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\"/>")
        }
        Shape::Text { at, text, paint, size, anchor, upward } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let [x, y] = at.map(pixels);
            let turn = if *upward { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            write!(
                out,
                "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" text-anchor=\"{anchor}\" fill=\"{}\"{turn}>{}</text>",
                pixels(*size),
                colour(*paint, palette),
                escape(text)
            )
        }
        Shape::Picture { at, size, rgba } => {
            let data = picture(*size, rgba).and_then(|canvas| canvas.to_data_url().ok()).unwrap_or_default();
            let [x, y, width, height] = at.map(pixels);
            write!(
                out,
                "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
                 preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{data}\"/>"
            )
        }
    };
}
