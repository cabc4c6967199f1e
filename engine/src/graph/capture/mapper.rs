//! The state of mapping a recording, and what the families of operations share.

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use burn_ir::{IntOperationIr, OperationIr, ReduceDimOpIr, ScalarIr, TensorId, TensorIr};

use super::super::*;
use super::{Resolver, STOP_GRADIENT, unsupported};

/// A recording on its way into a graph.
pub(super) struct Mapper<'a, R> {
    pub graph: &'a mut Graph,
    pub nodes: BTreeMap<TensorId, NodeId>,
    pub values: &'a BTreeMap<TensorId, TensorData>,
    pub resolver: &'a mut R,
    /// Number of the next random value of each net; each counts its own from 0.
    pub streams: BTreeMap<String, u32>,
    /// The net and the module whose parameter was used last.
    pub net: String,
    pub module: String,
}

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn operation(&mut self, operation: &OperationIr) -> Result<(), GraphError> {
        let node = match operation {
            OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => self.base(op)?,
            OperationIr::NumericFloat(_, op) => self.numeric(op)?,
            OperationIr::Float(_, op) => self.float(op)?,
            OperationIr::Bool(op) => self.boolean(op)?,
            OperationIr::Int(IntOperationIr::IntoFloat(op)) => {
                let x = self.node(&op.input)?;
                Some(self.graph.cast(x, DType::F32)?)
            }
            OperationIr::Module(op) => self.module(op)?,
            OperationIr::Activation(op) => self.activation(op)?,
            OperationIr::Custom(op) if op.id == STOP_GRADIENT => {
                let x = self.node(&op.inputs[0])?;
                Some(self.graph.stop_gradient(x))
            }
            OperationIr::Custom(op) => {
                let inputs = op.inputs.iter().map(|input| self.node(input)).collect::<Result<Vec<_>, _>>()?;
                let Some(out) = op.outputs.first() else { return Err(unsupported(&op.id, &self.module)) };
                let node = self.resolver.custom(self.graph, &op.id, &inputs, out.id)?;
                self.graph.set_label(&self.module);
                node
            }
            // Values that the host gave are looked up when they are used.
            OperationIr::Init(_) | OperationIr::Drop(_) => return Ok(()),
            _ => None,
        };
        let mut outputs = operation.outputs();
        match (node, outputs.next(), outputs.next()) {
            (Some(node), Some(out), None) => {
                if self.graph.shape(node) != out.shape.as_slice() {
                    let found = self.graph.shape(node);
                    let reason = format!("mapped to shape {found:?} instead of {:?}", out.shape.as_slice());
                    return Err(GraphError::Shape { op: format!("{} in {}", name(operation), self.module), reason });
                }
                self.nodes.insert(out.id, node);
                Ok(())
            }
            _ => Err(unsupported(&name(operation), &self.module)),
        }
    }

    /// The node of an argument; tensors that the host gave become constants.
    pub(super) fn node(&mut self, tensor: &TensorIr) -> Result<NodeId, GraphError> {
        if let Some(&node) = self.nodes.get(&tensor.id) {
            return Ok(node);
        }
        let Some(data) = self.values.get(&tensor.id) else {
            return Err(unsupported(&format!("tensor {} that nothing made", tensor.id), &self.module));
        };
        let values: Vec<f32> = data.clone().convert::<f32>().try_to_vec().map_err(|e| {
            let op = format!("constant of type {:?}: {e:?}", tensor.dtype);
            unsupported(&op, &self.module)
        })?;
        let shape = tensor.shape.as_slice();
        let counts = values.iter().enumerate().all(|(k, &v)| v == k as f32);
        let node = match values.first() {
            Some(&first) if values.iter().all(|v| v.to_bits() == first.to_bits()) => self.graph.constant(first, shape),
            _ if counts && shape.len() == 1 => self.graph.iota(shape, 0)?,
            _ => self.graph.literal(&values, shape)?,
        };
        let node = match tensor.dtype {
            dtype if dtype.is_int() || dtype.is_uint() => self.graph.cast(node, DType::U32)?,
            _ => node,
        };
        self.nodes.insert(tensor.id, node);
        Ok(node)
    }

    pub(super) fn unary(&mut self, op: UnaryOp, x: &TensorIr) -> Result<NodeId, GraphError> {
        let x = self.node(x)?;
        self.graph.unary(op, x)
    }

    pub(super) fn binary(&mut self, op: BinaryOp, a: &TensorIr, b: &TensorIr) -> Result<NodeId, GraphError> {
        let (a, b) = (self.node(a)?, self.node(b)?);
        self.graph.binary(op, a, b)
    }

    pub(super) fn binary_scalar(&mut self, op: BinaryOp, a: &TensorIr, b: &ScalarIr) -> Result<NodeId, GraphError> {
        let a = self.node(a)?;
        let b = self.graph.constant(scalar(b), &[]);
        self.graph.binary(op, a, b)
    }

    pub(super) fn scalar_binary(&mut self, op: BinaryOp, a: &ScalarIr, b: &TensorIr) -> Result<NodeId, GraphError> {
        let b = self.node(b)?;
        let a = self.graph.constant(scalar(a), &[]);
        self.graph.binary(op, a, b)
    }

    pub(super) fn reduce(&mut self, reduce: ReduceOp, op: &ReduceDimOpIr) -> Result<NodeId, GraphError> {
        let x = self.node(&op.input)?;
        self.graph.reduce(reduce, x, &[op.axis])
    }

    pub(super) fn not(&mut self, mask: NodeId) -> Result<NodeId, GraphError> {
        let zero = self.graph.constant(0.0, &[]);
        self.graph.binary(BinaryOp::Equal, mask, zero)
    }

    pub(super) fn random(&mut self, shape: &[usize]) -> Result<NodeId, GraphError> {
        let key = self.resolver.key(self.graph, &self.net)?;
        let next = self.streams.entry(self.net.clone()).or_default();
        let stream = *next;
        *next += 1;
        self.graph.random(key, stream, shape)
    }
}

pub(super) fn scalar64(value: &ScalarIr) -> f64 {
    value.elem()
}

pub(super) fn scalar(value: &ScalarIr) -> f32 {
    scalar64(value) as f32
}

/// The operation's own name ("CumSum"): of its debug text `NumericFloat(F32, CumSum(DimOpIr { ..`, the word before the
/// struct of its operands.
fn name(operation: &OperationIr) -> String {
    let text = format!("{operation:?}");
    let head = text.split(" {").next().unwrap_or_default();
    let words: Vec<&str> = head.split(['(', ',', ' ']).filter(|word| !word.is_empty()).collect();
    words.iter().rev().nth(1).or(words.first()).copied().unwrap_or_default().to_owned()
}
