//! Whole steps: launch counts, and fused plans against unfused ones and the reference.

use super::*;
use crate::cpu::tests::{assert_close, check_program, contents, on_cpu, on_reference};
use crate::model::{InputShape, Mode, THETA};
use crate::rng::{Rng, Stream};
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
    let captured = crate::tape::capture_into(&mut graph, spec, outputs, x, Mode::Train).unwrap();
    let objective = ObjectiveSpec::default();
    let scores = crate::objective::classify(&mut graph, &objective, captured.logits, labels, None).unwrap();
    let loss = graph.mean(scores.losses, &[0]).unwrap();
    let loss = graph.reshape(loss, &[]).unwrap();
    graph.set_label("backward");
    let gradients = grad::grad(&mut graph, loss, &captured.params).unwrap();
    let gradient = captured.layout.flatten(&mut graph, &gradients).unwrap();
    let optimizer = OptimizerSpec::default();
    let update = crate::optim::descend(&mut graph, &optimizer, &captured.layout, gradient, None).unwrap();
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

/// Sums of a large value and numbers, kept side by side.
fn kept_side_by_side(values: usize) -> Result<plan::Plan, GraphError> {
    let mut program = Program::default();
    let x = program.graph.input("x", &[1 << 28], DType::F32, InputKind::State)?;
    for number in 0..values {
        let other = program.graph.constant(number as f32 + 1.0, &[1 << 28]);
        let sum = program.graph.add(x, other)?;
        program.fetch(&format!("sum {number}"), sum);
    }
    compile(&program, Options::default())
}

/// Memory is counted in 64 bits, whatever a `usize` has: what 32 bits cannot address is refused in words.
#[test]
fn more_memory_than_can_be_addressed_is_refused() {
    let most = kept_side_by_side(3).unwrap();
    assert_eq!(most.peak_bytes(), 4 << 30, "three values and the input");
    assert_eq!(most.flop(), 3 << 28);
    for (values, gigabytes) in [(4, "4 GB"), (20, "20 GB")] {
        let message = kept_side_by_side(values).unwrap_err().to_string();
        assert!(message.contains(gigabytes) && message.contains("batch.micro"), "{message}");
    }
}

/// A plan stays within its memory; one that would not is told by every executor alike, before it runs.
#[test]
fn a_plan_that_reaches_beyond_its_memory_is_found() {
    let plan = compile(&w2(2), Options::default()).unwrap();
    assert!(plan.out_of_bounds().is_none());
    let small = |change: &dyn Fn(&mut plan::Plan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        plan.out_of_bounds().map(|launch| launch.label.clone())
    };
    assert!(small(&|plan| plan.arena_words -= 64).is_some());
    assert!(small(&|plan| plan.metrics -= 1).is_some());
    for input in (0..plan.inputs.len()).filter(|&input| plan.inputs[input].kind == InputKind::State) {
        assert!(small(&|plan| plan.inputs[input].shape[0] -= 1).is_some(), "{}", plan.inputs[input].name);
    }
    let mut executor = crate::cpu::CpuExecutor::new();
    for input in &plan.inputs {
        let bytes = vec![0; numel(&input.shape) * input.dtype.bytes()];
        crate::executor::Executor::write(&mut executor, &input.name, &bytes).unwrap();
    }
    let small = plan::Plan { arena_words: plan.arena_words - 64, ..plan };
    let refused = pollster::block_on(crate::executor::Executor::prepare(&mut executor, small.into()));
    assert!(refused.unwrap_err().to_string().contains("reaches beyond a buffer"));
}

fn launches(program: &Program) -> usize {
    compile(program, Options::default()).unwrap().launches.len()
}

#[test]
fn steps_take_few_launches() {
    let counts = [launches(&w1()), launches(&w2(32)), launches(&w3()), launches(&w2(1))];
    assert!(counts[0] <= 16 && counts[1] <= 80 && counts[2] <= 66 && counts[3] <= 80, "{counts:?}");
}

/// The plan of these values' forward pass and of the gradient of their sum, weighed, with respect to `inputs`.
fn both_ways(mut graph: Graph, y: NodeId, inputs: &[NodeId]) -> (Program, usize) {
    let shape = graph.shape(y).to_vec();
    let weights = graph.input("weights", &shape, DType::F32, InputKind::State).unwrap();
    let cotangents = grad::vjp(&mut graph, &[y], &[weights], inputs).unwrap();
    let fetch = |node, name: &str| Output { node, target: Target::Fetch(name.into()) };
    let mut outputs = vec![fetch(y, "y")];
    outputs.extend(cotangents.iter().enumerate().map(|(k, &node)| fetch(node, &format!("d{k}"))));
    let program = Program { graph, outputs };
    let count = launches(&program);
    (program, count)
}

