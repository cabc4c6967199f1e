//! What the paper promises of a set, each by itself.

use engine::tape::{Play, StepId, trace};

use super::*;
use crate::continual::tests::{SMALL, ground, play, spec};

/// Values about 0, always the same.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = engine::rng::Rng::new(seed, engine::rng::Stream::Probe, 0);
    (0..count).map(|_| rng.normal()).collect()
}

/// A session of small digits at which CLR is about to begin.
fn ready(settings: &str) -> (Desk<'static>, Clr) {
    let spec = spec(&format!("{SMALL}&scenario=task&network=convnet&hidden=6,8&strategies=clr{settings}"));
    let ground = ground(&spec);
    let desk = Desk::new(play(1), ground.spec.clone(), ground.tasks.clone(), None, 1);
    let mut desk = pollster::block_on(desk).unwrap();
    let mut clr = Clr::new(&spec.arms[0].legs[0], &desk);
    pollster::block_on(clr.begin(&mut desk)).unwrap();
    (desk, clr)
}

fn learn(desk: &mut Desk<'_>, clr: &mut Clr, task: usize, updates: usize) {
    for update in 0..updates {
        let rows = desk.tasks.train[task][6 * update..6 * update + 6].to_vec();
        pollster::block_on(clr.learn(desk, &Batch { update: update as u64, rows })).unwrap();
    }
}

/// Without anything learned a set without norms changes nothing, to the last bit; one with norms nothing on its first batch.
#[test]
fn a_fresh_set_is_the_anchor() {
    for (settings, mode, allowed) in [(":norms=0", Mode::Eval, 0.0), ("", Mode::Train, 1e-4), ("", Mode::Eval, 1e-4)] {
        let (mut desk, clr) = ready(settings);
        let make = clr.make.clone();
        let batch = desk.spec.batch;
        pollster::block_on(async {
            let both = desk
                .step("both", batch, |tape, anchor, x| {
                    let set = tape.net(SET, |builder| make.set(builder));
                    let plain = set.head.forward(anchor.features(x.clone()));
                    tape.fetch("plain", &plain);
                    let seen = match mode {
                        Mode::Train => set.forward(anchor, x, tape.pass()),
                        _ => set.forward(anchor, x, &mut Pass::new(mode)),
                    };
                    tape.fetch("seen", &seen);
                    Ok(())
                })
                .await?;
            let index = desk.tasks.train[1][..batch].to_vec();
            let inputs = [("index", Words::Classes(&index))];
            if clr.make.norms {
                let centre = desk.known(CENTRE)?;
                desk.play.run(centre, &inputs).await?;
            }
            desk.play.run(both, &inputs).await?;
            let [plain, seen] = [desk.play.fetch(both, "plain").await?, desk.play.fetch(both, "seen").await?];
            for (plain, seen) in plain.iter().zip(&seen) {
                assert!((plain - seen).abs() <= allowed * (1.0 + plain.abs()), "{settings}: {seen} against {plain}");
            }
            Ok::<_, StudyError>(())
        })
        .unwrap();
    }
}

/// What one task learns does not reach another, nor the anchor: plugged in again, a set answers to the last bit as before.
#[test]
fn a_set_that_is_plugged_in_again_answers_as_before() {
    let (mut desk, mut clr) = ready("");
    let anchor = pollster::block_on(desk.theta()).unwrap();
    learn(&mut desk, &mut clr, 0, 5);
    let rows = desk.tasks.test[0].clone();
    let before = pollster::block_on(clr.answer(&mut desk, &rows)).unwrap();
    let elsewhere = desk.tasks.test[1].clone();
    let untaught = pollster::block_on(clr.answer(&mut desk, &elsewhere)).unwrap();
    learn(&mut desk, &mut clr, 1, 5);
    assert_eq!(pollster::block_on(clr.answer(&mut desk, &rows)).unwrap(), before);
    assert_ne!(pollster::block_on(clr.answer(&mut desk, &elsewhere)).unwrap(), untaught);
    // A task that comes back goes on.
    learn(&mut desk, &mut clr, 0, 6);
    assert_ne!(pollster::block_on(clr.answer(&mut desk, &rows)).unwrap(), before);
    assert_eq!(pollster::block_on(desk.theta()).unwrap(), anchor);
    // Nine weights and a norm a channel, and two outputs, for each of two tasks.
    assert_eq!(clr.parameters(0), 2 * ((6 + 8) * (9 + 2) + (8 * 4 + 1) * 2));
    assert_eq!(clr.extra_bytes(0), 4 * (clr.parameters(0) + 2 * 2 * (6 + 8)));
}

/// Steps that take a filter as an input.
struct Bench {
    play: Play<'static>,
    step: StepId,
    maps: Vec<f32>,
    kernel: Vec<f32>,
}

