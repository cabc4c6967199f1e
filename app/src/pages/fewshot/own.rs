//! Classes of the person's own: a pad for each, files and the camera; a picture to be told apart, live.

use std::sync::Arc;
use std::time::Duration;

use engine::fewshot::{OwnClass, OwnCommand, OwnState};
use leptos::html::Video;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;

use super::task::{class_name, distances};
use crate::controls::camera;
use crate::controls::open_file::PickFiles;
use crate::erase::{each, flag, heard, part, parts, press, words};
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::state::fewshot::OWN_ENDING;
use crate::text::{number, percent, seconds};
use crate::widgets::icon::Icon;
use crate::widgets::pad::Pad;

/// Distance of the pictures that the camera's answers are of.
const GLANCE: Duration = Duration::from_millis(300);
const NONE: &str = "None of these";
const PICTURES: &str = "image/*,.zip";
const HINT: &str = "Pictures, folders named by class, or a zip of such folders; they can also be dropped on the page or on a \
                    class. They never leave this machine.";

/// What is known of the classes, reactively.
fn read<T: Default>(lab: Lab, of: impl FnOnce(&OwnState) -> T) -> T {
    lab.fewshot.own.with(|own| own.as_ref().map(|own| of(&own.said)).unwrap_or_default())
}

/// The panel.
pub fn panel(lab: Lab) -> AnyView {
    let count = Signal::memo(move |_| read(lab, |own| own.classes.len()));
    let places = Signal::derive(move || (0..count.get()).collect::<Vec<usize>>());
    let none = move || count.get() == 0;
    let add = press(move |_| lab.ask_own(OwnCommand::AddClass { name: free_name(lab) }, &[]));
    let import = Callback::new(move |files: Vec<File>| lab.picked(files));
    view! {
        <div class="own">
            {question(lab, count)}
            <section class="panel taught" aria-label="Your classes" data-classes=words(move || count.get().to_string())>
                <div class="task-head">
                    <h2>"Your classes"</h2>
                    <span class="now"></span>
                    <button class="primary" on:click=add><Icon name="add"/>"Add a class"</button>
                </div>
                <p class="note" hidden=flag(move || !none())>
                    "Add two classes or more and draw a picture or two of each. Or drop pictures: a folder a class, or a zip of
                    such folders. All stays on this machine; a link to this page holds the settings, not your pictures."
                </p>
                <div class="own-classes">{each(places, Arc::new(move |place| class(lab, place)))}</div>
                <p class="note">{words(move || rejected(lab))}</p>
                <div class="filters">
                    <PickFiles label="Open pictures" hint=HINT accept=PICTURES take=import/>
                    <button disabled=flag(none) on:click=press(move |_| lab.save_own(true))>"Save the classes"</button>
                    <PickFiles label="Load classes" hint="A file that was saved here, in place of the classes that there are." accept=OWN_ENDING take=import/>
                    <button class="danger" disabled=flag(none) on:click=press(move |_| lab.ask_own(OwnCommand::Clear, &[]))>"Clear all"</button>
                </div>
            </section>
        </div>
    }
    .into_any()
}

/// A letter that no class is called yet.
fn free_name(lab: Lab) -> String {
    untrack(|| {
        let taken = |name: &str| read(lab, |own| own.classes.iter().any(|class| class.name == name));
        let letters = ('A'..='Z').map(String::from);
        letters.chain((1..=1000).map(|i| format!("class {i}"))).find(|name| !taken(name)).unwrap_or_default()
    })
}

/// When a picture is none of these.
fn rejected(lab: Lab) -> String {
    read(lab, |own| {
        own.rejection.map(|rule| {
            format!(
                "Beyond a distance of {} a picture is none of these. Of known pictures that refuses {}, of unknown ones it lets {} pass.",
                number(rule.distance),
                percent(rule.false_alarms),
                percent(rule.misses)
            )
        })
        .unwrap_or_default()
    })
}

