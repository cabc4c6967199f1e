//! The learning rate: what was used, the whole schedule drawn ahead, a playhead on it, and points to drag. Dragged while
//! the run goes on, they change what is still to come. Where curvature sets the rate there is nothing to drag: what is
//! still to come stands as it was measured last.

use std::sync::Arc;

use engine::figure::{Axis, Dash, Figure, Mark, Role};
use engine::spec::{Auto, EffectiveSchedule, Handle as Point, Momentum, RunSpec, Turns};
use leptos::prelude::*;
use serde_json::json;

use super::handle::{Handle, Place};
use super::plan::{Draft, PlanLane};
use super::{SYNC, XAxis, examples};
use crate::erase::each;
use crate::figure::chart::{ChartRef, Lines};
use crate::figure::frame::Caption;
use crate::state::series::{MOMENTUM, RATE, Series};
use crate::state::{Lab, Run};
use crate::text::number;

/// The learning rate of update `step`: what it used, else what is planned. One that curvature sets stays at its height
/// until it is measured again, and follows the schedule's shape.
fn rate(schedule: &EffectiveSchedule, used: &[f32], step: u64) -> f64 {
    if let Some(rate) = used.get(step as usize).filter(|rate| rate.is_finite()) {
        return f64::from(*rate);
    }
    let done = used.len() as u64;
    let held = match used.last() {
        Some(last) if measures(schedule, step) && schedule.rate_start(step) < done => {
            f64::from(*last) / schedule.lr(done - 1)
        }
        _ => 1.0,
    };
    schedule.lr(step) * if held.is_finite() { held } else { 1.0 }
}

/// Whether curvature sets the rate of update `step`.
fn measures(schedule: &EffectiveSchedule, step: u64) -> bool {
    schedule.at(step).schedule.auto != Auto::Off
}

