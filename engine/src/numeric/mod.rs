//! Small linear algebra and order statistics in f64 on the host, for whatever needs a few hundred numbers: probes, studies,
//! metrics. The same bits natively and in WASM. Large products belong to an executor.

mod draws;
pub mod fit;
mod halves;
mod matrix;
mod order;
mod softmax;
mod symmetric;
mod vector;

pub use draws::{dirichlet, gamma};
pub use halves::{Halves, halves};
pub use matrix::{Matrix, least_squares};
pub use order::{argmax, by_key, median, places, quantile, ranks, sort, sort_by, sort_by_key, sorted};
pub use softmax::{log_sum_exp, softmax};
pub use symmetric::{Eigen, eigen, eigen_tridiagonal, eigenvalues};
pub use vector::{cosine, deviation, distance, dot, mean, norm, pearson};
