//! What the answer says beside its checks.

use super::*;
use crate::diverged::{self, GUESSING};
use crate::names::LR;

/// Where the paper's law is furthest above the oracle, in words; nothing where that is within the margin.
fn furthest(results: &Results) -> Option<String> {
    let knobs = &results.knobs;
    let above =
        cells(knobs).into_iter().map(|(batch, tokens)| (batch, tokens, excess(results, Way::Power, batch, tokens)));
    let (batch, tokens, above) =
        above.filter(|cell| cell.2.mean() > MARGIN).max_by(|a, b| a.2.mean().total_cmp(&b.2.mean()))?;
    let [main, _] = law_arms(Way::Power, batch);
    let highest =
        results.by_seed(|seed| results.outcome(&main, seed)?.curve(LR).iter().map(|point| point[1]).reduce(f64::max));
    let best = results.by_seed(|seed| Some(oracle(results, seed, batch, tokens)?.rate));
    let why = match highest.mean() > best.mean() {
        true => ": too high a rate early on may not be made up for later",
        false => "",
    };
    Some(format!(
        " The paper's law is furthest from the oracle with batch {batch} at {:.0} thousand tokens: {} nats. It begins there at a \
         rate of {}, where the best constant one is {}{why}.",
        tokens as f64 / 1000.0,
        above.mean_in_words(),
        highest.mean_in_words(),
        best.mean_in_words(),
    ))
}

/// Where the paper's law is not what is best here, and what the switch of the batch comes to.
pub(super) fn why(share: &Sample, results: &Results) -> String {
    let knobs = &results.knobs;
    let mut words = String::new();
    if (1.0 - LINEAR..LINEAR).contains(&share.mean()) {
        words.push_str(
            "Adam divides a gradient by its size, noise included. While noise rules, that size falls as 1/√batch, so a best rate \
             that grows about as √batch is to be expected: a law proportional to the batch is then too low for small batches or \
             too high for large ones.",
        );
    }
    words.extend(furthest(results));
    words.extend(at_the_end(results));
    let tokens = budgets(knobs)[BUDGETS - 1];
    let [small, large] = batches(knobs);
    let steps = updates(tokens / 2, small) + updates(tokens / 2, large);
    let arms = [SWITCHED_MAIN, SWITCHED].map(str::to_owned);
    let switched = results.by_seed(|seed| ends(results, seed, &arms, steps));
    if !switched.is_empty() {
        let whole = [small, large]
            .map(|batch| said(&results.by_seed(|seed| way_loss(results, Way::Power, seed, batch, tokens))));
        words.push_str(&format!(
            " With the batch switched half-way the power law ends at {} nats, with either batch throughout at {} and {}.",
            said(&switched),
            whole[0],
            whole[1],
        ));
    }
    words.trim_start().to_owned()
}

/// Where the oracle's rate is the lowest or the highest that was tried, so that a better one may lie beyond.
fn at_the_end(results: &Results) -> Option<String> {
    let knobs = &results.knobs;
    let edges = [rate(0), rate(RATES - 1)];
    let beyond = |&(batch, tokens): &(usize, u64)| {
        let best = results.by_seed(|seed| Some(oracle(results, seed, batch, tokens)?.rate));
        best.values().any(|best| edges.iter().any(|edge| (best / edge - 1.0).abs() < 1e-6))
    };
    let all = cells(knobs);
    let count = all.iter().filter(|cell| beyond(cell)).count();
    (count > 0).then(|| {
        format!(
            " In {count} of the {} pairs of a budget and a batch the best rate of a seed is the lowest or the highest tried: a \
             better one may lie beyond.",
            all.len()
        )
    })
}

/// Which ways diverged somewhere.
pub(super) fn lost(results: &Results) -> String {
    let guesses = |way: Way, seed: u64| {
        let cells = cells(&results.knobs).into_iter();
        cells.filter_map(|(batch, tokens)| way_loss(results, way, seed, batch, tokens)).any(|loss| loss == GUESSING)
    };
    let ways = POWERS.into_iter().chain([(Way::Carried, "carried rate")]);
    let lost = ways.map(|(way, name)| (name, results.seeds.iter().filter(|&&seed| guesses(way, seed)).count()));
    diverged::in_words(lost, results.seeds.len(), &format!("guessing ({GUESSING} nats)"))
}
