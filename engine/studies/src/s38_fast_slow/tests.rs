use burn::nn::Linear;
use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::graph::capture::stop_gradient;
use engine::model::{Builder, Init, Mode};
use engine::tape::{Breathless, Home, trace};

use super::memory::{Critic, critic_loss, later, written};
use super::steps::{CRITIC, adam};
use super::*;
use crate::test_help::{failing, unmeasured};

const FEW: usize = 8;

fn play(seed: u64) -> Play<'static> {
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    Play::new(&home, Breathless, seed).unwrap()
}

fn batch(number: u64) -> Batch {
    Batch::drawn(FEW, &mut Rng::new(number, Stream::Probe, 0))
}

/// Parameters of all nets after so many updates, or the summed gradients of the first where `updates` is 0.
fn learned(window: usize, feedback: Feedback, updates: usize, given: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let way = Way { rows: FEW, window, feedback, fast: false };
    let mut play = play(1);
    pollster::block_on(async {
        let steps = Steps::new(&mut play, way).await?;
        for net in [SLOW, FAST, CRITIC] {
            play.rate(net, 0.01)?;
        }
        for number in 0..updates {
            steps::learn(&mut play, &steps, way, &batch(number as u64), number).await?;
        }
        let mut all = Vec::new();
        if updates == 0 {
            steps::pass(&mut play, &steps, way, &batch(0), 0, given).await?;
            for state in ["sum.slow", "sum.fast"] {
                all.push(play.read(state).await?);
            }
        } else {
            for state in ["slow.theta", "controllers.theta"] {
                all.push(play.read(state).await?);
            }
        }
        Ok::<_, StudyError>(all)
    })
    .unwrap()
}

/// A module that predicts 0, as at its start, leaves truncated back-propagation as it is, to the last bit.
#[test]
fn a_fresh_module_changes_nothing() {
    assert_eq!(learned(3, Feedback::Critic, 0, &[]), learned(3, Feedback::None, 0, &[]));
    assert_ne!(learned(3, Feedback::Critic, 30, &[]), learned(3, Feedback::None, 30, &[]));
}

/// True gradients at the borders make the gradients of windows add up to those of the whole sequence.
#[test]
fn true_gradients_make_windows_whole() {
    let whole = learned(LENGTH, Feedback::None, 0, &[]);
    for window in [1, 3, 6] {
        let (mut play, batch) = (play(1), batch(0));
        let truth = pollster::block_on(async {
            let step = play.add(whole_step("truth", FEW, LENGTH, window)?).await?;
            play.run(step, &[("x", Words::Numbers(&batch.x)), ("labels", Words::Classes(&batch.labels))]).await?;
            Ok::<_, StudyError>(play.fetch(step, "truth").await?)
        });
        let given: Vec<Vec<f32>> = truth.unwrap().chunks(FEW * STATE).map(<[f32]>::to_vec).collect();
        assert_eq!(given.len(), LENGTH / window - 1);
        for (parts, whole) in learned(window, Feedback::Given, 0, &given).iter().zip(&whole) {
            let off = parts.iter().zip(whole).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(off < 1e-4 && whole.iter().any(|slope| slope.abs() > 1e-3), "{window}: {off}");
        }
        let cut = learned(window, Feedback::None, 0, &[]);
        assert!(cut[1].iter().zip(&whole[1]).any(|(a, b)| (a - b).abs() > 1e-4));
    }
}

/// A window as long as the sequence is back-propagation to the start: nothing is predicted after its end.
#[test]
fn one_window_needs_no_prediction() {
    assert_eq!(learned(LENGTH, Feedback::Critic, 3, &[]), learned(LENGTH, Feedback::None, 3, &[]));
}

