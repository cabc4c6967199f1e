//! Builder methods: each checks its arguments, infers the shape, and appends one operation.
//! Elementwise methods broadcast their arguments first, aligned at the last axis.

use std::sync::Arc;

use super::*;

/// The error of arguments that do not fit.
pub(super) fn mismatch(op: &str, reason: String) -> GraphError {
    GraphError::Shape { op: op.to_owned(), reason }
}

/// Shape that both broadcast to, aligned at the last axis.
pub fn broadcast_shapes(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |own| shape[own]);
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

impl Graph {
    /// The same number everywhere.
    pub fn constant(&mut self, value: f32, shape: &[usize]) -> NodeId {
        self.push(Op::Const(value.into()), vec![], shape.to_vec(), DType::F32)
    }

    /// Constant tensor, row-major.
    pub fn literal(&mut self, values: &[f32], shape: &[usize]) -> Result<NodeId, GraphError> {
        if values.len() != numel(shape) {
            return Err(mismatch("literal", format!("{} values for shape {shape:?}", values.len())));
        }
        let bits: Arc<[F32Bits]> = values.iter().map(|&v| F32Bits::from(v)).collect();
        Ok(self.push(Op::Literal(bits), vec![], shape.to_vec(), DType::F32))
    }

    /// f32 index along `axis`.
    pub fn iota(&mut self, shape: &[usize], axis: usize) -> Result<NodeId, GraphError> {
        self.check_axis("iota", shape, axis)?;
        Ok(self.push(Op::Iota { axis }, vec![], shape.to_vec(), DType::F32))
    }

    /// Uniform values in [0, 1) of `shape`; see [`Op::Random`].
    pub fn random(&mut self, key: NodeId, stream: u32, shape: &[usize]) -> Result<NodeId, GraphError> {
        let node = self.node(key);
        if node.shape != [4] || node.dtype != DType::U32 {
            return Err(mismatch("random", format!("key must be u32 [4], is {:?} {:?}", node.dtype, node.shape)));
        }
        Ok(self.push(Op::Random { stream }, vec![key], shape.to_vec(), DType::F32))
    }

    /// Elementwise function of an f32 value.
    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> Result<NodeId, GraphError> {
        self.check_dtype("unary", x, DType::F32)?;
        let shape = self.shape(x).to_vec();
        Ok(self.push(Op::Unary(op), vec![x], shape, DType::F32))
    }

