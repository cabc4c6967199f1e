//! The first layer's convolution kernels, or the first linear layer's weights of an image, as pictures.

use super::picture;
use crate::executor::Executor;
use crate::figure::{Figure, Mark, Tile};
use crate::graph::numel;
use crate::train::{Feed, TrainError, Trainer};

/// The figure's id.
pub const ID: &str = "filters";

/// Filters shown at most.
const MOST: usize = 64;

/// The filters, brightest and darkest where they weigh most.
pub async fn figure<E: Executor>(trainer: &mut Trainer<E>) -> Result<Option<Figure>, TrainError> {
    let Feed::Images { shape: [channels, height, width], .. } = *trainer.feed() else { return Ok(None) };
    let size = channels * height * width;
    let first = trainer.layout().entries().iter().find(|entry| match *entry.shape.as_slice() {
        [_, inputs, _, _] => inputs == 1 || inputs == 3,
        [inputs, _] => inputs == size,
        _ => false,
    });
    let Some((shape, offset, name)) = first.map(|entry| (entry.shape.clone(), entry.offset, entry.name.clone())) else {
        return Ok(None);
    };
    let theta = trainer.theta().await?;
    let weights = &theta[offset..offset + numel(&shape)];
    let tiles: Vec<Tile> = match *shape.as_slice() {
        [_, inputs, rows, columns] => weights
            .chunks_exact(inputs * rows * columns)
            .take(MOST)
            .map(|kernel| picture::signed(kernel, inputs, rows, columns))
            .collect(),
        [inputs, outputs] => (0..outputs.min(MOST))
            .map(|output| {
                let column: Vec<f32> = (0..inputs).map(|input| weights[input * outputs + output]).collect();
                picture::signed(&column, channels, height, width)
            })
            .collect(),
        _ => vec![],
    };
    Ok(Some(Figure {
        id: ID.to_owned(),
        title: "Filters".to_owned(),
        meaning: "what the first layer looks for: white adds, black subtracts, grey ignores".to_owned(),
        value: format!("{} of {name}", tiles.len()),
        alt: format!("{} filters of {name} as pictures.", tiles.len()),
        marks: vec![Mark::Tiles { tiles }],
        ..Figure::default()
    }))
}
