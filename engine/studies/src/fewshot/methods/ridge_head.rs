//! A ridge head (Bertinetto et al. 2019): least squares from centred vectors of length 1 onto one number a class, with a
//! penalty on the weights' length, solved at once in the space of the examples, which are fewer than dimensions.

use engine::numeric::{Matrix, dot};

use super::space::{normalised, rows_from, rows_to, softmax_rows};
use super::{Answer, Problem};

/// Factor on the outputs: it decides how sure the probabilities are, not what is predicted.
const SHARPNESS: f64 = 10.0;

pub fn classify(problem: &Problem) -> Answer {
    let points = normalised(problem.points, problem.centre);
    let (shots, ways) = (problem.shots(), problem.ways);
    let (support, queries) = (rows_to(&points, shots), rows_from(&points, shots));
    let ridge = problem.settings.ridge;
    let gram =
        Matrix::from_fn(shots, shots, |i, j| dot(support.row(i), support.row(j)) + if i == j { ridge } else { 0.0 });
    let mut weights = Matrix { rows: ways, columns: points.columns, values: vec![] };
    for class in 0..ways {
        let target = |&label: &usize| f64::from(u8::from(label == class)) - 1.0 / ways as f64;
        let wanted: Vec<f64> = problem.labels.iter().map(target).collect();
        // The ridge makes it positive definite.
        let shares = gram.solve(&wanted).unwrap_or(wanted);
        for column in 0..points.columns {
            weights.values.push((0..shots).map(|row| shares[row] * support.at(row, column)).sum());
        }
    }
    let logits =
        Matrix::from_fn(queries.rows, ways, |row, class| SHARPNESS * dot(queries.row(row), weights.row(class)));
    Answer::at_once(points, weights, softmax_rows(logits))
}
