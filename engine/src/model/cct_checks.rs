//! The exact checks of the study on compact transformers (Hassani et al. 2021), one test each. The sixth, parameter
//! counts, is among the models' tests.

use std::collections::BTreeMap;

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, TensorData};

use super::*;
use crate::graph::grad::grad;
use crate::graph::reference::{Inputs, evaluate};
use crate::graph::{InputKind, numel};
use crate::spec::{Positions, TransformerSpec};
use crate::tape::capture_into;

/// The study's arms: d = 32, 16 tokens of an 8x8 image.
fn arm(base: TransformerSpec) -> TransformerSpec {
    TransformerSpec { width: 32, ratio: 1, patch: 2, blocks: 1, ..base }
}

/// A model on burn-flex that starts as a run with seed 1 does, some parameters set by `change`.
fn model(spec: &TransformerSpec, change: impl Fn(&str, &mut [f32])) -> Transformer {
    let mut graph = Graph::new();
    let x = graph.input("x", &[1, 1, 8, 8], DType::F32, InputKind::Step).unwrap();
    let layout = capture_into(&mut graph, &ModelSpec::Cct(spec.clone()), 10, x, Mode::Eval).unwrap().layout;
    let mut theta = layout.initial(1);
    for entry in layout.entries() {
        change(&entry.name, &mut theta[entry.offset..entry.offset + numel(&entry.shape)]);
    }
    let input = InputShape::Image([1, 8, 8]);
    let module = Transformer::new(spec, input, 10, &mut Builder::new(&Device::flex())).unwrap();
    load(module, &layout, &theta, &BTreeMap::new())
}

fn as_started(_: &str, _: &mut [f32]) {}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
}

fn pass() -> Pass {
    Pass::new(Mode::Eval)
}

fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar()
}

/// Tokens in another order.
fn permuted(x: &Tensor<3>) -> Tensor<3> {
    let order: Vec<i64> = (0..16).map(|k| (k * 5 + 3) % 16).collect();
    x.clone().select(1, Tensor::<1, Int>::from_data(TensorData::new(order, [16]), &x.device()))
}

#[test]
fn check_1_an_indifferent_pool_is_the_mean_and_weights_are_a_distribution() {
    let cct = model(&arm(TransformerSpec::cct()), |name, values| {
        if name.starts_with("pool") {
            values.fill(0.0);
        }
    });
    let x = random([4, 16, 32]);
    let mean = x.clone().mean_dim(1).reshape([4, 32]);
    assert!(distance(cct.gather(x, &mut pass()), mean) < 1e-6);

    let mut graph = Graph::new();
    let x = graph.input("x", &[5, 1, 8, 8], DType::F32, InputKind::Step).unwrap();
    let spec = ModelSpec::Cct(arm(TransformerSpec::cct()));
    let captured = capture_into(&mut graph, &spec, 10, x, Mode::Eval).unwrap();
    let weights = captured.taps.iter().find(|(name, _)| name == "pool").unwrap().1;
    assert_eq!(graph.shape(weights), [5, 16]);
    let theta = captured.layout.initial(1).iter().map(|&v| 10.0 * f64::from(v)).collect();
    let image = (0..320).map(|k| f64::from(k * 37 % 101) / 50.0 - 1.0).collect();
    let values = evaluate(&graph, &Inputs::from([(THETA.into(), theta), ("x".into(), image)]), &[weights]);
    assert!(values[0].chunks(16).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-6));
    assert!(values[0].iter().all(|&w| w >= 0.0));
}

#[test]
fn check_2_order_of_tokens_matters_only_with_positions() {
    let cct = model(&arm(TransformerSpec::cct()), as_started);
    let x = random([3, 16, 32]);
    let (plain, moved) = (cct.gather(x.clone(), &mut pass()), cct.gather(permuted(&x), &mut pass()));
    assert!(distance(plain, moved) < 1e-6, "pooling");

    let without = |base| TransformerSpec { positions: Positions::None, ..arm(base) };
    let blind = model(&without(TransformerSpec::cct()), as_started);
    let encoded = blind.encode(x.clone(), &mut pass());
    assert!(distance(blind.encode(permuted(&x), &mut pass()), permuted(&encoded)) < 1e-5, "encoder");

    let change = |model: &Transformer| {
        distance(model.classify(x.clone(), &mut pass()), model.classify(permuted(&x), &mut pass()))
    };
    assert!(change(&blind) < 1e-5, "D");
    assert!(change(&cct) > 1e-4, "C");
    assert!(change(&model(&arm(TransformerSpec::vit()), as_started)) > 1e-4, "A");
}

