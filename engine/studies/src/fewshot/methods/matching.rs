//! Matching networks (Vinyals et al. 2016): every support example votes for its class, weighted by a softmax of its cosine
//! with the query.

use engine::numeric::Matrix;

use super::space::{class_means, cosines, rows_from, rows_to, softmax};
use super::{Answer, Problem};

pub fn classify(problem: &Problem) -> Answer {
    let (points, shots) = (problem.points, problem.shots());
    let mut attention = cosines(&rows_from(points, shots), &rows_to(points, shots));
    attention.values.iter_mut().for_each(|x| *x *= problem.settings.temperature);
    let mut votes = Matrix { rows: attention.rows, columns: problem.ways, values: vec![] };
    for row in attention.values.chunks_mut(shots.max(1)) {
        softmax(row);
        let mut of = vec![0.0; problem.ways];
        row.iter().zip(problem.labels).for_each(|(weight, &label)| of[label] += weight);
        votes.values.extend(of);
    }
    Answer::at_once(points.clone(), class_means(points, problem.labels, problem.ways), votes)
}
