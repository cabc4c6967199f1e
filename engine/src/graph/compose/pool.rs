//! Pooling by windows.

use super::*;
use crate::graph::grad::plane;

/// A pooling window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Elements.
    pub size: usize,
    /// Distance of windows.
    pub stride: usize,
    /// Elements added on each side.
    pub padding: usize,
    /// Distance of a window's elements.
    pub dilation: usize,
    /// Whether the last window may reach beyond the padding on the right.
    pub ceil: bool,
}

impl Window {
    /// Windows along an axis, and the elements beyond the padding that the last one reaches.
    fn fit(&self, length: usize) -> Option<(usize, usize)> {
        let extent = self.dilation * self.size.checked_sub(1)? + 1;
        let padded = length + 2 * self.padding;
        let free = padded.checked_sub(extent).filter(|_| self.stride > 0)?;
        let mut count = free / self.stride + 1;
        // The last window must begin inside the input or its left padding.
        if self.ceil {
            count = free.div_ceil(self.stride) + 1;
            count -= usize::from((count - 1) * self.stride >= length + self.padding);
        }
        Some((count, ((count - 1) * self.stride + extent).saturating_sub(padded)))
    }
}

impl Graph {
    /// Means over windows of the last axes, one for each of `windows`. Divides by the elements of a window that lie in
    /// the input, or also in its padding (`with_padding`).
    pub fn average_pool(&mut self, x: NodeId, windows: &[Window], with_padding: bool) -> Result<NodeId, GraphError> {
        let mut y = x;
        let first = self.shape(x).len().checked_sub(windows.len());
        let first = first.ok_or_else(|| mismatch("average pooling", "more windows than axes".into()))?;
        for (k, window) in windows.iter().enumerate() {
            y = self.average_axis(y, first + k, window, with_padding)?;
        }
        Ok(y)
    }

    fn average_axis(
        &mut self,
        x: NodeId,
        axis: usize,
        window: &Window,
        with_padding: bool,
    ) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        let length = shape[axis];
        let Some((count, beyond)) = window.fit(length) else {
            return Err(mismatch("average pooling", format!("{window:?} does not fit {length}")));
        };
        if window.padding == 0 && beyond == 0 && window.stride == window.size && window.dilation == 1 {
            let whole = self.part(x, axis, 0, count * window.size, 1)?;
            return self.resize(whole, axis, count, Resize::Bins, false);
        }
        let mut amounts = vec![(0, 0); shape.len()];
        amounts[axis] = (window.padding, window.padding + beyond);
        let padded = self.pad(x, &amounts, Pad::Number(0.0))?;
        let mut total = self.part(padded, axis, 0, count, window.stride)?;
        for k in 1..window.size {
            let next = self.part(padded, axis, k * window.dilation, count, window.stride)?;
            total = self.add(total, next)?;
        }
        let end = if with_padding { length + 2 * window.padding } else { length + window.padding };
        let start = if with_padding { 0 } else { window.padding };
        let inside = |at: usize| {
            let places = (0..window.size).map(|k| at * window.stride + k * window.dilation);
            places.filter(|&place| place >= start && place < end).count().max(1)
        };
        let shares: Vec<f32> = (0..count).map(|at| 1.0 / inside(at) as f32).collect();
        let mut lined = vec![1; shape.len()];
        lined[axis] = count;
        let shares = if shares.iter().all(|share| *share == shares[0]) {
            self.constant(shares[0], &lined)
        } else {
            self.literal(&shares, &lined)?
        };
        self.mul(total, shares)
    }

    /// Maxima over windows of `[b, c, h, w]`.
    pub fn max_pool(&mut self, x: NodeId, windows: [Window; 2]) -> Result<NodeId, GraphError> {
        let (padded, geometry, _) = self.within_reach(x, windows)?;
        self.max_pool2d(padded, geometry)
    }

    /// Maxima over windows of `[b, c, h, w]` and their places `y * w + x`, u32.
    pub fn max_pool_with_places(&mut self, x: NodeId, windows: [Window; 2]) -> Result<[NodeId; 2], GraphError> {
        let (padded, geometry, amounts) = self.within_reach(x, windows)?;
        let y = self.max_pool2d(padded, geometry)?;
        let index = self.max_pool2d_index(padded, geometry)?;
        let Some([top, left]) = amounts else { return Ok([y, index]) };
        // Places in the padded plane, as places in the input.
        let (width, whole) = (plane(self, x)[1], plane(self, padded)[1]);
        let index = self.cast(index, DType::F32)?;
        let stride = self.constant(whole as f32, &[]);
        let row = self.whole_floor_div(index, stride)?;
        let before = self.mul(row, stride)?;
        let column = self.sub(index, before)?;
        let row = self.add_scalar(row, -(top as f32))?;
        let column = self.add_scalar(column, -(left as f32))?;
        let row = self.scale(row, width as f32)?;
        let index = self.add(row, column)?;
        Ok([y, self.cast(index, DType::U32)?])
    }

    /// `x`, padded where windows reach beyond the padding that is the same on both sides; then no other padding is left,
    /// and the rows above and columns to the left that were added are given.
    fn within_reach(
        &mut self,
        x: NodeId,
        windows: [Window; 2],
    ) -> Result<(NodeId, PoolGeometry, Option<[usize; 2]>), GraphError> {
        let &[_, _, height, width] = self.shape(x) else {
            return Err(mismatch("max pooling", format!("needs rank 4, got {:?}", self.shape(x))));
        };
        let padding = windows.map(|window| window.padding);
        let geometry = PoolGeometry {
            kernel: windows.map(|window| window.size),
            stride: windows.map(|window| window.stride),
            padding,
            dilation: windows.map(|window| window.dilation),
            groups: 1,
        };
        let beyond = |window: &Window, length: usize| {
            let fit = window.fit(length).map(|(_, beyond)| beyond);
            fit.ok_or_else(|| mismatch("max pooling", format!("{window:?} does not fit {length}")))
        };
        let beyond = [beyond(&windows[0], height)?, beyond(&windows[1], width)?];
        if beyond == [0, 0] {
            return Ok((x, geometry, None));
        }
        let [rows, columns] = [0, 1].map(|k| (padding[k], padding[k] + beyond[k]));
        // What was added never wins.
        let padded = self.pad(x, &[(0, 0), (0, 0), rows, columns], Pad::Number(f32::MIN))?;
        Ok((padded, PoolGeometry { padding: [0, 0], ..geometry }, Some(padding)))
    }
}
