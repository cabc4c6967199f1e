//! Element types and shapes of graph values.

use serde::Serialize;

/// Element type of a value.
///
/// Arithmetic is f32 throughout; masks are f32 zeros and ones. `U32` carries indices, labels, tokens and RNG keys;
/// `U8` occurs in data tables only (pixels) and becomes f32 when rows are taken from the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum DType {
    /// 32-bit IEEE float.
    F32,
    /// 32-bit unsigned integer.
    U32,
    /// Byte; tables only, four to a 32-bit word on the GPU, little end first.
    U8,
}

impl DType {
    /// Bytes an element occupies.
    pub fn bytes(self) -> usize {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::U8 => 1,
        }
    }
}

/// Sizes of the axes, outermost first; row-major. A scalar has no axes.
pub type Shape = Vec<usize>;

/// Number of elements of a shape; 1 for a scalar.
pub fn numel(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Row-major strides, in elements, of a contiguous tensor.
pub fn contiguous_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
