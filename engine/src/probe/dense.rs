//! A matrix whose elements are known: for closed forms and for trying algorithms.

use super::Operator;
use super::vector::dot;
use crate::executor::Executor;
use crate::train::TrainError;

/// A symmetric matrix in memory, row-major `[P, P]`. Needs no executor.
#[derive(Clone, Debug)]
pub struct Dense {
    size: usize,
    elements: Vec<f64>,
    vectors: Vec<Vec<f32>>,
}

impl Dense {
    /// A symmetric matrix; missing elements are zeros.
    #[must_use]
    pub fn new(size: usize, mut elements: Vec<f64>) -> Self {
        elements.resize(size * size, 0.0);
        Dense { size, elements, vectors: Vec::new() }
    }
}

impl Operator for Dense {
    fn size(&self) -> usize {
        self.size
    }

    fn lanes(&self) -> usize {
        1
    }

    fn begin(&mut self, vectors: Vec<Vec<f32>>) {
        self.vectors = vectors;
    }

    async fn advance<E: Executor>(&mut self, _executor: &mut E) -> Result<Option<Vec<Vec<f32>>>, TrainError> {
        let product = |vector: &Vec<f32>| -> Vec<f32> {
            let wide: Vec<f64> = vector.iter().map(|&x| f64::from(x)).collect();
            self.elements.chunks(self.size.max(1)).map(|row| dot(row, &wide) as f32).collect()
        };
        Ok(Some(std::mem::take(&mut self.vectors).iter().map(product).collect()))
    }
}
