//! Panel A: the top eigenvalue of batches' matrices, held against 1/b and random matrix theory.

use super::{Start, rows};
use crate::rng::{Rng, Stream};
use crate::study::fit::{line_from, power_law};
use crate::study::products::{Matrix, Products, gaussian, rademacher};
use crate::study::{Context, Outcome, Share, StudyError};

/// Its arm.
pub const ARM: &str = "A";
/// Batch sizes below that of all data.
const BATCHES: [usize; 8] = [8, 16, 32, 64, 128, 256, 512, 1024];
/// Batches of a size.
const DRAWS: u32 = 12;
/// Lanczos steps.
const STEPS: usize = 30;
/// Examples whose matrices are compared with the mean, and vectors for each.
const NOISE: [u32; 2] = [32, 4];
/// Start vectors of a density.
const STARTS: u32 = 8;
/// Points of a density.
const POINTS: usize = 240;
/// Deviation of the bell over each node of a density, as a share of the range.
const BELL: f64 = 0.008;
/// Densities below this share of their peak are drawn as nothing.
const NOTHING: f64 = 1e-5;

/// Sequences of [`Stream::Probe`]: start vectors from 0, batches, and noise.
const OF_BATCHES: u32 = 1 << 20;
const OF_NOISE: u32 = 1 << 21;
const OF_EXAMPLES: u32 = 1 << 22;

/// `b = B / (1 - B/N)`, as 1/b: 0 for all data.
pub fn inverse(batch: usize, examples: usize) -> f64 {
    1.0 / batch as f64 - 1.0 / examples as f64
}

/// The top eigenvalue of an outlier `lambda` plus a symmetric matrix of size P whose entries have variance
/// `noise = sigma^2 / b`: lifted by `P noise / lambda`, or swallowed by the edge of the bulk at `2 sqrt(P noise)`
/// (Baik, Ben Arous, Péché 2005; the paper's theorem 3).
pub fn spiked(lambda: f64, noise: f64, parameters: f64) -> f64 {
    let spread = parameters * noise;
    if lambda * lambda > spread { lambda + spread / lambda } else { 2.0 * libm::sqrt(spread) }
}

/// `count` different ones of `rows`, batch number `number` under a seed.
fn draw(rows: &[u32], count: usize, number: u32, seed: u64) -> Vec<u32> {
    let mut all = rows.to_vec();
    Rng::new(seed, Stream::Probe, number).shuffle(&mut all);
    all.truncate(count);
    all
}

/// Measures with one seed.
pub async fn run(context: &mut Context<'_>, start: &Start, seed: u64, share: Share) -> Result<(), StudyError> {
    let mut trainer = context.trainer(&start.spec).await?;
    trainer.set_theta(&start.theta)?;
    let all = rows(trainer.data());
    let matrix = if context.results.knobs.choice("matrix") == "ggn" { Matrix::GaussNewton } else { Matrix::Hessian };
    let mut products = Products::new(trainer, matrix);
    let first = gaussian(seed, 0, products.size());
    let lambda = top(&mut products, &all, &first).await?;
    context.results.record(ARM, seed).number("lambda", lambda);
    for (number, &batch) in BATCHES.iter().enumerate() {
        let mut sum = 0.0;
        for k in 0..DRAWS {
            let rows = draw(&all, batch, OF_BATCHES + number as u32 * DRAWS + k, seed);
            let value = top(&mut products, &rows, &first).await?;
            sum += value;
            context.results.record(ARM, seed).point("single", inverse(batch, all.len()), value);
            let done = (number as f64 + f64::from(k) / f64::from(DRAWS)) / (BATCHES.len() + 1) as f64;
            context.progress(share.at(done), &format!("batches of {batch}, seed {seed}"));
            context.breathe().await?;
        }
        let mean = sum / f64::from(DRAWS);
        let outcome = context.results.record(ARM, seed);
        outcome.number(&format!("lambda@{batch}"), mean);
        outcome.point("by batch", batch as f64, mean);
        outcome.point("by inverse batch", inverse(batch, all.len()), mean);
    }
    let outcome = context.results.record(ARM, seed);
    outcome.point("by batch", all.len() as f64, lambda);
    outcome.point("by inverse batch", 0.0, lambda);
    let variance = entry_variance(context, &mut products, &all, seed).await?;
    let outcome = context.results.record(ARM, seed);
    outcome.number("parameters", products.size() as f64);
    outcome.number("variance", variance);
    outcome.number("predicted", products.size() as f64 * variance / lambda);
    judge(outcome, all.len());
    if context.results.seeds.first() == Some(&seed) {
        densities(context, &mut products, &all, seed).await?;
    }
    context.results.record(ARM, seed).done = true;
    context.give_back(products.into_executor());
    Ok(())
}

/// The algebraically largest eigenvalue.
async fn top(products: &mut Products, rows: &[u32], start: &[f32]) -> Result<f64, StudyError> {
    Ok(products.ritz(rows, start, STEPS).await?.first().map_or(f64::NAN, |node| node[0]))
}

/// `sigma^2`, the variance of an entry of one example's matrix: `E ||H_i - H||_F^2 / P^2`, by Hutchinson's estimate
/// `||A||_F^2 = E ||A v||^2`.
async fn entry_variance(
    context: &mut Context<'_>,
    products: &mut Products,
    all: &[u32],
    seed: u64,
) -> Result<f64, StudyError> {
    let [examples, vectors] = NOISE;
    let mut sum = 0.0;
    for (number, row) in draw(all, examples as usize, OF_EXAMPLES, seed).into_iter().enumerate() {
        for k in 0..vectors {
            let vector = rademacher(seed, OF_NOISE + number as u32 * vectors + k, products.size());
            let one = products.apply(&[row], &vector).await?;
            let mean = products.apply(all, &vector).await?;
            sum += one.iter().zip(&mean).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            context.breathe().await?;
        }
    }
    let size = products.size() as f64;
    Ok(sum / f64::from(examples * vectors) / (size * size))
}

