//! The discrete key-value bottleneck (Träuble et al. 2023): several codebooks look a feature vector up among fixed keys, each
//! in a random projection of its own; the mean of the values that were hit is the logits, and learning changes those alone.
//!
//! Keys are placed by running averages over unlabelled examples before anything is learned, and stay. The decoder is the
//! paper's without parameters: values are as wide as there are outputs.

use std::rc::Rc;

use engine::continual::Leg;
use engine::rng::{Rng, Stream, own_seed};

use super::Method;
use super::nearest_mean::needed;
use crate::continual::desk::{Batch, Desk, Features};
use crate::{StudyError, Task};

/// Examples of a batch that places keys.
const PLACED: usize = 32;
/// Passes over the unlabelled examples.
const PASSES: u32 = 3;
/// Most unlabelled examples.
const UNLABELLED: usize = 2000;
/// What the running averages keep.
const DECAY: f32 = 0.95;
/// Smooths the counts of keys.
const EPSILON: f32 = 1e-5;
/// Label smoothing, over the outputs that compete.
const SMOOTHING: f32 = 0.1;
/// Largest norm of an update's gradient.
const CLIP: f32 = 1.0;

/// Fixed keys of several codebooks.
#[derive(Clone, Debug)]
pub struct Keys {
    codebooks: usize,
    pairs: usize,
    width: usize,
    input: usize,
    /// `[input, codebooks * width]`
    projection: Vec<f32>,
    /// `[codebooks, width, pairs]`: distances to all keys of a codebook are taken side by side.
    keys: Vec<f32>,
}

/// What a codebook gathers while its keys are placed.
struct Gathered {
    count: Vec<f32>,
    /// As [`Keys::keys`].
    sum: Vec<f32>,
}

impl Keys {
    /// Keys of `codebooks` x `pairs` of that width for features of `input` numbers, not placed yet: all at the origin.
    #[must_use]
    pub fn new([codebooks, pairs, width]: [usize; 3], input: usize, seed: u64) -> Self {
        let mut rng = Rng::new(own_seed(seed, "projections"), Stream::Init, 0);
        let scale = 1.0 / (input.max(1) as f32).sqrt();
        let projection = (0..input * codebooks * width).map(|_| rng.normal() * scale).collect();
        Self { codebooks, pairs, width, input, projection, keys: vec![0.0; codebooks * width * pairs] }
    }

    /// A feature vector in every codebook's projection, `[codebooks, width]`.
    #[must_use]
    pub fn queries(&self, features: &[f32]) -> Vec<f32> {
        let columns = self.codebooks * self.width;
        let mut queries = vec![0.0; columns];
        for (value, row) in features.iter().zip(self.projection.chunks_exact(columns)) {
            queries.iter_mut().zip(row).for_each(|(query, weight)| *query += value * weight);
        }
        queries
    }

    /// The nearest key of each codebook, the first of equals; where `used` tells, `[codebooks, pairs]`, of those that are,
    /// and of all where none is.
    #[must_use]
    pub fn nearest(&self, queries: &[f32], used: Option<&[bool]>) -> Vec<usize> {
        let mut nearest = Vec::with_capacity(self.codebooks);
        let mut squares = vec![0.0_f32; self.pairs];
        for (book, query) in queries.chunks_exact(self.width).enumerate() {
            squares.fill(0.0);
            let keys = &self.keys[book * self.width * self.pairs..(book + 1) * self.width * self.pairs];
            for (&query, keys) in query.iter().zip(keys.chunks_exact(self.pairs)) {
                squares.iter_mut().zip(keys).for_each(|(square, key)| *square += (query - key) * (query - key));
            }
            let used = used.map(|used| &used[book * self.pairs..(book + 1) * self.pairs]);
            let used = used.filter(|used| used.contains(&true));
            let mut best = (f32::INFINITY, 0);
            for (pair, &square) in squares.iter().enumerate() {
                if square < best.0 && used.is_none_or(|used| used[pair]) {
                    best = (square, pair);
                }
            }
            nearest.push(best.1);
        }
        nearest
    }

