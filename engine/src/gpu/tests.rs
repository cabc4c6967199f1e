//! Kernels on whatever adapter there is (Mesa's lavapipe in continuous integration), against hand-computed values and
//! the f64 reference, in the variants for real and for software adapters.

mod ops;

use std::sync::Arc;

use super::*;
use crate::executor::{ExecError, Executor, Run};
use crate::graph::plan::*;
use crate::graph::*;

/// The kernels for each kind of adapter that the one here can run; empty, with a printed line, where there is none at all.
pub(crate) fn executors() -> Vec<GpuExecutor> {
    let on = |kind: Adapter| match pollster::block_on(GpuDevice::request(Request::Fastest)) {
        Ok(device) => {
            let here = kind != Adapter::Quads || device.adapter() == kind;
            here.then(|| GpuExecutor::with_kernels_for(device, kind))
        }
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    };
    [Adapter::Real, Adapter::Software, Adapter::Quads].into_iter().filter_map(on).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn input(name: &str, shape: &[usize], dtype: DType, kind: InputKind) -> InputDecl {
    InputDecl { name: name.to_owned(), shape: shape.to_vec(), dtype, kind }
}

fn at(space: Space, offset: usize) -> Place {
    Place { space, offset, dtype: DType::F32 }
}

fn view(place: Place, strides: &[usize]) -> View {
    View { place, strides: strides.to_vec() }
}

fn launch(kernel: Kernel) -> Launch {
    Launch { kernel, label: "test".to_owned(), flop: 0, bytes: 0 }
}

/// A plan of one fused kernel over states (f32), whose result "out" lies at the start of the arena.
fn fused_plan(states: &[(&str, usize)], fused: Fused, out: usize) -> Plan {
    Plan {
        launches: vec![launch(Kernel::Fused(fused))],
        inputs: states.iter().map(|(name, size)| input(name, &[*size], DType::F32, InputKind::State)).collect(),
        step_offsets: vec![None; states.len()],
        arena_words: out,
        fetches: vec![("out".to_owned(), Tensor { place: at(Space::Arena, 0), shape: vec![out] })],
        ..Plan::default()
    }
}

async fn run(executor: &mut GpuExecutor, plan: Plan, states: &[(&str, Vec<f32>)]) -> Result<Vec<f32>, ExecError> {
    for (name, values) in states {
        executor.write(name, &bytes(values))?;
    }
    let id = executor.prepare(Arc::new(plan)).await?;
    executor.submit(&[Run { plan: id, words: &[], row: 0 }]).await?;
    let out = floats(&executor.fetch(id, "out").await?);
    executor.release(id);
    Ok(out)
}

fn input_place(index: u32) -> Place {
    at(Space::Input(InputId(index)), 0)
}

fn close(actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (index, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let same = (f64::from(a) - e).abs() <= tolerance * e.abs().max(1.0)
            || (a.is_nan() && e.is_nan())
            || f64::from(a) == e
            || (e.abs() > f64::from(f32::MAX) && f64::from(a) == e.signum() * f64::INFINITY);
        assert!(same, "element {index}: {a} instead of {e}");
    }
}

#[test]
fn unary_functions_match_libm() {
    let mut x: Vec<f32> = (-400..=400).map(|i| i as f32 * 0.05).collect();
    x.extend([1e-6, -1e-6, 30.0, -30.0, 100.0, -100.0, 0.99999, 1.00001, 1e-30, 1e30, 0.2499, 0.2501, 0.4999, 0.5001]);
    type Exact = fn(f64) -> f64;
    let functions: [(UnaryOp, Exact); 15] = [
        (UnaryOp::Neg, |x| -x),
        (UnaryOp::Abs, f64::abs),
        (UnaryOp::Sign, |x| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }
        }),
        (UnaryOp::Exp, f64::exp),
        (UnaryOp::Log, f64::ln),
        (UnaryOp::Sqrt, f64::sqrt),
        (UnaryOp::Rsqrt, |x| 1.0 / x.sqrt()),
        (UnaryOp::Recip, |x| 1.0 / x),
        (UnaryOp::Tanh, f64::tanh),
        (UnaryOp::Erf, libm::erf),
        (UnaryOp::Sin, f64::sin),
        (UnaryOp::Cos, f64::cos),
        (UnaryOp::Floor, f64::floor),
        (UnaryOp::Relu, |x| if x > 0.0 { x } else { 0.0 }),
        (UnaryOp::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
    ];
    for mut executor in executors() {
        for (op, exact) in functions {
            let defined: Vec<f32> = match op {
                UnaryOp::Sqrt | UnaryOp::Rsqrt => x.iter().copied().filter(|x| *x > 0.0).collect(),
                UnaryOp::Recip => x.iter().copied().filter(|x| *x != 0.0).collect(),
                UnaryOp::Sin | UnaryOp::Cos => x.iter().copied().filter(|x| x.abs() < 1e4).collect(),
                _ => x.clone(),
            };
            let n = defined.len();
            let fused = Fused {
                axes: vec![n],
                reduced: 0,
                body: Body {
                    loads: vec![view(input_place(0), &[1])],
                    code: vec![Instr::Load(0), Instr::Unary(op, 0)],
                    stores: vec![Store { value: 1, view: view(at(Space::Arena, 0), &[1]), per_row: false }],
                },
            };
            let plan = fused_plan(&[("x", n)], fused, n);
            let out = pollster::block_on(run(&mut executor, plan, &[("x", defined.clone())])).unwrap();
            let expected: Vec<f64> = defined.iter().map(|&x| exact(f64::from(x))).collect();
            println!("{op:?}");
            let tolerance = if op == UnaryOp::Exp { 1e-5 } else { 1e-6 };
            close(&out, &expected, tolerance);
        }
    }
}

