//! The losses of a range test, and what they say: where it diverges, which rates to use.

use serde::Serialize;

use super::{Range, Suggestion};
use crate::numeric::fit::line;

/// Share of the test's updates that the running mean of the loss reaches back over: few, for it lags as far behind.
const MEMORY: f64 = 0.05;
/// Share of the updates before which the mean is not judged (a lucky first batch would end the test), and over which a
/// slope is taken.
const WINDOW: u64 = 10;
/// Times its best that the smoothed loss must exceed to have diverged (Gugger 2018).
const DIVERGED: f64 = 4.0;

/// One update of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Its learning rate.
    pub rate: f64,
    /// Mean loss of its batch, before the update.
    pub loss: f64,
    /// Running mean of the loss, exponential and corrected for its start.
    pub smoothed: f64,
}

/// The updates so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Share of the running mean that is kept at each update.
    beta: f64,
    /// Points over which slopes are taken, and after which the mean is judged.
    window: usize,
    /// The first rate.
    low: f64,
    mean: f64,
    points: Vec<Point>,
    diverged: Option<f64>,
}

impl Record {
    /// None yet, of a test over `range`.
    #[must_use]
    pub fn new(range: &Range) -> Self {
        Self {
            beta: 1.0 - 1.0 / (MEMORY * range.updates as f64).max(1.0),
            window: (range.updates / WINDOW).max(3) as usize,
            low: range.low,
            mean: 0.0,
            points: Vec::new(),
            diverged: None,
        }
    }

    /// Takes an update in; `false` if the loss has diverged. `finite`: whether loss and gradient are.
    pub fn take(&mut self, rate: f64, loss: f64, finite: bool) -> bool {
        self.mean = self.beta * self.mean + (1.0 - self.beta) * loss;
        let count = self.points.len() + 1;
        let smoothed = self.mean / (1.0 - libm::pow(self.beta, count as f64));
        self.points.push(Point { rate, loss, smoothed });
        let best = self.lowest().map_or(f64::INFINITY, |place| self.points[place].smoothed);
        if !finite || smoothed > DIVERGED * best {
            self.diverged = Some(rate);
        }
        self.diverged.is_none()
    }

    /// All updates so far.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The rate at which the loss had diverged: the smoothed one above four times its best, or not finite. That is above the
    /// rate at which training stops being stable: swings must grow back first from what lower rates have damped them to. The
    /// slower the rates grow, the closer it is.
    #[must_use]
    pub fn diverged(&self) -> Option<f64> {
        self.diverged
    }

    /// Place of the lowest smoothed loss among those that are judged.
    fn lowest(&self) -> Option<usize> {
        let judged = self.points.iter().enumerate().skip(self.window - 1);
        judged
            .filter(|(_, point)| point.smoothed.is_finite())
            .min_by(|(_, a), (_, b)| a.smoothed.total_cmp(&b.smoothed))
            .map(|(place, _)| place)
    }

    /// Rates to use, none where the loss never fell: in the middle of the steepest descent up to the lowest smoothed loss
    /// (the line through a tenth of the losses over log rate), and a tenth of the rate of that lowest loss, if that was tried.
    #[must_use]
    pub fn suggestions(&self) -> Vec<Suggestion> {
        let Some(lowest) = self.lowest() else { return vec![] };
        let falling = &self.points[..=lowest];
        let slope = |points: &[Point]| {
            let points: Vec<[f64; 2]> = points.iter().map(|point| [libm::log(point.rate), point.loss]).collect();
            line(&points).slope
        };
        let slopes = falling.windows(self.window).map(slope).enumerate();
        let steepest = slopes.filter(|(_, slope)| *slope < 0.0).min_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((first, _)) = steepest else { return vec![] };
        let middle = &falling[first..][..self.window];
        let rate = libm::sqrt(middle[0].rate * middle[self.window - 1].rate);
        let tenth = falling[lowest].rate / 10.0;
        [("steepest descent", rate), ("minimum / 10", tenth)]
            .into_iter()
            .filter(|(_, rate)| *rate >= self.low)
            .map(|(rule, rate)| Suggestion { rule: rule.to_owned(), rate, band: [rate; 2] })
            .collect()
    }

