//! The continual lab: a stream, strategies that learn it side by side, and what each forgets on the way.

mod arms;
mod bar;
mod controls;
mod figures;

use engine::continual::Published;
use engine::tree;
use leptos::prelude::*;

use crate::erase::{effect, parts, press};
use crate::figure::card::FigureCard;
use crate::reactive::{RwSignal, Signal};
use crate::state::{Engine, Lab};
use crate::terms::glossary;

/// The page; the whole session is in the address.
#[component]
pub fn ContinualPage() -> impl IntoView {
    let lab = Lab::of();
    effect(move || {
        if lab.study_engine.with(|engine| matches!(engine, Engine::Ready(_))) {
            lab.tell_continual();
        }
    });
    view! {
        <main class="continual">
            {bar::bar(lab)}
            {controls::panel(lab)}
            <div class="centre">
                <h1 class="unseen">"Continual learning"</h1>
                {arms::panel(lab)}
                {figures::figures(lab)}
                {meanings()}
                {published(lab)}
            </div>
        </main>
    }
    .into_any()
}

/// The terms under this title are what each number means, and whose it is.
fn meanings() -> AnyView {
    view! {
        <details class="panel fold">
            <summary><h2>"What the numbers mean"</h2></summary>
            {glossary("continual learning")}
        </details>
    }
    .into_any()
}

/// What others have published, and what the lab comes to under their protocol: fetched when it is first opened.
fn published(lab: Lab) -> AnyView {
    let file = RwSignal::new(String::new());
    let open = move |_| {
        if file.with_untracked(String::is_empty) {
            lab.fetch_published(file);
        }
    };
    let session = |Published { link, table }| {
        let open = format!("Open the session “{}”", table.title);
        view! {
            <FigureCard figure=Signal::stored(table)/>
            <p class="soft"><a href=link>{open}</a></p>
        }
        .into_any()
    };
    view! {
        <details class="panel fold">
            <summary on:click=press(open)><h2>"Held against published numbers"</h2></summary>
            <p class="soft">
                "Each session as it ran once on the command line, with three seeds on the 10,000 training images that come with
                the page; CONTINUAL.md tells the same."
            </p>
            {parts(move || tree::parse::<Vec<Published>>(file.get()).unwrap_or_default().into_iter().map(session).collect())}
        </details>
    }
    .into_any()
}
