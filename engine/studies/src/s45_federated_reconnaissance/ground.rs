//! The classes of one seed: pictures, and their vectors by the frozen encoder.

use engine::fewshot::FewshotSpec;
use engine::numeric::Matrix;
use engine::rng::{Rng, Stream};
use engine::tape::{Play, StepId};

use crate::StudyError;
use crate::encoder::{DIMS, Form, embed};
use crate::fewshot::matrix;
use crate::fewshot::pictures::{Examples, Part, Pictures};

/// Base classes among those that are to be told apart.
pub const BASE: usize = 20;
/// Examples of a class, and how many of them are for tests: the same for every arm.
pub const EXAMPLES: usize = 40;
pub const TESTED: usize = 10;

/// Classes, the base classes first, with the same number of examples each.
#[derive(Debug)]
pub struct Ground {
    /// Bytes of a picture.
    pub size: usize,
    /// `[classes * EXAMPLES, size]`.
    pub pixels: Vec<u8>,
    /// By the frozen encoder, `[classes * EXAMPLES, DIMS]`.
    pub vectors: Matrix,
}

impl Ground {
    /// Some of the base classes that the encoder has learned, and so many that it never saw.
    pub async fn new(
        play: &mut Play<'_>,
        step: StepId,
        pictures: &Pictures,
        spec: &FewshotSpec,
        novel: usize,
    ) -> Result<Self, StudyError> {
        let mut rng = Rng::new(spec.seed, Stream::Tasks, 44);
        let mut pixels = Vec::new();
        for (part, among, count) in [(Part::Base, spec.base, BASE), (Part::Novel, usize::MAX, novel)] {
            let all = pictures.classes(part);
            let mut classes = all[..among.min(all.len())].to_vec();
            rng.shuffle(&mut classes);
            classes.truncate(count);
            let examples = Examples::of(pictures, part, spec);
            for class in classes {
                pixels.extend(examples.pixels(pictures, &examples.of_class(class)[..EXAMPLES]));
            }
        }
        let vectors = matrix(&embed(play, step, &pixels, Form::convolutional(pictures.size())).await?, DIMS);
        Ok(Self { size: pictures.size(), pixels, vectors })
    }

    /// Row of a novel class's example among those to learn from.
    pub fn row(class: usize, example: usize) -> usize {
        (BASE + class) * EXAMPLES + TESTED + example
    }

    /// Rows of a base class to learn from.
    pub fn base_rows(class: usize) -> std::ops::Range<usize> {
        class * EXAMPLES + TESTED..(class + 1) * EXAMPLES
    }

    /// Rows to be tested on, of so many classes.
    pub fn tests(classes: usize) -> Vec<usize> {
        (0..classes).flat_map(|class| class * EXAMPLES..class * EXAMPLES + TESTED).collect()
    }

    /// Vectors of some rows.
    pub fn rows(&self, rows: &[usize]) -> Matrix {
        Matrix::from_fn(rows.len(), DIMS, |row, column| self.vectors.at(rows[row], column))
    }

    /// Pixels of some rows.
    pub fn pixels(&self, rows: &[usize]) -> Vec<u8> {
        rows.iter().flat_map(|row| &self.pixels[row * self.size..(row + 1) * self.size]).copied().collect()
    }

    /// Accuracy in percent of predictions for [`Self::tests`].
    pub fn accuracy(predicted: &[usize]) -> f64 {
        let right = predicted.iter().enumerate().filter(|(place, class)| place / TESTED == **class).count();
        100.0 * right as f64 / predicted.len().max(1) as f64
    }
}
