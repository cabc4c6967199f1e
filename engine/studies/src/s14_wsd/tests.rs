//! The card's exact checks of schedules, on the runs that the study makes, and of its verdict.

use super::*;
use crate::test_help::{branch_rates, close, failing, names_as_diverged, rates, turned};
use engine::figure::Holds;
use engine::rng::{Rng, Stream};

#[test]
fn arms_are_valid_and_cost_what_the_card_says() {
    let knobs = turned(&STUDY, &[]);
    let arms = arms(&knobs);
    for arm in &arms {
        assert_eq!(arm.spec.validate(), [], "{}", arm.label.id);
    }
    let points: Vec<[u64; 2]> = arms[3].branches.iter().map(|branch| [branch.at, branch.steps]).collect();
    assert_eq!(points, [[450, 500], [900, 1000], [1800, 2000], [1950, 2000]]);
    assert_eq!(updates(&knobs), [3500, 2150]);
    assert_eq!(arms.iter().map(Arm::updates).sum::<u64>(), 5900);
}

/// Exact check 1; steps count from 0, so a decay's last step has its last value.
#[test]
fn the_stable_rate_halves_at_every_half_life() {
    let knobs = turned(&STUDY, &[]);
    let arm = arms(&knobs).remove(3);
    let main = rates(&arm.spec);
    for branch in &arm.branches {
        let rates = branch_rates(&arm, branch);
        let (start, length) = (branch.at as usize, branch.steps - branch.at);
        assert_eq!(rates[..=start], main[..=start], "continuous where it leaves");
        close(rates[50], 4e-3);
        close(rates[start], 4e-3);
        close(*rates.last().unwrap(), 4e-5);
        let half_life = (length - 1) as f64 / 100_f64.log2();
        for (k, rate) in rates[start..].iter().enumerate() {
            close(*rate, 4e-3 * 0.5_f64.powf(k as f64 / half_life));
        }
    }
    let none = ScheduleSpec { decay: 0, kind: Shape::Wsd, ..arm.spec.schedule.clone() };
    assert_eq!(rates(&RunSpec { schedule: none, ..arm.spec.clone() }), main, "without a decay it is constant");
}

/// Exact check 4.
#[test]
fn a_cosine_is_tied_to_its_length() {
    let knobs = turned(&STUDY, &[]);
    let cosine = arms(&knobs).remove(0).spec;
    let lr = rates(&cosine);
    close(lr[50], 4e-3);
    close(lr[499], 4e-5);
    // Twice as long without a warm-up, it is half way down at the middle.
    let schedule = ScheduleSpec { warmup: 0, ..cosine.schedule.clone() };
    let twice = rates(&RunSpec { schedule, steps: 999, ..cosine });
    close(twice[499], (4e-3 + 4e-5) / 2.0);
}

/// Exact check 5: on a quadratic of curvature 1 with gradient noise of variance q, SGD's loss settles at
/// `eta q / (2 (2 - eta))`, and an anneal takes it away.
#[test]
fn noise_in_proportion_to_the_rate_is_annealed_away() {
    let (eta, q) = (0.2, 1.0);
    let schedule = |decay: u64| ScheduleSpec {
        kind: Shape::Wsd,
        form: Decay::Exponential,
        peak: eta,
        warmup: 0,
        decay,
        floor: 0.01,
        ..ScheduleSpec::default()
    };
    let mut rng = Rng::new(1, Stream::Probe, 0);
    let mut run = |decay: u64, steps: u64, x: &mut f64| {
        let spec = RunSpec { schedule: schedule(decay), steps, ..RunSpec::default() };
        let mut sum = 0.0;
        for rate in rates(&spec) {
            let noise = f64::from(rng.normal()) * f64::sqrt(q);
            *x -= rate * (*x + noise);
            sum += *x * *x / 2.0;
        }
        sum / steps as f64
    };
    let mut x = 0.0;
    let stable = run(0, 100_000, &mut x);
    let theory = eta * q / (2.0 * (2.0 - eta));
    assert!((stable / theory - 1.0).abs() < 0.1, "{stable} against {theory}");
    let mut annealed = 0.0;
    for _ in 0..200 {
        run(1000, 1000, &mut x);
        annealed += x * x / 2.0 / 200.0;
    }
    assert!(annealed < stable / 20.0, "{annealed} of {stable}");
}

