//! The page as it is shown to a class: type, controls and figures grow with the screen. The style sheet says how much.

use engine::decimal::number;
use leptos::prelude::*;

use crate::controls::theme::redraw;
use crate::erase::{effect, press, words};
use crate::state::Lab;
use crate::widgets::icon::Icon;

/// How much larger than usual all lengths are.
pub fn grown() -> f64 {
    let size = || {
        let style = window().get_computed_style(&document().document_element()?).ok()??;
        number(style.get_property_value("font-size").ok()?.strip_suffix("px")?)
    };
    size().unwrap_or(10.0) / 10.0
}

/// Keeps the page as the lab says.
pub fn follow(lab: Lab) {
    effect(move || {
        let on = lab.present.get();
        if let Some(root) = document().document_element() {
            // An attribute of the root can always be set.
            let _ = root.toggle_attribute_with_force("data-present", on);
        }
        redraw();
    });
}

/// The button in the header.
#[component]
pub fn Present() -> impl IntoView {
    let lab = Lab::of();
    view! {
        <button
            class="icon wide"
            title="For a projector: everything grows with the screen (Esc ends it)"
            aria-label="Present"
            aria-pressed=words(move || lab.present.get().to_string())
            on:click=press(move |_| lab.present.update(|on| *on = !*on))
        >
            <Icon name="present"/>
        </button>
    }
}
