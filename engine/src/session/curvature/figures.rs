//! The right column's figures: functions of the readings alone, so that they are the same live, after a rewind and after
//! a visit that was cut short.

use super::instruments::{self, Gauged, Told};
use super::reading::{Noise, Reading};
use super::ridges::ridgeline;
use crate::figure::brief;
use crate::figure::{Axis, BarSeries, Dash, Direction, Figure, Mark, Role, Scale};

/// Ridges drawn at most; of more readings an even choice, the first and the last among them.
const RIDGES: usize = 8;
/// Eigenvalues drawn over time.
const TRACKED: usize = 3;

/// All figures of a run's readings, the most telling first; none without readings. The last reading may be one that grows:
/// what it does not know yet is drawn as the readings before it had it.
#[must_use]
pub fn all(readings: &[&Reading]) -> Vec<Figure> {
    let Some(last) = readings.last() else { return vec![] };
    let having = |known: fn(&Reading) -> bool| -> Vec<&Reading> {
        readings.iter().copied().filter(|reading| known(reading)).collect()
    };
    // Before the eigenvalues, the noise scale; too few examples tell none, which the eigenvalues' presence tells.
    let noisy = having(|reading| reading.noise.is_some() || !reading.top.is_empty());
    let sharp = having(|reading| !reading.top.is_empty());
    let spectral = having(|reading| reading.spectrum.range().is_some());
    let always = [
        spectrum(&spectral, last),
        eigenvalues(&sharp, last),
        noise(&noisy, last),
        norms(last),
        trace(&spectral, last),
        alignment(&sharp, last),
        distance(readings, last),
    ];
    always.into_iter().chain(instruments::figures(readings)).collect()
}

/// A number with its error over the updates.
pub struct Gauge {
    pub id: &'static str,
    pub title: &'static str,
    pub meaning: &'static str,
    /// Of the vertical axis.
    pub label: &'static str,
    /// What it is held against.
    pub limits: Vec<Mark>,
    /// What the axis shows at least; else it is logarithmic.
    pub shown: Option<[f64; 2]>,
}

impl Gauge {
    /// Drawn from the readings that were asked for it.
    pub fn over_steps(self, readings: &[&Reading], of: fn(&Told) -> Option<Gauged>) -> Figure {
        let Gauge { id, title, meaning, label, limits, shown } = self;
        let told =
            |reading: &&Reading| of(&reading.told).filter(|gauged| gauged.samples > 0).map(|g| (reading.step, g));
        let points: Vec<(u64, Gauged)> = readings.iter().filter_map(told).collect();
        let Some((_, last)) = points.last() else {
            return readings.last().map(|newest| awaited(id, title, meaning, newest)).unwrap_or_default();
        };
        // An error as large as the number must not stretch a logarithmic axis without end.
        let floor = |g: &Gauged| if shown.is_some() { f64::NEG_INFINITY } else { 0.1 * g.value };
        let band: Vec<[f64; 2]> =
            points.iter().map(|(_, g)| [(g.value - g.error).max(floor(g)), g.value + g.error]).collect();
        let range = shown.map(|shown| band.iter().fold(shown, |[low, high], [a, b]| [low.min(*a), high.max(*b)]));
        let value = if last.value.is_finite() {
            format!("{} ± {} · {} samples", brief(last.value), brief(last.error), last.samples)
        } else {
            format!("none · {} samples", last.samples)
        };
        let line = Mark::Line {
            name: label.into(),
            role: Role::Train,
            dash: Dash::Solid,
            points: points.iter().map(|(step, gauged)| [*step as f64, gauged.value]).collect(),
            band,
        };
        Figure {
            x: axis("step", Scale::Linear),
            y: Axis { range, ..axis(label, if shown.is_some() { Scale::Linear } else { Scale::Log }) },
            marks: limits.into_iter().chain([line]).collect(),
            ..words(id, title, meaning, value)
        }
    }
}

/// A limit that is the same at every update.
pub fn level(label: &str, at: f64) -> Mark {
    Mark::Rule { label: label.into(), role: Role::Limit, along: Direction::Horizontal, at }
}

/// A figure whose first numbers are being measured.
fn awaited(id: &str, title: &str, meaning: &str, reading: &Reading) -> Figure {
    Figure {
        alt: format!("{title}: being measured. {meaning}."),
        empty: format!("Being measured at step {}, in the time that probes have.", reading.step),
        ..words(id, title, meaning, String::new())
    }
}

pub fn words(id: &str, title: &str, meaning: &str, value: String) -> Figure {
    Figure {
        id: id.into(),
        title: title.into(),
        meaning: meaning.into(),
        alt: format!("{title}: {value}. {meaning}."),
        value,
        ..Figure::default()
    }
}

pub fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.into(), scale, ..Axis::default() }
}