impl Bench {
    /// A convolution of 3 channels, its filters `[3, 1, 3, 3]`, and the same as one kernel of side 5.
    fn new() -> Self {
        let step = trace("bench", Mode::Train, |tape| {
            let (maps, kernel) = (tape.input("maps", [2, 3, 8, 8]), tape.input("kernel", [3, 3, 3, 3]));
            let (filters, wide) = (tape.input("filters", [3, 1, 3, 3]), tape.input("wide", [3, 3, 5, 5]));
            let around = |pad: usize| ConvOptions::new([1; 2], [pad; 2], [1; 2], 1);
            let convolved = conv2d(maps.clone(), kernel, None, around(1));
            let seen = convolved.clone() + by_channel(convolved.clone(), filters.clone());
            let loss = seen.clone().powf_scalar(2.0).sum();
            tape.fetch("convolved", &convolved);
            tape.fetch("seen", &seen);
            tape.fetch("at once", &conv2d(maps, wide, None, around(2)));
            tape.fetch("loss", &loss);
            let slope = tape.grad(&loss, &filters);
            tape.fetch("slope", &slope);
            Ok(())
        });
        let mut play = play(1);
        let step = pollster::block_on(play.add(step.unwrap())).unwrap();
        Self { play, step, maps: numbers(2 * 3 * 64, 1), kernel: numbers(81, 2) }
    }

    fn run<const N: usize>(&mut self, filters: &[f32], what: [&str; N]) -> [Vec<f32>; N] {
        // A filter after a kernel is a kernel of both sides; the channel itself passes too.
        let mut wide = vec![0.0; 3 * 3 * 25];
        for k in 0..3_usize.pow(6) {
            let digit = |place: u32| k / 3_usize.pow(place) % 3;
            let ([out, from], [row, column], [down, right]) =
                ([digit(0), digit(1)], [digit(2), digit(3)], [digit(4), digit(5)]);
            let own = f32::from(u8::from(down == 1 && right == 1));
            wide[(out * 3 + from) * 25 + (row + down) * 5 + column + right] +=
                (own + filters[out * 9 + down * 3 + right]) * self.kernel[(out * 3 + from) * 9 + row * 3 + column];
        }
        let inputs = [("maps", &self.maps), ("kernel", &self.kernel), ("wide", &wide)];
        let mut inputs = inputs.map(|(name, values)| (name, Words::Numbers(values))).to_vec();
        inputs.push(("filters", Words::Numbers(filters)));
        pollster::block_on(self.play.run(self.step, &inputs)).unwrap();
        what.map(|what| pollster::block_on(self.play.fetch(self.step, what)).unwrap())
    }
}

#[test]
fn a_filter_changes_its_channel_alone() {
    let mut bench = Bench::new();
    let [convolved, seen] = bench.run(&[0.0; 27], ["convolved", "seen"]);
    assert_eq!(convolved, seen);
    let mut filters = [0.0; 27];
    filters[9..18].copy_from_slice(&numbers(9, 3));
    let [changed] = bench.run(&filters, ["seen"]);
    for (place, (before, after)) in seen.iter().zip(&changed).enumerate() {
        assert_eq!(place / 64 % 3 == 1, before != after, "place {place}");
    }
}

/// Away from the border, where the filter reads zeros for what the convolution would have made of the pixels outside.
#[test]
fn a_convolution_and_its_filter_are_one_wider_convolution() {
    let [seen, wide] = Bench::new().run(&numbers(27, 4), ["seen", "at once"]);
    for (place, (seen, wide)) in seen.iter().zip(&wide).enumerate() {
        let (row, column) = (place % 64 / 8, place % 8);
        if (1..7).contains(&row) && (1..7).contains(&column) {
            assert!((seen - wide).abs() < 1e-4 * (1.0 + wide.abs()), "place {place}: {seen} against {wide}");
        }
    }
}

/// The loss is quadratic in the filters: central differences are exact but for rounding.
#[test]
fn the_slope_of_a_filter_is_that_of_the_loss() {
    let (mut bench, filters) = (Bench::new(), numbers(27, 5));
    let [slope] = bench.run(&filters, ["slope"]);
    for place in 0..27 {
        let mut at = |step: f32| {
            let mut moved = filters.clone();
            moved[place] += step;
            f64::from(bench.run(&moved, ["loss"])[0][0])
        };
        let expected = (at(0.5) - at(-0.5)) / 1.0;
        let found = f64::from(slope[place]);
        assert!((found - expected).abs() < 1e-3 * (10.0 + expected.abs()), "{found} against {expected}");
    }
}

/// A filter of side 1 scales its channel, which the norm that follows undoes: why filters have neighbours.
#[test]
fn a_norm_undoes_a_filter_of_one_pixel() {
    let make = Make { channels: vec![3], kernel: 1, norms: true, width: 1, outputs: 1 };
    let step = trace("scaled", Mode::Train, |tape| {
        let set = tape.net(SET, |builder| make.set(builder));
        let maps = tape.input("maps", [8, 3, 6, 6]);
        let seen = set.seen(0, maps, tape.pass());
        tape.fetch("seen", &seen);
        Ok(())
    });
    let mut play = play(1);
    pollster::block_on(async {
        let step = play.add(step?).await?;
        let maps = numbers(8 * 3 * 36, 6);
        let theta = play.read("clr.theta").await?;
        let mut seen = Vec::new();
        for scale in [1.0, 0.5, 3.0] {
            let mut scaled = theta.clone();
            scaled[..3].fill(scale - 1.0);
            play.write("clr.theta", &scaled)?;
            play.run(step, &[("maps", Words::Numbers(&maps))]).await?;
            seen.push(play.fetch(step, "seen").await?);
        }
        for other in &seen[1..] {
            assert!(seen[0].iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-4));
        }
        Ok::<_, StudyError>(())
    })
    .unwrap();
}
