//! The stream of tasks: disjoint images of handwritten digits, which drift from task to task.

use std::rc::Rc;

use super::Drift;
use crate::{Source, StudyError, TestSet};
use engine::data::{Data, Images, Values};
use engine::rng::{Rng, Stream};
use engine::streams::{StreamTask, TaskStream, shifted};

/// Training images of a task.
const TRAIN: usize = 600;
/// Test images of a task.
const TEST: usize = 100;
/// Down and right, in pixels, by which a task's images are shifted.
const SHIFTS: [[usize; 2]; 6] = [[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 3]];
/// Most tasks.
pub const MOST: usize = SHIFTS.len();

/// Tasks of one seed, ready to be learned.
pub struct Tasks {
    data: Rc<Data>,
    tests: Vec<TestSet>,
}

impl Tasks {
    /// Chooses the images of `count` tasks from square pictures; training rows first, task by task, then test rows.
    pub fn of(data: &Data, drift: Drift, count: usize, seed: u64) -> Result<Self, StudyError> {
        let Values::Images(images) = &data.values else {
            return Err(StudyError::Other("the tasks need images".into()));
        };
        let size: usize = images.shape.iter().product();
        let mut chosen = Images { pixels: vec![], labels: vec![], ..images.clone() };
        for (sequence, (part, each)) in [(&data.train, TRAIN), (&data.test, TEST)].into_iter().enumerate() {
            let mut rows: Vec<usize> = part.clone().collect();
            Rng::new(seed, Stream::Generate, sequence as u32).shuffle(&mut rows);
            if rows.len() < count * each {
                return Err(StudyError::Other(format!("{count} tasks need {} images", count * each)));
            }
            rows.truncate(count * each);
            if drift == Drift::Classes {
                rows.sort_by_key(|&row| images.labels[row]);
            }
            for (task, rows) in rows.chunks(each).enumerate() {
                let shift = if drift == Drift::Shift { SHIFTS[task % MOST] } else { [0, 0] };
                for &row in rows {
                    chosen.pixels.extend(shifted(&images.pixels[row * size..][..size], images.shape, shift));
                    chosen.labels.push(images.labels[row]);
                }
            }
        }
        let train = count * TRAIN;
        let test = |task: usize| {
            let first = (train + task * TEST) as u32;
            TestSet { which: Some(task as u64 + 1), rows: (first..first + TEST as u32).collect() }
        };
        let data = Data {
            info: data.info.clone(),
            values: Values::Images(chosen),
            train: 0..train,
            test: train..train + count * TEST,
        };
        Ok(Self { data: Rc::new(data), tests: (0..count).map(test).collect() })
    }

    /// The examples of a run in which task k lasts for `lengths[k]` updates of `batch` examples, of which `replay` percent
    /// come from earlier tasks.
    pub fn source(&self, lengths: &[u64], batch: u64, replay: u64, seed: u64) -> Source {
        let task = |(task, &length): (usize, &u64)| {
            let first = (task * TRAIN) as u32;
            StreamTask { rows: (first..first + TRAIN as u32).collect(), draws: length * batch }
        };
        let stream: Vec<StreamTask> = lengths.iter().enumerate().map(task).collect();
        Source {
            data: self.data.clone(),
            sampler: Box::new(TaskStream::new(&stream, replay, seed)),
            tests: self.tests.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::data::{load, pack_file, read_pack_file};
    use engine::spec::{DataSet, DataSpec};

    #[test]
    fn tasks_are_disjoint_and_differ_as_they_should() {
        let spec = DataSpec { size: 14, ..DataSpec::of(DataSet::Mnist) };
        let data = load(&spec, 1, Some(&read_pack_file(&pack_file(spec.set).unwrap()).unwrap())).unwrap();
        let tasks = |drift| Tasks::of(&data, drift, 6, 4).unwrap();
        let images = |tasks: &Tasks| match &tasks.data.values {
            Values::Images(images) => images.clone(),
            _ => panic!("no images"),
        };
        let [plain, shift, classes] = [Drift::None, Drift::Shift, Drift::Classes].map(|drift| images(&tasks(drift)));
        assert_eq!(plain.labels.len(), 6 * (TRAIN + TEST));
        let distinct: std::collections::BTreeSet<&[u8]> = plain.pixels.chunks(196).take(6 * TRAIN).collect();
        assert_eq!(distinct.len(), 6 * TRAIN, "no image twice");
        assert_eq!(plain.pixels[..TRAIN * 196], shift.pixels[..TRAIN * 196], "the first task is not shifted");
        let last = &shift.pixels[5 * TRAIN * 196..6 * TRAIN * 196];
        assert!(last.chunks(196).all(|image| image[..28] == [0; 28]), "two empty lines come in");
        assert!(classes.labels[..6 * TRAIN].is_sorted() && classes.labels[6 * TRAIN..].is_sorted());
    }
}
