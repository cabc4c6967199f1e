//! The innermost loops. Each adds up an element of the result over k from first to last, in the order that its comment
//! says: it depends on nothing but k, so that rows and columns can be shared out in any way with the same bits.

use super::vector::Four;
use super::{Matrix, Target};

/// Rows of a tile.
pub(super) const ROWS: usize = 4;
/// Columns of a tile.
pub(super) const COLUMNS: usize = 8;
/// Columns that [`stream`] adds up at a time.
const WIDE: usize = 256;

/// Puts sums where they belong, or adds them to what is there.
///
/// # Safety
/// The row of `out` has as many columns as there are sums.
#[inline(always)]
unsafe fn put(sums: &[f32], out: Target, row: usize, add: bool) {
    // SAFETY: the caller's.
    unsafe {
        let to = out.at.add(row * out.row);
        if out.column == 1 {
            let to = std::slice::from_raw_parts_mut(to, sums.len());
            if add {
                to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
            } else {
                to.copy_from_slice(sums);
            }
            return;
        }
        for (column, &sum) in sums.iter().enumerate() {
            let to = to.add(column * out.column);
            *to = if add { *to + sum } else { sum };
        }
    }
}

/// `R` rows by `4 V` columns of a product, of which the first `columns` are kept: one k after the other.
/// `b` has contiguous rows, with `4 V` columns to read; `a` has contiguous columns if `DOWN`, else contiguous rows.
///
/// # Safety
/// `a` has `R` rows of `depth`, `b` has `depth` rows, and `out` has `R` rows of `columns`.
#[inline(never)]
pub(super) unsafe fn tile<const R: usize, const V: usize, const DOWN: bool>(
    depth: usize,
    a: Matrix,
    b: Matrix,
    out: Target,
    columns: usize,
    add: bool,
) {
    let step = if DOWN { a.column } else { 1 };
    let mut sums = [[Four::splat(0.0); V]; R];
    // SAFETY: offsets stay below `depth` rows of `b` and columns of `a`, which the caller has.
    unsafe {
        let mut rows: [*const f32; R] = std::array::from_fn(|i| a.at.add(i * if DOWN { 1 } else { a.row }));
        let mut wide = b.at;
        // One k a round: of more, the compiler would keep so many numbers at hand that they no longer fit in registers.
        for _ in 0..depth {
            let fours: [Four; V] = std::array::from_fn(|v| Four::load(wide.add(4 * v)));
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let a = Four::repeat(*row);
                for (sum, &b) in sums.iter_mut().zip(&fours) {
                    *sum = sum.plus_product(a, b);
                }
            }
            rows = rows.map(|row| row.wrapping_add(step));
            wide = wide.wrapping_add(b.row);
        }
        if out.column == 1 && columns == 4 * V {
            for (row, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    let to = out.at.add(row * out.row + 4 * v);
                    if add { Four::load(to).plus(sum) } else { sum }.store(to);
                }
            }
            return;
        }
        for (row, sums) in sums.iter().enumerate() {
            let sums = sums.map(Four::numbers);
            put(&sums.as_flattened()[..columns], out, row, add);
        }
    }
}

/// A product with few rows or a short k, for a matrix with contiguous rows: one k after the other.
///
/// # Safety
/// `a` is `[m, k]`, `b` `[k, n]` with `b.column` 1, `out` `[m, n]`; k is not 0.
pub(super) unsafe fn stream([m, n, k]: [usize; 3], a: Matrix, b: Matrix, out: Target, add: bool) {
    let mut apart = [0.0f32; ROWS * WIDE];
    for (first, top) in (0..n).step_by(WIDE).flat_map(|first| (0..m).step_by(ROWS).map(move |top| (first, top))) {
        let (wide, rows) = (WIDE.min(n - first), ROWS.min(m - top));
        // SAFETY: all places are of rows below `m` and `k` and columns below `n`.
        unsafe {
            let (a, b, out) = (a.from(top, 0), b.from(0, first), out.from(top, first));
            let in_place = out.column == 1;
            let sums = if in_place { out } else { Target { at: apart.as_mut_ptr(), row: WIDE, column: 1 } };
            let mut at = 0;
            while at < k {
                let anew = at == 0 && !(in_place && add);
                let step = [0, 1, 2, 2].get(k - at).copied().unwrap_or(4);
                for row in 0..rows {
                    let (a, b, sums) = (a.from(row, at), b.from(at, 0), sums.from(row, 0).at);
                    match (step, anew) {
                        (4, true) => add_rows::<4, 2, true>(a, b, sums, wide),
                        (4, false) => add_rows::<4, 2, false>(a, b, sums, wide),
                        (2, true) => add_rows::<2, 2, true>(a, b, sums, wide),
                        (2, false) => add_rows::<2, 2, false>(a, b, sums, wide),
                        (_, true) => add_rows::<1, 4, true>(a, b, sums, wide),
                        (_, false) => add_rows::<1, 4, false>(a, b, sums, wide),
                    }
                }
                at += step;
            }
            if !in_place {
                for (row, sums) in apart.chunks_exact(WIDE).take(rows).enumerate() {
                    put(&sums[..wide], out, row, add);
                }
            }
        }
    }
}

