//! How many examples a step sees, and which.
//!
//! Policies that are functions of the step are here, a file each, so that the page draws them ahead of a run with what
//! the run itself evaluates. Those that decide from measurements on the run are in `train/batch/`.

mod ramp;
mod stepped;

use serde::Serialize;

pub use ramp::Growth;

use super::choices;
use crate::tree::FromTree;

choices! {
    /// How batches are drawn from the training set.
    pub enum Sampling {
        /// Epochs: every example once, in a new order each time.
        Shuffled = "shuffled", "shuffled epochs";
        /// Each example drawn independently.
        Replacement = "replacement", "with replacement";
        /// A class drawn evenly, then an example of it.
        Balanced = "balanced", "class-balanced";
        /// Batches that keep their examples, all of them or some of them again and again.
        Fixed = "fixed", "fixed batches";
    }
}

choices! {
    /// Which fixed batches are trained on again.
    pub enum Again {
        /// Those whose last loss was largest (Sahayam, Zakkam, Jayaraman 2023, arXiv 2304.03486).
        Hardest = "hardest", "the hardest";
        /// Drawn anew for each round.
        Random = "random", "random ones";
    }
}

choices! {
    /// What decides the batch size of each update.
    pub enum Policy {
        /// The first size throughout.
        Fixed = "fixed", "fixed";
        /// Multiplied by a factor now and then (Smith et al. 2018, arXiv 1711.00489).
        Stepped = "stepped", "stepped";
        /// From the first size to the largest over so many updates.
        Ramp = "ramp", "ramp";
        /// Follows the gradient noise scale (McCandlish et al. 2018, arXiv 1812.06162).
        NoiseScale = "noise_scale", "noise scale";
        /// Grows when the gradient's variance exceeds a share of its square (Byrd et al. 2012).
        NormTest = "norm_test", "norm test";
        /// Grows when single gradients disagree with their mean along it, or across it (Bollapragada et al. 2018,
        /// arXiv 1710.11258).
        InnerProduct = "inner_product", "inner-product test";
    }
}

impl Policy {
    /// Whether it decides from measurements on the run, so that no one can say its sizes ahead.
    #[must_use]
    pub const fn adapts(self) -> bool {
        matches!(self, Self::NoiseScale | Self::NormTest | Self::InnerProduct)
    }
}

/// Batch size, its policy, and the sampler. An edit of [`size`](Self::size) or [`policy`](Self::policy) in mid-run
/// starts the policy anew.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
// A run kept by an earlier build lacks what has been added since.
#[serde(default)]
pub struct BatchSpec {
    /// Examples a step, at first where a policy changes it; 0 = the whole training set.
    pub size: usize,
    /// Examples computed at once; gradients of the micro-batches of a step are averaged. 0 = chosen by the engine.
    pub micro: usize,
    /// How examples are drawn.
    pub sampler: Sampling,
    /// Fixed batches: the share of them that each round after the first trains on, 0..=1; 1 = all.
    pub share: f64,
    /// Fixed batches: which those are.
    pub again: Again,
    /// Fixed batches: whether classes lie together in them, as in a sorted file; else examples are shuffled once.
    pub clustered: bool,
    /// Clustered batches: standard deviation of the noise that is added to the numbers of classes before sorting.
    pub spread: f64,
    /// What changes the size.
    pub policy: Policy,
    /// Largest batch that a policy may reach; 0 = the whole training set.
    pub largest: usize,
    /// Stepped: what the size is multiplied by.
    pub factor: f64,
    /// Stepped: updates between two multiplications.
    pub every: u64,
    /// Stepped: updates, counted from the policy's start, before which it multiplies instead; empty = [`every`](Self::every).
    pub at: Vec<u64>,
    /// Ramp: updates that it takes.
    pub over: u64,
    /// Ramp: its form.
    pub growth: Growth,
    /// Adaptive policies: updates between two measurements.
    pub interval: u64,
    /// Norm test: largest deviation of the gradient over its norm.
    pub eta: f64,
    /// Inner-product test: largest deviation of the single gradients' mean along it, over its square.
    pub theta: f64,
    /// Orthogonality test: largest deviation across the gradient, over its norm.
    pub nu: f64,
    /// Noise scale: batch size over it.
    pub multiple: f64,
    /// Noise scale: share of the earlier estimates kept at each measurement.
    pub smoothing: f64,
    /// Adaptive policies: whether batches may become smaller again.
    pub shrink: bool,
}

impl Default for BatchSpec {
    fn default() -> Self {
        Self {
            size: 64,
            micro: 0,
            sampler: Sampling::Shuffled,
            share: 1.0,
            again: Again::Hardest,
            clustered: false,
            spread: 1.5,
            policy: Policy::Fixed,
            largest: 1024,
            factor: 2.0,
            every: 100,
            at: Vec::new(),
            over: 300,
            growth: Growth::Geometric,
            interval: 20,
            eta: 0.9,
            theta: 0.9,
            nu: 3.0,
            multiple: 1.0,
            smoothing: 0.9,
            shrink: false,
        }
    }
}

impl BatchSpec {
    /// Examples in the update that comes `since` updates after the policy's start, of `all` training examples; for
    /// adaptive policies the size they start from.
    #[must_use]
    pub fn planned(&self, since: u64, all: usize) -> usize {
        let all = all.max(1);
        let first = if self.size == 0 { all } else { self.size };
        let most = self.most(all);
        let size = match self.policy {
            Policy::Stepped => stepped::size(self, first, since),
            Policy::Ramp => ramp::size(self, [first, most], since),
            Policy::Fixed | Policy::NoiseScale | Policy::NormTest | Policy::InnerProduct => return first,
        };
        // Casts saturate: what overflows is above the largest anyway.
        (libm::round(size) as usize).clamp(first, most)
    }

