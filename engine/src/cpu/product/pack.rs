//! Matrices copied into the order in which [`super::kernel::tile`] reads them.

use super::Matrix;
use super::kernel::{COLUMNS, ROWS};
use super::vector::Four;

/// Columns with those that fill the last panel: it has four or eight.
pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(4)
}

/// At most [`COLUMNS`] columns of `b` as a panel of four or eight words a row; words without a column are 0.
///
/// # Safety
/// `b` is `[depth, columns]`, `to` has as many words as the panel.
#[inline(never)]
pub(super) unsafe fn panel(depth: usize, columns: usize, b: Matrix, to: *mut f32) {
    let width = padded(columns);
    // SAFETY: the caller's: rows below `depth`, columns below `columns`, words below `width`.
    unsafe {
        if b.column == 1 && columns == COLUMNS {
            for k in 0..depth {
                let from = b.at.add(k * b.row);
                Four::load(from).store(to.add(COLUMNS * k));
                Four::load(from.add(4)).store(to.add(COLUMNS * k + 4));
            }
            return;
        }
        let fours = if b.row == 1 { depth / 4 } else { 0 };
        for four in (0..width).step_by(4) {
            let done = if four + 4 <= columns { 4 * fours } else { 0 };
            for k in (0..done).step_by(4) {
                let from = |j: usize| Four::load(b.at.add((four + j) * b.column + k));
                for (i, row) in Four::transpose([from(0), from(1), from(2), from(3)]).into_iter().enumerate() {
                    row.store(to.add((k + i) * width + four));
                }
            }
            for k in done..depth {
                for j in four..four + 4 {
                    *to.add(k * width + j) = if j < columns { *b.at.add(k * b.row + j * b.column) } else { 0.0 };
                }
            }
        }
    }
}

/// At most [`ROWS`] rows of `a`, that many words a column, whatever there are of them.
///
/// # Safety
/// `a` is `[rows, depth]`, `to` has `depth * ROWS` words.
#[inline(never)]
pub(super) unsafe fn sliver(depth: usize, rows: usize, a: Matrix, to: *mut f32) {
    // SAFETY: the caller's: rows below `rows`, columns below `depth`.
    unsafe {
        if a.row == 1 && rows == ROWS {
            for k in 0..depth {
                Four::load(a.at.add(k * a.column)).store(to.add(ROWS * k));
            }
            return;
        }
        for k in 0..depth {
            for i in 0..rows {
                *to.add(ROWS * k + i) = *a.at.add(i * a.row + k * a.column);
            }
        }
    }
}
