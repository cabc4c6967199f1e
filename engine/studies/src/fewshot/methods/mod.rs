//! Methods that classify the queries of a task, a file each. A method sees vectors alone: it does not know where they come
//! from, and never the queries' classes.

mod adam;
mod bd_cspn;
mod graph;
mod knn;
mod laplacian_shot;
mod linear_head;
mod matching;
mod prototype;
mod pt_map;
mod ridge_head;
mod simple_shot;
mod slk;
mod space;
#[cfg(test)]
mod tests;
mod tim;

pub use graph::{Graph, neighbour_graph};
pub use slk::{Modes, Slk, bound_update, energy};
pub use space::{class_means, nearest, normalised, squared_distances};

use engine::fewshot::{FewshotSpec, Method};
use engine::numeric::Matrix;

/// What a method is given.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Classes.
    pub ways: usize,
    /// Vectors: first those of the support, then those of the queries, a row each.
    pub points: &'a Matrix,
    /// Place of the class of each support vector; every class has at least one.
    pub labels: &'a [usize],
    /// Mean vector of the base classes.
    pub centre: &'a [f64],
    /// Settings of the methods.
    pub settings: &'a FewshotSpec,
    /// Whether every iteration is to be told; if not, only the last is.
    pub watched: bool,
}

/// What a method says.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Probability of each class for each query, `[queries, ways]`.
    pub probabilities: Matrix,
    /// The points as the method compares them.
    pub points: Matrix,
    /// How it came to that; at least one step.
    pub steps: Vec<Step>,
}

/// One iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Vector that stands for each class, `[ways, dims]`.
    pub prototypes: Matrix,
    /// Place of the class of each query.
    pub predicted: Vec<usize>,
    /// What the method makes small; none where it has no such thing.
    pub energy: Option<f64>,
}

impl Answer {
    /// Place of the class of each query.
    #[must_use]
    pub fn predicted(&self) -> &[usize] {
        self.steps.last().map_or(&[], |step| &step.predicted)
    }

    /// Share of the queries that are right. `truth`: place of the class of each.
    #[must_use]
    pub fn accuracy(&self, truth: impl Iterator<Item = usize>) -> f64 {
        let queries = self.predicted().len().max(1);
        self.predicted().iter().zip(truth).filter(|(found, truth)| **found == *truth).count() as f64 / queries as f64
    }

    /// Of a method that does not iterate.
    fn at_once(points: Matrix, prototypes: Matrix, probabilities: Matrix) -> Self {
        let predicted = space::largest(&probabilities);
        Self { probabilities, points, steps: vec![Step { prototypes, predicted, energy: None }] }
    }
}

impl Problem<'_> {
    /// Labelled vectors.
    fn shots(&self) -> usize {
        self.labels.len()
    }
}

/// Classifies a task's queries.
#[must_use]
pub fn classify(method: Method, problem: &Problem) -> Answer {
    let run = match method {
        Method::Prototype => prototype::euclidean,
        Method::CosinePrototype => prototype::cosine,
        Method::SimpleShot => simple_shot::classify,
        Method::Neighbours => knn::classify,
        Method::Matching => matching::classify,
        Method::LinearHead => linear_head::classify,
        Method::RidgeHead => ridge_head::classify,
        Method::BdCspn => bd_cspn::classify,
        Method::KMeans => slk::k_means,
        Method::LaplacianShot => laplacian_shot::classify,
        Method::SlkMeans => slk::means,
        Method::SlkMs => slk::modes,
        Method::PtMap => pt_map::classify,
        Method::Tim => tim::classify,
    };
    run(problem)
}
