//! Experience replay: every batch is joined by examples from a reservoir (Chaudhry et al. 2019).

use engine::continual::Leg;

use super::Method;
use crate::continual::desk::{Batch, Desk};
use crate::continual::reservoir::Reservoir;
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct Replay(Reservoir);

/// Name of the step.
const STEP: &str = "replay";

impl Replay {
    /// With an empty memory.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self(desk.reservoir(leg))
    }
}

impl Method for Replay {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async { desk.descent(STEP, desk.spec.batch + desk.spec.replayed).await.map(|_| ()) })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let places = desk.spec.batch + desk.spec.replayed;
            let step = desk.descent(STEP, places).await?;
            let old = self.0.at(&self.0.draw(desk.spec.replayed, batch.update, "replay"));
            let rows = [&batch.rows[..], &old].concat();
            desk.run(step, &desk.fill(&rows, places, rows.len()), &[]).await?;
            self.0.offer_all(&batch.rows);
            Ok(())
        })
    }

    fn stored(&self) -> &[u32] {
        self.0.rows()
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}
