//! The batch size multiplied by a factor now and then: what decays a learning rate in steps, done to the batch.
//!
//! Source: Smith, Kindermans, Ying, Le, "Don't decay the learning rate, increase the batch size", 2018, section 5.

use super::BatchSpec;

/// The size after `since` updates, without bounds.
pub fn size(spec: &BatchSpec, first: usize, since: u64) -> f64 {
    let times = if spec.at.is_empty() {
        since / spec.every.max(1)
    } else {
        spec.at.iter().filter(|&&step| step <= since).count() as u64
    };
    first as f64 * libm::pow(spec.factor, times as f64)
}

/// Examples in the first `since` updates, of `all` training examples: a size lasts from one multiplication to the next.
pub fn drawn(spec: &BatchSpec, all: usize, since: u64) -> u64 {
    let (mut step, mut drawn) = (0, 0_u64);
    while step < since {
        let size = spec.planned(step, all);
        // Sizes only grow: the largest one stays.
        let end = if size == spec.most(all) { since } else { next(spec, step).min(since) };
        drawn = drawn.saturating_add((end - step).saturating_mul(size as u64));
        step = end;
    }
    drawn
}

/// The first multiplication after update `step`.
fn next(spec: &BatchSpec, step: u64) -> u64 {
    let every = spec.every.max(1);
    let next = match spec.at.as_slice() {
        [] if spec.factor > 1.0 => Some((step / every + 1).saturating_mul(every)),
        at => at.iter().copied().filter(|&turn| turn > step).min(),
    };
    next.unwrap_or(u64::MAX)
}
