//! The link to what is shown: to copy, to read with a camera, to embed; and what whoever opens it sees and is asked.

use std::sync::Arc;

use engine::fewshot::Source;
use engine::spec::{DataSet, FIELDS, Field, Link as Address, MAX_TASK, Page};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::recipe::GROUPS;
use crate::erase::{each, effect, flag, heard, press, words};
use crate::reactive::{RwSignal, Signal};
use crate::state::{Dialog, Lab, PANELS, alone};
use crate::widgets::icon::Icon;

#[wasm_bindgen(raw_module = "./js/code.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = drawCode)]
    async fn draw_code(place: &str, text: &str) -> Result<JsValue, JsValue>;
}

/// The page's own address, before `#`.
fn base() -> String {
    let location = window().location().href().unwrap_or_default();
    location.split('#').next().unwrap_or_default().to_owned()
}

/// The full address with this fragment.
pub fn full(fragment: &str) -> String {
    base() + fragment
}

/// Copies the full address with this fragment, and says so.
pub fn copy_text(lab: Lab, fragment: &str) {
    let address = full(fragment);
    let drawn = lab.page.get_untracked() == Page::Fewshot
        && lab.fewshot.link.with_untracked(|link| link.spec.data == Source::Own);
    let own = lab.spec.with_untracked(|spec| (spec.data.set == DataSet::Own).then(|| spec.data.file.clone()));
    let said = match own.filter(|_| lab.page.get_untracked().has_recipe()) {
        Some(file) => {
            format!("The link is copied. It holds the recipe, not your data: whoever opens it needs the file {file} too.")
        }
        None if drawn => {
            "The link is copied. It holds the settings, not your pictures: whoever opens it needs the file of saved classes too."
                .into()
        }
        None => "The link is copied: whoever opens it sees this run.".into(),
    };
    // Not allowed, or not a secure page: the person can still copy it by hand.
    let refused = (format!("Copy this link: {address}"), false);
    copy(lab, &address, said, refused);
}

/// Copies a text, and says so.
pub fn copy_words(lab: Lab, text: &str, said: &str) {
    copy(lab, text, said.into(), ("The browser does not let this page copy.".into(), true));
}

/// `refused` is what is said where the browser does not let it, and whether that is a fault.
fn copy(lab: Lab, text: &str, said: String, refused: (String, bool)) {
    let written = window().navigator().clipboard().write_text(text);
    spawn_local(async move {
        let (said, fault) = if JsFuture::from(written).await.is_ok() { (said, false) } else { refused };
        lab.toast(said, fault);
    });
}

/// The button in the header: copies the link, and offers more.
#[component]
pub fn Share() -> impl IntoView {
    let lab = Lab::of();
    let share = move |_| {
        let fragment = untrack(move || lab.address().fragment());
        copy_text(lab, &fragment);
        lab.dialog.set(Some(Dialog::Share));
    };
    view! {
        <button class="share" aria-label="Share" title="Copy a link to this" on:click=share>
            <Icon name="share"/>
            <span class="wide">"Share"</span>
        </button>
    }
}

/// What is shared.
#[derive(Clone, Copy)]
struct Shared {
    lab: Lab,
    /// Controls, groups and panels that are not shown.
    hide: RwSignal<Vec<String>>,
    /// What whoever opens it is asked to do.
    task: RwSignal<String>,
}

impl Shared {
    fn fragment(self, embed: bool) -> String {
        Address { hide: self.hide.get(), task: self.task.get(), embed, ..self.lab.address() }.fragment()
    }

    /// The element that shows it on another page, as wide as its place and high in proportion.
    fn snippet(self) -> String {
        format!(
            "<iframe src=\"{}{}\" title=\"Minibatch\" allow=\"fullscreen; clipboard-write\" style=\"width: 100%; height: max(640px, 56vw); max-height: 90vh; border: 0\"></iframe>",
            base(),
            self.fragment(true)
        )
    }

    /// A box that is ticked for what is shown.
    fn tick(self, id: String, label: &'static str) -> AnyView {
        let mine = id.clone();
        let toggle = move |_| {
            self.hide.update(|hide| {
                let before = hide.len();
                hide.retain(|known| *known != id);
                if hide.len() == before {
                    hide.push(id.clone());
                }
            });
        };
        let shown = flag(move || self.hide.with(|hide| !hide.contains(&mine)));
        view! { <label class="tick"><input type="checkbox" prop:checked=shown on:click=press(toggle)/>{label}</label> }
            .into_any()
    }

    /// What of the lab is seen, and what can be turned.
    fn ticks(self) -> AnyView {
        let panels = PANELS.map(|(id, label)| self.tick(id.into(), label));
        let groups = GROUPS.map(|(id, label, _)| self.tick(id.into(), label));
        let fields = Signal::memo(move |_| {
            let spec = self.lab.shown();
            let shown = |field: &Field| {
                field.applies(&spec) && self.hide.with(|hide| !hide.iter().any(|known| known == field.group()))
            };
            let places = FIELDS.iter().enumerate().filter(|(_, field)| shown(field));
            places.map(|(place, _)| place).collect::<Vec<usize>>()
        });
        let field = move |place: usize| match FIELDS.get(place) {
            Some(field) => self.tick(alone(field), field.label),
            None => ().into_any(),
        };
        view! {
            <fieldset><legend>"What they see"</legend><div class="ticks">{panels.into_iter().collect_view()}</div></fieldset>
            <fieldset><legend>"What they can turn"</legend>
                <div class="ticks">{groups.into_iter().collect_view()}</div>
                <details><summary>"Single controls"</summary><div class="ticks">{each(fields, Arc::new(field))}</div></details>
            </fieldset>
        }
        .into_any()
    }
}

/// The dialog.
pub fn dialog(lab: Lab) -> AnyView {
    let shared =
        Shared { lab, hide: RwSignal::new(lab.hide.get_untracked()), task: RwSignal::new(lab.task.get_untracked()) };
    let in_lab = lab.page.get_untracked() == Page::Lab;
    let link = Signal::memo(move |_| shared.fragment(false));
    effect(move || {
        let text = base() + &link.get();
        // The dialog is on the page by then. Without its library there is no code, and all else works.
        spawn_local(async move { drop(draw_code(".code", &text).await) });
    });
    let copy = move |_| copy_text(lab, &link.get_untracked());
    let embed = move |_| {
        copy_words(lab, &untrack(move || shared.snippet()), "Copied: put it into the text of your page.");
    };
    view! {
        <div class="shared">
            <div class="row">
                <input type="text" readonly aria-label="Link" prop:value=words(move || base() + &link.get())/>
                <button class="primary" on:click=press(copy)>"Copy link"</button>
            </div>
            {in_lab.then(|| shared.ticks())}
            <label class="asked">
                "What they are asked to do"
                <textarea
                    rows="2"
                    maxlength=MAX_TASK
                    placeholder="Find the largest learning rate that still learns."
                    prop:value=words(move || shared.task.get())
                    on:input=heard(move |event| shared.task.set(event_target_value(&event)))
                ></textarea>
            </label>
            <div class="row">
                <button on:click=press(embed)>"Copy for another page"</button>
                <span class="soft">"An <iframe> of this, without the header."</span>
            </div>
            <p class="code"></p>
        </div>
    }
    .into_any()
}