    /// Examples drawn in the first `since` updates of the policy, as planned, of `all` training examples; along a ramp up
    /// to the rounding of its sizes.
    #[must_use]
    pub fn drawn(&self, since: u64, all: usize) -> u64 {
        match self.policy {
            Policy::Stepped => stepped::drawn(self, all, since),
            Policy::Ramp => ramp::drawn(self, [self.planned(0, all), self.most(all)], since),
            Policy::Fixed | Policy::NoiseScale | Policy::NormTest | Policy::InnerProduct => {
                since.saturating_mul(self.planned(0, all) as u64)
            }
        }
    }

    /// The largest batch that the policy may reach, of `all` training examples; never below the first size.
    #[must_use]
    pub fn most(&self, all: usize) -> usize {
        let first = if self.size == 0 { all } else { self.size };
        let most = if self.largest == 0 { all } else { self.largest.min(all) };
        most.max(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(spec: &BatchSpec, steps: &[u64]) -> Vec<usize> {
        steps.iter().map(|&step| spec.planned(step, 1000)).collect()
    }

    #[test]
    fn a_fixed_batch_stays() {
        let spec = BatchSpec { size: 48, ..BatchSpec::default() };
        assert_eq!(sizes(&spec, &[0, 1, 1_000_000]), [48; 3]);
        let all = BatchSpec { size: 0, ..spec };
        assert_eq!(sizes(&all, &[0, u64::MAX]), [1000; 2]);
    }

    #[test]
    fn a_stepped_batch_multiplies_and_stops_at_the_largest() {
        let mut spec = BatchSpec { size: 8, policy: Policy::Stepped, every: 10, largest: 100, ..BatchSpec::default() };
        assert_eq!(sizes(&spec, &[0, 9, 10, 19, 20, 30, 40, u64::MAX]), [8, 8, 16, 16, 32, 64, 100, 100]);
        spec.factor = 1.5;
        assert_eq!(sizes(&spec, &[10, 20, 30]), [12, 18, 27]);
        spec.at = vec![7, 3];
        assert_eq!(sizes(&spec, &[2, 3, 6, 7, 500]), [8, 12, 12, 18, 18]);
        // The whole set is the bound where none is given, and there is nothing above the first size otherwise.
        spec.largest = 0;
        spec.factor = 1e3;
        assert_eq!(sizes(&spec, &[7]), [1000]);
        spec.largest = 4;
        assert_eq!(sizes(&spec, &[7]), [8]);
    }

    #[test]
    fn ramps_follow_their_formulas() {
        let mut spec = BatchSpec { size: 16, policy: Policy::Ramp, over: 8, largest: 256, ..BatchSpec::default() };
        assert_eq!(sizes(&spec, &[0, 2, 4, 8, 9, u64::MAX]), [16, 32, 64, 256, 256, 256]);
        spec.growth = Growth::Linear;
        assert_eq!(sizes(&spec, &[0, 2, 4, 8, 9]), [16, 76, 136, 256, 256]);
    }

    #[test]
    fn examples_drawn_are_the_sum_of_the_sizes() {
        let stepped = BatchSpec { size: 8, policy: Policy::Stepped, every: 10, largest: 100, ..BatchSpec::default() };
        let ramp = BatchSpec { policy: Policy::Ramp, over: 150, ..stepped.clone() };
        let exact = [
            BatchSpec { policy: Policy::NormTest, ..stepped.clone() },
            BatchSpec { factor: 1.0, ..stepped.clone() },
            BatchSpec { at: vec![70, 0, 33], ..stepped.clone() },
            stepped.clone(),
        ];
        let rounded = [
            BatchSpec { factor: 1.02, every: 1, largest: 300, ..stepped.clone() },
            BatchSpec { factor: 1.0005, every: 1, ..stepped.clone() },
            BatchSpec { growth: Growth::Linear, ..ramp.clone() },
            BatchSpec { largest: 8, ..ramp.clone() },
            BatchSpec { over: 1, ..ramp.clone() },
            ramp,
        ];
        for (spec, tolerance) in exact.iter().map(|spec| (spec, 0)).chain(rounded.iter().map(|spec| (spec, 1))) {
            let mut sum = 0;
            for since in 0..200 {
                let drawn = spec.drawn(since, 1000);
                assert!(drawn.abs_diff(sum) <= tolerance * since / 2, "{spec:?} after {since}: {drawn} is not {sum}");
                sum += spec.planned(since, 1000) as u64;
            }
        }
    }

    /// What a link can ask for must not be counted one by one.
    #[test]
    fn a_thousand_million_multiplications_are_summed_at_once() {
        let spec =
            BatchSpec { size: 8, policy: Policy::Stepped, every: 1, factor: 1.0 + 1e-12, ..BatchSpec::default() };
        let drawn = spec.drawn(1_000_000_000, 1000) as f64;
        assert!((drawn / 8e9 - 1.0005).abs() < 1e-6, "{drawn}");
        assert_eq!(BatchSpec { factor: 16.0, ..spec }.drawn(u64::MAX, 1000), u64::MAX);
    }
}
