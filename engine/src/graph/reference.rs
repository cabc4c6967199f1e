//! The oracle: evaluates a graph node by node in f64 with the plainest loops. For tests only, also those of
//! the crates on top of this one; slow by design.

use std::collections::BTreeMap;

use super::*;
use crate::rng::{philox4x32, unit_f32};

/// Values of the declared inputs by name, row-major; u32 and u8 as the same numbers in f64.
pub type Inputs = BTreeMap<String, Vec<f64>>;

/// Values of `wanted`, row-major. Panics where an input is missing or has another size: this is test code.
pub fn evaluate(graph: &Graph, inputs: &Inputs, wanted: &[NodeId]) -> Vec<Vec<f64>> {
    let mut needed = vec![false; graph.nodes().len()];
    for id in wanted {
        needed[id.index()] = true;
    }
    for index in (0..needed.len()).rev() {
        if needed[index] {
            for arg in &graph.nodes()[index].args {
                needed[arg.index()] = true;
            }
        }
    }
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); needed.len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        if needed[index] {
            let args: Vec<&[f64]> = node.args.iter().map(|arg| values[arg.index()].as_slice()).collect();
            let value = apply(graph, node, &args, inputs);
            assert_eq!(value.len(), numel(&node.shape), "node {index} {:?}", node.op);
            values[index] = value;
        }
    }
    wanted.iter().map(|id| values[id.index()].clone()).collect()
}

/// Runs a program once: states that it targets are replaced in `inputs`, fetched values and metrics are returned by
/// name (a metric's name is `metric COLUMN`).
pub fn run(program: &Program, inputs: &mut Inputs) -> BTreeMap<String, Vec<f64>> {
    let wanted: Vec<NodeId> = program.outputs.iter().map(|output| output.node).collect();
    let values = evaluate(&program.graph, inputs, &wanted);
    let mut results = BTreeMap::new();
    for (output, value) in program.outputs.iter().zip(values) {
        match &output.target {
            Target::State(id) => inputs.insert(program.graph.inputs()[id.index()].name.clone(), value),
            Target::Metric(column) => results.insert(format!("metric {column}"), value),
            Target::Fetch(name) => results.insert(name.clone(), value),
        };
    }
    results
}

/// Every index of a shape, in row-major order.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<'_> {
    (0..numel(shape)).map(move |mut flat| {
        let mut index = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            index[axis] = flat % shape[axis];
            flat /= shape[axis];
        }
        index
    })
}

fn offset(shape: &[usize], index: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |flat, (i, size)| flat * size + i)
}

