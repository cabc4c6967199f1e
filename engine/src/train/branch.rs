//! A branch of a run: from here on by another schedule, after which the main line goes on as if it had never been.
//!
//! What a run needs to go on is its checkpoint: parameters, optimizer moments, updates done and examples drawn, from which
//! batches and random values follow. So a decayed copy costs its own steps and leaves the main line the same bit for bit.

use super::{Checkpoint, TrainError, Trainer};
use crate::executor::Executor;
use crate::spec::RunSpec;

/// A main line that waits for its branch to end.
#[must_use = "the main line goes on with Trainer::rejoin"]
#[derive(Debug)]
pub struct Waiting {
    checkpoint: Checkpoint,
    spec: RunSpec,
}

impl Waiting {
    /// The update before which the branch left the main line.
    pub fn step(&self) -> u64 {
        self.checkpoint.step
    }
}

impl<E: Executor> Trainer<E> {
    /// Leaves the main line before its next update: what follows belongs to a branch, which starts as a copy and keeps the
    /// main line's schedule until it is given one of its own. Metrics should have been read; those that were not are lost.
    pub async fn branch(&mut self) -> Result<Waiting, TrainError> {
        let checkpoint = self.checkpoint().await?;
        Ok(Waiting { checkpoint, spec: self.spec().clone() })
    }

    /// Drops the branch and starts another one from the same place, which draws the examples that come `further` on. It keeps
    /// the schedule of the one before until it is given its own.
    pub fn restart(&mut self, waiting: &Waiting, further: u64) -> Result<(), TrainError> {
        let drawn = waiting.checkpoint.drawn.saturating_add(further);
        self.restore(&Checkpoint { drawn, ..waiting.checkpoint.clone() })
    }

    /// Drops the branch and goes back to where it left the main line.
    pub fn rejoin(&mut self, waiting: Waiting) -> Result<(), TrainError> {
        let Waiting { checkpoint, spec } = waiting;
        // First, for a device that is lost keeps the state from being restored, and the run is rebuilt from its spec.
        self.set_spec(spec);
        self.restore(&checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::cpu::CpuExecutor;
    use crate::data;
    use crate::spec::{Decay, PRESETS, Shape};

    async fn losses(trainer: &mut Trainer<CpuExecutor>, steps: u64) -> Result<Vec<u32>, TrainError> {
        for _ in 0..steps {
            trainer.step().await?;
        }
        Ok(trainer.metrics().await?.iter().map(|step| step.loss.to_bits()).collect())
    }

    async fn start() -> Result<Trainer<CpuExecutor>, TrainError> {
        let mut spec = PRESETS.iter().find(|preset| preset.id == "mlp").unwrap().spec();
        spec.schedule.kind = Shape::Constant;
        spec.schedule.warmup = 0;
        let pack = data::read_pack_file(&data::pack_file(spec.data.set).unwrap())?;
        let data = Rc::new(data::load(&spec.data, spec.seed, Some(&pack))?);
        Trainer::new(CpuExecutor::new(), &spec, data).await
    }

    /// Study 14, exact checks 2 and 3; study 48, exact check 4.
    #[test]
    fn a_branch_leaves_the_main_line_unchanged() -> Result<(), TrainError> {
        pollster::block_on(async {
            let mut straight = start().await?;
            let expected = losses(&mut straight, 20).await?;
            let theta = straight.theta().await?;

            let mut branched = start().await?;
            let mut found = losses(&mut branched, 7).await?;
            let waiting = branched.branch().await?;
            assert_eq!(waiting.step(), 7);
            let mut decayed = branched.spec().clone();
            decayed.schedule.kind = Shape::Wsd;
            decayed.schedule.form = Decay::Exponential;
            decayed.schedule.decay = 5;
            decayed.steps = 12;
            branched.set_spec(decayed);
            let aside = losses(&mut branched, 5).await?;
            assert_eq!(aside[0], expected[7], "the branch starts where the main line is");
            assert_ne!(aside[2..], expected[9..12], "and goes its own way");
            branched.rejoin(waiting)?;
            found.extend(losses(&mut branched, 13).await?);
            assert_eq!(found, expected);
            assert_eq!(branched.theta().await?, theta);
            Ok(())
        })
    }
}
