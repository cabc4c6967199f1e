//! Arithmetic, functions, reductions, scans and order against burn.

use burn::tensor::{IndexingUpdateOp, Int, Slice, s};

use super::agreement::{Against::*, agree, case};
use super::*;
use crate::cpu::CpuExecutor;
use crate::cpu::tests::{on, on_reference};
use crate::gpu::executors_for_tests;

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

fn whole<const D: usize>(x: Tensor<D, Int>) -> Tensor<1> {
    flat(x.float())
}

#[test]
fn elementary_functions() {
    agree(&[
        case("log1p", 9, |x| x.log1p()).within(-0.9, 2.0),
        case("log1p near 0", 9, |x| x.log1p() * 1e5).within(-1e-5, 1e-5).against(Autodiff),
        case("round", 12, |x| x.round()).within(-3.0, 3.0).against(Nothing),
        case("round ties", 8, |x| (x * 8.0).floor() / 2.0).within(-3.0, 3.0).against(Nothing),
        case("round half", 8, |x| ((x * 8.0).floor() / 2.0).round()).within(-3.0, 3.0).against(Nothing),
        case("ceil", 9, |x| x.ceil()).within(-3.0, 3.0).against(Nothing),
        case("trunc", 9, |x| x.trunc()).within(-3.0, 3.0).against(Nothing),
        case("sign", 9, |x| x.sign()).against(Nothing),
        case("tan", 9, |x| x.tan()),
        case("sinh", 9, |x| x.sinh()).within(-3.0, 3.0),
        case("cosh", 9, |x| x.cosh()).within(-3.0, 3.0),
        case("asin", 9, |x| x.asin()).within(-0.95, 0.95).against(Autodiff),
        case("acos", 9, |x| x.acos()).within(-0.95, 0.95).against(Autodiff),
        case("atan", 15, |x| x.atan()).within(-5.0, 5.0).against(Autodiff),
        case("asinh", 9, |x| x.asinh()).within(-3.0, 3.0),
        case("acosh", 9, |x| x.acosh()).within(1.1, 3.0),
        case("atanh", 9, |x| x.atanh()).within(-0.9, 0.9),
        case("atan2", 16, |x| x.clone().slice([0..8]).atan2(x.slice([8..16]))).against(Autodiff),
        case("power 3", 9, |x| x.powf_scalar(3.0)),
        case("power -3", 9, |x| x.powf_scalar(-3.0)).within(-3.0, -0.5),
        case("power 21", 9, |x| x.powf_scalar(21.0)).against(Autodiff),
        case("power 0", 9, |x| x.clone().powf_scalar(0.0) + x),
        case("power 1.7", 9, |x| x.powf_scalar(1.7)).within(0.2, 3.0),
        case("powi", 9, |x| x.powi_scalar(5)),
        case("power of whole numbers", 6, |x| {
            let exponent = Tensor::<1>::from_floats([3.0, 2.0, -1.0, 5.0, 0.0, 4.0], &x.device());
            x.powf(exponent)
        })
        .against(Differences),
        case("power by the exponent", 6, |x| (x.clone() * x.clone() + 0.5).powf(x)),
        case("remainder", 9, |x| x.remainder_scalar(0.7)).within(-3.0, 3.0).against(Differences),
        case("remainder of two", 8, |x| x.clone().slice([0..4]).remainder(x.slice([4..8]) + 3.0)).against(Differences),
        case("fmod", 9, |x| x.fmod_scalar(0.7)).within(-3.0, 3.0).against(Differences),
    ]);
}

#[test]
fn reductions_and_scans() {
    agree(&[
        case("product", 6, |x| x.prod().reshape([1])),
        case("product with a zero", 6, |x| (x.clone() * x.greater_scalar(0.0).float()).prod().reshape([1]))
            .against(Differences),
        case("product along", 12, |x| flat(x.reshape([2, 3, 2]).prod_dim(1))),
        case("variance", 12, |x| flat(x.reshape([3, 4]).var(1))),
        case("any", 12, |x| flat(x.clone().reshape([3, 4]).greater_scalar(1.0).any_dim(1).float()) + x.slice([0..1]))
            .against(Differences),
        case("all", 12, |x| flat(x.clone().reshape([3, 4]).greater_scalar(-1.0).all_dim(1).float()) + x.slice([0..1]))
            .against(Differences),
        case("max of all", 7, |x| x.max().reshape([1])),
        case("min of all", 7, |x| x.min().reshape([1])),
        case("largest size", 7, |x| x.max_abs().reshape([1])).against(Differences),
        case("sums", 12, |x| flat(x.reshape([3, 4]).cumsum(1))),
        case("sums down", 12, |x| flat(x.reshape([3, 2, 2]).cumsum(0))),
        case("long sums", 150, |x| flat(x.reshape([1, 150]).cumsum(1))).against(Autodiff),
        case("products", 12, |x| flat(x.reshape([3, 4]).cumprod(1))),
        case("maxima", 12, |x| flat(x.reshape([2, 6]).cummax(1))).against(Differences),
        case("minima", 12, |x| flat(x.reshape([2, 6]).cummin(1))).against(Differences),
    ]);
}