/// Kernels of every preset, and of every rule with all that may go with it, bind at most the eight buffers that WebGPU promises.
#[test]
fn kernels_bind_what_every_adapter_can() {
    use crate::spec::{MlpSpec, ModelSpec, Norm, OptimizerSpec, PRESETS, Rule};
    use crate::train::{Feed, Programs};
    let mut specs: Vec<_> = PRESETS.iter().map(|preset| (preset.id.to_owned(), preset.spec())).collect();
    for &kind in Rule::ALL {
        for (norm, rho) in [(Norm::Layer, 0.0), (Norm::Batch, 0.05)] {
            let mut spec = crate::spec::preset("mlp").unwrap().spec();
            spec.model = ModelSpec::Mlp(MlpSpec { hidden: vec![24, 16], norm, dropout: 0.1, ..MlpSpec::default() });
            spec.augment.mixup = 0.2;
            spec.optimizer = OptimizerSpec { kind, rho, clip: 1.0, trust: 1.0, ..OptimizerSpec::default() };
            specs.push((format!("{kind:?} {norm:?} {rho}"), spec));
        }
    }
    for (name, spec) in specs {
        let pack = crate::data::pack_file(spec.data.set).map(|name| crate::data::read_pack_file(&name).unwrap());
        let data = crate::data::load(&spec.data, spec.seed, pack.as_deref()).unwrap();
        let feed = Feed::of(&data, &spec).unwrap();
        let programs = Programs::new(&spec, &feed).unwrap().padded(true).telling(true);
        let estimate = crate::optim::estimate(&spec.optimizer, &crate::optim::Bias::START);
        let programs = [programs.step(6), programs.accumulate(6), programs.update(), programs.evaluate(6)]
            .into_iter()
            .chain(estimate.map(|state| programs.diagonal(6, state)));
        for program in programs {
            let plan = compile(&program.unwrap(), Options::default()).unwrap();
            for launch in &plan.launches {
                let Some(shader) = kernel::generate(&plan, launch, Adapter::Real).unwrap() else { continue };
                let bound = shader.bindings.len();
                assert!(bound <= 8, "{name}: {} binds {bound}: {:?}", launch.label, shader.bindings);
            }
        }
    }
}

