//! The end of every training step: gradient, update, and the new states written back.

use super::{append, sam};
use crate::graph::grad::grad;
use crate::graph::{DType, GraphError, InputKind, NodeId, Program};
use crate::model::{ParamLayout, THETA};
use crate::spec::OptimizerSpec;

/// Appends the gradient of `loss` (one element) with respect to `parameters`, which are `layout`'s views of the state
/// [`THETA`], and one update of theta by the optimizer. Theta and the optimizer's states become outputs.
pub fn minimise(
    program: &mut Program,
    spec: &OptimizerSpec,
    layout: &ParamLayout,
    parameters: &[NodeId],
    loss: NodeId,
) -> Result<(), GraphError> {
    let graph = &mut program.graph;
    graph.set_label("gradient");
    let pieces = grad(graph, loss, parameters)?;
    let gradient = layout.flatten(graph, &pieces)?;
    let theta = graph.input(&layout.name(THETA), &[layout.len()], DType::F32, InputKind::State)?;
    let gradient = sam::gradient(graph, spec.rho, theta, gradient)?;
    graph.set_label("update");
    let update = append(graph, spec, layout, theta, gradient)?;
    update.keep(program, layout)
}
