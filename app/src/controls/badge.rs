//! What the lab computes on, and why: a badge in the header and the preflight behind it.

use crate::erase::{keyed, press, words};
use engine::decimal::fixed;
use engine::protocol::{Backend, BackendInfo};
use leptos::prelude::*;

use crate::state::actions::{backend_id, backend_of};
use crate::state::{Dialog, Engine, Lab};
use crate::widgets::keys;

/// Executor and adapter in a few words, and the badge's class.
fn summary(engine: &Engine) -> (String, &'static str) {
    match engine {
        Engine::Absent => ("Engine loading".into(), "wait"),
        Engine::Starting(share) => (format!("Engine {}", loaded(*share)), "wait"),
        Engine::Stopped(_) => ("Engine stopped".into(), "lost"),
        Engine::Ready(info) => match (info.kind, info.fallback) {
            (Backend::Webgpu, false) => (format!("WebGPU · {}", info.adapter), "gpu"),
            (Backend::Webgpu, true) => (format!("WebGPU in software · {}", info.adapter), "slow"),
            _ => ("CPU".to_owned() + &named(info), "cpu"),
        },
    }
}

/// How much of the engine has arrived.
fn loaded(share: f64) -> String {
    if share < 1.0 { fixed(100.0 * share, 0) + "%" } else { "starting".into() }
}

fn named(info: &BackendInfo) -> String {
    if info.adapter.is_empty() { String::new() } else { format!(" · {}", info.adapter) }
}

/// The reason, as the engine gives it.
fn reason(engine: &Engine) -> String {
    match engine {
        Engine::Absent | Engine::Starting(_) => "The engine is being loaded.".into(),
        Engine::Stopped(reason) => format!("It stopped: {reason}"),
        Engine::Ready(info) => info.reason.clone(),
    }
}

/// The badge. `data-backend` is `cpu` or `webgpu` once the engine stands, for tests.
#[component]
pub fn Badge() -> impl IntoView {
    let lab = Lab::of();
    let text = move || lab.engine_here().with(summary).0;
    let short = move || {
        lab.engine_here().with(|engine| match engine {
            Engine::Ready(info) if info.kind == Backend::Webgpu => "GPU".into(),
            Engine::Ready(_) => "CPU".into(),
            Engine::Absent => "…".into(),
            Engine::Starting(share) => loaded(*share),
            Engine::Stopped(_) => "stopped".to_owned(),
        })
    };
    let backend = move || {
        lab.engine_here().with(|engine| match engine {
            Engine::Ready(info) => backend_id(info.kind),
            Engine::Absent | Engine::Starting(_) => "starting",
            Engine::Stopped(_) => "stopped",
        })
    };
    view! {
        <button
            class=words(move || format!("badge {}", lab.engine_here().with(summary).1))
            data-backend=backend
            title=words(move || lab.engine_here().with(reason))
            aria-label=words(move || format!("Backend: {}. {}", text(), lab.engine_here().with(reason)))
            on:click=press(move |_| lab.dialog.set(Some(Dialog::Preflight)))
        >
            <span class="wide">{words(text)}</span>
            <span class="only-phone">{words(short)}</span>
        </button>
    }
}

/// Adapter, limits, fallback; and the choice of executor.
#[component]
pub fn Preflight() -> impl IntoView {
    let lab = Lab::of();
    let facts = move || {
        let rows = match lab.engine_here().get() {
            Engine::Ready(info) => {
                let mut rows = vec![("adapter".to_owned(), info.adapter.clone())];
                if info.kind == Backend::Webgpu {
                    let kind = if info.fallback { "software: correct, but slow" } else { "hardware" };
                    rows.push(("kind".into(), kind.into()));
                }
                rows.extend(info.limits);
                rows
            }
            _ => Vec::new(),
        };
        let row =
            |(name, value): (String, String)| (!value.is_empty()).then(|| view! { <dt>{name}</dt><dd>{value}</dd> });
        rows.into_iter().map(row).collect_view()
    };
    let choice = move |id: &'static str, label: &'static str| {
        let backend = backend_of(id);
        view! {
            <button
                role="radio"
                tabindex=words(move || if lab.backend.get() == backend { "0" } else { "-1" }.to_owned())
                aria-checked=words(move || (lab.backend.get() == backend).to_string())
                on:click=press(move |_| lab.choose_backend(backend))
            >
                {label}
            </button>
        }
    };
    view! {
        <p><b>{words(move || lab.engine_here().with(summary).0)}</b></p>
        <p class="soft">{words(move || lab.engine_here().with(reason))}</p>
        <div class="chips" role="radiogroup" aria-label="Executor" on:keydown=keyed(|event| keys::choose(&event))>
            {choice("auto", "automatic")} {choice("webgpu", "WebGPU")} {choice("cpu", "CPU")}
        </div>
        <dl class="facts">{facts}</dl>
    }
    .into_any()
}
