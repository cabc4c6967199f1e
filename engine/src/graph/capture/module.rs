//! What layers record as one operation.

use burn_ir::{
    AttentionOpIr, Conv3dOptionsIr, InterpolateModeIr, LayerNormOpIr, LinearOpIr, ModuleOperationIr, TensorIr,
};

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar};
use crate::graph::compose::{Resize, Strides, Window};

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn module(&mut self, op: &ModuleOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ModuleOperationIr as M;
        match op {
            M::Embedding(op) => {
                let (table, index) = (self.node(&op.weights)?, self.index(&op.indices)?);
                self.graph.take_rows(table, index).map(Some)
            }
            M::Linear(op) => self.linear(op),
            M::LayerNorm(op) => self.layer_norm(op),
            M::BatchNorm(op) => {
                let channels = numel(op.gamma.shape.as_slice());
                let [gamma, beta, mean, variance] = [&op.gamma, &op.beta, &op.mean, &op.variance]
                    .map(|x| self.by_channel(x, op.x.shape.len(), channels));
                let x = self.node(&op.x)?;
                let variance = self.graph.add_scalar(variance?, scalar(&op.epsilon))?;
                let inverse = self.graph.unary(UnaryOp::Rsqrt, variance)?;
                let centred = self.graph.sub(x, mean?)?;
                let normal = self.graph.mul(centred, inverse)?;
                let scaled = self.graph.mul(normal, gamma?)?;
                self.graph.add(scaled, beta?).map(Some)
            }
            M::Attention(op) => self.attention(op).map(Some),
            M::Interpolate(op) => {
                let how = match op.options.mode {
                    InterpolateModeIr::Nearest => Resize::Nearest,
                    InterpolateModeIr::NearestExact => Resize::NearestExact,
                    InterpolateModeIr::Bilinear => Resize::Bilinear,
                    InterpolateModeIr::Bicubic => Resize::Bicubic,
                    InterpolateModeIr::Lanczos3 => return Ok(None),
                };
                let x = self.node(&op.x)?;
                let wide = self.graph.resize(x, 3, op.output_size[1], how, op.options.align_corners)?;
                self.graph.resize(wide, 2, op.output_size[0], how, op.options.align_corners).map(Some)
            }
            _ => match self.convolution(op)? {
                Some(node) => Ok(Some(node)),
                None => self.pooled(op),
            },
        }
    }

    fn linear(&mut self, op: &LinearOpIr) -> Result<Option<NodeId>, GraphError> {
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
        self.graph.reshape(y, op.out.shape.as_slice()).map(Some)
    }

    fn layer_norm(&mut self, op: &LayerNormOpIr) -> Result<Option<NodeId>, GraphError> {
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
        Ok(Some(match &op.beta {
            Some(beta) => {
                let beta = self.node(beta)?;
                self.graph.add(scaled, beta)?
            }
            None => scaled,
        }))
    }

    /// `softmax(q k^T scale) v` over `[b, heads, t, d]`; what is masked gets no weight, and a row of which all is masked
    /// yields 0.
    fn attention(&mut self, op: &AttentionOpIr) -> Result<NodeId, GraphError> {
        let (query, key, value) = (self.node(&op.query)?, self.node(&op.key)?, self.node(&op.value)?);
        let width = self.graph.shape(query).last().copied().unwrap_or(1);
        let scale = op.options.scale.as_ref().map_or(1.0 / (width as f32).sqrt(), scalar);
        let key = self.graph.transpose(key)?;
        let scores = self.matmul(query, key)?;
        let mut scores = self.graph.scale(scores, scale)?;
        if let Some(cap) = op.options.softcap.as_ref().map(scalar) {
            let scaled = self.graph.scale(scores, 1.0 / cap)?;
            let bent = self.graph.unary(UnaryOp::Tanh, scaled)?;
            scores = self.graph.scale(bent, cap)?;
        }
        let shape = self.graph.shape(scores).to_vec();
        let rank = shape.len();
        let mut hidden = match &op.mask {
            Some(mask) => Some(self.node(mask)?),
            None => None,
        };
        if op.options.is_causal {
            let plane = &shape[rank - 2..];
            let (row, column) = (self.graph.iota(plane, 0)?, self.graph.iota(plane, 1)?);
            let later = self.graph.binary(BinaryOp::Less, row, column)?;
            hidden = Some(match hidden {
                Some(hidden) => self.graph.binary(BinaryOp::Max, hidden, later)?,
                None => later,
            });
        }
        if let Some(bias) = &op.attn_bias {
            let bias = self.node(bias)?;
            scores = self.graph.add(scores, bias)?;
        }
        let weights = match hidden {
            Some(hidden) => {
                let shown = self.not(hidden)?;
                self.graph.masked_softmax(scores, shown, rank - 1)?
            }
            None => self.graph.softmax(scores, rank - 1)?,
        };
        self.matmul(weights, value)
    }

    /// A value a channel, spread over axis 1 of a tensor of this rank.
    fn by_channel(&mut self, x: &TensorIr, rank: usize, channels: usize) -> Result<NodeId, GraphError> {
        let x = self.node(x)?;
        let mut shape = vec![1; rank];
        if let Some(axis) = shape.get_mut(1) {
            *axis = channels;
        }
        self.graph.reshape(x, &shape)
    }

    fn convolution(&mut self, op: &ModuleOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ModuleOperationIr as M;
        let (x, kernel, bias, out, strides, extra) = match op {
            M::Conv1d(op) => {
                let o = &op.options;
                (&op.x, &op.weight, &op.bias, &op.out, strides(&o.stride, &o.padding, &o.dilation, o.groups), None)
            }
            M::Conv2d(op) => {
                let o = &op.options;
                (&op.x, &op.weight, &op.bias, &op.out, strides(&o.stride, &o.padding, &o.dilation, o.groups), None)
            }
            M::Conv3d(op) => {
                let Conv3dOptionsIr { stride, padding, dilation, groups } = &op.options;
                let even = padding.map(|size| (size, size));
                (&op.x, &op.weight, &op.bias, &op.out, strides(stride, &even, dilation, *groups), None)
            }
            M::ConvTranspose1d(op) => {
                let (o, even) = (&op.options, op.options.padding.map(|size| (size, size)));
                let strides = strides(&o.stride, &even, &o.dilation, o.groups);
                (&op.x, &op.weight, &op.bias, &op.out, strides, Some(&o.padding_out[..]))
            }
            M::ConvTranspose2d(op) => {
                let (o, even) = (&op.options, op.options.padding.map(|size| (size, size)));
                let strides = strides(&o.stride, &even, &o.dilation, o.groups);
                (&op.x, &op.weight, &op.bias, &op.out, strides, Some(&o.padding_out[..]))
            }
            M::ConvTranspose3d(op) => {
                let (o, even) = (&op.options, op.options.padding.map(|size| (size, size)));
                let strides = strides(&o.stride, &even, &o.dilation, o.groups);
                (&op.x, &op.weight, &op.bias, &op.out, strides, Some(&o.padding_out[..]))
            }
            _ => return Ok(None),
        };
        let (x, kernel) = (self.node(x)?, self.node(kernel)?);
        let y = match extra {
            None => self.graph.convolution(x, kernel, &strides)?,
            Some(extra) => self.graph.transposed_convolution(x, kernel, &strides, extra)?,
        };
        Ok(Some(match bias {
            Some(bias) => {
                let channels = numel(bias.shape.as_slice());
                let bias = self.by_channel(bias, out.shape.len(), channels)?;
                self.graph.add(y, bias)?
            }
            None => y,
        }))
    }

    fn pooled(&mut self, op: &ModuleOperationIr) -> Result<Option<NodeId>, GraphError> {
        use ModuleOperationIr as M;
        match op {
            M::AvgPool1d(op) => {
                let x = self.node(&op.x)?;
                let windows = [window(op.kernel_size, op.stride, op.padding, 1, op.ceil_mode)];
                self.graph.average_pool(x, &windows, op.count_include_pad).map(Some)
            }
            M::AvgPool2d(op) => {
                let x = self.node(&op.x)?;
                let at = |k: usize| window(op.kernel_size[k], op.stride[k], op.padding[k], 1, op.ceil_mode);
                self.graph.average_pool(x, &[at(0), at(1)], op.count_include_pad).map(Some)
            }
            M::AdaptiveAvgPool1d(op) => self.bins(&op.x, &[op.output_size]).map(Some),
            M::AdaptiveAvgPool2d(op) if op.output_size == [1, 1] => {
                let x = self.node(&op.x)?;
                self.graph.mean(x, &[2, 3]).map(Some)
            }
            M::AdaptiveAvgPool2d(op) => self.bins(&op.x, &op.output_size).map(Some),
            M::AdaptiveAvgPool3d(op) => self.bins(&op.x, &op.output_size).map(Some),
            M::MaxPool1d(op) => {
                let window = window(op.kernel_size, op.stride, op.padding, op.dilation, op.ceil_mode);
                let x = self.lifted(&op.x)?;
                let y = self.graph.max_pool(x, [window, UNIT])?;
                self.lowered(y).map(Some)
            }
            M::MaxPool2d(op) => {
                let x = self.node(&op.x)?;
                let at =
                    |k: usize| window(op.kernel_size[k], op.stride[k], op.padding[k], op.dilation[k], op.ceil_mode);
                self.graph.max_pool(x, [at(0), at(1)]).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Maxima of windows and their places.
    pub(super) fn pool_with_indices(&mut self, op: &ModuleOperationIr) -> Result<Option<Vec<NodeId>>, GraphError> {
        use ModuleOperationIr as M;
        match op {
            M::MaxPool1dWithIndices(op) => {
                let window = window(op.kernel_size, op.stride, op.padding, op.dilation, op.ceil_mode);
                let x = self.lifted(&op.x)?;
                let both = self.graph.max_pool_with_places(x, [window, UNIT])?;
                both.into_iter().map(|node| self.lowered(node)).collect::<Result<_, _>>().map(Some)
            }
            M::MaxPool2dWithIndices(op) => {
                let x = self.node(&op.x)?;
                let at =
                    |k: usize| window(op.kernel_size[k], op.stride[k], op.padding[k], op.dilation[k], op.ceil_mode);
                self.graph.max_pool_with_places(x, [at(0), at(1)]).map(|both| Some(both.to_vec()))
            }
            _ => Ok(None),
        }
    }

    /// `[b, c, l]` as images of one column.
    fn lifted(&mut self, x: &TensorIr) -> Result<NodeId, GraphError> {
        let x = self.node(x)?;
        let shape = [self.graph.shape(x), &[1]].concat();
        self.graph.reshape(x, &shape)
    }

    /// Undoes [`Self::lifted`].
    fn lowered(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let mut shape = self.graph.shape(x).to_vec();
        shape.pop();
        self.graph.reshape(x, &shape)
    }

    /// Means over bins of the last axes.
    fn bins(&mut self, x: &TensorIr, sizes: &[usize]) -> Result<NodeId, GraphError> {
        let mut y = self.node(x)?;
        let first = self.graph.shape(y).len().saturating_sub(sizes.len());
        for (k, &size) in sizes.iter().enumerate().rev() {
            y = self.graph.resize(y, first + k, size, Resize::Bins, false)?;
        }
        Ok(y)
    }
}

/// Leaves an axis as it is.
const UNIT: Window = Window { size: 1, stride: 1, padding: 0, dilation: 1, ceil: false };

fn window(size: usize, stride: usize, padding: usize, dilation: usize, ceil: bool) -> Window {
    Window { size, stride, padding, dilation, ceil }
}

fn strides(stride: &[usize], padding: &[(usize, usize)], dilation: &[usize], groups: usize) -> Strides {
    Strides { stride: stride.to_vec(), padding: padding.to_vec(), dilation: dilation.to_vec(), groups }
}
