//! What is read off the losses of the runs: the oracle, the laws, and what each way costs against the oracle.

use super::fit::{Best, Law, Valley, valley};
use super::{BATCH, BUDGETS, RATES, Way, batches, budgets, law_arms, rate, stable, updates, wsd};
use crate::diverged::GUESSING;
use crate::names::TEST_LOSS;
use crate::{Results, Sample};

/// What a run's main line and decayed branch come to after so many updates of the branch; guessing where the main line has
/// ended and there is no loss, as it or the branch diverged.
pub(super) fn ends(results: &Results, seed: u64, [main, branch]: &[String; 2], updates: u64) -> Option<f64> {
    let loss = results.outcome(branch, seed).map(|outcome| outcome.at(TEST_LOSS, updates as f64));
    let lost = || results.outcome(main, seed)?.done.then_some(GUESSING);
    loss.filter(|loss| loss.is_finite()).or_else(lost)
}

/// What a way ends with at a budget.
pub(super) fn way_loss(results: &Results, way: Way, seed: u64, batch: usize, tokens: u64) -> Option<f64> {
    let arms = match way {
        Way::Carried => {
            let place = carried(results, seed)?;
            [stable(batch, place), wsd(batch, place)]
        }
        way => law_arms(way, batch),
    };
    ends(results, seed, &arms, updates(tokens, batch))
}

/// The loss of an arm when so many tokens are seen; `None` where it was lost.
fn loss(results: &Results, seed: u64, arm: &str, batch: usize, tokens: u64) -> Option<f64> {
    Some(results.outcome(arm, seed)?.at(TEST_LOSS, updates(tokens, batch) as f64)).filter(|loss| loss.is_finite())
}

/// Losses `[rate, loss]` of all rates with a batch and a budget, once all have been tried; NaN where a run was lost.
pub(super) fn losses(results: &Results, seed: u64, batch: usize, tokens: u64) -> Option<Vec<[f64; 2]>> {
    let of = |place: usize| {
        let done = results.outcome(&stable(batch, place), seed)?.done;
        let loss = loss(results, seed, &wsd(batch, place), batch, tokens).unwrap_or(f64::NAN);
        done.then_some([rate(place), loss])
    };
    (0..RATES).map(of).collect()
}

/// The oracle: the best rate of a batch and a budget, and its loss.
pub(super) fn oracle(results: &Results, seed: u64, batch: usize, tokens: u64) -> Option<Valley> {
    valley(&losses(results, seed, batch, tokens)?)
}

/// The laws through the best rates of all budgets but the last: in proportion to the batch as the paper has it, and with the
/// power of the batch free.
pub(super) fn laws(results: &Results, seed: u64) -> Option<[Law; 2]> {
    let knobs = &results.knobs;
    let mut bests = Vec::new();
    for batch in batches(knobs) {
        for tokens in &budgets(knobs)[..BUDGETS - 1] {
            let rate = oracle(results, seed, batch, *tokens)?.rate;
            bests.push(Best { tokens: *tokens as f64, batch: batch as f64, rate });
        }
    }
    Some([Law::through(&bests, Some(1.0))?, Law::through(&bests, None)?])
}

/// Place of the rate that is carried over: the best of those tried with the small batch and the shortest budget.
pub(super) fn carried(results: &Results, seed: u64) -> Option<usize> {
    let knobs = &results.knobs;
    let losses = losses(results, seed, knobs.get(&BATCH), budgets(knobs)[0])?;
    let finite = (0..RATES).filter(|&place| losses[place][1].is_finite());
    finite.min_by(|&a, &b| losses[a][1].total_cmp(&losses[b][1]))
}

/// By how much a way ends above the oracle, in nats, seed by seed.
pub(super) fn excess(results: &Results, way: Way, batch: usize, tokens: u64) -> Sample {
    let of_seed =
        |seed: u64| Some(way_loss(results, way, seed, batch, tokens)? - oracle(results, seed, batch, tokens)?.loss);
    results.by_seed(of_seed)
}

/// Samples combined seed by seed.
pub(super) fn over(samples: impl IntoIterator<Item = Sample>, combine: fn(f64, f64) -> f64) -> Sample {
    samples.into_iter().reduce(|all, next| all.with(&next, combine)).unwrap_or_default()
}

/// The mean excess over the cells of the test: the longest budget and the shortest, with both batches.
pub(super) fn tested(results: &Results, way: Way) -> Sample {
    let knobs = &results.knobs;
    let [first, .., last] = budgets(knobs);
    let cells = batches(knobs).into_iter().flat_map(|batch| [[first, batch as u64], [last, batch as u64]]);
    let all: Vec<Sample> = cells.map(|[tokens, batch]| excess(results, way, batch as usize, tokens)).collect();
    let count = all.len() as f64;
    Sample(over(all, |a, b| a + b).0.into_iter().map(|(seed, sum)| (seed, sum / count)).collect())
}
