//! Run, pause, single step, rewind, reset; where the run is and how long it will take.

use crate::erase::{flag, press, words};
use engine::protocol::{Phase, RunState};
use leptos::ev::Targeted;
use leptos::prelude::*;
use web_sys::HtmlInputElement;

use crate::state::series::Series;
use crate::state::{Lab, Progress, Run, effective};
use crate::text::{number, percent, seconds, whole};
use crate::widgets::icon::Icon;

/// The bar above the lanes. `data-state` and `data-step` say where the current run is, for tests.
#[component]
pub fn Transport() -> impl IntoView {
    let lab = Lab::of();
    let state = Memo::new(move |_| lab.state());
    let step = Memo::new(move |_| lab.step());
    let steps = Memo::new(move |_| lab.spec.with(|spec| effective(spec).steps));
    let running = move || state.get() == RunState::Running;
    let ended = move || matches!(state.get(), RunState::Done | RunState::Failed);
    let label = move || match state.get() {
        RunState::Running => "Pause",
        RunState::Paused if step.get() > 0 => "Go on",
        RunState::Paused => "Run",
        RunState::Done | RunState::Failed => "Run again",
    };
    let begun = move || lab.current(Run::begun).unwrap_or(false);
    view! {
        <div
            class="panel transport"
            role="toolbar"
            aria-label="Transport"
            data-state=move || state_name(state.get())
            data-step=move || step.get()
        >
            <button class="primary play" title=words(move || format!("{} (space)", label())) aria-label=label on:click=press(move |_| lab.toggle())>
                {move || view! { <Icon name=if running() { "pause" } else if ended() { "reset" } else { "play" }/> }}
            </button>
            <button title="One step (s)" disabled=flag(move || ended() || running()) on:click=press(move |_| lab.step_once())>
                <Icon name="step"/>
                <span class="wide-label">"Step"</span>
            </button>
            <button title="Start over (r)" disabled=flag(move || !begun()) on:click=press(move |_| lab.reset())>
                <Icon name="reset"/>
                <span class="wide-label">"Reset"</span>
            </button>
            <button class="only-phone" aria-controls="recipe" on:click=press(move |_| lab.sheet.update(|open| *open = !*open))>
                <Icon name="recipe"/>
                "Recipe"
            </button>
            <Timeline step steps/>
            <span class="mono count">{words(move || format!("{} / {}", whole(step.get()), whole(steps.get())))}</span>
            <span class="rate" title=words(move || host(lab))>{words(move || rate(lab, state.get(), step.get(), steps.get()))}</span>
            <span class="unseen" role="status">{words(move || announce(state.get()).to_owned())}</span>
            {move || lab.progress.get().map(|progress| {
                let share = if progress.fraction.is_finite() { progress.fraction.clamp(0.0, 1.0) } else { 0.0 };
                view! { <span class="working" style:width=format!("{:.1}%", share * 100.0)></span> }
            })}
        </div>
    }
    .into_any()
}

/// As in `data-state`.
pub const fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Done => "done",
        RunState::Failed => "failed",
    }
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
    format!("{} {:.0} %{}", progress.message, progress.fraction * 100.0, left.unwrap_or_default())
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
#[component]
fn Timeline(step: Memo<u64>, steps: Memo<u64>) -> impl IntoView {
    let lab = Lab::of();
    let dragged = RwSignal::new(None::<u64>);
    let read = |event: &Targeted<web_sys::Event, HtmlInputElement>| event.target().value().parse::<u64>().unwrap_or(0);
    let share = move |at: u64| at.min(steps.get()) as f64 / steps.get().max(1) as f64 * 100.0;
    let ticks = move || {
        let ticks = lab.checkpoints.get().into_iter().map(|at| {
            view! { <span class="tick" style:left=format!("{:.2}%", share(at))></span> }
        });
        ticks.collect_view()
    };
    let reached = move || lab.numbers(lab.run.get(), |series| series.len() as u64).unwrap_or(0).max(step.get());
    let go = move |event: Targeted<web_sys::Event, HtmlInputElement>| {
        dragged.set(None);
        let wanted = read(&event);
        if wanted < step.get_untracked() {
            lab.rewind(wanted);
        } else {
            // The future has not happened yet: the head returns to where the run is.
            event.target().set_value(&step.get_untracked().to_string());
        }
    };
    view! {
        <div class="timeline" title="Drag back to rewind; marks are checkpoints">
            <div class="rail"><div class="done" style:width=words(move || format!("{:.2}%", share(reached())))></div></div>
            {ticks}
            <input
                type="range"
                min="0"
                max=move || steps.get()
                step="1"
                prop:value=move || dragged.get().unwrap_or_else(|| step.get()).to_string()
                disabled=flag(move || step.get() == 0)
                aria-label="Rewind"
                aria-valuetext=words(move || format!("step {} of {}", dragged.get().unwrap_or_else(|| step.get()), steps.get()))
                on:input:target=move |event| dragged.set(Some(read(&event).min(step.get_untracked())))
                on:change:target=go
            />
            {move || dragged.get().map(|at| view! {
                <span class="hover flag" style:left=format!("{:.2}%", share(at))>{format!("back to {}", whole(at))}</span>
            })}
        </div>
    }
    .into_any()
}
