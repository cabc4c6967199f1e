//! Sequences of different lengths in one tensor: which places count, and what is made of those alone.

use burn::tensor::{Bool, Device, Int, Tensor, activation};

/// `[t, t]`: whether position i (row) may see position j (column), which is `j <= i`.
pub fn causal(length: usize, device: &Device) -> Tensor<2, Bool> {
    let places = Tensor::<1, Int>::arange(0..length as i64, device);
    places.clone().reshape([1, length]).lower_equal(places.reshape([length, 1]))
}

/// `[b, t]`: which of `length` places lie within sequences of the given lengths `[b]`.
pub fn within(lengths: Tensor<1, Int>, length: usize) -> Tensor<2, Bool> {
    let batch = lengths.dims()[0];
    let places = Tensor::<1, Int>::arange(0..length as i64, &lengths.device());
    places.reshape([1, length]).lower(lengths.reshape([batch, 1]))
}

/// Softmax along `dim` over the places shown; the others get 0, and so does a row without any. The mask broadcasts.
pub fn softmax<const D: usize>(x: Tensor<D>, shown: Tensor<D, Bool>, dim: usize) -> Tensor<D> {
    let shown = shown.expand(x.shape());
    let hidden = shown.clone().bool_not();
    // A finite number, so that a row without any place stays finite too.
    let weights = activation::softmax(x.mask_fill(hidden.clone(), -1e30), dim);
    weights.mask_fill(hidden, 0.0)
}

/// Mean of the elements shown; 0 where there are none. One element.
pub fn mean<const D: usize>(x: Tensor<D>, shown: Tensor<D, Bool>) -> Tensor<1> {
    let shown = shown.expand(x.shape());
    let count = shown.clone().float().sum().clamp_min(1.0);
    x.mask_fill(shown.bool_not(), 0.0).sum() / count
}

/// Mean cross-entropy in nats of logits `[b, t, c]` against classes `[b, t]` over the places shown `[b, t]`. What stands at
/// other places has no influence, whatever it is.
pub fn cross_entropy(logits: Tensor<3>, classes: Tensor<2, Int>, shown: Tensor<2, Bool>) -> Tensor<1> {
    let [batch, length, _] = logits.dims();
    let classes = classes.mask_fill(shown.clone().bool_not(), 0);
    let chosen = activation::log_softmax(logits, 2).gather(2, classes.reshape([batch, length, 1]));
    mean(-chosen.reshape([batch, length]), shown)
}