    /// What several records of one test say together: of each rule the middle rate, and how far apart they are. A rule that
    /// fails in most of them suggests nothing.
    #[must_use]
    pub fn together(records: &[Self]) -> Vec<Suggestion> {
        let all: Vec<Suggestion> = records.iter().flat_map(Self::suggestions).collect();
        let mut found: Vec<Suggestion> = Vec::new();
        for Suggestion { rule, .. } in &all {
            if found.iter().any(|known| known.rule == *rule) {
                continue;
            }
            let mut rates: Vec<f64> = all.iter().filter(|one| one.rule == *rule).map(|one| one.rate).collect();
            crate::numeric::sort_by(&mut rates, &f64::total_cmp);
            if 2 * rates.len() > records.len() {
                let band = [rates[0], rates[rates.len() - 1]];
                found.push(Suggestion { rule: rule.clone(), rate: rates[rates.len() / 2], band });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses of a test over seven decades: a function of the logarithm to base 10 of the rate.
    fn record(updates: u64, loss: impl Fn(f64) -> f64) -> Record {
        let range = Range { updates, ..Range::default() };
        let mut record = Record::new(&range);
        for i in 0..updates {
            let (rate, loss) = (range.rate(i), loss(libm::log10(range.rate(i))));
            if !record.take(rate, loss, loss.is_finite()) {
                break;
            }
        }
        record
    }

    #[test]
    fn rates_grow_by_one_factor_from_low_to_high() {
        let range = Range::default();
        assert_eq!((range.rate(0), range.check()), (1e-6, Ok(())));
        assert!((range.rate(99) / 10.0 - 1.0).abs() < 1e-12);
        let factor = range.rate(1) / range.rate(0);
        for i in 0..99 {
            assert!((range.rate(i + 1) / range.rate(i) / factor - 1.0).abs() < 1e-12);
        }
        let nan = f64::NAN;
        for (low, high, updates) in [(0.0, 1.0, 100), (1.0, 1.0, 100), (nan, 1.0, 100), (0.1, nan, 100), (0.1, 1.0, 5)]
        {
            assert!(Range { low, high, updates, samples: 0 }.check().is_err(), "{low} to {high} in {updates}");
        }
    }

    /// Falls by a smooth step about 1e-3, is lowest at 1e-2 and rises as the square of the rate from there.
    fn valley(log: f64) -> f64 {
        let step = 2.0 - 1.5 / (1.0 + (-6.0 * (log + 3.0)).exp());
        step + (10.0f64.powf(log) / 0.05).powi(2)
    }

    #[test]
    fn rules_find_the_descent_and_the_valley() {
        for (updates, off) in [(100, 2.0), (1000, 2.0)] {
            let record = record(updates, valley);
            let [steepest, tenth] = &record.suggestions()[..] else { panic!("{:?}", record.suggestions()) };
            assert!((steepest.rate / 1e-3).ln().abs() < 0.3, "{updates}: {steepest:?}");
            assert!((tenth.rate / 1e-3).ln().abs() < f64::ln(off), "{updates}: {tenth:?}");
            // Four times the best is 2: reached where the square is 1.5, a little later in the running mean.
            let diverged = record.diverged().unwrap();
            assert!((1.0..2.5).contains(&(diverged / (0.05 * 1.5f64.sqrt()))), "{updates}: {diverged}");
        }
    }

    #[test]
    fn the_running_mean_is_corrected_for_its_start() {
        for point in record(100, |_| 2.0).points() {
            assert!((point.smoothed - 2.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_lucky_first_batch_ends_nothing() {
        let record = record(100, |log| if log < -5.95 { 0.01 } else { 1.0 });
        assert_eq!((record.points().len(), record.diverged()), (100, None));
    }

    #[test]
    fn what_is_not_finite_has_diverged_at_once() {
        for loss in [f64::NAN, f64::INFINITY] {
            let record = record(100, |log| if log > -3.0 { loss } else { 2.0 - 0.1 * log });
            let diverged = record.diverged().unwrap();
            assert!((1e-3..1.2e-3).contains(&diverged), "{diverged}");
            // The point that is not finite is in the record, and in no rule.
            assert!(record.suggestions().iter().all(|suggestion| suggestion.rate < 1e-3));
        }
        let mut record = Record::new(&Range::default());
        assert!(!record.take(0.1, 1.0, false), "a gradient that is not finite");
        assert_eq!(record.suggestions(), []);
    }

    #[test]
    fn no_rate_is_suggested_that_was_not_tried() {
        // Falls from the first to the second of three decades: a tenth of the lowest lies below all of them.
        let range = Range { low: 1e-6, high: 1e-3, ..Range::default() };
        let mut record = Record::new(&range);
        for i in 0..100 {
            let log = libm::log10(range.rate(i)) + 6.0;
            record.take(range.rate(i), 2.0 + (log - 0.5).abs(), true);
        }
        let found = record.suggestions();
        assert_eq!(found.iter().map(|found| found.rule.as_str()).collect::<Vec<_>>(), ["steepest descent"]);
        assert!((1e-6..1e-5).contains(&found[0].rate), "{found:?}");
    }

    #[test]
    fn restarts_tell_noise_from_the_loss() {
        let valley = |shift: f64| record(100, move |log| valley(log + shift));
        let agreed = Record::together(&[valley(0.0), valley(0.1), valley(-0.1)]);
        assert!(agreed.len() == 2 && agreed.iter().all(|found| !found.noisy()), "{agreed:?}");
        let apart = Record::together(&[valley(0.0), valley(1.0), valley(-1.0)]);
        for (found, middle) in apart.iter().zip(valley(0.0).suggestions()) {
            assert!(found.noisy() && found.rate == middle.rate, "{found:?}");
            assert!(found.band[0] < found.rate && found.rate < found.band[1]);
        }
        let never = record(100, |log| 10.0 + log);
        assert_eq!(Record::together(&[valley(0.0), never.clone(), never]), []);
    }

    #[test]
    fn a_loss_that_never_falls_suggests_nothing() {
        assert_eq!(record(100, |log| 10.0 + log).suggestions(), []);
    }
}
