//! Batches that keep their examples. All of them are trained on once; then, round after round, the share of them whose last
//! loss was largest (Sahayam, Zakkam, Jayaraman 2023, arXiv 2304.03486, whose code calls it DyBAT), or one drawn at random.

use std::ops::Range;

use super::{Sampler, shuffled};
use crate::rng::{Rng, Stream};
use crate::spec::{Again, BatchSpec};

/// Number of the random stream that spreads classes over batches; rounds have theirs from 0 on.
const SPREAD: u32 = u32::MAX;

/// See the module.
pub(super) struct Fixed {
    /// First of the examples.
    start: u32,
    /// The examples, batch by batch; what does not fill one is left out.
    examples: Vec<u32>,
    /// Batch of each example; `u32::MAX` = none.
    batch_of: Vec<u32>,
    size: usize,
    /// Batches of a round, but for the first.
    keep: usize,
    again: Again,
    seed: u64,
    /// The round whose batches are at hand.
    round: u64,
    /// They, in the order in which they are trained on.
    visits: Vec<u32>,
    /// Loss of each batch when it was last trained on, before that update.
    losses: Vec<f32>,
}

impl Fixed {
    /// Batches of these examples; `labels` of them, where they have classes.
    pub(super) fn new(spec: &BatchSpec, examples: Range<u32>, labels: Option<&[u32]>, seed: u64) -> Self {
        let count = examples.len();
        let size = if spec.size == 0 { count } else { spec.size.clamp(1, count) };
        let batches = count / size;
        let mut order = Vec::new();
        if spec.clustered {
            let mut rng = Rng::new(seed, Stream::Sample, SPREAD);
            // Where there are no classes, in the order of the file.
            let class = |example: u32| labels.map_or(0.0, |labels| labels[example as usize] as f32);
            let mut near: Vec<(f32, u32)> =
                examples.clone().map(|example| (class(example) + spec.spread as f32 * rng.normal(), example)).collect();
            if labels.is_some() {
                crate::numeric::sort_by(&mut near, &|a, b| a.0.total_cmp(&b.0));
            }
            order.extend(near.into_iter().map(|(_, example)| example));
        } else {
            shuffled(examples.clone(), seed, 0, &mut order);
        }
        order.truncate(batches * size);
        let mut batch_of = vec![u32::MAX; count];
        for (place, &example) in order.iter().enumerate() {
            batch_of[(example - examples.start) as usize] = (place / size) as u32;
        }
        Self {
            start: examples.start,
            examples: order,
            batch_of,
            size,
            keep: share_of(batches, spec.share),
            again: spec.again,
            seed,
            round: 0,
            visits: (0..batches as u32).collect(),
            losses: vec![0.0; batches],
        }
    }

    /// Makes the batches of a round ready.
    fn enter(&mut self, round: u64) {
        if self.round == round {
            return;
        }
        self.round = round;
        let batches = self.losses.len() as u32;
        self.visits = if round == 0 || self.keep == self.losses.len() {
            (0..batches).collect()
        } else {
            match self.again {
                Again::Hardest => hardest(&self.losses, self.keep),
                Again::Random => {
                    let mut drawn = Vec::new();
                    shuffled(0..batches, self.seed, round as u32, &mut drawn);
                    drawn.truncate(self.keep);
                    crate::numeric::sort(&mut drawn);
                    drawn
                }
            }
        };
    }
}

/// That share of so many batches, rounded down, but at least one.
fn share_of(batches: usize, share: f64) -> usize {
    ((batches as f64 * share) as usize).clamp(1, batches)
}

/// The batches with the largest losses, ties by number, in the order of their numbers.
fn hardest(losses: &[f32], keep: usize) -> Vec<u32> {
    let mut batches: Vec<u32> = (0..losses.len() as u32).collect();
    crate::numeric::sort_by(&mut batches, &|&a, &b| losses[b as usize].total_cmp(&losses[a as usize]));
    batches.truncate(keep);
    crate::numeric::sort(&mut batches);
    batches
}

