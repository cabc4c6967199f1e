//! Linear maps along an axis: resizing and pooling into bins as small matrices.

use super::*;

/// How a resized axis is made of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resize {
    /// The element beneath the left edge of each new one.
    Nearest,
    /// The element beneath the middle of each new one.
    NearestExact,
    /// The two next elements by their distance.
    Bilinear,
    /// The four next elements by a cubic (a = -0.75).
    Bicubic,
    /// Mean over what each new element covers, by overlap.
    Area,
    /// Mean over all elements that each new one touches (adaptive average pooling).
    Bins,
}

impl Resize {
    /// Weights `[from, to]`, row-major: what each of `from` elements gives to each of `to`. `corners` lets the middles
    /// of the outermost elements lie on each other; otherwise their outer edges do.
    pub fn weights(self, from: usize, to: usize, corners: bool) -> Vec<f32> {
        let mut weights = vec![0.0; from * to];
        let mut give = |source: usize, target: usize, weight: f64| weights[source * to + target] += weight as f32;
        let scale = from as f64 / to as f64;
        let last = from.saturating_sub(1);
        for target in 0..to {
            let middle = match (corners, to) {
                (true, 0 | 1) => 0.0,
                (true, _) => target as f64 * last as f64 / (to - 1) as f64,
                (false, _) => (target as f64 + 0.5) * scale - 0.5,
            };
            match self {
                Resize::Nearest => give(((target * from) / to).min(last), target, 1.0),
                Resize::NearestExact => give((((target as f64 + 0.5) * scale) as usize).min(last), target, 1.0),
                Resize::Bilinear => {
                    let middle = middle.clamp(0.0, last as f64);
                    let (first, rest) = (middle.floor() as usize, middle.fract());
                    give(first, target, 1.0 - rest);
                    give((first + 1).min(last), target, rest);
                }
                Resize::Bicubic => {
                    let (first, rest) = (middle.floor(), middle - middle.floor());
                    for (k, weight) in cubic(rest).into_iter().enumerate() {
                        let source = (first + k as f64 - 1.0).clamp(0.0, last as f64);
                        give(source as usize, target, weight);
                    }
                }
                Resize::Area => {
                    let (start, end) = (target as f64 * scale, (target + 1) as f64 * scale);
                    for source in start.floor() as usize..(end.ceil() as usize).min(from) {
                        let overlap = end.min(source as f64 + 1.0) - start.max(source as f64);
                        give(source, target, overlap.max(0.0) / scale);
                    }
                }
                Resize::Bins => {
                    let (start, end) = (target * from / to, ((target + 1) * from).div_ceil(to));
                    for source in start..end {
                        give(source, target, 1.0 / (end - start) as f64);
                    }
                }
            }
        }
        weights
    }
}

/// Weights of the elements at -1, 0, 1 and 2 for a place `t` between 0 and 1 (Keys 1981, a = -0.75).
fn cubic(t: f64) -> [f64; 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

impl Graph {
    /// Resizes an axis.
    pub fn resize(
        &mut self,
        x: NodeId,
        axis: usize,
        to: usize,
        how: Resize,
        corners: bool,
    ) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        let from = shape.get(axis).copied().filter(|&size| size > 0 && to > 0);
        let from = from.ok_or_else(|| mismatch("resize", format!("axis {axis} of {shape:?} to {to}")))?;
        let means = matches!(how, Resize::Area | Resize::Bins);
        if from == to {
            return Ok(x);
        }
        if means && from.is_multiple_of(to) {
            let mut apart = shape.clone();
            apart[axis] = to;
            apart.insert(axis + 1, from / to);
            let parts = self.reshape(x, &apart)?;
            let mean = self.mean(parts, &[axis + 1])?;
            apart.remove(axis + 1);
            return self.reshape(mean, &apart);
        }
        let weights = self.literal(&how.weights(from, to, corners), &[from, to])?;
        self.along(x, axis, weights)
    }

    /// Replaces an axis of size m by one of size n by a matrix `[m, n]`.
    pub fn along(&mut self, x: NodeId, axis: usize, matrix: NodeId) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        let &[from, to] = self.shape(matrix) else { return Err(mismatch("map along an axis", "no matrix".into())) };
        if shape.get(axis) != Some(&from) {
            return Err(mismatch("map along an axis", format!("{from} against axis {axis} of {shape:?}")));
        }
        let (outer, inner) = (numel(&shape[..axis]), numel(&shape[axis + 1..]));
        let y = if inner == 1 {
            let rows = self.reshape(x, &[outer, from])?;
            self.matmul(rows, matrix)?
        } else {
            let planes = self.reshape(x, &[outer, from, inner])?;
            let turned = self.transpose(matrix)?;
            let turned = self.broadcast_to(turned, &[outer, to, from])?;
            self.matmul(turned, planes)?
        };
        let mut shape = shape;
        shape[axis] = to;
        self.reshape(y, &shape)
    }
}
