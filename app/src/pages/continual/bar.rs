//! Run, pause, step, start over, back to before a border; what can be saved.

use engine::continual::Export;
use engine::protocol::RunState;
use leptos::ev::Targeted;
use leptos::prelude::*;
use web_sys::HtmlInputElement;

use crate::controls::transport::state_name;
use crate::erase::{flag, parts, press, words};
use crate::state::Lab;
use crate::state::continual::Learning;
use crate::text::{seconds, whole};
use crate::widgets::icon::Icon;
use crate::widgets::menu::{Entry, Menu};

/// The bar; `data-state` and `data-step` say where the session is, for tests.
pub fn bar(lab: Lab) -> AnyView {
    let state = Memo::new(move |_| lab.learned(|known| known.state));
    let begun = Memo::new(move |_| lab.learned(Learning::begun));
    let done = Memo::new(move |_| lab.learned(Learning::done));
    let total = Memo::new(move |_| lab.learned(Learning::total));
    let running = move || state.get() == RunState::Running;
    let ended = move || matches!(state.get(), RunState::Done | RunState::Failed);
    let label = move || {
        match state.get() {
            RunState::Running => "Pause",
            RunState::Paused if begun.get() => "Go on",
            RunState::Paused => "Run",
            RunState::Done | RunState::Failed => "Run again",
        }
        .to_owned()
    };
    let icon = parts(move || {
        let name = if running() {
            "pause"
        } else if ended() {
            "reset"
        } else {
            "play"
        };
        vec![view! { <Icon name/> }.into_any()]
    });
    view! {
        <div
            class="panel transport"
            role="toolbar"
            aria-label="Transport"
            data-state=words(move || state_name(state.get()).to_owned())
            data-step=words(move || done.get().to_string())
        >
            <button class="primary play" aria-label=words(label) title="space" on:click=press(move |_| lab.toggle_continual())>
                {icon}
            </button>
            <button title="One update of every strategy (s)" disabled=flag(move || ended() || running()) on:click=press(move |_| lab.step_continual())>
                <Icon name="step"/>
                <span class="wide-label">"Step"</span>
            </button>
            <button title="Start over (r)" disabled=flag(move || !begun.get()) on:click=press(move |_| lab.reset_continual())>
                <Icon name="reset"/>
                <span class="wide-label">"Reset"</span>
            </button>
            <button class="only-phone" aria-controls="recipe" on:click=press(move |_| lab.sheet.update(|open| *open = !*open))>
                <Icon name="recipe"/>
                "Session"
            </button>
            {timeline(lab, done, total)}
            <span class="mono count">{words(move || lab.learned(count))}</span>
            <span class="rate">{words(move || lab.learned(left))}</span>
            <Menu label="Save".to_owned() text="Save" entries=Callback::new(move |()| files(lab))/>
            <span class="unseen" role="status">{words(move || said(state.get()).to_owned())}</span>
        </div>
    }
    .into_any()
}

fn count(known: &Learning) -> String {
    let seeds = known.course.seeds.len();
    let seed = if seeds > 1 { format!("seed {} of {seeds} · ", known.seed + 1) } else { String::new() };
    format!("{seed}{} / {}", whole(known.done()), whole(known.total()))
}

/// What is waited for, or how long it will take.
fn left(known: &Learning) -> String {
    match known.state {
        RunState::Running if known.total() == 0 => "reading the data".into(),
        RunState::Running if known.done() == 0 => "starting".into(),
        RunState::Running if known.eta_s.is_finite() => format!("{} left", seconds(known.eta_s)),
        _ => String::new(),
    }
}

const fn said(state: RunState) -> &'static str {
    match state {
        RunState::Running => "The session goes on",
        RunState::Paused => "The session waits",
        RunState::Done => "The session is done",
        RunState::Failed => "The session has stopped",
    }
}

fn files(lab: Lab) -> Vec<Entry> {
    let save = |kind| Callback::new(move |()| lab.export_continual(kind));
    vec![
        ("Accuracy matrices as CSV", save(Export::Csv)),
        ("Everything as JSON", save(Export::Json)),
        ("Parameters as safetensors", save(Export::Safetensors)),
    ]
}

/// Where the session is; dragged back it returns there, and a button leads back to each border that it has passed.
fn timeline(lab: Lab, done: Memo<u64>, total: Memo<u64>) -> AnyView {
    let share = move |at: u64| at as f64 / total.get().max(1) as f64 * 100.0;
    let dragged = RwSignal::new(None::<u64>);
    let read = |event: &Targeted<web_sys::Event, HtmlInputElement>| event.target().value().parse::<u64>().unwrap_or(0);
    let at = move || dragged.get().unwrap_or_else(|| done.get());
    let go = move |event: Targeted<web_sys::Event, HtmlInputElement>| {
        dragged.set(None);
        let wanted = read(&event);
        if wanted < done.get_untracked() {
            lab.rewind_continual(wanted);
        } else {
            // The future has not happened yet.
            event.target().set_value(&done.get_untracked().to_string());
        }
    };
    let borders = move || {
        let borders = lab.learned(|known| known.course.borders.clone());
        let inner = borders.len().saturating_sub(1);
        let border = |(task, border): (usize, u64)| {
            let label = format!("Back to before task {}", task + 2);
            view! {
                <button
                    class="border-mark"
                    style:left=format!("{:.2}%", share(border))
                    title=label.clone()
                    aria-label=label
                    disabled=flag(move || done.get() <= border)
                    on:click=press(move |_| lab.rewind_continual(border))
                ></button>
            }
            .into_any()
        };
        borders.into_iter().take(inner).enumerate().map(border).collect()
    };
    view! {
        <div class="timeline" title="Drag back to rewind; marks are the borders between tasks">
            <div class="rail"><div class="done" style:width=words(move || format!("{:.2}%", share(done.get())))></div></div>
            <input
                type="range"
                min="0"
                max=words(move || total.get().to_string())
                step="1"
                prop:value=words(move || at().to_string())
                disabled=flag(move || done.get() == 0)
                aria-label="Rewind"
                aria-valuetext=words(move || format!("update {} of {}", at(), total.get()))
                on:input:target=move |event| dragged.set(Some(read(&event).min(done.get_untracked())))
                on:change:target=go
            />
            {parts(borders)}
        </div>
    }
    .into_any()
}
