//! A run's matrices against dense ones in f64.

use super::*;
use crate::cpu::CpuExecutor;
use crate::gpu::executors_for_tests;
use crate::graph::reference::{Inputs, run};
use crate::graph::{DType, InputKind, NodeId, Output, Program, Target};
use crate::model::{Mode, THETA};
use crate::tape::capture_into;
use crate::train::{GRADIENT_AND_LOSS, INDEX, Programs, WEIGHT};

/// What a program of a run reads: its tables and parameters, and `rows` of the same weight.
fn inputs(trainer: &Trainer<CpuExecutor>, program: &Program, theta: &[f32], rows: &[u32]) -> Inputs {
    let (data, feed) = (trainer.data(), trainer.feed());
    let mut inputs = Inputs::new();
    for (name, bytes) in feed.tables(data) {
        let declared = program.graph.inputs().iter().find(|input| input.name == name);
        let words = || bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let values = match declared.map(|input| input.dtype) {
            None => continue,
            Some(DType::U8) => bytes.iter().map(|&byte| f64::from(byte)).collect(),
            Some(DType::U32) => words().map(f64::from).collect(),
            Some(DType::F32) => words().map(|word| f64::from(f32::from_bits(word))).collect(),
        };
        inputs.insert(name.into(), values);
    }
    inputs.insert(THETA.into(), theta.iter().map(|&x| f64::from(x)).collect());
    inputs.insert(INDEX.into(), rows.iter().map(|&row| f64::from(row)).collect());
    inputs.insert(WEIGHT.into(), vec![1.0 / rows.len() as f64; rows.len()]);
    inputs
}

/// Slopes of what a program writes to `state` or fetches as such along every parameter, by central differences in f64:
/// one vector for each parameter.
fn differences(program: &Program, inputs: &Inputs, name: &str) -> Vec<Vec<f64>> {
    let step = 1e-5;
    let at = |k: usize, away: f64| {
        let mut moved = inputs.clone();
        moved.get_mut(THETA).unwrap()[k] += away;
        let fetched = run(program, &mut moved).remove(name);
        fetched.unwrap_or_else(|| moved.remove(name).unwrap())
    };
    let slope = |k| at(k, step).iter().zip(&at(k, -step)).map(|(up, down)| (up - down) / (2.0 * step)).collect();
    (0..inputs[THETA].len()).map(slope).collect()
}

/// The Hessian as slopes of the gradient.
fn hessian(trainer: &Trainer<CpuExecutor>, theta: &[f32], rows: &[u32]) -> Vec<Vec<f64>> {
    let program =
        Programs::new(trainer.spec(), trainer.feed()).unwrap().probed(rows.len()).unwrap().gradient().unwrap();
    let mut slopes = differences(&program, &inputs(trainer, &program, theta, rows), GRADIENT_AND_LOSS);
    slopes.iter_mut().for_each(|slope| slope.truncate(theta.len()));
    slopes
}

/// The Gauss-Newton matrix of a mean cross-entropy: `mean J^T (diag p - p p^T) J` over examples and positions, with the
/// Jacobian J of the logits.
fn gauss_newton(trainer: &Trainer<CpuExecutor>, theta: &[f32], rows: &[u32]) -> Vec<Vec<f64>> {
    let (mut program, x) = batch(trainer, rows.len());
    let (spec, classes) = (trainer.spec(), trainer.feed().outputs());
    let captured = capture_into(&mut program.graph, &spec.model, classes, x, Mode::Probe).unwrap();
    fetch(&mut program, "logits", captured.logits);
    let inputs = inputs(trainer, &program, theta, rows);
    let jacobian = differences(&program, &inputs, "logits");
    let logits = run(&program, &mut inputs.clone()).remove("logits").unwrap();
    let positions = logits.len() / classes;
    // H_L J, column by column.
    let bent = |column: &Vec<f64>| -> Vec<f64> {
        let of_position = |(z, dz): (&[f64], &[f64])| -> Vec<f64> {
            let total: f64 = z.iter().map(|z| z.exp()).sum();
            let p: Vec<f64> = z.iter().map(|z| z.exp() / total).collect();
            let mean: f64 = dot(&p, dz);
            p.iter().zip(dz).map(|(p, dz)| p * (dz - mean) / positions as f64).collect()
        };
        logits.chunks(classes).zip(column.chunks(classes)).flat_map(of_position).collect()
    };
    let bent: Vec<Vec<f64>> = jacobian.iter().map(bent).collect();
    jacobian.iter().map(|a| bent.iter().map(|b| dot(a, b)).collect()).collect()
}

