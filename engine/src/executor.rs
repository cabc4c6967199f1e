//! Running plans: one interface over the CPU and the GPU executor.
//!
//! An executor holds named buffers (states, tables) and prepared plans. A submission is a list of runs: the
//! micro-batches of a step and its update go to the device as one submission.

mod any;
mod prepared;
mod profile;

pub use any::AnyExecutor;
pub use prepared::Prepared;
pub use profile::{Profile, Timed};

use std::sync::Arc;

use crate::graph::plan::Plan;

/// A plan prepared by an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanId(pub usize);

/// One run of a plan within a submission.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Which plan.
    pub plan: PlanId,
    /// Step inputs in declaration order as raw words (f32 by their bits); [`Plan::step_words`] of them.
    pub words: &'a [u32],
    /// Row of the metrics ring that the run writes; taken modulo the ring's size.
    pub row: u64,
}

/// Counters since the executor was made. Differences between two readings tell the cost of what lies between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Kernel launches.
    pub dispatches: u64,
    /// Launches that several threads shared (CPU).
    pub shared: u64,
    /// Queue submissions (CPU: calls of `submit`).
    pub submits: u64,
    /// Buffers created on the device (CPU: allocations of buffers and arenas).
    pub buffer_creations: u64,
    /// Bytes uploaded by the host.
    pub bytes_uploaded: u64,
    /// Bytes read back.
    pub bytes_read: u64,
    /// Bytes of all live buffers and arenas now.
    pub bytes_held: u64,
    /// Largest value that `bytes_held` had.
    pub bytes_peak: u64,
}

/// Rows of the metrics ring; more steps than this may not pass between two readings.
pub const RING_ROWS: usize = 1024;

/// Columns of the metrics ring.
pub const RING_COLUMNS: usize = 8;

/// Something went wrong while preparing or running.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExecError {
    /// No device fits.
    #[error("no WebGPU adapter: {0}")]
    NoAdapter(String),
    /// The device is gone; all buffers are lost.
    #[error("the GPU device was lost: {0}")]
    DeviceLost(String),
    /// A shader or pipeline was refused.
    #[error("kernel {label}: {message}")]
    Compile {
        /// The launch's label.
        label: String,
        /// What the compiler said.
        message: String,
    },
    /// A buffer has another size than a plan or a caller expects.
    #[error("buffer {name}: {reason}")]
    Buffer {
        /// Its name.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A request exceeds a limit of the device.
    #[error("beyond the device's limits: {0}")]
    Limit(String),
    /// The device refused an operation.
    #[error("{0}")]
    Device(String),
}

/// Words as executors give them: their bytes, little end first.
pub(crate) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word))
}

/// Numbers, likewise.
#[must_use]
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    words(bytes).map(f32::from_bits).collect()
}

/// Refuses a plan that reaches beyond its memory: what every executor checks before it makes one ready.
pub(crate) fn check(plan: &Plan) -> Result<(), ExecError> {
    if plan.metrics > RING_COLUMNS {
        return Err(ExecError::Limit(format!("{} metrics, the ring has {RING_COLUMNS}", plan.metrics)));
    }
    let reason = "reaches beyond a buffer".to_owned();
    plan.out_of_bounds().map_or(Ok(()), |launch| Err(ExecError::Buffer { name: launch.label.clone(), reason }))
}

/// What every executor does. Methods that wait for the device are asynchronous; in a browser nothing may block.
#[allow(async_fn_in_trait, reason = "executors are single-threaded; no caller needs Send futures")]
pub trait Executor {
    /// Creates or replaces the contents of a named buffer (state or table), as raw bytes, little end first. A buffer of the
    /// same size is reused.
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExecError>;

    /// Replaces the part of a named buffer from byte `offset` on; both offset and length are multiples of 4. What was
    /// submitted before still sees the old contents. Only these bytes are uploaded, and counted.
    fn write_at(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Result<(), ExecError>;

    /// Makes a plan ready: allocates its arena, compiles its kernels. Buffers that it names must have been
    /// written. Equal plans share their compiled kernels.
    async fn prepare(&mut self, plan: Arc<Plan>) -> Result<PlanId, ExecError>;

    /// Frees a prepared plan's arena.
    fn release(&mut self, plan: PlanId);

    /// Frees a named buffer, if there is one. Plans that name it can run again once it has been written anew and they have
    /// been prepared anew; until then their runs are errors.
    fn forget(&mut self, name: &str);

    /// Drops every buffer and plan; compiled kernels stay for the next run.
    fn reset(&mut self);

    /// Runs `run` launch by launch and names the first launch (its label) that wrote a NaN or an infinity, if any.
    /// States are overwritten as by `submit`.
    async fn first_non_finite(&mut self, run: Run<'_>) -> Result<Option<String>, ExecError>;

    /// Enqueues runs, in order, as one submission. Waits only where more than two submissions would be in flight.
    async fn submit(&mut self, runs: &[Run<'_>]) -> Result<(), ExecError>;

    /// Bytes of a named buffer after everything submitted.
    async fn read(&mut self, name: &str) -> Result<Vec<u8>, ExecError>;

    /// A fetched value of a plan's last run, as raw bytes.
    async fn fetch(&mut self, plan: PlanId, name: &str) -> Result<Vec<u8>, ExecError>;

    /// Rows `first .. first + count` of the metrics ring, [`RING_COLUMNS`] wide, after everything submitted.
    async fn metrics(&mut self, first: u64, count: usize) -> Result<Vec<f32>, ExecError>;

    /// Waits until everything submitted has finished.
    async fn wait(&mut self) -> Result<(), ExecError>;

    /// Counters since the executor was made.
    fn counters(&self) -> Counters;

    /// Begins a profile: what is submitted from now on is timed launch by launch, which makes it slower. `clock` counts
    /// milliseconds.
    fn begin_profile(&mut self, clock: fn() -> f64);

    /// Ends the profile that was begun last, if one was.
    fn end_profile(&mut self) -> Option<Profile>;
}
