//! Run, pause, step, start over, back to before a border; what can be saved.

use engine::continual::Export;
use engine::protocol::RunState;
use leptos::prelude::*;

use crate::erase::{flag, parts, press, words};
use crate::reactive::Signal;
use crate::state::Lab;
use crate::state::continual::Learning;
use crate::text::{seconds, whole};
use crate::widgets::menu::{Entry, Menu};
use crate::widgets::transport::{Buttons, Way, buttons, share, state_name, timeline};

/// The bar; `data-state` and `data-step` say where the session is, for tests.
pub fn bar(lab: Lab) -> AnyView {
    let state = Signal::memo(move |_| lab.learned(|known| known.state));
    let begun = Signal::memo(move |_| lab.learned(Learning::begun));
    let done = Signal::memo(move |_| lab.learned(Learning::done));
    let total = Signal::memo(move |_| lab.learned(Learning::total));
    let of = Buttons {
        state,
        begun,
        toggle: Callback::new(move |()| lab.toggle_continual()),
        step: (Callback::new(move |()| lab.step_continual()), "One update of every strategy"),
        reset: Callback::new(move |()| lab.reset_continual()),
        sheet: (lab.sheet, "Session"),
    };
    view! {
        <div
            class="panel transport"
            role="toolbar"
            aria-label="Transport"
            data-state=words(move || state_name(state.get()).to_owned())
            data-step=words(move || done.get().to_string())
        >
            {buttons(of)}
            {timeline(way(lab, done, total))}
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
fn way(lab: Lab, at: Signal<u64>, total: Signal<u64>) -> Way {
    let borders = move || {
        let borders = lab.learned(|known| known.course.borders.clone());
        let inner = borders.len().saturating_sub(1);
        let border = |(task, border): (usize, u64)| {
            let label = format!("Back to before task {}", task + 2);
            view! {
                <button
                    class="border-mark"
                    style:left=share(border, total)
                    title=label.clone()
                    aria-label=label
                    disabled=flag(move || at.get() <= border)
                    on:click=press(move |_| lab.rewind_continual(border))
                ></button>
            }
            .into_any()
        };
        borders.into_iter().take(inner).enumerate().map(border).collect()
    };
    Way {
        at,
        total,
        reached: Signal::derive(move || at.get()),
        unit: "update",
        title: "Drag back to rewind; marks are the borders between tasks",
        marks: parts(borders).into_any(),
        rewind: Callback::new(move |to| lab.rewind_continual(to)),
    }
}
