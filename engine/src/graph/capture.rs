//! From burn to [`Graph`]: records the operations of a forward pass without running it and maps each to ours.
//!
//! This module alone knows `burn_ir`: this file records, `mapper.rs` and the files beside it map, one for each family
//! of burn's operations. What burn records as one operation (softmax, layer norm, GELU, linear) becomes a few
//! elementwise operations, reductions and products there, so that derivatives and fusion need not know it.

mod activation;
mod base;
mod float;
mod mapper;
mod module;
mod numeric;

use std::collections::BTreeMap;

use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::{Device, Tensor, TensorData, kind::Basic};
use burn_ir::{CustomOpIr, OperationIr, TensorId, TensorIr};
use burn_router::RouterClient;

use super::*;
use mapper::Mapper;

/// Name under which [`stop_gradient`] is recorded.
const STOP_GRADIENT: &str = "stop_gradient";

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

/// The same value, through which no derivative flows; also under capture, where burn's `detach` leaves no trace.
pub fn stop_gradient<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let input = operand(&tensor);
    match input.and_then(|input| custom(STOP_GRADIENT, vec![input], &tensor)) {
        Some(stopped) => stopped,
        None => tensor.detach(),
    }
}

/// A tensor as an argument of [`custom`]; `None` for a tensor that is not on the capture device.
pub fn operand<const D: usize>(tensor: &Tensor<D>) -> Option<TensorIr> {
    match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Capture(BackendTensor::Float(inner)) => Some(inner.into_ir()),
        _ => None,
    }
}

/// Records an operation that burn does not know, whose result has the shape of `like`; `None` where `like` is not on the
/// capture device. Whoever appends the recording says what it is ([`Resolver::custom`]).
pub fn custom<const D: usize>(name: &'static str, inputs: Vec<TensorIr>, like: &Tensor<D>) -> Option<Tensor<D>> {
    let mut dispatch = like.clone().into_dispatch();
    let DispatchTensorKind::Capture(BackendTensor::Float(inner)) = dispatch.kind else { return None };
    let client = inner.client.clone();
    let like = inner.into_ir();
    let out = TensorIr::uninit(client.create_empty_handle(), like.shape, like.dtype);
    let result = burn_router::RouterTensor::new(out.id, out.shape.clone(), out.dtype, client.clone());
    client.register_op(OperationIr::Custom(CustomOpIr::new(name, &inputs, &[out])));
    dispatch.kind = DispatchTensorKind::Capture(BackendTensor::Float(result));
    Some(Tensor::from_dispatch(dispatch))
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
mod tests;
