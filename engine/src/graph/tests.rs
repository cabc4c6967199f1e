//! Whole steps: launch counts, and fused plans against unfused ones and the reference.

use super::*;
use crate::cpu::tests::{assert_close, contents, on_cpu, on_reference};
use crate::model::{self, InputShape, Mode, THETA};
use crate::spec::{GptSpec, MlpSpec, ModelSpec, ObjectiveSpec, OptimizerSpec, TransformerSpec};

/// A training step on a fixed batch: forward, cross-entropy, backward, AdamW; loss in metric 0.
pub(crate) fn step_program(spec: &ModelSpec, input: InputShape, outputs: usize, batch: usize) -> Program {
    let mut graph = Graph::new();
    let (dtype, rows) = match input {
        InputShape::Tokens { context, .. } => (DType::U32, vec![batch, context]),
        _ => (DType::F32, vec![batch]),
    };
    let x = graph.input("x", &input.batched(batch), dtype, InputKind::State).unwrap();
    let labels = graph.input("labels", &rows, DType::U32, InputKind::State).unwrap();
    let captured = model::capture_into(&mut graph, spec, outputs, x, Mode::Train).unwrap();
    let objective = ObjectiveSpec::default();
    let scores = crate::objective::classify(&mut graph, &objective, captured.logits, labels, None).unwrap();
    let loss = graph.mean(scores.losses, &[0]).unwrap();
    let loss = graph.reshape(loss, &[]).unwrap();
    graph.set_label("backward");
    let gradients = grad::grad(&mut graph, loss, &captured.params).unwrap();
    let gradient = captured.layout.flatten(&mut graph, &gradients).unwrap();
    graph.set_label("update");
    let theta = graph.input(THETA, &[captured.layout.len()], DType::F32, InputKind::State).unwrap();
    let optimizer = OptimizerSpec::default();
    let update = crate::optim::append(&mut graph, &optimizer, &captured.layout, theta, gradient).unwrap();
    let state = |graph: &Graph, name: &str| {
        let at = graph.inputs().iter().position(|input| input.name == name).unwrap();
        Target::State(InputId(at as u32))
    };
    let mut outputs = vec![
        Output { node: update.theta, target: state(&graph, THETA) },
        Output { node: loss, target: Target::Metric(0) },
        Output { node: update.grad_norm, target: Target::Metric(1) },
    ];
    for (name, node) in update.states {
        outputs.push(Output { node, target: state(&graph, &name) });
    }
    for running in captured.states {
        outputs.push(Output { node: running.value, target: state(&graph, &running.name) });
    }
    Program { graph, outputs }
}

pub(crate) fn w1() -> Program {
    step_program(&ModelSpec::Mlp(MlpSpec::default()), InputShape::Image([1, 28, 28]), 10, 128)
}

pub(crate) fn w2(batch: usize) -> Program {
    let cct = TransformerSpec { blocks: 1, conv_bias: true, ..TransformerSpec::cct() };
    step_program(&ModelSpec::Cct(cct), InputShape::Image([1, 16, 16]), 10, batch)
}

pub(crate) fn w3() -> Program {
    let input = InputShape::Tokens { context: 64, vocabulary: 65 };
    step_program(&ModelSpec::Gpt(GptSpec::default()), input, 65, 16)
}

fn launches(program: &Program) -> usize {
    let start = std::time::Instant::now();
    let plan = compile(program, Options::default()).unwrap();
    println!("{plan}\ncompiled in {:?}", start.elapsed());
    plan.launches.len()
}

#[test]
fn steps_take_few_launches() {
    let counts = [launches(&w1()), launches(&w2(32)), launches(&w3())];
    println!("{counts:?}");
    assert!(counts[1] <= 90, "{counts:?}");
}

#[test]
fn steps_agree_with_the_reference() {
    let small = |spec| TransformerSpec { width: 8, depth: 1, heads: 2, ratio: 2, ..spec };
    let image = InputShape::Image([1, 8, 8]);
    let specs = [
        (ModelSpec::Mlp(MlpSpec { hidden: vec![12, 9], ..MlpSpec::default() }), image),
        (ModelSpec::Cct(TransformerSpec { blocks: 1, conv_bias: true, ..small(TransformerSpec::cct()) }), image),
        (ModelSpec::Vit(small(TransformerSpec::vit())), image),
        (
            ModelSpec::Gpt(GptSpec { context: 6, width: 8, heads: 2, depth: 1, ratio: 2, ..GptSpec::default() }),
            InputShape::Tokens { context: 6, vocabulary: 5 },
        ),
    ];
    for (spec, input) in specs {
        let program = step_program(&spec, input, 5, 3);
        let mut inputs = contents(&program.graph, 5, 11);
        for (name, values) in &mut inputs {
            if name == "hyper" {
                values.fill(0.01);
            } else if name != "x" && name != "labels" {
                values.iter_mut().for_each(|v| *v = v.abs() * 0.1);
            }
        }
        let wanted = on_reference(&program, &inputs, 2);
        for fuse in [false, true] {
            for reuse in [false, true] {
                assert_close(&on_cpu(&program, &inputs, Options { fuse, reuse }, 2), &wanted, 1e-3);
            }
        }
    }
}
