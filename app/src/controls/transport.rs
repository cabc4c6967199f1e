//! Run, pause, single step, rewind, reset; where the run is and how long it will take.

use crate::erase::{flag, heard, part, parts, words};
use engine::decimal::fixed;
use engine::protocol::{Phase, RunState};
use leptos::prelude::*;

use crate::reactive::Signal;
use crate::state::series::Series;
use crate::state::{Lab, Progress, Run, effective};
use crate::text::part_of;
use crate::text::{number, percent, seconds, whole};
use crate::widgets::transport::{Buttons, Way, buttons, share, state_name, timeline};

/// The bar above the lanes. `data-state` and `data-step` say where the current run is, for tests.
#[component]
pub fn Transport() -> impl IntoView {
    let lab = Lab::of();
    let state = Signal::memo(move |_| lab.state());
    let step = Signal::memo(move |_| lab.step());
    let steps = Signal::memo(move |_| lab.spec.with(|spec| effective(spec).steps));
    let of = Buttons {
        state,
        begun: Signal::memo(move |_| lab.current(Run::begun).unwrap_or(false)),
        toggle: Callback::new(move |()| lab.toggle()),
        step: (Callback::new(move |()| lab.step_once()), "One step"),
        reset: Callback::new(move |()| lab.reset()),
        sheet: (lab.sheet, "Recipe"),
    };
    view! {
        <div
            class="panel transport"
            role="toolbar"
            aria-label="Transport"
            data-state=move || state_name(state.get())
            data-step=move || step.get()
        >
            {buttons(of)}
            {pace(lab)}
            {timeline(way(lab, step, steps))}
            <span class="mono count">{words(move || format!("{} / {}", whole(step.get()), whole(steps.get())))}</span>
            <span class="rate" title=words(move || host(lab))>{words(move || rate(lab, state.get(), step.get(), steps.get()))}</span>
            <span class="unseen" role="status">{words(move || announce(state.get()).to_owned())}</span>
            {part(move || lab.progress.get().map(|progress| {
                let share = if progress.fraction.is_finite() { progress.fraction.clamp(0.0, 1.0) } else { 0.0 };
                view! { <span class="working" style:width=part_of(share)></span> }.into_any()
            }))}
        </div>
    }
    .into_any()
}

/// Paces to choose from: updates a second, 0 = no bound.
const PACES: [(f64, &str); 3] = [(3.0, "1×"), (30.0, "10×"), (0.0, "max")];

/// How fast a run may go: at 1× each update can be watched.
fn pace(lab: Lab) -> AnyView {
    let option = |(per_second, label): (f64, &'static str)| {
        view! { <option value=label selected=flag(move || lab.pace.get() == per_second)>{label}</option> }.into_any()
    };
    let choose = move |event| {
        let chosen = event_target_value(&event);
        let per_second = PACES.iter().find(|(_, label)| *label == chosen).map_or(0.0, |(per_second, _)| *per_second);
        lab.set_pace(per_second);
    };
    view! {
        <select class="pace" aria-label="Pace" title="How fast: 1× is 3 updates a second, 10× is 30" on:change=heard(choose)>
            {PACES.map(option).into_iter().collect_view()}
        </select>
    }
    .into_any()
}

/// What a screen reader says when the state changes.
const fn announce(state: RunState) -> &'static str {
    match state {
        RunState::Running => "The run goes on",
        RunState::Paused => "The run waits",
        RunState::Done => "The run is done",
        RunState::Failed => "The run has stopped",
    }
}

/// The host's share of a step.
fn host(lab: Lab) -> String {
    let ms = lab.numbers(lab.run.get(), |series| series.last(6)).unwrap_or(f64::NAN);
    if ms.is_finite() { format!("{} ms of a step on the host", number(ms)) } else { String::new() }
}

/// How far a step is that takes long, or a way back that is trained again.
fn underway(progress: &Progress) -> String {
    let left = progress.eta_s.filter(|eta| eta.is_finite()).map(|eta| format!(", {} left", seconds(eta)));
    format!("{} {}%{}", progress.message, fixed(progress.fraction * 100.0, 0), left.unwrap_or_default())
}

/// What goes on, or the speed and the time that is left.
fn rate(lab: Lab, state: RunState, step: u64, steps: u64) -> String {
    if let Some(progress) = lab.progress.get() {
        if progress.phase == Phase::Train && !progress.message.is_empty() {
            return underway(&progress);
        }
        let kind = match progress.phase {
            Phase::Data => "Data",
            Phase::Compile => "Compiling",
            Phase::Train => "",
        };
        // Training itself is seen on the lanes.
        if !kind.is_empty() {
            let share =
                if progress.fraction > 0.0 { format!(" {}", percent(progress.fraction)) } else { String::new() };
            let eta = progress.eta_s.map(|eta| format!(", {} left", seconds(eta))).unwrap_or_default();
            return format!("{kind}{share}{eta}");
        }
    }
    let ms = lab.numbers(lab.run.get(), Series::recent_step_ms).unwrap_or(f64::NAN);
    if !ms.is_finite() || ms <= 0.0 {
        return match state {
            RunState::Running => "Starting".into(),
            _ => String::new(),
        };
    }
    let speed =
        if ms < 500.0 { format!("{} steps/s", number(1000.0 / ms)) } else { format!("{} a step", seconds(ms / 1e3)) };
    if state == RunState::Running && step < steps {
        format!("{speed} · {} left", seconds((steps - step) as f64 * ms / 1e3))
    } else {
        speed
    }
}

/// Where the run is, with its checkpoints; dragged back, the run returns there.
fn way(lab: Lab, at: Signal<u64>, total: Signal<u64>) -> Way {
    let ticks = move || {
        let ticks = lab
            .checkpoints
            .get()
            .into_iter()
            .map(|at| view! { <span class="tick" style:left=share(at, total)></span> }.into_any());
        ticks.collect()
    };
    let reached = move || lab.numbers(lab.run.get(), |series| series.len() as u64).unwrap_or(0).max(at.get());
    Way {
        at,
        total,
        reached: Signal::derive(reached),
        unit: "step",
        title: "Drag back to rewind; marks are checkpoints",
        marks: parts(ticks).into_any(),
        rewind: Callback::new(move |to| lab.rewind(to)),
    }
}
