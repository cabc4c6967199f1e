//! Rules of reverse mode against central differences.

use super::super::cases::{self, Function};
use super::super::differences::*;
use super::super::reference::{Inputs, evaluate};
use super::*;

/// Compares gradient and second derivative of `f` with central differences, with respect to all its arguments.
fn check(shapes: &[&[usize]], range: (f64, f64), f: Function<'_>) {
    let mut graph = Graph::new();
    let (inputs, args) = arguments(&mut graph, shapes, range);
    let y = f(&mut graph, &args);
    let loss = weighted(&mut graph, y, 10);
    let first = grad(&mut graph, loss, &args).unwrap();
    compare(&graph, &inputs, loss, &args, &first, "first");
    let mut projections = Vec::new();
    for (k, &g) in first.iter().enumerate() {
        projections.push(weighted(&mut graph, g, 20 + k as u64));
    }
    let projection = projections.into_iter().reduce(|a, b| graph.add(a, b).unwrap()).unwrap();
    let second = grad(&mut graph, projection, &args).unwrap();
    compare(&graph, &inputs, projection, &args, &second, "second");
}

fn compare(graph: &Graph, inputs: &Inputs, loss: NodeId, args: &[NodeId], grads: &[NodeId], order: &str) {
    let exact = evaluate(graph, inputs, grads);
    for (k, (arg, exact)) in args.iter().zip(&exact).enumerate() {
        assert_eq!(graph.shape(grads[k]), graph.shape(*arg));
        for (i, &exact) in exact.iter().enumerate() {
            let mut along = vec![0.0; numel(graph.shape(*arg))];
            along[i] = 1.0;
            let slope = slopes(graph, inputs, loss, &Inputs::from([(format!("x{k}"), along)]))[0];
            assert_slope(exact, slope, format_args!("{order} order, argument {k}, element {i}"));
        }
    }
}

#[test]
fn every_rule() {
    cases::ALL.iter().for_each(|rules| rules(check));
}

#[test]
fn pow_of_zero_base_is_finite() {
    let mut graph = Graph::new();
    let a = graph.input("a", &[1], DType::F32, InputKind::State).unwrap();
    let b = graph.input("b", &[1], DType::F32, InputKind::State).unwrap();
    let y = graph.binary(BinaryOp::Pow, a, b).unwrap();
    let grads = grad(&mut graph, y, &[a, b]).unwrap();
    let inputs = Inputs::from([("a".into(), vec![0.0]), ("b".into(), vec![2.0])]);
    assert_eq!(evaluate(&graph, &inputs, &grads), [[0.0], [0.0]]);
}

#[test]
fn max_reduction_splits_ties_evenly() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[4], DType::F32, InputKind::State).unwrap();
    let max = graph.reduce(ReduceOp::Max, x, &[0]).unwrap();
    let g = grad(&mut graph, max, &[x]).unwrap();
    let inputs = Inputs::from([("x".into(), vec![1.0, 3.0, 3.0, 0.0])]);
    assert_eq!(evaluate(&graph, &inputs, &g), [[0.0, 0.5, 0.5, 0.0]]);
}

#[test]
fn slices_of_one_vector_are_laid_side_by_side() {
    let mut graph = Graph::new();
    let theta = graph.input("x0", &[10], DType::F32, InputKind::State).unwrap();
    let a = graph.slice(theta, &[1], &[4]).unwrap();
    let b = graph.slice(theta, &[5], &[3]).unwrap();
    let (a, b) = (graph.mul(a, a).unwrap(), graph.mul(b, b).unwrap());
    let (a, b) = (graph.sum_all(a).unwrap(), graph.sum_all(b).unwrap());
    let loss = graph.add(a, b).unwrap();
    let g = grad(&mut graph, loss, &[theta]).unwrap();
    assert!(matches!(graph.node(g[0]).op, Op::Concat { axis: 0 }));
    let inputs = Inputs::from([("x0".into(), (0..10).map(f64::from).collect())]);
    assert_eq!(evaluate(&graph, &inputs, &g)[0], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 0.0, 0.0]);
}

#[test]
fn a_reshaped_value_is_the_value() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[4], DType::F32, InputKind::State).unwrap();
    let view = graph.reshape(x, &[2, 2]).unwrap();
    // Refers to x, not to the view.
    let row = graph.reshape(view, &[1, 4]).unwrap();
    let square = graph.mul(row, row).unwrap();
    let loss = graph.sum_all(square).unwrap();
    let g = grad(&mut graph, loss, &[view]).unwrap();
    assert_eq!(graph.shape(g[0]), [2, 2]);
    let inputs = Inputs::from([("x".into(), vec![1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(evaluate(&graph, &inputs, &g)[0], [2.0, 4.0, 6.0, 8.0]);
}

#[test]
fn stop_gradient_stops_and_unused_inputs_get_zeros() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[2], DType::F32, InputKind::State).unwrap();
    let unused = graph.input("unused", &[3], DType::F32, InputKind::State).unwrap();
    let frozen = graph.stop_gradient(x);
    let product = graph.mul(x, frozen).unwrap();
    let loss = graph.sum_all(product).unwrap();
    let g = grad(&mut graph, loss, &[x, unused]).unwrap();
    let inputs = Inputs::from([("x".into(), vec![3.0, -2.0]), ("unused".into(), vec![0.0; 3])]);
    assert_eq!(evaluate(&graph, &inputs, &g), [vec![3.0, -2.0], vec![0.0; 3]]);
}

#[test]
fn custom_backward_is_inlined() {
    // Straight-through sign: the cotangent passes where |x| <= 1.
    let mut backward = Graph::new();
    let g = backward.input("g", &[3], DType::F32, InputKind::Step).unwrap();
    let x = backward.input("x", &[3], DType::F32, InputKind::Step).unwrap();
    let one = backward.constant(1.0, &[3]);
    let zero = backward.constant(0.0, &[3]);
    let size = backward.unary(UnaryOp::Abs, x).unwrap();
    let inside = backward.binary(BinaryOp::LessEqual, size, one).unwrap();
    let passed = backward.select(inside, g, zero).unwrap();
    let backward =
        CustomBackward { name: "straight-through sign".into(), graph: backward.into(), outputs: vec![passed] };

    let mut graph = Graph::new();
    let x = graph.input("x", &[3], DType::F32, InputKind::State).unwrap();
    let sign = graph.unary(UnaryOp::Sign, x).unwrap();
    let y = graph.custom_vjp(sign, &[x], backward).unwrap();
    let y = graph.scale(y, 5.0).unwrap();
    let loss = graph.sum_all(y).unwrap();
    let g = grad(&mut graph, loss, &[x]).unwrap();
    let inputs = Inputs::from([("x".into(), vec![-2.0, 0.5, -0.25])]);
    assert_eq!(evaluate(&graph, &inputs, &[g[0], y]), [[0.0, 5.0, 5.0], [-5.0, 5.0, -5.0]]);
}

#[test]
fn a_gradient_needs_a_scalar() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[3], DType::F32, InputKind::State).unwrap();
    assert!(matches!(grad(&mut graph, x, &[x]), Err(GraphError::NoDerivative(_))));
}
