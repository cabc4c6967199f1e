//! Convolutions, pooling, resizing, attention and normalization against burn.

use burn::tensor::module::*;
use burn::tensor::ops::{
    AttentionModuleOptions, AvgPoolOptions, ConvOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions,
    MaxPoolOptions, PadMode,
};

use super::agreement::{Against::*, agree, case};
use super::*;

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

/// Cuts tensors of the given shapes off the front of `x`.
fn cut<const D: usize>(x: &Tensor<1>, start: usize, shape: [usize; D]) -> Tensor<D> {
    x.clone().slice([start..start + numel(&shape)]).reshape(shape)
}

#[test]
fn convolutions() {
    agree(&[
        case("one axis", 50, |x| {
            let (image, kernel) = (cut(&x, 0, [2, 2, 7]), cut(&x, 28, [3, 2, 3]));
            flat(conv1d(image, kernel, Some(cut(&x, 46, [3])), ConvOptions::new([2], [1], [1], 1)))
        }),
        case("depthwise", 70, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 2, 5, 5]), cut(&x, 50, [2, 1, 3, 3]));
            flat(conv2d(image, kernel, None, ConvOptions::new([1, 1], [1, 1], [1, 1], 2)))
        }),
        case("grouped", 140, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 4, 4, 4]), cut(&x, 64, [4, 2, 3, 3]));
            flat(conv2d(image, kernel, Some(cut(&x, 136, [4])), ConvOptions::new([1, 2], [1, 0], [1, 1], 2)))
        }),
        case("more on one side", 60, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 2, 4, 5]), cut(&x, 40, [2, 2, 2, 2]));
            let image = image.pad((0, 1, 1, 0), PadMode::Constant(0.0));
            flat(conv2d(image, kernel, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1)))
        }),
        case("three axes", 128, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 2, 4, 3, 3]), cut(&x, 72, [2, 2, 3, 2, 2]));
            flat(conv3d(image, kernel, Some(cut(&x, 124, [2])), ConvOptions::new([2, 1, 1], [1, 1, 0], [1, 1, 1], 1)))
        }),
        case("three axes in groups", 100, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 2, 4, 3, 3]), cut(&x, 72, [2, 1, 2, 2, 2]));
            flat(conv3d(image, kernel, None, ConvOptions::new([1, 1, 1], [0, 1, 1], [2, 1, 1], 2)))
        }),
        case("transposed, one axis", 30, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 2, 5]), cut(&x, 10, [2, 3, 3]));
            flat(conv_transpose1d(image, kernel, None, ConvTransposeOptions::new([2], [1], [1], [1], 1)))
        }),
        case("transposed", 80, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 2, 3, 4]), cut(&x, 24, [2, 3, 3, 2]));
            let options = ConvTransposeOptions::new([2, 1], [1, 0], [1, 0], [1, 2], 1);
            flat(conv_transpose2d(image, kernel, Some(cut(&x, 60, [3])), options))
        }),
        case("transposed in groups", 80, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 4, 3, 3]), cut(&x, 36, [4, 1, 3, 3]));
            flat(conv_transpose2d(image, kernel, None, ConvTransposeOptions::new([2, 2], [0, 1], [0, 1], [1, 1], 2)))
        }),
        case("transposed, three axes", 60, |x| {
            let (image, kernel) = (cut(&x, 0, [1, 2, 2, 2, 3]), cut(&x, 24, [2, 1, 3, 2, 2]));
            let options = ConvTransposeOptions::new([2, 1, 1], [1, 0, 0], [1, 0, 0], [1, 1, 1], 1);
            flat(conv_transpose3d(image, kernel, None, options))
        }),
    ]);
}

fn means<const N: usize>(
    kernel_size: [usize; N],
    stride: [usize; N],
    padding: [usize; N],
    count_include_pad: bool,
    ceil_mode: bool,
) -> AvgPoolOptions<N> {
    let padding = padding.map(|size| (size, size));
    AvgPoolOptions { kernel_size, stride, padding, count_include_pad, ceil_mode }
}

fn maxima<const N: usize>(
    kernel_size: [usize; N],
    stride: [usize; N],
    padding: [usize; N],
    ceil_mode: bool,
) -> MaxPoolOptions<N> {
    let padding = padding.map(|size| (size, size));
    MaxPoolOptions { kernel_size, stride, padding, dilation: [1; N], ceil_mode }
}

