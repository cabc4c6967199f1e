//! Products by `gemm`.

use super::{Matrix, Target};

/// Words that a product packs: `gemm` has memory of its own.
pub fn room(_: [usize; 3]) -> usize {
    0
}

/// The fewest rows that a share of a product may have, unless it has fewer itself: `gemm` adds up in another order where there are at most
/// 256 elements or one row, and another where rows and columns are at most 64 and k is more than 512.
pub fn band([m, n, k]: [usize; 3]) -> usize {
    let deep = k > 512 && n <= 64 && m > 64;
    (256 / n.max(1) + 1).max(if deep { 65 } else { 2 })
}

/// A product of two matrices.
pub struct Product {
    size: [usize; 3],
    a: Matrix,
    b: Matrix,
}

impl Product {
    /// A product `[m, k] [k, n]`.
    ///
    /// # Safety
    /// All elements of both matrices can be read, for as long as the product lives.
    pub unsafe fn new(size: [usize; 3], a: Matrix, b: Matrix, _: &mut [f32]) -> Self {
        Product { size, a, b }
    }

    /// Says that rows will be asked for in several calls.
    pub fn in_parts(&mut self) {}

    /// Computes the rows from `first` on into `out`, or adds them to what is there.
    ///
    /// # Safety
    /// The product has these rows; `out` can be written, and overlaps neither matrix.
    pub unsafe fn rows(&mut self, first: usize, count: usize, out: Target, add: bool) {
        let [_, n, k] = self.size;
        let s = |stride: usize| stride as isize;
        // SAFETY: passed on to the caller.
        unsafe {
            let (a, b) = (self.a.from(first, 0), self.b);
            gemm::gemm(
                count,
                n,
                k,
                out.at,
                s(out.column),
                s(out.row),
                add,
                a.at,
                s(a.column),
                s(a.row),
                b.at,
                s(b.column),
                s(b.row),
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}
