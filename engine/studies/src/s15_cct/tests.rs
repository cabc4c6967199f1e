//! The study's arms, and that its answer follows the numbers.

use super::*;
use crate::test_help::{failing, turned, unmeasured};

fn ids(pairs: &[(&str, &str)]) -> Vec<String> {
    arms(&turned(&STUDY, pairs)).into_iter().map(|arm| arm.label.id).collect()
}

#[test]
fn every_arm_has_as_many_tokens() {
    for (images, side, grid) in [("mnist", 16, 8), ("digits", 8, 4)] {
        for arm in arms(&turned(&STUDY, &[("images", images), ("bare", "true")])) {
            let (ModelSpec::Vit(model) | ModelSpec::Cvt(model) | ModelSpec::Cct(model)) = arm.spec.model else {
                panic!("arm {} is no transformer", arm.label.id);
            };
            assert_eq!(model.token_grid(side, side), Some([grid, grid]), "arm {}", arm.label.id);
        }
    }
}

#[test]
fn an_own_design_becomes_an_arm_unless_it_is_one_already() {
    let sizes = ["A@250", "C@250", "A@1000", "C@1000", "A@2000", "C@2000"];
    assert_eq!(ids(&[]), [&["A", "B", "C"][..], &sizes].concat());
    assert_eq!(ids(&[("tokenizer", "patch"), ("kernel", "5"), ("train", "250")])[3..5], ["A@1000", "C@1000"]);
    assert_eq!(ids(&[("kernel", "5"), ("bare", "true")]), ["A", "B", "C", "D", "E", "Y"]);
}

#[test]
fn the_answer_follows_the_numbers() {
    let judged = |vit: f64, cct: f64| {
        let mut results = unmeasured(&STUDY, &[], &[1, 2, 3]);
        for (arm, accuracy) in [("A", vit), ("B", 66.2), ("C", cct), ("A@2000", 95.0), ("C@2000", 96.0)] {
            for seed in 1..=if arm.contains('@') { 1 } else { 3 } {
                results.record(arm, seed).unwrap().reading(ACCURACY, 100.0, accuracy + seed as f64);
            }
        }
        answer(&results).verdict(&STUDY)
    };
    let said = judged(73.6, 80.0).answer;
    assert!(
        said.starts_with("Yes") && said.ends_with("With 500 images CCT is ahead of ViT-Lite: 82 against 76%."),
        "{said}"
    );
    // CVT is behind; the arms without positions are not there.
    assert_eq!(failing(&judged(73.6, 80.0)), [2, 6, 7]);
    assert_eq!(failing(&judged(80.0, 80.0))[..2], [0, 1]);
    assert!(judged(80.0, 80.0).answer.starts_with("No. With 500 images CCT and ViT-Lite tie"));
}

#[test]
fn there_are_no_more_digits_than_there_are() {
    let knobs = turned(&STUDY, &[("images", "digits"), ("train", "4000")]);
    assert_eq!((main_size(&knobs), other_sizes(&knobs)), (1437, vec![250, 1000]));
    assert!(arms(&knobs).iter().all(|arm| arm.spec.data.train <= DIGITS));
}

#[test]
fn every_arm_must_be_flat() {
    let mut results = unmeasured(&STUDY, &[], &[1, 2]);
    for (arm, before) in [("A", 80.0), ("B", 70.0), ("C", 81.0)] {
        for seed in [1, 2] {
            let outcome = results.record(arm, seed).unwrap();
            outcome.point(ACCURACY, 800.0, before);
            outcome.point(ACCURACY, 1000.0, 82.0);
        }
    }
    assert_eq!(latest(&results).0, [(1, 12.0), (2, 12.0)]);
    assert!(arms(&results.knobs)[0].stops().contains(&800));
}
