//! The learning rate: the whole schedule drawn ahead, a playhead on it, and points to drag. Dragged while the run goes
//! on, they change what is still to come.

use engine::figure::{Axis, Dash, Figure, Mark, Role};
use engine::spec::{Edit, EffectiveSchedule, RunSpec, ScheduleSpec, Shape};
use leptos::prelude::*;
use serde_json::json;

use super::handle::{Handle, Place};
use super::{SYNC, drawn_steps, examples, last_step, share_cursor};
use crate::controls::field::written;
use crate::figure::chart::{ChartRef, LineChart, Lines};
use crate::figure::frame::{Caption, FigureFrame, LogAxes};
use crate::state::{Lab, Run, effective};
use crate::text::number;

/// Settings that handles change, as they would be written in a link.
type Draft = Vec<(&'static str, String)>;

/// The recipe with a draft: in mid-run as edits of the next step, else as the recipe itself.
fn drafted(lab: Lab, draft: &Draft) -> RunSpec {
    let mut spec = lab.spec.get();
    let begun = lab.current(Run::begun).unwrap_or(false);
    for (path, value) in draft {
        if begun {
            spec.edits.push(Edit { step: lab.step(), path: (*path).into(), value: value.clone() });
        } else {
            // A value out of range is refused when it is set for good.
            let _ = spec.set(path, value);
        }
    }
    spec
}

/// The schedule over the steps, as drawn.
fn curve(spec: &RunSpec, last: u64, all: usize) -> Vec<[f64; 2]> {
    let changes: Vec<u64> = spec.edits.iter().map(|edit| edit.step).chain([spec.schedule.warmup]).collect();
    let schedule = EffectiveSchedule::new(spec, all);
    let end = schedule.steps().min(last);
    let point = |step: u64| [step as f64, schedule.lr(step.min(end.saturating_sub(1)))];
    let steps = drawn_steps(end, &changes);
    steps.into_iter().map(point).collect()
}

/// Two significant digits: as fine as a hand is.
fn rounded(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let scale = 10f64.powi(1 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

/// The lane.
#[component]
pub fn RateLane() -> impl IntoView {
    let lab = Lab::of();
    let log = RwSignal::new([false; 2]);
    let draft = RwSignal::new(Draft::new());
    let layout = RwSignal::new(0_u32);
    let chart = ChartRef::new();
    let last = Memo::new(move |_| last_step(lab));
    let spec = Memo::new(move |_| draft.with(|draft| drafted(lab, draft)));
    let now = Memo::new(move |_| spec.with(effective));
    let all = Memo::new(move |_| examples(lab));
    let points = Memo::new(move |_| spec.with(|spec| curve(spec, last.get(), all.get())));
    let lines = Signal::derive(move || {
        let points = points.get();
        let mut x: Vec<f64> = points.iter().map(|[x, _]| *x).collect();
        let mut y: Vec<f64> = points.iter().map(|[_, y]| *y).collect();
        let last = last.get() as f64;
        if x.last().is_none_or(|x| *x < last) {
            x.push(last);
            y.push(f64::NAN);
        }
        let [log_x, log_y] = log.get();
        let top = y.iter().copied().filter(|rate| rate.is_finite()).fold(now.with(|spec| spec.schedule.peak), f64::max);
        // Room above the highest point, so that it can be dragged up.
        let range = (!log_y && top > 0.0).then_some([0.0, top * 1.18]);
        let spec = json!({
            "x": { "log": log_x },
            "y": { "log": log_y, "range": range },
            "lines": [{ "name": "learning rate", "tone": "--c-rate", "dash": "solid", "width": 1.8, "area": !log_y }],
            "sync": SYNC,
        });
        Lines { spec, columns: vec![x, y] }
    });
    let begun = move || lab.current(Run::begun).unwrap_or(false);
    let playhead = Signal::derive(move || lab.step() as f64);
    let caption = Signal::derive(move || {
        let cursor = lab.cursor.get();
        let at = if cursor.is_finite() { cursor as u64 } else { lab.step() };
        let rate = spec.with(|spec| {
            let schedule = EffectiveSchedule::new(spec, all.get());
            schedule.lr(at.min(schedule.steps().saturating_sub(1)))
        });
        let value = if cursor.is_finite() { format!("{} at {at}", number(rate)) } else { number(rate) };
        let meaning =
            if begun() { "drag a point: what is still to come follows" } else { "the whole schedule; drag its points" };
        let alt = format!("Learning rate over steps, {value} now.");
        Caption { title: "Learning rate".into(), value, meaning: meaning.into(), alt, keys: Vec::new() }
    });
    let export = Callback::new(move |()| Figure {
        id: "learning-rate".into(),
        title: "Learning rate".into(),
        x: Axis { label: "step".into(), ..Axis::default() },
        y: Axis { label: "learning rate".into(), ..Axis::default() },
        marks: vec![Mark::Line {
            name: "learning rate".into(),
            role: Role::Lr,
            dash: Dash::Solid,
            points: points.get_untracked(),
            band: Vec::new(),
        }],
        ..Figure::default()
    });
    let cursor = share_cursor(lab);
    let drop = Callback::new(move |()| {
        for (path, value) in draft.get_untracked() {
            lab.set(path, &value);
        }
        draft.set(Draft::new());
    });
    let schedule = move || now.with_untracked(|spec| (spec.schedule.clone(), spec.steps));

    // Peak and end of the warm-up are one point. Once the run has passed it, the point stands on the playhead and scales
    // what is still to come.
    let passed = move || begun() && now.with_untracked(|spec| lab.step() > spec.schedule.warmup);
    let rate_now = move || {
        spec.with(|spec| {
            let schedule = EffectiveSchedule::new(spec, all.get());
            schedule.lr(lab.step().min(schedule.steps().saturating_sub(1)))
        })
    };
    let peak_place = Signal::derive(move || {
        let step = if begun() { lab.step() } else { 0 };
        let rate = rate_now();
        now.with(|spec| {
            let ScheduleSpec { peak, warmup, .. } = spec.schedule;
            let text = format!("{} after {warmup} steps of warm-up", number(peak));
            if step > warmup {
                Place { x: step as f64, y: rate, free: step < spec.steps && rate > 0.0, text }
            } else {
                Place { x: warmup.min(spec.steps) as f64, y: peak, free: true, text }
            }
        })
    });
    let set_peak = move |x: f64, y: f64| {
        let (known, steps) = schedule();
        let y = y.max(0.0);
        if passed() {
            let rate = untrack(rate_now);
            if rate > 0.0 {
                draft.set(vec![("schedule.peak", written(rounded(known.peak * y / rate)))]);
            }
            return;
        }
        let from = if begun() { lab.step() } else { 0 };
        let warmup = (x.round().max(0.0) as u64).clamp(from.min(steps), steps);
        draft.set(vec![("schedule.peak", written(rounded(y))), ("schedule.warmup", warmup.to_string())]);
    };
    let nudge_peak = Callback::new(move |[x, y]: [f64; 2]| {
        let (known, steps) = schedule();
        let warmup = known.warmup as f64 + x * (steps as f64 / 100.0).max(1.0);
        set_peak(
            warmup,
            known.peak
                * if y > 0.0 {
                    1.1
                } else if y < 0.0 {
                    1.0 / 1.1
                } else {
                    1.0
                },
        );
    });

    let decay_place = Signal::derive(move || {
        let step = lab.step();
        now.with(|spec| {
            let start = spec.schedule.decay_start(spec.steps);
            let free = spec.schedule.kind == Shape::Wsd && !(begun() && step > start);
            Place { x: start as f64, y: spec.schedule.peak, free, text: format!("decay from step {start}") }
        })
    });
    let set_decay = move |x: f64| {
        let (known, steps) = schedule();
        let from = if begun() { lab.step() } else { known.warmup };
        let start = (x.round().max(0.0) as u64).clamp(from.min(steps), steps);
        draft.set(vec![("schedule.decay", (steps - start).to_string())]);
    };
    let nudge_decay = Callback::new(move |[x, _]: [f64; 2]| {
        let (known, steps) = schedule();
        set_decay(known.decay_start(steps) as f64 + x * (steps as f64 / 100.0).max(1.0));
    });

    let floor_place = Signal::derive(move || {
        now.with(|spec| {
            let ScheduleSpec { peak, floor, kind, .. } = spec.schedule;
            let free = kind != Shape::Constant && lab.step() < spec.steps;
            Place {
                x: spec.steps as f64,
                y: peak * floor,
                free,
                text: format!("ends at {} of the peak", number(floor)),
            }
        })
    });
    let set_floor = move |y: f64| {
        let (known, _) = schedule();
        let floor = if known.peak > 0.0 { (y / known.peak).clamp(0.0, 1.0) } else { 0.0 };
        draft.set(vec![("schedule.floor", written((floor * 100.0).round() / 100.0))]);
    };
    let nudge_floor = Callback::new(move |[_, y]: [f64; 2]| {
        let (known, _) = schedule();
        set_floor(known.peak * (known.floor + 0.05 * y));
    });
    let shape = Memo::new(move |_| now.with(|spec| spec.schedule.kind));
    view! {
        <FigureFrame
            id="learning-rate"
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
                    playhead
                />
                <Handle
                    chart layout place=peak_place label="Peak and warm-up" drop nudge=nudge_peak
                    drag=Callback::new(move |[x, y]: [f64; 2]| set_peak(x, y))
                />
                {move || (shape.get() == Shape::Wsd).then(|| view! {
                    <Handle
                        chart layout place=decay_place label="Start of the decay" drop nudge=nudge_decay
                        drag=Callback::new(move |[x, _]: [f64; 2]| set_decay(x))
                    />
                })}
                {move || (shape.get() != Shape::Constant).then(|| view! {
                    <Handle
                        chart layout place=floor_place label="Learning rate at the end" drop nudge=nudge_floor
                        drag=Callback::new(move |[_, y]: [f64; 2]| set_floor(y))
                    />
                })}
            </div>
        </FigureFrame>
    }
    .into_any()
}
