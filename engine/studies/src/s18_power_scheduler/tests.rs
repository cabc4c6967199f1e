//! The card's exact checks on the runs that the study makes (those of the schedule alone are beside the schedule), and of its
//! fits and verdict.

use super::fit::{Best, Valley, valley};
use super::*;
use crate::diverged::GUESSING;
use crate::names::TEST_LOSS;
use crate::test_help::{branch_rates, close, failing, names_as_diverged, rates, turned, unmeasured};
use engine::figure::Holds;
use engine::rng::{Rng, Stream};

const LAW: Law = Law { share: 1.0, gain: 0.022, exponent: -0.25 };

/// Exact checks 1, 2 and 5: capped, continuous where a branch leaves, and a function of tokens.
#[test]
fn the_rate_is_the_law_of_tokens_seen() {
    let knobs = turned(&STUDY, &[]);
    let cap = 0.008;
    for batch in batches(&knobs) {
        let arm = by_law(&knobs, POWERS[0], batch, &LAW, Some(cap));
        assert_eq!(arm.spec.validate(), []);
        let main = rates(&arm.spec);
        let each = (batch * CONTEXT) as f64;
        let warmup = arm.spec.schedule.warmup as usize;
        assert_eq!(warmup as u64, updates(budgets(&knobs)[0], batch) / WARMUP);
        for (step, rate) in main.iter().enumerate().skip(warmup) {
            close(*rate, LAW.rate(batch as f64, (step + 1) as f64 * each).min(cap));
        }
        close(main[warmup - 1], main[warmup]);
        assert!(main.iter().all(|rate| *rate <= cap));
        for (branch, tokens) in arm.branches.iter().zip(budgets(&knobs)) {
            let rates = branch_rates(&arm, branch);
            let at = branch.at as usize;
            assert_eq!(rates.len() as u64 * batch as u64 * CONTEXT as u64, tokens);
            assert_eq!(rates[..at], main[..at]);
            close(rates[at], LAW.rate(batch as f64, (at + 1) as f64 * each).min(cap));
            close(*rates.last().unwrap(), 0.01 * rates[at]);
        }
    }
    let [small, large] = batches(&knobs).map(|batch| rates(&by_law(&knobs, POWERS[0], batch, &LAW, Some(1.0)).spec));
    let ratio = knobs.get(&RATIO);
    // The last updates of each lie apart by less than one of the large batch.
    for (step, rate) in large.iter().enumerate().take(small.len() / ratio).skip(10) {
        close(rate / small[ratio * (step + 1) - 1], ratio as f64);
    }
}

#[test]
fn the_law_is_not_followed_where_it_knows_nothing() {
    let knobs = turned(&STUDY, &[]);
    let [first, ..] = budgets(&knobs);
    for batch in batches(&knobs) {
        let rates = rates(&by_law(&knobs, POWERS[0], batch, &LAW, None).spec);
        let steps = updates(first, batch) as usize;
        let highest = LAW.rate(batch as f64, first as f64);
        rates[steps / WARMUP as usize..steps].iter().for_each(|rate| close(*rate, highest));
        assert!(rates[steps] < highest);
    }
}

/// Exact check 3.
#[test]
fn a_law_that_does_not_fall_is_a_wsd() {
    let knobs = turned(&STUDY, &[]);
    let flat = by_law(&knobs, POWERS[1], 8, &Law { gain: rate(2) / 8.0, exponent: 0.0, ..LAW }, Some(1.0));
    let wsd = tried(&knobs, [8, 2]);
    assert_eq!(rates(&flat.spec), rates(&wsd.spec));
    for (power, wsd_branch) in flat.branches.iter().zip(&wsd.branches) {
        let [power, constant] = [branch_rates(&flat, power), branch_rates(&wsd, wsd_branch)];
        power.iter().zip(&constant).for_each(|(a, b)| close(*a, *b));
    }
}

#[test]
fn a_batch_that_grows_in_mid_run_keeps_to_the_law() {
    let knobs = turned(&STUDY, &[("switch", "true")]);
    let arm = switching(&knobs, &LAW, Some(1.0));
    assert_eq!(arm.spec.validate(), []);
    let ([small, large], half) = (batches(&knobs), arm.spec.edits[0].step as usize);
    let rates = rates(&arm.spec);
    let seen = (half * small * CONTEXT) as f64;
    close(rates[half - 1], LAW.rate(small as f64, seen));
    for (more, rate) in rates[half..].iter().enumerate() {
        close(*rate, LAW.rate(large as f64, seen + ((more + 1) * large * CONTEXT) as f64));
    }
    let branch = &arm.branches[0];
    assert_eq!(half as u64 * small as u64 + (branch.steps - half as u64) * large as u64, 1024 * 1024 / CONTEXT as u64);
    assert_eq!(branch.schedule.decay, updates(1024 * 1024, large) / DECAY);
}

