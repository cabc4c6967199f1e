//! What is said about benches.

use serde::Serialize;

use super::{Backend, Blob};
use crate::figure::{Figure, gap};
use crate::tree::FromTree;

/// A fixed workload to train. Answered by [`Event::Bench`](super::Event::Bench).
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct BenchCommand {
    /// Its name, `w1` to `w4`.
    pub workload: String,
    /// `cpu` or `webgpu`.
    pub backend: Backend,
    /// Steps after set-up and step 1.
    pub steps: u32,
    /// Configuration, optimizer, weights and batch to start from instead of the workload's own; JSON as the harness gave it.
    pub start: Option<Blob>,
    /// Steps after those that are timed launch by launch, for the row's profile; 0 for none.
    #[serde(default)]
    pub profiled: u32,
}

/// One workload on one executor, as defined with the bench workloads; times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct BenchRow {
    /// `w1` to `w4`.
    pub workload: String,
    /// `cpu` or `webgpu`; natively also `gpu` and `eager` (burn's autodiff on burn-flex).
    pub executor: String,
    /// Adapter or processor.
    pub adapter: String,
    /// Steps measured.
    pub steps: u32,
    /// Parameters.
    pub parameters: u64,
    /// Median of a step after warm-up.
    pub median_ms: f64,
    /// Fastest step.
    pub min_ms: f64,
    /// Slowest step.
    pub max_ms: f64,
    /// Host time a step: encoding and submitting, without waiting. Median.
    pub host_ms: f64,
    /// Step 1: tracing, planning, compiling and running.
    pub first_step_ms: f64,
    /// Of that, compiling shaders.
    pub compile_ms: f64,
    /// Dispatches a step.
    pub dispatches: u32,
    /// Submits a step.
    pub submits: u32,
    /// Buffers created a step.
    pub buffer_creations: u32,
    /// Peak bytes of buffers.
    pub peak_bytes: u64,
    /// The same as the plan predicted.
    pub predicted_bytes: u64,
    /// FLOP a step.
    pub flop: u64,
    /// Loss of step 1.
    #[serde(with = "gap")]
    pub first_loss: f64,
    /// Last loss read.
    #[serde(with = "gap")]
    pub last_loss: f64,
    /// Every loss read: step and loss.
    pub losses: Vec<(u64, f64)>,
    /// Median of the eager step over this one; only where both ran.
    pub eager_ratio: Option<f64>,
    /// Where a step goes, if that was asked for.
    pub profile: Option<Figure>,
}
