//! Lines, points, bars and rules over two axes.

use engine::figure::{Axis, BarSeries, Dash, Direction, Figure, Mark, Role, Scale};
use libm::pow;

use super::axis::{Frame, Left};
use super::palette::Tone;
use super::regions;
use super::scene::{Anchor, Paint, Scene, Shape, wide};
use crate::text::number;

/// Smallest and largest finite value.
#[derive(Clone, Copy)]
struct Extent([f64; 2]);

impl Extent {
    const NONE: Self = Self([f64::INFINITY, f64::NEG_INFINITY]);

    /// Takes a value in; a logarithmic axis has no place for values <= 0.
    fn take(&mut self, value: f64, log: bool) {
        if value.is_finite() && !(log && value <= 0.0) {
            self.0 = [self.0[0].min(value), self.0[1].max(value)];
        }
    }
}

fn extent(figure: &Figure, log: [bool; 2]) -> [[f64; 2]; 2] {
    let (mut x, mut y) = (Extent::NONE, Extent::NONE);
    for mark in &figure.marks {
        match mark {
            Mark::Line { points, band, .. } => {
                for [px, py] in points {
                    x.take(*px, log[0]);
                    y.take(*py, log[1]);
                }
                band.iter().flatten().for_each(|value| y.take(*value, log[1]));
            }
            Mark::Scatter { points, .. } | Mark::Stars { points } => {
                for [px, py] in points {
                    x.take(*px, log[0]);
                    y.take(*py, log[1]);
                }
            }
            Mark::Bars { series, stacked } => {
                y.take(0.0, log[1]);
                for i in 0..series.iter().map(|one| one.values.len()).max().unwrap_or(0) {
                    let values = series.iter().filter_map(|one| one.values.get(i)).map(|value| f64::from(*value));
                    if *stacked {
                        y.take(values.filter(|value| value.is_finite()).sum(), log[1]);
                    } else {
                        values.for_each(|value| y.take(value, log[1]));
                    }
                }
            }
            Mark::Stretches { ends, .. } => ends.iter().for_each(|end| x.take(*end, log[0])),
            Mark::Rule { along: Direction::Horizontal, at, .. } => y.take(*at, log[1]),
            Mark::Rule { along: Direction::Vertical, at, .. } => x.take(*at, log[0]),
            _ => {}
        }
    }
    if !figure.x.categories.is_empty() {
        x = Extent([-0.5, figure.x.categories.len() as f64 - 0.5]);
    }
    [x.0, y.0]
}

/// Draws all marks that live on two axes.
pub fn draw(figure: &Figure, log: [bool; 2], scene: &mut Scene) {
    let mut x = figure.x.clone();
    let bars = figure.marks.iter().find_map(|mark| match mark {
        Mark::Bars { series, .. } => series.iter().map(|one| one.values.len()).max(),
        _ => None,
    });
    if let (true, Some(count)) = (x.categories.is_empty(), bars) {
        x.categories = (0..count).map(|i| i.to_string()).collect();
    }
    if !x.categories.is_empty() {
        x.range = Some([-0.5, x.categories.len() as f64 - 0.5]);
    }
    let mut y = figure.y.clone();
    let log = [log[0] || x.scale == Scale::Log, log[1] || y.scale == Scale::Log];
    let extent = extent(figure, log);
    let [low, high] = extent[1];
    // Bars stand on zero: an axis that starts elsewhere would lie about their lengths. A logarithmic one has no zero; there
    // they stand on a power of ten well below the least.
    if bars.is_some() && y.range.is_none() && low >= 0.0 {
        let foot = if log[1] && low.is_finite() { pow(10.0, (low.log10() - 0.3).floor()) } else { 0.0 };
        y.range = Some([foot, if high > foot { high * 1.06 } else { foot + 1.0 }]);
    }
    let frame = Frame::draw(scene, &x, Left::Axis(&y), log, extent);
    for mark in &figure.marks {
        match mark {
            Mark::Line { name, role, dash, points, band } => {
                line(name, *role, *dash, points, band, &frame, scene);
            }
            Mark::Regions { grid } => {
                let [left, top, right, bottom] = frame.area;
                scene.cells = [left, top, right - left, bottom - top];
                regions::draw(figure, grid, &frame, scene);
            }
            Mark::Stretches { names, ends } => stretches(names, ends, &frame, scene),
            Mark::Scatter { name, role, points, classes } => {
                let class = |class: &u32| (*class, regions::name(figure, *class));
                scatter(name, *role, points, &classes.iter().map(class).collect::<Vec<_>>(), &frame, scene);
            }
            Mark::Stars { points } => {
                for (class, [x, y]) in (0..).zip(points) {
                    star([frame.x.at(*x), frame.y.at(*y)], class, regions::name(figure, class), scene);
                }
            }
            Mark::Bars { series, stacked } => bar_chart(series, *stacked, &x, &frame, scene),
            _ => {}
        }
    }
    rules(figure, &frame, scene);
}

