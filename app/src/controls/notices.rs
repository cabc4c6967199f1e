//! Banners that stay until they are answered, and toasts that go away.

use std::sync::Arc;

use crate::erase::{each, part, parts, press};
use engine::fewshot::setting;
use engine::spec::{Issue, Page, field};
use leptos::prelude::*;

use crate::reactive::Signal;
use crate::state::{Banner, Engine, Lab, effective};
use crate::text::whole;
use crate::widgets::icon::Icon;

/// Below the header.
#[component]
pub fn Banners() -> impl IntoView {
    let lab = Lab::of();
    let dismiss = move |banner: Banner| lab.banners.update(|banners| banners.retain(|known| *known != banner));
    let banner = move |banner: Banner| {
        let (text, quiet) = match &banner {
            Banner::Trouble(text) => (text.clone(), false),
            Banner::Resume(id) => {
                let run = lab.runs.with_untracked(|runs| runs.iter().find(|run| run.id == *id).cloned());
                let at =
                    run.map(|run| format!(" at step {} of {}", whole(run.step), whole(effective(&run.spec).steps)));
                (
                    format!("A run was cut short{}. It can go on as if nothing had happened.", at.unwrap_or_default()),
                    true,
                )
            }
            Banner::Outdated => ("This lab has been updated since the page was opened.".into(), false),
        };
        let act = match banner.clone() {
            Banner::Resume(id) => {
                view! { <button on:click=press(move |_| lab.resume(id))>"Resume"</button> }.into_any()
            }
            Banner::Outdated => {
                let reload = |_| {
                    // A page that cannot reload stays as it is.
                    let _ = window().location().reload();
                };
                view! { <button on:click=reload>"Reload"</button> }.into_any()
            }
            Banner::Trouble(_) => ().into_any(),
        };
        view! {
            <div class="banner" class:quiet=quiet role="status">
                <span>{text}</span>
                {act}
                <button class="plain icon" aria-label="Dismiss" on:click=press(move |_| dismiss(banner.clone()))><Icon name="close"/></button>
            </div>
        }
        .into_any()
    };
    let stopped = move || {
        lab.engine_here().with(|engine| match engine {
            Engine::Stopped(reason) => Some(reason.clone()),
            _ => None,
        })
    };
    let silent = move || {
        lab.silence.long.get().then(|| {
            view! {
                <div class="banner" role="alert">
                    <span>"The engine has said nothing for half a minute. It may be busy with a very large step, or have stopped."</span>
                    <button on:click=press(move |_| lab.replace_engine())>"Start it again from the last checkpoint"</button>
                </div>
            }
            .into_any()
        })
    };
    // A control says what is wrong with it: the lab has one for a field of the recipe, the few-shot lab for its settings.
    let homeless = move |issue: &Issue| match lab.page.get() {
        Page::Lab => lab.spec.with(|spec| field(spec, &issue.path).is_none()),
        Page::Fewshot => setting(&issue.path).is_none(),
        _ => true,
    };
    let wrong_link = move || {
        lab.issues.with(|issues| {
            let homeless = issues.iter().filter(|issue| homeless(issue));
            homeless.map(|issue| issue.message.clone()).collect::<Vec<_>>()
        })
    };
    view! {
        {parts(move || lab.banners.get().into_iter().map(banner).collect())}
        {part(silent)}
        {part(move || stopped().map(|reason| view! {
            <div class="banner" role="alert">
                <span>{format!("The engine does not run: {reason}")}</span>
                <button on:click=press(move |_| lab.restart())>"Start it again"</button>
            </div>
        }.into_any()))}
        {part(move || {
            let messages = wrong_link();
            (!messages.is_empty()).then(|| view! {
                <div class="banner link-issues" role="status">
                    <span>{messages.join(" · ")}</span>
                    <button
                        class="plain icon"
                        aria-label="Dismiss"
                        on:click=press(move |_| untrack(move || lab.issues.update(|issues| issues.retain(|issue| !homeless(issue)))))
                    >
                        <Icon name="close"/>
                    </button>
                </div>
            }.into_any())
        })}
    }
    .into_any()
}

/// At the bottom, above everything.
#[component]
pub fn Toasts() -> impl IntoView {
    let lab = Lab::of();
    let ids = Signal::memo(move |_| lab.toasts.with(|toasts| toasts.iter().map(|toast| toast.id).collect()));
    let toast = move |id: usize| {
        let found = lab.toasts.with_untracked(|toasts| toasts.iter().find(|toast| toast.id == id).cloned());
        let Some(toast) = found else { return ().into_any() };
        view! {
            <div class="toast" class:bad=toast.bad class:good=!toast.bad>
                <span>{toast.text}</span>
                {toast.undo.map(|what| {
                    let undo = move |_| {
                        lab.undo(what.clone());
                        lab.toasts.update(|toasts| toasts.retain(|toast| toast.id != id));
                    };
                    view! { <button on:click=press(undo)>"Undo"</button> }.into_any()
                })}
                <button
                    class="plain"
                    aria-label="Dismiss"
                    on:click=press(move |_| lab.toasts.update(|toasts| toasts.retain(|toast| toast.id != id)))
                >
                    <Icon name="close"/>
                </button>
            </div>
        }
        .into_any()
    };
    view! {
        <div class="toasts" role="status" aria-live="polite">
            {each(ids, Arc::new(toast))}
        </div>
    }
    .into_any()
}
