//! Operations with an access pattern of their own: convolutions (by unfolding and matrix products), pooling, scatter,
//! top-k. Each computes one item of its result (an image of the batch, or everything) at a time, so that the epilogue
//! finds it in the cache; the gradient of a kernel, which goes through all images, computes a share of its rows at once.

use std::cmp::Ordering;
use std::ops::Range;

use super::cut::Cut;
use super::memory::Buffer;
use super::product::{self, Matrix, Product, Target};
use super::scratch::Scratch;
use crate::graph::{ConvGeometry, Op};

/// A contiguous argument: buffer, first word, shape.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub buffer: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
}

impl Argument {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn of<'a>(&self, buffers: &'a [Buffer]) -> &'a [f32] {
        let cells = &buffers[self.buffer].cells()[self.offset..self.offset + self.len()];
        // SAFETY: a cell has the layout of what it holds, and a launch writes nothing that it reads as an argument.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), cells.len()) }
    }
}

/// An operation made ready.
#[derive(Clone, Debug)]
pub(super) struct Special {
    pub op: Op,
    pub args: Vec<Argument>,
    pub shape: Vec<usize>,
}

/// Rows of `out = a b (+ out)`, with `out` contiguous from the first of them on and strides of `a` and `b` as (row, column); checks
/// that slices are long enough.
#[allow(clippy::too_many_arguments, reason = "the signature of every matrix product")]
fn product_of(
    [m, n, k]: [usize; 3],
    rows: Range<usize>,
    out: &mut [f32],
    add: bool,
    a: &[f32],
    a_strides: (usize, usize),
    b: &[f32],
    b_strides: (usize, usize),
    packed: &mut [f32],
) {
    let reach = |rows: usize, columns: usize, (row, column): (usize, usize)| {
        rows.saturating_sub(1) * row + columns.saturating_sub(1) * column
    };
    assert!(rows.end <= m && out.len() >= rows.len() * n);
    assert!(a.len() > reach(m, k, a_strides) && b.len() > reach(k, n, b_strides));
    let matrix = |of: &[f32], (row, column): (usize, usize)| Matrix { at: of.as_ptr(), row, column };
    let out = Target { at: out.as_mut_ptr(), row: n, column: 1 };
    // SAFETY: bounds are asserted above; `out` is borrowed exclusively.
    unsafe {
        let mut product = Product::new([m, n, k], matrix(a, a_strides), matrix(b, b_strides), packed);
        product.rows(rows.start, rows.len(), out, add);
    }
}

/// Sizes of one group of one image of a convolution.
struct Unfolded {
    geometry: ConvGeometry,
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
}