/// Whether momentum moves with the schedule or is set by the curvature.
fn moves_momentum(recipe: &RunSpec) -> bool {
    recipe.schedule.auto == Auto::Both || recipe.schedule.momentum != Momentum::Constant
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
    let auto = Memo::new(move |_| schedule.with(|schedule| measures(schedule, draft.first_step())));
    let handles = Memo::new(move |_| match auto.get() {
        true => Vec::new(),
        false => schedule.with(|schedule| schedule.handles(draft.first_step())),
    });
    // Rates at some steps, NaN after the end of the run, and how many of the run's updates have been used.
    let rates = move |steps: &[u64]| -> (Vec<f64>, usize) {
        lab.tick.track();
        let run = lab.run.get();
        schedule.with(|schedule| {
            lab.series.with_value(|series| {
                let used = series.get(&run).map_or(&[][..], |series| &series.columns[RATE]);
                let end = schedule.steps();
                let at = |step: u64| {
                    if step > end { f64::NAN } else { rate(schedule, used, step.min(end.saturating_sub(1))) }
                };
                (steps.iter().map(|step| at(*step)).collect(), used.len())
            })
        })
    };
    // The curve with a corner at each of its points, and how many of its places are more than a plan.
    let curve = Memo::new(move |_| {
        let mut corners: Vec<u64> = spec.with(|spec| spec.edits.iter().map(|edit| edit.step).collect());
        corners.extend(handles.with(|handles| handles.iter().map(|point| point.step).collect::<Vec<u64>>()));
        corners.push(schedule.with(EffectiveSchedule::steps));
        let steps = axis.with(|axis| axis.steps.with(corners));
        let (rates, used) = rates(&steps);
        let firm = if auto.get() { steps.partition_point(|step| *step < used as u64) } else { steps.len() };
        (steps.iter().zip(rates).map(|(step, rate)| [*step as f64, rate]).collect::<Vec<[f64; 2]>>(), firm)
    });
    let points = Memo::new(move |_| curve.with(|(points, _)| points.clone()));
    let top = move || points.with(|points| points.iter().fold(0.0, |top: f64, [_, rate]| top.max(*rate)));
    let lines = Signal::derive(move || {
        let (points, firm) = curve.get();
        let column = |shown: &dyn Fn(usize) -> bool| {
            points.iter().enumerate().map(|(place, [_, y])| if shown(place) { *y } else { f64::NAN }).collect()
        };
        let planned = |place: usize| firm < points.len() && place + 1 >= firm;
        let columns = vec![points.iter().map(|[x, _]| *x).collect(), column(&|place| place < firm), column(&planned)];
        let log_y = log.get()[1];
        // Room above the highest point, so that it can be dragged up.
        let top = handles.with(|handles| handles.iter().fold(top(), |top, handle| top.max(handle.lr)));
        let range = (!log_y && top > 0.0).then_some([0.0, top * 1.18]);
        let spec = json!({
            "x": axis.with(XAxis::json),
            "y": { "log": log_y, "range": range },
            "lines": [
                { "name": "learning rate", "tone": "--c-rate", "dash": "solid", "width": 1.8, "area": !log_y },
                { "name": "as it stands", "tone": "--c-rate", "dash": "dashed", "width": 1.4 },
            ],
            "sync": SYNC,
        });
        Lines { spec, columns }
    });
    // The momentum that was used at the cursor, or last, where it is not always the same.
    let momentum = move |cursor: f64| {
        let moves = schedule.with(|schedule| moves_momentum(schedule.at(draft.first_step())));
        let used = |series: &Series| {
            if cursor.is_finite() { series.at(MOMENTUM, cursor as usize) } else { series.last(MOMENTUM) }
        };
        lab.numbers(lab.run.get(), used).filter(|momentum| moves && *momentum > 0.0)
    };
    let caption = Signal::derive(move || {
        let cursor = lab.cursor.get();
        let at = if cursor.is_finite() { cursor as u64 } else { lab.step() };
        let mut value = number(rates(&[at.min(schedule.with(EffectiveSchedule::steps))]).0[0]);
        if let Some(momentum) = momentum(cursor) {
            value.push_str(&format!(" · momentum {}", number(momentum)));
        }
        if cursor.is_finite() {
            value.push_str(&format!(" at {at}"));
        }
        let meaning = match (auto.get(), begun()) {
            (true, true) => "the curvature sets it; dashed: as it stands",
            (true, false) => "its shape; the curvature will set its height",
            (false, true) => "drag a point: what is still to come follows",
            (false, false) => "the whole schedule; drag its points",
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use engine::spec::{Edit, Rule, Shape};

    #[test]
    fn the_lane_shows_what_was_used_and_holds_what_was_measured() {
        let mut spec = RunSpec { steps: 100, ..RunSpec::default() };
        spec.optimizer.kind = Rule::Sgd;
        (spec.schedule.kind, spec.schedule.peak, spec.schedule.warmup) = (Shape::Linear, 0.5, 0);
        let at = |spec: &RunSpec, used: &[f32], step| rate(&EffectiveSchedule::new(spec, 1000), used, step);
        let planned = at(&spec, &[], 50);
        // By hand: the plan, whatever was used before.
        assert_eq!(at(&spec, &[2.0], 50), planned);
        assert_eq!([0, 1].map(|step| at(&spec, &[2.0, f32::NAN], step)), [2.0, at(&spec, &[], 1)]);
        // By the curvature: at the height used last, along the shape.
        spec.schedule.auto = Auto::Rate;
        assert_eq!(at(&spec, &[], 50), planned);
        assert!((at(&spec, &[2.0], 50) / planned - 4.0).abs() < 1e-6);
        // For another batch nothing is known of it.
        spec.edits = vec![Edit { step: 60, path: "batch.size".into(), value: "8".into() }];
        assert!((at(&spec, &[2.0], 59) / at(&spec, &[], 59) - 4.0).abs() < 1e-6);
        assert_eq!(at(&spec, &[2.0], 60), at(&spec, &[], 60));
    }
}
