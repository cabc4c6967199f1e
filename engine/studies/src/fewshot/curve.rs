//! Accuracy against shots or ways.

use engine::fewshot::{Curve, FewshotSpec, Mean, Over};

use super::lab::Lab;
use super::methods::{Problem, classify};
use super::scores::mean;
use crate::StudyError;

/// The values that are tried.
const SHOTS: &[usize] = &[1, 2, 5, 10, 20];
const WAYS: &[usize] = &[2, 5, 10, 20, 50];
/// Tasks at each, at most.
const TASKS: usize = 200;

/// Curves that grow.
#[derive(Debug, Clone)]
pub struct Curves {
    over: Over,
    /// Value and task that come next.
    next: (usize, u32),
    /// Accuracies at the value in work, by method.
    at: Vec<Vec<f64>>,
    /// Means at the values before it, by method.
    means: Vec<Vec<Mean>>,
    done: Vec<usize>,
    missing: Vec<usize>,
}

impl Curves {
    fn values(&self) -> &'static [usize] {
        if self.over == Over::Shots { SHOTS } else { WAYS }
    }

    /// Whether every value is done.
    #[must_use]
    pub fn done(&self) -> bool {
        self.next.0 >= self.values().len()
    }
}

impl Lab {
    /// Curves at their start.
    #[must_use]
    pub fn curves(&self, over: Over) -> Curves {
        let methods = self.spec.compare.len();
        let (at, means) = (vec![Vec::new(); methods], vec![Vec::new(); methods]);
        Curves { over, next: (0, 0), at, means, done: Vec::new(), missing: Vec::new() }
    }

    /// The next task of the curves; nothing once they are done.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn extend(&mut self, curves: &mut Curves) -> Result<(), StudyError> {
        let Some(&value) = curves.values().get(curves.next.0) else { return Ok(()) };
        let shape = match curves.over {
            Over::Shots => [self.spec.ways, value],
            Over::Ways => [value, self.spec.shots],
        };
        let Ok(episode) = self.novel.tasks.draw(&self.spec, shape, curves.next.1) else {
            curves.missing.push(value);
            curves.next = (curves.next.0 + 1, 0);
            return Ok(());
        };
        let centre = self.centre().await?;
        let (points, labels) = self.novel.task(&mut self.encoder, &self.pictures, &episode).await?;
        let settings: &FewshotSpec = &self.spec;
        let problem = Problem {
            ways: episode.classes.len(),
            points: &points,
            labels: &labels,
            centre: &centre,
            settings,
            watched: false,
        };
        for (&method, at) in self.spec.compare.iter().zip(&mut curves.at) {
            at.push(classify(method, &problem).accuracy(episode.query.iter().map(|query| query.1)));
        }
        curves.next.1 += 1;
        if curves.next.1 as usize >= TASKS.min(self.spec.tasks) {
            curves.done.push(value);
            for (means, at) in curves.means.iter_mut().zip(&mut curves.at) {
                means.push(mean(&std::mem::take(at)));
            }
            curves.next = (curves.next.0 + 1, 0);
        }
        Ok(())
    }

    /// The curves so far.
    #[must_use]
    pub fn drawn(&self, curves: &Curves, finished: bool) -> Curve {
        Curve {
            over: curves.over,
            values: curves.done.clone(),
            methods: self.spec.compare.iter().copied().zip(curves.means.iter().cloned()).collect(),
            missing: curves.missing.clone(),
            finished,
        }
    }
}
