//! Arithmetic, reductions and comparisons.

use burn_ir::{NumericOperationIr, PadModeIr};

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar, scalar64};

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn numeric(&mut self, op: &NumericOperationIr) -> Result<Option<NodeId>, GraphError> {
        use NumericOperationIr as N;
        Ok(Some(match op {
            N::Add(op) => self.binary(BinaryOp::Add, &op.lhs, &op.rhs)?,
            N::Sub(op) => self.binary(BinaryOp::Sub, &op.lhs, &op.rhs)?,
            N::Mul(op) => self.binary(BinaryOp::Mul, &op.lhs, &op.rhs)?,
            N::Div(op) => self.binary(BinaryOp::Div, &op.lhs, &op.rhs)?,
            N::AddScalar(op) => self.binary_scalar(BinaryOp::Add, &op.lhs, &op.rhs)?,
            N::SubScalar(op) => self.binary_scalar(BinaryOp::Sub, &op.lhs, &op.rhs)?,
            N::MulScalar(op) => self.binary_scalar(BinaryOp::Mul, &op.lhs, &op.rhs)?,
            N::DivScalar(op) => {
                let x = self.node(&op.lhs)?;
                self.graph.scale(x, (1.0 / scalar64(&op.rhs)) as f32)?
            }
            // a > b is b < a.
            N::Greater(op) => self.binary(BinaryOp::Less, &op.rhs, &op.lhs)?,
            N::GreaterEqual(op) => self.binary(BinaryOp::LessEqual, &op.rhs, &op.lhs)?,
            N::Lower(op) => self.binary(BinaryOp::Less, &op.lhs, &op.rhs)?,
            N::LowerEqual(op) => self.binary(BinaryOp::LessEqual, &op.lhs, &op.rhs)?,
            N::GreaterElem(op) => self.scalar_binary(BinaryOp::Less, &op.rhs, &op.lhs)?,
            N::GreaterEqualElem(op) => self.scalar_binary(BinaryOp::LessEqual, &op.rhs, &op.lhs)?,
            N::LowerElem(op) => self.binary_scalar(BinaryOp::Less, &op.lhs, &op.rhs)?,
            N::LowerEqualElem(op) => self.binary_scalar(BinaryOp::LessEqual, &op.lhs, &op.rhs)?,
            N::ClampMin(op) => self.binary_scalar(BinaryOp::Max, &op.lhs, &op.rhs)?,
            N::ClampMax(op) => self.binary_scalar(BinaryOp::Min, &op.lhs, &op.rhs)?,
            N::Clamp(op) => {
                let x = self.node(&op.tensor)?;
                let low = self.graph.constant(scalar(&op.min), &[]);
                let high = self.graph.constant(scalar(&op.max), &[]);
                let x = self.graph.binary(BinaryOp::Max, x, low)?;
                self.graph.binary(BinaryOp::Min, x, high)?
            }
            N::Abs(op) => self.unary(UnaryOp::Abs, &op.input)?,
            N::Neg(op) => self.unary(UnaryOp::Neg, &op.input)?,
            N::Sign(op) => self.unary(UnaryOp::Sign, &op.input)?,
            N::Full(op) => self.graph.constant(scalar(&op.value), op.out.shape.as_slice()),
            N::Sum(op) => {
                let x = self.node(&op.input)?;
                let total = self.graph.sum_all(x)?;
                self.graph.reshape(total, op.out.shape.as_slice())?
            }
            N::Mean(op) => {
                let x = self.node(&op.input)?;
                let axes: Vec<usize> = (0..self.graph.shape(x).len()).collect();
                let mean = self.graph.mean(x, &axes)?;
                self.graph.reshape(mean, op.out.shape.as_slice())?
            }
            N::SumDim(op) => self.reduce(ReduceOp::Sum, op)?,
            N::MaxDim(op) => self.reduce(ReduceOp::Max, op)?,
            N::MinDim(op) => self.reduce(ReduceOp::Min, op)?,
            N::MeanDim(op) => {
                let x = self.node(&op.input)?;
                self.graph.mean(x, &[op.axis])?
            }
            N::SumDims(op) => {
                let x = self.node(&op.input)?;
                self.graph.sum(x, &op.axes)?
            }
            N::ArgMax(op) => {
                let x = self.node(&op.input)?;
                self.graph.argmax(x, op.axis)?
            }
            N::PowiScalar(op) => match self.power(&op.lhs, &op.rhs)? {
                Some(node) => node,
                None => return Ok(None),
            },
            N::Pad(op) => {
                let PadModeIr::Constant(value) = op.mode else { return Ok(None) };
                if scalar64(&value) != 0.0 {
                    return Ok(None);
                }
                let x = self.node(&op.input)?;
                let rank = self.graph.shape(x).len();
                let mut start = vec![0; rank - op.padding.len()];
                start.extend(op.padding.iter().map(|&(before, _)| before));
                self.graph.unslice(x, &start, &vec![1; rank], op.out.shape.as_slice())?
            }
            _ => return Ok(None),
        }))
    }
}
