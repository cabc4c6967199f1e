//! GDumb (Prabhu et al. 2020): a greedy sampler keeps as many examples of each class as of any other; whenever the network
//! is asked for, here at every border, it is trained from its start on the memory alone, the rate falling by a cosine.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use engine::continual::Leg;
use engine::rng::{Rng, Stream, own_seed};

use super::Method;
use crate::continual::desk::{Batch, Desk, NET};
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct Gdumb {
    memory: Balanced,
    passes: usize,
    seed: u64,
}

/// A memory of as many rows of each class as of any other.
#[derive(Clone)]
struct Balanced {
    size: usize,
    rows: Vec<u32>,
    /// Class of each row.
    classes: Vec<u32>,
    /// Rows held, by class; classes that have been seen have an entry.
    counts: BTreeMap<u32, usize>,
    rng: Rng,
}

impl Balanced {
    /// An empty memory of so many rows.
    fn new(size: usize, seed: u64) -> Self {
        let rng = Rng::new(own_seed(seed, "gdumb"), Stream::Sample, 0);
        Self { size, rows: Vec::new(), classes: Vec::new(), counts: BTreeMap::new(), rng }
    }

    /// Offers a row: it is taken while its class has fewer rows than its share, in place of one of the largest class where
    /// the memory is full.
    fn offer(&mut self, row: u32, class: u32) {
        let held = *self.counts.entry(class).or_insert(0);
        // At least one of each class, as long as there is room.
        let share = (self.size / self.counts.len()).max(1);
        if held >= share {
            return;
        }
        if self.rows.len() < self.size {
            self.rows.push(row);
            self.classes.push(class);
        } else {
            // The first of the largest: a function of what was offered.
            let Some((&largest, &most)) = self.counts.iter().max_by_key(|(class, count)| (**count, Reverse(**class)))
            else {
                return;
            };
            if most <= 1 {
                return;
            }
            let places: Vec<usize> = (0..self.rows.len()).filter(|&place| self.classes[place] == largest).collect();
            let place = places[self.rng.below(places.len() as u32) as usize];
            (self.rows[place], self.classes[place]) = (row, class);
            *self.counts.entry(largest).or_insert(1) -= 1;
        }
        *self.counts.entry(class).or_insert(0) += 1;
    }
}

const STEP: &str = "descend";

impl Gdumb {
    /// With an empty memory.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self {
            memory: Balanced::new(desk.value(leg, "memory") as usize, desk.seed),
            passes: desk.value(leg, "dumb-passes") as usize,
            seed: own_seed(desk.seed, "gdumb passes"),
        }
    }
}

impl Method for Gdumb {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async { desk.descent(STEP, desk.spec.batch).await.map(|_| ()) })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        for &row in &batch.rows {
            self.memory.offer(row, desk.tasks.output[row as usize]);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn border<'a>(&'a mut self, desk: &'a mut Desk<'_>, task: usize) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let (step, size) = (desk.known(STEP)?, desk.spec.batch);
            desk.begin_anew()?;
            let mut rows = self.memory.rows.clone();
            let updates = self.passes * rows.len().div_ceil(size);
            let mut update = 0;
            for pass in 0..self.passes {
                let sequence = (task * self.passes + pass) as u32;
                Rng::new(self.seed, Stream::Sample, sequence).shuffle(&mut rows);
                for chunk in rows.chunks(size) {
                    let turn = std::f64::consts::PI * update as f64 / updates as f64;
                    desk.play.rate(NET, desk.spec.rate * (0.5 + 0.5 * libm::cos(turn)))?;
                    desk.run(step, &desk.fill(chunk, size, chunk.len()), &[]).await?;
                    update += 1;
                }
            }
            Ok(desk.play.rate(NET, desk.spec.rate)?)
        })
    }

    fn stored(&self) -> &[u32] {
        &self.memory.rows
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_stays_balanced_as_classes_arrive() {
        let mut memory = Balanced::new(12, 1);
        (0..40).for_each(|row| memory.offer(row, 0));
        assert_eq!(memory.rows, (0..12).collect::<Vec<u32>>());
        for class in 1..4 {
            (0..40).for_each(|row| memory.offer(100 * class + row, class));
            let share = 12 / (class as usize + 1);
            assert_eq!(memory.rows.len(), 12);
            assert!(memory.counts.values().all(|&count| count == share), "{:?}", memory.counts);
        }
        let mut crowded = Balanced::new(2, 1);
        (0..9).for_each(|row| crowded.offer(row, row));
        assert_eq!(crowded.rows, [0, 1], "no more classes than places");
    }
}
