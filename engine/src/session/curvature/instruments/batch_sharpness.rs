//! Batch sharpness: the curvature that single batches have along their own gradients.
//!
//! Source: Andreyev, Beneventano, "Edge of stochastic stability", 2024 (arXiv 2412.20553), definition 1:
//! `E[g_B . H_B g_B] / E[|g_B|^2]` over batches B. With momentum beta and rate eta it settles at `2 (1 - beta) / eta` where batches
//! are small and at `2 (1 + beta) / eta` where they are large (arXiv 2604.14108).

use serde::Serialize;

use super::super::figures::{Gauge, over_steps};
use super::super::reading::Reading;
use super::{Gauged, Tools};
use crate::executor::AnyExecutor;
use crate::figure::{Dash, Figure, Mark, Role, gap};
use crate::probe::{Operator, Point, dot, first_rows};
use crate::spec::{OptimizerSpec, Rule};
use crate::train::{TrainError, Trainer};
use crate::tree::FromTree;

/// Batches that it is a mean over.
pub(super) const BATCHES: usize = 8;

/// Where theory sees batch sharpness settle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, FromTree)]
pub struct Settles {
    /// With small batches.
    #[serde(with = "gap")]
    pub small: f64,
    /// With large ones.
    #[serde(with = "gap")]
    pub large: f64,
}

impl Settles {
    /// Of descent and heavy-ball momentum; none of other rules, of which the theory does not speak.
    pub fn of(optimizer: &OptimizerSpec, rate: f64) -> Option<Self> {
        let beta = match optimizer.kind {
            Rule::Sgd => 0.0,
            Rule::Momentum => optimizer.momentum,
            _ => return None,
        };
        (rate > 0.0).then(|| Settles { small: 2.0 * (1.0 - beta) / rate, large: 2.0 * (1.0 + beta) / rate })
    }
}

/// What the batches so far yield.
#[derive(Default)]
pub(super) struct BatchSharpness {
    curvatures: Vec<f64>,
    squares: Vec<f64>,
    samples: usize,
}

impl BatchSharpness {
    /// Measures a batch of that size: other examples than the batches before as long as there are.
    pub async fn measure(
        &mut self,
        number: usize,
        size: usize,
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
    ) -> Result<(), TrainError> {
        let rows = first_rows(trainer, size.saturating_mul(BATCHES));
        let size = size.min(rows.len());
        let batch: Vec<u32> = rows.iter().cycle().skip(number * size).take(size).copied().collect();
        let executor = trainer.executor_mut();
        let point = Point::Given(&tools.before.1);
        tools.landscape.go(executor, point).await?;
        let (_, gradient) = tools.landscape.gradient(executor, &batch).await?;
        tools.part.linearise(executor, point, &batch).await?;
        let product = tools.part.apply(executor, vec![gradient.clone()]).await?.concat();
        self.curvatures.push(dot(&gradient, &product));
        self.squares.push(dot(&gradient, &gradient));
        self.samples = rows.len().min((number + 1) * size);
        Ok(())
    }

    pub fn told(&self) -> Option<Gauged> {
        Some(Gauged::ratio(&self.curvatures, &self.squares, self.samples))
    }
}

pub(super) fn figure(readings: &[&Reading]) -> Figure {
    let settled = |label: &str, dash: Dash, of: fn(&Settles) -> f64| {
        let points = over_steps(readings, |reading| reading.told.settles.as_ref().map_or(f64::NAN, of));
        Mark::line(label, Role::Limit, dash, points)
    };
    let mut limits = vec![];
    // Without momentum both are one.
    if let Some(last) = readings.iter().rev().find_map(|reading| reading.told.settles) {
        limits.push(settled("2(1+β)/η", Dash::Dashed, |settles| settles.large));
        if last.small < last.large {
            limits.push(settled("2(1−β)/η", Dash::Dotted, |settles| settles.small));
        }
    }
    let meaning = match limits.len() {
        0 => {
            "curvature of a batch along its own gradient, mean of 8 batches; no level is known at which this rule settles"
        }
        1 => "curvature of a batch along its own gradient, mean of 8 batches; plain descent settles at the dashed line",
        _ => {
            "curvature of a batch along its own gradient, mean of 8 batches; momentum settles at the upper line with large \
             batches, at the lower one with small ones"
        }
    };
    Gauge { id: "batch-sharpness", title: "Batch sharpness", meaning, label: "batch sharpness", limits, shown: None }
        .over_steps(readings, |told| told.batch_sharpness)
}
