//! Plans on the executors against the f64 reference evaluator.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::graph::reference::{Inputs, run};
use crate::graph::*;
use crate::rng::{Rng, Stream};

const FUSED: Options = Options { fuse: true, reuse: true };
const UNFUSED: Options = Options { fuse: false, reuse: true };

fn block<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

/// Random contents for every input: u32 inputs below `bound`, u8 anything, f32 normal.
pub(crate) fn contents(graph: &Graph, bound: u32, seed: u64) -> Inputs {
    let mut inputs = Inputs::new();
    for (k, input) in graph.inputs().iter().enumerate() {
        let mut rng = Rng::new(seed, Stream::Probe, k as u32);
        let value = |rng: &mut Rng| match input.dtype {
            DType::F32 => f64::from(rng.normal()),
            DType::U32 => f64::from(rng.below(bound)),
            DType::U8 => f64::from(rng.below(256)),
        };
        inputs.insert(input.name.clone(), (0..numel(&input.shape)).map(|_| value(&mut rng)).collect());
    }
    inputs
}

fn words(values: &[f64], dtype: DType) -> Vec<u32> {
    values.iter().map(|&v| if dtype == DType::U32 { v as u32 } else { (v as f32).to_bits() }).collect()
}

fn bytes(values: &[f64], dtype: DType) -> Vec<u8> {
    match dtype {
        DType::U8 => values.iter().map(|&v| v as u8).collect(),
        dtype => words(values, dtype).into_iter().flat_map(u32::to_le_bytes).collect(),
    }
}

fn numbers(bytes: &[u8], dtype: DType) -> Vec<f64> {
    let word = |word: &[u8]| u32::from_le_bytes(word.try_into().unwrap());
    match dtype {
        DType::U8 => bytes.iter().map(|&b| f64::from(b)).collect(),
        DType::U32 => bytes.chunks_exact(4).map(|b| f64::from(word(b))).collect(),
        DType::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_bits(word(b)))).collect(),
    }
}

/// What a program yields on the CPU executor after `steps` runs, to the bit with any number of threads.
pub(crate) fn on_cpu(program: &Program, inputs: &Inputs, options: Options, steps: usize) -> BTreeMap<String, Vec<f64>> {
    let alone = on(&mut CpuExecutor::new(), program, inputs, options, steps);
    let shared = on(&mut CpuExecutor::sharing_all(3), program, inputs, options, steps);
    let bits = |all: &BTreeMap<String, Vec<f64>>| -> Vec<u64> { all.values().flatten().map(|x| x.to_bits()).collect() };
    assert_eq!(bits(&alone), bits(&shared), "threads change the result");
    alone
}

/// What a program yields on an executor after `steps` runs: fetches, metrics and states by name.
pub(crate) fn on(
    executor: &mut impl Executor,
    program: &Program,
    inputs: &Inputs,
    options: Options,
    steps: usize,
) -> BTreeMap<String, Vec<f64>> {
    let plan = Arc::new(compile(program, options).unwrap());
    let mut step = Vec::new();
    for input in &plan.inputs {
        let values = &inputs[&input.name];
        match input.kind {
            InputKind::Step => step.extend(words(values, input.dtype)),
            _ => executor.write(&input.name, &bytes(values, input.dtype)).unwrap(),
        }
    }
    let id = block(executor.prepare(plan.clone())).unwrap();
    for _ in 0..steps {
        block(executor.submit(&[Run { plan: id, words: &step, row: 3 }])).unwrap();
    }
    let mut out = BTreeMap::new();
    let ring = block(executor.metrics(3, 1)).unwrap();
    for output in &program.outputs {
        match &output.target {
            Target::Fetch(name) => {
                let dtype = program.graph.node(output.node).dtype;
                out.insert(name.clone(), numbers(&block(executor.fetch(id, name)).unwrap(), dtype));
            }
            Target::Metric(column) => {
                out.insert(format!("metric {column}"), vec![f64::from(ring[*column])]);
            }
            Target::State(state) => {
                let input = &program.graph.inputs()[state.index()];
                out.insert(
                    format!("state {}", input.name),
                    numbers(&block(executor.read(&input.name)).unwrap(), input.dtype),
                );
            }
        }
    }
    out
}

