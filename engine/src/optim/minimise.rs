//! The end of every training step: gradient, update, and the new states written back.

use super::{append, sam};
use crate::graph::grad::grad;
use crate::graph::{DType, GraphError, InputKind, NodeId, Op, Output, Program, Target};
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
    let theta = graph.input(THETA, &[layout.len()], DType::F32, InputKind::State)?;
    let gradient = sam::gradient(graph, spec.rho, theta, gradient)?;
    graph.set_label("update");
    let update = append(graph, spec, layout, theta, gradient)?;
    for (name, node) in update.states.into_iter().chain([(THETA.to_owned(), update.theta)]) {
        let shape = program.graph.shape(node).to_vec();
        let state = program.graph.input(&name, &shape, DType::F32, InputKind::State)?;
        if let Op::Input(id) = program.graph.node(state).op {
            program.outputs.push(Output { node, target: Target::State(id) });
        }
    }
    Ok(())
}
