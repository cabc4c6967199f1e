//! Decision regions of a model of two features, with the training points.

use crate::data::{Rows, Split};
use crate::executor::Executor;
use crate::figure::{Axis, Figure, Grid, Mark, Role, Scale};
use crate::train::{Feed, TrainError, Trainer};

/// The figure's id.
pub const ID: &str = "regions";

/// Cells along each side.
const SIDE: usize = 40;
/// Points drawn at most.
const MOST_POINTS: usize = 500;

/// The probability of the likeliest class over the plane is shown as the class plus its certainty.
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
    let reach = points.iter().flatten().fold(1.0_f64, |reach, value| reach.max(value.abs())) * 1.1;
    let coordinate = |cell: usize| ((cell as f64 + 0.5) / SIDE as f64 * 2.0 - 1.0) * reach;
    // Rows of a heat map run downwards, the y axis upwards.
    let inputs: Vec<u32> = (0..SIDE * SIDE)
        .flat_map(|cell| [coordinate(cell % SIDE), -coordinate(cell / SIDE)])
        .map(|value| (value as f32).to_bits())
        .collect();
    let logits = trainer.respond(&inputs, SIDE * SIDE).await?;
    let winners = logits
        .chunks_exact(classes)
        .map(|row| (0..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best }) as f32)
        .collect();
    Ok(Some(Figure {
        id: ID.to_owned(),
        title: "Decision regions".to_owned(),
        meaning: "the class that the model gives to each place of the plane".to_owned(),
        value: format!("{classes} classes"),
        alt: format!("Decision regions of {classes} classes over the plane with {} training points.", points.len()),
        x: Axis { label: "feature 1 (standardised)".to_owned(), range: Some([-reach, reach]), ..Axis::default() },
        y: Axis { label: "feature 2".to_owned(), range: Some([-reach, reach]), ..Axis::default() },
        marks: vec![
            Mark::HeatMap {
                grid: Grid { width: SIDE, height: SIDE, values: winners },
                scale: Scale::Linear,
                range: Some([0.0, (classes.max(2) - 1) as f64]),
                rows: vec![],
                columns: vec![],
            },
            Mark::Scatter {
                name: "training points".to_owned(),
                role: Role::Train,
                points,
                classes: train.take(MOST_POINTS).map(|row| labels[row]).collect(),
            },
        ],
        ..Figure::default()
    }))
}
