//! The four fixed training steps, the same in every library that is compared.

use crate::model::InputShape;
use crate::rng::{Rng, Stream};
use crate::spec::{Gelu, GptSpec, MlpSpec, ModelSpec, OptimizerSpec, Rule, TransformerSpec};

/// A fixed training step: model, batch, and AdamW at a fixed learning rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// As in rows and on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// The network.
    pub model: ModelSpec,
    /// What it sees of one example.
    pub input: InputShape,
    /// Classes or characters.
    pub outputs: usize,
    /// Examples of a step.
    pub batch: usize,
}

/// Learning rate of every workload.
pub const LEARNING_RATE: f32 = 1e-3;

/// AdamW with decay of every parameter, as libraries have it by default.
#[must_use]
pub fn optimizer() -> OptimizerSpec {
    OptimizerSpec { kind: Rule::AdamW, weight_decay: 0.01, decay_exempt: false, ..OptimizerSpec::default() }
}

/// All workloads.
#[must_use]
pub fn workloads() -> Vec<Workload> {
    let cct = |name, title, batch| Workload {
        name,
        title,
        model: ModelSpec::Cct(TransformerSpec {
            blocks: 1,
            conv_bias: true,
            gelu: Gelu::Tanh,
            ..TransformerSpec::cct()
        }),
        input: InputShape::Image([1, 16, 16]),
        outputs: 10,
        batch,
    };
    let gpt = GptSpec { context: 64, width: 64, depth: 2, heads: 2, ratio: 4, gelu: Gelu::Tanh, ..GptSpec::default() };
    vec![
        Workload {
            name: "w1",
            title: "MLP 784-256-128-10",
            model: ModelSpec::Mlp(MlpSpec { hidden: vec![256, 128], ..MlpSpec::default() }),
            input: InputShape::Features(784),
            outputs: 10,
            batch: 128,
        },
        cct("w2", "CCT of 64 tokens, width 64", 32),
        Workload {
            name: "w3",
            title: "character GPT, context 64, width 64",
            model: ModelSpec::Gpt(gpt),
            input: InputShape::Tokens { context: 64, vocabulary: 65 },
            outputs: 65,
            batch: 16,
        },
        cct("w4", "CCT of 64 tokens, batch 1", 1),
    ]
}

/// The workload of that name (`w2`, `W2`, or a title that begins so).
#[must_use]
pub fn workload(name: &str) -> Option<Workload> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.split_whitespace().next()?;
    workloads().into_iter().find(|workload| workload.name == name)
}

/// A fixed batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Inputs, row-major: f32 by their bits, or characters.
    pub x: Vec<u32>,
    /// Classes, one an example or character.
    pub y: Vec<u32>,
}

impl Workload {
    /// Numbers of a batch's inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.input.batched(self.batch).iter().product()
    }

    /// Classes to predict in a batch.
    #[must_use]
    pub fn targets(&self) -> usize {
        match self.input {
            InputShape::Tokens { context, .. } => self.batch * context,
            InputShape::Image(_) | InputShape::Features(_) => self.batch,
        }
    }

    /// The workload's own batch: standard normal inputs or evenly drawn characters, evenly drawn classes; of a text, the
    /// class of a character is the next one.
    #[must_use]
    pub fn example(&self) -> Example {
        let mut rng = Rng::new(0, Stream::Generate, 0);
        let classes = self.outputs as u32;
        match self.input {
            InputShape::Tokens { context, vocabulary } => {
                let text: Vec<u32> = (0..self.batch * (context + 1)).map(|_| rng.below(vocabulary as u32)).collect();
                let rows = || text.chunks_exact(context + 1);
                let x = rows().flat_map(|row| row[..context].to_vec()).collect();
                Example { x, y: rows().flat_map(|row| row[1..].to_vec()).collect() }
            }
            InputShape::Image(_) | InputShape::Features(_) => {
                let x = (0..self.inputs()).map(|_| rng.normal().to_bits()).collect();
                Example { x, y: (0..self.batch).map(|_| rng.below(classes)).collect() }
            }
        }
    }
}
