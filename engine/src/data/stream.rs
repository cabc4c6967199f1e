//! Streams: tasks one after another, as continual learning meets them.
//!
//! The rows of all tasks lie in one table. Each task lasts for a number of draws and brings rows of its own; a share of the
//! draws may repeat rows of the tasks before it (replay). Like every sampler, a stream is a function of the draw number.

use std::ops::Range;

use super::sampler::{Sampler, below, shuffled};
use crate::rng::{Stream, block};

/// Sequence of [`Stream::Sample`] from which replayed rows are drawn; tasks count their epochs from 0.
const REPLAY: u32 = u32::MAX;
/// Sequences of [`Stream::Sample`] that a task has for its epochs.
const EPOCHS: u32 = 1 << 16;

/// One task of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTask {
    /// Table rows to learn from; not empty.
    pub rows: Range<u32>,
    /// Draws that it lasts; the last task goes on for ever.
    pub draws: u64,
}

/// Draws a stream's examples: of the task at hand in shuffled epochs, and of the tasks before it.
pub struct TaskStream {
    tasks: Vec<StreamTask>,
    /// Percent of the draws that repeat earlier tasks.
    replay: u64,
    seed: u64,
    /// Task and epoch whose order is at hand.
    at_hand: Option<(usize, u64)>,
    order: Vec<u32>,
}

impl TaskStream {
    /// A stream of tasks, of whose draws `replay` percent (0 to 99) are rows of earlier tasks from the second task on,
    /// evenly spread in time and drawn evenly from everything seen. Tasks without rows are left out.
    #[must_use]
    pub fn new(tasks: &[StreamTask], replay: u64, seed: u64) -> Self {
        let tasks = tasks.iter().filter(|task| !task.rows.is_empty()).cloned().collect();
        Self { tasks, replay: replay.min(99), seed, at_hand: None, order: Vec::new() }
    }

    /// The task that draw `draw` belongs to, and its number within that task.
    fn place(&self, draw: u64) -> (usize, u64) {
        let mut rest = draw;
        for (number, task) in self.tasks.iter().enumerate() {
            if rest < task.draws || number + 1 == self.tasks.len() {
                return (number, rest);
            }
            rest -= task.draws;
        }
        (0, rest)
    }

    /// A row of all tasks before `task`, each as likely.
    fn earlier(&self, task: usize, draw: u64) -> u32 {
        let count = self.tasks[..task].iter().map(|task| task.rows.len() as u32).sum();
        let [high, low, ..] = block(self.seed, Stream::Sample, REPLAY, draw);
        let mut rest = below(count, high, low);
        for StreamTask { rows, .. } in &self.tasks[..task] {
            if rest < rows.len() as u32 {
                return rows.start + rest;
            }
            rest -= rows.len() as u32;
        }
        self.tasks[task].rows.start
    }

    /// Draw `own` of those that a task makes of its own rows.
    fn own(&mut self, task: usize, own: u64) -> u32 {
        let rows = &self.tasks[task].rows;
        let (epoch, place) = (own / rows.len() as u64, (own % rows.len() as u64) as usize);
        if self.at_hand != Some((task, epoch)) {
            let sequence = (task as u32).wrapping_mul(EPOCHS).wrapping_add(epoch as u32);
            shuffled(rows.clone(), self.seed, sequence, &mut self.order);
            self.at_hand = Some((task, epoch));
        }
        self.order[place]
    }
}

impl Sampler for TaskStream {
    fn fill(&mut self, first: u64, out: &mut [u32]) {
        if self.tasks.is_empty() {
            return;
        }
        for (draw, row) in (first..).zip(out) {
            let (task, within) = self.place(draw);
            let replay = if task == 0 { 0 } else { self.replay };
            // Of the first n draws of a task, exactly the whole part of n times the share are replayed.
            let replayed = |n: u64| n * replay / 100;
            *row = if replayed(within + 1) > replayed(within) {
                self.earlier(task, draw)
            } else {
                self.own(task, within - replayed(within))
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tasks() -> Vec<StreamTask> {
        let task = |rows, draws| StreamTask { rows, draws };
        vec![task(0..30, 100), task(30..50, 60), task(50..80, 200)]
    }

    fn draws(replay: u64, seed: u64, first: u64, count: usize) -> Vec<u32> {
        let mut rows = vec![0; count];
        TaskStream::new(&tasks(), replay, seed).fill(first, &mut rows);
        rows
    }

    #[test]
    fn each_task_draws_its_own_rows_in_epochs() {
        let rows = draws(0, 3, 0, 360);
        for (task, range) in [(0..30, 0..100), (30..50, 100..160), (50..80, 160..360)] {
            let drawn = &rows[range];
            assert!(drawn.iter().all(|row| task.contains(row)));
            for epoch in drawn.chunks_exact(task.len()) {
                let mut sorted = epoch.to_vec();
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(task.clone()), "an epoch visits every row once");
            }
        }
        assert!(draws(0, 3, 100_000, 50).iter().all(|row| (50..80).contains(row)), "the last task goes on");
    }

    #[test]
    fn replay_has_its_exact_share_and_reaches_all_earlier_rows() {
        let rows = draws(25, 5, 0, 360);
        assert!(rows[..100].iter().all(|row| *row < 30), "there is nothing to replay in the first task");
        let earlier = |rows: &[u32], start: u32| rows.iter().filter(|&&row| row < start).count();
        assert_eq!(earlier(&rows[100..160], 30), 15);
        for batch in rows[160..].chunks_exact(20) {
            assert_eq!(earlier(batch, 50), 5);
        }
        let long = draws(50, 5, 160, 4000);
        assert!((0..50).all(|row| long.contains(&row)));
    }

    proptest! {
        #[test]
        fn resuming_equals_running_straight(first in 0_usize..300, count in 1_usize..60, replay in 0_u64..60) {
            let straight = draws(replay, 11, 0, 400);
            prop_assert_eq!(&straight[first..first + count], draws(replay, 11, first as u64, count));
        }
    }
}
