//! A run's numbers as they arrive, a column a quantity.

use engine::decimal::{plain, short};
use engine::protocol::Metrics;

/// One evaluation on the test set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Updates done before it.
    pub step: u64,
    /// Mean loss.
    pub loss: f64,
    /// Share correct; NaN where there are no classes.
    pub accuracy: f64,
}

/// Names of the columns, in the order of [`Series::columns`]; also in exported files.
pub const COLUMNS: [&str; 8] = ["loss", "accuracy", "lr", "batch", "grad_norm", "step_ms", "host_ms", "momentum"];

/// The column of the milliseconds that steps took.
pub const STEP_MS: usize = 5;
/// The columns of times.
const TIMES: [usize; 2] = [STEP_MS, 6];
/// The column of the learning rate.
pub const RATE: usize = 2;
/// The column of the momentum.
pub const MOMENTUM: usize = 7;

/// All numbers of a run. Entry `i` of a column belongs to update `i`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Loss, accuracy, learning rate, batch size, gradient norm, milliseconds a step, of those on the host, momentum.
    pub columns: [Vec<f32>; 8],
    /// By ascending step.
    pub evaluations: Vec<Evaluation>,
    /// Milliseconds since 1970 when its first update began; none of a run that was kept without it.
    pub began: Option<f64>,
}

impl Series {
    /// Takes in numbers that arrived at a time, in milliseconds since 1970, in place of any that were there for the same updates.
    pub fn take(&mut self, metrics: &Metrics, now_ms: f64) {
        let Metrics { loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum, .. } = metrics;
        let first = metrics.first_step as usize;
        // Numbers that were restored come without times: the ones that are known stay.
        let timed = step_ms.iter().any(|ms| ms.is_finite());
        if first == 0 && timed {
            self.began = Some(now_ms - f64::from(step_ms.iter().filter(|ms| ms.is_finite()).sum::<f32>()));
        }
        let arrived = [loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum];
        for (i, (column, new)) in self.columns.iter_mut().zip(arrived).enumerate() {
            // A gap would shift everything behind it; it stays visible as one.
            if column.len() < first {
                column.resize(first, f32::NAN);
            }
            let kept = if timed || !TIMES.contains(&i) { first } else { column.len().min(first + new.len()) };
            column.truncate(kept);
            column.extend_from_slice(&new[kept - first..]);
        }
    }

    /// Takes in an evaluation.
    pub fn evaluated(&mut self, evaluation: Evaluation) {
        let place = self.evaluations.partition_point(|known| known.step < evaluation.step);
        self.evaluations.truncate(place);
        self.evaluations.push(evaluation);
    }

    /// Forgets what lies after `step` updates, for a run that returned there.
    pub fn rewind(&mut self, step: u64) {
        for column in &mut self.columns {
            column.truncate(step as usize);
        }
        self.evaluations.retain(|evaluation| evaluation.step <= step);
    }

    /// Updates that have numbers.
    pub fn len(&self) -> usize {
        self.columns[0].len()
    }

    /// A column's value for an update.
    pub fn at(&self, column: usize, step: usize) -> f64 {
        self.columns.get(column).and_then(|column| column.get(step)).map_or(f64::NAN, |value| f64::from(*value))
    }

    /// The last finite value of a column.
    pub fn last(&self, column: usize) -> f64 {
        let last = self.columns.get(column).and_then(|column| column.iter().rev().find(|value| value.is_finite()));
        last.map_or(f64::NAN, |value| f64::from(*value))
    }

    /// The evaluation at or before a step.
    pub fn evaluation_at(&self, step: f64) -> Option<&Evaluation> {
        let place = self.evaluations.partition_point(|known| known.step as f64 <= step);
        self.evaluations.get(place.checked_sub(1)?)
    }

    /// Mean milliseconds of the last steps; NaN before any.
    pub fn recent_step_ms(&self) -> f64 {
        let column = &self.columns[STEP_MS];
        let recent = &column[column.len().saturating_sub(50)..];
        let finite: Vec<f64> = recent.iter().filter(|ms| ms.is_finite()).map(|ms| f64::from(*ms)).collect();
        finite.iter().sum::<f64>() / finite.len() as f64
    }

