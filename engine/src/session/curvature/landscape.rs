//! The loss along a line or over a plane through the parameters, drawn from coarse to fine.
//!
//! A random direction is scaled filter by filter to the norm of the weights (Li et al. 2018, arXiv 1712.09913, section
//! 4), so that slices of different networks compare; an eigenvector is scaled so that the edge of the picture lies where
//! the parabola of its curvature would double the loss.

use crate::figure::brief;
use crate::figure::{Axis, Dash, Figure, Grid, Mark, Role, Scale};
use crate::graph::numel;
use crate::model::ParamLayout;
use crate::probe::{gaussian, norm};

/// Points along a line, an odd number so that one is the present state.
const LINE: usize = 41;
/// Points along each side of a plane.
const PLANE: usize = 21;

/// A direction in parameter space and what it is, scaled so that its tip is the edge of the picture.
#[derive(Clone, Debug)]
pub struct Direction {
    /// What it is, in words.
    pub name: String,
    /// From the present parameters to the edge.
    pub tip: Vec<f32>,
}

impl Direction {
    /// A random direction, each filter as long as that of the parameters; biases and norms stay.
    pub fn random(layout: &ParamLayout, theta: &[f32], seed: u64, index: u32) -> Self {
        let mut tip = gaussian(seed, index, theta.len());
        for entry in layout.entries() {
            let size = numel(&entry.shape);
            // One row a filter; a vector of biases or scales is none.
            let row = if entry.shape.len() > 1 { size / entry.shape[0].max(1) } else { size };
            let place = entry.offset..entry.offset + size;
            for (part, weights) in tip[place.clone()].chunks_mut(row.max(1)).zip(theta[place].chunks(row.max(1))) {
                let scale = if entry.shape.len() > 1 { norm(weights) / norm(part).max(f64::MIN_POSITIVE) } else { 0.0 };
                part.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
            }
        }
        Self { name: "random, by filter".into(), tip }
    }

    /// An eigenvector of unit length with its eigenvalue, at a state of that loss.
    pub fn eigenvector(name: &str, vector: &[f32], value: f64, loss: f64) -> Self {
        let reach = (2.0 * loss.max(1e-6) / value.abs().max(1e-12)).sqrt();
        Self { name: name.to_owned(), tip: vector.iter().map(|&x| (f64::from(x) * reach) as f32).collect() }
    }
}

/// A slice of the loss as it grows.
#[derive(Clone, Debug)]
pub struct Slice {
    step: u64,
    samples: usize,
    theta: Vec<f32>,
    directions: Vec<Direction>,
    /// Losses by place, NaN where none has been computed yet.
    losses: Vec<f32>,
    /// Places still to come, the next one last.
    waiting: Vec<usize>,
}

impl Slice {
    /// A line (one direction) or a plane (two) through `theta`.
    pub fn new(step: u64, samples: usize, theta: Vec<f32>, directions: Vec<Direction>) -> Self {
        let side = if directions.len() == 1 { LINE } else { PLANE };
        let count = side.pow(directions.len() as u32);
        let mut waiting: Vec<usize> = (0..count).collect();
        // Coarse to fine: places on the coarsest grid first. Sorting is stable, so rows stay in order.
        let across = |place: usize| if directions.len() == 1 { side / 2 } else { place / side };
        crate::numeric::sort_by_key(&mut waiting, &|&place| {
            coarseness(place % side, side).min(coarseness(across(place), side))
        });
        Self { step, samples, theta, directions, losses: vec![f32::NAN; count], waiting }
    }

    fn side(&self) -> usize {
        if self.directions.len() == 1 { LINE } else { PLANE }
    }

    /// Offset of a place along each direction, -1 to 1.
    fn offsets(&self, place: usize) -> [f64; 2] {
        let side = self.side();
        [place % side, place / side].map(|i| 2.0 * i as f64 / (side - 1) as f64 - 1.0)
    }

    /// The parameters at which the loss is wanted next; none when the slice is complete.
    pub fn next(&self) -> Option<Vec<f32>> {
        let offsets = self.offsets(*self.waiting.last()?);
        let mut theta = self.theta.clone();
        for (direction, offset) in self.directions.iter().zip(offsets) {
            for (x, d) in theta.iter_mut().zip(&direction.tip) {
                *x += (offset * f64::from(*d)) as f32;
            }
        }
        Some(theta)
    }

    /// Whether the slice is complete.
    pub fn done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the loss that was wanted.
    pub fn take(&mut self, loss: f64) {
        if let Some(place) = self.waiting.pop() {
            self.losses[place] = loss as f32;
        }
    }

