//! One reading: gradient, noise scale, top eigenpairs, the optimizer's own view of them, spectral density; what tells most for
//! the fewest products comes first, and is shown as soon as it is there.

use super::Tools;
use super::instruments::{Instruments, Told};
use super::reading::{Layer, Noise, Reading};
use crate::executor::AnyExecutor;
use crate::graph::numel;
use crate::optim::stability;
use crate::probe::{
    Algorithm, Density, Eigenpair, Eigenpairs, Point, Scaled, SmallBatches, dot, norm, rule_scale, work,
};
use crate::train::{TrainError, Trainer};

/// Random vectors whose quadratures are averaged.
const PROBES: usize = 2;
/// Random vectors of a reading: those, and one for each search of eigenpairs. No two readings have one in common.
const DRAWS: u64 = PROBES as u64 + 2;
/// Eigenpairs searched for.
const PAIRS: usize = 3;
/// Residual over the largest eigenvalue at which a pair is good enough to be drawn: the eigenvalue's own error goes with its
/// square.
const TOLERANCE: f64 = 1e-2;
/// Small batches whose gradients tell the noise scale, each of as many examples as the rest is measured on: scales up to
/// about all of them can be told, for the price of a few products.
pub const NOISE_PARTS: usize = 16;

/// What comes next.
enum Stage {
    Noise(SmallBatches),
    Top(Eigenpairs),
    Preconditioned(Eigenpairs),
    Density(Density),
    Instruments(Box<Instruments>),
    Whole,
}

/// A reading as it grows.
pub struct Spectrum {
    reading: Reading,
    stage: Stage,
    begun: bool,
    gradient: Vec<f32>,
    /// Learning rate of the next update.
    rate: f64,
    /// Mean loss over the examples of the noise scale, as far as it has come.
    loss: f64,
    /// Eigenpairs that the density need not find.
    known: Vec<Eigenpair>,
    /// Inverse square roots of what the optimizer divides by.
    scale: Option<Vec<f32>>,
}

impl Spectrum {
    /// Takes the snapshot, of parameters `theta`.
    pub async fn begin(
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
        theta: Vec<f32>,
    ) -> Result<Self, TrainError> {
        let step = trainer.steps_done();
        let (eta, optimizer) = (trainer.lr(), trainer.optimizer());
        let scale = rule_scale(trainer, &optimizer).await?;
        let executor = trainer.executor_mut();
        tools.landscape.go(executor, Point::Run).await?;
        let (_, gradient) = tools.landscape.gradient(executor, &tools.rows).await?;
        tools.whole.linearise(executor, Point::Run, &tools.rows).await?;
        let moved: Vec<f32> = theta.iter().zip(&tools.origin).map(|(now, start)| now - start).collect();
        let reading = Reading {
            step,
            operator: tools.operator,
            samples: tools.rows.len(),
            products: 0,
            top: vec![],
            residual: f64::NAN,
            spectrum: Default::default(),
            trace: f64::NAN,
            trace_error: f64::NAN,
            preconditioned: None,
            limit: stability::threshold(&optimizer, eta, &trainer.bias().advanced(&optimizer, 1))
                .filter(|limit| limit.is_finite()),
            gradient: norm(&gradient),
            alignment: f64::NAN,
            distance: norm(&moved),
            layers: layers(trainer, &gradient, &theta, &tools.before),
            batch: trainer.batch_at(step),
            noise: None,
            told: Told::awaited(&trainer.recipe().probes, &optimizer, eta),
        };
        (tools.before, tools.after) = ((step, theta), None);
        Ok(Self {
            reading,
            stage: Stage::Noise(SmallBatches::new(tools.noise_rows.len() / NOISE_PARTS)),
            begun: false,
            gradient,
            rate: eta,
            loss: 0.0,
            known: vec![],
            scale,
        })
    }

    /// What is known so far.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Whether the reading is whole.
    pub fn done(&self) -> bool {
        matches!(self.stage, Stage::Whole)
    }

