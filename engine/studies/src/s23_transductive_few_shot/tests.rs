use super::*;
use crate::test_help::{failing, turned};
use crate::test_host::TestHost;
use crate::{Settings, run};

/// Gains of K-means at 1 and 5 shots and unevenly, and accuracies at 1 shot.
fn verdict(gains: [f64; 3], accuracies: [f64; 6]) -> engine::figure::Verdict {
    let knobs = turned(&STUDY, &[]);
    let mut results = Results::new(knobs, arms(), vec![1]);
    for ((id, ..), accuracy) in ARMS.iter().zip(accuracies) {
        let outcome = results.record(id, 1).unwrap();
        outcome.number(ACCURACY.of(1), accuracy);
        for (number, value) in
            [(GAIN.of(1), gains[0]), (GAIN.of(5), gains[1]), (UNEVEN, gains[2]), (LEAST.of(1), gains[0] - 1.0)]
        {
            outcome.number(number, value);
        }
    }
    answer(&results).verdict(&STUDY)
}

#[test]
fn the_answer_follows_the_numbers() {
    assert!(failing(&verdict([8.0, 1.0, 2.0], [70.0, 74.0, 78.0, 77.0, 78.5, 78.2])).is_empty());
    assert_eq!(failing(&verdict([2.0, 1.0, 1.0], [70.0, 72.0, 72.0, 72.0, 72.0, 72.0])), [0]);
    assert_eq!(failing(&verdict([8.0, 9.0, 9.0], [70.0, 74.0, 78.0, 80.0, 77.0, 78.0])), [2, 3, 4, 5]);
}

#[test]
fn a_choice_at_the_edge_of_what_was_tried_is_said() {
    let mut results = Results::new(turned(&STUDY, &[]), arms(), vec![1, 2]);
    for (seed, lambda) in [(1, 1.5), (2, 0.5)] {
        results.record("D", seed).unwrap().number(LAMBDA, lambda);
        results.record("E", seed).unwrap().number(LAMBDA, 0.3);
    }
    assert!(edges(&results).ends_with("was tried for LaplacianShot in 1 of 2 seeds."), "{}", edges(&results));
    results.record("D", 1).unwrap().number(LAMBDA, 1.0);
    assert_eq!(edges(&results), "");
}

/// A small run from end to end, with every number and curve that the figures draw.
#[test]
fn a_small_run_yields_every_number() {
    let knobs = [("updates", "50"), ("base", "20"), ("tasks", "10"), ("queries", "3")];
    let knobs = knobs.map(|(id, value)| (id.to_owned(), value.to_owned())).to_vec();
    let host = TestHost::new(u32::MAX);
    let settings = Settings { knobs, seeds: 1, first_seed: 1 };
    let finished = pollster::block_on(run(&STUDY, &settings, &host)).unwrap();
    for (id, _, tuned) in ARMS {
        let sample = |number: Number| finished.results.sample(id, number).mean();
        for number in [ACCURACY.of(1), ACCURACY.of(5), HALF.of(1), GAIN.of(1), GAIN.of(5), UNEVEN] {
            assert!(sample(number).is_finite(), "{id}: {number}");
        }
        assert!(sample(ACCURACY.of(1)) > 25.0, "{id} is above chance");
        assert_eq!(sample(LAMBDA).is_finite(), tuned);
    }
    assert!(finished.figures.iter().all(|figure| !figure.marks.is_empty()));
}
