//! What a device's memory system would move if it read rows straight from host memory: cache lines, counted as a warp of 32
//! threads requests them, with and without the circular shift.

/// Floats of a cache line of 128 bytes, and threads of a warp.
pub const LINE: usize = 32;

/// The element of a row that thread `t` of its warps reads, if any: `t` itself, or with the circular shift `(t - s) mod F'`,
/// where `s` is the row start's place in its line and `F'` the width rounded up to whole warps.
pub fn element(t: usize, start: usize, width: usize, shifted: bool) -> Option<usize> {
    let padded = width.next_multiple_of(LINE);
    let element = if shifted { (t + padded - start % LINE) % padded } else { t };
    (element < width).then_some(element)
}

/// Lines requested for the row of `width` floats that starts at float `start`: each warp requests each line that its
/// threads touch once.
pub fn row_lines(start: usize, width: usize, shifted: bool) -> usize {
    let padded = width.next_multiple_of(LINE);
    (0..padded)
        .step_by(LINE)
        .map(|warp| {
            let mut lines: Vec<usize> = (warp..warp + LINE)
                .filter_map(|t| element(t, start, width, shifted))
                .map(|element| (start + element) / LINE)
                .collect();
            lines.sort_unstable();
            lines.dedup();
            lines.len()
        })
        .sum()
}

/// Lines requested for rows of a table by index. A row's lines depend only on where in a line it starts, so each of the
/// 32 places is simulated once.
pub fn count(index: &[u32], width: usize, shifted: bool) -> usize {
    let by_place: Vec<usize> = (0..LINE).map(|place| row_lines(place, width, shifted)).collect();
    index.iter().map(|&row| by_place[row as usize * width % LINE]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [usize; 6] = [1, 31, 32, 33, 100, 784];

    #[test]
    fn the_shift_changes_the_order_of_reading_and_not_the_row() {
        for width in WIDTHS {
            for row in 0..70 {
                let start = row * width;
                let mut read = vec![0; width];
                for t in 0..width.next_multiple_of(LINE) {
                    if let Some(element) = element(t, start, width, true) {
                        read[element] += 1;
                    }
                }
                assert!(read.iter().all(|&times| times == 1), "width {width}, row {row}");
            }
        }
    }

    #[test]
    fn shifted_reads_never_need_more_lines() {
        for width in WIDTHS {
            for start in 0..2 * LINE {
                let (plain, shifted) = (row_lines(start, width, false), row_lines(start, width, true));
                assert!(shifted <= plain, "width {width}, start {start}: {shifted} > {plain}");
                assert!(shifted <= width.div_ceil(LINE) + 1);
                // No read needs fewer requests than the row has lines.
                assert_eq!(shifted, (start % LINE + width).div_ceil(LINE), "width {width}, start {start}");
            }
        }
    }

    #[test]
    fn aligned_rows_gain_nothing() {
        for width in [32, 64, 800] {
            for row in 0..10 {
                assert_eq!(row_lines(row * width, width, false), row_lines(row * width, width, true));
            }
        }
    }

    #[test]
    fn counts_by_place_equal_counts_by_row() {
        let index = [0, 1, 2, 7, 7, 31, 32, 999];
        for width in WIDTHS {
            for shifted in [false, true] {
                let each: usize = index.iter().map(|&row| row_lines(row as usize * width, width, shifted)).sum();
                assert_eq!(count(&index, width, shifted), each);
            }
        }
    }

    #[test]
    fn rows_of_33_floats_save_a_fifth_of_the_lines() {
        let index: Vec<u32> = (0..1000).collect();
        let (plain, shifted) = (count(&index, 33, false), count(&index, 33, true));
        assert!(5 * shifted <= 4 * plain, "{shifted} of {plain}");
    }
}
