//! The mean vector of a class from parts that meet one after another.

/// A mean and of how many vectors it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClassMean {
    /// The mean; empty of no vector.
    pub mean: Vec<f64>,
    /// How many vectors.
    pub count: usize,
}

impl ClassMean {
    /// Of these vectors, all of one length.
    #[must_use]
    pub fn of<'v>(vectors: impl IntoIterator<Item = &'v [f64]>) -> Self {
        let mut all = Self::default();
        for vector in vectors {
            all.merge(vector, 1);
        }
        all
    }

    /// Takes in the mean of `count` further vectors. The mean moves by a share of the difference, which stays exact where a
    /// sum would have outgrown its addends.
    pub fn merge(&mut self, mean: &[f64], count: usize) {
        if count == 0 {
            return;
        }
        self.mean.resize(mean.len(), 0.0);
        self.count += count;
        let share = count as f64 / self.count as f64;
        self.mean.iter_mut().zip(mean).for_each(|(own, new)| *own += share * (new - *own));
    }
}

#[cfg(test)]
mod tests {
    use engine::numeric::distance;
    use engine::rng::{Rng, Stream};

    use super::*;

    /// However vectors are split among parties and in whatever order these are merged: the mean of all.
    #[test]
    fn parts_merge_to_the_mean_of_all() {
        for trial in 0..1000 {
            let mut rng = Rng::new(5, Stream::Probe, trial);
            let count = 1 + rng.below(40) as usize;
            let vectors: Vec<Vec<f64>> =
                (0..count).map(|_| (0..8).map(|_| 3.0 + f64::from(rng.normal())).collect()).collect();
            let all: Vec<f64> =
                (0..8).map(|axis| vectors.iter().map(|vector| vector[axis]).sum::<f64>() / count as f64).collect();
            let mut parts = vec![ClassMean::default(); 1 + rng.below(6) as usize];
            for vector in &vectors {
                let part = rng.below(parts.len() as u32) as usize;
                parts[part].merge(vector, 1);
            }
            rng.shuffle(&mut parts);
            let mut merged = ClassMean::default();
            parts.iter().for_each(|part| merged.merge(&part.mean, part.count));
            assert_eq!(merged.count, count);
            assert!(distance(&merged.mean, &all) < 1e-12);
        }
    }

    #[test]
    fn merging_knows_no_order_and_nothing_changes_nothing() {
        let [a, b, c] = [(vec![1.0, 5.0], 2), (vec![4.0, -1.0], 3), (vec![0.5, 0.5], 7)];
        let merged = |order: &[&(Vec<f64>, usize)]| {
            let mut all = ClassMean::default();
            order.iter().for_each(|(mean, count)| all.merge(mean, *count));
            all
        };
        let (left, mut right) = (merged(&[&a, &b, &c]), merged(&[&a]));
        let later = merged(&[&c, &b]);
        right.merge(&later.mean, later.count);
        assert!(left.count == right.count && distance(&left.mean, &right.mean) < 1e-14);
        let before = left.clone();
        let mut after = left;
        after.merge(&[], 0);
        assert_eq!(after, before);
    }
}
