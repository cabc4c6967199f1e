//! Which executor serves a session, and why.

use crate::cpu::CpuExecutor;
use crate::executor::{AnyExecutor, ExecError};
use crate::gpu::{GpuDevice, GpuExecutor, Request};
use crate::protocol::{Backend, BackendInfo};

fn cpu(reason: String) -> (AnyExecutor, BackendInfo) {
    let adapter = if cfg!(target_arch = "wasm32") { "WebAssembly with 128-bit SIMD" } else { std::env::consts::ARCH };
    let info = BackendInfo { kind: Backend::Cpu, adapter: adapter.to_owned(), fallback: false, reason, limits: vec![] };
    (AnyExecutor::Cpu(Box::new(CpuExecutor::new())), info)
}

fn gpu(device: GpuDevice) -> (AnyExecutor, BackendInfo) {
    let preflight = device.preflight();
    let info = BackendInfo {
        kind: Backend::Webgpu,
        adapter: preflight.adapter.clone(),
        fallback: preflight.fallback,
        reason: preflight.reason.clone(),
        limits: preflight.limits.clone(),
    };
    (AnyExecutor::Gpu(Box::new(GpuExecutor::new(device))), info)
}

/// The executor wanted, or the CPU in its place. `Auto` takes a GPU that is real: a software adapter computes on the
/// CPU as well, only slower than the CPU executor.
pub async fn choose_executor(wanted: Backend) -> Result<(AnyExecutor, BackendInfo), ExecError> {
    if wanted == Backend::Cpu {
        return Ok(cpu("the CPU was asked for".to_owned()));
    }
    match GpuDevice::request(Request::Fastest).await {
        Ok(device) if wanted == Backend::Auto && device.is_software() => {
            let adapter = &device.preflight().adapter;
            Ok(cpu(format!("the only WebGPU adapter ({adapter}) is software, which is slower than the CPU executor")))
        }
        Ok(device) => Ok(gpu(device)),
        Err(error) => Ok(cpu(format!("{error}; the CPU takes its place"))),
    }
}
