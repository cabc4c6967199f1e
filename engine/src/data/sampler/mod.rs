//! Which examples a step sees.
//!
//! A sampler is a function of the number of examples drawn so far: draw number d of a run is the same whatever the batch
//! sizes were, and going back costs nothing. One that goes by losses is a function of these too, and says what it knows.

mod fixed;

use std::ops::Range;

use super::{Data, DataError, Split};
use crate::rng::{Rng, Stream, block};
use crate::spec::{BatchSpec, Sampling};

/// Draws training examples by index.
pub trait Sampler: Send {
    /// Writes the examples of draws `first`, `first + 1`, ... into `out`.
    fn fill(&mut self, first: u64, out: &mut [u32]);

    /// Draws none of these rows from now on, ascending; those of an earlier call may be drawn again. One that is made to keep its
    /// examples does not care.
    fn leave_out(&mut self, _rows: &[u32]) {}

    /// Whether it goes by the losses of what it has drawn, as samplers do that prefer hard examples.
    fn receives(&self) -> bool {
        false
    }

    /// Takes in the losses that the examples of an update had, before it changed anything.
    fn feedback(&mut self, _examples: &[u32], _losses: &[f32]) {}

    /// Of one that goes by losses, the last of each batch that it knows.
    fn remembered(&self) -> &[f32] {
        &[]
    }

    /// What it has received, as far as later draws go by it.
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Goes on from numbers that it gave before; `false` if they are none of its own, and then nothing has changed.
    fn restore(&mut self, _numbers: &[f64]) -> bool {
        !self.receives()
    }
}

/// The sampler that a spec names, over the training examples of `data`, each of `span` rows (see [`Data::examples`]).
///
/// # Errors
/// If there is no example to draw, or class-balanced draws are asked for where there are no classes.
pub fn sampler(spec: &BatchSpec, data: &Data, span: usize, seed: u64) -> Result<Box<dyn Sampler>, DataError> {
    let fail = |reason: String| DataError::new(&data.info.title, reason);
    let examples = data.examples(Split::Train, span);
    if examples.is_empty() {
        return Err(fail(format!("{} training rows are too few for an example of {span}", data.train.len())));
    }
    let bound = |end: usize| u32::try_from(end).map_err(|_| fail(format!("{end} examples are too many")));
    let examples = bound(examples.start)?..bound(examples.end)?;
    Ok(match spec.sampler {
        Sampling::Fixed => Box::new(fixed::Fixed::new(spec, examples, data.labels(), seed)),
        Sampling::Shuffled => Box::new(Shuffled::new(examples, seed)),
        Sampling::Replacement => Box::new(Replacement { kept: examples.clone().collect(), examples, seed }),
        Sampling::Balanced => {
            let labels =
                data.labels().ok_or_else(|| fail("class-balanced batches need examples with classes".into()))?;
            Box::new(Balanced::new(examples, labels, data.classes().len(), seed))
        }
    })
}

/// Epochs: every example once, in a new order each time. A batch may span epochs.
struct Shuffled {
    examples: Range<u32>,
    /// Those that are not left out.
    kept: Vec<u32>,
    seed: u64,
    /// The epoch whose order is at hand.
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl Shuffled {
    fn new(examples: Range<u32>, seed: u64) -> Self {
        Self { kept: examples.clone().collect(), examples, seed, epoch: None, order: Vec::new() }
    }

    fn shuffle(&mut self, epoch: u64) {
        shuffled(self.kept.iter().copied(), self.seed, epoch as u32, &mut self.order);
        self.epoch = Some(epoch);
    }
}

impl Sampler for Shuffled {
    fn fill(&mut self, first: u64, out: &mut [u32]) {
        let length = self.kept.len() as u64;
        let mut draw = first;
        let mut rest = out;
        while !rest.is_empty() {
            let (epoch, place) = (draw / length, (draw % length) as usize);
            if self.epoch != Some(epoch) {
                self.shuffle(epoch);
            }
            let left = &self.order[place..];
            let (now, later) = rest.split_at_mut(left.len().min(rest.len()));
            now.copy_from_slice(&left[..now.len()]);
            draw += now.len() as u64;
            rest = later;
        }
    }

