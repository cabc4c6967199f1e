//! The learning rate: what was used, the whole schedule drawn ahead, a playhead on it, and points to drag. Dragged while
//! the run goes on, they change what is still to come. Where the rate follows from measurements there is nothing to drag:
//! what is still to come stands as it was measured last.

use std::sync::Arc;

use engine::figure::{Axis, Dash, Figure, Mark, Role};
use engine::spec::{Auto, EffectiveSchedule, Handle as Point, Momentum, RunSpec, ScheduleSpec, Shape, Turns};
use engine::tree::object;
use leptos::prelude::*;
use libm::pow;

use super::handle::{Handle, Place};
use super::plan::{Draft, PlanLane};
use super::{SYNC, XAxis, line};
use crate::erase::each;
use crate::figure::chart::{ChartRef, Lines};
use crate::figure::frame::Caption;
use crate::reactive::{RwSignal, Signal};
use crate::state::series::{MOMENTUM, RATE, Series};
use crate::state::{Lab, Run};
use crate::text::number;

/// The learning rate of update `step`: what it used, else what is planned. One that is measured stays at its height until
/// it is measured again, and follows the schedule's shape.
fn rate(schedule: &EffectiveSchedule, used: &[f32], step: u64) -> f64 {
    if let Some(rate) = used.get(step as usize).filter(|rate| rate.is_finite()) {
        return f64::from(*rate);
    }
    let done = used.len() as u64;
    let held = match used.last() {
        Some(last) if schedule.measured_from(step).is_some_and(|from| from < done) => {
            f64::from(*last) / schedule.lr(done - 1)
        }
        _ => 1.0,
    };
    schedule.lr(step) * if held.is_finite() { held } else { 1.0 }
}

/// Whether momentum moves with the schedule or is set by the curvature.
fn moves_momentum(recipe: &RunSpec) -> bool {
    recipe.schedule.auto == Auto::Both || recipe.schedule.momentum != Momentum::Constant
}

/// The lane's y axis over rates: from 0 with room above the highest point, so that it can be dragged up, or over what is
/// above 0, with room on both sides.
fn axis(rates: impl Iterator<Item = f64>, log: bool) -> [f64; 2] {
    let above = rates.filter(|rate| *rate > 0.0);
    let [least, most] = above.fold([f64::INFINITY, 0.0_f64], |[least, most], rate| [least.min(rate), most.max(rate)]);
    match log {
        _ if most <= 0.0 => [if log { 1e-3 } else { 0.0 }, 1.0],
        true => [least / 1.5, most * pow(most / least, 0.18).max(2.0)],
        false => [0.0, most * 1.18],
    }
}

/// The schedule with a corner at each of its points, and how many of its places are more than a plan.
type Curve = (Vec<[f64; 2]>, usize);

/// The schedule as lines.
fn lines((points, firm): &Curve, axis: &XAxis, log: bool, range: [f64; 2]) -> Lines {
    let column = |shown: &dyn Fn(usize) -> bool| {
        points.iter().enumerate().map(|(place, [_, y])| if shown(place) { *y } else { f64::NAN }).collect()
    };
    let planned = |place: usize| *firm < points.len() && place + 1 >= *firm;
    let columns = vec![points.iter().map(|[x, _]| *x).collect(), column(&|place| place < *firm), column(&planned)];
    let line = |name, dash, width, area| line(name, "--c-rate", dash, width, ("area", area));
    let lines = vec![line("learning rate", "solid", 1.8, !log), line("as it stands", "dashed", 1.4, false)];
    let spec = object(vec![
        ("x", axis.json()),
        ("y", object(vec![("log", log.into()), ("range", range.as_slice().into())])),
        ("lines", lines.into()),
        ("sync", SYNC.into()),
    ]);
    Lines { spec, columns }
}

/// The schedule as a figure, for export.
fn figure(points: Vec<[f64; 2]>) -> Figure {
    Figure {
        id: "learning-rate".into(),
        title: "Learning rate".into(),
        x: Axis { label: "step".into(), ..Axis::default() },
        y: Axis { label: "learning rate".into(), ..Axis::default() },
        marks: vec![Mark::line("learning rate", Role::Lr, Dash::Solid, points)],
        ..Figure::default()
    }
}

