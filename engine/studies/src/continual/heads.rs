//! Outputs of a task of its own, for strategies that keep something for every task and are told which one a row is of.

use std::collections::BTreeMap;

use super::desk::Filled;
use super::tasks::Tasks;

/// Which outputs each task has, counted from 0 in each.
#[derive(Clone, Debug)]
pub struct Heads {
    of_task: Vec<Vec<u32>>,
}

impl Heads {
    /// Those of a stream.
    #[must_use]
    pub fn of(tasks: &Tasks) -> Self {
        Self { of_task: tasks.of_task.clone() }
    }

    /// How many tasks there are.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.of_task.len()
    }

    /// How many outputs a task has.
    #[must_use]
    pub fn outputs(&self, task: usize) -> usize {
        self.of_task[task].len()
    }

    /// The most outputs of a task.
    #[must_use]
    pub fn most(&self) -> usize {
        self.of_task.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Which outputs compete in a task, of [`Self::most`]: 1, else 0.
    #[must_use]
    pub fn competing(&self, task: usize) -> Vec<f32> {
        (0..self.most()).map(|output| f32::from(u8::from(output < self.outputs(task)))).collect()
    }

    /// Rows of one task as inputs of a step of so many places. Left-over places repeat rows, so that a norm over the batch
    /// sees the task alone, and have no weight.
    #[must_use]
    pub fn fill(&self, tasks: &Tasks, task: usize, rows: &[u32], places: usize) -> Filled {
        let most = self.most();
        let mut target = vec![0.0; places * most];
        for (place, &row) in rows.iter().enumerate() {
            let output = self.of_task[task].iter().position(|&output| output == tasks.output[row as usize]);
            target[place * most + output.unwrap_or(0)] = 1.0 / rows.len() as f32;
        }
        let index = rows.iter().copied().cycle().take(places).collect();
        Filled { index, target, allowed: self.competing(task).repeat(places) }
    }

    /// Puts the logits of a task's rows, of [`Self::most`] outputs each, at their places among the scores of all outputs.
    pub fn scatter(&self, task: usize, places: &[usize], logits: &[f32], scores: &mut [f32], outputs: usize) {
        for (&place, logits) in places.iter().zip(logits.chunks(self.most())) {
            for (&output, &logit) in self.of_task[task].iter().zip(logits) {
                scores[place * outputs + output as usize] = logit;
            }
        }
    }
}

/// Rows by the task that they are of, and their places.
#[must_use]
pub fn by_task(tasks: &Tasks, rows: &[u32]) -> BTreeMap<usize, (Vec<u32>, Vec<usize>)> {
    let mut groups: BTreeMap<usize, (Vec<u32>, Vec<usize>)> = BTreeMap::new();
    for (place, &row) in rows.iter().enumerate() {
        let (of, places) = groups.entry(tasks.task[row as usize] as usize).or_default();
        of.push(row);
        places.push(place);
    }
    groups
}
