//! A graph over the rows of a table: nearest neighbours in a random projection, and a sampler of neighbourhoods.

use crate::rng::Rng;

/// Maps rows of `width` numbers to `dims` random directions, each entry standard normal over the square root of `dims`
/// (Johnson and Lindenstrauss: distances stay about the same). The result is column-major: coordinate by coordinate.
pub fn project(rows: &[f32], width: usize, dims: usize, mut rng: Rng) -> Vec<f32> {
    let count = rows.len() / width.max(1);
    let scale = 1.0 / (dims as f32).sqrt();
    let mut out = vec![0.0; count * dims];
    let mut direction = vec![0.0; width];
    for column in out.chunks_exact_mut(count.max(1)) {
        direction.iter_mut().for_each(|entry| *entry = rng.normal() * scale);
        for (value, row) in column.iter_mut().zip(rows.chunks_exact(width)) {
            *value = dot(row, &direction);
        }
    }
    out
}

/// Sum of products in eight interleaved partial sums, which compilers turn into vector instructions; the order is
/// fixed, so every platform gets the same bits.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// The `k` nearest other points of each point in `range`, nearest first, ties by lower number; `k` entries a point.
/// `points` is column-major, `dims` coordinates of `count` points.
pub fn nearest(points: &[f32], count: usize, k: usize, range: std::ops::Range<usize>) -> Vec<u32> {
    let k = k.min(count.saturating_sub(1));
    let mut norms = vec![0.0f32; count];
    for column in points.chunks_exact(count.max(1)) {
        norms.iter_mut().zip(column).for_each(|(norm, x)| *norm += x * x);
    }
    let mut out = Vec::with_capacity(range.len() * k);
    let mut score = vec![0.0f32; count];
    for own in range {
        // |b|^2 - 2 a.b orders points as their distance to a does.
        score.copy_from_slice(&norms);
        for column in points.chunks_exact(count) {
            let weight = -2.0 * column[own];
            score.iter_mut().zip(column).for_each(|(sum, x)| *sum += weight * x);
        }
        score[own] = f32::INFINITY;
        let mut best: Vec<(f32, u32)> = Vec::with_capacity(k + 1);
        for (other, &value) in score.iter().enumerate() {
            if best.len() < k || best.last().is_some_and(|&(worst, _)| value < worst) {
                let place = best.partition_point(|&(known, _)| known <= value);
                best.insert(place, (value, other as u32));
                best.truncate(k);
            }
        }
        out.extend(best.into_iter().map(|(_, other)| other));
    }
    out
}

/// A directed graph in which every node has equally many neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    degree: usize,
    targets: Vec<u32>,
}

impl Graph {
    /// A graph in which every node has `degree` neighbours, listed node by node.
    pub fn regular(targets: Vec<u32>, degree: usize) -> Self {
        Self { degree, targets }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.targets.len() / self.degree.max(1)
    }

    /// Whether it has no nodes.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Neighbours of a node; none of a node that does not exist.
    pub fn neighbours(&self, node: u32) -> &[u32] {
        let first = node as usize * self.degree;
        self.targets.get(first..first + self.degree).unwrap_or_default()
    }

    /// All nodes, from the one that most others have as a neighbour to the one that fewest have; ties by number.
    pub fn by_use(&self) -> Vec<u32> {
        let mut degrees = vec![0_u32; self.len()];
        self.targets.iter().for_each(|&target| degrees[target as usize] += 1);
        let mut nodes: Vec<u32> = (0..self.len() as u32).collect();
        nodes.sort_by_key(|&node| (std::cmp::Reverse(degrees[node as usize]), node));
        nodes
    }

    /// `fan_out` different neighbours of a node, drawn evenly, in order of drawing; all of them, in the graph's order,
    /// where there are no more.
    pub fn sample(&self, node: u32, fan_out: usize, rng: &mut Rng) -> Vec<u32> {
        let mut drawn = self.neighbours(node).to_vec();
        if fan_out < drawn.len() {
            // The first places of a Fisher-Yates shuffle.
            for place in 0..fan_out {
                let rest = (drawn.len() - place) as u32;
                drawn.swap(place, place + rng.below(rest) as usize);
            }
            drawn.truncate(fan_out);
        }
        drawn
    }