fn filled(wsd: f64, constant: f64, short: f64, half: f64) -> Results {
    let knobs = turned(&STUDY, &[]);
    let labels = STUDY.arms(&knobs);
    let mut results = Results::new(knobs, labels, vec![1, 2]);
    for seed in [1, 2] {
        for (budget, loss) in [(500, 2.2), (1000, 2.0), (2000, 1.9)] {
            results.record(&cosine(budget), seed).unwrap().point(TEST_LOSS, budget as f64, loss);
            results.record(&branch(budget), seed).unwrap().point(TEST_LOSS, budget as f64, loss + wsd);
        }
        let longest = results.record(&cosine(2000), seed).unwrap();
        longest.point(TEST_LOSS, 500.0, 2.3);
        longest.point(TEST_LOSS, 1000.0, 2.05);
        let last = results.record(&branch(2000), seed).unwrap();
        last.point(TEST_LOSS, 1800.0, 2.0);
        last.point(TEST_LOSS, 1900.0, 2.0 - half * (0.1 - wsd));
        results.record(MAIN, seed).unwrap().point(TEST_LOSS, 2000.0, 1.9 + constant);
        results.record(EARLY, seed).unwrap().point(TEST_LOSS, 2000.0, 1.9 + short);
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let verdict = |results: &Results| answer(results).verdict(&STUDY);
    let sound = verdict(&filled(0.01, 0.1, 0.03, 0.7));
    assert_eq!(sound.holds, Holds::Yes, "{sound:?}");
    assert!(sound.answer.starts_with("Yes. After 500, 1000 and 2000 steps"), "{}", sound.answer);
    let failing = |results: &Results| failing(&verdict(results));
    assert_eq!(failing(&filled(0.03, 0.1, 0.05, 0.7)), [0, 1, 2, 3], "worse than the cosines");
    assert_eq!(failing(&filled(-0.03, 0.1, 0.03, 0.7)), [0; 0], "better than the cosines is no failure");
    assert!(verdict(&filled(-0.03, 0.1, 0.03, 0.7)).answer.starts_with("Yes, and better than claimed."));
    assert_eq!(failing(&filled(0.01, 0.02, 0.03, 0.7)), [4], "no noise to take out");
    assert_eq!(failing(&filled(0.01, 0.1, 0.03, 0.5)), [7]);
    assert_eq!(failing(&filled(0.01, 0.1, 0.012, 0.7)), [8]);
}

#[test]
fn a_run_that_diverged_counts_as_guessing() {
    let verdict = |results: &Results| answer(results).verdict(&STUDY);
    let mut results = filled(0.01, 0.1, 0.03, 0.7);
    results.record(&branch(1000), 1).unwrap().number(DIVERGED, 950.0);
    assert_eq!(failing(&verdict(&results)), [0, 2, 6]);
    names_as_diverged(&STUDY, &results, "“WSD, 1000 steps” with 1 of 2 seeds");
    results.record(&cosine(1000), 1).unwrap().number(DIVERGED, 100.0);
    assert_eq!(verdict(&results).holds, Holds::Untested, "neither is as good as the other");
    let mut results = filled(0.01, 0.1, 0.03, 0.7);
    results.record(MAIN, 3).unwrap().number(DIVERGED, 20.0);
    results.seeds.push(3);
    assert_eq!(loss_at(&results, &branch(500), 500).0.last(), Some(&(3, GUESSING)), "it was never let go");
}

#[test]
fn a_drop_that_is_none_has_no_half() {
    let rising = answer(&filled(0.2, 0.3, 0.3, 0.7)).verdict(&STUDY);
    assert_eq!(rising.also[6].holds, None);
}
