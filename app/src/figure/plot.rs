//! From a [`Figure`] to a [`Scene`]: which marks are drawn how, and how tall that should be.

use engine::figure::{Dash, Figure, Mark};

use super::heatmap::Heat;
use super::key::Key;
use super::palette::{CLASSES, Tone};
use super::scene::{Anchor, Paint, Scene, Shape, wide};
use super::{cartesian, distribution, heatmap, regions, ridgeline, strip, tiles};

/// Whether uPlot shows the figure: nothing but lines, rules and stretches over numbers.
pub fn is_chart(figure: &Figure) -> bool {
    let lines = figure.marks.iter().any(|mark| matches!(mark, Mark::Line { .. }));
    let line = |mark: &Mark| matches!(mark, Mark::Line { .. } | Mark::Rule { .. } | Mark::Stretches { .. });
    let all = figure.marks.iter().all(line);
    lines && all && figure.x.categories.is_empty()
}

/// Whether the figure is a map of cells: lines over it lie in its own places, and it draws them.
fn mapped(figure: &Figure) -> bool {
    figure.marks.iter().any(|mark| matches!(mark, Mark::HeatMap { .. }))
}

/// The height in pixels that suits the drawn marks at a width.
pub fn height(figure: &Figure, width: f64) -> f64 {
    let mapped = mapped(figure);
    let of = |mark: &Mark| match mark {
        Mark::Tiles { tiles } => tiles::height(tiles, width),
        Mark::HeatMap { .. } => Heat::of(mark).map_or(0.0, |heat| heatmap::height(figure, &heat, width)),
        Mark::Distribution { outcomes } => distribution::height(outcomes),
        // A plane, whose axes are alike.
        Mark::Regions { .. } | Mark::Stars { .. } => regions::height(width),
        Mark::SeedDots { .. } | Mark::Intervals { .. } => strip::height(figure, width),
        Mark::Table { .. } | Mark::Text { .. } => 0.0,
        Mark::Line { .. } if mapped => 0.0,
        _ => (width * 0.42).clamp(170.0, 250.0),
    };
    figure.marks.iter().map(of).fold(0.0, f64::max)
}

/// Draws the figure's marks into a scene of that size. `log`: axes made logarithmic by the person.
pub fn scene(figure: &Figure, width: f64, height: f64, log: [bool; 2]) -> Scene {
    let mut scene = Scene::new(width, height);
    let (mut axes, mut strips) = (false, false);
    let ridged = figure.marks.iter().any(|mark| matches!(mark, Mark::Ridgeline { .. }));
    let mapped = mapped(figure);
    for mark in &figure.marks {
        match mark {
            Mark::Tiles { tiles } => tiles::draw(tiles, &mut scene),
            Mark::HeatMap { .. } => {
                if let Some(heat) = Heat::of(mark) {
                    heatmap::draw(figure, &heat, &mut scene);
                }
            }
            Mark::Line { .. } if mapped => {}
            Mark::Ridgeline { role, x, ridges } => ridgeline::draw(figure, *role, x, ridges, log[0], &mut scene),
            Mark::Distribution { outcomes } => distribution::draw(outcomes, &mut scene),
            Mark::SeedDots { .. } | Mark::Intervals { .. } => strips = true,
            Mark::Table { .. } | Mark::Text { .. } => {}
            // A ridgeline draws the rules across it with its own axes.
            Mark::Rule { .. } if ridged => {}
            _ => axes = true,
        }
    }
    if axes {
        cartesian::draw(figure, log, &mut scene);
    }
    if strips {
        strip::draw(figure, &mut scene);
    }
    scene
}

/// The figure with title, value and key, as it is exported.
pub fn poster(figure: &Figure, log: [bool; 2]) -> Scene {
    let width = 720.0;
    let body = height(figure, width - 32.0).max(120.0);
    let inner = scene(figure, width - 32.0, if is_chart(figure) { 320.0 } else { body }, log);
    let mut poster = Scene::new(width, inner.height + 64.0);
    let ink = Paint(Tone::Ink, 1.0);
    poster.label([16.0, 24.0], figure.title.clone(), ink, 15.0, Anchor::Start);
    poster.label([width - 16.0, 24.0], figure.value.clone(), ink, 13.0, Anchor::End);
    let mut left = 16.0;
    for Key { name, tone, dash, hollow } in keys(figure) {
        match dash {
            Some(dash) => poster.stroke([left, 41.0], [left + 16.0, 41.0], Paint(tone, 1.0), 2.5, dash),
            None if hollow => poster.ring([left + 8.0, 41.0], tone),
            None => poster.dot([left + 8.0, 41.0], 3.0, Paint(tone, 1.0)),
        }
        poster.text([left + 21.0, 45.0], name.clone(), Anchor::Start);
        left += 36.0 + wide(&name);
    }
    for mut shape in inner.shapes {
        shift(&mut shape, 16.0, 56.0);
        poster.shapes.push(shape);
    }
    poster
}

fn shift(shape: &mut Shape, dx: f64, dy: f64) {
    match shape {
        Shape::Line { points, .. } | Shape::Area { points, .. } => {
            for [x, y] in points {
                *x += dx;
                *y += dy;
            }
        }
        Shape::Rect { at, .. } | Shape::Picture { at, .. } => {
            at[0] += dx;
            at[1] += dy;
        }
        Shape::Dot { at, .. } | Shape::Text { at, .. } => {
            at[0] += dx;
            at[1] += dy;
        }
    }
}

