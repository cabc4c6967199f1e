//! Parts of a value put in places of another: padding, assignment, windows.

use super::*;

/// What stands beyond the edges of a padded value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pad {
    /// A number.
    Number(f32),
    /// The values next to the edge, mirrored at it without repeating it: `c b | a b c | b a`.
    Reflect,
    /// The values at the edge: `a a | a b c | c c`.
    Edge,
    /// The values of the other side: `b c | a b c | a b`.
    Wrap,
}

impl Graph {
    /// Pads each axis by (before, after).
    pub fn pad(&mut self, x: NodeId, amounts: &[(usize, usize)], mode: Pad) -> Result<NodeId, GraphError> {
        if amounts.len() != self.shape(x).len() {
            return Err(mismatch("pad", format!("{amounts:?} of {:?}", self.shape(x))));
        }
        if mode == Pad::Number(0.0) {
            let shape: Shape = self.shape(x).iter().zip(amounts).map(|(&size, &(a, b))| size + a + b).collect();
            let start: Vec<usize> = amounts.iter().map(|&(before, _)| before).collect();
            return self.unslice(x, &start, &vec![1; shape.len()], &shape);
        }
        let mut padded = x;
        for (axis, &(before, after)) in amounts.iter().enumerate() {
            padded = self.pad_axis(padded, axis, before, after, mode)?;
        }
        Ok(padded)
    }

    fn pad_axis(
        &mut self,
        x: NodeId,
        axis: usize,
        before: usize,
        after: usize,
        mode: Pad,
    ) -> Result<NodeId, GraphError> {
        let size = self.shape(x)[axis];
        let most = match mode {
            Pad::Number(_) => usize::MAX,
            Pad::Edge => usize::MAX * usize::from(size > 0),
            Pad::Reflect => size.saturating_sub(1),
            Pad::Wrap => size,
        };
        if before > most || after > most {
            return Err(mismatch("pad", format!("{mode:?} by {before} and {after} of {size}")));
        }
        let mut parts = Vec::with_capacity(3);
        let border = |graph: &mut Graph, count: usize, end: bool| -> Result<NodeId, GraphError> {
            let mut shape = graph.shape(x).to_vec();
            shape[axis] = count;
            match mode {
                Pad::Number(value) => Ok(graph.constant(value, &shape)),
                Pad::Edge => {
                    let edge = graph.part(x, axis, if end { size - 1 } else { 0 }, 1, 1)?;
                    graph.broadcast_to(edge, &shape)
                }
                Pad::Reflect => {
                    let next = graph.part(x, axis, if end { size - 1 - count } else { 1 }, count, 1)?;
                    graph.flip(next, &[axis])
                }
                Pad::Wrap => graph.part(x, axis, if end { 0 } else { size - count }, count, 1),
            }
        };
        if before > 0 {
            parts.push(border(self, before, false)?);
        }
        parts.push(x);
        if after > 0 {
            parts.push(border(self, after, true)?);
        }
        self.concat(&parts, axis)
    }

    /// `x` with `value` in place of the elements `start[k] + step[k] i` of each axis.
    ///
    /// Along one axis without gaps this is a concatenation, and what is written next to what was written before extends
    /// it: a sequence that is filled step by step stays one concatenation.
    pub fn assign(&mut self, x: NodeId, value: NodeId, start: &[usize], step: &[usize]) -> Result<NodeId, GraphError> {
        let (whole, part) = (self.shape(x).to_vec(), self.shape(value).to_vec());
        let fits = |axis: usize| {
            step[axis] >= 1 && (part[axis] == 0 || start[axis] + (part[axis] - 1) * step[axis] < whole[axis])
        };
        if [start.len(), step.len(), part.len()].iter().any(|&n| n != whole.len()) || !(0..whole.len()).all(fits) {
            return Err(mismatch("assign", format!("{part:?} at {start:?} step {step:?} of {whole:?}")));
        }
        if numel(&part) == 0 {
            return Ok(x);
        }
        let short: Vec<usize> = (0..whole.len()).filter(|&axis| part[axis] != whole[axis]).collect();
        match short[..] {
            [] => Ok(value),
            [axis] if step[axis] == 1 || part[axis] == 1 => {
                let end = start[axis] + part[axis];
                let mut parts = self.run(x, axis, 0, start[axis])?;
                parts.push(value);
                parts.extend(self.run(x, axis, end, whole[axis])?);
                self.concat(&parts, axis)
            }
            _ => {
                let mut inside = self.constant(1.0, &whole);
                for axis in short {
                    let here = self.within(&whole, axis, start[axis], part[axis], step[axis])?;
                    inside = self.mul(inside, here)?;
                }
                let placed = self.unslice(value, start, step, &whole)?;
                self.select(inside, placed, x)
            }
        }
    }

    /// 1 where the index along `axis` is one of `start, start + step, ..` (`size` of them).
    fn within(
        &mut self,
        shape: &[usize],
        axis: usize,
        start: usize,
        size: usize,
        step: usize,
    ) -> Result<NodeId, GraphError> {
        let mut lined = vec![1; shape.len()];
        lined[axis] = shape[axis];
        let holds = |k: usize| k >= start && (k - start).is_multiple_of(step) && (k - start) / step < size;
        let values: Vec<f32> = (0..shape[axis]).map(|k| if holds(k) { 1.0 } else { 0.0 }).collect();
        let mask = self.literal(&values, &lined)?;
        self.broadcast_to(mask, shape)
    }

    /// Values whose concatenation along `axis` is `x[start..end]`; the parts of a concatenation as they are.
    fn run(&mut self, x: NodeId, axis: usize, start: usize, end: usize) -> Result<Vec<NodeId>, GraphError> {
        if start >= end {
            return Ok(Vec::new());
        }
        let node = self.node(x);
        let parts = match node.op {
            Op::Concat { axis: along } if along == axis => node.args.clone(),
            _ => return Ok(vec![self.part(x, axis, start, end - start, 1)?]),
        };
        let mut found = Vec::new();
        let mut first = 0;
        for part in parts {
            let size = self.shape(part)[axis];
            let (from, to) = (start.max(first), end.min(first + size));
            if from < to {
                found.extend(self.run(part, axis, from - first, to - first)?);
            }
            first += size;
        }
        Ok(found)
    }

    /// Windows of `size` along `axis`, `step` apart, as a new last axis.
    pub fn windows(&mut self, x: NodeId, axis: usize, size: usize, step: usize) -> Result<NodeId, GraphError> {
        let length = self.shape(x).get(axis).copied().unwrap_or(0);
        let Some(free) = length.checked_sub(size).filter(|_| size > 0 && step > 0) else {
            return Err(mismatch("windows", format!("of {size} in {length} by {step}")));
        };
        let count = free / step + 1;
        let parts = (0..size).map(|k| self.part(x, axis, k, count, step)).collect::<Result<Vec<_>, _>>()?;
        let last = self.shape(x).len();
        self.stack(&parts, last)
    }
}
