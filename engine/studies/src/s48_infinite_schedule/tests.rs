//! The card's exact checks of schedules, on the runs that the study makes, and of its verdict.

use std::rc::Rc;

use super::*;
use crate::test_help::{branch_rates, close, failing, names_as_diverged, rates, turned};
use engine::cpu::CpuExecutor;
use engine::data::{Data, Info, Scaling, Table, Target, Values};
use engine::figure::Holds;
use engine::spec::Decay;
use engine::streams::{StreamTask, TaskStream};
use engine::train::{TrainError, Trainer};

#[test]
fn specs_are_valid_and_every_edit_takes_hold() {
    for pairs in [&[][..], &[("anneal", "50"), ("tasks", "3"), ("equal", "true"), ("plateau", "1")]] {
        let knobs = turned(&STUDY, pairs);
        for setting in Setting::all(&knobs) {
            for arm in runs(&knobs, setting) {
                assert_eq!(arm.spec.validate(), [], "{}", arm.label.id);
            }
        }
    }
    let ids: Vec<String> = arms(&turned(&STUDY, &[("lengths", "planned")])).into_iter().map(|label| label.id).collect();
    assert_eq!(ids, [COSINE, MAIN, BRANCHES, IN_LINE, CONSTANT]);
}

/// Exact check 1, with the steps counted from 0: a phase's last value is that of its last step.
#[test]
fn the_infinite_schedule_has_its_values_and_no_jumps() {
    let arm = &runs(&turned(&STUDY, &[]), Setting::Planned)[1];
    let main = rates(&arm.spec);
    let (peak, plateau, floor) = (1e-2, 0.375e-2, 1e-4);
    close(main[19], peak);
    close(main[60], plateau);
    for branch in &arm.branches {
        let rates = branch_rates(arm, branch);
        let [at, end] = [branch.at, branch.steps].map(|step| step as usize);
        assert_eq!(end - at, 40);
        close(rates[at], main[at]);
        close(rates[at - 1], main[at - 1]);
        close(rates[end - 1], floor);
        close((rates[at + 19] * rates[at + 20]).sqrt(), (plateau * floor).sqrt());
    }
    assert!(main.windows(2).skip(20).all(|pair| (pair[1] - pair[0]).abs() < 0.05 * peak), "continuous");
}

/// Exact check 2.
#[test]
fn a_plateau_at_the_peak_makes_it_a_wsd_schedule() {
    let arm = &runs(&turned(&STUDY, &[("plateau", "1")]), Setting::Planned)[1];
    let branch = &arm.branches[0];
    let wsd = ScheduleSpec { kind: Shape::Wsd, form: Decay::Exponential, ..branch.schedule.clone() };
    let as_wsd = branch_rates(arm, &Branch { schedule: wsd, ..branch.clone() });
    for (infinite, wsd) in branch_rates(arm, branch).into_iter().zip(as_wsd) {
        close(infinite, wsd);
    }
}

/// Exact check 3, and what a surprise does to a cosine.
#[test]
fn the_cosine_is_warmed_up_for_every_task() {
    let cosine = rates(&runs(&turned(&STUDY, &[]), Setting::Planned)[0].spec);
    for start in [0, 200, 1000] {
        close(cosine[start], 1e-2 / 20.0);
        close(cosine[start + 19], 1e-2);
        close((cosine[start + 109] + cosine[start + 110]) / 2.0, (1e-2 + 1e-4) / 2.0);
        close(cosine[start + 199], 1e-4);
    }
    let surprised = rates(&runs(&turned(&STUDY, &[]), Setting::Surprise)[0].spec);
    assert!(surprised[299] > 5e-3, "cut while hot");
    close(surprised[300], 1e-2 / 20.0);
    close(surprised[619], 1e-4);
}

/// Exact check 4, second half (the first is a test of `train/branch.rs`).
#[test]
fn no_later_task_sees_more_than_the_plateau() {
    for setting in [Setting::Planned, Setting::Surprise] {
        for arm in &runs(&turned(&STUDY, &[]), setting)[1..] {
            let rates = rates(&arm.spec);
            assert!(rates[60..].iter().all(|&rate| rate <= 0.375e-2 * (1.0 + 1e-12)), "{}", arm.label.id);
            for border in setting.borders(&turned(&STUDY, &[])) {
                let annealed = rates[border as usize - 1] < 0.02e-2;
                assert_eq!(annealed, arm.label.id.starts_with(IN_LINE), "{}", arm.label.id);
            }
        }
    }
}

#[test]
fn equal_sums_are_equal() {
    let runs = runs(&turned(&STUDY, &[("equal", "true")]), Setting::Surprise);
    close(sum_of_rates(&runs[0].spec), sum_of_rates(&runs[2].spec));
}

