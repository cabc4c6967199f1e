//! A hypernetwork (von Oswald et al. 2020) whose chunks may depend on each other (Chandra et al. 2023): one small network
//! makes the weights of the session's network for every task from a vector that the task has learned.
//!
//! On a task the loss is that of the network with the weights made for it, plus hold times the mean, over the tasks that have
//! ended, of the squared distance between the weights that are made for them now and those made for them when the last one
//! ended. The vectors of other tasks stand still. Weighed, each squared distance counts by the weight's Fisher information at
//! the end of its task, of mean 1.
//!
//! The LSTM may grow, once: where a task ends with a loss of [`WORSE`] times the mean of those before it, more cells begin to
//! learn. What leads from them to the others is 0 until then, so that nothing is lost by growing. Their room is there from the
//! start, and so are their operations.

pub mod generator;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::Tensor;
use engine::continual::{ContinualSpec, Leg};
use engine::model::{Mode, ParamLayout};
use engine::numeric::{log_sum_exp, mean};
use engine::rng::{Rng, Stream, own_seed};
use engine::tape::{Tape, Words, trace};

use super::Method;
use super::ewc::drawn;
use crate::continual::desk::{Batch, CHUNK, Desk, examples_loss, in_chunks};
use crate::continual::heads::{Heads, by_task};
use crate::continual::learner::{Learner, rule};
use crate::continual::tasks::Tasks;
use crate::{StudyError, Task};
use generator::{Generator, Sizes, VECTOR, Wait};

/// Name of the hypernetwork.
pub const HYPER: &str = "hyper";
/// Its parameters.
pub const THETA: &str = "hyper.theta";
/// Name of the network whose weights are made.
const TARGET: &str = "target";
/// Weights made for each task when the last one ended, `[tasks, weights]`.
pub const TARGETS: &str = "hyper.targets";
/// What each weight is multiplied by, `[weights]`.
pub const SCALES: &str = "hyper.scales";
/// Weights for one task, `[weights]`.
const MADE: &str = "hyper.made";
const IMPORTANCE: &str = "hyper.importance";
/// 1 for each parameter that waits until the LSTM grows, else 0.
const ROOM: &str = "hyper.room";
const FISHER: &str = "hyper.fisher";

/// How much higher than the mean of those before it the loss of a task is that lets the LSTM grow.
const WORSE: f64 = 1.2;

const STEP: &str = "hyper";
const ANSWER: &str = "hyper answers";
const MAKE: &str = "hyper makes";
const MEASURE: &str = "hyper measures";
const INFORM: &str = "hyper fisher";
const SETTLE: &str = "hyper settles";

/// See the module.
#[derive(Clone)]
pub struct Hypernetwork {
    leg: Leg,
    hold: f32,
    weighed: bool,
    heads: Heads,
    /// Losses of the tasks that have ended.
    ended: BTreeMap<usize, f64>,
    /// Whether the LSTM has grown, and how many parameters wait until it does.
    grown: bool,
    waiting: u64,
    /// Parameters of the hypernetwork, those that wait among them, and weights that it makes for a task.
    parameters: u64,
    weights: usize,
}

impl Hypernetwork {
    /// Nothing learned.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        let heads = Heads::of(&desk.tasks);
        let (hold, weighed) = (desk.value(leg, "hold") as f32, desk.value(leg, "weighed") > 0.0);
        let ended = BTreeMap::new();
        Self { leg: leg.clone(), hold, weighed, heads, ended, grown: false, waiting: 0, parameters: 0, weights: 0 }
    }

    /// 1 for a task, 0 for the others.
    fn one_of(&self, task: usize) -> Vec<f32> {
        (0..self.heads.tasks()).map(|other| f32::from(u8::from(other == task))).collect()
    }

    /// What each task's distance counts for while a task is learned.
    fn holds(&self, task: usize) -> Vec<f32> {
        let held: Vec<bool> =
            (0..self.heads.tasks()).map(|other| other != task && self.ended.contains_key(&other)).collect();
        let each = self.hold / held.iter().filter(|held| **held).count().max(1) as f32;
        held.into_iter().map(|held| if held { each } else { 0.0 }).collect()
    }
}

/// What a step has of the hypernetwork.
struct Made {
    /// The network whose weights are made, with outputs for one task.
    target: Learner,
    /// All weights for every task, `[tasks, weights]`.
    all: Tensor<2>,
    /// A column with 1 for one of the tasks, else 0: an input.
    which: Tensor<2>,
    /// The weights for that task, `[weights]`.
    one: Tensor<1>,
}

