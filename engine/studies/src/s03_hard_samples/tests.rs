//! What the arms draw, and that the answer follows the numbers. How batches are selected is tested where it is done.

use engine::cpu::CpuExecutor;
use engine::data::{load, pack_file, read_pack_file};
use engine::figure::Holds;
use engine::train::{TrainError, Trainer};

use super::*;
use crate::names::DIVERGED;
use crate::test_help::{close, failing, names_as_diverged, turned};

/// Parameters after so many updates, losses of these, and what is remembered of each batch.
fn trained(arm: &str, knobs: &[(&str, &str)], updates: u64) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let arms = arms(&turned(&STUDY, knobs));
    let spec = &arms.iter().find(|known| known.label.id == arm).unwrap().spec;
    let pack = read_pack_file(&pack_file(spec.data.set).unwrap()).unwrap();
    let data = load(&spec.data, 1, Some(&pack)).unwrap();
    let run = async {
        let mut trainer = Trainer::new(CpuExecutor::new(), spec, data.into()).await?;
        for _ in 0..updates {
            trainer.step().await?;
        }
        let losses = trainer.metrics().await?.iter().map(|step| step.loss).collect();
        Ok::<_, TrainError>((trainer.theta().await?, losses, trainer.remembered().to_vec()))
    };
    pollster::block_on(run).unwrap()
}

const SMALL: &[(&str, &str)] = &[("batch", "256"), ("epochs", "3")];

#[test]
fn the_first_pass_is_that_of_all_batches_and_losses_are_those_before_an_update() {
    let [all, half] = ["S/all", "S/half"].map(|arm| trained(arm, SMALL, 8));
    assert_eq!(all.0, half.0);
    // A batch of the first pass is remembered with the loss of its own update.
    half.1.iter().zip(&half.2).for_each(|(&loss, &remembered)| close(loss.into(), remembered.into()));
    assert!(all.2.is_empty());
    // Of the next round the hardest four are trained on, in the order of their numbers.
    let (_, losses, remembered) = trained("S/half", SMALL, 12);
    let mut order: Vec<usize> = (0..8).collect();
    order.sort_by(|&a, &b| half.2[b].total_cmp(&half.2[a]));
    let mut hardest = order[..4].to_vec();
    hardest.sort_unstable();
    for (number, &batch) in hardest.iter().enumerate() {
        close(remembered[batch].into(), losses[8 + number].into());
    }
    assert!(order[4..].iter().all(|&batch| remembered[batch] == half.2[batch]), "the others keep theirs");
}

#[test]
fn all_arms_do_as_many_updates_and_all_of_all_is_plain_training() {
    let arms = super::arms(&turned(&STUDY, &[]));
    assert_eq!(arms.len(), 9);
    assert!(arms.iter().all(|arm| arm.spec.steps == 768));
    let [all, whole] = [("S/all", "0.5"), ("S/half", "1")]
        .map(|(arm, share)| trained(arm, &[("batch", "256"), ("epochs", "3"), ("share", share)], 20));
    assert_eq!(all.0, whole.0);
}

/// Accuracies of all batches, of the hardest and of random ones, sorted; then of the first two, shuffled once.
fn filled(sorted: [f64; 3], shuffled: [f64; 2], soon: [f64; 2]) -> Results {
    let knobs = turned(&STUDY, &[]);
    let labels = arms(&knobs).into_iter().map(|arm| arm.label).collect();
    let mut results = Results::new(knobs, labels, vec![1, 2, 3, 4, 5]);
    for seed in 1..=5 {
        let mut end = |arm: &str, soon: f64, accuracy: f64, loss: f64| {
            let outcome = results.record(arm, seed).unwrap();
            outcome.reading(ACCURACY, soon, 80.0);
            outcome.reading(ACCURACY, 768.0, accuracy);
            outcome.reading(TRAINING_LOSS, 384.0, loss);
        };
        for (place, arm) in ["all", "half", "random"].into_iter().enumerate() {
            end(&id(SORTED, arm), *soon.get(place).unwrap_or(&100.0), sorted[place], 0.2);
        }
        end(&id(SHUFFLED, "all"), 100.0, shuffled[0], 0.2);
        end(&id(SHUFFLED, "half"), 100.0, shuffled[1], 0.1);
        end(&id(SHUFFLED, "few"), 100.0, shuffled[1], 0.1);
        end("F", 100.0, 90.0, 0.1);
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let verdict = |sorted, shuffled, soon| answer(&filled(sorted, shuffled, soon)).verdict(&STUDY);
    let whole = verdict([80.0, 90.0, 85.0], [90.0, 90.5], [400.0, 100.0]);
    assert_eq!(failing(&whole), [0; 0]);
    assert!(whole.answer.ends_with("hardness helps."), "{}", whole.answer);
    assert_eq!(failing(&verdict([80.0, 84.0, 85.0], [90.0, 92.0], [150.0, 100.0])), [0, 1, 2, 3, 5]);
    assert_eq!(verdict([80.0, 84.0, 84.0], [90.0, 90.0], [400.0, 100.0]).holds, Holds::No);
    let behind = verdict([80.0, 79.0, 82.0], [90.0, 90.0], [400.0, 100.0]);
    assert!(behind.answer.ends_with("drawn at random get 82%."), "{}", behind.answer);
    let tie = verdict([80.0, 90.0, 90.0], [90.0, 90.0], [400.0, 100.0]);
    assert!(tie.holds == Holds::Yes && tie.answer.ends_with("not hardness."), "{}", tie.answer);
}

/// A run that does not get to the accuracy counts as one that needs all its updates, also where it diverged early.
#[test]
fn runs_that_miss_or_diverge_do_not_look_good() {
    let mut results = filled([80.0, 90.0, 85.0], [90.0, 90.5], [400.0, 100.0]);
    let outcome = results.record("S/half", 2).unwrap();
    outcome.curves.clear();
    outcome.reading(ACCURACY, 30.0, 60.0);
    outcome.number(DIVERGED, 20.0);
    assert_eq!(soon(&results, "S/half").values().nth(1), Some(768.0));
    assert_eq!(results.sample_or("S/half", ACCURACY, CHANCE).values().nth(1), Some(10.0));
    let verdict = answer(&results).verdict(&STUDY);
    assert!(
        verdict.measured.contains("“sorted: hardest 0.5” does not reach 75% in 1 of 5 runs"),
        "{}",
        verdict.measured
    );
    names_as_diverged(&STUDY, &results, "“sorted: hardest 0.5” with 1 of 5 seeds");
    results.record("F", 2).unwrap().number(DIVERGED, 20.0);
    assert_eq!(answer(&results).verdict(&STUDY).checks().nth(5).unwrap().holds, None, "both guess");
    for seed in 1..=5 {
        for arm in ["S/all", "S/half"] {
            results.record(arm, seed).unwrap().curves.clear();
        }
    }
    assert_eq!(answer(&results).verdict(&STUDY).checks().nth(1).unwrap().holds, None, "neither gets there");
}

#[test]
fn all_batches_are_not_compared_with_themselves() {
    let mut results = filled([80.0, 90.0, 85.0], [90.0, 90.5], [400.0, 100.0]);
    results.knobs = turned(&STUDY, &[("share", "1")]);
    assert_eq!(answer(&results).verdict(&STUDY).holds, Holds::Untested);
}
