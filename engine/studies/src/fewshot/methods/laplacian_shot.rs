//! LaplacianShot (Ziko et al. 2020): about rectified prototypes that stand still, queries that are neighbours pull each other
//! to one class. The bound update of [`super::slk`], on queries alone.

use engine::numeric::Matrix;

use super::bd_cspn::rectified;
use super::graph::neighbour_graph;
use super::slk::{bound_update, energy};
use super::space::{largest, normalised, rows_from, squared_distances};
use super::{Answer, Problem, Step};

const ITERATIONS: usize = 20;
const TOLERANCE: f64 = 1e-6;

pub fn classify(problem: &Problem) -> Answer {
    let points = normalised(problem.points, problem.centre);
    let queries = rows_from(&points, problem.shots());
    let prototypes = rectified(&points, problem);
    let graph = neighbour_graph(&queries, problem.settings.knn);
    let costs = squared_distances(&queries, &prototypes);
    let lambda = problem.settings.lambda;
    let step =
        |assigned: &Matrix, energy| Step { prototypes: prototypes.clone(), predicted: largest(assigned), energy };
    let mut assigned = bound_update(&costs, &costs, 0.0);
    let mut steps = vec![step(&assigned, None)];
    let mut before = f64::INFINITY;
    for iteration in 0..ITERATIONS {
        assigned = bound_update(&costs, &graph.spread(&assigned), lambda);
        // The published code watches the energy with the whole lambda, and so ends where this one does.
        let watched = energy(&assigned, &costs, &graph, 2.0 * lambda, true);
        if problem.watched {
            steps.push(step(&assigned, Some(energy(&assigned, &costs, &graph, lambda, true))));
        }
        if iteration > 1 && (watched - before).abs() <= TOLERANCE * before.abs() {
            break;
        }
        before = watched;
    }
    if !problem.watched {
        steps = vec![step(&assigned, None)];
    }
    Answer { probabilities: assigned, points, steps }
}
