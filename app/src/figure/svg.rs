//! Writes a [`Scene`] as SVG, for export.

use std::fmt::Write as _;

use super::canvas::{colour, pattern, picture};
use super::palette::{Palette, Tone};
use super::scene::{Anchor, Paint, Scene, Shape};

/// The whole document.
pub fn svg(scene: &Scene) -> String {
    let palette = Palette::read();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.0} {h:.0}\" \
         font-family=\"Inter, system-ui, sans-serif\"><rect width=\"100%\" height=\"100%\" fill=\"{ground}\"/>",
        w = scene.width,
        h = scene.height,
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

fn path(points: &[[f64; 2]]) -> String {
    let mut d = String::new();
    let mut pen_down = false;
    for [x, y] in points {
        if x.is_nan() || y.is_nan() {
            pen_down = false;
            continue;
        }
        let command = if pen_down { 'L' } else { 'M' };
        let _ = write!(d, "{command}{x:.1} {y:.1}");
        pen_down = true;
    }
    d
}

fn element(shape: &Shape, palette: &Palette, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match shape {
        Shape::Line { points, paint, width, dash } => {
            let dashes: Vec<String> = pattern(*dash).iter().map(f64::to_string).collect();
            write!(
                out,
                "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-dasharray=\"{}\" d=\"{}\"/>",
                colour(*paint, palette),
                if dashes.is_empty() { "none".to_owned() } else { dashes.join(" ") },
                path(points)
            )
        }
        Shape::Area { points, paint } => {
            write!(out, "<path fill=\"{}\" d=\"{}Z\"/>", colour(*paint, palette), path(points))
        }
        Shape::Rect { at: [x, y, width, height], paint } => write!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{}\"/>",
            colour(*paint, palette)
        ),
        Shape::Dot { at: [x, y], radius, paint } => {
            write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{}\"/>", colour(*paint, palette))
        }
        Shape::Text { at: [x, y], text, paint, size, anchor, upward } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let turn = if *upward { format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"") } else { String::new() };
            write!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{}\"{turn}>{}</text>",
                colour(*paint, palette),
                escape(text)
            )
        }
        Shape::Picture { at: [x, y, width, height], size, rgba } => {
            let data = picture(*size, rgba).and_then(|canvas| canvas.to_data_url().ok()).unwrap_or_default();
            write!(
                out,
                "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{data}\"/>"
            )
        }
    };
}
