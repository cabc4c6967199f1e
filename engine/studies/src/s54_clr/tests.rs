use super::*;
use crate::test_help::{failing, unmeasured};

/// Results in which every arm ends as given.
fn results(numbers: [(&str, f64); 7], forgotten: f64) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, value) in numbers {
        let outcome = results.record(arm, 1).unwrap();
        outcome.number(FINAL, value);
        outcome.number(FORGETTING, if FROZEN.contains(&arm) { forgotten } else { 30.0 });
        outcome.number(SHARE, 3.0);
    }
    results
}

const EXPECTED: [(&str, f64); 7] = [
    ("tune", 60.0),
    ("ewc", 75.0),
    ("probe", 80.0),
    ("norms", 87.0),
    ("filters", 88.0),
    ("clr", 90.0),
    ("apart", 92.0),
];

#[test]
fn the_answer_follows_the_numbers() {
    let verdict = answer(&results(EXPECTED, 0.0)).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes. CLR is ahead of fine-tuning"), "{}", verdict.answer);
    assert_eq!(failing(&verdict), [0; 0]);
    assert!(!verdict.answer.contains("filters alone, without norms"), "{}", verdict.answer);
    assert!(!verdict.measured.contains("gains only"), "{}", verdict.measured);
    let mut numbers = EXPECTED;
    numbers[4].1 = 90.0;
    let verdict = answer(&results(numbers, 0.0)).verdict(&STUDY);
    assert!(verdict.answer.contains("right; filters alone, without norms, do as well (90%)"), "{}", verdict.answer);
    numbers[6].1 = 84.0;
    let verdict = answer(&results(numbers, 0.0)).verdict(&STUDY);
    assert!(verdict.measured.contains("even a network for each gains only 4 points"), "{}", verdict.measured);
    numbers[6].1 = 92.0;
    numbers[0].1 = 85.0;
    numbers[3].1 = 91.0;
    let verdict = answer(&results(numbers, 0.01)).verdict(&STUDY);
    assert!(verdict.answer.starts_with("No, not by enough."));
    assert_eq!(failing(&verdict), [0, 1, 5]);
}

/// Nine weights a filter, as many filters as channels.
#[test]
fn filters_are_drawn_with_the_channel_that_they_add_to() {
    let mut set = vec![0.0; 24 * 9];
    set[0] = 0.5;
    let figure = figures::filters(&set, 24, 3);
    let engine::figure::Mark::HeatMap { grid, range, .. } = &figure.marks[0] else { panic!("no map") };
    assert_eq!((grid.width, grid.height, *range), (31, 3, Some([-1.0, 1.0])));
    assert_eq!((grid.values[0], grid.values[31 + 1], grid.values[31 + 5]), (0.5, 1.0, 1.0));
    assert!(grid.values[3].is_nan());
}
