//! A program that an executor has made ready, and how its step inputs are filled.

use std::sync::Arc;

use super::{ExecError, Executor, PlanId};

use crate::graph::plan::Plan;
use crate::graph::{GraphError, Options, Program, compile, numel};

/// A compiled program on an executor.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// As the executor knows it.
    pub id: PlanId,
    /// What it runs.
    pub plan: Arc<Plan>,
}

impl Prepared {
    /// Compiles a program and makes it ready. Buffers that it names must have been written.
    pub async fn new<E, F>(executor: &mut E, program: &Program) -> Result<Self, F>
    where
        E: Executor,
        F: From<GraphError> + From<ExecError>,
    {
        let plan = Arc::new(compile(program, Options::default())?);
        let id = executor.prepare(plan.clone()).await?;
        Ok(Self { id, plan })
    }

    /// The words of a run's step inputs: `fill` is asked for each input by name and finds zeros.
    pub fn words(&self, mut fill: impl FnMut(&str, &mut [u32])) -> Vec<u32> {
        let mut words = vec![0; self.plan.step_words];
        for (input, offset) in self.plan.inputs.iter().zip(&self.plan.step_offsets) {
            if let Some(offset) = *offset {
                fill(&input.name, &mut words[offset..offset + numel(&input.shape)]);
            }
        }
        words
    }
}
