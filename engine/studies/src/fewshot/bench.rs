//! Examples of a part of the classes, the tasks over them, and their vectors as far as they are known.

use engine::episodes::Episode;
use engine::fewshot::FewshotSpec;
use engine::numeric::Matrix;

use super::embedding::Encoder;
use super::pictures::{Examples, Part, Pictures};
use super::tasks::Tasks;
use crate::StudyError;
use crate::encoder::Cache;

/// Examples, tasks and vectors of one part.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The examples.
    pub examples: Examples,
    /// Tasks over them.
    pub tasks: Tasks,
    cache: Cache,
}

impl Bench {
    /// Of a part, for an encoder whose vectors have `dims` numbers.
    #[must_use]
    pub fn new(pictures: &Pictures, part: Part, spec: &FewshotSpec, dims: usize) -> Self {
        Self::of(pictures, part, spec, dims, Examples::of(pictures, part, spec))
    }

    /// The same with no more examples than a task needs, or some: quicker to be embedded.
    #[must_use]
    pub fn few(pictures: &Pictures, part: Part, spec: &FewshotSpec, dims: usize) -> Self {
        const FEW: u32 = 6;
        Self::of(pictures, part, spec, dims, Examples::few(pictures, part, spec, FEW))
    }

    fn of(pictures: &Pictures, part: Part, spec: &FewshotSpec, dims: usize, examples: Examples) -> Self {
        let tasks = Tasks::of(pictures, part, &examples, spec);
        let cache = Cache::new(examples.len(), dims);
        Self { examples, tasks, cache }
    }

    /// Forgets all vectors.
    pub fn forget(&mut self, dims: usize) {
        self.cache = Cache::new(self.examples.len(), dims);
    }

    /// Vectors of these rows, `[N, dims]`; those that are not known are computed.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn vectors(
        &mut self,
        encoder: &mut Encoder,
        pictures: &Pictures,
        rows: &[u32],
    ) -> Result<Matrix, StudyError> {
        let missing = self.cache.missing(rows);
        if !missing.is_empty() {
            let pixels = self.examples.pixels(pictures, &missing);
            self.cache.put(&missing, &encoder.encode(&pixels, pictures.shape).await?);
        }
        let values = rows.iter().flat_map(|&row| self.cache.get(row).unwrap_or_default()).map(|&x| f64::from(x));
        Ok(Matrix { rows: rows.len(), columns: self.cache.dims(), values: values.collect() })
    }

    /// Vectors of a task, support first, and the place of each support row's class.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn task(
        &mut self,
        encoder: &mut Encoder,
        pictures: &Pictures,
        episode: &Episode,
    ) -> Result<(Matrix, Vec<usize>), StudyError> {
        let (rows, labels) = rows(episode);
        Ok((self.vectors(encoder, pictures, &rows).await?, labels))
    }
}

/// A task's rows, support first, and the place of each support row's class.
pub fn rows(episode: &Episode) -> (Vec<u32>, Vec<usize>) {
    let support = episode.support.iter().enumerate();
    let (labels, mut rows): (Vec<usize>, Vec<u32>) =
        support.flat_map(|(place, rows)| rows.iter().map(move |&row| (place, row))).unzip();
    rows.extend(episode.query.iter().map(|query| query.0));
    (rows, labels)
}

/// Vectors as rows.
#[must_use]
pub fn matrix(vectors: &[f32], dims: usize) -> Matrix {
    Matrix { rows: vectors.len() / dims.max(1), columns: dims, values: vectors.iter().map(|&x| f64::from(x)).collect() }
}
