//! Convolutions of one and three axes, transposed ones, and padding that differs between sides, as 2-D convolutions.

use super::*;

/// Geometry of a convolution along each of its axes, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strides {
    /// Distance of windows.
    pub stride: Vec<usize>,
    /// Zeros before and after.
    pub padding: Vec<(usize, usize)>,
    /// Distance of a window's elements.
    pub dilation: Vec<usize>,
    /// Channel groups.
    pub groups: usize,
}

impl Graph {
    /// Convolution of `[b, c, ..]` by `[o, c / groups, ..]` over one, two or three axes.
    pub fn convolution(&mut self, x: NodeId, kernel: NodeId, strides: &Strides) -> Result<NodeId, GraphError> {
        let axes = strides.stride.len();
        let (xs, ks) = (self.shape(x).to_vec(), self.shape(kernel).to_vec());
        let ranks = [xs.len(), ks.len()];
        if ranks != [axes + 2; 2] || strides.padding.len() != axes || strides.dilation.len() != axes {
            return Err(mismatch("convolution", format!("{xs:?} by {ks:?} over {axes} axes")));
        }
        match axes {
            1 => self.in_a_plane(x, kernel, |graph, x, kernel| graph.plane_convolution(x, kernel, &strides.lifted())),
            2 => self.plane_convolution(x, kernel, strides),
            3 => self.volume_convolution(x, kernel, strides),
            _ => Err(mismatch("convolution", format!("over {axes} axes"))),
        }
    }

    /// A convolution over one axis as one over a plane of height 1.
    fn in_a_plane(
        &mut self,
        x: NodeId,
        kernel: NodeId,
        convolve: impl FnOnce(&mut Self, NodeId, NodeId) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
        let rank = || mismatch("convolution", "rank".into());
        let mut lift = |value| match *self.shape(value) {
            [outer, inner, length] => self.reshape(value, &[outer, inner, 1, length]),
            _ => Err(rank()),
        };
        let (x, kernel) = (lift(x)?, lift(kernel)?);
        let y = convolve(self, x, kernel)?;
        let &[b, o, _, length] = self.shape(y) else { return Err(rank()) };
        self.reshape(y, &[b, o, length])
    }

    fn plane_convolution(&mut self, x: NodeId, kernel: NodeId, strides: &Strides) -> Result<NodeId, GraphError> {
        let mut geometry = strides.plane(self.shape(kernel));
        let even = strides.padding.iter().all(|(before, after)| before == after);
        let x = if even {
            x
        } else {
            geometry.padding = [0, 0];
            let amounts = [&[(0, 0), (0, 0)], &strides.padding[..]].concat();
            self.pad(x, &amounts, Pad::Number(0.0))?
        };
        self.conv2d(x, kernel, geometry)
    }

    /// The slices that a window covers in depth become channels of one 2-D convolution.
    fn volume_convolution(&mut self, x: NodeId, kernel: NodeId, strides: &Strides) -> Result<NodeId, GraphError> {
        let groups = strides.groups.max(1);
        let amounts = [&[(0, 0), (0, 0)], &strides.padding[..1], &[(0, 0), (0, 0)]].concat();
        let x = self.pad(x, &amounts, Pad::Number(0.0))?;
        let &[b, c, depth, h, w] = self.shape(x) else { return Err(mismatch("convolution", "rank".into())) };
        let &[o, ci, kd, kh, kw] = self.shape(kernel) else { return Err(mismatch("convolution", "rank".into())) };
        let (step, spread) = (strides.stride[0].max(1), strides.dilation[0]);
        let Some(free) = depth.checked_sub(spread * kd.saturating_sub(1) + 1).filter(|_| ci * groups == c) else {
            return Err(mismatch("convolution", format!("{:?} by {:?}", self.shape(x), self.shape(kernel))));
        };
        let deep = free / step + 1;
        let apart = self.reshape(x, &[b, groups, ci, depth, h * w])?;
        let taps = (0..kd).map(|k| self.part(apart, 3, k * spread, deep, step)).collect::<Result<Vec<_>, _>>()?;
        // [b, groups, ci, kd, deep, h w] to [b, deep, groups, ci, kd, h w]: channels in the kernel's order.
        let taps = self.stack(&taps, 3)?;
        let taps = self.permute(taps, &[0, 4, 1, 2, 3, 5])?;
        let images = self.reshape(taps, &[b * deep, c * kd, h, w])?;
        let kernel = self.reshape(kernel, &[o, ci * kd, kh, kw])?;
        let y = self.plane_convolution(images, kernel, &strides.last_two())?;
        let &[_, _, oh, ow] = self.shape(y) else { return Err(mismatch("convolution", "rank".into())) };
        let y = self.reshape(y, &[b, deep, o, oh, ow])?;
        self.swap(y, 1, 2)
    }

