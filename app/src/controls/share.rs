//! Copies the link to what is shown.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::icon::Icon;
use crate::state::Lab;

/// Copies the full address with this fragment, and says so.
pub fn copy_text(lab: Lab, fragment: &str) {
    let location = window().location().href().unwrap_or_default();
    let base = location.split('#').next().unwrap_or_default();
    let address = format!("{base}{fragment}");
    spawn_local(async move {
        let written = window().navigator().clipboard().write_text(&address);
        match JsFuture::from(written).await {
            Ok(_) => lab.toast("The link is copied: whoever opens it sees this run.", false),
            // Not allowed, or not a secure page: the person can still copy it by hand.
            Err(_) => lab.toast(format!("Copy this link: {address}"), false),
        }
    });
}

/// The button in the header.
#[component]
pub fn Share() -> impl IntoView {
    let lab = Lab::of();
    let share = move |_| {
        let fragment = untrack(move || lab.address().fragment());
        copy_text(lab, &fragment);
    };
    view! {
        <button class="share" title="Copy a link to this" on:click=share>
            <Icon name="share"/>
            <span class="wide">"Share"</span>
        </button>
    }
}
