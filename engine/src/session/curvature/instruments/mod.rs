//! Instruments beside the spectrum, each off until asked for: what a reading measures with each, piece by piece.
//!
//! An instrument is a file: its formula, what it tells, its figure. The first three need no more than what the noise scale is
//! told from; the others have pieces of their own, which come after the spectrum.

mod alpha;
mod batch_sharpness;
mod blocks;
mod elements;
mod gradient;
mod perturbation;

use serde::Serialize;

use super::Tools;
use super::reading::Reading;
use crate::executor::AnyExecutor;
use crate::figure::{Figure, gap};
use crate::model::ParamLayout;
use crate::probe::SmallBatches;
use crate::spec::{OptimizerSpec, ProbesSpec};
use crate::train::{TrainError, Trainer};
use crate::tree::FromTree;
use alpha::Alpha;
use batch_sharpness::{BatchSharpness, Settles};
use blocks::Blocks;
use elements::Elements;
use gradient::LayerSignal;
use perturbation::Perturbation;

/// What the instruments tell at one moment; none = not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, FromTree)]
#[serde(default)]
pub struct Told {
    /// Where the next update lands on the parabola along it.
    pub alpha: Option<Gauged>,
    /// Signal over noise of the batch's gradient, by layer.
    pub signal: Option<Vec<LayerSignal>>,
    /// The batch size of CABS, in examples.
    pub cabs: Option<Gauged>,
    /// The early-stopping criterion.
    pub stopping: Option<Gauged>,
    /// Histograms of gradient elements.
    pub elements: Option<Elements>,
    /// Curvature of batches along their own gradients.
    pub batch_sharpness: Option<Gauged>,
    /// Where theory sees that settle.
    pub settles: Option<Settles>,
    /// Norms of the matrix's blocks.
    pub blocks: Option<Blocks>,
    /// The rise of the loss under random moves of the weights.
    pub perturbation: Option<Gauged>,
}

/// A number with its standard error; not a number where it has not been measured or could not be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, FromTree)]
pub struct Gauged {
    /// The number.
    #[serde(with = "gap")]
    pub value: f64,
    /// Its standard error.
    #[serde(with = "gap")]
    pub error: f64,
    /// Examples it was measured on; 0 = it is still being measured.
    pub samples: usize,
}

impl Gauged {
    const AWAITED: Gauged = Gauged { value: f64::NAN, error: f64::NAN, samples: 0 };

    /// `sum a / sum b` of pairs that are drawn together, with the error of a ratio (Cochran 1977, equation 6.4); on so many
    /// examples.
    fn ratio(above: &[f64], below: &[f64], samples: usize) -> Self {
        if above.len() < 2 {
            return Self::AWAITED;
        }
        let n = above.len() as f64;
        let all: f64 = below.iter().sum();
        let value = above.iter().sum::<f64>() / all;
        let squares: f64 = above.iter().zip(below).map(|(a, b)| (a - value * b) * (a - value * b)).sum();
        Gauged { value, error: libm::sqrt(n / (n - 1.0) * squares) / all.abs(), samples }
    }

    /// The mean of independent draws.
    fn mean(draws: &[f64], samples: usize) -> Self {
        Self::ratio(draws, &vec![1.0; draws.len()], samples)
    }
}

/// What a reading's instruments still have to measure.
pub struct Instruments {
    /// The next one last.
    waiting: Vec<Piece>,
    alpha: Alpha,
    elements: Vec<Vec<f32>>,
    batch_sharpness: BatchSharpness,
    blocks: blocks::Sum,
    perturbation: Perturbation,
}

/// What is measured at once.
#[derive(Clone, Copy)]
enum Piece {
    /// Slopes along the update, on a part of the examples.
    Alpha(usize),
    /// The gradient of an example.
    Element(usize),
    /// A batch.
    Batch(usize),
    /// A product with a vector of a layer.
    Block(usize),
    /// A move of the weights, there and back.
    Perturbation(usize),
}

impl Told {
    /// What will be told of those that are asked for, of a state whose next update has this optimizer and rate.
    pub fn awaited(wanted: &ProbesSpec, optimizer: &OptimizerSpec, rate: f64) -> Self {
        let gauge = |wanted: bool| wanted.then_some(Gauged::AWAITED);
        Told {
            alpha: gauge(wanted.alpha),
            signal: wanted.signal.then(Vec::new),
            cabs: gauge(wanted.cabs),
            stopping: gauge(wanted.stopping),
            elements: wanted.elements.then(Elements::default),
            batch_sharpness: gauge(wanted.batch_sharpness),
            settles: Settles::of(optimizer, rate).filter(|_| wanted.batch_sharpness),
            blocks: wanted.blocks.then(Blocks::default),
            perturbation: gauge(wanted.perturbation),
        }
    }

