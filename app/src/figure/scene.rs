//! A drawing as a value: shapes in CSS pixels, painted on a canvas or written as SVG from one description.

use engine::figure::Dash;

use super::palette::Tone;

/// Colour of a shape: by meaning, with opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paint(pub Tone, pub f64);

/// Where a text stands to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text starts at the point.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Points joined in order; a NaN breaks the line.
    Line {
        /// `[x, y]`.
        points: Vec<[f64; 2]>,
        /// Colour.
        paint: Paint,
        /// Stroke in pixels.
        width: f64,
        /// Stroke's pattern.
        dash: Dash,
    },
    /// A filled polygon.
    Area {
        /// `[x, y]`, closed by itself.
        points: Vec<[f64; 2]>,
        /// Colour.
        paint: Paint,
    },
    /// A filled rectangle: left, top, width, height.
    Rect {
        /// Place.
        at: [f64; 4],
        /// Colour.
        paint: Paint,
    },
    /// A filled circle.
    Dot {
        /// Centre.
        at: [f64; 2],
        /// Radius.
        radius: f64,
        /// Colour.
        paint: Paint,
    },
    /// One line of text; the point is on its baseline.
    Text {
        /// Point.
        at: [f64; 2],
        /// The words.
        text: String,
        /// Colour.
        paint: Paint,
        /// Size in pixels.
        size: f64,
        /// How it stands to the point.
        anchor: Anchor,
        /// Whether it runs upwards.
        upward: bool,
    },
    /// A picture, stretched without smoothing.
    Picture {
        /// Left, top, width, height.
        at: [f64; 4],
        /// Columns and rows.
        size: [usize; 2],
        /// Four bytes a pixel.
        rgba: Vec<u8>,
    },
}

/// A place that has something to say under the pointer.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    /// Left, top, width, height.
    pub at: [f64; 4],
    /// What it says.
    pub text: String,
}

/// About the width of a letter of a quiet text.
pub const LETTER: f64 = 6.5;

/// About the width of a quiet text.
pub fn wide(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// About the width of the longest of these names.
pub fn widest<'a>(names: impl Iterator<Item = &'a String>) -> f64 {
    names.map(|name| wide(name)).fold(0.0, f64::max)
}

/// A drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// In CSS pixels.
    pub width: f64,
    /// In CSS pixels.
    pub height: f64,
    /// First below.
    pub shapes: Vec<Shape>,
    /// Places with hover values.
    pub spots: Vec<Spot>,
    /// Left, top, width and height of a map's cells; zero where there is none.
    pub cells: [f64; 4],
}

impl Scene {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, ..Self::default() }
    }

    /// A quiet text of the usual size.
    pub fn text(&mut self, at: [f64; 2], text: impl Into<String>, anchor: Anchor) {
        self.label(at, text, Paint(Tone::Soft, 1.0), 11.0, anchor);
    }

    /// A text.
    pub fn label(&mut self, at: [f64; 2], text: impl Into<String>, paint: Paint, size: f64, anchor: Anchor) {
        self.shapes.push(Shape::Text { at, text: text.into(), paint, size, anchor, upward: false });
    }

    /// A straight line.
    pub fn stroke(&mut self, from: [f64; 2], to: [f64; 2], paint: Paint, width: f64, dash: Dash) {
        self.shapes.push(Shape::Line { points: vec![from, to], paint, width, dash });
    }

    /// A filled circle.
    pub fn dot(&mut self, at: [f64; 2], radius: f64, paint: Paint) {
        self.shapes.push(Shape::Dot { at, radius, paint });
    }

    /// A circle with a hole.
    pub fn ring(&mut self, at: [f64; 2], tone: Tone) {
        self.dot(at, 4.0, Paint(tone, 1.0));
        self.dot(at, 2.2, Paint(Tone::Panel, 1.0));
    }

    /// A filled rectangle.
    pub fn rect(&mut self, at: [f64; 4], paint: Paint) {
        self.shapes.push(Shape::Rect { at, paint });
    }

    /// Something to say at a place.
    pub fn spot(&mut self, at: [f64; 4], text: impl Into<String>) {
        self.spots.push(Spot { at, text: text.into() });
    }

    /// What the place under the pointer says: of those that contain it the last drawn, else the nearest within reach.
    pub fn at(&self, x: f64, y: f64) -> Option<&Spot> {
        let away = |spot: &Spot| {
            let [left, top, width, height] = spot.at;
            let dx = (left - x).max(x - left - width).max(0.0);
            let dy = (top - y).max(y - top - height).max(0.0);
            dx.hypot(dy)
        };
        let inside = self.spots.iter().rev().find(|spot| away(spot) == 0.0);
        inside.or_else(|| {
            let near = self.spots.iter().filter(|spot| away(spot) < 14.0);
            near.min_by(|a, b| away(a).total_cmp(&away(b)))
        })
    }
}