    /// All updates as CSV, a row each, test results at their step.
    pub fn csv(&self) -> String {
        let mut out = format!("step,{},test_loss,test_accuracy\n", COLUMNS.join(","));
        let cell = |value: f64| if value.is_finite() { plain(value) } else { String::new() };
        let mut row = |step: u64, evaluation: Option<&Evaluation>| {
            let mut cells = vec![step.to_string()];
            let value = |column: &Vec<f32>| column.get(usize::try_from(step).ok()?).copied();
            cells.extend(self.columns.iter().map(|column| match value(column) {
                Some(value) if value.is_finite() => plain(short(value)),
                _ => String::new(),
            }));
            cells.extend([
                cell(evaluation.map_or(f64::NAN, |evaluation| evaluation.loss)),
                cell(evaluation.map_or(f64::NAN, |evaluation| evaluation.accuracy)),
            ]);
            out.push_str(&cells.join(","));
            out.push('\n');
        };
        let mut evaluations = self.evaluations.iter().peekable();
        for step in 0..self.len() as u64 {
            row(step, evaluations.next_if(|evaluation| evaluation.step == step));
        }
        for evaluation in evaluations {
            row(evaluation.step, Some(evaluation));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(first_step: u64, loss: &[f32]) -> Metrics {
        let column = loss.to_vec();
        Metrics {
            first_step,
            loss: column.clone(),
            accuracy: column.clone(),
            lr: column.clone(),
            momentum: column.clone(),
            batch: column.clone(),
            grad_norm: column.clone(),
            step_ms: column.clone(),
            host_ms: column,
        }
    }

    #[test]
    fn later_numbers_replace_earlier_ones() {
        let mut series = Series::default();
        series.take(&metrics(0, &[3.0, 2.0, 1.0]), 1000.0);
        series.take(&metrics(1, &[2.5]), 2000.0);
        assert_eq!(series.columns[0], [3.0, 2.5]);
        assert_eq!(series.began, Some(994.0), "6 ms before its first numbers came");
    }

    #[test]
    fn restored_numbers_leave_the_times_that_are_known() {
        let mut series = Series::default();
        series.take(&metrics(0, &[3.0, 2.0]), 1000.0);
        let untimed = |first, loss: &[f32]| {
            let gaps = vec![f32::NAN; loss.len()];
            Metrics { step_ms: gaps.clone(), host_ms: gaps, ..metrics(first, loss) }
        };
        series.take(&untimed(0, &[3.5, 2.5, 1.5]), 9000.0);
        assert_eq!(series.columns[0], [3.5, 2.5, 1.5]);
        for column in TIMES {
            assert_eq!(series.columns[column][..2], [3.0, 2.0]);
            assert!(series.at(column, 2).is_nan());
        }
        assert_eq!(series.began, Some(995.0));
        // Fewer than were known.
        series.take(&untimed(0, &[4.0]), 9000.0);
        assert!(series.columns.iter().all(|column| column.len() == 1));
        let mut unknown = Series::default();
        unknown.take(&untimed(0, &[1.0]), 9000.0);
        assert_eq!(unknown.began, None);
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let mut series = Series::default();
        series.take(&metrics(2, &[1.0]), 0.0);
        assert_eq!(series.len(), 3);
        assert!(series.at(0, 1).is_nan());
        assert_eq!(series.last(0), 1.0);
    }

    #[test]
    fn rewinding_forgets_the_future() {
        let mut series = Series::default();
        series.take(&metrics(0, &[3.0, 2.0, 1.0]), 0.0);
        series.evaluated(Evaluation { step: 0, loss: 3.0, accuracy: 0.1 });
        series.evaluated(Evaluation { step: 3, loss: 1.0, accuracy: 0.9 });
        series.rewind(1);
        assert_eq!(series.len(), 1);
        assert_eq!(series.evaluations.len(), 1);
    }

    #[test]
    fn csv_has_a_row_an_update_and_empty_cells_for_gaps() {
        let mut series = Series::default();
        series.take(&metrics(0, &[0.5, f32::NAN]), 0.0);
        series.evaluated(Evaluation { step: 2, loss: 0.25, accuracy: f64::NAN });
        let csv = series.csv();
        let rows: Vec<&str> = csv.lines().collect();
        assert_eq!(rows.len(), 4);
        let all = |cell: &str| cell.repeat(COLUMNS.len());
        assert_eq!(rows[1], format!("0{},,", all(",0.5")));
        assert_eq!(rows[2], format!("1{},,", all(",")));
        assert_eq!(rows[3], format!("2{},0.25,", all(",")));
    }
}
