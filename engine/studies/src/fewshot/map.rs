//! A task's vectors on the plane in which they scatter most.

use engine::figure::{Figure, Mark};
use engine::numeric::{Matrix, dot, norm};

use crate::plot::axis;

/// The plane of the two main directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    mean: Vec<f64>,
    axes: [Vec<f64>; 2],
    /// Share of the scatter that it holds.
    pub explained: f64,
}

/// Products with the covariance until the directions stand still.
const ITERATIONS: usize = 60;

impl Plane {
    /// Of these points, by the power method.
    #[must_use]
    pub fn of(points: &Matrix) -> Self {
        let n = points.rows.max(1) as f64;
        let mean: Vec<f64> =
            (0..points.columns).map(|c| (0..points.rows).map(|r| points.at(r, c)).sum::<f64>() / n).collect();
        let centred = Matrix::from_fn(points.rows, points.columns, |row, column| points.at(row, column) - mean[column]);
        let total = dot(&centred.values, &centred.values);
        let mut axes: Vec<Vec<f64>> = Vec::new();
        let mut held = 0.0;
        for _ in 0..2 {
            // Starts along the point furthest out, so that the picture does not depend on chance.
            let apart = |row: usize| {
                let row = centred.row(row);
                dot(row, row) - axes.iter().map(|axis| dot(row, axis).powi(2)).sum::<f64>()
            };
            let far = (0..centred.rows).reduce(|best, row| if apart(row) > apart(best) { row } else { best });
            let mut axis = far.map_or_else(|| vec![0.0; points.columns], |row| centred.row(row).to_vec());
            let mut value = 0.0;
            for _ in 0..ITERATIONS {
                for known in &axes {
                    let along = dot(&axis, known);
                    axis.iter_mut().zip(known).for_each(|(x, known)| *x -= along * known);
                }
                let length = norm(&axis);
                if length <= 1e-300 {
                    break;
                }
                axis.iter_mut().for_each(|x| *x /= length);
                let mut next = vec![0.0; points.columns];
                value = 0.0;
                for row in 0..centred.rows {
                    let along = dot(centred.row(row), &axis);
                    value += along * along;
                    next.iter_mut().zip(centred.row(row)).for_each(|(next, x)| *next += along * x);
                }
                axis = next;
            }
            let length = norm(&axis);
            if length > 0.0 {
                axis.iter_mut().for_each(|x| *x /= length);
            }
            held += value;
            axes.push(axis);
        }
        let second = axes.pop().unwrap_or_default();
        let first = axes.pop().unwrap_or_default();
        Self { mean, axes: [first, second], explained: if total > 0.0 { (held / total).min(1.0) } else { 0.0 } }
    }

    /// Where each of these lies.
    #[must_use]
    pub fn places(&self, points: &Matrix) -> Vec<[f32; 2]> {
        let place = |row: usize| {
            let apart: Vec<f64> = points.row(row).iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
            [0, 1].map(|axis: usize| dot(&apart, &self.axes[axis]) as f32)
        };
        (0..points.rows).map(place).collect()
    }

    /// A picture of what was placed on a plane, with its axes named.
    #[must_use]
    pub fn figure(marks: Vec<Mark>) -> Figure {
        let [x, y] = ["first principal component", "second principal component"].map(|name| axis(name, ""));
        Figure { x, y, marks, ..Figure::default() }
    }
}

#[cfg(test)]
#[test]
fn a_flat_cloud_lies_in_its_plane() {
    // Rows (3 a, b, 0) for a, b in -1..=1.
    let points = Matrix::from_fn(9, 3, |row, column| [3.0 * (row / 3) as f64, (row % 3) as f64, 5.0][column]);
    let plane = Plane::of(&points);
    assert!((plane.explained - 1.0).abs() < 1e-12);
    let places = plane.places(&points);
    assert!((places[8][0].abs() - 3.0).abs() < 1e-5 && (places[8][1].abs() - 1.0).abs() < 1e-5, "{:?}", places[8]);
    assert!(places[4].iter().all(|x| x.abs() < 1e-5));
}
