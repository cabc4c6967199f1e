//! Plans on WebGPU: WGSL generated for each kernel, and the executor that records and submits them.
//!
//! - [`device`]: adapter, limits and what the page is told about them (preflight)
//! - [`executor`]: buffers, pipelines, submissions, readbacks; `flight`: what is submitted and not finished, `nudge`: so that
//!   Firefox notices when it is
//! - `kernel`: the text of any launch
//! - `wgsl`: a kernel's text: bindings, offsets and the elementary functions it needs
//! - `body`: straight-line code of a kernel's body
//! - `fused`, `matmul` (`quads`: on four lanes that share), `conv`, `pool`, `index`: one kernel family each
//!
//! Code and data are kept apart: places in memory reach a kernel through a uniform buffer of offsets, so that the
//! blocks of a model share their compiled kernels; shapes are baked into the text.

mod body;
mod conv;
mod device;
mod executor;
mod flight;
mod fused;
mod index;
mod kernel;
mod matmul;
#[cfg(target_arch = "wasm32")]
mod nudge;
mod pool;
mod quads;
mod timestamps;
mod wgsl;

pub use device::{Adapter, GpuDevice, Preflight, Request};
pub use executor::GpuExecutor;

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
pub(crate) use tests::executors as executors_for_tests;
