//! Axes: from values to pixels, with few ticks.

use engine::figure::{Axis, Dash, Scale, symlog, symlog_inverse, symlog_unit};
use libm::pow;

use super::palette::Tone;
use super::scene::{Anchor, LETTER, Paint, Scene, Shape, wide, widest};
use crate::text::tick;

/// How one axis maps values to pixels.
#[derive(Debug, Clone, Copy)]
pub struct Mapping {
    low: f64,
    high: f64,
    scale: Scale,
    /// Where values of a symmetric logarithm turn from linear to logarithmic.
    unit: f64,
    /// Pixels of `low` and `high`.
    from: f64,
    to: f64,
}

impl Mapping {
    /// Maps the axis's own range, or else what its data span with a little room, to pixels.
    pub fn new(axis: &Axis, log: bool, extent: [f64; 2], [from, to]: [f64; 2]) -> Self {
        let scale = if log { Scale::Log } else { axis.scale };
        let [mut low, mut high] = axis.range.unwrap_or(extent);
        if scale == Scale::Log {
            // It has no place for 0: a range from there begins with the least value above it.
            if low <= 0.0 {
                low = extent[0];
            }
            low = low.max(1e-12);
            high = high.max(low);
            if low.is_infinite() {
                (low, high) = (1e-3, 1.0);
            } else if low == high {
                (low, high) = (low / 2.0, high * 2.0);
            } else if axis.range.is_none() {
                (low, high) = (low / 1.15, high * 1.15);
            }
        } else if !(low.is_finite() && high.is_finite()) || low > high {
            (low, high) = (0.0, 1.0);
        } else if low == high {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
            (low, high) = (low - room, high + room);
        } else if axis.range.is_none() && scale == Scale::Linear {
            let room = (high - low) * 0.05;
            (low, high) = (low - room, high + room);
        }
        let unit = axis.linear.unwrap_or_else(|| symlog_unit(low.abs().max(high.abs())));
        Self { low, high, scale, unit, from, to }
    }

    /// The pixel of a value; NaN where the axis has none.
    pub fn at(&self, value: f64) -> f64 {
        let along = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.ln(),
            Scale::Symlog => symlog(value, self.unit),
        };
        if self.scale == Scale::Log && value <= 0.0 {
            return f64::NAN;
        }
        let [low, high] = [self.low, self.high].map(along);
        self.from + (along(value) - low) / (high - low) * (self.to - self.from)
    }

    /// The pixel of the axis's foot: zero if it is in range.
    pub fn foot(&self) -> f64 {
        if self.scale == Scale::Log { self.from } else { self.at(0.0_f64.max(self.low).min(self.high)) }
    }

    /// Round values in range, about `count` of them.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        if count == 0 {
            return Vec::new();
        }
        let powers = |low: f64, high: f64, count: usize| {
            let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
            let step = ((last - first) / count.max(1) as i32).max(0) + 1;
            (first..=last).rev().step_by(step.unsigned_abs() as usize).map(|power| 10f64.powi(power))
        };
        match self.scale {
            Scale::Linear => {}
            Scale::Log => {
                let powers: Vec<f64> = powers(self.low, self.high, count).collect();
                if powers.len() > 1 {
                    return powers;
                }
                // Where at most one is in range, halves and fifths of powers too; where these are too few, even steps.
                let decades = self.low.log10().floor() as i32..=self.high.log10().floor() as i32;
                let parts = decades.flat_map(|power| [1.0, 2.0, 5.0].map(|part| part * 10f64.powi(power)));
                let parts: Vec<f64> = parts.filter(|part| (self.low..=self.high).contains(part)).collect();
                if parts.len() > 1 {
                    return parts;
                }
            }
            Scale::Symlog => {
                // Zero and the powers of ten on either side that lie clear of it.
                let [low, high] = [self.low, self.high].map(|end| symlog(end, self.unit));
                let clear = symlog_inverse(0.12 * (high - low), self.unit);
                let side = |end: f64| powers(clear, end.max(clear), count / 2);
                let below = side(-self.low).map(|power| -power);
                return below
                    .chain([0.0])
                    .chain(side(self.high))
                    .filter(|v| (self.low..=self.high).contains(v))
                    .collect();
            }
        }
        let rough = (self.high - self.low) / count as f64;
        let power = pow(10.0, rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        // One value alone tells no scale.
        if first >= last && count < 4 {
            return self.ticks(count + 1);
        }
        (first..=last).take(50).map(|i| i as f64 * step).collect()
    }
}

