//! One arm with a seed.

use burn::tensor::Tensor;
use engine::model::Mode;
use engine::numeric::argmax;
use engine::objective::recorded::cross_entropy;
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{DecayKind, OptimizerSpec, Rule};
use engine::tape::{Play, PlayError, StepId, Traced, Words, trace};

use super::clips::{CLASSES, Clips, Sight};
use super::net::{NET, Net};
use super::schedule::{FRAMES, SIDE, Shape, Update};
use super::{ACCURACY_BY_TIME, ACCURACY_BY_WORK, DIRECTION, PARITY, SECONDS, UPDATES, WORK};
use crate::names::{ACCURACY, DIVERGED};
use crate::results::Outcome;
use crate::{Context, Share, StudyError};

/// Clips that a norm's statistics are settled by before a test, and clips at once in that and in the test.
const SETTLED: usize = 80;
const AT_ONCE: usize = 40;
/// Tests of a run; all but the last are of so many clips.
const TESTS: usize = 5;
const ON_THE_WAY: usize = 160;
/// Accuracies of guessing, in percent, as [`Steps::test`] says them: those of a run that diverged.
const CHANCE: [f64; 3] = [100.0 / CLASSES as f64, 200.0 / CLASSES as f64, 50.0];

/// What a recorded step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Update,
    /// Takes the statistics of the norms.
    Settle,
    Test,
}

fn recorded(name: &'static str, shape: Shape, part: usize, purpose: Purpose) -> Result<Traced, PlayError> {
    let mode = if purpose == Purpose::Test { Mode::Eval } else { Mode::Train };
    Ok(trace(name, mode, |tape| {
        let Shape { clips, frames, side } = shape;
        let x: Tensor<4> = tape.input("clips", [clips, frames, side, side]);
        let net = tape.net(NET, |b| Net::new(part, b));
        if purpose == Purpose::Settle {
            let rate = tape.input("rate", [1]);
            let logits = net.forward(x, Some(&rate), tape.pass());
            tape.metric("mean", &logits.mean());
            return Ok(());
        }
        let logits = net.forward(x, None, tape.pass());
        if purpose == Purpose::Test {
            tape.fetch("logits", &logits);
            return Ok(());
        }
        let labels = tape.labels("labels", [clips]);
        let loss = cross_entropy(logits, labels).mean();
        tape.metric("loss", &loss);
        let momentum = OptimizerSpec::of(Rule::Momentum);
        let rule = OptimizerSpec { weight_decay: 1e-4, decay: DecayKind::Coupled, clip: 0.0, ..momentum };
        tape.minimise(NET, &loss, &rule);
        Ok(())
    })?)
}

/// Names of updates by frames and side.
const NAMES: [(usize, usize, &str); 9] = [
    (4, 12, "4 frames of 12"),
    (4, 16, "4 frames of 16"),
    (4, 24, "4 frames of 24"),
    (8, 12, "8 frames of 12"),
    (8, 16, "8 frames of 16"),
    (8, 24, "8 frames of 24"),
    (16, 12, "16 frames of 12"),
    (16, 16, "16 frames of 16"),
    (16, 24, "16 frames of 24"),
];

/// The clips of a run one after another: each epoch all of them, in an order of its own.
pub struct Order {
    seed: u64,
    clips: usize,
    epoch: Option<u64>,
    order: Vec<usize>,
}

impl Order {
    pub fn new(seed: u64, clips: usize) -> Self {
        Self { seed: own_seed(seed, "order"), clips, epoch: None, order: vec![] }
    }

    /// The clip at a place of the whole run.
    pub fn at(&mut self, place: u64) -> usize {
        let epoch = place / self.clips as u64;
        if self.epoch != Some(epoch) {
            self.order = (0..self.clips).collect();
            Rng::new(self.seed, Stream::Sample, epoch as u32).shuffle(&mut self.order);
            self.epoch = Some(epoch);
        }
        self.order[(place % self.clips as u64) as usize]
    }
}

/// Draws the clips that come at some places of a run, and says their classes.
pub fn batch(clips: &Clips, order: &mut Order, seed: u64, first: u64, shape: Shape) -> (Vec<f32>, Vec<u32>) {
    let (mut x, mut labels) = (Vec::with_capacity(shape.pixels()), Vec::with_capacity(shape.clips));
    for place in first..first + shape.clips as u64 {
        let clip = order.at(place);
        let mut rng = Rng::new(own_seed(seed, "sights"), Stream::Sample, place as u32);
        clips.draw(clip, Sight::drawn(shape.frames, shape.side, &mut rng), &mut x);
        labels.push(clips.class(clip));
    }
    (x, labels)
}

/// The steps of an arm.
struct Steps {
    updates: Vec<(Shape, StepId)>,
    settle: StepId,
    test: StepId,
}

