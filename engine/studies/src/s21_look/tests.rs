use engine::numeric::Matrix;

use super::run::{directions, silhouette};
use super::*;
use crate::test_help::{failing, unmeasured};
use crate::test_host::TestHost;
use crate::{Settings, run};

/// Two digits at 0 and 10 on a line, two examples each 1 apart: a = 1, b = 10, 9 or 11.
#[test]
fn structure_within_a_label_by_hand() {
    let features = Matrix { rows: 4, columns: 1, values: vec![0.0, 1.0, 10.0, 11.0] };
    let rows = [[0, 3, 0], [1, 3, 0], [2, 7, 0], [3, 7, 0]];
    let wanted = (2.0 * (9.5 / 10.5) + 2.0 * (8.5 / 9.5)) / 4.0;
    assert!((silhouette(&features, &rows) - wanted).abs() < 1e-12);
    // As far along either axis: two directions; along one alone: one.
    let square = Matrix { rows: 4, columns: 2, values: vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0] };
    assert!((directions(&square, &rows, 0) - 2.0).abs() < 1e-12);
    assert!((directions(&features, &rows, 0) - 1.0).abs() < 1e-12);
}

/// Results with these fine accuracies of A to E, which tell two labels apart alike.
fn measured(fine: [f64; 5], knobs: &[(&str, &str)]) -> Results {
    let mut results = unmeasured(&STUDY, knobs, &[1]);
    for (arm, fine) in ["A", "B", "C", "D", "E"].into_iter().zip(fine) {
        let outcome = results.record(arm, 1).unwrap();
        outcome.number(FINE, fine);
        outcome.number(PROBE, 95.0 - fine / 100.0);
        outcome.number(COARSE, 99.0);
    }
    results
}

fn verdict(fine: [f64; 5]) -> engine::figure::Verdict {
    answer(&measured(fine, &[])).verdict(&STUDY)
}

#[test]
fn the_answer_follows_the_numbers() {
    let good = verdict([93.0, 93.0, 78.0, 96.0, 96.0]);
    assert!(failing(&good).is_empty());
    assert!(good.measured.contains("linear head instead of neighbours LOOK is behind cross-entropy"), "{good:?}");
    assert_eq!(failing(&verdict([95.0, 96.0, 90.0, 98.0, 96.0])), [0, 1, 2, 5]);
}

#[test]
fn with_all_neighbours_there_is_nothing_to_compare_with_all() {
    let results = measured([93.0, 93.0, 78.0, 96.0, 96.0], &[("neighbours", "255")]);
    let verdict = answer(&results).verdict(&STUDY);
    assert_eq!((failing(&verdict), verdict.also[4].holds), (vec![5], None));
}

/// Two labels are to be told apart alike in four of five seeds, not in the mean alone.
#[test]
fn one_seed_of_three_that_differs_is_too_many() {
    let mut results = unmeasured(&STUDY, &[], &[1, 2, 3]);
    for seed in 1..=3 {
        for (arm, coarse) in [("A", 98.0), ("C", 99.0), ("E", if seed == 1 { 99.5 } else { 98.5 })] {
            let outcome = results.record(arm, seed).unwrap();
            outcome.number(FINE, 90.0);
            outcome.number(COARSE, coarse);
        }
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert_eq!([2, 3].map(|place| verdict.also[place].holds), [Some(false), Some(true)]);
}

/// A small run from end to end, with every number and curve that the figures draw.
#[test]
fn a_small_run_yields_every_number() {
    let knobs = vec![("steps".to_owned(), "10".to_owned())];
    let host = TestHost::new(u32::MAX);
    let finished = pollster::block_on(run(&STUDY, &Settings { knobs, seeds: 1, first_seed: 1 }, &host)).unwrap();
    for label in &finished.results.arms {
        for number in [FINE, FEW, COARSE, PROBE, SILHOUETTE, RANK] {
            assert!(finished.results.sample(&label.id, number).mean().is_finite(), "{}: {number}", label.id);
        }
    }
    assert!(finished.figures.iter().all(|figure| !figure.marks.is_empty()));
}
