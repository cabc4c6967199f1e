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

/// Multiplications that are counted one by one: a page draws a thousand steps, a link may ask for a multiplication each.
const COUNTED: u64 = 100;

/// Examples in the first `since` updates, of `all` training examples: a size lasts from one multiplication to the next.
/// Exact up to the first hundred multiplications; what comes of more is summed before rounding.
pub fn drawn(spec: &BatchSpec, all: usize, since: u64) -> u64 {
    let most = spec.most(all);
    let (mut step, mut drawn, mut times) = (0, 0_u64, 0);
    while step < since {
        if times == COUNTED && spec.at.is_empty() {
            return drawn.saturating_add(summed(spec, [spec.planned(0, all), most], since));
        }
        let size = spec.planned(step, all);
        // Sizes only grow: the largest one stays.
        let end = if size == most { since } else { next(spec, step).min(since) };
        drawn = drawn.saturating_add((end - step).saturating_mul(size as u64));
        step = end;
        times += 1;
    }
    drawn
}

/// Examples from the multiplication after those counted up to update `since`: a geometric series up to the largest size.
fn summed(spec: &BatchSpec, [first, most]: [usize; 2], since: u64) -> u64 {
    let every = spec.every.max(1);
    let (first, most, log) = (first as f64, most as f64, libm::log(spec.factor));
    let size = |times: u64| first * libm::exp(times as f64 * log);
    // The casts saturate.
    let until = (libm::ceil(libm::log(most / first) / log) as u64).clamp(COUNTED, (since / every).max(COUNTED));
    let climbed = libm::expm1((until - COUNTED) as f64 * log) / libm::expm1(log) * size(COUNTED) * every as f64;
    let rest = since.saturating_sub(until.saturating_mul(every)) as f64;
    libm::round(climbed + rest * size(until).min(most)) as u64
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
