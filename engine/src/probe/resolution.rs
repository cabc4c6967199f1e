//! What quadratures can tell apart, and the axis on which they can be drawn.
//!
//! A quadrature knows of its eigenvalues where its nodes are, and no more between two nodes than that there may be some.
//! Drawn finer than its nodes lie apart, it has peaks where the matrix has none, and gaps between them.

use super::density::{DensityAxis, Spectrum};
use crate::figure::{symlog, symlog_unit};

/// Standard deviation of a bell over the distance of the nodes it has to bridge. Half a distance smooths what a quadrature
/// with nodes as far apart leaves undecided: in the angle of Chebyshev's polynomials, m nodes are exact up to degree 2m - 1,
/// and of such a bell less than a percent lies beyond.
const BRIDGE: f64 = 0.5;
/// Bells that are to fit side by side on an axis, if nodes allow it, and how many at most.
const BELLS: [f64; 2] = [20.0, 48.0];
/// Linear ranges that are tried: from that of figures on, each longer than the one before, to a few times the axis.
const LONGER: f64 = 4.0 / 3.0;
const TRIED: usize = 37;

/// A symmetric logarithmic axis, and what is told apart on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resolution {
    /// Size below which the axis is about linear.
    pub linear: f64,
    /// Standard deviation on the axis of the bells that nodes are drawn as.
    pub width: f64,
}

impl Resolution {
    /// Of an axis from `low` to `high` for some spectra: the one that spreads what is close to zero the most while its bells
    /// are short against it; where the nodes are too far apart for that, the one whose bells are the shortest.
    #[must_use]
    pub fn of([low, high]: [f64; 2], spectra: &[&Spectrum]) -> Self {
        let mut linear = symlog_unit(low.abs().max(high.abs()));
        let mut best: Option<(Self, f64)> = None;
        for _ in 0..TRIED {
            let length = symlog(high, linear) - symlog(low, linear);
            let apart = spectra.iter().map(|spectrum| farthest(spectrum, linear)).fold(0.0, f64::max);
            let width = (BRIDGE * apart).max(length / BELLS[1]).max(f64::MIN_POSITIVE);
            if best.is_none_or(|(_, share)| width < share * length) {
                best = Some((Resolution { linear, width }, width / length));
            }
            if width * BELLS[0] <= length {
                break;
            }
            linear *= LONGER;
        }
        best.map_or(Resolution { linear, width: 1.0 }, |(best, _)| best)
    }

    /// The axis.
    #[must_use]
    pub fn axis(self) -> DensityAxis {
        DensityAxis::SymmetricLog { linear: self.linear }
    }

    /// What two eigenvalues must be apart to look like two: so much about zero, and such a factor far from it.
    #[must_use]
    pub fn told_apart(self) -> (f64, f64) {
        (2.0 * self.axis().value(self.width), libm::exp(2.0 * self.width))
    }
}

/// The largest distance on the axis of two neighbouring nodes of one quadrature, known eigenvalues among them.
fn farthest(spectrum: &Spectrum, linear: f64) -> f64 {
    let of_probe = |probe| -> f64 {
        let mut places: Vec<f64> = spectrum.nodes(probe).map(|(value, _)| symlog(value, linear)).collect();
        crate::numeric::sort_by(&mut places, &f64::total_cmp);
        places.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
    };
    spectrum.probes.iter().map(of_probe).fold(0.0, f64::max)
}
