//! One arm with a seed.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, relu};
use engine::model::{BatchNorm, Builder, Init, Mode, Pass};
use engine::objective::recorded::{correct, cross_entropy};
use engine::probe::{Curvature, Curved, Eigenpairs, Losses, Point, RowLoss, Settings, run};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, PlayError, StepId, Table, Tape, Words, trace};
use engine::train::INDEX;

use super::{ACCURACY, AGREEMENT, LOSS, SHARPNESS, Streams, WORK, WORK_OF_ATTACK};
use crate::StudyError;
use crate::diverged::CHANCE;
use crate::images::Images;
use crate::names::DIVERGED;
use crate::results::Outcome;

/// The network that learns, and the one whose parameters are older, against which attacks are made.
pub const NET: &str = "net";
pub const STALE: &str = "stale";
/// Side of the images.
pub const SIDE: usize = 14;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Digits.
pub const CLASSES: usize = 10;
/// Units of both hidden layers.
const WIDTH: usize = 64;
/// Share of attacks that start from the image itself, not from a random place beside it.
const CLEAN_STARTS: f32 = 0.2;
/// Updates between two readings.
pub const EACH: usize = 10;
/// Share of a run over which the rate rises.
const WARM_UP: f64 = 0.1;
/// Images over which the sharpness is taken, tolerance of its search and products at most.
const PROBED: usize = 200;
const TOLERANCE: f64 = 1e-2;
const MOST: usize = 40;

/// Two hidden layers; where norms are asked for, one set for images as they are and one for attacked ones.
#[derive(Module, Debug)]
pub struct Net {
    hidden: Vec<Linear>,
    norms: Vec<BatchNorm>,
    own: Vec<BatchNorm>,
    head: Linear,
}

impl Net {
    pub fn new(streams: Streams, b: &mut Builder) -> Self {
        let hidden = [PIXELS, WIDTH].map(|inputs| b.linear(inputs, WIDTH, true, Init::kaiming_normal(inputs))).to_vec();
        let head = b.linear(WIDTH, CLASSES, true, Init::linear_normal(WIDTH));
        let mut norms = |wanted: bool| (0..if wanted { 2 } else { 0 }).map(|_| b.batch_norm(WIDTH)).collect();
        Net { norms: norms(streams != Streams::None), own: norms(streams == Streams::Apart), hidden, head }
    }

    /// Logits of images `[rows, PIXELS]`.
    pub fn forward(&self, mut x: Tensor<2>, attacked: bool, pass: &mut Pass) -> Tensor<2> {
        let norms = if attacked && !self.own.is_empty() { &self.own } else { &self.norms };
        for (place, linear) in self.hidden.iter().enumerate() {
            x = linear.forward(x);
            if let Some(norm) = norms.get(place) {
                x = norm.forward(x, pass);
            }
            x = relu(x);
        }
        self.head.forward(x)
    }
}

/// What stands in an arm beside the images as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// Random signs.
    Noise,
    /// Attacks with the parameters of so many updates ago.
    Attack(usize),
}

impl Beside {
    /// Gradients of an update that have to wait for one another.
    pub fn dependent(self) -> usize {
        match self {
            Beside::Attack(0) => 2,
            _ => 1,
        }
    }
}

/// How an arm learns.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub beside: Beside,
    /// Largest change of a pixel; pixels go from 0 to 1.
    pub reach: f64,
    /// Whether an attack leads to another class, at random, not away from the own.
    pub targeted: bool,
    pub streams: Streams,
    pub updates: usize,
    pub rate: f64,
}

/// An attack in one step: from `start`, by the sign of the slope, within `reach` of the image and the range of pixels.
/// Yields the attacked images and the signs.
pub fn attacked(tape: &mut Tape, start: Tensor<2>, x: Tensor<2>, loss: &Tensor<1>, way: &Way) -> [Tensor<2>; 2] {
    let slope = tape.grad(loss, &start).sign();
    let step = if way.targeted { -way.reach } else { way.reach };
    let moved = start + slope.clone() * step;
    let low = (x.clone() - way.reach).clamp_min(0.0);
    let high = (x + way.reach).clamp_max(1.0);
    [moved.max_pair(low).min_pair(high), slope]
}

/// The recorded steps of an arm.
struct Steps {
    update: StepId,
    attack: Option<StepId>,
    test: StepId,
}

