//! Training: the loop that ties data, model, optimizer, schedule and executor together.
//!
//! ```text
//! RunSpec + DataSet --program.rs--> Programs --compile--> Plans --Trainer--> one submission a step
//! ```
//!
//! Everything that changes between steps is a step input (indices, sample weights, RNG key, hyper-parameters), so a
//! plan is compiled once per micro-batch size and replayed. A step of B examples runs `ceil(B / micro)` micro-batches;
//! places left over in the last one carry weight 0. The state of a run is its state buffers, two counters (updates
//! done, examples drawn) and what its batch policy has decided and its learning rate measured: checkpoints, rewinding and
//! resuming restore exactly these, so the numbers that follow are the same bit for bit.

mod auto_rate;
mod batch;
mod branch;
mod checkpoint;
mod curvature;
mod feed;
mod micro;
mod plateau;
mod program;
mod statistics;
#[cfg(test)]
mod tests;
mod trainer;
mod weights;

pub use batch::examples_needed;
pub use branch::Waiting;
pub use checkpoint::Checkpoint;
pub(crate) use curvature::{GRADIENT_AND_LOSS, Probed, SLOPES, product, vector};
pub use feed::{Feed, Targets};
pub(crate) use micro::{Parts, split as micro_batches};
pub use program::INDEX;
pub(crate) use program::{LOSSES, Programs, WEIGHT, accumulate};
pub use statistics::GradientStatistics;
pub use trainer::{Evaluation, StepMetrics, TrainError, Trainer, Value};
