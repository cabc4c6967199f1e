//! Which row of which task a draw sees: a share of the draws may repeat rows of earlier tasks (replay), and borders may be
//! blurred. Like every sampler, a function of the draw number.

use crate::data::sampler::{Sampler, below, shuffled};
use crate::rng::{Stream, block, unit_f32};

/// Sequence of [`Stream::Sample`] from which replayed rows are drawn; tasks count their epochs from 0.
const REPLAY: u32 = u32::MAX;
/// Sequence of [`Stream::Tasks`] that decides within blurred borders; orders of classes count from 0.
const FADE: u32 = u32::MAX;
/// Sequences of [`Stream::Sample`] that a task has for its epochs.
const EPOCHS: u32 = 1 << 16;

/// One task of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTask {
    /// Table rows to learn from; not empty.
    pub rows: Vec<u32>,
    /// Draws that it lasts; the last task goes on for ever.
    pub draws: u64,
}

/// Draws a stream's examples: of the task at hand in shuffled epochs, and of the tasks before it.
pub struct TaskStream {
    tasks: Vec<StreamTask>,
    /// Percent of the draws that repeat earlier tasks.
    replay: u64,
    /// Draws on either side of the border after each task in which the two mix; empty = sharp borders.
    blur: Vec<u64>,
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
        Self { tasks, replay: replay.min(99), blur: Vec::new(), seed, at_hand: None, order: Vec::new() }
    }

    /// The same with borders over which one task fades into the next: within `share` (0 to 1) of half of the shorter of two
    /// tasks on either side, a draw is of the later one with a chance that rises from 0 to 1. There rows are drawn evenly,
    /// not in epochs.
    #[must_use]
    pub fn blurred(mut self, share: f64) -> Self {
        let width =
            |pair: &[StreamTask]| (share.clamp(0.0, 1.0) * pair[0].draws.min(pair[1].draws) as f64 / 2.0) as u64;
        self.blur = self.tasks.windows(2).map(width).collect();
        self
    }

    /// Within a blurred border: the task drawn from, and its row.
    fn faded(&self, task: usize, within: u64, draw: u64) -> Option<u32> {
        let width = |border: Option<usize>| border.and_then(|border| self.blur.get(border)).copied().unwrap_or(0);
        let (before, after) = (width(task.checked_sub(1)), width(Some(task)));
        let left = self.tasks[task].draws.saturating_sub(within);
        // Draws since the fade of the border at hand began, and the tasks on its sides.
        let (since, width, earlier) = if within < before {
            (before + within, before, task - 1)
        } else if after > 0 && left <= after {
            (after - left, after, task)
        } else {
            return None;
        };
        let [chance, high, low, _] = block(self.seed, Stream::Tasks, FADE, draw);
        let later = f64::from(unit_f32(chance)) * 2.0 * (width as f64) < since as f64 + 0.5;
        let rows = &self.tasks[earlier + usize::from(later)].rows;
        Some(rows[below(rows.len() as u32, high, low) as usize])
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
                return rows[rest as usize];
            }
            rest -= rows.len() as u32;
        }
        self.tasks[task].rows[0]
    }

    /// Draw `own` of those that a task makes of its own rows.
    fn own(&mut self, task: usize, own: u64) -> u32 {
        let rows = &self.tasks[task].rows;
        let (epoch, place) = (own / rows.len() as u64, (own % rows.len() as u64) as usize);
        if self.at_hand != Some((task, epoch)) {
            let sequence = (task as u32).wrapping_mul(EPOCHS).wrapping_add(epoch as u32);
            shuffled(rows.iter().copied(), self.seed, sequence, &mut self.order);
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
            *row = if let Some(row) = self.faded(task, within, draw) {
                row
            } else if replayed(within + 1) > replayed(within) {
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
        let task = |rows: std::ops::Range<u32>, draws| StreamTask { rows: rows.collect(), draws };
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

    #[test]
    fn a_blurred_border_fades_from_one_task_to_the_next() {
        let task = |rows: std::ops::Range<u32>| StreamTask { rows: rows.collect(), draws: 4000 };
        let mut rows = vec![0; 8000];
        TaskStream::new(&[task(0..40), task(40..80)], 0, 3).blurred(0.5).fill(0, &mut rows);
        let later = |range: std::ops::Range<usize>| {
            let drawn = &rows[range];
            drawn.iter().filter(|&&row| row >= 40).count() as f64 / drawn.len() as f64
        };
        // The fade spans 1,000 draws on either side of draw 4,000.
        assert_eq!((later(0..3000), later(5000..8000)), (0.0, 1.0));
        for (range, expected) in [(3000..3500, 0.125), (3500..4000, 0.375), (4000..4500, 0.625), (4500..5000, 0.875)] {
            assert!((later(range) - expected).abs() < 0.06);
        }
        let mut again = vec![0; 700];
        TaskStream::new(&[task(0..40), task(40..80)], 0, 3).blurred(0.5).fill(3700, &mut again);
        assert_eq!(again, rows[3700..4400], "a function of the draw number");
    }

    proptest! {
        #[test]
        fn resuming_equals_running_straight(first in 0_usize..300, count in 1_usize..60, replay in 0_u64..60) {
            let straight = draws(replay, 11, 0, 400);
            prop_assert_eq!(&straight[first..first + count], draws(replay, 11, first as u64, count));
        }
    }
}
