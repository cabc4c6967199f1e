//! A model of a spec as part of a graph.

use super::append::{AppendedNet, append};
use crate::graph::capture::value_id;
use crate::graph::{Graph, NodeId};
use crate::model::{self, Batch, Builder, InputShape, Mode, ModelError, ParamLayout, Running};
use crate::spec::ModelSpec;

/// A model in a graph.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Where each parameter lies in theta.
    pub layout: ParamLayout,
    /// Each parameter in its own shape, in the layout's order: a slice of the state [`THETA`](model::THETA).
    pub params: Vec<NodeId>,
    /// f32 `[batch, outputs]`; for characters `[batch, context, outputs]`.
    pub logits: NodeId,
    /// Values worth looking at, by name: `tokens` `[batch, tokens, width]`, `attention.K`
    /// `[batch, heads, tokens, tokens]` of layer K, `pool` `[batch, tokens]`.
    pub taps: Vec<(String, NodeId)>,
    /// Running statistics that this pass changes; none in evaluation.
    pub states: Vec<Running>,
}

/// Appends a model to a graph that has computed its batch already. `x` is f32 `[batch, channels, height, width]` or
/// `[batch, features]`, or u32 characters `[batch, context]`.
///
/// Declares what it reads: [`THETA`](model::THETA), running statistics by their names, and [`KEY`](model::KEY) if it draws random numbers.
pub fn capture_into(
    graph: &mut Graph,
    spec: &ModelSpec,
    outputs: usize,
    x: NodeId,
    mode: Mode,
) -> Result<Captured, ModelError> {
    capture_used(graph, spec, outputs, x, Given::default(), mode)
}

/// What a pass is told beside its batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// Which places of the batch hold an example (1) and which are left over (0), f32 `[batch]`: what a layer takes of a batch
    /// as a whole, it takes of the former.
    pub used: Option<NodeId>,
    /// The words of the recipe's dropout ([`DropRate::words`](model::DropRate::words)), f32 `[2]`, instead of the model's own.
    pub dropout: Option<NodeId>,
}

/// The same of a pass that is told more.
pub fn capture_used(
    graph: &mut Graph,
    spec: &ModelSpec,
    outputs: usize,
    x: NodeId,
    Given { used, dropout }: Given,
    mode: Mode,
) -> Result<Captured, ModelError> {
    let fail = |reason: String| ModelError::Spec { model: spec.kind(), reason };
    let (batch, input) = InputShape::of(graph, x, outputs)
        .ok_or_else(|| fail(format!("cannot read {:?} {:?}", graph.node(x).dtype, graph.shape(x))))?;
    let (appended, logits) = append(graph, mode, |tape| {
        let x = match input {
            InputShape::Image([channels, height, width]) => {
                Batch::Image(tape.node(x, [batch, channels, height, width]))
            }
            InputShape::Features(features) => Batch::Features(tape.node(x, [batch, features])),
            InputShape::Tokens { context, .. } => Batch::Tokens(tape.int_node(x, [batch, context])),
        };
        let mut builder = Builder::new(tape.device());
        let network = model::build(spec, input, outputs, &mut builder)?;
        tape.add("", model::tensors_of(&*network, &builder));
        let used = used.map(|used| tape.node(used, [batch]));
        let dropout = dropout.map(|dropout| tape.node(dropout, [2]));
        (tape.pass().used, tape.pass().dropout) = (used, dropout);
        let logits = network.forward(x, tape.pass())?;
        value_id(&logits).ok_or_else(|| fail("left the capture device".into()))
    })?;
    let lost = || fail("yields a value that its forward pass did not compute".into());
    let mut logits = appended.values.get(&logits).copied().ok_or_else(lost)?;
    if let InputShape::Tokens { context, .. } = input {
        logits = graph.reshape(logits, &[batch, context, outputs])?;
    }
    let AppendedNet { net, params, changed, .. } = appended.nets.into_iter().next().ok_or_else(lost)?;
    Ok(Captured { layout: net.layout, params, logits, taps: appended.taps, states: changed })
}