#[test]
fn non_finite_numbers_pass_through() {
    let x = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    let through = [
        (UnaryOp::Relu, [f64::NAN, f64::INFINITY, 0.0, 0.0]),
        (UnaryOp::Tanh, [f64::NAN, 1.0, -1.0, 0.0]),
        (UnaryOp::Erf, [f64::NAN, 1.0, -1.0, 0.0]),
        (UnaryOp::Sigmoid, [f64::NAN, 1.0, 0.0, 0.5]),
        (UnaryOp::Log, [f64::NAN, f64::INFINITY, f64::NAN, f64::NEG_INFINITY]),
        (UnaryOp::Exp, [f64::NAN, f64::INFINITY, 0.0, 1.0]),
        (UnaryOp::Sin, [f64::NAN, f64::NAN, f64::NAN, 0.0]),
    ];
    let with_one = [
        (BinaryOp::Max, [f64::NAN, f64::INFINITY, 1.0, 1.0]),
        (BinaryOp::Min, [f64::NAN, 1.0, f64::NEG_INFINITY, 0.0]),
        (BinaryOp::Add, [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0]),
    ];
    for mut executor in executors() {
        let mut body = Body { loads: vec![view(input_place(0), &[1])], code: vec![Instr::Load(0)], stores: vec![] };
        body.code.push(Instr::Const(1.0.into()));
        let mut expected = Vec::new();
        for (op, values) in through {
            body.code.push(Instr::Unary(op, 0));
            expected.extend(values);
        }
        for (op, values) in with_one {
            for (a, b) in [(0, 1), (1, 0)] {
                body.code.push(Instr::Binary(op, a, b));
                expected.extend(values);
            }
        }
        for (number, value) in (2..body.code.len()).enumerate() {
            let view = view(at(Space::Arena, number * 4), &[1]);
            body.stores.push(Store { value: value as Reg, view, per_row: false });
        }
        let plan = fused_plan(&[("x", 4)], Fused { axes: vec![4], reduced: 0, body }, expected.len());
        let out = pollster::block_on(run(&mut executor, plan, &[("x", x.clone())])).unwrap();
        close(&out, &expected, 1e-6);
    }
}

#[test]
fn powers_are_precise_near_one() {
    let bases = [0.999f32, 0.9, 0.0, 1.0, 2.0, 1e-3, 123.0, 1.0001];
    let exponents = [1.0f32, 10.0, 1000.0, 0.0, 0.5, -1.0, -2.5];
    let pairs: Vec<(f32, f32)> = bases.iter().flat_map(|&a| exponents.iter().map(move |&b| (a, b))).collect();
    let n = pairs.len();
    for mut executor in executors() {
        let body = Body {
            loads: vec![view(input_place(0), &[1]), view(input_place(1), &[1])],
            code: vec![Instr::Load(0), Instr::Load(1), Instr::Binary(BinaryOp::Pow, 0, 1)],
            stores: vec![Store { value: 2, view: view(at(Space::Arena, 0), &[1]), per_row: false }],
        };
        let plan = fused_plan(&[("a", n), ("b", n)], Fused { axes: vec![n], reduced: 0, body }, n);
        let states = [("a", pairs.iter().map(|p| p.0).collect()), ("b", pairs.iter().map(|p| p.1).collect())];
        let out = pollster::block_on(run(&mut executor, plan, &states)).unwrap();
        for (&(a, b), &value) in pairs.iter().zip(&out) {
            let exact = f64::from(a).powf(f64::from(b));
            let infinite = exact > f64::from(f32::MAX) && value == f32::INFINITY;
            let near = (f64::from(value) - exact).abs() <= 5e-6 * exact.abs() + 1e-38;
            assert!(infinite || near, "{a}^{b} = {value}, not {exact}");
        }
    }
}

