//! Functions of real numbers, products, random values; masks.

use burn::tensor::Distribution;
use burn_ir::{BoolOperationIr, FloatOperationIr, TensorIr};

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
            F::Powf(op) => {
                let (a, b) = (self.node(&op.lhs)?, self.node(&op.rhs)?);
                self.graph.signed_power(a, b)?
            }
            F::PowfScalar(op) => {
                let x = self.node(&op.lhs)?;
                self.graph.power(x, scalar(&op.rhs))?
            }
            F::Hypot(op) => {
                let (a, b) = (self.node(&op.lhs)?, self.node(&op.rhs)?);
                let (aa, bb) = (self.graph.mul(a, a)?, self.graph.mul(b, b)?);
                let square = self.graph.add(aa, bb)?;
                self.graph.unary(UnaryOp::Sqrt, square)?
            }
            F::ArcTan2(op) => {
                let (y, x) = (self.node(&op.lhs)?, self.node(&op.rhs)?);
                self.graph.atan2(y, x)?
            }
            // Whole numbers are truncated f32.
            F::IntoInt(op) => self.composed(&op.input, Graph::trunc)?,
            F::Matmul(op) => {
                let (a, b) = (self.node(&op.lhs)?, self.node(&op.rhs)?);
                self.matmul(a, b)?
            }
            F::Random(op) => return self.drawn(op.out.shape.as_slice(), op.distribution),
            _ => return self.composed_function(op),
        }))
    }

    fn composed_function(&mut self, op: &FloatOperationIr) -> Result<Option<NodeId>, GraphError> {
        use FloatOperationIr as F;
        Ok(Some(match op {
            F::Log1p(op) => self.composed(&op.input, Graph::log1p)?,
            F::Ceil(op) => self.composed(&op.input, Graph::ceil)?,
            F::Round(op) => self.composed(&op.input, Graph::round)?,
            F::Trunc(op) => self.composed(&op.input, Graph::trunc)?,
            F::Tan(op) => self.composed(&op.input, Graph::tan)?,
            F::Sinh(op) => self.composed(&op.input, Graph::sinh)?,
            F::Cosh(op) => self.composed(&op.input, Graph::cosh)?,
            F::ArcSin(op) => self.composed(&op.input, Graph::asin)?,
            F::ArcCos(op) => self.composed(&op.input, Graph::acos)?,
            F::ArcTan(op) => self.composed(&op.input, Graph::atan)?,
            F::ArcSinh(op) => self.composed(&op.input, Graph::asinh)?,
            F::ArcCosh(op) => self.composed(&op.input, Graph::acosh)?,
            F::ArcTanh(op) => self.composed(&op.input, Graph::atanh)?,
            _ => return Ok(None),
        }))
    }

    fn composed(
        &mut self,
        x: &TensorIr,
        function: impl Fn(&mut Graph, NodeId) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
        let x = self.number(x)?;
        function(self.graph, x)
    }

    fn drawn(&mut self, shape: &[usize], distribution: Distribution) -> Result<Option<NodeId>, GraphError> {
        Ok(Some(match distribution {
            Distribution::Default => self.random(shape)?,
            Distribution::Uniform(low, high) => {
                let uniform = self.random(shape)?;
                let scaled = self.graph.scale(uniform, (high - low) as f32)?;
                self.graph.add_scalar(scaled, low as f32)?
            }
            Distribution::Bernoulli(probability) => {
                let uniform = self.random(shape)?;
                let bound = self.graph.constant(probability as f32, &[]);
                self.graph.binary(BinaryOp::Less, uniform, bound)?
            }
            Distribution::Normal(mean, deviation) => {
                let normal = self.normal(shape)?;
                let scaled = self.graph.scale(normal, deviation as f32)?;
                self.graph.add_scalar(scaled, mean as f32)?
            }
        }))
    }

    pub(super) fn boolean(&mut self, op: &BoolOperationIr) -> Result<Option<NodeId>, GraphError> {
        use BoolOperationIr as B;
        Ok(Some(match op {
            // Masks are zeros and ones already.
            B::IntoFloat(op) | B::IntoInt(op) => self.node(&op.input)?,
            B::Not(op) => {
                let x = self.node(&op.input)?;
                self.not(x)?
            }
            B::And(op) => self.binary(BinaryOp::Mul, &op.lhs, &op.rhs)?,
            B::Or(op) => self.binary(BinaryOp::Max, &op.lhs, &op.rhs)?,
            B::Xor(op) => {
                let equal = self.binary(BinaryOp::Equal, &op.lhs, &op.rhs)?;
                self.not(equal)?
            }
        }))
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
