//! What is read off losses at several rates: the best rate of a length and a batch, and the law that such rates follow.

use engine::numeric::{Matrix, least_squares};

/// The bottom of losses over rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Valley {
    /// The best rate.
    pub rate: f64,
    /// The loss there.
    pub loss: f64,
}

/// The lowest point of the parabola in the logarithm of the rate through the best of points `[rate, loss]`, by ascending rate,
/// and its two neighbours: further away losses rise much faster on one side than on the other. Never outside these rates; the
/// best point where there is no such parabola. `None` of no finite loss.
pub fn valley(points: &[[f64; 2]]) -> Option<Valley> {
    let finite: Vec<[f64; 2]> = points.iter().copied().filter(|[_, loss]| loss.is_finite()).collect();
    let best = (0..finite.len()).min_by(|&a, &b| finite[a][1].total_cmp(&finite[b][1]))?;
    // At an end, the last three.
    let from = best.saturating_sub(1).min(finite.len().saturating_sub(3));
    let near = &finite[from..(from + 3).min(finite.len())];
    let measured = Valley { rate: finite[best][0], loss: finite[best][1] };
    // About the best rate, so that powers of the distance do not look alike.
    let x = |point: &[f64; 2]| libm::log(point[0] / measured.rate);
    let powers = Matrix::from_fn(near.len(), 3, |row, power| x(&near[row]).powi(power as i32));
    let losses: Vec<f64> = near.iter().map(|point| point[1]).collect();
    let Some([a, b, c]) = least_squares(&powers, &losses).and_then(|fit| <[f64; 3]>::try_from(fit).ok()) else {
        return Some(measured);
    };
    if c <= 0.0 {
        return Some(measured);
    }
    let bottom = (-b / (2.0 * c)).clamp(x(&near[0]), x(&near[near.len() - 1]));
    Some(Valley { rate: measured.rate * libm::exp(bottom), loss: a + b * bottom + c * bottom * bottom })
}

/// A best rate: tokens of the run, sequences of its batch, and the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    pub tokens: f64,
    pub batch: f64,
    pub rate: f64,
}

/// `rate = batch^share * gain * tokens^exponent`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    pub share: f64,
    pub gain: f64,
    pub exponent: f64,
}

impl Law {
    /// The law through best rates, by least squares of logarithms; with a share that is given, or free. `None` where they do
    /// not determine it.
    pub fn through(bests: &[Best], share: Option<f64>) -> Option<Self> {
        let fixed = share.unwrap_or(0.0);
        let columns = if share.is_some() { 2 } else { 3 };
        let logs = Matrix::from_fn(bests.len(), columns, |row, column| match column {
            0 => 1.0,
            1 => libm::log(bests[row].tokens),
            _ => libm::log(bests[row].batch),
        });
        let rates: Vec<f64> = bests.iter().map(|best| libm::log(best.rate) - fixed * libm::log(best.batch)).collect();
        let fit = least_squares(&logs, &rates)?;
        let share = fit.get(2).copied().unwrap_or(fixed);
        Some(Self { share, gain: libm::exp(fit[0]), exponent: fit[1] })
    }

    /// The rate of a batch after so many tokens.
    pub fn rate(&self, batch: f64, tokens: f64) -> f64 {
        libm::pow(batch, self.share) * self.gain * libm::pow(tokens, self.exponent)
    }
}