    /// Places the keys among unlabelled examples: running averages of the queries that are nearest to each, and where almost
    /// none is, a query of the batch in its place.
    pub fn place<'a>(&mut self, examples: &[&'a [f32]], decay: f32, passes: u32, seed: u64) {
        let mut rng = Rng::new(own_seed(seed, "keys"), Stream::Init, 0);
        let size = self.codebooks * self.pairs;
        let mut gathered = Gathered { count: vec![0.0; size], sum: vec![0.0; self.keys.len()] };
        let mut order: Vec<&'a [f32]> = examples.to_vec();
        let mut fresh = true;
        for _ in 0..passes {
            rng.shuffle(&mut order);
            for batch in order.chunks(PLACED) {
                let queries: Vec<Vec<f32>> = batch.iter().map(|features| self.queries(features)).collect();
                if std::mem::take(&mut fresh) {
                    for slot in 0..size {
                        self.seed_key(slot, &queries[rng.below(queries.len() as u32) as usize]);
                    }
                }
                self.follow(&queries, decay, &mut gathered, &mut rng);
            }
        }
    }

    /// One batch of [`Self::place`].
    fn follow(&mut self, queries: &[Vec<f32>], decay: f32, gathered: &mut Gathered, rng: &mut Rng) {
        gathered.count.iter_mut().for_each(|count| *count *= decay);
        gathered.sum.iter_mut().for_each(|sum| *sum *= decay);
        for query in queries {
            for (book, pair) in self.nearest(query, None).into_iter().enumerate() {
                gathered.count[book * self.pairs + pair] += 1.0 - decay;
                for axis in 0..self.width {
                    let place = (book * self.width + axis) * self.pairs + pair;
                    gathered.sum[place] += (1.0 - decay) * query[book * self.width + axis];
                }
            }
        }
        // A tenth of what each key would have, were all alike.
        let threshold = 0.1 * queries.len() as f32 / self.pairs as f32;
        for book in 0..self.codebooks {
            let counts = &gathered.count[book * self.pairs..(book + 1) * self.pairs];
            let total: f32 = counts.iter().sum();
            let smooth = total / (total + self.pairs as f32 * EPSILON);
            for pair in 0..self.pairs {
                let slot = book * self.pairs + pair;
                if gathered.count[slot] < threshold && decay > 0.0 {
                    let query = &queries[rng.below(queries.len() as u32) as usize];
                    self.seed_key(slot, query);
                    gathered.count[slot] = threshold;
                    for axis in 0..self.width {
                        let place = (book * self.width + axis) * self.pairs + pair;
                        gathered.sum[place] = threshold * self.keys[place];
                    }
                } else if gathered.count[slot] > 0.0 {
                    let count = (gathered.count[slot] + EPSILON) * smooth;
                    for axis in 0..self.width {
                        let place = (book * self.width + axis) * self.pairs + pair;
                        self.keys[place] = gathered.sum[place] / count;
                    }
                }
            }
        }
    }

    /// Puts a key where a query is.
    fn seed_key(&mut self, slot: usize, query: &[f32]) {
        let (book, pair) = (slot / self.pairs, slot % self.pairs);
        for axis in 0..self.width {
            self.keys[(book * self.width + axis) * self.pairs + pair] = query[book * self.width + axis];
        }
    }

    /// Floating-point operations of a look-up.
    #[must_use]
    pub fn flop(&self) -> u64 {
        (self.codebooks * self.width * (2 * self.input + 3 * self.pairs)) as u64
    }
}

/// Keys with the values that are learned.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// The keys.
    pub keys: Rc<Keys>,
    outputs: usize,
    /// `[codebooks, pairs, outputs]`
    values: Vec<f32>,
    /// Pairs that have been hit while learning.
    used: Vec<bool>,
}

