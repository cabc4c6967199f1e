//! Alpha: where an update lands on the parabola through the loss along it.
//!
//! Source: Schneider, Dangel, Hennig, "Cockpit: a practical debugging tool for the training of deep neural networks", NeurIPS
//! 2021 (arXiv 2102.06604), section 3.1. With the slopes `s0` before and `s1` after the update `d`, both along `d`, the parabola's
//! lowest point lies at `s0 / (s0 - s1)` of the way, and `alpha = -s1 / s0`: -1 at the start, 0 at the lowest point, 1 as high as
//! before on the other side. Both slopes are of the same examples' loss, so that no noise of batches is in it; its error is
//! that of the choice of examples.

use super::super::figures::{Gauge, level};
use super::super::reading::Reading;
use super::super::spectrum::NOISE_PARTS;
use super::{Gauged, Tools};
use crate::executor::AnyExecutor;
use crate::figure::Figure;
use crate::probe::Point;
use crate::train::{TrainError, Trainer};

/// Parts of the examples.
pub(super) const PARTS: usize = NOISE_PARTS;

/// Slopes of single examples along an update, before and after it.
#[derive(Default)]
pub(super) struct Alpha {
    before: Vec<f64>,
    after: Vec<f64>,
}

impl Alpha {
    /// Measures the slopes of a part of the examples.
    pub async fn measure(
        &mut self,
        part: usize,
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
    ) -> Result<(), TrainError> {
        let Some(after) = &tools.after else { return Ok(()) };
        let each = (tools.noise_rows.len() / PARTS).max(1);
        let Some(rows) = tools.noise_rows.chunks(each).nth(part) else { return Ok(()) };
        let update: Vec<f32> = after.iter().zip(&tools.before.1).map(|(after, before)| after - before).collect();
        let executor = trainer.executor_mut();
        for (theta, slopes) in [(&tools.before.1, &mut self.before), (after, &mut self.after)] {
            tools.landscape.go(executor, Point::Given(theta)).await?;
            slopes.extend(tools.landscape.slopes(executor, rows, &update).await?.into_iter().map(f64::from));
        }
        Ok(())
    }

    #[cfg(test)]
    pub fn set(&mut self, before: &[f64], after: &[f64]) {
        (self.before, self.after) = (before.to_vec(), after.to_vec());
    }

    /// Alpha; not a number where the loss of these examples does not fall along the update.
    pub fn told(&self) -> Option<Gauged> {
        let samples = self.before.len();
        let ratio = Gauged::ratio(&self.after, &self.before, samples);
        let falls = self.before.iter().sum::<f64>() < 0.0;
        Some(if falls { Gauged { value: -ratio.value, ..ratio } } else { Gauged { samples, ..Gauged::AWAITED } })
    }
}

pub(super) fn figure(readings: &[&Reading]) -> Figure {
    let figure = Gauge {
        id: "alpha",
        title: "Step on the parabola (α)",
        meaning: "0: at the lowest point along the step; 1: on the other side, as high as before; above 1 it overshoots; a gap: \
                  the step went uphill",
        label: "α",
        limits: vec![level("lowest point", 0.0), level("as high as before", 1.0)],
        shown: Some([-1.1, 1.2]),
    }
    .over_steps(readings, |told| told.alpha);
    let empty =
        if figure.empty.is_empty() { String::new() } else { "Measured of the first update after a reading.".into() };
    Figure { empty, ..figure }
}
