//! Small runs that the tests measure.

mod algorithms;
mod budget;
mod density;
mod products;
mod stability;

use std::rc::Rc;

use super::*;
use crate::data::{self, DataError};
use crate::executor::Executor;
use crate::spec::{
    Activation, ConvnetSpec, DataSet, DataSpec, GptSpec, MlpSpec, ModelSpec, Norm, RunSpec, TransformerSpec,
};
use crate::train::Trainer;

/// 40 digits of 4x4 pixels.
fn digits(model: ModelSpec) -> RunSpec {
    let data = DataSpec { size: 4, train: 40, test: 10, ..DataSpec::of(DataSet::Digits) };
    RunSpec { data, model, ..RunSpec::default() }
}

fn mlp(hidden: &[usize]) -> RunSpec {
    let activation = Activation::Tanh;
    digits(ModelSpec::Mlp(MlpSpec { hidden: hidden.to_vec(), activation, ..MlpSpec::default() }))
}

fn convnet() -> RunSpec {
    digits(ModelSpec::Convnet(ConvnetSpec { channels: vec![4, 6], norm: Norm::Batch, ..ConvnetSpec::default() }))
}

fn cct() -> RunSpec {
    let model = TransformerSpec { blocks: 1, width: 6, depth: 1, heads: 2, ratio: 1, ..TransformerSpec::cct() };
    digits(ModelSpec::Cct(model))
}

fn gpt() -> RunSpec {
    let data = DataSpec { train: 2000, test: 200, ..DataSpec::of(DataSet::Shakespeare) };
    let model = GptSpec { context: 5, width: 4, depth: 1, heads: 2, ratio: 1, tied: true, ..GptSpec::default() };
    RunSpec { data, model: ModelSpec::Gpt(model), ..RunSpec::default() }
}

fn load(spec: &RunSpec) -> Result<Rc<data::Data>, DataError> {
    let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose()?;
    Ok(Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?))
}

/// A run after some updates.
async fn trained<E: Executor>(executor: E, spec: &RunSpec, steps: usize) -> Trainer<E> {
    let mut trainer = Trainer::new(executor, spec, load(spec).unwrap()).await.unwrap();
    for _ in 0..steps {
        trainer.step().await.unwrap();
    }
    trainer
}

/// The first training examples.
fn rows<E: Executor>(trainer: &Trainer<E>, count: usize) -> Vec<u32> {
    let mut rows = trainer.feed().train_rows(trainer.data());
    rows.truncate(count);
    rows
}

/// Products of a matrix of the run as it is now.
async fn products<E: Executor>(
    trainer: &mut Trainer<E>,
    curved: Curved,
    settings: Settings,
    rows: &[u32],
    vectors: Vec<Vec<f32>>,
) -> Vec<Vec<f32>> {
    let mut matrix = Curvature::new(trainer.spec(), trainer.feed(), curved, settings, "test").unwrap();
    let executor = trainer.executor_mut();
    matrix.linearise(executor, Point::Run, rows).await.unwrap();
    let products = matrix.apply(executor, vectors).await.unwrap();
    matrix.release(executor);
    products
}

async fn solve<A: Algorithm, E: Executor>(mut algorithm: A, matrix: &mut Curvature, executor: &mut E) -> A::Record {
    run(&mut algorithm, matrix, executor).await.unwrap()
}

/// Length of the difference over the length of what is expected.
fn error<A: Copy + Into<f64>, B: Copy + Into<f64>>(found: &[A], expected: &[B]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let difference = |(&a, &b): (&A, &B)| -> f64 {
        let (a, b): (f64, f64) = (a.into(), b.into());
        a - b
    };
    let away: Vec<f64> = found.iter().zip(expected).map(difference).collect();
    norm(&away) / norm(expected)
}
