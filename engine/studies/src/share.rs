//! Which part of a study's work something is, so that progress can be told from inside it.

/// A part of the whole: from one fraction of the work to another, within 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    from: f64,
    to: f64,
}

impl Share {
    /// The whole.
    pub const ALL: Self = Self { from: 0.0, to: 1.0 };

    /// The fraction of the whole that is done when a fraction of this part is.
    #[must_use]
    pub fn at(self, done: f64) -> f64 {
        self.from + (self.to - self.from) * done.clamp(0.0, 1.0)
    }

    /// The part of this part between two fractions of it.
    #[must_use]
    pub fn between(self, from: f64, to: f64) -> Self {
        Self { from: self.at(from), to: self.at(to) }
    }

    /// Part number `place` of `count` equal ones.
    #[must_use]
    pub fn part(self, place: usize, count: usize) -> Self {
        let edge = |place: usize| place as f64 / count.max(1) as f64;
        self.between(edge(place), edge(place + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_on_each_other_and_fill_the_whole() {
        let parts: Vec<Share> = (0..4).map(|place| Share::ALL.part(place, 4)).collect();
        assert_eq!((parts[0].at(0.0), parts[3].at(1.0)), (0.0, 1.0));
        assert!(parts.windows(2).all(|pair| pair[0].at(1.0) == pair[1].at(0.0)));
        assert_eq!(parts[1].part(1, 2).at(0.5), 0.4375);
        assert_eq!(Share::ALL.between(0.5, 0.7).at(2.0), 0.7);
    }
}
