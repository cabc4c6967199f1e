use burn::module::Module;
use burn::tensor::Tensor;
use engine::cpu::CpuExecutor;
use engine::data;
use engine::executor::AnyExecutor;
use engine::model::{Builder, Mode};
use engine::rng::{Rng, Stream};
use engine::tape::{Breathless, Home, Play, PlayError, Words, trace};

use super::clips::Sight;
use super::net::{PartNorm, parts};
use super::run::{Order, batch};
use super::schedule::{FRAMES, SIDE, Shape};
use super::*;
use crate::names::DIVERGED;
use crate::test_help::{failing, names_as_diverged, turned, unmeasured};

/// Batches of 8 at a rate of 0.05, of 2,000 clips, each seen four times by the baseline.
const CARD: [(&str, &str); 4] = [("batch", "8"), ("rate", "0.05"), ("train", "2000"), ("seen", "8")];

fn way() -> Way {
    multigrid(&turned(&STUDY, &CARD))
}

fn some_clips() -> Clips {
    let spec = DataSpec { train: 60, test: 20, size: 14, ..DataSpec::of(DataSet::Mnist) };
    let pack = data::read_pack_file(&data::pack_file(spec.set).unwrap()).unwrap();
    Clips::of(&data::load(&spec, 1, Some(&pack)).unwrap(), 1, 10, [60, 20]).unwrap()
}

/// Exact check 1: the work of all shapes is the default's but for the rounding of clips.
#[test]
fn shapes_cost_the_same() {
    let whole = Shape::of(8, FRAMES, SIDE);
    assert_eq!(whole, Shape { clips: 8, frames: 16, side: 24 });
    for phase in way().phases() {
        for shape in phase.shapes {
            let off = (shape.pixels() as f64 / whole.pixels() as f64 - 1.0).abs();
            assert!(off <= 0.5 / shape.clips as f64, "{shape:?}: {off}");
            assert!(off == 0.0 || shape.side == 16, "{shape:?}");
        }
    }
}

/// Exact check 2: 24 pixels and their halves take batches of 1 and 4; 16, for 24 over root 2, is 2.25 times less.
#[test]
fn the_short_cycle_has_a_period_of_three() {
    let clips = |shares| way().shapes(shares).iter().map(|shape| shape.clips).collect::<Vec<_>>();
    assert_eq!(clips([1.0, 1.0]), [32, 18, 8]);
    assert_eq!(clips([0.25, std::f64::consts::FRAC_1_SQRT_2]), [128, 72, 72]);
    let updates = way().updates(2000);
    for three in updates.windows(4).filter(|three| three[0].phase == three[3].phase) {
        assert_eq!(three[0].shape, three[3].shape);
        assert!(three[0].shape != three[1].shape || three[1].shape != three[2].shape);
    }
    assert_eq!(updates[0].shape.side, 12, "the coarsest first");
}

/// Exact check 3: within a stage each shape has as many updates; together they take 1.5 times the epochs.
#[test]
fn shapes_share_the_updates() {
    let phases = way().phases();
    let updates: Vec<f64> = phases.iter().map(|phase| phase.epochs / phase.clips()).collect();
    for stage in [&updates[..4], &updates[4..8], &updates[8..]] {
        assert!(stage.iter().all(|each| (each / stage[0] - 1.0).abs() < 1e-6), "{stage:?}");
    }
    let epochs: f64 = phases.iter().map(|phase| phase.epochs).sum();
    assert!((epochs - 6.0).abs() < 1e-9, "{epochs}");
    let all = way().updates(2000);
    let clips: usize = all.iter().map(|update| update.shape.clips).sum();
    assert!((clips as f64 / 12_000.0 - 1.0).abs() < 0.01 && all.len() <= 300, "{clips} in {}", all.len());
}

