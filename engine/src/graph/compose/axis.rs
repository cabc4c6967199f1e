//! One axis at a time.

use super::*;

impl Graph {
    /// Swaps two axes.
    pub fn swap(&mut self, x: NodeId, a: usize, b: usize) -> Result<NodeId, GraphError> {
        let mut perm: Vec<usize> = (0..self.shape(x).len()).collect();
        if a.max(b) >= perm.len() {
            return Err(mismatch("swap", format!("axes {a} and {b} of {:?}", self.shape(x))));
        }
        perm.swap(a, b);
        self.permute(x, &perm)
    }

    /// `size` elements along one axis from `start`, every `step`-th; the other axes whole.
    pub fn part(
        &mut self,
        x: NodeId,
        axis: usize,
        start: usize,
        size: usize,
        step: usize,
    ) -> Result<NodeId, GraphError> {
        let mut sizes = self.shape(x).to_vec();
        if axis >= sizes.len() {
            return Err(mismatch("part", format!("axis {axis} of {sizes:?}")));
        }
        let (mut starts, mut steps) = (vec![0; sizes.len()], vec![1; sizes.len()]);
        (starts[axis], sizes[axis], steps[axis]) = (start, size, step);
        self.slice_step(x, &starts, &sizes, &steps)
    }

    /// Values as slices of a new axis.
    pub fn stack(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId, GraphError> {
        let mut lined = Vec::with_capacity(parts.len());
        for &part in parts {
            let mut shape = self.shape(part).to_vec();
            if axis > shape.len() {
                return Err(mismatch("stack", format!("axis {axis} of {shape:?}")));
            }
            shape.insert(axis, 1);
            lined.push(self.reshape(part, &shape)?);
        }
        self.concat(&lined, axis)
    }
}
