//! Functions of burn tensors: captured and eager, their derivatives three ways, and on the executors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::TensorData;

use super::super::*;
use super::Plain;
use crate::cpu::CpuExecutor;
use crate::cpu::tests::{assert_close, on, on_reference};
use crate::gpu::{GpuExecutor, executors_for_tests as executors};
use crate::graph::differences::{assert_slope, draw, slopes, weighted};
use crate::graph::reference::{Inputs, evaluate};

/// What a gradient is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Against {
    /// burn's autodiff and differences.
    Both,
    /// Differences alone: burn has no gradient, or another convention.
    Differences,
    /// burn's autodiff alone: the function has jumps, or f32 steps in f64.
    Autodiff,
    /// Nothing: the function is flat.
    Nothing,
}

/// A function of a flat tensor with `length` elements in a range.
pub struct Case {
    pub name: &'static str,
    pub length: usize,
    pub range: (f64, f64),
    pub against: Against,
    pub f: fn(Tensor<1>) -> Tensor<1>,
}

/// A case held against both.
pub const fn case(name: &'static str, length: usize, f: fn(Tensor<1>) -> Tensor<1>) -> Case {
    Case { name, length, range: (-1.3, 1.4), against: Against::Both, f }
}

impl Case {
    pub const fn within(self, low: f64, high: f64) -> Self {
        Case { range: (low, high), ..self }
    }

    pub const fn against(self, against: Against) -> Self {
        Case { against, ..self }
    }
}

/// The graph of a function of `x`.
pub fn captured(length: usize, f: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Result<(Graph, NodeId, NodeId), GraphError> {
    let (recording, (x, y)) = record(|device| {
        let x = Tensor::<1>::empty([length], device);
        let id = value_id(&x);
        (id, value_id(&f(x)))
    })?;
    let mut graph = Graph::new();
    let node = graph.input("x", &[length], DType::F32, InputKind::State)?;
    let bound = Bound { node, net: String::new(), module: "net".to_owned() };
    let nodes = recording.append(&mut graph, &BTreeMap::from([(x.unwrap(), bound)]), &mut Plain)?;
    Ok((graph, node, nodes[&y.unwrap()]))
}

/// Holds every case against eager burn, its gradient as the case says, forward mode against reverse mode, and both
/// executors against the reference. Says of all cases which fail, not of the first alone.
pub fn agree(cases: &[Case]) {
    let mut gpus = executors();
    let failed: Vec<&str> = cases
        .iter()
        .filter(|case| catch_unwind(AssertUnwindSafe(|| hold(case, &mut gpus))).is_err())
        .map(|case| case.name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

fn hold(case: &Case, gpus: &mut [GpuExecutor]) {
    let (mut graph, x, y) = captured(case.length, case.f).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let values: Vec<f32> =
        draw(case.length, case.range.0, case.range.1, 5).into_iter().map(|value| value as f32).collect();
    let mut inputs = Inputs::from([("x".into(), values.iter().map(|&v| f64::from(v)).collect())]);
    let eager = Tensor::<1>::from_data(TensorData::new(values.clone(), [case.length]), &Device::flex());
    let eager: Vec<f32> = (case.f)(eager).into_data().try_to_vec().unwrap();
    close(case.name, "value", &evaluate(&graph, &inputs, &[y])[0], &eager);

    let loss = weighted(&mut graph, y, 10);
    let g = grad::grad(&mut graph, loss, &[x]).unwrap()[0];
    let exact = evaluate(&graph, &inputs, &[g]).remove(0);
    if matches!(case.against, Against::Both | Against::Autodiff) {
        close(case.name, "gradient", &exact, &autodiff(case, &values));
    }
    if matches!(case.against, Against::Both | Against::Differences) {
        for (i, &exact) in exact.iter().enumerate() {
            let mut along = vec![0.0; case.length];
            along[i] = 1.0;
            let slope = slopes(&graph, &inputs, loss, &Inputs::from([("x".into(), along)]))[0];
            assert_slope(exact, slope, format_args!("{}, element {i}", case.name));
        }
    }
    let direction = graph.input("v", &[case.length], DType::F32, InputKind::State).unwrap();
    let tangents = jvp::jvp(&mut graph, &[y, loss], &[x], &[direction]).unwrap();
    let along = draw(case.length, -1.0, 1.0, 6);
    inputs.insert("v".into(), along.clone());
    let dot: f64 = exact.iter().zip(&along).map(|(g, v)| g * v).sum();
    assert_slope(evaluate(&graph, &inputs, &[tangents[1]])[0][0], dot, format_args!("{}, forward mode", case.name));

    let outputs = [("y", y), ("g", g), ("moved", tangents[0])];
    let outputs = outputs.map(|(name, node)| Output { node, target: Target::Fetch(name.into()) }).to_vec();
    let program = Program { graph, outputs };
    let wanted = on_reference(&program, &inputs, 1);
    println!("{}: executors", case.name);
    assert_close(&on(&mut CpuExecutor::new(), &program, &inputs, Options::default(), 1), &wanted, 3e-5);
    for gpu in gpus {
        assert_close(&on(gpu, &program, &inputs, Options::default(), 1), &wanted, 3e-5);
    }
}

fn autodiff(case: &Case, values: &[f32]) -> Vec<f32> {
    let device = Device::flex().autodiff();
    let x = Tensor::<1>::from_data(TensorData::new(values.to_vec(), [case.length]), &device).require_grad();
    let y = (case.f)(x.clone());
    let count = y.dims()[0];
    let weights: Vec<f32> = draw(count, -1.0, 1.0, 10).into_iter().map(|value| value as f32).collect();
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [count]), &device);
    let gradients = (y * weights).sum().backward();
    x.grad(&gradients).unwrap().into_data().try_to_vec().unwrap()
}

fn close(name: &str, what: &str, ours: &[f64], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{name}: {what}");
    let scale = theirs.iter().fold(1e-2f64, |most, v| most.max(f64::from(v.abs())));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let error = (a - f64::from(*b)).abs() / scale;
        assert!(error < 2e-5, "{name}: {what} {i}: {a} against {b}");
    }
}
