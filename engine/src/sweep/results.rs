//! What trials came to, and the table of them.

use serde::Serialize;

use super::Sweep;
use crate::decimal::plain;
use crate::figure::{Csv, gap};
use crate::spec::{Link, Page};
use crate::tree::FromTree;

/// What one run came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, FromTree)]
pub struct Outcome {
    /// Test loss of the untrained network, above which a run counts as diverged.
    #[serde(with = "gap")]
    pub start: f64,
    /// Mean training loss of the last tenth of the updates; NaN where numbers were no longer finite.
    #[serde(with = "gap")]
    pub loss: f64,
    /// Test loss at the end.
    #[serde(with = "gap")]
    pub test_loss: f64,
    /// Share of the test set that is classified correctly; none where there are no classes.
    pub accuracy: Option<f64>,
    /// The update from which on the loss was not finite, or never again below that of the untrained network; none if it
    /// trained.
    pub diverged: Option<u64>,
    /// Updates and examples until the running mean of the training loss was at the target; none if it never was.
    pub reached: Option<(u64, u64)>,
    /// Updates done.
    pub updates: u64,
    /// Examples seen.
    pub examples: u64,
    /// How long it took; the one number that differs from machine to machine.
    pub seconds: f64,
}

/// Outcomes so far, by trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct Results {
    /// The finished trials' outcomes at their places.
    pub outcomes: Vec<Option<Outcome>>,
}

impl Results {
    /// Nothing yet.
    #[must_use]
    pub fn new(sweep: &Sweep) -> Self {
        Self { outcomes: vec![None; sweep.trials()] }
    }

    /// Trials finished.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.outcomes.iter().flatten().count()
    }

    /// Trials that can run and have not, in the order in which they should.
    #[must_use]
    pub fn missing(&self, sweep: &Sweep) -> Vec<usize> {
        let open = |trial: &usize| matches!(self.outcomes.get(*trial), Some(None)) && sweep.spec(*trial).is_ok();
        sweep.order().into_iter().filter(open).collect()
    }

    /// Takes an outcome in; one of no trial is dropped.
    pub fn take(&mut self, trial: usize, outcome: Outcome) {
        if let Some(place) = self.outcomes.get_mut(trial) {
            *place = Some(outcome);
        }
    }

    /// The finished outcomes of a cell, a seed each; none unless all its seeds have finished.
    #[must_use]
    pub fn cell(&self, sweep: &Sweep, cell: usize) -> Option<Vec<Outcome>> {
        let cells = self.cells(sweep);
        (0..sweep.seeds as usize).map(|seed| self.outcomes.get(seed * cells + cell).copied().flatten()).collect()
    }

    /// Cells of the grid, as many as have a place here for each seed.
    #[must_use]
    pub fn cells(&self, sweep: &Sweep) -> usize {
        (self.outcomes.len() / sweep.seeds.max(1) as usize).max(1)
    }

    /// One row a finished trial (RFC 4180): the two varied fields, seed, numbers, and the link of its run. Numbers that do
    /// not exist are empty.
    #[must_use]
    pub fn to_csv(&self, sweep: &Sweep) -> String {
        let mut csv = Csv::default();
        csv.row(
            &[sweep.x.path.as_str(), sweep.y.path.as_str(), "seed", "loss", "test_loss", "accuracy", "diverged_at"]
                .into_iter()
                .chain(["target_updates", "target_examples", "updates", "examples", "seconds", "link"])
                .collect::<Vec<_>>(),
        );
        let number = |value: f64| if value.is_finite() { plain(value) } else { String::new() };
        let whole = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        for (trial, outcome) in self.outcomes.iter().enumerate() {
            let (Some(outcome), Ok(spec)) = (outcome, sweep.spec(trial)) else { continue };
            let [x, y] = sweep.values(trial).unwrap_or_default();
            csv.row(&[
                x,
                y,
                spec.seed.to_string(),
                number(outcome.loss),
                number(outcome.test_loss),
                outcome.accuracy.map_or_else(String::new, number),
                whole(outcome.diverged),
                whole(outcome.reached.map(|reached| reached.0)),
                whole(outcome.reached.map(|reached| reached.1)),
                outcome.updates.to_string(),
                outcome.examples.to_string(),
                number(outcome.seconds),
                run_link(sweep, spec).fragment(),
            ]);
        }
        csv.text
    }
}

/// The link of a cell's run in the lab.
fn run_link(sweep: &Sweep, spec: crate::spec::RunSpec) -> Link {
    Link { preset: sweep.preset.clone(), spec, ..Link::to_page(Page::Lab, Vec::new()) }
}

impl Sweep {
    /// The link that opens a trial as a run in the lab; none where there can be no run.
    #[must_use]
    pub fn run_link(&self, trial: usize) -> Option<String> {
        self.spec(trial).ok().map(|spec| run_link(self, spec).fragment())
    }
}
