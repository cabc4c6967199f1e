//! The encoder, one for packages and for what they need, and the loss over the hardest negatives of a batch.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Int, Tensor};
use engine::model::{Builder, Init};
use engine::nn::bag;
use engine::tape::{Play, Table, Tape, Words};

use super::packages::{BUCKETS, LENGTH, Packages, Texts};
use crate::StudyError;
use crate::encoder::unit_rows;

/// Numbers of a vector.
pub const WIDTH: usize = 48;
/// What embeddings learn at, times the recipe's rate.
const FASTER: f32 = 5.0;
/// Temperature of the weights of negatives.
const TEMPERATURE: f64 = 0.1;
/// Below any cosine.
const FAR: f64 = 10.0;

/// A bag of embeddings, a residual layer, and what each label has beside its text.
#[derive(Module, Debug)]
pub struct Siamese {
    table: Param<Tensor<2>>,
    dense: Linear,
    own: Param<Tensor<2>>,
}

impl Siamese {
    /// For so many labels.
    pub fn new(labels: usize, b: &mut Builder) -> Self {
        let table = b.param([BUCKETS, WIDTH], Init::Normal(1.0 / (WIDTH as f32).sqrt()));
        let own = b.param([labels, WIDTH], Init::Constant(0.0));
        for param in [&table, &own] {
            b.slow(param, FASTER);
        }
        Self { table, dense: b.linear(WIDTH, WIDTH, true, Init::linear_normal(WIDTH)), own }
    }

    fn embed(&self, (lists, weights): (Tensor<2, Int>, Tensor<2>)) -> Tensor<2> {
        let bag = bag::weighted(self.table.val(), lists, weights);
        bag.clone() + relu(self.dense.forward(bag))
    }

    /// Unit vectors `[rows, 48]` of packages.
    pub fn documents(&self, texts: (Tensor<2, Int>, Tensor<2>)) -> Tensor<2> {
        unit_rows(self.embed(texts))
    }

    /// Unit vectors of labels, whose numbers `which` are.
    pub fn labels(&self, texts: (Tensor<2, Int>, Tensor<2>), which: Tensor<1, Int>) -> Tensor<2> {
        unit_rows(self.embed(texts) + self.own.val().select(0, which))
    }
}

/// Packages or labels as tables of a play.
pub struct Rows {
    buckets: Table,
    weights: Table,
}

impl Rows {
    pub fn new(name: &str, texts: &Texts) -> Self {
        Self {
            buckets: Table::classes(&format!("{name}.buckets"), [texts.len(), LENGTH]),
            weights: Table::numbers(&format!("{name}.weights"), [texts.len(), LENGTH]),
        }
    }

    /// Of packages, and of labels.
    pub fn both(packages: &Packages) -> [Self; 2] {
        [Self::new("documents", &packages.documents), Self::new("labels", &packages.labels)]
    }

    pub fn upload(&self, play: &mut Play<'_>, texts: &Texts) -> Result<(), StudyError> {
        play.table(&self.buckets, Words::Classes(&texts.buckets))?;
        Ok(play.table(&self.weights, Words::Numbers(&texts.weights))?)
    }

    /// So many texts, by row numbers that are the step input `index`.
    pub fn texts(&self, tape: &mut Tape, index: &str, rows: usize) -> (Tensor<2, Int>, Tensor<2>) {
        let shape = [rows, LENGTH];
        (tape.row_classes(&self.buckets, index, shape), tape.rows(&self.weights, index, shape))
    }
}

/// What a batch's triplets come to.
pub struct Triplets {
    /// The loss.
    pub loss: Tensor<1>,
    /// Share of the used negatives that are within the margin.
    pub active: Tensor<1>,
    /// Their mean similarity.
    pub similarity: Tensor<1>,
    /// Similarity of each used negative less that of the positive, `[rows, k]`; far below 0 where there is none.
    pub gaps: Tensor<2>,
}

/// Of similarities `[rows, pool]`, those of the positives `[rows, 1]`, and where a negative is allowed (1). The loss is a mean
/// over rows and the `k` hardest of each, weighed by how hard they are if that is wanted.
pub fn triplets(
    similarities: Tensor<2>,
    positive: Tensor<2>,
    allowed: Tensor<2>,
    k: usize,
    margin: f64,
    weighed: bool,
) -> Triplets {
    let [rows, pool] = similarities.dims();
    let k = k.clamp(1, pool);
    let kept = similarities * allowed.clone() + (allowed - 1.0) * FAR;
    let near = kept.topk_with_indices(k, 1).0;
    let real = near.clone().greater_elem(-0.5 * FAR).float();
    let gaps = near.clone() - positive.expand([rows, k]);
    let hinge = relu(gaps.clone() + margin) * real.clone();
    let active = hinge.clone().greater_elem(0.0).float();
    let count = real.clone().sum().clamp_min(1.0);
    let loss = if weighed {
        let hard = near.clone() * active.clone() * (1.0 / TEMPERATURE) + (real.clone() - 1.0) * 1e9;
        (softmax(hard, 1) * hinge).mean()
    } else {
        hinge.sum() / count.clone()
    };
    Triplets { loss, active: active.sum() / count.clone(), similarity: (near * real).sum() / count, gaps }
}
