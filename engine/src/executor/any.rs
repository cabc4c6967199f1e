//! The executor chosen at run time.

use std::sync::Arc;

use super::{Counters, ExecError, Executor, PlanId, Profile, Run};
use crate::cpu::CpuExecutor;
use crate::gpu::GpuExecutor;
use crate::graph::plan::Plan;

/// One of the executors.
pub enum AnyExecutor {
    /// Plans on the CPU.
    Cpu(Box<CpuExecutor>),
    /// Plans on a GPU through WebGPU.
    Gpu(Box<GpuExecutor>),
}

/// Evaluates a call on whichever executor it is.
macro_rules! forward {
    ($self:ident, $executor:ident => $call:expr) => {
        match $self {
            AnyExecutor::Cpu($executor) => $call,
            AnyExecutor::Gpu($executor) => $call,
        }
    };
}

impl AnyExecutor {
    /// Loses the GPU device on purpose, to try the recovery. Does nothing on the CPU.
    pub fn lose_device(&mut self) {
        if let AnyExecutor::Gpu(executor) = self {
            executor.device().destroy();
        }
    }
}

impl Executor for AnyExecutor {
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExecError> {
        forward!(self, executor => executor.write(name, bytes))
    }

    fn write_at(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Result<(), ExecError> {
        forward!(self, executor => executor.write_at(name, offset, bytes))
    }

    async fn prepare(&mut self, plan: Arc<Plan>) -> Result<PlanId, ExecError> {
        forward!(self, executor => executor.prepare(plan).await)
    }

    fn release(&mut self, plan: PlanId) {
        forward!(self, executor => executor.release(plan));
    }

    fn forget(&mut self, name: &str) {
        forward!(self, executor => executor.forget(name));
    }

    fn reset(&mut self) {
        forward!(self, executor => executor.reset());
    }

    async fn first_non_finite(&mut self, run: Run<'_>) -> Result<Option<String>, ExecError> {
        forward!(self, executor => executor.first_non_finite(run).await)
    }

    async fn submit(&mut self, runs: &[Run<'_>]) -> Result<(), ExecError> {
        forward!(self, executor => executor.submit(runs).await)
    }

    async fn read(&mut self, name: &str) -> Result<Vec<u8>, ExecError> {
        forward!(self, executor => executor.read(name).await)
    }

    async fn fetch(&mut self, plan: PlanId, name: &str) -> Result<Vec<u8>, ExecError> {
        forward!(self, executor => executor.fetch(plan, name).await)
    }

    async fn metrics(&mut self, first: u64, count: usize) -> Result<Vec<f32>, ExecError> {
        forward!(self, executor => executor.metrics(first, count).await)
    }

    async fn wait(&mut self) -> Result<(), ExecError> {
        forward!(self, executor => executor.wait().await)
    }

    fn counters(&self) -> Counters {
        forward!(self, executor => executor.counters())
    }

    fn begin_profile(&mut self, clock: fn() -> f64) {
        forward!(self, executor => executor.begin_profile(clock));
    }

    fn end_profile(&mut self) -> Option<Profile> {
        forward!(self, executor => executor.end_profile())
    }
}
