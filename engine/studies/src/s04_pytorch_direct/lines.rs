//! What a device's memory system would move if it read rows straight from host memory: cache lines, counted as a warp of 32
//! threads requests them, with and without the circular shift.

use std::collections::BTreeSet;

/// Floats of a cache line of 128 bytes, and threads of a warp.
pub const LINE: usize = 32;

/// Lines requested for the row of `width` floats that starts at float `start`: each warp requests each line that its
/// threads touch once. Thread t reads element t, or with the circular shift `(t - s) mod F'`, where s is the row start's
/// place in its line and F' the width rounded up to whole warps.
fn of_row(start: usize, width: usize, shifted: bool) -> usize {
    let padded = width.next_multiple_of(LINE);
    let shift = if shifted { padded - start % LINE } else { 0 };
    let of_warp = |warp: usize| {
        let elements = (warp..warp + LINE).map(|t| (t + shift) % padded).filter(|&element| element < width);
        elements.map(|element| (start + element) / LINE).collect::<BTreeSet<_>>().len()
    };
    (0..padded).step_by(LINE).map(of_warp).sum()
}

/// Lines requested for rows of a table by index. A row's lines depend only on where in a line it starts, so each of the
/// 32 places is simulated once.
pub fn count(index: &[u32], width: usize, shifted: bool) -> usize {
    let by_place: Vec<usize> = (0..LINE).map(|place| of_row(place, width, shifted)).collect();
    index.iter().map(|&row| by_place[row as usize * width % LINE]).sum()
}

#[cfg(test)]
#[test]
fn shifted_reads_never_need_more_lines_than_a_row_has() {
    for width in [1, 31, 32, 33, 100, 784] {
        for start in 0..2 * LINE {
            let [plain, shifted] = [false, true].map(|shifted| of_row(start, width, shifted));
            assert!(
                shifted <= plain && shifted == (start % LINE + width).div_ceil(LINE),
                "width {width}, start {start}"
            );
            assert!(width % LINE > 0 || start % LINE > 0 || plain == shifted, "aligned rows gain nothing");
        }
        let index = [0, 1, 2, 7, 7, 31, 32, 999];
        let each = index.map(|row| of_row(row as usize * width, width, true));
        assert_eq!(count(&index, width, true), each.iter().sum::<usize>(), "width {width}");
    }
}
