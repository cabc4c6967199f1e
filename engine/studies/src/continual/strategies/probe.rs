//! A linear head on frozen features, trained by plain descent: everything that it forgets, the head forgets.

use burn::nn::Linear;
use engine::model::{Builder, Init, Mode};
use engine::tape::{StepId, Table, trace};

use super::Method;
use super::nearest_mean::needed;
use crate::continual::desk::{Batch, CHUNK, Desk, examples_loss, in_chunks, reach};
use crate::continual::learner::rule;
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone, Default)]
pub struct Probe {
    /// The step that learns and the one that answers.
    steps: Option<[StepId; 2]>,
    flop: u64,
    parameters: u64,
}

const NET: &str = "probe";

fn head(width: usize, outputs: usize, builder: &mut Builder) -> Linear {
    builder.linear(width, outputs, true, Init::Constant(0.0))
}

impl Method for Probe {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let features = needed(&desk.features)?;
            let (rows, width, outputs) = (desk.tasks.rows(), features.width, desk.outputs());
            let (rule, batch) = (rule(desk.spec.optimizer), desk.spec.batch);
            let table = Table::numbers("features", [rows, width]);
            desk.play.table(&table, &features.values)?;
            let learn = trace("probe", Mode::Train, |tape| {
                let x = tape.rows(&table, "index", [batch, width]) * reach(width);
                let net = tape.net(NET, |builder| head(width, outputs, builder));
                let loss = examples_loss(tape, net.forward(x), outputs);
                tape.minimise(NET, &loss, &rule);
                tape.metric("loss", &loss);
                Ok(())
            })?;
            let answer = trace("probe answers", Mode::Eval, |tape| {
                let x = tape.rows(&table, "index", [CHUNK, width]) * reach(width);
                let net = tape.net(NET, |builder| head(width, outputs, builder));
                tape.fetch("logits", &net.forward(x));
                Ok(())
            })?;
            let steps = [desk.add(learn).await?, desk.add(answer).await?];
            desk.play.rate(NET, desk.spec.rate)?;
            self.flop = desk.play.flop(steps[0])?;
            self.parameters = (outputs * (width + 1)) as u64;
            self.steps = Some(steps);
            Ok(())
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let Some([step, _]) = self.steps else { return Ok(()) };
            let filled = desk.fill(&batch.rows, desk.spec.batch, batch.rows.len());
            desk.run(step, &filled, &[]).await
        })
    }

    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        Box::pin(async {
            let Some([_, step]) = self.steps else { return Ok(Vec::new()) };
            let outputs = desk.outputs();
            in_chunks(&mut desk.play, step, rows, "logits", outputs).await
        })
    }

    fn parameters(&self, _: u64) -> u64 {
        self.parameters
    }

    fn flop(&self, _: &Desk<'_>) -> u64 {
        self.flop
    }
}
