//! Our own products, compiled natively, against products in f64.

use proptest::prelude::*;

use super::own;
use super::{Matrix, Target};
use crate::rng::{Rng, Stream};

/// A matrix among other words, in one of four layouts.
struct Laid {
    words: Vec<f32>,
    row: usize,
    column: usize,
}

impl Laid {
    /// By rows, by columns, by rows with a gap, or with a gap after every element.
    fn new(rows: usize, columns: usize, layout: usize, seed: u32) -> Self {
        let (row, column) = match layout {
            0 => (columns.max(1), 1),
            1 => (1, rows.max(1)),
            2 => (columns + 3, 1),
            _ => (2 * columns + 1, 2),
        };
        let mut rng = Rng::new(u64::from(seed), Stream::Probe, layout as u32);
        let size = 1 + rows.saturating_sub(1) * row + columns.saturating_sub(1) * column;
        Laid { words: (0..size).map(|_| rng.normal()).collect(), row, column }
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        self.words[row * self.row + column * self.column]
    }

    fn matrix(&self) -> Matrix {
        Matrix { at: self.words.as_ptr(), row: self.row, column: self.column }
    }
}

/// `out (+)= a b`, in shares of so many rows.
fn multiply(size: [usize; 3], a: &Laid, b: &Laid, out: &mut Laid, add: bool, share: usize) {
    let [m, ..] = size;
    let mut packed = vec![f32::NAN; own::room(size)];
    let (row, column) = (out.row, out.column);
    // SAFETY: `Laid` has all elements.
    unsafe {
        let mut product = own::Product::new(size, a.matrix(), b.matrix(), &mut packed);
        // Told or not, the same comes out.
        if share < m && m.is_multiple_of(2) {
            product.in_parts();
        }
        for first in (0..m).step_by(share) {
            let at = out.words[first * row..].as_mut_ptr();
            product.rows(first, share.min(m - first), Target { at, row, column }, add);
        }
    }
}

fn check(size: [usize; 3], layouts: [usize; 3], add: bool, share: usize) {
    let [m, n, k] = size;
    let (a, b) = (Laid::new(m, k, layouts[0], 1), Laid::new(k, n, layouts[1], 2));
    let before = Laid::new(m, n, layouts[2], 3);
    let mut out = Laid::new(m, n, layouts[2], 3);
    multiply(size, &a, &b, &mut out, add, m.max(1));
    let mut touched = vec![false; out.words.len()];
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        touched[i * out.row + j * out.column] = true;
        let terms = (0..k).map(|l| f64::from(a.at(i, l)) * f64::from(b.at(l, j)));
        let start = if add { f64::from(before.at(i, j)) } else { 0.0 };
        let (sum, size) = terms.fold((start, start.abs()), |(sum, size), x| (sum + x, size + x.abs()));
        // Every addition and every product is off by at most half a unit.
        let bound = size * f64::from(f32::EPSILON) * (k + 2) as f64 * 0.5;
        let found = f64::from(out.at(i, j));
        assert!((found - sum).abs() <= bound, "{size} {layouts:?} at {i}, {j}: {found}, not {sum}");
    }
    for (at, _) in touched.iter().enumerate().filter(|(_, touched)| !**touched) {
        assert_eq!(out.words[at], before.words[at], "a word between the elements was written");
    }
    let mut shared = Laid::new(m, n, layouts[2], 3);
    multiply(size, &a, &b, &mut shared, add, share);
    let bits = |laid: &Laid| laid.words.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&shared), bits(&out), "{size:?} {layouts:?} in shares of {share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn equals_a_product_in_f64_in_every_share(
        size in prop::array::uniform3(prop_oneof![0usize..=9, 10usize..40]),
        layouts in prop::array::uniform3(0usize..4),
        add: bool,
        share in 1usize..20,
    ) {
        check(size, layouts, add, share);
    }
}

#[test]
fn long_and_wide_products_in_parts() {
    for size in [[70, 19, 600], [130, 33, 257], [3, 300, 513], [1, 600, 300], [300, 3, 300], [9, 270, 2], [65, 520, 1]]
    {
        for layouts in (0..16).map(|at| [at % 4, at / 4, 0]).chain([[0, 0, 1], [1, 0, 3], [0, 1, 2]]) {
            check(size, layouts, false, 7);
            check(size, layouts, true, 64);
        }
    }
}

#[test]
fn what_is_no_number_stays_in_its_row_and_column() {
    for (size, layouts) in [
        ([13, 11, 9], [0, 0, 0]),
        ([13, 11, 9], [1, 1, 0]),
        ([2, 11, 9], [0, 1, 0]),
        ([13, 3, 9], [1, 0, 0]),
        ([1, 11, 9], [0, 0, 0]),
        ([13, 11, 2], [0, 0, 0]),
    ] {
        for value in [f32::NAN, f32::INFINITY] {
            let [m, n, k] = size;
            let (mut a, b) = (Laid::new(m, k, layouts[0], 1), Laid::new(k, n, layouts[1], 2));
            let at = (m - 1) * a.row + (k - 1) * a.column;
            a.words[at] = value;
            let mut out = Laid::new(m, n, layouts[2], 3);
            multiply(size, &a, &b, &mut out, false, m);
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let found = out.at(i, j);
                assert_eq!(found.is_finite(), i + 1 < m, "{size:?} {layouts:?} at {i}, {j}: {found}");
                assert!(i + 1 < m || found.is_nan() == value.is_nan());
            }
        }
    }
}

#[test]
fn agrees_with_the_native_product() {
    for (size, layouts) in [([37, 53, 71], [0, 0, 0]), ([40, 24, 33], [1, 0, 0]), ([40, 24, 33], [0, 1, 0])] {
        let [m, n, k] = size;
        let (a, b) = (Laid::new(m, k, layouts[0], 1), Laid::new(k, n, layouts[1], 2));
        let (mut ours, mut theirs) = (Laid::new(m, n, 0, 3), Laid::new(m, n, 0, 3));
        multiply(size, &a, &b, &mut ours, false, m);
        let out = Target { at: theirs.words.as_mut_ptr(), row: theirs.row, column: theirs.column };
        // SAFETY: `Laid` has all elements.
        unsafe { super::Product::new(size, a.matrix(), b.matrix(), &mut []).rows(0, m, out, false) };
        for (x, y) in ours.words.iter().zip(&theirs.words) {
            assert!((x - y).abs() < 1e-4, "{x}, not {y}");
        }
    }
}
