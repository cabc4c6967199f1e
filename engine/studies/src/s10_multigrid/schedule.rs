//! Which shape a batch has when, and its learning rate.

use std::f64::consts::FRAC_1_SQRT_2;

/// Frames and side of clips by default.
pub const FRAMES: usize = 16;
pub const SIDE: usize = 24;
/// The long cycle: shares of the frames and of the side, coarse to fine, and what the rate is multiplied by.
const LONG: [([f64; 2], f64); 4] =
    [([0.25, FRAC_1_SQRT_2], 8.0), ([0.5, FRAC_1_SQRT_2], 4.0), ([0.5, 1.0], 2.0), ([1.0, 1.0], 1.0)];
/// The short cycle: shares of the default side, then comes the long cycle's.
const SHORT: [f64; 2] = [0.5, FRAC_1_SQRT_2];
/// Where stages of the rate end, of all epochs, and what it falls to at each.
const ENDS: [f64; 3] = [0.6, 0.85, 1.0];
const FALL: f64 = 0.1;
/// Share of the updates in which the rate rises.
const WARMUP: f64 = 0.05;

/// A batch's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub clips: usize,
    pub frames: usize,
    pub side: usize,
}

/// How the shapes of an arm change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// Clips of a batch of the default shape.
    pub batch: usize,
    pub rate: f64,
    pub epochs: f64,
    /// Epochs with a long cycle, of those without.
    pub longer: f64,
    pub long: bool,
    pub short: bool,
    /// Whether the rate grows with the batch of the long cycle.
    pub scaled: bool,
}

/// An update to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    pub shape: Shape,
    pub rate: f64,
    /// Which phase it is in.
    pub phase: usize,
}

/// A stretch of training in which the long cycle stands still.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    pub epochs: f64,
    pub rate: f64,
    /// The shapes of its short cycle, coarsest first.
    pub shapes: Vec<Shape>,
}

impl Phase {
    /// Mean clips of its batches.
    pub fn clips(&self) -> f64 {
        self.shapes.iter().map(|shape| shape.clips as f64).sum::<f64>() / self.shapes.len() as f64
    }
}

/// A size as a multiple of four.
fn rounded(size: f64) -> usize {
    4 * (size / 4.0).round().max(1.0) as usize
}

impl Shape {
    /// As many clips as make the work that of a batch of the default shape.
    pub fn of(batch: usize, frames: usize, side: usize) -> Self {
        let ratio = (FRAMES * SIDE * SIDE) as f64 / (frames * side * side) as f64;
        Self { clips: (batch as f64 * ratio).round().max(1.0) as usize, frames, side }
    }

    /// Pixels of all its clips.
    pub fn pixels(self) -> usize {
        self.clips * self.frames * self.side * self.side
    }
}

impl Way {
    /// The shapes of the short cycle at a place of the long one.
    pub fn shapes(&self, [frames, side]: [f64; 2]) -> Vec<Shape> {
        let (frames, side) = (rounded(FRAMES as f64 * frames), rounded(SIDE as f64 * side));
        let short = SHORT.iter().filter(|_| self.short).map(|share| rounded(SIDE as f64 * share));
        short.chain([side]).map(|side| Shape::of(self.batch, frames, side)).collect()
    }

    /// All phases. With a long cycle each stage of the rate but the last goes through it, as many updates a shape; the last is
    /// of the default shape and shortened as the others are, its first half at the rate of the stage before.
    pub fn phases(&self) -> Vec<Phase> {
        let stages = [ENDS[0], ENDS[1] - ENDS[0], ENDS[2] - ENDS[1]].map(|share| share * self.epochs);
        let rate = |stage: usize| self.rate * libm::pow(FALL, stage as f64);
        let whole = [1.0, 1.0];
        if !self.long {
            let of = |(stage, &epochs): (usize, &f64)| Phase { epochs, rate: rate(stage), shapes: self.shapes(whole) };
            return stages.iter().enumerate().map(of).collect();
        }
        let mut phases: Vec<Phase> = vec![];
        let cycle = LONG.map(|(shares, factor)| (self.shapes(shares), if self.scaled { factor } else { 1.0 }));
        for (stage, epochs) in stages[..2].iter().enumerate() {
            phases.extend(cycle.iter().map(|(shapes, factor)| {
                let (shapes, rate) = (shapes.clone(), rate(stage) * factor);
                Phase { epochs: *epochs, rate, shapes }
            }));
            let first = phases.len() - cycle.len();
            let all: f64 = phases[first..].iter().map(Phase::clips).sum();
            phases[first..].iter_mut().for_each(|phase| phase.epochs *= phase.clips() / all);
        }
        let updates: f64 = phases.iter().map(|phase| phase.epochs / phase.clips()).sum();
        let saving = (stages[0] + stages[1]) / self.batch as f64 / updates;
        for stage in [1, 2] {
            let shapes = self.shapes(whole);
            let mut phase = Phase { epochs: 0.0, rate: rate(stage), shapes };
            phase.epochs = stages[2] / 2.0 / saving * phase.clips() / self.batch as f64;
            phases.push(phase);
        }
        let all: f64 = phases.iter().map(|phase| phase.epochs).sum();
        phases.iter_mut().for_each(|phase| phase.epochs *= self.longer * self.epochs / all);
        phases
    }

    /// All updates, of so many clips an epoch; each phase has at least one.
    pub fn updates(&self, clips: usize) -> Vec<Update> {
        let (mut updates, mut end) = (vec![], 0.0);
        for (place, phase) in self.phases().iter().enumerate() {
            end += phase.epochs * clips as f64 / phase.clips();
            let least = updates.len() + 1;
            while (updates.len() as f64) < end.round().max(least as f64) {
                let shape = phase.shapes[updates.len() % phase.shapes.len()];
                updates.push(Update { shape, rate: phase.rate, phase: place });
            }
        }
        let warmup = (WARMUP * updates.len() as f64).round();
        for (place, update) in updates.iter_mut().enumerate() {
            update.rate *= ((place + 1) as f64 / warmup).min(1.0);
        }
        updates
    }
}
