//! DER++ (Buzzega et al. 2020): beside the new examples' loss, alpha times the mean squared distance of stored examples'
//! logits from those that they had when they were stored, and beta times the cross-entropy of other stored examples.

use engine::continual::Leg;
use engine::tape::Words;

use super::Method;
use crate::continual::desk::{Batch, Desk, NET, examples_loss};
use crate::continual::learner::rule;
use crate::continual::reservoir::Reservoir;
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct Der {
    memory: Reservoir,
    /// Logits of each place, when it was stored.
    logits: Vec<Vec<f32>>,
    alpha: f32,
    beta: f32,
}

const STEP: &str = "der++";

impl Der {
    /// With an empty memory.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self {
            memory: desk.reservoir(leg),
            logits: Vec::new(),
            alpha: desk.value(leg, "alpha") as f32,
            beta: desk.value(leg, "beta") as f32,
        }
    }
}

impl Method for Der {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (outputs, rule) = (desk.outputs(), rule(desk.spec.optimizer));
            let (batch, replayed) = (desk.spec.batch, desk.spec.replayed);
            // Rows: new ones, those whose labels are replayed, those whose logits are.
            desk.step(STEP, batch + 2 * replayed, |tape, net, x| {
                let logits = net.forward(x);
                let labelled = logits.clone().slice([0..batch + replayed, 0..outputs]);
                let recalled = logits.clone().slice([batch + replayed..batch + 2 * replayed, 0..outputs]);
                let loss = examples_loss(tape, labelled, outputs);
                let (before, weight) = (tape.input("before", [replayed, outputs]), tape.input("weight", [replayed, 1]));
                let loss = loss + ((recalled - before).powf_scalar(2.0) * weight).sum();
                tape.minimise(NET, &loss, &rule);
                tape.fetch("logits", &logits.slice([0..batch, 0..outputs]));
                tape.metric("loss", &loss);
                Ok(())
            })
            .await?;
            Ok(())
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (size, replayed, outputs) = (desk.spec.batch, desk.spec.replayed, desk.outputs());
            let step = desk.known(STEP)?;
            let labelled = self.memory.at(&self.memory.draw(replayed, batch.update, "labels"));
            let recalled = self.memory.draw(replayed, batch.update, "logits");
            let mut stored = desk.fill(&labelled, replayed, labelled.len());
            stored.target.iter_mut().for_each(|target| *target *= self.beta);
            let mut filled = desk.fill(&batch.rows, size, batch.rows.len()).and(stored);
            filled.index.extend(self.memory.at(&recalled));
            filled.index.resize(size + 2 * replayed, 0);
            let mut before: Vec<f32> = recalled.iter().flat_map(|&place| self.logits[place].clone()).collect();
            before.resize(replayed * outputs, 0.0);
            let each = self.alpha / (recalled.len() * outputs).max(1) as f32;
            let mut weight = vec![each; recalled.len()];
            weight.resize(replayed, 0.0);
            let more = [("before", Words::Numbers(&before)), ("weight", Words::Numbers(&weight))];
            desk.run(step, &filled, &more).await?;
            let logits = desk.play.fetch(step, "logits").await?;
            for (&row, logits) in batch.rows.iter().zip(logits.chunks(outputs)) {
                if let Some(place) = self.memory.offer(row) {
                    self.logits.resize(self.logits.len().max(place + 1), Vec::new());
                    self.logits[place] = logits.to_vec();
                }
            }
            Ok(())
        })
    }

    fn stored(&self) -> &[u32] {
        self.memory.rows()
    }

    fn extra_bytes(&self, _: u64) -> u64 {
        self.logits.iter().map(|logits| 4 * logits.len() as u64).sum()
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}