/// Adds to sums, or to 0 if `ANEW`, so many rows of `b` times the first numbers of a row of `a`, one after the other.
///
/// # Safety
/// `a` has `K` columns, `b` `K` rows of `wide`; so many are the sums. `4 V` of them are added up side by side.
#[inline(never)]
unsafe fn add_rows<const K: usize, const V: usize, const ANEW: bool>(
    a: Matrix,
    b: Matrix,
    sums: *mut f32,
    wide: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let a: [f32; K] = std::array::from_fn(|k| *a.from(0, k).at);
        let fours: [Four; K] = a.map(Four::splat);
        let most = wide / (4 * V) * (4 * V);
        for j in (0..most).step_by(4 * V) {
            add_fours::<K, V, ANEW>(&fours, b.from(0, j), sums.add(j));
        }
        for j in (most..wide / 4 * 4).step_by(4) {
            add_fours::<K, 1, ANEW>(&fours, b.from(0, j), sums.add(j));
        }
        for j in wide / 4 * 4..wide {
            let to = sums.add(j);
            let start = if ANEW { 0.0 } else { *to };
            *to = (0..K).fold(start, |sum, k| sum + a[k] * *b.from(k, j).at);
        }
    }
}

/// [`add_rows`] for `4 V` columns.
///
/// # Safety
/// As [`add_rows`].
#[inline(always)]
unsafe fn add_fours<const K: usize, const V: usize, const ANEW: bool>(a: &[Four; K], b: Matrix, sums: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        let mut found: [Four; V] =
            std::array::from_fn(|v| if ANEW { Four::splat(0.0) } else { Four::load(sums.add(4 * v)) });
        for (k, &a) in a.iter().enumerate() {
            for (v, sum) in found.iter_mut().enumerate() {
                *sum = sum.plus_product(a, Four::load(b.from(k, 4 * v).at));
            }
        }
        for (v, sum) in found.into_iter().enumerate() {
            sum.store(sums.add(4 * v));
        }
    }
}

/// `M` rows times columns that are contiguous, as are the rows: every fourth k by itself, then these four sums, then the
/// last k that make no four.
///
/// # Safety
/// `a` is `[M, k]` with `a.column` 1, `b` `[k, n]` with `b.row` 1, `out` `[M, n]`.
#[inline(never)]
pub(super) unsafe fn dots<const M: usize>(n: usize, k: usize, a: Matrix, b: Matrix, out: Target, add: bool) {
    let mut column = 0;
    // SAFETY: columns stay below `n`.
    unsafe {
        while column < n {
            let (b, out) = (b.from(0, column), out.from(0, column));
            if column + 4 <= n && M <= 2 {
                dots_of::<M, 4>(k, a, b, out, add);
                column += 4;
            } else if column + 2 <= n {
                dots_of::<M, 2>(k, a, b, out, add);
                column += 2;
            } else {
                dots_of::<M, 1>(k, a, b, out, add);
                column += 1;
            }
        }
    }
}

/// # Safety
/// As [`dots`], with `N` columns.
#[inline(always)]
unsafe fn dots_of<const M: usize, const N: usize>(k: usize, a: Matrix, b: Matrix, out: Target, add: bool) {
    // SAFETY: the caller's.
    unsafe {
        let rows: [*const f32; M] = std::array::from_fn(|i| a.from(i, 0).at);
        let columns: [*const f32; N] = std::array::from_fn(|j| b.from(0, j).at);
        let mut sums = [[Four::splat(0.0); N]; M];
        for at in (0..k / 4 * 4).step_by(4) {
            let b = columns.map(|column| Four::load(column.add(at)));
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let a = Four::load(row.add(at));
                for (sum, &b) in sums.iter_mut().zip(&b) {
                    *sum = sum.plus_product(a, b);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let mut whole = sums.map(|sum| {
                let [a, b, c, d] = sum.numbers();
                (a + b) + (c + d)
            });
            for at in k / 4 * 4..k {
                for (sum, column) in whole.iter_mut().zip(&columns) {
                    *sum += *rows[i].add(at) * *column.add(at);
                }
            }
            put(&whole, out, i, add);
        }
    }
}
