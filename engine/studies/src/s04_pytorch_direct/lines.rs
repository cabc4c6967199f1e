//! What a device's memory system would move if it read rows straight from host memory: cache lines, counted as a warp of 32
//! threads requests them, with and without the circular shift; and beside them pages, as a picture.

use std::collections::BTreeSet;

use engine::figure::{Figure, Grid, Mark, Scale, brief};

use super::world::World;
use super::{LINE_WIDTHS, LINES, STEPS};
use crate::fetch::PAGE;
use crate::plot::axis;
use crate::{Context, StudyError};

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
fn count(index: &[u32], width: usize, shifted: bool) -> usize {
    let by_place: Vec<usize> = (0..LINE).map(|place| of_row(place, width, shifted)).collect();
    index.iter().map(|&row| by_place[row as usize * width % LINE]).sum()
}

/// Lines that a device would request for the rows of every step, for rows of several widths.
pub fn count_all(context: &mut Context<'_>, world: &World, seed: u64) -> Result<(), StudyError> {
    let steps = 0..world.knobs.get(&STEPS);
    let rows: Vec<u32> = steps.flat_map(|step| world.training_rows(seed, step)).collect();
    let outcome = context.results.record("B", seed)?;
    for width in LINE_WIDTHS {
        for (shifted, number) in [false, true].into_iter().zip(LINES) {
            let lines = count(&rows, width, shifted);
            outcome.number(number.of(width as u64), lines as f64 / rows.len() as f64);
        }
    }
    let strip = memory_strip(&rows[..world.rows().min(rows.len())], world.width, world.features.len());
    context.results.keep("memory", strip);
    Ok(())
}

/// Columns of the memory strip, and floats of each: a kilobyte.
const STRIP: [usize; 2] = [256, 256];

/// The start of the table as a strip: rows that a step needs, lines and pages that bring them.
fn memory_strip(rows: &[u32], width: usize, floats: usize) -> Figure {
    let shown = (STRIP[0] * STRIP[1]).min(floats);
    // Which of the floats move if blocks of a size do.
    let lit = [1, LINE, PAGE / 4].map(|block| {
        let mut lit = vec![0.0_f32; shown];
        for start in rows.iter().map(|&row| row as usize * width) {
            let (start, end) = (start / block * block, (start + width).next_multiple_of(block));
            lit[start.min(shown)..end.min(shown)].fill(1.0);
        }
        lit
    });
    let share = |column: &[f32]| column.iter().sum::<f32>() / column.len() as f32;
    let values: Vec<f32> = lit.iter().flat_map(|strip| strip.chunks(STRIP[1]).map(share)).collect();
    let [needed, _, paged] = lit.map(|strip| strip.iter().map(|&lit| f64::from(lit)).sum::<f64>());
    let value = format!("pages move {}× what is needed", brief(paged / needed.max(1.0)));
    let width = values.len() / 3;
    let rows = ["rows needed", "lines of 128 B", "pages of 4 KB"].map(String::from).to_vec();
    let grid = Grid { width, height: 3, values };
    let map = Mark::HeatMap { grid, scale: Scale::Linear, range: Some([0.0, 1.0]), rows, columns: vec![] };
    let alt = format!("The first {width} KB of the feature table: {value}.");
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
}