/// Exact check 4: after the warm-up each shape begins at its rate.
#[test]
fn rates_grow_with_the_long_cycle() {
    let mut wanted: Vec<f64> = [0.05, 0.005].iter().flat_map(|rate| [8.0, 4.0, 2.0, 1.0].map(|by| by * rate)).collect();
    wanted.extend([0.005, 0.0005]);
    let phases = way().phases();
    assert!(phases.iter().zip(&wanted).all(|(phase, rate)| (phase.rate / rate - 1.0).abs() < 1e-9));
    let updates = way().updates(2000);
    for (phase, rate) in wanted.iter().enumerate().skip(1) {
        let first = updates.iter().find(|update| update.phase == phase).unwrap();
        assert!((first.rate / rate - 1.0).abs() < 1e-9, "{first:?}");
    }
    let unscaled = Way { scaled: false, ..way() }.phases();
    assert!(unscaled[..4].iter().all(|phase| phase.rate == 0.05));
}

/// Exact check 6: without cycles the batches are the baseline's to the bit, and only whole clips are seen.
#[test]
fn without_cycles_nothing_is_left_of_it() {
    let knobs = turned(&STUDY, &[&CARD[..], &[("long", "false"), ("short", "false"), ("longer", "3")]].concat());
    let (plain, off) = (updates(&knobs, "A", 1.0), updates(&knobs, "B", 1.0));
    assert_eq!(plain, off);
    assert_eq!((plain.len(), plain[999].shape), (1000, Shape::of(8, FRAMES, SIDE)));
    let clips = some_clips();
    let drawn = || batch(&clips, &mut Order::new(5, 60), 5, 56, plain[0].shape);
    assert_eq!(drawn(), drawn());
    let mut order = Order::new(5, 60);
    let mut whole = vec![];
    (56..64).for_each(|place| clips.draw(order.at(place), Sight::WHOLE, &mut whole));
    assert_eq!(drawn().0, whole);
    let mut epoch: Vec<usize> = (60..120).map(|place| order.at(place)).collect();
    epoch.sort_unstable();
    assert_eq!(epoch, (0..60).collect::<Vec<_>>());
}

/// A coarse clip is the mean of the fine one, its frames are some of the fine one's, and a digit loses no ink on its way.
#[test]
fn coarse_clips_are_means_of_fine_ones() {
    let clips = some_clips();
    let draw = |sight| {
        let mut x = vec![];
        clips.draw(3, sight, &mut x);
        x
    };
    let fine = draw(Sight::WHOLE);
    let coarse = draw(Sight { frames: 4, side: 12, first: 1, stride: 4 });
    assert_eq!((fine.len(), coarse.len()), (16 * 24 * 24, 4 * 12 * 12));
    for (place, value) in coarse.iter().enumerate() {
        let (frame, row, column) = (1 + 4 * (place / 144), place / 12 % 12 * 2, place % 12 * 2);
        let at = |r: usize, c: usize| fine[frame * 576 + (row + r) * 24 + column + c];
        assert!((value - 0.25 * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1))).abs() < 1e-5);
    }
    let ink: Vec<f32> = fine.chunks(576).map(|frame| frame.iter().sum()).collect();
    assert!(ink.iter().all(|frame| (frame - ink[0]).abs() < 1e-3 * ink[0]));
    let mut rng = Rng::new(1, Stream::Probe, 0);
    let spans: Vec<usize> = (0..200)
        .map(|_| Sight::drawn(4, 12, &mut rng))
        .map(|sight| {
            assert!(sight.first + 3 * sight.stride < FRAMES);
            sight.stride
        })
        .collect();
    assert!((1..=4).all(|stride| spans.contains(&stride)));
}

#[derive(Module, Debug)]
struct One {
    norm: PartNorm,
}

