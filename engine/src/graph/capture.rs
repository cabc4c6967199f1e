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
    let mut dispatch = tensor.clone().into_dispatch();
    let DispatchTensorKind::Capture(BackendTensor::Float(inner)) = dispatch.kind else { return tensor.detach() };
    let client = inner.client.clone();
    let input = inner.into_ir();
    let out = TensorIr::uninit(client.create_empty_handle(), input.shape.clone(), input.dtype);
    let stopped = burn_router::RouterTensor::new(out.id, out.shape.clone(), out.dtype, client.clone());
    client.register_op(OperationIr::Custom(CustomOpIr::new(STOP_GRADIENT, &[input], &[out])));
    dispatch.kind = DispatchTensorKind::Capture(BackendTensor::Float(stopped));
    Tensor::from_dispatch(dispatch)
}

impl Recording {
    /// Appends the recorded operations to a graph and yields the node of every recorded tensor.
    ///
    /// `bound` names tensors that have a node already (parameters, the input), whatever recorded operation made them,
    /// with the module path that nodes from there on are labelled with (empty: no change). `key` is asked for the
    /// step's RNG key when the first random operation is met.
    pub fn append(
        &self,
        graph: &mut Graph,
        bound: &BTreeMap<ValueId, (NodeId, String)>,
        key: impl Fn(&mut Graph) -> Result<NodeId, GraphError>,
    ) -> Result<BTreeMap<ValueId, NodeId>, GraphError> {
        let nodes = bound.iter().map(|(&id, &(node, _))| (id, node)).collect();
        let mut mapper = Mapper { graph, nodes, values: &self.values, key, stream: 0, module: String::new() };
        for operation in &self.operations {
            if operation.outputs().any(|out| bound.contains_key(&out.id)) {
                continue;
            }
            // The module is that of the parameter used last: operations carry no path of their own.
            let path = operation.inputs().filter_map(|arg| bound.get(&arg.id)).map(|(_, path)| path);
            if let Some(path) = path.filter(|path| !path.is_empty()).last() {
                mapper.module.clone_from(path);
                mapper.graph.set_label(path);
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
