//! Panel C: a linear model with squared loss on whitened digits, where the largest stable rate has a closed form.
//!
//! An error e of the weights becomes `(I - eta H_B) e` in a step. Its mean square shrinks while
//! `eta < 2 / (lambda_1 + (m / lambda_1 - lambda_1) / B)`: lambda_1 is the top eigenvalue of `E[x x^T]`, m that of
//! `E[|x|^2 x x^T]` (derived for batches drawn with replacement).

use super::{FORMULA, LAMBDA, M, record};
use crate::largest::{LargestRate, RateGrid};
use crate::{Context, Share, StudyError};
use engine::data::sampler::sampler;
use engine::data::{Data, Values};
use engine::numeric::eigenvalues;
use engine::spec::{BatchSpec, DataSet, DataSpec, Projection};

/// Its arm.
pub const ARM: &str = "C";
/// Batch sizes.
pub const BATCHES: [usize; 8] = [1, 2, 4, 8, 16, 64, 256, 1024];
/// Steps of a trial.
const STEPS: u64 = 400;
/// Sixteenths of an octave: a formula is held against it.
const GRID: RateGrid = RateGrid { lowest: 1.0 / 2048.0, per_octave: 16, count: 255 };
/// A run has diverged when a weight is larger than this,
const LARGEST_WEIGHT: f32 = 1e3;
/// or its loss larger than so many times the loss at the start.
const LARGEST_LOSS: f64 = 5.0;

/// Classes of the digits.
const CLASSES: usize = 10;
/// Weights, one row an input.
type Weights = Vec<[f32; CLASSES]>;

/// The digits, brought to unit covariance.
pub fn data() -> DataSpec {
    DataSpec { projection: Projection::White, components: 40, ..DataSpec::of(DataSet::Digits) }
}

/// The largest stable rate by mean-square stability.
pub fn predicted([lambda, m]: [f64; 2], batch: usize) -> f64 {
    2.0 / (lambda + (m / lambda - lambda) / batch as f64)
}

/// The model's data: it has one weight an input and class, no bias.
pub struct Linear<'a> {
    data: &'a Data,
    inputs: usize,
    x: &'a [f32],
    labels: &'a [u32],
}

impl<'a> Linear<'a> {
    /// Over the training rows of a table.
    pub fn of(data: &'a Data) -> Option<Self> {
        let Values::Table(table) = &data.values else { return None };
        let labels = data.labels()?;
        let fits = data.classes().len() == CLASSES && data.train.start == 0;
        fits.then(|| Self { data, inputs: table.columns.len(), x: &table.values, labels })
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.x[row * self.inputs..(row + 1) * self.inputs]
    }

    /// Top eigenvalues of `E[x x^T]` and of `E[|x|^2 x x^T]` over the training rows.
    pub fn moments(&self) -> Option<[f64; 2]> {
        let d = self.inputs;
        let mut sums = [vec![0.0; d * d], vec![0.0; d * d]];
        for row in self.data.train.clone() {
            let x: Vec<f64> = self.row(row).iter().map(|&x| f64::from(x)).collect();
            let square: f64 = x.iter().map(|x| x * x).sum();
            for (i, j) in (0..d).flat_map(|i| (0..d).map(move |j| (i, j))) {
                sums[0][i * d + j] += x[i] * x[j];
                sums[1][i * d + j] += square * x[i] * x[j];
            }
        }
        let n = self.data.train.len() as f64;
        let top = |sum: Vec<f64>| Some(*eigenvalues(sum, d)?.first()? / n);
        let [plain, weighted] = sums;
        Some([top(plain)?, top(weighted)?])
    }

    /// Outputs less targets of an example.
    fn residual(&self, weights: &Weights, row: usize) -> [f32; CLASSES] {
        let mut residual = [0.0; CLASSES];
        residual[self.labels[row] as usize] = -1.0;
        for (x, weights) in self.row(row).iter().zip(weights) {
            for (sum, weight) in residual.iter_mut().zip(weights) {
                *sum += x * weight;
            }
        }
        residual
    }

    /// Half the squared error, mean over the training rows.
    fn loss(&self, weights: &Weights) -> f64 {
        let square = |row| self.residual(weights, row).iter().map(|&r| f64::from(r) * f64::from(r)).sum::<f64>();
        self.data.train.clone().map(square).sum::<f64>() / (2 * self.data.train.len()) as f64
    }

    /// One step of gradient descent on a batch of rows.
    fn step(&self, weights: &mut Weights, batch: &[u32], rate: f64) {
        let mut slope: Weights = vec![[0.0; CLASSES]; self.inputs];
        for &row in batch {
            let residual = self.residual(weights, row as usize);
            for (x, slope) in self.row(row as usize).iter().zip(&mut slope) {
                for (sum, residual) in slope.iter_mut().zip(&residual) {
                    *sum += x * residual;
                }
            }
        }
        let scale = (rate / batch.len() as f64) as f32;
        for (weight, slope) in weights.as_flattened_mut().iter_mut().zip(slope.as_flattened()) {
            *weight -= scale * slope;
        }
    }

