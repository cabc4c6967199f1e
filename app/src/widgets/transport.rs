//! What starts, stops and leads back something that learns: a run of the lab, a session of the continual lab.

use engine::protocol::RunState;
use leptos::ev::Targeted;
use leptos::prelude::*;
use web_sys::HtmlInputElement;

use super::icon::Icon;
use crate::erase::{flag, part, press, words};
use crate::reactive::{RwSignal, Signal};
use crate::text::part_of;
use crate::text::whole;

/// As in `data-state`.
pub const fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Done => "done",
        RunState::Failed => "failed",
    }
}

/// What the buttons do, and what they are called where that differs.
pub struct Buttons {
    /// What goes on.
    pub state: Signal<RunState>,
    /// Whether there is anything to start over.
    pub begun: Signal<bool>,
    /// Run or pause.
    pub toggle: Callback<()>,
    /// One step, and what that is.
    pub step: (Callback<()>, &'static str),
    /// Start over.
    pub reset: Callback<()>,
    /// The settings, a sheet on phones, and what they are called.
    pub sheet: (RwSignal<bool>, &'static str),
}

/// What Run does now; `begun`: whether the run has made an update.
pub const fn run_label(state: RunState, begun: bool) -> &'static str {
    match state {
        RunState::Running => "Pause",
        RunState::Paused if begun => "Go on",
        RunState::Paused => "Run",
        RunState::Done | RunState::Failed => "Run again",
    }
}

/// Run or pause, step, reset, and on phones the settings.
pub fn buttons(of: Buttons) -> AnyView {
    let Buttons { state, begun, toggle, step: (step, one), reset, sheet: (sheet, settings) } = of;
    let running = move || state.get() == RunState::Running;
    let ended = move || matches!(state.get(), RunState::Done | RunState::Failed);
    let label = move || run_label(state.get(), begun.get());
    let icon = move || {
        let name = if running() {
            "pause"
        } else if ended() {
            "reset"
        } else {
            "play"
        };
        Some(view! { <Icon name/> }.into_any())
    };
    view! {
        <button
            class="primary play"
            title=words(move || format!("{} (space)", label()))
            on:click=press(move |_| toggle.run(()))
        >
            {part(icon)}
            {words(move || label().to_owned())}
        </button>
        <button title=format!("{one} (s)") disabled=flag(move || ended() || running()) on:click=press(move |_| step.run(()))>
            <Icon name="step"/>
            <span class="wide-label">"Step"</span>
        </button>
        <button title="Start over (r)" disabled=flag(move || !begun.get()) on:click=press(move |_| reset.run(()))>
            <Icon name="reset"/>
            <span class="wide-label">"Reset"</span>
        </button>
        <button class="only-phone" aria-controls="recipe" on:click=press(move |_| sheet.update(|open| *open = !*open))>
            <Icon name="recipe"/>
            {settings}
        </button>
    }
    .into_any()
}

/// Where something is on its way.
pub struct Way {
    /// Done so far.
    pub at: Signal<u64>,
    /// All that is to be done.
    pub total: Signal<u64>,
    /// The furthest that was ever done.
    pub reached: Signal<u64>,
    /// What is counted, in the singular.
    pub unit: &'static str,
    /// What dragging does and what the marks are.
    pub title: &'static str,
    /// Marks on the rail.
    pub marks: AnyView,
    /// Goes back.
    pub rewind: Callback<u64>,
}

/// A place of the rail in per cent.
pub fn share(at: u64, total: Signal<u64>) -> String {
    let total = total.get();
    part_of(at.min(total) as f64 / total.max(1) as f64)
}

/// The rail; dragged back, it leads back.
pub fn timeline(way: Way) -> AnyView {
    let Way { at, total, reached, unit, title, marks, rewind } = way;
    let dragged = RwSignal::new(None::<u64>);
    let read = |event: &Targeted<web_sys::Event, HtmlInputElement>| event.target().value().parse::<u64>().unwrap_or(0);
    let shown = move || dragged.get().unwrap_or_else(|| at.get());
    let go = move |event: Targeted<web_sys::Event, HtmlInputElement>| {
        dragged.set(None);
        let wanted = read(&event);
        if wanted < at.get_untracked() {
            rewind.run(wanted);
        } else {
            // The future has not happened yet: the head returns to where it was.
            event.target().set_value(&at.get_untracked().to_string());
        }
    };
    let hint = move || {
        let to = dragged.get()?;
        let back = format!("back to {}", whole(to));
        Some(view! { <span class="hover flag" style:left=share(to, total)>{back}</span> }.into_any())
    };
    view! {
        <div class="timeline" title=title>
            <div class="rail"><div class="done" style:width=words(move || share(reached.get(), total))></div></div>
            {marks}
            <input
                type="range"
                min="0"
                max=words(move || total.get().to_string())
                step="1"
                prop:value=words(move || shown().to_string())
                disabled=flag(move || at.get() == 0)
                aria-label="Rewind"
                aria-valuetext=words(move || format!("{unit} {} of {}", shown(), total.get()))
                on:input:target=move |event| dragged.set(Some(read(&event).min(at.get_untracked())))
                on:change:target=go
            />
            {part(hint)}
        </div>
    }
    .into_any()
}
