//! Order along an axis: the largest, the smallest, all of them.

use super::*;

impl Graph {
    /// u32 indices along `axis` of the `k` first elements by value, equal ones by lower index.
    pub fn arg_sort(&mut self, x: NodeId, axis: usize, k: usize, descending: bool) -> Result<NodeId, GraphError> {
        let rank = self.shape(x).len();
        let last = rank.checked_sub(1).filter(|_| axis < rank);
        let last = last.ok_or_else(|| mismatch("sort", format!("axis {axis} of rank {rank}")))?;
        let turned = self.swap(x, axis, last)?;
        let keys = if descending { turned } else { self.neg(turned)? };
        let order = self.top_k(keys, k)?;
        self.swap(order, axis, last)
    }

    /// The `k` first elements along `axis` by value and their indices.
    pub fn sort(&mut self, x: NodeId, axis: usize, k: usize, descending: bool) -> Result<[NodeId; 2], GraphError> {
        let order = self.arg_sort(x, axis, k, descending)?;
        Ok([self.gather(x, order, axis)?, order])
    }

    /// u32 index of the first minimum along `axis`, which stays with size 1.
    pub fn argmin(&mut self, x: NodeId, axis: usize) -> Result<NodeId, GraphError> {
        let negative = self.neg(x)?;
        self.argmax(negative, axis)
    }
}
