//! Tasks learned one after another: the accuracy matrix and what is read off it; and accuracies over time.

use crate::numeric::mean;

/// `R[i][j]`: accuracy on task j after learning task i, both from 0. Accuracies are in any unit; results are in the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccuracyMatrix {
    rows: Vec<Vec<f64>>,
}

impl AccuracyMatrix {
    /// Of these rows, one after each task, with an accuracy for every task. `None` unless it is square.
    #[must_use]
    pub fn new(rows: Vec<Vec<f64>>) -> Option<Self> {
        rows.iter().all(|row| row.len() == rows.len()).then_some(Self { rows })
    }

    /// How many tasks.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.rows.len()
    }

    /// Its rows.
    #[must_use]
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }

    /// ACC: mean accuracy over all tasks after the last (Lopez-Paz and Ranzato 2017, GEM). NaN without tasks.
    #[must_use]
    pub fn average(&self) -> f64 {
        self.rows.last().map_or(f64::NAN, |last| mean(last))
    }

    /// BWT: mean over the tasks before the last of what learning the later ones did to them, `R[T][i] - R[i][i]`; below 0 =
    /// forgotten (Lopez-Paz and Ranzato 2017, GEM). NaN of fewer than two tasks.
    #[must_use]
    pub fn backward_transfer(&self) -> f64 {
        self.over_earlier(|task, last| last[task] - self.rows[task][task])
    }

    /// FWT: mean over the tasks after the first of what the tasks before it did for one not yet learned, `R[i-1][i]` above
    /// the accuracy `untrained[i]` of a network that has learned nothing (Lopez-Paz and Ranzato 2017, GEM). NaN of fewer
    /// than two tasks, or where `untrained` lacks one.
    #[must_use]
    pub fn forward_transfer(&self, untrained: &[f64]) -> f64 {
        let gain = |task: usize| self.rows[task - 1][task] - untrained.get(task).copied().unwrap_or(f64::NAN);
        mean(&(1..self.tasks()).map(gain).collect::<Vec<f64>>())
    }

    /// Forgetting: mean over the tasks before the last of how far the final accuracy lies below the best that it had after
    /// any earlier task; below 0 where the last task helped (Chaudhry et al. 2018). NaN of fewer than two tasks.
    #[must_use]
    pub fn forgetting(&self) -> f64 {
        let before = &self.rows[..self.tasks().saturating_sub(1)];
        self.over_earlier(|task, last| best(before, task) - last[task])
    }

    /// The same with the final accuracy among those of which the best is taken, so that it is never below 0 (Mammoth,
    /// Buzzega et al. 2020).
    #[must_use]
    pub fn forgetting_mammoth(&self) -> f64 {
        self.over_earlier(|task, last| best(&self.rows, task) - last[task])
    }

    /// Mean over the tasks before the last of a function of the task and the last row.
    fn over_earlier(&self, of: impl Fn(usize, &[f64]) -> f64) -> f64 {
        let Some(last) = self.rows.last() else { return f64::NAN };
        mean(&(0..self.tasks() - 1).map(|task| of(task, last)).collect::<Vec<f64>>())
    }
}

fn best(rows: &[Vec<f64>], task: usize) -> f64 {
    rows.iter().map(|row| row[task]).fold(f64::NAN, f64::max)
}

/// Accuracies of all tasks at many moments of a stream, borders included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traces {
    /// Updates done when each task ended, ascending.
    pub borders: Vec<u64>,
    /// Updates done, ascending, and the accuracy on every task then.
    pub readings: Vec<(u64, Vec<f64>)>,
}

impl Traces {
    /// The accuracy matrix: the readings at the borders. `None` where a border was not read or a task has no accuracy.
    #[must_use]
    pub fn matrix(&self) -> Option<AccuracyMatrix> {
        let at = |border: &u64| self.readings.iter().find(|(step, _)| step == border).map(|(_, row)| row.clone());
        AccuracyMatrix::new(self.borders.iter().map(at).collect::<Option<Vec<_>>>()?)
    }

    /// Tasks that have begun before `step` updates were done, the one at hand included.
    fn begun(&self, step: u64) -> usize {
        1 + self.borders.iter().filter(|&&border| border < step).count().min(self.borders.len().saturating_sub(1))
    }

    /// Average anytime accuracy: mean over all readings of the mean accuracy over the tasks begun (Caccia et al. 2020).
    #[must_use]
    pub fn anytime(&self) -> f64 {
        let seen = |(step, row): &(u64, Vec<f64>)| mean(&row[..self.begun(*step).min(row.len())]);
        mean(&self.readings.iter().map(seen).collect::<Vec<f64>>())
    }

