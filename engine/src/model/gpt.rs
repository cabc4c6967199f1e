//! Character-level GPT: decoder-only, pre-norm, causal, learned positions.

use burn::module::{Module, Param};
use burn::nn::{Embedding, LayerNorm, Linear};
use burn::tensor::{Tensor, TensorData};

use super::encoder::{Drops, Layer, WEIGHT_STD, Weights, scaled};
use super::layer::{DropRate, dropout};
use super::{Batch, Builder, Forward, Init, InputShape, ModelError, Pass};
use crate::spec::{GptSpec, NormOrder};

/// What muP scales (Yang et al. 2022, arXiv 2203.03466), with the constants of MiniCPM (arXiv 2404.06395, section 3 and
/// appendix A); nothing where it is off.
#[derive(Clone, Copy, Debug)]
struct Scales {
    /// Start of embeddings.
    init: Init,
    layers: Weights,
    /// Factor of the embeddings.
    embedding: f64,
    /// Factor of the logits.
    logits: f64,
}

impl Scales {
    const INIT: f32 = 0.1;
    const EMBEDDING: f64 = 12.0;
    const DEPTH: f64 = 1.4;

    fn of(spec: &GptSpec) -> Self {
        let plain = Weights::default();
        if spec.base == 0 {
            return Scales { init: Init::TruncatedNormal(WEIGHT_STD), layers: plain, embedding: 1.0, logits: 1.0 };
        }
        let wider = spec.width as f64 / spec.base as f64;
        let layers = Weights {
            init: Init::TruncatedNormal(Self::INIT / wider.sqrt() as f32),
            rate: (1.0 / wider) as f32,
            branch: Self::DEPTH / (spec.depth.max(1) as f64).sqrt(),
        };
        Scales { init: Init::TruncatedNormal(Self::INIT), layers, embedding: Self::EMBEDDING, logits: 1.0 / wider }
    }
}

/// Embedding, causal layers, output over the vocabulary.
#[derive(Module, Debug)]
pub struct Gpt {
    tokens: Embedding,
    positions: Param<Tensor<2>>,
    blocks: Vec<Layer>,
    norm: LayerNorm,
    head: Option<Linear>,
    #[module(skip)]
    dropout: DropRate,
    #[module(skip)]
    scales: Scales,
}

impl Gpt {
    /// The network of a spec; `outputs` must be the size of the vocabulary where weights are tied.
    pub fn new(spec: &GptSpec, input: InputShape, outputs: usize, b: &mut Builder) -> Result<Self, ModelError> {
        let fail = |reason: String| Err(ModelError::Spec { model: Self::KIND, reason });
        let InputShape::Tokens { context, vocabulary } = input else { return fail("reads characters only".into()) };
        let d = spec.width;
        if spec.heads == 0 || !d.is_multiple_of(spec.heads) {
            return fail(format!("{} heads do not divide a width of {d}", spec.heads));
        }
        if spec.tied && outputs != vocabulary {
            return fail(format!("tied weights give {vocabulary} outputs, not {outputs}"));
        }
        let scales = Scales::of(spec);
        let (init, layers) = (scales.init, scales.layers);
        let drops = Drops {
            dropout: DropRate::of_recipe(spec.dropout),
            attention: DropRate::of_recipe(spec.dropout),
            path: 0.0,
        };
        let layer =
            |b: &mut Builder| Layer::new(d, spec.heads, (spec.ratio, spec.gelu), NormOrder::Pre, drops, layers, b);
        Ok(Gpt {
            tokens: b.embedding(vocabulary, d, init),
            positions: b.param([context, d], init),
            blocks: (0..spec.depth).map(|_| layer(b)).collect(),
            norm: b.layer_norm(d),
            head: (!spec.tied).then(|| b.linear(d, outputs, true, init)),
            dropout: DropRate::of_recipe(spec.dropout),
            scales,
        })
    }
}

impl Forward for Gpt {
    const KIND: &'static str = "gpt";

    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError> {
        let Batch::Tokens(x) = x else { return Err(Self::misfit(&x)) };
        let [batch, context] = x.dims();
        let mut x = scaled(self.tokens.forward(x) + self.positions.val().unsqueeze::<3>(), self.scales.embedding);
        x = dropout(x, self.dropout, pass);
        let count = TensorData::new((0..context).map(|k| k as f32).collect(), [context]);
        let place = Tensor::<1>::from_data(count, &x.device());
        // The key (column) comes after the query (row).
        let hidden = place.clone().reshape([1, context]).greater(place.reshape([context, 1]));
        for (k, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, Some(&hidden), &format!("attention.{k}"), pass);
        }
        let d = x.dims()[2];
        let x = self.norm.forward(x).reshape([batch * context, d]);
        let logits = match &self.head {
            Some(head) => head.forward(x),
            None => x.matmul(self.tokens.weight.val().transpose()),
        };
        Ok(scaled(logits, self.scales.logits))
    }
}
