//! Panel A: the top eigenvalue of batches' matrices, held against 1/b and random matrix theory.

use super::{
    BATCH, BY_INVERSE_BATCH, DENSITY, FIT, FULL_DENSITY, LAMBDA, MATRIX, Matrix, PREDICTED, R2, RATIO, RISES, SINGLE,
    SLOPE, VARIANCE, WITHOUT,
};
use crate::names::PARAMETERS;
use crate::{Context, Outcome, Share, StudyError};
use engine::executor::AnyExecutor;
use engine::numeric::fit::{line_from, power_law};
use engine::probe::{
    BatchSpectrum, Curvature, Curved, Density, DensityAxis, Difference, Frobenius, Operator, Point, Settings, Spectrum,
    gaussian, inverse_batch,
};
use engine::rng::{Rng, Stream};
use engine::train::Trainer;

/// Its arm.
pub const ARM: &str = "A";
/// Batch sizes below that of all data.
const BATCHES: [usize; 8] = [8, 16, 32, 64, 128, 256, 512, 1024];
/// Batches of a size.
const DRAWS: u32 = 12;
/// Lanczos steps.
const STEPS: usize = 30;
/// Examples whose matrices are compared with the mean, and vectors for each.
const NOISE: [usize; 2] = [32, 4];
/// Start vectors of a density.
const STARTS: usize = 8;
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

/// `count` different ones of `rows`, batch number `number` under a seed.
fn draw(rows: &[u32], count: usize, number: u32, seed: u64) -> Vec<u32> {
    let mut all = rows.to_vec();
    Rng::new(seed, Stream::Probe, number).shuffle(&mut all);
    all.truncate(count);
    all
}

/// The matrices of all data, linearised there, and of a batch, on the executor of a run.
struct Matrices<'a> {
    executor: &'a mut AnyExecutor,
    all: Vec<u32>,
    whole: Curvature,
    batch: Curvature,
}

/// Measures where a run with one seed has led.
pub async fn run(
    context: &mut Context<'_>,
    trainer: &mut Trainer<AnyExecutor>,
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    let all = trainer.feed().train_rows(trainer.data());
    let curved = match context.results.knobs.get(&MATRIX) {
        Matrix::Hessian => Curved::Hessian,
        Matrix::GaussNewton => Curved::GaussNewton,
    };
    let matrix = |prefix| Curvature::new(trainer.spec(), trainer.feed(), curved, Settings::default(), prefix);
    let (mut whole, batch) = (matrix("whole")?, matrix("batch")?);
    let executor = trainer.executor_mut();
    whole.linearise(executor, Point::Run, &all).await?;
    let mut matrices = Matrices { executor, all, whole, batch };
    compare(context, &mut matrices, seed, share).await?;
    context.results.record(ARM, seed)?.done = true;
    Ok(())
}

async fn compare(
    context: &mut Context<'_>,
    matrices: &mut Matrices<'_>,
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    let (all, size) = (matrices.all.clone(), matrices.whole.size());
    let first = gaussian(seed, 0, size);
    let lambda = context.largest_eigenvalue(&mut matrices.whole, matrices.executor, &first, STEPS).await?;
    context.results.record(ARM, seed)?.number(LAMBDA, lambda);
    for (number, &batch) in BATCHES.iter().enumerate() {
        let mut sum = 0.0;
        for k in 0..DRAWS {
            let rows = draw(&all, batch, OF_BATCHES + number as u32 * DRAWS + k, seed);
            matrices.batch.linearise(matrices.executor, Point::Run, &rows).await?;
            let value = context.largest_eigenvalue(&mut matrices.batch, matrices.executor, &first, STEPS).await?;
            sum += value;
            context.results.record(ARM, seed)?.point(SINGLE, inverse_batch(batch, all.len()), value);
            let done = (number as f64 + f64::from(k) / f64::from(DRAWS)) / (BATCHES.len() + 1) as f64;
            context.progress(share.at(done), &format!("batches of {batch}, seed {seed}"));
        }
        let mean = sum / f64::from(DRAWS);
        let outcome = context.results.record(ARM, seed)?;
        outcome.number(LAMBDA.of(batch as u64), mean);
        outcome.point(BY_INVERSE_BATCH, inverse_batch(batch, all.len()), mean);
    }
    context.results.record(ARM, seed)?.point(BY_INVERSE_BATCH, 0.0, lambda);
    let variance = entry_variance(context, matrices, seed).await?;
    let outcome = context.results.record(ARM, seed)?;
    outcome.number(PARAMETERS, size as f64);
    outcome.number(VARIANCE, variance);
    let theory = BatchSpectrum { parameters: size, examples: all.len(), variance };
    outcome.number(PREDICTED, theory.slope(lambda));
    judge(outcome);
    if context.pictures(seed) {
        densities(context, matrices, seed).await?;
    }
    Ok(())
}

