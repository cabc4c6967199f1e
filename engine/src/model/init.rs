//! What parameters start from, drawn by the counter RNG: the same seed gives the same start everywhere.

use crate::rng::{Rng, Stream};

/// A distribution of initial values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// The same number everywhere: biases 0, scales of norms 1.
    Constant(f32),
    /// Normal of this standard deviation, cut at two of them.
    TruncatedNormal(f32),
    /// Normal of this standard deviation.
    Normal(f32),
    /// Uniform between minus and plus this bound.
    Uniform(f32),
    /// Uniform between these.
    Between(f32, f32),
}

impl Init {
    /// Normal with variance `2 / fan_in`, for layers before a ReLU (He et al. 2015).
    pub fn kaiming_normal(fan_in: usize) -> Self {
        Init::Normal((2.0 / fan_in.max(1) as f32).sqrt())
    }

    /// Normal with variance `1 / fan_in`, which a layer without a ReLU passes on unchanged.
    pub fn linear_normal(fan_in: usize) -> Self {
        Init::Normal((1.0 / fan_in.max(1) as f32).sqrt())
    }

    /// Fills `slot` with draws of the sequence of parameter `index` under `seed`.
    pub fn draw(self, seed: u64, index: u32, slot: &mut [f32]) {
        let mut rng = Rng::new(seed, Stream::Init, index);
        for value in slot {
            *value = match self {
                Init::Constant(value) => value,
                Init::TruncatedNormal(deviation) => deviation * rng.truncated_normal(),
                Init::Normal(deviation) => deviation * rng.normal(),
                Init::Uniform(bound) => bound * (2.0 * rng.uniform() - 1.0),
                Init::Between(low, high) => low + (high - low) * rng.uniform(),
            };
        }
    }
}
