//! Try it yourself: what a person draws is told apart as well as the network can by now.

use std::time::Duration;

use engine::spec::Content;
use leptos::prelude::*;
use web_sys::{Blob, File};

use crate::controls::open_file::PickFiles;
use crate::erase::{effect, flag, part, press};
use crate::figure::card::FigureCard;
use crate::reactive::Signal;
use crate::state::Lab;
use crate::widgets::pad::Pad;

/// Id of the view that answers.
pub const OWN_PICTURE: &str = "own_picture";

/// A drawing that grows is told of so often at most.
const TOLD: Duration = Duration::from_millis(80);

/// The panel; only where there are pictures to classify.
#[component]
pub fn OwnPicture() -> impl IntoView {
    let lab = Lab::of();
    let pictures = Signal::memo(move |_| {
        let drawn = lab.card.with(|card| card.as_ref().is_some_and(|card| card.content == Content::Images));
        drawn && !lab.predicts_numbers()
    });
    part(move || pictures.get().then(|| panel(lab)))
}

fn panel(lab: Lab) -> AnyView {
    let pad = Pad::new();
    lab.pad.set(Some(pad));
    on_cleanup(move || lab.pad.set(None));
    let waits = StoredValue::new(false);
    let drawn = Callback::new(move |()| {
        if waits.get_value() {
            return;
        }
        waits.set_value(true);
        let tell = move || {
            // The panel may be gone by then.
            if waits.try_set_value(false).is_none() {
                lab.try_picture(pad.picture());
            }
        };
        set_timeout(tell, TOLD);
    });
    // Another run has not seen it yet.
    effect(move || {
        if lab.summary.with(Option::is_some) && pad.inked.get_untracked() {
            lab.try_picture(pad.picture());
        }
    });
    let answer =
        Signal::memo(move |_| lab.looks.with(|known| known.iter().find(|figure| figure.id == OWN_PICTURE).cloned()));
    let known = Signal::memo(move |_| answer.with(Option::is_some));
    let card = move || {
        known
            .get()
            .then(|| view! { <FigureCard figure=Signal::derive(move || answer.get().unwrap_or_default())/> }.into_any())
    };
    let take = Callback::new(move |files: Vec<File>| {
        if let Some(file) = files.first() {
            lab.try_file(file.name(), Blob::clone(file));
        }
    });
    let clear = move |_| {
        pad.clear();
        lab.try_picture(None);
    };
    view! {
        <section class="panel own-picture" aria-label="Try it yourself">
            <h3>"Try it yourself"</h3>
            {pad.view("Draw here".into(), drawn)}
            {part(move || Some(card().unwrap_or_else(hint)))}
            <div class="filters">
                <button disabled=flag(move || !pad.inked.get()) on:click=press(clear)>"Clear"</button>
                <PickFiles label="Picture" hint="A picture to be told apart; it can also be dropped on the page. It never leaves this machine." accept="image/*" take/>
            </div>
        </section>
    }
    .into_any()
}

fn hint() -> AnyView {
    view! { <p class="soft">"Draw, or choose or drop a picture: the network says what it takes it for, and again while it learns."</p> }.into_any()
}
