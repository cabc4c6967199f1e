//! Spectra one behind the other.

use crate::figure::{Axis, Mark, Ridge, Role, Scale, brief};
use crate::probe::{Resolution, Spectrum};

/// Points at which a density is evaluated.
const POINTS: usize = 161;

/// Spectra on the axis that they allow.
pub struct Ridges {
    /// The axis.
    pub axis: Axis,
    /// Their densities.
    pub mark: Mark,
    /// What the drawing tells apart.
    pub resolution: String,
}

/// Densities of spectra, by label, on a symmetric logarithmic axis from `low` to `high` with some room on either side.
#[must_use]
pub fn ridgeline(role: Role, [low, high]: [f64; 2], spectra: &[(String, &Spectrum)]) -> Ridges {
    let found = Resolution::of([low, high], &spectra.iter().map(|(_, spectrum)| *spectrum).collect::<Vec<_>>());
    let axis = found.axis();
    let [from, to] = [low, high].map(|end| axis.place(end));
    let room = (0.06 * (to - from)).max(2.0 * found.width).max(1e-3);
    let wide = to - from + 2.0 * room;
    let places: Vec<f64> = (0..POINTS).map(|i| from - room + wide * i as f64 / (POINTS - 1) as f64).collect();
    let ridge = |(label, spectrum): &(String, &Spectrum)| {
        let density = spectrum.at(axis, found.width, places.clone()).density;
        // Nearly all eigenvalues lie about zero: on a linear height the few that matter would be invisible.
        Ridge { label: label.clone(), values: density.iter().map(|d| (1.0 + 1e3 * d).ln() as f32).collect() }
    };
    let ridges = spectra.iter().map(ridge).collect();
    let x = places.iter().map(|&place| axis.value(place) as f32).collect();
    let (about_zero, factor) = found.told_apart();
    let beyond = match low.abs().max(high.abs()) > found.linear {
        true => format!(" about 0, or a factor of {} far from it,", brief(factor)),
        false => String::new(),
    };
    Ridges {
        axis: Axis { label: "eigenvalue".into(), scale: Scale::Symlog, linear: Some(found.linear), ..Axis::default() },
        mark: Mark::Ridgeline { role, x, ridges },
        resolution: format!("eigenvalues closer than {}{beyond} look like one", brief(about_zero)),
    }
}