/// A quantity over the updates.
pub fn over_steps(readings: &[&Reading], of: impl Fn(&Reading) -> f64) -> Vec<[f64; 2]> {
    readings.iter().map(|reading| [reading.step as f64, of(reading)]).collect()
}

/// Densities of the spectrum, one moment behind the other, with the largest curvature that the learning rate bears.
fn spectrum(readings: &[&Reading], newest: &Reading) -> Figure {
    let title = format!("{} spectrum", newest.operator.label());
    let meaning = "how much curvature lies where; log density, one moment behind the other";
    let Some(last) = readings.last() else { return awaited("spectrum", &title, meaning, newest) };
    let chosen = evenly(readings, RIDGES);
    let ends =
        |of: fn(&Reading) -> f64, pick: fn(f64, f64) -> f64, start| chosen.iter().map(|r| of(r)).fold(start, pick);
    let low = ends(Reading::lowest, f64::min, f64::INFINITY);
    let high = ends(Reading::sharpness, f64::max, f64::NEG_INFINITY);
    let labelled: Vec<_> = chosen.iter().map(|r| (format!("step {}", r.step), &r.spectrum)).collect();
    let ridges = ridgeline(Role::Train, [low, high], &labelled);
    let mut marks = vec![ridges.mark];
    if let Some(limit) = last.limit.filter(|limit| last.preconditioned.is_none() && *limit < 4.0 * high) {
        marks.push(Mark::Rule {
            label: "stable up to".into(),
            role: Role::Limit,
            along: Direction::Vertical,
            at: limit,
        });
    }
    Figure {
        x: ridges.axis,
        marks,
        ..words(
            "spectrum",
            &title,
            &format!("{meaning}; {}", ridges.resolution),
            format!("step {} · {} samples · {} products", last.step, last.samples, last.products),
        )
    }
}

/// The largest eigenvalues against what the optimizer bears at its learning rate.
fn eigenvalues(readings: &[&Reading], newest: &Reading) -> Figure {
    let title = "Top eigenvalues";
    let Some(last) = readings.last() else {
        return awaited("eigenvalues", title, "the sharpest directions against what the learning rate bears", newest);
    };
    let adaptive = readings.iter().any(|reading| reading.preconditioned.is_some());
    let mut marks = Vec::new();
    for k in (0..TRACKED).rev().filter(|_| !adaptive) {
        let points = over_steps(readings, |reading| reading.top.get(k).copied().unwrap_or(f64::NAN));
        let role = if k == 0 { Role::Train } else { Role::Other };
        marks.push(Mark::line(format!("λ{}", k + 1), role, if k == 2 { Dash::Dotted } else { Dash::Solid }, points));
    }
    if adaptive {
        let raw = over_steps(readings, Reading::sharpness);
        marks.push(Mark::line("λ1 of H", Role::Other, Dash::Solid, raw));
        let seen = over_steps(readings, |reading| reading.preconditioned.unwrap_or(f64::NAN));
        marks.push(Mark::line("λ1 as the optimizer sees it", Role::Train, Dash::Solid, seen));
    }
    let limits = over_steps(readings, |reading| reading.limit.unwrap_or(f64::NAN));
    marks.push(Mark::line("stable up to", Role::Limit, Dash::Dashed, limits));
    let seen = |reading: &Reading| if adaptive { reading.preconditioned } else { Some(reading.sharpness()) };
    let value = match readings.iter().rev().find_map(|reading| Some((seen(reading)?, reading.limit))) {
        Some((now, Some(limit))) => format!("λ1 = {} · limit {}", brief(now), brief(limit)),
        Some((now, None)) => format!("λ1 = {}", brief(now)),
        None => format!("λ1 = {}", brief(last.sharpness())),
    };
    let meaning = if adaptive {
        "preconditioned by Adam's own scale; above the dashed line steps overshoot"
    } else {
        "above the dashed line, 2/η for plain descent, steps overshoot"
    };
    Figure {
        x: axis("step", Scale::Linear),
        y: axis("eigenvalue", Scale::Log),
        marks,
        ..words("eigenvalues", title, meaning, value)
    }
}