/// A class: name, pictures, pad.
fn class(lab: Lab, place: usize) -> AnyView {
    let known = Signal::memo(move |_| read(lab, |own| own.classes.get(place).cloned()));
    let name = move || known.with(|class| class.as_ref().map_or_else(String::new, |class| class.name.clone()));
    let pad = Pad::new();
    let add = press(move |_| {
        if let Some(picture) = pad.picture() {
            lab.teach(place, &[picture]);
            pad.clear();
        }
    });
    let told = move || {
        known
            .with(|class| {
                class.as_ref().map(|OwnClass { pictures, right, .. }| {
                    let right = right.map(|right| format!(", {right} told rightly by the others")).unwrap_or_default();
                    let s = if *pictures == 1 { "" } else { "s" };
                    format!("{pictures} picture{s}{right}")
                })
            })
            .unwrap_or_default()
    };
    let pictures = parts(move || {
        let Some(own) = lab.fewshot.own.get() else { return Vec::new() };
        let before: usize = own.said.classes.iter().take(place).map(|class| class.pictures).sum();
        let count = own.said.classes.get(place).map_or(0, |class| class.pictures);
        let one = |i: usize| {
            let label = format!("Take picture {} of {} away", i + 1, own.said.classes[place].name);
            let away = press(move |_| lab.ask_own(OwnCommand::RemovePicture { class: place, picture: i }, &[]));
            view! { <button class="plain shot" title=label.clone() aria-label=label on:click=away>{own.sheet.picture(before + i)}</button> }.into_any()
        };
        (0..count).map(one).collect()
    });
    let rename = move |event: web_sys::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        lab.ask_own(OwnCommand::RenameClass { class: place, name: input.value() }, &[]);
        // The new name comes back from the engine, unless it is refused.
        input.set_value(&untrack(name));
    };
    let remove = press(move |_| {
        pad.clear();
        lab.ask_own(OwnCommand::RemoveClass { class: place }, &[]);
    });
    let take = Callback::new(move |files: Vec<File>| {
        lab.onto_class(Some(place));
        lab.picked(files);
    });
    view! {
        <section
            class="own-class"
            aria-label=words(move || format!("Class {}", name()))
            data-class=place
            on:drop=move |_| lab.onto_class(Some(place))
        >
            <div class="row">
                <input
                    type="text"
                    autocomplete="off"
                    aria-label=format!("Name of class {}", place + 1)
                    prop:value=name
                    on:change=heard(rename)
                />
                <button class="plain icon" aria-label=words(move || format!("Take class {} away", name())) on:click=remove><Icon name="delete"/></button>
            </div>
            <div class="row teach">
                {pad.view(format!("Pad of class {}", place + 1), Callback::new(|()| ()))}
                <div>
                    <button disabled=flag(move || !pad.inked.get()) on:click=add>"Add"</button>
                    <button disabled=flag(move || !pad.inked.get()) on:click=press(move |_| pad.clear())>"Clear"</button>
                    <PickFiles label="Files" hint=HINT accept=PICTURES take/>
                </div>
            </div>
            <div class="kept">{pictures}</div>
            <p class="note">{words(told)}</p>
        </section>
    }
    .into_any()
}

