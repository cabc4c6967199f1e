//! Rotary positions (Su et al. 2021).

use burn::tensor::{Tensor, TensorData};

/// Rotates neighbouring pairs of the last axis of `[.., t, d]` (d even) by angles that grow with the position: position p
/// turns pair i by `p base^(-2 i / d)` radians. `start` is the position of the first.
pub fn rotary<const D: usize>(x: Tensor<D>, base: f64, start: usize) -> Tensor<D> {
    let shape = x.dims();
    let (length, width) = (shape[D - 2], shape[D - 1]);
    let (pairs, outer) = (width / 2, shape[..D - 2].iter().product::<usize>());
    let angle = |k: usize| {
        let (position, pair) = (start + k / pairs.max(1), k % pairs.max(1));
        position as f64 * libm::pow(base, -2.0 * pair as f64 / width as f64)
    };
    let table = |f: fn(f64) -> f64| {
        let values: Vec<f32> = (0..length * pairs).map(|k| f(angle(k)) as f32).collect();
        Tensor::<4>::from_data(TensorData::new(values, [1, length, pairs, 1]), &x.device())
    };
    let (cosine, sine) = (table(libm::cos), table(libm::sin));
    let x = x.reshape([outer, length, pairs, 2]);
    let (a, b) = (x.clone().slice_dim(3, 0..1), x.slice_dim(3, 1..2));
    let turned = vec![a.clone() * cosine.clone() - b.clone() * sine.clone(), a * sine + b * cosine];
    Tensor::cat(turned, 3).reshape(shape)
}
