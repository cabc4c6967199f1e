//! Dialogs: help, preflight, the columns of a table, the test of learning rates.

use crate::erase::{effect, press};
use leptos::html::Dialog as DialogElement;
use leptos::prelude::*;

use super::badge::Preflight;
use super::columns::{Arrays, Columns};
use super::find_rate::RateTest;
use super::{runs, share};
use crate::state::{Dialog, Lab};
use crate::terms::glossary;
use crate::widgets::icon::Icon;

/// The one dialog that may be open.
#[component]
pub fn Dialogs() -> impl IntoView {
    let lab = Lab::of();
    move || {
        lab.dialog.get().map(|dialog| {
            let title = match &dialog {
                Dialog::Share => "Share",
                Dialog::Help => "Keys, first steps and words",
                Dialog::Preflight => "What the lab computes on",
                Dialog::Columns(choice) if choice.arrays => "Which arrays?",
                Dialog::Columns(_) => "Which columns?",
                Dialog::FindRate => "Which learning rate?",
                Dialog::Name(_) => "Name and note",
                Dialog::Differences => "Runs beside each other",
            };
            let body = match dialog {
                Dialog::Share => share::dialog(lab),
                Dialog::Help => view! { <Help/> }.into_any(),
                Dialog::Preflight => view! { <Preflight/> }.into_any(),
                Dialog::Columns(choice) if choice.arrays => view! { <Arrays choice/> }.into_any(),
                Dialog::Columns(choice) => view! { <Columns choice/> }.into_any(),
                Dialog::FindRate => view! { <RateTest/> }.into_any(),
                Dialog::Name(run) => runs::naming(lab, run),
                Dialog::Differences => runs::differences(lab),
            };
            view! { <Modal title body/> }.into_any()
        })
    }
}

/// A modal dialog that closes itself through the state.
#[component]
fn Modal(title: &'static str, body: AnyView) -> impl IntoView {
    let lab = Lab::of();
    let element = NodeRef::<DialogElement>::new();
    effect(move || {
        if let Some(dialog) = element.get()
            && !dialog.open()
        {
            // Fails only for a dialog that is open or gone; both are as good as shown.
            let _ = dialog.show_modal();
        }
    });
    // One that was merely taken out would leave the focus nowhere.
    on_cleanup(move || {
        if let Some(Some(dialog)) = element.try_get_untracked() {
            dialog.close();
        }
    });
    let close = move || lab.dialog.set(None);
    // Told a moment later, when another one may be open in its place.
    let closed = move || {
        if element.try_get_untracked().flatten().is_some_and(|dialog| !dialog.open()) {
            close();
        }
    };
    view! {
        <dialog
            node_ref=element
            aria-label=title
            on:close=move |_| closed()
            on:click=move |event| {
                // A click on the backdrop is one on the dialog itself, outside its content.
                if event.target() == event.current_target() && element.get_untracked().is_some_and(|dialog| outside(&dialog, &event)) {
                    close();
                }
            }
        >
            <div class="dialog-head">
                <h2>{title}</h2>
                <button class="plain icon" aria-label="Close" on:click=press(move |_| close())><Icon name="close"/></button>
            </div>
            {body}
        </dialog>
    }
    .into_any()
}

fn outside(dialog: &web_sys::HtmlDialogElement, event: &web_sys::MouseEvent) -> bool {
    let bounds = dialog.get_bounding_client_rect();
    let (x, y) = (f64::from(event.client_x()), f64::from(event.client_y()));
    x < bounds.left() || x > bounds.right() || y < bounds.top() || y > bounds.bottom()
}

const KEYS: [(&str, &str); 6] = [
    ("space", "run or pause"),
    ("s", "one step"),
    ("r", "start over"),
    ("/", "search the recipe"),
    ("?", "this help"),
    ("arrows", "move a slider, the rewind head, or a point of a lane"),
];

#[component]
fn Help() -> impl IntoView {
    let keys = KEYS.map(|(key, does)| view! { <dt><kbd>{key}</kbd></dt><dd>{does}</dd> });
    view! {
        <p>
            "Pick data, a model and a recipe on the left and press Run. The lanes in the middle share one x axis: the loss,
            the learning rate that is still to come, the batch size. Drag their points while it runs: the future changes, the
            past does not. Drag the rewind head back to any step and run on."
        </p>
        <p class="soft">
            "The address in your browser holds the whole recipe: Share copies it, and whoever opens it gets the same numbers.
            Drop a CSV, .npz, .zip, folder of class-named image folders or text file anywhere to train on your own data;
            it never leaves this machine."
        </p>
        <dl class="facts keys">{keys.into_iter().collect_view()}</dl>
        <details class="fold">
            <summary>"Words of the field"</summary>
            {glossary("")}
        </details>
    }
    .into_any()
}