/// The gradient noise scale against the batch in use.
fn noise(readings: &[&Reading], newest: &Reading) -> Figure {
    let (title, meaning) = ("Gradient noise scale", "a batch up to here buys shorter training; beyond, little");
    let Some(last) = readings.last() else { return awaited("noise", title, meaning, newest) };
    let known = |reading: &Reading| reading.noise.and_then(|noise| noise.scale);
    let scale = over_steps(readings, |reading| known(reading).map_or(f64::NAN, |[scale, _]| scale));
    // An error as large as the scale must not stretch a logarithmic axis without end.
    let around = |[scale, error]: [f64; 2]| [(scale - error).max(0.1 * scale), scale + error];
    let band = readings.iter().map(|reading| known(reading).map_or([f64::NAN; 2], around)).collect();
    let least = over_steps(readings, |reading| match reading.noise {
        Some(Noise { scale: None, least, .. }) => least,
        _ => f64::NAN,
    });
    let value = match last.noise {
        Some(Noise { scale: Some([scale, error]), samples, .. }) => {
            format!("B ≈ {} ± {} · {samples} samples", brief(scale), brief(error))
        }
        Some(Noise { least, samples, .. }) if least.is_finite() => format!("B > {} · {samples} samples", brief(least)),
        _ => "too few samples".to_owned(),
    };
    let mut marks = vec![
        Mark::Line { name: "critical batch".into(), role: Role::Limit, dash: Dash::Dashed, points: scale, band },
        Mark::line("batch in use", Role::Batch, Dash::Solid, over_steps(readings, |reading| reading.batch as f64)),
    ];
    if least.iter().any(|point| point[1].is_finite()) {
        marks.insert(1, Mark::line("at least", Role::Limit, Dash::Dotted, least));
    }
    Figure {
        x: axis("step", Scale::Linear),
        y: Axis { unit: "examples".into(), ..axis("batch", Scale::Log) },
        marks,
        ..words("noise", title, meaning, value)
    }
}

/// Norms of the gradient and of what the parameters moved, by layer.
fn norms(last: &Reading) -> Figure {
    let series = |name: &str, role, of: fn(&super::reading::Layer) -> f64| BarSeries {
        name: name.into(),
        role,
        values: last.layers.iter().map(|layer| of(layer) as f32).collect(),
    };
    Figure {
        x: Axis {
            categories: last.layers.iter().map(|layer| layer.name.clone()).collect(),
            ..axis("layer", Scale::Linear)
        },
        y: axis("norm", Scale::Log),
        marks: vec![Mark::Bars {
            series: vec![
                series("gradient", Role::Train, |layer| layer.gradient),
                series("movement a step", Role::Lr, |layer| layer.movement),
            ],
            stacked: false,
        }],
        ..words(
            "norms",
            "Gradient and movement by layer",
            "where learning happens; layers far apart in scale learn at different speeds",
            format!("gradient {}", brief(last.gradient)),
        )
    }
}

/// The Hessian's trace: the sum of all curvature.
fn trace(readings: &[&Reading], newest: &Reading) -> Figure {
    let (title, meaning) = ("Trace", "the sum of all eigenvalues; the band holds it in 95 of 100 cases");
    let Some(last) = readings.last() else { return awaited("trace", title, meaning, newest) };
    let band = readings.iter().map(|r| [r.trace - r.trace_error, r.trace + r.trace_error]).collect();
    Figure {
        x: axis("step", Scale::Linear),
        y: axis("trace", Scale::Linear),
        marks: vec![Mark::Line {
            name: "trace".into(),
            role: Role::Train,
            dash: Dash::Solid,
            points: over_steps(readings, |reading| reading.trace),
            band,
        }],
        ..words("trace", title, meaning, format!("{} ± {}", brief(last.trace), brief(last.trace_error)))
    }
}

/// How much of the gradient lies along the sharpest direction.
fn alignment(readings: &[&Reading], newest: &Reading) -> Figure {
    let (title, meaning) =
        ("Gradient along the sharpest direction", "1: every step goes across the ravine; 0: along it");
    let Some(last) = readings.last() else { return awaited("alignment", title, meaning, newest) };
    let points = over_steps(readings, |reading| reading.alignment);
    Figure {
        x: axis("step", Scale::Linear),
        y: Axis { range: Some([0.0, 1.0]), ..axis("|cos|", Scale::Linear) },
        marks: vec![Mark::line("gradient · v1", Role::Train, Dash::Solid, points)],
        ..words("alignment", title, meaning, brief(last.alignment))
    }
}

/// How far the parameters have gone, over the logarithm of time.
fn distance(readings: &[&Reading], last: &Reading) -> Figure {
    let points = over_steps(readings, |reading| reading.distance).into_iter().filter(|[step, _]| *step > 0.0).collect();
    Figure {
        x: axis("step", Scale::Log),
        y: axis("distance", Scale::Linear),
        marks: vec![Mark::line("‖θ − θ₀‖", Role::Train, Dash::Solid, points)],
        ..words(
            "distance",
            "Distance from the start",
            "straight on this axis: a random walk on a rough landscape",
            brief(last.distance),
        )
    }
}

/// At most `count` of the readings, evenly spread, with the first and the last.
fn evenly<'a>(readings: &[&'a Reading], count: usize) -> Vec<&'a Reading> {
    let n = readings.len();
    if n <= count {
        return readings.to_vec();
    }
    (0..count).map(|i| readings[i * (n - 1) / (count - 1)]).collect()
}
