use engine::cpu::CpuExecutor;
use engine::data::read_pack_file;
use engine::executor::AnyExecutor;
use engine::fewshot::Source;
use engine::numeric::Matrix;
use engine::tape::{Breathless, Home, Play};

use super::ground::{BASE, CLASSES, Ground, SESSIONS, TRAINED, WAYS, turn};
use super::network::{DIMS, Form, PAIRS, TURNS};
use super::run::{Sessions, mask};
use super::*;
use crate::fewshot::files;
use crate::fewshot::pictures::Pictures;
use crate::test_help::{failing, turned, unmeasured};
use crate::test_host::TestHost;
use crate::{Settings, run as run_study};

#[test]
fn four_quarter_turns_are_none() {
    assert_eq!(turn(&[1, 2, 3, 4], 2, 1), [2, 4, 1, 3]);
    let picture: Vec<u8> = (0..49).map(|at| at * 5).collect();
    for turns in 1..TURNS {
        assert_ne!(turn(&picture, 7, turns), picture);
        assert_eq!(turn(&turn(&picture, 7, turns), 7, TURNS - turns), picture);
    }
    assert_eq!(turn(&picture, 7, TURNS), picture);
}

#[test]
fn a_pseudo_class_is_a_class_and_a_turn() {
    let pseudo = Tricks { pseudo: true, ..Tricks::default() };
    let set = Tricks { vertices: true, ..pseudo };
    let pairs = || (0..BASE).flat_map(|class| (0..TURNS).map(move |turns| (class, turns)));
    for (at, (class, turns)) in pairs().enumerate() {
        assert_eq!(pseudo.label(class, turns, CLASSES) as usize, at);
        assert_eq!((at / TURNS, at % TURNS), (class, turns));
    }
    // Behind the vertices; those of classes that are not there yet are nobody's.
    let mut labels: Vec<usize> = pairs().map(|(class, turns)| set.label(class, turns, CLASSES) as usize).collect();
    labels.sort_unstable();
    assert!(labels.into_iter().eq((0..BASE).chain(CLASSES..CLASSES + (TURNS - 1) * BASE)));
    assert_eq!(Tricks::default().label(7, 0, CLASSES), 7);
}

fn ground() -> (Ground, Form) {
    let pack = read_pack_file(files(Source::Glyphs)[0]).unwrap();
    let pictures = Pictures::read(Source::Glyphs, &[pack]).unwrap();
    let ground = Ground::new(&pictures, &session(&turned(&STUDY, &[]), 3), 1).unwrap();
    (ground, Form { shape: pictures.shape, width: 4, base: BASE, classes: CLASSES, temperature: 0.1 })
}

#[test]
fn an_update_has_two_views_and_turned_ones_behind_them() {
    let (ground, _) = ground();
    assert_eq!(ground.updates.len(), BASE * TRAINED / PAIRS);
    let views = &ground.updates[1];
    let picture = |pixels: &[u8], at: usize| pixels[at * ground.size..(at + 1) * ground.size].to_vec();
    let batch = ground.batch(views, true);
    assert_eq!((batch.len(), ground.batch(views, false).len()), (3 * PAIRS * ground.size, 2 * PAIRS * ground.size));
    for at in 0..PAIRS {
        assert_eq!(turn(&picture(&batch, at), 28, views.turns[at]), picture(&batch, 2 * PAIRS + at));
        assert_ne!(picture(&batch, at), picture(&batch, PAIRS + at), "two views differ");
    }
}

/// Which parameters of an encoder a session changes.
#[test]
fn a_session_changes_its_part_of_the_weights_alone() {
    let (ground, form) = ground();
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    let knobs = turned(&STUDY, &[("steps", "3")]);
    let known = Matrix::from_fn(CLASSES, DIMS, |class, axis| f64::from(u8::from(axis == class)));
    let support: Vec<usize> =
        (BASE..BASE + WAYS).flat_map(|class| (0..2).map(move |shot| Ground::row(class, shot))).collect();
    pollster::block_on(async {
        let mut sessions = Sessions::new(Play::new(&home, Breathless, 1).unwrap(), form, 2, 1).await.unwrap();
        let start = sessions.theta().await;
        let mut after = Vec::new();
        for share in [0.0, 0.1, 1.0] {
            let mask = mask(&start, Way::Tuned(share));
            assert_eq!(mask.iter().sum::<f32>(), (share * start.len() as f64).round() as f32);
            sessions.begin(&start);
            let same = sessions.tune(&ground, &support, &known, &mask, &knobs, Way::Tuned(share)).await.unwrap();
            assert_eq!(same, known, "what classes are drawn to stays");
            let theta = sessions.theta().await;
            for ((before, now), open) in start.iter().zip(&theta).zip(&mask) {
                assert!(*open == 1.0 || before.to_bits() == now.to_bits(), "what is masked stays, bit for bit");
            }
            after.push(theta);
        }
        let changed = |theta: &[f32]| start.iter().zip(theta).filter(|(a, b)| a != b).count() as f64;
        assert_eq!(after[0], start, "no part is frozen");
        let rungs = rungs(&turned(&STUDY, &[("part", "1")]));
        let way = |id: &str| rungs.iter().find(|rung| rung.id == id).map(|rung| rung.way);
        assert_eq!(way("S5"), way("S4"), "the whole is no part");
        assert!(changed(&after[1]) > 0.05 * start.len() as f64);
        assert!(changed(&after[2]) > 0.5 * start.len() as f64);
        // The control changes that too.
        sessions.begin(&start);
        let ones = vec![1.0; start.len()];
        assert_ne!(sessions.tune(&ground, &support, &known, &ones, &knobs, Way::Plain).await.unwrap(), known);
    });
}