/// The area of a chart and its two axes.
pub struct Frame {
    /// Left, top, right, bottom.
    pub area: [f64; 4],
    /// Horizontal.
    pub x: Mapping,
    /// Vertical.
    pub y: Mapping,
}

/// What stands at the left of a chart.
#[derive(Clone, Copy)]
pub enum Left<'a> {
    /// An axis of numbers.
    Axis(&'a Axis),
    /// Names that the chart writes itself, in so much room; its heights are bare.
    Names(f64),
}

/// Label and unit as one text.
pub fn title(axis: &Axis) -> String {
    match (axis.label.as_str(), axis.unit.as_str()) {
        ("", unit) => unit.to_owned(),
        (label, "") => label.to_owned(),
        (label, unit) => format!("{label} ({unit})"),
    }
}

impl Frame {
    /// Lays out the axes in a scene and draws grid, ticks and labels.
    pub fn draw(scene: &mut Scene, x: &Axis, left: Left, log: [bool; 2], extent: [[f64; 2]; 2]) -> Self {
        let (y, left) = match left {
            Left::Axis(y) => (Some(y), if title(y).is_empty() { 40.0 } else { 54.0 }),
            Left::Names(room) => (None, room),
        };
        let names = categories(&x.categories, scene.width - left - 10.0);
        let lines = names.iter().map(|(_, lines)| lines.len()).max().unwrap_or(1);
        let below = if title(x).is_empty() { 18.0 } else { 32.0 } + LINE * (lines.max(1) - 1) as f64;
        let area = [left, 8.0, scene.width - 10.0, scene.height - below];
        let frame = Self {
            area,
            x: Mapping::new(x, log[0], extent[0], [area[0], area[2]]),
            y: Mapping::new(y.unwrap_or(&Axis::default()), log[1], extent[1], [area[3], area[1]]),
        };
        let line = Paint(Tone::Line, 1.0);
        let rows = if y.is_some() { ((area[3] - area[1]) / 34.0).clamp(1.0, MOST_TICKS) as usize } else { 0 };
        for value in frame.y.ticks(rows) {
            let at = frame.y.at(value);
            scene.stroke([area[0], at], [area[2], at], line, 1.0, Dash::Solid);
            scene.text([area[0] - 6.0, at + 3.5], tick(value), Anchor::End);
        }
        if x.categories.is_empty() {
            // Even values on a logarithmic axis crowd towards its end.
            let mut last = f64::INFINITY;
            for value in frame.x.ticks(((area[2] - area[0]) / 80.0).min(MOST_TICKS) as usize) {
                let (at, text) = (frame.x.at(value), tick(value));
                if (at - last).abs() > wide(&text) {
                    scene.text([at, area[3] + 14.0], text, Anchor::Middle);
                    last = at;
                }
            }
        } else {
            for (i, lines) in names {
                for (row, line) in lines.into_iter().enumerate() {
                    let (line, middle) = beside(&line, frame.x.at(i as f64), scene.width);
                    scene.text([middle, area[3] + 14.0 + LINE * row as f64], line, Anchor::Middle);
                }
            }
        }
        scene.stroke([area[0], area[3]], [area[2], area[3]], line, 1.0, Dash::Solid);
        if !title(x).is_empty() {
            let (text, middle) = beside(&title(x), (area[0] + area[2]) / 2.0, scene.width);
            scene.text([middle, scene.height - 4.0], text, Anchor::Middle);
        }
        if let Some(y) = y.filter(|y| !title(y).is_empty()) {
            let (text, middle) = beside(&title(y), (area[1] + area[3]) / 2.0, scene.height);
            scene.shapes.push(Shape::Text {
                at: [11.0, middle],
                text,
                paint: Paint(Tone::Soft, 1.0),
                size: 11.0,
                anchor: Anchor::Middle,
                upward: true,
            });
        }
        frame
    }
}

/// The most ticks that an axis asks for, however large it is.
const MOST_TICKS: f64 = 10.0;

/// Height of a line of names.
const LINE: f64 = 12.0;

/// Which positions have a name, and its lines: two where one is too short; where there are too many, only every so many.
fn categories(names: &[String], width: f64) -> Vec<(usize, Vec<String>)> {
    let room = width / names.len().max(1) as f64;
    let longest = widest(names.iter()) + 6.0;
    // A few long names still fit side by side when they are broken or cut; more would not tell anything.
    if longest > room && names.len() <= 6 {
        let fits = (room / LETTER) as usize;
        return names.iter().map(|name| broken(name, fits)).enumerate().collect();
    }
    let every = (longest / room).ceil().max(1.0) as usize;
    names.iter().map(|name| vec![name.clone()]).enumerate().step_by(every).collect()
}

