//! Light or dark: as the system says, or as chosen here.

use leptos::prelude::*;

use crate::state::keep;
use crate::widgets::icon::Icon;

/// Applies the theme chosen on an earlier visit.
pub fn restore() {
    if let Some(theme) = keep::recalled("theme").filter(|theme| theme == "light" || theme == "dark") {
        apply(&theme);
    }
}

fn apply(theme: &str) {
    if let Some(root) = document().document_element() {
        // An attribute of the root can always be set.
        let _ = root.set_attribute("data-theme", theme);
    }
    redraw();
}

/// Has all figures drawn anew: colours or sizes are others.
pub fn redraw() {
    if let Ok(event) = web_sys::Event::new("minibatch:theme") {
        let _ = window().dispatch_event(&event);
    }
}

fn is_dark() -> bool {
    let chosen = document().document_element().and_then(|root| root.get_attribute("data-theme"));
    chosen.map_or_else(
        || window().match_media("(prefers-color-scheme: dark)").ok().flatten().is_some_and(|query| query.matches()),
        |theme| theme == "dark",
    )
}

/// The button in the header.
#[component]
pub fn Theme() -> impl IntoView {
    let turn = move |_| {
        let theme = if is_dark() { "light" } else { "dark" };
        apply(theme);
        keep::remember("theme", theme);
    };
    view! {
        <button class="icon" title="Light or dark" aria-label="Light or dark" on:click=turn>
            <Icon name="theme"/>
        </button>
    }
}