fn softmax(g: &mut Graph, x: NodeId, axis: usize) -> NodeId {
    let top = g.reduce(ReduceOp::Max, x, &[axis]).unwrap();
    let top = g.stop_gradient(top);
    let shifted = g.sub(x, top).unwrap();
    let e = g.unary(UnaryOp::Exp, shifted).unwrap();
    let total = g.sum(e, &[axis]).unwrap();
    g.div(e, total).unwrap()
}

fn layer_norm(g: &mut Graph, x: NodeId, gamma: NodeId, beta: NodeId) -> NodeId {
    let last = g.shape(x).len() - 1;
    let mean = g.mean(x, &[last]).unwrap();
    let centred = g.sub(x, mean).unwrap();
    let square = g.mul(centred, centred).unwrap();
    let variance = g.mean(square, &[last]).unwrap();
    let variance = g.add_scalar(variance, 1e-5).unwrap();
    let scale = g.unary(UnaryOp::Rsqrt, variance).unwrap();
    let normal = g.mul(centred, scale).unwrap();
    let scaled = g.mul(normal, gamma).unwrap();
    g.add(scaled, beta).unwrap()
}

#[test]
fn softmax_is_one_kernel_each_way() {
    for (shape, axis) in [(vec![4, 30, 17], 2), (vec![6, 33, 5], 1)] {
        let mut g = Graph::new();
        let x = g.input("x", &shape, DType::F32, InputKind::State).unwrap();
        let x3 = g.scale(x, 3.0).unwrap();
        let y = softmax(&mut g, x3, axis);
        let (program, count) = both_ways(g, y, &[x]);
        // Forward and backward need the same rows: one kernel does both.
        assert_eq!(count, 1);
        check_program(&program, 1);
    }
}

#[test]
fn layer_norm_is_one_kernel_each_way() {
    let mut g = Graph::new();
    let x = g.input("x", &[4, 50, 24], DType::F32, InputKind::State).unwrap();
    let gamma = g.input("gamma", &[24], DType::F32, InputKind::State).unwrap();
    let beta = g.input("beta", &[24], DType::F32, InputKind::State).unwrap();
    let y = layer_norm(&mut g, x, gamma, beta);
    let (program, count) = both_ways(g, y, &[x, gamma, beta]);
    // Rows (y and the gradient of x), and columns (the gradients of gamma and beta).
    assert_eq!(count, 2);
    check_program(&program, 1);
}

#[test]
fn cross_entropy_is_one_kernel_and_its_mean() {
    let mut g = Graph::new();
    let x = g.input("x", &[40, 10], DType::F32, InputKind::State).unwrap();
    let labels = g.input("labels", &[40], DType::U32, InputKind::Step).unwrap();
    let scores = crate::objective::classify(&mut g, &ObjectiveSpec::default(), x, labels, None).unwrap();
    let loss = g.mean(scores.losses, &[0]).unwrap();
    let (program, count) = both_ways(g, loss, &[x]);
    assert_eq!(count, 2);
    check_program(&program, 10);
}

#[test]
fn products_take_in_bias_activation_and_residual() {
    let mut g = Graph::new();
    let x = g.input("x", &[8, 5, 12], DType::F32, InputKind::State).unwrap();
    let w = g.input("w", &[1, 12, 12], DType::F32, InputKind::State).unwrap();
    let b = g.input("b", &[12], DType::F32, InputKind::State).unwrap();
    let wide = g.broadcast_to(w, &[8, 12, 12]).unwrap();
    let y = g.matmul(x, wide).unwrap();
    let y = g.add(y, b).unwrap();
    let y = g.unary(UnaryOp::Tanh, y).unwrap();
    let y = g.add(y, x).unwrap();
    let outputs = vec![Output { node: y, target: Target::Fetch("y".into()) }];
    let program = Program { graph: g, outputs };
    let plan = compile(&program, Options::default()).unwrap();
    assert_eq!(plan.launches.len(), 1);
    // The weights are the same for the whole batch: its rows are rows of one product.
    let plan::Kernel::Matmul(product) = &plan.launches[0].kernel else { panic!("{plan}") };
    assert_eq!((product.batch.len(), product.m), (0, 40));
    check_program(&program, 1);
}

