use engine::continual::Reading;
use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::tape::{Breathless, Home, Play};

use super::*;
use crate::test_help::{failing, names_as_diverged, turned, unmeasured};

/// Results in which every arm of both streams ends with these: accuracy, forgetting, updates to 90%.
fn results(numbers: [[f64; 3]; 9]) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for ((id, ..), [accuracy, forgotten, updates]) in ARMS.iter().zip(numbers) {
        for suffix in ["", SPLIT[0]].into_iter().take(1 + usize::from(ON_SPLIT.contains(id))) {
            let outcome = results.record(&format!("{id}{suffix}"), 1).unwrap();
            outcome.number(FINAL, accuracy);
            outcome.number(FORGETTING, forgotten);
            outcome.number(SPEED, updates);
            outcome.number(MISSED, 0.0);
            outcome.number(DRIFT, 2.0 * forgotten);
        }
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut numbers = GOOD;
    let verdict = answer(&results(numbers)).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes. The LSTM's network is ahead of the MLP's"), "{}", verdict.answer);
    assert_eq!(failing(&verdict), [0; 0]);
    assert!(!verdict.measured.contains("forgotten"), "{}", verdict.measured);
    numbers[2] = [96.0, 4.0, 80.0];
    numbers[6][1] = 3.0;
    let verdict = answer(&results(numbers)).verdict(&STUDY);
    assert!(verdict.answer.starts_with("No."));
    assert_eq!(failing(&verdict), [0, 2, 3, 5]);
    let why =
        "Too much is forgotten because β is too small: at 0.01 what the LSTM made for earlier tasks moves by 1%, which";
    assert!(verdict.measured.contains(why), "{}", verdict.measured);
    for (firm, why) in [(3.5, "A small β explains a part of what"), (4.0, "It is not for a small β")] {
        numbers[7][1] = firm;
        let verdict = answer(&results(numbers)).verdict(&STUDY);
        assert!(verdict.measured.contains(why), "{}", verdict.measured);
    }
}

const GOOD: [[f64; 3]; 9] = [
    [70.0, 30.0, 90.0],
    [85.0, 10.0, 90.0],
    [93.0, 1.0, 120.0],
    [95.0, 0.5, 100.0],
    [95.0, 0.5, 100.0],
    [95.0, 0.5, 100.0],
    [60.0, 40.0, 90.0],
    [94.0, 0.4, 120.0],
    [95.0, 0.3, 100.0],
];

/// Where two arms are equal because neither can do a thing, nothing is judged.
#[test]
fn what_neither_arm_reaches_is_no_tie() {
    let untested = |results: &Results| {
        let verdict = answer(results).verdict(&STUDY);
        let untested = verdict.checks().enumerate().filter(|(_, check)| check.holds.is_none());
        (untested.map(|(place, _)| place).collect::<Vec<_>>(), verdict.measured)
    };
    let mut results = results(GOOD);
    assert_eq!(untested(&results).0, [0; 0]);
    results.record("mlp", 1).unwrap().number(MISSED, 5.0);
    let (places, said) = untested(&results);
    assert!(places.is_empty() && said.contains("never gets there with 0 and the MLP with 5"), "{said}");
    results.record("lstm", 1).unwrap().number(MISSED, 5.0);
    assert_eq!(untested(&results).0, [5]);
    for arm in ["lstm", "mlp", "free"] {
        results.record(arm, 1).unwrap().number(DIVERGED, 7.0);
    }
    assert_eq!(untested(&results).0, [0, 3, 5]);
    names_as_diverged(&STUDY, &results, "with 1 of 1 seeds; “LSTM, not held” with 1 of 1 seeds.");
    let mut free = self::results([[60.0, 40.0, 100.0]; 9]);
    free.knobs = turned(&STUDY, &[("hold", "0")]);
    let (places, said) = untested(&free);
    assert_eq!(places, [1, 2, 6]);
    assert!(!said.contains("small β"), "{said}");
}

/// From where its numbers are no longer finite an arm guesses: what it knew then is forgotten.
#[test]
fn an_arm_that_diverged_guesses() {
    let readings = vec![Reading { update: 10, accuracy: vec![0.9, 0.2, 0.1, 0.1, 0.1], sharpness: None }];
    let borders = vec![10, 20, 30, 40, 50];
    let matrix = matrix(&Record { borders, readings, diverged: Some(13), ..Record::default() }, 0.1);
    assert!((matrix.average() - 0.1).abs() < 1e-6);
    // The accuracies of two of four tasks fall, by 0.8 and 0.1.
    assert!((matrix.forgetting() - 0.225).abs() < 1e-6, "{}", matrix.forgetting());
}

/// A chunk that an LSTM makes follows from its own vector and those before it; one that an MLP makes from its own alone.
#[test]
fn only_earlier_chunks_reach_later_ones() {
    for (way, recurrent) in [("hypernetwork", true), ("hypernetwork:recurrent=0", false)] {
        let spec = Rc::new(session(&turned(&STUDY, &[("chunks", "9")]), "lstm", way, false).unwrap());
        let digits = DataSpec::of(DataSet::Digits);
        let pack = engine::data::read_pack_file("digits.bin").unwrap();
        let data = engine::data::load(&digits, 1, Some(&pack)).unwrap();
        let parts = vec![Part::of_classes("digits", 0, &data, 0..10)];
        let sizes = hypernetwork::sizes(&spec, &Tasks::of_parts(&spec, &[&data], parts, 1)).unwrap();
        let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
        let scales = vec![1.0; sizes.layout.len()];
        let moved = pollster::block_on(async {
            let theta = influence::start(Play::new(&home, Breathless, 3)?, &sizes).await?;
            influence::influence(Play::new(&home, Breathless, 3)?, &sizes, &theta, &scales).await
        });
        for (place, moved) in moved.unwrap().into_iter().enumerate() {
            let (row, column) = (place / 9, place % 9);
            let reached = row == column || (recurrent && row > column);
            assert_eq!(moved > 0.0, reached, "{way}: chunk {row} by {column}: {moved}");
        }
    }
}
