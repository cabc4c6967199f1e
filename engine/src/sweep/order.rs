//! The order in which cells run: a coarse picture first, then ever finer ones.

/// Every cell of a grid (`row * width + column`) once: first the corners of squares as large as the grid, then of squares
/// half as large, and so on, so that what is filled is spread evenly at any moment.
pub fn coarse_to_fine(width: usize, height: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(width * height);
    let mut stride = width.max(height).next_power_of_two();
    while stride > 0 {
        for row in (0..height).step_by(stride) {
            for column in (0..width).step_by(stride) {
                // Both places even at twice the stride: was in a coarser picture.
                let known = row % (2 * stride) == 0 && column % (2 * stride) == 0;
                if !known || stride >= width.max(height) {
                    order.push(row * width + column);
                }
            }
        }
        stride /= 2;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_comes_once() {
        for (width, height) in [(1, 1), (8, 8), (5, 3), (1, 7), (13, 2), (0, 4)] {
            let mut order = coarse_to_fine(width, height);
            order.sort_unstable();
            assert_eq!(order, (0..width * height).collect::<Vec<_>>(), "{width} x {height}");
        }
    }

    #[test]
    fn a_quarter_of_the_cells_leaves_no_hole() {
        let order = coarse_to_fine(8, 8);
        let first = &order[..16];
        for cell in 0..64_usize {
            let near = |known: &usize| (known % 8).abs_diff(cell % 8) <= 1 && (known / 8).abs_diff(cell / 8) <= 1;
            assert!(first.iter().any(near), "cell {cell}");
        }
    }
}
