//! Pictures of many classes, divided by class into those that an encoder learns from, those on which it is watched, and those
//! of the tasks.

use engine::data::{Attribute, Data, Images, Info, Values, pack};
use engine::fewshot::{FewshotSpec, Source, Style};
use engine::rng::{Rng, Stream};

use super::warp::Warp;

/// Examples of a class where pictures are warped: each is a picture of the class under a warp of its own.
pub const EXAMPLES: u32 = 40;
/// Emoji classes to learn from and to watch; the others are for tasks.
const EMOJI: [usize; 2] = [700, 109];
/// Most pictures of a class of digits and clothes.
const MOST: usize = 200;

/// Which classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Those that an encoder learns from.
    Base,
    /// Those on which it is watched.
    Validation,
    /// Those of the tasks.
    Novel,
}

/// A source's pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// Where they come from.
    pub info: Info,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// `[N, channels, height, width]`.
    pixels: Vec<u8>,
    /// Style of each picture, by place in [`Style::ALL`]; 0 = it has none.
    styles: Vec<usize>,
    /// Names of the classes.
    pub names: Vec<String>,
    /// Rows of each class.
    rows: Vec<Vec<usize>>,
    /// Base classes, validation classes, novel classes.
    parts: [Vec<u32>; 3],
}

/// Files, below the folder of packs, that a source is read from.
#[must_use]
pub fn files(source: Source) -> &'static [&'static str] {
    match source {
        // Own pictures are held against letters: how far apart unknown things are.
        Source::Glyphs | Source::Own => &["glyphs.bin"],
        Source::Kanji => &["kanji.bin"],
        Source::Clipart => &["clipart.bin"],
        Source::Emoji => &["emoji.bin"],
        Source::Digits => &["mnist.bin", "fashion.bin", "digits.bin"],
    }
}

impl Pictures {
    /// Reads a source from its [`files`].
    ///
    /// # Errors
    /// A file is damaged or not what it should be, as a sentence.
    pub fn read(source: Source, packs: &[impl AsRef<[u8]>]) -> Result<Self, String> {
        let read = packs.iter().map(|bytes| pack::read(bytes.as_ref()).map_err(|error| error.to_string()));
        let mut sets = read.collect::<Result<Vec<Data>, String>>()?.into_iter().map(images);
        let mut next = || sets.next().unwrap_or_else(|| Err("a pack is missing".into()));
        match source {
            Source::Glyphs | Source::Own => Self::glyphs(next()?),
            Source::Kanji | Source::Clipart => Self::parted(next()?),
            Source::Emoji => Self::emoji(next()?),
            Source::Digits => Self::digits([next()?, next()?, next()?]),
        }
    }

    fn of((info, images): (Info, Images)) -> Self {
        let mut rows = vec![Vec::new(); images.classes.len()];
        for (row, &label) in images.labels.iter().enumerate() {
            rows[label as usize].push(row);
        }
        Self {
            info,
            shape: images.shape,
            styles: vec![0; images.labels.len()],
            pixels: images.pixels,
            names: images.classes,
            rows,
            parts: Default::default(),
        }
    }

    /// Classes that the file divides.
    fn parted(set: (Info, Images)) -> Result<Self, String> {
        let part = attribute(&set.1, "part").ok_or("the classes are not divided")?;
        let mut pictures = Self::of(set);
        for (class, rows) in pictures.rows.iter().enumerate() {
            let Some(&row) = rows.first() else { continue };
            pictures.parts[(part.values[row] as usize).min(2)].push(class as u32);
        }
        Ok(pictures)
    }

    fn glyphs(set: (Info, Images)) -> Result<Self, String> {
        let script = attribute(&set.1, "script").ok_or("the letters have no scripts")?;
        let mut pictures = Self::parted(set)?;
        for (name, rows) in pictures.names.iter_mut().zip(&pictures.rows) {
            let Some(&row) = rows.first() else { continue };
            *name = format!("{name} {}", script.names[script.values[row] as usize]);
        }
        Ok(pictures)
    }

    fn emoji(set: (Info, Images)) -> Result<Self, String> {
        let style = attribute(&set.1, "style").ok_or("the emoji have no styles")?;
        let place = |name: &String| Style::ALL.iter().position(|style| style.id() == name).unwrap_or(0);
        let places: Vec<usize> = style.names.iter().map(place).collect();
        let mut pictures = Self::of(set);
        pictures.styles = style.values.iter().map(|&value| places[value as usize]).collect();
        let mut classes: Vec<u32> = (0..pictures.names.len() as u32).collect();
        Rng::new(0, Stream::Split, 0).shuffle(&mut classes);
        let watched = classes.split_off(EMOJI[0].min(classes.len()));
        let (watched, novel) = watched.split_at(EMOJI[1].min(watched.len()));
        pictures.parts = [classes, watched.to_vec(), novel.to_vec()];
        Ok(pictures)
    }

