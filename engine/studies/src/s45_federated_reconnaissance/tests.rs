use engine::objective::recorded::cross_entropy;
use engine::rng::{Rng, Stream};

use super::*;
use crate::encoder::DIMS;
use crate::fewshot::prototype_logits;
use crate::names::DIVERGED;
use crate::test_help::{Loss, failing, names_as_diverged, unmeasured};
use crate::test_host::TestHost;
use crate::{Settings, run};

/// Final accuracies of A to G, and the gaps of the published merge at 25 and 75% revisits.
fn verdict(accuracies: [f64; 7], gaps: [f64; 2]) -> engine::figure::Verdict {
    answer(&measured(accuracies, gaps)).verdict(&STUDY)
}

fn measured(accuracies: [f64; 7], gaps: [f64; 2]) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, accuracy) in ["A", "B", "C", "D", "E", "F", "G"].into_iter().zip(accuracies) {
        let outcome = results.record(arm, 1).unwrap();
        outcome.number(FINAL, accuracy);
        outcome.number(BYTES, if arm == "C" { 10.0 } else { 0.03 });
        outcome.number(APART, 1e-7);
        outcome.number(CHANGED, 0.0);
        outcome.point(GAP, 25.0, gaps[0]);
        outcome.point(GAP, 75.0, gaps[1]);
    }
    results
}

#[test]
fn arms_that_diverged_are_named() {
    let mut results = measured([90.0, 89.0, 10.0, 50.0, 85.0, 90.0, 91.0], [0.2, 1.0]);
    assert!(!answer(&results).verdict(&STUDY).measured.contains("Diverged"));
    results.record("D", 1).unwrap().number(DIVERGED, 10.0);
    names_as_diverged(&STUDY, &results, "“averaged heads” with 1 of 1 seeds");
}

#[test]
fn without_a_meeting_nothing_is_judged() {
    let mut results = measured([60.0; 7], [0.0; 2]);
    for arm in ["A", "B", "C", "D", "E"] {
        results.record(arm, 1).unwrap().number(BYTES, 0.0);
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.checks().all(|check| check.holds.is_none()), "{verdict:?}");
}

#[test]
fn the_answer_follows_the_numbers() {
    assert!(failing(&verdict([90.0, 89.0, 10.0, 50.0, 85.0, 90.0, 91.0], [0.2, 1.0])).is_empty());
    assert_eq!(failing(&verdict([90.0, 89.0, 70.0, 85.0, 93.0, 90.0, 95.0], [0.2, 0.1])), [0, 1, 2, 5, 8]);
}

/// The prototypical loss is as it was when every vector moves alike, and its gradient is what differences say.
#[test]
fn the_prototypical_loss_has_its_gradient_and_knows_no_origin() {
    const FORM: [usize; 3] = [3, 2, 2];
    const ROWS: usize = 12;
    let mut loss =
        Loss::of([ROWS, DIMS], 6, |vectors, labels| cross_entropy(prototype_logits(vectors, FORM), labels).mean());
    let mut loss = |vectors: &[f32]| loss.at(vectors, &[0, 0, 1, 1, 2, 2]);
    let mut rng = Rng::new(1, Stream::Probe, 0);
    let vectors: Vec<f32> = (0..ROWS * DIMS).map(|_| 0.2 * rng.normal()).collect();
    let (value, gradient) = loss(&vectors);
    let moved: Vec<f32> = vectors.iter().map(|x| x + 0.5).collect();
    assert!((loss(&moved).0 - value).abs() < 1e-5);
    // Along a random direction, which every number takes part in.
    let along: Vec<f32> = (0..vectors.len()).map(|_| rng.normal()).collect();
    let slope: f64 = gradient.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
    let step = 2e-3;
    let at = |side: f32| -> Vec<f32> { vectors.iter().zip(&along).map(|(x, d)| x + side * step * d).collect() };
    let found = (loss(&at(1.0)).0 - loss(&at(-1.0)).0) / (2.0 * f64::from(step));
    assert!((found - slope).abs() < 1e-3 * slope.abs().max(1.0), "{found} against {slope}");
}

/// A small run from end to end, with every number and curve that the figures draw.
#[test]
fn a_small_run_yields_every_number() {
    let knobs = [("updates", "20"), ("clients", "2"), ("shots", "2")];
    let knobs = knobs.map(|(id, value)| (id.to_owned(), value.to_owned())).to_vec();
    let host = TestHost::new(u32::MAX);
    let finished = pollster::block_on(run(&STUDY, &Settings { knobs, seeds: 1, first_seed: 1 }, &host)).unwrap();
    let results = &finished.results;
    let accuracy = |arm: &str, mission: f64| results.sample_at(arm, SEEN, mission).mean();
    // Before the first mission a linear head is the nearest prototype.
    for arm in ["B", "C", "D", "E", "F"] {
        assert_eq!(accuracy(arm, 0.0), accuracy("A", 0.0), "{arm}");
    }
    assert_eq!(results.sample("A", CHANGED).mean(), 0.0);
    assert!(results.sample("A", APART).mean() < 1e-5);
    assert_eq!(results.sample_at("B", GAP, 0.0).mean(), 0.0);
    // Two clients and three classes in each of ten missions.
    assert!((results.sample("A", BYTES).mean() - 60.0 * 264e-6).abs() < 1e-9);
    assert!(accuracy("A", 10.0) > 20.0 && accuracy("D", 10.0) != accuracy("E", 10.0));
    assert!(finished.figures.iter().all(|figure| !figure.marks.is_empty()));
}