/// The task's loss does not reach the module through its prediction, nor does its own loss through the target.
#[test]
fn the_module_learns_from_its_own_error_alone() {
    let step = trace("reach", Mode::Train, |tape| {
        let critic = tape.net(CRITIC, Critic::new);
        let state = tape.input("state", [FEW, STATE]);
        let theta = tape.flat(CRITIC);
        let predicted = critic.forward(state.clone());
        let task = later(state.clone(), predicted.clone());
        let through_target = critic_loss(stop_gradient(predicted.clone()), predicted.clone());
        let own = critic_loss(predicted, state * 0.5);
        for (name, loss) in [("task", task), ("target", through_target), ("own", own)] {
            let slope = tape.grad(&loss, &theta).abs().sum();
            tape.fetch(name, &slope);
        }
        Ok(())
    });
    let mut play = play(1);
    let reached = pollster::block_on(async {
        let step = play.add(step?).await?;
        let theta: Vec<f32> = play.read("critic.theta").await?.iter().map(|value| value + 0.01).collect();
        play.write("critic.theta", &theta)?;
        let state: Vec<f32> = (0..FEW * STATE).map(|at| (at % 7) as f32 - 3.0).collect();
        play.run(step, &[("state", Words::Numbers(&state))]).await?;
        let mut reached = Vec::new();
        for name in ["task", "target", "own"] {
            reached.push(play.fetch(step, name).await?[0]);
        }
        Ok::<_, StudyError>(reached)
    })
    .unwrap();
    assert_eq!(reached[..2], [0.0, 0.0]);
    assert!(reached[2] > 1e-3);
}

/// To erase all of one slot and write puts a value in its place; to erase and write nothing changes nothing.
#[test]
fn a_write_replaces_what_it_names() {
    let step = trace("write", Mode::Eval, |tape| {
        let (memory, address) = (tape.input("memory", [1, 2, 3]), tape.input("address", [1, 2]));
        let (erase, value) = (tape.input("erase", [1, 3]), tape.input("value", [1, 3]));
        tape.fetch("memory", &written(memory, address, erase, value));
        Ok(())
    });
    let mut play = play(1);
    let step = pollster::block_on(play.add(step.unwrap())).unwrap();
    let memory = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let mut after = |address: [f32; 2], erase: [f32; 3], value: [f32; 3]| {
        let inputs = [("memory", &memory[..]), ("address", &address), ("erase", &erase), ("value", &value)];
        let inputs = inputs.map(|(name, values)| (name, Words::Numbers(values)));
        pollster::block_on(play.run(step, &inputs)).unwrap();
        pollster::block_on(play.fetch(step, "memory")).unwrap()
    };
    assert_eq!(after([0.0, 1.0], [1.0; 3], [7.0, 8.0, 9.0]), [1.0, 2.0, 3.0, 7.0, 8.0, 9.0]);
    assert_eq!(after([0.5, 0.5], [0.0; 3], [0.0; 3]), memory);
}

#[test]
fn addresses_are_shares_and_one_symbol_is_flagged() {
    let (mut play, batch) = (play(1), batch(3));
    let addresses = pollster::block_on(async {
        let step = play.add(whole_step("test", FEW, LENGTH, 3)?).await?;
        play.run(step, &[("x", Words::Numbers(&batch.x)), ("labels", Words::Classes(&batch.labels))]).await?;
        Ok::<_, StudyError>(play.fetch(step, "addresses").await?)
    });
    assert!(addresses.unwrap().chunks(2).all(|pair| (pair[0] + pair[1] - 1.0).abs() < 1e-6));
    let answers = batch.labels.iter().zip(&batch.flagged);
    for (sequence, (&label, &step)) in batch.x.chunks(LENGTH * memory::INPUTS).zip(answers) {
        let inputs: Vec<&[f32]> = sequence.chunks(memory::INPUTS).collect();
        let flagged: Vec<usize> = (0..LENGTH).filter(|&step| inputs[step][SYMBOLS] == 1.0).collect();
        assert_eq!((flagged, inputs[step][label as usize]), (vec![step], 1.0));
    }
}

