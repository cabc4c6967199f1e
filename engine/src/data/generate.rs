//! Data sets drawn from a formula and a seed.

use std::f32::consts::TAU;

use super::{Data, DataError, Info, Scaling, Table, Target, Values};
use crate::rng::{Rng, Stream};
use crate::spec::{DataSpec, GENERATED};

/// Test examples unless the spec says otherwise.
const TEST: usize = 1000;
/// Most numbers in a generated set.
const MAX_NUMBERS: usize = 20_000_000;
/// Sequences of [`Stream::Generate`].
const MEANS: u32 = 0;
const TRAIN_POINTS: u32 = 1;
const TEST_POINTS: u32 = 2;

/// Points on interleaved Archimedean spirals, one class an arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Spirals {
    /// Number of arms.
    pub arms: usize,
    /// Standard deviation of a point about its arm; the arms end at radius 2.
    pub noise: f32,
    /// Training points.
    pub train: usize,
    /// Test points.
    pub test: usize,
}

/// Points of an isotropic Gaussian mixture with equal weights, one class a component.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Number of components.
    pub components: usize,
    /// Dimensions of the space.
    pub dims: usize,
    /// Standard deviation of a component; the means lie on the unit sphere.
    pub spread: f32,
    /// Training points.
    pub train: usize,
    /// Test points.
    pub test: usize,
}

impl Spirals {
    /// Turns that an arm makes from the centre to its end.
    const TURNS: f32 = 1.5;
    const RADIUS: f32 = 2.0;

    /// As a spec says.
    #[must_use]
    pub fn of(spec: &DataSpec) -> Self {
        let (train, test) = sizes(spec);
        Self { arms: spec.arms, noise: spec.noise as f32, train, test }
    }
}

impl Mixture {
    /// As a spec says.
    #[must_use]
    pub fn of(spec: &DataSpec) -> Self {
        let (train, test) = sizes(spec);
        Self { components: spec.classes, dims: spec.dims, spread: spec.noise as f32, train, test }
    }
}

fn sizes(spec: &DataSpec) -> (usize, usize) {
    let or = |count, default| if count == 0 { default } else { count };
    (or(spec.train, GENERATED), or(spec.test, TEST))
}

/// Draws spirals. Points are spread evenly over the disc; arms take turns, so that classes are equal.
///
/// # Errors
/// If there is no arm, or too many points are asked for.
pub fn spirals(spirals: &Spirals, seed: u64) -> Result<Data, DataError> {
    let Spirals { arms, noise, train, test } = *spirals;
    let draw = |rng: &mut Rng, arm: usize, point: &mut Vec<f32>| {
        let radius = Spirals::RADIUS * libm::sqrtf(rng.uniform());
        let angle = TAU * (arm as f32 / arms as f32 + Spirals::TURNS * radius / Spirals::RADIUS);
        point.push(radius * libm::cosf(angle) + noise * rng.normal());
        point.push(radius * libm::sinf(angle) + noise * rng.normal());
    };
    table("Spirals", "arm", ["x".into(), "y".into()].to_vec(), arms, [train, test], seed, draw)
}

/// Draws a Gaussian mixture. Components take turns, so that classes are equal.
///
/// # Errors
/// If there is no component or dimension, or too many points are asked for.
pub fn mixture(mixture: &Mixture, seed: u64) -> Result<Data, DataError> {
    let Mixture { components, dims, spread, train, test } = *mixture;
    if components.saturating_mul(dims) > MAX_NUMBERS {
        return Err(DataError::new("Gaussian mixture", format!("at most {MAX_NUMBERS} numbers")));
    }
    let mut rng = Rng::new(seed, Stream::Generate, MEANS);
    let mut means = Vec::with_capacity(components * dims);
    for _ in 0..components {
        let direction: Vec<f32> = (0..dims).map(|_| rng.normal()).collect();
        let norm = libm::sqrtf(direction.iter().map(|x| x * x).sum()).max(f32::MIN_POSITIVE);
        means.extend(direction.iter().map(|x| x / norm));
    }
    let draw = |rng: &mut Rng, component: usize, point: &mut Vec<f32>| {
        let mean = &means[component * dims..(component + 1) * dims];
        point.extend(mean.iter().map(|m| m + spread * rng.normal()));
    };
    let columns = (1..=dims).map(|i| format!("x{i}")).collect();
    table("Gaussian mixture", "component", columns, components, [train, test], seed, draw)
}

