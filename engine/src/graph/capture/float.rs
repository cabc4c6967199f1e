//! Functions of real numbers, products, random values; masks.

use burn::tensor::Distribution;
use burn_ir::{BoolOperationIr, FloatOperationIr, ScalarIr, TensorIr};

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar};

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn float(&mut self, op: &FloatOperationIr) -> Result<Option<NodeId>, GraphError> {
        use FloatOperationIr as F;
        Ok(Some(match op {
            F::Exp(op) => self.unary(UnaryOp::Exp, &op.input)?,
            F::Log(op) => self.unary(UnaryOp::Log, &op.input)?,
            F::Erf(op) => self.unary(UnaryOp::Erf, &op.input)?,
            F::Sqrt(op) => self.unary(UnaryOp::Sqrt, &op.input)?,
            F::Cos(op) => self.unary(UnaryOp::Cos, &op.input)?,
            F::Sin(op) => self.unary(UnaryOp::Sin, &op.input)?,
            F::Tanh(op) => self.unary(UnaryOp::Tanh, &op.input)?,
            F::Floor(op) => self.unary(UnaryOp::Floor, &op.input)?,
            F::Recip(op) => self.unary(UnaryOp::Recip, &op.input)?,
            F::Powf(op) => self.binary(BinaryOp::Pow, &op.lhs, &op.rhs)?,
            F::PowfScalar(op) => match self.power(&op.lhs, &op.rhs)? {
                Some(node) => node,
                None => return Ok(None),
            },
            F::Matmul(op) => {
                let (a, b) = (self.node(&op.lhs)?, self.node(&op.rhs)?);
                self.matmul(a, b)?
            }
            F::Random(op) => {
                let uniform = self.random(op.out.shape.as_slice())?;
                match op.distribution {
                    Distribution::Default => uniform,
                    Distribution::Uniform(low, high) => {
                        let scaled = self.graph.scale(uniform, (high - low) as f32)?;
                        self.graph.add_scalar(scaled, low as f32)?
                    }
                    Distribution::Bernoulli(probability) => {
                        let bound = self.graph.constant(probability as f32, &[]);
                        self.graph.binary(BinaryOp::Less, uniform, bound)?
                    }
                    Distribution::Normal(..) => return Ok(None),
                }
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn boolean(&mut self, op: &BoolOperationIr) -> Result<Option<NodeId>, GraphError> {
        use BoolOperationIr as B;
        Ok(Some(match op {
            // Masks are zeros and ones already.
            B::IntoFloat(op) => self.node(&op.input)?,
            B::Not(op) => {
                let x = self.node(&op.input)?;
                self.not(x)?
            }
            B::And(op) => self.binary(BinaryOp::Mul, &op.lhs, &op.rhs)?,
            B::Or(op) => self.binary(BinaryOp::Max, &op.lhs, &op.rhs)?,
            _ => return Ok(None),
        }))
    }

    /// Powers with a cheap form; `None` for others, whose base may be negative.
    pub(super) fn power(&mut self, x: &TensorIr, exponent: &ScalarIr) -> Result<Option<NodeId>, GraphError> {
        let x = self.node(x)?;
        Ok(match scalar(exponent) {
            2.0 => Some(self.graph.mul(x, x)?),
            1.0 => Some(x),
            0.5 => Some(self.graph.unary(UnaryOp::Sqrt, x)?),
            -0.5 => Some(self.graph.unary(UnaryOp::Rsqrt, x)?),
            -1.0 => Some(self.graph.unary(UnaryOp::Recip, x)?),
            _ => None,
        })
    }

    /// burn broadcasts the leading axes of a product. A right side without any (a layer's weights) becomes one product
    /// with all rows of the left: batched, its gradient would be a matrix for each example, to be summed.
    pub(super) fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let (sa, sb) = (self.graph.shape(a).to_vec(), self.graph.shape(b).to_vec());
        let (Some(ka), Some(kb)) = (sa.len().checked_sub(2), sb.len().checked_sub(2)) else {
            return self.graph.matmul(a, b);
        };
        if numel(&sb[..kb]) == 1 && ka >= kb {
            let rows = self.graph.reshape(a, &[numel(&sa[..=ka]), sa[ka + 1]])?;
            let weights = self.graph.reshape(b, &sb[kb..])?;
            let product = self.graph.matmul(rows, weights)?;
            return self.graph.reshape(product, &[&sa[..=ka], &sb[kb + 1..]].concat());
        }
        let Some(batch) = broadcast_shapes(&sa[..ka], &sb[..kb]) else { return self.graph.matmul(a, b) };
        let a = self.graph.broadcast_to(a, &[&batch, &sa[ka..]].concat())?;
        let b = self.graph.broadcast_to(b, &[&batch, &sb[kb..]].concat())?;
        self.graph.matmul(a, b)
    }
}