/// Shades every second stretch of the x axis, and names those that have room for it.
fn stretches(names: &[String], ends: &[f64], frame: &Frame, scene: &mut Scene) {
    let [left, top, right, bottom] = frame.area;
    let mut from = left;
    for (i, (name, end)) in names.iter().zip(ends).enumerate() {
        let to = frame.x.at(*end).max(from).min(right);
        if i % 2 == 1 {
            scene.rect([from, top, to - from, bottom - top], Paint(Tone::Line, 0.55));
        }
        if wide(name) < to - from {
            scene.label([(from + to) / 2.0, top + 11.0], name, Paint(Tone::Soft, 1.0), 10.0, Anchor::Middle);
        }
        from = to;
    }
}

/// Draws the reference lines of a figure over its frame.
pub fn rules(figure: &Figure, frame: &Frame, scene: &mut Scene) {
    let mut taken = Vec::new();
    for mark in &figure.marks {
        if let Mark::Rule { label, role, along, at } = mark {
            rule(label, *role, *along, *at, &mut taken, frame, scene);
        }
    }
}

/// The stroke of a role: limits and theories are dashed, whatever their colour.
pub const fn stroke(role: Role, dash: Dash) -> Dash {
    match (role, dash) {
        (Role::Limit | Role::Theory, Dash::Solid) => Dash::Dashed,
        (_, dash) => dash,
    }
}

fn line(name: &str, role: Role, dash: Dash, points: &[[f64; 2]], band: &[[f64; 2]], frame: &Frame, scene: &mut Scene) {
    let tone = Tone::of(role);
    if band.len() == points.len() && !band.is_empty() {
        let edge = |which: usize| {
            let pair = points.iter().zip(band);
            pair.map(move |([x, _], edges)| [frame.x.at(*x), frame.y.at(edges[which])])
        };
        let below: Vec<[f64; 2]> = edge(0).collect();
        let area = edge(1).chain(below.into_iter().rev()).filter(|[x, y]| x.is_finite() && y.is_finite()).collect();
        scene.shapes.push(Shape::Area { points: area, paint: Paint(tone, 0.16) });
    }
    let places: Vec<[f64; 2]> = points.iter().map(|[x, y]| [frame.x.at(*x), frame.y.at(*y)]).collect();
    if places.len() <= 60 {
        for (place, [x, y]) in places.iter().zip(points).filter(|(place, _)| place.iter().all(|p| p.is_finite())) {
            scene.dot(*place, 2.4, Paint(tone, 1.0));
            scene.spot([place[0] - 3.0, place[1] - 3.0, 6.0, 6.0], format!("{name}\n{} at {}", number(*y), number(*x)));
        }
    }
    scene.shapes.push(Shape::Line { points: places, paint: Paint(tone, 1.0), width: 1.7, dash: stroke(role, dash) });
}

/// Whether points of a role are rings: limits and theories are told from what was measured, whatever their colour.
pub const fn hollow(role: Role) -> bool {
    matches!(role, Role::Limit | Role::Theory)
}

/// `classes`: number and name of each point's class; may be empty.
fn scatter(name: &str, role: Role, points: &[[f64; 2]], classes: &[(u32, String)], frame: &Frame, scene: &mut Scene) {
    let radius = if points.len() > 400 { 1.8 } else { 3.0 };
    for (i, [x, y]) in points.iter().enumerate() {
        let at = [frame.x.at(*x), frame.y.at(*y)];
        if !at.iter().all(|p| p.is_finite()) {
            continue;
        }
        let tone = classes.get(i).map_or(Tone::of(role), |(class, _)| Tone::Class(*class));
        if hollow(role) {
            scene.ring(at, tone);
        } else {
            scene.dot(at, radius, Paint(tone, 0.85));
        }
        let class = classes.get(i).map(|(_, class)| format!("{class}\n")).unwrap_or_default();
        let name = if name.is_empty() { String::new() } else { format!("{name}\n") };
        scene.spot([at[0] - 2.0, at[1] - 2.0, 4.0, 4.0], format!("{name}{class}{}, {}", number(*x), number(*y)));
    }
}

/// Outer radius of a star.
const STAR: f64 = 9.0;

