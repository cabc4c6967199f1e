//! Balanced clusters: points of unit length are cut in two equal halves again and again (hierarchical 2-means, as of Prabhu et
//! al. 2018, Parabel).

use super::order::places;
use crate::rng::Rng;

/// Most rounds of a cut.
const ROUNDS: usize = 10;

/// Clusters and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Halves {
    /// Numbers of the points in each cluster.
    pub clusters: Vec<Vec<u32>>,
    /// Inner products of a point that were taken.
    pub products: u64,
}

/// Clusters of about `size` points each, of rows of `width` numbers: halves are cut as long as they have more than √2 times as
/// many. The halves of a cut differ by one point at most.
#[must_use]
pub fn halves(rows: &[f32], width: usize, size: usize, rng: &mut Rng) -> Halves {
    let count = rows.len() / width.max(1);
    let mut found = Halves { clusters: Vec::new(), products: 0 };
    let mut open: Vec<Vec<u32>> = vec![(0..count as u32).collect()];
    let most = (size.max(1) as f64 * std::f64::consts::SQRT_2) as usize;
    while let Some(points) = open.pop() {
        if points.len() <= most.max(1) {
            found.clusters.push(points);
            continue;
        }
        open.extend(cut(rows, width, points, rng, &mut found.products));
    }
    found
}

/// Two halves about two centres, by how much nearer a point is to the first.
fn cut(rows: &[f32], width: usize, mut points: Vec<u32>, rng: &mut Rng, products: &mut u64) -> [Vec<u32>; 2] {
    let row = |point: u32| &rows[point as usize * width..][..width];
    let first = rng.below(points.len() as u32);
    let second = (first + 1 + rng.below(points.len() as u32 - 1)) % points.len() as u32;
    let mut centres = [first, second].map(|place| row(points[place as usize]).to_vec());
    let middle = points.len().div_ceil(2);
    let mut before = f32::NEG_INFINITY;
    for _ in 0..ROUNDS {
        let between: Vec<f32> = centres[0].iter().zip(&centres[1]).map(|(a, b)| a - b).collect();
        let nearer: Vec<f32> =
            points.iter().map(|&point| row(point).iter().zip(&between).map(|(x, b)| x * b).sum()).collect();
        *products += points.len() as u64;
        let order = places(points.len(), &|a, b| nearer[b].total_cmp(&nearer[a]));
        points = order.iter().map(|&place| points[place]).collect();
        // What the cut gains: means of both sides apart.
        let [top, rest] = [&order[..middle], &order[middle..]]
            .map(|half| half.iter().map(|&place| nearer[place]).sum::<f32>() / half.len().max(1) as f32);
        let gain = top - rest;
        if gain <= before * (1.0 + 1e-4) {
            break;
        }
        before = gain;
        centres = [&points[..middle], &points[middle..]].map(|half| centre(half, width, row));
    }
    let rest = points.split_off(middle);
    [points, rest]
}

/// The direction of the mean of points.
fn centre<'r>(points: &[u32], width: usize, row: impl Fn(u32) -> &'r [f32]) -> Vec<f32> {
    let mut sum = vec![0.0_f32; width];
    for &point in points {
        sum.iter_mut().zip(row(point)).for_each(|(sum, x)| *sum += x);
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    sum.into_iter().map(|x| x / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn points(count: usize, width: usize) -> Vec<f32> {
        let mut rng = Rng::new(4, Stream::Generate, 0);
        let rows: Vec<Vec<f32>> = (0..count).map(|_| (0..width).map(|_| rng.normal()).collect()).collect();
        let unit = |row: &Vec<f32>| {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter().map(|x| x / length).collect::<Vec<f32>>()
        };
        rows.iter().flat_map(unit).collect()
    }

    #[test]
    fn clusters_part_the_points_and_are_as_large_as_each_other() {
        for (count, size) in [(256, 1), (256, 8), (100, 8), (37, 2), (1000, 32), (1, 4), (5, 0)] {
            let found = halves(&points(count, 5), 5, size, &mut Rng::new(1, Stream::Generate, 0));
            let mut all = found.clusters.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count as u32), "{count} {size}");
            let sizes: Vec<usize> = found.clusters.iter().map(Vec::len).collect();
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(*most <= 2 * least, "{count} {size}: {sizes:?}");
            if count == 256 {
                assert!(sizes.iter().all(|&found| found == size), "{sizes:?}");
            }
        }
        assert!(halves(&[], 3, 4, &mut Rng::new(1, Stream::Generate, 0)).clusters.concat().is_empty());
    }

    #[test]
    fn tight_groups_are_found() {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]];
        let mut rng = Rng::new(2, Stream::Generate, 0);
        let rows: Vec<f32> = (0..64).flat_map(|k| axes[k % 4].map(|x| x + 0.02 * rng.normal())).collect();
        for seed in 0..5 {
            let found = halves(&rows, 3, 16, &mut Rng::new(seed, Stream::Generate, 0));
            assert_eq!(found.clusters.len(), 4);
            for cluster in found.clusters {
                assert!(cluster.iter().all(|point| point % 4 == cluster[0] % 4), "seed {seed}: {cluster:?}");
            }
        }
    }
}
