//! BD-CSPN (Liu, Song, Qin 2020): queries are moved by the difference of the means of support and queries; each point then
//! adds to the prototype that it is nearest to by angle, the more the more similar; queries are classified by angle.
//! Weights are powers of the cosines, normalised a class, as EasyFSL has them.

use engine::numeric::Matrix;

use super::prototype::SHARPNESS;
use super::space::{class_means, cosines, largest, normalised, rows_from, softmax_rows, weighted_means};
use super::{Answer, Problem, Step};

pub fn classify(problem: &Problem) -> Answer {
    let points = normalised(problem.points, problem.centre);
    let queries = rows_from(&points, problem.shots());
    let start = class_means(&points, problem.labels, problem.ways);
    let rectified = rectified(&points, problem);
    let mut steps = Vec::new();
    for prototypes in [start, rectified.clone()] {
        let predicted = largest(&cosines(&queries, &prototypes));
        steps.push(Step { prototypes, predicted, energy: None });
    }
    if !problem.watched {
        steps.remove(0);
    }
    let mut logits = cosines(&queries, &rectified);
    logits.values.iter_mut().for_each(|x| *x *= SHARPNESS);
    Answer { probabilities: softmax_rows(logits), points, steps }
}

/// The prototypes once the queries have been added to them.
pub(super) fn rectified(points: &Matrix, problem: &Problem) -> Matrix {
    let (shots, ways) = (problem.shots(), problem.ways);
    let start = class_means(points, problem.labels, ways);
    let moved = shifted(points, shots);
    let similar = cosines(&moved, &start);
    let guesses = largest(&similar);
    let members = (0..points.rows).map(|row| {
        let class = problem.labels.get(row).copied().unwrap_or(guesses[row]);
        (row, (class, libm::exp(similar.at(row, class))))
    });
    weighted_means(&moved, members, ways)
}

/// The points, queries moved by the difference of the means of support and queries.
pub(super) fn shifted(points: &Matrix, shots: usize) -> Matrix {
    let mean = |first: usize, end: usize, column: usize| {
        (first..end).map(|row| points.at(row, column)).sum::<f64>() / (end - first).max(1) as f64
    };
    let shift: Vec<f64> =
        (0..points.columns).map(|column| mean(0, shots, column) - mean(shots, points.rows, column)).collect();
    Matrix::from_fn(points.rows, points.columns, |row, column| {
        points.at(row, column) + if row < shots { 0.0 } else { shift[column] }
    })
}
