//! Who is replaced by a clone of whom.

use engine::metrics::welch;
use engine::numeric::{mean, places};
use engine::rng::Rng;

/// How that is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Exchange {
    /// Nobody is.
    None,
    /// This share of the members, those with the highest losses, by any of as many with the lowest.
    Truncation(f64),
    /// Each asks another at random and is replaced where that one is better.
    Tournament,
    /// The same where the means of the last ten losses differ by Welch's test at the level 0.05.
    Welch,
}

/// Losses that Welch's test looks at.
const LAST: usize = 10;
/// Its level.
const LEVEL: f64 = 0.05;

/// For each member the one that it becomes a clone of, by the losses that each has had, newest last. Nobody is replaced by one
/// that is no better; what is no number is worse than any.
#[must_use]
pub fn sources(losses: &[&[f64]], exchange: Exchange, rng: &mut Rng) -> Vec<Option<usize>> {
    let number = |loss: f64| if loss.is_finite() { loss } else { f64::INFINITY };
    let now: Vec<f64> = losses.iter().map(|losses| losses.last().copied().map_or(f64::INFINITY, number)).collect();
    let count = losses.len();
    let mut found = vec![None; count];
    match exchange {
        Exchange::None => {}
        Exchange::Truncation(share) => {
            let cut = replaced(share, count);
            let order = places(count, &|a, b| now[a].total_cmp(&now[b]));
            for &worse in order.iter().rev().take(cut) {
                let better = order[rng.below(cut as u32) as usize];
                found[worse] = (now[better] < now[worse]).then_some(better);
            }
        }
        Exchange::Tournament | Exchange::Welch => {
            for (place, found) in found.iter_mut().enumerate().filter(|_| count > 1) {
                let other = (place + 1 + rng.below(count as u32 - 1) as usize) % count;
                let better = match exchange {
                    Exchange::Welch => surely_lower(losses[other], losses[place]),
                    _ => now[other] < now[place],
                };
                *found = better.then_some(other);
            }
        }
    }
    found
}

/// How many members a share of them is; never more than half.
fn replaced(share: f64, count: usize) -> usize {
    // Such as 0.29 of 100, which is 28.999999999999996 in binary.
    ((share.clamp(0.0, 0.5) * count as f64 + 1e-9) as usize).min(count / 2)
}

/// Whether the last losses of one run have a lower mean than those of another, by Welch's test.
fn surely_lower(one: &[f64], other: &[f64]) -> bool {
    let last = |losses: &[f64]| losses[losses.len().saturating_sub(LAST)..].to_vec();
    let (one, other) = (last(one), last(other));
    let finite = |losses: &[f64]| losses.iter().all(|loss| loss.is_finite());
    match (finite(&one), finite(&other)) {
        (true, false) => true,
        (true, true) => mean(&one) < mean(&other) && welch(&one, &other) < LEVEL,
        (false, _) => false,
    }
}