/// Exact check 6.
#[test]
fn noisy_parabolas_give_the_law_back() {
    let mut rng = Rng::new(5, Stream::Probe, 0);
    for wanted in [LAW, Law { share: 0.6, gain: 0.9, exponent: -0.3 }] {
        let mut bests = Vec::new();
        for batch in [8.0, 32.0] {
            for tokens in [16_384.0, 65_536.0, 262_144.0] {
                let best = wanted.rate(batch, tokens);
                let loss = |rate: f64| 2.0 + 0.05 * (rate / best).ln().powi(2);
                let points: Vec<[f64; 2]> = (-3..=3)
                    .map(|k| best * 1.3 * 2.0_f64.powi(k))
                    .map(|rate| [rate, loss(rate) + 5e-5 * f64::from(rng.normal())])
                    .collect();
                let found = valley(&points).unwrap();
                assert!((found.rate / best - 1.0).abs() < 0.01 && (found.loss - 2.0).abs() < 1e-3, "{found:?}");
                bests.push(Best { tokens, batch, rate: found.rate });
            }
        }
        let within = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 0.01, "{a} is not {b}");
        let law = Law::through(&bests, Some(wanted.share)).unwrap();
        within(law.gain, wanted.gain);
        within(law.exponent, wanted.exponent);
        within(Law::through(&bests, None).unwrap().share, wanted.share);
    }
    assert_eq!(Law::through(&[Best { tokens: 1e5, batch: 8.0, rate: 0.01 }; 4], None), None);
}

#[test]
fn a_valley_keeps_within_the_rates_that_were_tried() {
    let falling: Vec<[f64; 2]> = (0..5).map(|place| [rate(place), 3.0 - 0.1 * place as f64]).collect();
    assert!((valley(&falling).unwrap().rate - rate(4)).abs() < 1e-9);
    let lost = [[0.001, 2.5], [0.002, f64::NAN], [0.004, 2.6]];
    assert_eq!(valley(&lost), Some(Valley { rate: 0.001, loss: 2.5 }));
    assert_eq!(valley(&[[0.1, f64::NAN]]), None);
}

/// Results in which best rates follow the law, and the power law's runs end so many nats above the oracle.
fn measured(above: f64) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1, 2]);
    let knobs = results.knobs.clone();
    for seed in [1, 2] {
        for batch in batches(&knobs) {
            for tokens in budgets(&knobs) {
                let best = LAW.rate(batch as f64, tokens as f64);
                let at = updates(tokens, batch) as f64;
                for place in 0..RATES {
                    let loss = 2.0 + 0.03 * (rate(place) / best).ln().powi(2);
                    results.record(&wsd(batch, place), seed).unwrap().reading(TEST_LOSS, at, loss);
                    results.record(&stable(batch, place), seed).unwrap().done = true;
                }
                for ((way, _), above) in POWERS.into_iter().zip([above, 0.0]) {
                    results.record(&law_arms(way, batch)[1], seed).unwrap().reading(TEST_LOSS, at, 2.0 + above);
                }
            }
        }
    }
    results
}

#[test]
fn the_verdict_follows_the_numbers() {
    let good = measured(0.001);
    let [law, free] = laws(&good, 1).unwrap();
    close(law.exponent, LAW.exponent);
    close(free.share, 1.0);
    let verdict = answer(&good).verdict(&STUDY);
    assert_eq!((verdict.holds, failing(&verdict)), (Holds::Yes, vec![]), "{verdict:?}");
    let bad = answer(&measured(0.2)).verdict(&STUDY);
    assert_eq!((bad.holds, failing(&bad)), (Holds::No, vec![0, 4, 5]), "{bad:?}");
}

#[test]
fn a_way_that_diverged_guesses() {
    let mut results = measured(0.001);
    let [first, .., last] = budgets(&results.knobs);
    let [main, branch] = law_arms(Way::Power, 8);
    results.record(&main, 1).unwrap().done = true;
    assert_eq!(lost(&results), "");
    results.record(&branch, 1).unwrap().curves.clear();
    close(excess(&results, Way::Power, 8, first).0[0].1, GUESSING - oracle(&results, 1, 8, first).unwrap().loss);
    assert_eq!(excess(&results, Way::Power, 8, last).len(), 2, "no seed is left out");
    names_as_diverged(&STUDY, &results, "with 1 of 2 seeds");
}

#[test]
fn a_budget_of_few_updates_says_nothing() {
    let few = unmeasured(&STUDY, &[("tokens", "512"), ("batch", "16"), ("ratio", "8")], &[1]);
    let verdict = answer(&few).verdict(&STUDY);
    assert!(verdict.checks().all(|check| check.holds.is_none()));
    assert!(batches(&few.knobs).into_iter().all(|batch| leave(budgets(&few.knobs)[0], batch) > 0));
}
