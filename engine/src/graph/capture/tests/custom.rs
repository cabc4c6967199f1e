//! Backward passes of one's own and the count of what they keep; random values.

use burn::tensor::Distribution;

use super::agreement::captured;
use super::*;
use crate::graph::reference::{Inputs, evaluate};
use crate::graph::{Saved, differences::weighted, saved};

fn at(values: &[f64]) -> Inputs {
    Inputs::from([("x".into(), values.to_vec()), ("key".into(), vec![3.0, 4.0, 5.0, 0.0])])
}

#[test]
fn a_backward_pass_reads_what_it_saved() {
    // Forward x^3, backward from x rounded to halves: the slope is 3 round(x)^2, whatever the forward pass was.
    let (mut graph, x, y) = captured(4, |x| {
        let kept = stored((x.clone() * 2.0).round(), 4.0);
        custom_vjp("cube", x.clone().powf_scalar(3.0), |g| {
            let near = kept * 0.5;
            vec![slope(&x, g * near.clone() * near * 3.0)]
        })
    })
    .unwrap();
    let loss = graph.sum_all(y).unwrap();
    let g = grad::grad(&mut graph, loss, &[x]).unwrap()[0];
    let values = [0.6, -1.3, 2.2, 0.1];
    let found = evaluate(&graph, &at(&values), &[y, g]);
    for (k, x) in values.iter().enumerate() {
        let near = (x * 2.0).round() / 2.0;
        assert!((found[0][k] - x * x * x).abs() < 1e-12);
        assert!((found[1][k] - 3.0 * near * near).abs() < 1e-12);
    }
    let kept = saved(&graph, &[loss], &[g]);
    assert_eq!(kept, Saved { exact: 0, quantised: vec![(4.0, 4)] });
    assert_eq!((kept.bytes(), kept.exact_bytes()), (2.0, 0.0));
}

#[test]
fn several_arguments_and_values() {
    // Two values of two arguments, whose slopes are swapped: nothing else could yield this.
    let (mut graph, x, y) = captured(4, |x| {
        let (a, b) = (x.clone().slice([0..2]), x.slice([2..4]));
        let values = vec![a.clone() * 2.0, b.clone() * 3.0];
        let made = custom_vjp_joint("swap", values, |g| {
            let [first, second]: [Tensor<1>; 2] = g.try_into().unwrap();
            vec![slope(&a, second * 10.0), slope(&b, first * 100.0)]
        });
        Tensor::cat(made, 0)
    })
    .unwrap();
    let weights = graph.literal(&[1.0, 2.0, 3.0, 4.0], &[4]).unwrap();
    let product = graph.mul(y, weights).unwrap();
    let loss = graph.sum_all(product).unwrap();
    let g = grad::grad(&mut graph, loss, &[x]).unwrap()[0];
    let found = evaluate(&graph, &at(&[1.0, 2.0, 3.0, 4.0]), &[y, g]);
    assert_eq!(found, [[2.0, 4.0, 9.0, 12.0], [30.0, 40.0, 100.0, 200.0]]);
}

#[test]
fn a_custom_pass_has_second_derivatives_and_forward_mode() {
    let (mut graph, x, y) =
        captured(3, |x| custom_vjp("square", x.clone() * x.clone(), |g| vec![slope(&x, g * x.clone() * 5.0)])).unwrap();
    let loss = weighted(&mut graph, y, 1);
    let g = grad::grad(&mut graph, loss, &[x]).unwrap()[0];
    let v = graph.input("v", &[3], DType::F32, InputKind::State).unwrap();
    let moved = jvp::jvp(&mut graph, &[loss, g], &[x], &[v]).unwrap();
    let mut inputs = at(&[0.5, -1.0, 2.0]);
    inputs.insert("v".into(), vec![1.0, 2.0, -1.0]);
    let ones = graph.constant(1.0, &[3]);
    let weights = grad::vjp(&mut graph, &[y], &[ones], &[x]).unwrap()[0];
    let found = evaluate(&graph, &inputs, &[g, moved[0], moved[1], weights]);
    let dot: f64 = found[0].iter().zip([1.0, 2.0, -1.0]).map(|(g, v)| g * v).sum();
    assert!((found[1][0] - dot).abs() < 1e-9);
    // g = 5 w x, so its derivative along v is 5 w v = (g / x) v.
    for (k, (x, v)) in [(0.5, 1.0), (-1.0, 2.0), (2.0, -1.0)].into_iter().enumerate() {
        assert!((found[2][k] - found[0][k] / x * v).abs() < 1e-9);
        assert_eq!(found[3][k], 5.0 * x);
    }
}

#[test]
fn a_matrix_product_keeps_its_factors() {
    let (mut graph, x, y) = captured(12, |x| {
        let (a, b) = (x.clone().slice([0..6]).reshape([2, 3]), x.slice([6..12]).reshape([3, 2]));
        let product = a.tanh().matmul(b.exp());
        product.reshape([4])
    })
    .unwrap();
    let loss = graph.sum_all(y).unwrap();
    let g = grad::grad(&mut graph, loss, &[x]).unwrap()[0];
    // tanh and exp, each for its own slope and for the product's.
    assert_eq!(saved(&graph, &[loss], &[g]), Saved { exact: 12, quantised: vec![] });
}

#[test]
fn normal_draws_are_normal() {
    const COUNT: usize = 20_000;
    let (graph, _, y) =
        captured(COUNT, |x| x.clone() * 0.0 + Tensor::random(x.shape(), Distribution::Normal(1.0, 2.0), &x.device()))
            .unwrap();
    let draws = evaluate(&graph, &at(&[0.0; COUNT]), &[y]).remove(0);
    let n = COUNT as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - 1.0) * (x - 1.0)).sum::<f64>() / n;
    let beyond = draws.iter().filter(|x| (*x - 1.0).abs() > 4.0).count() as f64 / n;
    // Five standard errors each.
    assert!((mean - 1.0).abs() < 5.0 * 2.0 / n.sqrt(), "{mean}");
    assert!((variance - 4.0).abs() < 5.0 * 4.0 * (2.0 / n).sqrt(), "{variance}");
    assert!((beyond - 0.0455).abs() < 5.0 * (0.0455 / n).sqrt(), "{beyond}");
}
