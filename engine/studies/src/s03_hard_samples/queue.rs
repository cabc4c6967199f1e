//! What a run that goes by losses remembers of its batches: a row a reading, a column a batch.

use engine::figure::{Figure, Grid, Mark, Scale, brief};

use crate::gauges::{At, Gauge};
use crate::plot::axis;
use crate::{StudyError, Task};

/// Names of the pictures: losses as remembered, and which batches were trained on since the reading before.
pub const REMEMBERED: &str = "remembered";
pub const TRAINED: &str = "trained";

/// What is remembered of a batch that was never trained on.
const NEVER: f32 = 0.0;

/// Draws both pictures of the run of one arm and seed.
#[derive(Debug, Default)]
pub struct Queue {
    readings: Vec<u64>,
    losses: Vec<Vec<f32>>,
}

impl Queue {
    /// Has seen nothing yet.
    pub fn gauge() -> Box<dyn Gauge> {
        Box::new(Self::default())
    }

    /// Which losses of a reading differ from those before it: those batches were trained on in between.
    fn trained(&self, reading: usize) -> impl Iterator<Item = bool> + '_ {
        let before = move |batch: usize| reading.checked_sub(1).map_or(NEVER, |before| self.losses[before][batch]);
        self.losses[reading].iter().enumerate().map(move |(batch, loss)| *loss != before(batch))
    }

    /// A map of `value(reading, batch)`.
    fn picture(&self, value: impl Fn(usize, usize) -> f32, scale: Scale, says: String, alt: String) -> Figure {
        let (height, width) = (self.losses.len(), self.losses.first().map_or(0, Vec::len));
        let values = (0..width * height).map(|at| value(at / width, at % width)).collect();
        let grid = Grid { width, height, values };
        let rows = self.readings.iter().map(u64::to_string).collect();
        let map = Mark::HeatMap { grid, scale, range: None, rows, columns: vec![] };
        Figure { value: says, x: axis("batch", ""), y: axis("update", ""), marks: vec![map], alt, ..Figure::default() }
    }
}

impl Gauge for Queue {
    fn fresh(&self) -> Box<dyn Gauge> {
        Self::gauge()
    }

    fn stop<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let losses = at.trainer.remembered().to_vec();
            if !at.context.pictures(at.seed) || losses.is_empty() {
                return Ok(());
            }
            self.readings.push(at.step());
            self.losses.push(losses);
            let last = self.losses.len() - 1;
            let all = self.losses[last].len();
            let now = self.trained(last).filter(|&trained| trained).count();
            let (least, most) =
                self.losses[last].iter().fold((f32::MAX, f32::MIN), |(a, b), &loss| (a.min(loss), b.max(loss)));
            let loss = self.picture(
                // A batch that was never trained on has no loss.
                |reading, batch| Some(self.losses[reading][batch]).filter(|&loss| loss != NEVER).unwrap_or(f32::NAN),
                Scale::Log,
                format!("{} to {} nats at the end", brief(least.into()), brief(most.into())),
                format!("Losses that are remembered of {all} batches at {} readings.", self.losses.len()),
            );
            let trained: Vec<Vec<bool>> = (0..=last).map(|reading| self.trained(reading).collect()).collect();
            let visits = self.picture(
                |reading, batch| f32::from(u8::from(trained[reading][batch])),
                Scale::Linear,
                format!("{now} of {all} batches since the last reading"),
                format!("Which of {all} batches were trained on between {} readings.", self.losses.len()),
            );
            at.context.results.keep(REMEMBERED, loss);
            at.context.results.keep(TRAINED, visits);
            Ok(())
        })
    }
}
