//! In which order an epoch sees its packages: clusters in random order, each with its packages side by side.

use engine::rng::Rng;

/// Fortieths of a run at which clusters double.
const DOUBLES: [usize; 5] = [4, 8, 12, 18, 26];
const OF: usize = 40;

/// Size of clusters in an epoch of so many: 1, then twice as much at each step of the curriculum, up to `most`.
pub fn size(epoch: usize, epochs: usize, most: usize) -> usize {
    let doubled = DOUBLES.iter().filter(|&&at| epoch * OF >= at * epochs).count();
    (1 << doubled).min(most.max(1))
}

/// Every package once: clusters shuffled, and within each its packages.
pub fn order(mut clusters: Vec<Vec<u32>>, rng: &mut Rng) -> Vec<u32> {
    rng.shuffle(&mut clusters);
    for cluster in &mut clusters {
        rng.shuffle(cluster);
    }
    clusters.concat()
}

/// Where the label of a package in each column of the pool may be its negative: not if it is needed, and a label that is there
/// twice counts once.
pub fn allowed(batch: &[u32], pool: &[u32], needs: &[Vec<u32>]) -> Vec<f32> {
    let first: Vec<bool> = pool.iter().enumerate().map(|(at, label)| !pool[..at].contains(label)).collect();
    let of = |&document: &u32| {
        let needs = &needs[document as usize];
        pool.iter().zip(&first).map(move |(label, &first)| first && needs.binary_search(label).is_err())
    };
    batch.iter().flat_map(of).map(|allowed| f32::from(u8::from(allowed))).collect()
}