fn apply(graph: &Graph, node: &Node, args: &[&[f64]], inputs: &Inputs) -> Vec<f64> {
    let shape = &node.shape;
    let from = |k: usize| graph.shape(node.args[k]);
    let each = |f: &dyn Fn(&[usize]) -> f64| indices(shape).map(|index| f(&index)).collect::<Vec<f64>>();
    match &node.op {
        Op::Input(id) => {
            let name = &graph.inputs()[id.index()].name;
            inputs.get(name).unwrap_or_else(|| panic!("no input {name}")).clone()
        }
        Op::Const(value) => vec![f64::from(value.get()); numel(shape)],
        Op::Literal(values) => values.iter().map(|v| f64::from(v.get())).collect(),
        Op::Iota { axis } => each(&|index| index[*axis] as f64),
        Op::Random { stream } => {
            let key: Vec<u32> = args[0].iter().map(|&word| word as u32).collect();
            (0..numel(shape) as u32)
                .map(|element| {
                    let bits = philox4x32([element, *stream, key[2], key[3]], [key[0], key[1]])[0];
                    f64::from(unit_f32(bits))
                })
                .collect()
        }
        Op::Unary(op) => args[0].iter().map(|&x| unary(*op, x)).collect(),
        Op::Binary(op) => args[0].iter().zip(args[1]).map(|(&a, &b)| binary(*op, a, b)).collect(),
        Op::Select => (0..numel(shape)).map(|k| if args[0][k] != 0.0 { args[1][k] } else { args[2][k] }).collect(),
        Op::Cast(DType::U32) => args[0].iter().map(|x| x.trunc()).collect(),
        Op::Cast(_) | Op::Reshape(_) | Op::StopGradient | Op::CustomVjp(_) => args[0].to_vec(),
        Op::Reduce { op, axes } => {
            let start = match op {
                ReduceOp::Sum => 0.0,
                ReduceOp::Max => f64::NEG_INFINITY,
                ReduceOp::Min => f64::INFINITY,
            };
            let mut out = vec![start; numel(shape)];
            for (mut index, &x) in indices(from(0)).zip(args[0]) {
                axes.iter().for_each(|&axis| index[axis] = 0);
                let total = &mut out[offset(shape, &index)];
                *total = match op {
                    ReduceOp::Sum => *total + x,
                    ReduceOp::Max => total.max(x),
                    ReduceOp::Min => total.min(x),
                };
            }
            out
        }
        Op::ArgMax { axis } => {
            let size = from(0)[*axis];
            each(&|index| {
                let at = |k: usize| {
                    let mut place = index.to_vec();
                    place[*axis] = k;
                    args[0][offset(from(0), &place)]
                };
                (1..size).fold(0, |best, k| if at(k) > at(best) { k } else { best }) as f64
            })
        }
        Op::TopK { k } => {
            let row = from(0).last().copied().unwrap_or(1);
            let mut out = Vec::new();
            for values in args[0].chunks(row) {
                let mut order: Vec<usize> = (0..row).collect();
                order.sort_by(|&i, &j| descending(values[i], values[j]).then(i.cmp(&j)));
                out.extend(order[..*k].iter().map(|&i| i as f64));
            }
            out
        }
        Op::Matmul => {
            let rank = shape.len();
            let (m, n, k) = (shape[rank - 2], shape[rank - 1], from(0)[rank - 1]);
            let mut out = vec![0.0; numel(shape)];
            for (b, block) in out.chunks_mut((m * n).max(1)).enumerate() {
                for i in 0..m {
                    for l in 0..k {
                        let a = args[0][(b * m + i) * k + l];
                        for j in 0..n {
                            block[i * n + j] += a * args[1][(b * k + l) * n + j];
                        }
                    }
                }
            }
            out
        }
        Op::Conv2d(geometry) => {
            let mut out = vec![0.0; numel(shape)];
            for [x, kernel, y] in taps(geometry, from(0), from(1), shape) {
                out[y] += args[0][x] * args[1][kernel];
            }
            out
        }
        Op::Conv2dInputGrad { geometry, .. } => {
            let mut out = vec![0.0; numel(shape)];
            for [x, kernel, y] in taps(geometry, shape, from(1), from(0)) {
                out[x] += args[0][y] * args[1][kernel];
            }
            out
        }
        Op::Conv2dKernelGrad(geometry) => {
            let mut out = vec![0.0; numel(shape)];
            for [x, kernel, y] in taps(geometry, from(0), shape, from(1)) {
                out[kernel] += args[0][x] * args[1][y];
            }
            out
        }
        Op::MaxPool2d(geometry) => pool(geometry, from(0), shape, args[0]).into_iter().map(|(max, _)| max).collect(),
        Op::MaxPool2dIndex(geometry) => {
            pool(geometry, from(0), shape, args[0]).into_iter().map(|(_, at)| at as f64).collect()
        }
        Op::MaxPool2dScatter { input, .. } => {
            let mut out = vec![0.0; numel(shape)];
            let window = from(0)[2] * from(0)[3];
            for (k, (&at, &value)) in args[0].iter().zip(args[1]).enumerate() {
                out[k / window * input[0] * input[1] + at as usize] += value;
            }
            out
        }
        Op::Gather { axis } => indices(shape)
            .zip(args[1])
            .map(|(mut index, &at)| {
                index[*axis] = at as usize;
                args[0][offset(from(0), &index)]
            })
            .collect(),
        Op::ScatterAdd { axis, .. } => {
            let mut out = vec![0.0; numel(shape)];
            for ((mut index, &at), &value) in indices(from(0)).zip(args[0]).zip(args[1]) {
                index[*axis] = at as usize;
                out[offset(shape, &index)] += value;
            }
            out
        }
        Op::TakeRows => {
            let row = numel(&from(0)[1..]);
            args[1].iter().flat_map(|&at| args[0][at as usize * row..][..row].to_vec()).collect()
        }
        Op::AddRows { .. } => {
            let mut out = vec![0.0; numel(shape)];
            let row = numel(&shape[1..]);
            for (k, &at) in args[0].iter().enumerate() {
                for j in 0..row {
                    out[at as usize * row + j] += args[1][k * row + j];
                }
            }
            out
        }
        Op::Permute(perm) => each(&|index| {
            let mut source = vec![0; perm.len()];
            perm.iter().zip(index).for_each(|(&axis, &i)| source[axis] = i);
            args[0][offset(from(0), &source)]
        }),
        Op::Broadcast(_) => each(&|index| {
            let source: Vec<usize> =
                index.iter().zip(from(0)).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect();
            args[0][offset(from(0), &source)]
        }),
        Op::Slice { start, step, .. } => each(&|index| {
            let source: Vec<usize> = (0..index.len()).map(|axis| start[axis] + index[axis] * step[axis]).collect();
            args[0][offset(from(0), &source)]
        }),
        Op::Unslice { start, step, .. } => {
            let mut out = vec![0.0; numel(shape)];
            for (index, &value) in indices(from(0)).zip(args[0]) {
                let place: Vec<usize> = (0..index.len()).map(|axis| start[axis] + index[axis] * step[axis]).collect();
                out[offset(shape, &place)] = value;
            }
            out
        }
        Op::Flip { axes } => each(&|index| {
            let mut source = index.to_vec();
            axes.iter().for_each(|&axis| source[axis] = shape[axis] - 1 - index[axis]);
            args[0][offset(from(0), &source)]
        }),
        Op::Concat { axis } => {
            let mut out = vec![0.0; numel(shape)];
            let mut start = 0;
            for (k, part) in args.iter().enumerate() {
                for (mut index, &value) in indices(from(k)).zip(*part) {
                    index[*axis] += start;
                    out[offset(shape, &index)] = value;
                }
                start += from(k)[*axis];
            }
            out
        }
    }
}