/// What the reference evaluator says.
pub(crate) fn on_reference(program: &Program, inputs: &Inputs, steps: usize) -> BTreeMap<String, Vec<f64>> {
    let mut inputs = inputs.clone();
    let mut out = BTreeMap::new();
    for _ in 0..steps {
        out = run(program, &mut inputs);
    }
    for output in &program.outputs {
        if let Target::State(state) = output.target {
            let name = &program.graph.inputs()[state.index()].name;
            out.insert(format!("state {name}"), inputs[name].clone());
        }
    }
    out
}

pub(crate) fn assert_close(found: &BTreeMap<String, Vec<f64>>, wanted: &BTreeMap<String, Vec<f64>>, tolerance: f64) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, want) in wanted {
        let have = &found[name];
        assert_eq!(have.len(), want.len(), "{name}");
        let scale = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
        for (k, (h, w)) in have.iter().zip(want).enumerate() {
            assert!((h - w).abs() <= tolerance * scale.max(w.abs()), "{name}[{k}]: {h} instead of {w}");
        }
    }
}

/// Runs a program of one fetched value both ways, fused and not.
fn check(graph: Graph, nodes: &[NodeId], bound: u32) {
    let outputs =
        nodes.iter().enumerate().map(|(k, &node)| Output { node, target: Target::Fetch(format!("y{k}")) }).collect();
    check_program(&Program { graph, outputs }, bound);
}

pub(crate) fn check_program(program: &Program, bound: u32) {
    let inputs = contents(&program.graph, bound, 7);
    let wanted = on_reference(program, &inputs, 2);
    assert_close(&on_cpu(program, &inputs, UNFUSED, 2), &wanted, 2e-5);
    assert_close(&on_cpu(program, &inputs, FUSED, 2), &wanted, 2e-5);
    for mut gpu in crate::gpu::executors_for_tests() {
        assert_close(&on(&mut gpu, program, &inputs, UNFUSED, 2), &wanted, 1e-4);
        gpu.reset();
        assert_close(&on(&mut gpu, program, &inputs, FUSED, 2), &wanted, 1e-4);
    }
}

fn f32_input(graph: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    graph.input(name, shape, DType::F32, InputKind::State).unwrap()
}

fn u32_input(graph: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    graph.input(name, shape, DType::U32, InputKind::Step).unwrap()
}

#[test]
fn forgotten_buffers_are_missed() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[2], DType::F32, InputKind::State).unwrap();
    let node = graph.add(x, x).unwrap();
    let program = Program { graph, outputs: vec![Output { node, target: Target::Fetch("twice".into()) }] };
    let plan = Arc::new(compile(&program, FUSED).unwrap());
    let mut executor = CpuExecutor::new();
    let held = executor.counters().bytes_held;
    executor.write("x", &bytes(&[1.0, 2.0], DType::F32)).unwrap();
    let first = block(executor.prepare(plan.clone())).unwrap();
    executor.forget("x");
    executor.forget("never there");
    assert!(block(executor.submit(&[Run { plan: first, words: &[], row: 0 }])).is_err());
    assert!(block(executor.read("x")).is_err());
    // Another buffer of that name is not what the plan was prepared with.
    executor.write("y", &bytes(&[7.0, 7.0], DType::F32)).unwrap();
    executor.write("x", &bytes(&[3.0, 4.0], DType::F32)).unwrap();
    let second = block(executor.prepare(plan)).unwrap();
    block(executor.submit(&[Run { plan: second, words: &[], row: 0 }])).unwrap();
    assert_eq!(numbers(&block(executor.fetch(second, "twice")).unwrap(), DType::F32), [6.0, 8.0]);
    for plan in [first, second] {
        executor.release(plan);
    }
    ["x", "y"].into_iter().for_each(|name| executor.forget(name));
    assert_eq!(executor.counters().bytes_held, held);
}

#[test]
fn unary_functions() {
    let mut g = Graph::new();
    let x = f32_input(&mut g, "x", &[3, 700]);
    let positive = g.unary(UnaryOp::Abs, x).unwrap();
    let positive = g.add_scalar(positive, 0.1).unwrap();
    let mut nodes = Vec::new();
    for op in [UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Sign, UnaryOp::Exp, UnaryOp::Tanh, UnaryOp::Erf] {
        nodes.push(g.unary(op, x).unwrap());
    }
    for op in [UnaryOp::Sin, UnaryOp::Cos, UnaryOp::Floor, UnaryOp::Relu, UnaryOp::Sigmoid] {
        nodes.push(g.unary(op, x).unwrap());
    }
    for op in [UnaryOp::Log, UnaryOp::Sqrt, UnaryOp::Rsqrt, UnaryOp::Recip] {
        nodes.push(g.unary(op, positive).unwrap());
    }
    check(g, &nodes, 1);
}

