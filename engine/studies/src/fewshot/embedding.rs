//! What turns pictures into vectors.

use engine::data::canvas::resized;
use engine::executor::AnyExecutor;
use engine::fewshot::{Embedding, EncoderCard, FewshotSpec, Mean, Method};
use engine::numeric::{Matrix, norm};
use engine::tape::{Breathless, Home, Play, StepId};

use super::bench::Bench;
use super::methods::{Problem, classify};
use super::pictures::{Examples, Part, Pictures};
use super::scores::mean;
use super::training::Training;
use crate::StudyError;
use crate::encoder::{Form, NET, embed, embedding_step, read_weights, squeezenet};

/// The file of the shipped encoder, below the folder of packs.
pub const SHIPPED: &str = "encoder.bin";

/// Tasks on validation classes while an encoder learns, and what they look like.
const WATCHED: u32 = 200;
const WATCHED_QUERIES: usize = 5;

/// An encoder in use.
pub struct Encoder {
    kind: Embedding,
    /// What it sees: channels, height, width.
    shape: [usize; 3],
    net: Option<Net>,
    /// The training, where it is trained here.
    pub training: Option<Training>,
}

struct Net {
    play: Play<'static, AnyExecutor>,
    embed: StepId,
    form: Form,
    parameters: usize,
}

