//! Figures that most studies need, from their results.

use crate::figure::{Axis, Figure, Mark, SeedDot};

use super::{Label, Results, Sample, brief};

/// An axis with a quantity and its unit.
pub(super) fn axis(label: &str, unit: &str) -> Axis {
    Axis { label: label.into(), unit: unit.into(), ..Axis::default() }
}

/// An axis with a place for each arm.
pub(super) fn arm_axis(arms: &[Label]) -> Axis {
    Axis { categories: arms.iter().map(|label| label.name.clone()).collect(), ..Axis::default() }
}

/// A line for each arm that has the curve: its mean over the seeds, in a band from the lowest to the highest.
pub(super) fn curves(results: &Results, arms: &[Label], curve: &str) -> Vec<Mark> {
    let line = |label: &Label| {
        let (points, band) = results.mean_curve(&label.id, curve);
        let band = if results.seeds.len() > 1 { band } else { vec![] };
        (!points.is_empty()).then(|| Mark::Line {
            name: label.name.clone(),
            role: label.role,
            dash: label.dash,
            points,
            band,
        })
    };
    arms.iter().filter_map(line).collect()
}

/// A table under these heads; nothing before it has rows.
pub(super) fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Vec<Mark> {
    let columns = columns.iter().map(|&head| head.to_owned()).collect();
    if rows.is_empty() { vec![] } else { vec![Mark::Table { columns, rows }] }
}

/// A number of each arm as a dot for each seed, with the arm's mean.
pub(super) fn seed_dots(results: &Results, arms: &[Label], number: &str) -> Vec<Mark> {
    let of_arm = |(arm, label): (usize, &Label)| {
        let sample = results.sample(&label.id, number);
        let dots: Vec<SeedDot> = sample.0.iter().map(|&(seed, value)| SeedDot { arm, seed, value }).collect();
        (!dots.is_empty()).then_some(Mark::SeedDots { role: label.role, dots })
    };
    arms.iter().enumerate().filter_map(of_arm).collect()
}

/// `A 81.0 ± 2.9, B 83.9 ± 0.2`: a number of the arms in words.
pub(super) fn in_words(results: &Results, arms: &[Label], number: &str, unit: &str) -> String {
    let of_arm = |label: &Label| {
        let sample: Sample = results.sample(&label.id, number);
        match sample.len() {
            0 => None,
            1 => Some(format!("{} {}{unit}", label.name, brief(sample.mean()))),
            _ => Some(format!("{} {sample}{unit}", label.name)),
        }
    };
    arms.iter().filter_map(of_arm).collect::<Vec<_>>().join(", ")
}

/// Gives a figure its text alternative: what it shows, and the values in words; `empty` until there are any.
pub(super) fn with_alt(figure: Figure, values: &str, empty: &str) -> Figure {
    let alt = if values.is_empty() { figure.title.clone() } else { format!("{}: {values}.", figure.title) };
    Figure { alt, empty: empty.into(), ..figure }
}
