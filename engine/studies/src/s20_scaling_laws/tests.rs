//! The card's exact checks on what the study runs, and its verdict; those of the law and its fit are beside these.

use super::law::Power;
use super::*;
use crate::test_help::{failing, names_as_diverged, turned, unmeasured};
use engine::cpu::CpuExecutor;
use engine::data;
use engine::figure::Holds;
use engine::probe::SmallBatches;
use engine::rng::{Rng, Stream};
use engine::train::Trainer;
use std::rc::Rc;

#[test]
fn runs_are_valid_and_see_what_they_should() {
    let knobs = turned(&STUDY, &[]);
    let all = fitted(&knobs, 0.01).into_iter().chain(predicted(&knobs, 0.01));
    for arm in all.chain((0..RATES).map(|place| search(&knobs, place))) {
        assert_eq!(arm.spec.validate(), [], "{}", arm.label.id);
    }
    let fitted = fitted(&knobs, 0.01);
    let seen = |arm: &Arm| arm.spec.steps as usize * arm.spec.batch.size * CONTEXT;
    for (arm, batch) in fitted.iter().zip(BATCHES) {
        assert!(batch == COMMON || seen(arm).abs_diff(300_000) < batch, "{}", arm.label.id);
        assert!((arm.spec.schedule.peak - 0.01 * (batch as f64 / 64.0).sqrt()).abs() < 1e-12);
        assert_eq!(arm.reads.first().zip(arm.reads.last()), Some((&20, &arm.spec.steps)));
    }
    let predicted = predicted(&knobs, 0.01);
    assert_eq!(predicted.iter().map(seen).collect::<Vec<_>>(), [1500 * 256, 1500 * 64]);
    assert!(predicted.iter().all(|arm| fitted.iter().all(|fitted| fitted.spec.model != arm.spec.model)));
}

/// Exact check 5: a line with inputs of variance 1 and noise of variance q, d away from the truth, has gradients of mean d and
/// covariance trace (n + 1) |d|^2 + n q.
#[test]
fn the_noise_of_a_linear_model_is_found_without_bias() {
    let (inputs, off, noise) = (8, [1.0_f32; 8], 0.5_f32);
    let (signal, trace) = (8.0, 9.0 * 8.0 + 8.0 * 0.25);
    let mut rng = Rng::new(9, Stream::Probe, 0);
    let draws = 2000;
    let mut found = [0.0; 2];
    for _ in 0..draws {
        let mut batches = SmallBatches::new(4);
        for _ in 0..16 {
            let mut mean = vec![0.0; inputs];
            for _ in 0..4 {
                let x: Vec<f32> = (0..inputs).map(|_| rng.normal()).collect();
                let error = x.iter().zip(&off).map(|(x, off)| x * off).sum::<f32>() - noise * rng.normal();
                mean.iter_mut().zip(&x).for_each(|(mean, x)| *mean += 0.25 * error * x);
            }
            batches.add(mean);
        }
        let scale = batches.noise_scale().unwrap();
        found = [found[0] + scale.signal / f64::from(draws), found[1] + scale.noise / f64::from(draws)];
    }
    assert!((found[0] / signal - 1.0).abs() < 0.05 && (found[1] / trace - 1.0).abs() < 0.05, "{found:?}");
}

/// Exact check 6.
#[test]
fn the_size_is_what_the_engine_counts() {
    let pack = data::read_pack_file("shakespeare.bin").unwrap();
    for width in WIDTHS.into_iter().chain([32]) {
        let spec = arm(Label::default(), width, 64, 10, 0.01).spec;
        let data = Rc::new(data::load(&spec.data, 1, Some(&pack)).unwrap());
        let data::Values::Text(text) = &data.values else { panic!("no text") };
        let symbols = text.vocabulary.len();
        let trainer = pollster::block_on(Trainer::new(CpuExecutor::new(), &spec, data.clone())).unwrap();
        let beside = 2 * symbols * width + CONTEXT * width + symbols;
        assert_eq!(trainer.layout().len(), size(width) as usize + beside);
    }
}

