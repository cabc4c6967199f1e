//! What a forward pass keeps for its backward pass, by the format in which it is kept.

use std::collections::BTreeMap;

use super::home::is_view;
use super::*;

/// Values that a backward pass reads of its forward pass. Inputs (parameters, the batch), constants and random values,
/// which are functions of a counter, are there anyway and do not count; a value that is read in several views counts once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// Elements kept as they are, 4 bytes each.
    pub exact: u64,
    /// Elements kept in another format ([`capture::stored`]): bits an element, and how many; by bits.
    pub quantised: Vec<(f32, u64)>,
}

impl Saved {
    /// Bytes of values kept as they are.
    pub fn exact_bytes(&self) -> f64 {
        4.0 * self.exact as f64
    }

    /// Bytes of values kept in other formats.
    pub fn quantised_bytes(&self) -> f64 {
        self.quantised.iter().map(|&(bits, count)| f64::from(bits) * count as f64 / 8.0).sum()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> f64 {
        self.exact_bytes() + self.quantised_bytes()
    }
}

impl Graph {
    /// The value of `x` without derivative, counted as kept in `bits` bits an element.
    pub fn stored(&mut self, x: NodeId, bits: f32) -> NodeId {
        let node = self.stop_gradient(x);
        self.formats.insert(node, bits.into());
        node
    }
}

/// What computing `gradients` reads of what was computed for `outputs`.
pub fn saved(graph: &Graph, outputs: &[NodeId], gradients: &[NodeId]) -> Saved {
    let forward = ancestors(graph, outputs);
    let all = ancestors(graph, gradients);
    let mut kept: BTreeMap<NodeId, Option<F32Bits>> = BTreeMap::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        if !all[index] || forward[index] {
            continue;
        }
        for &arg in node.args.iter().filter(|arg| forward[arg.index()]) {
            let base = source(graph, arg);
            let free = |op: &Op| {
                matches!(op, Op::Input(_) | Op::Const(_) | Op::Literal(_) | Op::Iota { .. } | Op::Random { .. })
            };
            if !free(&graph.node(base).op) {
                kept.insert(base, graph.formats.get(&base).copied());
            }
        }
    }
    let mut saved = Saved::default();
    let mut formats: BTreeMap<F32Bits, u64> = BTreeMap::new();
    for (id, format) in kept {
        let count = numel(graph.shape(id)) as u64;
        match format {
            Some(bits) => *formats.entry(bits).or_default() += count,
            None => saved.exact += count,
        }
    }
    saved.quantised = formats.into_iter().map(|(bits, count)| (bits.get(), count)).collect();
    saved
}

/// What a value is a view of; a format of its own is no view.
fn source(graph: &Graph, mut id: NodeId) -> NodeId {
    while is_view(&graph.node(id).op) && !graph.formats.contains_key(&id) {
        id = graph.node(id).args[0];
    }
    id
}

/// For each node whether one of `of` is computed from it.
fn ancestors(graph: &Graph, of: &[NodeId]) -> Vec<bool> {
    let mut found = vec![false; graph.nodes().len()];
    of.iter().for_each(|id| found[id.index()] = true);
    for index in (0..found.len()).rev() {
        if found[index] {
            graph.nodes()[index].args.iter().for_each(|arg| found[arg.index()] = true);
        }
    }
    found
}
