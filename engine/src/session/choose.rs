//! Which executor serves a session, and why.

use crate::cpu::CpuExecutor;
use crate::executor::{AnyExecutor, ExecError};
use crate::gpu::{GpuDevice, GpuExecutor, Request};
use crate::protocol::{Backend, BackendInfo};

fn cpu(reason: String, threads: usize) -> (AnyExecutor, BackendInfo) {
    let executor = CpuExecutor::with_threads(threads);
    let machine = if cfg!(target_arch = "wasm32") { "WebAssembly" } else { std::env::consts::ARCH };
    let adapter = match executor.threads() {
        1 => format!("1 thread, {machine}"),
        threads => format!("{threads} threads, {machine}"),
    };
    let info = BackendInfo { kind: Backend::Cpu, adapter, fallback: false, reason, limits: vec![] };
    (AnyExecutor::Cpu(Box::new(executor)), info)
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
/// CPU as well, only slower than the CPU executor. The CPU executor gets `threads`.
pub async fn choose_executor(wanted: Backend, threads: usize) -> Result<(AnyExecutor, BackendInfo), ExecError> {
    if wanted == Backend::Cpu {
        return Ok(cpu("the CPU was asked for".to_owned(), threads));
    }
    match GpuDevice::request(Request::Fastest).await {
        Ok(device) if wanted == Backend::Auto && device.is_software() => {
            let adapter = &device.preflight().adapter;
            let reason =
                format!("the only WebGPU adapter ({adapter}) is software, which is slower than the CPU executor");
            Ok(cpu(reason, threads))
        }
        Ok(device) => Ok(gpu(device)),
        Err(error) => Ok(cpu(format!("{error}; the CPU takes its place"), threads)),
    }
}
