//! Arms: the training runs that a study compares, with their branches.

use std::rc::Rc;

use engine::data::Data;
use engine::data::sampler::Sampler;
use engine::spec::{RunSpec, ScheduleSpec};

use super::Label;
use super::gauges::Gauge;

/// A training run that a study compares with others.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Its name in figures.
    pub label: Label,
    /// What runs; the seed is the study's.
    pub spec: RunSpec,
    /// At most so many of the study's seeds.
    pub seeds: usize,
    /// Evenly spaced evaluations of it, and as many of each branch; at least one, at the end.
    pub readings: u64,
    /// Updates after which it and its branches are evaluated, beside the evenly spaced ones.
    pub reads: Vec<u64>,
    /// What is measured beside losses and accuracies.
    pub gauges: Vec<Box<dyn Gauge>>,
    /// Copies that leave it on the way, by ascending step.
    pub branches: Vec<Branch>,
}

/// A copy of a run that leaves it and goes on by a schedule of its own, as an arm of its own: a checkpoint that is decayed,
/// while the main line goes on undecayed.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Its name in figures.
    pub label: Label,
    /// Updates of the main line that it shares.
    pub at: u64,
    /// Its learning rate, over the steps of the whole run.
    pub schedule: ScheduleSpec,
    /// Updates of the whole run, those that it shares included.
    pub steps: u64,
}

/// Examples of a study's own making, in place of those that an arm's spec names.
pub struct Source {
    /// The table.
    pub data: Rc<Data>,
    /// Which rows a step sees.
    pub sampler: Box<dyn Sampler>,
    /// What the run is evaluated on.
    pub tests: Vec<TestSet>,
}

/// Held-out rows that a run is evaluated on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestSet {
    /// Which of several it is; its curves are [`Curve::of`] it.
    pub which: Option<u64>,
    /// Table rows.
    pub rows: Vec<u32>,
}

impl Arm {
    /// An arm that runs with every seed.
    #[must_use]
    pub fn new(label: Label, spec: RunSpec) -> Self {
        Self { label, spec, seeds: usize::MAX, readings: READINGS, reads: vec![], gauges: vec![], branches: vec![] }
    }

    /// Its label, and those of its branches.
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        [&self.label].into_iter().chain(self.branches.iter().map(|branch| &branch.label)).cloned().collect()
    }

    /// Updates of the run and of its branches.
    #[must_use]
    pub fn updates(&self) -> u64 {
        let aside = |branch: &Branch| branch.steps.saturating_sub(branch.at);
        self.spec.steps + self.branches.iter().map(aside).sum::<u64>()
    }

    /// Updates after which the run stops to be evaluated or to let a branch go.
    #[must_use]
    pub fn stops(&self) -> Vec<u64> {
        let mut wanted = self.reads.clone();
        wanted.extend(self.branches.iter().map(|branch| branch.at));
        stops(0, self.spec.steps, self.readings, &wanted)
    }

    /// Updates after which a branch stops to be evaluated.
    #[must_use]
    pub fn stops_of(&self, branch: &Branch) -> Vec<u64> {
        let mut stops = stops(branch.at, branch.steps, self.readings, &self.reads);
        stops.retain(|&stop| stop > branch.at);
        stops
    }
}

/// Evenly spaced evaluations of a run unless it asks for others.
const READINGS: u64 = 12;

/// Where a run from update `from` to update `to` stops: `readings` times on the way, at its end, and where it is `wanted`.
fn stops(from: u64, to: u64, readings: u64, wanted: &[u64]) -> Vec<u64> {
    let every = to.saturating_sub(from).div_ceil(readings.max(1)).max(1);
    let mut stops: Vec<u64> = (from..to).step_by(every as usize).skip(1).chain([to]).collect();
    stops.extend(wanted.iter().filter(|&&stop| stop >= from && stop <= to));
    stops.sort_unstable();
    stops.dedup();
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stops_evenly_and_where_it_is_wanted() {
        assert_eq!(stops(0, 30, 12, &[]), [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]);
        assert_eq!(stops(0, 24, 12, &[5, 24, 7, 99]), [2, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24]);
        assert_eq!(stops(90, 100, 12, &[]), [91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
        assert_eq!(stops(0, 30, 0, &[7]), [7, 30]);
        assert_eq!(stops(5, 5, 12, &[]), [5]);
    }

    #[test]
    fn branches_are_arms_and_cost_their_own_updates() {
        let branch =
            |id: &str, at, steps| Branch { label: Label::new(id, id), at, schedule: ScheduleSpec::default(), steps };
        let spec = RunSpec { steps: 1800, ..RunSpec::default() };
        let branches = vec![branch("b1", 450, 500), branch("b2", 900, 1000), branch("b3", 1800, 2000)];
        let arm = Arm { branches, ..Arm::new(Label::new("b", "main"), spec) };
        assert_eq!(arm.updates(), 2150);
        assert_eq!(arm.labels().iter().map(|label| label.id.as_str()).collect::<Vec<_>>(), ["b", "b1", "b2", "b3"]);
        assert!([450, 900, 1800].iter().all(|at| arm.stops().contains(at)));
    }
}
