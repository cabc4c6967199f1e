//! The Hessian of the training loss along what learns alone: every eigenvalue.

#[cfg(test)]
mod tests;

use std::rc::Rc;

use engine::figure::{Axis, Mark, Ridge, Role, Scale, symlog_unit};
use engine::objective::recorded::cross_entropy;
use engine::probe::{
    Algorithm, Curvature, Curved, DensityAxis, Losses, Operator, Point, Ritz, RowLoss, Settings, Spectrum,
};

use super::net::{NET, Net};
use super::run::{Learned, Way};
use super::{Network, id};
use crate::images::Images;
use crate::plot::axis;
use crate::{Context, Curve, Outcome, Plot, Results, Sample, StudyError};

/// Training images over whose mean loss, and whose statistics in the norms, curvature is taken: the first.
pub const ROWS: usize = 256;
/// Products at once.
const LANES: usize = 8;
/// Places at which a density is drawn, and bells that fit side by side between its ends.
const PLACES: usize = 161;
const BELLS: f64 = 40.0;

/// Eigenvalues by rank, from the largest on.
const EIGENVALUES: [(Curve, &str); 2] =
    [(Curve::new("eigenvalue at the start", ""), "start"), (Curve::new("eigenvalue at the end", ""), "end")];

/// The block of a symmetric matrix at some places, by its products with their unit vectors.
pub struct Block {
    size: usize,
    lanes: usize,
    places: Vec<usize>,
    /// Columns so far, at the places alone.
    columns: Vec<Vec<f64>>,
}

impl Block {
    /// Of a matrix at some of its places.
    pub fn of(matrix: &impl Operator, places: Vec<usize>) -> Self {
        Self { size: matrix.size(), lanes: matrix.lanes(), places, columns: Vec::new() }
    }
}

impl Algorithm for Block {
    type Record = Vec<f64>;

    fn ask(&self) -> Vec<Vec<f32>> {
        let unit = |&place: &usize| {
            let mut unit = vec![0.0; self.size];
            unit[place] = 1.0;
            unit
        };
        self.places.iter().skip(self.columns.len()).take(self.lanes).map(unit).collect()
    }

    fn tell(&mut self, products: Vec<Vec<f32>>) {
        let column = |product: Vec<f32>| self.places.iter().map(|&place| f64::from(product[place])).collect();
        self.columns.extend(products.into_iter().map(column));
    }

    /// Row by row; symmetric, where products round differently on either side.
    fn record(&self) -> Vec<f64> {
        let all = 0..self.columns.len();
        let at = |i: usize, j: usize| 0.5 * (self.columns[i][j] + self.columns[j][i]);
        all.clone().flat_map(|i| all.clone().map(move |j| at(i, j))).collect()
    }
}

/// The Hessian of the mean loss of images that the play has.
///
/// # Errors
/// It cannot be recorded.
pub fn hessian(images: Rc<Images>, way: &Way) -> Result<Curvature, StudyError> {
    let (form, gamma) = (way.form, way.gamma);
    let loss = RowLoss::traced(NET, move |tape, rows| {
        let (x, labels) = images.batch(tape, rows);
        let net = tape.net(NET, |builder| Net::new(form, gamma, builder));
        Ok(Losses { each: cross_entropy(net.forward(x, tape.pass()), labels), outputs: None })
    })?;
    // All images at once: their statistics are one.
    Ok(Curvature::of(loss, Curved::Hessian, Settings { micro: ROWS, lanes: LANES, ..Settings::default() }, "hessian"))
}

/// Takes the eigenvalues where a network began to learn and where it ended.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn measure(
    context: &mut Context<'_>,
    Learned { play, places, start, end, .. }: &mut Learned<'_>,
    images: &Rc<Images>,
    way: &Way,
    (arm, seed): (&str, u64),
) -> Result<(), StudyError> {
    let mut hessian = hessian(images.clone(), way)?;
    let rows: Vec<u32> = (0..ROWS.min(images.train) as u32).collect();
    for ((curve, _), theta) in EIGENVALUES.into_iter().zip([start, end]) {
        let executor = play.executor()?;
        hessian.linearise(executor, Point::Given(theta), &rows).await?;
        let block = context.measure(Block::of(&hessian, places.clone()), &mut hessian, executor).await?;
        let values = engine::numeric::eigenvalues(block, places.len()).unwrap_or_default();
        let outcome = context.results.record(arm, seed)?;
        values.into_iter().enumerate().for_each(|(rank, value)| outcome.point(curve, (rank + 1) as f64, value));
    }
    Ok(())
}

/// What learns, and how figures name it.
const PARTS: [(&str, &str); 2] = [("norms", "norms"), ("random", "random weights")];

