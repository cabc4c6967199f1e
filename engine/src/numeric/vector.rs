//! Vectors: products, lengths, angles, moments.

/// Inner product in f64: four sums side by side, in an order that does not depend on the machine.
#[must_use]
pub fn dot<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[A], b: &[B]) -> f64 {
    let product = |a: A, b: B| -> f64 { a.into() * b.into() };
    let mut sums = [0.0; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a4.remainder().iter().zip(b4.remainder()).map(|(&a, &b)| product(a, b)).sum();
    for (a, b) in a4.zip(b4) {
        for lane in 0..4 {
            sums[lane] += product(a[lane], b[lane]);
        }
    }
    sums[0] + sums[1] + (sums[2] + sums[3]) + rest
}

/// Euclidean length.
#[must_use]
pub fn norm<A: Copy + Into<f64>>(a: &[A]) -> f64 {
    dot(a, a).sqrt()
}

/// Euclidean distance; places that one of the two lacks do not count.
#[must_use]
pub fn distance<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[A], b: &[B]) -> f64 {
    let square = |(&a, &b): (&A, &B)| {
        let difference: f64 = a.into() - b.into();
        difference * difference
    };
    a.iter().zip(b).map(square).sum::<f64>().sqrt()
}

/// Cosine of the angle between two vectors; NaN if one is zero.
#[must_use]
pub fn cosine<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[A], b: &[B]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Arithmetic mean; NaN of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with the divisor n - 1; NaN of fewer than two values.
#[must_use]
pub fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    if values.len() < 2 { f64::NAN } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// Pearson's correlation of pairs `[x, y]`; NaN where one of the two does not vary.
#[must_use]
pub fn pearson(pairs: &[[f64; 2]]) -> f64 {
    let [x, y] = [0, 1].map(|side| {
        let values: Vec<f64> = pairs.iter().map(|pair| pair[side]).collect();
        let mean = mean(&values);
        values.into_iter().map(|value| value - mean).collect::<Vec<f64>>()
    });
    cosine(&x, &y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_angles_by_hand() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0_f64], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0_f32]);
        assert_eq!(dot(&a, &b), 56.0);
        assert_eq!(norm(&[3.0_f64, 4.0]), 5.0);
        assert_eq!(distance(&[1.0_f64, 1.0], &[4.0_f64, 5.0]), 5.0);
        assert_eq!(cosine(&[1.0_f64, 0.0], &[0.0_f64, 2.0]), 0.0);
        assert!((cosine(&a, &b) - 56.0 / 91.0).abs() < 1e-15);
        assert!(cosine(&[0.0_f64], &[1.0_f64]).is_nan());
    }

    #[test]
    fn moments_and_correlation_by_hand() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(deviation(&[1.0, 2.0, 6.0]), 7.0_f64.sqrt());
        assert!(mean(&[]).is_nan() && deviation(&[1.0]).is_nan());
        // Deviations (-1, 0, 1) and (-2, -1, 3): 5 / sqrt(2 * 14).
        assert!((pearson(&[[1.0, 0.0], [2.0, 1.0], [3.0, 5.0]]) - 5.0 / 28.0_f64.sqrt()).abs() < 1e-15);
        assert!(pearson(&[[1.0, 2.0], [1.0, 3.0]]).is_nan());
    }
}
