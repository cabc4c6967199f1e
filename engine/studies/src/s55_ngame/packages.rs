//! Debian packages: a name and a line of description, and which other packages they need, which have texts of their own.

use std::collections::BTreeMap;

use engine::data::{Values, pack};
use engine::text::key;

use crate::{Context, StudyError};

/// Buckets that words and pairs of words are hashed into.
pub const BUCKETS: usize = 8192;
/// Most words and pairs of a text.
pub const LENGTH: usize = 24;

/// Texts as lists of buckets with weights, each filled up to [`LENGTH`].
#[derive(Debug, Default, PartialEq)]
pub struct Texts {
    /// Buckets, text by text.
    pub buckets: Vec<u32>,
    /// Weight of each; 0 where the text is shorter.
    pub weights: Vec<f32>,
}

/// Packages, those to learn from first, and the packages that they need.
#[derive(Debug, Default)]
pub struct Packages {
    /// Texts of the packages.
    pub documents: Texts,
    /// Texts of what they need.
    pub labels: Texts,
    /// Names of what they need.
    pub names: Vec<String>,
    /// What each package needs, as places among the labels, ascending.
    pub needs: Vec<Vec<u32>>,
    /// How many are to learn from.
    pub train: usize,
}

impl Packages {
    /// The pack of packages.
    pub async fn read(context: &Context<'_>) -> Result<Self, StudyError> {
        let data = pack::read(&context.pack("packages.bin").await?)?;
        let Values::Text(text) = &data.values else { return Err(StudyError::Other("packages are a text".into())) };
        let part = |range: &std::ops::Range<usize>| -> String {
            text.tokens[range.clone()].iter().filter_map(|&token| text.vocabulary.get(token as usize)).collect()
        };
        Self::parse(&part(&data.train), &part(&data.test))
            .ok_or_else(|| StudyError::Other("the pack of packages is not as it should be".into()))
    }

    /// Lines of labels (name, description), an empty one, and lines of packages (name, description, places of labels).
    pub fn parse(train: &str, test: &str) -> Option<Self> {
        let (labels, train) = train.split_once("\n\n")?;
        let labels: Vec<Vec<&str>> = labels.lines().map(|line| line.split('\t').collect()).collect();
        let documents: Vec<Vec<&str>> =
            train.lines().chain(test.lines()).map(|line| line.split('\t').collect()).collect();
        let mut needs = Vec::with_capacity(documents.len());
        for document in &documents {
            let places = document.get(2)?.split(' ').map(|place| place.parse().ok());
            let mut places = places.collect::<Option<Vec<u32>>>()?;
            places.sort_unstable();
            needs.push(places.iter().all(|&place| (place as usize) < labels.len()).then_some(places)?);
        }
        let train = train.lines().count();
        let features = |line: &Vec<&str>| features(line.first().unwrap_or(&""), line.get(1).unwrap_or(&""));
        let of_documents: Vec<Vec<u32>> = documents.iter().map(features).collect();
        let of_labels: Vec<Vec<u32>> = labels.iter().map(features).collect();
        // How rare a bucket is, among what is learned from.
        let mut seen = BTreeMap::<u32, usize>::new();
        for list in &of_documents[..train] {
            let mut list = list.clone();
            list.sort_unstable();
            list.dedup();
            list.into_iter().for_each(|bucket| *seen.entry(bucket).or_default() += 1);
        }
        let rarity = |bucket: u32| {
            libm::log((1.0 + train as f64) / (1.0 + seen.get(&bucket).copied().unwrap_or(0) as f64)) + 1.0
        };
        Some(Self {
            documents: Texts::of(&of_documents, &rarity),
            labels: Texts::of(&of_labels, &rarity),
            names: labels.iter().filter_map(|line| Some((*line.first()?).to_owned())).collect(),
            needs,
            train,
        })
    }
}

impl Texts {
    /// How many.
    pub fn len(&self) -> usize {
        self.buckets.len() / LENGTH
    }

    /// Each bucket of a text once, weighed by how often it is there and how rare it is, to unit length.
    fn of(lists: &[Vec<u32>], rarity: &dyn Fn(u32) -> f64) -> Self {
        let mut texts = Self::default();
        for list in lists {
            let mut counts: Vec<(u32, f64)> = Vec::new();
            for &bucket in list {
                match counts.iter_mut().find(|(known, _)| *known == bucket) {
                    Some((_, count)) => *count += 1.0,
                    None => counts.push((bucket, 1.0)),
                }
            }
            counts.iter_mut().for_each(|(bucket, count)| *count *= rarity(*bucket));
            counts.truncate(LENGTH);
            let length = counts.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt().max(1e-12);
            counts.resize(LENGTH, (0, 0.0));
            texts.buckets.extend(counts.iter().map(|(bucket, _)| *bucket));
            texts.weights.extend(counts.iter().map(|(_, weight)| (weight / length) as f32));
        }
        texts
    }
}

/// Buckets of a name's and a description's words, then of their pairs.
fn features(name: &str, description: &str) -> Vec<u32> {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|symbol: char| !symbol.is_ascii_alphanumeric());
        parts.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
    };
    let texts = [words(name), words(description)];
    let alone = texts.iter().flatten().map(|word| bucket(word));
    let pairs = texts.iter().flat_map(|words| words.windows(2).map(|pair| bucket(&pair.join(" "))));
    alone.chain(pairs).collect()
}

fn bucket(text: &str) -> u32 {
    let mixed = key(text);
    (mixed ^ (mixed >> 16)) % BUCKETS as u32
}
