//! The study's arms, and that its answer follows the numbers.

use super::*;
use crate::test_help::{failing, turned};
use engine::figure::{Holds, Role};

/// Results of an adaptive arm with that gap, batch growth and accuracy beside fixed arms with a gap of 0.01 and 80%.
fn filled(knobs: &Knobs, gap: f64, growth: f64, accuracy: f64) -> Results {
    let arms = arms(knobs);
    let mut results = Results::new(knobs.clone(), arms.clone(), vec![1, 2, 3, 4, 5]);
    for (arm, seed) in arms.iter().flat_map(|arm| (1..=5).map(move |seed| (arm, seed))) {
        let fixed = arm.role == Role::Other;
        let outcome = results.record(&arm.id, seed).unwrap();
        outcome.number(GAP.last(), if fixed { 0.01 } else { gap });
        outcome.number(ACCURACY.last(), if fixed { 80.0 } else { accuracy });
        outcome.number(UPDATES, if arm.id.ends_with("/8") { 15_000.0 } else { 400.0 });
        outcome.number(GROWTH, if fixed { 1.0 } else { growth });
        outcome.number(LAST_BATCH, 8.0 * if fixed { 1.0 } else { growth });
        for curve in [GAP, GAP_BY_UPDATE, BATCH, STATISTIC] {
            outcome.point(curve, 1.0, 1.0);
        }
    }
    for [moment, _] in [cloud::START, cloud::END] {
        results.keep(moment, cloud::drawn(vec![[1.0, 0.0]], 0.9));
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let knobs = turned(&STUDY, &[]);
    let judged = |gap, growth, accuracy| answer(&filled(&knobs, gap, growth, accuracy)).verdict(&STUDY);
    assert_eq!(failing(&judged(0.004, 500.0, 79.5)), [0; 0]);
    assert_eq!(failing(&judged(0.006, 500.0, 79.5)), [2, 5]);
    assert_eq!(failing(&judged(0.004, 90.0, 78.5)), [3, 6, 7]);
    assert_eq!(judged(0.02, 500.0, 80.0).holds, Holds::No, "worse than with all data");
}

/// The paper claims it of both rules.
#[test]
fn a_rule_that_ends_worse_is_named_and_decides() {
    let knobs = turned(&STUDY, &[]);
    let mut results = filled(&knobs, 0.004, 500.0, 79.5);
    for seed in 1..=5 {
        let arm = id(Rule::AdaGradNorm, super::judged(&knobs));
        results.record(&arm, seed).unwrap().number(GAP.last(), 0.043);
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert_eq!((verdict.holds, failing(&verdict)), (Holds::No, vec![0]));
    let named = "With AdaGrad-Norm the adaptive batch ends worse than all data in every update, at 4.3 times its gap";
    assert!(verdict.answer.contains(named), "{}", verdict.answer);
}

#[test]
fn what_was_not_asked_for_is_not_claimed() {
    let results =
        filled(&turned(&STUDY, &[("optimizer", "adagrad_norm"), ("test", "inner_product")]), 0.001, 500.0, 80.0);
    assert_eq!(results.arms.len(), 5);
    let verdict = answer(&results).verdict(&STUDY);
    assert_eq!((verdict.holds, failing(&verdict)), (Holds::Yes, vec![1, 2, 3, 5, 6]));
}

#[test]
fn recipes_are_valid_as_they_stand() {
    for knobs in
        [turned(&STUDY, &[]), turned(&STUDY, &[("clean", "true"), ("model", "mlp"), ("first", "2"), ("interval", "1")])]
    {
        for rule in rules(&knobs) {
            for (_, batch) in policies(&knobs) {
                let spec = spec(&knobs, rule, batch, 1);
                assert_eq!(spec.validate(), [], "{spec:?}");
            }
        }
    }
}

#[test]
fn every_figure_has_something_to_show() {
    let results = filled(&turned(&STUDY, &[]), 0.004, 500.0, 79.5);
    assert!(figures(&results).iter().all(|plot| !plot.marks().is_empty()));
}

/// Two checks hold gaps to half of others', of which an MLP has none; a large first batch cannot grow a hundredfold.
#[test]
fn what_these_knobs_do_not_test_is_not_judged() {
    let untested = |pairs: &[(&str, &str)]| -> Vec<usize> {
        let verdict = answer(&filled(&turned(&STUDY, pairs), 0.004, 500.0, 79.5)).verdict(&STUDY);
        verdict.checks().enumerate().filter(|(_, check)| check.holds.is_none()).map(|(place, _)| place).collect()
    };
    assert_eq!(untested(&[("model", "mlp")]), [2, 5]);
    assert_eq!(untested(&[("first", "256")]), [6, 7]);
    assert_eq!(untested(&[("first", "40")]), [0; 0]);
}

#[test]
fn sentences_follow_the_numbers() {
    let nothing = answer(&crate::test_help::unmeasured(&STUDY, &[], &[1])).verdict(&STUDY);
    assert!(nothing.measured.is_empty() && !nothing.answer.contains("NaN"), "{}", nothing.answer);
    let mut results = filled(&turned(&STUDY, &[]), 0.004, 500.0, 79.5);
    let arm = id(Rule::Sgd, "inner");
    assert!(answer(&results).verdict(&STUDY).measured.contains("sees up to 1 times what triggers it"));
    for label in results.arms.clone().iter().filter(|label| label.id.ends_with("/inner")) {
        (1..=5).for_each(|seed| drop(results.record(&label.id, seed).unwrap().curves.remove(&STATISTIC)));
    }
    results.record(&arm, 1).unwrap().point(STATISTIC, 1.0, 0.5);
    assert!(answer(&results).verdict(&STUDY).measured.contains("never sees more than 0.5 of what"));
}

/// A run that diverged is no better than any other, and a gap below 0 is a small one.
#[test]
fn gaps_are_positive() {
    assert_eq!(descent::gap(f64::NAN, 0.5), f64::INFINITY);
    assert_eq!((descent::gap(0.75, 0.5), descent::gap(0.5, 0.5 + 1e-9)), (0.25, 1e-6));
}
