//! Extreme eigenpairs from a subspace that grows by residuals.
//!
//! Rayleigh-Ritz on an orthonormal basis whose products are known; new directions are the residuals of the wanted
//! pairs. From one random vector all residuals are parallel and this is Lanczos iteration; from earlier eigenvectors it
//! is its block form, which starts where the last search ended. A full basis is replaced by its best Ritz vectors
//! (thick restart: Wu and Simon 2000), which costs no product.

use super::algorithm::Algorithm;
use super::vector::{combination, dot, gaussian, norm, orthogonalise, unit, wide};
use crate::numeric::{Eigen, eigen};

/// Share of a new direction that must be new.
const NEW: f64 = 0.1;
/// What rounding leaves of a residual, over the largest absolute eigenvalue: about what f32 products reach.
const ROUNDING: f64 = 1e-5;

/// An approximate eigenpair.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenpair {
    /// Eigenvalue.
    pub value: f64,
    /// Eigenvector of length 1, `[P]`.
    pub vector: Vec<f32>,
    /// `|A v - lambda v|`: an eigenvalue lies at most this far from the value.
    pub residual: f64,
}

/// Extreme eigenpairs found so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// The algebraically largest, largest first.
    pub largest: Vec<Eigenpair>,
    /// The algebraically smallest, smallest first.
    pub smallest: Vec<Eigenpair>,
    /// Products used.
    pub products: usize,
    /// Whether all residuals are within the tolerance.
    pub converged: bool,
}

impl Pairs {
    /// Vectors to start the next search from.
    #[must_use]
    pub fn vectors(&self) -> Vec<Vec<f32>> {
        self.largest.iter().chain(&self.smallest).map(|pair| pair.vector.clone()).collect()
    }
}

/// A search for the largest and smallest eigenpairs. Holds two vectors `[P]` for each basis vector.
#[derive(Clone, Debug)]
pub struct Eigenpairs {
    size: usize,
    /// Largest, smallest.
    wanted: [usize; 2],
    /// Largest residual over the size of the extreme eigenvalue at its end of the spectrum.
    tolerance: f64,
    /// Products at most.
    most: usize,
    basis: Vec<Vec<f32>>,
    images: Vec<Vec<f32>>,
    /// `basis^T images`, row by row.
    projected: Vec<Vec<f64>>,
    next: Vec<Vec<f32>>,
    products: usize,
    converged: bool,
    /// Ritz pairs of the basis.
    eigen: Eigen,
    /// Seed and number of the next random vector.
    random: (u64, u32),
}

impl Eigenpairs {
    /// A search for `largest` and `smallest` pairs of a matrix of `size`, to residuals of `tolerance` times the size of
    /// the extreme eigenvalue at the end they are wanted of, with at most `most` products. The other end may be far larger:
    /// its size only says what f32 products can tell.
    ///
    /// It starts from the vectors `[P]` in `start`, which may be none, and from a random one: number `index` of the seed.
    /// That one finds what the others all miss.
    #[must_use]
    pub fn new(
        size: usize,
        [largest, smallest]: [usize; 2],
        tolerance: f64,
        most: usize,
        start: &[Vec<f32>],
        (seed, index): (u64, u32),
    ) -> Self {
        let mut search = Eigenpairs {
            size,
            wanted: [largest, smallest],
            tolerance,
            most,
            basis: Vec::new(),
            images: Vec::new(),
            projected: Vec::new(),
            next: Vec::new(),
            products: 0,
            converged: false,
            eigen: Eigen::default(),
            random: (seed, index),
        };
        start.iter().for_each(|vector| search.propose(wide(vector)));
        search.propose_random();
        search
    }

    fn propose_random(&mut self) {
        let (seed, index) = self.random;
        self.random.1 = index.wrapping_add(1);
        self.propose(wide(&gaussian(seed, index, self.size)));
    }

    /// Adds what is new in a direction to the vectors that are multiplied next.
    fn propose(&mut self, mut direction: Vec<f64>) {
        if direction.len() != self.size || self.next.len() + self.products >= self.most {
            return;
        }
        let before = norm(&direction);
        orthogonalise(&mut direction, &self.basis);
        orthogonalise(&mut direction, &self.next);
        if norm(&direction) > NEW * before {
            self.next.extend(unit(&direction));
        }
    }

    /// Basis vectors at most.
    fn room(&self) -> usize {
        4 * (self.wanted[0] + self.wanted[1]) + 20
    }

