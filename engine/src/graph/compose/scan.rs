//! Running sums, products and extrema along an axis.

use super::*;

/// Elements that one triangular product sums.
const BLOCK: usize = 64;

impl Graph {
    /// Sums of all elements up to each along `axis`: a product with a triangle of ones, of blocks where the axis is long.
    pub fn cumulative_sum(&mut self, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let rank = self.shape(x).len();
        let last = rank.checked_sub(1).filter(|_| axis < rank);
        let last = last.ok_or_else(|| mismatch("cumulative sum", format!("axis {axis} of rank {rank}")))?;
        let turned = self.swap(x, axis, last)?;
        let shape = self.shape(turned).to_vec();
        let length = shape[last];
        let rows = self.reshape(turned, &[numel(&shape) / length.max(1), length])?;
        let sums = self.row_sums(rows)?;
        let sums = self.reshape(sums, &shape)?;
        self.swap(sums, axis, last)
    }

    fn row_sums(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let &[rows, length] = self.shape(x) else { return Err(mismatch("row sums", "needs rank 2".into())) };
        if length <= 1 {
            return Ok(x);
        }
        if length <= BLOCK {
            let (from, to) = (self.iota(&[length, length], 0)?, self.iota(&[length, length], 1)?);
            let triangle = self.binary(BinaryOp::LessEqual, from, to)?;
            return self.matmul(x, triangle);
        }
        let blocks = length.div_ceil(BLOCK);
        let padded = self.pad(x, &[(0, 0), (0, blocks * BLOCK - length)], Pad::Number(0.0))?;
        let padded = self.reshape(padded, &[rows * blocks, BLOCK])?;
        let within = self.row_sums(padded)?;
        let totals = self.part(within, 1, BLOCK - 1, 1, 1)?;
        let totals = self.reshape(totals, &[rows, blocks])?;
        let through = self.row_sums(totals)?;
        let before = self.sub(through, totals)?;
        let before = self.reshape(before, &[rows * blocks, 1])?;
        let sums = self.add(within, before)?;
        let sums = self.reshape(sums, &[rows, blocks * BLOCK])?;
        self.part(sums, 1, 0, length, 1)
    }

    /// `op` (a product, maximum or minimum) of all elements up to each along `axis`, in log2 of their number steps.
    pub fn cumulative(&mut self, op: BinaryOp, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let length = self.shape(x).get(axis).copied();
        let length = length.ok_or_else(|| mismatch("cumulative", format!("axis {axis}")))?;
        let mut y = x;
        let mut done = 1;
        while done < length {
            // Element k holds what lies within `done` before it; joined with the one `done` before, twice as much.
            let (head, rest) = (self.part(y, axis, 0, done, 1)?, self.part(y, axis, done, length - done, 1)?);
            let earlier = self.part(y, axis, 0, length - done, 1)?;
            let joined = self.binary(op, rest, earlier)?;
            y = self.concat(&[head, joined], axis)?;
            done *= 2;
        }
        Ok(y)
    }

    /// Product over `axis`, which stays with size 1, by halves: its slope is right where factors are 0.
    pub fn product_along(&mut self, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let mut y = x;
        loop {
            let length = self.shape(y).get(axis).copied();
            let length = length.ok_or_else(|| mismatch("product", format!("axis {axis}")))?;
            if length <= 1 {
                return Ok(y);
            }
            let half = length / 2;
            let (a, b) = (self.part(y, axis, 0, half, 1)?, self.part(y, axis, half, half, 1)?);
            let joined = self.mul(a, b)?;
            y = if length % 2 == 1 {
                let odd = self.part(y, axis, length - 1, 1, 1)?;
                self.concat(&[joined, odd], axis)?
            } else {
                joined
            };
        }
    }
}