    /// Transposed convolution of `[b, c, ..]` by `[c, o / groups, ..]` over one, two or three axes; `extra` is what is
    /// added to each axis at its end.
    pub fn transposed_convolution(
        &mut self,
        x: NodeId,
        kernel: NodeId,
        strides: &Strides,
        extra: &[usize],
    ) -> Result<NodeId, GraphError> {
        let axes = strides.stride.len();
        let (xs, ks) = (self.shape(x).to_vec(), self.shape(kernel).to_vec());
        let uneven = strides.padding.iter().any(|(before, after)| before != after);
        if xs.len() != axes + 2 || ks.len() != axes + 2 || extra.len() != axes || uneven {
            return Err(mismatch("transposed convolution", format!("{xs:?} by {ks:?}, {strides:?}")));
        }
        match axes {
            1 => self.in_a_plane(x, kernel, |graph, x, kernel| {
                graph.transposed_plane(x, kernel, &strides.lifted(), &[0, extra[0]])
            }),
            2 => self.transposed_plane(x, kernel, strides, extra),
            3 => self.transposed_volume(x, kernel, strides, extra),
            _ => Err(mismatch("transposed convolution", format!("over {axes} axes"))),
        }
    }

    fn transposed_plane(
        &mut self,
        x: NodeId,
        kernel: NodeId,
        strides: &Strides,
        extra: &[usize],
    ) -> Result<NodeId, GraphError> {
        let geometry = strides.plane(self.shape(kernel));
        let &[_, _, h, w] = self.shape(x) else { return Err(mismatch("transposed convolution", "rank".into())) };
        let mut output = [0; 2];
        for (axis, size) in [h, w].into_iter().enumerate() {
            output[axis] = strides
                .grown(axis, size, geometry.kernel[axis], extra[axis])
                .ok_or_else(|| mismatch("transposed convolution", format!("{strides:?} of {size}")))?;
        }
        self.conv2d_input_grad(x, kernel, geometry, output)
    }

    /// Each depth of the kernel makes planes of its own, which are added where they belong.
    fn transposed_volume(
        &mut self,
        x: NodeId,
        kernel: NodeId,
        strides: &Strides,
        extra: &[usize],
    ) -> Result<NodeId, GraphError> {
        let &[b, c, depth, h, w] = self.shape(x) else {
            return Err(mismatch("transposed convolution", "rank".into()));
        };
        let &[_, co, kd, kh, kw] = self.shape(kernel) else {
            return Err(mismatch("transposed convolution", "rank".into()));
        };
        let deep = strides.grown(0, depth, kd, extra[0]);
        let deep = deep.ok_or_else(|| mismatch("transposed convolution", format!("{strides:?} of depth {depth}")))?;
        let frames = self.swap(x, 1, 2)?;
        let frames = self.reshape(frames, &[b * depth, c, h, w])?;
        let kernel = self.reshape(kernel, &[c, co * kd, kh, kw])?;
        let planes = self.transposed_plane(frames, kernel, &strides.last_two(), &extra[1..])?;
        let &[_, _, oh, ow] = self.shape(planes) else {
            return Err(mismatch("transposed convolution", "rank".into()));
        };
        let o = co * strides.groups;
        let planes = self.reshape(planes, &[b, depth, o, kd, oh * ow])?;
        let (step, pad) = (strides.stride[0], strides.padding[0].0);
        // Room for every tap; the padding is cut off afterwards.
        let room = ((depth - 1) * step + strides.dilation[0] * (kd - 1) + 1).max(deep + pad);
        let mut total: Option<NodeId> = None;
        for k in 0..kd {
            let tap = self.part(planes, 3, k, 1, 1)?;
            let tap = self.reshape(tap, &[b, depth, o, oh * ow])?;
            let start = [0, k * strides.dilation[0], 0, 0];
            let placed = self.unslice(tap, &start, &[1, step, 1, 1], &[b, room, o, oh * ow])?;
            total = Some(match total {
                Some(total) => self.add(total, placed)?,
                None => placed,
            });
        }
        let total = total.ok_or_else(|| mismatch("transposed convolution", "an empty kernel".into()))?;
        let cut = self.part(total, 1, pad, deep, 1)?;
        let y = self.reshape(cut, &[b, deep, o, oh, ow])?;
        self.swap(y, 1, 2)
    }
}

impl Strides {
    /// The same over two axes, the first of which has one element.
    fn lifted(&self) -> Strides {
        Strides {
            stride: vec![1, self.stride[0]],
            padding: vec![(0, 0), self.padding[0]],
            dilation: vec![1, self.dilation[0]],
            groups: self.groups,
        }
    }

    fn last_two(&self) -> Strides {
        Strides {
            stride: self.stride[1..].to_vec(),
            padding: self.padding[1..].to_vec(),
            dilation: self.dilation[1..].to_vec(),
            groups: self.groups,
        }
    }

    fn plane(&self, kernel: &[usize]) -> ConvGeometry {
        ConvGeometry {
            kernel: [kernel[2], kernel[3]],
            stride: [self.stride[0], self.stride[1]],
            padding: [self.padding[0].0, self.padding[1].0],
            dilation: [self.dilation[0], self.dilation[1]],
            groups: self.groups,
        }
    }

    /// Size of an axis after a transposed convolution.
    fn grown(&self, axis: usize, size: usize, kernel: usize, extra: usize) -> Option<usize> {
        let reach = size.checked_sub(1)? * self.stride[axis] + self.dilation[axis] * kernel.checked_sub(1)? + 1 + extra;
        reach.checked_sub(2 * self.padding[axis].0).filter(|&grown| grown > 0)
    }
}
