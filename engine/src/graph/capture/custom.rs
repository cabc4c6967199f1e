//! What burn does not record: ends of gradients, backward passes of one's own, and the format in which values wait for
//! the backward pass.
//!
//! Outside of capture these yield the forward value and no more.

use std::collections::BTreeMap;

use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::Tensor;
use burn_ir::{CustomOpIr, OperationIr, TensorIr};
use burn_router::RouterClient;

use super::super::*;
use super::Resolver;
use super::mapper::Mapper;

/// Names under which these are recorded.
const STOP_GRADIENT: &str = "stop_gradient";
const COTANGENT: &str = "cotangent";
const CUSTOM_VJP: &str = "custom_vjp ";
const STORED: &str = "stored ";

/// The same value, through which no derivative flows; also under capture, where burn's `detach` leaves no trace.
pub fn stop_gradient<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let stopped = operand(&tensor).and_then(|input| custom(STOP_GRADIENT, vec![input], &tensor));
    stopped.unwrap_or_else(|| tensor.detach())
}

/// An argument of a custom backward pass with its cotangent.
#[derive(Clone, Debug)]
pub struct Slope {
    argument: Option<TensorIr>,
    cotangent: Option<TensorIr>,
}

/// What a custom backward pass says of one argument: the cotangent that it gets.
pub fn slope<const D: usize>(argument: &Tensor<D>, cotangent: Tensor<D>) -> Slope {
    Slope { argument: operand(argument), cotangent: operand(&cotangent) }
}

/// The value of `value`, whose derivative is what `backward` makes of its cotangent: however `value` was computed, its
/// cotangent flows to the arguments that the slopes name and nowhere else.
///
/// `backward` may use any captured tensor. Those made before are what the forward pass saves for the backward pass; they
/// need not be what `value` was computed from (a quantised copy, a sample of rows). What `backward` makes is computed in
/// the backward pass. It is recorded once and must be linear in the cotangent for forward mode to be right.
///
/// Outside of capture the result is `value`, and `backward` is not called.
pub fn custom_vjp<const D: usize>(
    name: &str,
    value: Tensor<D>,
    backward: impl FnOnce(Tensor<D>) -> Vec<Slope>,
) -> Tensor<D> {
    let (Some(forward), Some(cotangent)) = (operand(&value), custom(COTANGENT, Vec::new(), &value)) else {
        return value;
    };
    let mut inputs = vec![forward];
    inputs.extend(operand(&cotangent));
    for Slope { argument, cotangent } in backward(cotangent) {
        inputs.extend(argument.into_iter().chain(cotangent));
    }
    custom(&format!("{CUSTOM_VJP}{name}"), inputs, &value).unwrap_or(value)
}

/// [`custom_vjp`] of several values at once, in one dimension each: `backward` gets all their cotangents.
pub fn custom_vjp_joint(
    name: &str,
    values: Vec<Tensor<1>>,
    backward: impl FnOnce(Vec<Tensor<1>>) -> Vec<Slope>,
) -> Vec<Tensor<1>> {
    let sizes: Vec<usize> = values.iter().map(|value| value.dims()[0]).collect();
    let split = |joint: Tensor<1>| -> Vec<Tensor<1>> {
        let mut start = 0;
        let part = |&size: &usize| {
            start += size;
            joint.clone().slice_dim(0, start - size..start)
        };
        sizes.iter().map(part).collect()
    };
    split(custom_vjp(name, Tensor::cat(values, 0), |cotangent| backward(split(cotangent))))
}

