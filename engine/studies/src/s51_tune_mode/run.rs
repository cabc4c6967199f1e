//! A network learns clothes; its copies go on with digits, each in its own way.

use std::rc::Rc;

use engine::graph::{Options, compile};
use engine::model::{Mode, ModelError, ParamLayout};
use engine::objective::recorded::{correct, cross_entropy};
use engine::probe::{self, Curvature, Eigenpairs, Losses, Operator, Point, RowLoss, Settings};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{Curved, DecayKind, OptimizerSpec, Rule};
use engine::tape::{Play, StepId, Traced, Words, trace};
use engine::train::INDEX;

use super::net::{BLOCKS, EPSILON, HEAD, NET, SIDE, Way, fold, logits, maps};
use crate::StudyError;
use crate::images::Images;

/// Classes of both data sets.
const CLASSES: usize = 10;
/// Output layer of what is learned first.
const OLD_HEAD: &str = "old head";
/// How that is learned: Adam at this rate, so many times over all images, in batches of this size.
const FIRST: (f64, usize, usize) = (2e-3, 3, 64);
/// Share of the gradient's average that momentum keeps.
pub const MOMENTUM: f64 = 0.9;
/// Updates after which parameters are compared.
pub const COMPARED: [usize; 8] = [1, 2, 5, 10, 20, 40, 60, 80];
/// Images on which curvature is measured, and products that it may take.
const CURVED: (usize, usize) = (256, 40);
/// How far the residual of an eigenvector may be from 0, of its eigenvalue.
const TOLERANCE: f64 = 0.05;

/// The recorded steps of a seed.
pub struct Steps {
    first: StepId,
    fold: StepId,
    updates: Vec<StepId>,
    tests: Vec<StepId>,
    layout: ParamLayout,
}

/// What a way costs: of each image of a batch what is kept for the backward pass, of the image and the output layer, then of
/// each block, and of a whole update operations and memory.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Bytes.
    pub kept: Vec<f64>,
    /// Floating-point operations.
    pub flop: f64,
    /// Bytes of all that a step holds, parameters and images left out.
    pub arena: f64,
}

/// An update in a way, on so many digits.
fn update(way: Way, digits: &Images, batch: usize) -> Result<Traced, ModelError> {
    let name = ["train", "eval", "tune", "deploy"][way as usize];
    trace(name, way.mode(), |tape| {
        let (x, labels) = digits.batch(tape, batch);
        let loss = cross_entropy(logits(tape, x, way, HEAD, CLASSES), labels).mean();
        tape.minimise(way.net(), &loss, &momentum());
        tape.minimise(HEAD, &loss, &momentum());
        tape.metric("loss", &loss);
        Ok(())
    })
}

/// What an update costs on so many digits.
///
/// # Errors
/// It cannot be recorded.
pub fn cost(way: Way, digits: &Images, batch: usize) -> Result<Cost, StudyError> {
    let grows = |record: &dyn Fn(usize) -> Result<Traced, ModelError>| -> Result<f64, StudyError> {
        Ok((record(2 * batch)?.saved().bytes() - record(batch)?.saved().bytes()) / batch as f64)
    };
    let whole = update(way, digits, batch)?;
    let all = grows(&|batch| update(way, digits, batch))?;
    // Of the images themselves, then with each block that is added.
    let mut kept = vec![4.0 * (SIDE * SIDE) as f64];
    for depth in 1..=BLOCKS.len() {
        let blocks = grows(&|batch| {
            trace("blocks", way.mode(), |tape| {
                let (x, _) = digits.batch(tape, batch);
                let loss = maps(tape, x, way, depth).sum();
                tape.minimise(way.net(), &loss, &momentum());
                Ok(())
            })
        })?;
        kept.push(blocks - kept.iter().sum::<f64>());
    }
    kept[0] += all - kept.iter().sum::<f64>();
    let plan = compile(&whole.program, Options::default())?;
    Ok(Cost { kept, flop: plan.flop() as f64, arena: 4.0 * plan.arena_words as f64 })
}

fn momentum() -> OptimizerSpec {
    OptimizerSpec { momentum: MOMENTUM, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(Rule::Momentum) }
}