/// What a norm of so many clips a part yields, in training and after it was settled by the same clips.
fn normalized(part: usize, x: &[f32], shape: [usize; 3]) -> [Vec<f32>; 2] {
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    pollster::block_on(async {
        let mut play = Play::new(&home, Breathless, 3)?;
        let mut found = vec![];
        for (name, mode) in [("settle", Mode::Train), ("use", Mode::Eval)] {
            let step = trace(name, mode, |tape| {
                let x: Tensor<3> = tape.input("x", shape);
                let net = tape.net("net", |b: &mut Builder| One { norm: PartNorm::new(shape[1], part, b) });
                let rate = (mode == Mode::Train).then(|| tape.input("rate", [1]));
                let y = net.norm.forward(x, rate.as_ref(), tape.pass());
                tape.fetch("y", &y);
                Ok(())
            })?;
            let step = play.add(step).await?;
            let rate = [1.0];
            let mut inputs = vec![("x", Words::Numbers(x))];
            inputs.extend((mode == Mode::Train).then_some(("rate", Words::Numbers(&rate[..]))));
            play.run(step, &inputs).await?;
            found.push(play.fetch(step, "y").await?);
        }
        Ok::<_, PlayError>([found.remove(0), found.remove(0)])
    })
    .unwrap()
}

/// Exact check 5: one part is an ordinary batch norm; several are normalized each by itself, and together have the mean and
/// variance of the whole.
#[test]
fn parts_add_up_to_the_batch() {
    assert_eq!(
        [(8, 8), (18, 8), (36, 8), (72, 8), (128, 8), (13, 8), (40, 0)].map(|(clips, part)| parts(clips, part)),
        [1, 2, 4, 9, 16, 1, 1]
    );
    let (shape, mut rng) = ([16, 3, 5], Rng::new(4, Stream::Probe, 0));
    let x: Vec<f32> = (0..240).map(|place| rng.normal() * (1 + place / 80) as f32 + 2.0).collect();
    let [whole, used] = normalized(0, &x, shape);
    let [by_parts, settled] = normalized(8, &x, shape);
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
    assert!(near(&whole, &used) && near(&whole, &settled), "settled parts are the whole");
    let [first, _] = normalized(0, &x[..120], [8, 3, 5]);
    assert!(near(&by_parts[..120], &first) && !near(&by_parts, &whole));
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, accuracy, work) in [("A", 80.0, 96.0), ("B", 79.5, 26.0), ("C", 78.0, 42.0), ("D", 60.0, 26.0)] {
        let outcome = results.record(arm, 1).unwrap();
        outcome.number(ACCURACY.last(), accuracy);
        for number in [WORK, UPDATES, SECONDS] {
            outcome.number(number, work);
        }
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(
        verdict.answer.starts_with("Yes. Multigrid is behind the baseline: 79.5 against 80%, for 0.27"),
        "{}",
        verdict.answer
    );
    assert!(failing(&verdict).is_empty());
    results.record("B", 1).unwrap().number(DIVERGED, 40.0);
    names_as_diverged(&STUDY, &results, "“multigrid” with 1 of 1 seeds");
    results.record("B", 1).unwrap().number(ACCURACY.last(), 61.0);
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [0, 3]);
    results.record("A", 1).unwrap().number(DIVERGED, 40.0);
    assert_eq!(answer(&results).verdict(&STUDY).headline.holds, None, "both guess");
    let same = unmeasured(&STUDY, &[("long", "false"), ("short", "false")], &[1]);
    assert!(answer(&same).verdict(&STUDY).checks().all(|check| check.holds.is_none()));
}

/// However few updates and however large batches are, every phase has an update, at a rate that is a number.
#[test]
fn the_shortest_runs_go_through_all_phases() {
    let least = [("seen", "1"), ("train", "4000"), ("batch", "32"), ("longer", "0.25")];
    for (arm, phases) in [("A", 3), ("B", 10), ("C", 3), ("D", 3)] {
        let all = updates(&turned(&STUDY, &least), arm, 0.01);
        assert_eq!(all.last().map(|update| update.phase + 1), Some(phases));
        assert!(all.iter().all(|update| update.rate.is_finite() && update.shape.clips > 0));
    }
}
