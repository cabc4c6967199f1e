//! Densities over one axis, one behind the other, the newest in front.

use engine::figure::{Dash, Figure, Ridge, Role};

use super::axis::{Frame, Left};
use super::cartesian::rules;
use super::palette::Tone;
use super::scene::{Anchor, Paint, Scene, Shape, widest};
use crate::text::number;

/// Least distance of two labels, in pixels.
const LINE: f64 = 12.0;

/// Draws the ridges, oldest at the top, each named at the left.
pub fn draw(figure: &Figure, role: Role, x: &[f32], ridges: &[Ridge], log: bool, scene: &mut Scene) {
    let finite = |value: &&f32| value.is_finite();
    let placed = |x: &&f32| x.is_finite() && !(log && **x <= 0.0);
    let low = x.iter().filter(placed).fold(f64::INFINITY, |low, x| low.min(f64::from(*x)));
    let high = x.iter().filter(placed).fold(f64::NEG_INFINITY, |high, x| high.max(f64::from(*x)));
    let tallest =
        ridges.iter().flat_map(|ridge| &ridge.values).filter(finite).fold(0.0, |top: f64, v| top.max(f64::from(*v)));
    if ridges.is_empty() || tallest <= 0.0 {
        return;
    }
    let single = ridges.len() == 1;
    // Heights are comparable between ridges, but an axis of numbers would fit only one of them.
    let side =
        if single { Left::Axis(&figure.y) } else { Left::Names(widest(ridges.iter().map(|ridge| &ridge.label)) + 8.0) };
    let frame = Frame::draw(scene, &figure.x, side, [log, false], [[low, high], [0.0, tallest]]);
    let [left, top, right, bottom] = frame.area;
    let gap = (bottom - top) / (ridges.len() as f64 + 1.0);
    let rise = if single { bottom - top } else { (gap * 2.2).min(bottom - top) };
    let tone = Tone::of(role);
    let every = (LINE / gap).ceil().max(1.0) as usize;
    for (i, ridge) in ridges.iter().enumerate() {
        let base = if single { bottom } else { top + gap * (i as f64 + 2.0) };
        let line: Vec<[f64; 2]> = x
            .iter()
            .zip(&ridge.values)
            .map(|(x, value)| {
                let at = if single { frame.y.at(f64::from(*value)) } else { base - f64::from(*value) / tallest * rise };
                [frame.x.at(f64::from(*x)), at]
            })
            .filter(|[x, y]| x.is_finite() && y.is_finite())
            .collect();
        let (Some(first), Some(last)) = (line.first().copied(), line.last().copied()) else { continue };
        let mut area = line.clone();
        area.extend([[last[0], base], [first[0], base]]);
        scene.shapes.push(Shape::Area { points: area.clone(), paint: Paint(Tone::Panel, 0.75) });
        scene.shapes.push(Shape::Area { points: area, paint: Paint(tone, 0.18) });
        let age = 0.35 + 0.65 * (i + 1) as f64 / ridges.len() as f64;
        scene.shapes.push(Shape::Line { points: line, paint: Paint(tone, age), width: 1.3, dash: Dash::Solid });
        // Where there is no room for all names, the newest has one.
        if !single && (ridges.len() - 1 - i).is_multiple_of(every) {
            scene.text([left - 5.0, base + 1.0], ridge.label.clone(), Anchor::End);
        }
        let peak = ridge.values.iter().zip(x).filter(|(value, _)| value.is_finite()).max_by(|a, b| a.0.total_cmp(b.0));
        let peak = peak.map(|(value, x)| format!("\npeak {} at {}", number(f64::from(*value)), number(f64::from(*x))));
        let label = format!("{}{}", ridge.label, peak.unwrap_or_default());
        scene.spot([left, base - gap, right - left, gap], label);
    }
    rules(figure, &frame, scene);
}
