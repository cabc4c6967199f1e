use super::super::reference::{Inputs, evaluate};
use super::*;
use crate::graph::grad::grad;
use crate::rng::{Rng, Stream};

fn draw(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = Rng::new(seed, Stream::Probe, 0);
    (0..n).map(|_| f64::from(rng.uniform() * 2.0 - 1.0)).collect()
}

/// Examples `[batch, each, inputs]` through a biased layer to a nonlinear loss each; parameters W `[inputs, outputs]`
/// and b `[outputs]`.
fn layer(batch: usize, each: usize, inputs: usize, outputs: usize) -> (Graph, NodeId, Vec<NodeId>, Inputs) {
    let mut graph = Graph::new();
    let x = graph.input("x", &[batch, each, inputs], DType::F32, InputKind::Step).unwrap();
    let weight = graph.input("w", &[inputs, outputs], DType::F32, InputKind::State).unwrap();
    let bias = graph.input("b", &[outputs], DType::F32, InputKind::State).unwrap();
    let rows = graph.reshape(x, &[batch * each, inputs]).unwrap();
    let product = graph.matmul(rows, weight).unwrap();
    let y = graph.add(product, bias).unwrap();
    let y = graph.unary(UnaryOp::Tanh, y).unwrap();
    let y = graph.reshape(y, &[batch, each * outputs]).unwrap();
    let square = graph.mul(y, y).unwrap();
    let losses = graph.sum(square, &[1]).unwrap();
    let losses = graph.reshape(losses, &[batch]).unwrap();
    let inputs = Inputs::from([
        ("x".into(), draw(batch * each * inputs, 1)),
        ("w".into(), draw(inputs * outputs, 2)),
        ("b".into(), draw(outputs, 3)),
    ]);
    (graph, losses, vec![weight, bias], inputs)
}

/// Squared norms from a gradient of each loss by itself.
pub fn one_by_one(graph: &mut Graph, losses: NodeId, params: &[NodeId], inputs: &Inputs) -> Vec<f64> {
    let batch = graph.shape(losses)[0];
    (0..batch)
        .map(|i| {
            let loss = graph.slice(losses, &[i], &[1]).unwrap();
            let gradients = grad(graph, loss, params).unwrap();
            evaluate(graph, inputs, &gradients).concat().iter().map(|g| g * g).sum()
        })
        .collect()
}

#[test]
fn norms_of_a_layer_equal_those_of_gradients_one_by_one() {
    // One row an example; several, by products of rows (few) and by the gradients themselves (many).
    for (batch, each, inputs, outputs) in [(5, 1, 4, 3), (4, 2, 12, 9), (3, 8, 4, 3), (1, 6, 4, 3)] {
        let (mut graph, losses, params, values) = layer(batch, each, inputs, outputs);
        let found = square_norms(&mut graph, losses, &params).unwrap();
        assert_eq!(found.counted, [true, true]);
        let squares = evaluate(&graph, &values, &[found.squares]).remove(0);
        for (a, b) in squares.iter().zip(one_by_one(&mut graph, losses, &params, &values)) {
            assert!((a - b).abs() < 1e-9 * b, "{batch} x {each}: {a} against {b}");
        }
    }
}

#[test]
fn parameters_that_enter_twice_or_elsewhere_do_not_count() {
    let (mut graph, losses, mut params, _) = layer(4, 1, 3, 3);
    let weight = params[0];
    // The weight once more, and a parameter spread over rows that are not examples.
    let transposed = graph.transpose(weight).unwrap();
    let more = graph.sum_all(transposed).unwrap();
    let more = graph.broadcast_to(more, &[4]).unwrap();
    let losses = graph.add(losses, more).unwrap();
    let scale = graph.input("s", &[1, 3], DType::F32, InputKind::State).unwrap();
    let other = graph.input("o", &[8, 3], DType::F32, InputKind::State).unwrap();
    let scaled = graph.mul(other, scale).unwrap();
    let scaled = graph.sum_all(scaled).unwrap();
    let scaled = graph.broadcast_to(scaled, &[4]).unwrap();
    let losses = graph.add(losses, scaled).unwrap();
    params.extend([scale, other]);
    assert_eq!(square_norms(&mut graph, losses, &params).unwrap().counted, [false, true, false, false]);
}
