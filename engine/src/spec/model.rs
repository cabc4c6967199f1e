//! Which network learns.

use serde::Serialize;

use super::{Choice, Content, choices};
use crate::tree::{Error, FromTree, Value, error};

choices! {
    /// Elementwise non-linearity.
    pub enum Activation {
        /// max(x, 0).
        Relu = "relu", "ReLU";
        /// x Phi(x), exact (erf) form.
        Gelu = "gelu", "GELU";
        /// Hyperbolic tangent.
        Tanh = "tanh", "tanh";
    }
}

choices! {
    /// How GELU is computed.
    pub enum Gelu {
        /// x Phi(x), by erf.
        Exact = "exact", "exact";
        /// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel 2016, arXiv 1606.08415), as GPT-2 has it.
        Tanh = "tanh", "by tanh";
    }
}

choices! {
    /// Normalization of a layer's pre-activations.
    pub enum Norm {
        /// None.
        None = "none", "none";
        /// Layer normalization, over the features of one example.
        Layer = "layer", "layer norm";
        /// Batch normalization, over the examples of a batch; running statistics at evaluation.
        Batch = "batch", "batch norm";
    }
}

choices! {
    /// How an image becomes tokens.
    pub enum Tokenizer {
        /// Non-overlapping square patches, each projected linearly.
        Patch = "patch", "patches";
        /// Blocks of convolution, ReLU and overlapping max-pooling.
        Conv = "conv", "convolutions";
    }
}

choices! {
    /// What tells tokens where they are.
    pub enum Positions {
        /// A trained vector a position.
        Learned = "learned", "learned";
        /// Fixed sines and cosines of geometric wavelengths.
        Sine = "sine", "sine";
        /// Nothing: the encoder sees a bag of tokens.
        None = "none", "none";
    }
}

choices! {
    /// How the tokens become one vector to classify.
    pub enum Pooling {
        /// An extra trained class token is read off.
        Class = "class", "class token";
        /// The mean over tokens.
        Mean = "mean", "mean";
        /// Sequence pooling: a learned, input-dependent weighted mean.
        Seq = "seq", "sequence pooling";
    }
}

choices! {
    /// Order of normalization and residual in an encoder layer.
    pub enum NormOrder {
        /// Pre-norm: `x + Attn(LN x)`, then `x + MLP(LN x)`.
        Pre = "pre", "pre-norm";
        /// As in the code published with CCT: the second norm overwrites the residual stream before the MLP.
        Official = "official", "as CCT's code";
    }
}

