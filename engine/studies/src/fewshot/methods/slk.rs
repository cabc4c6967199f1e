//! Clustering with neighbours that agree (Ziko et al. 2021): K-means, SLK-Means and SLK-MS.
//!
//! `E(S, M) = sum_p sum_k s_pk d(x_p, m_k) - lambda/2 sum_pq w_pq s_p . s_q` over assignments S and prototypes M, support
//! rows fixed. `d` is the squared distance (means), or minus a Gaussian of it (modes). The neighbours' term is replaced by
//! its tangent and an entropy is added, which leaves a bound that separates over points: all rows move at once,
//! `s_p <- softmax(-d(x_p, M) + lambda sum_q w_pq s_q)`. That step belongs to the energy with `lambda/2`: it decreases
//! this one where W is positive semidefinite, while the energy with the whole lambda may grow.

use engine::numeric::{Matrix, norm};

use super::bd_cspn::shifted;
use super::graph::{Graph, neighbour_graph};
use super::space::{class_means, cosines, largest, normalised, rows_from, smallest, softmax, squared_distance};
use super::space::{squared_distances, weighted_means};
use super::{Answer, Problem, Step};

const OUTER: usize = 100;
const INNER: usize = 600;
const OUTER_TOLERANCE: f64 = 1e-4;
const INNER_TOLERANCE: f64 = 1e-7;
/// Sharpness of the weights of the first prototypes.
const RECTIFY: f64 = 10.0;

/// How prototypes follow their points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Modes {
    /// They are means; costs are squared distances.
    Means,
    /// They climb to where points are dense at this width; costs are minus a Gaussian.
    Width(f64),
}

/// K-means from the rectified prototypes.
pub fn k_means(problem: &Problem) -> Answer {
    run(problem, 0.0, |_, _| Modes::Means)
}

/// SLK-Means.
pub fn means(problem: &Problem) -> Answer {
    run(problem, problem.settings.lambda, |_, _| Modes::Means)
}

/// SLK-MS.
pub fn modes(problem: &Problem) -> Answer {
    run(problem, problem.settings.lambda, |points, graph| Modes::Width(width(points, graph)))
}

/// The width of the Gaussians: `sqrt(sum_pq w_pq |x_p - x_q|^2 / 5 N)`.
fn width(points: &Matrix, graph: &Graph) -> f64 {
    let mut total = 0.0;
    for (row, edges) in graph.edges.iter().enumerate() {
        total += edges.iter().map(|&(other, w)| w * squared_distance(points.row(row), points.row(other))).sum::<f64>();
    }
    (total / (5.0 * points.rows.max(1) as f64)).sqrt().max(1e-6)
}

fn run(problem: &Problem, lambda: f64, modes: impl Fn(&Matrix, &Graph) -> Modes) -> Answer {
    let shots = problem.shots();
    let points = shifted(&normalised(problem.points, problem.centre), shots);
    let graph = neighbour_graph(&points, problem.settings.knn);
    let modes = modes(&points, &graph);
    let slk = Slk {
        points: &points,
        labels: problem.labels,
        ways: problem.ways,
        graph: &graph,
        lambda,
        modes,
        clamp: problem.settings.clamp,
    };
    let (assigned, steps) = slk.cluster(slk.first_prototypes(), problem.watched);
    Answer { probabilities: rows_from(&assigned, shots), points, steps }
}

/// A clustering problem.
#[derive(Debug, Clone, Copy)]
pub struct Slk<'a> {
    /// Support, then queries.
    pub points: &'a Matrix,
    /// Classes of the support.
    pub labels: &'a [usize],
    /// Clusters.
    pub ways: usize,
    /// Who is near whom.
    pub graph: &'a Graph,
    /// Weight of the neighbours.
    pub lambda: f64,
    /// How prototypes follow their points.
    pub modes: Modes,
    /// Whether support rows stay one-hot within the inner iterations, as the stated problem has it; if not they are so at
    /// their start alone, as in the published code.
    pub clamp: bool,
}