#[test]
fn order() {
    agree(&[
        case("argmin", 12, |x| whole(x.reshape([3, 4]).argmin(1))).against(Nothing),
        case("argmin down", 12, |x| whole(x.reshape([3, 4]).argmin(0))).against(Nothing),
        case("max with index", 12, |x| {
            let (value, index) = x.reshape([3, 4]).max_dim_with_indices(1);
            flat(value * index.float())
        }),
        case("min with index", 12, |x| {
            let (value, index) = x.reshape([3, 4]).min_dim_with_indices(0);
            flat(value * (index.float() + 1.0))
        }),
        case("largest", 12, |x| flat(x.reshape([2, 6]).topk(3, 1))),
        case("largest with places", 12, |x| {
            let (value, index) = x.reshape([6, 2]).topk_with_indices(4, 0);
            flat(value * (index.float() + 1.0))
        }),
        case("sorted", 12, |x| flat(x.reshape([2, 6]).sort(1))),
        case("sorted down", 40, |x| flat(x.reshape([2, 20]).sort_descending(1))),
        case("sorted with places", 12, |x| {
            let (value, index) = x.reshape([6, 2]).sort_with_indices(0);
            flat(value * (index.float() + 1.0))
        }),
        case("order", 12, |x| whole(x.reshape([2, 6]).argsort(1))).against(Nothing),
    ]);
}