    /// Elementwise function of two f32 values, broadcast to their common shape.
    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.check_dtype("binary", a, DType::F32)?;
        self.check_dtype("binary", b, DType::F32)?;
        let shape = broadcast_shapes(self.shape(a), self.shape(b))
            .ok_or_else(|| mismatch("binary", format!("{:?} against {:?}", self.shape(a), self.shape(b))))?;
        let a = self.broadcast_to(a, &shape)?;
        let b = self.broadcast_to(b, &shape)?;
        Ok(self.push(Op::Binary(op), vec![a, b], shape, DType::F32))
    }

    /// `a + b`
    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`
    pub fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// `a / b`
    pub fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.binary(BinaryOp::Div, a, b)
    }

    /// `x + value`
    pub fn add_scalar(&mut self, x: NodeId, value: f32) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        let c = self.constant(value, &shape);
        self.add(x, c)
    }

    /// `x * value`
    pub fn scale(&mut self, x: NodeId, value: f32) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        let c = self.constant(value, &shape);
        self.mul(x, c)
    }

    /// `-x`
    pub fn neg(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        self.unary(UnaryOp::Neg, x)
    }

    /// `mask != 0 ? a : b`, all broadcast to their common shape.
    pub fn select(&mut self, mask: NodeId, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        for arg in [mask, a, b] {
            self.check_dtype("select", arg, DType::F32)?;
        }
        let shape = broadcast_shapes(self.shape(a), self.shape(b))
            .and_then(|ab| broadcast_shapes(&ab, self.shape(mask)))
            .ok_or_else(|| mismatch("select", "shapes do not broadcast".into()))?;
        let args = [mask, a, b].map(|arg| self.broadcast_to(arg, &shape));
        let [mask, a, b] = args;
        Ok(self.push(Op::Select, vec![mask?, a?, b?], shape, DType::F32))
    }

    /// Change of element type.
    pub fn cast(&mut self, x: NodeId, dtype: DType) -> Result<NodeId, GraphError> {
        if dtype == DType::U8 {
            return Err(mismatch("cast", "u8 occurs in tables only".into()));
        }
        if self.node(x).dtype == dtype {
            return Ok(x);
        }
        let shape = self.shape(x).to_vec();
        Ok(self.push(Op::Cast(dtype), vec![x], shape, dtype))
    }

    /// Reduction over `axes`, which stay with size 1.
    pub fn reduce(&mut self, op: ReduceOp, x: NodeId, axes: &[usize]) -> Result<NodeId, GraphError> {
        self.check_dtype("reduce", x, DType::F32)?;
        let mut shape = self.shape(x).to_vec();
        let mut axes = axes.to_vec();
        crate::numeric::sort(&mut axes);
        axes.dedup();
        for &axis in &axes {
            self.check_axis("reduce", &shape, axis)?;
        }
        axes.retain(|&axis| shape[axis] != 1);
        if axes.is_empty() {
            return Ok(x);
        }
        for &axis in &axes {
            shape[axis] = 1;
        }
        Ok(self.push(Op::Reduce { op, axes }, vec![x], shape, DType::F32))
    }

    /// Sum over `axes`, which stay with size 1.
    pub fn sum(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId, GraphError> {
        self.reduce(ReduceOp::Sum, x, axes)
    }

    /// Mean over `axes`, which stay with size 1.
    pub fn mean(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId, GraphError> {
        let total = self.sum(x, axes)?;
        let count = numel(self.shape(x)) / numel(self.shape(total)).max(1);
        self.scale(total, 1.0 / count as f32)
    }

    /// Sum of all elements, a scalar of shape `[]`.
    pub fn sum_all(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let axes: Vec<usize> = (0..self.shape(x).len()).collect();
        let total = self.sum(x, &axes)?;
        self.reshape(total, &[])
    }

    /// Softmax along `axis`, shifted by the maximum so that no exponential overflows. The shift cancels and has no
    /// derivative.
    pub fn softmax(&mut self, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let shifted = self.below_max(x, axis)?;
        let exp = self.unary(UnaryOp::Exp, shifted)?;
        let total = self.sum(exp, &[axis])?;
        let inverse = self.unary(UnaryOp::Recip, total)?;
        self.mul(exp, inverse)
    }

    /// Softmax along `axis` over the places where `mask` (0 or 1, broadcast) is 1; the others get 0, and so does all of a
    /// row without any.
    pub fn masked_softmax(&mut self, x: NodeId, mask: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let low = self.constant(f32::MIN, &[]);
        let shown = self.select(mask, x, low)?;
        let shifted = self.below_max(shown, axis)?;
        let exp = self.unary(UnaryOp::Exp, shifted)?;
        let zero = self.constant(0.0, &[]);
        let exp = self.select(mask, exp, zero)?;
        let total = self.sum(exp, &[axis])?;
        // The largest of a row with anything in it is 1.
        let one = self.constant(1.0, &[]);
        let total = self.binary(BinaryOp::Max, total, one)?;
        let inverse = self.unary(UnaryOp::Recip, total)?;
        self.mul(exp, inverse)
    }

    /// Logarithm of the softmax along `axis`.
    pub fn log_softmax(&mut self, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let shifted = self.below_max(x, axis)?;
        let exp = self.unary(UnaryOp::Exp, shifted)?;
        let total = self.sum(exp, &[axis])?;
        let log = self.unary(UnaryOp::Log, total)?;
        self.sub(shifted, log)
    }

    fn below_max(&mut self, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let max = self.reduce(ReduceOp::Max, x, &[axis])?;
        let max = self.stop_gradient(max);
        self.sub(x, max)
    }

    /// Sums a value down to a shape that broadcasts to its own: the transpose of broadcasting.
    pub fn sum_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId, GraphError> {
        let from = self.shape(x).to_vec();
        if from == shape {
            return Ok(x);
        }
        if broadcast_shapes(&from, shape).as_ref() != Some(&from) {
            return Err(mismatch("sum_to", format!("{from:?} is no broadcast of {shape:?}")));
        }
        let lead = from.len() - shape.len();
        let axes: Vec<usize> =
            (0..from.len()).filter(|&axis| axis < lead || (shape[axis - lead] == 1 && from[axis] != 1)).collect();
        let total = self.sum(x, &axes)?;
        self.reshape(total, shape)
    }

    /// u32 index of the first maximum along `axis`, which stays with size 1.
    pub fn argmax(&mut self, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        self.check_dtype("argmax", x, DType::F32)?;
        let mut shape = self.shape(x).to_vec();
        self.check_axis("argmax", &shape, axis)?;
        shape[axis] = 1;
        Ok(self.push(Op::ArgMax { axis }, vec![x], shape, DType::U32))
    }

    /// u32 indices of the `k` largest along the last axis.
    pub fn top_k(&mut self, x: NodeId, k: usize) -> Result<NodeId, GraphError> {
        self.check_dtype("top_k", x, DType::F32)?;
        let mut shape = self.shape(x).to_vec();
        match shape.last_mut() {
            Some(last) if k >= 1 && k <= *last => *last = k,
            _ => return Err(mismatch("top_k", format!("k = {k} of shape {:?}", self.shape(x)))),
        }
        Ok(self.push(Op::TopK { k }, vec![x], shape, DType::U32))
    }

    /// Batched matrix product; leading axes must be equal.
    pub fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        self.check_dtype("matmul", a, DType::F32)?;
        self.check_dtype("matmul", b, DType::F32)?;
        let (sa, sb) = (self.shape(a), self.shape(b));
        let rank = sa.len();
        if rank < 2 || sb.len() != rank || sa[..rank - 2] != sb[..rank - 2] || sa[rank - 1] != sb[rank - 2] {
            return Err(mismatch("matmul", format!("{sa:?} x {sb:?}")));
        }
        let mut shape = sa.to_vec();
        shape[rank - 1] = sb[rank - 1];
        Ok(self.push(Op::Matmul, vec![a, b], shape, DType::F32))
    }

    /// 2-D convolution of `[b, c, h, w]` by `[o, c / groups, kh, kw]`.
    pub fn conv2d(&mut self, x: NodeId, kernel: NodeId, geometry: ConvGeometry) -> Result<NodeId, GraphError> {
        let (&[b, c, h, w], &[o, ci, kh, kw]) = (self.shape(x), self.shape(kernel)) else {
            return Err(mismatch("conv2d", format!("{:?} by {:?}", self.shape(x), self.shape(kernel))));
        };
        let g = geometry.groups;
        if g == 0 || c % g != 0 || o % g != 0 || ci != c / g || [kh, kw] != geometry.kernel {
            return Err(mismatch("conv2d", format!("{:?} by {:?} in {g} groups", self.shape(x), self.shape(kernel))));
        }
        let [oh, ow] = geometry
            .output([h, w])
            .ok_or_else(|| mismatch("conv2d", format!("window {geometry:?} does not fit {h}x{w}")))?;
        Ok(self.push(Op::Conv2d(geometry), vec![x, kernel], vec![b, o, oh, ow], DType::F32))
    }

    /// See [`Op::Conv2dInputGrad`].
    pub fn conv2d_input_grad(
        &mut self,
        dy: NodeId,
        kernel: NodeId,
        geometry: ConvGeometry,
        input: [usize; 2],
    ) -> Result<NodeId, GraphError> {
        let (&[b, o, oh, ow], &[ko, ci, _, _]) = (self.shape(dy), self.shape(kernel)) else {
            return Err(mismatch("conv2d input gradient", "needs rank 4".into()));
        };
        if ko != o || geometry.output(input) != Some([oh, ow]) {
            return Err(mismatch("conv2d input gradient", format!("{:?} from {input:?}", self.shape(dy))));
        }
        let shape = vec![b, ci * geometry.groups, input[0], input[1]];
        Ok(self.push(Op::Conv2dInputGrad { geometry, input }, vec![dy, kernel], shape, DType::F32))
    }

    /// See [`Op::Conv2dKernelGrad`].
    pub fn conv2d_kernel_grad(&mut self, x: NodeId, dy: NodeId, geometry: ConvGeometry) -> Result<NodeId, GraphError> {
        let (&[b, c, h, w], &[db, o, oh, ow]) = (self.shape(x), self.shape(dy)) else {
            return Err(mismatch("conv2d kernel gradient", "needs rank 4".into()));
        };
        if b != db || geometry.groups == 0 || geometry.output([h, w]) != Some([oh, ow]) {
            return Err(mismatch("conv2d kernel gradient", format!("{:?} and {:?}", self.shape(x), self.shape(dy))));
        }
        let shape = vec![o, c / geometry.groups, geometry.kernel[0], geometry.kernel[1]];
        Ok(self.push(Op::Conv2dKernelGrad(geometry), vec![x, dy], shape, DType::F32))
    }

    fn pooled(&self, x: NodeId, geometry: PoolGeometry) -> Result<Shape, GraphError> {
        self.check_dtype("max_pool2d", x, DType::F32)?;
        match *self.shape(x) {
            [b, c, h, w] => geometry
                .output([h, w])
                .map(|[oh, ow]| vec![b, c, oh, ow])
                .ok_or_else(|| mismatch("max_pool2d", format!("window {geometry:?} does not fit {h}x{w}"))),
            _ => Err(mismatch("max_pool2d", format!("needs rank 4, got {:?}", self.shape(x)))),
        }
    }

    /// Maximum over windows of `[b, c, h, w]`.
    pub fn max_pool2d(&mut self, x: NodeId, geometry: PoolGeometry) -> Result<NodeId, GraphError> {
        let shape = self.pooled(x, geometry)?;
        Ok(self.push(Op::MaxPool2d(geometry), vec![x], shape, DType::F32))
    }

    /// u32 flat index `y * w + x` of each window's first maximum.
    pub fn max_pool2d_index(&mut self, x: NodeId, geometry: PoolGeometry) -> Result<NodeId, GraphError> {
        let shape = self.pooled(x, geometry)?;
        Ok(self.push(Op::MaxPool2dIndex(geometry), vec![x], shape, DType::U32))
    }

    /// See [`Op::MaxPool2dScatter`].
    pub fn max_pool2d_scatter(
        &mut self,
        index: NodeId,
        value: NodeId,
        geometry: PoolGeometry,
        input: [usize; 2],
    ) -> Result<NodeId, GraphError> {
        self.check_dtype("max_pool2d scatter", index, DType::U32)?;
        let &[b, c, oh, ow] = self.shape(value) else {
            return Err(mismatch("max_pool2d scatter", "needs rank 4".into()));
        };
        if self.shape(index) != [b, c, oh, ow] || geometry.output(input) != Some([oh, ow]) {
            return Err(mismatch("max_pool2d scatter", format!("{:?} into {input:?}", self.shape(value))));
        }
        let shape = vec![b, c, input[0], input[1]];
        Ok(self.push(Op::MaxPool2dScatter { geometry, input }, vec![index, value], shape, DType::F32))
    }

    /// `out[.., i, ..] = x[.., index[.., i, ..], ..]`; index has the output's shape.
    pub fn gather(&mut self, x: NodeId, index: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        self.check_dtype("gather", index, DType::U32)?;
        self.check_along("gather", self.shape(x), self.shape(index), axis)?;
        let (shape, dtype) = (self.shape(index).to_vec(), self.node(x).dtype);
        Ok(self.push(Op::Gather { axis }, vec![x, index], shape, dtype))
    }

    /// Transpose of [`Graph::gather`].
    pub fn scatter_add(
        &mut self,
        index: NodeId,
        value: NodeId,
        axis: usize,
        size: usize,
    ) -> Result<NodeId, GraphError> {
        self.check_dtype("scatter_add", index, DType::U32)?;
        self.check_dtype("scatter_add", value, DType::F32)?;
        if self.shape(index) != self.shape(value) {
            return Err(mismatch("scatter_add", format!("{:?} and {:?}", self.shape(index), self.shape(value))));
        }
        let mut shape = self.shape(value).to_vec();
        self.check_axis("scatter_add", &shape, axis)?;
        shape[axis] = size;
        Ok(self.push(Op::ScatterAdd { axis, size }, vec![index, value], shape, DType::F32))
    }

    /// Rows of `table` by index; f32 from a U8 table.
    pub fn take_rows(&mut self, table: NodeId, index: NodeId) -> Result<NodeId, GraphError> {
        self.check_dtype("take_rows", index, DType::U32)?;
        let Some((_, row)) = self.shape(table).split_first() else {
            return Err(mismatch("take_rows", "the table is a scalar".into()));
        };
        let shape = [self.shape(index), row].concat();
        let dtype = match self.node(table).dtype {
            DType::U32 => DType::U32,
            DType::F32 | DType::U8 => DType::F32,
        };
        Ok(self.push(Op::TakeRows, vec![table, index], shape, dtype))
    }

    /// Transpose of [`Graph::take_rows`].
    pub fn add_rows(&mut self, index: NodeId, value: NodeId, rows: usize) -> Result<NodeId, GraphError> {
        self.check_dtype("add_rows", index, DType::U32)?;
        self.check_dtype("add_rows", value, DType::F32)?;
        let lead = self.shape(index);
        let Some(row) = self.shape(value).strip_prefix(lead) else {
            return Err(mismatch("add_rows", format!("{lead:?} against {:?}", self.shape(value))));
        };
        let shape = [&[rows], row].concat();
        Ok(self.push(Op::AddRows { rows }, vec![index, value], shape, DType::F32))
    }

    /// Same elements, new shape.
    pub fn reshape(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId, GraphError> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        if numel(self.shape(x)) != numel(shape) {
            return Err(mismatch("reshape", format!("{:?} to {shape:?}", self.shape(x))));
        }
        let node = self.node(x);
        let (x, dtype) = match node.op {
            Op::Reshape(_) => (node.args[0], node.dtype),
            _ => (x, node.dtype),
        };
        if self.shape(x) == shape {
            return Ok(x);
        }
        Ok(self.push(Op::Reshape(shape.to_vec()), vec![x], shape.to_vec(), dtype))
    }

    /// Axis k of the result is axis `perm[k]` of `x`.
    pub fn permute(&mut self, x: NodeId, perm: &[usize]) -> Result<NodeId, GraphError> {
        let from = self.shape(x);
        let mut seen = perm.to_vec();
        crate::numeric::sort(&mut seen);
        if seen.len() != from.len() || seen.iter().enumerate().any(|(k, &axis)| k != axis) {
            return Err(mismatch("permute", format!("{perm:?} of {from:?}")));
        }
        if perm.iter().enumerate().all(|(k, &axis)| k == axis) {
            return Ok(x);
        }
        let shape = perm.iter().map(|&axis| from[axis]).collect();
        let dtype = self.node(x).dtype;
        Ok(self.push(Op::Permute(perm.to_vec()), vec![x], shape, dtype))
    }

    /// Swaps the last two axes.
    pub fn transpose(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let rank = self.shape(x).len();
        if rank < 2 {
            return Err(mismatch("transpose", format!("{:?}", self.shape(x))));
        }
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 1, rank - 2);
        self.permute(x, &perm)
    }

    /// Broadcasts to `shape`, aligned at the last axis.
    pub fn broadcast_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId, GraphError> {
        let from = self.shape(x).to_vec();
        if from == shape {
            return Ok(x);
        }
        if broadcast_shapes(&from, shape).as_deref() != Some(shape) {
            return Err(mismatch("broadcast", format!("{from:?} to {shape:?}")));
        }
        let dtype = self.node(x).dtype;
        if let Op::Const(value) = self.node(x).op {
            return Ok(self.constant(value.get(), shape));
        }
        let aligned = [vec![1; shape.len() - from.len()], from].concat();
        let x = self.reshape(x, &aligned)?;
        if aligned == shape {
            return Ok(x);
        }
        Ok(self.push(Op::Broadcast(shape.to_vec()), vec![x], shape.to_vec(), dtype))
    }

    /// `start .. start + size` of each axis.
    pub fn slice(&mut self, x: NodeId, start: &[usize], size: &[usize]) -> Result<NodeId, GraphError> {
        let step = vec![1; start.len()];
        self.slice_step(x, start, size, &step)
    }

    /// `size` elements of each axis from `start`, every `step`-th.
    pub fn slice_step(
        &mut self,
        x: NodeId,
        start: &[usize],
        size: &[usize],
        step: &[usize],
    ) -> Result<NodeId, GraphError> {
        let from = self.shape(x);
        let fits = |axis: usize| {
            step[axis] >= 1 && (size[axis] == 0 || start[axis] + (size[axis] - 1) * step[axis] < from[axis])
        };
        if [start.len(), size.len(), step.len()].iter().any(|&n| n != from.len()) || !(0..from.len()).all(fits) {
            return Err(mismatch("slice", format!("start {start:?} size {size:?} step {step:?} of {from:?}")));
        }
        if size == from {
            return Ok(x);
        }
        let dtype = self.node(x).dtype;
        let op = Op::Slice { start: start.to_vec(), size: size.to_vec(), step: step.to_vec() };
        Ok(self.push(op, vec![x], size.to_vec(), dtype))
    }

    /// Places `x` into zeros of `shape`: the transpose of [`Graph::slice_step`].
    pub fn unslice(
        &mut self,
        x: NodeId,
        start: &[usize],
        step: &[usize],
        shape: &[usize],
    ) -> Result<NodeId, GraphError> {
        self.check_dtype("unslice", x, DType::F32)?;
        let from = self.shape(x);
        let fits = |axis: usize| {
            step[axis] >= 1 && (from[axis] == 0 || start[axis] + (from[axis] - 1) * step[axis] < shape[axis])
        };
        if [start.len(), step.len(), shape.len()].iter().any(|&n| n != from.len()) || !(0..from.len()).all(fits) {
            return Err(mismatch("unslice", format!("{from:?} at {start:?} step {step:?} into {shape:?}")));
        }
        if from == shape {
            return Ok(x);
        }
        let op = Op::Unslice { start: start.to_vec(), step: step.to_vec(), shape: shape.to_vec() };
        Ok(self.push(op, vec![x], shape.to_vec(), DType::F32))
    }

    /// `axes` in reverse order.
    pub fn flip(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        let mut axes = axes.to_vec();
        crate::numeric::sort(&mut axes);
        axes.dedup();
        for &axis in &axes {
            self.check_axis("flip", &shape, axis)?;
        }
        axes.retain(|&axis| shape[axis] > 1);
        if axes.is_empty() {
            return Ok(x);
        }
        let dtype = self.node(x).dtype;
        Ok(self.push(Op::Flip { axes }, vec![x], shape, dtype))
    }

    /// Values after each other along `axis`.
    pub fn concat(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId, GraphError> {
        let Some((&first, rest)) = parts.split_first() else {
            return Err(mismatch("concat", "of nothing".into()));
        };
        if rest.is_empty() {
            return Ok(first);
        }
        let mut shape = self.shape(first).to_vec();
        self.check_axis("concat", &shape, axis)?;
        let dtype = self.node(first).dtype;
        for &part in rest {
            let other = self.shape(part);
            let same = other.len() == shape.len() && (0..shape.len()).all(|k| k == axis || other[k] == shape[k]);
            if !same || self.node(part).dtype != dtype {
                return Err(mismatch("concat", format!("{shape:?} and {other:?} along {axis}")));
            }
            shape[axis] += other[axis];
        }
        Ok(self.push(Op::Concat { axis }, parts.to_vec(), shape, dtype))
    }

    /// The value of `x`, through which no derivative flows.
    pub fn stop_gradient(&mut self, x: NodeId) -> NodeId {
        let node = self.node(x);
        let (shape, dtype) = (node.shape.clone(), node.dtype);
        self.push(Op::StopGradient, vec![x], shape, dtype)
    }

    /// A node of f32 that no other depends on yet: something to differentiate a linear map by.
    pub fn placeholder(&mut self, shape: &[usize]) -> NodeId {
        let mut node = self.constant(0.0, shape);
        loop {
            let known = self.nodes().len();
            node = self.stop_gradient(node);
            if node.index() == known {
                return node;
            }
        }
    }

    /// The value of `value`, differentiated by `backward` with respect to the first of `args`; it may read the others.
    pub fn custom_vjp(
        &mut self,
        value: NodeId,
        args: &[NodeId],
        backward: CustomBackward,
    ) -> Result<NodeId, GraphError> {
        if backward.outputs.len() > args.len() {
            return Err(mismatch(
                &backward.name,
                format!("{} cotangents for {} arguments", backward.outputs.len(), args.len()),
            ));
        }
        for (&arg, &out) in args.iter().zip(&backward.outputs) {
            if self.shape(arg) != backward.graph.shape(out) {
                return Err(mismatch(
                    &backward.name,
                    format!("cotangent {:?} of {:?}", backward.graph.shape(out), self.shape(arg)),
                ));
            }
        }
        let all = [&[value], args].concat();
        let (shape, dtype) = (self.shape(value).to_vec(), self.node(value).dtype);
        Ok(self.push(Op::CustomVjp(backward), all, shape, dtype))
    }

    fn check_axis(&self, op: &str, shape: &[usize], axis: usize) -> Result<(), GraphError> {
        if axis < shape.len() { Ok(()) } else { Err(mismatch(op, format!("axis {axis} of {shape:?}"))) }
    }

    fn check_along(&self, op: &str, a: &[usize], b: &[usize], axis: usize) -> Result<(), GraphError> {
        self.check_axis(op, a, axis)?;
        let same = a.len() == b.len() && (0..a.len()).all(|k| k == axis || a[k] == b[k]);
        if same { Ok(()) } else { Err(mismatch(op, format!("{a:?} and {b:?} along {axis}"))) }
    }

    fn check_dtype(&self, op: &str, x: NodeId, dtype: DType) -> Result<(), GraphError> {
        let found = self.node(x).dtype;
        if found == dtype { Ok(()) } else { Err(mismatch(op, format!("needs {dtype:?}, got {found:?}"))) }
    }
}