impl Slk<'_> {
    /// Means of the points by nearest prototype, weighted by a softmax over the classes of ten times the cosine.
    #[must_use]
    pub fn first_prototypes(&self) -> Matrix {
        let start = class_means(self.points, self.labels, self.ways);
        let mut weights = cosines(self.points, &start);
        let guesses = largest(&weights);
        weights.values.iter_mut().for_each(|x| *x *= RECTIFY);
        weights.values.chunks_mut(self.ways.max(1)).for_each(softmax);
        let members = (0..self.points.rows).map(|row| {
            let class = self.labels.get(row).copied().unwrap_or(guesses[row]);
            (row, (class, weights.at(row, class)))
        });
        weighted_means(self.points, members, self.ways)
    }

    /// Alternates prototypes and assignments until the energy stands still. Assignments of all points, and the steps (the
    /// last alone unless `watched`).
    #[must_use]
    pub fn cluster(&self, mut prototypes: Matrix, watched: bool) -> (Matrix, Vec<Step>) {
        let mut labels = self.forced(smallest(&squared_distances(self.points, &prototypes)));
        let mut steps = Vec::new();
        if watched {
            steps.push(self.step(prototypes.clone(), &labels, None));
        }
        let (mut assigned, mut before) = (Matrix::identity(0), f64::INFINITY);
        for _ in 0..OUTER {
            prototypes = self.follow(&prototypes, &labels);
            let costs = self.costs(&prototypes);
            assigned = self.assign(&costs);
            labels = self.forced(largest(&assigned));
            let energy = energy(&assigned, &costs, self.graph, self.lambda, false);
            if !watched {
                steps.clear();
            }
            steps.push(self.step(prototypes.clone(), &labels, Some(energy)));
            if still(before, energy, OUTER_TOLERANCE) {
                break;
            }
            before = energy;
        }
        (assigned, steps)
    }

    fn step(&self, prototypes: Matrix, labels: &[usize], energy: Option<f64>) -> Step {
        Step { prototypes, predicted: labels[self.labels.len()..].to_vec(), energy }
    }

    /// The support keeps its classes.
    fn forced(&self, mut guesses: Vec<usize>) -> Vec<usize> {
        guesses[..self.labels.len()].copy_from_slice(self.labels);
        guesses
    }

    /// Prototypes of the points with these classes. No class is empty: each has its support.
    #[must_use]
    pub fn follow(&self, prototypes: &Matrix, labels: &[usize]) -> Matrix {
        match self.modes {
            Modes::Means => class_means(self.points, labels, self.ways),
            Modes::Width(width) => {
                let mut moved = prototypes.clone();
                for class in 0..self.ways {
                    let members: Vec<&[f64]> = (0..self.points.rows)
                        .filter(|&row| labels[row] == class)
                        .map(|row| self.points.row(row))
                        .collect();
                    climb(&mut moved.values[class * self.points.columns..][..self.points.columns], &members, width);
                }
                moved
            }
        }
    }

    fn costs(&self, prototypes: &Matrix) -> Matrix {
        let mut costs = squared_distances(self.points, prototypes);
        if let Modes::Width(width) = self.modes {
            costs.values.iter_mut().for_each(|d| *d = -libm::exp(-*d / (2.0 * width * width)));
        }
        costs
    }

    /// The inner iterations: assignments of all points at these costs.
    #[must_use]
    pub fn assign(&self, costs: &Matrix) -> Matrix {
        let none = Matrix { values: vec![0.0; costs.values.len()], ..costs.clone() };
        let mut assigned = bound_update(costs, &none, 0.0);
        self.hold(&mut assigned);
        let mut before = f64::INFINITY;
        for _ in 0..INNER {
            assigned = bound_update(costs, &self.graph.spread(&assigned), self.lambda);
            if self.clamp {
                self.hold(&mut assigned);
            }
            let energy = energy(&assigned, costs, self.graph, self.lambda, true);
            if still(before, energy, INNER_TOLERANCE) {
                break;
            }
            before = energy;
        }
        assigned
    }

    /// Makes support rows one-hot.
    fn hold(&self, assigned: &mut Matrix) {
        for (row, &label) in assigned.values.chunks_mut(self.ways.max(1)).zip(self.labels) {
            row.fill(0.0);
            row[label] = 1.0;
        }
    }
}

/// `softmax(-costs + lambda spread)`, row by row.
#[must_use]
pub fn bound_update(costs: &Matrix, spread: &Matrix, lambda: f64) -> Matrix {
    let mut logits = costs.clone();
    logits.values.iter_mut().zip(&spread.values).for_each(|(a, b)| *a = lambda * b - *a);
    logits.values.chunks_mut(costs.columns.max(1)).for_each(softmax);
    logits
}

/// Whether an energy stands still, within a share of what it was. Before the first, which is infinite, it does not: infinity is
/// no more than any share of itself.
fn still(before: f64, now: f64, tolerance: f64) -> bool {
    before.is_finite() && (before - now).abs() <= tolerance * before.abs()
}

/// `sum s a - lambda/2 sum s . (W s)`, with `sum s log s` where `entropy`.
#[must_use]
pub fn energy(assigned: &Matrix, costs: &Matrix, graph: &Graph, lambda: f64, entropy: bool) -> f64 {
    let spread = graph.spread(assigned);
    let term = |((s, a), b): ((&f64, &f64), &f64)| {
        let order = if entropy { s * libm::log(s.max(1e-20)) } else { 0.0 };
        order + s * a - lambda / 2.0 * s * b
    };
    assigned.values.iter().zip(&costs.values).zip(&spread.values).map(term).sum()
}

/// Mean shift of one prototype among its points, to a relative change of 1e-5.
fn climb(prototype: &mut [f64], members: &[&[f64]], width: f64) {
    const CLIMBS: usize = 100;
    for _ in 0..CLIMBS {
        let mut next = vec![0.0; prototype.len()];
        let mut total = 0.0;
        for point in members {
            let weight = libm::exp(-squared_distance(point, prototype) / (2.0 * width * width));
            next.iter_mut().zip(*point).for_each(|(next, x)| *next += weight * x);
            total += weight;
        }
        // So far from all its points that none has weight: it stays.
        if total <= f64::MIN_POSITIVE {
            return;
        }
        next.iter_mut().for_each(|x| *x /= total);
        let moved = squared_distance(&next, prototype).sqrt();
        prototype.copy_from_slice(&next);
        if moved <= 1e-5 * norm(prototype) {
            return;
        }
    }
}
