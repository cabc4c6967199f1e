//! Character-level GPT: decoder-only, pre-norm, causal, learned positions.

use burn::module::{Module, Param};
use burn::nn::{Embedding, LayerNorm, Linear};
use burn::tensor::{Tensor, TensorData};

use super::encoder::{Drops, Layer, WEIGHT_STD};
use super::layer::dropout;
use super::{Batch, Builder, Forward, Init, InputShape, ModelError, Pass};
use crate::spec::{GptSpec, NormOrder};

/// Embedding, causal layers, output over the vocabulary.
#[derive(Module, Debug)]
pub struct Gpt {
    tokens: Embedding,
    positions: Param<Tensor<2>>,
    blocks: Vec<Layer>,
    norm: LayerNorm,
    head: Option<Linear>,
    dropout: f64,
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
        let init = Init::TruncatedNormal(WEIGHT_STD);
        let drops = Drops { dropout: spec.dropout, attention: spec.dropout, path: 0.0 };
        Ok(Gpt {
            tokens: b.embedding(vocabulary, d, init),
            positions: b.param([context, d], init),
            blocks: (0..spec.depth).map(|_| Layer::new(d, spec.heads, spec.ratio, NormOrder::Pre, drops, b)).collect(),
            norm: b.layer_norm(d),
            head: (!spec.tied).then(|| b.linear(d, outputs, true, init)),
            dropout: spec.dropout,
        })
    }
}

impl Forward for Gpt {
    const KIND: &'static str = "gpt";

    fn forward(&self, x: Batch, pass: &mut Pass) -> Result<Tensor<2>, ModelError> {
        let Batch::Tokens(x) = x else { return Err(Self::misfit(&x)) };
        let [batch, context] = x.dims();
        let mut x = self.tokens.forward(x) + self.positions.val().unsqueeze::<3>();
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
        Ok(match &self.head {
            Some(head) => head.forward(x),
            None => x.matmul(self.tokens.weight.val().transpose()),
        })
    }
}
