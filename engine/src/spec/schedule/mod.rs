//! The learning rate as a function of the step: one evaluator for the lane drawn ahead of a run and for the run itself.
//!
//! A shape runs on a clock of its own: it starts at step `origin` and fills `span` steps, and again and again where it
//! repeats. One shape after another needs no more than that: an edit changes the shape, another sets its origin.

mod auto;
mod clock;
mod companions;
mod cycles;
mod decay;
mod drawn;
mod falls;
mod handles;
mod phases;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::tree::FromTree;

use super::choices;
pub use auto::Auto;
use clock::Clock;
pub use clock::Moment;
pub use companions::{Momentum, Scaling};
pub use decay::Decay;
pub use drawn::{Between, DEFAULT_POINTS, read_points};
pub use handles::{Grip, Handle, Turns};

choices! {
    /// The shape of the schedule after its warm-up.
    pub enum Shape {
        /// The peak throughout.
        Constant = "constant", "constant";
        /// Half a cosine from the peak to the floor at the last step.
        Cosine = "cosine", "cosine";
        /// Warm-up, stable, decay: the peak, then a decay over the last steps (Hu et al. 2024, arXiv 2404.06395).
        Wsd = "wsd", "WSD";
        /// Straight from the peak to the floor at the last step.
        Linear = "linear", "linear";
        /// The same factor every step, from the peak to the floor at the last step.
        Exponential = "exponential", "exponential";
        /// A power of the share of steps that are left, from the peak to the floor at the last step.
        Polynomial = "polynomial", "polynomial";
        /// The peak over the root of the steps, counted in warm-ups (Vaswani et al. 2017, section 5.3).
        InverseSqrt = "inverse_sqrt", "inverse square root";
        /// A factor every so many steps.
        Step = "step", "step";
        /// Cosines that start again at the peak, each so many times as long as the one before (SGDR: Loshchilov, Hutter
        /// 2017, arXiv 1608.03983).
        Restarts = "restarts", "cosine with restarts";
        /// Up from a low start to the peak, then down to the floor (Smith, Topin 2018, arXiv 1708.07120).
        OneCycle = "one_cycle", "one-cycle";
        /// A power law in the tokens seen, in proportion to the batch and at most the peak, then a decay (Shen et al.
        /// 2024, arXiv 2408.13359). Where examples are no texts, each is a token.
        Power = "power", "Power";
        /// Warm-up, cool-down to a plateau that has no end planned, exponential anneal (Singh et al. 2025, arXiv
        /// 2503.02844).
        Infinite = "infinite", "infinite";
        /// The peak, which drops whenever the held-out loss has not improved for a while (`train/plateau.rs`).
        OnPlateau = "on_plateau", "reduce on plateau";
        /// Through points drawn by hand.
        Drawn = "drawn", "hand-drawn";
    }
}

/// The learning rate's schedule. Steps count from 0, the first update.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
#[serde(default)]
pub struct ScheduleSpec {
    /// Shape after the warm-up.
    pub kind: Shape,
    /// Highest learning rate.
    pub peak: f64,
    /// Steps of linear warm-up: step s < warmup runs at (s + 1) / warmup of what the shape begins with. One-cycle: steps
    /// of its rise.
    pub warmup: u64,
    /// One-cycle: learning rate at its first step, as a fraction of the peak.
    pub start: f64,
    /// WSD, Power and infinite: steps of the decay, which ends with the run.
    pub decay: u64,
    /// WSD and Power: form of the decay. One-cycle: form of its rise and its fall.
    pub form: Decay,
    /// Learning rate at the end of a decay, as a fraction of the peak; of the rate at the start of the decay for Power.
    /// Reduce on plateau: the lowest.
    pub floor: f64,
    /// Step: steps between drops. Restarts: steps of the first cosine. Reduce on plateau: steps between measurements.
    pub period: u64,
    /// Step: what the learning rate is multiplied by at a drop.
    pub factor: f64,
    /// Reduce on plateau: what the learning rate is multiplied by at a drop.
    pub cut: f64,
    /// Reduce on plateau: measurements in a row that may bring no better loss before it drops.
    pub patience: u64,
    /// Reduce on plateau: by what share of the best loss a loss must be lower to be better.
    pub threshold: f64,
    /// Reduce on plateau: measurements after a drop that count for nothing.
    pub rest: u64,
    /// Restarts: how many times as long each cosine is as the one before.
    pub multiplier: u64,
    /// Polynomial: the power.
    pub power: f64,
    /// Power: a of batch x a x tokens^b.
    pub gain: f64,
    /// Power: b of batch x a x tokens^b.
    pub exponent: f64,
    /// Infinite: steps from the peak to the plateau.
    pub cooldown: u64,
    /// Infinite: form of the fall to the plateau.
    pub cooling: Decay,
    /// Infinite: learning rate of the plateau, as a fraction of the peak.
    pub plateau: f64,
    /// Hand-drawn: `step:lr` pairs with commas, by ascending step.
    pub points: String,
    /// Hand-drawn: what lies between two points.
    pub between: Between,
    /// Step at which the shape's clock starts; before it the rate is that of its first step.
    pub origin: u64,
    /// Steps that the shape fills; 0 = to the end of the run.
    pub span: u64,
    /// Whether it starts again whenever its span is over. The infinite schedule warms up and cools down once only.
    pub repeat: bool,
    /// What a change of the batch size does to the learning rate.
    pub scaling: Scaling,
    /// How momentum moves with the learning rate.
    pub momentum: Momentum,
    /// Where it moves: the lowest momentum; the optimizer's own is the highest.
    pub low: f64,
    /// What sets the height of the learning rate.
    pub auto: Auto,
    /// From the curvature: updates between two measurements.
    pub interval: u64,
    /// From the curvature: added to each eigenvalue.
    pub damping: f64,
    /// From the curvature: random vectors of a measurement.
    pub vectors: usize,
    /// From the curvature: products with each vector, Lanczos steps.
    pub products: usize,
}

