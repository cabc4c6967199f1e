//! How much the statistics that a batch norm goes by differ from one batch to the next.

use engine::data::Values;
use engine::model::THETA;
use engine::numeric::{deviation, mean};
use engine::rng::{Rng, Stream, own_seed};

use crate::gauges::{At, Gauge};
use crate::{Number, StudyError, Task};

/// Variance of the mean that a unit of the first layer is centred by, over ghosts, in that unit's variances: mean over units.
pub const NOISE: Number = Number::new("noise of the statistics", "");

/// Ghosts drawn.
const GHOSTS: usize = 60;

/// Measures [`NOISE`] at the end, over ghosts of so many examples.
#[derive(Debug)]
pub struct Noise(pub usize);

impl Gauge for Noise {
    fn fresh(&self) -> Box<dyn Gauge> {
        Box::new(Self(self.0))
    }

    fn end<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let theta = at.trainer.state(THETA).await?;
            let layout = at.trainer.layout().clone();
            let first = layout.entries().iter().find(|entry| entry.shape.len() == 2);
            let (Some(first), Values::Images(images)) = (first, &at.trainer.data().values) else {
                return Err(StudyError::Other("the noise is that of a dense layer over images".into()));
            };
            let [inputs, units] = [first.shape[0], first.shape[1]];
            let weights = &theta[first.offset..first.offset + inputs * units];
            let rows = at.trainer.data().train.clone();
            let seen: Vec<Vec<f64>> =
                rows.map(|row| before_norm(&images.pixels[row * inputs..][..inputs], weights, units)).collect();
            let mut rng = Rng::new(own_seed(at.seed, "noise"), Stream::Sample, 0);
            let ghosts: Vec<Vec<usize>> = (0..GHOSTS).map(|_| drawn(seen.len(), self.0, &mut rng)).collect();
            let of_unit = |unit: usize| noise(&seen.iter().map(|row| row[unit]).collect::<Vec<f64>>(), &ghosts);
            let noise: Vec<f64> = (0..units).map(of_unit).filter(|noise| noise.is_finite()).collect();
            at.outcome()?.number(NOISE, mean(&noise));
            Ok(())
        })
    }
}

/// What a layer makes of an image, but for a constant and a factor, which no norm minds.
fn before_norm(pixels: &[u8], weights: &[f32], units: usize) -> Vec<f64> {
    let mut sums = vec![0.0; units];
    for (&pixel, row) in pixels.iter().zip(weights.chunks(units)).filter(|(pixel, _)| **pixel > 0) {
        sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += f64::from(pixel) * f64::from(weight));
    }
    sums
}

/// So many different rows.
fn drawn(rows: usize, size: usize, rng: &mut Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..rows).collect();
    rng.shuffle(&mut all);
    all.truncate(size);
    all
}

/// Variance over ghosts of the mean of their numbers, over the variance of all.
fn noise(numbers: &[f64], ghosts: &[Vec<usize>]) -> f64 {
    let of_ghost = |rows: &Vec<usize>| rows.iter().map(|&row| numbers[row]).sum::<f64>() / rows.len() as f64;
    (deviation(&ghosts.iter().map(of_ghost).collect::<Vec<f64>>()) / deviation(numbers)).powi(2)
}

#[cfg(test)]
#[test]
fn a_mean_of_few_differs_more() {
    let mut rng = Rng::new(3, Stream::Probe, 0);
    let numbers: Vec<f64> = (0..2000).map(|_| f64::from(rng.normal())).collect();
    let mut of = |size| noise(&numbers, &(0..400).map(|_| drawn(2000, size, &mut rng)).collect::<Vec<_>>());
    let (few, many) = (of(20), of(1000));
    // One over the size, less what is drawn twice.
    assert!((20.0 * few - 0.99).abs() < 0.2 && (1000.0 * many - 0.5).abs() < 0.1, "{few} and {many}");
}
