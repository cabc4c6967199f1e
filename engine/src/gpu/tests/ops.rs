//! Matrix products and operations with kernels of their own, against the f64 reference.

use super::*;
use crate::graph::reference::{Inputs, evaluate};
use crate::rng::{Rng, Stream};

/// Normal f32 values, the same for the same arguments.
fn normal(count: usize, index: u32) -> Vec<f32> {
    let mut rng = Rng::new(11, Stream::Probe, index);
    (0..count).map(|_| rng.normal()).collect()
}

fn below(count: usize, limit: u32, index: u32) -> Vec<u32> {
    let mut rng = Rng::new(12, Stream::Probe, index);
    (0..count).map(|_| rng.below(limit)).collect()
}

/// The value of an argument.
enum Value {
    F32(Vec<f32>),
    U32(Vec<u32>),
    U8(Vec<u8>),
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Value::F32(values) => bytes(values),
            Value::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Value::U8(values) => values.clone(),
        }
    }

    fn dtype(&self) -> DType {
        match self {
            Value::F32(_) => DType::F32,
            Value::U32(_) => DType::U32,
            Value::U8(_) => DType::U8,
        }
    }

    fn exact(&self) -> Vec<f64> {
        match self {
            Value::F32(values) => values.iter().map(|&value| f64::from(value)).collect(),
            Value::U32(values) => values.iter().map(|&value| f64::from(value)).collect(),
            Value::U8(values) => values.iter().map(|&value| f64::from(value)).collect(),
        }
    }
}

/// Runs one operation on every executor and compares with the reference. `build` makes the node from its arguments.
fn check(executors: &mut [GpuExecutor], args: &[(&[usize], Value)], build: impl Fn(&mut Graph, &[NodeId]) -> NodeId) {
    let mut graph = Graph::new();
    let mut inputs = Inputs::new();
    let mut nodes = Vec::new();
    for (number, (shape, value)) in args.iter().enumerate() {
        let name = format!("arg{number}");
        nodes.push(graph.input(&name, shape, value.dtype(), InputKind::Table).unwrap());
        inputs.insert(name, value.exact());
    }
    let node = build(&mut graph, &nodes);
    let expected = evaluate(&graph, &inputs, &[node]).remove(0);
    let (op, shape) = (graph.node(node).op.clone(), graph.shape(node).to_vec());
    let label = format!("{op:?}");
    let kernel = OpKernel {
        op,
        args: graph
            .inputs()
            .iter()
            .enumerate()
            .map(|(number, decl)| Tensor {
                place: Place { space: Space::Input(InputId(number as u32)), offset: 0, dtype: decl.dtype },
                shape: decl.shape.clone(),
            })
            .collect(),
        shape: shape.clone(),
        // Twice the value plus nothing: an epilogue at work.
        epilogue: Body {
            loads: vec![],
            code: vec![Instr::Accumulator, Instr::Binary(BinaryOp::Add, 0, 0)],
            stores: vec![Store {
                value: 1,
                view: view(at(Space::Arena, 0), &contiguous_strides(&shape)),
                per_row: false,
            }],
        },
    };
    let plan = Plan {
        launches: vec![Launch { kernel: Kernel::Op(kernel), label: label.clone(), flop: 0, bytes: 0 }],
        inputs: graph.inputs().to_vec(),
        step_offsets: vec![None; args.len()],
        arena_words: numel(&shape),
        fetches: vec![("out".to_owned(), Tensor { place: at(Space::Arena, 0), shape })],
        ..Plan::default()
    };
    let twice: Vec<f64> = expected.iter().map(|value| value * 2.0).collect();
    for executor in executors {
        for (number, (_, value)) in args.iter().enumerate() {
            executor.write(&format!("arg{number}"), &value.bytes()).unwrap();
        }
        println!("{label}");
        close(&pollster::block_on(run(executor, plan.clone(), &[])).unwrap(), &twice, 1e-5);
    }
}

fn geometries() -> Vec<([usize; 4], [usize; 4], ConvGeometry)> {
    let geometry =
        |kernel, stride, padding, dilation, groups| ConvGeometry { kernel, stride, padding, dilation, groups };
    vec![
        ([2, 1, 6, 6], [4, 1, 3, 3], geometry([3, 3], [1, 1], [1, 1], [1, 1], 1)),
        ([2, 3, 7, 5], [5, 3, 3, 2], geometry([3, 2], [2, 1], [1, 0], [1, 1], 1)),
        ([1, 4, 8, 9], [6, 2, 3, 3], geometry([3, 3], [2, 3], [2, 1], [2, 1], 2)),
        ([3, 4, 5, 5], [4, 1, 1, 1], geometry([1, 1], [1, 1], [0, 0], [1, 1], 4)),
        ([2, 8, 4, 4], [8, 8, 4, 4], geometry([4, 4], [4, 4], [0, 0], [1, 1], 1)),
    ]
}

