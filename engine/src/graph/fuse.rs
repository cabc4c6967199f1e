//! What is computed together.
//!
//! First the roots: values with a kernel of their own. Everything else is computed inside the kernels that need it.

use super::emit::Cluster;
use super::home::*;
use super::*;

/// Values that outputs depend on.
pub(super) fn live(program: &Program) -> Vec<bool> {
    let nodes = program.graph.nodes();
    let mut live = vec![false; nodes.len()];
    for output in &program.outputs {
        live[output.node.index()] = true;
    }
    for index in (0..nodes.len()).rev() {
        if live[index] {
            for arg in &nodes[index].args {
                live[arg.index()] = true;
            }
        }
    }
    live
}

/// The roots of a program; without `fuse`, every value that is no view.
pub(super) fn roots(program: &Program, live: &[bool], fuse: bool, demands: &Demands) -> Vec<bool> {
    let graph = &program.graph;
    let mut root: Vec<bool> = graph
        .nodes()
        .iter()
        .zip(live)
        .map(|(node, &live)| {
            let own = is_heavy(&node.op) || matches!(node.op, Op::Reduce { .. } | Op::ArgMax { .. }) || !fuse;
            live && own && has_own_kernel(&node.op)
        })
        .collect();
    for &id in &demands.materialised {
        if !is_view(&graph.node(id).op) && !matches!(graph.node(id).op, Op::Concat { .. }) {
            root[id.index()] = live[id.index()];
        }
    }
    root
}

/// Can a kernel compute this operation's value? (A view has its argument's, inputs and literals are in memory,
/// concatenations are assembled by the kernels of their parts, and numbers are part of the code.)
fn has_own_kernel(op: &Op) -> bool {
    !is_view(op) && !matches!(op, Op::Input(_) | Op::Literal(_) | Op::Concat { .. } | Op::Const(_) | Op::Iota { .. })
}

/// One cluster a root and one a copy.
pub(super) fn singletons(graph: &Graph, homes: &Homes) -> Vec<Cluster> {
    let roots = homes.root.iter().enumerate().filter(|&(_, &root)| root);
    let roots = roots.map(|(index, _)| Cluster::of_root(graph, NodeId(index as u32)));
    let copies = homes.copies.iter().map(|copy| Cluster::of_copy(graph, copy.node, copy.to.clone()));
    roots.chain(copies).collect()
}
