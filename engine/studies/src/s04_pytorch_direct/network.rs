//! The network that every arm trains: GraphSAGE over the rows that a [`Fetcher`] brings.

use engine::model::{Mode, ModelError};
use engine::nn::sage::GraphSage;
use engine::objective::recorded::{correct, cross_entropy};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, StepId, Traced, trace};

use crate::StudyError;
use crate::fetch::Fetcher;
use crate::image_graph::ImageGraph;

/// Hidden features, and classes.
const HIDDEN: usize = 64;
const CLASSES: usize = 10;

/// The study's only net.
pub const NET: &str = "";
pub const LABELS: &str = "labels";
const CORRECT: &str = "correct";

/// A step that trains it, or says which of its nodes are classified correctly.
pub fn step(graph: &ImageGraph, fetcher: &Fetcher<'_>, mode: Mode) -> Result<Traced, ModelError> {
    trace(if mode == Mode::Train { "step" } else { "evaluation" }, mode, |tape| {
        let x = fetcher.features(tape);
        let net = tape.net(NET, |builder| GraphSage::new(builder, [graph.width, HIDDEN, CLASSES]));
        let labels = tape.labels(LABELS, [graph.batch]);
        let logits = net.forward(&x, graph.batch, graph.fan_out);
        if mode == Mode::Eval {
            tape.fetch(CORRECT, &correct(logits, labels));
            return Ok(());
        }
        let loss = cross_entropy(logits, labels).mean();
        tape.minimise(NET, &loss, &optimizer());
        tape.metric("loss", &loss);
        Ok(())
    })
}

/// Percent of test nodes that are classified correctly, over at most so many batches.
pub async fn accuracy(
    (play, test): (&mut Play<'_>, StepId),
    (graph, fetcher): (&ImageGraph, &Fetcher<'_>),
    batches: usize,
) -> Result<f64, StudyError> {
    let (mut right, mut seen) = (0.0, 0);
    for first in (0..graph.tests()).step_by(graph.batch).take(batches) {
        let rows = graph.testing(first);
        let load = fetcher.gather(&rows);
        fetcher.upload(play.executor()?, &load)?;
        play.run(test, &load.inputs(LABELS, &graph.classes(&rows))).await?;
        let count = graph.batch.min(graph.tests() - first);
        right += play.fetch(test, CORRECT).await?.iter().take(count).sum::<f32>();
        seen += count;
    }
    Ok(100.0 * f64::from(right) / seen as f64)
}

/// Adam without decay.
pub fn optimizer() -> OptimizerSpec {
    OptimizerSpec { kind: Rule::AdamW, weight_decay: 0.0, ..OptimizerSpec::default() }
}