impl Steps {
    /// Recorded into a play that has the tables.
    ///
    /// # Errors
    /// They cannot be recorded or run.
    pub async fn new(
        play: &mut Play<'_>,
        [clothes, digits]: [&Images; 2],
        batch: usize,
        decay: f64,
    ) -> Result<Self, StudyError> {
        let rule = OptimizerSpec {
            weight_decay: decay,
            decay: DecayKind::Coupled,
            decay_exempt: false,
            clip: 0.0,
            ..OptimizerSpec::of(Rule::Adam)
        };
        let mut layout = ParamLayout::default();
        let first = trace("first", Mode::Train, |tape| {
            let (x, labels) = clothes.batch(tape, FIRST.2);
            let loss = cross_entropy(logits(tape, x, Way::Train, OLD_HEAD, CLASSES), labels).mean();
            layout = tape.layout(NET);
            tape.minimise(NET, &loss, &rule);
            tape.minimise(OLD_HEAD, &loss, &rule);
            Ok(())
        });
        let first = play.add(first?).await?;
        let fold = trace("fold", Mode::Eval, |tape| {
            fold(tape);
            Ok(())
        });
        let fold = play.add(fold?).await?;
        let (mut updates, mut tests) = (Vec::new(), Vec::new());
        for way in Way::ALL {
            updates.push(play.add(update(way, digits, batch)?).await?);
        }
        for (name, way) in [("test", Way::Eval), ("test folded", Way::Deploy)] {
            let test = trace(name, Mode::Eval, |tape| {
                let (x, labels) = digits.batch(tape, digits.tested().len());
                let logits = logits(tape, x, way, HEAD, CLASSES);
                tape.metric("accuracy", &correct(logits, labels).mean());
                Ok(())
            });
            tests.push(play.add(test?).await?);
        }
        Ok(Self { first, fold, updates, tests, layout })
    }

    /// Learns clothes, and folds what came of it.
    ///
    /// # Errors
    /// The executor fails, or the study is cancelled.
    pub async fn learn_clothes(&self, play: &mut Play<'_>, clothes: &Images, seed: u64) -> Result<(), StudyError> {
        let (rate, epochs, size) = FIRST;
        [NET, OLD_HEAD].into_iter().try_for_each(|net| play.rate(net, rate))?;
        let mut batches = Batches::new(clothes.train, size, seed, "clothes");
        for _ in 0..epochs * batches.each() {
            play.run(self.first, &[(INDEX, Words::Classes(batches.next()))]).await?;
        }
        Ok(play.run(self.fold, &[]).await?)
    }

    /// Multiplies what goes into each channel's norm by a random number up to `spread`, and the norm's statistics with it: the
    /// network computes what it did before.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn rescale(&self, play: &mut Play<'_>, spread: f64, seed: u64) -> Result<(), StudyError> {
        let mut rng = Rng::new(own_seed(seed, "channels"), Stream::Sample, 0);
        let theta = format!("{NET}.theta");
        let mut parameters = play.read(&theta).await?;
        for (block, ([_, channels], _)) in BLOCKS.into_iter().enumerate() {
            let [mean, variance] = ["mean", "variance"].map(|what| format!("{NET}.blocks.{block}.norm.{what}"));
            let (mut means, mut variances) = (play.read(&mean).await?, play.read(&variance).await?);
            let weights = self.place(&format!("blocks.{block}.conv.weight"));
            let each = weights.len() / channels;
            for channel in 0..channels {
                let factor = spread.powf(f64::from(rng.uniform()));
                let scaled = |x: &mut f32| *x = (f64::from(*x) * factor) as f32;
                parameters[weights.clone()][channel * each..][..each].iter_mut().for_each(scaled);
                scaled(&mut means[channel]);
                let of_all = f64::from(variances[channel]) + EPSILON;
                variances[channel] = (factor * factor * of_all - EPSILON) as f32;
            }
            play.write(&mean, &means)?;
            play.write(&variance, &variances)?;
        }
        Ok(play.write(&theta, &parameters)?)
    }

    /// By how much more a step of the folded weights moves each channel than one of the weights that were folded: the
    /// variance over γ².
    ///
    /// # Errors
    /// The executor fails.
    pub async fn factors(&self, play: &mut Play<'_>) -> Result<Vec<f64>, StudyError> {
        let parameters = play.read(&format!("{NET}.theta")).await?;
        let mut factors = Vec::new();
        for block in 0..BLOCKS.len() {
            let gammas = &parameters[self.place(&format!("blocks.{block}.norm.gamma"))];
            let variances = play.read(&format!("{NET}.blocks.{block}.norm.variance")).await?;
            let factor = |(v, g): (f32, &f32)| (f64::from(v) + EPSILON) / f64::from(*g).powi(2);
            factors.extend(variances.into_iter().zip(gammas).map(factor));
        }
        Ok(factors)
    }

    fn place(&self, name: &str) -> std::ops::Range<usize> {
        let found = self.layout.entries().iter().find(|entry| entry.name == name);
        found.map_or(0..0, |entry| entry.offset..entry.offset + entry.shape.iter().product::<usize>())
    }

    /// Learns digits in a way at a rate, so many times over all of them.
    ///
    /// # Errors
    /// The executor fails, or the study is cancelled.
    pub async fn learn_digits(
        &self,
        play: &mut Play<'_>,
        digits: &Images,
        (way, rate): (Way, f64),
        (epochs, batch): (usize, usize),
        seed: u64,
    ) -> Result<Learned, StudyError> {
        [way.net(), HEAD].into_iter().try_for_each(|net| play.rate(net, rate))?;
        let mut batches = Batches::new(digits.train, batch, seed, "digits");
        let mut parameters = Vec::new();
        let update = self.updates[way as usize];
        for done in 1..=epochs * batches.each() {
            play.run(update, &[(INDEX, Words::Classes(batches.next()))]).await?;
            if matches!(way, Way::Eval | Way::Tune) && COMPARED.contains(&done) {
                parameters.push((done, play.read(&format!("{NET}.theta")).await?));
            }
        }
        let losses = play.metrics(update).await?.remove("loss").unwrap_or_default();
        let test = self.tests[usize::from(way == Way::Deploy)];
        play.run(test, &[(INDEX, Words::Classes(&digits.tested()))]).await?;
        let accuracy = play.metrics(test).await?.remove("accuracy").unwrap_or_default();
        let accuracy = accuracy.last().map_or(f64::NAN, |&share| 100.0 * f64::from(share));
        Ok(Learned { losses, accuracy, parameters })
    }
}

