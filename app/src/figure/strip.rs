//! A row for each arm: every seed's outcome as a dot with their mean, or a mean with its interval.

use engine::figure::{Dash, Figure, Mark, Role, Scale, SeedDot};

use super::axis::{Frame, Left, shorten};
use super::palette::Tone;
use super::scene::{Anchor, LETTER, Paint, Scene, widest};
use crate::text::number;

/// Height of the dots of a row, and of a name where it stands above them.
const ROW: f64 = 24.0;
const NAME: f64 = 14.0;
/// Room for the axis and its title.
const BELOW: f64 = 42.0;

/// Room that the names take at the left; none where it is too little: then they stand above their dots.
fn side(figure: &Figure, width: f64) -> f64 {
    let room = widest(figure.x.categories.iter()) + 12.0;
    if room < 0.45 * width { room } else { 0.0 }
}

/// Height that suits the arms at a width.
pub fn height(figure: &Figure, width: f64) -> f64 {
    let name = if side(figure, width) > 0.0 { 0.0 } else { NAME };
    figure.x.categories.len() as f64 * (ROW + name) + BELOW
}

/// Draws the rows of all arms over the axis of what was measured.
pub fn draw(figure: &Figure, scene: &mut Scene) {
    let all = || {
        figure.marks.iter().filter_map(|mark| match mark {
            Mark::SeedDots { role, dots } => Some((*role, dots)),
            _ => None,
        })
    };
    let log = figure.y.scale == Scale::Log;
    let ends = figure.marks.iter().flat_map(|mark| match mark {
        Mark::Intervals { means, ranges, .. } => {
            means.iter().map(|mean| f64::from(*mean)).chain(ranges.iter().flatten().copied()).collect()
        }
        _ => Vec::new(),
    });
    let values = all()
        .flat_map(|(_, dots)| dots)
        .map(|dot| dot.value)
        .chain(ends)
        .filter(|v| v.is_finite() && !(log && *v <= 0.0));
    let extent = values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
    let arms = figure.x.categories.len();
    let side = side(figure, scene.width);
    let frame = Frame::draw(scene, &figure.y, Left::Names(side.max(6.0)), [log, false], [extent, [0.0, 1.0]]);
    let [left, top, right, bottom] = frame.area;
    let row = (bottom - top) / arms.max(1) as f64;
    for (arm, name) in figure.x.categories.iter().enumerate() {
        let base = top + row * (arm + 1) as f64;
        let middle = base - ROW.min(row) / 2.0;
        scene.stroke([left, middle], [right, middle], Paint(Tone::Line, 1.0), 1.0, Dash::Solid);
        if side > 0.0 {
            scene.text([left - 8.0, middle + 4.0], name.clone(), Anchor::End);
        } else if row > ROW {
            let fits = ((right - left) / LETTER) as usize;
            scene.text([left, base - ROW.min(row) - 1.0], shorten(name, fits), Anchor::Start);
        }
        for (role, dots) in all() {
            let of_arm: Vec<&SeedDot> = dots.iter().filter(|dot| dot.arm == arm && dot.value.is_finite()).collect();
            outcomes(name, role, &of_arm, [middle, row], &frame, scene);
        }
        for mark in &figure.marks {
            if let Mark::Intervals { role, means, ranges } = mark
                && let (Some(mean), Some(range)) = (means.get(arm), ranges.get(arm))
            {
                interval(name, *role, f64::from(*mean), *range, middle, &frame, scene);
            }
        }
    }
}

/// A mean, its interval as a bar, and both in numbers.
fn interval(name: &str, role: Role, mean: f64, range: [f64; 2], middle: f64, frame: &Frame, scene: &mut Scene) {
    if !mean.is_finite() {
        return;
    }
    let paint = Paint(Tone::of(role), 1.0);
    let at = frame.x.at(mean);
    // One outcome alone has no interval.
    let [low, high] = range.map(|end| frame.x.at(if end.is_finite() { end } else { mean }));
    scene.stroke([low, middle], [high, middle], paint, 3.0, Dash::Solid);
    scene.dot([at, middle], 4.2, paint);
    let half = (range[1] - range[0]) / 2.0;
    let text = if half.is_finite() { format!("{} ± {}", number(mean), number(half)) } else { number(mean) };
    // On the side that has room.
    let (from, anchor) =
        if high + 92.0 < frame.area[2] { (high + 8.0, Anchor::Start) } else { (low - 8.0, Anchor::End) };
    scene.spot([low - 4.0, middle - 8.0, high - low + 8.0, 16.0], format!("{name}\n{text}"));
    scene.label([from, middle + 4.0], text, Paint(Tone::Ink, 1.0), 11.0, anchor);
}

/// The outcomes of one arm about the middle of its row, which is so high, and their mean; in numbers where there is room.
fn outcomes(name: &str, role: Role, dots: &[&SeedDot], [middle, row]: [f64; 2], frame: &Frame, scene: &mut Scene) {
    if dots.is_empty() {
        return;
    }
    let count = dots.len() as f64;
    let mean = dots.iter().map(|dot| dot.value).sum::<f64>() / count;
    let at = frame.x.at(mean);
    let (mut first, mut last) = (at, at);
    for (i, dot) in dots.iter().enumerate() {
        // One below the other, so that equal outcomes stay countable.
        let shift = (i as f64 - (count - 1.0) / 2.0) * (14.0 / count).min(4.0);
        let place = [frame.x.at(dot.value), middle + shift];
        (first, last) = (first.min(place[0]), last.max(place[0]));
        scene.dot(place, 3.6, Paint(Tone::of(role), 0.85));
        let text = format!("{name}\nseed {}: {}", dot.seed, number(dot.value));
        scene.spot([place[0] - 3.0, place[1] - 3.0, 6.0, 6.0], text);
    }
    let half = (row / 2.0).min(9.0);
    scene.stroke([at, middle - half], [at, middle + half], Paint(Tone::Ink, 0.9), 2.0, Dash::Solid);
    if row < 0.9 * ROW {
        return;
    }
    // On the side that has room.
    let (from, anchor) =
        if last + 50.0 < frame.area[2] { (last + 8.0, Anchor::Start) } else { (first - 8.0, Anchor::End) };
    scene.label([from, middle + 4.0], number(mean), Paint(Tone::Ink, 1.0), 11.0, anchor);
}