    /// Searches for the largest rate at which gradient descent from zero weights does not diverge.
    pub async fn largest_rate(
        &self,
        context: &mut Context<'_>,
        batch: usize,
        seed: u64,
    ) -> Result<LargestRate, StudyError> {
        let mut search = LargestRate::on(GRID);
        while let Some(rate) = search.next() {
            search.tell(self.survives(context, batch, rate, seed).await?);
        }
        Ok(search)
    }

    async fn survives(
        &self,
        context: &mut Context<'_>,
        batch: usize,
        rate: f64,
        seed: u64,
    ) -> Result<bool, StudyError> {
        let mut weights: Weights = vec![[0.0; CLASSES]; self.inputs];
        let start = self.loss(&weights);
        let mut draws = sampler(&BatchSpec::default(), self.data, 1, seed)?;
        let mut rows = vec![0; batch];
        for step in 0..STEPS {
            draws.fill(step * batch as u64, &mut rows);
            self.step(&mut weights, &rows, rate);
            // A NaN is not small either.
            if !weights.as_flattened().iter().all(|weight| weight.abs() <= LARGEST_WEIGHT) {
                return Ok(false);
            }
            context.breathe().await?;
        }
        Ok(self.loss(&weights) <= LARGEST_LOSS * start)
    }
}

/// Measures the largest rate at every batch size, into the curve `rate` of the arm, with the formula's as `formula`.
pub async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    let data = context.data(&data()).await?;
    let unfit = || StudyError::Other("the digits are not a table of ten classes".into());
    let linear = Linear::of(&data).ok_or_else(unfit)?;
    let moments = linear.moments().ok_or_else(unfit)?;
    for (done, batch) in BATCHES.into_iter().enumerate() {
        let done = done as f64 / BATCHES.len() as f64;
        context.progress(share.at(done), &format!("linear model, batches of {batch}, seed {seed}"));
        let search = linear.largest_rate(context, batch, seed).await?;
        let outcome = context.results.record(ARM, seed)?;
        record(outcome, batch, &search);
        outcome.point(FORMULA, batch as f64, predicted(moments, batch));
        outcome.number(LAMBDA, moments[0]);
        outcome.number(M, moments[1]);
    }
    context.results.record(ARM, seed)?.done = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::data::{load, pack_file, read_pack_file};

    fn digits() -> Data {
        let spec = data();
        load(&spec, 1, Some(&read_pack_file(&pack_file(spec.set).unwrap()).unwrap())).unwrap()
    }

    /// The card's pilot: lambda_1 = 1, m = 56.5, and what the formula makes of them.
    #[test]
    fn moments_and_formula_are_the_cards() {
        let data = digits();
        let moments = Linear::of(&data).unwrap().moments().unwrap();
        assert!((moments[0] - 1.0).abs() < 1e-4, "{moments:?}");
        assert!((moments[1] / 56.5 - 1.0).abs() < 0.05, "{moments:?}");
        for (batch, rate) in [(1, 0.035), (4, 0.135), (16, 0.45), (64, 1.07), (256, 1.64), (1024, 1.90)] {
            assert!((predicted([1.0, 56.5], batch) / rate - 1.0).abs() < 0.02, "{batch}");
        }
    }

    /// Exact check 6: on a quadratic the edge of full-batch descent is 2 / lambda_1.
    #[test]
    fn two_over_the_curvature_is_the_edge() {
        let data = digits();
        let linear = Linear::of(&data).unwrap();
        let [lambda, _] = linear.moments().unwrap();
        let all: Vec<u32> = (0..1437).collect();
        let after = |rate: f64| {
            let mut weights: Weights = vec![[0.0; CLASSES]; 40];
            for _ in 0..STEPS {
                linear.step(&mut weights, &all, rate);
            }
            linear.loss(&weights)
        };
        let least = after(1.0 / lambda);
        assert!(after(1.98 / lambda) < 1.01 * least, "converges");
        assert!(after(2.02 / lambda) > LARGEST_LOSS, "diverges");
    }

    #[test]
    fn a_step_follows_the_slope_of_the_loss() {
        let data = digits();
        let linear = Linear::of(&data).unwrap();
        let mut weights: Weights = (0..40).map(|i| [0.01 * (i % 7) as f32; CLASSES]).collect();
        let all: Vec<u32> = (0..1437).collect();
        let before = weights.clone();
        linear.step(&mut weights, &all, 1.0);
        for (i, class) in [(0, 0), (3, 7), (39, 9)] {
            let moved = |by: f32| {
                let mut weights = before.clone();
                weights[i][class] += by;
                linear.loss(&weights)
            };
            let slope = (moved(0.01) - moved(-0.01)) / 0.02;
            let stepped = f64::from(before[i][class] - weights[i][class]);
            assert!((slope - stepped).abs() < 1e-4 * (1.0 + slope.abs()), "{slope} against {stepped}");
        }
    }
}