#[test]
fn ties_keep_their_order_and_what_is_no_number_comes_last() {
    let values = [2.0, f64::NAN, 3.0, 2.0, 3.0, -1.0, 0.0, 0.0, 0.0, f64::NAN, f64::NAN, 5.0];
    let mut graph = Graph::new();
    let x = graph.input("x", &[2, 6], DType::F32, InputKind::State).unwrap();
    let (few, all) = (graph.top_k(x, 2).unwrap(), graph.top_k(x, 6).unwrap());
    let outputs = [("few", few), ("all", all)];
    let outputs = outputs.map(|(name, node)| Output { node, target: Target::Fetch(name.into()) }).to_vec();
    let program = Program { graph, outputs };
    let inputs = Inputs::from([("x".into(), values.to_vec())]);
    let check = |found: BTreeMap<String, Vec<f64>>| {
        assert_eq!(found["few"], [2.0, 4.0, 5.0, 0.0]);
        assert_eq!(found["all"], [2.0, 4.0, 0.0, 3.0, 5.0, 1.0, 5.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    };
    check(on_reference(&program, &inputs, 1));
    check(on(&mut CpuExecutor::new(), &program, &inputs, Options::default(), 1));
    for gpu in &mut executors_for_tests() {
        check(on(gpu, &program, &inputs, Options::default(), 1));
    }
}

#[test]
fn places() {
    agree(&[
        case("flip", 12, |x| flat(x.reshape([2, 3, 2]).flip([0, 2]))),
        case("flip and square", 12, |x| {
            let y = x.reshape([3, 4]);
            flat(y.clone().flip([1]) * y)
        }),
        case("backwards", 12, |x| flat(x.reshape([3, 4]).slice(s![.., 1..;-1]))),
        case("backwards by two", 14, |x| flat(x.reshape([2, 7]).slice(s![.., ..;-2]))),
        case("roll", 12, |x| flat(x.reshape([3, 4]).roll(&[1, -1], &[0, 1]))),
        case("stack", 8, |x| {
            let [a, b] = [x.clone().slice([0..4]), x.slice([4..8])];
            flat(Tensor::stack::<2>(vec![a.clone() * b.clone(), b, a], 1))
        }),
        case("assign a row", 8, |x| {
            let y = x.clone().slice([0..6]).reshape([3, 2]);
            flat(y.slice_assign([1..2, 0..2], x.slice([6..8]).reshape([1, 2])))
        }),
        case("assign a block", 14, |x| {
            let y = x.clone().slice([0..12]).reshape([3, 4]);
            flat(y.slice_assign([1..3, 2..3], x.slice([12..14]).reshape([2, 1])))
        }),
        case("assign by steps", 8, |x| {
            let ranges: [Slice; 1] = [Slice::new(1, Some(6), 2)];
            x.clone().slice([0..6]).slice_assign(ranges, x.slice([5..8]))
        }),
        case("fill a sequence", 6, |x| {
            let mut y = Tensor::<2>::empty([3, 2], &x.device());
            for t in 0..3 {
                let step = x.clone().slice([2 * t..2 * t + 2]).reshape([1, 2]);
                y = y.slice_assign([t..t + 1, 0..2], step.clone() * step);
            }
            flat(y)
        }),
        case("select along columns", 12, |x| {
            let index = Tensor::<1, Int>::from_ints([3, 0, 0], &x.device());
            flat(x.reshape([3, 4]).select(1, index))
        }),
        case("select and add", 14, |x| {
            let index = Tensor::<1, Int>::from_ints([2, 0, 2], &x.device());
            let value = x.clone().slice([8..14]).reshape([3, 2]);
            flat(x.slice([0..8]).reshape([4, 2]).select_assign(0, index, value, IndexingUpdateOp::Add))
        }),
        case("scatter", 12, |x| {
            let index = Tensor::<2, Int>::from_ints([[2, 0], [1, 1]], &x.device());
            let value = x.clone().slice([8..12]).reshape([2, 2]);
            flat(x.slice([0..8]).reshape([2, 4]).scatter(1, index, value, IndexingUpdateOp::Add))
        }),
        case("windows", 10, |x| flat(x.reshape([2, 5]).unfold::<3, _>(1, 3, 2))).against(Differences),
        case("expand", 3, |x| flat(x.reshape([3, 1]).expand([2, 3, 4]))),
        case("reflect", 12, |x| flat(x.reshape([1, 1, 3, 4]).pad((2, 1, 1, 2), burn::tensor::ops::PadMode::Reflect))),
        case("edge", 12, |x| flat(x.reshape([1, 1, 3, 4]).pad((2, 1, 0, 2), burn::tensor::ops::PadMode::Edge))),
        case("zeros around", 12, |x| {
            flat(x.reshape([1, 1, 3, 4]).pad((2, 1, 0, 2), burn::tensor::ops::PadMode::Constant(0.0)))
        }),
        case("ones around", 12, |x| {
            flat(x.reshape([1, 1, 3, 4]).pad((2, 1, 0, 2), burn::tensor::ops::PadMode::Constant(1.0)))
        }),
    ]);
}

#[test]
fn whole_numbers() {
    agree(&[
        case("division", 9, |x| {
            let a = (x * 10.0).int();
            let b = Tensor::<1, Int>::from_ints([3, -3, 2, 7, -7, 5, 1, 4, -2], &a.device());
            (a.clone() / b.clone()).float() + a.remainder(b).float() * 0.1
        })
        .against(Nothing),
        case("counting", 6, |x| {
            let places = Tensor::<1, Int>::arange(0..6, &x.device());
            let even = places.clone().remainder_scalar(2).equal_scalar(0);
            x.mask_fill(even, 0.5) + (places * 2 - 3).float()
        }),
        case("indices computed", 6, |x| {
            let places = Tensor::<1, Int>::arange(0..6, &x.device());
            let index = (places * 5 + 2).remainder_scalar(6);
            x.select(0, index)
        }),
        case("truth", 6, |x| {
            let low = x.clone().lower_scalar(0.0);
            let high = x.clone().greater_scalar(-0.5);
            x * (low.clone().bool_xor(high.clone()).float() + low.bool_and(high).int().float() * 2.0)
        }),
    ]);
}

#[test]
fn activations() {
    use burn::tensor::activation::*;
    agree(&[
        case("gelu", 9, gelu),
        case("gelu by tanh", 9, gelu_approximate),
        case("leaky relu", 9, |x| leaky_relu(x, 0.1)),
        case("softplus", 9, |x| softplus(x, 1.0)).within(-4.0, 4.0),
        case("log sigmoid", 9, log_sigmoid).within(-4.0, 4.0),
        case("silu", 9, silu),
        case("softmin", 9, |x| softmin(x, 0)),
        case("hard sigmoid", 9, |x| hard_sigmoid(x, 0.3, 0.5)).within(-3.0, 3.0),
        case("mish", 9, mish),
    ]);
}
