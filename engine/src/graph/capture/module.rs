//! What layers record as one operation.

use burn_ir::ModuleOperationIr;

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar};

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn module(&mut self, op: &ModuleOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ModuleOperationIr as M;
        Ok(Some(match op {
            M::Embedding(op) => {
                let (table, index) = (self.node(&op.weights)?, self.node(&op.indices)?);
                self.graph.take_rows(table, index)?
            }
            M::Linear(op) => {
                let (x, weight) = (self.node(&op.x)?, self.node(&op.weight)?);
                let [inputs, _] = *self.graph.shape(weight) else { return Ok(None) };
                let rows = numel(self.graph.shape(x)) / inputs.max(1);
                let x = self.graph.reshape(x, &[rows, inputs])?;
                let product = self.graph.matmul(x, weight)?;
                let y = match &op.bias {
                    Some(bias) => {
                        let bias = self.node(bias)?;
                        self.graph.add(product, bias)?
                    }
                    None => product,
                };
                self.graph.reshape(y, op.out.shape.as_slice())?
            }
            M::Conv2d(op) => {
                let (x, kernel) = (self.node(&op.x)?, self.node(&op.weight)?);
                let &[_, _, kh, kw] = self.graph.shape(kernel) else { return Ok(None) };
                let pads = op.options.padding;
                if pads.iter().any(|(before, after)| before != after) {
                    return Ok(None);
                }
                let geometry = ConvGeometry {
                    kernel: [kh, kw],
                    stride: op.options.stride,
                    padding: pads.map(|(before, _)| before),
                    dilation: op.options.dilation,
                    groups: op.options.groups,
                };
                let y = self.graph.conv2d(x, kernel, geometry)?;
                match &op.bias {
                    Some(bias) => {
                        let bias = self.node(bias)?;
                        let channels = numel(self.graph.shape(bias));
                        let bias = self.graph.reshape(bias, &[1, channels, 1, 1])?;
                        self.graph.add(y, bias)?
                    }
                    None => y,
                }
            }
            M::MaxPool2d(op) if !op.ceil_mode => {
                let x = self.node(&op.x)?;
                let geometry = PoolGeometry {
                    kernel: op.kernel_size,
                    stride: op.stride,
                    padding: op.padding,
                    dilation: op.dilation,
                    groups: 1,
                };
                self.graph.max_pool2d(x, geometry)?
            }
            M::AdaptiveAvgPool2d(op) if op.output_size == [1, 1] => {
                let x = self.node(&op.x)?;
                self.graph.mean(x, &[2, 3])?
            }
            M::LayerNorm(op) => {
                let (x, gamma) = (self.node(&op.input)?, self.node(&op.gamma)?);
                let Some(last) = self.graph.shape(x).len().checked_sub(1) else { return Ok(None) };
                let mean = self.graph.mean(x, &[last])?;
                let centred = self.graph.sub(x, mean)?;
                let square = self.graph.mul(centred, centred)?;
                let variance = self.graph.mean(square, &[last])?;
                let variance = self.graph.add_scalar(variance, scalar(&op.epsilon))?;
                let inverse = self.graph.unary(UnaryOp::Rsqrt, variance)?;
                let normal = self.graph.mul(centred, inverse)?;
                let scaled = self.graph.mul(normal, gamma)?;
                match &op.beta {
                    Some(beta) => {
                        let beta = self.node(beta)?;
                        self.graph.add(scaled, beta)?
                    }
                    None => scaled,
                }
            }
            _ => return Ok(None),
        }))
    }
}