    /// Does a part of the work; true when the reading tells more than before.
    pub async fn advance(&mut self, tools: &mut Tools, trainer: &mut Trainer<AnyExecutor>) -> Result<bool, TrainError> {
        let seed = trainer.spec().seed;
        let products = trainer.recipe().probes.products;
        let executor = trainer.executor_mut();
        let size = self.gradient.len();
        let first = self.reading.step.wrapping_mul(DRAWS) as u32;
        let random = |search: u32| (seed, first.wrapping_add(PROBES as u32 + search));
        let density =
            |known: &[Eigenpair]| Stage::Density(Density::new(size, products, PROBES, 1, seed, first).beside(known));
        let next = match &mut self.stage {
            Stage::Noise(parts) => {
                let each = tools.noise_rows.len() / NOISE_PARTS;
                if each > 0 && parts.len() < NOISE_PARTS {
                    let rows = &tools.noise_rows[parts.len() * each..][..each];
                    let (loss, gradient) = tools.landscape.gradient(executor, rows).await?;
                    parts.add(gradient);
                    self.loss += loss / NOISE_PARTS as f64;
                    return Ok(false);
                }
                self.reading.noise = parts.noise_scale().map(|found| Noise::of(&found));
                self.reading.told.take(parts, self.loss, self.rate, self.reading.batch, trainer.layout());
                Stage::Top(Eigenpairs::new(size, [PAIRS, 0], TOLERANCE, products, &tools.warm, random(0)))
            }
            Stage::Top(search) => {
                if !work(search, &mut tools.whole, &mut self.begun, executor).await? {
                    return Ok(false);
                }
                let pairs = search.record();
                self.reading.products += pairs.products;
                self.reading.top = pairs.largest.iter().map(|pair| pair.value).collect();
                if let Some(first) = pairs.largest.first() {
                    self.reading.residual = first.residual;
                    self.reading.alignment =
                        (dot(&self.gradient, &first.vector) / self.reading.gradient.max(f64::MIN_POSITIVE)).abs();
                }
                tools.warm = pairs.vectors();
                self.known = pairs.largest;
                let good = TOLERANCE * self.reading.sharpness().abs();
                self.known.retain(|pair| pair.residual <= good);
                if self.scale.is_some() {
                    Stage::Preconditioned(Eigenpairs::new(size, [1, 0], TOLERANCE, products, &tools.scaled, random(1)))
                } else {
                    density(&self.known)
                }
            }
            Stage::Preconditioned(search) => {
                let mut scaled = Scaled::new(&mut tools.whole, self.scale.as_deref().unwrap_or_default());
                if !work(search, &mut scaled, &mut self.begun, executor).await? {
                    return Ok(false);
                }
                let pairs = search.record();
                self.reading.products += pairs.products;
                self.reading.preconditioned =
                    pairs.largest.first().map(|pair| pair.value).filter(|value| value.is_finite());
                tools.scaled = pairs.vectors();
                density(&self.known)
            }
            Stage::Density(density) => {
                if !work(density, &mut tools.whole, &mut self.begun, executor).await? {
                    return Ok(false);
                }
                let spectrum = density.record();
                let trace = spectrum.trace();
                (self.reading.trace, self.reading.trace_error) = (trace.mean, trace.half);
                self.reading.products += spectrum.products;
                self.reading.spectrum = spectrum;
                Stage::Instruments(Box::new(Instruments::new(&self.reading.told, tools, trainer)))
            }
            Stage::Instruments(instruments) => {
                let grown = instruments.advance(tools, trainer, &mut self.reading).await?;
                if !instruments.done() {
                    return Ok(grown);
                }
                Stage::Whole
            }
            Stage::Whole => return Ok(false),
        };
        self.stage = next;
        Ok(true)
    }
}

/// Units that a parameter leads to, and how many of them have a gradient of 0 in all its weights: the columns of a matrix,
/// the first axis of a kernel.
fn silence(shape: &[usize], gradient: &[f32]) -> (usize, usize) {
    match *shape {
        [_, units] => {
            let silent = |unit: &usize| gradient.iter().skip(*unit).step_by(units).all(|weight| *weight == 0.0);
            (units, (0..units).filter(silent).count())
        }
        [units, _, _, _] => {
            let each = (gradient.len() / units.max(1)).max(1);
            (units, gradient.chunks(each).filter(|kernel| kernel.iter().all(|weight| *weight == 0.0)).count())
        }
        _ => (0, 0),
    }
}

/// Norms by module, in the model's order: of the gradient, and of the way gone since `before` divided by its updates.
fn layers(
    trainer: &Trainer<AnyExecutor>,
    gradient: &[f32],
    theta: &[f32],
    (since, before): &(u64, Vec<f32>),
) -> Vec<Layer> {
    let updates = trainer.steps_done().saturating_sub(*since).max(1) as f64;
    let moved: Vec<f32> = theta.iter().zip(before).map(|(now, old)| now - old).collect();
    let mut layers: Vec<Layer> = Vec::new();
    for entry in trainer.layout().entries() {
        let name = entry.name.rsplit_once('.').map_or(entry.name.as_str(), |(module, _)| module);
        if layers.last().is_none_or(|last| last.name != name) {
            layers.push(Layer { name: name.to_owned(), gradient: 0.0, movement: 0.0, units: 0, silent: 0 });
        }
        let place = entry.offset..entry.offset + numel(&entry.shape);
        if let Some(layer) = layers.last_mut() {
            let (units, silent) = silence(&entry.shape, &gradient[place.clone()]);
            layer.units += units;
            layer.silent += silent;
            layer.gradient = layer.gradient.hypot(norm(&gradient[place.clone()]));
            layer.movement = layer.movement.hypot(norm(&moved[place]) / updates);
        }
    }
    layers
}
