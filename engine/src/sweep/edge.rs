//! The edge of stability of a sweep: the largest learning rate that still trains, as a function of the other axis.

use super::{BATCH, RATE, Results, Sweep};
use crate::numeric::fit::line;
use crate::spec::number;

/// Where training ends to be stable.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Whether the learning rate lies on the x axis.
    pub rate_is_x: bool,
    /// Whether the other axis is the batch size, for which theory has a line to compare with.
    pub by_batch: bool,
    /// One point a value of the other axis at which the edge lies within the grid, by ascending value.
    pub points: Vec<EdgePoint>,
    /// Least-squares slopes of log rate over log value in the lower and the upper half of the points; none where there are
    /// fewer than four.
    pub slopes: Option<[f64; 2]>,
}

/// The edge at one value of the other axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgePoint {
    /// The other axis's value.
    pub value: f64,
    /// Its place on the axis.
    pub place: usize,
    /// The largest learning rate below which every one trains.
    pub stable: f64,
    /// The smallest that does not.
    pub unstable: f64,
}

impl EdgePoint {
    /// The edge itself lies between a rate that trains and one that does not: at their geometric mean, as far as is known.
    #[must_use]
    pub fn rate(&self) -> f64 {
        libm::sqrt(self.stable * self.unstable)
    }
}

impl Edge {
    /// The edge as far as the results show it; `None` if the learning rate is not on an axis, or the other is no number.
    #[must_use]
    pub fn of(sweep: &Sweep, results: &Results) -> Option<Self> {
        let rate_is_x = sweep.x.path == RATE;
        let other = if rate_is_x { &sweep.y } else { &sweep.x };
        if !rate_is_x && sweep.y.path != RATE {
            return None;
        }
        let numbers = |texts: Vec<String>| texts.iter().map(|text| number(text)).collect::<Option<Vec<f64>>>();
        let (columns, rows) = (numbers(sweep.columns())?, numbers(sweep.rows())?);
        let width = columns.len();
        let (rates, values) = if rate_is_x { (columns, rows) } else { (rows, columns) };
        let ascending = |numbers: &[f64]| {
            let mut places: Vec<usize> = (0..numbers.len()).collect();
            crate::numeric::sort_by(&mut places, &|a, b| numbers[*a].total_cmp(&numbers[*b]));
            places
        };
        let order = ascending(&rates);
        let mut points = Vec::new();
        for place in ascending(&values) {
            let cell = |rate: usize| if rate_is_x { place * width + rate } else { rate * width + place };
            let diverged = |rate: usize| {
                let seeds = results.cell(sweep, cell(rate))?;
                Some(seeds.iter().any(|outcome| outcome.diverged.is_some()))
            };
            // Up to the first that diverges; one that is not known yet leaves the edge open.
            let first = order.iter().position(|rate| diverged(*rate) != Some(false));
            if let Some(first) = first.filter(|first| *first > 0 && diverged(order[*first]) == Some(true)) {
                let [stable, unstable] = [first - 1, first].map(|rank| rates[order[rank]]);
                points.push(EdgePoint { value: values[place], place, stable, unstable });
            }
        }
        let half = points.len().div_ceil(2);
        let slopes = (points.len() >= 4)
            .then(|| Some([slope(&points[..half])?, slope(&points[points.len() - half..])?]))
            .flatten();
        Some(Self { rate_is_x, by_batch: other.path == BATCH, points, slopes })
    }

    /// The line through the edge's first point along which the rate grows as that power of the value.
    #[must_use]
    pub fn guide(&self, power: f64, value: f64) -> Option<f64> {
        let first = self.points.first().filter(|first| first.value > 0.0 && value > 0.0)?;
        Some(first.rate() * libm::pow(value / first.value, power))
    }
}

/// Least-squares slope in logarithms; `None` where a value is not positive or all are equal.
fn slope(points: &[EdgePoint]) -> Option<f64> {
    let logs: Vec<[f64; 2]> = points.iter().map(|point| [libm::log(point.value), libm::log(point.rate())]).collect();
    let slope = line(&logs).slope;
    slope.is_finite().then_some(slope)
}
