//! Least-squares lines, to tell how one quantity grows with another.

/// A line fitted to points `[x, y]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Rise per unit of x.
    pub slope: f64,
    /// Value at x = 0.
    pub intercept: f64,
    /// Share of the variance of y that the line explains, R^2; NaN where y does not vary.
    pub r2: f64,
}

impl Fit {
    fn judged(slope: f64, intercept: f64, points: &[[f64; 2]]) -> Self {
        let mean = points.iter().map(|[_, y]| y).sum::<f64>() / points.len() as f64;
        let total: f64 = points.iter().map(|[_, y]| (y - mean).powi(2)).sum();
        let missed: f64 = points.iter().map(|[x, y]| (y - intercept - slope * x).powi(2)).sum();
        Self { slope, intercept, r2: if total > 0.0 { 1.0 - missed / total } else { f64::NAN } }
    }
}

/// The line through points `[x, y]`. Not numbers (NaN) if there are fewer than two different x.
#[must_use]
pub fn line(points: &[[f64; 2]]) -> Fit {
    let n = points.len() as f64;
    let [mean_x, mean_y] = [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / n);
    let together: f64 = points.iter().map(|[x, y]| (x - mean_x) * (y - mean_y)).sum();
    let spread: f64 = points.iter().map(|[x, _]| (x - mean_x).powi(2)).sum();
    let slope = if spread > 0.0 { together / spread } else { f64::NAN };
    Fit::judged(slope, mean_y - slope * mean_x, points)
}

/// The line of that intercept through points `[x, y]`.
#[must_use]
pub fn line_from(intercept: f64, points: &[[f64; 2]]) -> Fit {
    let together: f64 = points.iter().map(|[x, y]| x * (y - intercept)).sum();
    let spread: f64 = points.iter().map(|[x, _]| x * x).sum();
    Fit::judged(together / spread, intercept, points)
}

/// The power law `y = a x^slope` through points with positive coordinates (others are left out): the line through their
/// logarithms, `intercept` = ln a.
#[must_use]
pub fn power_law(points: &[[f64; 2]]) -> Fit {
    let positive = |point: &&[f64; 2]| point.iter().all(|&x| x > 0.0 && x.is_finite());
    let logs: Vec<[f64; 2]> = points.iter().filter(positive).map(|point| point.map(libm::log)).collect();
    line(&logs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_give_it_back() {
        let points: Vec<[f64; 2]> = (0..5).map(|x| [f64::from(x), 2.0 - 3.0 * f64::from(x)]).collect();
        for fit in [line(&points), line_from(2.0, &points)] {
            assert!((fit.slope + 3.0).abs() < 1e-12 && (fit.intercept - 2.0).abs() < 1e-12);
            assert!((fit.r2 - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn scatter_lowers_r2_as_by_hand() {
        // Means 1 and 2: slope (2 + 3) / 2.
        let fit = line(&[[0.0, 0.0], [1.0, 1.0], [2.0, 5.0]]);
        assert!((fit.slope - 2.5).abs() < 1e-12 && (fit.intercept + 0.5).abs() < 1e-12);
        // Residuals 0.5, -1, 0.5 of deviations -2, -1, 3: 1 - 1.5 / 14.
        assert!((fit.r2 - (1.0 - 1.5 / 14.0)).abs() < 1e-12);
    }

    #[test]
    fn powers_are_slopes_of_logarithms() {
        let points: Vec<[f64; 2]> = [1.0, 4.0, 16.0].map(|x: f64| [x, 3.0 * x.powf(-0.5)]).to_vec();
        let fit = power_law(&[&points[..], &[[0.0, 1.0], [2.0, -1.0], [f64::NAN, 1.0]]].concat());
        assert!((fit.slope + 0.5).abs() < 1e-12 && (fit.intercept.exp() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn too_few_points_have_no_slope() {
        assert!(line(&[]).slope.is_nan());
        assert!(line(&[[1.0, 2.0]]).slope.is_nan());
        assert!(line(&[[1.0, 2.0], [1.0, 3.0]]).slope.is_nan());
        assert!(line(&[[1.0, 2.0], [2.0, 2.0]]).r2.is_nan());
    }
}