/// Exact check 6: two quadratic tasks with minima -1 and +1. The squared error of a bias b against a target c falls by
/// 2 eta (b - c) a step, so after both tasks b = 1 - (1 - x) prod (1 - 2 eta), where x is b after the first.
#[test]
fn two_quadratics_end_where_the_sum_of_rates_says() -> Result<(), TrainError> {
    let target = Target::Number { name: "y".into(), values: vec![-1.0, 1.0], scaling: Scaling::IDENTITY };
    let table = Table { columns: vec!["x".into()], values: vec![0.0; 2], scaling: vec![Scaling::IDENTITY], target };
    let data = Rc::new(Data { info: Info::default(), values: Values::Table(table), train: 0..2, test: 2..2 });
    let knobs = turned(&STUDY, &[("tasks", "2"), ("peak", "0.02")]);
    for arm in runs(&knobs, Setting::Surprise) {
        let spec = RunSpec {
            model: ModelSpec::Mlp(MlpSpec { hidden: vec![], ..MlpSpec::default() }),
            objective: ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() },
            optimizer: OptimizerSpec { kind: Rule::Sgd, weight_decay: 0.0, ..OptimizerSpec::default() },
            batch: BatchSpec { size: 1, ..BatchSpec::default() },
            ..arm.spec.clone()
        };
        let tasks = [StreamTask { rows: vec![0], draws: 200 }, StreamTask { rows: vec![1], draws: 100 }];
        let sampler = Box::new(TaskStream::new(&tasks, 0, 1));
        let found = pollster::block_on(async {
            let mut trainer = Trainer::with_sampler(CpuExecutor::new(), &spec, data.clone(), sampler).await?;
            trainer.set_theta(&[0.0; 2])?;
            for _ in 0..300 {
                trainer.step().await?;
            }
            trainer.theta().await
        })?;
        let left = |rates: &[f64]| rates.iter().map(|rate| 1.0 - 2.0 * rate).product::<f64>();
        let rates = rates(&spec);
        let first = -1.0 + left(&rates[..200]);
        let expected = 1.0 - (1.0 - first) * left(&rates[200..]);
        let bias = f64::from(found[0] + found[1]);
        assert!((bias - expected).abs() < 1e-5, "{}: {bias}, not {expected}", arm.label.id);
    }
    Ok(())
}

/// Numbers in which the infinite schedule is better than the others by a share.
fn filled(knobs: Knobs, gain: f64, constant: f64) -> Results {
    let mut results = Results::new(knobs.clone(), arms(&knobs), vec![1, 2, 3, 4, 5]);
    for label in results.arms.clone() {
        let better = match &label.id {
            id if id.starts_with(COSINE) => 0.0,
            id if id.starts_with(CONSTANT) => constant,
            _ => gain,
        };
        for seed in 1..=5 {
            for (number, value) in [(FINAL, 0.7), (FORGETTING, 0.04), (RISE, 0.05), (LEARNED, 0.6)] {
                let outcome = results.record(&label.id, seed).unwrap();
                outcome.number(number, value * (1.0 - better) + 1e-4 * seed as f64);
            }
        }
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let judged =
        |pairs: &[(&str, &str)], gain, constant| answer(&filled(turned(&STUDY, pairs), gain, constant)).verdict(&STUDY);
    assert_eq!(failing(&judged(&[], 0.1, 0.0)), [0; 0]);
    assert_eq!(judged(&[], 0.1, 0.0).holds, Holds::Yes);
    let constant = judged(&[], 0.1, 0.15);
    assert_eq!((constant.holds, failing(&constant)), (Holds::Yes, vec![5]), "a constant rate is ahead");
    assert!(constant.answer.contains("is ahead of the repeated cosine"), "{}", constant.answer);
    let why = "costs more than annealing gains";
    assert!(constant.measured.contains(why) && !judged(&[], 0.1, 0.0).measured.contains(why), "{}", constant.measured);
    // Half a percent worse is not worse, and not better.
    assert_eq!(failing(&judged(&[], -0.005, 0.0)), [0, 1, 2, 4, 5]);
    let without = judged(&[("replay", "0")], 0.1, 0.0);
    assert_eq!((without.holds, without.checks().filter(|check| check.holds.is_none()).count()), (Holds::Untested, 5));
}

#[test]
fn with_planned_lengths_alone_the_final_loss_is_as_good() {
    let knobs = turned(&STUDY, &[("lengths", "planned")]);
    let verdict = answer(&filled(knobs, -0.005, -0.1)).verdict(&STUDY);
    assert_eq!((verdict.holds, failing(&verdict)), (Holds::Yes, vec![1, 2]));
}

/// A run that diverged is no better for what it did before; where both did, nothing is compared.
#[test]
fn what_diverged_is_infinite() {
    let lose = |results: &mut Results, arm: &str, seed: u64| {
        let outcome = results.record(&Setting::Surprise.arm(arm), seed).unwrap();
        *outcome = Outcome::default();
        conclude(outcome, &[200, 300]);
    };
    let mut results = filled(turned(&STUDY, &[]), 0.1, 0.0);
    (1..=2).for_each(|seed| lose(&mut results, BRANCHES, seed));
    let verdict = answer(&results).verdict(&STUDY);
    assert_eq!(failing(&verdict), [0, 5]);
    names_as_diverged(&STUDY, &results, "with 2 of 5 seeds");
    (1..=5).for_each(|seed| [BRANCHES, COSINE].into_iter().for_each(|arm| lose(&mut results, arm, seed)));
    assert_eq!(answer(&results).verdict(&STUDY).holds, Holds::Untested);
    let nothing = answer(&crate::test_help::unmeasured(&STUDY, &[], &[1])).verdict(&STUDY);
    assert!(nothing.measured.is_empty() && !nothing.answer.contains("NaN"), "{}", nothing.answer);
}
