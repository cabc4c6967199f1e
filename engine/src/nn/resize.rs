//! Images in other sizes, and parts of images; differentiable in the image, crops also in their place.

use burn::tensor::{Device, Tensor, TensorData};

use crate::graph::compose::Resize;

/// Images `[b, c, h, w]` in another size: each new pixel is the mean of the area that it covers.
pub fn area(images: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let device = images.device();
    let rows = weights(height, size[0], &device).transpose();
    let columns = weights(width, size[1], &device);
    rows.unsqueeze::<4>().matmul(images.matmul(columns.unsqueeze::<4>()))
}

fn weights(from: usize, to: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(Resize::Area.weights(from, to, false), [from, to]), device)
}

/// A part of each image `[b, c, h, w]` in a new size, by bilinear interpolation. `boxes` `[b, 4]` are top, left, height and
/// width in pixels and need not be whole; what lies outside of an image repeats its edge. Pixels are not averaged: a part
/// much larger than `size` is sampled.
pub fn crop(images: Tensor<4>, boxes: Tensor<2>, size: [usize; 2]) -> Tensor<4> {
    let [batch, _, height, width] = images.dims();
    let of = |axis: usize, count: usize, from: usize| {
        let start = boxes.clone().slice([0..batch, axis..axis + 1]);
        let extent = boxes.clone().slice([0..batch, axis + 2..axis + 3]);
        sampled(start, extent, count, from).reshape([batch, 1, count, from])
    };
    let (rows, columns) = (of(0, size[0], height), of(1, size[1], width));
    rows.matmul(images).matmul(columns.swap_dims(2, 3))
}

/// Weights `[b, count, from]` of `from` pixels in `count` samples of the stretch `[b, 1]` from `start`.
fn sampled(start: Tensor<2>, extent: Tensor<2>, count: usize, from: usize) -> Tensor<3> {
    let (batch, device) = (start.dims()[0], start.device());
    let middles: Vec<f32> = (0..count).map(|k| (k as f32 + 0.5) / count as f32).collect();
    let middles = Tensor::<2>::from_data(TensorData::new(middles, [1, count]), &device);
    let places = (start + extent * middles - 0.5).clamp(0.0, from.saturating_sub(1) as f64);
    let pixels: Vec<f32> = (0..from).map(|k| k as f32).collect();
    let pixels = Tensor::<3>::from_data(TensorData::new(pixels, [1, 1, from]), &device);
    let distances = (places.reshape([batch, count, 1]) - pixels).abs();
    (-distances + 1.0).clamp_min(0.0)
}
