//! The recording, and what becomes of burn's operations in the graph.
#![allow(clippy::single_range_in_vec_init)]

pub(crate) mod agreement;
mod custom;
mod module;
mod numeric;

use burn::tensor::Distribution;

use super::*;
use crate::graph::reference::{Inputs, evaluate};

/// Knows one key and no operation of its own.
struct Plain;

impl Resolver for Plain {
    fn key(&mut self, graph: &mut Graph, _: &str) -> Result<NodeId, GraphError> {
        graph.input("key", &[4], DType::U32, InputKind::Step)
    }

    fn custom(&mut self, _: &mut Graph, _: &str, _: &[NodeId], _: ValueId) -> Result<Option<NodeId>, GraphError> {
        Ok(None)
    }
}

/// Captures a function of one [2, 3] tensor.
fn capture(f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Result<(Graph, NodeId), GraphError> {
    let (recording, (x, y)) = record(|device| {
        let x = Tensor::<2>::empty([2, 3], device);
        let id = value_id(&x);
        (id, value_id(&f(x)))
    })?;
    let mut graph = Graph::new();
    let node = graph.input("x", &[2, 3], DType::F32, InputKind::Step)?;
    let bound = Bound { node, net: String::new(), module: "net".to_owned() };
    let nodes = recording.append(&mut graph, &BTreeMap::from([(x.unwrap(), bound)]), &mut Plain)?;
    Ok((graph, nodes[&y.unwrap()]))
}

#[test]
fn matches_flex() {
    use burn::tensor::activation::{gelu, log_softmax, relu, sigmoid, softmax};
    let functions: &[fn(Tensor<2>) -> Tensor<2>] = &[
        |x| softmax(x, 1),
        |x| log_softmax(x, 0),
        |x| gelu(x),
        |x| relu(x.clone()) - sigmoid(x),
        |x| (x.clone() * 2.0 - 0.5) / (x.abs() + 1.0),
        |x| x.clone().matmul(x.transpose()).exp(),
        |x| {
            let weights = Tensor::<3>::from_floats([[[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]]], &x.device());
            let batch = x.unsqueeze::<3>().repeat_dim(0, 2) * 2.0;
            batch.matmul(weights).reshape([4, 2])
        },
        |x| x.clone().sum_dim(1).sqrt_or_zero() + x.mean_dim(0),
        |x| x.clone().slice([0..2, 1..3]) * x.slice([1..2, 0..1]),
        |x| Tensor::cat(vec![x.clone(), x.clone() * 3.0], 0).swap_dims(0, 1),
        |x| x.clone().mask_fill(x.greater_elem(0.2), -1.0),
        |x| x.clone().greater_equal_elem(0.3).float() + x.clone().lower_elem(0.1).bool_not().float(),
        |x| x.clone().powf_scalar(2.0) + x.clone().clamp(-0.3, 0.4) + x.max_dim(1),
        |x| x.clone() + Tensor::from_floats([[0.0, 1.0, 2.0], [3.0, 5.0, 4.0]], &x.device()),
        |x| x.clone() + Tensor::<1>::from_floats([0.0, 1.0, 2.0], &x.device()).unsqueeze(),
    ];
    let values = [-0.7f32, 0.3, 0.9, -0.2, 0.1, 0.45];
    for (k, f) in functions.iter().enumerate() {
        let (graph, y) = capture(f).unwrap();
        let inputs = Inputs::from([("x".to_owned(), values.iter().map(|&v| f64::from(v)).collect())]);
        let ours = &evaluate(&graph, &inputs, &[y])[0];
        let device = Device::flex();
        let x = Tensor::<1>::from_floats(values, &device).reshape([2, 3]);
        let theirs: Vec<f32> = f(x).into_data().try_to_vec().unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - f64::from(*b)).abs() < 1e-5, "function {k}: {a} against {b}");
        }
    }
}

trait SqrtOrZero {
    fn sqrt_or_zero(self) -> Self;
}
impl SqrtOrZero for Tensor<2> {
    fn sqrt_or_zero(self) -> Self {
        self.clamp_min(0.0).sqrt()
    }
}

#[test]
fn unknown_operations_are_named_with_their_module() {
    let error = capture(|x| x.clone().cross(x, 1)).unwrap_err();
    assert_eq!(error, GraphError::Unsupported { op: "Cross".into(), module: "net".into() });
}

#[test]
fn stop_gradient_is_recorded() {
    let (mut graph, y) = capture(|x| x.clone() * stop_gradient(x)).unwrap();
    let loss = graph.sum_all(y).unwrap();
    let x = graph.input("x", &[2, 3], DType::F32, InputKind::Step).unwrap();
    let g = grad::grad(&mut graph, loss, &[x]).unwrap();
    let inputs = Inputs::from([("x".to_owned(), vec![1.0, -2.0, 3.0, 0.5, 0.0, 4.0])]);
    assert_eq!(evaluate(&graph, &inputs, &g)[0], [1.0, -2.0, 3.0, 0.5, 0.0, 4.0]);
}

#[test]
fn each_random_operation_has_its_own_stream() {
    let (graph, _) = capture(|x| {
        let draw = |x: &Tensor<2>| Tensor::<2>::random(x.shape(), Distribution::Default, &x.device());
        draw(&x) + draw(&x) * x
    })
    .unwrap();
    let streams: Vec<u32> = graph
        .nodes()
        .iter()
        .filter_map(|node| match node.op {
            Op::Random { stream } => Some(stream),
            _ => None,
        })
        .collect();
    assert_eq!(streams, [0, 1]);
}
