//! "None of these": the distance to the nearest prototype beyond which a picture counts as unknown, and how often that is
//! wrong, measured on classes that the encoder did not learn from.

use engine::fewshot::{FewshotSpec, Rejection};
use engine::numeric::quantile;
use engine::rng::{Rng, Stream};

use super::bench::Bench;
use super::lab::Lab;
use super::methods::{class_means, squared_distances};
use super::pictures::Part;
use crate::StudyError;

/// Tasks: the first half finds the distance, the second counts.
const TASKS: u32 = 40;
const QUERIES: usize = 3;

impl Lab {
    /// For so many ways and shots, at a share of false alarms.
    pub(super) async fn measure_rejection(
        &mut self,
        [ways, shots]: [usize; 2],
        alarm: f64,
    ) -> Result<Rejection, StudyError> {
        let classes = self.pictures.classes(Part::Validation).len();
        // One class of a task stays out of its prototypes: its queries are the unknown.
        let ways = (ways + 1).min(classes).max(2);
        let warp = if self.spec.warp > 0.0 { self.spec.warp } else { 1.0 };
        let spec = FewshotSpec { queries: QUERIES, alpha: 0.0, warp, shots: shots.min(20), ..self.spec.clone() };
        let mut bench = Bench::few(&self.pictures, Part::Validation, &spec, self.encoder.dims());
        let mut found = [Vec::new(), Vec::new()];
        let mut counted = [Vec::new(), Vec::new()];
        for number in 0..TASKS {
            let seed = Rng::new(self.spec.seed, Stream::Probe, number).u32() % 100_000;
            let Ok(episode) = bench.tasks.draw(&spec, [ways, spec.shots], seed) else { break };
            let (points, labels) = bench.task(&mut self.encoder, &self.pictures, &episode).await?;
            let kept = labels.iter().take_while(|&&label| label + 1 < ways).count();
            let means = class_means(&points, &labels[..kept], ways - 1);
            let distances = squared_distances(&points, &means);
            let into = if number < TASKS / 2 { &mut found } else { &mut counted };
            for (query, (_, truth)) in episode.query.iter().enumerate() {
                let row = distances.row(labels.len() + query);
                let least = row.iter().copied().fold(f64::INFINITY, f64::min).sqrt();
                into[usize::from(truth + 1 == ways)].push(least);
            }
        }
        let distance = quantile(&found[0], 1.0 - alarm);
        let share = |of: &[f64], holds: fn(f64, f64) -> bool| {
            of.iter().filter(|&&x| holds(x, distance)).count() as f64 / of.len().max(1) as f64
        };
        Ok(Rejection {
            distance,
            false_alarms: share(&counted[0], |x, limit| x > limit),
            misses: share(&counted[1], |x, limit| x <= limit),
        })
    }
}
