//! Our own products: tiles in registers over packed panels, and ways of their own for thin matrices.
//!
//! `A B`, `A B^T` and `A^T B` differ in their strides only. `B` is packed at most once a product, into panels of eight
//! columns; `A` where its rows are not contiguous. Which way a product goes, and the order in which an element is added up,
//! follow from its sizes and strides as a whole: any share of its rows comes out with the same bits.

use super::kernel::{COLUMNS, ROWS, dots, stream, tile};
use super::pack::{self, padded};
use super::{Matrix, Target};

/// Longest run of k between reading and writing sums: a panel of so many rows stays in the first-level cache.
const DEPTH: usize = 256;
/// Rows that run over a panel after each other: they stay in the second-level cache.
const BLOCK: usize = 64;

/// k so short that a tile would not pay.
const SHORT: usize = 4;
/// Columns from which on it pays to pack `A`.
const BROAD: usize = 17;
/// Rows up to which it does not pay to pack `B`.
const FEW: usize = 8;

impl Matrix {
    fn transposed(self) -> Self {
        Matrix { row: self.column, column: self.row, ..self }
    }
}

impl Target {
    fn transposed(self) -> Self {
        Target { row: self.column, column: self.row, ..self }
    }

    /// # Safety
    /// As [`Matrix::from`].
    pub(super) unsafe fn from(self, row: usize, column: usize) -> Self {
        // SAFETY: the caller's.
        Target { at: unsafe { self.at.add(row * self.row + column * self.column) }, ..self }
    }
}

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In tiles.
    Tiles,
    /// Few rows or a short k, and `B` has contiguous rows.
    Stream,
    /// Few rows, and `B` has contiguous columns.
    Dots,
}

impl Way {
    /// How to multiply matrices of these sizes, and whether with both transposed.
    fn of([m, n, k]: [usize; 3], a: Matrix, b: Matrix) -> (Self, bool) {
        let thin = |rows: usize, most: usize, right: Matrix| match (right.row, right.column) {
            (_, 1) if rows <= most => Some(Way::Stream),
            (1, _) if rows <= ROWS => Some(Way::Dots),
            _ => None,
        };
        let short = (k <= SHORT && b.column == 1).then_some((Way::Stream, false));
        let straight = thin(m, 1, b).map(|way| (way, false));
        let across = thin(n, ROWS, a.transposed()).map(|way| (way, true));
        straight.or(across).or(short).unwrap_or((Way::Tiles, false))
    }
}

/// Rows of `B` that are multiplied before sums are written: k in equal parts.
fn depth(k: usize) -> usize {
    k.div_ceil(k.div_ceil(DEPTH).max(1)).next_multiple_of(4)
}

/// Rows between which a product is best cut into shares: those of a tile.
#[cfg(target_arch = "wasm32")]
pub fn band(_: [usize; 3]) -> usize {
    ROWS
}

/// Words that a product of these sizes packs at most.
pub fn room([m, n, k]: [usize; 3]) -> usize {
    (ROWS * k).max(k * padded(n) + m.min(BLOCK).next_multiple_of(ROWS) * depth(k))
}

/// A product of two matrices.
pub struct Product<'a> {
    size: [usize; 3],
    a: Matrix,
    b: Matrix,
    way: Way,
    /// The thin matrix is `B`: everything is transposed.
    mirrored: bool,
    packed: &'a mut [f32],
    /// Is all of `B` in `packed`?
    ready: bool,
    /// Rows are asked for in several calls.
    in_parts: bool,
}

impl<'a> Product<'a> {
    /// A product `[m, k] [k, n]`. `packed` holds at least [`room`] words.
    ///
    /// # Safety
    /// All elements of both matrices can be read, for as long as the product lives.
    pub unsafe fn new(size: [usize; 3], a: Matrix, b: Matrix, packed: &'a mut [f32]) -> Self {
        assert!(packed.len() >= room(size));
        let (way, mirrored) = Way::of(size, a, b);
        let mut product = Product { size, a, b, way, mirrored, packed, ready: false, in_parts: false };
        if way == Way::Dots {
            // SAFETY: the caller's.
            unsafe { product.lay_rows() };
        }
        product
    }

    /// Says that rows will be asked for in several calls: what these share is laid out once.
    pub fn in_parts(&mut self) {
        self.in_parts = true;
    }

    /// Copies the thin matrix of [`Way::Dots`] if its rows (columns, if it is `B`) are not contiguous.
    ///
    /// # Safety
    /// As [`Product::new`].
    unsafe fn lay_rows(&mut self) {
        let [m, n, k] = self.size;
        let (rows, thin) = if self.mirrored { (n, self.b.transposed()) } else { (m, self.a) };
        if thin.column == 1 {
            return;
        }
        for (at, to) in self.packed[..rows * k].iter_mut().enumerate() {
            // SAFETY: rows below `rows`, columns below `k`.
            *to = unsafe { *thin.from(at / k, at % k).at };
        }
        let copy = Matrix { at: self.packed.as_ptr(), row: k, column: 1 };
        match self.mirrored {
            true => self.b = copy.transposed(),
            false => self.a = copy,
        }
    }

