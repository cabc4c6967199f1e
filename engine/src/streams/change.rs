//! Streams whose tasks show the same classes in other pictures.

use crate::rng::{Rng, Stream};

/// What happens to pictures from task to task; task 0 shows them as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Places of the pixels are exchanged, in a way of each task's own (permuted MNIST).
    Permuted,
    /// Turned by so many degrees more with each task, about the middle (rotated MNIST).
    Rotated(f64),
}

impl Change {
    /// A picture `[channels, height, width]` as task `task` shows it under a seed.
    #[must_use]
    pub fn shown(self, picture: &[u8], shape: [usize; 3], task: u32, seed: u64) -> Vec<u8> {
        match self {
            _ if task == 0 => picture.to_vec(),
            Self::Permuted => {
                let plane = shape[1] * shape[2];
                let places = permutation(plane, task, seed);
                picture.chunks(plane).flat_map(|plane| places.iter().map(|&place| plane[place])).collect()
            }
            Self::Rotated(degrees) => rotated(picture, shape, degrees * f64::from(task)),
        }
    }
}

/// The order of pixels in a task.
fn permutation(pixels: usize, task: u32, seed: u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..pixels).collect();
    // Sequence 0 orders classes.
    Rng::new(seed, Stream::Tasks, task).shuffle(&mut places);
    places
}

/// A picture turned counter-clockwise about its middle, bilinear between pixels; what comes in is black.
fn rotated(picture: &[u8], [_, height, width]: [usize; 3], degrees: f64) -> Vec<u8> {
    let (sine, cosine) = libm::sincos(degrees.to_radians());
    let middle = [(height - 1) as f64 / 2.0, (width - 1) as f64 / 2.0];
    let mut turned = Vec::with_capacity(picture.len());
    for plane in picture.chunks(height * width) {
        let pixel = |y: f64, x: f64| {
            let inside = y >= 0.0 && x >= 0.0 && y < height as f64 && x < width as f64;
            if inside { f64::from(plane[y as usize * width + x as usize]) } else { 0.0 }
        };
        for place in 0..height * width {
            let (down, right) = ((place / width) as f64 - middle[0], (place % width) as f64 - middle[1]);
            // Where the pixel comes from: turned back. Rows count downwards.
            let (y, x) = (middle[0] + cosine * down + sine * right, middle[1] - sine * down + cosine * right);
            // Multiples of a quarter turn meet pixels but for rounding.
            let (y, x) = (libm::rint(y * 1e9) / 1e9, libm::rint(x * 1e9) / 1e9);
            let (top, left) = (y.floor(), x.floor());
            let (dy, dx) = (y - top, x - left);
            let upper = (1.0 - dx) * pixel(top, left) + dx * pixel(top, left + 1.0);
            let lower = (1.0 - dx) * pixel(top + 1.0, left) + dx * pixel(top + 1.0, left + 1.0);
            turned.push(libm::rint((1.0 - dy) * upper + dy * lower) as u8);
        }
    }
    turned
}

/// A picture moved down and right; what comes in is black.
#[must_use]
pub fn shifted(picture: &[u8], [channels, height, width]: [usize; 3], [down, right]: [usize; 2]) -> Vec<u8> {
    let mut moved = vec![0; picture.len()];
    if right >= width {
        return moved;
    }
    for channel in 0..channels {
        for y in down..height {
            let line = |y: usize| (channel * height + y) * width;
            let from = line(y - down);
            moved[line(y) + right..line(y) + width].copy_from_slice(&picture[from..from + width - right]);
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const SHAPE: [usize; 3] = [1, 3, 3];

    #[test]
    fn pictures_move_down_and_right() {
        assert_eq!(shifted(&PICTURE, SHAPE, [1, 2]), [0, 0, 0, 0, 0, 1, 0, 0, 4]);
        assert_eq!(shifted(&PICTURE, SHAPE, [0, 0]), PICTURE);
        assert_eq!(shifted(&PICTURE, SHAPE, [7, 7]), [0; 9]);
    }

    #[test]
    fn a_quarter_turn_is_exact_and_four_are_none() {
        let turn = |task| Change::Rotated(90.0).shown(&PICTURE, SHAPE, task, 1);
        assert_eq!(turn(0), PICTURE);
        assert_eq!(turn(1), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        assert_eq!(turn(2), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(turn(4), PICTURE);
    }

    /// An eighth of a turn: the middle stays, corners come from outside, edges from between.
    #[test]
    fn what_lies_between_pixels_is_interpolated() {
        let shown = Change::Rotated(45.0).shown(&[0, 0, 0, 0, 200, 0, 0, 0, 0], SHAPE, 1, 1);
        let beside = 200.0 * (1.0 - 0.5_f64.sqrt()) * (1.0 - 0.5_f64.sqrt());
        assert_eq!(shown[4], 200);
        assert!((f64::from(shown[1]) - beside).abs() <= 0.5, "{shown:?}");
    }

    #[test]
    fn permuted_tasks_keep_the_pixels_and_differ() {
        let shown = |task, seed| Change::Permuted.shown(&PICTURE, SHAPE, task, seed);
        assert_eq!(shown(0, 5), PICTURE);
        assert_eq!(shown(1, 5), shown(1, 5));
        assert!(shown(1, 5) != shown(2, 5) && shown(1, 5) != shown(1, 6));
        let mut sorted = shown(3, 5);
        sorted.sort_unstable();
        assert_eq!(sorted, PICTURE);
        let two: Vec<u8> = Change::Permuted.shown(&[PICTURE, PICTURE].concat(), [2, 3, 3], 1, 5);
        assert_eq!(two[..9], two[9..], "channels stay together");
    }
}