impl Made {
    fn on(tape: &mut Tape, make: &Make) -> Self {
        let (tasks, count) = (make.sizes.tasks, make.sizes.layout.len());
        let target = make.target(tape);
        let hyper = tape.net(HYPER, |builder| Generator::new(&make.sizes, builder));
        let scales = tape.state(SCALES, [count]);
        let all = hyper.weights(&make.sizes, &scales, None);
        let which = tape.input("which", [tasks, 1]);
        let one = (all.clone() * which.clone()).sum_dim(0).reshape([count]);
        Self { target, all, which, one }
    }
}

/// What is needed to record both networks.
#[derive(Clone)]
struct Make {
    spec: Rc<ContinualSpec>,
    /// Shape of an example.
    shape: Vec<usize>,
    outputs: usize,
    sizes: Sizes,
}

impl Make {
    fn target(&self, tape: &mut Tape) -> Learner {
        tape.net(TARGET, |builder| Learner::new(&self.spec, &self.shape, self.outputs, builder))
    }
}

/// What a leg of a session's arm is recorded with, and where the parameters of its hypernetwork lie.
fn make(
    spec: &Rc<ContinualSpec>,
    shape: &[usize],
    heads: &Heads,
    leg: &Leg,
) -> Result<(Make, ParamLayout), StudyError> {
    let sizes = Sizes {
        tasks: heads.tasks(),
        chunks: spec.value(leg, "chunks") as usize,
        recurrent: spec.value(leg, "recurrent") > 0.0,
        grow: spec.value(leg, "grow") as usize,
        layout: ParamLayout::default(),
    };
    let mut make = Make { spec: spec.clone(), shape: shape.to_vec(), outputs: heads.most(), sizes };
    let mut layout = ParamLayout::default();
    trace("sizes", Mode::Eval, |tape| {
        make.target(tape);
        make.sizes.layout = tape.layout(TARGET);
        tape.net(HYPER, |builder| Generator::new(&make.sizes, builder));
        layout = tape.layout(HYPER);
        Ok(())
    })?;
    Ok((make, layout))
}

/// Sizes of the hypernetwork that a session's first arm has on pixels or numbers.
///
/// # Errors
/// Its networks cannot be recorded.
pub fn sizes(spec: &Rc<ContinualSpec>, tasks: &Tasks) -> Result<Sizes, StudyError> {
    Ok(make(spec, &tasks.shape, &Heads::of(tasks), &spec.arms[0].legs[0])?.0.sizes)
}

/// How far what is made, `[tasks, weights]`, is from what was: squared, by importance, by what each task counts for, `[tasks, 1]`.
fn held(made: Tensor<2>, targets: Tensor<2>, importance: Tensor<2>, holds: Tensor<2>) -> Tensor<1> {
    (((made - targets).powf_scalar(2.0) * importance).sum_dim(1) * holds).sum()
}

