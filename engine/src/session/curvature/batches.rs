//! How sharp a batch looks: spectra and top eigenvalues of single batches against those of all samples, and the
//! prediction of random matrix theory ([`BatchSpectrum`]).

use super::Tools;
use super::ridges::ridgeline;
use crate::executor::AnyExecutor;
use crate::figure::brief;
use crate::figure::{Axis, Dash, Direction, Figure, Mark, Role, Scale};
use crate::probe::{Algorithm, BatchSpectrum, Lanczos, Operator, Point, Ritz, Spectrum, norm, rademacher, work};
use crate::train::{TrainError, Trainer};

/// Batches of each size.
const EACH: usize = 4;
/// The smallest size.
const SMALLEST: usize = 8;
/// Single examples from which the noise of the matrix is estimated.
const SINGLES: usize = 16;

/// A comparison as it grows.
pub struct Batches {
    step: u64,
    theta: Vec<f32>,
    /// Examples that stand for the whole data set.
    samples: usize,
    /// What is still to be measured, the next one last.
    waiting: Vec<Piece>,
    lanczos: Option<(Piece, Lanczos)>,
    begun: bool,
    whole: Option<Ritz>,
    /// Product of all samples with the probe vector.
    probe: Vec<f32>,
    /// `||(H_i - H) v||^2` of single examples.
    singles: Vec<f64>,
    /// Size and largest eigenvalue of each batch.
    points: Vec<[f64; 2]>,
    /// The spectrum of a batch of the size in use.
    batch: Option<(usize, Ritz)>,
}

/// One thing to measure.
#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Whole,
    Probe,
    Single(usize),
    Batch { first: usize, size: usize, shown: bool },
}

impl Batches {
    /// Plans the comparison at a snapshot of the parameters.
    pub async fn begin(
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
        theta: Vec<f32>,
    ) -> Result<Self, TrainError> {
        let samples = tools.rows.len();
        let used = trainer.batch_at(trainer.steps_done());
        let mut sizes: Vec<usize> =
            std::iter::successors(Some(SMALLEST), |size| Some(size * 2)).take_while(|&size| size < samples).collect();
        let shown = sizes.iter().copied().min_by_key(|size| size.abs_diff(used)).unwrap_or(SMALLEST);
        sizes.reverse();
        let mut waiting = Vec::new();
        for &size in &sizes {
            for k in 0..EACH {
                // Parts of the samples where they are enough, overlapping ones where not.
                let first = k * (samples - size) / (EACH - 1);
                waiting.push(Piece::Batch { first, size, shown: size == shown && k == 0 });
            }
        }
        waiting.extend((0..SINGLES.min(samples)).map(Piece::Single));
        waiting.extend([Piece::Probe, Piece::Whole]);
        tools.whole.linearise(trainer.executor_mut(), Point::Given(&theta), &tools.rows).await?;
        Ok(Self {
            step: trainer.steps_done(),
            theta,
            samples,
            waiting,
            lanczos: None,
            begun: false,
            whole: None,
            probe: vec![],
            singles: vec![],
            points: vec![],
            batch: None,
        })
    }

    /// Does a part of the work: whether there is something new to show, and whether it is done.
    pub async fn advance(
        &mut self,
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
    ) -> Result<(bool, bool), TrainError> {
        let (seed, products) = (trainer.spec().seed, trainer.recipe().probes.products);
        let size = self.theta.len();
        let executor = trainer.executor_mut();
        if let Some((piece, lanczos)) = &mut self.lanczos {
            let operator = if *piece == Piece::Whole { &mut tools.whole } else { &mut tools.part };
            if !work(lanczos, operator, &mut self.begun, executor).await? {
                return Ok((false, false));
            }
            let (piece, ritz) = (*piece, lanczos.record());
            self.lanczos = None;
            match piece {
                Piece::Batch { size, shown, .. } => {
                    self.points.push([size as f64, largest(&ritz)]);
                    if shown {
                        self.batch = Some((size, ritz));
                    }
                }
                _ => self.whole = Some(ritz),
            }
            return Ok((true, self.waiting.is_empty()));
        }
        let Some(piece) = self.waiting.pop() else { return Ok((false, true)) };
        let vector = rademacher(seed, u32::MAX, size);
        match piece {
            Piece::Whole => self.lanczos = Some((piece, Lanczos::new(&rademacher(seed, 0, size), products))),
            Piece::Batch { first, size: count, .. } => {
                tools.part.linearise(executor, Point::Given(&self.theta), &tools.rows[first..][..count]).await?;
                self.lanczos = Some((piece, Lanczos::new(&rademacher(seed, first as u32, size), products)));
            }
            Piece::Probe => {
                self.probe = tools.whole.apply(executor, vec![vector]).await?.concat();
            }
            Piece::Single(row) => {
                tools.part.linearise(executor, Point::Given(&self.theta), &tools.rows[row..=row]).await?;
                let product = tools.part.apply(executor, vec![vector]).await?.concat();
                let away: Vec<f32> = product.iter().zip(&self.probe).map(|(a, b)| a - b).collect();
                self.singles.push(norm(&away).powi(2));
            }
        }
        Ok((false, false))
    }

