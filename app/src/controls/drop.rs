//! Files dropped anywhere on the page.

use engine::spec::Page;
use leptos::ev::{self, DragEvent};
use leptos::prelude::*;

use crate::reactive::RwSignal;
use crate::state::Lab;

/// What is done with files, and which: where few-shot classes are taught, and elsewhere.
const TAUGHT: [&str; 2] =
    ["Drop to teach it", "Pictures · folders named by class · .zip of such folders · classes that were saved (.mbcl)"];
const TRAINED: [&str; 2] = [
    "Drop to train on it",
    "CSV · .npz · .zip or folder of class-named image folders · .txt · weights (.safetensors) · a run (.json) · one picture, to be told apart",
];

/// Shows where to drop while something is dragged over the page.
#[component]
pub fn DropZone() -> impl IntoView {
    let lab = Lab::of();
    let over = RwSignal::new(false);
    let carries_files =
        |event: &DragEvent| event.data_transfer().is_some_and(|data| data.types().includes(&"Files".into(), 0));
    let listeners = [
        window_event_listener(ev::dragover, move |event| {
            if carries_files(&event) {
                event.prevent_default();
                over.set(true);
            }
        }),
        window_event_listener(ev::dragleave, move |event| {
            // Only when the pointer leaves the window itself.
            if event.related_target().is_none() {
                over.set(false);
            }
        }),
        window_event_listener(ev::drop, move |event| {
            over.set(false);
            if carries_files(&event) {
                event.prevent_default();
                if let Some(data) = event.data_transfer() {
                    lab.dropped(&data);
                }
            }
        }),
    ];
    on_cleanup(move || listeners.into_iter().for_each(|listener| listener.remove()));
    move || {
        over.get().then(|| {
            let [title, kinds] = if lab.page.get() == Page::Fewshot { TAUGHT } else { TRAINED };
            view! {
                <div class="drop">
                    <h2>{title}</h2>
                    <p class="soft">{kinds}</p>
                    <p class="soft">"It never leaves this machine."</p>
                </div>
            }
        })
    }
}
