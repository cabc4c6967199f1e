//! The batch size over the run. Its point stands where the run is: dragged, it changes the batches to come.

use engine::figure::{Axis, Dash, Figure, Mark, Role};
use engine::spec::{BatchSpec, EffectiveSchedule};
use engine::tree::object;
use leptos::prelude::*;
use libm::pow;

use super::handle::{Handle, Place};
use super::plan::{Draft, PlanLane};
use super::{SYNC, XAxis, line};
use crate::figure::chart::{ChartRef, Lines};
use crate::figure::frame::Caption;
use crate::figure::key::Key;
use crate::figure::palette::Tone;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::text::whole;

/// The most examples that a recipe can ask for.
const MOST: f64 = 1e6;

/// A size that a hand asks for, within what there is: at most the training set, once that is known.
fn within(size: f64, examples: Option<usize>) -> u64 {
    let most = examples.map_or(MOST, |examples| (examples as f64).min(MOST));
    size.round().max(1.0).min(most.max(1.0)) as u64
}

/// Batch sizes a hand can pick: powers of two and their halves between.
fn nice(value: f64) -> u64 {
    let value = value.clamp(1.0, MOST);
    let power = pow(2.0, value.log2().floor());
    let picked = [power, power * 1.5, power * 2.0].into_iter().min_by(|a, b| {
        let away = |candidate: &f64| (candidate / value).ln().abs();
        away(a).total_cmp(&away(b))
    });
    picked.unwrap_or(power).round() as u64
}

/// Examples in update `step`: what it used, else what is planned. A policy that adapts plans to stay where it is until its
/// next test.
fn size(schedule: &EffectiveSchedule, used: &[f32], step: u64) -> f64 {
    if let Some(size) = used.get(step as usize).filter(|size| size.is_finite()) {
        return f64::from(*size);
    }
    let BatchSpec { policy, .. } = schedule.at(step).batch;
    match used.last() {
        Some(last) if policy.adapts() && schedule.batch_start(step) < used.len() as u64 => f64::from(*last),
        _ => schedule.batch(step) as f64,
    }
}

/// The lane's y axis over sizes from `least` to `most`: room to drag up and down by a factor of four.
fn axis([least, most]: [f64; 2], log: bool) -> [f64; 2] {
    if log { [(least / 4.0).max(0.5), most * 4.0] } else { [0.0, most * 1.6] }
}

/// What was used, then what is planned; the plan starts where the run is, a point that the two share.
type Sizes = [Vec<[f64; 2]>; 2];

/// The sizes as lines.
fn lines([used, planned]: &Sizes, axis: &XAxis, log: bool, range: [f64; 2]) -> Lines {
    let shared = used.len().saturating_sub(1);
    let both = || used[..shared].iter().chain(planned);
    let line = |name, dash, width| line(name, "--c-batch", dash, width, ("steps", true));
    let spec = object(vec![
        ("x", axis.json()),
        ("y", object(vec![("log", if log { 2 } else { 0 }.into()), ("range", range.as_slice().into())])),
        ("lines", vec![line("used", "solid", 1.8), line("planned", "dashed", 1.4)].into()),
        ("sync", SYNC.into()),
    ]);
    let within = |place: usize, from: usize, to: usize, y: f64| if (from..to).contains(&place) { y } else { f64::NAN };
    let column = |from, to| both().enumerate().map(|(place, [_, y])| within(place, from, to, *y)).collect();
    let columns = vec![both().map(|[x, _]| *x).collect(), column(0, used.len()), column(shared, usize::MAX)];
    Lines { spec, columns }
}

/// The sizes as a figure, for export.
fn figure(sizes: Sizes) -> Figure {
    let of = |((name, dash), points): ((&str, Dash), Vec<[f64; 2]>)| Mark::line(name, Role::Batch, dash, points);
    Figure {
        id: "batch-size".into(),
        title: "Batch size".into(),
        x: Axis { label: "step".into(), ..Axis::default() },
        y: Axis { label: "examples".into(), ..Axis::default() },
        marks: [("used", Dash::Solid), ("planned", Dash::Dashed)].into_iter().zip(sizes).map(of).collect(),
        ..Figure::default()
    }
}

/// What stands above the lane: the batch at the cursor, or where the run is.
fn caption(lab: Lab, at_step: impl Fn(u64) -> u64) -> Caption {
    let cursor = lab.cursor.get();
    let step = if cursor.is_finite() { cursor as u64 } else { lab.step() };
    let size = whole(at_step(step));
    let value = if cursor.is_finite() { format!("{size} at {step}") } else { size };
    Caption {
        title: "Batch size".into(),
        alt: format!("Examples in a batch over steps, {value} now."),
        value,
        meaning: "examples a step averages over; drag".into(),
        keys: vec![Key::line("used", Tone::Batch, Dash::Solid), Key::line("planned", Tone::Batch, Dash::Dashed)],
    }
}

