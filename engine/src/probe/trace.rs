//! Traces and Frobenius norms from random vectors, with standard errors.
//!
//! Sources: Hutchinson 1990; Meyer, Musco, Musco, Woodruff, "Hutch++: optimal stochastic trace estimation", 2021
//! (arXiv 2010.09649).

use super::algorithm::Algorithm;
use super::vector::{dot, orthogonalise, rademacher, unit, wide};

/// A mean over random vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error; infinite from a single vector.
    pub error: f64,
    /// Products used.
    pub products: usize,
}

impl Estimate {
    /// From one sample a random vector.
    pub(super) fn of(samples: &[f64], products: usize) -> Self {
        let n = samples.len() as f64;
        let value = samples.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = samples.iter().map(|x| (x - value) * (x - value)).sum();
        let error = if n > 1.0 { libm::sqrt(squares / (n * (n - 1.0))) } else { f64::INFINITY };
        Estimate { value, error, products }
    }
}

/// Random vectors still to be multiplied: numbers of the seed from `next` on.
#[derive(Clone, Debug)]
struct Draws {
    size: usize,
    seed: u64,
    next: u32,
    left: usize,
    together: usize,
}

impl Draws {
    fn ask(&self) -> Vec<Vec<f32>> {
        let count = self.left.min(self.together.max(1)) as u32;
        (0..count).map(|k| rademacher(self.seed, self.next.wrapping_add(k), self.size)).collect()
    }

    fn told(&mut self, count: usize) {
        self.next = self.next.wrapping_add(count as u32);
        self.left -= count.min(self.left);
    }
}

macro_rules! hutchinson {
    ($(#[$meta:meta])* $name:ident, $sample:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            draws: Draws,
            samples: Vec<f64>,
        }

        impl $name {
            /// `probes` Rademacher vectors, `together` at a time: numbers `first`, `first + 1`, .. of the seed.
            #[must_use]
            pub fn new(size: usize, probes: usize, together: usize, seed: u64, first: u32) -> Self {
                let draws = Draws { size, seed, next: first, left: probes, together };
                $name { draws, samples: Vec::new() }
            }
        }

        impl Algorithm for $name {
            type Record = Estimate;

            fn ask(&self) -> Vec<Vec<f32>> {
                self.draws.ask()
            }

            fn tell(&mut self, products: Vec<Vec<f32>>) {
                let sample: fn(&[f32], &[f32]) -> f64 = $sample;
                for (vector, product) in self.draws.ask().iter().zip(&products) {
                    self.samples.push(sample(vector, product));
                }
                self.draws.told(products.len());
            }

            fn record(&self) -> Estimate {
                Estimate::of(&self.samples, self.samples.len())
            }
        }
    };
}

hutchinson! {
    /// Trace as the mean of `v^T A v`.
    Hutchinson, |vector, product| dot(vector, product)
}

hutchinson! {
    /// Squared Frobenius norm as the mean of `|A v|^2`; of a [`Difference`](super::Difference) too.
    Frobenius, |_, product| dot(product, product)
}

/// Trace as that on a subspace of large eigenvalues, exact, and an estimate on the rest: for spectra with a few outliers
/// far fewer products than [`Hutchinson`].
#[derive(Clone, Debug)]
pub struct HutchPlusPlus {
    /// Vectors whose products span the subspace.
    sketch: Draws,
    /// Vectors for the rest.
    draws: Draws,
    /// Orthonormal basis of the subspace.
    basis: Vec<Vec<f32>>,
    /// Basis vectors that have been multiplied.
    multiplied: usize,
    /// The trace on them.
    exact: f64,
    samples: Vec<f64>,
    products: usize,
}

impl HutchPlusPlus {
    /// About `products` products: a third each for finding the subspace, for the trace on it, and for the rest. Holds
    /// `products / 3` vectors. Draws are numbers `first`, `first + 1`, .. of the seed.
    #[must_use]
    pub fn new(size: usize, products: usize, together: usize, seed: u64, first: u32) -> Self {
        let third = (products / 3).min(size);
        let draws = |next: u32, left: usize| Draws { size, seed, next, left, together };
        HutchPlusPlus {
            sketch: draws(first, third),
            draws: draws(first.wrapping_add(third as u32), products.saturating_sub(2 * third).max(1)),
            basis: Vec::with_capacity(third),
            multiplied: 0,
            exact: 0.0,
            samples: Vec::new(),
            products: 0,
        }
    }

    /// Vectors for the rest, without their parts in the subspace.
    fn rest(&self) -> Vec<Vec<f32>> {
        let outside = |vector: &Vec<f32>| {
            let mut rest = wide(vector);
            orthogonalise(&mut rest, &self.basis);
            rest.into_iter().map(|x| x as f32).collect()
        };
        self.draws.ask().iter().map(outside).collect()
    }
}

impl Algorithm for HutchPlusPlus {
    type Record = Estimate;

    fn ask(&self) -> Vec<Vec<f32>> {
        if self.sketch.left > 0 {
            self.sketch.ask()
        } else if self.multiplied < self.basis.len() {
            self.basis[self.multiplied..].iter().take(self.draws.together.max(1)).cloned().collect()
        } else {
            self.rest()
        }
    }

    fn tell(&mut self, products: Vec<Vec<f32>>) {
        let vectors = self.ask();
        self.products += products.len();
        if self.sketch.left > 0 {
            self.sketch.told(products.len());
            for product in &products {
                let mut new = wide(product);
                let before = super::vector::norm(&new);
                orthogonalise(&mut new, &self.basis);
                // What is left of a vector in the span of the others is rounding error.
                if super::vector::norm(&new) > 1e-5 * before {
                    self.basis.extend(unit(&new));
                }
            }
        } else if self.multiplied < self.basis.len() {
            self.multiplied += products.len();
            self.exact += vectors.iter().zip(&products).map(|(vector, product)| dot(vector, product)).sum::<f64>();
        } else {
            self.draws.told(products.len());
            self.samples.extend(vectors.iter().zip(&products).map(|(vector, product)| dot(vector, product)));
        }
    }

    fn record(&self) -> Estimate {
        let rest = Estimate::of(&self.samples, self.products);
        Estimate { value: self.exact + rest.value, ..rest }
    }
}
