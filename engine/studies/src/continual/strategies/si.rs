//! Synaptic intelligence (Zenke et al. 2017): along the way of a task each parameter gathers w, minus its gradient of the
//! task's loss times its change; at the border its importance grows by max(w, 0) / (change over the task squared + xi), and
//! c times importance times the squared distance from there is added to the loss.

use engine::continual::Leg;
use engine::tape::Words;

use super::Method;
use crate::continual::desk::{Batch, Desk, NET, examples_loss};
use crate::continual::learner::rule;
use crate::{StudyError, Task};

/// Keeps importances of parameters finite that hardly moved.
pub const XI: f64 = 0.1;

/// See the module.
#[derive(Clone)]
pub struct Si {
    c: f32,
}

const STEP: &str = "si";
const SETTLE: &str = "si settle";

impl Si {
    /// With nothing held.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self { c: desk.value(leg, "c") as f32 }
    }
}

impl Method for Si {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (outputs, rule, batch) = (desk.outputs(), rule(desk.spec.optimizer), desk.spec.batch);
            desk.step(STEP, batch, |tape, net, x| {
                let loss = examples_loss(tape, net.forward(x), outputs);
                let theta = tape.flat(NET);
                let size = theta.dims();
                let (importance, anchor) = (tape.state("si.importance", size), tape.state("si.anchor", size));
                let c = tape.input("c", [1]);
                let penalty = (importance * (theta.clone() - anchor).powf_scalar(2.0)).sum() * c;
                let (own, pull) = (tape.grad(&loss, &theta), tape.grad(&penalty, &theta));
                let after = tape.descend(NET, &(own.clone() + pull), &rule);
                let path = tape.state("si.path", size);
                tape.keep("si.path", &(path - own * (after - theta)));
                Ok(())
            })
            .await?;
            // `ended` is 1 at a border and 0 where the strategy begins.
            let settle = desk
                .bare_step(SETTLE, |tape| {
                    let theta = tape.flat(NET);
                    let size = theta.dims();
                    let ended = tape.input("ended", [1]);
                    let path = tape.state("si.path", size);
                    let moved = theta.clone() - tape.state("si.anchor", size);
                    let grown = path.clone().clamp_min(0.0) / (moved.powf_scalar(2.0) + XI);
                    let importance = tape.state("si.importance", size) + grown * ended;
                    tape.keep("si.importance", &importance);
                    tape.keep("si.anchor", &theta);
                    tape.keep("si.path", &(path * 0.0));
                    Ok(())
                })
                .await?;
            Ok(desk.play.run(settle, &[("ended", Words::Numbers(&[0.0]))]).await?)
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let step = desk.known(STEP)?;
            let filled = desk.fill(&batch.rows, desk.spec.batch, batch.rows.len());
            desk.run(step, &filled, &[("c", Words::Numbers(&[self.c]))]).await
        })
    }

    fn border<'a>(&'a mut self, desk: &'a mut Desk<'_>, _: usize) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let settle = desk.known(SETTLE)?;
            Ok(desk.play.run(settle, &[("ended", Words::Numbers(&[1.0]))]).await?)
        })
    }

    fn extra_bytes(&self, parameters: u64) -> u64 {
        12 * parameters
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}
