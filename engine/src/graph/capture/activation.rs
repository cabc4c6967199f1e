//! What activations record as one operation.

use burn_ir::ActivationOperationIr;

use super::super::*;
use super::Resolver;
use super::mapper::Mapper;

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn activation(&mut self, op: &ActivationOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ActivationOperationIr as A;
        Ok(Some(match op {
            A::Relu(op) => self.unary(UnaryOp::Relu, &op.input)?,
            A::Sigmoid(op) => self.unary(UnaryOp::Sigmoid, &op.input)?,
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
            A::LogSoftmax(op) => {
                let x = self.node(&op.input)?;
                self.graph.log_softmax(x, op.axis)?
            }
            _ => return Ok(None),
        }))
    }
}
