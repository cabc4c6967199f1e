//! Named buffers and plans of one probe on the executor of a run, all under a prefix of their own.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Point, RowLoss};
use crate::executor::{Executor, PlanId, Prepared, Run};
use crate::graph::plan::Plan;
use crate::graph::{DType, GraphError, InputKind, Options, Program, compile, numel, part};
use crate::train::{Parts, TrainError, accumulate};

/// What a probe holds on an executor, to be given back.
#[derive(Debug)]
pub(super) struct Workspace {
    prefix: String,
    states: BTreeSet<String>,
    plans: Vec<PlanId>,
}

impl Workspace {
    /// Nothing yet. Two workspaces on one executor need different prefixes.
    pub fn new(prefix: &str) -> Self {
        Workspace { prefix: prefix.to_owned(), states: BTreeSet::new(), plans: Vec::new() }
    }

    /// The buffer that stands for a state of a probe's program.
    pub fn name(&self, state: &str) -> String {
        format!("{}.{state}", self.prefix)
    }

    /// Makes a program ready with states of this workspace in place of its own. States that are new are zeros.
    pub async fn prepare<E: Executor>(&mut self, executor: &mut E, program: &Program) -> Result<Prepared, TrainError> {
        let mut plan = compile(&part(program, |_| true)?, Options::default())?;
        for input in plan.inputs.iter_mut().filter(|input| input.kind == InputKind::State) {
            input.name = self.name(&input.name);
        }
        self.ready(executor, plan).await
    }

    /// Plans that make the workspace's copies of a loss's states what these are on the executor.
    pub async fn snapshot<E: Executor>(&mut self, executor: &mut E, loss: &RowLoss) -> Result<Snapshot, TrainError> {
        let mut plans = Vec::with_capacity(loss.states().len());
        for (state, shape) in loss.states() {
            let own = self.name(state);
            plans.push(self.copy(executor, state, &own, shape, DType::F32).await?);
        }
        let theta = loss.states().first().map(|(theta, _)| self.name(theta)).unwrap_or_default();
        Ok(Snapshot { theta, size: loss.size(), plans })
    }

    /// A plan that copies one buffer into another.
    pub async fn copy<E: Executor>(
        &mut self,
        executor: &mut E,
        from: &str,
        to: &str,
        shape: &[usize],
        dtype: DType,
    ) -> Result<Prepared, TrainError> {
        let mut program = Program::default();
        let value = program.graph.input(from, shape, dtype, InputKind::State)?;
        program.keep(to, value)?;
        let plan = compile(&program, Options::default())?;
        self.ready(executor, plan).await
    }

    async fn ready<E: Executor>(&mut self, executor: &mut E, plan: Plan) -> Result<Prepared, TrainError> {
        let own = self.name("");
        for input in plan.inputs.iter().filter(|input| input.kind == InputKind::State && input.name.starts_with(&own)) {
            if self.states.insert(input.name.clone()) {
                executor.write(&input.name, &vec![0; numel(&input.shape) * input.dtype.bytes()])?;
            }
        }
        let plan = Arc::new(plan);
        let id = executor.prepare(plan.clone()).await?;
        self.plans.push(id);
        Ok(Prepared { id, plan })
    }

    /// Frees all buffers and plans.
    pub fn release<E: Executor>(&mut self, executor: &mut E) {
        for plan in self.plans.drain(..) {
            executor.release(plan);
        }
        for state in std::mem::take(&mut self.states) {
            executor.forget(&state);
        }
    }
}

/// See [`Workspace::snapshot`].
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The workspace's copy of the parameters.
    theta: String,
    size: usize,
    /// A plan a state, the parameters' first.
    plans: Vec<Prepared>,
}

impl Snapshot {
    /// Copies the states as they are, the parameters by `point`.
    pub async fn take<E: Executor>(&self, executor: &mut E, point: Point<'_>) -> Result<(), TrainError> {
        let given = match point {
            Point::Run => 0,
            Point::Given(theta) if theta.len() == self.size => {
                executor.write(&self.theta, bytemuck::cast_slice(theta))?;
                1
            }
            Point::Given(theta) => {
                return Err(TrainError::Spec(format!("{} parameters for a model of {}", theta.len(), self.size)));
            }
        };
        let runs: Vec<Run<'_>> =
            self.plans.iter().skip(given).map(|plan| Run { plan: plan.id, words: &[], row: 0 }).collect();
        if !runs.is_empty() {
            executor.submit(&runs).await?;
        }
        Ok(())
    }
}

/// State that holds the sum of a state over chunks.
pub(super) fn total(state: &str) -> String {
    format!("{state}.total")
}

/// Adds a state of a shape to its total, which starts anew where the step input `keep` is 0.
pub(super) fn sum_over_chunks(state: &str, shape: &[usize]) -> Result<Program, GraphError> {
    let mut program = Program::default();
    let part = program.graph.input(state, shape, DType::F32, InputKind::State)?;
    accumulate(&mut program, &total(state), part)?;
    Ok(program)
}

/// Step inputs of a plan, for each of these parts of `rows`; every row weighs the same.
pub(super) fn chunk_words(plan: &Prepared, rows: &[u32], parts: Parts) -> Vec<Vec<u32>> {
    (0..parts.runs).map(|run| plan.words(|name, slot| parts.fill(run, rows, name, slot))).collect()
}