impl Method for Hypernetwork {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (make, layout) = make(&desk.spec, desk.input_shape(), &self.heads, &self.leg)?;
            record(desk, &make).await?;
            desk.play.renew(HYPER)?;
            desk.play.rate(HYPER, desk.spec.rate)?;
            let mut theta = desk.play.read(THETA).await?;
            if theta.len() != layout.len() {
                return Err(StudyError::Other(
                    "an arm has hypernetworks of one kind: their sizes cannot change".into(),
                ));
            }
            let waits = make.sizes.waits(&layout);
            let room: Vec<f32> = waits.iter().map(|wait| f32::from(u8::from(*wait != Wait::Not))).collect();
            self.parameters = layout.len() as u64;
            self.waiting = room.iter().sum::<f32>() as u64;
            let bridges = theta.iter_mut().zip(&waits).filter(|(_, wait)| **wait == Wait::Bridge);
            bridges.for_each(|(value, _)| *value = 0.0);
            desk.play.write(THETA, &theta)?;
            desk.play.write(ROOM, &room)?;
            let measure = desk.known(MEASURE)?;
            desk.play.run(measure, &[]).await?;
            let scales = make.sizes.scales(&desk.play.fetch(measure, "chunks").await?);
            self.weights = scales.len();
            Ok(desk.play.write(SCALES, &scales)?)
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let step = desk.known(STEP)?;
            for (task, (rows, _)) in by_task(&desk.tasks, &batch.rows) {
                let filled = self.heads.fill(&desk.tasks, task, &rows, desk.spec.batch);
                let (which, holds, grown) = (self.one_of(task), self.holds(task), [f32::from(u8::from(self.grown))]);
                let more = [("which", &which[..]), ("holds", &holds), ("grown", &grown)];
                let more = more.map(|(name, values)| (name, Words::Numbers(values)));
                desk.run(step, &filled, &more).await?;
            }
            Ok(())
        })
    }

    fn border<'a>(&'a mut self, desk: &'a mut Desk<'_>, task: usize) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            if self.weighed {
                self.inform(desk, task).await?;
            }
            let loss = if self.waiting > 0 { self.loss(desk, task).await? } else { 0.0 };
            let before: Vec<f64> = self.ended.values().copied().collect();
            self.grown |= !before.is_empty() && loss > WORSE * mean(&before);
            self.ended.insert(task, loss);
            let (settle, which) = (desk.known(SETTLE)?, self.one_of(task));
            let weighed = [f32::from(u8::from(self.weighed))];
            let inputs = [("which", Words::Numbers(&which)), ("weighed", Words::Numbers(&weighed))];
            Ok(desk.play.run(settle, &inputs).await?)
        })
    }

    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        Box::pin(async {
            let outputs = desk.outputs();
            let mut scores = vec![f32::NEG_INFINITY; rows.len() * outputs];
            for (task, (rows, places)) in by_task(&desk.tasks, rows) {
                let logits = self.logits(desk, task, &rows).await?;
                self.heads.scatter(task, &places, &logits, &mut scores, outputs);
            }
            Ok(scores)
        })
    }

    fn extra_bytes(&self, _: u64) -> u64 {
        let each = 4 * self.weights * (1 + usize::from(self.weighed));
        (self.ended.len() * each) as u64
    }

    fn parameters(&self, _: u64) -> u64 {
        if self.grown { self.parameters } else { self.parameters - self.waiting }
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}

/// Records the steps.
async fn record(desk: &mut Desk<'_>, make: &Make) -> Result<(), StudyError> {
    let (tasks, count, outputs) = (make.sizes.tasks, make.sizes.layout.len(), make.outputs);
    let (batch, rule) = (desk.spec.batch, rule(desk.spec.optimizer));
    desk.step(STEP, batch, |tape, _, x| {
        let made = Made::on(tape, make);
        let logits = tape.with(&made.target, &made.one).forward(x);
        let loss = examples_loss(tape, logits, outputs);
        let (targets, importance) = (tape.state(TARGETS, [tasks, count]), tape.state(IMPORTANCE, [tasks, count]));
        let holds = tape.input("holds", [tasks, 1]);
        let held = held(made.all, targets, importance, holds);
        // Vectors of other tasks, which come first among the parameters, stand still; so does what waits.
        let (parameters, vectors) = (tape.layout(HYPER).len(), tasks * VECTOR);
        let own = made.which.expand([tasks, VECTOR]).reshape([vectors]);
        let (room, grown) = (tape.state(ROOM, [parameters]), tape.input("grown", [1]));
        let others = (room.slice(vectors..parameters) * (grown - 1.0)) + 1.0;
        tape.scale_rates(HYPER, &Tensor::cat(vec![own, others], 0));
        tape.minimise(HYPER, &(loss.clone() + held.clone()), &rule);
        tape.metric("loss", &loss);
        tape.metric("held", &held);
        Ok(())
    })
    .await?;
    desk.bare_step(MAKE, |tape| {
        let made = Made::on(tape, make);
        let _ = tape.state(MADE, [count]);
        tape.keep(MADE, &made.one);
        Ok(())
    })
    .await?;
    desk.step(ANSWER, CHUNK, |tape, _, x| {
        let (target, made) = (make.target(tape), tape.state(MADE, [count]));
        let logits = tape.with(&target, &made).forward(x);
        tape.fetch("logits", &logits);
        Ok(())
    })
    .await?;
    desk.step(INFORM, 1, |tape, _, x| {
        let (target, made) = (make.target(tape), tape.state(MADE, [count]));
        let logits = tape.with(&target, &made).forward(x);
        let loss = examples_loss(tape, logits, outputs);
        let gradient = tape.grad(&loss, &made);
        let fisher = tape.state(FISHER, [count]);
        tape.keep(FISHER, &(fisher + gradient.powf_scalar(2.0)));
        Ok(())
    })
    .await?;
    desk.bare_step(SETTLE, |tape| {
        let Made { all, which, .. } = Made::on(tape, make);
        let _ = tape.state(TARGETS, [tasks, count]);
        let (fisher, importance) = (tape.state(FISHER, [1, count]), tape.state(IMPORTANCE, [tasks, count]));
        let weighed = tape.input("weighed", [1, 1]);
        let relative = fisher.clone() / (fisher.clone().mean_dim(1) + 1e-12);
        let own = relative * weighed.clone() + (weighed.neg() + 1.0);
        tape.keep(TARGETS, &all);
        tape.keep(IMPORTANCE, &(importance * (which.clone().neg() + 1.0) + own * which));
        tape.keep(FISHER, &(fisher * 0.0));
        Ok(())
    })
    .await?;
    desk.bare_step(MEASURE, |tape| {
        let hyper = tape.net(HYPER, |builder| Generator::new(&make.sizes, builder));
        let hidden = hyper.hidden(None).slice_dim(2, 0..make.sizes.hidden());
        let hidden = hidden.powf_scalar(2.0).mean_dim(2).mean_dim(0);
        tape.fetch("chunks", &hidden.sqrt().reshape([make.sizes.chunks]));
        Ok(())
    })
    .await?;
    Ok(())
}

