//! What is measured while the network learns. Probes never change the numbers of a run.

use serde::{Deserialize, Serialize};

/// How often and how much is measured beside training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbesSpec {
    /// Steps between evaluations on the test set; 0 = only at the end.
    pub evaluate: u64,
    /// Steps between looks inside (attention, filters, hardest samples, ...); 0 = only when asked.
    pub look: u64,
    /// Largest share of time spent on probes, 0..=0.9.
    pub share: f64,
}

impl Default for ProbesSpec {
    fn default() -> Self {
        Self { evaluate: 50, look: 50, share: 0.2 }
    }
}
