//! One arm with a seed.

use burn::tensor::Tensor;
use engine::model::{Init, Mode, ParamLayout};
use engine::objective::recorded::{correct, cross_entropy};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::OptimizerSpec;
use engine::tape::{Play, StepId, Words, trace};

use super::net::{Form, MASK, NET, Net, Part, SIDE, gammas, learning, learns, scattered, without_small};
use super::{ACCURACY, COUNT, END, NEAR, NEAR_START, START, ZEROED};
use crate::StudyError;
use crate::images::Images;
use crate::plot::histogram;
use crate::results::Outcome;

/// Images of an update.
pub const BATCH: usize = 128;
/// Training images over which norms take their statistics before a test.
const COUNTED: usize = 1000;
/// Tests of a run, evenly over its updates.
const TESTS: usize = 5;
/// Bins of the histogram of scales, and where it begins and ends.
const BINS: usize = 32;
const SPAN: [f64; 2] = [-0.8, 2.4];

/// How an arm learns.
#[derive(Clone, Debug)]
pub struct Way {
    pub form: Form,
    pub part: Part,
    /// What the norms' scales start from.
    pub gamma: Init,
    pub rule: OptimizerSpec,
    /// The highest learning rate, of a cosine down to 0.
    pub rate: f64,
    pub epochs: usize,
    /// Size below which a scale counts as 0.
    pub near: f64,
}

/// The recorded steps of an arm.
pub struct Steps {
    /// An update on the rows `index`.
    pub update: StepId,
    test: StepId,
    pub layout: ParamLayout,
}

impl Steps {
    /// Recorded into a play over a table that it has.
    ///
    /// # Errors
    /// They cannot be recorded or run.
    pub async fn new(play: &mut Play<'_>, images: &Images, way: &Way, seed: u64) -> Result<Self, StudyError> {
        let (size, tested) = (SIDE * SIDE, images.labels.len() - images.train);
        let mut layout = ParamLayout::default();
        let update = trace("update", Mode::Train, |tape| {
            let x = tape.rows(&images.table, "index", [BATCH, size]) * (1.0 / 255.0);
            let labels = tape.labels("labels", [BATCH]);
            let net = tape.net(NET, |builder| Net::new(way.form, way.gamma, builder));
            layout = tape.layout(NET);
            learns(tape, way.part);
            let loss = cross_entropy(net.forward(x, tape.pass()), labels).mean();
            tape.minimise(NET, &loss, &way.rule);
            Ok(())
        });
        let update = play.add(update?).await?;
        if way.part == Part::Scattered {
            play.write(MASK, &scattered(&layout, seed))?;
        }
        // Statistics are those of training images alone, taken anew with the parameters as they are.
        let test = trace("test", Mode::Probe, |tape| {
            let x = tape.rows(&images.table, "index", [COUNTED + tested, size]) * (1.0 / 255.0);
            let labels = tape.labels("labels", [tested]);
            let net = tape.net(NET, |builder| Net::new(way.form, way.gamma, builder));
            let device = tape.device().clone();
            let counted = [Tensor::<1>::ones([COUNTED], &device), Tensor::zeros([tested], &device)];
            tape.pass().count(Tensor::cat(counted.to_vec(), 0));
            let logits = net.forward(x, tape.pass()).slice(COUNTED..COUNTED + tested);
            tape.metric("accuracy", &correct(logits, labels).mean());
            Ok(())
        });
        let test = play.add(test?).await?;
        Ok(Self { update, test, layout })
    }

    /// Test accuracy in percent.
    async fn accuracy(&self, play: &mut Play<'_>, images: &Images) -> Result<f64, StudyError> {
        let rows = (0..COUNTED.min(images.train)).cycle().take(COUNTED).chain(images.train..images.labels.len());
        let index: Vec<u32> = rows.map(|row| row as u32).collect();
        let labels = Words::Classes(&images.labels[images.train..]);
        play.run(self.test, &[("index", Words::Classes(&index)), ("labels", labels)]).await?;
        let found = play.metrics(self.test).await?;
        Ok(100.0 * found.get("accuracy").and_then(|all| all.last()).map_or(f64::NAN, |&share| f64::from(share)))
    }
}

/// An arm that has learned.
pub struct Learned<'p> {
    pub play: Play<'p>,
    pub layout: ParamLayout,
    /// Which of its parameters learned.
    pub places: Vec<usize>,
    /// All of them before any update and after the last.
    pub start: Vec<f32>,
    pub end: Vec<f32>,
}

/// Trains an arm and records what it comes to.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn learn<'p>(
    mut play: Play<'p>,
    images: &Images,
    way: &Way,
    seed: u64,
    outcome: &mut Outcome,
) -> Result<Learned<'p>, StudyError> {
    images.upload(&mut play)?;
    let steps = Steps::new(&mut play, images, way, seed).await?;
    let theta = format!("{NET}.theta");
    let places = learning(&steps.layout, way.part, seed);
    outcome.number(COUNT, places.len() as f64);
    let start = play.read(&theta).await?;
    let scales = gammas(&steps.layout, &start);
    histogram(&scales, SPAN, BINS).into_iter().for_each(|[x, share]| outcome.point(START, x, 100.0 * share));
    outcome.number(NEAR_START, small(&scales, way.near));
    // The same batches for every arm.
    let mut rng = Rng::new(own_seed(seed, "batches"), Stream::Sample, 0);
    let each = images.train / BATCH;
    let updates = each * way.epochs;
    let mut order: Vec<u32> = (0..images.train as u32).collect();
    for update in 0..updates {
        if update % each == 0 {
            rng.shuffle(&mut order);
        }
        let done = update as f64 / updates as f64;
        play.rate(NET, way.rate * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)))?;
        let index = &order[update % each * BATCH..][..BATCH];
        let labels: Vec<u32> = index.iter().map(|&row| images.labels[row as usize]).collect();
        play.run(steps.update, &[("index", Words::Classes(index)), ("labels", Words::Classes(&labels))]).await?;
        if (update + 1) * TESTS / updates > update * TESTS / updates {
            outcome.reading(ACCURACY, (update + 1) as f64, steps.accuracy(&mut play, images).await?);
        }
    }
    let end = play.read(&theta).await?;
    let scales = gammas(&steps.layout, &end);
    histogram(&scales, SPAN, BINS).into_iter().for_each(|[x, share]| outcome.point(END, x, 100.0 * share));
    outcome.number(NEAR, small(&scales, way.near));
    play.write(&theta, &without_small(&steps.layout, &end, way.near))?;
    outcome.number(ZEROED, steps.accuracy(&mut play, images).await?);
    outcome.done = true;
    Ok(Learned { play, layout: steps.layout, places, start, end })
}

/// Share of numbers below a size, in percent.
fn small(numbers: &[f32], size: f64) -> f64 {
    let below = numbers.iter().filter(|number| f64::from(number.abs()) < size).count();
    100.0 * below as f64 / numbers.len().max(1) as f64
}