/// Its first five corners by turns of 36 degrees from the top, rightwards and upwards; the others lie opposite to these.
const TURNS: [[f64; 2]; 5] = [
    [0.0, 1.0],
    [0.587_785_252_292_473_1, 0.809_016_994_374_947_5],
    [0.951_056_516_295_153_5, 0.309_016_994_374_947_45],
    [0.951_056_516_295_153_5, -0.309_016_994_374_947_45],
    [0.587_785_252_292_473_1, -0.809_016_994_374_947_5],
];

/// A star with a rim that parts it from the points about it.
fn star([x, y]: [f64; 2], class: u32, name: String, scene: &mut Scene) {
    if !(x.is_finite() && y.is_finite()) {
        return;
    }
    let corners = |size: f64| {
        let corner = |i: usize| {
            let radius = if i.is_multiple_of(2) { size } else { 0.45 * size };
            let [right, up] = TURNS[i % TURNS.len()].map(|part| if i < TURNS.len() { part } else { -part });
            [x + radius * right, y - radius * up]
        };
        (0..2 * TURNS.len()).map(corner).collect()
    };
    scene.shapes.push(Shape::Area { points: corners(STAR + 2.5), paint: Paint(Tone::Panel, 1.0) });
    scene.shapes.push(Shape::Area { points: corners(STAR), paint: Paint(Tone::Class(class), 1.0) });
    scene.spot([x - 5.0, y - 5.0, 10.0, 10.0], name);
}

fn bar_chart(series: &[BarSeries], stacked: bool, x: &Axis, frame: &Frame, scene: &mut Scene) {
    let count = x.categories.len().max(1);
    let room = (frame.area[2] - frame.area[0]) / count as f64;
    let full = (room * 0.78).min(64.0);
    let width = if stacked { full } else { full / series.len().max(1) as f64 };
    for i in 0..count {
        let left = frame.x.at(i as f64) - full / 2.0;
        let mut base = 0.0;
        for (s, one) in series.iter().enumerate() {
            let Some(value) = one.values.get(i).map(|value| f64::from(*value)).filter(|value| value.is_finite()) else {
                continue;
            };
            let (from, to) = if stacked { (base, base + value) } else { (0.0, value) };
            let foot = if from == 0.0 { frame.y.foot() } else { frame.y.at(from) };
            let top = frame.y.at(to);
            if !top.is_finite() {
                continue;
            }
            let at = [
                if stacked { left } else { left + s as f64 * width },
                top.min(foot),
                (width - 1.0).max(1.0),
                (foot - top).abs(),
            ];
            let tone = Tone::of(one.role);
            let before = series[..s].iter().filter(|other| Tone::of(other.role) == tone).count();
            scene.rect(at, Paint(tone, 0.9 / (before + 1) as f64));
            let category = x.categories.get(i).map_or("", String::as_str);
            let text = format!("{category}\n{} {}", one.name, number(value));
            scene.spot([at[0], at[1].min(foot - 8.0), at[2], at[3].max(8.0)], text.trim().to_owned());
            base += if stacked { value } else { 0.0 };
        }
    }
}

/// `taken`: row, left and right of the labels of upright lines so far: near lines must not write over each other.
fn rule(
    label: &str,
    role: Role,
    along: Direction,
    at: f64,
    taken: &mut Vec<[f64; 3]>,
    frame: &Frame,
    scene: &mut Scene,
) {
    let [left, top, right, bottom] = frame.area;
    let paint = Paint(Tone::of(role), 1.0);
    match along {
        Direction::Horizontal => {
            let y = frame.y.at(at);
            if y.is_finite() {
                scene.stroke([left, y], [right, y], paint, 1.3, stroke(role, Dash::Dashed));
                // Below a line at the upper edge.
                let text = if y < top + 8.0 { y + 12.0 } else { y - 4.0 };
                scene.label([right - 4.0, text], label, paint, 11.0, Anchor::End);
            }
        }
        Direction::Vertical => {
            let x = frame.x.at(at);
            if x.is_finite() {
                scene.stroke([x, top], [x, bottom], paint, 1.3, stroke(role, Dash::Dashed));
                // On the side that has more room.
                let wide = wide(label) + 8.0;
                let from = if x - left < right - x { x + 4.0 } else { x - wide };
                let free = |row: &f64| !taken.iter().any(|[r, a, b]| r == row && from < *b && *a < from + wide);
                let row = (0..=taken.len()).map(|row| row as f64).find(free).unwrap_or_default();
                taken.push([row, from, from + wide]);
                let (from, anchor) = if from > x { (x + 4.0, Anchor::Start) } else { (x - 4.0, Anchor::End) };
                let down = 10.0 + 13.0 * row;
                // A small picture has no room for the names of many.
                if down < (bottom - top) / 3.0 {
                    scene.label([from, top + down], label, paint, 11.0, anchor);
                }
            }
        }
    }
}