    /// The nodes that a network with as many layers as `fan_outs` reads for `seeds`, hop by hop: the seeds, so many
    /// neighbours of each, so many neighbours of each of these, and so on.
    pub fn neighbourhood(&self, seeds: &[u32], fan_outs: &[usize], rng: &mut Rng) -> Vec<u32> {
        let mut nodes = seeds.to_vec();
        let mut last = 0;
        for &fan_out in fan_outs {
            let hop: Vec<u32> = nodes[last..].iter().flat_map(|&node| self.sample(node, fan_out, rng)).collect();
            last = nodes.len();
            nodes.extend(hop);
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn points() -> (Vec<f32>, usize) {
        let mut rng = Rng::new(3, Stream::Generate, 0);
        ((0..40 * 5).map(|_| rng.normal()).collect(), 40)
    }

    #[test]
    fn nearest_neighbours_agree_with_brute_force() {
        let (points, count) = points();
        let found = nearest(&points, count, 4, 0..count);
        for own in 0..count {
            let distance = |other: usize| -> f32 {
                points.chunks_exact(count).map(|column| (column[own] - column[other]).powi(2)).sum()
            };
            let mut others: Vec<usize> = (0..count).filter(|&other| other != own).collect();
            others.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            let wanted: Vec<u32> = others[..4].iter().map(|&other| other as u32).collect();
            assert_eq!(found[4 * own..4 * own + 4], wanted, "point {own}");
        }
        assert_eq!(nearest(&points, count, 4, 7..9), found[28..36]);
    }

    #[test]
    fn projections_keep_the_order_of_clear_distances() {
        let width = 64;
        let mut rows = vec![0.0; 3 * width];
        rows[width..2 * width].fill(0.1);
        rows[2 * width..].fill(5.0);
        let points = project(&rows, width, 20, Rng::new(1, Stream::Generate, 0));
        assert_eq!(nearest(&points, 3, 1, 0..1), [1]);
    }

    #[test]
    fn samples_are_different_neighbours() {
        let (points, count) = points();
        let graph = Graph::regular(nearest(&points, count, 6, 0..count), 6);
        let mut rng = Rng::new(1, Stream::Sample, 0);
        for node in 0..count as u32 {
            let mut drawn = graph.sample(node, 4, &mut rng);
            assert!(drawn.iter().all(|target| graph.neighbours(node).contains(target)));
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 4);
            for fan_out in [6, 9] {
                assert_eq!(graph.sample(node, fan_out, &mut rng), graph.neighbours(node));
            }
        }
        let named = |node: u32| graph.targets.iter().filter(|&&target| target == node).count();
        assert!(graph.by_use().is_sorted_by_key(|&node| std::cmp::Reverse(named(node))));
        assert!(graph.neighbours(count as u32).is_empty());
    }

    #[test]
    fn neighbourhoods_are_laid_out_hop_by_hop() {
        let (points, count) = points();
        let graph = Graph::regular(nearest(&points, count, 6, 0..count), 6);
        let index = graph.neighbourhood(&[3, 9], &[2, 2], &mut Rng::new(2, Stream::Sample, 0));
        assert_eq!(index.len(), 2 * (1 + 2 + 4));
        assert_eq!(index[..2], [3, 9]);
        assert!(graph.neighbours(3).contains(&index[2]) && graph.neighbours(9).contains(&index[5]));
        assert!(graph.neighbours(index[2]).contains(&index[6]) && graph.neighbours(index[5]).contains(&index[13]));
        assert_eq!(index, graph.neighbourhood(&[3, 9], &[2, 2], &mut Rng::new(2, Stream::Sample, 0)));
    }
}
