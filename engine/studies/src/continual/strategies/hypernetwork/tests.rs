//! What a hypernetwork promises, each by itself.

use engine::model::Init;

use super::*;
use crate::continual::tests::{SMALL, ground, play, spec};

/// A session of small digits in which a hypernetwork has begun to learn by Adam.
fn ready(settings: &str) -> (Desk<'static>, Hypernetwork, Make) {
    by("adam&rate=0.01", settings)
}

/// The same by another rule.
fn by(optimizer: &str, settings: &str) -> (Desk<'static>, Hypernetwork, Make) {
    let session = format!("scenario=task&hidden=16,12&optimizer={optimizer}&strategies=hypernetwork{settings}");
    let spec = spec(&format!("{SMALL}&{session}"));
    let ground = ground(&spec);
    let desk = Desk::new(play(1), ground.spec.clone(), ground.tasks.clone(), None, 1);
    let mut desk = pollster::block_on(desk).unwrap();
    let mut hyper = Hypernetwork::new(&spec.arms[0].legs[0], &desk);
    pollster::block_on(hyper.begin(&mut desk)).unwrap();
    let make = make(&desk.spec, desk.input_shape(), &hyper.heads, &hyper.leg).unwrap().0;
    (desk, hyper, make)
}

fn learn(desk: &mut Desk<'_>, hyper: &mut Hypernetwork, task: usize, updates: usize) {
    for update in 0..updates {
        let rows = desk.tasks.train[task][6 * (update % 8)..6 * (update % 8) + 6].to_vec();
        pollster::block_on(hyper.learn(desk, &Batch { update: update as u64, rows })).unwrap();
    }
}