impl Hypernetwork {
    /// Logits of rows of a task, of [`Heads::most`] outputs.
    async fn logits(&self, desk: &mut Desk<'_>, task: usize, rows: &[u32]) -> Result<Vec<f32>, StudyError> {
        let (make, answer) = (desk.known(MAKE)?, desk.known(ANSWER)?);
        desk.play.run(make, &[("which", Words::Numbers(&self.one_of(task)))]).await?;
        in_chunks(&mut desk.play, answer, rows, "logits", self.heads.most()).await
    }

    /// Rows of a task to measure it on, always the same, and what is drawn next.
    fn sample(&self, desk: &Desk<'_>, task: usize) -> (Vec<u32>, Rng) {
        let mut rows = desk.tasks.train[task].clone();
        let mut rng = Rng::new(own_seed(desk.seed, "fisher"), Stream::Sample, task as u32);
        rng.shuffle(&mut rows);
        rows.truncate(desk.value(&self.leg, "fisher") as usize);
        (rows, rng)
    }

    /// Mean cross-entropy of a task's own examples.
    async fn loss(&self, desk: &mut Desk<'_>, task: usize) -> Result<f64, StudyError> {
        let (rows, most) = (self.sample(desk, task).0, self.heads.most());
        let logits = self.logits(desk, task, &rows).await?;
        let filled = self.heads.fill(&desk.tasks, task, &rows, rows.len());
        let targets = filled.target.chunks(most).zip(filled.allowed.chunks(most));
        Ok(logits.chunks(most).zip(targets).map(|(logits, (target, allowed))| surprise(logits, target, allowed)).sum())
    }

    /// Gathers the Fisher information of the weights made for a task, labels drawn from the network's own answers.
    async fn inform(&self, desk: &mut Desk<'_>, task: usize) -> Result<(), StudyError> {
        let step = desk.known(INFORM)?;
        let (rows, mut rng) = self.sample(desk, task);
        let (logits, most) = (self.logits(desk, task, &rows).await?, self.heads.most());
        let competing = self.heads.competing(task);
        for (&row, logits) in rows.iter().zip(logits.chunks(most)) {
            let label = drawn(logits, &competing, f64::from(rng.uniform()));
            let mut filled = self.heads.fill(&desk.tasks, task, &[row], 1);
            filled.target.fill(0.0);
            filled.target[label] = 1.0;
            desk.run(step, &filled, &[]).await?;
        }
        Ok(())
    }
}

/// Weighted cross-entropy of an example.
fn surprise(logits: &[f32], target: &[f32], allowed: &[f32]) -> f64 {
    let competing = logits.iter().zip(allowed).filter(|(_, allowed)| **allowed > 0.0);
    let total = log_sum_exp(&competing.map(|(logit, _)| f64::from(*logit)).collect::<Vec<f64>>());
    target.iter().zip(logits).map(|(target, logit)| f64::from(*target) * (total - f64::from(*logit))).sum()
}