#[test]
fn binary_functions_broadcast_and_select() {
    let mut g = Graph::new();
    let a = f32_input(&mut g, "a", &[2, 1, 5, 3]);
    let b = f32_input(&mut g, "b", &[4, 1, 3]);
    let c = f32_input(&mut g, "c", &[1]);
    let positive = g.unary(UnaryOp::Abs, a).unwrap();
    let mut nodes = vec![g.binary(BinaryOp::Pow, positive, b).unwrap(), g.add(a, c).unwrap()];
    for op in [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Max, BinaryOp::Min] {
        nodes.push(g.binary(op, a, b).unwrap());
    }
    let less = g.binary(BinaryOp::Less, a, b).unwrap();
    nodes.extend([less, g.binary(BinaryOp::LessEqual, a, a).unwrap(), g.binary(BinaryOp::Equal, b, b).unwrap()]);
    nodes.push(g.select(less, a, c).unwrap());
    check(g, &nodes, 1);
}

#[test]
fn sources_and_casts() {
    let mut g = Graph::new();
    let key = u32_input(&mut g, "key", &[4]);
    let index = u32_input(&mut g, "index", &[6]);
    let x = f32_input(&mut g, "x", &[6]);
    let iota = g.iota(&[3, 4, 5], 1).unwrap();
    let literal = g.literal(&[1.0, -2.0, 3.5, 0.25], &[2, 2]).unwrap();
    let random = g.random(key, 3, &[7, 300]).unwrap();
    let part = g.slice(random, &[2, 10], &[3, 50]).unwrap();
    let turned = g.permute(random, &[1, 0]).unwrap();
    let turned = g.add_scalar(turned, 0.5).unwrap();
    let as_float = g.cast(index, DType::F32).unwrap();
    let sum = g.add(as_float, x).unwrap();
    let size = g.unary(UnaryOp::Abs, sum).unwrap();
    let truncated = g.cast(size, DType::U32).unwrap();
    let constant = g.constant(2.5, &[3]);
    check(g, &[iota, literal, random, part, turned, as_float, truncated, constant], 9);
}

#[test]
fn reductions() {
    for shape in [vec![3, 5, 7], vec![4, 1, 300], vec![2, 5000, 1], vec![1, 6, 9000], vec![70, 64, 2]] {
        let mut g = Graph::new();
        let x = f32_input(&mut g, "x", &shape);
        let mut nodes = Vec::new();
        for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
            for axes in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 2], &[0, 1, 2]] {
                nodes.push(g.reduce(op, x, axes).unwrap());
            }
        }
        for axis in 0..3 {
            nodes.push(g.argmax(x, axis).unwrap());
        }
        check(g, &nodes, 1);
    }
}

#[test]
fn matrix_products() {
    let mut g = Graph::new();
    let a = f32_input(&mut g, "a", &[2, 3, 5, 7]);
    let b = f32_input(&mut g, "b", &[2, 3, 7, 4]);
    let c = f32_input(&mut g, "c", &[2, 5, 3, 7]);
    let w = f32_input(&mut g, "w", &[7, 6]);
    let mut nodes = vec![g.matmul(a, b).unwrap()];
    let turned = g.permute(c, &[0, 2, 1, 3]).unwrap();
    nodes.push(g.matmul(turned, b).unwrap());
    let at = g.transpose(a).unwrap();
    nodes.push(g.matmul(at, a).unwrap());
    let broad = g.reshape(w, &[1, 1, 7, 6]).unwrap();
    let broad = g.broadcast_to(broad, &[2, 3, 7, 6]).unwrap();
    let linear = g.matmul(a, broad).unwrap();
    let active = g.unary(UnaryOp::Relu, linear).unwrap();
    nodes.extend([linear, active]);
    let flat = g.reshape(turned, &[30, 7]).unwrap();
    let flat = g.matmul(flat, w).unwrap();
    nodes.push(flat);
    let back = g.reshape(flat, &[2, 15, 6]).unwrap();
    nodes.push(g.permute(back, &[0, 2, 1]).unwrap());
    let row = g.slice(a, &[0, 0, 2, 0], &[2, 3, 1, 7]).unwrap();
    nodes.push(g.matmul(row, b).unwrap());
    check(g, &nodes, 1);
}

