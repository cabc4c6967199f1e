//! Vectors that stand for classes: vertices that are set before anything is learned, which class takes which, and how well
//! sessions went.

use engine::numeric::{Matrix, cosine};
use engine::rng::{Rng, Stream};

/// A simplex equiangular tight frame: `count` rows of length 1, any two at the cosine `-1 / (count - 1)`, that sum to 0, in
/// `dims` dimensions (Papyan et al. 2020). None where these are too few, `dims < count`.
#[must_use]
pub fn frame(count: usize, dims: usize, seed: u64) -> Option<Matrix> {
    let mut rng = Rng::new(seed, Stream::Init, 30);
    let drawn: Vec<f64> = (0..dims * count).map(|_| f64::from(rng.normal())).collect();
    let [orthonormal, _] = Matrix { rows: dims, columns: count, values: drawn }.qr()?;
    let mean: Vec<f64> = (0..dims).map(|axis| orthonormal.row(axis).iter().sum::<f64>() / count as f64).collect();
    let stretch = (count as f64 / (count as f64 - 1.0)).sqrt();
    Some(Matrix::from_fn(count, dims, |vertex, axis| stretch * (orthonormal.at(axis, vertex) - mean[axis])))
}

/// Which of the free vertices each mean takes: of all pairs left, that of the largest cosine is always settled next. The
/// vertices are no longer free.
#[must_use]
pub fn settle(means: &Matrix, vertices: &Matrix, free: &mut Vec<usize>) -> Vec<usize> {
    let mut taken = vec![0; means.rows];
    let mut waiting: Vec<usize> = (0..means.rows).collect();
    while let Some((mean, vertex)) = waiting
        .iter()
        .flat_map(|&mean| free.iter().map(move |&vertex| (mean, vertex)))
        .map(|(mean, vertex)| (cosine(means.row(mean), vertices.row(vertex)), (mean, vertex)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|best| best.1)
    {
        taken[mean] = vertex;
        waiting.retain(|&other| other != mean);
        free.retain(|&other| other != vertex);
    }
    taken
}

/// Harmonic mean of two shares.
#[must_use]
pub fn harmonic(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}

/// By how much accuracy falls from the first session to the last.
#[must_use]
pub fn drop(accuracies: &[f64]) -> f64 {
    accuracies.first().zip(accuracies.last()).map_or(f64::NAN, |(first, last)| first - last)
}

#[cfg(test)]
mod tests {
    use engine::numeric::{dot, norm};

    use super::*;

    #[test]
    fn vertices_are_as_far_apart_as_they_can_be() {
        for (count, dims) in [(2, 2), (5, 8), (80, 96)] {
            let frame = frame(count, dims, 3).unwrap();
            for a in 0..count {
                assert!((norm(frame.row(a)) - 1.0).abs() < 1e-5);
                for b in (0..count).filter(|&b| b != a) {
                    assert!((dot(frame.row(a), frame.row(b)) + 1.0 / (count as f64 - 1.0)).abs() < 1e-5);
                }
            }
            for axis in 0..dims {
                assert!((0..count).map(|a| frame.at(a, axis)).sum::<f64>().abs() < 1e-5);
            }
        }
        assert!(frame(9, 8, 3).is_none());
        assert_ne!(frame(5, 8, 3), frame(5, 8, 4));
    }

    /// The second mean is nearest to vertex 0 and takes it, so that the first has to take the next best that is free.
    #[test]
    fn every_class_takes_the_nearest_vertex_that_is_free() {
        let vertices = Matrix::identity(4);
        let means = Matrix { rows: 2, columns: 4, values: vec![3.0, 2.0, 0.0, 2.5, 9.0, 1.0, 0.0, 0.0] };
        let mut free = vec![0, 1, 2];
        assert_eq!(settle(&means, &vertices, &mut free), [1, 0]);
        assert_eq!(free, [2]);
    }

    #[test]
    fn measures_by_hand() {
        assert!((harmonic(60.0, 30.0) - 40.0).abs() < 1e-12);
        assert_eq!((harmonic(0.0, 0.0), harmonic(50.0, 0.0)), (0.0, 0.0));
        assert!((drop(&[80.0, 70.0, 55.0]) - 25.0).abs() < 1e-12);
    }
}
