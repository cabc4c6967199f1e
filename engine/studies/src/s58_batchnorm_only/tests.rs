use burn::module::Module;
use burn::nn::conv::Conv2d;
use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::model::{BatchNorm, Builder, Mode, ParamEntry, ParamLayout};
use engine::rng::{Rng, Stream};
use engine::tape::{Breathless, Home, Play, PlayError, StepId, Tape, Words, trace};

use super::net::{MASK, NET, Net, gammas, is_hidden, learning, learns, scattered, without_small};
use super::*;
use crate::test_help::{failing, unmeasured};

const FORMS: [Form; 2] = [Form::Residual { width: 4, blocks: 2 }, Form::Mlp { width: 6, layers: 3 }];
const UNIFORM: Init = Init::Between(0.0, 1.0);
const ROWS: usize = 12;

fn play() -> Play<'static> {
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    Play::new(&home, Breathless, 3).unwrap()
}

fn numbers(count: usize) -> Vec<f32> {
    let mut rng = Rng::new(5, Stream::Probe, 0);
    (0..count).map(|_| rng.normal()).collect()
}

fn way(form: Form, part: Part) -> Way {
    let rule = OptimizerSpec {
        weight_decay: 0.1,
        decay: DecayKind::Coupled,
        decay_exempt: false,
        ..OptimizerSpec::of(Rule::Momentum)
    };
    Way { form, part, gamma: UNIFORM, rule, rate: 0.1, epochs: 1, near: 0.05 }
}

/// A network over `[ROWS, pixels]`, with an update.
async fn network(play: &mut Play<'_>, way: &Way) -> Result<(StepId, ParamLayout), PlayError> {
    let mut layout = ParamLayout::default();
    let update = trace("update", Mode::Train, |tape| {
        let x = tape.input("x", [ROWS, SIDE * SIDE]);
        let net = tape.net(NET, |builder| Net::new(way.form, way.gamma, builder));
        layout = tape.layout(NET);
        learns(tape, way.part);
        let logits = net.forward(x, tape.pass());
        tape.fetch("logits", &logits);
        let loss = (logits - 0.5).powf_scalar(2.0).mean();
        tape.minimise(NET, &loss, &way.rule);
        Ok(())
    })?;
    let update = play.add(update).await?;
    play.rate(NET, way.rate)?;
    if way.part == Part::Scattered {
        play.write(MASK, &scattered(&layout, 3))?;
    }
    Ok((update, layout))
}

fn layout(form: Form) -> ParamLayout {
    let mut layout = ParamLayout::default();
    trace("layout", Mode::Probe, |tape| {
        tape.net(NET, |builder| Net::new(form, UNIFORM, builder));
        layout = tape.layout(NET);
        Ok(())
    })
    .unwrap();
    layout
}

fn range(entry: &ParamEntry) -> std::ops::Range<usize> {
    entry.offset..entry.offset + entry.shape.iter().product::<usize>()
}

/// Exact check 1: what does not learn stays as it was to the bit, and norms have two numbers a channel.
#[test]
fn what_is_frozen_stands_still() {
    for (form, part) in FORMS.into_iter().flat_map(|form| PARTS.map(|(_, _, part, _)| (form, part))) {
        let way = way(form, part);
        let mut play = play();
        let (start, end, layout) = pollster::block_on(async {
            let (update, layout) = network(&mut play, &way).await?;
            let start = play.read("net.theta").await?;
            for _ in 0..4 {
                play.run(update, &[("x", Words::Numbers(&numbers(ROWS * SIDE * SIDE)))]).await?;
            }
            Ok::<_, PlayError>((start, play.read("net.theta").await?, layout))
        })
        .unwrap();
        let moved: Vec<bool> = start.iter().zip(&end).map(|(a, b)| a.to_bits() != b.to_bits()).collect();
        let mask = scattered(&layout, 3);
        for entry in layout.entries() {
            let norm = entry.name.ends_with("gamma") || entry.name.ends_with("beta");
            let output = entry.name.starts_with("head");
            for (place, &moved) in range(entry).zip(&moved[range(entry)]) {
                let may = match part {
                    Part::Scattered => mask[place] == 1.0,
                    Part::Groups(Trained::All) => true,
                    Part::Groups(Trained::Norms) => norm,
                    Part::Groups(Trained::NormsAndOutput) => norm || output,
                    Part::Groups(Trained::Output) => output,
                };
                assert_eq!(moved, may, "{part:?}, {}", entry.name);
            }
        }
        let learned: Vec<usize> = (0..moved.len()).filter(|&place| moved[place]).collect();
        assert_eq!(learning(&layout, part, 3), learned);
    }
    let layout = layout(Form::Residual { width: 16, blocks: 12 });
    for part in [Part::Groups(Trained::Norms), Part::Scattered] {
        assert_eq!(learning(&layout, part, 1).len(), 800);
    }
}