/// Products with unit vectors and a few random ones, against a dense matrix.
async fn check(
    trainer: &mut Trainer<CpuExecutor>,
    curved: Curved,
    rows: &[u32],
    dense: impl Fn(&Trainer<CpuExecutor>, &[f32], &[u32]) -> Vec<Vec<f64>>,
) {
    let size = trainer.layout().len();
    assert!(size <= 500, "{size} parameters");
    let theta = trainer.theta().await.unwrap();
    let expected = dense(trainer, &theta, rows);
    let unit = |k: usize| (0..size).map(|j| if j == k { 1.0 } else { 0.0 }).collect();
    let random: Vec<Vec<f32>> = (0..3).map(|k| gaussian(3, k, size)).collect();
    let vectors: Vec<Vec<f32>> = (0..size).map(unit).chain(random.iter().cloned()).collect();
    let found = products(trainer, curved, Settings { lanes: 8, ..Settings::default() }, rows, vectors).await;
    let (units, others) = found.split_at(size);
    let relative = error(&units.concat(), &expected.concat());
    println!("{curved:?} of {size} parameters: {relative:.1e}");
    assert!(relative < 1e-4, "{curved:?}: {relative}");
    for (vector, product) in random.iter().zip(others) {
        let expected: Vec<f64> = expected.iter().map(|row| dot(row, vector)).collect();
        let relative = error(product, &expected);
        assert!(relative < 1e-4, "{curved:?}: {relative}");
    }
    let largest = units.iter().flatten().fold(0.0f32, |most, x| most.max(x.abs()));
    for (i, row) in units.iter().enumerate() {
        for (j, (x, column)) in row.iter().zip(&units[..i]).enumerate() {
            assert!((x - column[i]).abs() < 1e-5 * largest, "{curved:?} at ({i}, {j}): {x} and {}", column[i]);
        }
    }
}

fn against_differences(spec: &RunSpec) {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), spec, 20).await;
        let rows = rows(&trainer, 6);
        check(&mut trainer, Curved::Hessian, &rows, hessian).await;
        check(&mut trainer, Curved::GaussNewton, &rows, gauss_newton).await;
    });
}

#[test]
fn an_mlp_bends_as_its_gradients_differ() {
    against_differences(&mlp(&[8]));
}

#[test]
fn a_convnet_with_batch_norm_bends_as_its_gradients_differ() {
    against_differences(&convnet());
}

#[test]
fn a_cct_bends_as_its_gradients_differ() {
    against_differences(&cct());
}

#[test]
fn a_gpt_bends_as_its_gradients_differ() {
    against_differences(&gpt());
}

/// A graph with the inputs that a model sees of a batch.
fn batch(trainer: &Trainer<CpuExecutor>, rows: usize) -> (Program, NodeId) {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let index = graph.input(INDEX, &[rows], DType::U32, InputKind::Step).unwrap();
    let batch = trainer.feed().gather(graph, index).unwrap();
    let x = trainer.feed().standardise(graph, batch.x).unwrap();
    (program, x)
}

fn fetch(program: &mut Program, name: &str, node: NodeId) {
    program.outputs.push(Output { node, target: Target::Fetch(name.into()) });
}

/// Features of some rows, with the 1 of the bias behind them, in f64.
fn features(trainer: &Trainer<CpuExecutor>, rows: &[u32]) -> Vec<Vec<f64>> {
    let (mut program, x) = batch(trainer, rows.len());
    fetch(&mut program, "x", x);
    let x = run(&program, &mut inputs(trainer, &program, &[], rows)).remove("x").unwrap();
    x.chunks(x.len() / rows.len()).map(|x| x.iter().copied().chain([1.0]).collect()).collect()
}

