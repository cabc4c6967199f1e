//! The one source of randomness: Philox4x32-10, a counter-based generator.
//!
//! A draw is a pure function of (seed, stream, index, position), so any run can be rewound, resumed or split without
//! carrying generator state, and a GPU kernel that evaluates the same function gets the same bits.
//!
//! Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Added to the key after every round (golden ratio, sqrt(3) - 1).
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: u32 = 10;

/// Philox4x32-10: 128 random bits for a counter and a key.
///
/// Uses only 32-bit operations and the 32x32 -> 64 bit product, which WGSL composes of 16-bit halves.
#[must_use]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let (hi0, lo0) = wide_product(MULTIPLIER[0], c0);
        let (hi1, lo1) = wide_product(MULTIPLIER[1], c2);
        (c0, c1, c2, c3) = (hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [c0, c1, c2, c3]
}

/// High and low word of a 64-bit product.
fn wide_product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// Maps 32 random bits to [0, 1): the upper 24 bits, every value exactly representable in f32.
#[must_use]
pub fn unit_f32(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// What a sequence of draws is for. Two purposes never share a counter, whatever the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Initial parameters; index: the parameter's number.
    Init = 1,
    /// Points of generated data sets.
    Generate = 2,
    /// Division into training and test examples.
    Split = 3,
    /// Order of examples; index: epoch or block.
    Sample = 4,
    /// Augmentation of examples.
    Augment = 6,
    /// Text drawn from a language model.
    Text = 7,
    /// Probes: Lanczos start vectors, Hutchinson vectors, noise-scale subsets.
    Probe = 8,
    /// Label noise.
    Mislabel = 9,
    /// Seeds of what has a name of its own; block: the name's hash.
    Name = 10,
    /// Classes, support and queries of few-shot tasks; index: the task.
    Episode = 20,
    /// Order of classes, permutations and borders of streams of tasks.
    Tasks = 21,
}

impl Stream {
    /// All purposes.
    pub const ALL: [Stream; 11] = [
        Stream::Init,
        Stream::Generate,
        Stream::Split,
        Stream::Sample,
        Stream::Augment,
        Stream::Text,
        Stream::Probe,
        Stream::Mislabel,
        Stream::Name,
        Stream::Episode,
        Stream::Tasks,
    ];
}

/// What a draw inside a step is for ([`crate::graph::Op::Random`]). Draws of one key are told apart by their stream; each
/// purpose has 65,536 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Draw {
    /// What a net or a recorded step draws, in order: dropout, noise.
    Net = 0,
    /// Augmentation of examples.
    Augment = 1,
    /// Patches to be hidden.
    Mask = 2,
    /// Random directions of statistics.
    Direction = 8,
    /// Random signs of an estimate of the Hessian's diagonal.
    Signs = 9,
}

impl Draw {
    /// All purposes.
    pub const ALL: [Draw; 5] = [Draw::Net, Draw::Augment, Draw::Mask, Draw::Direction, Draw::Signs];

    /// Stream of the draw number `index`, below 65,536, for this purpose.
    #[must_use]
    pub fn stream(self, index: u32) -> u32 {
        ((self as u32) << 16) + index
    }
}

/// The key of a step's draws, the contents of [`crate::model::KEY`]: seed, step, and the part of the step (micro-batch).
///
/// The last word is that of the counter in which [`Rng`] has its [`Stream`]: 0 or at least 2^31 here, so that no draw inside
/// a step is one of [`Rng`]'s.
#[must_use]
pub fn step_key(seed: u64, step: u64, part: u32) -> [u32; 4] {
    let part = if part == 0 { 0 } else { part | 1 << 31 };
    [seed as u32, (seed >> 32) as u32, step as u32, part]
}

/// A sequence of draws: key = seed, counter = (block number, index, stream).
#[derive(Debug, Clone, PartialEq)]
pub struct Rng {
    seed: u64,
    stream: Stream,
    index: u32,
    /// How many 32-bit words have been drawn.
    position: u64,
    /// The block that holds word `position - 1`.
    block: [u32; 4],
}

