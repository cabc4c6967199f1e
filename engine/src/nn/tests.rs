//! The functions against plain computations and burn's own layers.
#![allow(clippy::single_range_in_vec_init)]

use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use super::gelu::Gelu;
use super::{bag, index, mask, pad, resize, rotary, straight};
use crate::graph::capture::tests::agreement::{agree, captured, case};
use crate::graph::grad::grad;
use crate::graph::reference::{Inputs, evaluate};

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

fn ints<const D: usize>(values: &[i64], shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::<1, Int>::from_data(TensorData::new(values.to_vec(), [values.len()]), device).reshape(shape)
}

#[test]
fn functions_agree_with_burn() {
    agree(&[
        case("gelu, erf", 9, |x| Gelu::Erf.forward(x)),
        case("gelu, tanh", 9, |x| Gelu::Tanh.forward(x)),
        case("one-hot", 6, |x| {
            let classes = ints(&[2, 0, 1], [3], &x.device());
            flat(index::one_hot::<1, 2>(classes, 2).matmul(x.reshape([2, 3])))
        }),
        case("masked softmax", 12, |x| {
            let shown = mask::within(ints(&[4, 2, 0], [3], &x.device()), 4);
            flat(mask::softmax(x.reshape([3, 4]), shown, 1))
        }),
        case("causal softmax", 16, |x| {
            let shown = mask::causal(4, &x.device());
            flat(mask::softmax(x.reshape([4, 4]), shown, 1))
        }),
        case("mean over lengths", 12, |x| {
            let shown = mask::within(ints(&[4, 2, 0], [3], &x.device()), 4);
            mask::mean(x.reshape([3, 4]), shown)
        }),
        case("loss over lengths", 24, |x| {
            let device = x.device();
            let shown = mask::within(ints(&[4, 1], [2], &device), 4);
            // What stands beyond the end is out of range.
            let classes = ints(&[0, 2, 1, 1, 2, 9, 9, 9], [2, 4], &device);
            mask::cross_entropy(x.reshape([2, 4, 3]), classes, shown)
        }),
        case("bag sums", 15, |x| {
            let device = x.device();
            let lists = ints(&[0, 2, 2, 4, 1, 0], [2, 3], &device);
            flat(bag::sum(x.reshape([5, 3]), lists, mask::within(ints(&[3, 1], [2], &device), 3)))
        }),
        case("bag means", 15, |x| {
            let device = x.device();
            let lists = ints(&[0, 2, 2, 4, 1, 0], [2, 3], &device);
            flat(bag::mean(x.reshape([5, 3]), lists, mask::within(ints(&[3, 0], [2], &device), 3)))
        }),
        case("flat bags", 15, |x| {
            let device = x.device();
            let (list, bags) = (ints(&[0, 2, 2, 4], [4], &device), ints(&[0, 0, 2, 2], [4], &device));
            flat(bag::sum_flat(x.reshape([5, 3]), list, bags, 3))
        }),
        case("wrapped", 12, |x| flat(pad::wrap(x.reshape([3, 4]), 1, 2, 1))),
        case("rotary", 48, |x| flat(rotary::rotary(x.reshape([2, 2, 3, 4]), 100.0, 5))),
        case("area", 60, |x| flat(resize::area(x.reshape([1, 2, 5, 6]), [2, 4]))),
        case("crops", 68, |x| {
            let boxes = x.clone().slice([60..68]).reshape([2, 4]) + 1.6;
            flat(resize::crop(x.slice([0..60]).reshape([2, 1, 5, 6]), boxes, [3, 2]))
        }),
    ]);
}

#[test]
fn rotary_positions_are_burns() {
    let device = Device::flex();
    let values: Vec<f32> = (0..48).map(|k| (k as f32 * 0.7).sin()).collect();
    let x = Tensor::<1>::from_data(TensorData::new(values, [48]), &device).reshape([2, 6, 4]);
    let burns = burn::nn::RotaryEncodingConfig::new(16, 4).init(&device);
    for start in [0, 3] {
        let (ours, theirs) =
            (numbers(rotary::rotary(x.clone(), 10_000.0, start)), numbers(burns.apply(x.clone(), start)));
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() < 1e-5, "{a} against {b}");
        }
    }
}

#[test]
fn a_row_without_places_is_zero_and_finite() {
    let device = Device::flex();
    let shown = mask::within(ints(&[0, 3], [2], &device), 3);
    let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], &device);
    let found = numbers(mask::softmax(x.clone(), shown.clone(), 1));
    assert_eq!(found[..3], [0.0; 3]);
    assert_eq!(found[3..], numbers(activation::softmax(x.clone(), 1))[3..]);
    assert_eq!(numbers(mask::mean(x.clone().slice([0..1]), shown.slice([0..1]))), [0.0]);
}

#[test]
fn whole_crops_and_areas_are_the_image() {
    let device = Device::flex();
    let values: Vec<f32> = (0..24).map(|k| k as f32).collect();
    let x = Tensor::<1>::from_data(TensorData::new(values.clone(), [24]), &device).reshape([1, 1, 4, 6]);
    let boxes = Tensor::<2>::from_floats([[0.0, 0.0, 4.0, 6.0]], &device);
    assert_eq!(numbers(resize::crop(x.clone(), boxes, [4, 6])), values);
    assert_eq!(numbers(resize::area(x.clone(), [4, 6])), values);
    // Halves: means of 2 x 3.
    let means = numbers(resize::area(x, [2, 2]));
    for (found, wanted) in means.iter().zip([4.0, 7.0, 16.0, 19.0]) {
        assert!((found - wanted).abs() < 1e-5, "{found} instead of {wanted}");
    }
}

#[test]
fn straight_through_passes_the_cotangent() {
    type Case = (fn(Tensor<1>) -> Tensor<1>, [f64; 3], [f64; 3]);
    let functions: [Case; 2] = [
        (|x| straight::round(x) * 3.0, [3.0, -6.0, 0.0], [3.0; 3]),
        (|x| straight::sign(x) * 2.0, [2.0, -2.0, 2.0], [2.0, 0.0, 2.0]),
    ];
    for (f, values, slopes) in functions {
        let (mut graph, x, y) = captured(3, f).unwrap();
        let loss = graph.sum_all(y).unwrap();
        let g = grad(&mut graph, loss, &[x]).unwrap()[0];
        let inputs = Inputs::from([("x".into(), vec![0.75, -1.75, 0.25])]);
        assert_eq!(evaluate(&graph, &inputs, &[y, g]), [values.to_vec(), slopes.to_vec()]);
    }
}

#[test]
fn stochastic_rounding_is_right_in_the_mean() {
    const COUNT: usize = 4_000;
    let (mut graph, x, y) = captured(COUNT, straight::stochastic_round).unwrap();
    let loss = graph.sum_all(y).unwrap();
    let g = grad(&mut graph, loss, &[x]).unwrap()[0];
    let inputs = Inputs::from([("x".into(), vec![1.3; COUNT]), ("key".into(), vec![1.0, 2.0, 3.0, 0.0])]);
    let found = evaluate(&graph, &inputs, &[y, g]);
    assert!(found[0].iter().all(|&value| value == 1.0 || value == 2.0));
    let mean = found[0].iter().sum::<f64>() / COUNT as f64;
    assert!((mean - 1.3).abs() < 5.0 * (0.21 / COUNT as f64).sqrt(), "{mean}");
    assert!(found[1].iter().all(|&slope| slope == 1.0));
}
