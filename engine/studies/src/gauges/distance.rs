//! How far a run has come from its start.

use engine::model::THETA;
use engine::numeric::distance;

use super::{At, Gauge};
use crate::{Curve, StudyError, Task};

/// Length of the way from the first parameters to those at a stop, as the crow flies.
pub const DISTANCE: Curve = Curve::new("distance", "");

/// Measures [`DISTANCE`] at every stop.
#[derive(Debug)]
pub struct Distance;

impl Distance {
    /// At every stop.
    #[must_use]
    pub fn gauge() -> Box<dyn Gauge> {
        Box::new(Self)
    }
}

impl Gauge for Distance {
    fn fresh(&self) -> Box<dyn Gauge> {
        Self::gauge()
    }

    fn stop<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let (step, start) = (at.step(), at.trainer.layout().initial(at.trainer.spec().seed));
            let theta = at.trainer.state(THETA).await?;
            at.outcome()?.reading(DISTANCE, step as f64, distance(&theta, &start));
            Ok(())
        })
    }
}