/// Exact check 2: as many weights of each layer as its norm has numbers, two a channel, the same ones throughout.
#[test]
fn scattered_weights_are_as_many_as_norms_have_numbers() {
    for form in FORMS {
        let mut play = play();
        let way = way(form, Part::Scattered);
        let (layout, mask) = pollster::block_on(async {
            let (update, layout) = network(&mut play, &way).await?;
            for _ in 0..3 {
                play.run(update, &[("x", Words::Numbers(&numbers(ROWS * SIDE * SIDE)))]).await?;
            }
            Ok::<_, PlayError>((layout, play.read(MASK).await?))
        })
        .unwrap();
        assert_eq!(mask, scattered(&layout, 3));
        assert_ne!(mask, scattered(&layout, 4));
        let of_norms: usize = layout.entries().iter().filter(|entry| entry.of_norm()).map(|entry| entry.shape[0]).sum();
        assert_eq!(mask.iter().filter(|chosen| **chosen == 1.0).count(), of_norms);
        for entry in layout.entries() {
            let chosen = &mask[range(entry)];
            let hidden = is_hidden(entry) && !entry.of_norm();
            let channels = if entry.shape.len() == 2 { entry.shape[1] } else { entry.shape[0] };
            for channel in 0..channels {
                let inputs = chosen.len() / channels;
                let of_channel = |place: &usize| match entry.shape.len() {
                    2 => place % channels == channel,
                    _ => place / inputs == channel,
                };
                let count = (0..chosen.len()).filter(of_channel).filter(|&place| chosen[place] == 1.0).count();
                assert_eq!(count, if hidden { 2 } else { 0 }, "{}", entry.name);
            }
        }
    }
}

#[derive(Module, Debug)]
struct Layer {
    conv: Conv2d,
    norm: BatchNorm,
}

/// A convolution and its norm on images `[ROWS, 1, 6, 6]`: what comes out, normalized and before, and its slopes.
fn layer(tape: &mut Tape) {
    let x = tape.input("x", [ROWS, 1, 6, 6]);
    let layer = tape.net(NET, |b: &mut Builder| Layer {
        conv: b.conv2d([1, 3], 3, 1, 1, false),
        norm: b.batch_norm_of(3, UNIFORM, 0),
    });
    let before = layer.conv.forward(x);
    let out = layer.norm.forward(before.clone(), tape.pass());
    let mean = before.clone().mean_dims(&[0, 2, 3]);
    let centred = before - mean;
    let variance = centred.clone().powf_scalar(2.0).mean_dims(&[0, 2, 3]);
    let normal = centred / (variance + 1e-5).sqrt();
    // A loss whose slope by an output is that output cubed.
    let slope = out.clone().powf_scalar(3.0);
    let loss = out.clone().powf_scalar(4.0).sum() * 0.25;
    let flat = tape.flat(NET);
    let gradient = tape.grad(&loss, &flat);
    tape.fetch("out", &out);
    tape.fetch("gradient", &gradient);
    tape.fetch("of gamma", &(slope.clone() * normal).sum_dims(&[0, 2, 3]).reshape([3]));
    tape.fetch("of beta", &slope.sum_dims(&[0, 2, 3]).reshape([3]));
}

/// Exact checks 3 and 5: a channel whose scale is 0 says its shift everywhere and asks nothing of the convolution; slopes of
/// scale and shift are sums over what comes out.
#[test]
fn norms_have_the_slopes_of_their_definition() {
    let mut play = play();
    pollster::block_on(async {
        let mut layout = ParamLayout::default();
        let step = trace("layer", Mode::Train, |tape| {
            layer(tape);
            layout = tape.layout(NET);
            Ok(())
        })?;
        let step = play.add(step).await?;
        let place = |name: &str| range(layout.entries().iter().find(|entry| entry.name == name).unwrap());
        let mut theta = play.read("net.theta").await?;
        theta[place("norm.gamma").start + 1] = 0.0;
        theta[place("norm.beta")].copy_from_slice(&[0.3, 0.7, -0.2]);
        play.write("net.theta", &theta)?;
        play.run(step, &[("x", Words::Numbers(&numbers(ROWS * 36)))]).await?;
        let (out, gradient) = (play.fetch(step, "out").await?, play.fetch(step, "gradient").await?);
        assert!(out.chunks(36).skip(1).step_by(3).flatten().all(|&y| y == 0.7));
        assert!(gradient[place("conv.weight")][9..18].iter().all(|&slope| slope == 0.0));
        assert!(gradient[place("conv.weight")].iter().any(|&slope| slope != 0.0));
        for (name, sum) in [("norm.gamma", "of gamma"), ("norm.beta", "of beta")] {
            let sums = play.fetch(step, sum).await?;
            for (slope, sum) in gradient[place(name)].iter().zip(sums) {
                assert!((slope - sum).abs() <= 1e-5 * sum.abs().max(1.0), "{name}: {slope} and {sum}");
            }
        }
        Ok::<_, PlayError>(())
    })
    .unwrap();
}

