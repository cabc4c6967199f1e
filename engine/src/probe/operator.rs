//! What algorithms see of a matrix: its products with vectors.

use crate::executor::Executor;
use crate::train::TrainError;

/// A symmetric matrix `[P, P]` by its products. A product may take several calls, so that training can go on between
/// them.
#[allow(async_fn_in_trait, reason = "executors are single-threaded; no caller needs Send futures")]
pub trait Operator {
    /// P.
    fn size(&self) -> usize;

    /// Vectors that cost less together than one by one; at least 1.
    fn lanes(&self) -> usize;

    /// Sets the vectors to be multiplied next, each `[P]`. What was begun before is dropped.
    fn begin(&mut self, vectors: Vec<Vec<f32>>);

    /// Does a part of the work that was begun; yields the products when nothing is left.
    ///
    /// # Errors
    /// The executor fails; vectors are not of length P; nothing was begun.
    async fn advance<E: Executor>(&mut self, executor: &mut E) -> Result<Option<Vec<Vec<f32>>>, TrainError>;

    /// Products of vectors, in one go.
    ///
    /// # Errors
    /// As [`Self::advance`].
    async fn apply<E: Executor>(
        &mut self,
        executor: &mut E,
        vectors: Vec<Vec<f32>>,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        self.begin(vectors);
        loop {
            if let Some(products) = self.advance(executor).await? {
                return Ok(products);
            }
        }
    }
}

/// `first - second`.
#[derive(Debug)]
pub struct Difference<'a, A, B> {
    first: &'a mut A,
    second: &'a mut B,
    vectors: Vec<Vec<f32>>,
    /// Products of the first operator, once it is done.
    products: Option<Vec<Vec<f32>>>,
}

impl<'a, A: Operator, B: Operator> Difference<'a, A, B> {
    /// The difference of two operators of the same size.
    pub fn new(first: &'a mut A, second: &'a mut B) -> Self {
        Difference { first, second, vectors: Vec::new(), products: None }
    }
}

impl<A: Operator, B: Operator> Operator for Difference<'_, A, B> {
    fn size(&self) -> usize {
        self.first.size()
    }

    fn lanes(&self) -> usize {
        self.first.lanes().max(self.second.lanes())
    }

    fn begin(&mut self, vectors: Vec<Vec<f32>>) {
        self.first.begin(vectors.clone());
        self.vectors = vectors;
        self.products = None;
    }

    async fn advance<E: Executor>(&mut self, executor: &mut E) -> Result<Option<Vec<Vec<f32>>>, TrainError> {
        if self.products.is_none() {
            self.products = self.first.advance(executor).await?;
            if self.products.is_some() {
                self.second.begin(std::mem::take(&mut self.vectors));
            }
            return Ok(None);
        }
        let Some(second) = self.second.advance(executor).await? else { return Ok(None) };
        let mut products = self.products.take().unwrap_or_default();
        for (a, b) in products.iter_mut().zip(&second) {
            a.iter_mut().zip(b).for_each(|(a, b)| *a -= b);
        }
        Ok(Some(products))
    }
}

/// `S A S` with a diagonal S: for Adam S holds the inverse square roots of its preconditioner, and the eigenvalues of
/// `S A S` are those that decide its stability.
#[derive(Debug)]
pub struct Scaled<'a, A> {
    operator: &'a mut A,
    scale: &'a [f32],
}

impl<'a, A: Operator> Scaled<'a, A> {
    /// An operator between two diagonal matrices of diagonal `scale`, `[P]`.
    pub fn new(operator: &'a mut A, scale: &'a [f32]) -> Self {
        Scaled { operator, scale }
    }

    fn scaled(&self, mut vectors: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        for vector in &mut vectors {
            vector.iter_mut().zip(self.scale).for_each(|(x, s)| *x *= s);
        }
        vectors
    }
}

impl<A: Operator> Operator for Scaled<'_, A> {
    fn size(&self) -> usize {
        self.operator.size()
    }

    fn lanes(&self) -> usize {
        self.operator.lanes()
    }

    fn begin(&mut self, vectors: Vec<Vec<f32>>) {
        let vectors = self.scaled(vectors);
        self.operator.begin(vectors);
    }

    async fn advance<E: Executor>(&mut self, executor: &mut E) -> Result<Option<Vec<Vec<f32>>>, TrainError> {
        let products = self.operator.advance(executor).await?;
        Ok(products.map(|products| self.scaled(products)))
    }
}