impl Sampler for Fixed {
    fn fill(&mut self, first: u64, out: &mut [u32]) {
        let (all, part) = (self.examples.len() as u64, (self.keep * self.size) as u64);
        for (draw, out) in (first..).zip(out) {
            let (round, place) = if draw < all { (0, draw) } else { (1 + (draw - all) / part, (draw - all) % part) };
            self.enter(round);
            let (visit, place) = (place as usize / self.size, place as usize % self.size);
            *out = self.examples[self.visits[visit] as usize * self.size + place];
        }
    }

    fn receives(&self) -> bool {
        self.again == Again::Hardest && self.keep < self.losses.len()
    }

    fn feedback(&mut self, examples: &[u32], losses: &[f32]) {
        let mut sums = vec![(0.0_f64, 0_u32); self.losses.len()];
        for (&example, &loss) in examples.iter().zip(losses) {
            let batch = self.batch_of.get((example - self.start) as usize).copied().unwrap_or(u32::MAX);
            if let Some((sum, count)) = sums.get_mut(batch as usize) {
                *sum += f64::from(loss);
                *count += 1;
            }
        }
        for (known, (sum, count)) in self.losses.iter_mut().zip(sums) {
            if count > 0 {
                *known = (sum / f64::from(count)) as f32;
            }
        }
    }

    fn remembered(&self) -> &[f32] {
        if self.receives() { &self.losses } else { &[] }
    }

    fn numbers(&self) -> Vec<f64> {
        if !self.receives() {
            return Vec::new();
        }
        let visits = self.visits.iter().map(|&batch| f64::from(batch));
        let losses = self.losses.iter().map(|&loss| f64::from(loss));
        [self.round as f64].into_iter().chain(losses).chain(visits).collect()
    }

