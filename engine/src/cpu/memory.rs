//! Buffers of the CPU executor and access to them along iteration axes.

use std::cell::Cell;

use crate::executor::ExecError;
use crate::graph::DType;

/// Memory in 4-byte words; u32 words are kept as the f32 of the same bits, bytes four to a word, little end first.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Cells, because threads write to a buffer side by side.
    words: Vec<Cell<f32>>,
    /// Bytes in use.
    pub bytes: usize,
}

// SAFETY: threads see a buffer together only while they share a launch ([`super::team`]). No element is written by two shares of
// a launch, and none that one share writes is read by another: plans see to it.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Bytes that are 0, if there is memory for them.
    pub fn zeroed(bytes: usize) -> Result<Self, ExecError> {
        let mut words = Vec::new();
        let count = bytes.div_ceil(4);
        words
            .try_reserve_exact(count)
            .map_err(|_| ExecError::Limit(format!("{} MB are more than there is memory for", bytes >> 20)))?;
        words.resize(count, Cell::new(0.0));
        Ok(Self { words, bytes })
    }

    /// Is it free for others?
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.bytes == 0
    }

    /// All words, for one who has the buffer alone.
    pub fn words(&mut self) -> &mut [f32] {
        let (first, count) = (self.words.as_mut_ptr(), self.words.len());
        // SAFETY: a cell has the layout of what it holds, and these are borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(first.cast(), count) }
    }

    /// All words, for threads that share a launch.
    pub fn cells(&self) -> &[Cell<f32>] {
        &self.words
    }

    /// All bytes, likewise.
    pub fn byte_cells(&self) -> &[Cell<u8>] {
        // SAFETY: four bytes a word, of any value, without gaps.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), 4 * self.words.len()) }
    }

    /// First word, for products.
    pub fn start(&self) -> *mut f32 {
        self.words.as_ptr().cast_mut().cast()
    }
}

/// A view over a linear run of iteration indices: memory axes as coarse as the strides allow.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// Which buffer.
    pub buffer: usize,
    /// First element.
    pub offset: usize,
    /// Element type.
    pub dtype: DType,
    /// Size and stride per axis, outermost first; never empty.
    pub axes: Vec<(usize, usize)>,
}

impl Access {
    /// Axes that [`Access::runs`] can walk.
    pub const MAX_AXES: usize = 8;

    /// Joins neighbouring axes that memory does not tell apart.
    pub fn new(buffer: usize, offset: usize, dtype: DType, sizes: &[usize], strides: &[usize]) -> Self {
        let mut axes: Vec<(usize, usize)> = Vec::new();
        for (&size, &stride) in sizes.iter().zip(strides) {
            if size == 1 {
                continue;
            }
            match axes.last_mut() {
                Some((outer, outer_stride)) if *outer_stride == stride * size => {
                    *outer *= size;
                    *outer_stride = stride;
                }
                _ => axes.push((size, stride)),
            }
        }
        if axes.is_empty() {
            axes.push((1, 0));
        }
        Access { buffer, offset, dtype, axes }
    }

    /// Calls `run(position, element, stride, count)` for the runs that make up iteration indices
    /// `start .. start + count`; position counts from 0.
    #[inline(always)]
    pub fn runs(&self, start: usize, count: usize, mut run: impl FnMut(usize, usize, usize, usize)) {
        let last = self.axes.len() - 1;
        let (inner, stride) = self.axes[last];
        if last == 0 {
            run(0, self.offset + start * stride, stride, count);
            return;
        }
        let mut index = [0usize; Self::MAX_AXES];
        let mut element = self.offset;
        let mut rest = start;
        for axis in (0..=last).rev() {
            let (size, stride) = self.axes[axis];
            index[axis] = if axis == 0 { rest } else { rest % size };
            rest /= size;
            element += index[axis] * stride;
        }
        let mut position = 0;
        while position < count {
            let here = (inner - index[last]).min(count - position);
            run(position, element, stride, here);
            position += here;
            element += here * stride;
            index[last] += here;
            let mut axis = last;
            while index[axis] == self.axes[axis].0 && axis > 0 {
                element -= index[axis] * self.axes[axis].1;
                index[axis] = 0;
                axis -= 1;
                element += self.axes[axis].1;
                index[axis] += 1;
            }
        }
    }
}