/// What the curve says about 1/b.
pub fn judge(outcome: &mut Outcome, examples: usize) {
    let curve = outcome.curves.get("by batch").cloned().unwrap_or_default();
    let lambda = outcome.numbers.get("lambda").copied().unwrap_or(f64::NAN);
    let by_inverse: Vec<[f64; 2]> = curve.iter().map(|&[batch, y]| [inverse(batch as usize, examples), y]).collect();
    let excess: Vec<[f64; 2]> = by_inverse.iter().map(|&[x, y]| [1.0 / x, y - lambda]).collect();
    let fit = line_from(lambda, &by_inverse);
    outcome.number("fit", fit.slope);
    outcome.number("r2", fit.r2);
    outcome.number("slope", power_law(&excess).slope);
    // A NaN does not fall.
    let falls = |pair: &[[f64; 2]]| pair[1][1] < pair[0][1];
    outcome.number("rises", curve.windows(2).filter(|pair| !falls(pair)).count() as f64);
    outcome.number("ratio", curve.first().map_or(f64::NAN, |point| point[1]) / lambda);
}

/// Spectral densities of one batch and of all data on one axis, as curves.
async fn densities(
    context: &mut Context<'_>,
    products: &mut Products,
    all: &[u32],
    seed: u64,
) -> Result<(), StudyError> {
    let batch = context.results.knobs.integer("batch").min(all.len());
    let mut nodes = [Vec::new(), Vec::new()];
    for (rows, nodes) in [draw(all, batch, OF_BATCHES - 1, seed), all.to_vec()].iter().zip(&mut nodes) {
        for k in 0..STARTS {
            let start = gaussian(seed, k, products.size());
            nodes.extend(products.ritz(rows, &start, STEPS).await?);
            context.breathe().await?;
        }
    }
    let values = || nodes.iter().flatten().map(|node| node[0]);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let bell = BELL * (high - low);
    let outcome = context.results.record(ARM, seed);
    for (curve, nodes) in ["density", "full density"].into_iter().zip(&nodes) {
        let at = |k: usize| low - 4.0 * bell + (high - low + 8.0 * bell) * k as f64 / (POINTS - 1) as f64;
        let points: Vec<[f64; 2]> = (0..POINTS).map(|k| [at(k), density(nodes, at(k), bell)]).collect();
        let peak = points.iter().map(|point| point[1]).fold(0.0, f64::max);
        for [x, y] in points {
            outcome.point(curve, x, if y > NOTHING * peak { y } else { f64::NAN });
        }
    }
    Ok(())
}

/// Weighted sum of bells over the nodes; integrates to 1.
fn density(nodes: &[[f64; 2]], x: f64, bell: f64) -> f64 {
    let weight: f64 = nodes.iter().map(|node| node[1]).sum();
    let at = |&[value, weight]: &[f64; 2]| weight * libm::exp(-0.5 * ((x - value) / bell).powi(2));
    nodes.iter().map(at).sum::<f64>() / (weight * bell * libm::sqrt(std::f64::consts::TAU))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symmetric::eigenvalues;

    /// Exact check 1: the mean of ten top eigenvalues of an outlier in Gaussian noise.
    #[test]
    fn an_outlier_is_lifted_or_swallowed() {
        let (size, noise) = (400, 0.01);
        let u = gaussian(1, 0, size);
        let length: f64 = u.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
        let edge = (size as f64 * noise).sqrt();
        for (outlier, expected) in [(2.0 * edge, 2.0 * edge + edge / 2.0), (0.5 * edge, 2.0 * edge)] {
            let mut sum = 0.0;
            for draw in 0..10 {
                let mut rng = Rng::new(draw, Stream::Probe, 1);
                let mut matrix = vec![0.0; size * size];
                for i in 0..size {
                    for j in 0..=i {
                        let along = f64::from(u[i]) * f64::from(u[j]) / (length * length);
                        let entry = outlier * along + noise.sqrt() * f64::from(rng.normal());
                        (matrix[i * size + j], matrix[j * size + i]) = (entry, entry);
                    }
                }
                sum += eigenvalues(matrix, size).unwrap()[0] / 10.0;
            }
            assert!((sum / expected - 1.0).abs() < 0.03, "{sum} against {expected}");
            assert!((spiked(outlier, noise, size as f64) / expected - 1.0).abs() < 1e-12);
        }
    }

    /// Exact check 2: nothing is left of the noise when the batch is all data.
    #[test]
    fn all_data_have_no_excess() {
        assert_eq!(inverse(1437, 1437), 0.0);
        assert_eq!(spiked(0.2, 5.0 * inverse(1437, 1437), 410.0), 0.2);
        // b = B / (1 - B/N)
        assert!((1.0 / inverse(500, 1000) - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn a_density_integrates_to_one() {
        let nodes = [[-1.0, 0.25], [2.0, 0.5], [2.5, 0.25]];
        let sum: f64 = (0..4000).map(|k| density(&nodes, -6.0 + 0.0035 * f64::from(k), 0.2) * 0.0035).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn batches_are_drawn_without_replacement() {
        let mut rows = draw(&[5, 6, 7, 8, 9], 5, 3, 1);
        rows.sort_unstable();
        assert_eq!(rows, [5, 6, 7, 8, 9]);
        assert_eq!(draw(&[5, 6, 7], 2, 3, 1).len(), 2);
    }
}