/// What came of learning digits.
pub struct Learned {
    /// Loss of each update's batch.
    pub losses: Vec<f32>,
    /// On digits that were not seen, in percent.
    pub accuracy: f64,
    /// After [`COMPARED`] updates; of the ways that are compared alone.
    pub parameters: Vec<(usize, Vec<f32>)>,
}

/// Rows in an order that is drawn anew for each time over all of them.
struct Batches {
    order: Vec<u32>,
    size: usize,
    next: usize,
    rng: Rng,
}

impl Batches {
    fn new(rows: usize, size: usize, seed: u64, of: &str) -> Self {
        let rng = Rng::new(own_seed(seed, of), Stream::Sample, 0);
        Self { order: (0..rows as u32).collect(), size: size.min(rows), next: 0, rng }
    }

    /// Batches of a time over all rows.
    fn each(&self) -> usize {
        self.order.len() / self.size
    }

    fn next(&mut self) -> &[u32] {
        if self.next.is_multiple_of(self.each()) {
            self.rng.shuffle(&mut self.order);
        }
        let first = self.next % self.each() * self.size;
        self.next += 1;
        &self.order[first..first + self.size]
    }
}

/// The largest eigenvalue of the Hessian by the parameters of the blocks, before any update.
///
/// # Errors
/// The executor fails.
pub async fn curvature(play: &mut Play<'_>, digits: &Rc<Images>, way: Way, seed: u64) -> Result<f64, StudyError> {
    let digits = digits.clone();
    let loss = RowLoss::traced(way.net(), move |tape, rows| {
        let (x, labels) = digits.batch(tape, rows);
        Ok(Losses { each: cross_entropy(logits(tape, x, way, HEAD, CLASSES), labels), outputs: None })
    })?;
    let mut hessian = Curvature::of(loss, Curved::Hessian, Settings::default(), "hessian");
    let rows: Vec<u32> = (0..CURVED.0 as u32).collect();
    let executor = play.executor()?;
    hessian.linearise(executor, Point::Run, &rows).await?;
    let mut search =
        Eigenpairs::new(hessian.size(), [1, 0], TOLERANCE, CURVED.1, &[], (own_seed(seed, "curvature"), 0));
    let found = probe::run(&mut search, &mut hessian, executor).await?;
    Ok(found.largest.first().map_or(f64::NAN, |pair| pair.value))
}
