//! Eigenvalues and eigenvectors of real symmetric matrices, in f64 on the host: Householder's reduction to a tridiagonal
//! matrix, then implicit QL steps (Wilkinson, Reinsch, "Handbook for automatic computation", 1971, procedures tred2 and
//! tql2). Only additions, products, quotients and roots: the same bits natively and in WASM.

use super::vector::{dot, norm};

/// Most QL steps for one eigenvalue; a handful is usual.
const MOST_STEPS: usize = 60;

/// An eigen-decomposition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Eigen {
    /// Eigenvalues, largest first.
    pub values: Vec<f64>,
    /// Unit eigenvectors in the same order. Of the two signs, the one that makes the entry of largest magnitude positive.
    pub vectors: Vec<Vec<f64>>,
}

/// Decomposes the symmetric matrix `[n, n]`, row by row; `n * n` numbers. `None` if it has another size or a number that
/// is not finite.
#[must_use]
pub fn eigen(mut matrix: Vec<f64>, n: usize) -> Option<Eigen> {
    if matrix.len() != n * n || matrix.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let (diagonal, off, reflectors) = tridiagonalise(&mut matrix, n);
    let mut rows = identity(n);
    for (k, reflector) in reflectors.iter().enumerate().rev() {
        for row in &mut rows[k + 1..] {
            reflect(&mut row[k + 1..], reflector);
        }
    }
    sorted(diagonal, off, rows)
}

/// Decomposes the symmetric tridiagonal matrix with `diagonal` `[n]` and `off` `[n - 1]` beside it. `None` as of
/// [`eigen`].
#[must_use]
pub fn eigen_tridiagonal(diagonal: &[f64], off: &[f64]) -> Option<Eigen> {
    let n = diagonal.len();
    if off.len() + 1 != n.max(1) || diagonal.iter().chain(off).any(|x| !x.is_finite()) {
        return None;
    }
    let off = off.iter().copied().chain([0.0]).take(n).collect();
    sorted(diagonal.to_vec(), off, identity(n))
}

/// The eigenvalues alone, largest first, in a fraction of the time. `None` as of [`eigen`].
#[must_use]
pub fn eigenvalues(mut matrix: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    if matrix.len() != n * n || matrix.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let (mut values, mut off, _) = tridiagonalise(&mut matrix, n);
    diagonalise(&mut values, &mut off, &mut [])?;
    super::sort_by(&mut values, &|a, b| b.total_cmp(a));
    Some(values)
}

