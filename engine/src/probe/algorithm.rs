//! Algorithms that need nothing of a matrix but its products.

use super::Operator;
use crate::executor::Executor;
use crate::train::TrainError;

/// An algorithm that can stop after any product and go on later.
pub trait Algorithm {
    /// What it yields.
    type Record;

    /// Vectors whose products come next; none when it is done. Asking again without an answer yields the same.
    fn ask(&self) -> Vec<Vec<f32>>;

    /// Takes the products of the vectors asked for, in their order.
    fn tell(&mut self, products: Vec<Vec<f32>>);

    /// What is known so far, with its error.
    fn record(&self) -> Self::Record;
}

/// Runs an algorithm to its end.
///
/// # Errors
/// Those of the operator.
pub async fn run<A: Algorithm, O: Operator, E: Executor>(
    algorithm: &mut A,
    operator: &mut O,
    executor: &mut E,
) -> Result<A::Record, TrainError> {
    loop {
        let vectors = algorithm.ask();
        if vectors.is_empty() {
            return Ok(algorithm.record());
        }
        algorithm.tell(operator.apply(executor, vectors).await?);
    }
}

/// Does a part of an algorithm's work on an operator; true when it is done. `begun`: whether products are under way.
pub(crate) async fn work<A: Algorithm, O: Operator, E: Executor>(
    algorithm: &mut A,
    operator: &mut O,
    begun: &mut bool,
    executor: &mut E,
) -> Result<bool, TrainError> {
    if !*begun {
        let vectors = algorithm.ask();
        if vectors.is_empty() {
            return Ok(true);
        }
        operator.begin(vectors);
        *begun = true;
    }
    if let Some(products) = operator.advance(executor).await? {
        algorithm.tell(products);
        *begun = false;
    }
    Ok(false)
}