impl Steps {
    /// Records the updates of all shapes; each runs once, so that none is compiled while time is taken.
    async fn new(play: &mut Play<'_>, all: &[Update], part: usize, seed: u64) -> Result<Self, StudyError> {
        let mut updates: Vec<(Shape, StepId)> = vec![];
        for &Update { shape, .. } in all {
            if updates.iter().any(|(known, _)| *known == shape) {
                continue;
            }
            let named = NAMES.iter().find(|(frames, side, _)| (*frames, *side) == (shape.frames, shape.side));
            let name = named.map_or("update", |(.., name)| *name);
            let id = play.add(recorded(name, shape, part, Purpose::Update)?).await?;
            play.rate(NET, 0.0)?;
            let (x, labels) = (vec![0.0; shape.pixels()], vec![0; shape.clips]);
            play.run(id, &[("clips", Words::Numbers(&x)), ("labels", Words::Classes(&labels))]).await?;
            play.metrics(id).await?;
            updates.push((shape, id));
        }
        let whole = Shape { clips: AT_ONCE, frames: FRAMES, side: SIDE };
        let settle = play.add(recorded("settle", whole, part, Purpose::Settle)?).await?;
        let test = play.add(recorded("test", whole, part, Purpose::Test)?).await?;
        play.restart(seed)?;
        Ok(Self { updates, settle, test })
    }

    fn of(&self, shape: Shape) -> Result<StepId, StudyError> {
        let found = self.updates.iter().find(|(known, _)| *known == shape);
        found.map(|(_, id)| *id).ok_or_else(|| StudyError::Other("an update has a shape that was not recorded".into()))
    }

    /// Which share of so many test clips of the default shape is answered right, and of their directions and parities, in
    /// percent. The norms go by statistics of clips to learn from.
    async fn test(&self, play: &mut Play<'_>, clips: &Clips, tested: usize) -> Result<[f64; 3], StudyError> {
        let draw = |range: std::ops::Range<usize>| {
            let mut x = vec![];
            range.for_each(|clip| clips.draw(clip, Sight::WHOLE, &mut x));
            x
        };
        for number in 0..SETTLED / AT_ONCE {
            let x = draw(number * AT_ONCE..(number + 1) * AT_ONCE);
            let rate = [1.0 / (number + 1) as f32];
            play.run(self.settle, &[("clips", Words::Numbers(&x)), ("rate", Words::Numbers(&rate))]).await?;
        }
        play.metrics(self.settle).await?;
        let mut right = [0; 3];
        for first in (0..tested).step_by(AT_ONCE) {
            let range = clips.train + first..clips.train + first + AT_ONCE;
            play.run(self.test, &[("clips", Words::Numbers(&draw(range.clone())))]).await?;
            let logits = play.fetch(self.test, "logits").await?;
            for (logits, clip) in logits.chunks(CLASSES).zip(range) {
                let (answer, class) = (argmax(logits).unwrap_or(0), clips.class(clip) as usize);
                let is = [answer == class, answer / 2 == class / 2, answer % 2 == class % 2];
                right.iter_mut().zip(is).for_each(|(sum, is)| *sum += usize::from(is));
            }
        }
        Ok(right.map(|right| 100.0 * right as f64 / tested as f64))
    }
}

/// Trains an arm and records what it comes to. `part`: least clips of a norm's part.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn learn(
    context: &mut Context<'_>,
    arm: &str,
    (clips, updates, part): (&Clips, &[Update], usize),
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    let mut play = context.play(seed).await?;
    let steps = Steps::new(&mut play, updates, part, seed).await?;
    let mut order = Order::new(seed, clips.train);
    let (mut place, mut work, mut seconds) = (0, 0.0, 0.0);
    let mut since = context.now_ms();
    for (number, update) in updates.iter().enumerate() {
        let id = steps.of(update.shape)?;
        let (x, labels) = batch(clips, &mut order, seed, place, update.shape);
        play.rate(NET, update.rate)?;
        play.run(id, &[("clips", Words::Numbers(&x)), ("labels", Words::Classes(&labels))]).await?;
        place += update.shape.clips as u64;
        work += play.flop(id)? as f64 / 1e9;
        if (number + 1) * TESTS / updates.len() > number * TESTS / updates.len() {
            // Reading what was counted waits for the device.
            let losses = play.metrics(id).await?;
            seconds += (context.now_ms() - since) / 1000.0;
            let diverged = losses.get("loss").into_iter().flatten().any(|loss| !loss.is_finite());
            let last = number + 1 == updates.len();
            let tested = if last { clips.len() - clips.train } else { ON_THE_WAY };
            let [accuracy, direction, parity] =
                if diverged { CHANCE } else { steps.test(&mut play, clips, tested).await? };
            let outcome = context.results.record(arm, seed)?;
            outcome.point(ACCURACY_BY_WORK, work, accuracy);
            outcome.point(ACCURACY_BY_TIME, seconds, accuracy);
            outcome.number(ACCURACY.last(), accuracy);
            outcome.number(DIRECTION, direction);
            outcome.number(PARITY, parity);
            if diverged {
                outcome.number(DIVERGED, (number + 1) as f64);
            }
            let message = format!("{arm}, seed {seed}: update {} of {}", number + 1, updates.len());
            context.progress(share.at((number + 1) as f64 / updates.len() as f64), &message);
            since = context.now_ms();
        }
    }
    let outcome: &mut Outcome = context.results.record(arm, seed)?;
    outcome.number(UPDATES, updates.len() as f64);
    outcome.number(WORK, work);
    outcome.number(SECONDS, seconds);
    outcome.done = true;
    Ok(())
}
