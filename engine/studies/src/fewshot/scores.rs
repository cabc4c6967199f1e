//! Methods over many tasks: accuracies, paired differences, what is confused.

use std::collections::BTreeMap;

use engine::fewshot::{Mean, Method, Score};
use engine::metrics::{Interval, paired_t};

/// Accuracies so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    methods: Vec<(Method, Vec<f64>, f64)>,
    /// Of the watched method, by true class: queries of each predicted class.
    confusion: BTreeMap<(u32, u32), usize>,
    /// Queries of a class in tasks that had the other class too.
    together: BTreeMap<(u32, u32), usize>,
    /// Right and all queries of each class.
    classes: BTreeMap<u32, [usize; 2]>,
}

impl Tally {
    /// For these methods.
    #[must_use]
    pub fn new(methods: &[Method]) -> Self {
        Self { methods: methods.iter().map(|&method| (method, Vec::new(), 0.0)).collect(), ..Self::default() }
    }

    /// Tasks done.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.methods.first().map_or(0, |(_, accuracies, _)| accuracies.len())
    }

    /// A method's accuracy on the next task, and what it took.
    pub fn add(&mut self, method: usize, accuracy: f64, milliseconds: f64) {
        if let Some((_, accuracies, spent)) = self.methods.get_mut(method) {
            accuracies.push(accuracy);
            *spent += milliseconds;
        }
    }

    /// The watched method's predictions in a task. `classes`: the task's, by place; `queries`: true and predicted place.
    pub fn watch(&mut self, classes: &[u32], queries: impl Iterator<Item = (usize, usize)>) {
        for (truth, predicted) in queries {
            let of = self.classes.entry(classes[truth]).or_default();
            of[0] += usize::from(truth == predicted);
            of[1] += 1;
            for (place, &other) in classes.iter().enumerate() {
                if place != truth {
                    *self.together.entry((classes[truth], other)).or_default() += 1;
                }
            }
            if truth != predicted {
                *self.confusion.entry((classes[truth], classes[predicted])).or_default() += 1;
            }
        }
    }

    /// By method.
    #[must_use]
    pub fn scores(&self) -> Vec<Score> {
        let first = self.methods.first().map(|(_, accuracies, _)| accuracies.as_slice()).unwrap_or_default();
        let row = |(place, (method, accuracies, spent)): (usize, &(Method, Vec<f64>, f64))| {
            let apart: Vec<f64> = accuracies.iter().zip(first).map(|(a, b)| a - b).collect();
            Score {
                method: *method,
                accuracy: mean(accuracies),
                difference: mean(&apart),
                p: if place == 0 { f64::NAN } else { paired_t(&apart).p },
                milliseconds: spent / accuracies.len().max(1) as f64,
            }
        };
        self.methods.iter().enumerate().map(row).collect()
    }

    /// Most confused pairs: true class, predicted class, how often, of how many.
    #[must_use]
    pub fn confused(&self, most: usize) -> Vec<(u32, u32, usize, usize)> {
        let of = |pair: &(u32, u32)| self.together.get(pair).copied().unwrap_or(0);
        let mut pairs: Vec<_> = self.confusion.iter().map(|(pair, &count)| (pair.0, pair.1, count, of(pair))).collect();
        pairs.sort_by_key(|&(truth, predicted, count, _)| (usize::MAX - count, truth, predicted));
        pairs.truncate(most);
        pairs
    }

    /// Classes that are right least: class, share, queries.
    #[must_use]
    pub fn hardest(&self, most: usize) -> Vec<(u32, f64, usize)> {
        let mut classes: Vec<(u32, f64, usize)> =
            self.classes.iter().map(|(&class, &[right, all])| (class, right as f64 / all.max(1) as f64, all)).collect();
        classes.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)));
        classes.truncate(most);
        classes
    }
}

/// With its 95% interval.
#[must_use]
pub fn mean(values: &[f64]) -> Mean {
    let Interval { mean, half } = Interval::of(values, 0.95);
    Mean { mean, half }
}
