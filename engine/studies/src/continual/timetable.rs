//! When tasks begin and end, and what is evaluated after which update.

use engine::continual::ContinualSpec;
use engine::data::sampler::Sampler;
use engine::streams::{StreamTask, TaskStream};

use super::strategies::Draws;
use super::tasks::Tasks;

/// What is evaluated after an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// The first task.
    First,
    /// All tasks.
    All,
}

/// Updates after a border at which curvature is measured, where it is.
const MOMENTS: [u64; 7] = [0, 1, 2, 5, 10, 20, 50];

/// See the module.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// Updates done when each task ends.
    pub borders: Vec<u64>,
    readings: u64,
    window: u64,
    /// Whether curvature is measured.
    curvature: bool,
}

impl Timetable {
    /// That of a session: a task lasts for so many updates as its passes fill batches.
    #[must_use]
    pub fn of(spec: &ContinualSpec, tasks: &Tasks) -> Self {
        let mut end = 0;
        let length = |rows: &Vec<u32>| (rows.len() as u64 * u64::from(spec.passes)).div_ceil(spec.batch as u64).max(1);
        let borders = tasks.train.iter().map(|rows| {
            end += length(rows);
            end
        });
        let borders = borders.collect();
        let readings = u64::from(spec.readings.max(1));
        Self { borders, readings, window: spec.window, curvature: spec.curvature > 0 }
    }

    /// Updates in all.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.borders.last().copied().unwrap_or(0)
    }

    /// The task of the update that follows `update` updates, the last one after the end.
    #[must_use]
    pub fn task(&self, update: u64) -> usize {
        self.borders.iter().filter(|&&border| border <= update).count().min(self.borders.len().saturating_sub(1))
    }

    /// Where a task begins.
    #[must_use]
    pub fn begin(&self, task: usize) -> u64 {
        task.checked_sub(1).and_then(|before| self.borders.get(before)).copied().unwrap_or(0)
    }

    /// What is evaluated when so many updates are done.
    #[must_use]
    pub fn due(&self, update: u64) -> Due {
        if update == 0 || self.borders.contains(&update) {
            return Due::All;
        }
        let task = self.task(update);
        let (begin, within) = (self.begin(task), update - self.begin(task));
        let length = self.borders[task] - begin;
        // The k-th reading is due at the first update at or after k / readings of the task.
        if within * self.readings / length > (within - 1) * self.readings / length {
            Due::All
        } else if task > 0 && (within <= self.window || self.is_bent(update)) {
            Due::First
        } else {
            Due::Nothing
        }
    }

    /// Whether curvature is measured when so many updates are done.
    #[must_use]
    pub fn is_bent(&self, update: u64) -> bool {
        let task = self.task(update);
        self.curvature && task > 0 && MOMENTS.contains(&(update - self.begin(task)))
    }

    /// The rows of every draw.
    #[must_use]
    pub fn stream(&self, spec: &ContinualSpec, tasks: &Tasks, draws: Draws, seed: u64) -> TaskStream {
        let rows = |task: usize| -> Vec<u32> {
            let of = match draws {
                Draws::Stream => &tasks.train[task..=task],
                Draws::SoFar => &tasks.train[..=task],
                Draws::All => &tasks.train[..],
            };
            of.concat()
        };
        let length = |task: usize| (self.borders[task] - self.begin(task)) * spec.batch as u64;
        let stream: Vec<StreamTask> = match draws {
            Draws::All => vec![StreamTask { rows: rows(0), draws: self.updates() * spec.batch as u64 }],
            _ => (0..self.borders.len()).map(|task| StreamTask { rows: rows(task), draws: length(task) }).collect(),
        };
        TaskStream::new(&stream, 0, seed).blurred(spec.blur)
    }
}

/// The rows of an update.
#[must_use]
pub fn batch(stream: &mut TaskStream, update: u64, size: usize) -> Vec<u32> {
    let mut rows = vec![0; size];
    stream.fill(update * size as u64, &mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_fall_on_borders_and_evenly_between() {
        let table = Timetable { borders: vec![10, 30], readings: 2, window: 3, curvature: false };
        let all: Vec<u64> = (0..=30).filter(|&update| table.due(update) == Due::All).collect();
        assert_eq!(all, [0, 5, 10, 20, 30]);
        let first: Vec<u64> = (0..=30).filter(|&update| table.due(update) == Due::First).collect();
        assert_eq!(first, [11, 12, 13]);
        assert_eq!([0, 9, 10, 29, 30, 99].map(|update| table.task(update)), [0, 0, 1, 1, 1, 1]);
        assert!((0..=30).all(|update| !table.is_bent(update)));
        let bent = Timetable { window: 0, curvature: true, ..table.clone() };
        let moments: Vec<u64> = (0..=30).filter(|&update| bent.is_bent(update)).collect();
        assert_eq!(moments, [10, 11, 12, 15, 20, 30]);
        assert_eq!([11, 12, 13, 15].map(|update| bent.due(update)), [Due::First, Due::First, Due::Nothing, Due::First]);
        assert_eq!((table.begin(0), table.begin(1), table.updates()), (0, 10, 30));
    }
}
