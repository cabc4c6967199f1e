//! What methods have in common: means, distances, rows of probabilities.

use engine::numeric::{Matrix, argmax, dot, norm};

/// Rows that lost `centre` and got length 1 (CL2N; Wang et al. 2019). A row at the centre stays there.
#[must_use]
pub fn normalised(points: &Matrix, centre: &[f64]) -> Matrix {
    let mut points = points.clone();
    for row in points.values.chunks_mut(points.columns.max(1)) {
        row.iter_mut().zip(centre).for_each(|(x, centre)| *x -= centre);
        let length = norm(row);
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x /= length);
        }
    }
    points
}

/// The mean of the first rows of each class, `[ways, dims]`.
#[must_use]
pub fn class_means(points: &Matrix, labels: &[usize], ways: usize) -> Matrix {
    let weights = labels.iter().map(|&label| (label, 1.0)).enumerate();
    weighted_means(points, weights, ways)
}

/// Means of rows by class, each row with a weight. `members`: row, class, weight. Zeros for a class without weight.
pub(super) fn weighted_means(
    points: &Matrix,
    members: impl Iterator<Item = (usize, (usize, f64))>,
    ways: usize,
) -> Matrix {
    let dims = points.columns;
    let mut means = Matrix { rows: ways, columns: dims, values: vec![0.0; ways * dims] };
    let mut totals = vec![0.0; ways];
    for (row, (class, weight)) in members {
        let mean = &mut means.values[class * dims..(class + 1) * dims];
        mean.iter_mut().zip(points.row(row)).for_each(|(mean, x)| *mean += weight * x);
        totals[class] += weight;
    }
    for (mean, total) in means.values.chunks_mut(dims.max(1)).zip(totals) {
        if total > 0.0 {
            mean.iter_mut().for_each(|mean| *mean /= total);
        }
    }
    means
}

/// `|a_i - b_j|^2` of rows, `[a.rows, b.rows]`.
#[must_use]
pub fn squared_distances(a: &Matrix, b: &Matrix) -> Matrix {
    Matrix::from_fn(a.rows, b.rows, |i, j| squared_distance(a.row(i), b.row(j)))
}

pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let square = |a: &f64, b: &f64| (a - b) * (a - b);
    let rest: f64 = a4.remainder().iter().zip(b4.remainder()).map(|(a, b)| square(a, b)).sum();
    for (a, b) in a4.zip(b4) {
        for lane in 0..4 {
            sums[lane] += square(&a[lane], &b[lane]);
        }
    }
    sums[0] + sums[1] + (sums[2] + sums[3]) + rest
}

/// Cosines of the angles between rows, `[a.rows, b.rows]`; 0 with a row of zeros.
pub(super) fn cosines(a: &Matrix, b: &Matrix) -> Matrix {
    let lengths = |of: &Matrix| -> Vec<f64> { (0..of.rows).map(|row| norm(of.row(row)).max(1e-12)).collect() };
    let (of_a, of_b) = (lengths(a), lengths(b));
    Matrix::from_fn(a.rows, b.rows, |i, j| dot(a.row(i), b.row(j)) / (of_a[i] * of_b[j]))
}

/// The rows from `first` on.
pub(super) fn rows_from(points: &Matrix, first: usize) -> Matrix {
    let values = points.values[first * points.columns..].to_vec();
    Matrix { rows: points.rows - first, columns: points.columns, values }
}

/// The rows before `end`.
pub(super) fn rows_to(points: &Matrix, end: usize) -> Matrix {
    Matrix { rows: end, columns: points.columns, values: points.values[..end * points.columns].to_vec() }
}

/// Each row's softmax.
pub(super) fn softmax_rows(mut logits: Matrix) -> Matrix {
    logits.values.chunks_mut(logits.columns.max(1)).for_each(softmax);
    logits
}

/// Softmax in place; the largest is taken off first.
pub(super) fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|x| *x = libm::exp(*x - largest));
    let total: f64 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= total);
}

/// Place of each row's largest value, the first of equals.
pub(super) fn largest(rows: &Matrix) -> Vec<usize> {
    (0..rows.rows).map(|row| argmax(rows.row(row)).unwrap_or(0)).collect()
}

/// Place of each row's smallest value, the first of equals.
pub(super) fn smallest(rows: &Matrix) -> Vec<usize> {
    let least = |row: &[f64]| (0..row.len()).reduce(|best, at| if row[at] < row[best] { at } else { best });
    (0..rows.rows).map(|row| least(rows.row(row)).unwrap_or(0)).collect()
}

/// The row of `of` that is nearest to each row of `points`.
#[must_use]
pub fn nearest(points: &Matrix, of: &Matrix) -> Vec<usize> {
    smallest(&squared_distances(points, of))
}