/// The same value, counted as kept in `bits` bits an element where it is saved for the backward pass
/// ([`Saved`](crate::graph::Saved)). No derivative flows through it. Whole numbers below `2^bits` and the like: the graph
/// itself holds them in f32, so the count says what a format would save, not what this lab's memory holds.
pub fn stored<const D: usize>(tensor: Tensor<D>, bits: f32) -> Tensor<D> {
    let kept = operand(&tensor).and_then(|input| custom(&format!("{STORED}{bits}"), vec![input], &tensor));
    kept.unwrap_or_else(|| tensor.detach())
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
pub fn custom<const D: usize>(name: &str, inputs: Vec<TensorIr>, like: &Tensor<D>) -> Option<Tensor<D>> {
    let mut dispatch = like.clone().into_dispatch();
    let DispatchTensorKind::Capture(BackendTensor::Float(inner)) = dispatch.kind else { return None };
    let client = inner.client.clone();
    let like = inner.into_ir();
    let out = TensorIr::uninit(client.create_empty_handle(), like.shape, like.dtype);
    let result = burn_router::RouterTensor::new(out.id, out.shape.clone(), out.dtype, client.clone());
    let operation = CustomOpIr { id: name.to_owned(), inputs, outputs: vec![out], scalars: Vec::new() };
    client.register_op(OperationIr::Custom(operation));
    dispatch.kind = DispatchTensorKind::Capture(BackendTensor::Float(result));
    Some(Tensor::from_dispatch(dispatch))
}

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn own(&mut self, op: &CustomOpIr) -> Result<Option<NodeId>, GraphError> {
        let inputs = op.inputs.iter().map(|input| self.node(input)).collect::<Result<Vec<_>, _>>()?;
        if let Some(name) = op.id.strip_prefix(CUSTOM_VJP) {
            return self.with_backward(name, &inputs);
        }
        if let Some(bits) = op.id.strip_prefix(STORED).and_then(|bits| bits.parse().ok()) {
            return Ok(inputs.first().map(|&x| self.graph.stored(x, bits)));
        }
        match (op.id.as_str(), &inputs[..], op.outputs.first()) {
            (STOP_GRADIENT, &[x], _) => Ok(Some(self.graph.stop_gradient(x))),
            (COTANGENT, [], Some(out)) => Ok(Some(self.graph.placeholder(out.shape.as_slice()))),
            (name, inputs, Some(out)) => {
                let node = self.resolver.custom(self.graph, name, inputs, out.id)?;
                self.graph.set_label(&self.module);
                Ok(node)
            }
            _ => Ok(None),
        }
    }

    /// The backward pass was recorded into this graph, from a placeholder for the cotangent on; it becomes a graph of its
    /// own here.
    fn with_backward(&mut self, name: &str, inputs: &[NodeId]) -> Result<Option<NodeId>, GraphError> {
        let [value, cotangent, slopes @ ..] = inputs else { return Ok(None) };
        let arguments: Vec<NodeId> = slopes.iter().copied().step_by(2).collect();
        let outputs: Vec<NodeId> = slopes.iter().copied().skip(1).step_by(2).collect();
        let (backward, all) = cut_out(self.graph, name, *cotangent, &arguments, &outputs)?;
        self.graph.custom_vjp(*value, &all, backward).map(Some)
    }
}

/// What `outputs` compute from `cotangent`, as a graph of its own, and its arguments: `arguments` first, then every other
/// value that it reads.
fn cut_out(
    graph: &Graph,
    name: &str,
    cotangent: NodeId,
    arguments: &[NodeId],
    outputs: &[NodeId],
) -> Result<(CustomBackward, Vec<NodeId>), GraphError> {
    let mut cut = Graph::new();
    let mut all = arguments.to_vec();
    let input = |cut: &mut Graph, id: NodeId, number: usize| {
        let node = graph.node(id);
        cut.input(&number.to_string(), &node.shape, node.dtype, InputKind::Step)
    };
    let mut copies = BTreeMap::from([(cotangent, input(&mut cut, cotangent, 0)?)]);
    for (k, &argument) in arguments.iter().enumerate() {
        let copy = input(&mut cut, argument, k + 1)?;
        copies.entry(argument).or_insert(copy);
    }
    let last = outputs.iter().map(|id| id.index()).max().unwrap_or(0);
    // What was recorded from the placeholder on is computed by the backward pass, what was there before is saved for it.
    let own = |index: usize| index > cotangent.index() && !matches!(graph.nodes()[index].op, Op::Input(_));
    let mut needed = vec![false; last + 1];
    outputs.iter().for_each(|id| needed[id.index()] = true);
    for index in (0..=last).rev().filter(|&index| own(index)) {
        if needed[index] {
            graph.nodes()[index].args.iter().for_each(|arg| needed[arg.index()] = true);
        }
    }
    for index in (0..=last).filter(|&index| needed[index]) {
        let (id, node) = (NodeId(index as u32), &graph.nodes()[index]);
        if copies.contains_key(&id) {
            continue;
        }
        let copy = if own(index) || matches!(node.op, Op::Const(_) | Op::Iota { .. } | Op::Literal(_)) {
            let args = node.args.iter().filter_map(|arg| copies.get(arg).copied()).collect();
            cut.push(node.op.clone(), args, node.shape.clone(), node.dtype)
        } else {
            all.push(id);
            input(&mut cut, id, all.len())?
        };
        copies.insert(id, copy);
    }
    let outputs = outputs.iter().filter_map(|id| copies.get(id).copied()).collect();
    Ok((CustomBackward { name: name.to_owned(), graph: cut.into(), outputs }, all))
}
