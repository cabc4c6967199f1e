//! Channel-wise lightweight reprogramming (Ge et al. 2023): the network stays as it was, the anchor; each task has a set of
//! its own that is plugged in where the task is named.
//!
//! A set has, for each convolution, a small filter for every channel and a batch norm, both between the convolution and its
//! rectifier, and a layer of outputs. Filters add to the map that they read, so that those of zeros change nothing; the norm
//! that a new task gets takes the mean and variance of its first batch away and puts them back. So every task begins with the
//! anchor itself. A set holds the moments of its update rule too: tasks may come back.

use std::collections::BTreeMap;
use std::rc::Rc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module::conv2d};
use engine::continual::{Leg, Network};
use engine::model::{BatchNorm, Builder, Init, Mode, Pass};
use engine::tape::{Snapshot, Tape, Words};

use super::Method;
use crate::continual::desk::{Batch, CHUNK, Desk, examples_loss, in_chunks};
use crate::continual::heads::{Heads, by_task};
use crate::continual::learner::{Learner, rule};
use crate::{StudyError, Task};

/// Name of the set that is plugged in.
const SET: &str = "clr";
const STEP: &str = "clr";
const ANSWER: &str = "clr answers";
const CENTRE: &str = "clr centre";
/// What batch norms add to variances.
const EPSILON: f64 = 1e-5;

/// What a task has of its own.
#[derive(Module, Debug)]
struct Set {
    filters: Vec<Param<Tensor<4>>>,
    norms: Vec<BatchNorm>,
    head: Linear,
}

/// What sets are made of.
#[derive(Clone, Debug)]
struct Make {
    /// Channels of each convolution.
    channels: Vec<usize>,
    /// Side of the filters, odd; 0 = there are none.
    kernel: usize,
    norms: bool,
    /// Numbers that the outputs are made of.
    width: usize,
    /// The most outputs of a task.
    outputs: usize,
}

impl Make {
    fn set(&self, builder: &mut Builder) -> Set {
        let mut filters = Vec::new();
        if self.kernel > 0 {
            let shape = |&channels: &usize| [channels, 1, self.kernel, self.kernel];
            filters.extend(self.channels.iter().map(|channels| builder.param(shape(channels), Init::Constant(0.0))));
        }
        let mut norms = Vec::new();
        if self.norms {
            norms.extend(self.channels.iter().map(|&channels| builder.batch_norm(channels)));
        }
        Set { filters, norms, head: builder.linear(self.width, self.outputs, true, Init::linear_normal(self.width)) }
    }

    /// Numbers that a task of so many outputs learns.
    fn parameters(&self, outputs: usize) -> u64 {
        let channels: usize = self.channels.iter().sum();
        let norms = if self.norms { 2 } else { 0 };
        (channels * (self.kernel * self.kernel + norms) + (self.width + 1) * outputs) as u64
    }

    /// Running statistics of a set.
    fn statistics(&self) -> u64 {
        if self.norms { 2 * self.channels.iter().sum::<usize>() as u64 } else { 0 }
    }
}

impl Set {
    /// Logits `[rows, outputs]` of what the anchor sees through the set.
    fn forward(&self, anchor: &Learner, x: Tensor<2>, pass: &mut Pass) -> Tensor<2> {
        self.head.forward(anchor.features_through(x, |place, maps| self.seen(place, maps, pass)))
    }

    /// Maps after the filters and the norm of a convolution.
    fn seen(&self, place: usize, mut maps: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        if let Some(filter) = self.filters.get(place) {
            maps = maps.clone() + by_channel(maps, filter.val());
        }
        match self.norms.get(place) {
            Some(norm) => norm.forward(maps, pass),
            None => maps,
        }
    }
}

/// Each channel of `[rows, channels, height, width]` convolved with a filter of its own, `[channels, 1, side, side]`; the size
/// stays.
fn by_channel(maps: Tensor<4>, filters: Tensor<4>) -> Tensor<4> {
    let [channels, _, side, _] = filters.dims();
    conv2d(maps, filters, None, ConvOptions::new([1; 2], [side / 2; 2], [1; 2], channels))
}

/// Lets the norms of a fresh set undo themselves on a batch: they scale and shift by what they will divide and subtract.
fn centre(tape: &mut Tape, anchor: &Learner, x: Tensor<2>) {
    let mut moments = Vec::new();
    let _ = anchor.features_through(x, |_, maps| {
        let [rows, channels, height, width] = maps.dims();
        let each = maps.clone().swap_dims(0, 1).reshape([channels, rows * height * width]);
        let mean = each.clone().mean_dim(1);
        let variance = (each - mean.clone()).powf_scalar(2.0).mean_dim(1);
        moments.push([mean, variance].map(|moment| moment.reshape([channels])));
        maps
    });
    let theta = tape.flat(SET);
    let mut parts = Vec::new();
    for entry in tape.layout(SET).entries() {
        let place = |kind: &str| entry.name.strip_prefix("norms.")?.strip_suffix(kind)?.parse::<usize>().ok();
        let own = |kind: &str| place(kind).and_then(|place| moments.get(place));
        parts.push(match (own(".gamma"), own(".beta")) {
            (Some([_, variance]), _) => (variance.clone() + EPSILON).sqrt(),
            (_, Some([mean, _])) => mean.clone(),
            _ => theta.clone().slice(entry.offset..entry.offset + entry.shape.iter().product::<usize>()),
        });
    }
    tape.set(SET, &Tensor::cat(parts, 0));
    for (place, [mean, variance]) in moments.iter().enumerate() {
        tape.keep(&format!("{SET}.norms.{place}.mean"), mean);
        tape.keep(&format!("{SET}.norms.{place}.variance"), variance);
    }
}

