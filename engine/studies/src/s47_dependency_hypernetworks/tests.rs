use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::tape::{Breathless, Home, Play};

use super::*;
use crate::test_help::{failing, turned, unmeasured};

/// Results in which every arm of both streams ends with these: accuracy, forgetting, updates to 90%.
fn results(numbers: [[f64; 3]; 9]) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for ((id, ..), [accuracy, forgotten, updates]) in ARMS.iter().zip(numbers) {
        for suffix in ["", SPLIT[0]].into_iter().take(1 + usize::from(ON_SPLIT.contains(id))) {
            let outcome = results.record(&format!("{id}{suffix}"), 1).unwrap();
            outcome.number(FINAL, accuracy);
            outcome.number(FORGETTING, forgotten);
            outcome.number(SPEED, updates);
            outcome.number(DRIFT, 2.0 * forgotten);
        }
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut numbers = [
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
