//! The pictures of one seed: base classes to learn from, new ones that come five at a time, and all of them to be tested on.

use engine::fewshot::FewshotSpec;
use engine::numeric::cosine;
use engine::rng::{Rng, Stream, own_seed};

use super::network::{PAIRS, TURNS};
use crate::StudyError;
use crate::fewshot::pictures::{Examples, Part, Pictures};
use crate::fewshot::warp::Warp;

/// Base classes, and all of them.
pub const BASE: usize = 40;
pub const CLASSES: usize = BASE + SESSIONS * WAYS;
/// Sessions after the base, and the new classes of each.
pub const SESSIONS: usize = 8;
pub const WAYS: usize = 5;
/// Examples of a class to be tested on, and to learn from.
pub const TESTED: usize = 15;
pub const TRAINED: usize = 15;
const EXAMPLES: usize = TESTED + TRAINED;
/// Strength of the warp from a picture to a view of it.
const VIEW: f64 = 0.5;
/// Largest cosine of a base class's letter with another or itself, one of them turned.
const ALIKE: f64 = 0.6;

/// The pictures of an update.
#[derive(Debug, Clone, PartialEq)]
pub struct Views {
    /// Which of the training pictures, counted class by class.
    pub pictures: Vec<usize>,
    /// Quarter turns of each.
    pub turns: Vec<usize>,
    /// One view of each and then the other, bytes.
    pub pixels: Vec<u8>,
}

/// Classes, the base classes first, with the same number of examples each.
#[derive(Debug)]
pub struct Ground {
    /// Bytes of a picture.
    pub size: usize,
    side: usize,
    /// `[CLASSES * EXAMPLES, size]`.
    pixels: Vec<u8>,
    /// By update.
    pub updates: Vec<Views>,
}

impl Ground {
    /// Of the lab's letters, with so many passes over the training pictures.
    pub fn new(pictures: &Pictures, spec: &FewshotSpec, passes: usize) -> Result<Self, StudyError> {
        let side = pictures.shape[2];
        let mut pixels = Vec::new();
        for (part, count) in [(Part::Base, BASE), (Part::Novel, CLASSES - BASE)] {
            let mut classes = pictures.classes(part).to_vec();
            Rng::new(spec.seed, Stream::Tasks, 30 + part as u32).shuffle(&mut classes);
            let classes = if part == Part::Base { upright(pictures, &classes, count) } else { classes };
            if classes.len() < count {
                return Err(StudyError::Other("there are too few letters".into()));
            }
            let examples = Examples::of(pictures, part, spec);
            for class in &classes[..count] {
                pixels.extend(examples.pixels(pictures, &examples.of_class(*class)[..EXAMPLES]));
            }
        }
        let mut ground = Self { size: pictures.size(), side, pixels, updates: Vec::new() };
        ground.updates = (0..passes).flat_map(|pass| ground.pass(pictures.shape, spec.seed, pass)).collect();
        Ok(ground)
    }

    /// The updates of one pass over the training pictures.
    fn pass(&self, shape: [usize; 3], seed: u64, pass: usize) -> Vec<Views> {
        let mut rng = Rng::new(own_seed(seed, "views"), Stream::Augment, pass as u32);
        let mut order: Vec<usize> = (0..BASE * TRAINED).collect();
        rng.shuffle(&mut order);
        let views = |pictures: &[usize]| {
            let mut pixels = Vec::with_capacity(2 * PAIRS * self.size);
            for &picture in pictures.iter().chain(pictures) {
                let row = Self::row(picture / TRAINED, picture % TRAINED);
                Warp::draw(VIEW, &mut rng).apply(self.picture(row), shape, &mut pixels);
            }
            let turns = pictures.iter().map(|_| 1 + rng.below(TURNS as u32 - 1) as usize).collect();
            Views { pictures: pictures.to_vec(), turns, pixels }
        };
        order.chunks_exact(PAIRS).map(views).collect()
    }

    /// Row of a class's example among those to learn from.
    pub fn row(class: usize, example: usize) -> usize {
        class * EXAMPLES + TESTED + example
    }

    /// Class of a row.
    pub fn class(row: usize) -> usize {
        row / EXAMPLES
    }

    /// Rows to be tested on, of so many classes.
    pub fn tests(classes: usize) -> Vec<usize> {
        (0..classes).flat_map(|class| class * EXAMPLES..class * EXAMPLES + TESTED).collect()
    }

    fn picture(&self, row: usize) -> &[u8] {
        &self.pixels[row * self.size..(row + 1) * self.size]
    }

    /// Bytes of some rows.
    pub fn pixels(&self, rows: &[usize]) -> Vec<u8> {
        rows.iter().flat_map(|&row| self.picture(row)).copied().collect()
    }

    /// The pictures of an update, those of the tricks that turn the first views behind them.
    pub fn batch(&self, views: &Views, turned: bool) -> Vec<u8> {
        let mut pixels = views.pixels.clone();
        for (picture, &turns) in views.pixels.chunks(self.size).zip(&views.turns).filter(|_| turned) {
            pixels.extend(turn(picture, self.side, turns));
        }
        pixels
    }
}

/// The first of these classes whose letters look neither like themselves nor like one another when turned: there the label of
/// a turned picture would say what nobody can see.
fn upright(pictures: &Pictures, classes: &[u32], count: usize) -> Vec<u32> {
    let mut chosen: Vec<(u32, Vec<u8>)> = Vec::new();
    for &class in classes {
        if chosen.len() == count {
            break;
        }
        let mut letter = Vec::new();
        pictures.warped(class, 0, 0.0, &mut Rng::new(0, Stream::Augment, 0), &mut letter);
        let alike =
            |other: &[u8]| (1..TURNS).any(|turns| cosine(&turn(&letter, pictures.shape[2], turns), other) > ALIKE);
        if !alike(&letter) && !chosen.iter().any(|(_, other)| alike(other)) {
            chosen.push((class, letter));
        }
    }
    chosen.into_iter().map(|(class, _)| class).collect()
}

/// A square picture of one channel after so many quarter turns to the left.
pub fn turn(picture: &[u8], side: usize, turns: usize) -> Vec<u8> {
    let mut turned = picture.to_vec();
    for _ in 0..turns {
        let before = turned.clone();
        let places = (0..side * side).map(|at| before[(at % side) * side + side - 1 - at / side]);
        turned = places.collect();
    }
    turned
}