#[test]
fn check_3_a_far_better_token_is_the_pooled_vector() {
    let cct = model(&arm(TransformerSpec::cct()), |name, values| {
        if name == "pool.weight" {
            values.fill(0.0);
            values[0] = 40.0;
        }
    });
    let mark = Tensor::<3>::zeros([2, 16, 1], &Device::flex());
    let mark = mark.slice_assign([0..2, 6..7, 0..1], Tensor::ones([2, 1, 1], &Device::flex()));
    let x = random([2, 16, 32]).slice_assign([0..2, 0..16, 0..1], mark);
    let token = x.clone().narrow(1, 6, 1).reshape([2, 32]);
    assert!(distance(cct.gather(x, &mut pass()), token) < 1e-5);
}

#[test]
fn check_4_numbers_of_tokens() {
    let tokens = |side: usize, blocks: usize| {
        let spec = TransformerSpec { blocks, ..arm(TransformerSpec::cct()) };
        let input = InputShape::Image([1, side, side]);
        let model = Transformer::new(&spec, input, 10, &mut Builder::new(&Device::flex())).unwrap();
        model.tokenize(random([1, 1, side, side])).dims()
    };
    assert_eq!(tokens(8, 1), [1, 16, 32]);
    assert_eq!(tokens(28, 1), [1, 196, 32]);
    assert_eq!(tokens(28, 2), [1, 49, 32]);
}

#[test]
fn check_5_patches_are_a_convolution_without_overlap() {
    let kernel = std::cell::RefCell::new((vec![], vec![]));
    let cvt = model(&arm(TransformerSpec::cvt()), |name, values| match name {
        "patch.weight" => kernel.borrow_mut().0 = values.to_vec(),
        "patch.bias" => {
            values.iter_mut().zip(0..).for_each(|(value, k)| *value = k as f32 / 32.0);
            kernel.borrow_mut().1 = values.to_vec();
        }
        _ => {}
    });
    let (weight, bias) = kernel.into_inner();
    let device = Device::flex();
    // [c p p, d] to [d, c, p, p].
    let weight = Tensor::<2>::from_data(TensorData::new(weight, [4, 32]), &device).transpose().reshape([32, 1, 2, 2]);
    let bias = Tensor::<1>::from_data(TensorData::new(bias, [32]), &device);
    let x = random([2, 1, 8, 8]);
    let options = ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
    let convolved = conv2d(x.clone(), weight, Some(bias), options).flatten::<3>(2, 3).swap_dims(1, 2);
    assert!(distance(cvt.tokenize(x), convolved) < 1e-6);
}

#[test]
fn check_7_gradient_of_the_pool_by_finite_differences() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[2, 1, 8, 8], DType::F32, InputKind::Step).unwrap();
    let spec = ModelSpec::Cct(arm(TransformerSpec::cct()));
    let captured = capture_into(&mut graph, &spec, 10, x, Mode::Train).unwrap();
    let square = graph.mul(captured.logits, captured.logits).unwrap();
    let loss = graph.sum_all(square).unwrap();
    let (pool, entry) =
        captured.layout.entries().iter().enumerate().find(|(_, entry)| entry.name == "pool.weight").unwrap();
    let g = grad(&mut graph, loss, &[captured.params[pool]]).unwrap();
    let image = (0..128).map(|k| f64::from(k * 37 % 101) / 50.0 - 1.0).collect();
    let theta = captured.layout.initial(1).iter().map(|&v| 5.0 * f64::from(v)).collect();
    let inputs = Inputs::from([(THETA.into(), theta), ("x".into(), image)]);
    let exact = evaluate(&graph, &inputs, &g).remove(0);
    assert_eq!(exact.len(), 32);
    for (i, exact) in exact.iter().enumerate() {
        let at = |delta: f64| {
            let mut moved = inputs.clone();
            moved.get_mut(THETA).unwrap()[entry.offset + i] += delta;
            evaluate(&graph, &moved, &[loss])[0][0]
        };
        let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
        assert!((slope - exact).abs() < 1e-6 * (1.0 + slope.abs()), "{i}: {exact} against {slope}");
    }
}