/// The 128 bits number `block` of the sequence `index` of `stream` under `seed`: what [`Rng`] draws as its words
/// `4 * block` to `4 * block + 3`.
#[must_use]
pub fn block(seed: u64, stream: Stream, index: u32, block: u64) -> [u32; 4] {
    philox4x32([block as u32, (block >> 32) as u32, index, stream as u32], [seed as u32, (seed >> 32) as u32])
}

/// The seed under which what has a name of its own draws (a net of several, a program of a study): no two names share a
/// sequence. Without a name it is the seed itself.
#[must_use]
pub fn own_seed(seed: u64, name: &str) -> u64 {
    // FNV-1a spreads the name over 64 bits, Philox these and the seed over the result.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    if name.is_empty() {
        return seed;
    }
    let name = name.bytes().fold(0xCBF2_9CE4_8422_2325, hash);
    let [low, high, ..] = block(seed, Stream::Name, 0, name);
    u64::from(low) | u64::from(high) << 32
}

impl Rng {
    /// The sequence number `index` of `stream` under `seed`, at its start.
    #[must_use]
    pub fn new(seed: u64, stream: Stream, index: u32) -> Self {
        Self { seed, stream, index, position: 0, block: [0; 4] }
    }

    /// 32 random bits.
    pub fn u32(&mut self) -> u32 {
        let word = (self.position % 4) as usize;
        if word == 0 {
            self.block = block(self.seed, self.stream, self.index, self.position / 4);
        }
        self.position += 1;
        self.block[word]
    }

    /// Uniform in [0, 1), 24 bits.
    pub fn uniform(&mut self) -> f32 {
        unit_f32(self.u32())
    }

