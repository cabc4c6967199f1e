//! Products of a run's second derivatives with vectors, on any table rows, at the run's parameters.

use std::collections::BTreeMap;

use crate::executor::{AnyExecutor, Executor, Prepared, Run};
use crate::graph::jvp::{ggn, hvp};
use crate::graph::{DType, InputKind, Output, Program, Target};
use crate::model::{self, Mode, THETA};
use crate::objective::classify;
use crate::rng::{Rng, Stream};
use crate::symmetric::eigen;
use crate::train::{Targets, Trainer};

use super::StudyError;

const INDEX: &str = "index";
const VECTOR: &str = "vector";
const PRODUCT: &str = "product";

/// A symmetric matrix `[P, P]` of second derivatives of the mean loss over some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// The Hessian.
    Hessian,
    /// The generalised Gauss-Newton matrix, which is positive semi-definite.
    GaussNewton,
}

/// A run whose second derivatives are asked for.
pub struct Products {
    trainer: Trainer<AnyExecutor>,
    matrix: Matrix,
    /// By number of rows.
    plans: BTreeMap<usize, Prepared>,
}

impl Products {
    /// Of a run as it is now.
    pub fn new(trainer: Trainer<AnyExecutor>, matrix: Matrix) -> Self {
        Self { trainer, matrix, plans: BTreeMap::new() }
    }

    /// P.
    pub fn size(&self) -> usize {
        self.trainer.layout().len()
    }

    /// Ends the run and gives the executor back.
    pub fn into_executor(self) -> AnyExecutor {
        self.trainer.into_executor()
    }

