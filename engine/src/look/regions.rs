//! Decision regions of a model of two features, with the training points.

use crate::data::{Rows, Split};
use crate::executor::Executor;
use crate::figure::{Axis, Figure, Grid, Mark, Role};
use crate::train::{Feed, TrainError, Trainer};

/// The figure's id.
pub const ID: &str = "regions";

/// Cells along each side.
const SIDE: usize = 40;
/// Points drawn at most.
const MOST_POINTS: usize = 500;

/// The likeliest class at each place of the plane.
pub async fn figure<E: Executor>(trainer: &mut Trainer<E>) -> Result<Option<Figure>, TrainError> {
    let Feed::Table { features: 2, classes, .. } = *trainer.feed() else { return Ok(None) };
    let data = trainer.data().clone();
    let (Rows::F32(values), Some(labels)) = (data.rows(), data.labels()) else { return Ok(None) };
    let train = data.examples(Split::Train, 1);
    let points: Vec<[f64; 2]> = train
        .clone()
        .take(MOST_POINTS)
        .map(|row| [f64::from(values[row * 2]), f64::from(values[row * 2 + 1])])
        .collect();
    // The frame stays where it is when a point moves.
    let own = trainer.original().clone();
    let Rows::F32(places) = own.rows() else { return Ok(None) };
    let reach = places[2 * train.start..]
        .iter()
        .take(2 * points.len())
        .map(|value| f64::from(*value))
        .fold(1.0_f64, |reach: f64, value| reach.max(value.abs()))
        * 1.1;
    let mut grid = Grid { width: SIDE, height: SIDE, values: vec![] };
    let plane = |label: &str| Axis { label: label.to_owned(), range: Some([-reach, reach]), ..Axis::default() };
    let mut figure = Figure {
        id: ID.to_owned(),
        title: "Decision regions".to_owned(),
        meaning: "the class that the model gives to each place of the plane".to_owned(),
        value: format!("{classes} classes"),
        alt: format!("Decision regions of {classes} classes over the plane with {} training points.", points.len()),
        x: plane("feature 1 (standardised)"),
        y: plane("feature 2 (standardised)"),
        classes: data.classes().to_vec(),
        ..Figure::default()
    };
    let inputs: Vec<u32> =
        (0..SIDE * SIDE).flat_map(|cell| figure.place(&grid, cell)).map(|value| (value as f32).to_bits()).collect();
    let logits = trainer.respond(&inputs, SIDE * SIDE).await?;
    grid.values = logits
        .chunks_exact(classes)
        .map(|row| (0..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best }) as f32)
        .collect();
    figure.marks = vec![
        Mark::Regions { grid },
        Mark::Scatter {
            name: String::new(),
            role: Role::Train,
            points,
            classes: train.take(MOST_POINTS).map(|row| labels[row]).collect(),
        },
    ];
    Ok(Some(figure))
}