/// Where a state goes through a matrix A and the loss is half its square, the gradient before it is AᵀA s: a linear module
/// comes to that.
#[test]
fn a_linear_module_comes_to_the_gradient_of_a_linear_memory() {
    let step = trace("toy", Mode::Train, |tape| {
        let module: Linear = tape.net(CRITIC, |builder: &mut Builder| builder.linear(2, 2, false, Init::Constant(0.0)));
        let state = tape.input("state", [16, 2]);
        let matrix = tape.input("matrix", [2, 2]);
        let loss = state.clone().matmul(matrix).powf_scalar(2.0).sum() * 0.5;
        let target = tape.grad(&loss, &state);
        let off = critic_loss(module.forward(state), target);
        tape.minimise(CRITIC, &off, &adam());
        Ok(())
    });
    let mut play = play(1);
    // Rows times [[1, 0.5], [-0.3, 0.8]]: the product with its transpose is symmetric.
    let (matrix, expected) = ([1.0, 0.5, -0.3, 0.8], [1.25, 0.1, 0.1, 0.73]);
    let found = pollster::block_on(async {
        let step = play.add(step?).await?;
        let mut rng = Rng::new(2, Stream::Probe, 0);
        for update in 0..500 {
            play.rate(CRITIC, if update < 300 { 0.03 } else { 0.003 })?;
            let state: Vec<f32> = (0..32).map(|_| rng.normal()).collect();
            play.run(step, &[("state", Words::Numbers(&state)), ("matrix", Words::Numbers(&matrix))]).await?;
        }
        Ok::<_, StudyError>(play.read("critic.theta").await?)
    });
    for (found, expected) in found.unwrap().iter().zip(expected) {
        assert!((found - expected).abs() < 0.01 * 1.25, "{found} for {expected}");
    }
}

/// Results in which arms end as given, with these updates to 50%.
fn results(numbers: [[f64; 2]; 5]) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for ((id, ..), [accuracy, updates]) in ARMS.iter().zip(numbers) {
        let outcome = results.record(id, 1).unwrap();
        outcome.number(FINAL, accuracy);
        outcome.number(SPEED, updates);
        outcome.number(STORED, if *id == "full" { 400.0 } else { 100.0 });
        outcome.number(ALIKE, accuracy / 200.0);
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let expected = [[99.0, 200.0], [20.0, 1500.0], [30.0, 1500.0], [80.0, 800.0], [85.0, 500.0]];
    let verdict = answer(&results(expected)).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes. Learning from predicted gradients is ahead"), "{}", verdict.answer);
    assert_eq!(failing(&verdict), [0; 0]);
    let verdict =
        answer(&results([[30.0, 900.0], [36.0, 1500.0], [45.0, 1500.0], [38.0, 800.0], [85.0, 900.0]])).verdict(&STUDY);
    assert!(verdict.answer.starts_with("No, not by enough."));
    assert_eq!(failing(&verdict), [0, 1, 2, 3, 5, 6]);
}

/// Where neither arm gets to 50%, nothing is said of which is faster; where one does, the other counts as later than its last
/// update.
#[test]
fn an_arm_that_never_gets_there_is_no_tie() {
    let judged = |critic: f64, fast: f64| {
        let ends = [[99.0, 200.0], [20.0, 2001.0], [30.0, 2001.0], [80.0, critic], [85.0, fast]];
        let verdict = answer(&results(ends)).verdict(&STUDY);
        (verdict.also[5].holds, verdict.measured)
    };
    assert_eq!(judged(2001.0, 2001.0).0, None);
    assert_eq!([judged(2001.0, 2000.0).0, judged(2000.0, 2001.0).0], [Some(true), Some(false)]);
    let said = "to 50%, those that learn after the sequence 2001 (never in 1 of 1 seeds, which counts as 2001).";
    assert!(judged(2001.0, 500.0).1.ends_with(said), "{}", judged(2001.0, 500.0).1);
}
