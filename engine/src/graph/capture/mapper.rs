//! The state of mapping a recording, and what the families of operations share.
//!
//! Whole numbers (burn's Int tensors) are f32 values here wherever they are computed with, exact below 2^24, and u32
//! where they index. Masks (Bool) are f32, 0 or 1.

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use burn_ir::{IntOperationIr, OperationIr, ReduceDimOpIr, ScalarIr, TensorId, TensorIr};

use super::super::*;
use super::{Resolver, unsupported};

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
        let found = match self.several(operation)? {
            Some(nodes) => nodes,
            None => match self.single(operation)? {
                Some(node) => vec![node],
                // Values that the host gave are looked up when they are used.
                None if matches!(operation, OperationIr::Init(_) | OperationIr::Drop(_)) => return Ok(()),
                None => return Err(unsupported(&name(operation), &self.module)),
            },
        };
        let outputs: Vec<&TensorIr> = operation.outputs().collect();
        if outputs.len() != found.len() {
            return Err(unsupported(&name(operation), &self.module));
        }
        for (out, node) in outputs.into_iter().zip(found) {
            if self.graph.shape(node) != out.shape.as_slice() {
                let found = self.graph.shape(node);
                let reason = format!("mapped to shape {found:?} instead of {:?}", out.shape.as_slice());
                return Err(GraphError::Shape { op: format!("{} in {}", name(operation), self.module), reason });
            }
            self.nodes.insert(out.id, node);
        }
        Ok(())
    }

    /// The value of an operation that yields one; `None` where there is no counterpart.
    fn single(&mut self, operation: &OperationIr) -> Result<Option<NodeId>, GraphError> {
        match operation {
            OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => self.base(op),
            OperationIr::NumericFloat(_, op) => self.numeric(op),
            OperationIr::NumericInt(_, op) => self.whole(op),
            OperationIr::Float(_, op) => self.float(op),
            OperationIr::Bool(op) => self.boolean(op),
            OperationIr::Int(IntOperationIr::IntoFloat(op)) => self.number(&op.input).map(Some),
            OperationIr::Int(IntOperationIr::Matmul(op)) => {
                let (a, b) = (self.number(&op.lhs)?, self.number(&op.rhs)?);
                self.matmul(a, b).map(Some)
            }
            OperationIr::Module(op) => self.module(op),
            OperationIr::Activation(op) => self.activation(op),
            OperationIr::Custom(op) => self.own(op),
            _ => Ok(None),
        }
    }

    /// The values of an operation that yields several.
    fn several(&mut self, operation: &OperationIr) -> Result<Option<Vec<NodeId>>, GraphError> {
        match operation {
            OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => self.with_indices(op),
            OperationIr::Module(op) => self.pool_with_indices(op),
            _ => Ok(None),
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
        self.nodes.insert(tensor.id, node);
        Ok(node)
    }

    /// The node of an argument as f32, to compute with.
    pub(super) fn number(&mut self, tensor: &TensorIr) -> Result<NodeId, GraphError> {
        let x = self.node(tensor)?;
        self.graph.cast(x, DType::F32)
    }

    /// The node of an argument as u32, to index by. Negative indices are the mistake of whoever wrote them, as in burn.
    pub(super) fn index(&mut self, tensor: &TensorIr) -> Result<NodeId, GraphError> {
        let x = self.node(tensor)?;
        let node = self.graph.node(x);
        match node.op {
            Op::Cast(DType::F32) if self.graph.node(node.args[0]).dtype == DType::U32 => Ok(node.args[0]),
            _ => self.graph.cast(x, DType::U32),
        }
    }

    pub(super) fn unary(&mut self, op: UnaryOp, x: &TensorIr) -> Result<NodeId, GraphError> {
        let x = self.number(x)?;
        self.graph.unary(op, x)
    }

    pub(super) fn binary(&mut self, op: BinaryOp, a: &TensorIr, b: &TensorIr) -> Result<NodeId, GraphError> {
        let (a, b) = (self.number(a)?, self.number(b)?);
        self.graph.binary(op, a, b)
    }

    pub(super) fn binary_scalar(&mut self, op: BinaryOp, a: &TensorIr, b: &ScalarIr) -> Result<NodeId, GraphError> {
        let a = self.number(a)?;
        let b = self.graph.constant(scalar(b), &[]);
        self.graph.binary(op, a, b)
    }

    pub(super) fn scalar_binary(&mut self, op: BinaryOp, a: &ScalarIr, b: &TensorIr) -> Result<NodeId, GraphError> {
        let b = self.number(b)?;
        let a = self.graph.constant(scalar(a), &[]);
        self.graph.binary(op, a, b)
    }

    pub(super) fn reduce(&mut self, reduce: ReduceOp, op: &ReduceDimOpIr) -> Result<NodeId, GraphError> {
        let x = self.number(&op.input)?;
        self.graph.reduce(reduce, x, &[op.axis])
    }

    /// A reduction of all elements to the shape of `out`.
    pub(super) fn reduce_all(&mut self, op: ReduceOp, x: NodeId, out: &TensorIr) -> Result<NodeId, GraphError> {
        let axes: Vec<usize> = (0..self.graph.shape(x).len()).collect();
        let total = self.graph.reduce(op, x, &axes)?;
        self.graph.reshape(total, out.shape.as_slice())
    }

    pub(super) fn not(&mut self, mask: NodeId) -> Result<NodeId, GraphError> {
        let zero = self.graph.constant(0.0, &[]);
        self.graph.binary(BinaryOp::Equal, mask, zero)
    }

    pub(super) fn random(&mut self, shape: &[usize]) -> Result<NodeId, GraphError> {
        let (key, stream) = self.streams(1)?;
        self.graph.random(key, stream, shape)
    }

    pub(super) fn normal(&mut self, shape: &[usize]) -> Result<NodeId, GraphError> {
        let (key, stream) = self.streams(2)?;
        self.graph.normal(key, stream, shape)
    }

    /// The net's key and the first of so many of its streams.
    fn streams(&mut self, count: u32) -> Result<(NodeId, u32), GraphError> {
        let key = self.resolver.key(self.graph, &self.net)?;
        let next = self.streams.entry(self.net.clone()).or_default();
        let stream = *next;
        *next += count;
        Ok((key, stream))
    }
}

pub(super) fn scalar64(value: &ScalarIr) -> f64 {
    value.elem()
}

pub(super) fn scalar(value: &ScalarIr) -> f32 {
    scalar64(value) as f32
}

/// The operation's own name ("CumSum"): of its debug text `NumericFloat(F32, CumSum(DimOpIr { ..`, the word before the
/// struct of its operands; a custom operation's is its own.
fn name(operation: &OperationIr) -> String {
    if let OperationIr::Custom(op) = operation {
        return op.id.clone();
    }
    let text = format!("{operation:?}");
    let head = text.split(" {").next().unwrap_or_default();
    let words: Vec<&str> = head.split(['(', ',', ' ']).filter(|word| !word.is_empty()).collect();
    words.iter().rev().nth(1).or(words.first()).copied().unwrap_or_default().to_owned()
}
