//! What a device's memory system would move if it read rows straight from host memory: cache lines, counted as a warp of 32
//! threads requests them, with and without the circular shift of PyTorch-Direct; and beside them pages, as a picture.

use std::collections::BTreeSet;

use engine::figure::{Figure, Grid, Mark, Scale, brief};

use super::PAGE;
use crate::plot::axis;

/// Floats of a cache line of 128 bytes, and threads of a warp.
const LINE: usize = 32;

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

/// For each of the first `floats` floats of a table whether it moves, as 0 or 1, if rows of `width` floats are read in
/// aligned blocks of `block` floats.
fn moved(rows: &[u32], width: usize, block: usize, floats: usize) -> Vec<f32> {
    let mut moved = vec![0.0; floats];
    for start in rows.iter().map(|&row| row as usize * width) {
        let (first, end) = (start / block * block, (start + width).next_multiple_of(block));
        moved[first.min(floats)..end.min(floats)].fill(1.0);
    }
    moved
}

/// Columns of the strip, and floats of each: a kilobyte.
const STRIP: [usize; 2] = [256, 256];

/// The start of a table of so many floats as a strip: rows that are needed, lines and pages that bring them.
pub fn strip(rows: &[u32], width: usize, floats: usize) -> Figure {
    let shown = (STRIP[0] * STRIP[1]).min(floats);
    let moved = [1, LINE, PAGE / 4].map(|block| moved(rows, width, block, shown));
    let share = |column: &[f32]| column.iter().sum::<f32>() / column.len() as f32;
    let values: Vec<f32> = moved.iter().flat_map(|strip| strip.chunks(STRIP[1]).map(share)).collect();
    let [needed, _, paged] = moved.map(|strip| strip.iter().map(|&moved| f64::from(moved)).sum::<f64>());
    let value = format!("pages move {}× what is needed", brief(paged / needed.max(1.0)));
    let grid = Grid { width: values.len() / 3, height: 3, values };
    let alt = format!("The first {} KB of the feature table: {value}.", grid.width);
    let rows = ["rows needed", "lines of 128 B", "pages of 4 KB"].map(String::from).to_vec();
    let columns = (0..grid.width).map(|kilobyte| kilobyte.to_string()).collect();
    let map = Mark::HeatMap { grid, scale: Scale::Linear, range: Some([0.0, 1.0]), rows, columns };
    Figure { value, x: axis("place in the feature table", "KB"), marks: vec![map], alt, ..Figure::default() }
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
    // Row 1 of three floats lies in the second block of two floats and the third.
    assert_eq!(moved(&[1], 3, 2, 8), [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(moved(&[1], 3, 1, 5), [0.0, 0.0, 0.0, 1.0, 1.0]);
}
