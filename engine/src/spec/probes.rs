//! What is measured while the network learns. Probes never change the numbers of a run.

use serde::Serialize;

use super::choices;
use crate::tree::FromTree;

choices! {
    /// A symmetric matrix of second derivatives, `[P, P]`. All are weighted sums over examples.
    #[derive(Default)]
    pub enum Curved {
        /// Second derivatives of the loss.
        #[default]
        Hessian = "hessian", "Hessian";
        /// Generalised Gauss-Newton: what is left when the network is replaced by its linearisation. Positive
        /// semi-definite; for cross-entropy the true Fisher information.
        GaussNewton = "ggn", "Gauss–Newton";
        /// Empirical Fisher: sum of the squares of single examples' gradients.
        Fisher = "fisher", "empirical Fisher";
    }
}

/// How often and how much is measured beside training.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(default)]
pub struct ProbesSpec {
    /// Steps between evaluations on the test set; 0 = only at the end.
    pub evaluate: u64,
    /// Test examples in an evaluation while the run goes on, the same ones every time; 0 = all. At the end it is always all.
    pub tested: usize,
    /// Steps between looks inside (attention, filters, hardest samples, ...); 0 = only when asked.
    pub look: u64,
    /// Steps between measurements of the curvature; 0 = only when asked.
    pub curvature: u64,
    /// Which matrix is measured.
    pub operator: Curved,
    /// Training examples that it is taken over.
    pub samples: usize,
    /// Products with each probe vector: Lanczos steps.
    pub products: usize,
    /// Largest share of time spent on probes, 0..=0.9; looks and curvature give way to evaluations.
    pub share: f64,
    /// Instruments beside the spectrum, read with it, each off until asked for. Where an update lands on the parabola along it.
    pub alpha: bool,
    /// Signal over noise of the gradient, by layer.
    pub signal: bool,
    /// The batch size that CABS would take.
    pub cabs: bool,
    /// Whether the gradient is nothing but noise.
    pub stopping: bool,
    /// Histograms of gradient elements.
    pub elements: bool,
    /// Curvature that single batches have along their own gradients.
    pub batch_sharpness: bool,
    /// Norms of the Hessian's blocks.
    pub blocks: bool,
    /// How much the loss rises when all weights are moved at random.
    pub perturbation: bool,
}

impl ProbesSpec {
    /// Whether any of the instruments is asked for.
    #[must_use]
    pub fn instruments(&self) -> bool {
        let Self { alpha, signal, cabs, stopping, elements, batch_sharpness, blocks, perturbation, .. } = *self;
        alpha || signal || cabs || stopping || elements || batch_sharpness || blocks || perturbation
    }
}

impl Default for ProbesSpec {
    fn default() -> Self {
        Self {
            evaluate: 50,
            tested: 500,
            look: 50,
            curvature: 50,
            operator: Curved::Hessian,
            samples: 32,
            products: 20,
            share: 0.22,
            alpha: false,
            signal: false,
            cabs: false,
            stopping: false,
            elements: false,
            batch_sharpness: false,
            blocks: false,
            perturbation: false,
        }
    }
}
