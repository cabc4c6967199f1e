//! Operations of every element type: shapes, slices, choices, comparisons.

use burn::tensor::{IndexingUpdateOp, Slice};
use burn_ir::{BaseOperationIr, TensorIr};

use super::super::*;
use super::Resolver;
use super::mapper::{Mapper, scalar};

impl<R: Resolver> Mapper<'_, R> {
    pub(super) fn base(&mut self, op: &BaseOperationIr) -> Result<Option<NodeId>, GraphError> {
        use BaseOperationIr as B;
        match op {
            B::Reshape(_) | B::SwapDims(_) | B::Permute(_) | B::Expand(_) | B::Flip(_) | B::RepeatDim(_) => {
                self.shaped(op)
            }
            B::Slice(_) | B::SliceAssign(_) | B::Unfold(_) | B::Cat(_) => self.placed(op),
            B::Select(_) | B::SelectAssign(_) | B::Gather(_) | B::Scatter(_) => self.indexed(op),
            B::MaskWhere(op) => {
                let (x, mask, value) = (self.number(&op.tensor)?, self.node(&op.mask)?, self.number(&op.value)?);
                self.graph.select(mask, value, x).map(Some)
            }
            B::MaskFill(op) => {
                let (x, mask) = (self.number(&op.tensor)?, self.node(&op.mask)?);
                let value = self.graph.constant(scalar(&op.value), &[]);
                self.graph.select(mask, value, x).map(Some)
            }
            B::Ones(op) => Ok(Some(self.graph.constant(1.0, op.out.shape.as_slice()))),
            // What an empty tensor holds is not defined.
            B::Zeros(op) | B::Empty(op) => Ok(Some(self.graph.constant(0.0, op.out.shape.as_slice()))),
            B::Equal(op) => self.binary(BinaryOp::Equal, &op.lhs, &op.rhs).map(Some),
            B::EqualElem(op) => self.binary_scalar(BinaryOp::Equal, &op.lhs, &op.rhs).map(Some),
            B::NotEqual(op) => {
                let equal = self.binary(BinaryOp::Equal, &op.lhs, &op.rhs)?;
                self.not(equal).map(Some)
            }
            B::NotEqualElem(op) => {
                let equal = self.binary_scalar(BinaryOp::Equal, &op.lhs, &op.rhs)?;
                self.not(equal).map(Some)
            }
            B::Any(op) => {
                let truths = self.truths(&op.input)?;
                self.reduce_all(ReduceOp::Max, truths, &op.out).map(Some)
            }
            B::All(op) => {
                let truths = self.truths(&op.input)?;
                self.reduce_all(ReduceOp::Min, truths, &op.out).map(Some)
            }
            B::AnyDim(op) => {
                let truths = self.truths(&op.input)?;
                self.graph.reduce(ReduceOp::Max, truths, &[op.axis]).map(Some)
            }
            B::AllDim(op) => {
                let truths = self.truths(&op.input)?;
                self.graph.reduce(ReduceOp::Min, truths, &[op.axis]).map(Some)
            }
            B::Cast(op) if op.input.dtype == op.out.dtype => self.node(&op.input).map(Some),
            // Whole numbers of every width are the same here.
            B::Cast(op) if !op.input.dtype.is_float() && !op.out.dtype.is_float() => self.node(&op.input).map(Some),
            _ => Ok(None),
        }
    }

    /// 1 where a value is not 0.
    fn truths(&mut self, x: &TensorIr) -> Result<NodeId, GraphError> {
        let x = self.number(x)?;
        let zero = self.graph.constant(0.0, &[]);
        let equal = self.graph.binary(BinaryOp::Equal, x, zero)?;
        self.not(equal)
    }

    /// The same elements in another order or number.
    fn shaped(&mut self, op: &BaseOperationIr) -> Result<Option<NodeId>, GraphError> {
        use BaseOperationIr as B;
        Ok(Some(match op {
            B::Reshape(op) => {
                let x = self.node(&op.input)?;
                self.graph.reshape(x, op.out.shape.as_slice())?
            }
            B::SwapDims(op) => {
                let x = self.node(&op.input)?;
                self.graph.swap(x, op.dim1, op.dim2)?
            }
            B::Permute(op) => {
                let x = self.node(&op.input)?;
                self.graph.permute(x, &op.axes)?
            }
            B::Expand(op) => {
                let x = self.node(&op.input)?;
                self.graph.broadcast_to(x, op.out.shape.as_slice())?
            }
            B::Flip(op) => {
                let x = self.node(&op.input)?;
                self.graph.flip(x, &op.axes)?
            }
            B::RepeatDim(op) => {
                let x = self.node(&op.tensor)?;
                let copies = vec![x; op.times];
                self.graph.concat(&copies, op.dim)?
            }
            _ => return Ok(None),
        }))
    }

    /// Parts at fixed places.
    fn placed(&mut self, op: &BaseOperationIr) -> Result<Option<NodeId>, GraphError> {
        use BaseOperationIr as B;
        Ok(Some(match op {
            B::Slice(op) => {
                let x = self.node(&op.tensor)?;
                let out = op.out.shape.as_slice();
                let (start, step, turned) = ranges(&op.ranges, self.graph.shape(x), out);
                let part = self.graph.slice_step(x, &start, out, &step)?;
                if turned.is_empty() { part } else { self.graph.flip(part, &turned)? }
            }
            B::SliceAssign(op) => {
                let (x, value) = (self.number(&op.tensor)?, self.number(&op.value)?);
                let part = self.graph.shape(value).to_vec();
                let (start, step, turned) = ranges(&op.ranges, self.graph.shape(x), &part);
                let value = if turned.is_empty() { value } else { self.graph.flip(value, &turned)? };
                self.graph.assign(x, value, &start, &step)?
            }
            B::Unfold(op) => {
                let x = self.node(&op.input)?;
                self.graph.windows(x, op.dim, op.size, op.step)?
            }
            B::Cat(op) => {
                let whole = op.out.dtype.is_float();
                let parts = op.tensors.iter().map(|part| if whole { self.node(part) } else { self.number(part) });
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                self.graph.concat(&parts, op.dim)?
            }
            _ => return Ok(None),
        }))
    }

    /// Parts at places that other values name.
    fn indexed(&mut self, op: &BaseOperationIr) -> Result<Option<NodeId>, GraphError> {
        use BaseOperationIr as B;
        Ok(Some(match op {
            B::Select(op) => {
                let (x, index) = (self.node(&op.tensor)?, self.index(&op.indices)?);
                match op.dim {
                    0 => self.graph.take_rows(x, index)?,
                    axis => {
                        let index = self.lined(index, axis, op.out.shape.as_slice())?;
                        self.graph.gather(x, index, axis)?
                    }
                }
            }
            B::SelectAssign(op) => {
                let IndexingUpdateOp::Add = op.update else { return Ok(None) };
                let (x, value) = (self.number(&op.tensor)?, self.number(&op.value)?);
                let index = self.index(&op.indices)?;
                let size = self.graph.shape(x)[op.dim];
                let sums = match op.dim {
                    0 => self.graph.add_rows(index, value, size)?,
                    axis => {
                        let shape = self.graph.shape(value).to_vec();
                        let index = self.lined(index, axis, &shape)?;
                        self.graph.scatter_add(index, value, axis, size)?
                    }
                };
                self.graph.add(x, sums)?
            }
            B::Gather(op) => {
                let (x, index) = (self.node(&op.tensor)?, self.index(&op.indices)?);
                let x = self.cropped(x, index, op.dim)?;
                self.graph.gather(x, index, op.dim)?
            }
            B::Scatter(op) => {
                let (x, value) = (self.number(&op.tensor)?, self.number(&op.value)?);
                let index = self.index(&op.indices)?;
                let size = self.graph.shape(x)[op.dim];
                let sums = self.graph.scatter_add(index, value, op.dim, size)?;
                match op.update {
                    _ if self.graph.shape(sums) != self.graph.shape(x) => return Ok(None),
                    IndexingUpdateOp::Add => self.graph.add(x, sums)?,
                    // One value a place: where several are given for one, burn does not say which stays.
                    IndexingUpdateOp::Assign if self.graph.shape(index)[op.dim] == 1 => {
                        let shape = self.graph.shape(index).to_vec();
                        let one = self.graph.constant(1.0, &shape);
                        let named = self.graph.scatter_add(index, one, op.dim, size)?;
                        self.graph.select(named, sums, x)?
                    }
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        }))
    }

    /// A list of indices along `axis` of `shape`, the same everywhere else.
    fn lined(&mut self, index: NodeId, axis: usize, shape: &[usize]) -> Result<NodeId, GraphError> {
        let mut lined = vec![1; shape.len()];
        lined[axis] = numel(self.graph.shape(index));
        let index = self.graph.reshape(index, &lined)?;
        self.graph.broadcast_to(index, shape)
    }

    /// What an index that is smaller than the tensor along other axes can reach.
    fn cropped(&mut self, x: NodeId, index: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let (whole, part) = (self.graph.shape(x).to_vec(), self.graph.shape(index));
        if whole.len() != part.len() {
            return Ok(x);
        }
        let size: Vec<usize> = (0..whole.len()).map(|k| if k == axis { whole[k] } else { part[k] }).collect();
        self.graph.slice(x, &vec![0; whole.len()], &size)
    }
}

/// Start and step of each axis, and the axes that run backwards. `part` is the shape that the ranges cut out.
fn ranges(ranges: &[Slice], whole: &[usize], part: &[usize]) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let (mut start, mut step, mut turned) = (vec![0; whole.len()], vec![1; whole.len()], Vec::new());
    for (axis, range) in ranges.iter().enumerate().take(whole.len()) {
        let within = range.to_range(whole[axis]);
        step[axis] = range.step.unsigned_abs().max(1);
        start[axis] = if range.step < 0 {
            // From the last element of the range downwards.
            turned.push(axis);
            within.end.saturating_sub(1 + part[axis].saturating_sub(1) * step[axis])
        } else {
            within.start
        };
    }
    (start, step, turned)
}
