//! What a run's updates say about it: whether it trained, how well, and when it was there.

use std::collections::VecDeque;

use super::Outcome;
use crate::train::StepMetrics;

/// Examples in the running mean of the training loss: the same number for every batch size, so that its scatter is too.
const WINDOW: u64 = 256;

/// Follows a run's training loss.
pub struct Meter {
    start: f64,
    target: f64,
    /// First update of the last tenth.
    tail: u64,
    tail_sum: f64,
    tail_count: u64,
    /// Loss and examples of the newest updates.
    window: VecDeque<(f64, u64)>,
    held: u64,
    /// First update of the present stretch in which the running mean is not below `start`.
    above: Option<u64>,
    broken: Option<u64>,
    /// See [`Outcome::reached`].
    pub reached: Option<(u64, u64)>,
    /// Updates taken in.
    pub updates: u64,
    /// Examples in them.
    pub examples: u64,
}

impl Meter {
    /// For a run of `steps` updates from a network whose loss is `start`.
    pub fn new(start: f64, target: f64, steps: u64) -> Self {
        Self {
            start,
            target,
            tail: steps - (steps / 10).max(1).min(steps),
            tail_sum: 0.0,
            tail_count: 0,
            window: VecDeque::new(),
            held: 0,
            above: None,
            broken: None,
            reached: None,
            updates: 0,
            examples: 0,
        }
    }

    /// Takes the next update in; `false` if its numbers are not finite, after which nothing can follow.
    pub fn take(&mut self, step: &StepMetrics) -> bool {
        if !step.is_finite() {
            self.broken = Some(step.step);
            return false;
        }
        let (loss, batch) = (f64::from(step.loss), step.batch as u64);
        self.updates = step.step + 1;
        self.examples += batch;
        if step.step >= self.tail {
            self.tail_sum += loss;
            self.tail_count += 1;
        }
        self.window.push_back((loss, batch));
        self.held += batch;
        while let Some(&(_, oldest)) = self.window.front()
            && self.held - oldest >= WINDOW
        {
            self.window.pop_front();
            self.held -= oldest;
        }
        // Summed anew each time: a sum that is kept up to date would carry the rounding of every spike for ever.
        let mean = self.window.iter().map(|(loss, batch)| loss * *batch as f64).sum::<f64>() / self.held as f64;
        if mean < self.start {
            self.above = None;
        } else if self.above.is_none() {
            self.above = Some(step.step);
        }
        if self.reached.is_none() && self.held >= WINDOW && mean <= self.target {
            self.reached = Some((self.updates, self.examples));
        }
        true
    }

    /// Mean loss of the last tenth; NaN if the run did not get there.
    pub fn loss(&self) -> f64 {
        if self.broken.is_some() || self.tail_count == 0 { f64::NAN } else { self.tail_sum / self.tail_count as f64 }
    }

    /// What the run came to. `test`: its loss and accuracy on the test set at the end.
    pub fn outcome(&self, test: (f64, Option<f64>), seconds: f64) -> Outcome {
        Outcome {
            start: self.start,
            loss: self.loss(),
            test_loss: test.0,
            accuracy: test.1,
            diverged: self.diverged(),
            reached: self.reached,
            updates: self.updates,
            examples: self.examples,
            seconds,
        }
    }

    /// The update from which on the run did not train, if it did not.
    pub fn diverged(&self) -> Option<u64> {
        let untrained = self.loss() >= self.start;
        self.broken.or_else(|| untrained.then(|| self.above.unwrap_or(self.tail)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(losses: &[f32], batch: usize, target: f64) -> Meter {
        let mut meter = Meter::new(2.0, target, losses.len() as u64);
        for (step, &loss) in (0..).zip(losses) {
            let metrics = StepMetrics { step, loss, accuracy: 0.0, grad_norm: 1.0, lr: 0.1, momentum: 0.0, batch };
            if !meter.take(&metrics) {
                break;
            }
        }
        meter
    }

    #[test]
    fn a_run_that_trains_ends_at_the_mean_of_its_last_tenth() {
        let losses: Vec<f32> = (0..40).map(|i| 2.0 - i as f32 / 32.0).collect();
        let meter = meter(&losses, 256, 1.5);
        let tail = losses[36..].iter().map(|&loss| f64::from(loss)).sum::<f64>() / 4.0;
        assert_eq!(meter.loss(), tail);
        assert_eq!(meter.diverged(), None);
        // The first loss of at most 1.5 is that of update 16.
        assert_eq!(meter.reached, Some((17, 17 * 256)));
    }

    #[test]
    fn small_batches_are_judged_by_as_many_examples() {
        // Single examples are often right by chance; 256 of them together are not.
        let losses: Vec<f32> = (0..2000).map(|i| if i % 2 == 0 { 0.0 } else { 2.0 }).collect();
        assert_eq!(meter(&losses, 1, 0.5).reached, None);
        assert_eq!(meter(&losses, 1, 1.0).reached, Some((256, 256)));
    }

    #[test]
    fn divergence_is_dated_from_the_last_good_update() {
        let mut losses = vec![1.0; 60];
        losses[10..20].fill(5.0);
        assert_eq!(meter(&losses, 256, 0.0).diverged(), None, "a run that comes back has trained");
        losses[30..].fill(5.0);
        assert_eq!(meter(&losses, 256, 0.0).diverged(), Some(30));
        losses[12] = f32::NAN;
        let broken = meter(&losses, 256, 0.0);
        assert_eq!(broken.diverged(), Some(12));
        assert!(broken.loss().is_nan());
        assert_eq!(broken.updates, 12);
    }

    #[test]
    fn a_spike_leaves_no_trace_in_the_running_mean() {
        let mut losses = vec![1.0; 900];
        losses[100] = 1e30;
        assert_eq!(meter(&losses, 1, 1.0).reached, Some((357, 357)));
    }

    #[test]
    fn runs_of_one_step_are_defined() {
        let meter = meter(&[1.5], 8, 1.0);
        assert_eq!((meter.loss(), meter.diverged(), meter.reached), (1.5, None, None));
    }
}
