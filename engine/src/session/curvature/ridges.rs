//! Spectra one behind the other.

use crate::figure::{Mark, Ridge, Role, symlog_unit};
use crate::probe::{DensityAxis, Spectrum};

/// Points at which a density is evaluated.
const POINTS: usize = 161;
/// Standard deviations of a node's bell that make up the axis.
const BELLS: f64 = 48.0;

/// Densities of spectra, by label, on a symmetric logarithmic axis from `low` to `high` with some room on either side.
#[must_use]
pub fn ridgeline(role: Role, [low, high]: [f64; 2], spectra: &[(String, &Spectrum)]) -> Mark {
    let axis = DensityAxis::SymmetricLog { linear: symlog_unit(low.abs().max(high.abs())) };
    let [from, to] = [low, high].map(|end| axis.place(end));
    let room = 0.06 * (to - from).max(1e-3);
    let wide = to - from + 2.0 * room;
    let places: Vec<f64> = (0..POINTS).map(|i| from - room + wide * i as f64 / (POINTS - 1) as f64).collect();
    let ridge = |(label, spectrum): &(String, &Spectrum)| {
        let density = spectrum.at(axis, wide / BELLS, places.clone()).density;
        // Nearly all eigenvalues lie about zero: on a linear height the few that matter would be invisible.
        Ridge { label: label.clone(), values: density.iter().map(|d| (1.0 + 1e3 * d).ln() as f32).collect() }
    };
    let ridges = spectra.iter().map(ridge).collect();
    Mark::Ridgeline { role, x: places.iter().map(|&place| axis.value(place) as f32).collect(), ridges }
}
