//! What activations record as one operation.

use burn_ir::ActivationOperationIr;

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar};

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn activation(&mut self, op: &ActivationOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ActivationOperationIr as A;
        Ok(Some(match op {
            A::Relu(op) => self.unary(UnaryOp::Relu, &op.input)?,
            A::LeakyRelu(op) => {
                let x = self.node(&op.lhs)?;
                let slope = self.graph.constant(scalar(&op.rhs), &[]);
                self.bent(x, slope)?
            }
            A::PRelu(op) => {
                let (x, slope) = (self.node(&op.lhs)?, self.node(&op.rhs)?);
                // One slope for all, or one a channel (axis 1).
                let mut shape = vec![1; self.graph.shape(x).len()];
                let count = numel(self.graph.shape(slope));
                if count > 1 && shape.len() > 1 {
                    shape[1] = count;
                }
                let slope = self.graph.reshape(slope, &shape)?;
                self.bent(x, slope)?
            }
            A::Sigmoid(op) => self.unary(UnaryOp::Sigmoid, &op.input)?,
            A::HardSigmoid(op) => {
                let x = self.node(&op.tensor)?;
                let line = self.graph.scale(x, scalar(&op.alpha))?;
                let line = self.graph.add_scalar(line, scalar(&op.beta))?;
                let (zero, one) = (self.graph.constant(0.0, &[]), self.graph.constant(1.0, &[]));
                let line = self.graph.binary(BinaryOp::Max, line, zero)?;
                self.graph.binary(BinaryOp::Min, line, one)?
            }
            A::LogSigmoid(op) => {
                let x = self.node(&op.input)?;
                let negative = self.graph.neg(x)?;
                let loss = self.graph.softplus(negative)?;
                self.graph.neg(loss)?
            }
            A::Gelu(op) => {
                // x Phi(x), exact.
                let x = self.node(&op.input)?;
                let scaled = self.graph.scale(x, std::f32::consts::FRAC_1_SQRT_2)?;
                let erf = self.graph.unary(UnaryOp::Erf, scaled)?;
                let doubled = self.graph.add_scalar(erf, 1.0)?;
                let phi = self.graph.scale(doubled, 0.5)?;
                self.graph.mul(x, phi)?
            }
            A::Softmax(op) => {
                let x = self.node(&op.input)?;
                self.graph.softmax(x, op.axis)?
            }
            A::Softmin(op) => {
                let x = self.node(&op.input)?;
                let x = self.graph.neg(x)?;
                self.graph.softmax(x, op.axis)?
            }
            A::LogSoftmax(op) => {
                let x = self.node(&op.input)?;
                self.graph.log_softmax(x, op.axis)?
            }
            _ => return Ok(None),
        }))
    }

    /// `x` above 0 and `slope x` below.
    fn bent(&mut self, x: NodeId, slope: NodeId) -> Result<NodeId, GraphError> {
        let zero = self.graph.constant(0.0, &[]);
        let below = self.graph.binary(BinaryOp::Less, x, zero)?;
        let line = self.graph.mul(x, slope)?;
        self.graph.select(below, line, x)
    }
}