/// Declares the models: a row each. Its settings, id (in links and JSON) and label (on the page), what it starts from, the
/// contents whose usual model it is, and others that it learns from.
macro_rules! models {
    ($(
        $(#[$doc:meta])*
        $variant:ident($settings:ty) = $id:literal, $label:literal, $start:expr, [$($usual:ident),*], [$($also:ident),*];
    )+) => {
        /// The network.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "kind")]
        pub enum ModelSpec {
            $($(#[$doc])* #[serde(rename = $id)] $variant($settings),)+
        }

        impl FromTree for ModelSpec {
            fn from_tree(tree: &Value) -> Result<Self, Error> {
                match tree.get("kind").and_then(Value::as_str) {
                    $(Some($id) => FromTree::from_tree(tree).map(Self::$variant),)+
                    Some(other) => Err(error(format!("there is no model “{other}”"))),
                    None => Err(error("a model without its kind".into())),
                }
            }
        }

        impl ModelSpec {
    /// Least examples of a ghost, where batch norm sees ghosts of a batch.
    #[must_use]
    pub fn ghost(&self) -> Option<usize> {
        let (norm, ghost) = match self {
            Self::Mlp(spec) => (spec.norm, spec.ghost),
            Self::Convnet(spec) => (spec.norm, spec.ghost),
            _ => return None,
        };
        (norm == Norm::Batch && ghost > 0).then_some(ghost)
    }

            /// Every kind's id and label, in the order of the controls.
            pub const KINDS: &[Choice] = &[$(Choice::new($id, $label)),+];

            /// The default model of a kind; `None` if there is no such kind.
            #[must_use]
            pub fn of(kind: &str) -> Option<Self> {
                match kind { $($id => Some(Self::$variant($start)),)+ _ => None }
            }

            /// The kind's id, as in links.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $id),+ }
            }

            /// The kinds of model that fit this content; the first is its default.
            #[must_use]
            pub fn fitting(content: Content) -> Vec<&'static str> {
                let rows: &[(&'static str, &[Content], &[Content])] =
                    &[$(($id, &[$(Content::$usual),*], &[$(Content::$also),*])),+];
                let usual = rows.iter().filter(|(_, usual, _)| usual.contains(&content));
                let also = rows.iter().filter(|(_, _, also)| also.contains(&content));
                usual.chain(also).map(|(id, ..)| *id).collect()
            }
        }
    };
}

models! {
    /// Multilayer perceptron.
    Mlp(MlpSpec) = "mlp", "MLP", MlpSpec::default(), [Table, Series], [Images];
    /// Small convolutional network.
    Convnet(ConvnetSpec) = "convnet", "Convnet", ConvnetSpec::default(), [], [Images];
    /// ViT-Lite: patches, class token.
    Vit(TransformerSpec) = "vit", "ViT-Lite", TransformerSpec::vit(), [], [Images];
    /// Compact vision transformer: patches, sequence pooling.
    Cvt(TransformerSpec) = "cvt", "CVT", TransformerSpec::cvt(), [], [Images];
    /// Compact convolutional transformer: convolutional tokenizer, sequence pooling.
    Cct(TransformerSpec) = "cct", "CCT", TransformerSpec::cct(), [Images], [];
    /// Character-level GPT.
    Gpt(GptSpec) = "gpt", "GPT", GptSpec::default(), [Text], [];
}

impl ModelSpec {
    /// Whether what it makes of an example depends on the others of the batch.
    #[must_use]
    pub const fn normalises_batches(&self) -> bool {
        match self {
            Self::Mlp(mlp) => matches!(mlp.norm, Norm::Batch),
            Self::Convnet(convnet) => matches!(convnet.norm, Norm::Batch),
            Self::Vit(_) | Self::Cvt(_) | Self::Cct(_) | Self::Gpt(_) => false,
        }
    }

    /// How often it drops units in training.
    #[must_use]
    pub const fn dropout(&self) -> f64 {
        match self {
            Self::Mlp(MlpSpec { dropout, .. })
            | Self::Convnet(ConvnetSpec { dropout, .. })
            | Self::Vit(TransformerSpec { dropout, .. })
            | Self::Cvt(TransformerSpec { dropout, .. })
            | Self::Cct(TransformerSpec { dropout, .. })
            | Self::Gpt(GptSpec { dropout, .. }) => *dropout,
        }
    }

    /// Whether it has norms.
    #[must_use]
    pub const fn has_norms(&self) -> bool {
        match self {
            Self::Mlp(mlp) => !matches!(mlp.norm, Norm::None) && !mlp.hidden.is_empty(),
            Self::Convnet(convnet) => matches!(convnet.norm, Norm::Batch),
            Self::Vit(_) | Self::Cvt(_) | Self::Cct(_) | Self::Gpt(_) => true,
        }
    }
}

/// Multilayer perceptron: per hidden layer linear, norm, activation, dropout; then a linear output.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct MlpSpec {
    /// Width of each hidden layer; empty = a linear model.
    pub hidden: Vec<usize>,
    /// Non-linearity after each hidden layer.
    pub activation: Activation,
    /// Normalization before it.
    pub norm: Norm,
    /// Batch norm: least examples of a ghost, which is normalized by itself (see [`ConvnetSpec::ghost`]).
    pub ghost: usize,
    /// Probability that a hidden unit is dropped.
    pub dropout: f64,
}

/// Convolutional network: per block convolution (stride 1, same padding), norm, ReLU, 2x2 max-pool; then global mean
/// pooling, dropout and a linear output.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct ConvnetSpec {
    /// Output channels of each block; their number is the number of blocks.
    pub channels: Vec<usize>,
    /// Side of the square kernel; odd.
    pub kernel: usize,
    /// Normalization after each convolution: `Batch` or `None`.
    pub norm: Norm,
    /// Batch norm: least examples of a ghost. What is computed at once is cut into as many equal ghosts as there can be, each
    /// normalized by itself (Hoffer et al. 2017, arXiv 1705.08741); 0 = all are one.
    pub ghost: usize,
    /// Probability that a pooled feature is dropped.
    pub dropout: f64,
}

/// Transformer encoder over image tokens: ViT-Lite, CVT and CCT differ in tokenizer and pooling alone
/// (Hassani et al. 2021, arXiv 2104.05704).
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct TransformerSpec {
    /// How the image becomes tokens.
    pub tokenizer: Tokenizer,
    /// Patch tokenizer: side of a patch in pixels; divides the image's.
    pub patch: usize,
    /// Conv tokenizer: blocks of convolution, ReLU and 3x3 max-pooling with stride 2 and padding 1.
    pub blocks: usize,
    /// Conv tokenizer: side of the square kernel k; padding max(1, k/2).
    pub kernel: usize,
    /// Conv tokenizer: stride of the convolution; 0 = the paper's max(1, k/2 - 1).
    pub stride: usize,
    /// Conv tokenizer: whether convolutions have biases (the paper's have none).
    pub conv_bias: bool,
    /// Features of a token, d.
    pub width: usize,
    /// Encoder layers.
    pub depth: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Hidden width of the MLP over d.
    pub ratio: usize,
    /// The MLP's non-linearity.
    pub gelu: Gelu,
    /// Position embedding.
    pub positions: Positions,
    /// Pooling before the classifier.
    pub pool: Pooling,
    /// Order of norm and residual.
    pub order: NormOrder,
    /// Dropout after the embedding, the attention's output and in the MLP.
    pub dropout: f64,
    /// Dropout of attention weights.
    pub attention_dropout: f64,
    /// Probability that the last layer's branches are skipped; rises linearly from 0 at the first layer.
    pub stochastic_depth: f64,
}

/// Decoder-only transformer over characters: pre-norm, causal, learned positions.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct GptSpec {
    /// Characters it sees.
    pub context: usize,
    /// Features of a token.
    pub width: usize,
    /// Layers.
    pub depth: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Hidden width of the MLP over the width.
    pub ratio: usize,
    /// The MLP's non-linearity.
    pub gelu: Gelu,
    /// Dropout after the embedding and in each branch.
    pub dropout: f64,
    /// Whether the output layer shares the embedding's weights.
    pub tied: bool,
    /// muP: the width at which starts and learning rates hold as they are, so that what was tuned there serves other widths
    /// (Yang et al. 2022, arXiv 2203.03466; constants of MiniCPM, arXiv 2404.06395). 0 = without.
    pub base: usize,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self::Cct(TransformerSpec::cct())
    }
}