    /// Takes what the gradients of small batches say, the mean of whose losses is `loss`, of a state whose next update has this
    /// rate and batch.
    pub fn take(&mut self, parts: &SmallBatches, loss: f64, rate: f64, batch: usize, layout: &ParamLayout) {
        if let Some(signal) = &mut self.signal {
            *signal = gradient::signal(parts, layout, batch);
        }
        if let Some(cabs) = &mut self.cabs {
            *cabs = gradient::cabs(parts, rate, loss);
        }
        if let Some(stopping) = &mut self.stopping {
            *stopping = gradient::stopping(parts);
        }
    }

    /// Drops what is drawn of the newest reading alone.
    pub fn forget_pictures(&mut self) {
        (self.elements, self.blocks) = (None, None);
    }
}

impl Instruments {
    /// Plans the pieces of those that a reading awaits.
    pub fn new(told: &Told, tools: &Tools, trainer: &Trainer<AnyExecutor>) -> Self {
        let blocks = blocks::Sum::new(trainer.layout());
        let mut waiting = Vec::new();
        let mut plan = |wanted: bool, count: usize, piece: fn(usize) -> Piece| {
            waiting.extend((0..if wanted { count } else { 0 }).rev().map(piece));
        };
        plan(told.perturbation.is_some(), perturbation::MOVES, Piece::Perturbation);
        plan(told.blocks.is_some(), blocks.products(), Piece::Block);
        plan(told.batch_sharpness.is_some(), batch_sharpness::BATCHES, Piece::Batch);
        plan(told.elements.is_some(), elements::EXAMPLES.min(tools.rows.len()), Piece::Element);
        plan(told.alpha.is_some() && tools.after.is_some(), alpha::PARTS, Piece::Alpha);
        Instruments {
            waiting,
            alpha: Alpha::default(),
            elements: vec![],
            batch_sharpness: BatchSharpness::default(),
            blocks,
            perturbation: Perturbation::default(),
        }
    }

    /// Whether all is measured.
    pub fn done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Measures a piece; true when the reading tells more than before.
    pub async fn advance(
        &mut self,
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
        reading: &mut Reading,
    ) -> Result<bool, TrainError> {
        let Some(piece) = self.waiting.pop() else { return Ok(false) };
        let told = &mut reading.told;
        match piece {
            Piece::Alpha(part) => {
                self.alpha.measure(part, tools, trainer).await?;
                told.alpha = told.alpha.and(self.alpha.told());
            }
            Piece::Element(number) => {
                self.elements.push(elements::gradient(number, tools, trainer).await?);
                if self.elements.len() < elements::EXAMPLES.min(tools.rows.len()) {
                    return Ok(false);
                }
                told.elements = Some(Elements::of(&std::mem::take(&mut self.elements), &tools.before.1));
            }
            Piece::Batch(number) => {
                self.batch_sharpness.measure(number, reading.batch, tools, trainer).await?;
                reading.products += 1;
                told.batch_sharpness = told.batch_sharpness.and(self.batch_sharpness.told());
            }
            Piece::Block(number) => {
                self.blocks.measure(number, tools, trainer).await?;
                reading.products += 1;
                let Some(blocks) = self.blocks.told() else { return Ok(false) };
                told.blocks = Some(blocks);
            }
            Piece::Perturbation(number) => {
                self.perturbation.measure(number, tools, trainer).await?;
                told.perturbation = told.perturbation.and(self.perturbation.told());
            }
        }
        Ok(true)
    }
}

/// The figures of those that the newest reading was asked for.
pub fn figures(readings: &[&Reading]) -> Vec<Figure> {
    let Some(last) = readings.last() else { return vec![] };
    let told = &last.told;
    let asked = [
        told.alpha.map(|_| alpha::figure(readings)),
        told.batch_sharpness.map(|_| batch_sharpness::figure(readings)),
        told.signal.as_ref().map(|_| gradient::signal_figure(readings)),
        told.cabs.map(|_| gradient::cabs_figure(readings)),
        told.stopping.map(|_| gradient::stopping_figure(readings)),
        told.perturbation.map(|_| perturbation::figure(readings)),
        told.blocks.as_ref().map(|_| blocks::figure(readings)),
    ];
    let histograms = told.elements.iter().flat_map(|_| elements::figures(readings));
    asked.into_iter().flatten().chain(histograms).collect()
}

#[cfg(test)]
mod tests;
