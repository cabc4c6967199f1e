//! Copies the link to what is shown.

use engine::fewshot::Source;
use engine::spec::{DataSet, Page};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use crate::state::Lab;
use crate::widgets::icon::Icon;

/// Copies the full address with this fragment, and says so.
pub fn copy_text(lab: Lab, fragment: &str) {
    let location = window().location().href().unwrap_or_default();
    let base = location.split('#').next().unwrap_or_default();
    let address = format!("{base}{fragment}");
    spawn_local(async move {
        let written = window().navigator().clipboard().write_text(&address);
        let drawn = lab.page.get_untracked() == Page::Fewshot
            && lab.fewshot.link.with_untracked(|link| link.spec.data == Source::Own);
        let own = lab.spec.with_untracked(|spec| (spec.data.set == DataSet::Own).then(|| spec.data.file.clone()));
        match (JsFuture::from(written).await, own.filter(|_| lab.page.get_untracked().has_recipe())) {
            (Ok(_), Some(file)) => lab.toast(
                format!("The link is copied. It holds the recipe, not your data: whoever opens it needs the file {file} too."),
                false,
            ),
            (Ok(_), None) if drawn => lab.toast(
                "The link is copied. It holds the settings, not your pictures: whoever opens it needs the file of saved classes too.",
                false,
            ),
            (Ok(_), None) => lab.toast("The link is copied: whoever opens it sees this run.", false),
            // Not allowed, or not a secure page: the person can still copy it by hand.
            (Err(_), _) => lab.toast(format!("Copy this link: {address}"), false),
        }
    });
}

/// Copies a table of numbers, and says so.
pub fn copy_table(lab: Lab, text: String) {
    spawn_local(async move {
        match JsFuture::from(window().navigator().clipboard().write_text(&text)).await {
            Ok(_) => lab.toast("The table is copied, with tabs between its columns.", false),
            Err(_) => lab.toast("The browser does not let this page copy.", true),
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
