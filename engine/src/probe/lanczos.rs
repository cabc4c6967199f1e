//! Lanczos iteration with full re-orthogonalisation.
//!
//! Source: Lanczos 1950; the error bound of a Ritz value is that of Parlett, "The symmetric eigenvalue problem", 1980,
//! section 13.2. Without re-orthogonalisation, f32 products make copies of converged eigenvalues appear.

use serde::Serialize;

use super::algorithm::Algorithm;
use super::vector::{add_multiple, combination, dot, norm, orthogonalise, unit, wide};
use crate::numeric::{Eigen, eigen_tridiagonal};
use crate::tree::FromTree;

/// What is left of a new direction, over the size of the matrix, below which it is rounding error.
const EXHAUSTED: f64 = 1e-6;

/// Ritz values of a start vector: nodes and weights of a quadrature of the matrix's spectral density as that vector sees
/// it. None where a product was not finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, FromTree)]
pub struct Ritz {
    /// Approximate eigenvalues, largest first.
    pub values: Vec<f64>,
    /// Squared first components of the tridiagonal matrix's eigenvectors; they sum to 1.
    pub weights: Vec<f64>,
    /// Distance at most from each value to the nearest eigenvalue.
    pub residuals: Vec<f64>,
    /// Products used.
    pub products: usize,
}

/// One Lanczos run: `[P]` numbers a step are held.
#[derive(Clone, Debug)]
pub struct Lanczos {
    steps: usize,
    /// Orthonormal; the last one has not been multiplied yet, unless the run is done.
    basis: Vec<Vec<f32>>,
    /// Orthonormal: directions that it stays out of.
    known: Vec<Vec<f32>>,
    diagonal: Vec<f64>,
    /// Entry k lies between basis vectors k and k + 1; the last one is the length of what would come next.
    off_diagonal: Vec<f64>,
    done: bool,
}

impl Lanczos {
    /// At most `steps` products from a start vector `[P]` that is not zero.
    #[must_use]
    pub fn new(start: &[f32], steps: usize) -> Self {
        Self::beside(Vec::new(), start, steps)
    }

    /// The same on what is orthogonal to `known`, orthonormal vectors `[P]`: of the start vector, and of every product.
    #[must_use]
    pub fn beside(known: Vec<Vec<f32>>, start: &[f32], steps: usize) -> Self {
        let mut rest = wide(start);
        let before = norm(&rest);
        orthogonalise(&mut rest, &known);
        // Of a start in the span of what is known, rounding errors are left.
        let first = unit(&rest).filter(|_| norm(&rest) > EXHAUSTED * before);
        let done = first.is_none() || steps == 0;
        Lanczos {
            steps,
            basis: first.into_iter().collect(),
            known,
            diagonal: Vec::with_capacity(steps),
            off_diagonal: Vec::with_capacity(steps),
            done,
        }
    }

    /// The vector to multiply next.
    pub(super) fn next(&self) -> Option<&Vec<f32>> {
        self.basis.last().filter(|_| !self.done)
    }

    /// Takes its product.
    pub(super) fn absorb(&mut self, product: &[f32]) {
        let Some(last) = self.next() else { return };
        let mut rest = wide(product);
        let along = dot(&rest, last);
        add_multiple(&mut rest, -along, last);
        self.diagonal.push(along);
        orthogonalise(&mut rest, &self.known);
        orthogonalise(&mut rest, &self.basis);
        let length = norm(&rest);
        self.off_diagonal.push(length);
        let size = self.diagonal.iter().chain(&self.off_diagonal).fold(0.0f64, |most, x| most.max(x.abs()));
        match unit(&rest) {
            Some(next) if length > EXHAUSTED * size && self.diagonal.len() < self.steps => self.basis.push(next),
            _ => self.done = true,
        }
    }

    fn eigen(&self) -> Option<Eigen> {
        let between = self.off_diagonal.len().saturating_sub(1);
        eigen_tridiagonal(&self.diagonal, &self.off_diagonal[..between])
    }

    /// The approximate eigenvector of the Ritz value number `k`, the largest being 0; `None` beyond the last.
    #[must_use]
    pub fn vector(&self, k: usize) -> Option<Vec<f32>> {
        let factors = self.eigen()?.vectors.into_iter().nth(k)?;
        unit(&combination(&factors, &self.basis, self.basis.first()?.len()))
    }
}

impl Algorithm for Lanczos {
    type Record = Ritz;

    fn ask(&self) -> Vec<Vec<f32>> {
        self.next().cloned().into_iter().collect()
    }

    fn tell(&mut self, products: Vec<Vec<f32>>) {
        products.iter().for_each(|product| self.absorb(product));
    }

    fn record(&self) -> Ritz {
        let products = self.diagonal.len();
        let Some(eigen) = self.eigen() else { return Ritz { products, ..Ritz::default() } };
        let beyond = self.off_diagonal.last().copied().unwrap_or(0.0);
        Ritz {
            weights: eigen.vectors.iter().map(|vector| vector[0] * vector[0]).collect(),
            residuals: eigen.vectors.iter().map(|vector| vector.last().map_or(0.0, |x| (x * beyond).abs())).collect(),
            values: eigen.values,
            products,
        }
    }
}
