//! The learning rate: the whole schedule drawn ahead, a playhead on it, and points to drag. Dragged while the run goes
//! on, they change what is still to come.

use std::sync::Arc;

use engine::figure::{Axis, Dash, Figure, Mark, Role};
use engine::spec::{Edit, EffectiveSchedule, Handle as Point, Turns};
use leptos::prelude::*;
use serde_json::json;

use super::handle::{Handle, Place};
use super::plan::{Draft, PlanLane};
use super::steps::Steps;
use super::{SYNC, XAxis, examples};
use crate::erase::each;
use crate::figure::chart::{ChartRef, Lines};
use crate::figure::frame::Caption;
use crate::state::{Lab, Run};
use crate::text::number;

/// The schedule over the steps, as drawn, with a corner at each of its points; NaN after the end of the run.
fn curve(schedule: &EffectiveSchedule, edits: &[Edit], points: &[Point], steps: &Steps) -> Vec<[f64; 2]> {
    let corners = edits.iter().map(|edit| edit.step).chain(points.iter().map(|point| point.step));
    let end = schedule.steps();
    let lr = |step: u64| if step > end { f64::NAN } else { schedule.lr(step.min(end.saturating_sub(1))) };
    steps.with(corners.chain([end])).into_iter().map(|step| [step as f64, lr(step)]).collect()
}

/// The lane.
#[component]
pub fn RateLane() -> impl IntoView {
    let lab = Lab::of();
    let log = RwSignal::new([false; 2]);
    let draft = Draft::new(lab);
    let layout = RwSignal::new(0_u32);
    let chart = ChartRef::new();
    let axis = Memo::new(move |_| XAxis::of(lab, log.get()[0]));
    let all = Memo::new(move |_| examples(lab));
    let spec = Memo::new(move |_| draft.recipe());
    let schedule = Memo::new(move |_| spec.with(|spec| EffectiveSchedule::new(spec, all.get())));
    let begun = move || lab.current(Run::begun).unwrap_or(false);
    let handles = Memo::new(move |_| schedule.with(|schedule| schedule.handles(draft.first_step())));
    let points = Memo::new(move |_| {
        let edits = spec.with(|spec| spec.edits.clone());
        schedule
            .with(|schedule| handles.with(|handles| axis.with(|axis| curve(schedule, &edits, handles, &axis.steps))))
    });
    let top = move || points.with(|points| points.iter().fold(0.0, |top: f64, [_, rate]| top.max(*rate)));
    let lines = Signal::derive(move || {
        let (x, y) = points.with(|points| points.iter().map(|[x, y]| (*x, *y)).unzip());
        let log_y = log.get()[1];
        // Room above the highest point, so that it can be dragged up.
        let top = handles.with(|handles| handles.iter().fold(top(), |top, handle| top.max(handle.lr)));
        let range = (!log_y && top > 0.0).then_some([0.0, top * 1.18]);
        let spec = json!({
            "x": axis.with(XAxis::json),
            "y": { "log": log_y, "range": range },
            "lines": [{ "name": "learning rate", "tone": "--c-rate", "dash": "solid", "width": 1.8, "area": !log_y }],
            "sync": SYNC,
        });
        Lines { spec, columns: vec![x, y] }
    });
    let caption = Signal::derive(move || {
        let cursor = lab.cursor.get();
        let at = if cursor.is_finite() { cursor as u64 } else { lab.step() };
        let rate = schedule.with(|schedule| schedule.lr(at.min(schedule.steps().saturating_sub(1))));
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
    let drop = Callback::new(move |()| draft.keep());
    // What a hand does to a point is reckoned from the recipe as it was before the hand touched it.
    let turn = move |grip: usize, act: &dyn Fn(&EffectiveSchedule, u64, &Point) -> Turns| {
        let now = untrack(|| draft.first_step());
        let schedule = lab.spec.with_untracked(|spec| EffectiveSchedule::new(spec, all.get_untracked()));
        if let Some(point) = schedule.handles(now).iter().find(|point| point.grip.number() == grip) {
            draft.turn(act(&schedule, now, point));
        }
    };
    let grip = move |grip: usize| {
        let of = move || handles.with(|handles| handles.iter().find(|point| point.grip.number() == grip).copied());
        let label = untrack(of).map_or("", |point| point.grip.label());
        let place = Signal::derive(move || match of() {
            None => Place { x: f64::NAN, y: f64::NAN, free: false, text: String::new() },
            Some(Point { step, lr, free, .. }) => {
                Place { x: step as f64, y: lr, free, text: format!("{} at step {step}", number(lr)) }
            }
        });
        let to = move |step: f64, lr: f64| {
            turn(grip, &|schedule, now, point| schedule.dragged(now, point, step.round().max(0.0) as u64, lr));
        };
        let nudge = Callback::new(move |[x, y]: [f64; 2]| {
            let Place { x: step, y: lr, .. } = place.get_untracked();
            let stride = (schedule.with_untracked(EffectiveSchedule::steps) as f64 / 100.0).max(1.0);
            to(step + x * stride, lr + y * 0.02 * untrack(top));
        });
        let number = Callback::new(move |more: bool| {
            turn(grip, &|schedule, _, point| if more { schedule.added(point) } else { schedule.removed(point) });
        });
        view! {
            <Handle
                chart layout place label drop nudge number
                drag=Callback::new(move |[x, y]: [f64; 2]| to(x, y))
            />
        }
        .into_any()
    };
    let grips = Memo::new(move |_| {
        handles.with(|handles| handles.iter().map(|point| point.grip.number()).collect::<Vec<usize>>())
    });
    view! {
        <PlanLane id="learning-rate" caption log lines export chart layout>
            {each(grips.into(), Arc::new(grip))}
        </PlanLane>
    }
    .into_any()
}
