//! All states of a play at one moment.

use std::collections::BTreeMap;

use crate::optim::Bias;

/// All states of a play at one moment, and how far it was: what [`super::Play::restore`] goes back to, with the numbers
/// that follow the same bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Contents by state.
    pub(super) states: BTreeMap<String, Vec<u8>>,
    /// By net.
    pub(super) biases: BTreeMap<String, Bias>,
    /// Runs of each step.
    pub(super) runs: Vec<u64>,
}
