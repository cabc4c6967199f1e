//! The continual lab: a stream, strategies that learn it side by side, and what each forgets on the way.

mod arms;
mod bar;
mod controls;
mod figures;

use engine::continual::Published;
use engine::tree;
use leptos::prelude::*;

use crate::erase::{parts, press};
use crate::figure::card::FigureCard;
use crate::reactive::{RwSignal, Signal};
use crate::state::{Engine, Lab};

/// The page; the whole session is in the address.
#[component]
pub fn ContinualPage() -> impl IntoView {
    let lab = Lab::of();
    Effect::new(move || {
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

/// What each number means, and whose it is.
const MEANINGS: [(&str, &str); 9] = [
    ("R[i][j]", "test accuracy on task j once task i is learned: the rows of the matrices"),
    ("ACC", "mean of the last row: what is known in the end (Lopez-Paz and Ranzato 2017)"),
    ("BWT", "what later tasks did to earlier ones, R[T][i] − R[i][i]; below 0 = forgotten (same)"),
    ("FWT", "what earlier tasks did for one to come, above an untrained network (same)"),
    (
        "forgetting",
        "how far a task ends below the best that it had before (Chaudhry et al. 2018); Mammoth counts the last row too",
    ),
    ("anytime", "mean over all readings of the mean over the tasks begun (Caccia et al. 2020)"),
    (
        "worst case",
        "the last task in the end, and the others at their lowest since they were learned (De Lange et al. 2023)",
    ),
    ("stability gap", "how far task 1 falls right after its border before it recovers (De Lange et al. 2023)"),
    (
        "scenario",
        "class-incremental: which class of all? domain-incremental: which class of a task, all sharing the outputs? \
         task-incremental: the task is named, and each has a head of its own",
    ),
];

fn meanings() -> AnyView {
    let lines = MEANINGS.map(|(name, meaning)| view! { <dt>{name}</dt><dd>{meaning}</dd> }.into_any());
    view! {
        <details class="panel fold">
            <summary><h2>"What the numbers mean"</h2></summary>
            <dl class="facts">{lines.into_iter().collect_view()}</dl>
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
