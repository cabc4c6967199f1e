//! Whole numbers as vectors, and truths that are drawn.

use burn::tensor::{Distribution, Int, Tensor};

/// 1 at each index and 0 elsewhere along a new last axis of `classes` (`D2` is `D + 1`). Indices out of range give zeros.
/// burn's own reads the indices back, which a recording cannot.
pub fn one_hot<const D: usize, const D2: usize>(index: Tensor<D, Int>, classes: usize) -> Tensor<D2> {
    let mut lined = [1; D2];
    lined[D2 - 1] = classes;
    let counted = Tensor::<1, Int>::arange(0..classes as i64, &index.device()).reshape(lined);
    index.unsqueeze_dim::<D2>(D).equal(counted).float()
}

/// 1 with the given probability, else 0, each element drawn by itself.
pub fn bernoulli<const D: usize>(probability: Tensor<D>) -> Tensor<D> {
    let uniform = Tensor::<D>::random(probability.shape(), Distribution::Default, &probability.device());
    uniform.lower(probability).float()
}
