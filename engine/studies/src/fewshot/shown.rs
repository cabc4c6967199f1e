//! The task that is shown: pictures, answers, the walk of the prototypes.

use engine::episodes::Episode;
use engine::fewshot::{Gallery, Query, SeenClass, Source, TaskSeen, Walk};
use engine::numeric::Matrix;
use engine::protocol::Blob;

use super::lab::Lab;
use super::map::Plane;
use super::methods::{Answer, Problem, classify, nearest, squared_distances};
use super::own::thumbnail;
use crate::StudyError;

/// Which task is shown, and what a person added to it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Its number.
    pub number: u32,
    /// Further pictures of the support: place of the class, and the picture.
    added: Vec<(usize, Added)>,
}

#[derive(Debug, Clone)]
enum Added {
    /// A row of the examples.
    Row(u32),
    /// A picture of the person's own, in the encoder's shape.
    Picture(Vec<u8>),
}

/// Most pictures that can be added to a task.
const MOST: usize = 200;

impl Shown {
    /// Takes back what was added.
    pub fn forget(&mut self) {
        self.added.clear();
    }
}

/// A task's pictures and vectors, support first.
struct Parts {
    classes: Vec<SeenClass>,
    pixels: Vec<u8>,
    /// Shape of each picture.
    shape: [usize; 3],
    points: Matrix,
    labels: Vec<usize>,
    /// Class of each query, where it is known.
    truth: Vec<Option<usize>>,
}

impl Lab {
    /// Shows a task. Its event, and the pixels that it names.
    ///
    /// # Errors
    /// There is no such task; the executor fails.
    pub async fn show(&mut self, number: u32, now_ms: fn() -> f64) -> Result<(TaskSeen, Vec<u8>), StudyError> {
        if number != self.shown.number {
            self.shown = Shown { number, added: Vec::new() };
        }
        let parts =
            if self.spec.data == Source::Own { self.own_parts().await? } else { self.drawn_parts(number).await? };
        let centre = self.centre().await?;
        let began = now_ms();
        let problem = Problem {
            ways: parts.classes.len(),
            points: &parts.points,
            labels: &parts.labels,
            centre: &centre,
            settings: &self.spec,
            watched: true,
        };
        let answer = classify(self.spec.method, &problem);
        let milliseconds = now_ms() - began;
        Ok(seen(self, number, parts, &answer, milliseconds))
    }

    /// Gives the shown task one more labelled picture: the next of its class, or this one, in the encoder's shape.
    ///
    /// # Errors
    /// There is no such class, or no further picture.
    pub fn add_shot(&mut self, place: usize, picture: Option<Vec<u8>>) -> Result<(), StudyError> {
        let other = |message: String| StudyError::Other(message);
        if self.shown.added.len() >= MOST {
            return Err(other(format!("A task takes at most {MOST} further pictures")));
        }
        let added = match picture {
            Some(pixels) => Added::Picture(pixels),
            None => {
                let episode = self.episode(self.shown.number)?;
                let class = *episode.classes.get(place).ok_or_else(|| other("The task has no such class".into()))?;
                let left = self.unused(&episode, class);
                Added::Row(*left.first().ok_or_else(|| other("There is no further picture of this class".into()))?)
            }
        };
        self.shown.added.push((place, added));
        Ok(())
    }

    fn episode(&self, number: u32) -> Result<Episode, StudyError> {
        let shape = [self.spec.ways, self.spec.shots];
        self.novel.tasks.draw(&self.spec, shape, number).map_err(|error| StudyError::Other(error.to_string()))
    }

    /// Rows of a class that the shown task does not have.
    fn unused(&self, episode: &Episode, class: u32) -> Vec<u32> {
        let examples = &self.novel.examples;
        let taken = |row: &u32| {
            episode.support.iter().flatten().any(|used| used == row)
                || episode.query.iter().any(|(used, _)| used == row)
                || self.shown.added.iter().any(|(_, added)| matches!(added, Added::Row(used) if used == row))
        };
        (0..examples.len() as u32).filter(|row| examples.class(*row) == class && !taken(row)).collect()
    }

    async fn drawn_parts(&mut self, number: u32) -> Result<Parts, StudyError> {
        let mut episode = self.episode(number)?;
        let classes = episode.classes.iter().map(|&class| SeenClass {
            name: self.pictures.names[class as usize].clone(),
            more: self.unused(&episode, class).len(),
        });
        let classes: Vec<SeenClass> = classes.collect();
        // Rows of the table come through the task; pictures from elsewhere are put in behind their class.
        let mut foreign: Vec<(usize, Vec<u8>)> = Vec::new();
        for (place, added) in &self.shown.added {
            match added {
                Added::Row(row) if *place < classes.len() => episode.support[*place].push(*row),
                Added::Picture(pixels) if *place < classes.len() => foreign.push((*place, pixels.clone())),
                _ => {}
            }
        }
        let (mut points, mut labels) = self.novel.task(&mut self.encoder, &self.pictures, &episode).await?;
        let (rows, _) = super::bench::rows(&episode);
        let mut pixels = self.novel.examples.pixels(&self.pictures, &rows);
        for (place, picture) in foreign {
            let at = labels.partition_point(|&label| label <= place);
            let vector = self.encoder.encode(&picture, self.pictures.shape).await?;
            let (first, size) = (at * points.columns, self.pictures.size());
            points.values.splice(first..first, vector.into_iter().map(f64::from));
            points.rows += 1;
            pixels.splice(at * size..at * size, picture);
            labels.insert(at, place);
        }
        let truth = episode.query.iter().map(|query| Some(query.1)).collect();
        Ok(Parts { classes, pixels, shape: self.pictures.shape, points, labels, truth })
    }

