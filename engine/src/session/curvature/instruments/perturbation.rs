//! Sharpness by perturbation: how much the loss rises when all weights are moved at random.
//!
//! Source: Jiang, Neyshabur, Mobahi, Krishnan, Bengio, "Fantastic generalization measures and where to find them", ICLR 2020
//! (arXiv 1912.02178), section 4.3; filter by filter in proportion to the weights, as in Li et al. 2018 (arXiv 1712.09913). Each
//! move `u` is tried in both directions, so that the slope drops out: on a parabola `(L(+u) + L(-u)) / 2 - L` is `u . H u / 2`.

use super::super::figures::Gauge;
use super::super::landscape::Direction;
use super::super::{mean, reading::Reading};
use super::{Gauged, Tools};
use crate::executor::AnyExecutor;
use crate::figure::Figure;
use crate::probe::Point;
use crate::train::{TrainError, Trainer};

/// Random moves.
pub(super) const MOVES: usize = 8;
/// Length of a move over that of the weights, filter by filter.
const REACH: f32 = 0.1;
/// Parts of the noise scale's examples that the loss is taken over.
const PARTS: usize = 4;

/// What the moves so far yield.
#[derive(Default)]
pub(super) struct Perturbation {
    here: Option<f64>,
    rises: Vec<f64>,
    samples: usize,
}

impl Perturbation {
    pub async fn measure(
        &mut self,
        number: usize,
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
    ) -> Result<(), TrainError> {
        let (step, theta) = &tools.before;
        let draw = (*step as u32).wrapping_mul(MOVES as u32).wrapping_add(number as u32);
        let tip = Direction::random(trainer.layout(), theta, !trainer.spec().seed, draw).tip;
        let rows = &tools.noise_rows[..tools.noise_rows.len().min(PARTS * tools.rows.len())];
        self.samples = rows.len();
        let executor = trainer.executor_mut();
        let mut losses = [0.0; 2];
        for (loss, sign) in losses.iter_mut().zip([REACH, -REACH]) {
            let moved: Vec<f32> = theta.iter().zip(&tip).map(|(theta, tip)| theta + sign * tip).collect();
            tools.landscape.go(executor, Point::Given(&moved)).await?;
            *loss = mean(&tools.landscape.losses(executor, rows).await?);
        }
        let here = match self.here {
            Some(here) => here,
            None => {
                tools.landscape.go(executor, Point::Given(theta)).await?;
                *self.here.insert(mean(&tools.landscape.losses(executor, rows).await?))
            }
        };
        self.rises.push((losses[0] + losses[1]) / 2.0 - here);
        Ok(())
    }

    pub fn told(&self) -> Option<Gauged> {
        Some(Gauged::mean(&self.rises, self.samples))
    }
}

pub(super) fn figure(readings: &[&Reading]) -> Figure {
    Gauge {
        id: "perturbation",
        title: "Loss under random weights",
        meaning: "how much the loss rises when every filter moves by a tenth of its length, mean of 8 moves there and back; \
                  higher: a sharper place",
        label: "rise of the loss",
        limits: vec![],
        shown: Some([0.0, 0.0]),
    }
    .over_steps(readings, |told| told.perturbation)
}