/// The weights made for a task now.
fn made(desk: &mut Desk<'_>, hyper: &Hypernetwork, task: usize) -> Vec<f32> {
    let step = desk.known(MAKE).unwrap();
    let which = hyper.one_of(task);
    pollster::block_on(desk.play.run(step, &[("which", Words::Numbers(&which))])).unwrap();
    pollster::block_on(desk.play.read(MADE)).unwrap()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// Both kinds begin with the deviation that each layer would have of itself, and with biases of 0.
#[test]
fn weights_start_as_each_layer_would() {
    for settings in ["", ":recurrent=0"] {
        let (mut desk, hyper, make) = by("adam&rate=0.01&hidden=48,48,48", settings);
        let weights: Vec<Vec<f32>> = (0..5).map(|task| made(&mut desk, &hyper, task)).collect();
        for entry in make.sizes.layout.entries() {
            let place = entry.offset..entry.offset + entry.shape.iter().product::<usize>();
            let all: Vec<f32> = weights.iter().flat_map(|weights| weights[place.clone()].to_vec()).collect();
            let size = (all.iter().map(|weight| weight * weight).sum::<f32>() / all.len() as f32).sqrt();
            match entry.init {
                Init::Normal(expected) => {
                    // Of a few weights a deviation is known less well: three of its own deviations.
                    let allowed = (3.0 / (2.0 * place.len() as f32).sqrt()).max(0.1);
                    assert!(
                        (size / expected - 1.0).abs() < allowed,
                        "{settings} {}: {size} for {expected}",
                        entry.name
                    );
                }
                _ => assert_eq!(size, 0.0, "{}", entry.name),
            }
        }
    }
}

/// An MLP has as many parameters as the LSTM, within 3%.
#[test]
fn both_kinds_are_as_large() {
    let [lstm, mlp] = ["", ":recurrent=0"].map(|settings| ready(settings).1.parameters as f64);
    assert!((lstm / mlp - 1.0).abs() < 0.03, "{lstm} and {mlp}");
}

/// Chunks cover all weights, in order, and the last one is cut: its own vector reaches the weights at the end alone.
#[test]
fn the_last_chunk_is_cut() {
    let (mut desk, hyper, make) = ready(":chunks=7:recurrent=0");
    let (count, chunk) = (make.sizes.layout.len(), make.sizes.chunk());
    assert!(chunk * 7 > count && chunk * 6 < count);
    let before = made(&mut desk, &hyper, 2);
    let mut theta = pollster::block_on(desk.play.read(THETA)).unwrap();
    // Vectors of the chunks follow those of the tasks.
    theta[(5 + 6) * VECTOR..(5 + 7) * VECTOR].fill(0.7);
    desk.play.write(THETA, &theta).unwrap();
    let after = made(&mut desk, &hyper, 2);
    assert_eq!((before.len(), &before[..6 * chunk]), (count, &after[..6 * chunk]));
    assert!(furthest(&before[6 * chunk..], &after[6 * chunk..]) > 0.01);
}

/// The penalty is 0 without a slope where nothing has moved, else the sum by hand.
#[test]
fn the_penalty_is_the_weighed_square() {
    let step = trace("penalty", Mode::Train, |tape| {
        let (made, targets) = (tape.input("made", [2, 3]), tape.input("targets", [2, 3]));
        let (importance, holds) = (tape.input("importance", [2, 3]), tape.input("holds", [2, 1]));
        let penalty = held(made.clone(), targets, importance, holds);
        let slope = tape.grad(&penalty, &made);
        tape.fetch("penalty", &penalty);
        tape.fetch("slope", &slope);
        Ok(())
    });
    let mut play = play(1);
    let step = pollster::block_on(play.add(step.unwrap())).unwrap();
    let made = [1.0, 2.0, 3.0, -1.0, 0.5, 0.0];
    let mut run = |targets: [f32; 6], importance: [f32; 6]| {
        let inputs = [
            ("made", Words::Numbers(&made)),
            ("targets", Words::Numbers(&targets)),
            ("importance", Words::Numbers(&importance)),
            ("holds", Words::Numbers(&[0.5, 0.0])),
        ];
        pollster::block_on(play.run(step, &inputs)).unwrap();
        ["penalty", "slope"].map(|what| pollster::block_on(play.fetch(step, what)).unwrap())
    };
    assert_eq!(run(made, [1.0; 6]), [vec![0.0], vec![0.0; 6]]);
    // 0.5 (1 * 2^2 + 3 * 1^2): the second task counts for nothing.
    let [penalty, slope] = run([-1.0, 2.0, 4.0, 9.0, 9.0, 9.0], [1.0, 1.0, 3.0, 1.0, 1.0, 1.0]);
    assert_eq!((penalty[0], &slope[..]), (3.5, &[2.0, 0.0, -3.0, 0.0, 0.0, 0.0][..]));
}

/// In a step the penalty is the sum by hand over the tasks that have ended, and the step descends its slope.
#[test]
fn a_step_descends_the_penalty() {
    const RATE: f32 = 0.05;
    let (mut desk, mut hyper, make) = by("sgd&rate=0.05", ":hold=0.3:weighed=1:chunks=5");
    // What is made for tasks that have ended moves on while it is not held.
    let mut free = Hypernetwork { hold: 0.0, ..hyper.clone() };
    for task in 0..2 {
        learn(&mut desk, &mut free, task, 10);
        pollster::block_on(hyper.border(&mut desk, task)).unwrap();
    }
    learn(&mut desk, &mut free, 2, 30);
    let [targets, importance] = [TARGETS, IMPORTANCE].map(|name| pollster::block_on(desk.play.read(name)).unwrap());
    let theta = pollster::block_on(desk.play.read(THETA)).unwrap();
    let count = make.sizes.layout.len();
    let by_hand = |desk: &mut Desk<'_>, hyper: &Hypernetwork| {
        let mut sum = 0.0;
        for task in 0..2 {
            let place = task * count..(task + 1) * count;
            let far = made(desk, hyper, task).into_iter().zip(&targets[place.clone()]).zip(&importance[place]);
            sum += far.map(|((now, then), weight)| f64::from(*weight) * f64::from(now - then).powi(2)).sum::<f64>();
        }
        sum * 0.3 / 2.0
    };
    let expected = by_hand(&mut desk, &hyper);
    learn(&mut desk, &mut hyper, 2, 1);
    let metrics = pollster::block_on(desk.play.metrics(desk.known(STEP).unwrap())).unwrap();
    let told = f64::from(*metrics["held"].last().unwrap());
    assert!(expected > 1e-3 && (told / expected - 1.0).abs() < 1e-5, "{told} against {expected}");
    let held = pollster::block_on(desk.play.read(THETA)).unwrap();
    desk.play.write(THETA, &theta).unwrap();
    learn(&mut desk, &mut free, 2, 1);
    let free = pollster::block_on(desk.play.read(THETA)).unwrap();
    // A number of a chunk's vector, of the LSTM, of the output map and its bias.
    let length = theta.len();
    for place in [5 * VECTOR + 3, 10 * VECTOR + 40, 10 * VECTOR + 5000, length - 300, length - 100] {
        let mut at = |step: f32| {
            let mut moved = theta.clone();
            moved[place] += step;
            desk.play.write(THETA, &moved).unwrap();
            by_hand(&mut desk, &hyper)
        };
        let expected = (at(0.01) - at(-0.01)) / 0.02;
        let found = f64::from((free[place] - held[place]) / RATE);
        assert!((found - expected).abs() < 1e-4 + 0.02 * expected.abs(), "{place}: {found} against {expected}");
    }
}

