//! Clips of digits that drift over a canvas, drawn at any number of frames, side and stride.

use std::ops::Range;

use engine::data::{Data, Values};
use engine::rng::{Rng, Stream, own_seed};

use super::schedule::{FRAMES, SIDE};
use crate::StudyError;

/// Directions of motion.
const DIRECTIONS: u32 = 8;
/// Direction by parity of the digit.
pub const CLASSES: usize = 2 * DIRECTIONS as usize;
/// Pixels of the canvas that a digit moves from frame to frame.
const SPEED: [f64; 2] = [0.5, 1.5];
/// Side of a digit.
const DIGIT: usize = 14;

/// A digit and its way.
#[derive(Clone, Debug)]
struct Clip {
    row: usize,
    /// Column and row of its corner in the first frame.
    start: [f64; 2],
    velocity: [f64; 2],
    class: u32,
}

/// Clips to learn from, then those to be tested on.
#[derive(Clone, Debug)]
pub struct Clips {
    pixels: Vec<u8>,
    clips: Vec<Clip>,
    pub train: usize,
}

/// What is seen of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    pub frames: usize,
    pub side: usize,
    /// The first frame, and from one to the next.
    pub first: usize,
    pub stride: usize,
}

impl Sight {
    /// All there is.
    pub const WHOLE: Self = Self { frames: FRAMES, side: SIDE, first: 0, stride: 1 };

    /// So many frames at a stride that the draw at a place decides, up to one that spans the whole clip, from anywhere.
    pub fn drawn(frames: usize, side: usize, rng: &mut Rng) -> Self {
        let stride = 1 + rng.below((FRAMES / frames).max(1) as u32) as usize;
        let free = FRAMES - ((frames - 1) * stride + 1).min(FRAMES);
        Self { frames, side, first: rng.below(free as u32 + 1) as usize, stride }
    }
}

impl Clips {
    /// So many clips to learn from and to be tested on, of the first so many digits. Each image of them in turn has another
    /// way each time.
    pub fn of(data: &Data, seed: u64, digits: u32, [train, tested]: [usize; 2]) -> Result<Self, StudyError> {
        let (Values::Images(images), Some(labels)) = (&data.values, data.labels()) else {
            return Err(StudyError::Other("the study needs images of digits".into()));
        };
        let mut rng = Rng::new(own_seed(seed, "clips"), Stream::Sample, 0);
        let clip = |row: usize| {
            let direction = rng.below(DIRECTIONS);
            let angle = f64::from(direction) * std::f64::consts::TAU / f64::from(DIRECTIONS);
            let speed = SPEED[0] + (SPEED[1] - SPEED[0]) * f64::from(rng.uniform());
            Clip {
                row,
                start: [0, 1].map(|_| SIDE as f64 * f64::from(rng.uniform())),
                velocity: [speed * libm::cos(angle), speed * libm::sin(angle)],
                class: 2 * direction + labels[row] % 2,
            }
        };
        let of = |rows: Range<usize>, count| {
            rows.filter(|&row| labels[row] < digits).collect::<Vec<_>>().into_iter().cycle().take(count)
        };
        let rows = of(data.train.clone(), train).chain(of(data.test.clone(), tested));
        Ok(Self { clips: rows.map(clip).collect(), pixels: images.pixels.to_vec(), train })
    }

    /// How many there are in all.
    pub fn len(&self) -> usize {
        self.clips.len()
    }

    /// Direction and parity.
    pub fn class(&self, clip: usize) -> u32 {
        self.clips[clip].class
    }

    /// Appends the frames of a clip, each pixel the mean of the canvas that it covers, 0 to 1.
    pub fn draw(&self, clip: usize, sight: Sight, out: &mut Vec<f32>) {
        let Clip { row, start, velocity, .. } = &self.clips[clip];
        let digit = &self.pixels[row * DIGIT * DIGIT..][..DIGIT * DIGIT];
        for frame in 0..sight.frames {
            let time = (sight.first + frame * sight.stride) as f64;
            let at = [0, 1].map(|axis| covered(start[axis] + velocity[axis] * time, sight.side));
            let first = out.len();
            out.resize(first + sight.side * sight.side, 0.0);
            let picture = &mut out[first..];
            for (pixels, down) in digit.chunks(DIGIT).zip(&at[1]) {
                let mut line = vec![0.0; sight.side];
                for (&pixel, across) in pixels.iter().zip(&at[0]).filter(|(pixel, _)| **pixel > 0) {
                    across.iter().for_each(|&(place, share)| line[place] += share * f32::from(pixel) / 255.0);
                }
                for &(place, share) in down {
                    let row = &mut picture[place * sight.side..][..sight.side];
                    row.iter_mut().zip(&line).for_each(|(sum, value)| *sum += share * value);
                }
            }
        }
    }
}

/// Of each row (or column) of a digit whose corner is at a place of the canvas, which runs on where it ends: the rows of a
/// picture that it touches, and which share of them it covers.
fn covered(corner: f64, side: usize) -> Vec<Vec<(usize, f32)>> {
    let each = SIDE as f64 / side as f64;
    let of_pixel = |place: usize| {
        let from = (corner + place as f64).rem_euclid(SIDE as f64) / each;
        let to = from + 1.0 / each;
        let (first, last) = (from.floor() as usize, to.ceil() as usize);
        let overlap = |row: usize| (to.min((row + 1) as f64) - from.max(row as f64)) as f32;
        (first..last).map(|row| (row % side, overlap(row))).filter(|(_, share)| *share > 0.0).collect()
    };
    (0..DIGIT).map(of_pixel).collect()
}