impl Bottleneck {
    /// Zero values: every output alike.
    #[must_use]
    pub fn new(keys: Rc<Keys>, outputs: usize) -> Self {
        let size = keys.codebooks * keys.pairs;
        Self { keys, outputs, values: vec![0.0; size * outputs], used: vec![false; size] }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Which pairs have been hit while learning, `[codebooks, pairs]`.
    #[must_use]
    pub fn used(&self) -> &[bool] {
        &self.used
    }

    fn mean(&self, hits: &[usize]) -> Vec<f32> {
        let mut mean = vec![0.0; self.outputs];
        for (book, pair) in hits.iter().enumerate() {
            let first = (book * self.keys.pairs + pair) * self.outputs;
            mean.iter_mut().zip(&self.values[first..]).for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= hits.len().max(1) as f32);
        mean
    }

    /// Logits of features, from keys that have been hit while learning.
    #[must_use]
    pub fn logits(&self, features: &[f32]) -> Vec<f32> {
        self.mean(&self.keys.nearest(&self.keys.queries(features), Some(&self.used)))
    }

    /// One step of plain descent on examples of these outputs; `allowed`: 1 for outputs that compete with each example, else
    /// 0. Label smoothing and clipping as in [`SMOOTHING`] and [`CLIP`], unless other numbers are given.
    pub fn learn(&mut self, examples: &[(&[f32], usize, Vec<f32>)], rate: f32) {
        self.learn_with(examples, rate, SMOOTHING, CLIP);
    }

    /// The same with that label smoothing and that largest norm.
    pub fn learn_with(&mut self, examples: &[(&[f32], usize, Vec<f32>)], rate: f32, smoothing: f32, clip: f32) {
        let (books, each) = (self.keys.codebooks, 1.0 / examples.len().max(1) as f32);
        let mut pulls: Vec<(usize, Vec<f32>)> = Vec::new();
        for (features, output, allowed) in examples {
            let hits = self.keys.nearest(&self.keys.queries(features), None);
            let slope = slope(&self.mean(&hits), *output, allowed, smoothing);
            let slope: Vec<f32> = slope.iter().map(|slope| slope * each / books as f32).collect();
            for (book, pair) in hits.into_iter().enumerate() {
                let slot = book * self.keys.pairs + pair;
                self.used[slot] = true;
                match pulls.iter_mut().find(|(known, _)| *known == slot) {
                    Some((_, pull)) => pull.iter_mut().zip(&slope).for_each(|(pull, slope)| *pull += slope),
                    None => pulls.push((slot, slope.clone())),
                }
            }
        }
        let norm = pulls.iter().flat_map(|(_, pull)| pull).map(|pull| pull * pull).sum::<f32>().sqrt();
        let scale = if norm > clip { clip / norm } else { 1.0 };
        for (slot, pull) in pulls {
            let values = &mut self.values[slot * self.outputs..(slot + 1) * self.outputs];
            values.iter_mut().zip(pull).for_each(|(value, pull)| *value -= rate * scale * pull);
        }
    }
}

/// The gradient of the smoothed cross-entropy with respect to the logits: shares minus target, 0 where nothing competes.
fn slope(logits: &[f32], output: usize, allowed: &[f32], smoothing: f32) -> Vec<f32> {
    let competing = allowed.iter().filter(|&&allowed| allowed > 0.0).count().max(1) as f32;
    let inside = |place: usize| allowed[place] > 0.0;
    let highest = (0..logits.len()).filter(|&place| inside(place)).map(|place| logits[place]);
    let highest = highest.fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> =
        (0..logits.len()).map(|place| if inside(place) { libm::expf(logits[place] - highest) } else { 0.0 }).collect();
    let total: f32 = powers.iter().sum();
    let target = |place: usize| {
        let own = if place == output { 1.0 - smoothing } else { 0.0 };
        own + if inside(place) { smoothing / competing } else { 0.0 }
    };
    (0..logits.len()).map(|place| if inside(place) { powers[place] / total - target(place) } else { 0.0 }).collect()
}

/// See the module.
#[derive(Clone)]
pub struct KeyValue {
    bottleneck: Bottleneck,
    rate: f32,
}

impl KeyValue {
    /// Keys placed, nothing learned.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        let size = ["codebooks", "pairs", "key-width"].map(|id| desk.value(leg, id) as usize);
        let mut keys = Keys::new(size, desk.features.as_ref().map_or(0, |features| features.width), desk.seed);
        if let Some(features) = &desk.features {
            let rows: Vec<u32> = desk.tasks.train.iter().flatten().copied().collect();
            keys.place(&unlabelled(features, rows, desk.seed), DECAY, PASSES, desk.seed);
        }
        let rate = desk.value(leg, "value-rate") as f32;
        Self { bottleneck: Bottleneck::new(Rc::new(keys), desk.outputs()), rate }
    }
}

