//! What random matrix theory says of the Hessian of a mini-batch.
//!
//! Source: Granziol, Zohren, Roberts, "Learning rates as a function of batch size: a random matrix theory approach to
//! neural network training", JMLR 2022 (arXiv 2006.09092). A batch's Hessian is the full one plus a symmetric Gaussian
//! matrix of entry variance `sigma^2 / b`; outliers move as in Baik, Ben Arous and Péché 2005.

/// `1/b` of `b = B / (1 - B / N)`: batches of b drawn with replacement fluctuate as much as `batch` of `examples` drawn
/// without. 0 for all of them.
#[must_use]
pub fn inverse_batch(batch: usize, examples: usize) -> f64 {
    (1.0 / batch as f64 - 1.0 / examples as f64).max(0.0)
}

/// Extreme eigenvalue of a matrix whose own is `full`, plus a symmetric Gaussian one whose squared entries have the mean
/// sum `spread` a row, `P sigma^2 / b`: lifted by `spread / full`, or swallowed by the edge of the bulk at
/// `2 sqrt(spread)`. The largest for a positive one, the smallest for a negative one.
#[must_use]
pub fn spiked(full: f64, spread: f64) -> f64 {
    let size = full.abs();
    let moved = if size * size > spread { size + spread / size } else { 2.0 * libm::sqrt(spread) };
    moved.copysign(full)
}

/// A full Hessian and the fluctuation of single examples' Hessians about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchSpectrum {
    /// P.
    pub parameters: usize,
    /// N.
    pub examples: usize,
    /// Mean over examples of `|H_i - H|_F^2 / P^2`: variance of an entry of one example's Hessian.
    pub variance: f64,
}

impl BatchSpectrum {
    /// b of [`inverse_batch`]; infinite for all N.
    #[must_use]
    pub fn effective_batch(&self, batch: usize) -> f64 {
        1.0 / inverse_batch(batch, self.examples)
    }

    /// `P sigma^2 / b`: mean sum of the squares of a row of the fluctuation.
    fn spread(&self, batch: usize) -> f64 {
        self.parameters as f64 * self.variance * inverse_batch(batch, self.examples)
    }

    /// Edge of the fluctuation's spectrum, `2 sigma sqrt(P / b)`.
    #[must_use]
    pub fn edge(&self, batch: usize) -> f64 {
        2.0 * self.threshold(batch)
    }

    /// Eigenvalues of the full matrix below this, `sigma sqrt(P / b)`, are swallowed by the fluctuation.
    #[must_use]
    pub fn threshold(&self, batch: usize) -> f64 {
        libm::sqrt(self.spread(batch))
    }

    /// Extreme eigenvalue of a batch's matrix whose full counterpart is `full`: the largest for a positive one, the
    /// smallest for a negative one.
    #[must_use]
    pub fn eigenvalue(&self, full: f64, batch: usize) -> f64 {
        spiked(full, self.spread(batch))
    }

    /// Squared inner product of a batch's extreme eigenvector with the full one.
    #[must_use]
    pub fn overlap(&self, full: f64, batch: usize) -> f64 {
        let threshold = self.threshold(batch);
        if full.abs() > threshold { 1.0 - (threshold / full).powi(2) } else { 0.0 }
    }

    /// `c = P sigma^2 / lambda`: above the threshold the eigenvalue is `lambda + c / b`.
    #[must_use]
    pub fn slope(&self, full: f64) -> f64 {
        self.parameters as f64 * self.variance / full
    }

    /// `b* = c / lambda`: effective batch below which the stable learning rate `2 / (lambda + c / b)` of SGD grows
    /// linearly, above which it saturates.
    #[must_use]
    pub fn knee(&self, full: f64) -> f64 {
        self.slope(full) / full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HESSIAN: BatchSpectrum = BatchSpectrum { parameters: 400, examples: 1000, variance: 0.25 };

    #[test]
    fn the_whole_set_does_not_fluctuate() {
        assert_eq!(HESSIAN.effective_batch(1000), f64::INFINITY);
        assert_eq!(HESSIAN.eigenvalue(3.0, 1000), 3.0);
        assert_eq!(HESSIAN.eigenvalue(-3.0, 1000), -3.0);
        assert_eq!(HESSIAN.overlap(3.0, 1000), 1.0);
        assert_eq!(HESSIAN.edge(1000), 0.0);
    }

    #[test]
    fn eigenvalues_follow_the_two_cases() {
        // b = 500 / (1 - 1/2) = 1000, threshold sqrt(400 * 0.25 / 1000).
        let threshold = 0.1f64.sqrt();
        assert!((HESSIAN.threshold(500) - threshold).abs() < 1e-12);
        assert!((HESSIAN.eigenvalue(2.0, 500) - (2.0 + 0.1 / 2.0)).abs() < 1e-12);
        assert!((HESSIAN.eigenvalue(0.1, 500) - 2.0 * threshold).abs() < 1e-12);
        // Both cases meet at the threshold; signs mirror.
        assert!((HESSIAN.eigenvalue(threshold * 1.000_001, 500) - 2.0 * threshold).abs() < 1e-6);
        assert!((HESSIAN.eigenvalue(-2.0, 500) + HESSIAN.eigenvalue(2.0, 500)).abs() < 1e-12);
        assert!((HESSIAN.overlap(2.0, 500) - (1.0 - 0.1 / 4.0)).abs() < 1e-12);
        assert_eq!(HESSIAN.overlap(0.1, 500), 0.0);
        assert!((HESSIAN.eigenvalue(2.0, 500) - (2.0 + HESSIAN.slope(2.0) / 1000.0)).abs() < 1e-12);
        assert!((HESSIAN.knee(2.0) - 25.0).abs() < 1e-12);
    }
}