    /// Packs all of `B`: the columns of a part of k, panel after panel, then the next part.
    ///
    /// # Safety
    /// As [`Product::new`].
    unsafe fn pack(&mut self) {
        let [_, n, k] = self.size;
        for first in (0..k).step_by(depth(k)) {
            let here = depth(k).min(k - first);
            for column in (0..n).step_by(COLUMNS) {
                // SAFETY: parts and panels fill `k * padded(n)` words.
                unsafe {
                    let to = self.packed.as_mut_ptr().add(first * padded(n) + column * here);
                    pack::panel(here, COLUMNS.min(n - column), self.b.from(first, column), to);
                }
            }
        }
        self.ready = true;
    }

    /// Computes the rows from `first` on into `out`, or adds them to what is there.
    ///
    /// # Safety
    /// The product has these rows; `out` can be written, and overlaps neither matrix.
    pub unsafe fn rows(&mut self, first: usize, count: usize, out: Target, add: bool) {
        let [_, n, k] = self.size;
        // SAFETY: the caller's.
        unsafe {
            if k == 0 {
                for at in 0..if add { 0 } else { count * n } {
                    *out.from(at / n, at % n).at = 0.0;
                }
                return;
            }
            let a = self.a.from(first, 0);
            match (self.way, self.mirrored) {
                (Way::Tiles, _) => {
                    // Panels that are used only once are packed where they are used.
                    if !self.ready && (self.in_parts || count > BLOCK) {
                        self.pack();
                    }
                    self.tiles(a, count, out, add);
                }
                (way, false) => thin(way, [count, n, k], a, self.b, out, add),
                (way, true) => thin(way, [n, count, k], self.b.transposed(), a.transposed(), out.transposed(), add),
            }
        }
    }

    /// # Safety
    /// As [`Product::rows`]; `a` begins with the first of them.
    unsafe fn tiles(&mut self, a: Matrix, rows: usize, out: Target, add: bool) {
        let [_, n, k] = self.size;
        let direct = self.b.column == 1 && rows <= FEW;
        let (panels, slivers) = self.packed.split_at_mut(k * padded(n));
        // SAFETY: rows below `rows`, columns below `n`, parts of k below `k`; `room` counts what is packed.
        unsafe {
            for top in (0..rows).step_by(BLOCK) {
                let block = BLOCK.min(rows - top);
                for first in (0..k).step_by(depth(k)) {
                    let here = depth(k).min(k - first);
                    let mut a = a.from(top, first);
                    let mut sliver = ROWS * a.row;
                    if a.column != 1 && (n >= BROAD || a.row != 1) {
                        for row in (0..block).step_by(ROWS) {
                            let to = slivers.as_mut_ptr().add(row * here);
                            pack::sliver(here, ROWS.min(block - row), a.from(row, 0), to);
                        }
                        a = Matrix { at: slivers.as_ptr(), row: 1, column: ROWS };
                        sliver = ROWS * here;
                    }
                    for column in (0..n).step_by(COLUMNS) {
                        let columns = COLUMNS.min(n - column);
                        let mut b = self.b.from(first, column);
                        if self.ready || !direct || !columns.is_multiple_of(4) {
                            let packed = first * padded(n) + column * here;
                            let panel = panels.as_mut_ptr().add(if self.ready { packed } else { 0 });
                            if !self.ready {
                                pack::panel(here, columns, b, panel);
                            }
                            b = Matrix { at: panel, row: padded(columns), column: 1 };
                        }
                        for row in (0..block).step_by(ROWS) {
                            let a = Matrix { at: a.at.add(row / ROWS * sliver), ..a };
                            let to = out.from(top + row, column);
                            sized([ROWS.min(block - row), columns], here, a, b, to, add || first > 0);
                        }
                    }
                }
            }
        }
    }
}

/// The tile of so many rows and columns.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn sized([rows, columns]: [usize; 2], depth: usize, a: Matrix, b: Matrix, out: Target, add: bool) {
    macro_rules! choose {
        ($($rows:literal)*) => {
            match (rows, columns > 4, a.column != 1) {
                $(
                    ($rows, true, false) => tile::<$rows, 2, false>(depth, a, b, out, columns, add),
                    ($rows, true, true) => tile::<$rows, 2, true>(depth, a, b, out, columns, add),
                    ($rows, false, false) => tile::<$rows, 1, false>(depth, a, b, out, columns, add),
                    ($rows, false, true) => tile::<$rows, 1, true>(depth, a, b, out, columns, add),
                )*
                _ => {}
            }
        };
    }
    // SAFETY: the caller's.
    unsafe { choose!(4 3 2 1) }
}

/// A product of few rows, or with a short k.
///
/// # Safety
/// As [`stream`] or [`dots`].
unsafe fn thin(way: Way, size: [usize; 3], a: Matrix, b: Matrix, out: Target, add: bool) {
    let [m, n, k] = size;
    // SAFETY: the caller's.
    unsafe {
        match (way, m) {
            (Way::Stream, _) => stream(size, a, b, out, add),
            (_, 1) => dots::<1>(n, k, a, b, out, add),
            (_, 2) => dots::<2>(n, k, a, b, out, add),
            (_, 3) => dots::<3>(n, k, a, b, out, add),
            (_, 4) => dots::<4>(n, k, a, b, out, add),
            _ => {}
        }
    }
}