fn geometries() -> Vec<(ConvGeometry, [usize; 2])> {
    let plain = ConvGeometry { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };
    vec![
        (plain, [6, 5]),
        (ConvGeometry { stride: [2, 2], groups: 2, ..plain }, [7, 8]),
        (ConvGeometry { dilation: [2, 1], padding: [2, 0], kernel: [2, 3], ..plain }, [6, 7]),
        (ConvGeometry { kernel: [1, 1], padding: [0, 0], stride: [1, 3], ..plain }, [4, 7]),
    ]
}

#[test]
fn convolutions_and_their_transposes() {
    for (geometry, input) in geometries() {
        let mut g = Graph::new();
        let x = f32_input(&mut g, "x", &[3, 4, input[0], input[1]]);
        let kernel = f32_input(&mut g, "k", &[6, 4 / geometry.groups, geometry.kernel[0], geometry.kernel[1]]);
        let y = g.conv2d(x, kernel, geometry).unwrap();
        let bias = f32_input(&mut g, "b", &[6, 1, 1]);
        let biased = g.add(y, bias).unwrap();
        let dx = g.conv2d_input_grad(biased, kernel, geometry, input).unwrap();
        let dk = g.conv2d_kernel_grad(x, biased, geometry).unwrap();
        check(g, &[y, biased, dx, dk], 1);
    }
}