#[test]
fn pooling() {
    agree(&[
        case("means", 40, |x| flat(avg_pool2d(cut(&x, 0, [1, 2, 4, 5]), means([2, 2], [2, 2], [0, 0], true, false)))),
        case("overlapping means", 40, |x| {
            flat(avg_pool2d(cut(&x, 0, [1, 2, 4, 5]), means([3, 2], [1, 2], [1, 0], true, false)))
        }),
        case("means of what is there", 40, |x| {
            flat(avg_pool2d(cut(&x, 0, [1, 2, 4, 5]), means([3, 3], [2, 2], [1, 1], false, false)))
        }),
        case("means, up", 40, |x| {
            flat(avg_pool2d(cut(&x, 0, [1, 2, 4, 5]), means([2, 2], [2, 2], [0, 0], false, true)))
        })
        .against(Differences),
        case("means of a line", 14, |x| flat(avg_pool1d(cut(&x, 0, [1, 2, 7]), means([3], [2], [1], true, false)))),
        case("bins", 70, |x| flat(adaptive_avg_pool2d(cut(&x, 0, [1, 2, 5, 7]), [2, 3]))),
        case("whole bins", 48, |x| flat(adaptive_avg_pool2d(cut(&x, 0, [1, 2, 4, 6]), [2, 3]))),
        case("bins of a line", 14, |x| flat(adaptive_avg_pool1d(cut(&x, 0, [1, 2, 7]), 3))),
        case("maxima of a line", 14, |x| flat(max_pool1d(cut(&x, 0, [1, 2, 7]), maxima([3], [2], [1], false)))),
        case("maxima, up", 40, |x| flat(max_pool2d(cut(&x, 0, [1, 2, 4, 5]), maxima([2, 2], [2, 2], [0, 0], true))))
            .against(Differences),
        case("maxima and their places", 40, |x| {
            let (value, index) =
                max_pool2d_with_indices(cut(&x, 0, [1, 2, 4, 5]), maxima([2, 3], [2, 2], [0, 1], false));
            flat(value * (index.float() + 1.0))
        })
        .against(Differences),
    ]);
}

#[test]
fn resizing() {
    fn to(x: Tensor<1>, size: [usize; 2], mode: InterpolateMode, corners: bool) -> Tensor<1> {
        flat(interpolate(
            x.reshape([1, 2, 4, 5]),
            InterpolateOptions::new(mode).with_output_size(size).with_align_corners(corners),
        ))
    }
    agree(&[
        case("nearest", 40, |x| to(x, [8, 3], InterpolateMode::Nearest, false)),
        case("bilinear", 40, |x| to(x, [7, 3], InterpolateMode::Bilinear, false)).against(Differences),
        case("bilinear by corners", 40, |x| to(x, [7, 9], InterpolateMode::Bilinear, true)).against(Differences),
        case("bicubic by corners", 40, |x| to(x, [7, 9], InterpolateMode::Bicubic, true)).against(Differences),
    ]);
}

#[test]
fn attention_and_norms() {
    fn heads(x: &Tensor<1>) -> [Tensor<4>; 3] {
        [0, 24, 48].map(|start| cut(x, start, [1, 2, 4, 3]))
    }
    agree(&[
        case("attention", 72, |x| {
            let [q, k, v] = heads(&x);
            flat(attention(q, k, v, None, None, AttentionModuleOptions::default()))
        })
        .against(Differences),
        case("causal attention", 72, |x| {
            let [q, k, v] = heads(&x);
            let options = AttentionModuleOptions { scale: Some(0.7), softcap: None, is_causal: true };
            flat(attention(q, k, v, None, None, options))
        })
        .against(Differences),
        case("masked attention with a cap", 72, |x| {
            let [q, k, v] = heads(&x);
            let places = Tensor::<1, burn::tensor::Int>::arange(0..4, &x.device()).reshape([1, 1, 1, 4]);
            let hidden = places.greater_equal_scalar(3).expand([1, 2, 4, 4]);
            let options = AttentionModuleOptions { scale: None, softcap: Some(2.0), is_causal: false };
            flat(attention(q, k, v, Some(hidden), None, options))
        })
        .against(Differences),
    ]);
}
