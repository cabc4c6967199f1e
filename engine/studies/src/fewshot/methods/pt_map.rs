//! PT-MAP (Hu, Gripon, Pateux 2021): queries are shared out among the classes by optimal transport, as many to each;
//! prototypes move a fifth of the way to the means of what they were given; and again. Vectors are centred and of length 1
//! instead of their powers: those of an encoder that ends in a linear layer have both signs.

use engine::numeric::Matrix;

use super::space::{class_means, largest, normalised, rows_from, squared_distances};
use super::{Answer, Problem, Step};

const STEPS: usize = 10;
const PACE: f64 = 0.2;
const SHARPNESS: f64 = 10.0;
const SINKHORN: usize = 1000;
const TOLERANCE: f64 = 1e-6;

pub fn classify(problem: &Problem) -> Answer {
    let (shots, ways) = (problem.shots(), problem.ways);
    let points = normalised(problem.points, problem.centre);
    let queries = rows_from(&points, shots);
    let mut prototypes = class_means(&points, problem.labels, ways);
    let mut steps = Vec::new();
    let mut plan = transport(&squared_distances(&queries, &prototypes));
    for _ in 0..STEPS {
        if problem.watched {
            let predicted = largest(&plan);
            steps.push(Step { prototypes: prototypes.clone(), predicted, energy: None });
        }
        follow(&mut prototypes, &points, problem.labels, &plan);
        plan = transport(&squared_distances(&queries, &prototypes));
    }
    steps.push(Step { prototypes, predicted: largest(&plan), energy: None });
    Answer { probabilities: plan, points, steps }
}

/// Moves prototypes towards the means of their points, support and share of the queries.
fn follow(prototypes: &mut Matrix, points: &Matrix, labels: &[usize], plan: &Matrix) {
    let dims = points.columns;
    for class in 0..prototypes.rows {
        let mut mean = vec![0.0; dims];
        let mut total = 0.0;
        for row in 0..points.rows {
            let share = match labels.get(row) {
                Some(&label) => f64::from(u8::from(label == class)),
                None => plan.at(row - labels.len(), class),
            };
            mean.iter_mut().zip(points.row(row)).for_each(|(mean, x)| *mean += share * x);
            total += share;
        }
        let own = &mut prototypes.values[class * dims..(class + 1) * dims];
        own.iter_mut().zip(mean).for_each(|(x, mean)| *x += PACE * (mean / total - *x));
    }
}

/// How each query is shared out at these costs, by Sinkhorn's iterations: rows add up to 1, and every class to as many
/// queries.
fn transport(costs: &Matrix) -> Matrix {
    let ways = costs.columns.max(1);
    let each = costs.rows as f64 / ways as f64;
    let mut plan = costs.clone();
    plan.values.iter_mut().for_each(|x| *x = libm::exp(-SHARPNESS * *x));
    let total: f64 = plan.values.iter().sum();
    plan.values.iter_mut().for_each(|x| *x /= total);
    for _ in 0..SINKHORN {
        let mut sums = vec![0.0; plan.rows];
        for (row, sum) in plan.values.chunks_mut(ways).zip(&mut sums) {
            *sum = row.iter().sum();
            row.iter_mut().for_each(|x| *x /= *sum + 1e-10);
        }
        for class in 0..ways {
            let column = || (class..plan.values.len()).step_by(ways);
            let share = each / (column().map(|at| plan.values[at]).sum::<f64>() + 1e-10);
            column().for_each(|at| plan.values[at] *= share);
        }
        let rows = plan.values.chunks(ways).map(|row| row.iter().sum::<f64>());
        if rows.zip(&sums).all(|(now, before)| (now - before).abs() < TOLERANCE) {
            break;
        }
    }
    plan
}