    /// Half of the digits and half of the clothes are novel; the small digits are learned from and watched.
    fn digits([mnist, fashion, digits]: [(Info, Images); 3]) -> Result<Self, String> {
        let shape = mnist.1.shape;
        let mut all =
            Self::of((mnist.0, Images { pixels: vec![], labels: vec![], classes: vec![], ..mnist.1.clone() }));
        all.styles.clear();
        all.info.title = "Digits and clothes, 30 classes".into();
        for (set, (name, images)) in
            [("MNIST", mnist.1), ("Fashion", fashion.1), ("8×8", digits.1)].into_iter().enumerate()
        {
            let size: usize = images.shape.iter().product();
            let first = all.names.len() as u32;
            for class in 0..images.classes.len() as u32 {
                let of_class = |row: &usize| images.labels[*row] == class;
                let rows = (0..images.labels.len()).filter(of_class).take(MOST);
                let mut places = Vec::new();
                for row in rows {
                    places.push(all.pixels.len() / shape.iter().product::<usize>());
                    let picture = &images.pixels[row * size..(row + 1) * size];
                    all.pixels.extend(super::resized(picture, images.shape, shape));
                    all.styles.push(0);
                }
                all.rows.push(places);
                all.names.push(format!("{name} {}", images.classes[class as usize]));
                let part = match (set, class < 5) {
                    (_, true) => 0,
                    (2, false) => 1,
                    _ => 2,
                };
                all.parts[part].push(first + class);
            }
        }
        Ok(all)
    }

    /// Classes of a part.
    #[must_use]
    pub fn classes(&self, part: Part) -> &[u32] {
        &self.parts[part as usize]
    }

    /// Bytes of a picture.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// A picture of a class under a warp.
    pub fn warped(&self, class: u32, example: u32, strength: f64, rng: &mut Rng, into: &mut Vec<u8>) {
        let picture = self.picture(class, example);
        Warp::draw(strength, rng).apply(picture, self.shape, into);
    }

    /// Warped pictures of some classes: so many of each, class by class, and after them so many of each again.
    #[must_use]
    pub fn drawn(&self, classes: &[u32], each: [usize; 2], strength: f64, rng: &mut Rng) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(classes.len() * each.iter().sum::<usize>() * self.size());
        for count in each {
            for &class in classes {
                for _ in 0..count {
                    let example = rng.below(u32::MAX);
                    self.warped(class, example, strength, rng, &mut pixels);
                }
            }
        }
        pixels
    }

    /// The original of a class's example.
    fn original(&self, class: u32, example: u32) -> usize {
        let rows = &self.rows[class as usize];
        rows[example as usize % rows.len().max(1)]
    }

    fn picture(&self, class: u32, example: u32) -> &[u8] {
        let row = self.original(class, example);
        &self.pixels[row * self.size()..(row + 1) * self.size()]
    }

    /// Pictures that a class has, unwarped.
    #[must_use]
    pub fn count(&self, class: u32) -> usize {
        self.rows[class as usize].len()
    }
}

fn attribute(images: &Images, name: &str) -> Option<Attribute> {
    images.attributes.iter().find(|attribute| attribute.name == name).cloned()
}

fn images(data: Data) -> Result<(Info, Images), String> {
    match data.values {
        Values::Images(images) => Ok((data.info, images)),
        _ => Err(format!("{} holds no pictures", data.info.title)),
    }
}

/// The examples of a part's classes: a table whose rows are drawn into tasks. With a warp each is a picture under a warp of
/// its own, else a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// Class and number within it of each row.
    rows: Vec<(u32, u32)>,
    strength: f64,
    seed: u64,
}

impl Examples {
    /// Of these pictures, at the spec's warp and seed.
    #[must_use]
    pub fn of(pictures: &Pictures, part: Part, spec: &FewshotSpec) -> Self {
        Self::few(pictures, part, spec, EXAMPLES)
    }

    /// The same with so many examples a class, more where a task needs them.
    #[must_use]
    pub fn few(pictures: &Pictures, part: Part, spec: &FewshotSpec, each: u32) -> Self {
        let each = each.max((spec.shots + spec.queries) as u32);
        let count = |class: u32| if spec.warp > 0.0 { each } else { pictures.count(class) as u32 };
        let classes = pictures.classes(part).iter();
        let rows = classes.flat_map(|&class| (0..count(class)).map(move |at| (class, at))).collect();
        Self { rows, strength: spec.warp, seed: spec.seed }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Class of a row.
    #[must_use]
    pub fn class(&self, row: u32) -> u32 {
        self.rows[row as usize].0
    }

    /// Class of each row.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        self.rows.iter().map(|row| row.0).collect()
    }

    /// Rows of that class.
    #[must_use]
    pub fn of_class(&self, class: u32) -> Vec<u32> {
        (0..self.rows.len() as u32).filter(|&row| self.class(row) == class).collect()
    }

    /// Rows of that style.
    #[must_use]
    pub fn of_style(&self, pictures: &Pictures, style: Style) -> Vec<u32> {
        let wanted = style as usize;
        let fits = |&row: &u32| {
            let (class, example) = self.rows[row as usize];
            wanted == 0 || pictures.styles[pictures.original(class, example)] == wanted
        };
        (0..self.rows.len() as u32).filter(fits).collect()
    }

