//! Matrix products. In WASM our own ([`own`]); natively `gemm`, which has kernels for the wider registers there.

#[cfg(any(test, target_arch = "wasm32"))]
mod kernel;
#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(any(test, target_arch = "wasm32"))]
mod own;
#[cfg(any(test, target_arch = "wasm32"))]
mod pack;
#[cfg(test)]
mod tests;
#[cfg(any(test, target_arch = "wasm32"))]
mod vector;

#[cfg(not(target_arch = "wasm32"))]
pub use native::{Product, band, room};
#[cfg(target_arch = "wasm32")]
pub use own::{Product, band, room};

/// A matrix in memory.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// First element.
    pub at: *const f32,
    /// Words from one row to the next.
    pub row: usize,
    /// Words from one column to the next.
    pub column: usize,
}

/// A matrix to write.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// First element.
    pub at: *mut f32,
    /// Words from one row to the next.
    pub row: usize,
    /// Words from one column to the next.
    pub column: usize,
}

impl Matrix {
    /// # Safety
    /// The element exists, or is the end of a row or column.
    pub(super) unsafe fn from(self, row: usize, column: usize) -> Self {
        // SAFETY: the caller's.
        Matrix { at: unsafe { self.at.add(row * self.row + column * self.column) }, ..self }
    }
}
