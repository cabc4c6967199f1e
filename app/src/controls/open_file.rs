//! Opens files of the person's own: data, weights, runs, pictures.

use leptos::html::Input;
use leptos::prelude::*;
use web_sys::File;

use crate::erase::{heard, press};
use crate::state::Lab;
use crate::widgets::icon::Icon;

const ACCEPTED: &str = ".csv,.tsv,.npz,.zip,.txt,.json,.safetensors";
const HINT: &str = "Own data (CSV, .npz, .zip of class-named image folders, .txt), weights (.safetensors) or a run (.json). \
                    Files and folders can also be dropped anywhere on the page. They never leave this machine.";

/// A button that asks for data, weights or a run.
#[component]
pub fn OpenFile(label: &'static str) -> impl IntoView {
    let lab = Lab::of();
    view! { <PickFiles label hint=HINT accept=ACCEPTED take=Callback::new(move |files| lab.picked(files))/> }
}

/// A button that asks for files.
#[component]
pub fn PickFiles(
    label: &'static str,
    /// What they may be, and what becomes of them.
    hint: &'static str,
    /// Endings or kinds, as the browser's dialog takes them.
    accept: &'static str,
    take: Callback<Vec<File>>,
) -> impl IntoView {
    let picker = NodeRef::<Input>::new();
    let pick = move |event: web_sys::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        let files = input.files();
        take.run(files.map(|files| (0..files.length()).filter_map(|i| files.get(i)).collect()).unwrap_or_default());
        // So that the same file can be picked again.
        input.set_value("");
    };
    let ask = move |_| {
        if let Some(input) = picker.get_untracked() {
            input.click();
        }
    };
    view! {
        <input
            type="file"
            class="unseen"
            tabindex="-1"
            aria-hidden="true"
            multiple
            node_ref=picker
            accept=accept
            on:change=heard(pick)
        />
        <button class="plain open-file" title=hint on:click=press(ask)><Icon name="upload"/>{label}</button>
    }
    .into_any()
}