    /// Standard normal, by Box and Muller; two words a draw.
    ///
    /// Uses `libm`, not the platform's functions, so that native and WASM runs get the same bits.
    pub fn normal(&mut self) -> f32 {
        // 1 - u lies in (0, 1]: the logarithm is finite.
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - self.uniform()));
        radius * libm::cosf(core::f32::consts::TAU * self.uniform())
    }

    /// Standard normal conditioned on lying within two standard deviations.
    pub fn truncated_normal(&mut self) -> f32 {
        loop {
            let z = self.normal();
            if z.abs() <= 2.0 {
                return z;
            }
        }
    }

    /// Uniform in 0..n without bias (Lemire's rejection); 0 if `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        // Of the 2^32 words, the lowest (2^32 mod n) products would favour some results.
        let biased = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let (result, remainder) = wide_product(self.u32(), n);
            if remainder >= biased {
                return result;
            }
        }
    }

    /// Fisher-Yates shuffle. Slices beyond 2^32 items keep their tail in place.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        let n = u32::try_from(items.len()).unwrap_or(u32::MAX);
        for last in (1..n).rev() {
            items.swap(last as usize, self.below(last + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers published with the reference implementation (Random123, kat_vectors).
    #[test]
    fn philox_matches_published_vectors() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn words_are_the_blocks_in_order() {
        let mut rng = Rng::new(0x0000_0007_0000_0009, Stream::Sample, 3);
        let words: Vec<u32> = (0..8).map(|_| rng.u32()).collect();
        assert_eq!(words[..4], philox4x32([0, 0, 3, 4], [9, 7]));
        assert_eq!(words[4..], philox4x32([1, 0, 3, 4], [9, 7]));
    }

    #[test]
    fn sequences_differ_by_seed_stream_and_index() {
        let first = |seed, stream, index| Rng::new(seed, stream, index).u32();
        let all = [
            first(1, Stream::Init, 0),
            first(2, Stream::Init, 0),
            first(1, Stream::Split, 0),
            first(1, Stream::Init, 1),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }

    /// The first draws of everything that is random, under one seed: of every purpose of [`Rng`], and of every purpose
    /// inside a step in its micro-batches. No two are of one counter.
    #[test]
    fn no_two_purposes_share_a_draw() {
        let mut drawn = std::collections::HashMap::new();
        let mut draw = |counter: [u32; 4], what: String| {
            if let Some(other) = drawn.insert(philox4x32(counter, [7, 0]), what.clone()) {
                panic!("{what} draws what {other} draws");
            }
        };
        let indices = [0, 1, 2, 3, 9, 10, 70_000, 1 << 16, 1 << 17, 8 << 16, u32::MAX - 1, u32::MAX];
        for stream in Stream::ALL {
            for index in indices {
                for number in 0..20 {
                    let what = format!("{stream:?} {index}");
                    assert_eq!(
                        block(7, stream, index, number),
                        philox4x32([number as u32, 0, index, stream as u32], [7, 0])
                    );
                    draw([number as u32, 0, index, stream as u32], what);
                }
            }
        }
        for purpose in Draw::ALL {
            for (step, part) in (0..20).flat_map(|step| (0..12).map(move |part| (step, part))) {
                let [low, high, step, part] = step_key(7, step, part);
                assert_eq!([low, high], [7, 0]);
                for (element, index) in (0..20).flat_map(|element| (0..4).map(move |index| (element, index))) {
                    let what = format!("{purpose:?} {index} in step {step}, part {part}");
                    draw([element, purpose.stream(index), step, part], what);
                }
            }
        }
    }

    /// A run without micro-batches draws as it did before parts of a step were told from [`Rng`]'s streams.
    #[test]
    fn the_key_of_a_whole_step_is_seed_and_step() {
        assert_eq!(step_key(0x0000_0005_0000_0009, 3, 0), [9, 5, 3, 0]);
        assert_eq!(step_key(9, 3, 2)[3], 0x8000_0002);
    }

    #[test]
    fn a_name_has_a_seed_of_its_own() {
        assert_eq!(own_seed(42, ""), 42);
        let seeds = [(1, "critic"), (1, "generator"), (2, "critic"), (1, "c"), (1, "cc")].map(|(s, n)| own_seed(s, n));
        assert!((0..5).all(|k| seeds[k + 1..].iter().all(|other| *other != seeds[k])), "{seeds:?}");
    }

    #[test]
    fn uniform_covers_the_half_open_interval() {
        assert_eq!(unit_f32(0), 0.0);
        assert_eq!(unit_f32(u32::MAX), 1.0 - 1.0 / 16_777_216.0);
        let mut rng = Rng::new(5, Stream::Generate, 0);
        let mean = (0..40_000).map(|_| f64::from(rng.uniform())).sum::<f64>() / 40_000.0;
        assert!((mean - 0.5).abs() < 0.006, "mean {mean}");
    }

    #[test]
    fn normal_has_unit_moments() {
        let mut rng = Rng::new(6, Stream::Generate, 0);
        let draws: Vec<f64> = (0..40_000).map(|_| f64::from(rng.normal())).collect();
        let moment = |power: i32| draws.iter().map(|z| z.powi(power)).sum::<f64>() / 40_000.0;
        assert!(moment(1).abs() < 0.02, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.03, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.25, "fourth moment {}", moment(4));
    }

    #[test]
    fn truncated_normal_stays_within_two() {
        let mut rng = Rng::new(6, Stream::Init, 0);
        let draws: Vec<f64> = (0..20_000).map(|_| f64::from(rng.truncated_normal())).collect();
        assert!(draws.iter().all(|z| z.abs() <= 2.0));
        // Variance of N(0, 1) conditioned on |z| <= 2.
        let variance = draws.iter().map(|z| z * z).sum::<f64>() / 20_000.0;
        assert!((variance - 0.774).abs() < 0.02, "variance {variance}");
    }

    #[test]
    fn below_is_even_and_in_range() {
        let mut rng = Rng::new(8, Stream::Sample, 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[rng.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 400), "{counts:?}");
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
        assert!((0..100).all(|_| rng.below(u32::MAX) < u32::MAX));
    }

    #[test]
    fn shuffle_is_a_permutation_and_repeats() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            Rng::new(seed, Stream::Split, 0).shuffle(&mut items);
            items
        };
        let mut sorted = shuffled(1);
        assert_eq!(sorted, shuffled(1));
        assert_ne!(sorted, shuffled(2));
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..100));
    }
}
