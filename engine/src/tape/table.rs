//! Tables: examples on the device, of which a step gathers rows.

use crate::graph::{DType, numel};

/// What a table holds and where: `[rows, width]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub(super) name: String,
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) dtype: DType,
}

impl Table {
    fn new<const D: usize>(name: &str, shape: [usize; D], dtype: DType) -> Self {
        let rows = shape.first().copied().unwrap_or(1);
        Table { name: name.to_owned(), rows, width: numel(&shape) / rows.max(1), dtype }
    }

    /// Numbers, f32; the first axis of `shape` is that of the rows.
    pub fn numbers<const D: usize>(name: &str, shape: [usize; D]) -> Self {
        Self::new(name, shape, DType::F32)
    }

    /// Bytes such as pixels, which are read as 0 to 255.
    pub fn bytes<const D: usize>(name: &str, shape: [usize; D]) -> Self {
        Self::new(name, shape, DType::U8)
    }

    /// Classes, characters, row numbers: u32.
    pub fn classes<const D: usize>(name: &str, shape: [usize; D]) -> Self {
        Self::new(name, shape, DType::U32)
    }

    /// Shape of the buffer.
    pub(super) fn shape(&self) -> Vec<usize> {
        if self.width == 1 { vec![self.rows] } else { vec![self.rows, self.width] }
    }

    /// Bytes of the buffer: what [`super::Play::table`] is given.
    pub fn len(&self) -> usize {
        self.rows * self.width * self.dtype.bytes()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
