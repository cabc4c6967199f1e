//! The end of every training step: gradient, update, and the new states written back.

use super::{append, sam};
use crate::graph::grad::grad;
use crate::graph::{DType, Graph, GraphError, InputKind, NodeId, Program};
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

/// Appends one update of theta by the optimizer. Theta and the optimizer's states become outputs; yields the global norm
/// of the gradient before clipping.
pub fn descend(
    program: &mut Program,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    gradient: NodeId,
) -> Result<NodeId, GraphError> {
    let graph = &mut program.graph;
    graph.set_label("update");
    let theta = theta(graph, layout)?;
    let update = append(graph, spec, layout, theta, gradient)?;
    update.keep(program, layout)?;
    Ok(update.grad_norm)
}

fn theta(graph: &mut Graph, layout: &ParamLayout) -> Result<NodeId, GraphError> {
    graph.input(&layout.name(THETA), &[layout.len()], DType::F32, InputKind::State)
}
