//! Nearest prototype: the class whose mean is nearest (Snell, Swersky, Zemel 2017), or points in the most similar direction
//! (Chen et al. 2021).

use super::space::{class_means, cosines, rows_from, softmax_rows, squared_distances};
use super::{Answer, Problem};

/// Softmax of the negative squared Euclidean distances.
pub fn euclidean(problem: &Problem) -> Answer {
    let prototypes = class_means(problem.points, problem.labels, problem.ways);
    let mut logits = squared_distances(&rows_from(problem.points, problem.shots()), &prototypes);
    logits.values.iter_mut().for_each(|x| *x = -*x);
    Answer::at_once(problem.points.clone(), prototypes, softmax_rows(logits))
}

/// Softmax of the cosines, sharpened by the temperature.
pub fn cosine(problem: &Problem) -> Answer {
    let prototypes = class_means(problem.points, problem.labels, problem.ways);
    let mut logits = cosines(&rows_from(problem.points, problem.shots()), &prototypes);
    logits.values.iter_mut().for_each(|x| *x *= SHARPNESS);
    Answer::at_once(problem.points.clone(), prototypes, softmax_rows(logits))
}

/// Factor on cosines; it decides how sure the probabilities are, not what is predicted.
pub(super) const SHARPNESS: f64 = 10.0;