/// Held hard, weights of a task that has ended stay where they are; not held, they go, and no other task's vector moves.
#[test]
fn what_is_held_stays() {
    for (settings, rate) in [(":hold=1000000", 1e-5), (":hold=0", 1e-2)] {
        let (mut desk, mut hyper, make) = ready(settings);
        learn(&mut desk, &mut hyper, 0, 30);
        pollster::block_on(hyper.border(&mut desk, 0)).unwrap();
        let before = made(&mut desk, &hyper, 0);
        let targets = pollster::block_on(desk.play.read(TARGETS)).unwrap();
        assert_eq!(targets[..before.len()], before);
        let vectors = |theta: Vec<f32>| theta[..make.sizes.tasks * VECTOR].to_vec();
        let first = vectors(pollster::block_on(desk.play.read(THETA)).unwrap());
        desk.play.rate(HYPER, rate).unwrap();
        learn(&mut desk, &mut hyper, 1, 60);
        let after = made(&mut desk, &hyper, 0);
        let second = vectors(pollster::block_on(desk.play.read(THETA)).unwrap());
        for task in 0..5 {
            let place = task * VECTOR..(task + 1) * VECTOR;
            assert_eq!(first[place.clone()] == second[place], task != 1, "vector of task {task}");
        }
        let moved = furthest(&before, &after);
        assert!(if rate < 1e-3 { moved < 1e-3 } else { moved > 5e-2 }, "{settings}: {moved}");
    }
}

