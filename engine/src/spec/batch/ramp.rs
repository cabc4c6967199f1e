//! The batch size grown in small steps from the first to the largest.

use super::{BatchSpec, choices};

choices! {
    /// How a ramp grows.
    pub enum Growth {
        /// By the same share each update.
        Geometric = "geometric", "geometric";
        /// By the same number each update.
        Linear = "linear", "linear";
    }
}

/// The size after `since` updates, on the way from `first` to `most`.
pub fn size(spec: &BatchSpec, [first, most]: [usize; 2], since: u64) -> f64 {
    let (first, most) = (first as f64, most as f64);
    let progress = (since as f64 / spec.over.max(1) as f64).min(1.0);
    match spec.growth {
        Growth::Geometric => first * libm::pow(most / first, progress),
        Growth::Linear => first + (most - first) * progress,
    }
}

/// Examples in the first `since` updates: the sum of the sizes before rounding.
pub fn drawn(spec: &BatchSpec, [first, most]: [usize; 2], since: u64) -> u64 {
    let over = spec.over.max(1);
    let (low, high, n) = (first as f64, most as f64, since.min(over) as f64);
    let climbed = match spec.growth {
        Growth::Geometric if most > first => {
            let ratio = libm::pow(high / low, 1.0 / over as f64);
            low * (libm::pow(ratio, n) - 1.0) / (ratio - 1.0)
        }
        Growth::Geometric | Growth::Linear => n * low + (high - low) * n * (n - 1.0) / (2.0 * over as f64),
    };
    // The cast saturates.
    (libm::round(climbed) as u64).saturating_add(since.saturating_sub(over).saturating_mul(most as u64))
}
