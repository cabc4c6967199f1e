//! Operations of every element type: shapes, slices, choices, comparisons.

use burn_ir::BaseOperationIr;

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar};

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn base(&mut self, op: &BaseOperationIr) -> Result<Option<NodeId>, GraphError> {
        Ok(Some(match op {
            BaseOperationIr::Reshape(op) => {
                let x = self.node(&op.input)?;
                self.graph.reshape(x, op.out.shape.as_slice())?
            }
            BaseOperationIr::SwapDims(op) => {
                let x = self.node(&op.input)?;
                let mut perm: Vec<usize> = (0..self.graph.shape(x).len()).collect();
                perm.swap(op.dim1, op.dim2);
                self.graph.permute(x, &perm)?
            }
            BaseOperationIr::Permute(op) => {
                let x = self.node(&op.input)?;
                self.graph.permute(x, &op.axes)?
            }
            BaseOperationIr::Expand(op) => {
                let x = self.node(&op.input)?;
                self.graph.broadcast_to(x, op.out.shape.as_slice())?
            }
            BaseOperationIr::Slice(op) => {
                let x = self.node(&op.tensor)?;
                let sizes = self.graph.shape(x).to_vec();
                let (mut start, mut step) = (vec![0; sizes.len()], vec![1; sizes.len()]);
                for (axis, range) in op.ranges.iter().enumerate() {
                    if range.step < 1 {
                        return Ok(None);
                    }
                    start[axis] = range.to_range(sizes[axis]).start;
                    step[axis] = range.step as usize;
                }
                self.graph.slice_step(x, &start, op.out.shape.as_slice(), &step)?
            }
            BaseOperationIr::Select(op) => {
                let (x, index) = (self.node(&op.tensor)?, self.node(&op.indices)?);
                match op.dim {
                    0 => self.graph.take_rows(x, index)?,
                    axis => {
                        let mut lined = vec![1; self.graph.shape(x).len()];
                        lined[axis] = numel(self.graph.shape(index));
                        let index = self.graph.reshape(index, &lined)?;
                        let index = self.graph.broadcast_to(index, op.out.shape.as_slice())?;
                        self.graph.gather(x, index, axis)?
                    }
                }
            }
            BaseOperationIr::Gather(op) => {
                let (x, index) = (self.node(&op.tensor)?, self.node(&op.indices)?);
                self.graph.gather(x, index, op.dim)?
            }
            BaseOperationIr::MaskWhere(op) => {
                let (x, mask, value) = (self.node(&op.tensor)?, self.node(&op.mask)?, self.node(&op.value)?);
                self.graph.select(mask, value, x)?
            }
            BaseOperationIr::MaskFill(op) => {
                let (x, mask) = (self.node(&op.tensor)?, self.node(&op.mask)?);
                let value = self.graph.constant(scalar(&op.value), &[]);
                self.graph.select(mask, value, x)?
            }
            BaseOperationIr::Cat(op) => {
                let parts = op.tensors.iter().map(|part| self.node(part)).collect::<Result<Vec<_>, _>>()?;
                self.graph.concat(&parts, op.dim)?
            }
            BaseOperationIr::RepeatDim(op) => {
                let x = self.node(&op.tensor)?;
                let copies = vec![x; op.times];
                self.graph.concat(&copies, op.dim)?
            }
            BaseOperationIr::Ones(op) => self.graph.constant(1.0, op.out.shape.as_slice()),
            BaseOperationIr::Zeros(op) => self.graph.constant(0.0, op.out.shape.as_slice()),
            BaseOperationIr::Equal(op) => self.binary(BinaryOp::Equal, &op.lhs, &op.rhs)?,
            BaseOperationIr::EqualElem(op) => self.binary_scalar(BinaryOp::Equal, &op.lhs, &op.rhs)?,
            BaseOperationIr::NotEqual(op) => {
                let equal = self.binary(BinaryOp::Equal, &op.lhs, &op.rhs)?;
                self.not(equal)?
            }
            BaseOperationIr::NotEqualElem(op) => {
                let equal = self.binary_scalar(BinaryOp::Equal, &op.lhs, &op.rhs)?;
                self.not(equal)?
            }
            BaseOperationIr::Cast(op) if op.input.dtype == op.out.dtype => self.node(&op.input)?,
            _ => return Ok(None),
        }))
    }
}