    /// The matrix of these rows times a vector.
    pub async fn apply(&mut self, rows: &[u32], vector: &[f32]) -> Result<Vec<f32>, StudyError> {
        if !self.plans.contains_key(&rows.len()) {
            let program = self.program(rows.len())?;
            let plan = Prepared::new::<_, StudyError>(self.trainer.executor_mut(), &program).await?;
            self.plans.insert(rows.len(), plan);
        }
        let plan = &self.plans[&rows.len()];
        let words = plan.words(|name, slot| match name {
            INDEX => slot.copy_from_slice(rows),
            VECTOR => slot.iter_mut().zip(vector).for_each(|(word, x)| *word = x.to_bits()),
            _ => {}
        });
        let executor = self.trainer.executor_mut();
        executor.submit(&[Run { plan: plan.id, words: &words, row: 0 }]).await?;
        let bytes = executor.fetch(plan.id, PRODUCT).await?;
        Ok(bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
    }

    fn program(&self, rows: usize) -> Result<Program, StudyError> {
        let (spec, feed) = (self.trainer.spec(), self.trainer.feed());
        let mut program = Program::default();
        let graph = &mut program.graph;
        let index = graph.input(INDEX, &[rows], DType::U32, InputKind::Step)?;
        let batch = feed.gather(graph, index)?;
        let x = feed.standardise(graph, batch.x)?;
        let captured = model::capture_into(graph, &spec.model, feed.outputs(), x, Mode::Eval)
            .map_err(|error| StudyError::Other(error.to_string()))?;
        let Targets::Classes(labels) = batch.targets else {
            return Err(StudyError::Other("second derivatives are asked of classifiers here".into()));
        };
        let scores = classify(graph, &spec.objective, captured.logits, labels, None)?;
        let loss = graph.mean(scores.losses, &[0])?;
        let theta = graph.input(THETA, &[captured.layout.len()], DType::F32, InputKind::State)?;
        let vector = graph.input(VECTOR, &[captured.layout.len()], DType::F32, InputKind::Step)?;
        let products = match self.matrix {
            Matrix::Hessian => hvp(graph, loss, &[theta], &[vector])?,
            Matrix::GaussNewton => ggn(graph, loss, captured.logits, &[theta], &[vector])?,
        };
        program.outputs =
            products.into_iter().map(|node| Output { node, target: Target::Fetch(PRODUCT.into()) }).collect();
        Ok(program)
    }

    /// Nodes and weights of a quadrature of the spectral density as the start vector sees it, largest node first: `steps` of
    /// Lanczos' iteration, each direction made orthogonal to all before, twice, because f32 products leave copies of
    /// converged eigenvalues otherwise (Golub, Welsch 1969; Giraud et al. 2005).
    pub async fn ritz(&mut self, rows: &[u32], start: &[f32], steps: usize) -> Result<Vec<[f64; 2]>, StudyError> {
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let mut next: Vec<f64> = start.iter().map(|&x| f64::from(x)).collect();
        let (mut diagonal, mut off) = (Vec::new(), Vec::new());
        for step in 0..steps.min(start.len()) {
            let length = norm(&next);
            let scale = diagonal.iter().chain(&off).fold(0.0, |most: f64, x: &f64| most.max(x.abs()));
            // What is left below this is the rounding of f32 products.
            if length <= 1e-6 * scale || length == 0.0 {
                break;
            }
            if step > 0 {
                off.push(length);
            }
            next.iter_mut().for_each(|x| *x /= length);
            let vector: Vec<f32> = next.iter().map(|&x| x as f32).collect();
            basis.push(std::mem::take(&mut next));
            next = self.apply(rows, &vector).await?.into_iter().map(f64::from).collect();
            diagonal.push(dot(&next, &basis[step]));
            for _ in 0..2 {
                for known in &basis {
                    let along = dot(&next, known);
                    next.iter_mut().zip(known).for_each(|(x, y)| *x -= along * y);
                }
            }
        }
        let n = diagonal.len();
        let mut tridiagonal = vec![0.0; n * n];
        for k in 0..n {
            tridiagonal[k * n + k] = diagonal[k];
            if k + 1 < n {
                (tridiagonal[k * n + k + 1], tridiagonal[(k + 1) * n + k]) = (off[k], off[k]);
            }
        }
        let eigen =
            eigen(tridiagonal, n).ok_or_else(|| StudyError::Other("second derivatives are not finite".into()))?;
        Ok(eigen.values.into_iter().zip(eigen.vectors).map(|(value, vector)| [value, vector[0] * vector[0]]).collect())
    }
}

/// Standard normal vector number `index` under a seed.
pub fn gaussian(seed: u64, index: u32, size: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed, Stream::Probe, index);
    (0..size).map(|_| rng.normal()).collect()
}

