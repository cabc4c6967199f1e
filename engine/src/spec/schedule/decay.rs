//! How a learning rate falls, or rises, from one value to another.

use crate::spec::choices;

choices! {
    /// How a decay falls from its start to its end.
    pub enum Decay {
        /// Straight.
        Linear = "linear", "linear";
        /// Half a cosine.
        Cosine = "cosine", "cosine";
        /// 1 - sqrt(progress): fast at first.
        Sqrt = "sqrt", "1 − √";
        /// Geometric; an end of 0 is taken as a thousandth of the start, which it reaches.
        Exponential = "exponential", "exponential";
        /// 1 / sqrt(1 + 10 progress), moved and scaled to reach its end (Singh et al. 2025, arXiv 2503.02844).
        InverseSqrt = "inverse_sqrt", "1 / √";
    }
}

impl Decay {
    /// The factor at `progress` in 0..=1: 1 at 0, `floor` at 1.
    #[must_use]
    pub fn fraction(self, progress: f64, floor: f64) -> f64 {
        self.between(1.0, floor, progress)
    }

    /// The value at `progress` in 0..=1 on the way from `from` to `to`, both at least 0.
    #[must_use]
    pub fn between(self, from: f64, to: f64, progress: f64) -> f64 {
        let share = match self {
            Self::Linear => progress,
            // libm, not the platform: the same bits natively and in WASM.
            Self::Cosine => 0.5 * (1.0 - libm::cos(core::f64::consts::PI * progress)),
            Self::Sqrt => libm::sqrt(progress),
            Self::InverseSqrt => {
                let f = |progress: f64| 1.0 / libm::sqrt(1.0 + 10.0 * progress) - 1.0;
                f(progress) / f(1.0)
            }
            Self::Exponential => return geometric(from, to, progress),
        };
        from - (from - to) * share
    }
}

/// Geometric interpolation; 0 is taken as a thousandth of the other end.
fn geometric(from: f64, to: f64, progress: f64) -> f64 {
    let least = from.max(to) * 1e-3;
    if least == 0.0 {
        return 0.0;
    }
    let positive = |end: f64| if end > 0.0 { end } else { least };
    let (from, to) = (positive(from), positive(to));
    from * libm::pow(to / from, progress)
}
