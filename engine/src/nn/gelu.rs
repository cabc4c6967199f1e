//! The two forms of GELU that papers use.

use burn::tensor::{Tensor, activation};
use serde::Serialize;

use crate::tree::FromTree;

/// A form of GELU (Hendrycks and Gimpel 2016), for models to name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, FromTree)]
#[serde(rename_all = "lowercase")]
pub enum Gelu {
    /// `x Phi(x)`, exact: BERT, ViT, ConvNeXt, PyTorch's default.
    #[default]
    Erf,
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: GPT-2, T5 1.1, JAX's default.
    Tanh,
}

impl Gelu {
    /// Applies it to each element.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Gelu::Erf => activation::gelu(x),
            Gelu::Tanh => activation::gelu_approximate(x),
        }
    }
}
