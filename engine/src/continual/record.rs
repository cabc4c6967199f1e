//! What an arm came to with a seed, and the numbers that are read off it.

use serde::Serialize;

use crate::figure::{gap, gaps};
use crate::metrics::{AccuracyMatrix, Traces};
use crate::tree::FromTree;

/// Accuracies at one moment of the stream.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Reading {
    /// Updates done.
    pub update: u64,
    /// Share correct, 0..=1, of each task; after a border also of the first task alone.
    #[serde(with = "gaps")]
    pub accuracy: Vec<f32>,
    /// How sharply the loss bends, at some moments after a border where that was asked for.
    pub sharpness: Option<Sharpness>,
}

/// The largest eigenvalues of the Hessian of the network's mean loss, on training examples of the task left at a border and of
/// the one begun there, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, FromTree)]
pub struct Sharpness {
    /// The eigenvalues.
    pub lambda: [f64; 2],
    /// An eigenvalue lies at most this far from each (the residual of its vector).
    pub error: [f64; 2],
    /// Examples of a task at most.
    pub examples: u32,
    /// Products of the Hessian with a vector that both took.
    pub products: u32,
}

/// What a strategy costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Cost {
    /// Numbers that are learned.
    pub parameters: u64,
    /// Bytes kept beside the network and its optimizer: examples, anchors, means.
    pub memory_bytes: u64,
    /// Examples among them.
    pub examples: u64,
    /// Floating-point operations of an update, by the plan of its step.
    pub flop: u64,
    /// Seconds so far.
    #[serde(with = "gap")]
    pub seconds: f64,
}

/// How far a layer went.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Moved {
    /// Path of the layer.
    pub layer: String,
    /// Distance from where it was, of the norm there.
    #[serde(with = "gap")]
    pub relative: f64,
}

/// What is seen at an evaluation of all tasks beside the accuracies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Insight {
    /// Updates done.
    pub update: u64,
    /// Test examples by true output (row) and answer (column).
    pub confusion: Vec<Vec<u32>>,
    /// Outputs of the task at hand then.
    pub recent: Vec<u32>,
    /// How far each layer's weights went in this task.
    pub moved: Vec<Moved>,
    /// How far what each layer yields for test examples of the first task went since that task ended; empty until then.
    pub drifted: Vec<Moved>,
}

/// What an arm came to with a seed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Record {
    /// Updates done when each task ended, ascending; also those to come.
    pub borders: Vec<u64>,
    /// Readings by ascending update; the first is of the untrained network.
    pub readings: Vec<Reading>,
    /// What was seen last.
    pub insight: Insight,
    /// What it costs.
    pub cost: Cost,
    /// Updates after which its numbers were no longer finite, if they were so; it ends there.
    pub diverged: Option<u64>,
}

/// The numbers of a record: accuracies as shares, NaN where the stream has not come that far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, FromTree)]
pub struct Summary {
    /// ACC: mean accuracy over all tasks after the last (GEM).
    #[serde(with = "gap")]
    pub acc: f64,
    /// BWT: what later tasks did to earlier ones (GEM).
    #[serde(with = "gap")]
    pub bwt: f64,
    /// FWT: what earlier tasks did for those to come, above the untrained network (GEM).
    #[serde(with = "gap")]
    pub fwt: f64,
    /// How far accuracies fell below their best (Chaudhry et al. 2018).
    #[serde(with = "gap")]
    pub forgetting: f64,
    /// The same with the last row among the best, as Mammoth counts.
    #[serde(with = "gap")]
    pub forgetting_mammoth: f64,
    /// Mean over all readings of the mean over the tasks begun (Caccia et al. 2020).
    #[serde(with = "gap")]
    pub anytime: f64,
    /// Worst-case accuracy (De Lange et al. 2023).
    #[serde(with = "gap")]
    pub worst_case: f64,
    /// How far the first task falls right after the first border (De Lange et al. 2023).
    #[serde(with = "gap")]
    pub gap: f64,
}

impl Summary {
    /// Names and values, in order.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, f64); 8] {
        [
            ("ACC", self.acc),
            ("BWT", self.bwt),
            ("FWT", self.fwt),
            ("forgetting", self.forgetting),
            ("forgetting (Mammoth)", self.forgetting_mammoth),
            ("anytime", self.anytime),
            ("worst case", self.worst_case),
            ("stability gap", self.gap),
        ]
    }
}

impl Record {
    /// Adds a reading, in place of one of the same update and, where readings were made of updates after it, of those.
    pub fn push(&mut self, reading: Reading) {
        let wide = |known: &Reading| known.update == reading.update && known.accuracy.len() > reading.accuracy.len();
        if !self.readings.last().is_some_and(wide) {
            self.readings.retain(|known| known.update < reading.update);
            self.readings.push(reading);
        }
    }

    /// Forgets what came after so many updates.
    pub fn rewind(&mut self, update: u64) {
        self.readings.retain(|reading| reading.update <= update);
        self.diverged = self.diverged.filter(|diverged| *diverged <= update);
    }

    /// Readings of all tasks.
    fn whole(&self) -> impl Iterator<Item = &Reading> {
        self.readings.iter().filter(|reading| reading.accuracy.len() == self.borders.len())
    }

    /// The rows of the accuracy matrix that are known: `R[i][j]`, accuracy on task j after task i, both from 0.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<f64>> {
        let at = |border: &u64| self.whole().find(|reading| reading.update == *border);
        self.borders.iter().map_while(at).map(wide).collect()
    }

    /// Accuracies of all tasks over time, the untrained network left out.
    #[must_use]
    pub fn traces(&self) -> Traces {
        let trained = self.whole().filter(|reading| reading.update > 0);
        Traces {
            borders: self.borders.clone(),
            readings: trained.map(|reading| (reading.update, wide(reading))).collect(),
        }
    }

    /// Its numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let matrix = AccuracyMatrix::new(self.rows()).filter(|matrix| matrix.tasks() == self.borders.len());
        let matrix = matrix.unwrap_or_default();
        let untrained = self.whole().find(|reading| reading.update == 0).map(wide).unwrap_or_default();
        let traces = self.traces();
        let ended = matrix.tasks() > 0;
        let first: Vec<(u64, Vec<f64>)> =
            self.readings.iter().map(|reading| (reading.update, wide(reading).into_iter().take(1).collect())).collect();
        // Readings one by one after the first border, before they come seldom again.
        let window = match self.borders[..] {
            [first, second, ..] => second - first,
            _ => 0,
        };
        let first = Traces { borders: self.borders.iter().take(1).copied().collect(), readings: first };
        Summary {
            acc: matrix.average(),
            bwt: matrix.backward_transfer(),
            fwt: matrix.forward_transfer(&untrained),
            forgetting: matrix.forgetting(),
            forgetting_mammoth: matrix.forgetting_mammoth(),
            anytime: traces.anytime(),
            worst_case: if ended { traces.worst_case() } else { f64::NAN },
            gap: first.stability_gap(0, window),
        }
    }
}

fn wide(reading: &Reading) -> Vec<f64> {
    reading.accuracy.iter().map(|&share| f64::from(share)).collect()
}
