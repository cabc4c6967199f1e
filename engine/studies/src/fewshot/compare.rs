//! The compared methods over many tasks, a few at a time.

use engine::episodes::Episode;
use engine::fewshot::{Confused, Gallery, Hard, Method, Scores};

use super::lab::Lab;
use super::methods::{Problem, classify};
use super::scores::Tally;
use super::shown::gallery;
use crate::StudyError;

/// Pairs and classes that are told.
const TOLD: usize = 12;

/// A comparison that goes on or is done.
#[derive(Debug, Clone)]
pub struct Comparison {
    methods: Vec<Method>,
    /// Tasks in all.
    of: usize,
    tally: Tally,
    /// Every task with the classes that each method found.
    pub records: Vec<Record>,
}

/// A task and what the methods made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The task.
    pub episode: Episode,
    /// Place of the class of each query, by method.
    pub predicted: Vec<Vec<u8>>,
}

impl Comparison {
    /// Whether all tasks are done.
    #[must_use]
    pub fn done(&self) -> bool {
        self.records.len() >= self.of
    }

    /// The methods, in order.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }
}

impl Lab {
    /// A comparison of the spec's methods over its tasks, at its start.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        let methods = self.spec.compare.clone();
        Comparison { tally: Tally::new(&methods), methods, of: self.spec.tasks, records: Vec::new() }
    }

    /// The next task of a comparison; nothing once it is done.
    ///
    /// # Errors
    /// There is no such task; the executor fails.
    pub async fn compare(&mut self, comparison: &mut Comparison, now_ms: fn() -> f64) -> Result<(), StudyError> {
        if comparison.done() {
            return Ok(());
        }
        let number = comparison.records.len() as u32;
        let shape = [self.spec.ways, self.spec.shots];
        let drawn = self.novel.tasks.draw(&self.spec, shape, number);
        let episode = drawn.map_err(|error| StudyError::Other(error.to_string()))?;
        let centre = self.centre().await?;
        let (points, labels) = self.novel.task(&mut self.encoder, &self.pictures, &episode).await?;
        let watched = comparison.watched(self.spec.method);
        let mut predicted = Vec::new();
        for (place, &method) in comparison.methods.iter().enumerate() {
            let problem = Problem {
                ways: episode.classes.len(),
                points: &points,
                labels: &labels,
                centre: &centre,
                settings: &self.spec,
                watched: false,
            };
            let began = now_ms();
            let answer = classify(method, &problem);
            let spent = now_ms() - began;
            let truth = episode.query.iter().map(|query| query.1);
            comparison.tally.add(place, answer.accuracy(truth.clone()), spent);
            if place == watched {
                comparison.tally.watch(&episode.classes, truth.zip(answer.predicted().iter().copied()));
            }
            predicted.push(answer.predicted().iter().map(|&place| place as u8).collect());
        }
        comparison.records.push(Record { episode, predicted });
        Ok(())
    }

    /// What a comparison has come to, and the pixels that the message names. `finished`: it ends here.
    #[must_use]
    pub fn scores(&self, comparison: &Comparison, finished: bool) -> (Scores, Option<Vec<u8>>) {
        let name = |class: u32| self.pictures.names[class as usize].clone();
        let (confused, hardest) = (comparison.tally.confused(TOLD), comparison.tally.hardest(TOLD));
        let pairs = confused.iter().flat_map(|&(truth, predicted, ..)| [truth, predicted]);
        let (pictures, pixels) =
            if finished { self.faces(pairs.chain(hardest.iter().map(|hard| hard.0))) } else { (None, None) };
        let scores = Scores {
            tasks: comparison.tally.tasks(),
            of: comparison.of,
            methods: comparison.tally.scores(),
            confused: confused
                .into_iter()
                .map(|(truth, predicted, count, of)| Confused {
                    truth: name(truth),
                    predicted: name(predicted),
                    count,
                    of,
                })
                .collect(),
            hardest: hardest
                .into_iter()
                .map(|(class, accuracy, queries)| Hard { class: name(class), accuracy, queries })
                .collect(),
            pictures,
            of_method: comparison.methods.get(comparison.watched(self.spec.method)).copied(),
            finished,
        };
        (scores, pixels)
    }

    /// A picture of each class.
    fn faces(&self, classes: impl Iterator<Item = u32>) -> (Option<Gallery>, Option<Vec<u8>>) {
        let examples = &self.novel.examples;
        let row = |class: u32| (0..examples.len() as u32).find(|&row| examples.class(row) == class);
        let rows: Vec<u32> = classes.filter_map(row).collect();
        let (gallery, pixels) = gallery(self.pictures.shape, examples.pixels(&self.pictures, &rows));
        (Some(gallery), Some(pixels))
    }
}

impl Comparison {
    /// Place of the method whose confusions are told: the shown one, else the first.
    fn watched(&self, shown: Method) -> usize {
        self.methods.iter().position(|&method| method == shown).unwrap_or(0)
    }
}