    /// Numbers of the wanted Ritz pairs at the upper and at the lower end, the extreme ones first, with `more` beyond.
    fn chosen(&self, more: usize) -> [Vec<usize>; 2] {
        let n = self.eigen.values.len();
        let upper = if self.wanted[0] == 0 { 0 } else { (self.wanted[0] + more).min(n) };
        let lower = if self.wanted[1] == 0 { 0 } else { (self.wanted[1] + more).min(n - upper) };
        [(0..upper).collect(), (n - lower..n).rev().collect()]
    }

    fn residual(&self, k: usize) -> Vec<f64> {
        let factors = &self.eigen.vectors[k];
        let mut image = combination(factors, &self.images, self.size);
        let vector = combination(factors, &self.basis, self.size);
        image.iter_mut().zip(&vector).for_each(|(image, x)| *image -= self.eigen.values[k] * x);
        image
    }

    /// Replaces the basis by its best Ritz vectors.
    fn restart(&mut self) {
        let [upper, lower] = self.chosen(self.wanted[0] + self.wanted[1] + 4);
        let kept: Vec<usize> = upper.into_iter().chain(lower).collect();
        let combined = |vectors: &[Vec<f32>]| -> Vec<Vec<f32>> {
            let one = |&k: &usize| combination(&self.eigen.vectors[k], vectors, self.size);
            kept.iter().map(one).map(|vector| vector.into_iter().map(|x| x as f32).collect()).collect()
        };
        (self.basis, self.images) = (combined(&self.basis), combined(&self.images));
        self.projected = self.basis.iter().map(|v| self.images.iter().map(|w| dot(v, w)).collect()).collect();
        self.solve();
    }

    /// Finds the Ritz pairs of the basis; none where a product was not finite.
    fn solve(&mut self) {
        let n = self.basis.len();
        let elements =
            (0..n * n).map(|k| 0.5 * (self.projected[k / n][k % n] + self.projected[k % n][k / n])).collect();
        self.eigen = eigen(elements, n).unwrap_or_default();
    }

    /// Looks for directions in which the wanted pairs can get better; there are none when it is done.
    fn expand(&mut self) {
        if self.eigen.values.is_empty() {
            return;
        }
        let scale = self.eigen.values.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let mut good = true;
        let mut rough = Vec::new();
        // One pair beyond the wanted ones: it must not reach into them.
        for (chosen, wanted) in self.chosen(1).into_iter().zip(self.wanted) {
            good &= chosen.len() >= wanted.min(self.size);
            let extreme = chosen.first().map_or(0.0, |&k| self.eigen.values[k].abs());
            let bound = (self.tolerance * extreme).max(ROUNDING * scale);
            for (place, &k) in chosen.iter().enumerate() {
                let residual = self.residual(k);
                let last = chosen[place.min(wanted - 1)];
                let gap = (self.eigen.values[last] - self.eigen.values[k]).abs();
                if norm(&residual) > bound.max(gap) {
                    good = false;
                    rough.push(residual);
                }
            }
        }
        self.converged = good;
        // The matrix maps the basis into itself before all wanted pairs are in it.
        let closed = !good && rough.is_empty();
        if self.basis.len() + rough.len().max(1) > self.room() {
            self.restart();
        }
        rough.into_iter().for_each(|residual| self.propose(residual));
        if closed {
            self.propose_random();
        }
    }

    fn pair(&self, k: usize) -> Option<Eigenpair> {
        let vector = unit(&combination(&self.eigen.vectors[k], &self.basis, self.size))?;
        Some(Eigenpair { value: self.eigen.values[k], vector, residual: norm(&self.residual(k)) })
    }
}

impl Algorithm for Eigenpairs {
    type Record = Pairs;

    fn ask(&self) -> Vec<Vec<f32>> {
        self.next.clone()
    }

    fn tell(&mut self, products: Vec<Vec<f32>>) {
        self.products += products.len();
        self.basis.append(&mut self.next);
        self.images.extend(products);
        let known = self.projected.len();
        for (row, vector) in self.projected.iter_mut().zip(&self.basis) {
            row.extend(self.images[known..].iter().map(|image| dot(vector, image)));
        }
        for vector in &self.basis[known..] {
            self.projected.push(self.images.iter().map(|image| dot(vector, image)).collect());
        }
        self.solve();
        self.expand();
    }

    fn record(&self) -> Pairs {
        let [upper, lower] = self.chosen(0);
        let pairs = |chosen: Vec<usize>| chosen.into_iter().filter_map(|k| self.pair(k)).collect();
        Pairs { largest: pairs(upper), smallest: pairs(lower), products: self.products, converged: self.converged }
    }
}
