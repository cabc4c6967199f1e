//! A linear head fitted to the support by descent (Chen et al. 2019, "Baseline"): logistic regression on centred vectors of
//! length 1. It begins as the nearest-prototype classifier, whose logits are linear too.

use engine::numeric::{Matrix, dot};

use super::adam::Adam;
use super::space::{class_means, normalised, rows_from, rows_to, softmax_rows};
use super::{Answer, Problem};

const RATE: f64 = 0.01;
/// Pull of the weights towards 0: without it a head that is right only grows.
const DECAY: f64 = 1e-3;

pub fn classify(problem: &Problem) -> Answer {
    let points = normalised(problem.points, problem.centre);
    let (shots, dims, ways) = (problem.shots(), points.columns, problem.ways);
    let support = rows_to(&points, shots);
    let prototypes = class_means(&points, problem.labels, ways);
    // Rows of weights, and a bias behind each.
    let mut head: Vec<f64> = Vec::with_capacity(ways * (dims + 1));
    for class in 0..ways {
        let mean = prototypes.row(class);
        head.extend(mean.iter().copied().chain([-dot(mean, mean) / 2.0]));
    }
    let mut adam = Adam::new(head.len(), RATE);
    for _ in 0..problem.settings.iterations {
        let probabilities = softmax_rows(logits(&support, &head, ways));
        let mut gradient: Vec<f64> = head.iter().map(|weight| DECAY * weight).collect();
        for (row, &label) in problem.labels.iter().enumerate() {
            for class in 0..ways {
                let off = (probabilities.at(row, class) - f64::from(u8::from(class == label))) / shots as f64;
                let slot = &mut gradient[class * (dims + 1)..(class + 1) * (dims + 1)];
                slot.iter_mut().zip(support.row(row).iter().chain(&[1.0])).for_each(|(g, x)| *g += off * x);
            }
        }
        adam.step(&mut head, &gradient);
    }
    let probabilities = softmax_rows(logits(&rows_from(&points, shots), &head, ways));
    let weights = Matrix::from_fn(ways, dims, |class, column| head[class * (dims + 1) + column]);
    Answer::at_once(points, weights, probabilities)
}

fn logits(points: &Matrix, head: &[f64], ways: usize) -> Matrix {
    let width = points.columns + 1;
    Matrix::from_fn(points.rows, ways, |row, class| {
        let weights = &head[class * width..(class + 1) * width];
        dot(points.row(row), &weights[..width - 1]) + weights[width - 1]
    })
}
