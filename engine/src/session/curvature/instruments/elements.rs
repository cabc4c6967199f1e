//! Histograms of gradient elements: of single examples and of their mean, over size, and against the parameters.
//!
//! Source: Schneider, Dangel, Hennig, "Cockpit", NeurIPS 2021 (arXiv 2102.06604), section 3.2.

use serde::Serialize;

use super::super::figures::{axis, words};
use super::super::reading::Reading;
use super::Tools;
use crate::executor::AnyExecutor;
use crate::figure::{
    Axis, Figure, Grid, Mark, Ridge, Role, Scale, brief, gap, gaps, symlog, symlog_inverse, symlog_unit,
};
use crate::probe::Point;
use crate::train::{TrainError, Trainer};
use crate::tree::FromTree;

/// Examples whose gradients are counted.
pub(super) const EXAMPLES: usize = 16;
/// Bins of elements, an odd number: the middle one is about 0.
const BINS: usize = 41;
/// Bins of parameters, likewise.
const PLACES: usize = 31;

/// Numbers of elements by size and by the parameter that they are of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, FromTree)]
#[serde(default)]
pub struct Elements {
    /// Examples; 0 = still being counted.
    pub examples: usize,
    /// The largest element in magnitude: bins are even on the symmetric logarithm up to it.
    #[serde(with = "gap")]
    pub largest: f64,
    /// Elements of single examples' gradients in each bin, `[BINS]`, ascending.
    #[serde(with = "gaps")]
    pub single: Vec<f32>,
    /// Elements of the mean gradient, likewise.
    #[serde(with = "gaps")]
    pub mean: Vec<f32>,
    /// The largest parameter in magnitude.
    #[serde(with = "gap")]
    pub reach: f64,
    /// Elements of single examples' gradients by bin, largest first, and by parameter, ascending: `[BINS, PLACES]`.
    #[serde(with = "gaps")]
    pub against: Vec<f32>,
}

/// The gradient of one of the examples.
pub(super) async fn gradient(
    number: usize,
    tools: &mut Tools,
    trainer: &mut Trainer<AnyExecutor>,
) -> Result<Vec<f32>, TrainError> {
    let executor = trainer.executor_mut();
    tools.landscape.go(executor, Point::Given(&tools.before.1)).await?;
    Ok(tools.landscape.gradient(executor, &tools.rows[number..=number]).await?.1)
}

/// Size of the largest.
fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |most, value| f64::from(value.abs()).max(most))
}

/// The bin of a value at `place` of -1..=1.
fn bin(place: f64, bins: usize) -> usize {
    (((place + 1.0) / 2.0 * bins as f64) as usize).min(bins - 1)
}

impl Elements {
    /// Counts the elements of single examples' gradients at parameters `theta`.
    pub(super) fn of(gradients: &[Vec<f32>], theta: &[f32]) -> Self {
        let most = gradients.iter().map(|gradient| largest(gradient)).fold(0.0, f64::max);
        let unit = symlog_unit(most);
        let end = symlog(most, unit).max(f64::MIN_POSITIVE);
        let of = |element: f32| bin(symlog(f64::from(element), unit) / end, BINS);
        let reach = largest(theta);
        let place = |parameter: f32| bin(f64::from(parameter) / reach.max(f64::MIN_POSITIVE), PLACES);
        let mut told = Elements {
            examples: gradients.len(),
            largest: most,
            single: vec![0.0; BINS],
            mean: vec![0.0; BINS],
            reach,
            against: vec![0.0; BINS * PLACES],
        };
        for (parameter, &value) in theta.iter().enumerate() {
            let mut sum = 0.0;
            for gradient in gradients {
                sum += gradient[parameter];
                let bin = of(gradient[parameter]);
                told.single[bin] += 1.0;
                told.against[(BINS - 1 - bin) * PLACES + place(value)] += 1.0;
            }
            told.mean[of(sum / gradients.len() as f32)] += 1.0;
        }
        told
    }
}

/// Logarithms of shares, nothing where there are none.
fn logarithms(counts: &[f32]) -> Vec<f32> {
    let all: f32 = counts.iter().sum();
    counts.iter().map(|&count| if count > 0.0 { (count / all).log10() } else { f32::NAN }).collect()
}