/// See the module.
#[derive(Clone)]
pub struct Clr {
    make: Make,
    /// Sets by task, as they were when they were last taken out.
    sets: BTreeMap<usize, Rc<Snapshot>>,
    /// The task whose set is plugged in, and whether it has learned since.
    plugged: Option<(usize, bool)>,
    heads: Heads,
}

impl Clr {
    /// No task has a set.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        let kernel = match desk.value(leg, "kernel") as usize {
            0 => 0,
            side => side | 1,
        };
        let heads = Heads::of(&desk.tasks);
        let make = Make {
            channels: desk.spec.hidden.clone(),
            kernel,
            norms: desk.value(leg, "norms") > 0.0,
            width: desk.inner_width(),
            outputs: heads.most(),
        };
        Self { make, sets: BTreeMap::new(), plugged: None, heads }
    }

    /// Whether a task has learned anything.
    fn knows(&self, task: usize) -> bool {
        self.sets.contains_key(&task) || self.plugged == Some((task, true))
    }

    /// Plugs the set of a task in, a fresh one where it has none.
    async fn plug(&mut self, desk: &mut Desk<'_>, task: usize) -> Result<(), StudyError> {
        match self.plugged {
            Some((known, _)) if known == task => return Ok(()),
            Some((known, true)) => {
                self.sets.insert(known, Rc::new(desk.play.snapshot_of(SET).await?));
            }
            _ => {}
        }
        match self.sets.get(&task) {
            Some(set) => desk.play.restore(set)?,
            None => desk.play.renew(SET)?,
        }
        self.plugged = Some((task, false));
        Ok(())
    }
}

impl Method for Clr {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            if desk.spec.network != Network::Convnet || desk.tasks.picture() == [0; 3] {
                return Err(StudyError::Other("CLR needs pictures, and a convnet as network".into()));
            }
            let (make, batch, rule) = (self.make.clone(), desk.spec.batch, rule(desk.spec.optimizer));
            desk.step(STEP, batch, |tape, anchor, x| {
                let set = tape.net(SET, |builder| make.set(builder));
                let logits = set.forward(anchor, x, tape.pass());
                let loss = examples_loss(tape, logits, make.outputs);
                tape.minimise(SET, &loss, &rule);
                tape.metric("loss", &loss);
                Ok(())
            })
            .await?;
            desk.step(ANSWER, CHUNK, |tape, anchor, x| {
                let set = tape.net(SET, |builder| make.set(builder));
                tape.fetch("logits", &set.forward(anchor, x, &mut Pass::new(Mode::Eval)));
                Ok(())
            })
            .await?;
            if self.make.norms {
                desk.step(CENTRE, batch, |tape, anchor, x| {
                    let _ = tape.net(SET, |builder| make.set(builder));
                    centre(tape, anchor, x);
                    Ok(())
                })
                .await?;
            }
            if desk.play.read("clr.theta").await?.len() as u64 != self.make.parameters(self.make.outputs) {
                return Err(StudyError::Other(
                    "an arm has sets of one kind: CLR's filters and norms cannot change".into(),
                ));
            }
            Ok(desk.play.rate(SET, desk.spec.rate)?)
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let step = desk.known(STEP)?;
            for (task, (rows, _)) in by_task(&desk.tasks, &batch.rows) {
                self.plug(desk, task).await?;
                let filled = self.heads.fill(&desk.tasks, task, &rows, desk.spec.batch);
                if self.make.norms && !self.knows(task) {
                    let centre = desk.known(CENTRE)?;
                    desk.play.run(centre, &[("index", Words::Classes(&filled.index))]).await?;
                }
                desk.run(step, &filled, &[]).await?;
                self.plugged = Some((task, true));
            }
            Ok(())
        })
    }

    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        Box::pin(async {
            let (step, outputs) = (desk.known(ANSWER)?, desk.outputs());
            let mut scores = vec![f32::NEG_INFINITY; rows.len() * outputs];
            for (task, (rows, places)) in by_task(&desk.tasks, rows) {
                self.plug(desk, task).await?;
                let logits = in_chunks(&mut desk.play, step, &rows, "logits", self.make.outputs).await?;
                self.heads.scatter(task, &places, &logits, &mut scores, outputs);
            }
            Ok(scores)
        })
    }

    fn extra_bytes(&self, _: u64) -> u64 {
        // The set of the last task counts with those before it: each is kept for its task.
        let tasks = (0..self.heads.tasks()).filter(|&task| self.knows(task)).count() as u64;
        4 * (self.parameters(0) + tasks * self.make.statistics())
    }

    fn parameters(&self, _: u64) -> u64 {
        let learned = (0..self.heads.tasks()).filter(|&task| self.knows(task));
        learned.map(|task| self.make.parameters(self.heads.outputs(task))).sum()
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}

#[cfg(test)]
mod tests;
