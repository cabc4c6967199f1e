use super::toy::{START, STEP, UPDATES, best, climb, height};
use super::*;
use crate::test_help::{failing, unmeasured};

/// Exact check 1.
#[test]
fn a_worker_alone_comes_down_one_axis_as_a_power() {
    let path = climb(TOYS[4].2, START, 1);
    assert_eq!(path.len(), UPDATES + 1);
    for (update, [one, other]) in path.iter().enumerate() {
        let expected = 0.9 * (1.0 - 2.0 * STEP).powi(update as i32);
        for (found, start) in [(one[0], 0.9), (other[1], 0.91)] {
            assert!((found / expected * 0.9 / start - 1.0).abs() < 1e-12, "{found} against {expected}");
        }
        assert_eq!([one[1], other[0]], [0.9; 2]);
    }
    assert!((best(&path[UPDATES]) - STALLED).abs() < 1e-6);
    assert!((height([0.0, 0.9]) - STALLED).abs() < 1e-12);
}

#[test]
fn the_toy_ends_where_its_ways_lead() {
    let mut reached = 0;
    for seed in 1..=100 {
        let ends = TOYS.map(|(_, _, way)| best(&climb(way, START, seed)[UPDATES]));
        assert!((1.0..1.2).contains(&ends[0]) && (1.15..1.2).contains(&ends[2]), "seed {seed}: {ends:?}");
        // Settings that shrink may not have come down an axis yet.
        assert!([1, 4].iter().all(|&way| (ends[way] - STALLED).abs() < 0.01), "seed {seed}: {ends:?}");
        assert!((0.3..STALLED + 1e-9).contains(&ends[3]), "seed {seed}: {ends:?}");
        reached += usize::from(ends[0] >= REACHED);
    }
    assert!(reached >= 95, "{reached} of 100");
    // Without exploring, workers that begin at one height tie and never exchange.
    let exchange = Way { explore: Explore::Not, ..TOYS[0].2 };
    assert!((best(&climb(exchange, [[0.9; 2]; 2], 1)[UPDATES]) - STALLED).abs() < 1e-6);
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, median, error) in [("pbt", 0.3, 5.0), ("random", 0.5, 5.2)] {
        let outcome = results.record(arm, 1).unwrap();
        outcome.reading(MEDIAN, STEPS as f64, median);
        outcome.number(ERROR, error);
        outcome.number(FALL, 1.5);
        outcome.number(DIFFERING, 0.0);
    }
    assert!(answer(&results).verdict(&STUDY).answer.starts_with("Not tested here"), "nobody was replaced");
    results.record("pbt", 1).unwrap().point(CLONED.of(7), 30.0, 2.0);
    for (arm, end) in [("toy", 1.19), ("toy/none", 0.39), ("toy/explore", 0.39), ("toy/copied", 0.39)] {
        let outcome = results.record(arm, 1).unwrap();
        outcome.number(LOWEST, end);
        outcome.number(HIGHEST, end);
        outcome.number(CLIMBS, 100.0);
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert_eq!(failing(&verdict), [2]);
    assert!(
        verdict.answer.starts_with("Yes, but one of 7 further claims fails. The population is ahead of random search"),
        "{}",
        verdict.answer
    );
    results.record("toy", 1).unwrap().number(CLIMBS, 95.0);
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [2, 3], "one climb of 20 fell short");
    results.knobs = unmeasured(&STUDY, &[("spread", "0")], &[1]).knobs;
    assert_eq!(answer(&results).verdict(&STUDY).also[1].holds, None, "settings did not change");
}
