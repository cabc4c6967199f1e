//! Training of an encoder on base classes: prototypical episodes, classifiers, supervised contrast. An update is a function
//! of the spec's seed and its number alone.

use burn::tensor::Tensor;

use engine::executor::AnyExecutor;
use engine::fewshot::{Embedding, FewshotSpec};
use engine::model::{Builder, Init, Mode, ModelError};
use engine::objective::recorded;
use engine::rng::{Rng, Stream};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, PlayError, StepId, Traced, Words, trace};

use super::pictures::{Part, Pictures};
use crate::encoder::{ConvEncoder, DIMS, NET, pictures, unit, unit_rows};

/// Pictures in a batch of a classifier.
const BATCH: usize = 96;
/// Classes in a batch of supervised contrast, two pictures each.
const PAIRS: usize = 64;
/// Temperature of supervised contrast, and factor on a cosine head's outputs.
const CONTRAST: f64 = 0.1;
const COSINE: f64 = 10.0;

/// A training that goes on.
#[derive(Debug)]
pub struct Training {
    step: StepId,
    /// Classes and pictures of each in an update: of the support, of the queries.
    form: [usize; 3],
    /// Base classes in use.
    classes: Vec<u32>,
    /// Updates done.
    pub done: usize,
    /// Seconds of them.
    pub seconds: f64,
}

/// What an update is made of: classes, pictures a class that are compared with, pictures a class that are classified.
fn form(spec: &FewshotSpec, classes: usize) -> [usize; 3] {
    match spec.embedding {
        Embedding::Contrastive => [PAIRS.min(classes), 1, 1],
        Embedding::Linear | Embedding::Cosine => [BATCH.min(classes), 0, 1],
        _ => [spec.episode_ways.min(classes), spec.episode_shots, spec.episode_queries],
    }
}

/// The step of one update.
fn traced(spec: &FewshotSpec, shape: [usize; 3], classes: usize) -> Result<Traced, ModelError> {
    let [ways, shots, queries] = form(spec, classes);
    let adam = OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::default() };
    trace("train", Mode::Train, |tape| {
        let x = pictures(tape, ways * (shots + queries), shape);
        let rows = if spec.embedding == Embedding::Contrastive { ways * 2 } else { ways * queries };
        let labels = tape.labels("labels", [rows]);
        let encoder = tape.net(NET, |builder| ConvEncoder::new(builder, shape));
        let vectors = encoder.forward(x);
        let logits = match spec.embedding {
            Embedding::Contrastive => {
                let mask = tape.input("mask", [rows, rows]);
                let vectors = unit_rows(vectors);
                vectors.clone().matmul(vectors.transpose()) / CONTRAST + mask
            }
            Embedding::Linear | Embedding::Cosine => {
                let cosine = spec.embedding == Embedding::Cosine;
                let head = tape.net("head", |builder: &mut Builder| {
                    builder.linear(DIMS, classes, !cosine, Init::linear_normal(DIMS))
                });
                if cosine {
                    let weights = unit_rows(head.weight.val().transpose());
                    unit_rows(vectors).matmul(weights.transpose()) * COSINE
                } else {
                    head.forward(vectors)
                }
            }
            _ => prototype_logits(vectors, [ways, shots, queries]),
        };
        let loss = recorded::cross_entropy(logits.clone(), labels.clone()).mean();
        tape.minimise(NET, &loss, &adam);
        if matches!(spec.embedding, Embedding::Linear | Embedding::Cosine) {
            tape.minimise("head", &loss, &adam);
        }
        tape.metric("loss", &loss);
        tape.metric("accuracy", &recorded::correct(logits, labels).mean());
        Ok(())
    })
}

