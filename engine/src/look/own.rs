//! What the network makes of a picture of the person's own.

use crate::data::canvas::{Lie, from_canvas};
use crate::data::{Data, Split, Values};
use crate::executor::Executor;
use crate::fewshot::Raw;
use crate::figure::{Axis, BarSeries, Figure, Mark, Role};
use crate::numeric::argmax;
use crate::train::{Feed, TrainError, Trainer};

/// The figure's id.
pub const ID: &str = "own_picture";

/// Training pictures by which a drawing is brought to their size and place.
const MEASURED: usize = 300;

/// A picture as the network sees those of its data set: pixels of `[channels, height, width]`.
///
/// # Errors
/// There is nothing to classify, or the picture is none.
pub fn seen(data: &Data, raw: &Raw, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let Values::Images(images) = &data.values else { return Err("This data set has no pictures".into()) };
    let size = images.shape.iter().product::<usize>();
    let rows = data.examples(Split::Train, 1).take(MEASURED);
    let pictures = rows.filter_map(|row| images.pixels.get(row * size..(row + 1) * size));
    let lie = if images.shape[0] == 1 { Lie::of(pictures, images.shape) } else { Lie::of_letters(images.shape) };
    from_canvas(raw, bytes, images.shape, lie)
}

/// How likely each class is for a picture that [`seen`] has made; nothing where the run does not classify pictures.
pub async fn figure<E: Executor>(trainer: &mut Trainer<E>, pixels: &[u8]) -> Result<Option<Figure>, TrainError> {
    let Feed::Images { shape, classes, restored: false, .. } = *trainer.feed() else { return Ok(None) };
    if pixels.len() != shape.iter().product::<usize>() {
        return Ok(None);
    }
    let inputs: Vec<u32> = pixels.iter().map(|&pixel| f32::from(pixel).to_bits()).collect();
    let logits = trainer.respond(&inputs, 1).await?;
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().take(classes).map(|logit| libm::expf(logit - most)).collect();
    let all: f32 = weights.iter().sum();
    let shares: Vec<f32> = weights.iter().map(|weight| 100.0 * weight / all).collect();
    let names = trainer.data().classes().to_vec();
    let answer = argmax(&shares).unwrap_or(0);
    let value = names.get(answer).map_or_else(String::new, |name| format!("{name} ({:.0}%)", shares[answer]));
    Ok(Some(Figure {
        id: ID.to_owned(),
        title: "Your picture".to_owned(),
        meaning: "how likely the network finds each class".to_owned(),
        alt: format!("The network takes your picture for {value}."),
        value,
        x: Axis { categories: names, ..Axis::default() },
        y: Axis { label: "%".to_owned(), range: Some([0.0, 100.0]), ..Axis::default() },
        marks: vec![Mark::Bars {
            series: vec![BarSeries { name: String::new(), role: Role::Train, values: shares }],
            stacked: false,
        }],
        ..Figure::default()
    }))
}
