//! The test images with the largest losses.

use super::picture;
use crate::executor::Executor;
use crate::figure::{Figure, Mark, Tile};
use crate::train::{Evaluation, Trainer};

/// The figure's id.
pub const ID: &str = "hardest";

/// Images shown.
const MOST: usize = 12;

/// What the model gets most wrong, hardest first.
pub fn figure<E: Executor>(trainer: &Trainer<E>, evaluation: &Evaluation) -> Option<Figure> {
    let data = trainer.data();
    let labels = data.labels()?;
    let mut order: Vec<usize> = (0..evaluation.losses.len()).collect();
    crate::numeric::sort_by(&mut order, &|&a, &b| {
        evaluation.losses[b].total_cmp(&evaluation.losses[a]).then(a.cmp(&b))
    });
    let tiles: Vec<Tile> = order
        .iter()
        .take(MOST)
        .filter_map(|&place| {
            let row = *evaluation.rows.get(place)? as usize;
            let truth = *labels.get(row)?;
            let guess = *evaluation.predicted.get(place)?;
            let name = |class: u32| data.classes().get(class as usize).cloned().unwrap_or_default();
            Some(Tile {
                caption: if truth == guess { name(truth) } else { format!("{} ≠ {}", name(guess), name(truth)) },
                highlight: truth != guess,
                ..picture::image(data, row)?
            })
        })
        .collect();
    if tiles.is_empty() {
        return None;
    }
    let wrong = order.iter().filter(|&&place| {
        let label = evaluation.rows.get(place).and_then(|&row| labels.get(row as usize));
        label.is_some() && label != evaluation.predicted.get(place)
    });
    let wrong = wrong.count();
    Some(Figure {
        id: ID.to_owned(),
        title: "Hardest samples".to_owned(),
        meaning: "test images with the largest loss: guess ≠ truth".to_owned(),
        value: format!("{wrong} of {} wrong", evaluation.losses.len()),
        alt: format!("The {} test images with the largest loss; {wrong} images are classified wrongly.", tiles.len()),
        marks: vec![Mark::Tiles { tiles }],
        ..Figure::default()
    })
}
