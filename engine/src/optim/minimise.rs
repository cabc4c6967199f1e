//! The end of every training step, of a run, a bench and the tape alike: gradient and update.

use super::{Update, append, sam};
use crate::graph::grad::grad;
use crate::graph::{DType, Graph, GraphError, InputKind, NodeId};
use crate::model::{ParamLayout, THETA};
use crate::spec::OptimizerSpec;

/// The flat gradient that the rule is to have of `loss` (one element), with respect to `parameters`, which are `layout`'s
/// views of the net's state [`THETA`].
pub fn gradient(
    graph: &mut Graph,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    parameters: &[NodeId],
    loss: NodeId,
) -> Result<NodeId, GraphError> {
    graph.set_label("gradient");
    let pieces = grad(graph, loss, parameters)?;
    let gradient = layout.flatten(graph, &pieces)?;
    let theta = theta(graph, layout)?;
    sam::gradient(graph, spec.rho, theta, gradient)
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