/// Softmax over the last axis and the row's argmax, on a permuted input: [c, r] read as [r, c].
#[test]
fn row_programs_of_many_lengths() {
    for mut executor in executors() {
        for (rows, columns) in [(1, 1), (3, 5), (7, 64), (5, 300), (1, 1000), (130, 10), (257, 2), (2, 70_000)] {
            for transposed in [false, true] {
                let x: Vec<f32> = (0..rows * columns).map(|i| ((i * 7919) % 1013) as f32 * 0.01).collect();
                let strides = if transposed { [1, rows] } else { [columns, 1] };
                let body = Body {
                    loads: vec![view(input_place(0), &strides)],
                    code: vec![
                        Instr::Load(0),
                        Instr::Reduce(ReduceOp::Max, 0),
                        Instr::Binary(BinaryOp::Sub, 0, 1),
                        Instr::Unary(UnaryOp::Exp, 2),
                        Instr::Reduce(ReduceOp::Sum, 3),
                        Instr::Binary(BinaryOp::Div, 3, 4),
                        Instr::ArgMax(0),
                    ],
                    stores: vec![
                        Store { value: 5, view: view(at(Space::Arena, 0), &[columns, 1]), per_row: false },
                        Store { value: 6, view: view(at(Space::Arena, rows * columns), &[1, 0]), per_row: true },
                    ],
                };
                let fused = Fused { axes: vec![rows, columns], reduced: 1, body };
                let plan = fused_plan(&[("x", rows * columns)], fused, rows * columns + rows);
                let out = pollster::block_on(run(&mut executor, plan, &[("x", x.clone())])).unwrap();
                let mut expected = Vec::new();
                let mut firsts = Vec::new();
                for r in 0..rows {
                    let row: Vec<f64> = (0..columns).map(|c| f64::from(x[r * strides[0] + c * strides[1]])).collect();
                    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
                    expected.extend(row.iter().map(|v| (v - top).exp() / sum));
                    firsts.push(row.iter().position(|v| *v == top).unwrap() as f64);
                }
                expected.extend(firsts);
                close(&out, &expected, 1e-6);
            }
        }
    }
}

#[test]
fn more_workgroups_than_a_dimension_takes() {
    // 65,536 * 64 + 1 elements need 65,537 workgroups.
    let n = 65_536 * 64 + 1;
    for mut executor in executors() {
        let body = Body {
            loads: vec![],
            code: vec![Instr::Coordinate(0)],
            stores: vec![Store { value: 0, view: view(at(Space::Arena, 0), &[1]), per_row: false }],
        };
        let plan = fused_plan(&[], Fused { axes: vec![n], reduced: 0, body }, n);
        let out = pollster::block_on(run(&mut executor, plan, &[])).unwrap();
        assert!(out.iter().enumerate().all(|(index, &value)| value == index as f32));
    }
}

#[test]
fn random_numbers_equal_the_host_generator() {
    let key = [7u32, 9, 123, 4];
    for mut executor in executors() {
        let step = InputId(0);
        let body = Body {
            loads: vec![],
            code: vec![Instr::Random {
                key: Place { space: Space::Input(step), offset: 0, dtype: DType::U32 },
                stream: 5,
                strides: [6, 3, 1, 0, 0, 0],
            }],
            stores: vec![Store { value: 0, view: view(at(Space::Arena, 0), &[6, 3, 1]), per_row: false }],
        };
        let mut plan = fused_plan(&[], Fused { axes: vec![4, 2, 3], reduced: 0, body }, 24);
        plan.inputs = vec![input("key", &[4], DType::U32, InputKind::Step)];
        plan.step_offsets = vec![Some(2)];
        plan.step_words = 6;
        let out = pollster::block_on(async {
            let id = executor.prepare(Arc::new(plan)).await?;
            let words = [0, 0, key[0], key[1], key[2], key[3]];
            executor.submit(&[Run { plan: id, words: &words, row: 0 }]).await?;
            executor.fetch(id, "out").await
        })
        .unwrap();
        let expected: Vec<f32> = (0..24)
            .map(|element| {
                let bits = crate::rng::philox4x32([element, 5, key[2], key[3]], [key[0], key[1]]);
                crate::rng::unit_f32(bits[0])
            })
            .collect();
        assert_eq!(floats(&out), expected);
    }
}