/// Eigenvalues of an arm, seed by seed.
fn spectra(results: &Results, arm: &str, curve: Curve) -> Vec<(u64, Vec<f64>)> {
    let of = |(seed, outcome): (u64, &Outcome)| {
        let values: Vec<f64> = outcome.curve(curve).iter().map(|point| point[1]).collect();
        (!values.is_empty()).then_some((seed, values))
    };
    results.outcomes(arm).filter_map(of).collect()
}

/// A quantity of each seed's eigenvalues.
fn sample(spectra: &[(u64, Vec<f64>)], of: impl Fn(&[f64]) -> f64) -> Sample {
    Sample(spectra.iter().map(|(seed, values)| (*seed, of(values))).collect())
}

/// The largest eigenvalue.
fn largest(values: &[f64]) -> f64 {
    values.first().copied().unwrap_or(f64::NAN)
}

/// Percentage of eigenvalues that are below 0 by more than what the axis shows as 0.
fn below_zero(values: &[f64]) -> f64 {
    let most = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    100.0 * values.iter().filter(|value| **value < -symlog_unit(most)).count() as f64 / values.len() as f64
}

/// Eigenvalues by seed, and what they are called.
type Spectra = (String, Vec<(u64, Vec<f64>)>);

/// Densities of a network's spectra, those of all seeds together, one behind the other.
fn ridges(all: &[Spectra]) -> (Axis, Mark) {
    let values = || all.iter().flat_map(|(_, seeds)| seeds).flat_map(|(_, values)| values).copied();
    let [low, high] = [values().fold(0.0, f64::min), values().fold(0.0, f64::max)];
    let linear = symlog_unit(high.max(-low));
    let scale = DensityAxis::SymmetricLog { linear };
    let [from, to] = [low, high].map(|end| scale.place(end));
    let bell = (to - from) / BELLS;
    let [from, to] = [from - 3.0 * bell, to + 3.0 * bell];
    let places: Vec<f64> = (0..PLACES).map(|k| from + (to - from) * k as f64 / (PLACES - 1) as f64).collect();
    let ridge = |(label, seeds): &Spectra| {
        // Nodes that are eigenvalues themselves.
        let nodes = |(_, values): &(u64, Vec<f64>)| Ritz {
            values: values.clone(),
            weights: vec![1.0 / values.len() as f64; values.len()],
            residuals: vec![0.0; values.len()],
            products: values.len(),
        };
        let size = seeds.first().map_or(0, |(_, values)| values.len());
        let spectrum = Spectrum { size, probes: seeds.iter().map(nodes).collect(), ..Spectrum::default() };
        let density = spectrum.at(scale, bell, places.clone()).density;
        // Beside the many about 0 a single large one would be invisible.
        Ridge { label: label.clone(), values: density.iter().map(|d| (1.0 + 1e3 * d).ln() as f32).collect() }
    };
    let x = places.iter().map(|&place| scale.value(place) as f32).collect();
    let mark = Mark::Ridgeline { role: Role::Train, x, ridges: all.iter().map(ridge).collect() };
    (Axis { scale: Scale::Symlog, linear: Some(linear), ..axis("eigenvalue", "") }, mark)
}

/// The spectra of a network, with what they say.
pub fn figure(results: &Results, &Network(network, name, ..): &Network) -> Plot {
    let mut all = Vec::new();
    for ((part, words), (curve, when)) in PARTS.iter().flat_map(|part| EIGENVALUES.map(|curve| (part, curve))) {
        all.push((format!("{words}, {when}"), spectra(results, &id(network, part), curve)));
    }
    all.retain(|(_, seeds)| !seeds.is_empty());
    let words = |of: fn(&[f64]) -> f64, unit: &str| {
        let one = |(label, seeds): &(String, Vec<_>)| format!("{label} {}{unit}", sample(seeds, of));
        all.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    let title = "Curvature along what learns";
    let ([x, y], marks) = match all.is_empty() {
        true => ([axis("eigenvalue", ""), Axis::default()], vec![]),
        false => {
            let (x, mark) = ridges(&all);
            ([x, Axis::default()], vec![mark])
        }
    };
    let plot = Plot::of("spectrum", title, [x, y], marks).empty("Spectra appear when the first network has learned.");
    if all.is_empty() {
        return plot
            .meaning("Of the loss's Hessian along the norms' scales and shifts, and along as many random weights.");
    }
    let largest = words(largest, "");
    plot.meaning(format!(
        "{name}: eigenvalues of the loss's Hessian on {ROWS} training images, along the norms' numbers or as many random weights, \
         before the first update and after the last. Heights are logarithmic. Largest: {largest}. Clearly below 0, where the loss \
         bends down: {}.",
        words(below_zero, "%")
    ))
    .says(format!("largest eigenvalue, {largest}"))
}