    fn restore(&mut self, numbers: &[f64]) -> bool {
        let batches = self.losses.len();
        let Some((&round, rest)) = numbers.split_first() else { return false };
        let Some((losses, visits)) = rest.split_at_checked(batches) else { return false };
        let known = |batch: &f64| (0.0..batches as f64).contains(batch);
        let number = round as u64;
        let length = if number == 0 { batches } else { self.keep };
        // A number that is not whole would be another round than its visits are of.
        if number as f64 != round || visits.len() != length || !visits.iter().all(known) {
            return false;
        }
        self.round = number;
        self.losses = losses.iter().map(|&loss| loss as f32).collect();
        self.visits = visits.iter().map(|&batch| batch as u32).collect();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(size: usize, share: f64) -> BatchSpec {
        BatchSpec { size, share, ..BatchSpec::default() }
    }

    fn batches(sampler: &mut Fixed, from: u64, count: usize, mut loss: impl FnMut(u32) -> f32) -> Vec<u32> {
        let size = sampler.size;
        let mut visited = Vec::new();
        for update in from..from + count as u64 {
            let mut rows = vec![0; size];
            sampler.fill(update * size as u64, &mut rows);
            let batch = sampler.batch_of[(rows[0] - sampler.start) as usize];
            let own = &sampler.examples[batch as usize * size..(batch as usize + 1) * size];
            assert_eq!(rows, own, "a batch keeps its examples");
            let losses = vec![loss(batch); size];
            sampler.feedback(&rows, &losses);
            visited.push(batch);
        }
        visited
    }

    #[test]
    fn the_hardest_are_visited_in_the_order_of_their_numbers() {
        assert_eq!(hardest(&[5.0, 1.0, 4.0, 2.0], 2), [0, 2]);
        assert_eq!(hardest(&[1.0, 1.0, 1.0], 2), [0, 1]);
        assert_eq!([share_of(5, 0.5), share_of(5, 0.01), share_of(5, 1.0)], [2, 1, 5]);
        let mut sampler = Fixed::new(&spec(3, 0.5), 100..113, None, 7);
        assert_eq!((sampler.losses.len(), sampler.examples.len()), (4, 12));
        // What was not visited keeps its loss.
        let mut order = [5.0, 1.0, 4.0, 2.0].into_iter();
        assert_eq!(batches(&mut sampler, 0, 4, |_| order.next().unwrap()), [0, 1, 2, 3]);
        assert_eq!(batches(&mut sampler, 4, 2, |_| 0.5), [0, 2]);
        assert_eq!(sampler.losses, [0.5, 1.0, 0.5, 2.0]);
        assert_eq!(batches(&mut sampler, 6, 2, |_| 0.1), [1, 3]);
    }

    #[test]
    fn no_batch_is_left_behind_for_ever() {
        let mut sampler = Fixed::new(&spec(1, 0.3), 0..4, None, 1);
        let mut loss = [4.0, 3.0, 2.0, 1.0];
        let visited = batches(&mut sampler, 0, 200, |batch| {
            loss[batch as usize] *= 0.9;
            loss[batch as usize]
        });
        for batch in 0..4 {
            assert!(visited[150..].contains(&batch), "batch {batch}");
        }
    }

    #[test]
    fn all_batches_again_is_a_function_of_the_draw() {
        let mut sampler = Fixed::new(&spec(4, 1.0), 0..18, None, 3);
        assert!(!sampler.receives());
        assert_eq!(batches(&mut sampler, 0, 8, |_| 1.0), [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(batches(&mut sampler, 2, 1, |_| 1.0), [2]);
        let random = BatchSpec { again: Again::Random, ..spec(4, 0.5) };
        let mut sampler = Fixed::new(&random, 0..40, None, 3);
        let straight = batches(&mut sampler, 0, 40, |_| 1.0);
        assert_eq!(batches(&mut sampler, 12, 28, |_| 2.0), straight[12..]);
        assert_ne!(straight[10..15], straight[15..20]);
    }

    #[test]
    fn it_goes_on_from_its_numbers() {
        let mut sampler = Fixed::new(&spec(2, 0.4), 0..20, None, 5);
        let loss = |batch: u32| (f64::from(batch) * 1.7).sin() as f32;
        batches(&mut sampler, 0, 13, loss);
        let mut other = Fixed::new(&spec(2, 0.4), 0..20, None, 5);
        assert!(other.restore(&sampler.numbers()));
        assert_eq!(
            batches(&mut other, 13, 20, |batch| loss(batch) / 2.0),
            batches(&mut sampler, 13, 20, |batch| loss(batch) / 2.0)
        );
        assert!(!other.restore(&[]) && !other.restore(&[1.0; 4]) && !other.restore(&[1e9; 15]));
        // Ten batches, of which four are visited again.
        for round in [0.5, -1.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            for visits in [4, 10] {
                let numbers: Vec<f64> = [round].into_iter().chain(vec![0.0; 10 + visits]).collect();
                assert!(!other.restore(&numbers), "{round}");
            }
        }
        let mut rows = [0; 40];
        other.fill(0, &mut rows);
    }

    #[test]
    fn classes_lie_together_as_far_as_the_spread_lets_them() {
        let labels: Vec<u32> = (0..60).map(|i| i % 6).collect();
        let clustered = |spread: f64| BatchSpec { clustered: true, spread, ..spec(10, 1.0) };
        let sampler = Fixed::new(&clustered(0.0), 0..60, Some(&labels), 1);
        assert!(sampler.examples.iter().map(|&example| labels[example as usize]).is_sorted());
        let kinds = |spread: f64| {
            let sampler = Fixed::new(&clustered(spread), 0..60, Some(&labels), 1);
            let of = |batch: &[u32]| {
                batch.iter().map(|&example| labels[example as usize]).collect::<std::collections::BTreeSet<_>>().len()
            };
            sampler.examples.chunks(10).map(of).sum::<usize>()
        };
        assert!(kinds(0.0) < kinds(1.5) && kinds(1.5) < kinds(100.0));
        let sampler = Fixed::new(&clustered(1.5), 0..60, None, 1);
        assert!(sampler.examples.is_sorted(), "in the order of the file");
    }

    #[test]
    fn batches_of_another_size_than_the_first_do_no_harm() {
        let mut sampler = Fixed::new(&spec(4, 0.5), 0..18, None, 3);
        let mut rows = vec![0; 50];
        sampler.fill(3, &mut rows);
        sampler.feedback(&rows, &[1.0; 50]);
        assert!(rows.iter().all(|&row| row < 18));
    }
}