    /// Largest eigenvalue of all samples.
    fn sharpness(&self) -> f64 {
        self.whole.as_ref().map_or(f64::NAN, largest)
    }

    /// What random matrix theory needs to know; `E ||(H_i - H) v||^2` over random signs is `||H_i - H||_F^2`.
    fn theory(&self) -> BatchSpectrum {
        let parameters = self.theta.len().max(1);
        let square = self.singles.iter().sum::<f64>() / self.singles.len().max(1) as f64;
        BatchSpectrum { parameters, examples: self.samples, variance: square / (parameters as f64).powi(2) }
    }

    /// What has been measured so far.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![self.against_size()];
        figures.extend(self.spectra());
        figures
    }

    fn against_size(&self) -> Figure {
        let sharpness = self.sharpness();
        let mut sizes: Vec<f64> = self.points.iter().map(|[size, _]| *size).collect();
        sizes.dedup();
        let mean = |&size: &f64| {
            let of: Vec<f64> = self.points.iter().filter(|point| point[0] == size).map(|point| point[1]).collect();
            [size, of.iter().sum::<f64>() / of.len().max(1) as f64]
        };
        let means: Vec<[f64; 2]> = sizes.iter().map(mean).collect();
        let theory = self.theory();
        let predicted = |&size: &f64| [size, theory.eigenvalue(sharpness, size as usize)];
        let mut marks = vec![Mark::Rule {
            label: "all samples".into(),
            role: Role::Other,
            along: Direction::Horizontal,
            at: sharpness,
        }];
        if sharpness > 0.0 && !self.singles.is_empty() {
            let points = sizes.iter().map(predicted).collect();
            marks.push(Mark::line("random-matrix theory", Role::Theory, Dash::Dashed, points));
        }
        marks.push(Mark::Scatter {
            name: "a batch".into(),
            role: Role::Batch,
            points: self.points.clone(),
            classes: vec![],
        });
        marks.push(Mark::line("mean", Role::Batch, Dash::Solid, means.clone()));
        let value = means.last().map_or_else(String::new, |[size, mean]| {
            format!("{} at B = {size} · {} over all {}", brief(*mean), brief(sharpness), self.samples)
        });
        Figure {
            id: "batches".into(),
            title: "Sharpness of a batch".into(),
            meaning: "λ1 of single batches; small ones look sharper than the data are".into(),
            alt: format!("Largest eigenvalue of batches against their size at step {}: {value}.", self.step),
            value,
            x: Axis { label: "batch".into(), unit: "examples".into(), scale: Scale::Log, ..Axis::default() },
            y: Axis { label: "λ1".into(), scale: Scale::Log, ..Axis::default() },
            marks,
            ..Figure::default()
        }
    }

    /// The spectrum of one batch over that of all samples.
    fn spectra(&self) -> Option<Figure> {
        let (size, batch) = self.batch.as_ref()?;
        let spectra =
            [(format!("all {}", self.samples), &of(self.whole.as_ref()?)), (format!("a batch of {size}"), &of(batch))];
        let ranges = spectra.iter().filter_map(|(_, spectrum)| spectrum.range());
        let range = ranges.reduce(|[a, b], [low, high]| [a.min(low), b.max(high)])?;
        let ridges = ridgeline(Role::Batch, range, &spectra);
        Some(Figure {
            id: "batch-spectrum".into(),
            title: "Spectrum of a batch".into(),
            meaning: format!("a batch of the size in use in front of all samples; log density; {}", ridges.resolution),
            alt: format!("Spectral density of a batch of {size} and of all {} samples.", self.samples),
            value: format!("step {} · B = {size}", self.step),
            x: ridges.axis,
            marks: vec![ridges.mark],
            ..Figure::default()
        })
    }
}

/// One vector's quadrature as a spectrum.
fn of(ritz: &Ritz) -> Spectrum {
    Spectrum { probes: vec![ritz.clone()], products: ritz.products, ..Spectrum::default() }
}

fn largest(ritz: &Ritz) -> f64 {
    ritz.values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}