impl Default for ScheduleSpec {
    fn default() -> Self {
        Self {
            kind: Shape::Cosine,
            peak: 2e-3,
            warmup: 20,
            start: 0.04,
            decay: 100,
            form: Decay::Linear,
            floor: 0.0,
            period: 100,
            factor: 0.5,
            cut: 0.1,
            patience: 10,
            threshold: 1e-4,
            rest: 0,
            multiplier: 1,
            power: 2.0,
            gain: 0.002,
            exponent: -0.51,
            cooldown: 100,
            cooling: Decay::Cosine,
            plateau: 0.375,
            points: DEFAULT_POINTS.into(),
            between: Between::Linear,
            origin: 0,
            span: 0,
            repeat: false,
            scaling: Scaling::None,
            momentum: Momentum::Constant,
            low: 0.85,
            auto: Auto::Off,
            interval: 50,
            damping: 0.3,
            vectors: 1,
            products: 20,
        }
    }
}

impl ScheduleSpec {
    /// The learning rate of an update: finite and at least 0.
    #[must_use]
    pub fn lr_at(&self, at: &Moment) -> f64 {
        let clock = Clock::of(self, at);
        let warmup = self.warmup_of(&clock);
        if clock.step < warmup {
            // A warm-up leads to what the shape begins with, whatever that is.
            return self.shape(&clock.moved(warmup)) * ((clock.step + 1) as f64 / warmup as f64);
        }
        self.shape(&clock)
    }

    /// The update at which the shape in force at a moment last started.
    #[must_use]
    pub fn started(&self, at: &Moment) -> u64 {
        Clock::of(self, at).start
    }

    /// Steps of the linear warm-up in this cycle of the clock.
    fn warmup_of(&self, clock: &Clock) -> u64 {
        match self.kind {
            Shape::OneCycle => 0,
            Shape::Infinite if clock.cycle > 0 => 0,
            _ => self.warmup,
        }
    }

    /// The curve without its warm-up.
    fn shape(&self, clock: &Clock) -> f64 {
        match self.kind {
            Shape::Power => phases::power(self, clock),
            Shape::Drawn => drawn::lr(self, clock),
            kind => {
                self.peak
                    * match kind {
                        Shape::Wsd => phases::wsd(self, clock),
                        Shape::Infinite => phases::infinite(self, clock),
                        Shape::Restarts => cycles::restarts(self, clock),
                        Shape::OneCycle => cycles::one_cycle(self, clock),
                        _ => falls::fall(self, clock),
                    }
            }
        }
    }

    /// WSD, Power and infinite: the step of the shape's clock at which the decay starts in a span of `length` steps,
    /// never before the phases ahead of it are over.
    #[must_use]
    pub fn decay_start(&self, length: u64) -> u64 {
        length.saturating_sub(self.decay).max(self.earliest_decay())
    }

    /// The step of the shape's clock at which the phases ahead of a decay are over.
    fn earliest_decay(&self) -> u64 {
        match self.kind {
            Shape::Infinite => self.warmup.saturating_add(self.cooldown),
            _ => self.warmup,
        }
    }
}
