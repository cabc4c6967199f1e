//! Nearest mean (Janson et al. 2022): features of length 1 are averaged by class, an example at a time; the nearest mean is
//! the answer. The means are not brought to length 1 again: those of compact classes are longer.

use std::rc::Rc;

use super::Method;
use crate::continual::desk::{Batch, Desk, Features};
use crate::{StudyError, Task};

/// Running means of features by output.
#[derive(Clone, Debug)]
pub struct Means {
    width: usize,
    counts: Vec<u64>,
    /// `[outputs, width]`
    means: Vec<f64>,
}

impl Means {
    /// No mean yet of so many outputs.
    #[must_use]
    pub fn new(outputs: usize, width: usize) -> Self {
        Self { width, counts: vec![0; outputs], means: vec![0.0; outputs * width] }
    }

    /// Takes in features of an example of that output.
    pub fn learn(&mut self, features: &[f64], output: usize) {
        self.counts[output] += 1;
        let share = 1.0 / self.counts[output] as f64;
        let mean = &mut self.means[output * self.width..(output + 1) * self.width];
        mean.iter_mut().zip(features).for_each(|(mean, value)| *mean += share * (value - *mean));
    }

    /// The mean of an output; `None` of one that was not seen.
    #[must_use]
    pub fn mean(&self, output: usize) -> Option<&[f64]> {
        (self.counts.get(output).copied().unwrap_or(0) > 0)
            .then(|| &self.means[output * self.width..(output + 1) * self.width])
    }

    /// Examples of each output.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Minus the squared distance from each output's mean; minus infinity for one that was not seen.
    #[must_use]
    pub fn scores(&self, features: &[f64]) -> Vec<f64> {
        let square = |mean: &[f64]| -> f64 { features.iter().zip(mean).map(|(a, b)| (a - b) * (a - b)).sum() };
        (0..self.counts.len()).map(|output| self.mean(output).map_or(f64::NEG_INFINITY, |mean| -square(mean))).collect()
    }
}

/// Features brought to length 1.
#[must_use]
pub fn unit<A: Copy + Into<f64>>(features: &[A]) -> Vec<f64> {
    let length = engine::numeric::norm(features).max(1e-12);
    features.iter().map(|&value| value.into() / length).collect()
}

/// Frozen features, which such strategies cannot do without.
pub fn needed(features: &Option<Rc<Features>>) -> Result<Rc<Features>, StudyError> {
    features.clone().ok_or_else(|| StudyError::Other("the frozen encoder was not run".into()))
}

/// See the module.
#[derive(Clone)]
pub struct NearestMean(Means);

impl NearestMean {
    /// With no means.
    pub fn new(desk: &Desk<'_>) -> Self {
        Self(Means::new(desk.outputs(), desk.features.as_ref().map_or(0, |features| features.width)))
    }
}

impl Method for NearestMean {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(std::future::ready(needed(&desk.features).map(|_| ())))
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        let learned = needed(&desk.features).map(|features| {
            for &row in &batch.rows {
                self.0.learn(&unit(features.row(row)), desk.tasks.output[row as usize] as usize);
            }
        });
        Box::pin(std::future::ready(learned))
    }

    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        let answered = needed(&desk.features).map(|features| {
            rows.iter().flat_map(|&row| self.0.scores(&unit(features.row(row)))).map(|score| score as f32).collect()
        });
        Box::pin(std::future::ready(answered))
    }

    fn extra_bytes(&self, _: u64) -> u64 {
        (8 * (self.0.means.len() + self.0.counts.len())) as u64
    }

    fn parameters(&self, _: u64) -> u64 {
        0
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        (desk.spec.batch * 6 * self.0.width) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::numeric::{argmax, dot};
    use engine::rng::{Rng, Stream};

    fn examples(seed: u64) -> Vec<(Vec<f64>, usize)> {
        let mut rng = Rng::new(seed, Stream::Probe, 0);
        (0..500)
            .map(|place| {
                let class = place % 5;
                let raw: Vec<f32> = (0..12).map(|axis| rng.normal() + if axis == class { 2.0 } else { 0.0 }).collect();
                (unit(&raw), class)
            })
            .collect()
    }

    fn learned<'a>(examples: impl IntoIterator<Item = &'a (Vec<f64>, usize)>) -> Means {
        let mut means = Means::new(5, 12);
        examples.into_iter().for_each(|(features, class)| means.learn(features, *class));
        means
    }

    /// One at a time is the mean of all, and any order gives the same.
    #[test]
    fn running_means_are_batch_means_in_any_order() {
        let examples = examples(1);
        let (forward, backward) = (learned(&examples), learned(examples.iter().rev()));
        for class in 0..5 {
            let of: Vec<&Vec<f64>> = examples.iter().filter(|(_, c)| *c == class).map(|(row, _)| row).collect();
            for axis in 0..12 {
                let mean = of.iter().map(|row| row[axis]).sum::<f64>() / of.len() as f64;
                assert!((forward.mean(class).unwrap()[axis] - mean).abs() < 1e-9);
                assert!((backward.mean(class).unwrap()[axis] - mean).abs() < 1e-9);
            }
        }
    }

    /// The nearest mean is the highest of the linear scores mean . z - |mean|^2 / 2.
    #[test]
    fn the_nearest_mean_is_a_linear_head() {
        let (means, tests) = (learned(&examples(1)), examples(2));
        for (features, _) in &tests {
            let linear: Vec<f64> = (0..5)
                .map(|class| means.mean(class).unwrap())
                .map(|mean| dot(mean, features) - dot(mean, mean) / 2.0)
                .collect();
            assert_eq!(argmax(&linear), argmax(&means.scores(features)));
        }
    }

    /// A new class leaves the old means as they are, bit for bit, and can only draw answers to itself.
    #[test]
    fn a_new_class_moves_no_old_mean() {
        let examples = examples(1);
        let before = learned(examples.iter().filter(|(_, class)| *class < 4));
        let mut after = before.clone();
        examples.iter().filter(|(_, class)| *class == 4).for_each(|(features, class)| after.learn(features, *class));
        for class in 0..4 {
            assert_eq!(before.mean(class), after.mean(class));
        }
        assert_eq!(before.mean(4), None);
        for (features, _) in &examples {
            let [old, new] = [&before, &after].map(|means| argmax(&means.scores(features)).unwrap());
            assert!(new == old || new == 4);
        }
    }

    /// With one example a class it is the nearest neighbour.
    #[test]
    fn one_example_a_class_is_the_nearest_neighbour() {
        let examples = examples(1);
        let (means, known) = (learned(&examples[..5]), &examples[..5]);
        for (features, _) in &examples {
            let distance = |(row, _): &&(Vec<f64>, usize)| engine::numeric::distance(row, features);
            let nearest = known.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap().1;
            assert_eq!(argmax(&means.scores(features)), Some(nearest));
        }
    }
}
