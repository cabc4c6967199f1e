//! Paints a [`Scene`] on a canvas.

use engine::decimal::plain;
use engine::figure::Dash;
use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

use super::palette::Palette;
use super::scene::{Anchor, Paint, Scene, Shape};

/// A new canvas of that many device pixels.
pub fn canvas(width: u32, height: u32) -> Option<HtmlCanvasElement> {
    let canvas = web_sys::window()?.document()?.create_element("canvas").ok()?;
    let canvas: HtmlCanvasElement = canvas.dyn_into().ok()?;
    canvas.set_width(width);
    canvas.set_height(height);
    Some(canvas)
}

/// Draws `scene` with `scale` device pixels to a CSS pixel, over `ground` if there is one.
pub fn paint(scene: &Scene, canvas: &HtmlCanvasElement, scale: f64, ground: Option<Paint>) -> Option<()> {
    let width = (scene.width * scale).round().max(1.0) as u32;
    let height = (scene.height * scale).round().max(1.0) as u32;
    if canvas.width() != width || canvas.height() != height {
        canvas.set_width(width);
        canvas.set_height(height);
    }
    let context: CanvasRenderingContext2d = canvas.get_context("2d").ok()??.dyn_into().ok()?;
    let palette = Palette::read();
    context.set_transform(scale, 0.0, 0.0, scale, 0.0, 0.0).ok()?;
    context.clear_rect(0.0, 0.0, scene.width, scene.height);
    context.set_image_smoothing_enabled(false);
    if let Some(ground) = ground {
        context.set_fill_style_str(&colour(ground, &palette));
        context.fill_rect(0.0, 0.0, scene.width, scene.height);
    }
    for shape in &scene.shapes {
        draw(shape, &context, &palette)?;
    }
    Some(())
}

/// As CSS writes it.
pub fn colour(Paint(tone, alpha): Paint, palette: &Palette) -> String {
    let [r, g, b] = palette.rgb(tone);
    format!("rgba({r},{g},{b},{})", plain(alpha))
}

/// Lengths of strokes and gaps.
pub const fn pattern(dash: Dash) -> &'static [f64] {
    match dash {
        Dash::Solid => &[],
        Dash::Dashed => &[6.0, 4.0],
        Dash::Dotted => &[2.0, 3.0],
        Dash::Long => &[12.0, 4.0],
    }
}

fn draw(shape: &Shape, context: &CanvasRenderingContext2d, palette: &Palette) -> Option<()> {
    match shape {
        Shape::Line { points, paint, width, dash } => {
            context.set_stroke_style_str(&colour(*paint, palette));
            context.set_line_width(*width);
            context.set_line_join("round");
            let lengths = js_sys::Array::new();
            for length in pattern(*dash) {
                lengths.push(&JsValue::from_f64(*length));
            }
            context.set_line_dash(&lengths).ok()?;
            trace(points, context);
            context.stroke();
        }
        Shape::Area { points, paint } => {
            context.set_fill_style_str(&colour(*paint, palette));
            trace(points, context);
            context.fill();
        }
        Shape::Rect { at: [x, y, width, height], paint } => {
            context.set_fill_style_str(&colour(*paint, palette));
            context.fill_rect(*x, *y, *width, *height);
        }
        Shape::Dot { at: [x, y], radius, paint } => {
            context.set_fill_style_str(&colour(*paint, palette));
            context.begin_path();
            context.arc(*x, *y, *radius, 0.0, core::f64::consts::TAU).ok()?;
            context.fill();
        }
        Shape::Text { at: [x, y], text, paint, size, anchor, upward } => {
            context.set_fill_style_str(&colour(*paint, palette));
            context.set_font(&format!("{}px Inter, system-ui, sans-serif", plain(*size)));
            context.set_text_align(match anchor {
                Anchor::Start => "left",
                Anchor::Middle => "center",
                Anchor::End => "right",
            });
            if *upward {
                context.save();
                context.translate(*x, *y).ok()?;
                context.rotate(-core::f64::consts::FRAC_PI_2).ok()?;
                context.fill_text(text, 0.0, 0.0).ok()?;
                context.restore();
            } else {
                context.fill_text(text, *x, *y).ok()?;
            }
        }
        Shape::Picture { at: [x, y, width, height], size, rgba } => {
            let picture = picture(*size, rgba)?;
            context.draw_image_with_html_canvas_element_and_dw_and_dh(&picture, *x, *y, *width, *height).ok()?;
        }
    }
    Some(())
}

fn trace(points: &[[f64; 2]], context: &CanvasRenderingContext2d) {
    context.begin_path();
    let mut pen_down = false;
    for [x, y] in points {
        if x.is_nan() || y.is_nan() {
            pen_down = false;
        } else if pen_down {
            context.line_to(*x, *y);
        } else {
            context.move_to(*x, *y);
            pen_down = true;
        }
    }
}

/// The picture on a canvas of its own size.
pub fn picture([width, height]: [usize; 2], rgba: &[u8]) -> Option<HtmlCanvasElement> {
    let data = ImageData::new_with_u8_clamped_array(Clamped(rgba), width as u32).ok()?;
    let canvas = canvas(width as u32, height as u32)?;
    let context: CanvasRenderingContext2d = canvas.get_context("2d").ok()??.dyn_into().ok()?;
    context.put_image_data(&data, 0.0, 0.0).ok()?;
    Some(canvas)
}