    fn leave_out(&mut self, rows: &[u32]) {
        self.kept = without(self.examples.clone(), rows);
        self.epoch = None;
    }
}

/// Each example drawn independently and evenly.
struct Replacement {
    examples: Range<u32>,
    /// Those that are not left out.
    kept: Vec<u32>,
    seed: u64,
}

impl Sampler for Replacement {
    fn fill(&mut self, first: u64, out: &mut [u32]) {
        for (draw, example) in (first..).zip(out) {
            let [a, b, ..] = block(self.seed, Stream::Sample, 0, draw);
            *example = self.kept[below(self.kept.len() as u32, a, b) as usize];
        }
    }

    fn leave_out(&mut self, rows: &[u32]) {
        self.kept = without(self.examples.clone(), rows);
    }
}

/// A class drawn evenly, then an example of it. Classes without training examples are never drawn.
struct Balanced {
    /// Examples of each class that has any.
    all: Vec<Vec<u32>>,
    /// The same without those that are left out.
    classes: Vec<Vec<u32>>,
    seed: u64,
}

impl Balanced {
    fn new(examples: Range<u32>, labels: &[u32], classes: usize, seed: u64) -> Self {
        let mut of_class = vec![Vec::new(); classes];
        for example in examples {
            of_class[labels[example as usize] as usize].push(example);
        }
        of_class.retain(|class| !class.is_empty());
        Self { all: of_class.clone(), classes: of_class, seed }
    }
}

impl Sampler for Balanced {
    fn fill(&mut self, first: u64, out: &mut [u32]) {
        for (draw, example) in (first..).zip(out) {
            let [a, b, c, d] = block(self.seed, Stream::Sample, 0, draw);
            let class = &self.classes[below(self.classes.len() as u32, a, b) as usize];
            *example = class[below(class.len() as u32, c, d) as usize];
        }
    }

    fn leave_out(&mut self, rows: &[u32]) {
        self.classes = self.all.iter().map(|class| others(class.iter().copied(), rows)).collect();
        self.classes.retain(|class| !class.is_empty());
        if self.classes.is_empty() {
            self.classes.clone_from(&self.all);
        }
    }
}

/// Examples but for these rows, ascending.
fn others(examples: impl Iterator<Item = u32>, rows: &[u32]) -> Vec<u32> {
    examples.filter(|example| rows.binary_search(example).is_err()).collect()
}

/// The same; all of them where none would be left.
fn without(examples: impl Iterator<Item = u32> + Clone, rows: &[u32]) -> Vec<u32> {
    let kept = others(examples.clone(), rows);
    if kept.is_empty() { examples.collect() } else { kept }
}

/// The examples in the order number `sequence` under `seed`, into `order`.
pub(crate) fn shuffled(examples: impl IntoIterator<Item = u32>, seed: u64, sequence: u32, order: &mut Vec<u32>) {
    order.clear();
    order.extend(examples);
    Rng::new(seed, Stream::Sample, sequence).shuffle(order);
}

/// 64 random bits scaled to 0..n: uneven by less than one part in 2^32, and always one draw.
pub(crate) fn below(n: u32, high: u32, low: u32) -> u32 {
    let bits = (u64::from(high) << 32) | u64::from(low);
    ((u128::from(bits) * u128::from(n)) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generate::{Mixture, mixture};
    use crate::data::{Info, Text, Values};
    use proptest::prelude::*;

    fn set(train: usize, classes: usize) -> Data {
        mixture(&Mixture { components: classes, dims: 1, spread: 0.1, train, test: 5 }, 1).unwrap()
    }

    fn of(sampler: Sampling) -> BatchSpec {
        BatchSpec { sampler, ..BatchSpec::default() }
    }

    fn draws(kind: Sampling, data: &Data, first: u64, sizes: &[usize]) -> Vec<u32> {
        let mut sampler = sampler(&of(kind), data, 1, 11).unwrap();
        let mut all = Vec::new();
        for &size in sizes {
            let mut out = vec![0; size];
            sampler.fill(first + all.len() as u64, &mut out);
            all.extend(out);
        }
        all
    }

    #[test]
    fn an_epoch_visits_every_example_once_in_a_new_order() {
        let data = set(50, 2);
        // Batch sizes change midway and batches span epochs, one of them three.
        let all = draws(Sampling::Shuffled, &data, 0, &[7, 7, 7, 64, 1, 114]);
        let epochs: Vec<Vec<u32>> = all.chunks(50).map(<[u32]>::to_vec).collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..50));
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_ne!(epochs[1], epochs[2]);
    }

