//! What a network is trained to make small, as graph functions. Losses are per example; the step weighs and sums them.

use crate::augment::Mix;
use crate::graph::{BinaryOp, DType, Graph, GraphError, NodeId, ReduceOp, UnaryOp, numel};
use crate::spec::ObjectiveSpec;

/// What a classifier's output is worth.
#[derive(Clone, Copy, Debug)]
pub struct Scores {
    /// Cross-entropy in nats of each example `[b]`, mean over positions for sequences.
    pub losses: NodeId,
    /// Share of each example's answers that are right, `[b]`.
    pub correct: NodeId,
    /// u32 predicted class of each example and position, flat.
    pub predicted: NodeId,
}

/// Scores of logits `[b, c]` or `[b, t, c]` against u32 labels `[b]` or `[b, t]`. Mixed examples have two labels, whose
/// losses are weighed; an answer counts as right by the heavier one.
pub fn classify(
    graph: &mut Graph,
    objective: &ObjectiveSpec,
    logits: NodeId,
    labels: NodeId,
    mix: Option<Mix>,
) -> Result<Scores, GraphError> {
    let shape = graph.shape(logits).to_vec();
    let (batch, classes) = (shape[0], shape[shape.len() - 1]);
    let rows = numel(&shape) / classes;
    let each = rows / batch;
    let logits = graph.reshape(logits, &[rows, classes])?;
    let labels = graph.reshape(labels, &[rows])?;
    let log_p = log_softmax(graph, logits)?;
    let mut losses = cross_entropy(graph, log_p, labels, objective.label_smoothing as f32)?;
    let predicted = graph.argmax(logits, 1)?;
    let mut correct = agreement(graph, predicted, labels)?;
    if let Some(Mix { share, partner }) = mix {
        // Mixed examples are images, one answer each: labels are taken along the batch.
        let others = graph.take_rows(labels, partner)?;
        let other_losses = cross_entropy(graph, log_p, others, objective.label_smoothing as f32)?;
        let other_correct = agreement(graph, predicted, others)?;
        losses = blend(graph, share, losses, other_losses)?;
        let half = graph.constant(0.5, &[rows]);
        let heavier = graph.binary(BinaryOp::LessEqual, half, share)?;
        correct = graph.select(heavier, correct, other_correct)?;
    }
    let mean = |graph: &mut Graph, values: NodeId| {
        let values = graph.reshape(values, &[batch, each])?;
        let mean = graph.mean(values, &[1])?;
        graph.reshape(mean, &[batch])
    };
    Ok(Scores {
        losses: mean(graph, losses)?,
        correct: mean(graph, correct)?,
        predicted: graph.reshape(predicted, &[rows])?,
    })
}

/// Mean squared error of each example: `[b, d]` against `[b, d]` gives `[b]`.
pub fn squared_error(graph: &mut Graph, outputs: NodeId, values: NodeId) -> Result<NodeId, GraphError> {
    let batch = graph.shape(values)[0];
    let difference = graph.sub(outputs, values)?;
    let square = graph.mul(difference, difference)?;
    let mean = graph.mean(square, &[1])?;
    graph.reshape(mean, &[batch])
}

/// `a` and `b` in the proportion `share : 1 - share`.
pub fn blend(graph: &mut Graph, share: NodeId, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
    let difference = graph.sub(a, b)?;
    let part = graph.mul(share, difference)?;
    graph.add(b, part)
}

/// `x - max - log sum exp(x - max)` along the last axis of `[rows, c]`.
fn log_softmax(graph: &mut Graph, logits: NodeId) -> Result<NodeId, GraphError> {
    let largest = graph.reduce(ReduceOp::Max, logits, &[1])?;
    // The shift cancels; without this the derivative would flow through the maximum for nothing.
    let largest = graph.stop_gradient(largest);
    let shifted = graph.sub(logits, largest)?;
    let powers = graph.unary(UnaryOp::Exp, shifted)?;
    let total = graph.sum(powers, &[1])?;
    let log_total = graph.unary(UnaryOp::Log, total)?;
    graph.sub(shifted, log_total)
}

/// `-(1 - s) log p[label] - s mean_c log p[c]` of each row.
fn cross_entropy(graph: &mut Graph, log_p: NodeId, labels: NodeId, smoothing: f32) -> Result<NodeId, GraphError> {
    let &[rows, classes] = graph.shape(log_p) else {
        return Err(GraphError::Shape { op: "cross_entropy".to_owned(), reason: "needs rank 2".to_owned() });
    };
    // A comparison with the class numbers instead of a gather: it and its derivative fuse into the row program.
    let label = graph.cast(labels, DType::F32)?;
    let label = graph.reshape(label, &[rows, 1])?;
    let class = graph.iota(&[rows, classes], 1)?;
    let hit = graph.binary(BinaryOp::Equal, class, label)?;
    let picked = graph.mul(hit, log_p)?;
    let picked = graph.sum(picked, &[1])?;
    let mut loss = graph.scale(picked, -(1.0 - smoothing))?;
    if smoothing > 0.0 {
        let mean = graph.mean(log_p, &[1])?;
        let spread = graph.scale(mean, -smoothing)?;
        loss = graph.add(loss, spread)?;
    }
    graph.reshape(loss, &[rows])
}

/// 1 where the predicted class `[rows, 1]` is the label `[rows]`.
fn agreement(graph: &mut Graph, predicted: NodeId, labels: NodeId) -> Result<NodeId, GraphError> {
    let rows = numel(graph.shape(labels));
    let predicted = graph.cast(predicted, DType::F32)?;
    let predicted = graph.reshape(predicted, &[rows])?;
    let labels = graph.cast(labels, DType::F32)?;
    graph.binary(BinaryOp::Equal, predicted, labels)
}
