use engine::rng::{Rng, Stream};

use super::*;
use crate::names::DIVERGED;
use crate::test_help::{close, failing, names_as_diverged, rates, turned, unmeasured};

/// Exact check 4: η²/B is the same, and training longer by the ratio makes as many updates.
#[test]
fn large_batches_keep_the_noise_and_the_updates() {
    for (large, ratio) in [(2000, 50.0), (400, 10.0)] {
        let knobs = turned(&STUDY, &[("large", &large.to_string()), ("regime", &ratio.to_string())]);
        let arms = arms(&knobs);
        let [small, scaled, longer] = [0, 2, 4].map(|place| &arms[place].spec);
        let noise = |spec: &RunSpec| rates(spec)[0].powi(2) / spec.batch.size as f64;
        close(noise(small), noise(scaled));
        assert_eq!((small.steps, scaled.steps - STILL), (longer.steps, (small.steps - STILL) / ratio as u64));
        let seen = |spec: &RunSpec| (spec.steps - STILL) * spec.batch.size as u64;
        assert_eq!((seen(small), seen(small) * ratio as u64), (seen(scaled), seen(longer)));
    }
}

#[test]
fn rates_fall_twice_and_end_at_0() {
    for arm in arms(&turned(&STUDY, &[])) {
        let (rates, updates) = (rates(&arm.spec), arm.spec.steps - STILL);
        let first = rates[0];
        for (update, rate) in rates.into_iter().enumerate() {
            let wanted = match update as f64 / updates as f64 {
                share if share < FALLS[0] => first,
                share if share < FALLS[1] => 0.1 * first,
                share if share < 1.0 => 0.01 * first,
                _ => 0.0,
            };
            assert!((rate - wanted).abs() <= 1e-6 * wanted, "{}, update {update}: {rate}", arm.label.id);
        }
        assert_eq!(arm.spec.validate(), [], "{}", arm.label.id);
        assert_eq!(arm.spec.batch.micro, arm.spec.batch.size, "norms see all of a batch, or its ghosts");
    }
}

/// Exact check 5: a walk of steps that know nothing of each other grows as the root of time, which no logarithm fits.
#[test]
fn a_random_walk_is_no_logarithm() {
    let mut rng = Rng::new(11, Stream::Probe, 0);
    let mut place = vec![0.0_f64; 400];
    let mut distances = Vec::new();
    for step in 1..=1000_u32 {
        place.iter_mut().for_each(|x| *x += f64::from(rng.normal()));
        distances.push([f64::from(step), place.iter().map(|x| x * x).sum::<f64>().sqrt()]);
    }
    let slope = engine::numeric::fit::power_law(&distances).slope;
    assert!((slope - 0.5).abs() < 0.05, "{slope}");
    let read: Vec<[f64; 2]> = doublings(1000).into_iter().map(|step| distances[step as usize - 1]).collect();
    let logarithm: Vec<[f64; 2]> = read.iter().map(|&[x, _]| [x, 3.0 + 2.0 * x.ln()]).collect();
    assert!(fits(&read, 1000)[0] < 0.95 && fits(&read, 1000)[0] < fits(&logarithm, 1000)[0]);
    assert!(fits(&logarithm, 1000)[0] > 0.9999 && fits(&logarithm, 1000)[1] < 0.95);
}

#[test]
fn the_verdict_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1, 2, 3]);
    for seed in 1..=3 {
        for (arm, accuracy, noise) in [
            ("SB", 95.0, 0.025),
            ("LB", 84.0, 0.0004),
            ("LR", 91.0, 0.0004),
            ("GBN", 91.5, 0.025),
            ("RA", 94.0, 0.0004),
            ("ALL", 94.2, 0.025),
        ] {
            let outcome = results.record(arm, seed).unwrap();
            outcome.reading(ACCURACY, 40.0, accuracy);
            outcome.number(NOISE, noise);
            for step in doublings(800) {
                outcome.reading(DISTANCE, step as f64, 1.0 + (step as f64).ln());
            }
        }
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes. The large batch with all three remedies"), "{}", verdict.answer);
    (1..=2).for_each(|seed| results.record("ALL", seed).unwrap().reading(ACCURACY, 400.0, 92.0));
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [0]);
}

#[test]
fn nothing_is_as_good_as_a_run_that_diverged() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, _, _) in WAYS {
        results.record(arm, 1).unwrap().reading(ACCURACY, 40.0, if arm == "SB" { 10.0 } else { 90.0 });
    }
    assert_eq!(answer(&results).verdict(&STUDY).headline.holds, Some(true));
    results.record("SB", 1).unwrap().number(DIVERGED, 30.0);
    assert_eq!(answer(&results).verdict(&STUDY).headline.holds, None);
    names_as_diverged(&STUDY, &results, "“small” with 1 of 1 seeds");
}

#[test]
fn what_the_knobs_turn_off_is_not_tested() {
    let pairs = [("large", "80"), ("ghost", "4000"), ("factor", "none"), ("regime", "1")];
    let verdict = answer(&unmeasured(&STUDY, &pairs, &[1])).verdict(&STUDY);
    let untested: Vec<usize> =
        verdict.checks().enumerate().filter(|(_, check)| check.holds.is_none()).map(|(place, _)| place).collect();
    assert_eq!(untested, [2, 3, 5, 6, 7]);
}