/// A name on at most two lines of so many characters.
fn broken(name: &str, fits: usize) -> Vec<String> {
    let end = name.char_indices().nth(fits + 1).map_or(name.len(), |(end, _)| end);
    match name[..end].rfind(' ') {
        Some(space) if name.chars().count() > fits => {
            vec![name[..space].to_owned(), shorten(&name[space + 1..], fits)]
        }
        _ => vec![shorten(name, fits)],
    }
}

/// A text on a sheet of that length, and where its middle is: as near to what it names as it has room.
fn beside(title: &str, middle: f64, length: f64) -> (String, f64) {
    let text = shorten(title, (length / LETTER) as usize);
    let half = wide(&text) / 2.0;
    (text, middle.max(half).min(length - half))
}

/// At most so many characters, with an ellipsis where some were left off.
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_has_numbers_also_between_two_powers() {
        let ticks = |low, high| {
            Mapping::new(&Axis::default(), true, [low, high], [0.0, 100.0])
                .ticks(5)
                .iter()
                .map(|v| (v * 1e3).round() / 1e3)
                .collect::<Vec<f64>>()
        };
        assert_eq!(ticks(1.0, 1000.0), [1000.0, 100.0, 10.0, 1.0]);
        assert_eq!(ticks(2.4, 3.2), [2.5, 3.0, 3.5]);
        assert_eq!(ticks(0.03, 0.3), [0.05, 0.1, 0.2]);
        assert_eq!(ticks(0.006, 0.08), [0.01, 0.02, 0.05]);
    }

    #[test]
    fn a_logarithmic_axis_ends_above_0() {
        let ends = |range, extent| {
            let axis = Axis { range, ..Axis::default() };
            let Mapping { low, high, .. } = Mapping::new(&axis, true, extent, [0.0, 100.0]);
            [low, high]
        };
        assert_eq!(ends(Some([0.0, 112.0]), [40.0, 80.0]), [40.0, 112.0]);
        assert_eq!(ends(Some([0.5, 8.0]), [40.0, 80.0]), [0.5, 8.0]);
        // Nothing is above 0.
        let none = [f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!([ends(Some([0.0, 1.0]), none), ends(None, none)], [[1e-3, 1.0]; 2]);
    }

    #[test]
    fn an_axis_has_two_numbers_at_least() {
        let ticks = |low, high| Mapping::new(&Axis::default(), false, [low, high], [0.0, 100.0]).ticks(1);
        assert_eq!(ticks(86.6, 88.5), [87.0, 88.0]);
        assert_eq!(ticks(0.0, 1.0), [0.0, 1.0]);
    }

    #[test]
    fn titles_stay_on_their_sheet() {
        let ends = |title: &str, middle: f64, length: f64| {
            let (text, middle) = beside(title, middle, length);
            [middle - wide(&text) / 2.0, length - middle - wide(&text) / 2.0]
        };
        for (middle, length) in [(46.0, 116.0), (46.0, 90.0), (300.0, 600.0), (120.0, 160.0)] {
            assert!(ends("test accuracy (%)", middle, length).iter().all(|room| *room >= 0.0), "{middle} of {length}");
        }
        assert_eq!(beside("rate", 46.0, 116.0), ("rate".to_owned(), 46.0));
    }

    #[test]
    fn long_names_are_broken_then_cut() {
        assert_eq!(broken("host gathers", 12), ["host gathers"]);
        assert_eq!(broken("host gathers", 9), ["host", "gathers"]);
        assert_eq!(broken("CCT, no positions", 10), ["CCT, no", "positions"]);
        assert_eq!(broken("CCT, no positions", 6), ["CCT,", "no po…"]);
        assert_eq!(broken("positions", 6), ["posit…"]);
        assert_eq!(broken("größer als", 8), ["größer", "als"]);
    }

    #[test]
    fn few_names_are_all_shown_and_many_thinned() {
        let names = |count: usize| vec!["a long name".to_owned(); count];
        assert_eq!(categories(&names(4), 200.0).len(), 4);
        assert!(categories(&names(40), 200.0).len() <= 3);
        assert!(categories(&[], 200.0).is_empty());
    }
}