impl Unfolded {
    fn taps(&self) -> usize {
        self.channels * self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    fn places(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Calls `visit(row of the unfolded matrix, first output column, first input element, input step, count)` for
    /// every run of places whose tap lies inside the image.
    #[inline(always)]
    fn runs(&self, mut visit: impl FnMut(usize, usize, usize, usize, usize)) {
        let g = &self.geometry;
        let [height, width] = self.input;
        let [out_height, out_width] = self.output;
        let mut tap = 0;
        for channel in 0..self.channels {
            for ky in 0..g.kernel[0] {
                for kx in 0..g.kernel[1] {
                    let shift = kx * g.dilation[1];
                    // Output columns whose input column shift + x * stride - padding lies in 0..width.
                    let first = g.padding[1].saturating_sub(shift).div_ceil(g.stride[1]);
                    let end = match (width + g.padding[1]).checked_sub(shift + 1) {
                        Some(last) => (last / g.stride[1] + 1).min(out_width),
                        None => 0,
                    };
                    for y in 0..out_height {
                        let row = y * g.stride[0] + ky * g.dilation[0];
                        if first < end && row >= g.padding[0] && row - g.padding[0] < height {
                            let row = channel * height + row - g.padding[0];
                            let column = first * g.stride[1] + shift - g.padding[1];
                            visit(tap, y * out_width + first, row * width + column, g.stride[1], end - first);
                        }
                    }
                    tap += 1;
                }
            }
        }
    }

    /// `[taps, places]` matrix of an image's channels; places outside the image are 0.
    #[inline(always)]
    fn unfold(&self, image: &[f32], out: &mut [f32]) {
        let places = self.places();
        out[..self.taps() * places].fill(0.0);
        self.runs(|tap, place, element, step, count| {
            let to = &mut out[tap * places + place..][..count];
            if step == 1 {
                to.copy_from_slice(&image[element..element + count]);
            } else {
                for (to, &x) in to.iter_mut().zip(image[element..].iter().step_by(step)) {
                    *to = x;
                }
            }
        });
    }

    /// Adds an unfolded matrix back onto the image: the transpose of unfolding.
    #[inline(always)]
    fn fold(&self, matrix: &[f32], image: &mut [f32]) {
        let places = self.places();
        self.runs(|tap, place, element, step, count| {
            let from = &matrix[tap * places + place..][..count];
            for (to, &x) in image[element..].iter_mut().step_by(step).zip(from) {
                *to += x;
            }
        });
    }
}

fn spatial(shape: &[usize]) -> [usize; 2] {
    [shape[2], shape[3]]
}

impl Special {
    /// How many items the result is computed in; they follow each other in memory.
    fn items(&self) -> usize {
        match self.op {
            Op::Conv2d(_)
            | Op::Conv2dInputGrad { .. }
            | Op::Conv2dKernelGrad(_)
            | Op::MaxPool2d(_)
            | Op::MaxPool2dIndex(_)
            | Op::MaxPool2dScatter { .. } => self.shape[0],
            _ => 1,
        }
    }

    /// How many of `items` are computed at once.
    pub fn at_once(&self, items: usize) -> usize {
        if matches!(self.op, Op::Conv2dKernelGrad(_)) { items } else { 1 }
    }

    /// How its items may be shared out.
    pub fn cut(&self) -> Cut {
        let unit = match (&self.op, self.unfolded()) {
            (Op::Conv2dKernelGrad(g), Some(unfolded)) => {
                let size = self.product_size(&unfolded);
                if g.groups == 1 { product::band(size) } else { size[0] }
            }
            _ => 1,
        };
        Cut { length: self.items(), unit }
    }

    /// What a thread does for an item, roughly in quarters of a nanosecond.
    pub fn cost(&self) -> usize {
        match self.unfolded() {
            Some(unfolded) => {
                let [rows, columns, depth] = self.product_size(&unfolded);
                let rows = match self.op {
                    Op::Conv2dKernelGrad(_) => self.args[0].shape[0],
                    _ => unfolded.geometry.groups * rows,
                };
                rows * columns * depth / 2
            }
            None => 16 * self.args.iter().map(|arg| arg.len() / self.items().max(1)).max().unwrap_or(0),
        }
    }

    /// Words of an item.
    pub fn item_words(&self) -> usize {
        self.shape.iter().product::<usize>() / self.items().max(1)
    }

    fn unfolded(&self) -> Option<Unfolded> {
        let (geometry, input, output) = match &self.op {
            Op::Conv2d(g) => (*g, spatial(&self.args[0].shape), spatial(&self.shape)),
            Op::Conv2dInputGrad { geometry, input } => (*geometry, *input, spatial(&self.args[0].shape)),
            Op::Conv2dKernelGrad(g) => (*g, spatial(&self.args[0].shape), spatial(&self.args[1].shape)),
            _ => return None,
        };
        let channels = match &self.op {
            Op::Conv2dKernelGrad(_) => self.shape[1],
            _ => self.args[1].shape[1],
        };
        Some(Unfolded { geometry, channels, input, output })
    }

    /// Words of scratch memory: for unfolded images, or the order of a row.
    pub fn scratch(&self) -> usize {
        match self.op {
            Op::TopK { .. } => self.args[0].shape.last().copied().unwrap_or(1),
            _ => self.unfolded().map_or(0, |unfolded| unfolded.taps() * unfolded.places()),
        }
    }

    /// Sizes of the product that a convolution makes of a group of an image.
    fn product_size(&self, unfolded: &Unfolded) -> [usize; 3] {
        let (taps, places, groups) = (unfolded.taps(), unfolded.places(), unfolded.geometry.groups);
        match &self.op {
            Op::Conv2d(_) => [self.shape[1] / groups, places, taps],
            Op::Conv2dInputGrad { .. } => [taps, places, self.args[0].shape[1] / groups],
            _ => [self.shape[0] / groups, taps, places],
        }
    }

    /// Words that its products pack.
    pub fn packed(&self) -> usize {
        self.unfolded().map_or(0, |unfolded| product::room(self.product_size(&unfolded)))
    }

    /// Computes items, as many as are computed [at once](Self::at_once), into the accumulator.
    pub fn compute(&self, items: Range<usize>, buffers: &[Buffer], scratch: &mut Scratch) {
        if let Some(unfolded) = self.unfolded() {
            return self.convolve(&unfolded, items, buffers, scratch);
        }
        let item = items.start;
        let out = &mut scratch.accumulator[..items.len() * self.item_words()];
        let arg = |k: usize| self.args[k].of(buffers);
        let image = |k: usize| {
            let words = self.args[k].len() / self.args[k].shape[0];
            &arg(k)[item * words..(item + 1) * words]
        };
        match &self.op {
            Op::MaxPool2d(g) => pool(g, &self.args[0].shape, &self.shape, image(0), |at, best, _| out[at] = best),
            Op::MaxPool2dIndex(g) => {
                pool(g, &self.args[0].shape, &self.shape, image(0), |at, _, index| out[at] = index as f32);
            }
            Op::MaxPool2dScatter { .. } => {
                out.fill(0.0);
                let plane = self.shape[2] * self.shape[3];
                let window = self.args[1].shape[2] * self.args[1].shape[3];
                let windows = image(0).chunks_exact(window).zip(image(1).chunks_exact(window));
                for (out, (index, value)) in out.chunks_exact_mut(plane).zip(windows) {
                    for (index, &value) in index.iter().zip(value) {
                        out[(index.to_bits() as usize).min(plane - 1)] += value;
                    }
                }
            }
            Op::ScatterAdd { axis, size } => {
                out.fill(0.0);
                let shape = &self.args[0].shape;
                let inner: usize = shape[axis + 1..].iter().product();
                let along = shape[*axis];
                for (k, (index, &value)) in arg(0).iter().zip(arg(1)).enumerate() {
                    let at = (index.to_bits() as usize).min(size - 1);
                    out[(k / (inner * along) * size + at) * inner + k % inner] += value;
                }
            }
            Op::AddRows { rows } => {
                out.fill(0.0);
                let row = out.len() / rows;
                for (index, value) in arg(0).iter().zip(arg(1).chunks_exact(row)) {
                    let at = (index.to_bits() as usize).min(rows - 1) * row;
                    for (to, &x) in out[at..at + row].iter_mut().zip(value) {
                        *to += x;
                    }
                }
            }
            Op::TopK { k } => {
                let row = self.args[0].shape.last().copied().unwrap_or(1);
                for (values, out) in arg(0).chunks_exact(row).zip(out.chunks_exact_mut(*k)) {
                    top(values, &mut scratch.unfolded[..row], out);
                }
            }
            // `prepare` refuses anything else.
            _ => {}
        }
    }

    fn convolve(&self, unfolded: &Unfolded, items: Range<usize>, buffers: &[Buffer], scratch: &mut Scratch) {
        let Scratch { accumulator, unfolded: matrix, packed, .. } = scratch;
        let out = &mut accumulator[..items.len() * self.item_words()];
        let item = items.start;
        let arg = |k: usize| self.args[k].of(buffers);
        let groups = unfolded.geometry.groups;
        let (taps, places) = (unfolded.taps(), unfolded.places());
        let pixels = unfolded.channels * unfolded.input[0] * unfolded.input[1];
        let size @ [rows, _, depth] = self.product_size(unfolded);
        match &self.op {
            Op::Conv2d(_) => {
                let outputs = rows;
                for g in 0..groups {
                    unfolded.unfold(&arg(0)[(item * groups + g) * pixels..][..pixels], matrix);
                    let kernel = &arg(1)[g * outputs * taps..][..outputs * taps];
                    let to = &mut out[g * outputs * places..][..outputs * places];
                    product_of(size, 0..rows, to, false, kernel, (taps, 1), matrix, (places, 1), packed);
                }
            }
            Op::Conv2dInputGrad { .. } => {
                out.fill(0.0);
                let outputs = depth;
                for g in 0..groups {
                    let dy = &arg(0)[(item * groups + g) * outputs * places..][..outputs * places];
                    let kernel = &arg(1)[g * outputs * taps..][..outputs * taps];
                    product_of(size, 0..rows, matrix, false, kernel, (1, taps), dy, (places, 1), packed);
                    unfolded.fold(matrix, &mut out[g * pixels..][..pixels]);
                }
            }
            _ => {
                let outputs = rows;
                for image in 0..self.args[0].shape[0] {
                    for g in items.start / outputs..items.end.div_ceil(outputs) {
                        unfolded.unfold(&arg(0)[(image * groups + g) * pixels..][..pixels], matrix);
                        let dy = &arg(1)[(image * groups + g) * outputs * places..][..outputs * places];
                        // Of this group's rows those that are asked for.
                        let [first, end] =
                            [items.start, items.end].map(|row| row.clamp(g * outputs, (g + 1) * outputs));
                        let to = &mut out[(first - items.start) * taps..(end - items.start) * taps];
                        let rows = first - g * outputs..end - g * outputs;
                        product_of(size, rows, to, image > 0, dy, (places, 1), matrix, (1, places), packed);
                    }
                }
            }
        }
    }
}

/// Windows of a row that are compared at a time.
const WINDOWS: usize = 64;

/// Maximum of each window of an image, and the flat index of the first place that attains it. Tap by tap over many windows, so
/// that the comparisons are independent of each other.
#[inline(always)]
fn pool(g: &ConvGeometry, input: &[usize], output: &[usize], image: &[f32], mut found: impl FnMut(usize, f32, usize)) {
    let [height, width] = spatial(input);
    let [out_height, out_width] = spatial(output);
    // First and last tap (exclusive) inside the image.
    let inside = |at: usize, axis: usize, size: usize| {
        let corner = at * g.stride[axis];
        let first = g.padding[axis].saturating_sub(corner).div_ceil(g.dilation[axis]);
        let end = (size + g.padding[axis]).saturating_sub(corner).div_ceil(g.dilation[axis]).min(g.kernel[axis]);
        first..end.max(first)
    };
    let place = |at: usize, axis: usize, tap: usize| at * g.stride[axis] + tap * g.dilation[axis] - g.padding[axis];
    let (mut best, mut index) = ([0.0; WINDOWS], [0; WINDOWS]);
    for left in (0..out_width).step_by(WINDOWS) {
        let count = WINDOWS.min(out_width - left);
        for (number, plane) in image.chunks_exact(height * width).enumerate() {
            for y in 0..out_height {
                let rows = inside(y, 0, height);
                // Each window begins with its first place.
                for x in 0..count {
                    let columns = inside(left + x, 1, width);
                    let empty = rows.is_empty() || columns.is_empty();
                    index[x] =
                        if empty { 0 } else { place(y, 0, rows.start) * width + place(left + x, 1, columns.start) };
                    best[x] = if empty { f32::NEG_INFINITY } else { plane[index[x]] };
                }
                for row in rows {
                    let line = place(y, 0, row) * width;
                    for tap in 0..g.kernel[1] {
                        // Windows that have this tap inside the image.
                        let shift = tap * g.dilation[1];
                        let first = g.padding[1].saturating_sub(shift).div_ceil(g.stride[1]).max(left) - left;
                        let end =
                            (width + g.padding[1]).saturating_sub(shift).div_ceil(g.stride[1]).saturating_sub(left);
                        let end = end.min(count);
                        if first >= end {
                            continue;
                        }
                        let start = line + (left + first) * g.stride[1] + shift - g.padding[1];
                        let values = plane[start..].iter().step_by(g.stride[1]);
                        let bests = best[first..end].iter_mut().zip(&mut index[first..end]);
                        for (k, ((best, index), &value)) in bests.zip(values).enumerate() {
                            let better = value > *best;
                            *best = if better { value } else { *best };
                            *index = if better { start + k * g.stride[1] } else { *index };
                        }
                    }
                }
                let at = (number * out_height + y) * out_width + left;
                for x in 0..count {
                    found(at + x, best[x], index[x]);
                }
            }
        }
    }
}

/// Indices of the largest values, largest first, ties by lower index; what is not a number comes last.
/// `order` is scratch memory for as many indices.
fn top(values: &[f32], order: &mut [f32], out: &mut [f32]) {
    let before = |a: &f32, b: &f32| {
        let (x, y) = (values[*a as usize], values[*b as usize]);
        let larger = y.partial_cmp(&x).unwrap_or(Ordering::Equal);
        x.is_nan().cmp(&y.is_nan()).then(larger).then(a.total_cmp(b))
    };
    for (k, index) in order.iter_mut().enumerate() {
        *index = k as f32;
    }
    if out.len() < order.len() && !out.is_empty() {
        order.select_nth_unstable_by(out.len() - 1, before);
    }
    let first = &mut order[..out.len()];
    first.sort_unstable_by(before);
    out.copy_from_slice(first);
}
