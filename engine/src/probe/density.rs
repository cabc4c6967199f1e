//! Spectral density by stochastic Lanczos quadrature.
//!
//! Source: Ubaru, Chen, Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", 2017; for networks:
//! Ghorbani, Krishnan, Xiao 2019 (arXiv 1901.10159).

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::lanczos::{Lanczos, Ritz};
use super::trace::Estimate;
use super::vector::rademacher;
use crate::figure::{symlog, symlog_inverse};

/// Standard deviations beyond which a Gaussian is not drawn.
const REACH: f64 = 6.0;

/// An axis on which eigenvalues are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DensityAxis {
    /// The eigenvalue itself.
    Linear,
    /// The [`symlog`] of figures.
    SymmetricLog {
        /// Size below which the axis is about linear.
        linear: f64,
    },
}

impl DensityAxis {
    /// Place of an eigenvalue on the axis.
    #[must_use]
    pub fn place(self, value: f64) -> f64 {
        match self {
            DensityAxis::Linear => value,
            DensityAxis::SymmetricLog { linear } => symlog(value, linear),
        }
    }

    /// Eigenvalue at a place.
    #[must_use]
    pub fn value(self, place: f64) -> f64 {
        match self {
            DensityAxis::Linear => place,
            DensityAxis::SymmetricLog { linear } => symlog_inverse(place, linear),
        }
    }
}

/// A spectral density as it was found: nodes and weights, one quadrature a probe vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// One for each probe vector.
    pub probes: Vec<Ritz>,
    /// Products used.
    pub products: usize,
}

/// A density on a grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Places on the axis.
    pub places: Vec<f64>,
    /// Density there, per unit of the axis; it integrates to 1.
    pub density: Vec<f64>,
    /// Standard error of the density over the probe vectors; infinite for a single one.
    pub error: Vec<f64>,
}

impl Spectrum {
    /// Smallest and largest node; `None` without any.
    #[must_use]
    pub fn range(&self) -> Option<[f64; 2]> {
        let values = || self.probes.iter().flat_map(|probe| probe.values.iter().copied());
        Some([values().reduce(f64::min)?, values().reduce(f64::max)?])
    }

    /// The mean eigenvalue; times P the trace.
    #[must_use]
    pub fn mean(&self) -> Estimate {
        let mean = |probe: &Ritz| probe.values.iter().zip(&probe.weights).map(|(x, w)| x * w).sum::<f64>();
        Estimate::of(&self.probes.iter().map(mean).collect::<Vec<_>>(), self.products)
    }

    /// [`Self::at`] `points` evenly spaced places that reach beyond all nodes. Empty without nodes.
    #[must_use]
    pub fn smoothed(&self, axis: DensityAxis, width: f64, points: usize) -> Curve {
        let Some([low, high]) = self.range() else { return Curve::default() };
        let [low, high] = [axis.place(low) - REACH * width, axis.place(high) + REACH * width];
        let place = |k: usize| low + (high - low) * k as f64 / points.saturating_sub(1).max(1) as f64;
        self.at(axis, width, (0..points).map(place).collect())
    }

    /// The density smoothed by Gaussians of standard deviation `width` on the axis, at these places. NaN without nodes.
    #[must_use]
    pub fn at(&self, axis: DensityAxis, width: f64, places: Vec<f64>) -> Curve {
        let height = 1.0 / (width * libm::sqrt(std::f64::consts::TAU));
        let bell = |distance: f64| height * libm::exp(-0.5 * (distance / width) * (distance / width));
        let of_probe = |probe: &Ritz, place: f64| -> f64 {
            probe.values.iter().zip(&probe.weights).map(|(&x, w)| w * bell(place - axis.place(x))).sum()
        };
        let n = self.probes.len() as f64;
        let (mut density, mut error) = (Vec::with_capacity(places.len()), Vec::with_capacity(places.len()));
        for &place in &places {
            let each: Vec<f64> = self.probes.iter().map(|probe| of_probe(probe, place)).collect();
            let mean = each.iter().sum::<f64>() / n;
            let squares: f64 = each.iter().map(|x| (x - mean) * (x - mean)).sum();
            density.push(mean);
            error.push(if n > 1.0 { libm::sqrt(squares / (n * (n - 1.0))) } else { f64::INFINITY });
        }
        Curve { places, density, error }
    }
}

/// Estimates a spectral density from a few random vectors.
#[derive(Clone, Debug)]
pub struct Density {
    size: usize,
    steps: usize,
    seed: u64,
    first: u32,
    probes: usize,
    together: usize,
    /// Runs under way, all at the same step unless done.
    running: Vec<Lanczos>,
    spectrum: Spectrum,
}

impl Density {
    /// `probes` Rademacher vectors, `steps` products each, `together` at a time (as many as the operator has lanes). The
    /// vectors are numbers `first`, `first + 1`, .. of the seed. Holds `together * steps` vectors.
    #[must_use]
    pub fn new(size: usize, steps: usize, probes: usize, together: usize, seed: u64, first: u32) -> Self {
        let mut density = Density {
            size,
            steps,
            seed,
            first,
            probes,
            together: together.max(1),
            running: Vec::new(),
            spectrum: Spectrum::default(),
        };
        density.start();
        density
    }

    fn start(&mut self) {
        let done = self.spectrum.probes.len();
        let index = |k: usize| self.first.wrapping_add(k as u32);
        self.running = (done..self.probes.min(done + self.together))
            .map(|k| Lanczos::new(&rademacher(self.seed, index(k), self.size), self.steps))
            .collect();
    }
}

impl Algorithm for Density {
    type Record = Spectrum;

    fn ask(&self) -> Vec<Vec<f32>> {
        self.running.iter().filter_map(Lanczos::next).cloned().collect()
    }

    fn tell(&mut self, products: Vec<Vec<f32>>) {
        self.spectrum.products += products.len();
        let waiting = self.running.iter_mut().filter(|run| run.next().is_some());
        waiting.zip(&products).for_each(|(run, product)| run.absorb(product));
        if self.running.iter().all(|run| run.next().is_none()) {
            self.spectrum.probes.extend(self.running.iter().map(Algorithm::record));
            self.start();
        }
    }

    /// Probes that have finished.
    fn record(&self) -> Spectrum {
        self.spectrum.clone()
    }
}