impl Encoder {
    /// The file of parameters that a spec asks for, below the folder of packs.
    #[must_use]
    pub const fn file(kind: Embedding) -> Option<&'static str> {
        match kind {
            Embedding::Shipped => Some(SHIPPED),
            Embedding::Squeezenet => Some(squeezenet::FILE),
            _ => None,
        }
    }

    /// As a spec asks for it. `file`: its [`file`](Self::file), where it asks for one.
    ///
    /// # Errors
    /// The file does not fit; the executor fails or is elsewhere.
    pub async fn new(
        home: &Home<AnyExecutor>,
        pictures: &Pictures,
        spec: &FewshotSpec,
        file: Option<&[u8]>,
    ) -> Result<Self, StudyError> {
        let kind = spec.embedding;
        let mut encoder = Self { kind, shape: pictures.shape, net: None, training: None };
        if kind == Embedding::Pixels {
            return Ok(encoder);
        }
        let mut play = Play::new(home, Breathless, spec.seed)?;
        if kind.trains() {
            encoder.training = Some(Training::begin(&mut play, pictures, spec).await?);
        }
        let (form, step) = if kind == Embedding::Squeezenet {
            encoder.shape = squeezenet::SHAPE;
            (squeezenet::FORM, squeezenet::embedding_step()?)
        } else {
            (Form::convolutional(pictures.size()), embedding_step(pictures.shape)?)
        };
        let embed = play.add(step).await?;
        let theta = format!("{NET}.theta");
        if Self::file(kind).is_some() {
            let bytes = file.ok_or_else(|| StudyError::Other("the encoder's file was not fetched".into()))?;
            play.write(&theta, &read_weights(bytes).map_err(StudyError::Other)?)?;
        }
        let parameters = play.read(&theta).await?.len();
        encoder.net = Some(Net { play, embed, form, parameters });
        Ok(encoder)
    }

    /// Numbers of a vector.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.net.as_ref().map_or_else(|| self.shape.iter().product(), |net| net.form.dims)
    }

    /// What it sees: channels, height, width.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Vectors of pictures of a shape, `[N, dims]`.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn encode(&mut self, pixels: &[u8], shape: [usize; 3]) -> Result<Vec<f32>, StudyError> {
        let other: Vec<u8>;
        let pixels = if shape == self.shape {
            pixels
        } else {
            let pictures = pixels.chunks_exact(shape.iter().product::<usize>().max(1));
            other = pictures.flat_map(|picture| resized(picture, shape, self.shape)).collect();
            &other
        };
        match &mut self.net {
            Some(net) => Ok(embed(&mut net.play, net.embed, pixels, net.form).await?),
            None => Ok(pixels.chunks_exact(self.dims().max(1)).flat_map(of_pixels).collect()),
        }
    }

    /// What it is.
    #[must_use]
    pub fn card(&self, spec: &FewshotSpec) -> EncoderCard {
        let done = self.training.as_ref().map_or(0, |training| training.done);
        EncoderCard {
            name: if self.kind == Embedding::Squeezenet { squeezenet::TITLE } else { self.kind.label() }.into(),
            dims: self.dims(),
            parameters: self.net.as_ref().map_or(0, |net| net.parameters),
            updates: done,
            of: if self.kind.trains() { spec.updates } else { 0 },
            ready: !self.kind.trains() || done > 0,
        }
    }

    /// One update of its training; `false` if that is over or there is none.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn update(&mut self, pictures: &Pictures, spec: &FewshotSpec) -> Result<bool, StudyError> {
        let (Some(training), Some(net)) = (&mut self.training, &mut self.net) else { return Ok(false) };
        if training.share(spec) >= 1.0 {
            return Ok(false);
        }
        training.update(&mut net.play, pictures, spec).await?;
        Ok(true)
    }

    /// Losses and accuracies of the updates since the last call.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn columns(&mut self) -> Result<[Vec<f32>; 2], StudyError> {
        match (&self.training, &mut self.net) {
            (Some(training), Some(net)) => Ok(training.columns(&mut net.play).await?),
            _ => Ok(Default::default()),
        }
    }

    /// Its parameters.
    ///
    /// # Errors
    /// The executor fails; it has none.
    pub async fn parameters(&mut self) -> Result<Vec<f32>, StudyError> {
        let net = self.net.as_mut().ok_or_else(|| StudyError::Other("pixels have no parameters".into()))?;
        Ok(net.play.read(&format!("{NET}.theta")).await?)
    }

    /// Accuracy of nearest prototypes on validation classes, at 5-way 1-shot.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn validate(&mut self, pictures: &Pictures, spec: &FewshotSpec) -> Result<Mean, StudyError> {
        let ways = 5.min(pictures.classes(Part::Validation).len());
        let spec = FewshotSpec { queries: WATCHED_QUERIES, alpha: 0.0, shots: 1, ways, ..spec.clone() };
        let mut bench = Bench::few(pictures, Part::Validation, &spec, self.dims());
        let mut accuracies = Vec::new();
        for number in 0..WATCHED {
            let Ok(episode) = bench.tasks.draw(&spec, [ways, 1], number) else { break };
            let (points, labels) = bench.task(self, pictures, &episode).await?;
            let problem =
                Problem { ways, points: &points, labels: &labels, centre: &[], settings: &spec, watched: false };
            let truth = episode.query.iter().map(|query| query.1);
            accuracies.push(classify(Method::Prototype, &problem).accuracy(truth));
        }
        Ok(mean(&accuracies))
    }

    /// Mean vector of the base classes, by one example of each of some hundreds.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn centre(&mut self, pictures: &Pictures, spec: &FewshotSpec) -> Result<Vec<f64>, StudyError> {
        const CLASSES: usize = 512;
        let examples = Examples::of(pictures, Part::Base, spec);
        let mut rows: Vec<u32> = Vec::new();
        for row in 0..examples.len() as u32 {
            if rows.last().is_none_or(|&last| examples.class(last) != examples.class(row)) {
                rows.push(row);
            }
        }
        rows.truncate(CLASSES);
        let vectors = self.encode(&examples.pixels(pictures, &rows), pictures.shape).await?;
        Ok(column_means(&super::bench::matrix(&vectors, self.dims())))
    }
}

/// Mean of the rows.
pub fn column_means(points: &Matrix) -> Vec<f64> {
    let n = points.rows.max(1) as f64;
    (0..points.columns).map(|c| (0..points.rows).map(|r| points.at(r, c)).sum::<f64>() / n).collect()
}

/// A picture as a vector of length 1.
fn of_pixels(pixels: &[u8]) -> Vec<f32> {
    let values: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let length = norm(&values).max(1e-6) as f32;
    values.into_iter().map(|x| x / length).collect()
}
