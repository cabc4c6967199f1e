//! Replay with an asymmetric cross-entropy: new examples compete with the classes of their own batch, stored ones with all
//! (Caccia et al. 2022).

use engine::continual::Leg;

use super::Method;
use crate::continual::desk::{Batch, Desk, indicator};
use crate::continual::reservoir::Reservoir;
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct ErAce(Reservoir);

/// Name of the step; it is that of plain replay, with other masks and weights.
const STEP: &str = "replay";

impl ErAce {
    /// With an empty memory.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self(desk.reservoir(leg))
    }
}

impl Method for ErAce {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async { desk.descent(STEP, desk.spec.batch + desk.spec.replayed).await.map(|_| ()) })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (size, replayed) = (desk.spec.batch, desk.spec.replayed);
            let step = desk.descent(STEP, size + replayed).await?;
            let old = self.0.at(&self.0.draw(replayed, batch.update, "replay"));
            let mut new = desk.fill(&batch.rows, size, batch.rows.len());
            let here: Vec<u32> = batch.rows.iter().map(|&row| desk.tasks.output[row as usize]).collect();
            let here = indicator(desk.outputs(), &here);
            for allowed in new.allowed.chunks_mut(desk.outputs()) {
                allowed.iter_mut().zip(&here).for_each(|(allowed, here)| *allowed *= here);
            }
            // Each of the two losses is a mean of its own.
            desk.run(step, &new.and(desk.fill(&old, replayed, old.len())), &[]).await?;
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
