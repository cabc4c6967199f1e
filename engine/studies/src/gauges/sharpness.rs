//! The sharpest curvature of the training loss.

use engine::probe::{Curvature, Operator, Point, Settings, gaussian};
use engine::spec::Curved;

use super::{At, Gauge};
use crate::{Curve, StudyError, Task};

/// Training examples whose loss is measured: evenly spaced, always the same.
const ROWS: usize = 32;
/// Products that find the eigenvalue.
const STEPS: usize = 20;

/// Largest eigenvalue of the Hessian of the loss on some training examples.
pub const SHARPNESS: Curve = Curve::new("sharpness", "");

/// Measures [`SHARPNESS`] at some stops.
#[derive(Debug)]
pub struct Sharpness {
    at: Vec<u64>,
    /// Made when it is first needed.
    hessian: Option<Box<Curvature>>,
}

impl Sharpness {
    /// At those stops of the arm and its branches that come after these numbers of updates.
    #[must_use]
    pub fn at(steps: Vec<u64>) -> Box<dyn Gauge> {
        Box::new(Self { at: steps, hessian: None })
    }
}

impl Gauge for Sharpness {
    fn fresh(&self) -> Box<dyn Gauge> {
        Self::at(self.at.clone())
    }

    fn stop<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let step = at.step();
            if !self.at.contains(&step) {
                return Ok(());
            }
            let all = at.trainer.feed().train_rows(at.trainer.data());
            let rows: Vec<u32> = all.iter().copied().step_by((all.len() / ROWS).max(1)).take(ROWS).collect();
            let hessian = match &mut self.hessian {
                Some(hessian) => hessian,
                None => {
                    let (spec, feed) = (at.trainer.spec(), at.trainer.feed());
                    let hessian = Curvature::new(spec, feed, Curved::Hessian, Settings::default(), "sharpness")?;
                    self.hessian.insert(Box::new(hessian))
                }
            };
            let executor = at.trainer.executor_mut();
            hessian.linearise(executor, Point::Run, &rows).await?;
            let start = gaussian(at.seed, 0, hessian.size());
            let largest = at.context.largest_eigenvalue(hessian.as_mut(), executor, &start, STEPS).await?;
            at.outcome()?.reading(SHARPNESS, step as f64, largest);
            Ok(())
        })
    }
}
