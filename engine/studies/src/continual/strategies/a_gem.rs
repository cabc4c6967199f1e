//! A-GEM (Chaudhry et al. 2019): a gradient g that would raise the loss of stored examples, whose gradient is r, is turned
//! until it does not: g - min(g . r, 0) / (r . r) r.

use engine::continual::Leg;

use super::Method;
use crate::continual::desk::{Batch, Desk, NET};
use crate::continual::learner::{cross_entropy, masked, rule};
use crate::continual::reservoir::Reservoir;
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct AGem(Reservoir);

const STEP: &str = "a-gem";

impl AGem {
    /// With an empty memory.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self(desk.reservoir(leg))
    }
}

impl Method for AGem {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (outputs, rule) = (desk.outputs(), rule(desk.spec.optimizer));
            let (batch, replayed) = (desk.spec.batch, desk.spec.replayed);
            desk.step(STEP, batch + replayed, |tape, net, x| {
                let rows = batch + replayed;
                let logits = masked(net.forward(x), tape.input("allowed", [rows, outputs]));
                let target = tape.input("target", [rows, outputs]);
                let part = |from: usize, to: usize| {
                    let place = [from..to, 0..outputs];
                    cross_entropy(logits.clone().slice(place.clone()), target.clone().slice(place))
                };
                let (new, stored) = (part(0, batch), part(batch, rows));
                let theta = tape.flat(NET);
                let (own, reference) = (tape.grad(&new, &theta), tape.grad(&stored, &theta));
                let along = (own.clone() * reference.clone()).sum().clamp_max(0.0);
                // Without stored examples the reference is exactly 0, and so is what is taken away.
                let length = reference.clone().powf_scalar(2.0).sum() + 1e-30;
                let turned = own.clone() - reference.clone() * (along / length);
                tape.descend(NET, &turned, &rule);
                tape.fetch("own", &own);
                tape.fetch("reference", &reference);
                tape.fetch("turned", &turned);
                tape.metric("loss", &new);
                Ok(())
            })
            .await?;
            Ok(())
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let step = desk.known(STEP)?;
            let (size, replayed) = (desk.spec.batch, desk.spec.replayed);
            let old = self.0.at(&self.0.draw(replayed, batch.update, "replay"));
            let filled = desk.fill(&batch.rows, size, batch.rows.len()).and(desk.fill(&old, replayed, old.len()));
            desk.run(step, &filled, &[]).await?;
            self.0.offer_all(&batch.rows);
            Ok(())
        })
    }

    fn stored(&self) -> &[u32] {
        self.0.rows()
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}
