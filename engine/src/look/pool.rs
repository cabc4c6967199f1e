//! Sequence-pool weights over the image: where the classifier looks.

use std::collections::BTreeMap;

use super::picture;
use crate::executor::Executor;
use crate::figure::{Figure, Grid, Mark};
use crate::train::{Feed, Trainer, Value};

/// The figure's id.
pub const ID: &str = "pool";

/// The weights of one example as a heat map over it.
pub fn figure<E: Executor>(trainer: &Trainer<E>, row: u32, values: &BTreeMap<String, Value>) -> Option<Figure> {
    let weights = &values.get("pool")?.numbers;
    let Feed::Images { shape: [_, height, width], .. } = *trainer.feed() else { return None };
    let [rows, columns] = picture::grid(weights.len(), height, width)?;
    let mut tile = picture::image(trainer.data(), row as usize)?;
    let label = trainer.data().labels()?.get(row as usize)?;
    tile.caption = trainer.data().classes().get(*label as usize)?.clone();
    tile.heat = Some(Grid { width: columns, height: rows, values: weights.clone() });
    let largest = weights.iter().copied().fold(0.0, f32::max);
    Some(Figure {
        id: ID.to_owned(),
        title: "Sequence pooling".to_owned(),
        meaning: "weight of each token in the mean that is classified".to_owned(),
        value: format!("largest {:.2}, even would be {:.3}", largest, 1.0 / weights.len() as f32),
        alt: format!("Weights of {} tokens over one test image; the largest is {largest:.3}.", weights.len()),
        marks: vec![Mark::Tiles { tiles: vec![tile] }],
        ..Figure::default()
    })
}