/// A table of bytes, gathered by step indices beyond its end, and a metric per run; many runs in one submission.
#[test]
fn bytes_are_taken_by_clamped_index_and_runs_have_their_own_words() {
    for mut executor in executors() {
        let plan = Plan {
            launches: vec![launch(Kernel::Fused(Fused {
                axes: vec![2, 3],
                reduced: 1,
                body: Body {
                    loads: vec![
                        View {
                            place: Place { space: Space::Input(InputId(1)), offset: 0, dtype: DType::U32 },
                            strides: vec![1, 0],
                        },
                        View {
                            place: Place { space: Space::Input(InputId(0)), offset: 0, dtype: DType::U8 },
                            strides: vec![0, 1],
                        },
                    ],
                    code: vec![
                        Instr::Load(0),
                        Instr::LoadAt { load: 1, index: 0, stride: 3, limit: 3 },
                        Instr::Reduce(ReduceOp::Sum, 1),
                    ],
                    stores: vec![Store { value: 2, view: view(at(Space::Metrics, 1), &[1, 0]), per_row: true }],
                },
            }))],
            inputs: vec![
                input("table", &[3, 3], DType::U8, InputKind::Table),
                input("index", &[2], DType::U32, InputKind::Step),
            ],
            step_offsets: vec![None, Some(0)],
            step_words: 2,
            metrics: 3,
            ..Plan::default()
        };
        let (metrics, warm, after) = pollster::block_on(async {
            executor.write("table", &[1, 2, 3, 10, 20, 30, 100, 200, 250])?;
            let id = executor.prepare(Arc::new(plan)).await?;
            let indices = [[0u32, 1], [2, 0], [7, u32::MAX >> 9], [1, 1]];
            let runs: Vec<Run<'_>> = indices
                .iter()
                .enumerate()
                .map(|(number, words)| Run { plan: id, words, row: 1022 + number as u64 })
                .collect();
            executor.submit(&runs).await?;
            let warm = executor.counters();
            for _ in 0..10 {
                executor.submit(&runs).await?;
            }
            let after = executor.counters();
            Ok::<_, ExecError>((executor.metrics(1022, 4).await?, warm, after))
        })
        .unwrap();
        let columns: Vec<[f32; 2]> = metrics.chunks(8).map(|row| [row[1], row[2]]).collect();
        assert_eq!(columns, [[6.0, 60.0], [550.0, 6.0], [550.0, 550.0], [60.0, 60.0]]);
        assert_eq!(after.buffer_creations, warm.buffer_creations);
        assert_eq!(after.submits - warm.submits, 10);
        assert_eq!(after.dispatches - warm.dispatches, 40);
    }
}

/// A plan of one step input of so many words, which yields their sum.
fn sum_of_words(count: usize) -> Plan {
    let body = Body {
        loads: vec![view(input_place(0), &[1])],
        code: vec![Instr::Load(0), Instr::Reduce(ReduceOp::Sum, 0)],
        stores: vec![Store { value: 1, view: view(at(Space::Arena, 0), &[0]), per_row: true }],
    };
    let mut plan = fused_plan(&[], Fused { axes: vec![count], reduced: 1, body }, 1);
    plan.inputs = vec![input("words", &[count], DType::F32, InputKind::Step)];
    plan.step_offsets = vec![Some(0)];
    plan.step_words = count;
    plan
}

/// A step may read more words than the buffer for them begins with: 4,095 fit beside the ring's row. Plans that were there
/// before go on.
#[test]
fn steps_may_have_any_number_of_words() {
    for mut executor in executors() {
        pollster::block_on(async {
            let mut plans = Vec::new();
            for count in [3, 4_095, 4_096, 12_288, 5] {
                plans.push((executor.prepare(Arc::new(sum_of_words(count))).await.unwrap(), count));
            }
            for (plan, count) in plans {
                executor.submit(&[Run { plan, words: &vec![1.0f32.to_bits(); count], row: 0 }]).await.unwrap();
                assert_eq!(floats(&executor.fetch(plan, "out").await.unwrap()), [count as f32]);
            }
        });
    }
}

