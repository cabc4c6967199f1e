//! Padding that burn lacks.

use burn::tensor::Tensor;

/// Pads an axis by what stands at its other end: `b c | a b c | a b`. At most once around on each side.
pub fn wrap<const D: usize>(x: Tensor<D>, dim: usize, before: usize, after: usize) -> Tensor<D> {
    let size = x.dims()[dim];
    let mut parts = Vec::with_capacity(3);
    if before > 0 {
        parts.push(x.clone().slice_dim(dim, size.saturating_sub(before)..size));
    }
    parts.push(x.clone());
    if after > 0 {
        parts.push(x.slice_dim(dim, 0..after));
    }
    Tensor::cat(parts, dim)
}