/// The larger of a NaN and a number is a NaN, whichever comes first, and whether it is known before or not.
#[test]
fn a_nan_stays_one() {
    let mut program = Program::default();
    let g = &mut program.graph;
    let x = f32_input(g, "x", &[3]);
    let [one, nan] = [1.0, f32::NAN].map(|value| g.constant(value, &[3]));
    let mut nodes = vec![g.unary(UnaryOp::Relu, x).unwrap(), g.unary(UnaryOp::Relu, nan).unwrap()];
    for op in [BinaryOp::Max, BinaryOp::Min] {
        nodes.extend([(x, one), (one, x), (nan, one), (one, nan), (x, nan)].map(|(a, b)| g.binary(op, a, b).unwrap()));
    }
    for (number, &node) in nodes.iter().enumerate() {
        program.fetch(&format!("{number:02}"), node);
    }
    let inputs = Inputs::from([("x".to_owned(), vec![f64::NAN, 2.0, -2.0])]);
    let (nan, known) = ([f64::NAN; 3], |a: f64, b: f64| [f64::NAN, a, b]);
    let expected = [known(2.0, 0.0), nan, known(2.0, 1.0), known(2.0, 1.0), nan, nan, nan];
    let expected = expected.into_iter().chain([known(1.0, -2.0), known(1.0, -2.0), nan, nan, nan]).flatten();
    let expected: Vec<String> = expected.map(|value| value.to_string()).collect();
    for found in
        [on_reference(&program, &inputs, 1), on_cpu(&program, &inputs, FUSED, 1), on_cpu(&program, &inputs, UNFUSED, 1)]
    {
        let found: Vec<String> = found.values().flatten().map(|value| value.to_string()).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn pooling() {
    for (geometry, input) in geometries() {
        let geometry = ConvGeometry { groups: 1, padding: geometry.padding.map(|p| p.min(1)), ..geometry };
        let mut g = Graph::new();
        let x = f32_input(&mut g, "x", &[2, 3, input[0], input[1]]);
        let y = g.max_pool2d(x, geometry).unwrap();
        let index = g.max_pool2d_index(x, geometry).unwrap();
        let back = g.max_pool2d_scatter(index, y, geometry, input).unwrap();
        check(g, &[y, index, back], 1);
    }
}

#[test]
fn indexing() {
    let mut g = Graph::new();
    let table = g.input("table", &[9, 4, 3], DType::U8, InputKind::Table).unwrap();
    let floats = f32_input(&mut g, "floats", &[9, 5]);
    let tokens = g.input("tokens", &[9, 2], DType::U32, InputKind::Table).unwrap();
    let index = u32_input(&mut g, "index", &[2, 3]);
    let x = f32_input(&mut g, "x", &[2, 9]);
    let one = u32_input(&mut g, "one", &[2, 1]);
    let rows = g.take_rows(table, index).unwrap();
    let taken = g.take_rows(floats, index).unwrap();
    let labels = g.take_rows(tokens, index).unwrap();
    let gathered = g.gather(x, index, 1).unwrap();
    let single = g.gather(x, one, 1).unwrap();
    let scattered = g.scatter_add(index, gathered, 1, 9).unwrap();
    let spread = g.scatter_add(one, single, 1, 9).unwrap();
    let added = g.add_rows(index, taken, 9).unwrap();
    let top = g.top_k(x, 4).unwrap();
    let best = g.gather(x, top, 1).unwrap();
    check(g, &[rows, taken, labels, gathered, single, scattered, spread, added, top, best], 9);
}

#[test]
fn views() {
    let mut g = Graph::new();
    let x = f32_input(&mut g, "x", &[4, 6, 5]);
    let y = g.unary(UnaryOp::Tanh, x).unwrap();
    let mut nodes = Vec::new();
    for v in [x, y] {
        let turned = g.permute(v, &[2, 0, 1]).unwrap();
        let flat = g.reshape(turned, &[10, 12]).unwrap();
        let mixed = g.transpose(flat).unwrap();
        let odd = g.reshape(mixed, &[8, 15]).unwrap();
        let part = g.slice_step(v, &[1, 0, 1], &[2, 3, 2], &[1, 2, 2]).unwrap();
        let back = g.unslice(part, &[1, 0, 1], &[1, 2, 2], &[4, 6, 5]).unwrap();
        let one = g.slice(v, &[0, 2, 0], &[4, 1, 5]).unwrap();
        let one_back = g.unslice(one, &[0, 2, 0], &[1, 1, 1], &[4, 6, 5]).unwrap();
        let doubled = g.concat(&[v, v], 1).unwrap();
        let both = g.concat(&[one, v, one], 1).unwrap();
        let stopped = g.stop_gradient(odd);
        let scaled = g.scale(stopped, 2.0).unwrap();
        let wide = g.reshape(one, &[4, 1, 5]).unwrap();
        let wide = g.broadcast_to(wide, &[4, 3, 5]).unwrap();
        nodes.extend([turned, flat, mixed, odd, part, back, one, one_back, doubled, both, scaled, wide]);
    }
    check(g, &nodes, 1);
}

#[test]
fn states_see_all_reads_of_old_contents_first() {
    let mut g = Graph::new();
    let a = f32_input(&mut g, "a", &[5, 3]);
    let b = f32_input(&mut g, "b", &[5, 3]);
    let c = f32_input(&mut g, "c", &[3, 5]);
    let sum = g.sum(a, &[0]).unwrap();
    let a2 = g.sub(a, sum).unwrap();
    let turned = g.transpose(c).unwrap();
    let b2 = g.add(b, a2).unwrap();
    let c2 = g.transpose(turned).unwrap();
    let c2 = g.reshape(c2, &[5, 3]).unwrap();
    let c2 = g.add(c2, turned).unwrap();
    let c2 = g.reshape(c2, &[3, 5]).unwrap();
    let total = g.sum_all(b).unwrap();
    let state = |k: u32| Target::State(InputId(k));
    let outputs = vec![
        Output { node: a2, target: state(0) },
        Output { node: b2, target: state(1) },
        Output { node: c2, target: state(2) },
        Output { node: total, target: Target::Metric(2) },
        Output { node: total, target: Target::Fetch("total".into()) },
    ];
    check_program(&Program { graph: g, outputs }, 1);

    // Two states exchange their contents; a third takes the old value of the first.
    let mut g = Graph::new();
    let a = f32_input(&mut g, "a", &[4]);
    let b = f32_input(&mut g, "b", &[4]);
    f32_input(&mut g, "c", &[4]);
    let outputs = vec![
        Output { node: b, target: state(0) },
        Output { node: a, target: state(1) },
        Output { node: a, target: state(2) },
    ];
    check_program(&Program { graph: g, outputs }, 1);
}