/// Softmax regression: Hessian and Gauss-Newton matrix are both `mean_i (diag p_i - p_i p_i^T) x x_i x_i^T`.
#[test]
fn softmax_regression_has_its_closed_form() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &mlp(&[]), 20).await;
        let rows = rows(&trainer, 30);
        let closed = |trainer: &Trainer<CpuExecutor>, theta: &[f32], rows: &[u32]| {
            let x = features(trainer, rows);
            let (inputs, classes) = (x[0].len() - 1, trainer.feed().outputs());
            // Weights [inputs, classes], then biases: parameter k belongs to feature k / classes and class k % classes.
            assert_eq!(trainer.layout().entries()[0].shape, [inputs, classes]);
            let mut matrix = vec![vec![0.0; theta.len()]; theta.len()];
            for x in &x {
                let logit = |class: usize| -> f64 {
                    (0..=inputs).map(|input| f64::from(theta[input * classes + class]) * x[input]).sum()
                };
                let powers: Vec<f64> = (0..classes).map(|class| logit(class).exp()).collect();
                let total: f64 = powers.iter().sum();
                let p: Vec<f64> = powers.iter().map(|power| power / total).collect();
                for (i, row) in matrix.iter_mut().enumerate() {
                    for (j, entry) in row.iter_mut().enumerate() {
                        let (a, b) = (i % classes, j % classes);
                        let bend = if a == b { p[a] - p[a] * p[b] } else { -p[a] * p[b] };
                        *entry += bend * x[i / classes] * x[j / classes] / rows.len() as f64;
                    }
                }
            }
            matrix
        };
        check(&mut trainer, Curved::Hessian, &rows, closed).await;
        check(&mut trainer, Curved::GaussNewton, &rows, closed).await;
    });
}

/// Linear regression on squared errors: both matrices are `2 mean x x^T / outputs` for each output apart.
#[test]
fn linear_regression_has_its_closed_form() {
    use crate::spec::{Loss, ObjectiveSpec};
    pollster::block_on(async {
        let data = DataSpec { train: 400, test: 100, window: 4, horizon: 3, ..DataSpec::of(DataSet::Weather) };
        let objective = ObjectiveSpec { kind: Loss::Mse, ..ObjectiveSpec::default() };
        let spec = RunSpec { data, objective, ..mlp(&[]) };
        let mut trainer = trained(CpuExecutor::new(), &spec, 5).await;
        let rows = rows(&trainer, 30);
        let closed = |trainer: &Trainer<CpuExecutor>, theta: &[f32], rows: &[u32]| {
            let x = features(trainer, rows);
            let outputs = trainer.feed().outputs();
            assert_eq!(theta.len(), x[0].len() * outputs);
            let entry = |i: usize, j: usize| -> f64 {
                let mean = x.iter().map(|x| x[i / outputs] * x[j / outputs]).sum::<f64>() / rows.len() as f64;
                if i % outputs == j % outputs { 2.0 * mean / outputs as f64 } else { 0.0 }
            };
            (0..theta.len()).map(|i| (0..theta.len()).map(|j| entry(i, j)).collect()).collect()
        };
        check(&mut trainer, Curved::Hessian, &rows, closed).await;
        check(&mut trainer, Curved::GaussNewton, &rows, closed).await;
    });
}

/// The empirical Fisher matrix from the gradients of single examples.
#[test]
fn the_empirical_fisher_is_the_mean_square_of_gradients() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &mlp(&[8]), 20).await;
        let rows = rows(&trainer, 12);
        let outer = |trainer: &Trainer<CpuExecutor>, theta: &[f32], rows: &[u32]| {
            let program = Programs::new(trainer.spec(), trainer.feed()).unwrap().probed(1).unwrap().gradient().unwrap();
            let mut matrix = vec![vec![0.0; theta.len()]; theta.len()];
            for &row in rows {
                let mut states = inputs(trainer, &program, theta, &[row]);
                run(&program, &mut states);
                let gradient = &states[GRADIENT_AND_LOSS][..theta.len()];
                for (line, a) in matrix.iter_mut().zip(gradient) {
                    line.iter_mut().zip(gradient).for_each(|(entry, b)| *entry += a * b / rows.len() as f64);
                }
            }
            matrix
        };
        check(&mut trainer, Curved::Fisher, &rows, outer).await;
    });
}

#[test]
fn products_are_the_same_in_lanes_and_chunks() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &mlp(&[8]), 20).await;
        let rows = rows(&trainer, 37);
        let vectors: Vec<Vec<f32>> = (0..3).map(|k| gaussian(7, k, trainer.layout().len())).collect();
        for curved in [Curved::Hessian, Curved::GaussNewton, Curved::Fisher] {
            let plain = products(&mut trainer, curved, Settings::default(), &rows, vectors.clone()).await;
            for settings in [
                Settings { lanes: 2, ..Settings::default() },
                Settings { micro: 10, ..Settings::default() },
                // No room to keep anything: every product computes the fixed part again.
                Settings { micro: 10, lanes: 3, memory: 0 },
            ] {
                let other = products(&mut trainer, curved, settings, &rows, vectors.clone()).await;
                for (plain, other) in plain.iter().zip(&other) {
                    let away = error(other, plain);
                    assert!(away < 1e-5, "{curved:?} with {settings:?}: {away}");
                }
            }
        }
    });
}