/// The lane.
#[component]
pub fn BatchLane() -> impl IntoView {
    let lab = Lab::of();
    let log = RwSignal::new([false, true]);
    let draft = Draft::new(lab);
    let layout = RwSignal::new(0_u32);
    let chart = ChartRef::new();
    let x_axis = Signal::memo(move |_| XAxis::of(lab, log.get()[0]));
    let all = Signal::memo(move |_| lab.examples());
    let spec = Signal::memo(move |_| draft.recipe());
    let schedule = Signal::memo(move |_| spec.with(|spec| EffectiveSchedule::new(spec, all.get())));
    // Sizes at some steps, and how many of the run's updates have been used.
    let sizes = move |steps: &[u64]| -> (Vec<f64>, usize) {
        lab.tick.track();
        let run = lab.run.get();
        schedule.with(|schedule| {
            lab.series.with_value(|series| {
                let used = series.get(&run).map_or(&[][..], |series| &series.columns[3]);
                (steps.iter().map(|step| size(schedule, used, *step)).collect(), used.len())
            })
        })
    };
    let at_step = move |step: u64| sizes(&[step]).0[0] as u64;
    let points = Signal::memo(move |_| {
        let edits: Vec<u64> = spec.with(|spec| spec.edits.iter().map(|edit| edit.step).collect());
        let steps = x_axis.with(|axis| axis.steps.with(edits));
        let (sizes, used) = sizes(&steps);
        let done = steps.partition_point(|step| *step < used as u64);
        let points: Vec<[f64; 2]> = steps.iter().zip(sizes).map(|(step, size)| [*step as f64, size]).collect();
        [points[..done].to_vec(), points[done.saturating_sub(1)..].to_vec()]
    });
    let y_axis = draft.axis(move || {
        let ends = points.with(|sizes| {
            let all = sizes.iter().flatten();
            all.fold([f64::INFINITY, 1.0_f64], |[least, most], [_, y]| [least.min(*y), most.max(*y)])
        });
        axis(ends, log.get()[1])
    });
    let lines = Signal::derive(move || {
        points.with(|points| x_axis.with(|axis| lines(points, axis, log.get()[1], y_axis.get())))
    });
    let caption = Signal::derive(move || caption(lab, at_step));
    let export = Callback::new(move |()| figure(points.get_untracked()));
    let place = Signal::derive(move || {
        let step = draft.first_step();
        let size = at_step(step);
        let steps = schedule.with(EffectiveSchedule::steps);
        Place { x: step as f64, y: size as f64, free: step < steps, text: format!("{} examples", whole(size)) }
    });
    let turn = move |size: f64| {
        draft.turn(vec![("batch.size", within(size, untrack(|| lab.known_examples())).to_string())]);
    };
    let nudge = Callback::new(move |[x, y]: [f64; 2]| turn(place.get_untracked().y * pow(2.0, x + y)));
    view! {
        <PlanLane id="batch-size" caption log lines export chart layout>
            <Handle
                chart layout place held=draft.held label="Batch size from here" class="batch" nudge
                drag=Callback::new(move |[_, y]: [f64; 2]| turn(nice(y) as f64))
                drop=Callback::new(move |()| draft.keep())
            />
        </PlanLane>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::spec::{Edit, Policy, RunSpec};

    #[test]
    fn a_hand_picks_powers_of_two_and_halves_between() {
        assert_eq!(nice(63.0), 64);
        assert_eq!(nice(97.0), 96);
        assert_eq!(nice(0.2), 1);
        assert_eq!(nice(1.4), 2);
    }

    #[test]
    fn a_hand_takes_no_more_than_there_is() {
        assert_eq!(within(16_384.0, Some(10_000)), 10_000);
        assert_eq!(within(0.2, Some(10_000)), 1);
        assert_eq!(within(16_384.0, None), 16_384);
        assert_eq!(within(3e6, None), 1_000_000);
    }

    #[test]
    fn a_hand_can_reach_four_times_the_batch() {
        assert_eq!(axis([64.0, 64.0], true), [16.0, 256.0]);
        assert_eq!(axis([1.0, 64.0], true), [0.5, 256.0]);
        assert_eq!(axis([1.0, 100.0], false), [0.0, 160.0]);
    }

    #[test]
    fn the_lane_shows_what_was_used_and_then_what_is_planned() {
        let mut spec = RunSpec::default();
        spec.batch = BatchSpec { size: 8, policy: Policy::Stepped, every: 10, largest: 0, ..spec.batch };
        let at = |spec: &RunSpec, used: &[f32], step| size(&EffectiveSchedule::new(spec, 1000), used, step);
        assert_eq!([0, 9, 10, 20].map(|step| at(&spec, &[], step)), [8.0, 8.0, 16.0, 32.0]);
        // Where the numbers have come, they count; a gap in them is filled from the plan.
        assert_eq!([0, 1, 2].map(|step| at(&spec, &[7.0, f32::NAN], step)), [7.0, 8.0, 8.0]);
        // What adapts stays where it is, until a hand sets it anew.
        spec.batch.policy = Policy::NormTest;
        assert_eq!([0, 5].map(|step| at(&spec, &[], step)), [8.0; 2]);
        assert_eq!([0, 2, 500].map(|step| at(&spec, &[8.0, 24.0], step)), [8.0, 24.0, 24.0]);
        spec.edits = vec![Edit { step: 100, path: "batch.size".into(), value: "64".into() }];
        assert_eq!([99, 100].map(|step| at(&spec, &[8.0, 24.0], step)), [24.0, 64.0]);
    }
}
