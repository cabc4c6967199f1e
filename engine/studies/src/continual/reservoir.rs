//! A memory of fixed size that holds every example seen with the same chance (Vitter 1985, algorithm R).

use engine::rng::{Rng, Stream, own_seed};

/// See the module. What it holds depends on the seed and on what was offered, in order.
#[derive(Clone, Debug)]
pub struct Reservoir {
    seed: u64,
    size: usize,
    rows: Vec<u32>,
    /// Rows offered so far.
    offered: u64,
}

impl Reservoir {
    /// An empty memory of so many rows.
    #[must_use]
    pub fn new(size: usize, seed: u64) -> Self {
        Self { seed: own_seed(seed, "reservoir"), size, rows: Vec::new(), offered: 0 }
    }

    /// Offers a row. Where it is put; `None` if it is not kept.
    pub fn offer(&mut self, row: u32) -> Option<usize> {
        let place = if self.rows.len() < self.size {
            self.rows.push(row);
            Some(self.rows.len() - 1)
        } else {
            // Sequences are counted with 32 bits: epochs of so many offers.
            let mut rng = Rng::new(own_seed(self.seed, "offer"), Stream::Sample, self.offered as u32);
            let place = rng.below(self.offered as u32 + 1) as usize;
            (place < self.size).then(|| {
                self.rows[place] = row;
                place
            })
        };
        self.offered += 1;
        place
    }

    /// Offers rows in order.
    pub fn offer_all(&mut self, rows: &[u32]) {
        for &row in rows {
            self.offer(row);
        }
    }

    /// Up to `count` different places of the memory, drawn evenly; which ones follows from `update` and `purpose`.
    #[must_use]
    pub fn draw(&self, count: usize, update: u64, purpose: &str) -> Vec<usize> {
        let mut rng = Rng::new(own_seed(self.seed, purpose), Stream::Sample, update as u32);
        let (held, count) = (self.rows.len(), count.min(self.rows.len()));
        // Floyd's sample: every set of places has the same chance.
        let mut drawn: Vec<usize> = Vec::with_capacity(count);
        for last in held - count..held {
            let place = rng.below(last as u32 + 1) as usize;
            drawn.push(if drawn.contains(&place) { last } else { place });
        }
        drawn
    }

    /// The rows held, by place.
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The rows at these places.
    #[must_use]
    pub fn at(&self, places: &[usize]) -> Vec<u32> {
        places.iter().map(|&place| self.rows[place]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 streams of 60 rows into 12 places: each row is kept 80 times on average. With 59 degrees of freedom the 99.9%
    /// quantile of chi-square is 98.3; kept rows of a stream exclude each other, which only makes the sum smaller.
    #[test]
    fn every_row_is_kept_with_the_same_chance() {
        let mut kept = [0.0_f64; 60];
        for seed in 0..400 {
            let mut memory = Reservoir::new(12, seed);
            (0..60).for_each(|row| {
                memory.offer(row);
            });
            assert_eq!(memory.rows().len(), 12);
            memory.rows().iter().for_each(|&row| kept[row as usize] += 1.0);
        }
        let chi: f64 = kept.iter().map(|count| (count - 80.0) * (count - 80.0) / 80.0).sum();
        assert!(chi < 98.3, "{chi}");
        assert!(chi > 20.0, "{chi}: no chance at all");
    }

    #[test]
    fn draws_are_distinct_even_and_repeatable() {
        let mut memory = Reservoir::new(20, 3);
        (0..20).for_each(|row| {
            memory.offer(row);
        });
        let mut drawn = [0.0_f64; 20];
        for update in 0..1000 {
            let mut places = memory.draw(5, update, "replay");
            assert_eq!(places, memory.draw(5, update, "replay"));
            places.iter().for_each(|&place| drawn[place] += 1.0);
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), 5);
        }
        let chi: f64 = drawn.iter().map(|count| (count - 250.0) * (count - 250.0) / 250.0).sum();
        // The 99.9% quantile with 19 degrees of freedom.
        assert!(chi < 43.8, "{chi}");
        assert_eq!(memory.draw(50, 1, "replay").len(), 20);
        assert_ne!(memory.draw(5, 1, "replay"), memory.draw(5, 1, "other"));
    }
}