/// The picture that is to be told apart, and what it is taken for.
fn question(lab: Lab, count: Signal<usize>) -> AnyView {
    let pad = Pad::new();
    let video = NodeRef::<Video>::new();
    let filming = RwSignal::new(false);
    // The browser asks for the camera once at a time.
    let asking = StoredValue::new(false);
    // What comes late, from the camera or a file, is nobody's once the page is left.
    let left = move || filming.try_get_untracked().is_none();
    let shut = move || {
        if let Some(video) = video.get_untracked() {
            camera::close(&video);
        }
        filming.set(false);
    };
    let drawn = Callback::new(move |()| {
        if let Some(picture) = pad.picture() {
            lab.classify(picture);
        }
    });
    let clear = move || {
        pad.clear();
        lab.unask();
    };
    let film = move |_| {
        if filming.get_untracked() {
            shut();
            return;
        }
        let Some(video) = video.get_untracked().filter(|_| !asking.get_value()) else { return };
        asking.set_value(true);
        spawn_local(async move {
            let opened = camera::open(&video).await;
            asking.set_value(false);
            match opened {
                _ if left() => {}
                Ok(()) => filming.set(true),
                Err(reason) => lab.toast(format!("There is no camera here: {reason}"), true),
            }
        });
    };
    if let Ok(glance) = set_interval_with_handle(
        move || {
            if filming.try_get_untracked() == Some(true)
                && let Some(picture) = video.get_untracked().and_then(|video| camera::grab(&video))
            {
                lab.classify(picture);
            }
        },
        GLANCE,
    ) {
        on_cleanup(move || glance.clear());
    }
    on_cleanup(move || {
        if let Some(Some(video)) = video.try_get_untracked() {
            camera::close(&video);
        }
    });
    let open = Callback::new(move |files: Vec<File>| {
        spawn_local(async move {
            let Some(file) = files.first() else { return };
            match camera::decode(file).await {
                _ if left() => {}
                Ok(picture) => {
                    pad.clear();
                    lab.classify(picture);
                }
                Err(reason) => lab.toast(format!("{} is no picture that can be read: {reason}", file.name()), true),
            }
        });
    });
    let asked = Signal::memo(move |_| lab.fewshot.answer.with(Option::is_some));
    let verdict = Signal::memo(move |_| {
        let class = lab.fewshot.answer.with(|answer| answer.as_ref().map(|answer| answer.said.class));
        let name = |class: usize| read(lab, |own| own.classes.get(class).map(|class| class.name.clone()));
        class.map(|class| class.and_then(name).unwrap_or_else(|| NONE.into())).unwrap_or_default()
    });
    view! {
        <section class="panel question" aria-label="What is this?">
            <h2>"What is this?"</h2>
            <div class="stage">
                <div hidden=flag(move || filming.get())>{pad.view("Pad to be classified".into(), drawn)}</div>
                <video node_ref=video muted=true playsinline=true hidden=flag(move || !filming.get()) aria-label="The camera"></video>
            </div>
            <div class="filters">
                <button disabled=flag(move || !asked.get() && !pad.inked.get()) on:click=press(move |_| clear())>"Clear"</button>
                <PickFiles label="Picture" hint="A picture to be classified. It never leaves this machine." accept="image/*" take=open/>
                <button aria-pressed=words(move || filming.get().to_string()) on:click=press(film)>
                    {words(move || if filming.get() { "Camera off" } else { "Camera" }.to_owned())}
                </button>
            </div>
            // Said when it changes, not whenever the pen moves.
            <p class="unseen" aria-live="polite">{words(move || verdict.get())}</p>
            {part(move || answer(lab))}
            {part(move || (asked.get() && count.get() > 0).then(|| teach(lab, count, clear, filming)))}
            <p class="note" hidden=flag(move || asked.get())>
                "Draw here once two classes have pictures: the answer follows the pen. The camera's pictures are never sent."
            </p>
        </section>
    }
    .into_any()
}

/// What the picture is taken for.
fn answer(lab: Lab) -> Option<AnyView> {
    let answer = lab.fewshot.answer.get()?;
    let own = lab.fewshot.own.get()?;
    let said = &answer.said;
    let name = |place: usize| own.said.classes.get(place).map_or("", |class| class.name.as_str());
    let verdict = match said.class {
        Some(class) => class_name(class, name(class)),
        None => view! { <span>{NONE}</span> }.into_any(),
    };
    let sure = said.class.and_then(|class| said.probabilities.get(class)).map(|p| percent(f64::from(*p)));
    let near = said.nearest.map(|(class, picture)| {
        let before: usize = own.said.classes.iter().take(class).map(|class| class.pictures).sum();
        view! { <span>{own.sheet.picture(before + picture)}<em>{format!("nearest: {}", name(class))}</em></span> }
    });
    let given = said.class.unwrap_or(usize::MAX);
    Some(
        view! {
            <p class="answer" data-answer=said.class.map_or("none", name).to_owned()>{verdict}" "{sure}</p>
            <div class="pair">
                <span>{answer.sheet.picture(0)}<em>"as the encoder sees it"</em></span>
                {near}
            </div>
            {distances(&said.distances, &said.probabilities, given, &name)}
            <p class="note">{format!("in {}", seconds(said.milliseconds / 1000.0))}</p>
        }
        .into_any(),
    )
}

/// Adds the picture to the class where it belongs.
fn teach(lab: Lab, count: Signal<usize>, clear: impl Fn() + Copy + Send + 'static, filming: RwSignal<bool>) -> AnyView {
    let buttons = parts(move || {
        let one = |place: usize| {
            let name = read(lab, |own| own.classes.get(place).map(|class| class.name.clone())).unwrap_or_default();
            let add = press(move |_| {
                if let Some(picture) = lab.pictured() {
                    lab.teach(place, &[picture]);
                    if !filming.get_untracked() {
                        clear();
                    }
                }
            });
            view! { <button aria-label=format!("It is {name}: add it there") on:click=add>{class_name(place, &name)}</button> }.into_any()
        };
        (0..count.get()).map(one).collect()
    });
    view! { <div class="filters it-is" role="group" aria-label="Add it to a class"><span class="soft">"It is"</span>{buttons}</div> }.into_any()
}
