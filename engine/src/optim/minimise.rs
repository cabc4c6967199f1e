//! The end of every training step, of a run, a bench and the tape alike: gradient and update.

use super::{Update, append, sam};
use crate::graph::grad::grad;
use crate::graph::{DType, Graph, GraphError, InputKind, NodeId};
use crate::model::{ParamLayout, THETA};
use crate::spec::OptimizerSpec;

/// The flat gradient that the rule is to have of `loss` (one element), with respect to `parameters`, which are `layout`'s
/// views of the net's state [`THETA`]. 0 for those that do not learn: nothing is computed for them.
pub fn gradient(
    graph: &mut Graph,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    parameters: &[NodeId],
    loss: NodeId,
) -> Result<NodeId, GraphError> {
    graph.set_label("gradient");
    let pieces = slopes(graph, layout, parameters, loss)?;
    let gradient = layout.flatten(graph, &pieces)?;
    let theta = theta(graph, layout)?;
    sam::gradient(graph, spec.rho, theta, gradient)
}

/// The gradient by each parameter.
fn slopes(
    graph: &mut Graph,
    layout: &ParamLayout,
    parameters: &[NodeId],
    loss: NodeId,
) -> Result<Vec<NodeId>, GraphError> {
    let learns = |place: &usize| layout.entries()[*place].rate != 0.0;
    let learning: Vec<usize> = (0..parameters.len()).filter(learns).collect();
    let mut found =
        grad(graph, loss, &learning.iter().map(|&place| parameters[place]).collect::<Vec<_>>())?.into_iter();
    let each = (0..parameters.len()).map(|place| {
        let shape = graph.shape(parameters[place]).to_vec();
        learning.contains(&place).then(|| found.next()).flatten().unwrap_or_else(|| graph.constant(0.0, &shape))
    });
    Ok(each.collect())
}

/// Appends one update of theta by the optimizer, in which each parameter's change is multiplied by a number of `scale`,
/// `[P]`, if there is one. [`Update::keep`] ends the step with it.
///
/// # Errors
/// States of other lengths are declared by the net's names.
pub fn descend(
    graph: &mut Graph,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    gradient: NodeId,
    scale: Option<NodeId>,
) -> Result<Update, GraphError> {
    graph.set_label("update");
    let theta = theta(graph, layout)?;
    append(graph, spec, layout, theta, gradient, scale)
}

pub(super) fn theta(graph: &mut Graph, layout: &ParamLayout) -> Result<NodeId, GraphError> {
    graph.input(&layout.name(THETA), &[layout.len()], DType::F32, InputKind::State)
}
