//! The batch size over the run. Its point stands where the run is: dragged, it changes the batches to come.

use engine::figure::{Axis, Dash, Figure, Mark, Role};
use engine::spec::{Edit, EffectiveSchedule, RunSpec};
use leptos::prelude::*;
use serde_json::json;

use super::handle::{Handle, Place};
use super::{SYNC, examples, last_step, share_cursor};
use crate::figure::chart::{ChartRef, LineChart, Lines};
use crate::figure::frame::{Caption, FigureFrame, LogAxes};
use crate::state::{Lab, Run};
use crate::text::whole;

/// Batch sizes a hand can pick: powers of two and their halves between.
fn nice(value: f64) -> u64 {
    let value = value.clamp(1.0, 1e6);
    let power = 2f64.powf(value.log2().floor());
    let picked = [power, power * 1.5, power * 2.0].into_iter().min_by(|a, b| {
        let away = |candidate: &f64| (candidate / value).ln().abs();
        away(a).total_cmp(&away(b))
    });
    picked.unwrap_or(power).round() as u64
}

/// Corners of the staircase up to `last`. `all`: examples in the whole training set, which size 0 stands for.
fn stairs(spec: &RunSpec, last: u64, all: usize) -> Vec<[f64; 2]> {
    let schedule = EffectiveSchedule::new(spec, all);
    // Edits are by ascending step.
    let edits = spec.edits.iter().map(|edit| edit.step).filter(|step| *step < last);
    let mut steps: Vec<u64> = std::iter::once(0).chain(edits).chain([last]).collect();
    steps.dedup();
    steps.into_iter().map(|step| [step as f64, schedule.batch(step) as f64]).collect()
}

/// The lane.
#[component]
pub fn BatchLane() -> impl IntoView {
    let lab = Lab::of();
    let log = RwSignal::new([false, true]);
    let draft = RwSignal::new(None::<u64>);
    let layout = RwSignal::new(0_u32);
    let chart = ChartRef::new();
    let last = Memo::new(move |_| last_step(lab));
    let begun = move || lab.current(Run::begun).unwrap_or(false);
    let all = Memo::new(move |_| examples(lab));
    let spec = Memo::new(move |_| {
        let mut spec = lab.spec.get();
        if let Some(size) = draft.get() {
            if begun() {
                spec.edits.push(Edit { step: lab.step(), path: "batch.size".into(), value: size.to_string() });
            } else {
                spec.batch.size = size as usize;
            }
        }
        spec
    });
    let points = Memo::new(move |_| spec.with(|spec| stairs(spec, last.get(), all.get())));
    let at_step = move |step: u64| spec.with(|spec| EffectiveSchedule::new(spec, all.get()).batch(step) as u64);
    let lines = Signal::derive(move || {
        let points = points.get();
        let [log_x, log_y] = log.get();
        let most = points.iter().map(|[_, y]| *y).fold(1.0, f64::max);
        let least = points.iter().map(|[_, y]| *y).fold(f64::INFINITY, f64::min);
        // Room to drag up and down by a factor of four.
        let range = if log_y { [(least / 4.0).max(0.5), most * 4.0] } else { [0.0, most * 1.6] };
        let spec = json!({
            "x": { "log": log_x },
            "y": { "log": if log_y { 2 } else { 0 }, "range": range },
            "lines": [{ "name": "batch size", "tone": "--c-batch", "dash": "solid", "width": 1.8, "steps": true }],
            "sync": SYNC,
        });
        Lines {
            spec,
            columns: vec![points.iter().map(|[x, _]| *x).collect(), points.iter().map(|[_, y]| *y).collect()],
        }
    });
    let caption = Signal::derive(move || {
        let cursor = lab.cursor.get();
        let step = if cursor.is_finite() { cursor as u64 } else { lab.step() };
        let size = whole(at_step(step));
        let value = if cursor.is_finite() { format!("{size} at {step}") } else { size };
        Caption {
            title: "Batch size".into(),
            alt: format!("Examples in a batch over steps, {value} now."),
            value,
            meaning: "examples a step averages over; drag".into(),
            keys: Vec::new(),
        }
    });
    let export = Callback::new(move |()| Figure {
        id: "batch-size".into(),
        title: "Batch size".into(),
        x: Axis { label: "step".into(), ..Axis::default() },
        y: Axis { label: "examples".into(), ..Axis::default() },
        marks: vec![Mark::Line {
            name: "batch size".into(),
            role: Role::Batch,
            dash: Dash::Solid,
            points: points.get_untracked(),
            band: Vec::new(),
        }],
        ..Figure::default()
    });
    let cursor = share_cursor(lab);
    let place = Signal::derive(move || {
        let step = if begun() { lab.step() } else { 0 };
        let size = at_step(step);
        let steps = spec.with(|spec| EffectiveSchedule::new(spec, 0).steps());
        Place { x: step as f64, y: size as f64, free: step < steps, text: format!("{} examples", whole(size)) }
    });
    let drop = Callback::new(move |()| {
        if let Some(size) = draft.get_untracked() {
            lab.set("batch.size", &size.to_string());
        }
        draft.set(None);
    });
    let nudge = Callback::new(move |[x, y]: [f64; 2]| {
        let size = place.get_untracked().y * 2f64.powf(x + y);
        draft.set(Some(size.round().clamp(1.0, 1e6) as u64));
    });
    view! {
        <FigureFrame
            id="batch-size"
            class="lane"
            caption
            log=LogAxes { on: log, offered: Signal::stored([true, true]) }
            export
        >
            <div class="plot stack">
                <LineChart
                    lines
                    chart
                    cursor
                    layout=Callback::new(move |()| layout.update(|n| *n = n.wrapping_add(1)))
                    playhead=Signal::derive(move || lab.step() as f64)
                />
                <Handle
                    chart layout place label="Batch size from here" class="batch" drop nudge
                    drag=Callback::new(move |[_, y]: [f64; 2]| draft.set(Some(nice(y))))
                />
            </div>
        </FigureFrame>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::nice;

    #[test]
    fn a_hand_picks_powers_of_two_and_halves_between() {
        assert_eq!(nice(63.0), 64);
        assert_eq!(nice(97.0), 96);
        assert_eq!(nice(0.2), 1);
        assert_eq!(nice(1.4), 2);
    }
}
