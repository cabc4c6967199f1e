//! Dialogs about runs: one's name and note, and what differs between all of them.

use engine::decimal::number;
use engine::protocol::RunId;
use leptos::prelude::*;

use crate::erase::{heard, press};
use crate::figure::card::FigureCard;
use crate::reactive::{RwSignal, Signal};
use crate::state::{Lab, compare};

/// So many letters a name or a note may have.
const LONGEST: [&str; 2] = ["80", "400"];

/// A run's name and note.
pub fn naming(lab: Lab, id: RunId) -> AnyView {
    let known = lab.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).cloned());
    let Some(known) = known else { return ().into_any() };
    let plain = lab.names.get_untracked().into_iter().find(|(one, _)| *one == id).map(|(_, name)| name);
    let [name, note] = [known.name, known.note].map(RwSignal::new);
    let save = move |_| {
        let text = |field: RwSignal<String>| field.get_untracked().trim().to_owned();
        lab.rename(id, text(name), text(note));
        lab.dialog.set(None);
    };
    view! {
        <div class="shared">
            <label class="asked">
                "Name"
                <input
                    type="text"
                    maxlength=LONGEST[0]
                    placeholder=plain
                    prop:value=name.get_untracked()
                    on:input=heard(move |event| name.set(event_target_value(&event)))
                />
            </label>
            <label class="asked">
                "Note"
                <textarea
                    rows="3"
                    maxlength=LONGEST[1]
                    prop:value=note.get_untracked()
                    on:input=heard(move |event| note.set(event_target_value(&event)))
                ></textarea>
            </label>
            <div class="row">
                <button class="primary" on:click=press(save)>"Save"</button>
                <span class="soft">"Kept with the run on this device. Without a name it is called by what differs."</span>
            </div>
        </div>
    }
    .into_any()
}

/// What differs between the runs, as a table.
pub fn differences(lab: Lab) -> AnyView {
    let target = RwSignal::new(String::new());
    let figure = Signal::memo(move |_| {
        lab.tick.track();
        let target = number(&target.get());
        lab.runs.with(|runs| lab.series.with_value(|series| compare::table(runs, series, target)))
    });
    view! {
        <div class="shared">
            <label class="row">
                "Test loss to reach"
                <input
                    type="text"
                    inputmode="decimal"
                    placeholder="what all have reached"
                    on:input=heard(move |event| target.set(event_target_value(&event)))
                />
            </label>
            <FigureCard figure/>
        </div>
    }
    .into_any()
}