#[test]
fn convolutions_and_their_transposes() {
    let mut executors = executors();
    for (x, w, geometry) in geometries() {
        let out = geometry.output([x[2], x[3]]).unwrap();
        let y = [x[0], w[0], out[0], out[1]];
        let value = |shape: &[usize], index| Value::F32(normal(numel(shape), index));
        check(&mut executors, &[(&x, value(&x, 0)), (&w, value(&w, 1))], |graph, args| {
            graph.conv2d(args[0], args[1], geometry).unwrap()
        });
        check(&mut executors, &[(&y, value(&y, 2)), (&w, value(&w, 1))], |graph, args| {
            graph.conv2d_input_grad(args[0], args[1], geometry, [x[2], x[3]]).unwrap()
        });
        check(&mut executors, &[(&x, value(&x, 0)), (&y, value(&y, 2))], |graph, args| {
            graph.conv2d_kernel_grad(args[0], args[1], geometry).unwrap()
        });
    }
}

#[test]
fn a_kernel_gradient_with_many_lines_shares_its_input() {
    let mut executors = executors();
    let geometry = ConvGeometry { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };
    let (x, y) = ([2, 40, 5, 5], [2, 36, 5, 5]);
    check(&mut executors, &[(&x, Value::F32(normal(2000, 0))), (&y, Value::F32(normal(1800, 1)))], |graph, args| {
        graph.conv2d_kernel_grad(args[0], args[1], geometry).unwrap()
    });
}

#[test]
fn max_pooling_with_ties_and_overlap() {
    let mut executors = executors();
    for (size, kernel, stride, padding) in
        [([6, 6], [2, 2], [2, 2], [0, 0]), ([7, 5], [3, 3], [2, 2], [1, 1]), ([5, 8], [3, 2], [1, 2], [0, 1])]
    {
        let geometry = PoolGeometry { kernel, stride, padding, dilation: [1, 1], groups: 1 };
        let shape = [2, 3, size[0], size[1]];
        let out = geometry.output(size).unwrap();
        let pooled = [2, 3, out[0], out[1]];
        // Few different values: ties abound.
        let x = || Value::F32(below(numel(&shape), 4, 3).into_iter().map(|v| v as f32 - 2.0).collect());
        check(&mut executors, &[(&shape, x())], |graph, args| graph.max_pool2d(args[0], geometry).unwrap());
        check(&mut executors, &[(&shape, x())], |graph, args| graph.max_pool2d_index(args[0], geometry).unwrap());
        let mut graph = Graph::new();
        let input = graph.input("x", &shape, DType::F32, InputKind::Table).unwrap();
        let index = graph.max_pool2d_index(input, geometry).unwrap();
        let places = evaluate(&graph, &Inputs::from([("x".to_owned(), x().exact())]), &[index]).remove(0);
        let places = Value::U32(places.into_iter().map(|place| place as u32).collect());
        let dy = Value::F32(normal(numel(&pooled), 4));
        check(&mut executors, &[(&pooled, places), (&pooled, dy)], |graph, args| {
            graph.max_pool2d_scatter(args[0], args[1], geometry, size).unwrap()
        });
    }
}

#[test]
fn rows_and_elements_by_index() {
    let mut executors = executors();
    for row in [vec![], vec![1], vec![3], vec![8], vec![2, 6]] {
        let table: Vec<usize> = [9].into_iter().chain(row.iter().copied()).collect();
        let value: Vec<usize> = [4, 5].into_iter().chain(row.iter().copied()).collect();
        let index = || Value::U32(below(20, 9, 5));
        check(&mut executors, &[(&table, Value::F32(normal(numel(&table), 6))), (&[4, 5], index())], |graph, args| {
            graph.take_rows(args[0], args[1]).unwrap()
        });
        let pixels = below(numel(&table), 256, 7).into_iter().map(|v| v as u8).collect();
        check(&mut executors, &[(&table, Value::U8(pixels)), (&[4, 5], index())], |graph, args| {
            graph.take_rows(args[0], args[1]).unwrap()
        });
        check(&mut executors, &[(&[4, 5], index()), (&value, Value::F32(normal(numel(&value), 8)))], |graph, args| {
            graph.add_rows(args[0], args[1], 9).unwrap()
        });
    }
    for axis in 0..3 {
        let x = [4, 5, 6];
        let mut chosen = x;
        chosen[axis] = 7;
        let index = || Value::U32(below(numel(&chosen), x[axis] as u32, 9));
        check(&mut executors, &[(&x, Value::F32(normal(120, 10))), (&chosen, index())], |graph, args| {
            graph.gather(args[0], args[1], axis).unwrap()
        });
        check(
            &mut executors,
            &[(&chosen, index()), (&chosen, Value::F32(normal(numel(&chosen), 11)))],
            |graph, args| graph.scatter_add(args[0], args[1], axis, x[axis]).unwrap(),
        );
    }
}

