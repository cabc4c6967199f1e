//! Elastic weight consolidation (Kirkpatrick et al. 2017) and its online form (Schwarz et al. 2018).
//!
//! At a border the diagonal Fisher information F of the task's examples is measured, labels drawn from the network's own
//! answers. EWC adds lambda / 2 sum over tasks t of F_t (theta - theta_t)^2: with S = sum F_t and A = sum F_t theta_t that is
//! lambda (S theta^2 / 2 - A theta) and a constant, so that two vectors hold it for any number of tasks. Online EWC has one
//! anchor: S <- gamma S + F, A <- S theta.

use engine::continual::{Leg, Strategy};
use engine::rng::{Rng, Stream, own_seed};
use engine::tape::Words;

use super::Method;
use crate::continual::desk::{Batch, Desk, NET, examples_loss};
use crate::continual::learner::rule;
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct Ewc {
    online: bool,
    lambda: f32,
    gamma: f32,
    examples: usize,
}

const STEP: &str = "ewc";
const FISHER: &str = "ewc fisher";
const SETTLE: &str = "ewc settle";

impl Ewc {
    /// With nothing held.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        let online = leg.strategy == Strategy::OnlineEwc;
        Self {
            online,
            lambda: desk.value(leg, "lambda") as f32,
            gamma: if online { desk.value(leg, "gamma") as f32 } else { 1.0 },
            examples: desk.value(leg, "fisher") as usize,
        }
    }
}

impl Method for Ewc {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (outputs, rule, batch) = (desk.outputs(), rule(desk.spec.optimizer), desk.spec.batch);
            desk.step(STEP, batch, |tape, net, x| {
                let loss = examples_loss(tape, net.forward(x), outputs);
                let theta = tape.flat(NET);
                let size = theta.dims();
                let (sum, anchored) = (tape.state("ewc.sum", size), tape.state("ewc.anchored", size));
                let lambda = tape.input("lambda", [1]);
                let penalty = (sum * theta.clone().powf_scalar(2.0) * 0.5 - anchored * theta).sum() * lambda;
                tape.minimise(NET, &(loss + penalty), &rule);
                Ok(())
            })
            .await?;
            desk.step(FISHER, 1, |tape, net, x| {
                let loss = examples_loss(tape, net.forward(x), outputs);
                let theta = tape.flat(NET);
                let gradient = tape.grad(&loss, &theta);
                let fisher = tape.state("ewc.fisher", theta.dims());
                tape.keep("ewc.fisher", &(fisher + gradient.powf_scalar(2.0)));
                Ok(())
            })
            .await?;
            desk.bare_step(SETTLE, |tape| {
                let theta = tape.flat(NET);
                let size = theta.dims();
                let (sum, anchored) = (tape.state("ewc.sum", size), tape.state("ewc.anchored", size));
                let (share, gamma) = (tape.input("share", [1]), tape.input("gamma", [1]));
                let online = tape.input("online", [1]);
                let fisher = tape.state("ewc.fisher", size) * share;
                let grown = sum * gamma + fisher.clone();
                let one = grown.clone() * theta.clone() * online.clone();
                let each = (anchored + fisher.clone() * theta) * (online.neg() + 1.0);
                tape.keep("ewc.sum", &grown);
                tape.keep("ewc.anchored", &(one + each));
                tape.keep("ewc.fisher", &(fisher * 0.0));
                Ok(())
            })
            .await?;
            Ok(())
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let step = desk.known(STEP)?;
            let filled = desk.fill(&batch.rows, desk.spec.batch, batch.rows.len());
            desk.run(step, &filled, &[("lambda", Words::Numbers(&[self.lambda]))]).await
        })
    }

    fn border<'a>(&'a mut self, desk: &'a mut Desk<'_>, task: usize) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let (fisher, settle) = (desk.known(FISHER)?, desk.known(SETTLE)?);
            let mut rows = desk.tasks.train[task].clone();
            let mut rng = Rng::new(own_seed(desk.seed, "fisher"), Stream::Sample, task as u32);
            rng.shuffle(&mut rows);
            rows.truncate(self.examples);
            let logits = desk.logits(&rows).await?;
            for (&row, logits) in rows.iter().zip(logits.chunks(desk.outputs())) {
                let label = drawn(logits, &desk.allowed(row), f64::from(rng.uniform()));
                let mut filled = desk.fill(&[row], 1, 1);
                filled.target.fill(0.0);
                filled.target[label] = 1.0;
                desk.run(fisher, &filled, &[]).await?;
            }
            let share = 1.0 / rows.len().max(1) as f32;
            let online = f32::from(u8::from(self.online));
            let inputs = [("share", &[share]), ("gamma", &[self.gamma]), ("online", &[online])];
            Ok(desk.play.run(settle, &inputs.map(|(name, value)| (name, Words::Numbers(value)))).await?)
        })
    }

    fn extra_bytes(&self, parameters: u64) -> u64 {
        8 * parameters
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}

/// An output by the shares of those that compete, from a number in [0, 1).
pub(super) fn drawn(logits: &[f32], allowed: &[f32], chance: f64) -> usize {
    let highest = logits.iter().zip(allowed).filter(|(_, allowed)| **allowed > 0.0);
    let highest = highest.map(|(logit, _)| f64::from(*logit)).fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = logits
        .iter()
        .zip(allowed)
        .map(|(&logit, &allowed)| if allowed > 0.0 { libm::exp(f64::from(logit) - highest) } else { 0.0 })
        .collect();
    let mut left = chance * shares.iter().sum::<f64>();
    let mut last = 0;
    for (output, share) in shares.into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
        last = output;
        if left < share {
            return output;
        }
        left -= share;
    }
    last
}
