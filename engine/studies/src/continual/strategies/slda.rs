//! Streaming linear discriminant analysis (Hayes and Kanan 2020): running class means, and one covariance within classes
//! that grows by an outer product an example. Here the growth is the exact one, `n / (n + 1)` of n earlier examples of the
//! class, so that the result is that of all examples at once; the paper counts all classes together.

use engine::continual::Leg;
use engine::numeric::Matrix;

use super::Method;
use super::nearest_mean::{Means, needed};
use crate::continual::desk::{Batch, Desk};
use crate::{StudyError, Task};

/// Linear discriminant analysis, an example at a time.
#[derive(Clone, Debug)]
pub struct Lda {
    means: Means,
    /// Sum of outer products about the class means, the lower triangle row by row.
    scatter: Vec<f64>,
    width: usize,
    shrinkage: f64,
}

impl Lda {
    /// Nothing learned yet.
    #[must_use]
    pub fn new(outputs: usize, width: usize, shrinkage: f64) -> Self {
        Self { means: Means::new(outputs, width), scatter: vec![0.0; width * (width + 1) / 2], width, shrinkage }
    }

    /// Takes in features of an example of that output.
    pub fn learn(&mut self, features: &[f64], output: usize) {
        if let Some(mean) = self.means.mean(output) {
            let before = self.means.counts()[output] as f64;
            let weight = before / (before + 1.0);
            let away: Vec<f64> = features.iter().zip(mean).map(|(value, mean)| value - mean).collect();
            let mut place = 0;
            for (row, value) in away.iter().enumerate() {
                let scale = weight * value;
                let line = &mut self.scatter[place..place + row + 1];
                line.iter_mut().zip(&away).for_each(|(sum, other)| *sum += scale * other);
                place += row + 1;
            }
        }
        self.means.learn(features, output);
    }

    /// Weights and offset of each output's score; `None` for one that was not seen.
    #[must_use]
    pub fn head(&self) -> Vec<Option<(Vec<f64>, f64)>> {
        let count = self.means.counts().iter().sum::<u64>().max(1) as f64;
        let shrunk = |row: usize, column: usize| {
            let (low, high) = (row.min(column), row.max(column));
            let own = self.scatter[high * (high + 1) / 2 + low] / count;
            (1.0 - self.shrinkage) * own + if row == column { self.shrinkage } else { 0.0 }
        };
        let lower = Matrix::from_fn(self.width, self.width, shrunk).cholesky();
        let weigh = |output: usize| {
            let mean = self.means.mean(output)?;
            let weights = solve(lower.as_ref()?, mean);
            let offset = -0.5 * weights.iter().zip(mean).map(|(weight, mean)| weight * mean).sum::<f64>();
            Some((weights, offset))
        };
        (0..self.means.counts().len()).map(weigh).collect()
    }
}

/// Solves `L L^T x = b`.
fn solve(lower: &Matrix, b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut x = b.to_vec();
    for row in 0..n {
        let known: f64 = lower.row(row)[..row].iter().zip(&x).map(|(l, x)| l * x).sum();
        x[row] = (x[row] - known) / lower.at(row, row);
    }
    for row in (0..n).rev() {
        x[row] /= lower.at(row, row);
        let value = x[row];
        x[..row].iter_mut().zip(lower.row(row)).for_each(|(x, l)| *x -= l * value);
    }
    x
}

/// See the module.
#[derive(Clone)]
pub struct Slda(Lda);

impl Slda {
    /// Nothing learned yet.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        let width = desk.features.as_ref().map_or(0, |features| features.width);
        Self(Lda::new(desk.outputs(), width, desk.value(leg, "shrinkage")))
    }
}

impl Method for Slda {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(std::future::ready(needed(&desk.features).map(|_| ())))
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        let learned = needed(&desk.features).map(|features| {
            for &row in &batch.rows {
                let wide: Vec<f64> = features.row(row).iter().map(|&value| f64::from(value)).collect();
                self.0.learn(&wide, desk.tasks.output[row as usize] as usize);
            }
        });
        Box::pin(std::future::ready(learned))
    }

    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        let answered = needed(&desk.features).map(|features| {
            let head = self.0.head();
            let score = |row: &[f32], part: &Option<(Vec<f64>, f64)>| match part {
                Some((weights, offset)) => (engine::numeric::dot(row, weights) + offset) as f32,
                None => f32::NEG_INFINITY,
            };
            rows.iter()
                .flat_map(|&row| head.iter().map(move |part| (row, part)))
                .map(|(row, part)| score(features.row(row), part))
                .collect()
        });
        Box::pin(std::future::ready(answered))
    }

    fn extra_bytes(&self, _: u64) -> u64 {
        (8 * (self.0.scatter.len() + self.0.means.counts().len() * (self.0.width + 1))) as u64
    }

    fn parameters(&self, _: u64) -> u64 {
        0
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        (desk.spec.batch * (self.0.width * (self.0.width + 1) + 6 * self.0.width)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::rng::{Rng, Stream};

    /// Against all examples at once: class means, the covariance within classes by two passes, Gauss elimination.
    #[test]
    fn streaming_equals_batch() {
        let (width, classes, shrinkage) = (6, 3, 0.05);
        let mut rng = Rng::new(1, Stream::Probe, 0);
        let examples: Vec<(Vec<f64>, usize)> = (0..200)
            .map(|place| {
                let class = (place * 7 / 3) % classes;
                let base = f64::from(rng.normal());
                let row = (0..width).map(|axis| {
                    base * axis as f64 * 0.3 + f64::from(rng.normal()) + if axis == class { 1.5 } else { 0.0 }
                });
                (row.collect(), class)
            })
            .collect();
        let mut lda = Lda::new(classes + 1, width, shrinkage);
        examples.iter().for_each(|(row, class)| lda.learn(row, *class));
        let mean = |class: usize| -> Vec<f64> {
            let of: Vec<&Vec<f64>> = examples.iter().filter(|(_, c)| *c == class).map(|(row, _)| row).collect();
            (0..width).map(|axis| of.iter().map(|row| row[axis]).sum::<f64>() / of.len() as f64).collect()
        };
        let means: Vec<Vec<f64>> = (0..classes).map(mean).collect();
        let covariance = Matrix::from_fn(width, width, |a, b| {
            let each = examples.iter().map(|(row, c)| (row[a] - means[*c][a]) * (row[b] - means[*c][b]));
            (1.0 - shrinkage) * each.sum::<f64>() / 200.0 + if a == b { shrinkage } else { 0.0 }
        });
        let head = lda.head();
        for class in 0..classes {
            let (weights, offset) = head[class].clone().unwrap();
            let expected = covariance.solve(&means[class]).unwrap();
            for (found, expected) in weights.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-9, "{found} against {expected}");
            }
            let half: f64 = expected.iter().zip(&means[class]).map(|(w, m)| w * m).sum::<f64>() / 2.0;
            assert!((offset + half).abs() < 1e-9);
        }
        assert!(head[classes].is_none());
    }
}
