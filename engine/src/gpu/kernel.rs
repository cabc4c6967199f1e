//! The shader of any launch.

use crate::executor::ExecError;
use crate::graph::plan::{Kernel, Launch, OpKernel, Plan};
use crate::graph::{Op, numel};

use super::device::Adapter;
use super::wgsl::Shader;
use super::{conv, fused, index, matmul, pool};

/// Generates a launch's shader for a kind of adapter; `None` where there is nothing to compute.
///
/// # Errors
/// [`ExecError::Compile`] for an operation that plans never launch as such; [`ExecError::Limit`] for too many workgroups.
pub(super) fn generate(plan: &Plan, launch: &Launch, adapter: Adapter) -> Result<Option<Shader>, ExecError> {
    let software = adapter.is_software();
    match &launch.kernel {
        Kernel::Fused(kernel) => fused::shader(plan, kernel, software),
        Kernel::Matmul(kernel) => matmul::shader(plan, kernel, adapter),
        Kernel::Op(kernel) if numel(&kernel.shape) == 0 => Ok(None),
        Kernel::Op(kernel) => operation(plan, kernel, software, &launch.label).map(Some),
    }
}

fn operation(plan: &Plan, kernel: &OpKernel, software: bool, label: &str) -> Result<Shader, ExecError> {
    match &kernel.op {
        Op::Conv2d(geometry) => conv::forward(plan, kernel, geometry, software),
        Op::Conv2dInputGrad { geometry, .. } => conv::input_grad(plan, kernel, geometry, software),
        Op::Conv2dKernelGrad(geometry) => conv::kernel_grad(plan, kernel, geometry, software),
        Op::MaxPool2d(geometry) => pool::forward(plan, kernel, geometry, false, software),
        Op::MaxPool2dIndex(geometry) => pool::forward(plan, kernel, geometry, true, software),
        Op::MaxPool2dScatter { geometry, .. } => pool::scatter(plan, kernel, geometry, software),
        Op::Gather { axis } => index::gather(plan, kernel, *axis, software),
        Op::ScatterAdd { axis, .. } => index::scatter_add(plan, kernel, *axis, software),
        Op::TakeRows => index::take_rows(plan, kernel, software),
        Op::AddRows { .. } => index::add_rows(plan, kernel, software),
        Op::TopK { k } => index::top_k(plan, kernel, *k),
        other => Err(ExecError::Compile { label: label.to_owned(), message: format!("no GPU kernel for {other:?}") }),
    }
}