/// `sigma^2`, the variance of an entry of one example's matrix: `E ||H_i - H||_F^2 / P^2`.
async fn entry_variance(context: &mut Context<'_>, matrices: &mut Matrices<'_>, seed: u64) -> Result<f64, StudyError> {
    let [examples, vectors] = NOISE;
    let size = matrices.whole.size();
    let mut sum = 0.0;
    for (number, row) in draw(&matrices.all, examples, OF_EXAMPLES, seed).into_iter().enumerate() {
        matrices.batch.linearise(matrices.executor, Point::Run, &[row]).await?;
        let first = OF_NOISE + (number * vectors) as u32;
        let norm = Frobenius::new(size, vectors, 1, seed, first);
        let mut noise = Difference::new(&mut matrices.batch, &mut matrices.whole);
        sum += context.measure(norm, &mut noise, matrices.executor).await?.value;
    }
    Ok(sum / examples as f64 / (size as f64).powi(2))
}

/// What the curve says about 1/b.
pub fn judge(outcome: &mut Outcome) {
    let curve = outcome.curve(BY_INVERSE_BATCH).to_vec();
    let lambda = outcome.numbers.get(&LAMBDA).copied().unwrap_or(f64::NAN);
    let excess: Vec<[f64; 2]> = curve.iter().map(|&[x, y]| [1.0 / x, y - lambda]).collect();
    let fit = line_from(lambda, &curve);
    outcome.number(FIT, fit.slope);
    outcome.number(R2, fit.r2);
    outcome.number(SLOPE, power_law(&excess).slope);
    // All data have none, at an infinite b.
    outcome.number(WITHOUT, excess.iter().filter(|[b, excess]| b.is_finite() && *excess <= 0.0).count() as f64);
    // A NaN does not fall.
    let falls = |pair: &[[f64; 2]]| pair[1][1] < pair[0][1];
    outcome.number(RISES, curve.windows(2).filter(|pair| !falls(pair)).count() as f64);
    outcome.number(RATIO, curve.first().map_or(f64::NAN, |point| point[1]) / lambda);
}

/// Spectral densities of one batch and of all data on one axis, as curves.
async fn densities(context: &mut Context<'_>, matrices: &mut Matrices<'_>, seed: u64) -> Result<(), StudyError> {
    let batch = context.results.knobs.get(&BATCH).min(matrices.all.len());
    let rows = draw(&matrices.all, batch, OF_BATCHES - 1, seed);
    matrices.batch.linearise(matrices.executor, Point::Run, &rows).await?;
    let mut spectra = Vec::new();
    for matrix in [&mut matrices.batch, &mut matrices.whole] {
        let density = Density::new(matrix.size(), STEPS, STARTS, 1, seed, 0);
        spectra.push(context.measure(density, matrix, matrices.executor).await?);
    }
    let ends = || spectra.iter().filter_map(Spectrum::range).flatten();
    let (low, high) = (ends().fold(f64::INFINITY, f64::min), ends().fold(f64::NEG_INFINITY, f64::max));
    let bell = BELL * (high - low);
    let at = |k: usize| low - 4.0 * bell + (high - low + 8.0 * bell) * k as f64 / (POINTS - 1) as f64;
    let outcome = context.results.record(ARM, seed)?;
    for (curve, spectrum) in [DENSITY, FULL_DENSITY].into_iter().zip(&spectra) {
        let smooth = spectrum.at(DensityAxis::Linear, bell, (0..POINTS).map(at).collect());
        let peak = smooth.density.iter().copied().fold(0.0, f64::max);
        for (&x, &y) in smooth.places.iter().zip(&smooth.density) {
            outcome.point(curve, x, if y > NOTHING * peak { y } else { f64::NAN });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::numeric::eigenvalues;
    use engine::probe::spiked;

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
            assert!((spiked(outlier, size as f64 * noise) / expected - 1.0).abs() < 1e-12);
        }
    }

    /// Exact check 2: nothing is left of the noise when the batch is all data.
    #[test]
    fn all_data_have_no_excess() {
        assert_eq!(spiked(0.2, 410.0 * 5.0 * inverse_batch(1437, 1437)), 0.2);
        // b = B / (1 - B/N)
        assert!((1.0 / inverse_batch(500, 1000) - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn batches_are_drawn_without_replacement() {
        let mut rows = draw(&[5, 6, 7, 8, 9], 5, 3, 1);
        rows.sort_unstable();
        assert_eq!(rows, [5, 6, 7, 8, 9]);
        assert_eq!(draw(&[5, 6, 7], 2, 3, 1).len(), 2);
    }
}
