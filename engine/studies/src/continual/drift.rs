//! How far what layers yield goes once the first task has ended, on test examples of that task.

use std::rc::Rc;

use engine::continual::Moved;
use engine::numeric::{distance, norm};
use engine::tape::{StepId, Words};

use super::desk::Desk;
use crate::StudyError;

/// Test examples of the first task that are looked at, at most.
const EXAMPLES: usize = 64;

/// What each layer yields, `[rows, numbers]`.
pub type Layers = Rc<Vec<Vec<f32>>>;

/// See the module.
pub struct Drift {
    step: StepId,
    rows: Vec<u32>,
    /// The layers' names, the lowest first.
    names: Vec<String>,
}

impl Drift {
    /// Records what is looked at.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn new(desk: &mut Desk<'_>) -> Result<Self, StudyError> {
        let tests = desk.tasks.test.first().map_or(&[][..], Vec::as_slice);
        let rows: Vec<u32> = tests.iter().copied().step_by(tests.len().div_ceil(EXAMPLES).max(1)).collect();
        let mut names = Vec::new();
        let layers = desk.step("layers", rows.len(), |tape, net, x| {
            for (name, layer) in net.layers(x) {
                tape.fetch(&name, &layer);
                names.push(name);
            }
            Ok(())
        });
        Ok(Self { step: layers.await?, rows, names })
    }

    /// What each layer yields now.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn layers(&self, desk: &mut Desk<'_>) -> Result<Layers, StudyError> {
        desk.play.run(self.step, &[("index", Words::Classes(&self.rows))]).await?;
        let mut layers = Vec::with_capacity(self.names.len());
        for name in &self.names {
            layers.push(desk.play.fetch(self.step, name).await?);
        }
        Ok(layers.into())
    }

    /// How far each layer has gone from what it yielded then.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn since(&self, then: &Layers, desk: &mut Desk<'_>) -> Result<Vec<Moved>, StudyError> {
        let now = self.layers(desk).await?;
        let pairs = self.names.iter().zip(then.iter().zip(now.iter()));
        Ok(pairs.map(|(layer, (then, now))| Moved { layer: layer.clone(), relative: moved(then, now) }).collect())
    }
}

/// A distance from where something was, of the norm there.
#[must_use]
pub fn moved(then: &[f32], now: &[f32]) -> f64 {
    distance(then, now) / norm(then).max(1e-12)
}