impl Default for MlpSpec {
    fn default() -> Self {
        Self { hidden: vec![256, 128], activation: Activation::Relu, norm: Norm::None, ghost: 0, dropout: 0.0 }
    }
}

impl Default for ConvnetSpec {
    fn default() -> Self {
        Self { channels: vec![16, 32, 64], kernel: 3, norm: Norm::Batch, ghost: 0, dropout: 0.0 }
    }
}

impl Default for GptSpec {
    fn default() -> Self {
        Self {
            context: 64,
            width: 64,
            depth: 2,
            heads: 2,
            ratio: 4,
            gelu: Gelu::Exact,
            dropout: 0.0,
            tied: false,
            base: 0,
        }
    }
}

impl Default for TransformerSpec {
    fn default() -> Self {
        Self::cct()
    }
}

impl TransformerSpec {
    /// CCT-2/3x2 of width 64: 28x28 pixels become 49 tokens.
    #[must_use]
    pub const fn cct() -> Self {
        Self {
            tokenizer: Tokenizer::Conv,
            patch: 4,
            blocks: 2,
            kernel: 3,
            stride: 0,
            conv_bias: false,
            width: 64,
            depth: 2,
            heads: 2,
            ratio: 2,
            gelu: Gelu::Exact,
            positions: Positions::Learned,
            pool: Pooling::Seq,
            order: NormOrder::Pre,
            dropout: 0.0,
            attention_dropout: 0.0,
            stochastic_depth: 0.0,
        }
    }

    /// As [`TransformerSpec::cct`], on 4x4 patches.
    #[must_use]
    pub const fn cvt() -> Self {
        Self { tokenizer: Tokenizer::Patch, ..Self::cct() }
    }

    /// As [`TransformerSpec::cvt`], with a class token.
    #[must_use]
    pub const fn vit() -> Self {
        Self { pool: Pooling::Class, ..Self::cvt() }
    }

    /// Stride of the tokenizer's convolutions, the paper's default resolved.
    #[must_use]
    pub const fn conv_stride(&self) -> usize {
        match self.stride {
            0 if self.kernel / 2 > 2 => self.kernel / 2 - 1,
            0 => 1,
            stride => stride,
        }
    }

    /// Padding of the tokenizer's convolutions: max(1, k/2).
    #[must_use]
    pub const fn conv_padding(&self) -> usize {
        if self.kernel < 2 { 1 } else { self.kernel / 2 }
    }

    /// Rows and columns of tokens an image of `height` x `width` pixels becomes (a class token not counted);
    /// `None` if patches do not divide the image or a convolution leaves nothing.
    #[must_use]
    pub fn token_grid(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let along = |side: usize| match self.tokenizer {
            Tokenizer::Patch => side.checked_rem(self.patch).filter(|&rest| rest == 0).map(|_| side / self.patch),
            Tokenizer::Conv => (0..self.blocks).try_fold(side, |side, _| {
                let padded = side.checked_add(2 * self.conv_padding())?;
                let convolved = padded.checked_sub(self.kernel)? / self.conv_stride() + 1;
                Some((convolved + 2).checked_sub(3)? / 2 + 1)
            }),
        };
        let grid = [along(height)?, along(width)?];
        (grid[0] > 0 && grid[1] > 0).then_some(grid)
    }
}
