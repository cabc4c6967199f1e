//! Dense matrices: products, QR by Householder's reflections, Cholesky's factor, least squares.

use super::vector::{dot, norm};

/// A matrix `[rows, columns]`, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `rows * columns` numbers.
    pub values: Vec<f64>,
}

impl Matrix {
    /// A matrix of what a function says of each row and column.
    #[must_use]
    pub fn from_fn(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f64) -> Self {
        let values = (0..rows * columns).map(|at| value(at / columns, at % columns)).collect();
        Self { rows, columns, values }
    }

    /// Ones on the diagonal.
    #[must_use]
    pub fn identity(n: usize) -> Self {
        Self::from_fn(n, n, |row, column| f64::from(u8::from(row == column)))
    }

    /// One row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// One number; NaN outside.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> f64 {
        if row < self.rows && column < self.columns { self.values[row * self.columns + column] } else { f64::NAN }
    }

    /// Rows and columns exchanged.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |row, column| self.at(column, row))
    }

    /// `self * other`; `None` unless their inner sizes agree.
    #[must_use]
    pub fn times(&self, other: &Self) -> Option<Self> {
        let turned = other.transposed();
        (self.columns == other.rows)
            .then(|| Self::from_fn(self.rows, other.columns, |row, column| dot(self.row(row), turned.row(column))))
    }

    /// `Q` `[rows, columns]` with orthonormal columns and the upper triangle `R` `[columns, columns]` with a diagonal that
    /// is not negative: `self = Q R`. `None` of a matrix that is wider than high.
    #[must_use]
    pub fn qr(&self) -> Option<[Self; 2]> {
        let (m, n) = (self.rows, self.columns);
        if n > m {
            return None;
        }
        // Column by column, so that reflections touch contiguous memory.
        let mut work = self.transposed();
        let mut reflectors: Vec<Vec<f64>> = Vec::with_capacity(n);
        for k in 0..n {
            let mut v = work.row(k)[k..].to_vec();
            let length = norm(&v);
            v[0] += if v[0] > 0.0 { length } else { -length };
            let scale = norm(&v);
            if scale > 0.0 {
                v.iter_mut().for_each(|x| *x /= scale);
            }
            for column in k..n {
                reflect(&mut work.values[column * m + k..(column + 1) * m], &v);
            }
            reflectors.push(v);
        }
        let mut turned = Self::from_fn(n, m, |row, column| f64::from(u8::from(row == column)));
        for (k, v) in reflectors.iter().enumerate().rev() {
            for column in 0..n {
                reflect(&mut turned.values[column * m + k..(column + 1) * m], v);
            }
        }
        let sign: Vec<f64> = (0..n).map(|k| if work.at(k, k) < 0.0 { -1.0 } else { 1.0 }).collect();
        let q = Self::from_fn(m, n, |row, column| sign[column] * turned.at(column, row));
        let upper = |row: usize, column: usize| if row <= column { sign[row] * work.at(column, row) } else { 0.0 };
        Some([q, Self::from_fn(n, n, upper)])
    }

    /// The lower triangle `L` with a positive diagonal, `self = L L^T`. `None` unless it is square and positive definite;
    /// only its lower triangle is read.
    #[must_use]
    pub fn cholesky(&self) -> Option<Self> {
        let n = self.rows;
        if self.columns != n {
            return None;
        }
        let mut lower = Self { rows: n, columns: n, values: vec![0.0; n * n] };
        for row in 0..n {
            for column in 0..=row {
                let known = dot(&lower.row(row)[..column], &lower.row(column)[..column]);
                let rest = self.at(row, column) - known;
                lower.values[row * n + column] = if row > column {
                    rest / lower.at(column, column)
                } else if rest > 0.0 && rest.is_finite() {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(lower)
    }

    /// `x` of `self x = b` for a symmetric positive definite matrix, by Cholesky's factor. `None` as of
    /// [`Matrix::cholesky`], or if `b` has another size.
    #[must_use]
    pub fn solve(&self, b: &[f64]) -> Option<Vec<f64>> {
        let lower = self.cholesky()?;
        if b.len() != self.rows {
            return None;
        }
        let mut x = b.to_vec();
        for row in 0..x.len() {
            x[row] = (x[row] - dot(&lower.row(row)[..row], &x[..row])) / lower.at(row, row);
        }
        back_substitute(&lower.transposed(), x)
    }
}

/// `x - 2 (v^T x) v`
fn reflect(x: &mut [f64], v: &[f64]) {
    let along = 2.0 * dot(x, v);
    x.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
}

/// `x` of `upper x = b`; `None` where the diagonal has a zero.
fn back_substitute(upper: &Matrix, mut x: Vec<f64>) -> Option<Vec<f64>> {
    for row in (0..x.len()).rev() {
        let pivot = upper.at(row, row);
        if pivot == 0.0 {
            return None;
        }
        x[row] = (x[row] - dot(&upper.row(row)[row + 1..], &x[row + 1..])) / pivot;
    }
    Some(x)
}

/// The `x` that makes `|a x - b|` least, by QR. `None` if `a` has fewer rows than columns or its columns depend on each
/// other, or if `b` has another size.
#[must_use]
pub fn least_squares(a: &Matrix, b: &[f64]) -> Option<Vec<f64>> {
    let [q, r] = a.qr()?;
    let turned = q.transposed();
    (b.len() == a.rows)
        .then(|| (0..a.columns).map(|row| dot(turned.row(row), b)).collect())
        .and_then(|right| back_substitute(&r, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Stream};

    fn random(rows: usize, columns: usize) -> Matrix {
        let mut rng = Rng::new(3, Stream::Probe, 0);
        let values = (0..rows * columns).map(|_| f64::from(rng.normal())).collect();
        Matrix { rows, columns, values }
    }

    fn close(a: &Matrix, b: &Matrix) {
        assert_eq!((a.rows, a.columns), (b.rows, b.columns));
        a.values.iter().zip(&b.values).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{a} against {b}"));
    }

    /// Wilkinson's textbook example: `numpy.linalg.qr([[12, -51, 4], [6, 167, -68], [-4, 24, -41]])`, signs turned.
    #[test]
    fn a_known_qr() {
        let values = vec![12.0, -51.0, 4.0, 6.0, 167.0, -68.0, -4.0, 24.0, -41.0];
        let [q, r] = Matrix { rows: 3, columns: 3, values }.qr().unwrap();
        let expected = vec![14.0, 21.0, -14.0, 0.0, 175.0, -70.0, 0.0, 0.0, 35.0];
        close(&r, &Matrix { rows: 3, columns: 3, values: expected });
        assert!((q.at(0, 0) - 6.0 / 7.0).abs() < 1e-14 && (q.at(1, 1) - 158.0 / 175.0).abs() < 1e-14);
    }

    #[test]
    fn qr_has_orthonormal_columns_and_rebuilds_the_matrix() {
        for [rows, columns] in [[1, 1], [7, 7], [40, 9]] {
            let matrix = random(rows, columns);
            let [q, r] = matrix.qr().unwrap();
            close(&q.transposed().times(&q).unwrap(), &Matrix::identity(columns));
            close(&q.times(&r).unwrap(), &matrix);
        }
        assert_eq!(random(3, 4).qr(), None);
    }

    #[test]
    fn a_known_cholesky_and_what_has_none() {
        let spd = Matrix { rows: 3, columns: 3, values: vec![4.0, 12.0, -16.0, 12.0, 37.0, -43.0, -16.0, -43.0, 98.0] };
        let lower = Matrix { rows: 3, columns: 3, values: vec![2.0, 0.0, 0.0, 6.0, 1.0, 0.0, -8.0, 5.0, 3.0] };
        assert_eq!(spd.cholesky(), Some(lower));
        let x = spd.solve(&[1.0, 2.0, 3.0]).unwrap();
        for (row, wanted) in [1.0, 2.0, 3.0].into_iter().enumerate() {
            assert!((dot(spd.row(row), &x) - wanted).abs() < 1e-11);
        }
        assert_eq!(Matrix { rows: 2, columns: 2, values: vec![1.0, 2.0, 2.0, 1.0] }.cholesky(), None);
        assert_eq!(spd.solve(&[1.0]), None);
    }

    #[test]
    fn least_squares_leave_a_residual_across_the_columns() {
        // The line through (0, 0), (1, 1), (2, 5): intercept -1/2, slope 5/2.
        let a = Matrix { rows: 3, columns: 2, values: vec![1.0, 0.0, 1.0, 1.0, 1.0, 2.0] };
        let x = least_squares(&a, &[0.0, 1.0, 5.0]).unwrap();
        assert!((x[0] + 0.5).abs() < 1e-13 && (x[1] - 2.5).abs() < 1e-13);
        assert_eq!(least_squares(&a, &[1.0]), None);
    }
}