/// What to make of the lane.
fn meaning(schedule: &ScheduleSpec, begun: bool) -> &'static str {
    match (schedule.auto != Auto::Off, schedule.kind == Shape::OnPlateau, begun) {
        (true, _, true) => "the curvature sets it; dashed: as it stands",
        (true, _, false) => "its shape; the curvature will set its height",
        (_, true, true) => "drops when the test loss stops falling; dashed: as it stands",
        (_, true, false) => "until the test loss stops falling; drag its point",
        (.., true) => "drag a point: what is still to come follows",
        (.., false) => "the whole schedule; drag its points",
    }
}

/// What the lane's parts share.
#[derive(Clone, Copy)]
struct Plan {
    lab: Lab,
    draft: Draft,
    /// As a hand would have it.
    schedule: Signal<EffectiveSchedule>,
    /// Its points; none where the rate is measured.
    handles: Signal<Vec<Point>>,
    /// The drawn curve.
    curve: Signal<Curve>,
    chart: ChartRef,
    layout: RwSignal<u32>,
}

impl Plan {
    /// Rates at some steps, NaN after the end of the run, and how many of the run's updates have been used.
    fn rates(self, steps: &[u64]) -> (Vec<f64>, usize) {
        rates(self.lab, self.schedule, steps)
    }

    /// The momentum that was used at the cursor, or last, where it is not always the same.
    fn momentum(self, cursor: f64) -> Option<f64> {
        let moves = self.schedule.with(|schedule| moves_momentum(schedule.at(self.draft.first_step())));
        let used = |series: &Series| {
            if cursor.is_finite() { series.at(MOMENTUM, cursor as usize) } else { series.last(MOMENTUM) }
        };
        self.lab.numbers(self.lab.run.get(), used).filter(|momentum| moves && *momentum > 0.0)
    }

    fn caption(self, meaning: &str) -> Caption {
        let cursor = self.lab.cursor.get();
        let at = if cursor.is_finite() { cursor as u64 } else { self.lab.step() };
        let mut value = number(self.rates(&[at.min(self.schedule.with(EffectiveSchedule::steps))]).0[0]);
        if let Some(momentum) = self.momentum(cursor) {
            value.push_str(&format!(" · momentum {}", number(momentum)));
        }
        if cursor.is_finite() {
            value.push_str(&format!(" at {at}"));
        }
        let alt = format!("Learning rate over steps, {value} now.");
        Caption { title: "Learning rate".into(), value, meaning: meaning.into(), alt, keys: Vec::new() }
    }

    /// What a hand does to a point, reckoned from the recipe as it was before the hand touched it.
    fn turn(self, grip: usize, act: &dyn Fn(&EffectiveSchedule, u64, &Point) -> Turns) {
        let now = untrack(|| self.draft.first_step());
        let all = untrack(|| self.lab.examples());
        let schedule = self.lab.spec.with_untracked(|spec| EffectiveSchedule::new(spec, all));
        if let Some(point) = schedule.handles(now).iter().find(|point| point.grip.number() == grip) {
            self.draft.turn(act(&schedule, now, point));
        }
    }

    /// A point to drag.
    fn grip(self, grip: usize) -> AnyView {
        let of = move || self.handles.with(|handles| handles.iter().find(|point| point.grip.number() == grip).copied());
        let label = untrack(of).map_or("", |point| point.grip.label());
        let place = Signal::derive(move || match of() {
            None => Place { x: f64::NAN, y: f64::NAN, free: false, text: String::new() },
            Some(Point { step, lr, free, .. }) => {
                Place { x: step as f64, y: lr, free, text: format!("{} at step {step}", number(lr)) }
            }
        });
        let to = move |step: f64, lr: f64| {
            self.turn(grip, &|schedule, now, point| schedule.dragged(now, point, step.round().max(0.0) as u64, lr));
        };
        let nudge = Callback::new(move |[x, y]: [f64; 2]| {
            let Place { x: step, y: lr, .. } = place.get_untracked();
            let stride = (self.schedule.with_untracked(EffectiveSchedule::steps) as f64 / 100.0).max(1.0);
            let top = self.curve.with_untracked(|(points, _)| points.iter().fold(0.0, |top: f64, [_, y]| top.max(*y)));
            to(step + x * stride, lr + y * 0.02 * top);
        });
        let number = Callback::new(move |more: bool| {
            self.turn(grip, &|schedule, _, point| if more { schedule.added(point) } else { schedule.removed(point) });
        });
        let Self { chart, layout, draft, .. } = self;
        view! {
            <Handle
                chart layout place held=draft.held label nudge number
                drag=Callback::new(move |[x, y]: [f64; 2]| to(x, y))
                drop=Callback::new(move |()| draft.keep())
            />
        }
        .into_any()
    }
}