/// The middles of bins over -1..=1.
fn middles(bins: usize) -> impl Iterator<Item = f64> {
    (0..bins).map(move |k| (2 * k + 1) as f64 / bins as f64 - 1.0)
}

pub(super) fn figures(readings: &[&Reading]) -> Vec<Figure> {
    let single =
        ("elements", "Gradient elements", "how many are how large, of single examples and of their mean; log share");
    let against = (
        "elements-against",
        "Gradient elements against parameters",
        "colour: log share; a parameter with none does not learn",
    );
    let counted = readings.iter().rev().find_map(|reading| {
        reading.told.elements.as_ref().filter(|elements| elements.examples > 0).map(|elements| (reading, elements))
    });
    let Some((reading, told)) = counted else {
        let awaited = |(id, title, meaning)| Figure {
            empty: "Being counted.".into(),
            ..words(id, title, meaning, String::new())
        };
        return vec![awaited(single), awaited(against)];
    };
    let unit = symlog_unit(told.largest);
    let end = symlog(told.largest, unit);
    let sizes: Vec<f64> = middles(BINS).map(|place| symlog_inverse(place * end, unit)).collect();
    // A share of nothing is drawn at the floor, below the least that is not nothing.
    let shares = [logarithms(&told.single), logarithms(&told.mean)];
    let floor = shares.iter().flatten().copied().filter(|share| share.is_finite()).fold(0.0, f32::min) - 0.5;
    let ridge = |label: &str, shares: &[f32]| Ridge {
        label: label.into(),
        values: shares.iter().map(|share| if share.is_finite() { share - floor } else { 0.0 }).collect(),
    };
    let value = format!("step {} · {} examples · up to {}", reading.step, told.examples, brief(told.largest));
    let over_size = Figure {
        x: Axis { linear: Some(unit), ..axis("gradient element", Scale::Symlog) },
        marks: vec![Mark::Ridgeline {
            role: Role::Train,
            x: sizes.iter().map(|&size| size as f32).collect(),
            ridges: vec![ridge("examples", &shares[0]), ridge("their mean", &shares[1])],
        }],
        ..words(single.0, single.1, single.2, value.clone())
    };
    let over_both = Figure {
        x: axis("parameter", Scale::Linear),
        y: axis("gradient element", Scale::Linear),
        marks: vec![Mark::HeatMap {
            grid: Grid { width: PLACES, height: BINS, values: logarithms(&told.against) },
            scale: Scale::Linear,
            range: None,
            rows: sizes.iter().rev().map(|&size| brief(size)).collect(),
            columns: middles(PLACES).map(|place| brief(place * told.reach)).collect(),
        }],
        ..words(against.0, against.1, against.2, value)
    };
    vec![over_size, over_both]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_counted_by_size_and_by_parameter() {
        let told = Elements::of(&[vec![1.0, 0.0, -1.0], vec![1.0, 0.0, 1.0]], &[0.5, 0.0, -0.5]);
        assert_eq!((told.examples, told.largest, told.reach), (2, 1.0, 0.5));
        assert_eq!((told.single[0], told.single[BINS / 2], told.single[BINS - 1]), (1.0, 2.0, 3.0));
        // The mean: 1, 0 and 0.
        assert_eq!((told.mean[BINS / 2], told.mean[BINS - 1]), (2.0, 1.0));
        let at = |row: usize, column: usize| told.against[row * PLACES + column];
        assert_eq!((at(0, PLACES - 1), at(0, 0), at(BINS - 1, 0)), (2.0, 1.0, 1.0));
        assert_eq!(at(BINS / 2, PLACES / 2), 2.0);
        assert_eq!(told.against.iter().sum::<f32>(), 6.0);
    }

    #[test]
    fn a_gradient_of_nothing_but_zeros_is_counted() {
        let told = Elements::of(&[vec![0.0; 3]], &[0.0; 3]);
        assert_eq!((told.single.iter().sum::<f32>(), told.against.iter().sum::<f32>()), (3.0, 3.0));
    }
}
