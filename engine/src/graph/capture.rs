//! From burn to [`Graph`]: records the operations of a forward pass without running it and maps each to ours.
//!
//! This module alone knows `burn_ir`: this file records, `mapper.rs` and the files beside it map, one for each family
//! of burn's operations. What burn records as one operation (softmax, layer norm, GELU, linear) becomes a few
//! elementwise operations, reductions and products there, so that derivatives and fusion need not know it.

mod activation;
mod base;
mod custom;
mod float;
mod mapper;
mod module;
mod numeric;

use std::collections::BTreeMap;

use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::{Device, Tensor, TensorData, kind::Basic};
use burn_ir::{OperationIr, TensorId};

use super::*;
pub use custom::{Slope, custom, custom_vjp, custom_vjp_joint, operand, slope, stop_gradient, stored};
use mapper::Mapper;

/// Identity of a tensor within a recording.
pub type ValueId = TensorId;

/// The operations of a forward pass, in order.
#[derive(Debug)]
pub struct Recording {
    operations: Vec<OperationIr>,
    values: BTreeMap<TensorId, TensorData>,
}

thread_local! {
    /// One a thread: burn never recycles the numbers of its capture devices, and has 65,536.
    static DEVICE: Device = Device::capture();
}

/// Records what `forward` does on the capture device that it is given.
pub fn record<T>(forward: impl FnOnce(&Device) -> T) -> Result<(Recording, T), GraphError> {
    let device = DEVICE.with(Device::clone);
    let mut result = None;
    // No boundaries are declared: the operations alone tell the graph, and tensors are known by their ids.
    let captured = device.capture_scope(|scope| {
        result = Some(forward(&device));
        scope.complete([], [])
    });
    match (captured, result) {
        (Ok(captured), Some(result)) => {
            Ok((Recording { operations: captured.graph.operations, values: captured.values }, result))
        }
        (Err(error), _) => Err(unsupported(&error.to_string(), "capture")),
        (Ok(_), None) => Err(unsupported("a scope without a result", "capture")),
    }
}

/// Identity of a tensor on the capture device; `None` for a tensor that lives elsewhere.
pub fn value_id<const D: usize, K: Basic>(tensor: &Tensor<D, K>) -> Option<ValueId> {
    match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Capture(BackendTensor::Float(inner)) => Some(inner.id()),
        DispatchTensorKind::Capture(BackendTensor::Int(inner)) => Some(inner.id()),
        DispatchTensorKind::Capture(BackendTensor::Bool(inner)) => Some(inner.id()),
        _ => None,
    }
}

/// A tensor that has a node already (a parameter, an input), whatever recorded operation made it.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The node.
    pub node: NodeId,
    /// The net whose parameter it is; empty for what belongs to no named net.
    pub net: String,
    /// The module path that nodes from its use on are labelled with; empty: no change of label or net.
    pub module: String,
}

impl Bound {
    /// What belongs to no net.
    pub fn input(node: NodeId) -> Self {
        Bound { node, net: String::new(), module: String::new() }
    }
}

/// What a recording needs from whoever appends it to a graph.
pub trait Resolver {
    /// The step's RNG key, u32 `[4]`, for the draws of a net.
    fn key(&mut self, graph: &mut Graph, net: &str) -> Result<NodeId, GraphError>;

    /// The value of an operation recorded by [`custom`], whose result is known as `out`; `None` for a name it does not know.
    fn custom(
        &mut self,
        graph: &mut Graph,
        name: &str,
        inputs: &[NodeId],
        out: ValueId,
    ) -> Result<Option<NodeId>, GraphError>;
}

impl Recording {
    /// Appends the recorded operations to a graph and yields the node of every recorded tensor. Operations that made a
    /// tensor in `bound` are left out.
    pub fn append(
        &self,
        graph: &mut Graph,
        bound: &BTreeMap<ValueId, Bound>,
        resolver: &mut impl Resolver,
    ) -> Result<BTreeMap<ValueId, NodeId>, GraphError> {
        let nodes = bound.iter().map(|(&id, bound)| (id, bound.node)).collect();
        let (module, net, streams) = (String::new(), String::new(), BTreeMap::new());
        let mut mapper = Mapper { graph, nodes, values: &self.values, resolver, streams, net, module };
        for operation in &self.operations {
            if operation.outputs().any(|out| bound.contains_key(&out.id)) {
                continue;
            }
            // The module is that of the parameter used last: operations carry no path of their own.
            let used = operation.inputs().filter_map(|arg| bound.get(&arg.id));
            if let Some(used) = used.filter(|used| !used.module.is_empty()).last() {
                mapper.module.clone_from(&used.module);
                mapper.net.clone_from(&used.net);
                mapper.graph.set_label(&used.module);
            }
            mapper.operation(operation)?;
        }
        let nodes = mapper.nodes;
        graph.set_label("");
        Ok(nodes)
    }
}

fn unsupported(op: &str, module: &str) -> GraphError {
    GraphError::Unsupported { op: op.to_owned(), module: module.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests;
