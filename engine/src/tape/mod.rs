//! A whole step written in burn: a study, a page or a probe writes what a step computes over its own modules; the tape
//! records it, differentiates it, and gives a program that both executors run.
//!
//! ```ignore
//! let step = trace("critic", Mode::Train, |tape| {
//!     let real = tape.rows(&images, "index", [64, 784]);
//!     let critic = tape.net("critic", |builder| Critic::new(builder));
//!     let loss = softplus(critic.forward(real)).mean();
//!     tape.minimise("critic", &loss, &adam);
//!     tape.metric("loss", &loss);
//!     Ok(())
//! })?;
//! let mut play = context.play(seed).await?;
//! play.table(&images, Words::Bytes(&pixels))?;
//! let step = play.add(step).await?;
//! play.rate("critic", 1e-3)?;
//! play.run(step, &[("index", Words::Classes(&rows))]).await?;
//! ```
//!
//! - What burn records has no derivatives: a gradient is an operation of ours in the recording ([`Tape::grad`]), resolved
//!   by the graph's reverse mode when the recording is appended. So a gradient is a tensor like any other.
//! - All reads of a step come before its writes: every gradient is taken at the parameters as they were when it began.
//! - A net's states and step inputs carry its name (`critic.theta`, `critic.adam.m`, `critic.key`): two nets share nothing.

mod append;
mod breath;
mod model;
mod net;
mod play;
mod read;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use breath::{Breathe, Breathless, PlayError};
pub use model::{Captured, Given, capture_into, capture_used};
pub use net::Net;
pub use play::{Home, Play, StepId};
pub use snapshot::Snapshot;
pub use table::Table;
pub use words::Words;
pub use write::Tape;

pub(crate) use append::append;

use crate::executor::RING_COLUMNS;
use crate::graph::{GraphError, NodeId, Program, Saved, saved};
use crate::model::{Mode, ModelError};

/// A recorded step.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Which step it is: names it in messages, and its draws are its own.
    pub name: &'static str,
    /// What an executor runs.
    pub program: Program,
    /// The nets that it names, in order.
    pub nets: Vec<Net>,
    /// The tables that it reads.
    pub tables: Vec<Table>,
    /// The columns of the metrics ring that it writes.
    pub metrics: Vec<&'static str>,
    /// Losses, and their gradients.
    gradients: Vec<[NodeId; 2]>,
}

impl Traced {
    /// What the step's backward passes read of its forward passes, by the format in which it is kept. In a step inside a
    /// step the inner backward pass is part of the outer forward pass.
    pub fn saved(&self) -> Saved {
        let (losses, gradients): (Vec<NodeId>, Vec<NodeId>) = self.gradients.iter().map(|&[a, b]| (a, b)).unzip();
        saved(&self.program.graph, &losses, &gradients)
    }
}

/// Records a step. `mode`: how layers behave that differ between training and inference ([`Tape::pass`]).
///
/// # Errors
/// What `write` returns; names that are declared twice with different meanings or not at all; operations without a
/// counterpart in the graph; more metrics than the ring has columns.
pub fn trace(
    name: &'static str,
    mode: Mode,
    write: impl FnOnce(&mut Tape) -> Result<(), ModelError>,
) -> Result<Traced, ModelError> {
    let mut program = Program::default();
    let (appended, ()) = append(&mut program.graph, mode, write)?;
    if appended.metrics.len() > RING_COLUMNS {
        let reason = format!("{} metrics; the ring has {RING_COLUMNS} columns", appended.metrics.len());
        return Err(GraphError::Shape { op: name.to_owned(), reason }.into());
    }
    for net in &appended.nets {
        for running in &net.changed {
            program.keep(&net.net.layout.name(&running.name), running.value)?;
        }
        if let Some(update) = &net.update {
            update.keep(&mut program, &net.net.layout)?;
        }
    }
    for (state, node) in &appended.kept {
        program.keep(state, *node)?;
    }
    for (column, (_, node)) in appended.metrics.iter().enumerate() {
        program.metric(column, *node);
    }
    for (name, node) in &appended.fetched {
        program.fetch(name, *node);
    }
    Ok(Traced {
        name,
        program,
        nets: appended.nets.into_iter().map(|net| net.net).collect(),
        tables: appended.tables,
        metrics: appended.metrics.into_iter().map(|(name, _)| name).collect(),
        gradients: appended.gradients,
    })
}