    /// The slice so far.
    #[must_use]
    pub fn figure(&self) -> Figure {
        let side = self.side();
        let done = self.losses.len() - self.waiting.len();
        let value = if self.done() {
            format!("step {} · {} samples", self.step, self.samples)
        } else {
            format!("step {} · {done} of {}", self.step, self.losses.len())
        };
        let names: Vec<&str> = self.directions.iter().map(|direction| direction.name.as_str()).collect();
        let here = self.losses[self.losses.len() / 2];
        let lowest = self.losses.iter().copied().filter(|loss| loss.is_finite()).fold(f32::INFINITY, f32::min);
        let (lowest, here) = (brief(f64::from(lowest)), brief(f64::from(here)));
        if self.directions.len() == 1 {
            let points = (0..side).map(|i| [self.offsets(i)[0], f64::from(self.losses[i])]);
            let points = points.filter(|[_, loss]| loss.is_finite()).collect();
            return Figure {
                id: "line".into(),
                title: "Loss along a line".into(),
                meaning: "the present state is at 0; at ±1 a parabola would have doubled the loss".into(),
                alt: format!("Loss along {}: {here} at the present state, {lowest} at the lowest point.", names[0]),
                value,
                x: Axis { label: format!("along {}", names[0]), ..Axis::default() },
                y: Axis { label: "loss".into(), unit: "nats".into(), ..Axis::default() },
                marks: vec![Mark::line("loss", Role::Train, Dash::Solid, points)],
                ..Figure::default()
            };
        }
        let ticks: Vec<String> = (0..side).map(|i| brief(self.offsets(i)[0])).collect();
        // Rows of a grid go from the top, where the second offset is largest.
        let values = self.losses.chunks(side).rev().flatten().copied().collect();
        Figure {
            id: "plane".into(),
            title: "Loss over a plane".into(),
            meaning: "the present state is in the middle".into(),
            alt: format!("Loss over a plane: {here} at the present state, {lowest} at the lowest point."),
            value,
            x: Axis { label: format!("along {}", names[0]), ..Axis::default() },
            y: Axis { label: format!("along {}", names[1]), ..Axis::default() },
            marks: vec![Mark::HeatMap {
                grid: Grid { width: side, height: side, values },
                scale: Scale::Log,
                range: None,
                rows: ticks.iter().rev().cloned().collect(),
                columns: ticks,
            }],
            ..Figure::default()
        }
    }
}

/// The largest power of two that divides a place's distance from the middle: how coarse a grid it belongs to.
fn coarseness(i: usize, side: usize) -> u32 {
    i.abs_diff(side / 2).trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Init;

    fn direction(tip: &[f32]) -> Direction {
        Direction { name: "x".into(), tip: tip.to_vec() }
    }

    fn fill(slice: &mut Slice, loss: impl Fn(&[f32]) -> f64) {
        while let Some(theta) = slice.next() {
            slice.take(loss(&theta));
        }
    }

    #[test]
    fn a_line_starts_at_the_present_state_and_covers_all_of_it() {
        let mut slice = Slice::new(3, 8, vec![1.0, 2.0], vec![direction(&[2.0, 0.0])]);
        assert_eq!(slice.next(), Some(vec![1.0, 2.0]));
        fill(&mut slice, |theta| f64::from(theta[0] * theta[0]));
        let Mark::Line { points, .. } = &slice.figure().marks[0] else { panic!() };
        assert_eq!(points.len(), LINE);
        for [offset, loss] in points {
            assert!((loss - (1.0 + 2.0 * offset).powi(2)).abs() < 1e-5);
        }
    }

    #[test]
    fn a_plane_has_its_second_direction_upwards() {
        let mut slice = Slice::new(0, 8, vec![0.0, 0.0], vec![direction(&[1.0, 0.0]), direction(&[0.0, 1.0])]);
        fill(&mut slice, |theta| f64::from(2.0 + theta[1]));
        let Mark::HeatMap { grid, .. } = &slice.figure().marks[0] else { panic!() };
        assert_eq!((grid.values[0], grid.values[PLANE * PLANE - 1]), (3.0, 1.0));
    }

    #[test]
    fn random_directions_are_as_long_as_the_weights_filter_by_filter() {
        let mut layout = ParamLayout::default();
        layout.push("weight", &[2, 3], Init::Constant(0.0));
        layout.push("bias", &[2], Init::Constant(0.0));
        let theta = [1.0, 2.0, 2.0, 0.0, 3.0, 4.0, 9.0, 9.0];
        let tip = Direction::random(&layout, &theta, 1, 0).tip;
        for (part, length) in [(&tip[..3], 3.0), (&tip[3..6], 5.0), (&tip[6..], 0.0)] {
            assert!((norm(part) - length).abs() < 1e-5);
        }
    }
}
