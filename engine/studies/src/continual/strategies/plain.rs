//! Plain descent on what arrives (fine-tuning), on what arrived so far (cumulative), on everything (joint).

use super::{Draws, Method};
use crate::continual::desk::{Batch, Desk};
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct Plain(pub Draws);

/// Name of the step.
const STEP: &str = "descend";

impl Method for Plain {
    fn draws(&self) -> Draws {
        self.0
    }

    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async { desk.descent(STEP, desk.spec.batch).await.map(|_| ()) })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let step = desk.descent(STEP, desk.spec.batch).await?;
            let filled = desk.fill(&batch.rows, desk.spec.batch, batch.rows.len());
            desk.run(step, &filled, &[]).await
        })
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}
