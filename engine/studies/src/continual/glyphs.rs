//! Letters of many scripts as a data set of many classes: the few-shot lab's pictures, each example under a warp of its own.

use engine::continual::{ContinualSpec, StreamKind};
use engine::data::{Data, Images, Info, Values};
use engine::fewshot::Source;
use engine::rng::{Rng, Stream, own_seed};

use crate::fewshot::files;
use crate::fewshot::pictures::{Part, Pictures};

/// Letters: of those that no shipped encoder has learned from, evenly over the scripts.
const LETTERS: usize = 100;
/// Training and test examples of a letter.
const EACH: [usize; 2] = [60, 20];
/// How strongly they are warped, as the few-shot lab does.
const WARP: f64 = 1.0;

/// The file that a session's letters are read from, below the folder of packs; none where it has none.
#[must_use]
pub fn file(spec: &ContinualSpec) -> Option<&'static str> {
    files(Source::Glyphs).first().copied().filter(|_| spec.stream == StreamKind::SplitGlyphs)
}

/// Letters drawn by a seed, of the file.
///
/// # Errors
/// The file is damaged or not what it should be, as a sentence.
pub fn data(file: &[u8], seed: u64) -> Result<Data, String> {
    let pictures = Pictures::read(Source::Glyphs, &[file])?;
    let known = pictures.classes(Part::Novel);
    let letters: Vec<u32> = (0..LETTERS).filter_map(|at| known.get(at * known.len() / LETTERS).copied()).collect();
    let mut rng = Rng::new(own_seed(seed, "letters"), Stream::Augment, 0);
    let pixels = pictures.drawn(&letters, EACH, WARP, &mut rng);
    let labels = |each: usize| (0..letters.len() as u32).flat_map(move |letter| std::iter::repeat_n(letter, each));
    let [train, test] = EACH.map(|each| each * letters.len());
    Ok(Data {
        info: Info {
            title: format!("Letters, {} classes", letters.len()),
            split: format!(
                "{} training and {} test examples of each letter, each under a warp of its own",
                EACH[0], EACH[1]
            ),
            available: train,
            ..pictures.info.clone()
        },
        values: Values::Images(Images {
            shape: pictures.shape,
            pixels,
            labels: labels(EACH[0]).chain(labels(EACH[1])).collect(),
            classes: letters.iter().map(|&letter| pictures.names[letter as usize].clone()).collect(),
            attributes: Vec::new(),
        }),
        train: 0..train,
        test: train..train + test,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::data::read_pack_file;

    #[test]
    fn letters_are_drawn_by_the_seed_and_no_example_is_there_twice() {
        let file = read_pack_file(files(Source::Glyphs)[0]).unwrap();
        let data = |seed| super::data(&file, seed).unwrap();
        let drawn = data(3);
        assert_eq!(drawn, data(3));
        let (Values::Images(images), Values::Images(others)) = (&drawn.values, &data(4).values) else {
            panic!("pictures")
        };
        assert_eq!((images.classes.len(), images.labels.len()), (100, 8000));
        assert_eq!((drawn.train.clone(), drawn.test.clone()), (0..6000, 6000..8000));
        assert_ne!(images.pixels, others.pixels);
        let distinct: std::collections::BTreeSet<&[u8]> = images.pixels.chunks(28 * 28).collect();
        assert_eq!(distinct.len(), 8000);
        for (rows, each) in [(0..6000, 60), (6000..8000, 20)] {
            let mut counts = [0; 100];
            images.labels[rows].iter().for_each(|&label| counts[label as usize] += 1);
            assert_eq!(counts, [each; 100]);
        }
        let scripts: std::collections::BTreeSet<&str> =
            images.classes.iter().filter_map(|name| name.rsplit_once(' ').map(|(_, script)| script)).collect();
        assert!(scripts.len() > 10, "{scripts:?}");
    }
}