fn table(
    title: &str,
    class: &str,
    columns: Vec<String>,
    classes: usize,
    [train, test]: [usize; 2],
    seed: u64,
    draw: impl Fn(&mut Rng, usize, &mut Vec<f32>),
) -> Result<Data, DataError> {
    if classes == 0 || columns.is_empty() {
        return Err(DataError::new(title, format!("needs at least one {class} and one dimension")));
    }
    let rows = train.saturating_add(test);
    if rows.saturating_mul(columns.len()) > MAX_NUMBERS {
        return Err(DataError::new(title, format!("at most {MAX_NUMBERS} numbers, not {rows} x {}", columns.len())));
    }
    let mut values = Vec::with_capacity(rows * columns.len());
    let mut labels = Vec::with_capacity(rows);
    for (count, sequence) in [(train, TRAIN_POINTS), (test, TEST_POINTS)] {
        let mut rng = Rng::new(seed, Stream::Generate, sequence);
        for i in 0..count {
            draw(&mut rng, i % classes, &mut values);
            labels.push((i % classes) as u32);
        }
    }
    Ok(Data {
        info: Info {
            title: title.into(),
            split: "training and test points are drawn independently".into(),
            available: train,
            ..Info::default()
        },
        values: Values::Table(Table {
            scaling: vec![Scaling::IDENTITY; columns.len()],
            columns,
            values,
            target: Target::Classes { labels, names: (1..=classes).map(|i| format!("{class} {i}")).collect() },
        }),
        train: 0..train,
        test: train..rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(data: &Data) -> (&[f32], &[u32]) {
        let Values::Table(table) = &data.values else { panic!("not a table") };
        (&table.values, data.labels().unwrap())
    }

    #[test]
    fn spirals_lie_on_their_arms() {
        let data = spirals(&Spirals { arms: 3, noise: 0.0, train: 300, test: 60 }, 1).unwrap();
        assert_eq!((data.train.clone(), data.test.clone()), (0..300, 300..360));
        let (values, labels) = points(&data);
        for (point, &arm) in values.chunks(2).zip(labels) {
            let radius = point[0].hypot(point[1]);
            assert!(radius <= 2.0 + 1e-5);
            let angle = TAU * (arm as f32 / 3.0 + 1.5 * radius / 2.0);
            assert!((radius * angle.cos() - point[0]).abs() < 1e-4);
            assert!((radius * angle.sin() - point[1]).abs() < 1e-4);
        }
        assert_eq!(labels.iter().filter(|&&l| l == 2).count(), 120);
    }

    #[test]
    fn a_seed_fixes_the_points_and_their_number_does_not_matter() {
        let draw = |train, seed| spirals(&Spirals { arms: 2, noise: 0.1, train, test: 10 }, seed).unwrap();
        assert_eq!(draw(50, 7), draw(50, 7));
        assert_ne!(draw(50, 7), draw(50, 8));
        assert_eq!(points(&draw(50, 7)).0[..100], points(&draw(80, 7)).0[..100]);
    }

    #[test]
    fn mixture_has_its_means_and_spread() {
        let data = mixture(&Mixture { components: 4, dims: 3, spread: 0.2, train: 8000, test: 0 }, 3).unwrap();
        let (values, labels) = points(&data);
        for component in 0..4 {
            let mine: Vec<&[f32]> =
                values.chunks(3).zip(labels).filter(|&(_, &l)| l == component).map(|(p, _)| p).collect();
            let mean: Vec<f32> = (0..3).map(|d| mine.iter().map(|p| p[d]).sum::<f32>() / mine.len() as f32).collect();
            let norm = mean.iter().map(|m| m * m).sum::<f32>().sqrt();
            assert!((norm - 1.0).abs() < 0.02, "norm {norm}");
            let square = |p: &[f32]| p.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum::<f32>();
            let spread = (mine.iter().map(|p| square(p)).sum::<f32>() / (3.0 * mine.len() as f32)).sqrt();
            assert!((spread - 0.2).abs() < 0.01, "spread {spread}");
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(spirals(&Spirals { arms: 0, noise: 0.1, train: 10, test: 0 }, 1).is_err());
        assert!(spirals(&Spirals { arms: 2, noise: 0.1, train: usize::MAX, test: 1 }, 1).is_err());
        assert!(mixture(&Mixture { components: 2, dims: 0, spread: 0.1, train: 10, test: 0 }, 1).is_err());
        assert!(mixture(&Mixture { components: 1 << 40, dims: 1 << 40, spread: 0.1, train: 1, test: 0 }, 1).is_err());
    }
}
