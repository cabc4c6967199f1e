//! Spectral density by stochastic Lanczos quadrature.
//!
//! Source: Ubaru, Chen, Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", 2017; for networks:
//! Ghorbani, Krishnan, Xiao 2019 (arXiv 1901.10159).

use serde::Serialize;

use super::algorithm::Algorithm;
use super::eigenpairs::Eigenpair;
use super::lanczos::{Lanczos, Ritz};
use super::trace::Estimate;
use super::vector::rademacher;
use crate::figure::{symlog, symlog_inverse};
use crate::metrics::{Interval, student_t_quantile};
use crate::tree::FromTree;

/// Residual of a node over its distance from the next, below which there is an eigenvalue of its own.
const SETTLED: f64 = 0.1;
/// Shares of one eigenvalue that a random vector holds of one in a case of seventy: the square of a normal number.
const SEVERAL: f64 = 6.0;
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

/// A spectral density as it was found: eigenvalues that are known, and of the rest nodes and weights, one quadrature a probe
/// vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, FromTree)]
pub struct Spectrum {
    /// P. Kept spectra of earlier builds have none of this, nor known eigenvalues.
    #[serde(default)]
    pub size: usize,
    /// Eigenvalues that the probe vectors have no part in, each once.
    #[serde(default)]
    pub known: Vec<f64>,
    /// One for each probe vector; its weights sum to 1.
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
        let values = || self.probes.iter().flat_map(|probe| &probe.values).chain(&self.known).copied();
        self.probes.iter().find(|probe| !probe.values.is_empty())?;
        Some([values().reduce(f64::min)?, values().reduce(f64::max)?])
    }

    /// A probe's nodes with their shares of all eigenvalues: they sum to 1.
    pub(super) fn nodes(&self, probe: &Ritz) -> impl Iterator<Item = (f64, f64)> {
        let each = 1.0 / self.size.max(1) as f64;
        let rest = 1.0 - each * self.known.len() as f64;
        let found = probe.values.iter().zip(&probe.weights).map(move |(&value, weight)| (value, rest * weight));
        found.chain(self.known.iter().map(move |&value| (value, each)))
    }

    /// The same as they are drawn: a node that is told apart from its neighbours is an eigenvalue, and has the share of one,
    /// whatever the vector holds of it, unless that is so much that there must be several.
    fn drawn(&self, probe: &Ritz) -> Vec<(f64, f64)> {
        let one = if self.size > 0 { 1.0 / self.size as f64 } else { 0.0 };
        let apart = |k: usize, other: Option<usize>| {
            let other = other.and_then(|other| probe.values.get(other));
            other.is_none_or(|value| SETTLED * (value - probe.values[k]).abs() > probe.residuals[k])
        };
        let settled = |k: usize| k < probe.residuals.len() && apart(k, k.checked_sub(1)) && apart(k, Some(k + 1));
        let mut nodes: Vec<(f64, f64)> = self.nodes(probe).collect();
        for (k, (_, share)) in nodes.iter_mut().enumerate() {
            if *share < SEVERAL * one && settled(k) {
                *share = one;
            }
        }
        let all: f64 = nodes.iter().map(|(_, share)| share).sum();
        nodes.iter_mut().for_each(|(_, share)| *share /= all);
        nodes
    }

    /// The mean eigenvalue.
    #[must_use]
    pub fn mean(&self) -> Estimate {
        let mean = |probe: &Ritz| self.nodes(probe).map(|(value, share)| value * share).sum::<f64>();
        Estimate::of(&self.probes.iter().map(mean).collect::<Vec<_>>(), self.products)
    }

    /// The trace, with the interval that holds it in 95 of 100 cases.
    ///
    /// Two vectors hardly tell from their own scatter how far they are off, but their quadratures do: of a vector of random
    /// signs `v^T A v` has a variance of at most `2 |A|_F^2` (Avron, Toledo 2011, lemma 5). The squares of the eigenvalues are
    /// estimated from the same vectors; with as many degrees of freedom as eigenvalues take part in them (Satterthwaite 1946)
    /// that is Student's t.
    #[must_use]
    pub fn trace(&self) -> Interval {
        let (vectors, rest) = (self.probes.len() as f64, self.size.saturating_sub(self.known.len()) as f64);
        let sum = |power: fn(f64) -> f64| -> f64 {
            let of_probe =
                |probe: &Ritz| -> f64 { probe.values.iter().zip(&probe.weights).map(|(&x, w)| w * power(x)).sum() };
            rest * self.probes.iter().map(of_probe).sum::<f64>() / vectors
        };
        let (squares, fourth) = (sum(|x| x * x), sum(|x| x * x * x * x));
        let t = student_t_quantile(0.975, vectors * squares * squares / fourth);
        let half = if fourth > 0.0 { t * (2.0 * squares / vectors).sqrt() } else { 0.0 };
        Interval { mean: self.known.iter().sum::<f64>() + sum(|x| x), half }
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
        let placed = |probe| self.drawn(probe).into_iter().map(|(value, share)| (axis.place(value), share)).collect();
        let probes: Vec<Vec<(f64, f64)>> = self.probes.iter().map(placed).collect();
        let of_probe = |nodes: &[(f64, f64)], place: f64| -> f64 {
            nodes.iter().map(|(at, share)| share * bell(place - at)).sum()
        };
        let n = self.probes.len() as f64;
        let (mut density, mut error) = (Vec::with_capacity(places.len()), Vec::with_capacity(places.len()));
        for &place in &places {
            let each: Vec<f64> = probes.iter().map(|nodes| of_probe(nodes, place)).collect();
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
    /// Eigenvectors that are known.
    known: Vec<Vec<f32>>,
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
            known: Vec::new(),
            spectrum: Spectrum { size, ..Spectrum::default() },
        };
        density.start();
        density
    }

    /// Takes pairs that are known as they are, and estimates the rest alone: products tell more of it without what is large.
    /// Their vectors are orthonormal. To be said before the first product.
    #[must_use]
    pub fn beside<'a>(mut self, known: impl IntoIterator<Item = &'a Eigenpair>) -> Self {
        for pair in known {
            self.spectrum.known.push(pair.value);
            self.known.push(pair.vector.clone());
        }
        self.start();
        self
    }

    fn start(&mut self) {
        let done = self.spectrum.probes.len();
        let index = |k: usize| self.first.wrapping_add(k as u32);
        self.running = (done..self.probes.min(done + self.together))
            .map(|k| Lanczos::beside(self.known.clone(), &rademacher(self.seed, index(k), self.size), self.steps))
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