/// A plan that the device refuses leaves nothing behind.
#[test]
fn memory_of_a_refused_plan_is_given_back() {
    for mut executor in executors() {
        let held = executor.counters().bytes_held;
        let mut plan = sum_of_words(5);
        plan.constants = vec![(1_000, Arc::from([1.0.into()]))];
        assert!(matches!(pollster::block_on(executor.prepare(Arc::new(plan))), Err(ExecError::Device(_))));
        assert_eq!(executor.counters().bytes_held, held);
    }
}

#[test]
fn refusals_say_what_does_not_fit() {
    for mut executor in executors() {
        let body = |space| Body {
            loads: vec![view(at(space, 0), &[1])],
            code: vec![Instr::Load(0)],
            stores: vec![Store { value: 0, view: view(at(Space::Arena, 0), &[1]), per_row: false }],
        };
        let fused = Fused { axes: vec![4], reduced: 0, body: body(Space::Input(InputId(0))) };
        let small = fused_plan(&[("x", 4)], fused.clone(), 3);
        assert!(matches!(pollster::block_on(executor.prepare(Arc::new(small))), Err(ExecError::Buffer { .. })));
        let plan = fused_plan(&[("x", 4)], fused, 4);
        let missing = pollster::block_on(executor.prepare(Arc::new(plan.clone())));
        assert!(matches!(missing, Err(ExecError::Buffer { name, .. }) if name == "x"));
        executor.write("x", &bytes(&[1.0])).unwrap();
        let short = pollster::block_on(executor.prepare(Arc::new(plan.clone())));
        assert!(matches!(short, Err(ExecError::Buffer { .. })));
        executor.write("x", &bytes(&[1.0, 2.0, f32::NAN, 4.0])).unwrap();
        assert!(executor.write_at("x", 12, &[0; 8]).is_err());
        assert!(executor.write_at("x", 2, &[0; 4]).is_err());
        executor.write_at("x", 0, &bytes(&[9.0])).unwrap();
        let again = Arc::new(plan);
        let id = pollster::block_on(executor.prepare(again.clone())).unwrap();
        let words = pollster::block_on(executor.submit(&[Run { plan: id, words: &[1], row: 0 }]));
        assert!(matches!(words, Err(ExecError::Buffer { .. })));
        let run = || Run { plan: id, words: &[], row: 0 };
        let label = pollster::block_on(executor.first_non_finite(run())).unwrap();
        assert_eq!(label.as_deref(), Some("test"));
        executor.write_at("x", 8, &bytes(&[3.0])).unwrap();
        assert_eq!(pollster::block_on(executor.first_non_finite(run())).unwrap(), None);
        assert_eq!(floats(&pollster::block_on(executor.fetch(id, "out")).unwrap()), [9.0, 2.0, 3.0, 4.0]);
        assert!(pollster::block_on(executor.fetch(id, "nothing")).is_err());
        executor.release(id);
        assert!(pollster::block_on(executor.submit(&[run()])).is_err());

        let again = pollster::block_on(executor.prepare(again.clone())).unwrap();
        executor.forget("x");
        let run = || Run { plan: again, words: &[], row: 0 };
        assert!(pollster::block_on(executor.submit(&[run()])).is_err());
        assert!(pollster::block_on(executor.read("x")).is_err());
        executor.write("x", &bytes(&[9.0, 2.0, 3.0, 4.0])).unwrap();

        executor.device().destroy();
        let lost = pollster::block_on(executor.read("x"));
        assert!(matches!(lost, Err(ExecError::DeviceLost(_))), "{lost:?}");
        let lost = executor.write("x", &bytes(&[1.0]));
        assert!(matches!(lost, Err(ExecError::DeviceLost(_))));
    }
}