/// Some rows' features, without their labels.
fn unlabelled(features: &Features, mut rows: Vec<u32>, seed: u64) -> Vec<&[f32]> {
    Rng::new(own_seed(seed, "unlabelled"), Stream::Sample, 0).shuffle(&mut rows);
    rows.truncate(UNLABELLED);
    rows.into_iter().map(|row| features.row(row)).collect()
}

impl Method for KeyValue {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(std::future::ready(needed(&desk.features).map(|_| ())))
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        let learned = needed(&desk.features).map(|features| {
            let example = |&row: &u32| (features.row(row), desk.tasks.output[row as usize] as usize, desk.allowed(row));
            self.bottleneck.learn(&batch.rows.iter().map(example).collect::<Vec<_>>(), self.rate);
        });
        Box::pin(std::future::ready(learned))
    }

    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        let answered = needed(&desk.features)
            .map(|features| rows.iter().flat_map(|&row| self.bottleneck.logits(features.row(row))).collect());
        Box::pin(std::future::ready(answered))
    }

    fn extra_bytes(&self, _: u64) -> u64 {
        (4 * (self.bottleneck.keys.keys.len() + self.bottleneck.keys.projection.len())) as u64
    }

    fn parameters(&self, _: u64) -> u64 {
        self.bottleneck.values.len() as u64
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.spec.batch as u64
            * (self.bottleneck.keys.flop() + (4 * desk.outputs() * self.bottleneck.keys.codebooks) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut rng = Rng::new(seed, Stream::Probe, 0);
        (0..count).map(|_| (0..10).map(|_| rng.normal()).collect()).collect()
    }

    fn placed(size: [usize; 3], points: &[Vec<f32>]) -> Rc<Keys> {
        let mut keys = Keys::new(size, 10, 3);
        keys.place(&points.iter().map(Vec::as_slice).collect::<Vec<_>>(), DECAY, PASSES, 3);
        Rc::new(keys)
    }

    fn every(output: usize, outputs: usize, points: &[Vec<f32>]) -> Vec<(&[f32], usize, Vec<f32>)> {
        points.iter().map(|point| (point.as_slice(), output, vec![1.0; outputs])).collect()
    }

    /// Values that no example of the batch selects stay as they are, bit for bit.
    #[test]
    fn only_what_was_hit_moves() {
        let points = points(300, 1);
        let mut bottleneck = Bottleneck::new(placed([6, 20, 4], &points), 5);
        bottleneck.learn(&every(2, 5, &points[..40]), 5.0);
        let before = bottleneck.clone();
        bottleneck.learn(&every(3, 5, &points[40..48]), 5.0);
        let hits: Vec<Vec<usize>> =
            points[40..48].iter().map(|point| bottleneck.keys.nearest(&bottleneck.keys.queries(point), None)).collect();
        let mut moved = 0;
        for slot in 0..6 * 20 {
            let hit = hits.iter().any(|hits| hits[slot / 20] == slot % 20);
            let same = before.values[slot * 5..slot * 5 + 5] == bottleneck.values[slot * 5..slot * 5 + 5];
            assert_eq!(hit, !same, "slot {slot}");
            moved += usize::from(hit);
        }
        assert!(moved > 6 && moved < 120);
    }

    /// One codebook, plain cross-entropy, zero values: the row that was hit becomes the rate times (label - 1 / outputs).
    #[test]
    fn one_step_in_closed_form() {
        let points = points(60, 2);
        let mut bottleneck = Bottleneck::new(placed([1, 8, 4], &points), 4);
        bottleneck.learn_with(&every(1, 4, &points[..1]), 0.5, 0.0, f32::INFINITY);
        let hit = bottleneck.keys.nearest(&bottleneck.keys.queries(&points[0]), None)[0];
        assert_eq!(bottleneck.values[hit * 4..hit * 4 + 4], [-0.125, 0.375, -0.125, -0.125]);
        assert_eq!(bottleneck.used.iter().filter(|used| **used).count(), 1);
    }

    /// Batches that hit disjoint keys commute to the last bit.
    #[test]
    fn disjoint_batches_commute() {
        let points = points(400, 3);
        let start = Bottleneck::new(placed([1, 40, 4], &points), 3);
        let hit = |point: &Vec<f32>| start.keys.nearest(&start.keys.queries(point), None)[0];
        let (low, high): (Vec<_>, Vec<_>) = points.iter().cloned().partition(|point| hit(point) < 20);
        let (a, b) = (every(0, 3, &low), every(1, 3, &high));
        assert!(a.len() > 30 && b.len() > 30);
        let after = |first, second| {
            let mut bottleneck = start.clone();
            bottleneck.learn(first, 5.0);
            bottleneck.learn(second, 5.0);
            bottleneck.values
        };
        assert_eq!(after(&a, &b), after(&b, &a));
    }

    #[test]
    fn one_pair_answers_everything_alike_and_unused_keys_nothing() {
        let points = points(100, 4);
        let mut single = Bottleneck::new(placed([5, 1, 4], &points), 3);
        single.learn(&every(1, 3, &points[..9]), 5.0);
        assert!(points.iter().all(|point| single.logits(point) == single.logits(&points[0])));
        let mut several = Bottleneck::new(placed([5, 30, 4], &points), 3);
        several.learn(&every(1, 3, &points[..4]), 5.0);
        for point in &points {
            let hits = several.keys.nearest(&several.keys.queries(point), Some(&several.used));
            assert!(hits.iter().enumerate().all(|(book, pair)| several.used[book * 30 + pair]));
        }
    }

    /// With no memory and no new seeds, one batch is one step of k-means for keys that have queries.
    #[test]
    fn a_batch_without_memory_is_a_step_of_k_means() {
        let points = points(32, 5);
        let mut keys = (*placed([2, 6, 4], &points)).clone();
        let queries: Vec<Vec<f32>> = points.iter().map(|point| keys.queries(point)).collect();
        let before: Vec<Vec<usize>> = queries.iter().map(|query| keys.nearest(query, None)).collect();
        let mut gathered = Gathered { count: vec![0.0; 12], sum: vec![0.0; 48] };
        keys.follow(&queries, 0.0, &mut gathered, &mut Rng::new(1, Stream::Init, 0));
        for book in 0..2 {
            for pair in 0..6 {
                let of: Vec<&Vec<f32>> = queries
                    .iter()
                    .zip(&before)
                    .filter(|(_, hits)| hits[book] == pair)
                    .map(|(query, _)| query)
                    .collect();
                for axis in (0..4).filter(|_| !of.is_empty()) {
                    let mean = of.iter().map(|query| query[book * 4 + axis]).sum::<f32>() / of.len() as f32;
                    assert!((keys.keys[(book * 4 + axis) * 6 + pair] - mean).abs() < 1e-4);
                }
            }
        }
    }

    /// Every key is near some example after it was placed.
    #[test]
    fn no_key_is_left_over() {
        let points = points(500, 6);
        let keys = placed([3, 16, 4], &points);
        let mut usage = [0; 48];
        for point in &points {
            keys.nearest(&keys.queries(point), None)
                .into_iter()
                .enumerate()
                .for_each(|(book, pair)| usage[book * 16 + pair] += 1);
        }
        assert!(usage.iter().all(|&count| count > 0), "{usage:?}");
    }

    /// The gradient against differences of the loss in f64.
    #[test]
    fn the_slope_is_that_of_the_loss() {
        let (logits, allowed) = ([0.3_f32, -1.2, 0.8, 5.0], [1.0, 1.0, 1.0, 0.0]);
        let loss = |logits: &[f64]| {
            let total: f64 = logits[..3].iter().map(|logit| logit.exp()).sum();
            let share = |place: usize| logits[place] - total.ln();
            -(0..3).map(|place| (if place == 2 { 0.9 } else { 0.0 } + 0.1 / 3.0) * share(place)).sum::<f64>()
        };
        let found = slope(&logits, 2, &allowed, 0.1);
        for place in 0..3 {
            let at = |step: f64| {
                let mut moved = logits.map(f64::from);
                moved[place] += step;
                loss(&moved)
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((f64::from(found[place]) - expected).abs() < 1e-6, "{found:?} against {expected}");
        }
        assert_eq!(found[3], 0.0);
    }
}
