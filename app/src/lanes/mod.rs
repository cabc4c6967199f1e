//! The four lanes of the lab: loss, accuracy, learning rate, batch size. They share one x axis and one cursor.

pub mod batch;
pub mod handle;
pub mod rate;
pub mod training;

use leptos::prelude::*;

use crate::state::{Lab, effective};

/// Name under which the lanes' cursors are synced.
pub const SYNC: &str = "lanes";

/// The last step on the x axis: of the recipe or of the longest run that is drawn.
pub fn last_step(lab: Lab) -> u64 {
    lab.tick.track();
    let current = lab.run.get();
    let longest = lab.series.with_value(|all| {
        lab.runs.with(|runs| {
            let drawn = runs.iter().filter(|run| run.overlay || run.id == current);
            drawn.filter_map(|run| all.get(&run.id)).map(|series| series.len() as u64).max()
        })
    });
    lab.spec.with(|spec| effective(spec).steps).max(longest.unwrap_or(0)).max(1)
}

/// Examples in the training set, as far as known.
pub fn examples(lab: Lab) -> usize {
    lab.card.with(|card| card.as_ref().map_or(1, |card| card.train.max(1)))
}

/// Steps at which a schedule is drawn: all of a short run, an even choice of a long one, and each change.
pub fn drawn_steps(last: u64, changes: &[u64]) -> Vec<u64> {
    let stride = (last / 1200).max(1);
    let mut steps: Vec<u64> = (0..=last).step_by(stride as usize).collect();
    for step in changes.iter().flat_map(|at| [at.saturating_sub(1), *at]).chain([last]).filter(|step| *step <= last) {
        if let Err(place) = steps.binary_search(&step) {
            steps.insert(place, step);
        }
    }
    steps
}

/// Tells the lab where the pointer is on the shared x axis.
pub fn share_cursor(lab: Lab) -> Callback<f64> {
    Callback::new(move |x: f64| {
        // Bits, because NaN stands for no pointer and is not equal to itself.
        if lab.cursor.get_untracked().to_bits() != x.to_bits() {
            lab.cursor.set(x);
        }
    })
}