impl Steps {
    async fn new(play: &mut Play<'_>, images: &Images, way: &Way) -> Result<Self, PlayError> {
        let (rows, tested) = (images.train, images.tested().len());
        let rule = OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(Rule::Momentum) };
        let update = trace("update", Mode::Train, |tape| {
            let (x, labels) = images.batch(tape, rows);
            let net = tape.net(NET, |b| Net::new(way.streams, b));
            let mut loss = cross_entropy(net.forward(x, false, tape.pass()), labels.clone()).mean();
            if way.beside != Beside::Nothing {
                let beside = tape.input("beside", [rows, PIXELS]);
                let other = cross_entropy(net.forward(beside, true, tape.pass()), labels).mean();
                loss = (loss + other) / 2.0;
            }
            tape.metric("loss", &loss);
            tape.minimise(NET, &loss, &rule);
            Ok(())
        });
        let update = play.add(update?).await?;
        let attack = match way.beside {
            Beside::Attack(_) => {
                // Batch statistics are those of the attacked images; running ones are left alone.
                let attack = trace("attack", Mode::Probe, |tape| {
                    let (x, _) = images.batch(tape, rows);
                    let start = tape.input("start", [rows, PIXELS]);
                    let labels = tape.labels("labels", [rows]);
                    let net = tape.net(STALE, |b| Net::new(way.streams, b));
                    let loss = cross_entropy(net.forward(start.clone(), true, tape.pass()), labels).sum();
                    let [moved, signs] = attacked(tape, start, x, &loss, way);
                    tape.fetch("attacked", &moved);
                    tape.fetch("signs", &signs);
                    Ok(())
                });
                Some(play.add(attack?).await?)
            }
            _ => None,
        };
        let test = trace("test", Mode::Eval, |tape| {
            let (x, labels) = images.batch(tape, tested);
            let net = tape.net(NET, |b| Net::new(way.streams, b));
            let logits = net.forward(x, false, tape.pass());
            tape.metric("accuracy", &correct(logits, labels).mean());
            Ok(())
        });
        Ok(Self { update, attack, test: play.add(test?).await? })
    }
}

/// Where attacks start: beside each image at random, or with a share of [`CLEAN_STARTS`] at the image.
pub fn starts(pixels: &[f32], reach: f64, rng: &mut Rng) -> Vec<f32> {
    let mut start = pixels.to_vec();
    for image in start.chunks_mut(PIXELS) {
        let clean = rng.uniform() < CLEAN_STARTS;
        for pixel in image {
            let by = reach as f32 * (2.0 * rng.uniform() - 1.0);
            if !clean {
                *pixel = (*pixel + by).clamp(0.0, 1.0);
            }
        }
    }
    start
}

/// Another class than each of these, all others equally likely.
pub fn others(labels: &[u32], rng: &mut Rng) -> Vec<u32> {
    labels.iter().map(|&label| (label + 1 + rng.below(CLASSES as u32 - 1)) % CLASSES as u32).collect()
}

