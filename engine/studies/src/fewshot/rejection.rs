//! "None of these": the distance to the nearest prototype beyond which a picture counts as unknown, and how often that is
//! wrong, measured on classes that the encoder did not learn from, or among the person's own.

use engine::fewshot::{FewshotSpec, Rejection};
use engine::numeric::{Matrix, quantile};
use engine::rng::{Rng, Stream};

use super::bench::Bench;
use super::lab::Lab;
use super::methods::{class_means, squared_distances};
use super::own::held_out;
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

/// The same among pictures themselves: each is held against the classes without it, as a known one, and against the other
/// classes alone, as an unknown one. One half of the known finds the distance by which the other half is counted. None of
/// fewer than four known pictures.
pub(super) fn among(points: &Matrix, labels: &[usize], ways: usize, alarm: f64) -> Option<Rejection> {
    let apart = held_out(points, labels, ways);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (row, &label) in labels.iter().enumerate() {
        let least = |own: bool| {
            let classes = (0..ways).filter(|&class| own || class != label);
            classes.map(|class| apart.at(row, class)).fold(f64::INFINITY, f64::min).sqrt()
        };
        if apart.at(row, label).is_finite() {
            known.push(least(true));
        }
        unknown.push(least(false));
    }
    if known.len() < 4 {
        return None;
    }
    let half = |first: usize| known.iter().copied().skip(first).step_by(2).collect::<Vec<f64>>();
    let alarms = [[0, 1], [1, 0]].map(|[finds, counts]| {
        let limit = quantile(&half(finds), 1.0 - alarm);
        half(counts).iter().filter(|&&x| x > limit).count()
    });
    let distance = quantile(&known, 1.0 - alarm);
    Some(Rejection {
        distance,
        false_alarms: alarms.iter().sum::<usize>() as f64 / known.len() as f64,
        misses: unknown.iter().filter(|&&x| x <= distance).count() as f64 / unknown.len() as f64,
    })
}

#[cfg(test)]
#[test]
fn pictures_themselves_say_what_is_far() {
    // Three classes on a line, at 0, 10 and 20, whose pictures are 1 apart.
    let points = Matrix { rows: 6, columns: 1, values: vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0] };
    let found = among(&points, &[0, 0, 1, 1, 2, 2], 3, 0.05).unwrap();
    assert_eq!((found.distance, found.false_alarms, found.misses), (1.0, 0.0, 0.0));
    // Two classes of one picture each, as near to each other as pictures of a class are.
    assert_eq!(among(&points, &[0, 0, 1, 1, 2, 3], 4, 0.05).map(|found| found.misses), Some(1.0 / 3.0));
    assert_eq!(among(&points, &[0, 0, 1, 2, 3, 4], 5, 0.05), None);
}