/// A small run from end to end.
fn small(knobs: &[(&str, &str)]) -> Results {
    let small = [("passes", "1"), ("steps", "1"), ("width", "4")];
    let knobs = small.iter().chain(knobs).map(|&(id, value)| (id.to_owned(), value.to_owned())).collect();
    pollster::block_on(run_study(&STUDY, &Settings { knobs, seeds: 1, first_seed: 1 }, &TestHost::new(u32::MAX)))
        .unwrap()
        .results
}

#[test]
fn a_small_run_yields_every_number() {
    let results = small(&[]);
    for label in &results.arms {
        for number in [FINAL, AVERAGE, DROP, HARMONIC, DRIFT, KEPT.last(), NEW.last()] {
            assert!(results.sample(&label.id, number).mean().is_finite(), "{}: {number}", label.id);
        }
        let drift = results.sample(&label.id, DRIFT).mean();
        assert_eq!(drift == 0.0, ["S0", "S1", "S2", "S3"].contains(&label.id.as_str()), "{}: {drift}", label.id);
    }
    assert!(STUDY.drawn(&results).iter().all(|figure| !figure.marks.is_empty()));
}

#[test]
fn without_tricks_every_rung_is_the_start() {
    let tricks = ["contrast", "vertices", "pseudo", "tuning", "subnet", "pretraining", "rotation"];
    let results = small(&tricks.map(|id| (id, "false")));
    let seen =
        |arm: &str| (0..=SESSIONS).map(|at| results.sample_at(arm, SEEN, at as f64).mean()).collect::<Vec<f64>>();
    assert!(seen("S0").iter().all(|accuracy| accuracy.is_finite()));
    LADDER[1..].iter().for_each(|arm| assert_eq!(seen(arm), seen("S0"), "{arm}"));
}

#[test]
fn the_answer_follows_the_numbers() {
    let measured =
        |knobs: &[(&str, &str)], ladder: [f64; 8], control: f64, drops: [f64; 2], kept: [f64; 4], new: [f64; 4]| {
            let mut results = unmeasured(&STUDY, knobs, &[1]);
            for (arm, accuracy) in LADDER.into_iter().zip(ladder).chain([("N", control)]) {
                results.record(arm, 1).unwrap().number(FINAL, accuracy);
            }
            for (arm, drop) in ["S0", "S3"].into_iter().zip(drops) {
                results.record(arm, 1).unwrap().number(DROP, drop);
            }
            for (arm, (kept, new)) in ["S0", "S4", "S5", "S7"].into_iter().zip(kept.into_iter().zip(new)) {
                let outcome = results.record(arm, 1).unwrap();
                outcome.number(KEPT.last(), kept);
                outcome.number(NEW.last(), new);
            }
            results.record("S3", 1).unwrap().number(NEW.last(), 30.0);
            answer(&results).verdict(&STUDY)
        };
    let verdict = |ladder, control, drops, kept, new| measured(&[], ladder, control, drops, kept, new);
    let ladder = [40.0, 41.0, 42.0, 45.0, 44.0, 44.5, 46.0, 45.0];
    let good = verdict(ladder, 5.0, [30.0, 25.0], [60.0, 55.0, 59.0, 61.0], [20.0, 20.0, 31.0, 33.0]);
    assert!(failing(&good).is_empty());
    assert!(good.measured.contains("contrast 1") && good.measured.contains("self-supervised 1.5"), "{}", good.measured);
    let best =
        "Yes. The best network (tricks up to “self-supervised”) is ahead of the frozen one without any: 46 against 40%";
    assert!(good.answer.starts_with(best), "{}", good.answer);
    let bad = verdict([40.0; 8], 30.0, [30.0, 31.0], [60.0, 59.0, 55.0, 60.0], [20.0, 20.0, 30.0, 20.0]);
    assert_eq!(failing(&bad), [0, 1, 2, 3, 4, 5, 6]);
    // What the knobs leave nothing of is not tested, and not said.
    let untested = |knobs: &[(&str, &str)]| {
        let verdict = measured(knobs, ladder, 5.0, [30.0, 25.0], [60.0, 55.0, 59.0, 61.0], [20.0, 20.0, 31.0, 33.0]);
        let untested = verdict.checks().enumerate().filter(|(_, check)| check.holds.is_none());
        (untested.map(|(place, _)| place).collect::<Vec<_>>(), verdict.measured.contains("no updates in sessions"))
    };
    assert_eq!(untested(&[]), (vec![], true));
    for knob in [("tuning", "false"), ("subnet", "false"), ("part", "0"), ("part", "1")] {
        assert_eq!(untested(&[knob]), (vec![5, 6], false), "{knob:?}");
    }
    let set = ["contrast", "vertices", "pseudo"].map(|id| (id, "false"));
    assert_eq!(untested(&set), (vec![3], true));
    let rest = ["tuning", "pretraining", "rotation"].map(|id| (id, "false"));
    assert_eq!(untested(&[set, rest].concat()), (vec![0, 1, 2, 3, 5, 6], false));
}