#[test]
fn the_largest_of_a_row_with_ties() {
    let mut executors = executors();
    for (shape, k) in [(vec![5, 9], 4), (vec![2, 3, 6], 6), (vec![1, 1], 1), (vec![7], 3)] {
        let values = below(numel(&shape), 5, 12).into_iter().map(|v| v as f32 - 2.0).collect();
        check(&mut executors, &[(&shape, Value::F32(values))], |graph, args| graph.top_k(args[0], k).unwrap());
    }
}

#[test]
fn products_of_strided_operands_with_epilogue() {
    let mut executors = executors();
    // Sizes of batch, m, n, k; whether an operand is transposed; whether the left one is shared by the batch.
    let cases = [
        (vec![], 1, 1, 1, [false, false], false),
        (vec![], 3, 5, 7, [false, false], false),
        (vec![], 64, 64, 64, [false, true], false),
        (vec![], 65, 33, 17, [true, false], false),
        (vec![], 10, 130, 300, [true, true], false),
        (vec![2, 3], 17, 20, 9, [false, true], false),
        (vec![4], 16, 16, 16, [false, false], true),
        (vec![], 1, 40, 70, [false, false], false),
        (vec![], 200, 1, 5, [false, false], false),
        (vec![2], 4, 4, 0, [false, false], false),
        (vec![], 33, 40, 1003, [true, false], false),
    ];
    for (batch, m, n, k, transposed, shared) in cases {
        let count = numel(&batch);
        let left = normal((if shared { 1 } else { count }) * m * k, 20);
        let right = normal(count * k * n, 21);
        let bias = normal(n, 22);
        let batch_strides = |size: usize| -> Vec<usize> {
            contiguous_strides(&batch).into_iter().map(|stride| stride * size).collect()
        };
        let a = Operand {
            place: input_place(0),
            batch: if shared { vec![0; batch.len()] } else { batch_strides(m * k) },
            row: if transposed[0] { 1 } else { k },
            column: if transposed[0] { m } else { 1 },
        };
        let b = Operand {
            place: input_place(1),
            batch: batch_strides(k * n),
            row: if transposed[1] { 1 } else { n },
            column: if transposed[1] { k } else { 1 },
        };
        let shape: Vec<usize> = batch.iter().copied().chain([m, n]).collect();
        let mut bias_strides = vec![0; shape.len()];
        bias_strides[shape.len() - 1] = 1;
        let epilogue = Body {
            loads: vec![view(input_place(2), &bias_strides)],
            code: vec![
                Instr::Accumulator,
                Instr::Load(0),
                Instr::Binary(BinaryOp::Add, 0, 1),
                Instr::Unary(UnaryOp::Relu, 2),
            ],
            stores: vec![Store {
                value: 3,
                view: view(at(Space::Arena, 0), &contiguous_strides(&shape)),
                per_row: false,
            }],
        };
        let mut expected = Vec::new();
        for z in 0..count {
            for i in 0..m {
                for j in 0..n {
                    let sum: f64 = (0..k)
                        .map(|l| {
                            let from = if shared { 0 } else { z * m * k };
                            f64::from(left[from + i * a.row + l * a.column])
                                * f64::from(right[z * k * n + l * b.row + j * b.column])
                        })
                        .sum();
                    expected.push((sum + f64::from(bias[j])).max(0.0));
                }
            }
        }
        let plan = Plan {
            launches: vec![launch(Kernel::Matmul(Matmul {
                batch: batch.clone(),
                m,
                n,
                k,
                a,
                b,
                epilogue,
                tail: None,
            }))],
            inputs: vec![
                input("a", &[left.len()], DType::F32, InputKind::State),
                input("b", &[right.len()], DType::F32, InputKind::State),
                input("bias", &[n], DType::F32, InputKind::Table),
            ],
            step_offsets: vec![None; 3],
            arena_words: expected.len(),
            fetches: vec![("out".to_owned(), Tensor { place: at(Space::Arena, 0), shape })],
            ..Plan::default()
        };
        let states = [("a", left), ("b", right), ("bias", bias)];
        for executor in &mut executors {
            println!("{batch:?} {m} {n} {k}");
            close(&pollster::block_on(run(executor, plan.clone(), &states)).unwrap(), &expected, 5e-5);
        }
    }
}