/// Exact checks 2 to 4 of study 01.
#[test]
fn batches_of_a_partition_average_to_all_data() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &mlp(&[8]), 20).await;
        let rows = rows(&trainer, 40);
        let start = gaussian(2, 0, trainer.layout().len());
        let mut hessian =
            Curvature::new(trainer.spec(), trainer.feed(), Curved::Hessian, Settings::default(), "test").unwrap();
        let executor = trainer.executor_mut();
        let backwards: Vec<u32> = rows.iter().rev().copied().collect();
        let (mut found, mut tops) = (Vec::new(), Vec::new());
        for rows in [&rows[..], &backwards].into_iter().chain(rows.chunks(10)) {
            hessian.linearise(executor, Point::Run, rows).await.unwrap();
            found.push(hessian.apply(executor, vec![start.clone()]).await.unwrap().remove(0));
            tops.push(solve(Lanczos::new(&start, 30), &mut hessian, executor).await.values[0]);
        }
        assert!(error(&found[1], &found[0]) < 1e-5, "the order of examples does not count");
        let mean: Vec<f32> = (0..start.len()).map(|k| found[2..].iter().map(|batch| batch[k] / 4.0).sum()).collect();
        assert!(error(&mean, &found[0]) < 1e-5);
        let of_batches = tops[2..].iter().sum::<f64>() / 4.0;
        assert!(of_batches >= tops[0] * (1.0 - 1e-4), "the largest eigenvalue is convex: {of_batches} of {tops:?}");
    });
}

#[test]
fn training_goes_on_without_effect_on_a_linearised_matrix() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &mlp(&[8]), 20).await;
        let (mut twin, rows) = (trained(CpuExecutor::new(), &mlp(&[8]), 20).await, rows(&trainer, 20));
        let vector = vec![gaussian(1, 0, trainer.layout().len())];
        let settings = Settings { micro: 8, ..Settings::default() };
        let mut matrix = Curvature::new(trainer.spec(), trainer.feed(), Curved::Hessian, settings, "test").unwrap();
        matrix.linearise(trainer.executor_mut(), Point::Run, &rows).await.unwrap();
        assert_eq!((matrix.samples(), matrix.slices()), (20, 3));
        // The first chunk, then updates, then the others.
        matrix.begin(vector.clone());
        assert_eq!(matrix.advance(trainer.executor_mut()).await.unwrap(), None);
        for _ in 0..5 {
            trainer.step().await.unwrap();
            twin.step().await.unwrap();
        }
        assert_eq!(matrix.advance(trainer.executor_mut()).await.unwrap(), None);
        let sliced = matrix.advance(trainer.executor_mut()).await.unwrap().unwrap();
        assert_eq!(matrix.apply(trainer.executor_mut(), vector.clone()).await.unwrap(), sliced);
        // Nor has the matrix an effect on training.
        assert_eq!(trainer.theta().await.unwrap(), twin.theta().await.unwrap());

        matrix.linearise(trainer.executor_mut(), Point::Run, &rows).await.unwrap();
        assert_ne!(matrix.apply(trainer.executor_mut(), vector).await.unwrap(), sliced);
        assert!(matrix.apply(trainer.executor_mut(), vec![vec![0.0; 3]]).await.is_err());
        assert!(matrix.linearise(trainer.executor_mut(), Point::Run, &[]).await.is_err());
        assert!(matrix.linearise(trainer.executor_mut(), Point::Given(&[0.0]), &rows).await.is_err());
    });
}

#[test]
fn buffers_are_given_back() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &mlp(&[8]), 1).await;
        let rows = rows(&trainer, 20);
        let held = trainer.executor_mut().counters().bytes_held;
        let vector = vec![gaussian(1, 0, trainer.layout().len())];
        products(&mut trainer, Curved::GaussNewton, Settings { micro: 6, ..Settings::default() }, &rows, vector).await;
        assert_eq!(trainer.executor_mut().counters().bytes_held, held);
    });
}