/// Rates at some steps, NaN after the end of the run, and how many of the run's updates have been used.
fn rates(lab: Lab, schedule: Signal<EffectiveSchedule>, steps: &[u64]) -> (Vec<f64>, usize) {
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
}

/// The lane.
#[component]
pub fn RateLane() -> impl IntoView {
    let lab = Lab::of();
    let log = RwSignal::new([false; 2]);
    let draft = Draft::new(lab);
    let (chart, layout) = (ChartRef::new(), RwSignal::new(0_u32));
    let x_axis = Signal::memo(move |_| XAxis::of(lab, log.get()[0]));
    let all = Signal::memo(move |_| lab.examples());
    let spec = Signal::memo(move |_| draft.recipe());
    let schedule = Signal::memo(move |_| spec.with(|spec| EffectiveSchedule::new(spec, all.get())));
    // A rate that losses will bring down is a hand's until then.
    let measured = Signal::memo(move |_| {
        let step = draft.first_step();
        let by_curvature = |schedule: &EffectiveSchedule| schedule.at(step).schedule.auto != Auto::Off;
        schedule.with(|schedule| by_curvature(schedule) || (step > 0 && schedule.measured_from(step).is_some()))
    });
    let handles = Signal::memo(move |_| match measured.get() {
        true => Vec::new(),
        false => schedule.with(|schedule| schedule.handles(draft.first_step())),
    });
    let curve = Signal::memo(move |_| {
        let mut corners: Vec<u64> = spec.with(|spec| spec.edits.iter().map(|edit| edit.step).collect());
        corners.extend(handles.with(|handles| handles.iter().map(|point| point.step).collect::<Vec<u64>>()));
        corners.push(schedule.with(EffectiveSchedule::steps));
        let steps = x_axis.with(|axis| axis.steps.with(corners));
        let (rates, used) = rates(lab, schedule, &steps);
        let firm = if measured.get() { steps.partition_point(|step| *step < used as u64) } else { steps.len() };
        (steps.iter().zip(rates).map(|(step, rate)| [*step as f64, rate]).collect::<Vec<[f64; 2]>>(), firm)
    });
    let plan = Plan { lab, draft, schedule, handles, curve, chart, layout };
    let y_axis = draft.axis(move || {
        let handles = handles.with(|handles| handles.iter().map(|handle| handle.lr).collect::<Vec<f64>>());
        curve.with(|(points, _)| axis(points.iter().map(|[_, y]| *y).chain(handles), log.get()[1]))
    });
    let lines =
        Signal::derive(move || curve.with(|curve| x_axis.with(|axis| lines(curve, axis, log.get()[1], y_axis.get()))));
    let begun = move || lab.current(Run::begun).unwrap_or(false);
    let caption = Signal::derive(move || {
        let meaning = schedule.with(|schedule| meaning(&schedule.at(draft.first_step()).schedule, begun()));
        plan.caption(meaning)
    });
    let export = Callback::new(move |()| figure(curve.get_untracked().0));
    let grips = Signal::memo(move |_| {
        handles.with(|handles| handles.iter().map(|point| point.grip.number()).collect::<Vec<usize>>())
    });
    view! {
        <PlanLane id="learning-rate" caption log lines export chart layout>
            {each(grips, Arc::new(move |grip| plan.grip(grip)))}
        </PlanLane>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::spec::{Edit, Rule};

    #[test]
    fn the_axis_has_room_for_a_hand_and_a_place_for_every_rate() {
        let axis = |rates: &[f64], log| axis(rates.iter().copied(), log);
        assert_eq!(axis(&[0.0, 0.5, f64::NAN, 0.1], false), [0.0, 0.5 * 1.18]);
        assert_eq!(axis(&[0.0, 0.5, f64::NAN, 0.15], true), [0.15 / 1.5, 1.0]);
        assert_eq!([axis(&[0.0], false), axis(&[], true)], [[0.0, 1.0], [1e-3, 1.0]]);
    }

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
        // Brought down by the losses: at what they left of it, until a hand sets it anew.
        (spec.schedule.auto, spec.schedule.kind) = (Auto::Off, Shape::OnPlateau);
        spec.edits = vec![Edit { step: 80, path: "schedule.peak".into(), value: "0.25".into() }];
        assert_eq!([0, 1, 79, 80].map(|step| at(&spec, &[0.125], step)), [0.125, 0.125, 0.125, 0.25]);
    }
}