    /// The least accuracy that a task had at any reading after it ended; NaN if there was none.
    fn least_since(&self, task: usize) -> f64 {
        let after = self.readings.iter().filter(|(step, _)| self.borders.get(task).is_some_and(|end| step > end));
        after.filter_map(|(_, row)| row.get(task).copied()).fold(f64::NAN, f64::min)
    }

    /// Average minimum accuracy: mean over the tasks before the last of the least accuracy at any reading since they were
    /// learned (De Lange et al. 2023, min-ACC).
    #[must_use]
    pub fn minimum(&self) -> f64 {
        let earlier = 0..self.borders.len().saturating_sub(1);
        mean(&earlier.map(|task| self.least_since(task)).collect::<Vec<f64>>())
    }

    /// Worst-case accuracy at the end: `1/k A_k + (1 - 1/k) min-ACC` of k tasks, A_k the accuracy on the last of them (De
    /// Lange et al. 2023, WC-ACC).
    #[must_use]
    pub fn worst_case(&self) -> f64 {
        let tasks = self.borders.len();
        let last = self.readings.last().and_then(|(_, row)| row.get(tasks.checked_sub(1)?)).copied();
        let share = 1.0 / tasks as f64;
        let earlier = if tasks > 1 { (1.0 - share) * self.minimum() } else { 0.0 };
        last.map_or(f64::NAN, |last| share * last + earlier)
    }

    /// Stability gap at the border after task `task`: how far its accuracy falls below that at the border, at the lowest
    /// reading within `window` updates (the transient drop of De Lange et al. 2023). Never below 0; NaN where the border or
    /// the window was not read.
    #[must_use]
    pub fn stability_gap(&self, task: usize, window: u64) -> f64 {
        let Some(&border) = self.borders.get(task) else { return f64::NAN };
        let of = |(_, row): &(u64, Vec<f64>)| row.get(task).copied();
        let before = self.readings.iter().find(|(step, _)| *step == border).and_then(of);
        let within = self.readings.iter().filter(|(step, _)| (border + 1..=border + window).contains(step));
        let lowest = within.filter_map(of).fold(f64::NAN, f64::min);
        let gap = before.unwrap_or(f64::NAN) - lowest;
        if gap.is_nan() { gap } else { gap.max(0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> AccuracyMatrix {
        AccuracyMatrix::new(vec![
            vec![90.0, 20.0, 10.0, 12.0],
            vec![70.0, 80.0, 30.0, 8.0],
            vec![50.0, 85.0, 95.0, 15.0],
            vec![60.0, 40.0, 97.0, 88.0],
        ])
        .unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} against {expected}");
    }

    /// By hand: ACC (60 + 40 + 97 + 88) / 4; BWT (-30 - 40 + 2) / 3; FWT (10 + 20 + 5) / 3 above 10 each; forgetting
    /// (30 + 45 - 2) / 3, and with the last row among the best (30 + 45 + 0) / 3.
    #[test]
    fn a_matrix_of_four_tasks_by_hand() {
        close(matrix().average(), 71.25);
        close(matrix().backward_transfer(), -68.0 / 3.0);
        close(matrix().forward_transfer(&[10.0; 4]), 35.0 / 3.0);
        close(matrix().forgetting(), 73.0 / 3.0);
        close(matrix().forgetting_mammoth(), 25.0);
        assert!(matrix().forward_transfer(&[10.0]).is_nan());
    }

    #[test]
    fn too_few_tasks_are_not_numbers() {
        let one = AccuracyMatrix::new(vec![vec![50.0]]).unwrap();
        close(one.average(), 50.0);
        assert!(one.backward_transfer().is_nan() && one.forgetting().is_nan());
        assert!(AccuracyMatrix::default().average().is_nan() && AccuracyMatrix::default().forgetting().is_nan());
        assert_eq!(AccuracyMatrix::new(vec![vec![1.0, 2.0]]), None);
    }

    /// Two tasks of 10 updates; the first falls to 40 right after its border and recovers to 70.
    #[test]
    fn what_happens_between_borders() {
        let readings =
            [(5, [80.0, 0.0]), (10, [90.0, 0.0]), (12, [40.0, 50.0]), (15, [65.0, 60.0]), (20, [70.0, 80.0])];
        let readings = readings.map(|(step, row)| (step, row.to_vec())).to_vec();
        let traces = Traces { borders: vec![10, 20], readings };
        assert_eq!(traces.matrix().unwrap().rows(), [[90.0, 0.0], [70.0, 80.0]]);
        close(traces.anytime(), (80.0 + 90.0 + 45.0 + 62.5 + 75.0) / 5.0);
        close(traces.minimum(), 40.0);
        close(traces.worst_case(), 0.5 * 80.0 + 0.5 * 40.0);
        close(traces.stability_gap(0, 5), 50.0);
        assert!(traces.stability_gap(0, 1).is_nan() && traces.stability_gap(7, 5).is_nan());
    }
}