/// Trains an arm and records what it comes to.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn learn(
    mut play: Play<'_>,
    images: &Images,
    way: &Way,
    seed: u64,
    outcome: &mut Outcome,
) -> Result<(), StudyError> {
    images.upload(&mut play)?;
    let steps = Steps::new(&mut play, images, way).await?;
    let [theta, stale] = [NET, STALE].map(|net| format!("{net}.theta"));
    let pixels: Vec<f32> =
        images.pixels[..images.train * PIXELS].iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let index: Vec<u32> = (0..images.train as u32).collect();
    let labels = &images.labels[..images.train];
    let tested = images.tested();
    // The same draws in every arm.
    let mut rng = Rng::new(own_seed(seed, "attacks"), Stream::Sample, 0);
    let mut past: Vec<Vec<f32>> = vec![];
    let mut finite = true;
    for number in 0..way.updates {
        let start = starts(&pixels, way.reach, &mut rng);
        let towards = if way.targeted { others(labels, &mut rng) } else { labels.to_vec() };
        let beside = match (way.beside, steps.attack) {
            (Beside::Attack(age), Some(attack)) => {
                past.push(play.read(&theta).await?);
                if past.len() > age + 1 {
                    past.remove(0);
                }
                let inputs = [
                    (INDEX, Words::Classes(&index)),
                    ("start", Words::Numbers(&start)),
                    ("labels", Words::Classes(&towards)),
                ];
                play.write(&stale, &past[0])?;
                play.run(attack, &inputs).await?;
                let (attacked, signs) = (play.fetch(attack, "attacked").await?, play.fetch(attack, "signs").await?);
                if age > 0 && number % EACH == 0 && number >= age {
                    play.write(&stale, &past[past.len() - 1])?;
                    play.run(attack, &inputs).await?;
                    let fresh = play.fetch(attack, "signs").await?;
                    let same = fresh.iter().zip(&signs).filter(|(a, b)| a == b).count();
                    outcome.reading(AGREEMENT, number as f64, 100.0 * same as f64 / signs.len() as f64);
                }
                attacked
            }
            (Beside::Noise, _) => {
                let mut sign = || if rng.u32() & 1 == 1 { way.reach as f32 } else { -way.reach as f32 };
                pixels.iter().map(|pixel| (pixel + sign()).clamp(0.0, 1.0)).collect()
            }
            _ => vec![],
        };
        play.rate(NET, way.rate * rate_at(number, way.updates))?;
        let mut inputs = vec![(INDEX, Words::Classes(&index))];
        if way.beside != Beside::Nothing {
            inputs.push(("beside", Words::Numbers(&beside)));
        }
        play.run(steps.update, &inputs).await?;
        if (number + 1) % EACH == 0 || number + 1 == way.updates {
            let done = (number + 1) as f64;
            let loss = last(&mut play, steps.update, "loss").await?;
            outcome.reading(LOSS, done, loss);
            finite = loss.is_finite();
            if !finite {
                outcome.number(DIVERGED, done);
                outcome.reading(ACCURACY, done, CHANCE);
                break;
            }
            play.run(steps.test, &[(INDEX, Words::Classes(&tested))]).await?;
            outcome.reading(ACCURACY, done, 100.0 * last(&mut play, steps.test, "accuracy").await?);
        }
    }
    outcome.number(WORK, play.flop(steps.update)? as f64 / 1e6);
    if let Some(attack) = steps.attack {
        outcome.number(WORK_OF_ATTACK, play.flop(attack)? as f64 / 1e6);
    }
    if finite {
        outcome.number(SHARPNESS, sharpness(&mut play, images, way, seed).await?);
    }
    outcome.done = true;
    Ok(())
}

/// The share of the highest rate at an update: it rises, then falls linearly.
fn rate_at(number: usize, updates: usize) -> f64 {
    let (at, warm) = ((number + 1) as f64, (WARM_UP * updates as f64).max(1.0));
    if at <= warm { at / warm } else { (updates as f64 - number as f64) / (updates as f64 - warm) }
}

async fn last(play: &mut Play<'_>, step: StepId, name: &str) -> Result<f64, StudyError> {
    let found = play.metrics(step).await?;
    Ok(found.get(name).and_then(|all| all.last()).map_or(f64::NAN, |&value| f64::from(value)))
}

/// The largest eigenvalue of the Hessian on images as they are.
async fn sharpness(play: &mut Play<'_>, images: &Images, way: &Way, seed: u64) -> Result<f64, StudyError> {
    let targets = Table::numbers("targets", [images.labels.len(), CLASSES]);
    let hot = images
        .labels
        .iter()
        .flat_map(|&label| (0..CLASSES as u32).map(move |class| f32::from(u8::from(class == label))));
    play.table(&targets, Words::Numbers(&hot.collect::<Vec<f32>>()))?;
    let (table, streams) = (images.table.clone(), way.streams);
    let loss = RowLoss::traced(NET, move |tape, rows| {
        let x = tape.rows(&table, INDEX, [rows, PIXELS]) * (1.0 / 255.0);
        let target = tape.rows(&targets, INDEX, [rows, CLASSES]);
        let net = tape.net(NET, |b| Net::new(streams, b));
        let shares = log_softmax(net.forward(x, false, tape.pass()), 1);
        Ok(Losses { each: (shares * target).sum_dim(1).neg().reshape([rows]), outputs: None })
    })?;
    let mut hessian = Curvature::of(loss, Curved::Hessian, Settings::default(), "hessian");
    let rows: Vec<u32> = (0..images.train.min(PROBED) as u32).collect();
    let executor = play.executor()?;
    hessian.linearise(executor, Point::Run, &rows).await?;
    let size = engine::probe::Operator::size(&hessian);
    let mut search = Eigenpairs::new(size, [1, 0], TOLERANCE, MOST, &[], (own_seed(seed, "sharpness"), 0));
    let found = run(&mut search, &mut hessian, executor).await?;
    Ok(found.largest.first().map_or(f64::NAN, |pair| pair.value))
}