/// Scores and what a softmax makes of them along an axis, beside the sum of each row of other numbers.
fn attention(batch: &[usize], [m, n, k]: [usize; 3], axis: usize) -> Program {
    let mut g = Graph::new();
    let mut input =
        |name: &str, last: [usize; 2]| g.input(name, &[batch, &last].concat(), DType::F32, InputKind::State).unwrap();
    let (a, b, c) = (input("a", [m, k]), input("b", [k, n]), input("c", [m, n]));
    let scores = g.matmul(a, b).unwrap();
    let shift = g.unary(UnaryOp::Tanh, c).unwrap();
    let shift = g.sum(shift, &[batch.len() + 1]).unwrap();
    let shift = g.reshape(shift, &[batch, &[m, 1]].concat()).unwrap();
    let shifted = g.add(scores, shift).unwrap();
    let weights = g.softmax(shifted, batch.len() + axis).unwrap();
    let shifted = g.mul(weights, shift).unwrap();
    let outputs = [("scores", scores), ("shifted", shifted)];
    let outputs = outputs.map(|(name, node)| Output { node, target: Target::Fetch(name.into()) });
    Program { graph: g, outputs: outputs.to_vec() }
}

#[test]
fn rows_follow_the_product_that_makes_them() {
    for (batch, size) in [(&[3, 2][..], [37, 70, 5]), (&[], [5, 3, 8]), (&[4], [64, 64, 32]), (&[], [200, 130, 16])] {
        let along_rows = attention(batch, size, 1);
        let plan = compile(&along_rows, Options::default()).unwrap();
        let tails = |plan: &plan::Plan| {
            let tail = |launch: &&plan::Launch| launch.kernel.parts().len() == 2;
            (plan.launches.len(), plan.launches.iter().filter(tail).count())
        };
        assert_eq!(tails(&plan).1, 1, "{plan}");
        check_program(&along_rows, 1000);
        // A column has elements of all rows.
        let along_columns = attention(batch, size, 0);
        let plan = compile(&along_columns, Options::default()).unwrap();
        assert_eq!(tails(&plan).1, 0, "{plan}");
        check_program(&along_columns, 1000);
    }
    // Few rows of long products keep more processors busy apart.
    let plan = compile(&attention(&[], [4, 256, 512], 1), Options::default()).unwrap();
    assert!(plan.launches.iter().all(|launch| launch.kernel.parts().len() == 1), "{plan}");
}

#[test]
fn a_draw_that_is_broadcast_is_made_once() {
    let mut g = Graph::new();
    let key = g.input("key", &[4], DType::U32, InputKind::Step).unwrap();
    let draws = g.random(key, 5, &[8, 49]).unwrap();
    let [own, others] = [[8, 49, 1], [8, 1, 49]].map(|shape| g.reshape(draws, &shape).unwrap());
    let smaller = g.binary(BinaryOp::Less, others, own).unwrap();
    let rank = g.sum(smaller, &[2]).unwrap();
    let program = Program { graph: g, outputs: vec![Output { node: rank, target: Target::Fetch("rank".into()) }] };
    let plan = compile(&program, Options::default()).unwrap();
    let made = |launch: &plan::Launch| match &launch.kernel {
        plan::Kernel::Fused(fused)
            if fused.body.code.iter().any(|instr| matches!(instr, plan::Instr::Random { .. })) =>
        {
            numel(&fused.axes)
        }
        _ => 0,
    };
    assert_eq!(plan.launches.iter().map(made).sum::<usize>(), 8 * 49, "{plan}");
    check_program(&program, 1);
}

#[test]
fn values_that_live_at_once_share_no_memory() {
    for program in [w1(), w2(2), w3()] {
        for fuse in [false, true] {
            let (plan, slots) = compile::compile_with_slots(&program, Options { fuse, reuse: true }).unwrap();
            let (plain, _) = compile::compile_with_slots(&program, Options { fuse, reuse: false }).unwrap();
            assert!(plan.arena_words < plain.arena_words);
            for (k, a) in slots.iter().enumerate() {
                assert!(a.to + a.words <= plan.arena_words && a.to % memory::ALIGNMENT == 0);
                for b in &slots[..k] {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = a.to + a.words <= b.to || b.to + b.words <= a.to;
                    assert!(!together || apart, "{a:?} {b:?}");
                }
            }
        }
    }
}