const LAW: Law = Law {
    size: Power { scale: 4e6, exponent: 0.1 },
    updates: Power { scale: 30.0, exponent: 0.6 },
    batch: Power { scale: 5e3, exponent: 4.0 },
};

/// Results that follow the law, but for the predicted runs, whose losses are times something.
fn measured(times: f64) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1, 2]);
    let knobs = results.knobs.clone();
    for seed in [1, 2] {
        let fitted = fitted(&knobs, 0.01).into_iter().map(|arm| (arm, 1.0));
        for (arm, times) in fitted.chain(predicted(&knobs, 0.01).into_iter().map(|arm| (arm, times))) {
            let ModelSpec::Gpt(model) = &arm.spec.model else { panic!("{:?}", arm.spec.model) };
            let outcome = results.record(&arm.label.id, seed).unwrap();
            for at in arm.stops() {
                let batch = (arm.spec.batch.size * CONTEXT) as f64;
                outcome.reading(TEST_LOSS, at as f64, times * LAW.loss(size(model.width), at as f64, batch));
            }
            outcome.done = true;
        }
    }
    results
}

#[test]
fn the_verdict_follows_the_numbers() {
    let good = measured(1.0);
    let found = law(&good, 1).unwrap();
    assert!((found.size.exponent / LAW.size.exponent - 1.0).abs() < 0.05, "{found:?}");
    assert!((found.batch.exponent / LAW.batch.exponent - 1.0).abs() < 0.05, "{found:?}");
    let verdict = answer(&good).verdict(&STUDY);
    assert_eq!((verdict.holds, failing(&verdict)), (Holds::Yes, vec![]), "{verdict:?}");
    let off = answer(&measured(1.1)).verdict(&STUDY);
    assert_eq!(off.holds, Holds::No);
    assert!(failing(&off).starts_with(&[0]), "{off:?}");
}

#[test]
fn a_predicted_run_that_diverged_is_not_left_out() {
    let mut results = measured(1.0);
    let outcome = results.record("test/256", 1).unwrap();
    outcome.number(DIVERGED, 700.0);
    outcome.curves.entry(TEST_LOSS).or_default().retain(|point| point[0] < 700.0);
    let verdict = answer(&results).verdict(&STUDY);
    assert_eq!((verdict.holds, error(&results, 256, Guess::Law).0[0]), (Holds::No, (1, f64::INFINITY)));
    names_as_diverged(&STUDY, &results, "“width 32, batch 256” with 1 of ");
}

#[test]
fn without_a_law_nothing_is_judged() {
    let mut results = measured(1.0);
    for batch in BATCHES {
        // Losses that stand still reach no level.
        let outcome = results.record(&id(MIDDLE, batch), 1).unwrap();
        outcome.curves.entry(TEST_LOSS).or_default().iter_mut().for_each(|point| point[1] = 3.0);
    }
    assert_eq!(unfitted(&results), 1);
    assert_eq!(answer(&results).verdict(&STUDY).holds, Holds::Untested);
}

#[test]
fn the_middle_size_is_known_between_its_readings() {
    let knobs = turned(&STUDY, &[("budget", "2000")]);
    let common = BATCHES.iter().position(|batch| *batch == COMMON).unwrap();
    assert!(fitted(&knobs, 0.01)[common].spec.steps > knobs.get(&UPDATES) as u64);
    let mut results = measured(1.0);
    let known = results.record(&id(MIDDLE, COMMON), 1).unwrap().curves.get_mut(&TEST_LOSS).unwrap();
    known.iter_mut().for_each(|point| point[0] += 0.5);
    let lengths = [Guess::Law, Guess::Copy].map(|way| guess(&results, 1, 64, way).unwrap().len());
    assert!(lengths[0] > 10 && lengths[0].abs_diff(lengths[1]) <= 1, "{lengths:?}");
}
