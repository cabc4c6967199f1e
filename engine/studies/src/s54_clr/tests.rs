use super::*;
use crate::test_help::{failing, names_as_diverged, unmeasured};

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
    assert!(verdict.measured.contains("Even a network for each gains only 4 points"), "{}", verdict.measured);
    numbers[6].1 = 92.0;
    numbers[0].1 = 85.0;
    numbers[3].1 = 91.0;
    let verdict = answer(&results(numbers, 0.01)).verdict(&STUDY);
    assert!(verdict.answer.starts_with("No, not by enough."));
    assert_eq!(failing(&verdict), [0, 1, 5]);
}

#[test]
fn other_anchors_and_filters_do_not_test_the_claim() {
    for pair in [("source", "random"), ("source", "clothes"), ("kernel", "1")] {
        let verdict = answer(&unmeasured(&STUDY, &[pair], &[1])).verdict(&STUDY);
        assert_eq!(verdict.holds, engine::figure::Holds::Untested, "{pair:?}");
        assert!(verdict.measured.is_empty() && !verdict.answer.contains("pictures right"), "{}", verdict.answer);
    }
}

#[test]
fn a_run_that_diverged_guesses_and_says_so() {
    let tasks = Tasks { of_task: vec![vec![0, 1], vec![2, 3, 4, 5]], ..empty() };
    assert_eq!(guessing(&tasks), 37.5);
    let mut results = results(EXPECTED, 0.0);
    let outcome = results.record("norms", 1).unwrap();
    outcome.number(DIVERGED, 3.0);
    outcome.numbers.remove(&FORGETTING);
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [1]);
    names_as_diverged(&STUDY, &results, "“norms alone” with 1 of 1 seeds");
}

fn empty() -> Tasks {
    Tasks {
        names: vec![],
        outputs: vec![],
        shape: vec![],
        examples: crate::continual::Examples::Pixels(vec![]),
        output: vec![],
        task: vec![],
        of_task: vec![],
        train: vec![],
        test: vec![],
    }
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