/// Row i holds what becomes eigenvector i: rotations then touch contiguous memory.
fn identity(n: usize) -> Vec<Vec<f64>> {
    (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect()
}

/// Decomposes `Z T Z^T` of the tridiagonal T, Z's columns in `rows`.
fn sorted(mut diagonal: Vec<f64>, mut off: Vec<f64>, mut rows: Vec<Vec<f64>>) -> Option<Eigen> {
    diagonalise(&mut diagonal, &mut off, &mut rows)?;
    let mut order: Vec<usize> = (0..diagonal.len()).collect();
    super::sort_by(&mut order, &|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    let vectors = order.iter().map(|&k| signed(std::mem::take(&mut rows[k]))).collect();
    Some(Eigen { values: order.iter().map(|&k| diagonal[k]).collect(), vectors })
}

/// Makes `matrix` tridiagonal by reflections `I - 2 v v^T`; number k acts on the places after k. Returns its
/// diagonal, the places (k, k + 1) beside it, and each v.
fn tridiagonalise(matrix: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let mut reflectors = Vec::with_capacity(n.saturating_sub(2));
    for k in 0..n.saturating_sub(2) {
        let mut v = matrix[k * n + k + 1..(k + 1) * n].to_vec();
        let length = norm(&v);
        let image = if v[0] > 0.0 { -length } else { length };
        v[0] -= image;
        let scale = norm(&v);
        if scale > 0.0 {
            v.iter_mut().for_each(|x| *x /= scale);
        }
        // A' = A - v w^T - w v^T with w = 2 (A v - (v^T A v) v), on the trailing block.
        let mut w: Vec<f64> = (k + 1..n).map(|i| dot(&matrix[i * n + k + 1..(i + 1) * n], &v)).collect();
        let along = dot(&w, &v);
        w.iter_mut().zip(&v).for_each(|(w, v)| *w = 2.0 * (*w - along * v));
        for i in 0..v.len() {
            let row = &mut matrix[(k + 1 + i) * n + k + 1..(k + 2 + i) * n];
            for (j, x) in row.iter_mut().enumerate() {
                *x -= v[i] * w[j] + w[i] * v[j];
            }
        }
        matrix[k * n + k + 1] = image;
        reflectors.push(v);
    }
    let diagonal = (0..n).map(|k| matrix[k * n + k]).collect();
    let off = (0..n).map(|k| if k + 1 < n { matrix[k * n + k + 1] } else { 0.0 }).collect();
    (diagonal, off, reflectors)
}

/// `x - 2 (v^T x) v`
fn reflect(x: &mut [f64], v: &[f64]) {
    let along = 2.0 * dot(x, v);
    x.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
}

/// QL with implicit shifts: `diagonal` becomes the eigenvalues of the tridiagonal matrix whose places (k, k + 1) are in
/// `off`; `rows` take part in every rotation, if there are any. `None` if an eigenvalue does not settle.
fn diagonalise(diagonal: &mut [f64], off: &mut [f64], rows: &mut [Vec<f64>]) -> Option<()> {
    let n = diagonal.len();
    // Held against the whole matrix, not the neighbours: of a matrix of low rank most are rounding errors, which never
    // become small beside each other.
    let size = diagonal.iter().zip(off.iter()).map(|(d, e)| d.abs() + e.abs()).fold(0.0, f64::max);
    for low in 0..n {
        for step in 0.. {
            let negligible = |k: usize| off[k].abs() <= f64::EPSILON * size;
            let high = (low..n - 1).find(|&k| negligible(k)).unwrap_or(n - 1);
            if high == low {
                break;
            }
            if step == MOST_STEPS {
                return None;
            }
            // Wilkinson's shift, from the leading block of two.
            let half = (diagonal[low + 1] - diagonal[low]) / (2.0 * off[low]);
            let root = norm(&[half, 1.0]);
            let mut g = diagonal[high] - diagonal[low] + off[low] / (half + root.copysign(half));
            let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
            let mut parted = false;
            for k in (low..high).rev() {
                let (f, b) = (sine * off[k], cosine * off[k]);
                let r = norm(&[f, g]);
                off[k + 1] = r;
                if r == 0.0 {
                    diagonal[k + 1] -= shift;
                    off[high] = 0.0;
                    parted = true;
                    break;
                }
                (sine, cosine) = (f / r, g / r);
                g = diagonal[k + 1] - shift;
                let turned = (diagonal[k] - g) * sine + 2.0 * cosine * b;
                shift = sine * turned;
                diagonal[k + 1] = g + shift;
                g = cosine * turned - b;
                if let Some([upper, lower]) = rows.get_mut(k..k + 2) {
                    for (x, y) in upper.iter_mut().zip(lower) {
                        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                    }
                }
            }
            if !parted {
                diagonal[low] -= shift;
                off[low] = g;
                off[high] = 0.0;
            }
        }
    }
    Some(())
}

fn signed(vector: Vec<f64>) -> Vec<f64> {
    let largest = vector.iter().fold(0.0, |best: f64, &x| if x.abs() > best.abs() { x } else { best });
    if largest < 0.0 { vector.into_iter().map(|x| -x).collect() } else { vector }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Stream};

    fn random(n: usize, seed: u64) -> Vec<f64> {
        let mut rng = Rng::new(seed, Stream::Probe, 0);
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let x = f64::from(rng.normal());
                (matrix[i * n + j], matrix[j * n + i]) = (x, x);
            }
        }
        matrix
    }

    #[test]
    fn vectors_are_orthonormal_and_rebuild_the_matrix() {
        for n in [1, 2, 3, 8, 41] {
            let matrix = random(n, n as u64);
            let Eigen { values, vectors } = eigen(matrix.clone(), n).unwrap();
            assert!(values.is_sorted_by(|a, b| a >= b));
            assert_eq!(eigenvalues(matrix.clone(), n), Some(values.clone()));
            for i in 0..n {
                for j in 0..n {
                    let overlap = dot(&vectors[i], &vectors[j]);
                    assert!((overlap - f64::from(u8::from(i == j))).abs() < 1e-12, "{n}: {overlap}");
                    let rebuilt: f64 = (0..n).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
                    assert!((rebuilt - matrix[i * n + j]).abs() < 1e-11, "{n}: {rebuilt}");
                }
            }
        }
    }

    #[test]
    fn a_known_spectrum() {
        // The second difference on n places: 2 - 2 cos(pi k / (n + 1)).
        let n = 12;
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            matrix[i * n + i] = 2.0;
            if i + 1 < n {
                (matrix[i * n + i + 1], matrix[(i + 1) * n + i]) = (-1.0, -1.0);
            }
        }
        let dense = eigen(matrix, n).unwrap();
        let tridiagonal = eigen_tridiagonal(&vec![2.0; n], &vec![-1.0; n - 1]).unwrap();
        for (a, b) in dense.vectors.iter().flatten().zip(tridiagonal.vectors.iter().flatten()) {
            assert!((a - b).abs() < 1e-12, "{a} against {b}");
        }
        for found in [dense.values, tridiagonal.values] {
            for (k, value) in found.iter().rev().enumerate() {
                let exact = 2.0 - 2.0 * (std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64).cos();
                assert!((value - exact).abs() < 1e-13, "{value} against {exact}");
            }
        }
    }

    #[test]
    fn repeated_and_zero_eigenvalues() {
        let identity: Vec<f64> = (0..25).map(|k| f64::from(u8::from(k % 6 == 0))).collect();
        assert_eq!(eigen(identity, 5).unwrap().values, [1.0; 5]);
        assert_eq!(eigen(vec![0.0; 9], 3).unwrap().values, [0.0; 3]);
        // Rank one: u u^T with |u|^2 = 14.
        let u = [1.0, -2.0, 3.0];
        let outer: Vec<f64> = u.iter().flat_map(|a| u.iter().map(move |b| a * b)).collect();
        let Eigen { values, vectors } = eigen(outer, 3).unwrap();
        assert!((values[0] - 14.0).abs() < 1e-13 && values[1].abs() < 1e-13 && values[2].abs() < 1e-13);
        for (x, u) in vectors[0].iter().zip(u) {
            assert!((x - u / 14.0_f64.sqrt()).abs() < 1e-13);
        }
    }

    #[test]
    fn low_rank_settles() {
        // Fewer examples than inputs: 110 places, rank 12.
        let (n, rank) = (110, 12);
        for seed in 0..4 {
            let mut rng = Rng::new(seed, Stream::Probe, 2);
            let rows: Vec<Vec<f64>> = (0..rank).map(|_| (0..n).map(|_| f64::from(rng.normal())).collect()).collect();
            let entry = |k: usize| rows.iter().map(|row| row[k / n] * row[k % n]).sum::<f64>();
            let matrix: Vec<f64> = (0..n * n).map(entry).collect();
            let trace: f64 = (0..n).map(|k| matrix[k * n + k]).sum();
            let values = eigen(matrix, n).unwrap().values;
            assert!((values.iter().sum::<f64>() / trace - 1.0).abs() < 1e-12);
            assert!(values[rank..].iter().all(|value| value.abs() < 1e-12 * values[0]));
        }
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        assert_eq!(eigen(vec![1.0; 3], 2), None);
        assert_eq!(eigen(vec![1.0, f64::NAN, f64::NAN, 1.0], 2), None);
        assert_eq!(eigen(vec![], 0).map(|eigen| eigen.values), Some(vec![]));
        assert_eq!(eigen_tridiagonal(&[1.0, 2.0], &[]), None);
        assert_eq!(eigen_tridiagonal(&[1.0, f64::INFINITY], &[0.0]), None);
        assert_eq!(eigen_tridiagonal(&[], &[]), Some(Eigen::default()));
    }
}