/// A key for each named class that occurs, where these are few enough to tell apart.
fn of_classes(names: &[String], occurring: &[u32]) -> Vec<Key> {
    if names.len() > CLASSES.len() {
        return Vec::new();
    }
    let named = (0..).zip(names).filter(|(class, _)| occurring.contains(class));
    named.map(|(class, name)| Key::dots(name, Tone::Class(class), false)).collect()
}

/// What each named series looks like; such as look alike, `name, this` and `name, that`, share one key.
pub fn keys(figure: &Figure) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for mark in &figure.marks {
        match mark {
            Mark::Line { name, role, dash, .. } => {
                let key = Key::line(name, Tone::of(*role), cartesian::stroke(*role, *dash));
                let stem = |key: &Key| key.name.split(", ").next().map(str::to_owned);
                let alike =
                    |known: &&mut Key| (known.tone, known.dash) == (key.tone, key.dash) && stem(known) == stem(&key);
                match keys.iter_mut().find(alike) {
                    Some(known) if known.name != key.name => known.name = stem(&key).unwrap_or_default(),
                    Some(_) => {}
                    None => keys.push(key),
                }
            }
            Mark::Scatter { name, role, classes, .. } if classes.is_empty() => {
                keys.push(Key::dots(name, Tone::of(*role), cartesian::hollow(*role)));
            }
            Mark::Scatter { classes, .. } => {
                for key in of_classes(&figure.classes, classes) {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
            Mark::Bars { series, .. } => {
                keys.extend(series.iter().map(|one| Key::line(&one.name, Tone::of(one.role), Dash::Solid)));
            }
            _ => {}
        }
    }
    keys.retain(|key| !key.name.is_empty());
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::figure::{Axis, Grid, Role, Scale};

    #[test]
    fn lines_that_look_alike_share_a_key() {
        let line = |name: &str, role, dash| Mark::line(name, role, dash, vec![]);
        let figure = Figure {
            marks: vec![
                line("cosine, 500 steps", Role::Other, Dash::Solid),
                line("cosine, 1000 steps", Role::Other, Dash::Solid),
                line("WSD, 500 steps", Role::Train, Dash::Solid),
                line("WSD, 500 steps", Role::Train, Dash::Solid),
                line("WSD, 2.5% decay", Role::Train, Dash::Dotted),
                line("", Role::Test, Dash::Solid),
                Mark::Scatter { name: "ends".into(), role: Role::Limit, points: vec![], classes: vec![] },
            ],
            ..Figure::default()
        };
        let keys = keys(&figure);
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["cosine", "WSD, 500 steps", "WSD, 2.5% decay", "ends"]);
        assert_eq!((keys[3].dash, keys[3].hollow), (None, true));
    }

    #[test]
    fn classes_have_keys_and_a_map_of_them_has_the_colours_of_its_points() {
        let points = vec![[-1.0, 1.0], [1.0, -1.0]];
        let scatter = Mark::Scatter { name: String::new(), role: Role::Train, points, classes: vec![0, 1] };
        let grid = Grid { width: 2, height: 2, values: vec![0.0, 0.0, 1.0, 1.0] };
        let across = Axis { range: Some([-2.0, 2.0]), ..Axis::default() };
        let figure = Figure {
            x: across.clone(),
            y: across,
            marks: vec![Mark::Regions { grid }, scatter],
            classes: vec!["in".into(), "out".into(), "never seen".into()],
            ..Figure::default()
        };
        let found = keys(&figure);
        assert_eq!(found.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["in", "out"]);
        let scene = scene(&figure, 400.0, 300.0, [false; 2]);
        // A point and the colour of the cell beneath it, in one frame.
        let dots = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Dot { at, paint: Paint(Tone::Class(class), _), .. } => Some((*at, *class)),
            _ => None,
        });
        let cells = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Rect { at, paint: Paint(Tone::Class(class), _) } => Some((*at, *class)),
            _ => None,
        });
        let cells: Vec<_> = cells.collect();
        let inside = |[x, y]: [f64; 2], [left, top, width, height]: [f64; 4]| {
            (left..left + width).contains(&x) && (top..top + height).contains(&y)
        };
        let mut compared = 0;
        for (at, class) in dots {
            let (_, beneath) = cells.iter().find(|(cell, _)| inside(at, *cell)).unwrap();
            assert_eq!(*beneath, class);
            compared += 1;
        }
        assert_eq!(compared, 2);
    }

    #[test]
    fn lines_over_a_map_leave_its_height_alone() {
        let grid = Grid { width: 40, height: 8, values: vec![0.0; 320] };
        let map = Mark::HeatMap { grid, scale: Scale::Linear, range: None, rows: vec![], columns: vec![] };
        let line = Mark::line("", Role::Train, Dash::Solid, vec![]);
        let high = |marks: &[&Mark]| {
            height(&Figure { marks: marks.iter().copied().cloned().collect(), ..Figure::default() }, 800.0)
        };
        assert_eq!(high(&[&map, &line]), high(&[&map]));
        assert!(high(&[&line]) > high(&[&map]));
    }
}