    async fn own_parts(&mut self) -> Result<Parts, StudyError> {
        self.embed_own().await?;
        let own = &self.own;
        let filled: Vec<_> = own.classes.iter().filter(|class| !class.pictures.is_empty()).collect();
        if filled.len() < 2 {
            return Err(StudyError::Other("Two classes with a picture each are needed to tell them apart".into()));
        }
        if own.asked.is_empty() {
            return Err(StudyError::Other("Show it a picture to be classified".into()));
        }
        let mut parts = Parts {
            classes: filled.iter().map(|class| SeenClass { name: class.name.clone(), more: 0 }).collect(),
            pixels: Vec::new(),
            shape: thumbnail(self.encoder.shape()),
            points: Matrix { rows: 0, columns: self.encoder.dims(), values: Vec::new() },
            labels: Vec::new(),
            truth: vec![None; own.asked.len()],
        };
        let support =
            filled.iter().enumerate().flat_map(|(place, class)| class.pictures.iter().map(move |p| (place, p)));
        for (place, picture) in support {
            parts.labels.push(place);
            parts.push(picture);
        }
        own.asked.iter().for_each(|picture| parts.push(picture));
        Ok(parts)
    }
}

impl Parts {
    fn push(&mut self, picture: &super::own::Picture) {
        self.pixels.extend(picture.seen(self.shape));
        self.points.values.extend(picture.vector.iter().map(|&x| f64::from(x)));
        self.points.rows += 1;
    }
}

/// A task as the page sees it.
fn seen(lab: &Lab, number: u32, parts: Parts, answer: &Answer, milliseconds: f64) -> (TaskSeen, Vec<u8>) {
    let Parts { classes, pixels, shape, labels, truth, points } = parts;
    let plane = Plane::of(&answer.points);
    let shots = labels.len();
    let rest = |of: &Matrix, first: usize, end: usize| Matrix {
        rows: end - first,
        columns: of.columns,
        values: of.values[first * of.columns..end * of.columns].to_vec(),
    };
    let queries = rest(&answer.points, shots, answer.points.rows);
    let near = nearest(&queries, &rest(&answer.points, 0, shots));
    let distances = answer.steps.last().map(|step| squared_distances(&queries, &step.prototypes)).unwrap_or_default();
    let predicted = answer.predicted();
    let share = |predicted: &[usize]| {
        let known: Vec<bool> =
            truth.iter().zip(predicted).filter_map(|(truth, found)| truth.map(|truth| truth == *found)).collect();
        (!known.is_empty()).then(|| known.iter().filter(|right| **right).count() as f64 / known.len() as f64)
    };
    let query = |(at, truth): (usize, &Option<usize>)| Query {
        truth: *truth,
        predicted: predicted[at],
        probabilities: answer.probabilities.row(at).iter().map(|&p| p as f32).collect(),
        distances: distances.row(at).iter().map(|&d| d.sqrt() as f32).collect(),
        nearest: near[at],
    };
    let walk = answer.steps.iter().map(|step| Walk {
        prototypes: plane.places(&step.prototypes),
        predicted: step.predicted.clone(),
        accuracy: share(&step.predicted),
        energy: step.energy,
    });
    debug_assert_eq!(points.rows, shots + truth.len());
    let (pictures, pixels) = gallery(shape, pixels);
    let task = TaskSeen {
        number,
        method: lab.spec.method,
        classes,
        pictures,
        queries: truth.iter().enumerate().map(query).collect(),
        accuracy: share(predicted),
        support: labels,
        points: plane.places(&answer.points),
        explained: plane.explained,
        walk: walk.collect(),
        milliseconds,
    };
    (task, pixels)
}

/// Pictures of a shape as the page has them; the bytes are the message's first buffer.
pub fn gallery(shape: [usize; 3], pixels: Vec<u8>) -> (Gallery, Vec<u8>) {
    let [channels, height, width] = shape;
    let count = pixels.len() / shape.iter().product::<usize>().max(1);
    let gallery = Gallery { width, height, channels, count, pixels: Blob(0) };
    (gallery, channels_last(pixels, shape))
}

/// `[N, channels, height, width]` to `[N, height, width, channels]`.
fn channels_last(pixels: Vec<u8>, [channels, height, width]: [usize; 3]) -> Vec<u8> {
    let plane = height * width;
    if channels == 1 {
        return pixels;
    }
    let pictures = pixels.chunks_exact((channels * plane).max(1));
    pictures.flat_map(|p| (0..plane).flat_map(move |at| (0..channels).map(move |c| p[c * plane + at]))).collect()
}