/// What two tasks come to, with what becomes of the hypernetwork between them.
fn after_two(settings: &str, between: impl FnOnce(&mut Desk<'_>, &mut Hypernetwork)) -> Vec<f32> {
    let (mut desk, mut hyper, _) = ready(settings);
    learn(&mut desk, &mut hyper, 0, 10);
    between(&mut desk, &mut hyper);
    learn(&mut desk, &mut hyper, 1, 10);
    pollster::block_on(desk.play.read(THETA)).unwrap()
}

fn end(desk: &mut Desk<'_>, hyper: &mut Hypernetwork) {
    pollster::block_on(hyper.border(desk, 0)).unwrap();
}

/// With a β of 0 a border changes nothing, and with an importance of 1 for all it counts for nothing: to the last bit.
#[test]
fn parts_that_are_off_are_not_there() {
    assert_eq!(after_two(":hold=0", end), after_two("", |_, _| ()));
    let weighed = after_two(":hold=1:weighed=1", |desk, hyper| {
        end(desk, hyper);
        let all = pollster::block_on(desk.play.read(IMPORTANCE)).unwrap();
        desk.play.write(IMPORTANCE, &vec![1.0; all.len()]).unwrap();
    });
    assert_eq!(weighed, after_two(":hold=1", end));
    assert_ne!(weighed, after_two(":hold=0", end));
}

/// A hypernetwork that can grow makes what one without the room makes, before it grows and when it does; then its new cells
/// learn.
#[test]
fn growing_changes_nothing_at_first() {
    let (mut desk, mut hyper, make) = ready(":grow=16");
    learn(&mut desk, &mut hyper, 0, 20);
    let theta = pollster::block_on(desk.play.read(THETA)).unwrap();
    let room = pollster::block_on(desk.play.read(ROOM)).unwrap();
    let old: Vec<f32> = theta.iter().zip(&room).filter(|(_, room)| **room == 0.0).map(|(value, _)| *value).collect();
    assert_eq!((old.len() as u64, hyper.parameters(0)), (hyper.parameters - hyper.waiting, old.len() as u64));
    let narrow = Make { sizes: Sizes { grow: 0, ..make.sizes.clone() }, ..make };
    let step = trace("narrow", Mode::Eval, |tape| {
        let made = Made::on(tape, &narrow).one;
        tape.fetch("made", &made);
        Ok(())
    });
    let mut bare = play(1);
    let scales = pollster::block_on(desk.play.read(SCALES)).unwrap();
    let expected = pollster::block_on(async {
        let step = bare.add(step?).await?;
        bare.write(THETA, &old)?;
        bare.write(SCALES, &scales)?;
        bare.run(step, &[("which", Words::Numbers(&hyper.one_of(0)))]).await?;
        Ok::<_, StudyError>(bare.fetch(step, "made").await?)
    });
    let found = made(&mut desk, &hyper, 0);
    assert!(furthest(&expected.unwrap(), &found) < 1e-6);
    // A second task that ends much worse than the first.
    end(&mut desk, &mut hyper);
    assert!(!hyper.grown);
    hyper.ended.insert(0, 1e-3);
    pollster::block_on(hyper.border(&mut desk, 1)).unwrap();
    assert!(hyper.grown && hyper.parameters(0) == hyper.parameters);
    assert_eq!(made(&mut desk, &hyper, 0), found);
    learn(&mut desk, &mut hyper, 2, 2);
    let after = pollster::block_on(desk.play.read(THETA)).unwrap();
    let learned = after.iter().zip(&theta).zip(&room).filter(|((after, before), room)| after != before && **room > 0.0);
    assert!(learned.count() as u64 > hyper.waiting / 2);
}

/// Importance has a mean of 1 for the task that has ended; without it each weight counts alike.
#[test]
fn importance_is_relative() {
    for (settings, alike) in [("", true), (":weighed=1", false)] {
        let (mut desk, mut hyper, make) = ready(settings);
        learn(&mut desk, &mut hyper, 0, 10);
        pollster::block_on(hyper.border(&mut desk, 0)).unwrap();
        let importance = pollster::block_on(desk.play.read(IMPORTANCE)).unwrap();
        let (own, others) = importance.split_at(make.sizes.layout.len());
        let mean = own.iter().sum::<f32>() / own.len() as f32;
        assert!((mean - 1.0).abs() < 1e-3 && others.iter().all(|other| *other == 0.0), "{mean}");
        assert_eq!(own.iter().all(|one| *one == 1.0), alike);
    }
}

/// Memory is what is held for each task that has ended, and operations are those of the step.
#[test]
fn costs_are_told() {
    let (mut desk, mut hyper, make) = ready(":weighed=1");
    let (count, small) = (make.sizes.layout.len() as u64, ready(":recurrent=0:chunks=5"));
    assert_eq!(hyper.extra_bytes(0), 0);
    learn(&mut desk, &mut hyper, 0, 2);
    end(&mut desk, &mut hyper);
    assert_eq!(hyper.extra_bytes(0), 2 * 4 * count);
    assert!(hyper.flop(&desk) > small.1.flop(&small.0) && small.1.flop(&small.0) > 0);
}
