//! k nearest neighbours (Cover, Hart 1967): the nearest support examples vote; of classes with as many votes, that of the
//! nearest voter wins.

use engine::numeric::Matrix;

use super::space::{class_means, rows_from, rows_to, squared_distances};
use super::{Answer, Problem};

pub fn classify(problem: &Problem) -> Answer {
    let (points, shots) = (problem.points, problem.shots());
    let distances = squared_distances(&rows_from(points, shots), &rows_to(points, shots));
    let voters = problem.settings.neighbours.clamp(1, shots.max(1));
    let mut votes = Matrix { rows: distances.rows, columns: problem.ways, values: Vec::new() };
    for row in 0..distances.rows {
        let distances = distances.row(row);
        let mut order: Vec<usize> = (0..shots).collect();
        order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        let mut of = vec![0.0; problem.ways];
        for (rank, &voter) in order[..voters].iter().enumerate() {
            // Less than a vote in all, the more the nearer: decides between equals.
            of[problem.labels[voter]] += 1.0 + 1e-6 / (1_u64 << rank.min(50)) as f64;
        }
        let total: f64 = of.iter().sum();
        votes.values.extend(of.into_iter().map(|votes| votes / total));
    }
    Answer::at_once(points.clone(), class_means(points, problem.labels, problem.ways), votes)
}
