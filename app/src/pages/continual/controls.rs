//! The session's controls: presets, stream, network, training, readings; they are the tables of the engine.

use std::sync::Arc;

use engine::continual::{ContinualSpec, FIELDS, PRESETS, SETTINGS, StreamKind, preset};
use engine::spec::{DataSet, Kind};
use leptos::prelude::*;

use crate::controls::field::{About, Control};
use crate::controls::open_file::OpenFile;
use crate::erase::{each, flag, heard, part, press, words};
use crate::reactive::Signal;
use crate::state::Lab;
use crate::terms::line;
use crate::widgets::icon::Icon;

/// Groups in the order of the panel: id for `hide=`, title, the first control of the table that is of the next group.
const GROUPS: [(&str, &str, &str); 4] = [
    ("streams", "Stream", "network"),
    ("networks", "Network", "optimizer"),
    ("training", "Training", "readings"),
    ("chance", "Readings and seeds", ""),
];

/// What the controls are compared with.
fn base(spec: &ContinualSpec) -> ContinualSpec {
    preset(&spec.preset).map(|preset| preset.spec()).unwrap_or_default()
}

/// A control's value, or a strategies' setting's.
fn value(spec: &ContinualSpec, path: &str) -> String {
    spec.get(path).or_else(|| spec.turned(path)).unwrap_or_default()
}

/// The panel; on phones a sheet.
pub fn panel(lab: Lab) -> AnyView {
    let chosen = Signal::memo(move |_| lab.learned(|known| known.spec.preset.clone()));
    let options = PRESETS.iter().map(|preset| {
        view! { <option value=preset.id selected=flag(move || chosen.get() == preset.id)>{preset.label}</option> }
            .into_any()
    });
    let choose = move |id: &str| {
        if let Some(preset) = preset(id) {
            lab.issues.set(Vec::new());
            lab.take_continual(preset.spec());
        }
    };
    let about = move || chosen.with(|id| preset(id).map_or("", |preset| line(lab, preset.line)).to_owned());
    let mut first = 0;
    let groups = GROUPS.map(|(id, title, next)| {
        let end = FIELDS.iter().position(|field| field.path == next).unwrap_or(FIELDS.len());
        let range = std::mem::replace(&mut first, end)..end;
        group(lab, id, title, range.collect())
    });
    let settings = (FIELDS.len()..FIELDS.len() + SETTINGS.len()).collect();
    view! {
        <section class="recipe" id="recipe" class:open=flag(move || lab.sheet.get()) aria-label="Session">
            <h2 class="unseen">"Session"</h2>
            <div class="recipe-head">
                <div class="row">
                    <select aria-label="Preset" prop:value=words(move || chosen.get()) on:change=heard(move |event| choose(&event_target_value(&event)))>
                        <option value="" selected=flag(move || chosen.with(String::is_empty))>"No preset"</option>
                        {options.collect_view()}
                    </select>
                    <button class="icon only-phone" aria-label="Close the controls" on:click=press(move |_| lab.sheet.set(false))>
                        <Icon name="close"/>
                    </button>
                </div>
                <p class="soft">{words(about)}</p>
            </div>
            <div class="recipe-body">
                {groups.into_iter().collect_view()}
                {group(lab, "settings", "Settings of all strategies", settings)}
            </div>
        </section>
    }
    .into_any()
}

/// Controls by their places in the table of controls, after which those of strategies' settings are counted.
fn group(lab: Lab, id: &'static str, title: &'static str, places: Vec<usize>) -> AnyView {
    let visible = Signal::memo(move |_| {
        let hidden = |path: &str| lab.hide.with(|hide| hide.iter().any(|one| one == path || one == id));
        lab.learned(|known| {
            let applies = |place: &usize| match FIELDS.get(*place) {
                // What a file is comes with it.
                Some(field) => (field.applies)(&known.spec) && !hidden(field.path) && !of_file(field.path),
                None => {
                    let setting = &SETTINGS[place - FIELDS.len()];
                    known.spec.reads(setting.id) && !hidden(setting.id)
                }
            };
            places.iter().copied().filter(applies).collect::<Vec<usize>>()
        })
    });
    let file = move || {
        let own = lab.learned(|known| matches!(known.spec.stream, StreamKind::Own | StreamKind::OwnTime));
        (own && id == "streams").then(|| file(lab))
    };
    view! {
        <details class="group" open hidden=flag(move || visible.with(Vec::is_empty))>
            <summary><h3>{title}</h3></summary>
            {each(visible, Arc::new(move |place| control(lab, place)))}
            {part(file)}
        </details>
    }
    .into_any()
}

fn of_file(path: &str) -> bool {
    matches!(path, "file" | "hash" | "content" | "target" | "columns" | "kinds")
}

/// Which file the stream is made of, and how to bring one.
fn file(lab: Lab) -> AnyView {
    let name = move || {
        let name = lab.learned(|known| known.spec.own.file.clone());
        if name.is_empty() { "No file yet: open one, then use it here.".into() } else { name }
    };
    let at_hand = Signal::memo(move |_| {
        let data = lab.spec.with(|spec| spec.data.clone());
        (data.set == DataSet::Own && lab.learned(|known| known.spec.own != data)).then_some(data)
    });
    let take = move |_| {
        if let Some(data) = at_hand.get_untracked() {
            lab.edit_continual("file", |spec| {
                spec.own = data;
                Ok(())
            });
        }
    };
    let offer = move || {
        let file = at_hand.with(|data| data.as_ref().map(|data| data.file.clone()))?;
        Some(view! { <button on:click=press(take)>{format!("Use {file}")}</button> }.into_any())
    };
    view! {
        <p class="soft">{words(name)}</p>
        {part(offer)}
        <OpenFile label="Open a file"/>
    }
    .into_any()
}

fn control(lab: Lab, place: usize) -> AnyView {
    let (path, label, effect, unit, kind): (_, _, _, _, Kind) = match FIELDS.get(place) {
        Some(field) => (field.path, field.label, field.effect, field.unit, field.kind.clone()),
        None => {
            let setting = &SETTINGS[place - FIELDS.len()];
            (setting.id, setting.label, setting.effect, setting.unit, setting.kind.clone())
        }
    };
    let about = About {
        path: path.into(),
        label: label.into(),
        effect: Signal::derive(move || line(lab, effect).to_owned()),
        unit: unit.into(),
        kind,
    };
    let now = Signal::derive(move || lab.learned(|known| value(&known.spec, path)));
    let base = Signal::derive(move || lab.learned(|known| value(&base(&known.spec), path)));
    let issue = Signal::derive(move || {
        lab.issues.with(|issues| issues.iter().find(|issue| issue.path == path).map(|issue| issue.message.clone()))
    });
    let set = Callback::new(move |text: String| lab.set_continual(path, &text));
    view! { <Control about value=now base issue set disabled=false/> }.into_any()
}