/// A random program: views, elementwise functions, reductions, products, indexing, and states that change.
fn random_program(seed: u64) -> Program {
    let mut rng = Rng::new(seed, Stream::Generate, 0);
    let mut pick = |n: usize| rng.below(n as u32) as usize;
    let mut g = Graph::new();
    let shapes: [&[usize]; 5] = [&[4, 6], &[6, 4], &[2, 3, 4], &[4, 1], &[6]];
    let mut pool: Vec<NodeId> = Vec::new();
    for (k, shape) in shapes.iter().enumerate() {
        pool.push(g.input(&format!("s{k}"), shape, DType::F32, InputKind::State).unwrap());
    }
    let index = g.input("index", &[3], DType::U32, InputKind::Step).unwrap();
    let key = g.input("key", &[4], DType::U32, InputKind::Step).unwrap();
    for step in 0..24 {
        let (x, y) = (pool[pick(pool.len())], pool[pick(pool.len())]);
        let shape = g.shape(x).to_vec();
        let rank = shape.len();
        let axis = if rank == 0 { 0 } else { pick(rank) };
        let new = match pick(16) {
            0 => g.unary([UnaryOp::Tanh, UnaryOp::Sigmoid, UnaryOp::Neg, UnaryOp::Relu][pick(4)], x),
            1 | 2 => g.binary([BinaryOp::Add, BinaryOp::Mul, BinaryOp::Sub, BinaryOp::Max][pick(4)], x, y),
            3 => g.scale(x, [0.0, 1.0, -1.0, 0.5][pick(4)]),
            4 if rank > 0 => g.reduce([ReduceOp::Sum, ReduceOp::Max][pick(2)], x, &[axis]),
            5 if rank > 0 => Ok(softmax(&mut g, x, axis)),
            6 => {
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.rotate_left(if rank == 0 { 0 } else { axis });
                g.permute(x, &perm)
            }
            7 => {
                let size = numel(&shape);
                let options: Vec<Vec<usize>> = [vec![size], vec![1, size], vec![size / 2, 2], vec![2, size / 2]]
                    .into_iter()
                    .chain([vec![size / 6, 2, 3], vec![3, 2, size / 6]])
                    .filter(|to| numel(to) == size)
                    .collect();
                g.reshape(x, &options[pick(options.len())])
            }
            8 if rank > 0 && shape[axis] > 1 => {
                let mut size = shape.clone();
                size[axis] = shape[axis] / 2;
                let mut start = vec![0; rank];
                start[axis] = pick(shape[axis] - size[axis]);
                g.slice(x, &start, &size)
            }
            9 if rank > 0 => {
                let mut to = shape.clone();
                to[axis] = 2 * shape[axis] + 1;
                let (mut start, mut step) = (vec![0; rank], vec![1; rank]);
                (start[axis], step[axis]) = (pick(2), 1 + pick(2));
                g.unslice(x, &start, &step, &to)
            }
            10 if rank > 0 => g.concat(&[x, x], axis),
            11 if rank == 2 => {
                let t = g.transpose(x).unwrap();
                g.matmul(x, t)
            }
            12 if rank > 0 && shape[0] >= 3 => g.take_rows(x, index),
            13 => g.random(key, step, &shape),
            14 => {
                let wide = [&[2][..], &shape].concat();
                g.broadcast_to(x, &wide)
            }
            _ => g.select(y, x, x),
        };
        // Whatever does not fit is skipped; products are kept small.
        if let Ok(node) = new
            && numel(g.shape(node)) <= 600
            && g.shape(node).len() <= 4
        {
            let node = if matches!(g.node(node).op, Op::Matmul) { g.unary(UnaryOp::Tanh, node).unwrap() } else { node };
            pool.push(node);
        }
    }
    let mut outputs = Vec::new();
    for (k, shape) in shapes.iter().enumerate() {
        let fits: Vec<NodeId> = pool.iter().copied().filter(|&id| g.shape(id) == *shape).collect();
        outputs.push(Output { node: fits[pick(fits.len())], target: Target::State(InputId(k as u32)) });
    }
    for k in 0..4 {
        outputs.push(Output { node: pool[pick(pool.len())], target: Target::Fetch(format!("f{k}")) });
    }
    Program { graph: g, outputs }
}

#[test]
fn random_programs_agree_with_the_reference() {
    for seed in 0..300 {
        let program = random_program(seed);
        let inputs = contents(&program.graph, 3, seed);
        let wanted = on_reference(&program, &inputs, 2);
        for (fuse, reuse) in [(false, false), (true, false), (true, true)] {
            let found = on_cpu(&program, &inputs, Options { fuse, reuse }, 2);
            let same = std::panic::catch_unwind(|| assert_close(&found, &wanted, 1e-4));
            assert!(same.is_ok(), "seed {seed}, fuse {fuse}, reuse {reuse}");
        }
    }
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