    /// Pixels of these rows, `[N, channels, height, width]`.
    #[must_use]
    pub fn pixels(&self, pictures: &Pictures, rows: &[u32]) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(rows.len() * pictures.size());
        for &row in rows {
            let (class, example) = self.rows[row as usize];
            if self.strength > 0.0 {
                // Told apart by class and example, not by row: a class looks the same in whatever part it is.
                let index = class * 4096 + example;
                pictures.warped(
                    class,
                    example,
                    self.strength,
                    &mut Rng::new(self.seed, Stream::Augment, index),
                    &mut pixels,
                );
            } else {
                pixels.extend_from_slice(pictures.picture(class, example));
            }
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use engine::data::read_pack_file;

    pub fn read(source: Source) -> Pictures {
        let packs: Vec<Vec<u8>> = files(source).iter().map(|name| read_pack_file(name).unwrap()).collect();
        Pictures::read(source, &packs).unwrap()
    }

    #[test]
    fn classes_are_divided_and_pictures_say_where_they_come_from() {
        for (source, counts) in [
            (Source::Glyphs, [1800, 200, 400]),
            (Source::Kanji, [1500, 200, 300]),
            (Source::Emoji, [700, 109, 300]),
            (Source::Clipart, [30, 6, 24]),
            (Source::Digits, [15, 5, 10]),
        ] {
            let pictures = read(source);
            let parts = [Part::Base, Part::Validation, Part::Novel].map(|part| pictures.classes(part));
            assert_eq!(parts.map(<[u32]>::len), counts, "{source:?}");
            let all: BTreeSet<u32> = parts.concat().into_iter().collect();
            assert_eq!(all.len(), counts.iter().sum::<usize>(), "no class is in two parts");
            assert!(all.iter().all(|&class| pictures.count(class) >= 2 && !pictures.names[class as usize].is_empty()));
            for text in [&pictures.info.title, &pictures.info.licence, &pictures.info.attribution] {
                assert!(!text.is_empty(), "{source:?}");
            }
        }
    }

    #[test]
    fn an_example_depends_on_seed_class_and_number_alone() {
        let pictures = read(Source::Glyphs);
        let spec = FewshotSpec::default();
        let [novel, few] = [40, 16].map(|each| Examples::few(&pictures, Part::Novel, &spec, each));
        let class = novel.class(41);
        assert_eq!((few.class(17), novel.len(), few.len()), (class, 16_000, 6400));
        assert_eq!(novel.pixels(&pictures, &[41]), few.pixels(&pictures, &[17]));
        assert_ne!(novel.pixels(&pictures, &[41]), novel.pixels(&pictures, &[42]));
        let other = Examples::of(&pictures, Part::Novel, &FewshotSpec { seed: 2, ..spec.clone() });
        assert_ne!(novel.pixels(&pictures, &[41]), other.pixels(&pictures, &[41]));
        let plain = Examples::of(&pictures, Part::Novel, &FewshotSpec { warp: 0.0, ..spec });
        let count: usize = pictures.classes(Part::Novel).iter().map(|&class| pictures.count(class)).sum();
        assert_eq!((plain.len(), plain.is_empty()), (count, false));
    }

    #[test]
    fn tasks_between_styles_keep_to_them() {
        use super::super::tasks::Tasks;
        let pictures = read(Source::Emoji);
        let spec = FewshotSpec {
            data: Source::Emoji,
            support_style: Style::Noto,
            query_style: Style::Openmoji,
            queries: 2,
            ..FewshotSpec::default()
        };
        let examples = Examples::of(&pictures, Part::Novel, &spec);
        let tasks = Tasks::of(&pictures, Part::Novel, &examples, &spec);
        let [noto, openmoji] = [Style::Noto, Style::Openmoji].map(|style| examples.of_style(&pictures, style));
        for number in 0..20 {
            let episode = tasks.draw(&spec, [5, 1], number).unwrap();
            assert_eq!(episode, tasks.draw(&spec, [5, 1], number).unwrap());
            assert_eq!((episode.support.concat().len(), episode.query.len()), (5, 10));
            assert!(episode.support.concat().iter().all(|row| noto.contains(row)));
            assert!(episode.query.iter().all(|(row, _)| openmoji.contains(row)));
            assert!(episode.query.iter().all(|&(row, place)| examples.class(row) == episode.classes[place]));
        }
        assert!(tasks.draw(&spec, [301, 1], 0).is_err());
        let any = FewshotSpec { support_style: Style::Any, ..spec };
        let tasks = Tasks::of(&pictures, Part::Novel, &examples, &any);
        for number in 0..20 {
            let episode = tasks.draw(&any, [5, 3], number).unwrap();
            let support = episode.support.concat();
            assert!(episode.query.iter().all(|(row, _)| !support.contains(row)), "no row is in both");
        }
    }
}
