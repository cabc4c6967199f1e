//! The four lanes of the lab: loss, accuracy, learning rate, batch size. They share one x axis and one cursor.

pub mod batch;
pub mod handle;
pub mod plan;
pub mod rate;
pub mod steps;
pub mod training;

use engine::tree::{self, Value, object};
use leptos::prelude::*;

use crate::state::{Lab, effective};
use steps::Steps;

/// Name under which the lanes' cursors are synced.
const SYNC: &str = "lanes";

/// The last step on the x axis: of the recipe or of the longest run that is drawn.
fn last_step(lab: Lab) -> u64 {
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

/// The x axis of a lane.
#[derive(Clone, PartialEq)]
struct XAxis {
    /// Its steps.
    steps: Steps,
    /// Its ends, where a hand has zoomed in.
    zoom: Option<[u64; 2]>,
    log: bool,
}

impl XAxis {
    /// The axis as it is now, logarithmic if `log`.
    fn of(lab: Lab, log: bool) -> Self {
        let whole = [0, last_step(lab)];
        let run = lab.run.get();
        let zoom = lab.zoom.get().filter(|(of, _)| *of == run).map(|(_, shown)| shown);
        Self { steps: Steps::new(zoom.unwrap_or(whole), log), zoom, log }
    }

    /// As `js/chart.js` takes it.
    fn json(&self) -> Value {
        let low = u64::from(self.log);
        let range = self.zoom.map(|ends| ends.map(|end| end.max(low)));
        object(vec![("log", self.log.into()), ("range", tree::of(&range))])
    }
}

/// A line of a lane as `js/chart.js` takes it, with what sets its kind apart: "area", "sparse" or "steps".
fn line(name: &str, tone: &str, dash: &str, width: f64, (kind, on): (&str, bool)) -> Value {
    object(vec![
        ("name", name.into()),
        ("tone", tone.into()),
        ("dash", dash.into()),
        ("width", width.into()),
        (kind, on.into()),
    ])
}

/// Tells the lab where the pointer is on the shared x axis.
fn share_cursor(lab: Lab) -> Callback<f64> {
    Callback::new(move |x: f64| {
        // Bits, because NaN stands for no pointer and is not equal to itself.
        if lab.cursor.get_untracked().to_bits() != x.to_bits() {
            lab.cursor.set(x);
        }
    })
}

/// Tells the lab which part of the shared x axis a hand has chosen; NaN = all of it.
fn share_zoom(lab: Lab) -> Callback<[f64; 2]> {
    Callback::new(move |[low, high]: [f64; 2]| {
        // Casts saturate.
        let shown = [low.floor() as u64, high.ceil() as u64];
        lab.zoom.set((low < high).then_some((lab.run.get_untracked(), shown)));
    })
}
