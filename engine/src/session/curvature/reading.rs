//! One measurement of the curvature, as it is kept.

use serde::Serialize;

use super::instruments::Told;
use crate::figure::gap;
use crate::probe::{NoiseScale, Spectrum};
use crate::spec::Curved;
use crate::tree::FromTree;

/// What was found of the curvature at one moment of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, FromTree)]
pub struct Reading {
    /// Updates done before it.
    pub step: u64,
    /// Which matrix.
    pub operator: Curved,
    /// Training examples it was taken over.
    pub samples: usize,
    /// Products with vectors that it took.
    pub products: usize,
    /// Largest eigenvalues, largest first.
    pub top: Vec<f64>,
    /// Largest residual `‖A v − λ v‖` of the first of these.
    #[serde(with = "gap")]
    pub residual: f64,
    /// The spectral density.
    pub spectrum: Spectrum,
    /// Estimate of the trace.
    #[serde(with = "gap")]
    pub trace: f64,
    /// Half of the interval that holds it in 95 of 100 cases.
    #[serde(with = "gap")]
    pub trace_error: f64,
    /// Largest eigenvalue of the preconditioned matrix, for optimizers that scale each parameter.
    pub preconditioned: Option<f64>,
    /// Largest eigenvalue at which the optimizer is stable at its present learning rate, where theory knows one.
    pub limit: Option<f64>,
    /// Norm of the gradient over the samples.
    #[serde(with = "gap")]
    pub gradient: f64,
    /// `|cos|` of the angle between gradient and top eigenvector.
    #[serde(with = "gap")]
    pub alignment: f64,
    /// `‖theta − theta_0‖`.
    #[serde(with = "gap")]
    pub distance: f64,
    /// By layer.
    pub layers: Vec<Layer>,
    /// Examples in the batch in use.
    pub batch: usize,
    /// The gradient noise scale; none before it is measured, or from too few examples.
    pub noise: Option<Noise>,
    /// What the instruments tell that were asked for. Kept readings of earlier builds have none.
    #[serde(default)]
    pub told: Told,
}

/// Norms of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, FromTree)]
pub struct Layer {
    /// Its module.
    pub name: String,
    /// Norm of its part of the gradient.
    #[serde(with = "gap")]
    pub gradient: f64,
    /// Norm of its part of the way gone since the reading before, divided by the updates in between.
    #[serde(with = "gap")]
    pub movement: f64,
    /// Its units; 0 where it has no weights from units to units. Kept readings of earlier builds have none.
    #[serde(default)]
    pub units: usize,
    /// Those whose incoming weights have no gradient at all.
    #[serde(default)]
    pub silent: usize,
}

/// The simple gradient noise scale `tr(Sigma) / |G|^2` (McCandlish et al. 2018, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, FromTree)]
pub struct Noise {
    /// The scale, in examples, and its standard error; none where it is not above that.
    pub scale: Option<[f64; 2]>,
    /// What it exceeds all the same.
    #[serde(with = "gap")]
    pub least: f64,
    /// Examples it was measured on.
    pub samples: usize,
}

impl Noise {
    /// What was found.
    pub fn of(found: &NoiseScale) -> Self {
        let scale = found.resolved().then_some([found.scale, found.scale_error]);
        Noise { scale, least: found.least(), samples: found.samples }
    }
}

impl Reading {
    /// The largest eigenvalue.
    #[must_use]
    pub fn sharpness(&self) -> f64 {
        self.top.first().copied().unwrap_or(f64::NAN)
    }

    /// The smallest eigenvalue that the quadrature saw.
    #[must_use]
    pub fn lowest(&self) -> f64 {
        self.spectrum.range().map_or(f64::INFINITY, |[lowest, _]| lowest)
    }
}
