use super::super::jvp::hvp;
use super::super::reference::{Inputs, run};
use super::*;
use crate::rng::{Rng, Stream};

const THETA: usize = 5 * 4 + 4 * 3;

fn draw(n: usize, index: u32) -> Vec<f64> {
    let mut rng = Rng::new(1, Stream::Probe, index);
    (0..n).map(|_| f64::from(rng.normal())).collect()
}

/// Hessian-vector product of a two-layer network on rows of a table; also fetches the loss.
fn program() -> Program {
    let mut graph = Graph::new();
    let theta = graph.input("theta", &[THETA], DType::F32, InputKind::State).unwrap();
    let table = graph.input("data", &[9, 5], DType::F32, InputKind::Table).unwrap();
    let rows = graph.input("index", &[6], DType::U32, InputKind::Step).unwrap();
    let vector = graph.input("vector", &[THETA], DType::F32, InputKind::State).unwrap();
    let x = graph.take_rows(table, rows).unwrap();
    let w = graph.slice(theta, &[0], &[20]).unwrap();
    let w = graph.reshape(w, &[5, 4]).unwrap();
    let h = graph.matmul(x, w).unwrap();
    let h = graph.unary(UnaryOp::Tanh, h).unwrap();
    // Indices that depend on parameters are kept as u32.
    let h = graph.reshape(h, &[6, 1, 2, 2]).unwrap();
    let same = ConvGeometry { kernel: [2, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 };
    let pooled = graph.max_pool2d(h, same).unwrap();
    let pooled = graph.broadcast_to(pooled, &[6, 1, 2, 2]).unwrap();
    let h = graph.add(h, pooled).unwrap();
    let h = graph.reshape(h, &[6, 4]).unwrap();
    let w = graph.slice(theta, &[20], &[12]).unwrap();
    let w = graph.reshape(w, &[4, 3]).unwrap();
    let logits = graph.matmul(h, w).unwrap();
    let log_p = graph.log_softmax(logits, 1).unwrap();
    let first = graph.slice(log_p, &[0, 0], &[6, 1]).unwrap();
    let loss = graph.sum_all(first).unwrap();
    let product = hvp(&mut graph, loss, &[theta], &[vector]).unwrap()[0];
    let fetch = |node, name: &str| Output { node, target: Target::Fetch(name.into()) };
    Program { graph, outputs: vec![fetch(loss, "loss"), fetch(product, "product")] }
}

fn inputs() -> Inputs {
    Inputs::from([
        ("theta".into(), draw(THETA, 0)),
        ("data".into(), draw(45, 1)),
        ("index".into(), vec![3.0, 1.0, 4.0, 1.0, 8.0, 0.0]),
        ("vector".into(), draw(THETA, 2)),
    ])
}

#[test]
fn the_parts_compute_the_whole() {
    let whole = program();
    let split = split(&whole, &["vector"], "probe").unwrap();
    assert_eq!(split.kept.iter().map(|kept| kept.dtype).collect::<Vec<_>>(), [DType::F32, DType::U32]);
    let mut state = inputs();
    let fixed = run(&split.fixed, &mut state);
    assert_eq!(fixed.keys().collect::<Vec<_>>(), ["loss"]);
    for lane in 2..5 {
        let vector = draw(THETA, lane);
        state.insert("vector".into(), vector.clone());
        // Neither parameters nor batch are read again.
        state.insert("theta".into(), vec![]);
        state.insert("index".into(), vec![]);
        let mut all = inputs();
        all.insert("vector".into(), vector);
        let expected = run(&whole, &mut all).remove("product").unwrap();
        let found = run(&split.moving, &mut state).remove("product").unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{found} against {expected}");
        }
    }
}

#[test]
fn nothing_fixed_and_costly_is_computed_again() {
    let split = split(&program(), &["vector"], "probe").unwrap();
    let moves = depends(&split.moving.graph, &["vector"]);
    for (index, node) in split.moving.graph.nodes().iter().enumerate() {
        let constant = matches!(node.op, Op::Const(_) | Op::Literal(_) | Op::Iota { .. } | Op::Input(_));
        assert!(moves[index] || constant || is_view(&node.op) || is_cheap(&node.op), "{:?}", node.op);
    }
    let names: Vec<&str> = split.moving.graph.inputs().iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["probe.f32", "probe.u32", "vector"]);
}

#[test]
fn a_program_that_does_not_move_stays_whole() {
    let whole = program();
    let split = split(&whole, &["nothing"], "probe").unwrap();
    assert!(split.kept.is_empty() && split.moving.outputs.is_empty());
    assert_eq!(run(&split.fixed, &mut inputs()), run(&whole, &mut inputs()));
}
