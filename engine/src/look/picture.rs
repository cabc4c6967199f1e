//! Pictures from numbers.

use crate::data::{Data, Values};
use crate::figure::Tile;

/// The image in a table row, or `None` where rows are no images.
pub fn image(data: &Data, row: usize) -> Option<Tile> {
    let Values::Images(images) = &data.values else { return None };
    let [channels, height, width] = images.shape;
    let size = channels * height * width;
    let planes = images.pixels.get(row * size..(row + 1) * size)?;
    Some(Tile { width, height, channels, pixels: interleave(planes, channels), ..Tile::default() })
}

/// Channel after channel to pixel after pixel, as tiles hold them.
fn interleave(planes: &[u8], channels: usize) -> Vec<u8> {
    let plane = planes.len() / channels.max(1);
    (0..planes.len()).map(|place| planes[(place % channels) * plane + place / channels]).collect()
}

/// Numbers as grey or RGB, scaled so that the largest magnitude is black or white and zero is mid-grey.
pub fn signed(values: &[f32], channels: usize, height: usize, width: usize) -> Tile {
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())).max(f32::MIN_POSITIVE);
    let planes: Vec<u8> = values.iter().map(|value| (127.5 + 127.5 * value / largest).round() as u8).collect();
    Tile { width, height, channels, pixels: interleave(&planes, channels), ..Tile::default() }
}

/// Side lengths of the grid that `tokens` tokens form on an image of the given height and width; `None` if they form
/// none of the same proportions.
pub fn grid(tokens: usize, height: usize, width: usize) -> Option<[usize; 2]> {
    (1..=tokens)
        .find(|rows| tokens.is_multiple_of(*rows) && rows * width == (tokens / rows) * height)
        .map(|rows| [rows, tokens / rows])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_form_the_grid_of_the_image() {
        assert_eq!(grid(49, 28, 28), Some([7, 7]));
        assert_eq!(grid(8, 2, 4), Some([2, 4]));
        assert_eq!(grid(17, 28, 28), None);
    }

    #[test]
    fn planes_interleave() {
        assert_eq!(interleave(&[1, 2, 10, 20, 100, 200], 3), [1, 10, 100, 2, 20, 200]);
    }
}
