//! What a network is trained to make small, as graph functions. Losses are per example; the step weighs and sums them.

mod mask;
pub mod recorded;

pub use mask::hide;

use crate::augment::Mix;
use crate::graph::{BinaryOp, DType, Graph, GraphError, NodeId, numel};
use crate::spec::{Loss, ObjectiveSpec};

/// What a classifier's output is worth.
#[derive(Clone, Copy, Debug)]
pub struct Scores {
    /// Loss of each example `[b]`, mean over positions for sequences: cross-entropy in nats, or the mean squared distance
    /// of the outputs from the label's one-hot vector.
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
    let mut losses = against(graph, objective, logits, labels)?;
    let predicted = graph.argmax(logits, 1)?;
    let mut correct = agreement(graph, predicted, labels)?;
    if let Some(Mix { share, partner }) = mix {
        // Mixed examples are images, one answer each: labels are taken along the batch.
        let others = graph.take_rows(labels, partner)?;
        let other_losses = against(graph, objective, logits, others)?;
        let other_correct = agreement(graph, predicted, others)?;
        losses = graph.blend(share, losses, other_losses)?;
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

/// Losses `[rows]` of outputs `[rows, classes]` against u32 labels `[rows]`.
fn against(graph: &mut Graph, objective: &ObjectiveSpec, logits: NodeId, labels: NodeId) -> Result<NodeId, GraphError> {
    let &[rows, classes] = graph.shape(logits) else {
        return Err(GraphError::Shape { op: "classify".to_owned(), reason: "needs rank 2".to_owned() });
    };
    // A comparison with the class numbers instead of a gather: it and its derivative fuse into the row program.
    let label = graph.cast(labels, DType::F32)?;
    let label = graph.reshape(label, &[rows, 1])?;
    let class = graph.iota(&[rows, classes], 1)?;
    let hit = graph.binary(BinaryOp::Equal, class, label)?;
    match objective.kind {
        Loss::CrossEntropy => cross_entropy(graph, logits, hit, objective.label_smoothing as f32),
        Loss::Mse | Loss::Restore => squared_error(graph, logits, hit),
    }
}

/// `-(1 - s) log p[label] - s mean_c log p[c]` of each row; `hit` is 1 at the label, else 0.
fn cross_entropy(graph: &mut Graph, logits: NodeId, hit: NodeId, smoothing: f32) -> Result<NodeId, GraphError> {
    let rows = graph.shape(logits)[0];
    let log_p = graph.log_softmax(logits, 1)?;
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

#[cfg(test)]
mod tests {
    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::tensor::{Device, Int, Tensor, TensorData};

    use super::*;
    use crate::graph::InputKind;
    use crate::graph::reference::{Inputs, evaluate};

    const LOGITS: [f32; 12] = [0.3, -1.0, 2.0, 0.5, 1.5, 0.0, -0.5, 0.25, 3.0, 2.5, -2.0, 0.0];
    const LABELS: [f64; 3] = [2.0, 1.0, 0.0];

    struct Case {
        graph: Graph,
        logits: NodeId,
        labels: NodeId,
        inputs: Inputs,
    }

    fn case(logits: &[usize], labels: &[usize]) -> Case {
        let mut graph = Graph::new();
        let inputs = Inputs::from([
            ("logits".into(), LOGITS.map(f64::from).to_vec()),
            ("labels".into(), LABELS[..numel(labels)].to_vec()),
        ]);
        Case {
            logits: graph.input("logits", logits, DType::F32, InputKind::Step).unwrap(),
            labels: graph.input("labels", labels, DType::U32, InputKind::Step).unwrap(),
            graph,
            inputs,
        }
    }

    fn smoothed(label_smoothing: f64) -> ObjectiveSpec {
        ObjectiveSpec { kind: Loss::CrossEntropy, label_smoothing, ..ObjectiveSpec::default() }
    }

    #[test]
    fn cross_entropy_matches_burn() {
        for smoothing in [0.0, 0.1] {
            let Case { mut graph, logits, labels, inputs } = case(&[3, 4], &[3]);
            let scores = classify(&mut graph, &smoothed(smoothing), logits, labels, None).unwrap();
            let ours = evaluate(&graph, &inputs, &[scores.losses, scores.correct, scores.predicted]);
            let device = Device::flex();
            let config = CrossEntropyLossConfig::new().with_smoothing((smoothing > 0.0).then_some(smoothing as f32));
            let logits = Tensor::<2>::from_data(TensorData::new(LOGITS.to_vec(), [3, 4]), &device);
            let labels = Tensor::<1, Int>::from_data([2, 1, 0], &device);
            let theirs: f32 = config.init(&device).forward(logits, labels).into_scalar();
            let mean = ours[0].iter().sum::<f64>() / 3.0;
            assert!((mean - f64::from(theirs)).abs() < 1e-5, "{mean} against {theirs}");
            assert_eq!(ours[1], [1.0, 0.0, 1.0]);
            assert_eq!(ours[2], [2.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn squared_error_is_taken_from_the_one_hot_label() {
        let Case { mut graph, logits, labels, inputs } = case(&[3, 4], &[3]);
        let objective = ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() };
        let scores = classify(&mut graph, &objective, logits, labels, None).unwrap();
        let ours = evaluate(&graph, &inputs, &[scores.losses]);
        for (row, (loss, label)) in LOGITS.chunks(4).zip(ours[0].iter().zip(LABELS)) {
            let error = |(c, z): (usize, &f32)| (f64::from(*z) - f64::from(u8::from(c as f64 == label))).powi(2);
            let wanted = row.iter().enumerate().map(error).sum::<f64>() / 4.0;
            assert!((loss - wanted).abs() < 1e-6, "{loss} against {wanted}");
        }
    }

    #[test]
    fn a_sequence_is_worth_the_mean_of_its_positions() {
        let Case { mut graph, logits, labels, inputs } = case(&[3, 4], &[3]);
        let each = classify(&mut graph, &smoothed(0.0), logits, labels, None).unwrap();
        let each = evaluate(&graph, &inputs, &[each.losses]);
        let Case { mut graph, logits, labels, inputs } = case(&[1, 3, 4], &[1, 3]);
        let scores = classify(&mut graph, &smoothed(0.0), logits, labels, None).unwrap();
        assert_eq!(graph.shape(scores.losses), [1]);
        let values = evaluate(&graph, &inputs, &[scores.losses, scores.correct, scores.predicted]);
        assert!((values[0][0] - each[0].iter().sum::<f64>() / 3.0).abs() < 1e-6);
        assert!((values[1][0] - 2.0 / 3.0).abs() < 1e-6);
        assert_eq!(values[2], [2.0, 0.0, 0.0]);
    }

    #[test]
    fn mixed_examples_weigh_both_labels() {
        let Case { mut graph, logits, labels, mut inputs } = case(&[3, 4], &[3]);
        let plain = classify(&mut graph, &smoothed(0.0), logits, labels, None).unwrap();
        let share = graph.input("share", &[3], DType::F32, InputKind::Step).unwrap();
        let partner = graph.input("partner", &[3], DType::U32, InputKind::Step).unwrap();
        inputs.insert("share".into(), vec![1.0, 0.25, 0.75]);
        inputs.insert("partner".into(), vec![1.0, 2.0, 0.0]);
        let mixed = classify(&mut graph, &smoothed(0.0), logits, labels, Some(Mix { share, partner })).unwrap();
        let others = graph.take_rows(labels, partner).unwrap();
        let other = classify(&mut graph, &smoothed(0.0), logits, others, None).unwrap();
        let values = evaluate(&graph, &inputs, &[plain.losses, other.losses, mixed.losses, mixed.correct]);
        for (k, share) in [1.0, 0.25, 0.75].iter().enumerate() {
            let expected = share * values[0][k] + (1.0 - share) * values[1][k];
            assert!((values[2][k] - expected).abs() < 1e-9);
        }
        // The second is predicted 0, the label of its partner, which weighs more.
        assert_eq!(values[3], [1.0, 1.0, 1.0]);
    }

    #[test]
    fn squared_error_is_the_mean_over_outputs() {
        let Case { mut graph, logits, inputs, .. } = case(&[3, 4], &[3]);
        let zero = graph.constant(0.0, &[3, 4]);
        let error = squared_error(&mut graph, logits, zero).unwrap();
        let first = LOGITS[..4].iter().map(|v| f64::from(v * v)).sum::<f64>() / 4.0;
        assert!((evaluate(&graph, &inputs, &[error])[0][0] - first).abs() < 1e-6);
    }
}
