//! Label noise: a noise floor that no classifier can learn away.

use super::{Data, Images, Table, Target, Values};
use crate::rng::{Rng, Stream};

impl Data {
    /// This set with the classes of a `share` of its training examples, chosen by `seed`, replaced by classes drawn evenly
    /// from all (so that some come back as they were). Test examples keep theirs; sets without classes stay as they are.
    #[must_use]
    pub fn mislabelled(mut self, share: f64, seed: u64) -> Self {
        let train = self.train.clone();
        let wrong = (share.clamp(0.0, 1.0) * train.len() as f64).round() as usize;
        let (Values::Images(Images { labels, classes: names, .. })
        | Values::Table(Table { target: Target::Classes { labels, names }, .. })) = &mut self.values
        else {
            return self;
        };
        if wrong == 0 {
            return self;
        }
        let mut rng = Rng::new(seed, Stream::Mislabel, 0);
        let mut order: Vec<usize> = train.collect();
        rng.shuffle(&mut order);
        for row in order.into_iter().take(wrong) {
            labels[row] = rng.below(names.len() as u32);
        }
        self.info.notes.push(format!("{wrong} of the training labels were replaced at random."));
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{Data, load};
    use crate::spec::{DataSet, DataSpec};

    fn mixture(label_noise: f64, seed: u64) -> Data {
        let spec = DataSpec { train: 4000, test: 500, label_noise, ..DataSpec::of(DataSet::Mixture) };
        load(&spec, seed, None).unwrap()
    }

    #[test]
    fn a_share_of_the_training_labels_is_replaced_evenly() {
        let (clean, noisy) = (mixture(0.0, 1), mixture(0.3, 1));
        let (before, after) = (clean.labels().unwrap(), noisy.labels().unwrap());
        assert_eq!(before[4000..], after[4000..], "test labels stay");
        let changed = before.iter().zip(after).filter(|(a, b)| a != b).count();
        // Of 1,200 replaced labels, a quarter come back by chance: 900 with deviation 15.
        assert!((840..=960).contains(&changed), "{changed}");
        for class in 0..4 {
            let count = after[..4000].iter().filter(|&&label| label == class).count();
            assert!(count.abs_diff(1000) < 100, "{count}");
        }
    }

    #[test]
    fn the_seed_chooses_which() {
        assert_eq!(mixture(0.3, 1).labels(), mixture(0.3, 1).labels());
        assert_ne!(mixture(0.3, 1).labels(), mixture(0.3, 2).labels());
    }

    #[test]
    fn all_or_nothing() {
        assert_eq!(mixture(0.0, 1).info.notes, mixture(0.0, 2).info.notes);
        let all = mixture(1.0, 1);
        let kept = mixture(0.0, 1)
            .labels()
            .unwrap()
            .iter()
            .zip(all.labels().unwrap())
            .take(4000)
            .filter(|(a, b)| a == b)
            .count();
        assert!(kept.abs_diff(1000) < 100, "{kept}");
    }
}