    proptest! {
        #[test]
        fn resuming_equals_running_straight(first in 0_u64..1000, sizes in prop::collection::vec(1_usize..90, 1..8)) {
            let data = set(37, 3);
            for kind in [Sampling::Shuffled, Sampling::Replacement, Sampling::Balanced, Sampling::Fixed] {
                let total: usize = sizes.iter().sum();
                let straight = draws(kind, &data, 0, &[first as usize + total]);
                prop_assert_eq!(&straight[first as usize..], draws(kind, &data, first, &sizes));
            }
        }
    }

    #[test]
    fn going_back_gives_the_same_draws() {
        let data = set(37, 3);
        let mut sampler = sampler(&of(Sampling::Shuffled), &data, 1, 5).unwrap();
        let (mut a, mut b, mut far) = ([0; 20], [0; 20], [0; 20]);
        sampler.fill(30, &mut a);
        sampler.fill(u64::MAX / 2, &mut far);
        sampler.fill(30, &mut b);
        assert_eq!(a, b);
    }

    #[test]
    fn what_is_left_out_is_never_drawn_and_epochs_hold_all_the_rest() {
        let data = set(50, 3);
        let out = [3, 4, 10, 49];
        for kind in [Sampling::Shuffled, Sampling::Replacement, Sampling::Balanced] {
            let mut sampler = sampler(&of(kind), &data, 1, 11).unwrap();
            let draw = |sampler: &mut Box<dyn Sampler>| {
                let mut drawn = vec![0; 460];
                sampler.fill(0, &mut drawn);
                drawn
            };
            let before = draw(&mut sampler);
            sampler.leave_out(&out);
            let drawn = draw(&mut sampler);
            assert!(drawn.iter().all(|example| !out.contains(example)), "{kind:?}");
            let mut seen = drawn[..46].to_vec();
            seen.sort_unstable();
            if kind == Sampling::Shuffled {
                assert!(seen.into_iter().eq((0..50).filter(|example| !out.contains(example))));
            }
            sampler.leave_out(&[]);
            assert_eq!(draw(&mut sampler), before, "{kind:?}");
            // One can always draw.
            sampler.leave_out(&(0..50).collect::<Vec<u32>>());
            assert_eq!(draw(&mut sampler), before, "{kind:?}");
        }
    }

    #[test]
    fn replacement_is_even() {
        let mut counts = [0_u32; 20];
        for example in draws(Sampling::Replacement, &set(20, 2), 0, &[40_000]) {
            counts[example as usize] += 1;
        }
        // Mean 2,000, standard deviation 44.
        assert!(counts.iter().all(|count| count.abs_diff(2000) < 220), "{counts:?}");
    }

    #[test]
    fn balanced_draws_rare_classes_as_often() {
        let mut data = set(1000, 4);
        let Values::Table(table) = &mut data.values else { panic!("not a table") };
        let crate::data::Target::Classes { labels, .. } = &mut table.target else { panic!("no classes") };
        // 10 examples of class 0, 990 of class 1, none of the others.
        for (i, label) in labels.iter_mut().enumerate() {
            *label = u32::from(i >= 10);
        }
        let drawn = draws(Sampling::Balanced, &data, 0, &[10_000]);
        let rare = drawn.iter().filter(|&&example| example < 10).count();
        assert!(rare.abs_diff(5000) < 250, "{rare} of 10,000");
        assert!(drawn.iter().all(|&example| example < 1000));
    }

    #[test]
    fn text_windows_stay_within_the_training_part() {
        let tokens = vec![0; 100];
        let data = Data {
            info: Info { title: "letters".into(), ..Info::default() },
            values: Values::Text(Text { tokens, vocabulary: vec!['a'] }),
            train: 0..90,
            test: 90..100,
        };
        for kind in [Sampling::Shuffled, Sampling::Replacement] {
            let mut out = vec![0; 1000];
            sampler(&of(kind), &data, 33, 1).unwrap().fill(0, &mut out);
            assert_eq!(out.iter().max(), Some(&57));
            assert_eq!(out.iter().min(), Some(&0));
        }
        let error = |kind, span| sampler(&of(kind), &data, span, 1).err().unwrap().to_string();
        assert_eq!(error(Sampling::Shuffled, 91), "letters: 90 training rows are too few for an example of 91");
        assert_eq!(error(Sampling::Balanced, 33), "letters: class-balanced batches need examples with classes");
    }
}