#[test]
fn a_landscape_has_the_losses_gradients_and_slopes_of_its_run() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &cct(), 20).await;
        let (theta, rows) = (trainer.theta().await.unwrap(), rows(&trainer, 14));
        let mut landscape = Landscape::new(trainer.spec(), trainer.feed(), 5, "test").unwrap();
        assert!(landscape.losses(trainer.executor_mut(), &rows).await.is_err(), "nowhere yet");
        landscape.go(trainer.executor_mut(), Point::Run).await.unwrap();
        let losses = landscape.losses(trainer.executor_mut(), &rows).await.unwrap();
        let (loss, gradient) = landscape.gradient(trainer.executor_mut(), &rows).await.unwrap();
        let direction = gaussian(2, 0, theta.len());
        let slopes = landscape.slopes(trainer.executor_mut(), &rows, &direction).await.unwrap();
        assert!(landscape.slopes(trainer.executor_mut(), &rows, &direction[1..]).await.is_err());
        landscape.release(trainer.executor_mut());

        let program = Programs::new(trainer.spec(), trainer.feed()).unwrap().probed(1).unwrap().gradient().unwrap();
        let mut mean = vec![0.0; theta.len() + 1];
        for ((row, loss), slope) in rows.iter().zip(losses).zip(slopes) {
            let mut states = inputs(&trainer, &program, &theta, &[*row]);
            run(&program, &mut states);
            let (gradient, expected) = states[GRADIENT_AND_LOSS].split_at(theta.len());
            assert!((f64::from(loss) - expected[0]).abs() < 1e-5 * expected[0]);
            let expected = dot(gradient, &direction);
            assert!((f64::from(slope) - expected).abs() < 1e-4 * norm(gradient) * norm(&direction));
            mean.iter_mut().zip(&states[GRADIENT_AND_LOSS]).for_each(|(mean, x)| *mean += x / rows.len() as f64);
        }
        let expected = mean.pop().unwrap();
        assert!((loss - expected).abs() < 1e-5 * expected);
        assert!(error(&gradient, &mean) < 1e-4);
    });
}

/// Batch norm sees the rows of a micro-batch: none of those of 9 rows by 4 is left with one, which would come to nothing.
#[test]
fn rows_that_batch_norm_mixes_are_shared_out_evenly() {
    pollster::block_on(async {
        let mut trainer = trained(CpuExecutor::new(), &convnet(), 20).await;
        let rows = rows(&trainer, 9);
        let vectors = vec![gaussian(7, 0, trainer.layout().len())];
        let parts = [&rows[..3], &rows[3..6], &rows[6..]];
        let (mut losses, mut product) = (vec![], vec![0.0; vectors[0].len()]);
        let mut landscape = Landscape::new(trainer.spec(), trainer.feed(), 4, "landscape").unwrap();
        landscape.go(trainer.executor_mut(), Point::Run).await.unwrap();
        for part in parts {
            losses.extend(landscape.losses(trainer.executor_mut(), part).await.unwrap());
            let of_part = products(&mut trainer, Curved::Hessian, Settings::default(), part, vectors.clone()).await;
            product.iter_mut().zip(&of_part[0]).for_each(|(sum, x)| *sum += x / 3.0);
        }
        let settings = Settings { micro: 4, ..Settings::default() };
        let found = products(&mut trainer, Curved::Hessian, settings, &rows, vectors).await;
        assert!(error(&found[0], &product) < 1e-4);
        assert!(error(&landscape.losses(trainer.executor_mut(), &rows).await.unwrap(), &losses) < 1e-5);
        let (loss, _) = landscape.gradient(trainer.executor_mut(), &rows).await.unwrap();
        assert!((loss - losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / 9.0).abs() < 1e-5);
        landscape.release(trainer.executor_mut());
    });
}

#[test]
fn graphics_and_processor_agree() {
    pollster::block_on(async {
        for spec in [mlp(&[8]), convnet(), cct(), gpt()] {
            let mut on_cpu = trained(CpuExecutor::new(), &spec, 20).await;
            let (theta, rows) = (on_cpu.theta().await.unwrap(), rows(&on_cpu, 12));
            let vectors: Vec<Vec<f32>> = (0..2).map(|k| gaussian(11, k, theta.len())).collect();
            for executor in executors_for_tests() {
                let mut on_gpu = trained(executor, &spec, 0).await;
                on_gpu.set_theta(&theta).unwrap();
                let parted = Settings { micro: 6, lanes: 2, ..Settings::default() };
                for (curved, settings) in [(Curved::Hessian, parted), (Curved::GaussNewton, Settings::default())] {
                    let expected = products(&mut on_cpu, curved, settings, &rows, vectors.clone()).await;
                    let found = products(&mut on_gpu, curved, settings, &rows, vectors.clone()).await;
                    let away = error(&found.concat(), &expected.concat());
                    assert!(away < 1e-4, "{curved:?} with {settings:?}: {away}");
                }
            }
        }
    });
}
