//! The largest rate at which something still holds, by bisection on a grid.

/// Rates from `lowest` up, evenly spaced on a logarithmic axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateGrid {
    /// The first rate.
    pub lowest: f64,
    /// Steps to a doubling.
    pub per_octave: u32,
    /// How many rates.
    pub count: u32,
}

impl RateGrid {
    /// Rate number `place`.
    #[must_use]
    pub fn rate(&self, place: u32) -> f64 {
        self.lowest * libm::exp2(f64::from(place) / f64::from(self.per_octave.max(1)))
    }
}

/// Searches a grid, taking it that what holds at a rate holds at smaller ones. Ask [`LargestRate::next`], try that rate,
/// [`LargestRate::tell`] what came of it: `log2(count + 1)` trials, rounded up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LargestRate {
    grid: RateGrid,
    /// Rates that hold: all before this place.
    holding: u32,
    /// Rates that fail: from this place on.
    failing: u32,
}

impl LargestRate {
    /// Nothing known yet.
    #[must_use]
    pub fn on(grid: RateGrid) -> Self {
        Self { grid, holding: 0, failing: grid.count }
    }

    fn middle(&self) -> u32 {
        self.holding + (self.failing - self.holding) / 2
    }

    /// The rate to try next; none when all is known.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        (self.holding < self.failing).then(|| self.grid.rate(self.middle()))
    }

    /// Whether it held at the rate that was to be tried.
    pub fn tell(&mut self, holds: bool) {
        let tried = self.middle();
        if self.holding < self.failing {
            if holds { self.holding = tried + 1 } else { self.failing = tried }
        }
    }

    /// The largest rate at which it held. `None` if it held at no rate of the grid, or was not tried.
    #[must_use]
    pub fn found(&self) -> Option<f64> {
        self.holding.checked_sub(1).map(|place| self.grid.rate(place))
    }

    /// Whether it held at every rate of the grid: the true edge lies beyond, and what was found is a lower bound.
    #[must_use]
    pub fn ran_out(&self) -> bool {
        self.holding > 0 && self.holding == self.grid.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: RateGrid = RateGrid { lowest: 0.01, per_octave: 2, count: 31 };

    #[test]
    fn finds_every_edge_in_five_trials() {
        for edge in 0..=31 {
            let mut search = LargestRate::on(GRID);
            let mut trials = 0;
            while let Some(rate) = search.next() {
                search.tell(edge > 0 && rate <= GRID.rate(edge - 1));
                trials += 1;
            }
            assert!(trials <= 5, "{trials} trials");
            assert_eq!(search.found(), edge.checked_sub(1).map(|place| GRID.rate(place)));
            assert_eq!(search.ran_out(), edge == 31);
        }
    }

    #[test]
    fn two_steps_of_half_an_octave_double() {
        assert!((GRID.rate(7) / GRID.rate(5) - 2.0).abs() < 1e-12);
        assert_eq!(GRID.rate(0), 0.01);
    }

    #[test]
    fn an_empty_grid_has_nothing_to_try() {
        let search = LargestRate::on(RateGrid { count: 0, ..GRID });
        assert_eq!((search.next(), search.found(), search.ran_out()), (None, None, false));
    }
}
