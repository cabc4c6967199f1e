//! How successive updates of the parameters point: the cosine between each and the next.

use engine::numeric::cosine;

use super::{At, Gauge};
use crate::{Curve, StudyError, Task};

/// Mean cosine between each of the last updates before a stop and the next.
pub const UPDATE_COSINE: Curve = Curve::new("update_cosine", "");

/// Measures [`UPDATE_COSINE`] over the last updates before each stop.
#[derive(Clone, Debug, Default)]
pub struct Alignment {
    updates: u64,
    theta: Vec<f32>,
    update: Vec<f64>,
    cosines: Vec<f64>,
}

impl Alignment {
    /// Over so many updates, at least 2.
    #[must_use]
    pub fn over(updates: u64) -> Box<dyn Gauge> {
        Box::new(Self { updates: updates.max(2), ..Self::default() })
    }

    /// Takes in the parameters after one more update.
    fn push(&mut self, theta: Vec<f32>) {
        if self.theta.len() == theta.len() {
            let update: Vec<f64> =
                theta.iter().zip(&self.theta).map(|(new, old)| f64::from(*new) - f64::from(*old)).collect();
            if !self.update.is_empty() {
                self.cosines.push(cosine(&self.update, &update));
            }
            self.update = update;
        }
        self.theta = theta;
    }

    /// Mean cosine between each update and the next; none of fewer than two updates, or where one was zero.
    fn mean_cosine(&self) -> Option<f64> {
        let mean = self.cosines.iter().sum::<f64>() / self.cosines.len() as f64;
        mean.is_finite().then_some(mean)
    }
}

impl Gauge for Alignment {
    fn fresh(&self) -> Box<dyn Gauge> {
        Self::over(self.updates)
    }

    fn watched(&self) -> u64 {
        self.updates
    }

    fn watch<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            self.push(at.trainer.theta().await?);
            Ok(())
        })
    }

    fn stop<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let step = at.step() as f64;
            if let Some(cosine) = self.mean_cosine() {
                at.outcome()?.reading(UPDATE_COSINE, step, cosine);
            }
            *self = Self { updates: self.updates, ..Self::default() };
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_that_of_successive_updates() {
        let mut alignment = Alignment::default();
        for theta in [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 3.0], [2.0, 2.0]] {
            alignment.push(theta.to_vec());
        }
        // Ahead, a right angle, and back: 1, 0, -1.
        assert_eq!(alignment.cosines, [1.0, 0.0, -1.0]);
        assert_eq!(alignment.mean_cosine(), Some(0.0));
    }

    #[test]
    fn without_two_updates_there_is_no_angle() {
        let mut alignment = Alignment::default();
        alignment.push(vec![1.0]);
        alignment.push(vec![2.0]);
        assert_eq!(alignment.mean_cosine(), None);
        alignment.push(vec![2.0]);
        assert_eq!(alignment.mean_cosine(), None, "an update of nothing has no direction");
    }
}