/// Vector of +1 and -1 number `index` under a seed.
pub fn rademacher(seed: u64, index: u32, size: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed, Stream::Probe, index);
    (0..size).map(|_| if rng.u32() & 1 == 1 { 1.0 } else { -1.0 }).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuExecutor;
    use crate::data::{load, pack_file, read_pack_file};
    use crate::spec::{
        Activation, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
    };

    /// An MLP 64-32-10 on the digits whose step on all of them at rate 1 is its gradient.
    async fn trainer(train: usize) -> Trainer<AnyExecutor> {
        let spec = RunSpec {
            data: DataSpec { train, ..DataSpec::of(DataSet::Digits) },
            model: ModelSpec::Mlp(MlpSpec { hidden: vec![32], activation: Activation::Tanh, ..MlpSpec::default() }),
            optimizer: OptimizerSpec { kind: Rule::Sgd, weight_decay: 0.0, ..OptimizerSpec::default() },
            schedule: ScheduleSpec { kind: Shape::Constant, peak: 1.0, warmup: 0, ..ScheduleSpec::default() },
            batch: crate::spec::BatchSpec { size: 0, ..Default::default() },
            ..RunSpec::default()
        };
        let pack = read_pack_file(&pack_file(spec.data.set).unwrap()).unwrap();
        let data = std::rc::Rc::new(load(&spec.data, 1, Some(&pack)).unwrap());
        Trainer::new(AnyExecutor::Cpu(Box::new(CpuExecutor::new())), &spec, data).await.unwrap()
    }

    fn close(a: &[f32], b: &[f32], tolerance: f64) {
        let difference: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        let length: f64 = b.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>().sqrt();
        assert!(length > 0.0 && difference < tolerance * length, "{difference} of {length}");
    }

    /// Study 01, exact check 5.
    #[test]
    fn a_product_is_the_difference_of_gradients() {
        pollster::block_on(async {
            let mut trainer = trainer(200).await;
            let theta = trainer.theta().await.unwrap();
            let vector = gaussian(1, 0, theta.len());
            let step = 2e-3;
            let mut slopes = Vec::new();
            for side in [step, -step] {
                let moved: Vec<f32> = theta.iter().zip(&vector).map(|(x, v)| x + side * v).collect();
                trainer.set_theta(&moved).unwrap();
                trainer.step().await.unwrap();
                let after = trainer.theta().await.unwrap();
                slopes.push(moved.iter().zip(after).map(|(a, b)| a - b).collect::<Vec<f32>>());
            }
            let expected: Vec<f32> = slopes[0].iter().zip(&slopes[1]).map(|(a, b)| (a - b) / (2.0 * step)).collect();
            trainer.set_theta(&theta).unwrap();
            let rows: Vec<u32> = (0..200).collect();
            let found = Products::new(trainer, Matrix::Hessian).apply(&rows, &vector).await.unwrap();
            close(&found, &expected, 1e-3);
        });
    }

    /// Study 01, exact checks 2 to 4.
    #[test]
    fn batches_of_a_partition_average_to_all_data() {
        pollster::block_on(async {
            let mut products = Products::new(trainer(240).await, Matrix::Hessian);
            let rows: Vec<u32> = (0..240).collect();
            let vector = gaussian(2, 0, products.size());
            let whole = products.apply(&rows, &vector).await.unwrap();
            let backwards: Vec<u32> = rows.iter().rev().copied().collect();
            close(&products.apply(&backwards, &vector).await.unwrap(), &whole, 1e-5);
            let mut mean = vec![0.0; whole.len()];
            let mut tops = 0.0;
            for batch in rows.chunks(40) {
                let product = products.apply(batch, &vector).await.unwrap();
                mean.iter_mut().zip(&product).for_each(|(sum, x)| *sum += x / 6.0);
                tops += products.ritz(batch, &vector, 30).await.unwrap()[0][0] / 6.0;
            }
            close(&mean, &whole, 1e-5);
            let top = products.ritz(&rows, &vector, 30).await.unwrap()[0][0];
            assert!(tops >= top * (1.0 - 1e-4), "the largest eigenvalue is convex: {tops} against {top}");
        });
    }

    #[test]
    fn gauss_newton_has_no_negative_part_and_weights_sum_to_one() {
        pollster::block_on(async {
            let mut products = Products::new(trainer(100).await, Matrix::GaussNewton);
            let rows: Vec<u32> = (0..50).collect();
            let nodes = products.ritz(&rows, &gaussian(3, 0, products.size()), 30).await.unwrap();
            assert!(nodes.iter().all(|node| node[0] > -1e-5 * nodes[0][0]));
            assert!((nodes.iter().map(|node| node[1]).sum::<f64>() - 1.0).abs() < 1e-9);
        });
    }

    /// Study 01, exact check 5.
    #[test]
    fn probes_of_signs_estimate_a_frobenius_norm() {
        let a: Vec<f32> = gaussian(4, 0, 2500);
        let exact: f64 = a.iter().map(|x| f64::from(x * x)).sum();
        let mut sum = 0.0;
        for k in 0..2000 {
            let v = rademacher(5, k, 50);
            let square = |row: &[f32]| row.iter().zip(&v).map(|(a, v)| f64::from(a * v)).sum::<f64>().powi(2);
            sum += a.chunks(50).map(square).sum::<f64>() / 2000.0;
        }
        assert!((sum / exact - 1.0).abs() < 0.05, "{sum} against {exact}");
    }
}
