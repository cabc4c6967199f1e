//! What a run remembers: losses on every task after every task.

use crate::names::TEST_LOSS;
use crate::{Curve, Outcome};

/// The curve of losses on task number `task`, from 0.
fn curve(task: usize) -> Curve {
    TEST_LOSS.of(task as u64 + 1)
}

/// `R[k][i]`, the loss on task i after task k; NaN where it was not measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses(pub Vec<Vec<f64>>);

impl Losses {
    /// As measured where tasks end.
    pub fn of(outcome: &Outcome, borders: &[u64]) -> Self {
        let after = |&border: &u64| (0..borders.len()).map(|task| outcome.at(curve(task), border as f64)).collect();
        Self(borders.iter().map(after).collect())
    }

    /// Mean loss over all tasks in the end.
    pub fn last(&self) -> f64 {
        self.0.last().map_or(f64::NAN, |row| row.iter().sum::<f64>() / row.len() as f64)
    }

    /// Mean loss on each task right after it was learned.
    pub fn learned(&self) -> f64 {
        self.0.iter().enumerate().map(|(task, row)| row[task]).sum::<f64>() / self.0.len() as f64
    }

    /// By how much the loss on a task grows from its end to that of the last one, mean over the tasks before the last
    /// (the paper's forgetting).
    pub fn forgetting(&self) -> f64 {
        let Some((last, before)) = self.0.split_last() else { return f64::NAN };
        before.iter().enumerate().map(|(task, row)| last[task] - row[task]).sum::<f64>() / before.len() as f64
    }
}

/// How far the loss on a task peaks over its value at the task's end within the first fifth of the next one, mean over
/// the tasks before the last.
pub fn rise(outcome: &Outcome, borders: &[u64]) -> f64 {
    let of_task = |(task, pair): (usize, &[u64])| {
        let [end, next] = [pair[0], pair[1]].map(|border| border as f64);
        let start = outcome.at(curve(task), end);
        let after = outcome.curve(curve(task));
        let soon = after.iter().filter(|point| point[0] > end && point[0] <= end + (next - end) / 5.0);
        soon.map(|point| point[1]).fold(f64::NAN, f64::max) - start
    };
    borders.windows(2).enumerate().map(of_task).sum::<f64>() / (borders.len() - 1) as f64
}

/// Mean loss over the tasks that are over, as a curve; nothing while the first one lasts.
pub fn old_tasks(outcome: &Outcome, borders: &[u64]) -> Vec<[f64; 2]> {
    let steps = outcome.curve(curve(0));
    let at = |&[step, _]: &[f64; 2]| {
        let over = borders.iter().filter(|&&border| border as f64 <= step).count();
        let losses = (0..over).map(|task| outcome.at(curve(task), step));
        (over > 0).then(|| [step, losses.sum::<f64>() / over as f64])
    };
    steps.iter().filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rows: &[(f64, [f64; 2])]) -> Outcome {
        let mut outcome = Outcome::default();
        for (step, losses) in rows {
            losses.iter().enumerate().for_each(|(task, loss)| outcome.point(curve(task), *step, *loss));
        }
        outcome
    }

    /// Exact check 5.
    #[test]
    fn forgetting_is_the_mean_growth_since_a_task_was_learned() {
        let losses = Losses(vec![vec![1.0, 5.0, 6.0], vec![1.5, 2.0, 6.0], vec![3.0, 2.5, 1.0]]);
        assert_eq!(losses.forgetting(), (2.0 + 0.5) / 2.0);
        assert_eq!((losses.last(), losses.learned()), (6.5 / 3.0, 4.0 / 3.0));
        let constant = Losses(vec![vec![0.7, 0.2, 0.4]; 3]);
        assert_eq!(constant.forgetting(), 0.0);
    }

    #[test]
    fn a_rise_is_the_peak_of_the_first_fifth() {
        let run = outcome(&[(10.0, [1.0, 4.0]), (12.0, [1.75, 3.0]), (14.0, [1.5, 2.0]), (30.0, [9.0, 1.0])]);
        assert_eq!(rise(&run, &[10, 30]), 0.75);
        assert_eq!(Losses::of(&run, &[10, 30]).0, [[1.0, 4.0], [9.0, 1.0]]);
        assert_eq!(old_tasks(&run, &[10, 30]), [[10.0, 1.0], [12.0, 1.75], [14.0, 1.5], [30.0, 5.0]]);
        assert!(rise(&run, &[10, 31]).is_finite() && Losses::of(&run, &[10, 31]).last().is_nan());
    }
}