/// Exact check 4: weights that are ten times as large leave what comes out as it is.
#[test]
fn norms_undo_the_size_of_weights() {
    for form in FORMS {
        let way = way(form, Part::Groups(Trained::Norms));
        let mut play = play();
        pollster::block_on(async {
            let (update, layout) = network(&mut play, &way).await?;
            let x: Vec<f32> = numbers(ROWS * SIDE * SIDE);
            let theta = play.read("net.theta").await?;
            let mut logits = Vec::new();
            for factor in [1.0, 10.0] {
                let mut theta = theta.clone();
                for entry in layout.entries().iter().filter(|entry| is_hidden(entry)) {
                    theta[range(entry)].iter_mut().for_each(|weight| *weight *= factor);
                }
                play.write("net.theta", &theta)?;
                play.run(update, &[("x", Words::Numbers(&x))]).await?;
                logits.push(play.fetch(update, "logits").await?);
            }
            let off = logits[0].iter().zip(&logits[1]).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(off < 1e-4, "{form:?}: {off}");
            Ok::<_, PlayError>(())
        })
        .unwrap();
    }
}

/// Exact check 6.
#[test]
fn scales_start_evenly_between_0_and_1() {
    let mut draws = vec![0.0; 10_000];
    UNIFORM.draw(7, 0, &mut draws);
    let mean = draws.iter().sum::<f32>() / 10_000.0;
    assert!((mean - 0.5).abs() < 0.02 && draws.iter().all(|draw| (0.0..=1.0).contains(draw)), "{mean}");
}

#[test]
fn small_scales_are_set_to_0() {
    let mut layout = ParamLayout::of(NET);
    layout.push("norms.0.gamma", &[4], UNIFORM);
    layout.push("norms.0.beta", &[4], Init::Constant(0.0));
    let theta = [0.5, -0.04, 0.04, -0.3, 0.01, 0.01, 0.01, 0.01];
    assert_eq!(without_small(&layout, &theta, 0.05), [0.5, 0.0, 0.0, -0.3, 0.01, 0.01, 0.01, 0.01]);
    assert_eq!(gammas(&layout, &theta), theta[..4]);
}

#[test]
fn the_verdict_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1, 2]);
    let nothing = answer(&results).verdict(&STUDY);
    assert!(nothing.answer.starts_with("No") && failing(&nothing).len() == nothing.checks().count());
    for seed in [1, 2] {
        for label in results.arms.clone() {
            let part = label.id.rsplit('/').next().unwrap_or_default();
            let accuracy = match part {
                "norms" if label.id.starts_with(DEEP.0) => 75.0,
                "norms" => 70.0,
                "random" => 50.0,
                "all" => 95.0,
                _ => 60.0,
            };
            let outcome = results.record(&label.id, seed).unwrap();
            outcome.reading(ACCURACY, 300.0, accuracy);
            outcome.number(ZEROED, accuracy - 1.0);
            outcome.number(NEAR_START, 5.0);
            outcome.number(NEAR, if part == "norms" { 12.0 } else { 6.0 });
        }
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes. Training only the norms is ahead of"), "{}", verdict.answer);
    // In one network, with one seed, the norms are no more ahead than nine points.
    results.record("m32x8/random", 2).unwrap().reading(ACCURACY, 300.0, 61.0);
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [0]);
}

#[test]
fn what_is_said_follows_the_numbers() {
    assert!(where_it_fails(&unmeasured(&STUDY, &[], &[1])).is_empty());
    let said = |output: f64| {
        let mut results = unmeasured(&STUDY, &[], &[1]);
        for label in results.arms.clone() {
            let accuracy = if label.id.ends_with("output") { output } else { 70.0 };
            results.record(&label.id, 1).unwrap().reading(ACCURACY, 300.0, accuracy);
        }
        where_it_fails(&results)
    };
    assert!(said(80.0).contains("Where norms alone are behind") && !said(60.0).contains("behind"));
    let verdict = answer(&unmeasured(&STUDY, &[("near", "0")], &[1])).verdict(&STUDY);
    let tested: Vec<bool> = verdict.checks().map(|check| check.holds.is_some()).collect();
    assert_eq!(tested, [true, true, true, false, false, false]);
}
