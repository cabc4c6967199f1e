//! Where the curvature ends stability: the learning rate at which the sharpest direction is at the largest eigenvalue
//! that the update rule bears (see [`stability`]).

use crate::executor::Executor;
use crate::optim::stability;
use crate::probe::{Algorithm, Curvature, Eigenpairs, Point, Scaled, Settings, first_rows, rule_scale, work};
use crate::spec::{Curved, OptimizerSpec};
use crate::train::{TrainError, Trainer};

/// Residual over the largest eigenvalue that is good enough for a place on a logarithmic axis, and that without which none
/// is drawn.
const TOLERANCE: [f64; 2] = [1e-2, 0.1];
/// Products at most, unless the recipe grants more: where negative curvature dominates, the largest eigenvalue is a small
/// one and takes long.
const MOST: usize = 120;
/// Number of the random vector to start from: after those of the curvature beside the run.
const START: u32 = 64;

/// A limit of the learning rate, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// Full-batch training at this curvature is stable up to a rate.
    Stable(StableRate),
    /// There is none to draw, for this reason: a sentence without its subject's article and full stop.
    Unknown(String),
}

/// The rate up to which full-batch training is stable: a multiple over the largest eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StableRate {
    /// The rate.
    pub rate: f64,
    /// What is divided by the eigenvalue: 2 for gradient descent, more with momentum.
    pub multiple: f64,
    /// The largest eigenvalue: of the matrix itself, or as the rule sees it.
    pub lambda: f64,
    /// Whether it is of the matrix as the rule sees it (see [`rule_scale`]).
    pub preconditioned: bool,
    /// Which matrix.
    pub operator: Curved,
    /// Training examples that it is a mean over.
    pub samples: usize,
    /// Training examples that there are.
    pub all: usize,
}

/// The search for the largest eigenvalue at the present parameters, in parts.
pub struct Search {
    curvature: Curvature,
    /// See [`rule_scale`].
    scale: Option<Vec<f32>>,
    pairs: Eigenpairs,
    begun: bool,
    operator: Curved,
    multiple: f64,
    /// Training examples that there are.
    all: usize,
}

impl Search {
    /// Fixes the parameters and what the rule `optimizer` divides by as they are now; the rule's bias
    /// correction counts as it is `updates` later; `samples`: examples to measure on, 0 = as the recipe has it. `None` if no theory says what the rule bears.
    pub async fn begin<E: Executor>(
        trainer: &mut Trainer<E>,
        optimizer: &OptimizerSpec,
        updates: u64,
        samples: usize,
    ) -> Result<Option<Self>, TrainError> {
        // Thresholds are a multiple over the rate.
        let bias = trainer.bias().advanced(optimizer, updates);
        let Some(multiple) = stability::threshold(optimizer, 1.0, &bias) else { return Ok(None) };
        let scale = rule_scale(trainer, optimizer).await?;
        let probes = trainer.recipe().probes.clone();
        let rows = first_rows(trainer, if samples > 0 { samples } else { probes.samples });
        let settings = Settings { micro: trainer.recipe().batch.micro, ..Settings::default() };
        let mut curvature = Curvature::new(trainer.spec(), trainer.feed(), probes.operator, settings, "range")?;
        let (size, seed, all) = (trainer.layout().len(), trainer.spec().seed, trainer.examples());
        curvature.linearise(trainer.executor_mut(), Point::Run, &rows).await?;
        let pairs = Eigenpairs::new(size, [1, 0], TOLERANCE[0], probes.products.max(MOST), &[], (seed, START));
        Ok(Some(Search { curvature, scale, pairs, begun: false, operator: probes.operator, multiple, all }))
    }

    /// Does a part of the work; yields the limit when it is known.
    pub async fn advance<E: Executor>(&mut self, executor: &mut E) -> Result<Option<Limit>, TrainError> {
        let (pairs, begun) = (&mut self.pairs, &mut self.begun);
        let done = match &self.scale {
            Some(scale) => work(pairs, &mut Scaled::new(&mut self.curvature, scale), begun, executor).await?,
            None => work(pairs, &mut self.curvature, begun, executor).await?,
        };
        Ok(done.then(|| self.limit()))
    }

    fn limit(&self) -> Limit {
        let (multiple, operator) = (self.multiple, self.operator);
        let pairs = self.pairs.record();
        let [lambda, residual] = pairs.largest.first().map_or([f64::NAN; 2], |pair| [pair.value, pair.residual]);
        let rate = multiple / lambda;
        if !pairs.converged && residual > TOLERANCE[1] * lambda.abs() {
            return Limit::Unknown(format!("{} products do not tell the largest eigenvalue", pairs.products));
        }
        if lambda > 0.0 && rate.is_finite() {
            let (preconditioned, samples, all) = (self.scale.is_some(), self.curvature.samples(), self.all);
            return Limit::Stable(StableRate { rate, multiple, lambda, preconditioned, operator, samples, all });
        }
        Limit::Unknown(format!("the {} curves upwards in no direction that was found", operator.label()))
    }

    /// Gives plans and buffers back.
    pub fn release<E: Executor>(&mut self, executor: &mut E) {
        self.curvature.release(executor);
    }
}
