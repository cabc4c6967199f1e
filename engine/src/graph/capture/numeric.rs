//! Arithmetic, reductions, comparisons, order.

use burn::tensor::Distribution;
use burn_ir::{NumericOperationIr, PadModeIr, ScalarIr, TensorIr};

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar, scalar64};
use crate::graph::compose::Pad;

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
                let x = self.number(&op.lhs)?;
                self.graph.scale(x, (1.0 / scalar64(&op.rhs)) as f32)?
            }
            N::Rem(op) => {
                let (a, b) = (self.number(&op.lhs)?, self.number(&op.rhs)?);
                self.graph.remainder(a, b)?
            }
            N::RemScalar(op) => {
                let a = self.number(&op.lhs)?;
                let b = self.graph.constant(scalar(&op.rhs), &[]);
                self.graph.remainder(a, b)?
            }
            N::ClampMin(op) => self.binary_scalar(BinaryOp::Max, &op.lhs, &op.rhs)?,
            N::ClampMax(op) => self.binary_scalar(BinaryOp::Min, &op.lhs, &op.rhs)?,
            N::Clamp(op) => {
                let x = self.number(&op.tensor)?;
                let low = self.graph.constant(scalar(&op.min), &[]);
                let high = self.graph.constant(scalar(&op.max), &[]);
                let x = self.graph.binary(BinaryOp::Max, x, low)?;
                self.graph.binary(BinaryOp::Min, x, high)?
            }
            N::Abs(op) => self.unary(UnaryOp::Abs, &op.input)?,
            N::Neg(op) => self.unary(UnaryOp::Neg, &op.input)?,
            N::Sign(op) => self.unary(UnaryOp::Sign, &op.input)?,
            N::Powi(op) => {
                let (a, b) = (self.number(&op.lhs)?, self.number(&op.rhs)?);
                self.graph.signed_power(a, b)?
            }
            N::PowiScalar(op) => self.power(&op.lhs, &op.rhs)?,
            N::Full(op) => self.graph.constant(scalar(&op.value), op.out.shape.as_slice()),
            N::Pad(op) => {
                let mode = match &op.mode {
                    PadModeIr::Constant(value) => Pad::Number(scalar(value)),
                    PadModeIr::Reflect => Pad::Reflect,
                    PadModeIr::Edge => Pad::Edge,
                };
                let x = self.number(&op.input)?;
                let mut amounts = vec![(0, 0); self.graph.shape(x).len() - op.padding.len()];
                amounts.extend(&op.padding);
                self.graph.pad(x, &amounts, mode)?
            }
            _ => match self.compared(op)? {
                Some(node) => node,
                None => return self.reduced(op),
            },
        }))
    }

    /// Comparisons; a > b is b < a.
    fn compared(&mut self, op: &NumericOperationIr) -> Result<Option<NodeId>, GraphError> {
        use NumericOperationIr as N;
        Ok(Some(match op {
            N::Greater(op) => self.binary(BinaryOp::Less, &op.rhs, &op.lhs)?,
            N::GreaterEqual(op) => self.binary(BinaryOp::LessEqual, &op.rhs, &op.lhs)?,
            N::Lower(op) => self.binary(BinaryOp::Less, &op.lhs, &op.rhs)?,
            N::LowerEqual(op) => self.binary(BinaryOp::LessEqual, &op.lhs, &op.rhs)?,
            N::GreaterElem(op) => self.scalar_binary(BinaryOp::Less, &op.rhs, &op.lhs)?,
            N::GreaterEqualElem(op) => self.scalar_binary(BinaryOp::LessEqual, &op.rhs, &op.lhs)?,
            N::LowerElem(op) => self.binary_scalar(BinaryOp::Less, &op.lhs, &op.rhs)?,
            N::LowerEqualElem(op) => self.binary_scalar(BinaryOp::LessEqual, &op.lhs, &op.rhs)?,
            _ => return Ok(None),
        }))
    }

    /// Reductions, scans and order.
    fn reduced(&mut self, op: &NumericOperationIr) -> Result<Option<NodeId>, GraphError> {
        use NumericOperationIr as N;
        Ok(Some(match op {
            N::Sum(op) => {
                let x = self.number(&op.input)?;
                let total = self.graph.sum_all(x)?;
                self.graph.reshape(total, op.out.shape.as_slice())?
            }
            N::Mean(op) => {
                let x = self.number(&op.input)?;
                let axes: Vec<usize> = (0..self.graph.shape(x).len()).collect();
                let mean = self.graph.mean(x, &axes)?;
                self.graph.reshape(mean, op.out.shape.as_slice())?
            }
            N::Max(op) => {
                let x = self.number(&op.input)?;
                self.reduce_all(ReduceOp::Max, x, &op.out)?
            }
            N::Min(op) => {
                let x = self.number(&op.input)?;
                self.reduce_all(ReduceOp::Min, x, &op.out)?
            }
            N::MaxAbs(op) => {
                let size = self.unary(UnaryOp::Abs, &op.input)?;
                self.reduce_all(ReduceOp::Max, size, &op.out)?
            }
            N::Prod(op) => {
                let x = self.number(&op.input)?;
                let flat = self.graph.reshape(x, &[numel(op.input.shape.as_slice())])?;
                let product = self.graph.product_along(flat, 0)?;
                self.graph.reshape(product, op.out.shape.as_slice())?
            }
            N::SumDim(op) => self.reduce(ReduceOp::Sum, op)?,
            N::MaxDim(op) => self.reduce(ReduceOp::Max, op)?,
            N::MinDim(op) => self.reduce(ReduceOp::Min, op)?,
            N::MaxAbsDim(op) => {
                let size = self.unary(UnaryOp::Abs, &op.input)?;
                self.graph.reduce(ReduceOp::Max, size, &[op.axis])?
            }
            N::MeanDim(op) => {
                let x = self.number(&op.input)?;
                self.graph.mean(x, &[op.axis])?
            }
            N::SumDims(op) => {
                let x = self.number(&op.input)?;
                self.graph.sum(x, &op.axes)?
            }
            N::ProdDim(op) => {
                let x = self.number(&op.input)?;
                self.graph.product_along(x, op.axis)?
            }
            N::CumSum(op) => {
                let x = self.number(&op.input)?;
                self.graph.cumulative_sum(x, op.axis)?
            }
            N::CumProd(op) => self.scanned(BinaryOp::Mul, &op.input, op.axis)?,
            N::CumMax(op) => self.scanned(BinaryOp::Max, &op.input, op.axis)?,
            N::CumMin(op) => self.scanned(BinaryOp::Min, &op.input, op.axis)?,
            N::ArgMax(op) => {
                let x = self.number(&op.input)?;
                self.graph.argmax(x, op.axis)?
            }
            N::ArgMin(op) => {
                let x = self.number(&op.input)?;
                self.graph.argmin(x, op.axis)?
            }
            N::ArgTopK(op) => {
                let x = self.number(&op.input)?;
                self.graph.arg_sort(x, op.axis, op.accumulator_len, true)?
            }
            N::TopK(op) => {
                let x = self.number(&op.input)?;
                self.graph.sort(x, op.axis, op.accumulator_len, true)?[0]
            }
            N::Sort(op) => {
                let x = self.number(&op.input)?;
                self.graph.sort(x, op.dim, op.input.shape.as_slice()[op.dim], op.descending)?[0]
            }
            N::ArgSort(op) => {
                let x = self.number(&op.input)?;
                self.graph.arg_sort(x, op.dim, op.input.shape.as_slice()[op.dim], op.descending)?
            }
            _ => return Ok(None),
        }))
    }

    fn scanned(&mut self, op: BinaryOp, x: &TensorIr, axis: usize) -> Result<NodeId, GraphError> {
        let x = self.number(x)?;
        self.graph.cumulative(op, x, axis)
    }

    fn power(&mut self, x: &TensorIr, exponent: &ScalarIr) -> Result<NodeId, GraphError> {
        let x = self.number(x)?;
        self.graph.power(x, scalar(exponent))
    }

    /// Values together with where they are: the value is taken from its place, which alone gets a cotangent.
    pub(super) fn with_indices(&mut self, op: &NumericOperationIr) -> Result<Option<Vec<NodeId>>, GraphError> {
        use NumericOperationIr as N;
        let (x, axis, index) = match op {
            N::MaxDimWithIndices(op) => {
                let x = self.number(&op.tensor)?;
                (x, op.dim, self.graph.argmax(x, op.dim)?)
            }
            N::MinDimWithIndices(op) => {
                let x = self.number(&op.tensor)?;
                (x, op.dim, self.graph.argmin(x, op.dim)?)
            }
            N::TopKWithIndices(op) => {
                let x = self.number(&op.tensor)?;
                (x, op.dim, self.graph.arg_sort(x, op.dim, op.k, true)?)
            }
            N::SortWithIndices(op) => {
                let x = self.number(&op.input)?;
                let size = op.input.shape.as_slice()[op.dim];
                (x, op.dim, self.graph.arg_sort(x, op.dim, size, op.descending)?)
            }
            _ => return Ok(None),
        };
        Ok(Some(vec![self.graph.gather(x, index, axis)?, index]))
    }

    /// Arithmetic of whole numbers, where it differs from that of real ones.
    pub(super) fn whole(&mut self, op: &NumericOperationIr) -> Result<Option<NodeId>, GraphError> {
        use NumericOperationIr as N;
        Ok(Some(match op {
            N::Div(op) => {
                let (a, b) = (self.number(&op.lhs)?, self.number(&op.rhs)?);
                self.graph.whole_div(a, b)?
            }
            N::DivScalar(op) => {
                let a = self.number(&op.lhs)?;
                let b = self.graph.constant(scalar(&op.rhs), &[]);
                self.graph.whole_div(a, b)?
            }
            N::Rem(op) => {
                let (a, b) = (self.number(&op.lhs)?, self.number(&op.rhs)?);
                self.whole_remainder(a, b)?
            }
            N::RemScalar(op) => {
                let a = self.number(&op.lhs)?;
                let b = self.graph.constant(scalar(&op.rhs), &[]);
                self.whole_remainder(a, b)?
            }
            N::IntRandom(op) => {
                let Distribution::Uniform(low, high) = op.distribution else { return Ok(None) };
                let uniform = self.random(op.out.shape.as_slice())?;
                let scaled = self.graph.scale(uniform, (high - low) as f32)?;
                let shifted = self.graph.add_scalar(scaled, low as f32)?;
                self.graph.unary(UnaryOp::Floor, shifted)?
            }
            // A mean of whole numbers would have to be rounded.
            N::Mean(_) | N::MeanDim(_) => return Ok(None),
            _ => return self.numeric(op),
        }))
    }

    fn whole_remainder(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let quotient = self.graph.whole_floor_div(a, b)?;
        let multiple = self.graph.mul(b, quotient)?;
        self.graph.sub(a, multiple)
    }
}