/// Largest first, what is not a number last.
fn descending(a: f64, b: f64) -> std::cmp::Ordering {
    a.is_nan().cmp(&b.is_nan()).then(b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal))
}

fn unary(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Sign => {
            if x == 0.0 {
                0.0
            } else {
                x.signum()
            }
        }
        UnaryOp::Exp => x.exp(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Recip => 1.0 / x,
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => libm::erf(x),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Relu if x < 0.0 => 0.0,
        UnaryOp::Relu => x,
        UnaryOp::Sigmoid => 1.0 / (1.0 + (-x).exp()),
    }
}

fn binary(op: BinaryOp, a: f64, b: f64) -> f64 {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Max if a >= b || a.is_nan() => a,
        BinaryOp::Min if a <= b || a.is_nan() => a,
        BinaryOp::Max | BinaryOp::Min => b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Less => truth(a < b),
        BinaryOp::LessEqual => truth(a <= b),
        BinaryOp::Equal => truth(a == b),
    }
}

/// Row and column of the input that tap `(kh, kw)` of output place `(oh, ow)` reads; `None` in the padding.
fn tap(geometry: &ConvGeometry, input: [usize; 2], out: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
    let mut at = [0; 2];
    for axis in 0..2 {
        let padded = out[axis] * geometry.stride[axis] + kernel[axis] * geometry.dilation[axis];
        at[axis] = padded.checked_sub(geometry.padding[axis]).filter(|&i| i < input[axis])?;
    }
    Some(at)
}

/// Flat positions (input, kernel, output) of every product that a convolution sums.
fn taps(geometry: &ConvGeometry, x: &[usize], kernel: &[usize], y: &[usize]) -> Vec<[usize; 3]> {
    let per_group = y[1] / geometry.groups;
    let mut all = Vec::new();
    for out in indices(y) {
        let first = out[1] / per_group * kernel[1];
        for k in indices(&kernel[1..]) {
            if let Some([h, w]) = tap(geometry, [x[2], x[3]], [out[2], out[3]], [k[1], k[2]]) {
                all.push([
                    offset(x, &[out[0], first + k[0], h, w]),
                    offset(kernel, &[out[1], k[0], k[1], k[2]]),
                    offset(y, &out),
                ]);
            }
        }
    }
    all
}

/// Maximum of each window and the flat place of the first one in its plane.
fn pool(geometry: &PoolGeometry, x: &[usize], y: &[usize], values: &[f64]) -> Vec<(f64, usize)> {
    indices(y)
        .map(|out| {
            let mut best = (f64::NEG_INFINITY, 0);
            for k in indices(&geometry.kernel) {
                if let Some([h, w]) = tap(geometry, [x[2], x[3]], [out[2], out[3]], [k[0], k[1]]) {
                    let value = values[offset(x, &[out[0], out[1], h, w])];
                    if value > best.0 {
                        best = (value, h * x[3] + w);
                    }
                }
            }
            best
        })
        .collect()
}
