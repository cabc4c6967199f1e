//! Where to start: what this is in a sentence, and six runs to begin with, each the first of a lesson.

use leptos::prelude::*;

use crate::erase::{parts, press};
use crate::state::Lab;
use crate::state::lessons::Shipped;
use crate::widgets::icon::Icon;

/// The panel; it stays until it is closed.
#[component]
pub fn Start() -> impl IntoView {
    let lab = Lab::of();
    let card = |Shipped { name, lesson, .. }: Shipped| {
        let title = lesson.card?;
        let view = view! { <a class="start-card" href=href(&name)><b>{title}</b><span>{lesson.about}</span></a> };
        Some(view.into_any())
    };
    view! {
        <section class="panel start" aria-labelledby="start">
            <h2 id="start">"Start here"</h2>
            <p>
                "Neural networks learn in this page, on your own machine: press "<b>"Run"</b>" and watch one find the border
                between three spirals, or let one of these show you something in a minute."
            </p>
            <button class="plain icon" aria-label="Close “Start here”" on:click=press(move |_| lab.start.set(false))>
                <Icon name="close"/>
            </button>
            <nav class="start-cards" aria-label="Lessons to start with">
                {parts(move || lab.lessons.get().into_iter().filter_map(card).collect())}
            </nav>
        </section>
    }
    .into_any()
}

/// The link to a lesson that comes with the page.
pub fn href(name: &str) -> String {
    format!("#lesson?name={name}")
}