/// Scores of an episode's queries against the means of its classes' supports (Snell et al. 2017), `[ways * queries, ways]`:
/// less the squared distance, but for what is the same for every class of a query. `vectors`: the supports class by class,
/// then the queries class by class, `[ways * (shots + queries), DIMS]`.
pub(crate) fn prototype_logits(vectors: Tensor<2>, [ways, shots, queries]: [usize; 3]) -> Tensor<2> {
    let support = vectors.clone().slice(0..ways * shots).reshape([ways, shots, DIMS]);
    let means = support.mean_dim(1).reshape([ways, DIMS]);
    let asked = vectors.slice(ways * shots..ways * (shots + queries));
    // |q|^2 is the same for every class and leaves the softmax as it is.
    let lengths = means.clone().powf_scalar(2.0).sum_dim(1).reshape([1, ways]);
    asked.matmul(means.transpose()) * 2.0 - lengths.expand([ways * queries, ways])
}

impl Training {
    /// Makes the updates of a spec ready in a play.
    ///
    /// # Errors
    /// The step cannot be recorded, or the executor fails.
    pub async fn begin(
        play: &mut Play<'_, AnyExecutor>,
        pictures: &Pictures,
        spec: &FewshotSpec,
    ) -> Result<Self, PlayError> {
        let all = pictures.classes(Part::Base);
        let count = if spec.base == 0 { all.len() } else { spec.base.clamp(2, all.len()) };
        let classes = all[..count].to_vec();
        let step = play.add(traced(spec, pictures.shape, count)?).await?;
        Ok(Self { step, form: form(spec, count), classes, done: 0, seconds: 0.0 })
    }

    /// Share of the training that is done: of its updates, or of its time where that ends first.
    #[must_use]
    pub fn share(&self, spec: &FewshotSpec) -> f64 {
        let updates = self.done as f64 / spec.updates.max(1) as f64;
        let time = if spec.seconds > 0.0 { self.seconds / spec.seconds } else { 0.0 };
        updates.max(time).min(1.0)
    }

    /// The learning rate of the next update.
    #[must_use]
    pub fn rate(&self, spec: &FewshotSpec) -> f64 {
        // A twentieth is left at the end: the last updates still count.
        let fall = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * self.share(spec)));
        spec.rate * (0.05 + 0.95 * fall)
    }

    /// One update.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn update(
        &mut self,
        play: &mut Play<'_, AnyExecutor>,
        pictures: &Pictures,
        spec: &FewshotSpec,
    ) -> Result<(), PlayError> {
        let [ways, shots, queries] = self.form;
        let mut rng = Rng::new(spec.seed, Stream::Sample, self.done as u32);
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        for place in 0..ways {
            let left = (order.len() - place) as u32;
            order.swap(place, place + rng.below(left) as usize);
        }
        let classes: Vec<u32> = order[..ways].iter().map(|&class| self.classes[class]).collect();
        let pixels = unit(&pictures.drawn(&classes, [shots, queries], spec.warp, &mut rng));
        let mut inputs = vec![("pictures", Words::Numbers(&pixels))];
        let labels: Vec<u32> = match spec.embedding {
            Embedding::Contrastive => (0..2 * ways).map(|row| ((row + ways) % (2 * ways)) as u32).collect(),
            Embedding::Linear | Embedding::Cosine => order[..ways].iter().map(|&class| class as u32).collect(),
            _ => (0..ways * queries).map(|row| (row / queries) as u32).collect(),
        };
        inputs.push(("labels", Words::Classes(&labels)));
        // A picture is not compared with itself.
        let mut mask = Vec::new();
        if spec.embedding == Embedding::Contrastive {
            mask.resize(4 * ways * ways, 0.0);
            (0..2 * ways).for_each(|row| mask[row * (2 * ways + 1)] = -1e4);
            inputs.push(("mask", Words::Numbers(&mask)));
        }
        let rate = self.rate(spec);
        play.rate(NET, rate)?;
        if matches!(spec.embedding, Embedding::Linear | Embedding::Cosine) {
            play.rate("head", rate)?;
        }
        play.submit(self.step, &inputs).await?;
        self.done += 1;
        Ok(())
    }

    /// Losses and accuracies of the updates since the last call.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn columns(&self, play: &mut Play<'_, AnyExecutor>) -> Result<[Vec<f32>; 2], PlayError> {
        let mut columns = play.metrics(self.step).await?;
        Ok(["loss", "accuracy"].map(|name| columns.remove(name).unwrap_or_default()))
    }
}
